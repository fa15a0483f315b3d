"""PDM-Closed: its simulation is the bicycle's, its score is counted by hand, and closed loops."""

from __future__ import annotations

import numpy as np
import pytest

from headway import bicycle
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.types import NUM_STATES, AgentKind, StateIndex
from planner.pdm_closed.planner import PdmClosedConfig, PdmClosedPlanner
from planner.pdm_closed.score import (
    NONE,
    Comfort,
    Drivable,
    Score,
    drivable_area,
    is_comfortable,
    score_proposals,
    totals,
)
from planner.pdm_closed.simulate import bicycle_step

from .harness import Scripted, World, along, make_driver
from .test_drive import assert_clear, front, goal_reached, long_straight, speeds
from .test_frenet import single_lane

DT, SIZE, WHEELBASE = 0.1, np.array([2.4, 1.0]), 2.8
WEIGHTS = (5.0, 5.0, 2.0)


def test_the_compiled_bicycle_is_the_bicycle():
    rng, car = np.random.default_rng(0), np.array([2.8, 0.002, 0.15, 0.06])
    for _ in range(20):
        state = rng.normal(0.0, [20.0, 20.0, 2.0, 3.0, 1.0, 0.15, 1.0, 0.15])
        state[3] += 8.0
        plain = tuple(float(x) for x in state)
        for _ in range(40):
            jerk, rate = rng.normal(0.0, [2.0, 0.3])
            plain = bicycle.step(plain, (jerk, rate), car.tolist(), (0.0,) * 4, DT, np)
            bicycle_step(state, jerk, rate, car, DT)
        np.testing.assert_allclose(state, plain, rtol=1e-12, atol=1e-9)


def cruise(speed: float, d: float = 0.0, accel: float = 0.0) -> np.ndarray:
    """A motion straight along x at y = d, 4 s on the grid."""
    t = DT * np.arange(41)
    states = np.zeros((41, NUM_STATES))
    v = np.maximum(speed + accel * t, 0.0)
    states[:, StateIndex.X] = np.concatenate([[0.0], np.cumsum(0.5 * DT * (v[1:] + v[:-1]))])
    states[:, StateIndex.Y], states[:, StateIndex.SPEED] = d, v
    states[:, StateIndex.ACCEL] = np.where(v > 0.0, accel, 0.0)
    return states


def standing(x: float, y: float = 0.0) -> np.ndarray:
    poses = np.zeros((41, 3))
    poses[:, 0], poses[:, 1] = x, y
    return poses


def score(proposals, others=(), kind=AgentKind.VEHICLE, until=4.0):
    """Scores on a straight road: a lane of 3.5 m, one of the other direction to its left."""
    s = np.arange(-30.0, 200.0)
    num = len(s)
    area = Drivable(np.full(num, -1.75), np.full(num, 5.25), np.full(num, 1.75))
    states = np.stack(proposals)
    poses = np.stack(others) if len(others) else np.zeros((0, 41, 3))
    return score_proposals(
        states, DT, states[:, :, 0].copy(), SIZE, WHEELBASE, np.column_stack([s, np.zeros(num)]),
        s, np.zeros(num), 30, area, poses, np.tile([2.4, 1.0], (len(poses), 1)),
        np.full(len(poses), kind, np.int8), np.full(len(poses), until), Comfort(),
    )  # fmt: skip


def test_the_score_of_three_proposals_is_that_of_the_hand():
    # On at 10 m/s, braking by 2 m/s^2, standing; somebody stands 30 m ahead.
    scores = score([cruise(10.0), cruise(10.0, accel=-2.0), cruise(0.0)], [standing(30.0)])
    # Fronts meet after 30 - 4.8 = 25.2 m: at 2.52 s at constant speed, seen at 2.6 s.
    assert scores[0, Score.COLLISION] == 0.0
    assert scores[0, Score.HIT_AT] == pytest.approx(2.6)
    assert scores[0, Score.TTC] == 0.0
    # 10 * 4 - 16 = 24 m: no contact, but at 2.5 s (18.75 m, 5 m/s) 0.9 s on make 23.3 m, and at
    # 4 s 24 m + 0.9 * 2 = 25.8 m: within 0.9 s of a collision.
    assert scores[1, Score.COLLISION] == 1.0
    assert scores[1, Score.HIT_AT] == NONE
    assert scores[1, Score.PROGRESS] == pytest.approx(24.0)
    assert scores[1, Score.TTC] == 0.0
    assert scores[2, Score.PROGRESS] == 0.0
    assert scores[2, Score.TTC] == 1.0
    assert (scores[:, Score.COMFORT] == 1.0).all()
    # Progress is relative to 24 m, as the first one's multiplier is 0.
    np.testing.assert_allclose(totals(scores, WEIGHTS), [0.0, (5 + 0 + 2) / 12, (0 + 5 + 2) / 12])


def test_who_stands_or_is_run_into_is_not_at_fault():
    behind = np.zeros((41, 3))
    behind[:, 0] = -12.0 + 9.0 * DT * np.arange(41)
    still, slow = score([cruise(0.0), cruise(4.0)], [behind])
    assert still[Score.COLLISION] == slow[Score.COLLISION] == 1.0
    # From the side, in one's own lane: not at fault; over its edge: at fault.
    beside = np.zeros((41, 3))
    beside[:, 0] = 10.0 * DT * np.arange(41)
    beside[:, 1] = 3.3 - 0.6 * DT * np.arange(41)
    own, over = score([cruise(10.0), cruise(10.0, d=1.0)], [beside])
    assert own[Score.COLLISION] == 1.0
    assert over[Score.COLLISION] == 0.0


def test_things_count_half_and_forecasts_as_long_as_they_are_believed():
    (hit,) = score([cruise(10.0)], [standing(30.0)], kind=AgentKind.PROP)
    assert hit[Score.COLLISION] == 0.5
    (late,) = score([cruise(10.0)], [standing(30.0)], until=2.0)
    assert late[Score.COLLISION] == 1.0


def test_the_road_and_its_direction_count():
    own, left, right, far = score(
        [cruise(10.0), cruise(10.0, d=3.5), cruise(10.0, d=-1.0), cruise(1.2, d=3.5)]
    )
    assert own[Score.DRIVABLE] == left[Score.DRIVABLE] == 1.0
    # Who begins off the road is not to blame for it; who leaves it is.
    assert right[Score.DRIVABLE] == 1.0
    leaving = cruise(10.0)
    leaving[20:, StateIndex.Y] = -1.0
    assert score([leaving])[0, Score.DRIVABLE] == 0.0
    # 40 m, 0 m and 4.8 m in the lane of the other direction.
    assert [left[Score.DIRECTION], own[Score.DIRECTION], far[Score.DIRECTION]] == [0.0, 1.0, 0.5]


def test_comfort_is_nuplans():
    bounds = Comfort()
    assert is_comfortable(bounds, cruise(10.0, accel=2.0), DT, WHEELBASE)
    assert not is_comfortable(bounds, cruise(10.0, accel=2.6), DT, WHEELBASE)
    assert not is_comfortable(bounds, cruise(20.0, accel=-4.3), DT, WHEELBASE)
    jolt = cruise(10.0)
    jolt[20:, StateIndex.ACCEL] = 2.3  # 2.3 m/s^2 within half a second: 4.6 m/s^3
    assert not is_comfortable(bounds, jolt, DT, WHEELBASE)
    turn = cruise(10.0)
    turn[:, StateIndex.STEER] = 0.15  # 10^2 * 0.0538 1/m = 5.4 m/s^2
    assert not is_comfortable(bounds, turn, DT, WHEELBASE)


def test_the_drivable_area_is_lanes_and_no_pavement(grid: LaneGraph):
    route = long_straight(grid)
    lane, area = int(route.lane[0]), drivable_area(grid, route)
    same, at, last = 0, lane, lane
    while grid.kind[at] == LaneKind.DRIVING:
        same, last = same + 1, at
        at = int(grid.left[at])
        if at < 0:
            break
    other = int(grid.opposite[last] >= 0)
    assert area.oncoming[20] == pytest.approx(3.5 * same - 1.75, abs=0.02)
    assert area.left[20] == pytest.approx(3.5 * (same + other) - 1.75, abs=0.02)
    outermost = grid.kind[grid.right[lane]] != LaneKind.DRIVING
    assert outermost
    assert area.right[20] == pytest.approx(-1.75, abs=0.02)


def test_a_lane_blocked_in_part_is_passed_where_there_is_room(grid):
    route = long_straight(grid)
    parked = Scripted(along(route, lambda t: 90.0, -1.9))
    world = World(grid, route, [parked], driver=make_driver(PdmClosedPlanner())).drive(
        40.0, goal_reached
    )
    assert_clear(world)
    s, d = world.s_d()
    assert s[-1] > 250.0
    assert d[np.abs(s - 90.0) < 3.0].min() > 0.5


def test_a_blocked_lane_is_stopped_for(grid):
    route = single_lane(grid)
    parked = Scripted(along(route, lambda t: 80.0))
    world = World(grid, route, [parked], driver=make_driver(PdmClosedPlanner())).drive(30.0)
    assert 1.0 < 80.0 - 2.3 - front(world)[-1] < 4.0
    assert speeds(world)[-1] < 0.05


def test_a_collision_that_no_policy_misses_is_an_emergency(grid):
    route = single_lane(grid)
    parked = Scripted(along(route, lambda t: 48.7))
    world = World(
        grid,
        route,
        [parked],
        start_s=40.0,
        start_speed=10.0,
        driver=make_driver(PdmClosedPlanner()),
    )
    driver = world.driver
    scene = driver.perception.perceive(world.observe())
    goal = driver.language.goal(scene)
    proposals = driver.planner.propose(scene, goal)
    forecast = driver.world_model.imagine(scene, goal, proposals)
    plan = driver.planner.refine(scene, goal, proposals, forecast)
    assert (plan.name, plan.status) == ("stop", "emergency")
    assert plan.states[:, StateIndex.ACCEL].min() < -6.5
    assert plan.states[20, StateIndex.SPEED] < 0.1
    assert plan.active[0] == "lead:2"


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"PdmClosedConfig\.paces"):
        PdmClosedConfig(paces=(1.0, 1.2))
    with pytest.raises(ValueError, match=r"PdmClosedConfig\.offsets"):
        PdmClosedConfig(offsets=(1.0,))
