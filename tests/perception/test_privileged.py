"""Privileged perception: the snapshot's truth, its history, and nobody from far away."""

from types import SimpleNamespace

import numpy as np
import pytest

from headway.types import ActorSnapshot, AgentKind, Command, EgoState, Observation
from perception.privileged import PrivilegedConfig, PrivilegedPerception

ANYTHING = SimpleNamespace()  # perception passes roads and route on without a look


def ego(x: float = 0.0) -> EgoState:
    return EgoState(
        1, np.array([x, 0.0, 0.0]), 0.0, np.array([5.0, 0.0]), 5.0, 0.0, 0.0, 0.0, 0.0,
        np.array([2.4, 1.0]), 2.9, "vehicle.tesla.model3",
    )  # fmt: skip


def observation(tick: int, ids: list[int], x: list[float], actors: bool = True) -> Observation:
    num = len(ids)
    snapshot = ActorSnapshot(
        id=np.array(ids, np.int64),
        kind=np.full(num, AgentKind.VEHICLE, np.int8),
        pose=np.column_stack([x, np.full(num, 3.5), np.zeros(num)]),
        z=np.zeros(num),
        velocity=np.tile([10.0, 0.0], (num, 1)),
        yaw_rate=np.zeros(num),
        extent=np.tile([2.3, 1.0], (num, 1)),
        type_id=("vehicle.audi.tt",) * num,
        signal_state=np.zeros(2, np.int8),
    )
    return Observation(
        tick, 0.05 * tick, ego(0.25 * tick), snapshot if actors else None, {}, (), ANYTHING,
        ANYTHING,
    )  # fmt: skip


def test_history_is_where_the_agent_was_and_masked_before_it_came():
    perception = PrivilegedPerception()
    for tick in range(60):
        ids, x = [7, 9], [0.5 * tick, 20.0 + 0.5 * tick]
        if tick >= 50:  # one more, whose id sorts between the others
            ids, x = [7, 8, 9], [x[0], -5.0, x[1]]
        scene = perception.perceive(observation(tick, ids, x))
    history, mask = scene.agents.history, scene.agents.history_mask
    assert history.shape == (3, 40, 4)
    np.testing.assert_allclose(history[0, :, 0], 0.5 * np.arange(20, 60))
    np.testing.assert_allclose(history[2, :, 0], 20.0 + 0.5 * np.arange(20, 60))
    np.testing.assert_allclose(history[0, :, 3], 10.0)
    assert mask.sum(1).tolist() == [40, 10, 40]
    assert mask[1, -10:].all()


def test_an_agent_that_left_and_came_back_starts_anew():
    perception = PrivilegedPerception()
    for ids in ([3, 4], [4], [3, 4]):
        scene = perception.perceive(observation(0, ids, [1.0] * len(ids)))
    assert scene.agents.history_mask.sum(1).tolist() == [1, 3]


def test_who_is_far_is_left_out_but_remembered():
    perception = PrivilegedPerception(PrivilegedConfig(range_m=100.0))
    assert len(perception.perceive(observation(0, [3], [120.0])).agents) == 0
    scene = perception.perceive(observation(1, [3], [90.0]))
    assert scene.agents.history_mask.sum() == 2


def test_ego_and_its_commands_of_the_last_second():
    perception = PrivilegedPerception()
    for tick in range(30):
        scene = perception.perceive(observation(tick, [], []))
        perception.acted(Command(throttle=tick / 100.0))
    np.testing.assert_allclose(scene.ego_history[:, 0], 0.25 * np.arange(10, 30))
    np.testing.assert_allclose(scene.command_history[:, 0], np.arange(9, 29) / 100.0)
    perception.reset()
    scene = perception.perceive(observation(0, [], []))
    assert (scene.command_history == 0.0).all()


def test_without_the_truth_it_says_so():
    with pytest.raises(ValueError, match=r"Observation\.actors"):
        PrivilegedPerception().perceive(observation(0, [], [], actors=False))


def test_nonsense_is_refused_by_name():
    with pytest.raises(ValueError, match=r"PrivilegedConfig\.range_m"):
        PrivilegedConfig(range_m=-1.0)
