"""Constant turn rate and velocity: circles while it is held, straight lines after."""

from typing import Any

import numpy as np
import pytest

from headway.types import AgentKind
from tests.world_model.scenes import DT, Agent, proposals_of, scene_of
from world_model.constant_turn_rate import ConstantTurnRate, ConstantTurnRateConfig
from world_model.constant_velocity import ConstantVelocity

GOAL: Any = None
T = DT * np.arange(1, 21)
PROPOSALS = proposals_of(Agent(0.0, 0.0, 0.0, 5.0), [0.0, -1.0])


def imagine(grid, listed, **config):
    return ConstantTurnRate(ConstantTurnRateConfig(**config)).imagine(
        scene_of(grid, listed), GOAL, PROPOSALS
    )


def test_a_turn_that_is_kept_is_a_circle(grid):
    speed, rate = 8.0, 0.4
    mean = imagine(grid, [Agent(3.0, 4.0, 0.2, speed, yaw_rate=rate)], decay_s=np.inf).mean
    assert mean.shape == (2, 1, 1, 20, 3)
    radius = speed / rate
    centre = np.array([3.0, 4.0]) + radius * np.array([-np.sin(0.2), np.cos(0.2)])
    away = np.hypot(*(mean[0, 0, 0, :, :2] - centre).T)
    np.testing.assert_allclose(away, radius, atol=1e-6)
    np.testing.assert_allclose(mean[1, 0, 0, :, 2], 0.2 + rate * T, atol=1e-12)


def test_after_the_hold_it_turns_less_and_less_or_no_more(grid):
    agent = Agent(0.0, 0.0, 0.0, 8.0, yaw_rate=0.4)
    fades = imagine(grid, [agent], hold_s=1.2, decay_s=1.0).mean[0, 0, 0]
    rate = np.diff(fades[:, 2], prepend=0.0) / DT
    np.testing.assert_allclose(rate[:3], 0.4, atol=1e-9)
    assert (np.diff(rate[2:]) < 0.0).all()
    assert abs(fades[-1, 2] - 0.4 * (1.2 + 1.0)) < 0.01
    dropped = imagine(grid, [agent], hold_s=1.2, decay_s=0.0).mean[0, 0, 0]
    np.testing.assert_allclose(dropped[3:, 2], 0.48, atol=1e-12)
    step = np.diff(dropped[3:, :2], axis=0)
    np.testing.assert_allclose(np.hypot(*step.T), 8.0 * DT, atol=1e-9)
    np.testing.assert_allclose(np.arctan2(step[:, 1], step[:, 0]), 0.48, atol=1e-9)


def test_without_a_turn_and_for_walkers_it_is_constant_velocity(grid):
    listed = [Agent(0.0, 0.0, 0.3, 9.0), Agent(5.0, 0.0, 1.0, 1.4, AgentKind.WALKER, 0.7),
              Agent(9.0, 0.0, 0.0, 0.0, yaw_rate=0.5)]  # fmt: skip
    turning, straight = (
        model.imagine(scene_of(grid, listed), GOAL, PROPOSALS)
        for model in (ConstantTurnRate(), ConstantVelocity())
    )
    np.testing.assert_allclose(turning.mean, straight.mean, atol=1e-12)
    np.testing.assert_allclose(turning.covariance, straight.covariance, atol=1e-12)


def test_the_covariance_turns_with_the_way_and_grows(grid):
    listed = [Agent(0.0, 0.0, 0.0, 8.0, yaw_rate=0.3)]
    forecast = imagine(grid, listed, decay_s=np.inf)
    values, vectors = np.linalg.eigh(forecast.covariance[0, 0, 0])
    assert (values > 0.0).all()
    assert (np.diff(values, axis=0) > 0.0).all()
    yaw = forecast.mean[0, 0, 0, :, 2]
    along = np.stack([np.cos(yaw), np.sin(yaw)], -1)
    assert (np.abs(np.einsum("ti,ti->t", vectors[:, :, 1], along)) > 0.999).all()


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"hold_s: expected >= 0"):
        ConstantTurnRateConfig(hold_s=-1.0)
    with pytest.raises(ValueError, match=r"ConstantTurnRateConfig.vehicle_accel_std"):
        ConstantTurnRateConfig(vehicle_accel_std=-1.0)
