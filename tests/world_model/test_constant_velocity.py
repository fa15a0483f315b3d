"""Constant velocity: straight lines, and a covariance that grows along the way."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from headway.types import NUM_INPUTS, NUM_STATES, AgentKind, Agents, Proposals
from world_model.constant_velocity import ConstantVelocity


def agents() -> Agents:
    n = 4
    yaw = np.array([0.0, np.pi / 2, 0.3, 0.0])
    speed = np.array([20.0, 5.0, 1.4, 0.0])
    return Agents(
        id=np.arange(n), kind=np.array(list(AgentKind), np.int8),
        pose=np.column_stack([np.zeros(n), np.arange(n), yaw]), z=np.zeros(n),
        velocity=np.column_stack([speed * np.cos(yaw), speed * np.sin(yaw)]),
        yaw_rate=np.zeros(n), extent=np.ones((n, 2)), covariance=np.zeros((n, 5, 5)),
        history=np.zeros((n, 1, 4)), history_mask=np.ones((n, 1), bool),
    )  # fmt: skip


def imagine():
    proposals = Proposals(
        np.zeros((3, 21, NUM_STATES)), np.zeros((3, 20, NUM_INPUTS)), 0.4, ("a", "b", "c")
    )
    scene: Any = SimpleNamespace(agents=agents())
    goal: Any = None
    return ConstantVelocity().imagine(scene, goal, proposals)


def test_two_seconds_at_twenty_metres_a_second_are_forty_metres():
    forecast = imagine()
    assert forecast.mean.shape == (3, 1, 4, 20, 3)
    np.testing.assert_allclose(forecast.mean[1, 0, 0, 4, :2], [40.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(forecast.mean[2, 0, 1, 4, :2], [0.0, 11.0], atol=1e-12)
    np.testing.assert_allclose(forecast.probability.sum(1), 1.0)


def test_trust_fades_along_the_way_more_than_across_it():
    covariance = imagine().covariance[0, 0]
    eigenvalues = np.linalg.eigvalsh(covariance)
    assert (eigenvalues > 0.0).all()
    assert (np.diff(eigenvalues[:3], axis=1) > 0.0).all(), "it only ever grows"
    along_x, across_x = covariance[0, -1, 0, 0], covariance[0, -1, 1, 1]
    assert along_x > 5.0 * across_x
    assert covariance[1, -1, 1, 1] > 5.0 * covariance[1, -1, 0, 0], "this one drives north"
    np.testing.assert_allclose(eigenvalues[2, :, 0], eigenvalues[2, :, 1])  # walkers: any way
    np.testing.assert_allclose(covariance[3, -1], covariance[3, 0])  # things stay


def test_it_suggests_nothing():
    scene: Any = None
    assert len(ConstantVelocity().suggest(scene, scene)) == 0
