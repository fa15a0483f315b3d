"""How long ego waits, and who is then taken to let it go."""

import math

import numpy as np

from headway.types import AgentKind, Agents, SignalState
from planner import corridor
from planner.bounds import Arrivals, EgoOnRoute, Others, crossing_bounds
from planner.rules import Memory, Rules
from tests.world_model.scenes import Agent, agents_of


def others(speed: dict[int, float]) -> Agents:
    """Agents by id with these speeds [m/s]."""
    n = len(speed)
    return Agents(
        id=np.array(list(speed), np.int64),
        kind=np.zeros(n, np.int8),
        pose=np.zeros((n, 3)),
        z=np.zeros(n),
        velocity=np.column_stack([list(speed.values()), np.zeros(n)]),
        yaw_rate=np.zeros(n),
        extent=np.ones((n, 2)),
        covariance=np.zeros((n, 5, 5)),
        history=np.zeros((n, 1, 4)),
        history_mask=np.ones((n, 1), bool),
    )


def test_creeping_does_not_end_the_wait_and_setting_off_does():
    memory = Memory()
    for t, s, speed in ((0.0, 10.0, 5.0), (1.0, 12.0, 0.0), (3.0, 12.3, 0.8), (4.0, 13.0, 0.1)):
        memory.t = t
        memory.note_wait(s, speed)
    assert memory.waiting_since == 1.0
    memory.note_wait(13.5, 2.5)
    assert memory.waiting_since == math.inf
    for t, s, speed in ((6.0, 14.0, 0.0), (8.0, 17.0, 1.5), (10.0, 20.0, 1.5), (11.0, 20.5, 0.0)):
        memory.t = t
        memory.note_wait(s, speed)
    assert memory.waiting_since == 11.0  # it crept up in a queue: a new place, a new wait


def test_who_has_stood_for_two_seconds_lets_the_waiting_ego_go():
    rules, memory = Rules(), Memory()
    ids = np.array([3, 5])

    def at(t, ego_speed, speeds):
        memory.t = t
        memory.note_wait(0.0, ego_speed)
        memory.note_others(others(dict(zip((3, 5), speeds, strict=True))))
        return memory.lets_go(ids, rules).tolist()

    assert at(0.0, 5.0, (0.0, 4.0)) == [False, False]
    assert at(2.5, 5.0, (0.0, 4.0)) == [False, False]  # ego itself does not wait
    assert at(3.0, 0.0, (0.0, 0.0)) == [False, False]
    assert at(4.0, 0.0, (0.0, 0.0)) == [True, False]
    assert at(5.5, 0.0, (0.0, 0.0)) == [True, True]
    assert at(6.0, 0.0, (1.0, 0.0)) == [False, True]  # that one has set off
    assert at(7.5, 0.0, (1.0, 4.0)) == [True, True]  # patience: whoever should stand


def test_a_yellow_light_is_passed_when_its_line_is_reached_soon():
    rules = Rules(yellow_go=2.0)

    def holds(memory: Memory, t: float, state: SignalState, gap: float, speed: float) -> bool:
        memory.t = t
        return memory.light_holds(0, state, speed * speed / (2.0 * gap), gap / speed, rules)

    # 8 m/s, 15 m before it: 1.9 s, and 2.1 m/s^2 to stop.
    memory = Memory()
    assert not holds(memory, 0.0, SignalState.GREEN, 15.0, 8.0)
    assert not holds(memory, 0.1, SignalState.YELLOW, 15.0, 8.0)
    assert not holds(memory, 1.1, SignalState.YELLOW, 7.0, 8.0)
    # 17 m: too late, and slow enough to stop. What was begun is gone on with.
    memory = Memory()
    assert holds(memory, 0.1, SignalState.YELLOW, 17.0, 8.0)
    assert holds(memory, 0.2, SignalState.YELLOW, 12.0, 7.8)
    # Held up on the way to it: no longer in time, and there is room to stop.
    memory = Memory()
    assert not holds(memory, 0.0, SignalState.YELLOW, 15.0, 8.0)
    assert holds(memory, 0.8, SignalState.YELLOW, 10.0, 5.0)
    # By itself nobody passes: who could stop, stops.
    memory, rules = Memory(), Rules()
    assert holds(memory, 0.0, SignalState.YELLOW, 15.0, 8.0)


def test_who_is_being_stopped_for_goes_on_being_so_unless_there_is_time_to_spare():
    """Ego would be through 1.2 s before a bicycle comes: enough, but not once it stops for it."""
    agents = agents_of([Agent(20.0, -6.0, 1.57, 1.5, AgentKind.TWO_WHEELER)])
    seen = np.zeros((1, corridor.NUM_SEEN))
    seen[0, [corridor.ENTER, corridor.LEAVE]] = 6.5, 9.0
    seen[0, [corridor.ENTER_S, corridor.LEAVE_S]] = 19.0, 21.0
    seen[0, corridor.HEADING] = 0.5 * math.pi
    nowhere = np.array([-1])
    others = Others(agents, seen, nowhere, nowhere, np.array([True]), np.zeros(0, int))
    arrive = Arrivals(5.0 * np.arange(0.0, 9.0), np.arange(0.0, 9.0))  # 5 m/s
    memory = Memory()
    for stopping_for, speed, stops in (({}, 5.0, 0), ({10}, 5.0, 1), ({10}, 0.0, 0), ({7}, 5.0, 0)):
        memory.stopping_for = frozenset(stopping_for)
        ego = EgoOnRoute(0.0, 0.0, speed, 2.4, 60.0)
        assert len(crossing_bounds(ego, others, arrive, memory, Rules()).rows) == stops
