"""How bodies move in one step before they touch: vehicles on the ground, walkers, loose props.

One kernel over all rows of the actor table. Vehicles are `headway.vehicle.step_vehicles`; this
module adds what a plane model lacks: the ground's height and slope, falling, skidding after a
blow, constant velocity mode.
"""

from __future__ import annotations

import math

from numba import njit

from carla_bridge.headless.actors import Columns
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.walkers import step_walker
from headway.road.ground import GroundArrays, ground_height
from headway.types import Array
from headway.vehicle import VehicleState, step_vehicles

GRAVITY = 9.81  # [m/s^2]
SLIDE = 0.8 * GRAVITY  # [m/s^2] by which a skidding body slows
SPIN_DOWN = 6.0  # [rad/s^2] by which a spinning body slows
LIFT = 0.15  # [m] above the ground beyond which a body falls; below it the suspension follows

_VEHICLE, _WALKER = int(ActorKind.VEHICLE), int(ActorKind.WALKER)
_PROP, _SENSOR = int(ActorKind.PROP), int(ActorKind.SENSOR)
_X, _Y, _YAW = int(VehicleState.X), int(VehicleState.Y), int(VehicleState.YAW)
_VX, _VY, _RATE = int(VehicleState.VX), int(VehicleState.VY), int(VehicleState.YAW_RATE)


@njit(cache=True)
def slow_skid(c: Columns, i: int, dt: float) -> None:
    """Let friction take from the skid of row `i`."""
    speed = math.hypot(c.skid[i, 0], c.skid[i, 1])
    keep = max(0.0, 1.0 - SLIDE * dt / speed) if speed > 0.0 else 0.0
    c.skid[i, 0] *= keep
    c.skid[i, 1] *= keep
    rate = c.skid[i, 2]
    c.skid[i, 2] = math.copysign(max(0.0, abs(rate) - SPIN_DOWN * dt), rate)


@njit(cache=True)
def settle(c: Columns, g: GroundArrays, i: int, foot: float, dt: float):
    """Put row `i` on the ground below it, or let it fall.

    Args:
        c: the table.
        g: the ground.
        i: row.
        foot: [m] from the actor's origin down to its lowest point.
        dt: [s].

    Returns:
        whether it stands, slope along x and slope along y of the map.
    """
    bottom = c.pose[i, 2] - foot
    height, slope_x, slope_y = ground_height(g, c.pose[i, 0], c.pose[i, 1], bottom)
    if bottom - height > LIFT:
        c.velocity[i, 2] -= GRAVITY * dt
        bottom += c.velocity[i, 2] * dt
        if bottom > height:
            c.pose[i, 2] = bottom + foot
            return False, 0.0, 0.0
    c.pose[i, 2] = height + foot
    return True, slope_x, slope_y


@njit(cache=True)
def _start_vehicle(c: Columns, i: int) -> None:
    """Fold what was asked of row `i` between two steps into its state."""
    yaw = c.state[i, _YAW]
    cos, sin = math.cos(yaw), math.sin(yaw)
    c.state[i, _VX] += c.push[i, 0] * cos + c.push[i, 1] * sin
    across = -c.push[i, 0] * sin + c.push[i, 1] * cos
    c.skid[i, 0] -= across * sin
    c.skid[i, 1] += across * cos
    c.skid[i, 2] += c.twist[i]
    if not math.isnan(c.held[i, 0]):
        c.state[i, _VX], c.state[i, _VY] = c.held[i, 0], c.held[i, 1]


@njit(cache=True)
def _end_vehicle(c: Columns, g: GroundArrays, i: int, dt: float) -> None:
    """Take row `i` from the plane model's state to its pose on the ground."""
    state = c.state[i]
    old_x, old_y, old_yaw = c.pose[i, 0], c.pose[i, 1], c.pose[i, 5]
    if not math.isnan(c.held[i, 0]):
        state[_VX], state[_VY] = c.held[i, 0], c.held[i, 1]
        yaw = old_yaw + 0.5 * dt * state[_RATE]
        cos, sin = math.cos(yaw), math.sin(yaw)
        state[_X] = old_x + dt * (state[_VX] * cos - state[_VY] * sin)
        state[_Y] = old_y + dt * (state[_VX] * sin + state[_VY] * cos)
    elif not c.active[i]:  # in the air: no tyre acts
        cos, sin = math.cos(old_yaw), math.sin(old_yaw)
        state[_X] += dt * (state[_VX] * cos - state[_VY] * sin)
        state[_Y] += dt * (state[_VX] * sin + state[_VY] * cos)
        state[_YAW] += dt * state[_RATE]
    state[_X] += dt * c.skid[i, 0]
    state[_Y] += dt * c.skid[i, 1]
    state[_YAW] += dt * c.skid[i, 2]
    c.pose[i, 0], c.pose[i, 1] = state[_X], state[_Y]
    stands, slope_x, slope_y = settle(c, g, i, 0.0, dt)
    yaw = math.pi - (math.pi - state[_YAW]) % (2.0 * math.pi)
    state[_YAW] = yaw
    cos, sin = math.cos(yaw), math.sin(yaw)
    c.velocity[i, 0] = state[_VX] * cos - state[_VY] * sin + c.skid[i, 0]
    c.velocity[i, 1] = state[_VX] * sin + state[_VY] * cos + c.skid[i, 1]
    c.spin[i, 2] = state[_RATE] + c.skid[i, 2]
    roll, pitch = c.pose[i, 3], c.pose[i, 4]
    if stands:
        slow_skid(c, i, dt)
        c.grade[i, 0] = slope_x * cos + slope_y * sin
        c.grade[i, 1] = -slope_x * sin + slope_y * cos
        roll, pitch = math.atan(c.grade[i, 1]), math.atan(c.grade[i, 0])
        c.velocity[i, 2] = c.velocity[i, 0] * slope_x + c.velocity[i, 1] * slope_y
    turn_x, turn_y = (roll - c.pose[i, 3]) / dt, (c.pose[i, 4] - pitch) / dt
    c.spin[i, 0] = turn_x * cos - turn_y * sin
    c.spin[i, 1] = turn_x * sin + turn_y * cos
    c.pose[i, 3], c.pose[i, 4], c.pose[i, 5] = roll, pitch, yaw
    c.active[i] = stands


@njit(cache=True)
def _move_prop(c: Columns, g: GroundArrays, i: int, dt: float) -> None:
    """A prop with physics slides until friction stops it."""
    c.skid[i, 0] += c.push[i, 0]
    c.skid[i, 1] += c.push[i, 1]
    c.skid[i, 2] += c.twist[i]
    c.pose[i, 0] += dt * c.skid[i, 0]
    c.pose[i, 1] += dt * c.skid[i, 1]
    yaw = c.pose[i, 5] + dt * c.skid[i, 2]
    c.pose[i, 5] = math.pi - (math.pi - yaw) % (2.0 * math.pi)
    stands, slope_x, slope_y = settle(c, g, i, c.extent[i, 2] - c.center[i, 2], dt)
    c.velocity[i, 0], c.velocity[i, 1] = c.skid[i, 0], c.skid[i, 1]
    if stands:
        slow_skid(c, i, dt)
        c.velocity[i, 2] = c.velocity[i, 0] * slope_x + c.velocity[i, 1] * slope_y
    c.spin[i, 2] = c.skid[i, 2]


@njit(cache=True)
def move_bodies(c: Columns, g: GroundArrays, before: Array, dt: float) -> None:
    """Move every body freely by `dt`; contacts come afterwards.

    Args:
        c: the table.
        g: the ground.
        before: (n, 3) receives the velocities before the step, for accelerations.
        dt: [s].
    """
    n = c.id.shape[0]
    for i in range(n):
        for k in range(3):
            before[i, k] = c.velocity[i, k]
        c.previous[i, 0], c.previous[i, 1] = c.pose[i, 0], c.pose[i, 1]
        c.previous[i, 2] = c.pose[i, 2]
        if c.kind[i] == _VEHICLE:
            if c.simulate[i]:
                _start_vehicle(c, i)
            else:
                c.active[i] = False
    step_vehicles(c.state, c.control, c.params, c.grade, c.active, dt)
    for i in range(n):
        kind = c.kind[i]
        if kind == _VEHICLE:
            if c.simulate[i]:
                _end_vehicle(c, g, i, dt)
        elif kind == _WALKER:
            slow_skid(c, i, dt)
            step_walker(c, i, dt)
            if c.simulate[i]:
                settle(c, g, i, c.extent[i, 2] - c.center[i, 2], dt)
        elif kind == _PROP and c.simulate[i]:
            _move_prop(c, g, i, dt)
        for k in range(3):
            c.push[i, k] = 0.0
        c.twist[i] = 0.0


@njit(cache=True)
def _rotate(roll: float, pitch: float, yaw: float, x: float, y: float, z: float):
    """A vector of the body in the map: left side up, then nose up, then counter-clockwise."""
    cr, sr = math.cos(roll), math.sin(roll)
    y, z = y * cr - z * sr, y * sr + z * cr
    cp, sp = math.cos(pitch), math.sin(pitch)
    x, z = x * cp - z * sp, x * sp + z * cp
    cy, sy = math.cos(yaw), math.sin(yaw)
    return x * cy - y * sy, x * sy + y * cy, z


@njit(cache=True)
def body_vector(roll: float, pitch: float, yaw: float, x: float, y: float, z: float):
    """A vector of the map in the body's frame, the inverse of the rotation above."""
    cy, sy = math.cos(yaw), math.sin(yaw)
    x, y = x * cy + y * sy, -x * sy + y * cy
    cp, sp = math.cos(pitch), math.sin(pitch)
    x, z = x * cp + z * sp, -x * sp + z * cp
    cr, sr = math.cos(roll), math.sin(roll)
    return x, y * cr + z * sr, -y * sr + z * cr


@njit(cache=True)
def place_attached(c: Columns) -> None:
    """Put what hangs on another actor where it belongs; parents have lower rows than children."""
    for i in range(c.id.shape[0]):
        p = c.parent[i]
        if p < 0:
            continue
        roll, pitch, yaw = c.pose[p, 3], c.pose[p, 4], c.pose[p, 5]
        x, y, z = _rotate(roll, pitch, yaw, c.offset[i, 0], c.offset[i, 1], c.offset[i, 2])
        c.pose[i, 0], c.pose[i, 1] = c.pose[p, 0] + x, c.pose[p, 1] + y
        c.pose[i, 2] = c.pose[p, 2] + z
        # The child's axes in the map: its forward axis gives yaw and pitch, its left axis roll.
        r, t, w = c.offset[i, 3], c.offset[i, 4], c.offset[i, 5]
        fx, fy, fz = _rotate(r, t, w, 1.0, 0.0, 0.0)
        fx, fy, fz = _rotate(roll, pitch, yaw, fx, fy, fz)
        lx, ly, lz = _rotate(r, t, w, 0.0, 1.0, 0.0)
        lx, ly, lz = _rotate(roll, pitch, yaw, lx, ly, lz)
        flat = math.hypot(fx, fy)
        c.pose[i, 4] = math.atan2(fz, flat)
        c.pose[i, 5] = math.atan2(fy, fx) if flat > 1e-9 else w + yaw
        cos, sin = math.cos(c.pose[i, 5]), math.sin(c.pose[i, 5])
        level = -lx * sin + ly * cos
        c.pose[i, 3] = math.atan2(lz, level) if abs(c.pose[i, 4]) < 1.57 else 0.0
        for k in range(3):
            c.velocity[i, k] = c.velocity[p, k]
            c.accel[i, k] = c.accel[p, k]
            c.spin[i, k] = c.spin[p, k]


@njit(cache=True)
def accelerations(c: Columns, before: Array, dt: float) -> None:
    """Velocity gained over the step, per second, as CARLA reports acceleration."""
    for i in range(c.id.shape[0]):
        if c.parent[i] < 0:
            for k in range(3):
                c.accel[i, k] = (c.velocity[i, k] - before[i, k]) / dt
