"""Proposals in closed loop: IDM along the route, pure pursuit beside it, a bicycle under both.

The car is that of `headway.bicycle`, compiled: same equations, same integration.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.bicycle import BicycleParam, ModelState
from headway.types import NUM_STATES, Array
from planner.corridor import nearest_on
from planner.rollout import Law, bound_accel, free_accel, pursue

X, Y, YAW, SPEED, ACCEL, STEER, ACCEL_CMD, STEER_CMD = (int(c) for c in ModelState)
WHEELBASE, UNDERSTEER, ACCEL_LAG, STEER_LAG = (int(c) for c in BicycleParam)


class Road(NamedTuple):
    """The route, `R` samples.

    Attributes:
        xy: (R, 2) [m]; s (R,) [m], yaw (R,) [rad] unwrapped and curvature (R,) [1/m] beside it.
        s: see `xy`.
        yaw: see `xy`.
        curvature: see `xy`.
        speed: (R,) [m/s] that limits and curves allow, with room to brake.
        limit: (R,) [m/s] speed limits.
    """

    xy: Array
    s: Array
    yaw: Array
    curvature: Array
    speed: Array
    limit: Array


@njit(cache=True)
def _lagged(now: float, command: float, rate: float, lag: float, t: float) -> tuple[float, float]:
    """See `headway.bicycle._lagged`: first-order lag behind a ramp, value and integral."""
    decay = math.exp(-t / lag)
    start = now - command + rate * lag
    value = command + rate * (t - lag) + start * decay
    return value, command * t + rate * t * (0.5 * t - lag) + start * lag * (1.0 - decay)


@njit(cache=True)
def bicycle_step(state: Array, jerk: float, steer_rate: float, car: Array, dt: float) -> None:
    """Advance `state` (NUM_MODEL_STATES,) by `dt` [s]: `headway.bicycle.step`, no residual.

    Args:
        state: see `headway.bicycle.ModelState`; written.
        jerk: [m/s^3] of the command.
        steer_rate: [rad/s] of the command.
        car: (NUM_BICYCLE_PARAMS,).
        dt: [s].
    """
    speed, steer = np.empty(3), np.empty(3)
    speed[0], steer[0] = state[SPEED], state[STEER]
    accel = state[ACCEL]
    for j in range(1, 3):
        t = 0.5 * j * dt
        accel, gained = _lagged(state[ACCEL], state[ACCEL_CMD], jerk, car[ACCEL_LAG], t)
        steer[j], _ = _lagged(state[STEER], state[STEER_CMD], steer_rate, car[STEER_LAG], t)
        speed[j] = state[SPEED] + gained
    slip, rate = np.empty(3), np.empty(3)
    for j in range(3):
        slip[j] = math.atan(0.5 * math.tan(steer[j]))
        bend = 2.0 * math.sin(slip[j]) / (car[WHEELBASE] * (1.0 + car[UNDERSTEER] * speed[j] ** 2))
        rate[j] = speed[j] * bend
    yaw = state[YAW]
    middle = yaw + dt / 24.0 * (5.0 * rate[0] + 8.0 * rate[1] - rate[2])
    end = yaw + dt / 6.0 * (rate[0] + 4.0 * rate[1] + rate[2])
    c0, c1, c2 = yaw + slip[0], middle + slip[1], end + slip[2]
    state[X] += dt / 6.0 * (speed[0] * math.cos(c0) + 4.0 * speed[1] * math.cos(c1)
                            + speed[2] * math.cos(c2))  # fmt: skip
    state[Y] += dt / 6.0 * (speed[0] * math.sin(c0) + 4.0 * speed[1] * math.sin(c1)
                            + speed[2] * math.sin(c2))  # fmt: skip
    state[YAW], state[SPEED], state[ACCEL], state[STEER] = end, speed[2], accel, steer[2]
    state[ACCEL_CMD] += jerk * dt
    state[STEER_CMD] += steer_rate * dt


@njit(cache=True)
def simulate(
    law: Law, road: Road, cap: float, pace: float, offset: float, bounds: Array, brake: float,
    start: Array, hint: int, half_length: float, car: Array, dt: float, states: Array,
    inputs: Array, along: Array, commands: Array,
) -> None:  # fmt: skip
    """Drive one policy and write where it leads.

    IDM (Treiber, Hennecke, Helbing 2000, eq. 3) towards `pace` times the limit, a (1 - (v/v_0)^4),
    but never above what the road allows; behind its bounds as `planner.rollout.bound_accel` has it.

    Args:
        law: of control.
        road: the route.
        cap: [m/s] on top of what the road allows.
        pace: share of the speed limit that is wished.
        offset: [m] of its line from the route, left positive.
        bounds: (B, NUM_BOUNDS) on ego's front.
        brake: [m/s^2] to brake with, come what may; 0 to drive the policy.
        start: (NUM_MODEL_STATES,) ego now.
        hint: sample of the route near ego.
        half_length: [m] of ego.
        car: (NUM_BICYCLE_PARAMS,).
        dt: [s].
        states: (N+1, NUM_STATES), written.
        inputs: (N, NUM_INPUTS), written.
        along: (N+1,) [m] s of ego's middle, written.
        commands: (N+1, 2) acceleration [m/s^2] and wheel angle [rad] as commanded, written.
    """
    state, last = start.copy(), len(road.s) - 1
    i, at, d = nearest_on(
        road.xy, road.s, state[X], state[Y], max(hint - 15, 0), min(hint + 25, last)
    )
    states[0], along[0], commands[0] = state[:NUM_STATES], at, state[ACCEL_CMD:]
    for k in range(len(inputs)):
        here = min(i, last - 1)
        slope = (road.speed[here + 1] - road.speed[here]) / max(road.s[here + 1] - road.s[here],
                                                                1e-3)  # fmt: skip
        allowed = min(road.speed[here] + slope * (at - road.s[here]), cap)
        speed = state[SPEED]
        wish = max(min(pace * road.limit[here], cap), 0.1)
        wanted = free_accel(law, speed, allowed, slope if allowed < cap else 0.0)
        wanted = min(wanted, max(law.accel * (1.0 - (speed / wish) ** 4), -law.brake))
        wanted = min(wanted, bound_accel(law, bounds, k * dt, at + half_length, speed)[0])
        if brake > 0.0:
            wanted = -brake
        down = law.jerk_down if wanted > -3.0 else 60.0
        up = law.jerk_up if state[ACCEL_CMD] > -0.5 else 4.0 * law.jerk_up
        if speed < 0.3 and state[ACCEL_CMD] < 0.0 < wanted:
            state[ACCEL_CMD] = state[ACCEL] = 0.0  # nothing to be gentle about when standing
        jerk = min(max((wanted - state[ACCEL_CMD]) / dt, -down), up)
        target = pursue(
            law, road.s, road.yaw, road.curvature, i, at, d - offset, state[YAW], state[STEER],
            speed, car[WHEELBASE],
        )  # fmt: skip
        turn = min(max((target - state[STEER_CMD]) / dt, -law.steer_rate), law.steer_rate)
        bicycle_step(state, jerk, turn, car, dt)
        if state[SPEED] < 0.0:
            state[SPEED] = 0.0
            state[ACCEL] = state[ACCEL_CMD] = min(state[ACCEL_CMD], 0.0)
        i, at, d = nearest_on(road.xy, road.s, state[X], state[Y], max(i - 1, 0), min(i + 6, last))
        states[k + 1], along[k + 1], commands[k + 1] = state[:NUM_STATES], at, state[ACCEL_CMD:]
        inputs[k, 0] = (states[k + 1, ACCEL] - states[k, ACCEL]) / dt
        inputs[k, 1] = (states[k + 1, STEER] - states[k, STEER]) / dt
