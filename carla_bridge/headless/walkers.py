"""Walkers under walker control."""

from __future__ import annotations

import math

from numba import njit

from carla_bridge.headless.actors import Columns

MAX_ACCEL = 20.0  # [m/s^2] by which a walker takes up speed; CARLA's characters do it at once
TURN_RATE = 2.0 * math.pi  # [rad/s] by which it turns to face where it goes
JUMP_SPEED = 4.2  # [m/s] upwards
MASS = 80.0  # [kg]


@njit(cache=True)
def step_walker(c: Columns, i: int, dt: float) -> None:
    """Move the walker of row `i` over the ground for `dt`; the caller settles its height.

    The walk takes up the wished velocity with at most `MAX_ACCEL`; what a blow gave (`skid`) comes
    on top. `velocity` holds both.
    """
    length = math.sqrt(c.wish[i, 0] ** 2 + c.wish[i, 1] ** 2)
    speed = c.wish[i, 3] if length > 1e-6 else 0.0
    want_x = speed * c.wish[i, 0] / length if length > 1e-6 else 0.0
    want_y = speed * c.wish[i, 1] / length if length > 1e-6 else 0.0
    # a walker has no tyre state: these columns hold its own walk
    dx, dy = want_x - c.state[i, 3], want_y - c.state[i, 4]
    gap = math.hypot(dx, dy)
    scale = min(1.0, MAX_ACCEL * dt / gap) if gap > 0.0 else 0.0
    c.state[i, 3] += scale * dx
    c.state[i, 4] += scale * dy
    c.skid[i, 0] += c.push[i, 0]
    c.skid[i, 1] += c.push[i, 1]
    c.velocity[i, 0] = c.state[i, 3] + c.skid[i, 0]
    c.velocity[i, 1] = c.state[i, 4] + c.skid[i, 1]
    if not c.simulate[i]:
        c.pose[i, 2] += c.velocity[i, 2] * dt
    c.pose[i, 0] += dt * c.velocity[i, 0]
    c.pose[i, 1] += dt * c.velocity[i, 1]
    old = c.pose[i, 5]
    yaw = old + dt * c.skid[i, 2]
    if speed > 0.05:
        gap = math.pi - (math.pi - (math.atan2(want_y, want_x) - yaw)) % (2.0 * math.pi)
        yaw += math.copysign(min(abs(gap), TURN_RATE * dt), gap)
    c.pose[i, 5] = math.pi - (math.pi - yaw) % (2.0 * math.pi)
    turned = math.pi - (math.pi - (yaw - old)) % (2.0 * math.pi)
    c.spin[i, 2] = turned / dt
