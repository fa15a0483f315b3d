"""The planner's model of ego against what physics says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.bicycle import NUM_MODEL_STATES, ModelState, curvature, slip, step

NONE = (0.0,) * 4
CAR = [2.9, 0.001, 0.15, 0.05]


def derivative(state, control, param, residual):
    """The module's equations, written out again."""
    _, _, yaw, v, a, d, a_cmd, d_cmd = state
    length, understeer, accel_lag, steer_lag = param
    beta = math.atan(math.tan(d) / 2.0)
    forward, left, turn, push = residual
    return np.array([
        v * math.cos(yaw + beta) + forward * math.cos(yaw) - left * math.sin(yaw),
        v * math.sin(yaw + beta) + forward * math.sin(yaw) + left * math.cos(yaw),
        2.0 * v * math.sin(beta) / (length * (1.0 + understeer * v * v)) + turn,
        a + push, (a_cmd - a) / accel_lag, (d_cmd - d) / steer_lag, *control,
    ])  # fmt: skip


def integrated(state, control, param, residual, dt, parts):
    """Runge-Kutta of fourth order in `parts` parts."""
    y, h = np.array(state, float), dt / parts
    for _ in range(parts):
        k1 = derivative(y, control, param, residual)
        k2 = derivative(y + 0.5 * h * k1, control, param, residual)
        k3 = derivative(y + 0.5 * h * k2, control, param, residual)
        k4 = derivative(y + h * k3, control, param, residual)
        y = y + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return y


def random_case(seed: int):
    draw = np.random.default_rng(seed)
    state = draw.uniform([-50, -50, -3, 3, -3, -0.3, -3, -0.3], [50, 50, 3, 15, 2, 0.3, 2, 0.3])
    return (
        list(state), list(draw.uniform([-8, -0.5], [8, 0.5])), [2.9, 0.001, 0.2, 0.1],
        list(draw.uniform(-0.3, 0.3, 4)),
    )  # fmt: skip


def test_two_seconds_at_twenty_are_forty_metres():
    state = [0.0] * NUM_MODEL_STATES
    state[ModelState.SPEED] = 20.0
    for _ in range(10):
        state = step(state, (0.0, 0.0), CAR, NONE, 0.2, np)
    np.testing.assert_allclose(state, [40.0, 0, 0, 20.0, 0, 0, 0, 0], atol=1e-12)


def test_constant_acceleration_follows_the_textbook():
    state = [0.0, 0.0, 0.0, 5.0, 2.0, 0.0, 2.0, 0.0]
    end = step(state, (0.0, 0.0), CAR, NONE, 0.5, np)
    assert end[ModelState.SPEED] == pytest.approx(6.0)
    assert end[ModelState.X] == pytest.approx(5.0 * 0.5 + 0.5 * 2.0 * 0.25)


@pytest.mark.parametrize("steer", [-0.4, 0.05, 0.3])
def test_a_constant_wheel_angle_traces_its_circle(steer: float):
    speed = 6.0
    state = [1.0, 2.0, 0.7, speed, 0.0, steer, 0.0, steer]
    bend = curvature(speed, steer, CAR, np)
    course = 0.7 + slip(steer, np)
    center = np.array([1.0 - math.sin(course) / bend, 2.0 + math.cos(course) / bend])
    for _ in range(200):
        state = step(state, (0.0, 0.0), CAR, NONE, 0.05, np)
        radius = math.hypot(state[0] - center[0], state[1] - center[1])
        assert radius == pytest.approx(abs(1.0 / bend), rel=1e-5)
    assert state[ModelState.YAW] == pytest.approx(0.7 + 10.0 * speed * bend, rel=1e-9)


def test_a_batch_of_steps_equals_single_steps():
    cases = [random_case(seed) for seed in range(6)]
    states = np.array([c[0] for c in cases]).T
    controls = np.array([c[1] for c in cases]).T
    for _ in range(8):
        states = np.array(step(list(states), list(controls), CAR, NONE, 0.2, np))
    for i, (state, control, _, _) in enumerate(cases):
        single = state
        for _ in range(8):
            single = step(single, control, CAR, NONE, 0.2, np)
        np.testing.assert_allclose(states[:, i], single, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_lags_and_commands_are_exact_however_long_the_step(seed: int):
    state, control, car, residual = random_case(seed)
    end = step(state, control, car, residual, 0.8, np)
    fine = integrated(state, control, car, residual, 0.8, 2000)
    np.testing.assert_allclose(end[ModelState.SPEED :], fine[ModelState.SPEED :], atol=1e-9)


def test_a_lag_that_vanishes_leaves_the_command():
    state = [0.0, 0.0, 0.0, 8.0, -1.0, 0.2, 1.0, -0.1]
    end = step(state, (2.0, 0.3), [2.9, 0.0, 1e-6, 1e-6], NONE, 0.2, np)
    assert end[ModelState.ACCEL] == pytest.approx(1.4, abs=1e-5)
    assert end[ModelState.STEER] == pytest.approx(-0.04, abs=1e-5)
    assert end[ModelState.SPEED] == pytest.approx(8.0 + 0.2 * 1.2, abs=1e-5)


def test_a_lag_without_end_holds_the_actuators():
    state = [0.0, 0.0, 0.0, 8.0, -1.0, 0.2, 1.0, -0.1]
    end = step(state, (2.0, 0.3), [2.9, 0.0, 1e6, 1e6], NONE, 0.2, np)
    assert end[ModelState.ACCEL] == pytest.approx(-1.0, abs=1e-5)
    assert end[ModelState.STEER] == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_position_and_yaw_converge_with_the_fourth_order(seed: int):
    state, control, car, residual = random_case(seed)
    fine = integrated(state, control, car, residual, 0.4, 4000)
    errors = []
    for parts in (4, 8, 16):
        y = state
        for _ in range(parts):
            y = step(y, control, car, residual, 0.4 / parts, np)
        errors.append(np.abs(np.array(y)[:3] - fine[:3]).max())
    assert errors[0] < 1e-3
    # Halving the step divides the error by 16; what is left at 1e-11 is rounding.
    assert errors[1] < errors[0] / 11.0 or errors[1] < 1e-10
    assert errors[2] < errors[1] / 11.0 or errors[2] < 1e-10
