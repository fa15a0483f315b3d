"""Walkers under walker control."""

from __future__ import annotations

import math

from numba import njit

from headway.types import Array

MAX_ACCEL = 20.0  # [m/s^2] by which a walker takes up speed; CARLA's characters do it at once
TURN_RATE = 2.0 * math.pi  # [rad/s] by which it turns to face where it goes
JUMP_SPEED = 4.2  # [m/s] upwards
MASS = 80.0  # [kg]


@njit(cache=True)
def step_walker(
    pose: Array,
    velocity: Array,
    spin: Array,
    skid: Array,
    state: Array,
    wish: Array,
    push: Array,
    dt: float,
) -> None:
    """Move one walker over the ground for `dt`; the caller settles its height.

    The walk takes up the wished velocity with at most `MAX_ACCEL`; what a blow gave (`skid`) comes
    on top. `velocity` holds both. The arrays are its rows of the table's columns.
    """
    length = math.sqrt(wish[0] ** 2 + wish[1] ** 2)
    speed = wish[3] if length > 1e-6 else 0.0
    want_x = speed * wish[0] / length if length > 1e-6 else 0.0
    want_y = speed * wish[1] / length if length > 1e-6 else 0.0
    # a walker has no tyre state: these columns hold its own walk
    dx, dy = want_x - state[3], want_y - state[4]
    gap = math.hypot(dx, dy)
    scale = min(1.0, MAX_ACCEL * dt / gap) if gap > 0.0 else 0.0
    state[3] += scale * dx
    state[4] += scale * dy
    skid[0] += push[0]
    skid[1] += push[1]
    velocity[0] = state[3] + skid[0]
    velocity[1] = state[4] + skid[1]
    pose[0] += dt * velocity[0]
    pose[1] += dt * velocity[1]
    old = pose[5]
    yaw = old + dt * skid[2]
    if speed > 0.05:
        gap = math.pi - (math.pi - (math.atan2(want_y, want_x) - yaw)) % (2.0 * math.pi)
        yaw += math.copysign(min(abs(gap), TURN_RATE * dt), gap)
    pose[5] = math.pi - (math.pi - yaw) % (2.0 * math.pi)
    turned = math.pi - (math.pi - (yaw - old)) % (2.0 * math.pi)
    spin[2] = turned / dt
