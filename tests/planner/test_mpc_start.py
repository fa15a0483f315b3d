"""Warm starts: shifted in time, taken from a trajectory, rolled out."""

from __future__ import annotations

import numpy as np
import pytest

from headway.bicycle import ModelState, step
from headway.types import NUM_STATES, StateIndex
from planner.mpc.problem import NU, Limits
from planner.mpc.start import following, rolled_out, shifted

from .mpc_problems import CAR, DT, initial, shared, straight_road

UNEVEN = np.array([0.1, 0.1, 0.2, 0.4])


def test_shifting_by_nothing_changes_nothing():
    inputs = np.random.default_rng(1).normal(size=(20, NU))
    np.testing.assert_allclose(shifted(inputs, DT, 0.0), inputs, atol=1e-12)


def test_shifting_by_an_interval_moves_up_one_and_ends_in_zero():
    inputs = np.random.default_rng(2).normal(size=(20, NU))
    moved = shifted(inputs, DT, 0.2)
    np.testing.assert_allclose(moved[:-1], inputs[1:], atol=1e-12)
    np.testing.assert_allclose(moved[-1], 0.0, atol=1e-12)


def test_shifting_by_a_tick_takes_the_mean_over_each_interval():
    inputs = np.array([[1.0, -2.0], [3.0, 0.0], [5.0, 4.0]])
    moved = shifted(inputs, np.full(3, 0.2), 0.05)
    np.testing.assert_allclose(moved, [[1.5, -1.5], [3.5, 1.0], [3.75, 3.0]])


def test_on_an_uneven_grid_the_commands_stay_where_they_were():
    inputs = np.random.default_rng(3).normal(size=(4, NU))
    moved = shifted(inputs, UNEVEN, 0.15)
    ends = np.concatenate([[0.0], np.cumsum(UNEVEN)])
    total = np.vstack([np.zeros(NU), np.cumsum(inputs * UNEVEN[:, None], axis=0)])
    after = np.vstack([np.zeros(NU), np.cumsum(moved * UNEVEN[:, None], axis=0)])
    for i in range(NU):
        began = np.interp(0.15, ends, total[:, i])
        np.testing.assert_allclose(
            began + after[:, i], np.interp(ends + 0.15, ends, total[:, i]), atol=1e-12
        )


def test_following_a_trajectory_at_rest_asks_for_nothing():
    inputs = following(np.zeros((41, NUM_STATES)), 0.1, DT, np.zeros(2), 0.15, 0.05)
    np.testing.assert_array_equal(inputs, 0.0)


def test_following_reaches_the_speeds_and_angles_of_a_trajectory():
    t = 0.1 * np.arange(51)
    states = np.zeros((51, NUM_STATES))
    states[:, StateIndex.SPEED] = 10.0 - 1.5 * (1.0 - np.cos(0.8 * t))
    states[:, StateIndex.ACCEL] = -7.0  # the brake of a car that stands; not to be followed
    states[:, StateIndex.STEER] = 0.05 * np.sin(0.8 * t)
    inputs = following(states, 0.1, DT, np.zeros(2), float(CAR[2]), float(CAR[3]))
    state = tuple(initial(10.0))
    for k in range(20):
        state = step(state, tuple(inputs[k]), tuple(CAR), (0.0,) * 4, 0.2, np)
        at = 2 * (k + 1)
        assert state[ModelState.SPEED] == pytest.approx(states[at, StateIndex.SPEED], abs=0.15)
        assert state[ModelState.STEER] == pytest.approx(states[at, StateIndex.STEER], abs=0.01)


def test_rolling_out_is_the_model_within_bounds():
    inputs = np.random.default_rng(4).normal(0.0, 30.0, (20, NU))
    limits = Limits()
    states, held = rolled_out(initial(8.0), inputs, DT, limits, straight_road(8.0), shared())
    low, high = limits.inputs()
    assert (held >= low).all()
    assert (held <= high).all()
    for k in range(20):
        after = step(tuple(states[k]), tuple(held[k]), tuple(CAR), (0.0,) * 4, 0.2, np)
        np.testing.assert_allclose(states[k + 1], after, atol=1e-12)
    assert states[:, ModelState.ACCEL_CMD].max() <= limits.accel_max + 1e-9
    assert states[:, ModelState.ACCEL_CMD].min() >= limits.accel_min - 1e-9
