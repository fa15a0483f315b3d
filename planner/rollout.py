"""Ego rolled out along its route: IDM behind what bounds it, pure pursuit with feed-forward beside.

The car is a kinematic bicycle about the middle of its wheelbase. The longitudinal law is the
Intelligent Driver Model (Treiber, Hennecke, Helbing 2000, eq. 3) towards each lead; towards places
to stop it is of IDM's form in the braking needed, x = v^2 / (2 g b): a - (a + b) x^2, which comes
to rest with b.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.types import NUM_STATES, Array, StateIndex
from planner.corridor import nearest_on

X, Y, YAW, SPEED, ACCEL, STEER = (int(c) for c in StateIndex)


class Bound(IntEnum):
    """Columns of a bound on ego's motion, a row each."""

    AT = 0  # [m] s that ego's front must stay behind
    SPEED = 1  # [m/s] with which it moves along the route
    STANDS = 2  # 1 for a place to stop at, 0 for somebody to follow


NUM_BOUNDS = len(Bound)
AT, BOUND_SPEED, STANDS = (int(c) for c in Bound)


class Law(NamedTuple):
    """Numbers of the control law, in the order that `IdmConfig.law` gives them; SI units."""

    accel: float
    brake: float
    max_brake: float
    time_gap: float
    standing_gap: float
    stop_brake: float
    jerk_up: float
    jerk_down: float
    steer_rate: float
    pursuit_min: float
    pursuit_time: float
    max_steer: float


@njit(cache=True)
def follow_accel(law: Law, speed: float, gap: float, lead_speed: float) -> float:
    """Return IDM's acceleration [m/s^2] behind a lead, without its free-road term.

    a (1 - (s* / s)^2), s* = s0 + max(0, v T + v (v - v_lead) / (2 sqrt(a b)))
    """
    closing = speed * (speed - lead_speed) / (2.0 * math.sqrt(law.accel * law.brake))
    wanted = law.standing_gap + max(0.0, speed * law.time_gap + closing)
    accel = max(law.accel * (1.0 - (wanted / max(gap, 0.05)) ** 2), -law.max_brake)
    if lead_speed < 1.0 and gap > 1.5:
        # IDM brakes much too hard for those who stand and were seen late.
        needed = speed * speed / (2.0 * (gap - 1.0))
        accel = max(accel, -max(1.25 * law.brake, 1.6 * needed))
    return accel


@njit(cache=True)
def stop_accel(law: Law, speed: float, gap: float) -> float:
    """Acceleration [m/s^2] that brings the front to rest `gap` [m] ahead and keeps it there."""
    if speed < 1.0 and gap < 1.0:  # the last metre: close in softly, then hold
        return max(-2.5, min(0.5, (max(gap, 0.0) / 0.7 - speed) / 0.4))
    if gap <= 0.05:
        return -law.max_brake if speed > 0.05 else -1.0
    share = speed * speed / (2.0 * gap) / law.stop_brake
    if share < 1.0:
        return law.accel - (law.accel + law.stop_brake) * share * share
    # Later than comfortable: a little more than what is needed, so that it gets less.
    return max(-law.stop_brake * (share + 0.4 * (share - 1.0)), -law.max_brake)


@njit(cache=True)
def bound_accel(law: Law, bounds: Array, t: float, front: float, speed: float) -> tuple[float, int]:
    """Lowest acceleration [m/s^2] that the bounds ask for at time `t` [s], and which one does."""
    lowest, which = 1e9, -1
    for b in range(len(bounds)):
        gap = bounds[b, AT] + bounds[b, BOUND_SPEED] * t - front
        if bounds[b, STANDS] > 0.0:
            accel = stop_accel(law, speed, gap)
        else:
            accel = follow_accel(law, speed, gap, bounds[b, BOUND_SPEED])
        if accel < lowest:
            lowest, which = accel, b
    return lowest, which


@njit(cache=True)
def bound_accels(law: Law, bounds: Array, front: float, speed: float) -> Array:
    """Return the acceleration (B,) [m/s^2] that each bound asks for now."""
    out = np.empty(len(bounds))
    for b in range(len(bounds)):
        out[b] = bound_accel(law, bounds[b : b + 1], 0.0, front, speed)[0]
    return out


@njit(cache=True)
def free_accel(law: Law, speed: float, allowed: float, slope: float) -> float:
    """Acceleration [m/s^2] towards the allowed speed, which changes by `slope` [1/s] per metre."""
    wanted = speed * slope + 1.0 * (allowed - speed)
    return min(law.accel, max(wanted, -law.brake))


@njit(cache=True)
def roll_out(
    law: Law,
    xy: Array,
    s: Array,
    yaw: Array,
    curvature: Array,
    allowed: Array,
    cap: float,
    bounds: Array,
    start: Array,
    hint: int,
    half_length: float,
    wheelbase: float,
    dt: float,
    substeps: int,
    states: Array,
    inputs: Array,
    along: Array,
) -> tuple[int, float]:
    """Drive along the route and write where that leads.

    Args:
        law: of control.
        xy: (R, 2) [m] of the route; s, yaw, curvature, allowed (R,) beside it.
        s: [m].
        yaw: [rad], unwrapped.
        curvature: [1/m].
        allowed: [m/s].
        cap: [m/s] on top of `allowed`.
        bounds: (B, NUM_BOUNDS).
        start: (NUM_STATES,) ego now.
        hint: sample of the route near ego.
        half_length: [m] of ego.
        wheelbase: [m].
        dt: [s] of the grid.
        substeps: per interval.
        states: (T+1, NUM_STATES), written.
        inputs: (T, NUM_INPUTS), written.
        along: (T+1,) [m] s of ego's centre, written.

    Returns:
        Index of the bound that binds now (-1 for the road itself) and the acceleration wanted now.
    """
    x, y, heading, speed, accel, steer = start
    h = dt / substeps
    rear = 0.5 * wheelbase
    i, at, d = nearest_on(xy, s, x, y, max(hint - 15, 0), min(hint + 25, len(s) - 1))
    states[0], along[0] = start, at
    first, first_accel = -1, 0.0
    for k in range(states.shape[0] - 1):
        for sub in range(substeps):
            here = min(i, len(s) - 2)
            slope = (allowed[here + 1] - allowed[here]) / max(s[here + 1] - s[here], 1e-3)
            target = min(allowed[here] + slope * (at - s[here]), cap)
            wanted = free_accel(law, speed, target, slope if target < cap else 0.0)
            low, which = bound_accel(law, bounds, k * dt + sub * h, at + half_length, speed)
            if low < wanted:
                wanted = low
            else:
                which = -1
            if k == 0 and sub == 0:
                first, first_accel = which, wanted
            # Comfort limits how fast braking builds up only while braking is comfortable.
            down = law.jerk_down if wanted > -3.0 else 60.0
            # A brake is let go faster than the throttle is pressed.
            up = law.jerk_up if accel > -0.5 else 4.0 * law.jerk_up
            accel += min(max(wanted - accel, -down * h), up * h)
            if accel < 0.0 and wanted > 0.0 and speed < 0.3:
                accel = wanted  # nothing to be gentle about when standing
            target_steer = pursue(
                law, s, yaw, curvature, i, at, d, heading, steer, speed, wheelbase
            )
            steer += min(max(target_steer - steer, -law.steer_rate * h), law.steer_rate * h)
            slip = math.atan(rear / wheelbase * math.tan(steer))
            mean = max(0.0, speed + 0.5 * accel * h)
            speed = max(0.0, speed + accel * h)
            heading += 0.5 * h * mean * math.sin(slip) / rear
            x += h * mean * math.cos(heading + slip)
            y += h * mean * math.sin(heading + slip)
            heading += 0.5 * h * mean * math.sin(slip) / rear
            i, at, d = nearest_on(xy, s, x, y, max(i - 1, 0), min(i + 5, len(s) - 1))
        states[k + 1, X], states[k + 1, Y], states[k + 1, YAW] = x, y, heading
        states[k + 1, SPEED], states[k + 1, ACCEL], states[k + 1, STEER] = speed, accel, steer
        inputs[k, 0] = (states[k + 1, ACCEL] - states[k, ACCEL]) / dt
        inputs[k, 1] = (states[k + 1, STEER] - states[k, STEER]) / dt
        along[k + 1] = at
    return first, first_accel


@njit(cache=True)
def interpolate(s: Array, values: Array, at: float, hint: int) -> float:
    """Value at arc length `at`, looked for from sample `hint` on; the ends go on as they are."""
    i = min(max(hint, 0), len(s) - 2)
    while i > 0 and s[i] > at:
        i -= 1
    while i < len(s) - 2 and s[i + 1] <= at:
        i += 1
    share = min(max((at - s[i]) / max(s[i + 1] - s[i], 1e-3), 0.0), 1.0)
    return values[i] + share * (values[i + 1] - values[i])


@njit(cache=True)
def pursue(
    law: Law,
    s: Array,
    yaw: Array,
    curvature: Array,
    i: int,
    at: float,
    d: float,
    heading: float,
    steer: float,
    speed: float,
    wheelbase: float,
) -> float:
    """Wheel angle [rad] that holds the route: its curvature, and pure pursuit of what is left.

    Pure pursuit towards a point L ahead asks for kappa = 2 sin(alpha) / L (Coulter 1992); for small
    errors that is -2 d / L^2 - 2 psi / L. It is added to the route's own curvature, so that curves
    are not cut. psi is the error of the course (yaw and slip), not of the yaw.
    """
    look = law.pursuit_min + law.pursuit_time * speed
    here = min(i, len(s) - 2)
    share = (at - s[here]) / max(s[here + 1] - s[here], 1e-3)
    share = min(max(share, 0.0), 1.0)
    slip = math.atan(0.5 * math.tan(steer))
    error = wrap_angle(heading + slip - (yaw[here] + share * (yaw[here + 1] - yaw[here])))
    # The slip of a point before the rear axle grows by kappa - slip / rear per metre: for that
    # point to bend with the road, the wheels have to turn as the road bends at the rear axle.
    road = interpolate(s, curvature, at - 0.5 * wheelbase, i)
    offset = min(max(d, -look), look)  # far off, come back at a bounded angle
    kappa = road / max(0.2, 1.0 - road * d) - 2.0 * offset / look**2 - 2.0 * math.sin(error) / look
    limit = math.tan(law.max_steer) / wheelbase
    kappa = min(max(kappa, -limit), limit)
    # sin(slip) / (wheelbase / 2) = kappa and tan(slip) = tan(steer) / 2
    sine = min(max(0.5 * wheelbase * kappa, -0.95), 0.95)
    return math.atan(2.0 * sine / math.sqrt(1.0 - sine * sine))


def new_states(num_steps: int) -> Array:
    """Return room for a rollout of `num_steps` intervals."""
    return np.zeros((num_steps + 1, NUM_STATES))
