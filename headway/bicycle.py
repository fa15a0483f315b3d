"""The planner's model of ego: a kinematic bicycle with understeer, actuator lag and a residual.

One definition for MPC, proposals and world model. Every function takes its mathematics as `xp`
(numpy, torch or casadi) and states as sequences of components, so that a component may be a float,
a batch of any shape, or a symbol.

The reference point is the middle of the wheelbase, which stands for the bounding box's centre.
With the front wheels at delta the slip there is beta = atan(tan(delta) / 2) and

    x'     = v cos(yaw + beta)           yaw'   = 2 v sin(beta) / (L (1 + K v^2))
    y'     = v sin(yaw + beta)           v'     = a
    a'     = (a_cmd - a) / T_a           a_cmd' = jerk
    delta' = (delta_cmd - delta) / T_d   delta_cmd' = steering rate

(Rajamani 2012, eqs. 2.3 to 2.5; K from the steady turn of eq. 3.11), each plus the residual that a
world model may add.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any


class ModelState(IntEnum):
    """Components of the model's state; the first six are `headway.types.StateIndex`."""

    X = 0  # [m] map frame
    Y = 1  # [m]
    YAW = 2  # [rad]
    SPEED = 3  # [m/s]
    ACCEL = 4  # [m/s^2] as it acts
    STEER = 5  # [rad] front-wheel angle as it acts, left positive
    ACCEL_CMD = 6  # [m/s^2] as commanded
    STEER_CMD = 7  # [rad] as commanded


NUM_MODEL_STATES = len(ModelState)


class BicycleParam(IntEnum):
    """What differs from car to car."""

    WHEELBASE = 0  # [m]
    UNDERSTEER = 1  # [s^2/m^2] K, 0 for a neutral car
    ACCEL_LAG = 2  # [s] T_a
    STEER_LAG = 3  # [s] T_d


NUM_BICYCLE_PARAMS = len(BicycleParam)


class Residual(IntEnum):
    """What a world model adds to the derivatives, in the body frame."""

    FORWARD = 0  # [m/s]
    LEFT = 1  # [m/s]
    YAW_RATE = 2  # [rad/s]
    ACCEL = 3  # [m/s^2]


NUM_RESIDUALS = len(Residual)

Components = Sequence[Any]


def slip(steer: Any, xp: Any) -> Any:
    """Angle [rad] between yaw and course at the reference point, for front wheels at `steer`."""
    return xp.arctan(0.5 * xp.tan(steer))


def curvature(speed: Any, steer: Any, param: Components, xp: Any) -> Any:
    """Yaw rate per speed [1/m] in a steady turn with front wheels at `steer` [rad]."""
    length, understeer = param[BicycleParam.WHEELBASE], param[BicycleParam.UNDERSTEER]
    return 2.0 * xp.sin(slip(steer, xp)) / (length * (1.0 + understeer * speed * speed))


def lateral_accel(state: Components, param: Components, xp: Any) -> Any:
    """Centripetal acceleration [m/s^2], left positive."""
    speed = state[ModelState.SPEED]
    return speed * speed * curvature(speed, state[ModelState.STEER], param, xp)


def _lagged(now: Any, command: Any, rate: Any, lag: Any, t: Any, xp: Any) -> tuple[Any, Any]:
    """First-order lag behind a ramp: the value after `t` [s] and its integral over [0, t].

    y(t) = c + r (t - T) + (y_0 - c + r T) exp(-t / T), c the command now and r its rate.
    """
    decay = xp.exp(-t / lag)
    start = now - command + rate * lag
    value = command + rate * (t - lag) + start * decay
    integral = command * t + rate * t * (0.5 * t - lag) + start * lag * (1.0 - decay)
    return value, integral


def step(
    state: Components, control: Components, param: Components, residual: Components, dt: Any,
    xp: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the state after `dt`, inputs and residual held.

    The chain is triangular (commands, actuators, speed, yaw, position). The lags have a closed
    form, so a lag much shorter than `dt` is no trouble; yaw and position follow by Simpson's rule,
    whose error is of fourth order.

    Args:
        state: components as in `ModelState`.
        control: jerk [m/s^3] and steering rate [rad/s], see `headway.types.InputIndex`.
        param: components as in `BicycleParam`.
        residual: components as in `Residual`; zeros for the plain model.
        dt: [s].
        xp: numpy, torch or casadi.

    Returns:
        Components as in `ModelState`.
    """
    x, y, yaw, speed, accel, steer, accel_cmd, steer_cmd = state
    jerk, steer_rate = control
    forward, left, turn, push = residual
    speeds, steers = [speed], [steer]
    for t in (0.5 * dt, dt):
        end_accel, gained = _lagged(accel, accel_cmd, jerk, param[BicycleParam.ACCEL_LAG], t, xp)
        end_steer, _ = _lagged(steer, steer_cmd, steer_rate, param[BicycleParam.STEER_LAG], t, xp)
        speeds.append(speed + gained + push * t)
        steers.append(end_steer)
    rates = [v * curvature(v, d, param, xp) + turn for v, d in zip(speeds, steers, strict=True)]
    yaws = [
        yaw,
        yaw + dt / 24.0 * (5.0 * rates[0] + 8.0 * rates[1] - rates[2]),
        yaw + dt / 6.0 * (rates[0] + 4.0 * rates[1] + rates[2]),
    ]
    courses = [p + slip(d, xp) for p, d in zip(yaws, steers, strict=True)]
    east = [
        v * xp.cos(c) + forward * xp.cos(p) - left * xp.sin(p)
        for v, c, p in zip(speeds, courses, yaws, strict=True)
    ]
    north = [
        v * xp.sin(c) + forward * xp.sin(p) + left * xp.cos(p)
        for v, c, p in zip(speeds, courses, yaws, strict=True)
    ]
    return (
        x + dt / 6.0 * (east[0] + 4.0 * east[1] + east[2]),
        y + dt / 6.0 * (north[0] + 4.0 * north[1] + north[2]),
        yaws[2],
        speeds[2],
        end_accel,
        end_steer,
        accel_cmd + jerk * dt,
        steer_cmd + steer_rate * dt,
    )
