"""How bodies move in one step before they touch: vehicles on the ground, walkers, loose props.

One kernel over all rows of the actor table. Vehicles are `headway.vehicle.step_vehicles`; this
module adds what a plane model lacks: the ground's height and slope, falling, skidding after a
blow, constant velocity mode.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from carla_bridge.headless.actors import Columns
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.walkers import step_walker
from headway.road.ground import GroundArrays, ground_height
from headway.types import Array
from headway.vehicle import VehicleParam, VehicleState, step_vehicles

GRAVITY = 9.81  # [m/s^2]
SLIDE = 0.8 * GRAVITY  # [m/s^2] by which a skidding body slows
SPIN_DOWN = 6.0  # [rad/s^2] by which a spinning body slows
AXLE = 0.6  # of a vehicle's half length: about where its axles are
WHEEL = 0.8  # of its half width: about where its wheels are
LIFT = 0.15  # [m] above the ground beyond which a body falls; below it the suspension follows

_VEHICLE, _WALKER = int(ActorKind.VEHICLE), int(ActorKind.WALKER)
_PROP, _TRIGGER = int(ActorKind.PROP), int(ActorKind.TRIGGER)
_FRICTION = int(VehicleParam.FRICTION)
_X, _Y, _YAW = int(VehicleState.X), int(VehicleState.Y), int(VehicleState.YAW)
_VX, _VY, _RATE = int(VehicleState.VX), int(VehicleState.VY), int(VehicleState.YAW_RATE)


class Body(NamedTuple):
    """The columns that free motion changes: handing on a few arrays is cheap, all are not."""

    pose: Array
    velocity: Array
    spin: Array
    state: Array
    skid: Array
    held: Array
    grade: Array
    active: Array
    floats: Array
    extent: Array


@njit(cache=True)
def slow_skid(skid: Array, dt: float) -> None:
    """Let friction take from a skid: velocity x, y [m/s] and yaw rate [rad/s]."""
    speed = math.hypot(skid[0], skid[1])
    keep = max(0.0, 1.0 - SLIDE * dt / speed) if speed > 0.0 else 0.0
    skid[0] *= keep
    skid[1] *= keep
    skid[2] = math.copysign(max(0.0, abs(skid[2]) - SPIN_DOWN * dt), skid[2])


@njit(cache=True)
def settle(pose: Array, velocity: Array, floats: bool, g: GroundArrays, foot: float, dt: float):
    """Put a body on the ground below it, or let it fall.

    Args:
        pose, velocity: its rows.
        floats: gravity is off for it.
        g: the ground.
        foot: [m] from the actor's origin down to its lowest point.
        dt: [s].

    Returns:
        whether it stands, slope along x and slope along y of the map.
    """
    if floats:
        return True, 0.0, 0.0
    bottom = pose[2] - foot
    height, slope_x, slope_y = ground_height(g, pose[0], pose[1], bottom)
    if bottom - height > LIFT:
        velocity[2] -= GRAVITY * dt
        bottom += velocity[2] * dt
        if bottom > height:
            pose[2] = bottom + foot
            return False, 0.0, 0.0
    pose[2] = height + foot
    velocity[2] = velocity[0] * slope_x + velocity[1] * slope_y
    return True, slope_x, slope_y


@njit(cache=True)
def _stand_on_wheels(b: Body, g: GroundArrays, i: int, cos: float, sin: float, dt: float) -> bool:
    """Put vehicle `i` on the ground under its wheels, or let it fall; whether it stands.

    Four heights, one a wheel pair, smooth what steps the ground has: roads that join in a file
    need not join in height.
    """
    pose, velocity, grade = b.pose[i], b.velocity[i], b.grade[i]
    if b.floats[i]:
        grade[0] = grade[1] = 0.0
        return True
    x, y, z = pose[0], pose[1], pose[2]
    a, w = AXLE * b.extent[i, 0], WHEEL * b.extent[i, 1]
    front, _, _ = ground_height(g, x + a * cos, y + a * sin, z)
    rear, _, _ = ground_height(g, x - a * cos, y - a * sin, z)
    left, _, _ = ground_height(g, x - w * sin, y + w * cos, z)
    right, _, _ = ground_height(g, x + w * sin, y - w * cos, z)
    height = 0.5 * (front + rear)
    if z - height > LIFT:
        velocity[2] -= GRAVITY * dt
        pose[2] = z + velocity[2] * dt
        if pose[2] > height:
            return False
    grade[0], grade[1] = (front - rear) / (2.0 * a), (left - right) / (2.0 * w)
    pose[2] = height
    velocity[2] = (height - z) / dt if b.active[i] else grade[0] * b.state[i, _VX]
    return True


@njit(cache=True)
def _start_vehicle(state: Array, skid: Array, held: Array, push: Array, twist: float) -> None:
    """Fold what was asked of a vehicle between two steps into its state."""
    cos, sin = math.cos(state[_YAW]), math.sin(state[_YAW])
    state[_VX] += push[0] * cos + push[1] * sin
    across = -push[0] * sin + push[1] * cos
    skid[0] -= across * sin
    skid[1] += across * cos
    skid[2] += twist
    if not math.isnan(held[0]):
        state[_VX], state[_VY] = held[0], held[1]


@njit(cache=True)
def _end_vehicle(b: Body, g: GroundArrays, i: int, dt: float) -> None:
    """Take row `i` from the plane model's state to its pose on the ground."""
    state, pose, skid, velocity, held = b.state[i], b.pose[i], b.skid[i], b.velocity[i], b.held[i]
    if not math.isnan(held[0]):
        state[_VX], state[_VY] = held[0], held[1]
        yaw = pose[5] + 0.5 * dt * state[_RATE]
        cos, sin = math.cos(yaw), math.sin(yaw)
        state[_X] = pose[0] + dt * (state[_VX] * cos - state[_VY] * sin)
        state[_Y] = pose[1] + dt * (state[_VX] * sin + state[_VY] * cos)
    elif not b.active[i]:  # in the air: no tyre acts
        cos, sin = math.cos(pose[5]), math.sin(pose[5])
        state[_X] += dt * (state[_VX] * cos - state[_VY] * sin)
        state[_Y] += dt * (state[_VX] * sin + state[_VY] * cos)
        state[_YAW] += dt * state[_RATE]
    state[_X] += dt * skid[0]
    state[_Y] += dt * skid[1]
    state[_YAW] += dt * skid[2]
    pose[0], pose[1] = state[_X], state[_Y]
    yaw = math.pi - (math.pi - state[_YAW]) % (2.0 * math.pi)
    state[_YAW] = yaw
    cos, sin = math.cos(yaw), math.sin(yaw)
    velocity[0] = state[_VX] * cos - state[_VY] * sin + skid[0]
    velocity[1] = state[_VX] * sin + state[_VY] * cos + skid[1]
    b.spin[i, 2] = state[_RATE] + skid[2]
    roll, pitch = pose[3], pose[4]
    stands = _stand_on_wheels(b, g, i, cos, sin, dt)
    if stands:
        slow_skid(skid, dt)
        roll, pitch = math.atan(b.grade[i, 1]), math.atan(b.grade[i, 0])
    turn_x, turn_y = (roll - pose[3]) / dt, (pose[4] - pitch) / dt
    b.spin[i, 0] = turn_x * cos - turn_y * sin
    b.spin[i, 1] = turn_x * sin + turn_y * cos
    pose[3], pose[4], pose[5] = roll, pitch, yaw
    b.active[i] = stands


@njit(cache=True)
def _move_prop(b: Body, g: GroundArrays, i: int, foot: float, dt: float) -> None:
    """A prop with physics slides until friction stops it."""
    pose, skid, velocity = b.pose[i], b.skid[i], b.velocity[i]
    pose[0] += dt * skid[0]
    pose[1] += dt * skid[1]
    yaw = pose[5] + dt * skid[2]
    pose[5] = math.pi - (math.pi - yaw) % (2.0 * math.pi)
    stands, slope_x, slope_y = settle(pose, velocity, b.floats[i], g, foot, dt)
    velocity[0], velocity[1] = skid[0], skid[1]
    b.spin[i, 2] = skid[2]
    if stands:
        slow_skid(skid, dt)
        velocity[2] = velocity[0] * slope_x + velocity[1] * slope_y


@njit(cache=True)
def scale_friction(c: Columns) -> None:
    """Give vehicles inside a friction trigger its friction, all others their own."""
    n = c.id.shape[0]
    triggers = False
    for i in range(n):
        triggers |= c.kind[i] == _TRIGGER
        if c.kind[i] == _VEHICLE:
            c.params[i, _FRICTION] = c.friction[i]
    if not triggers:
        return
    for t in range(n):
        if c.kind[t] != _TRIGGER:
            continue
        cos, sin = math.cos(c.pose[t, 5]), math.sin(c.pose[t, 5])
        for i in range(n):
            dx, dy = c.pose[i, 0] - c.pose[t, 0], c.pose[i, 1] - c.pose[t, 1]
            inside = abs(dx * cos + dy * sin) <= c.extent[t, 0]
            if inside and abs(-dx * sin + dy * cos) <= c.extent[t, 1] and c.kind[i] == _VEHICLE:
                c.params[i, _FRICTION] = c.friction[t]


@njit(cache=True)
def _start(c: Columns, before: Array) -> None:
    for i in range(c.id.shape[0]):
        kind = c.kind[i]
        for k in range(3):
            before[i, k] = c.velocity[i, k]
        if kind < _VEHICLE or kind > _PROP:  # most rows of an empty town are lights and signs
            continue
        for k in range(3):
            c.previous[i, k] = c.pose[i, k]
        if kind == _VEHICLE and c.simulate[i]:
            _start_vehicle(c.state[i], c.skid[i], c.held[i], c.push[i], c.twist[i])
        else:
            c.active[i] = False


@njit(cache=True)
def move_bodies(c: Columns, g: GroundArrays, before: Array, dt: float) -> None:
    """Move every body freely by `dt`; contacts come afterwards.

    Args:
        c: the table.
        g: the ground.
        before: (n, 3) receives the velocities before the step, for accelerations.
        dt: [s].
    """
    b = Body(
        c.pose, c.velocity, c.spin, c.state, c.skid, c.held, c.grade, c.active, c.floats, c.extent
    )  # fmt: skip
    _start(c, before)
    step_vehicles(c.state, c.control, c.params, c.grade, c.active, dt)
    for i in range(c.id.shape[0]):
        kind = c.kind[i]
        if kind < _VEHICLE or kind > _PROP or not c.simulate[i]:
            continue
        foot = c.extent[i, 2] - c.center[i, 2]
        if kind == _VEHICLE:
            _end_vehicle(b, g, i, dt)
        elif kind == _WALKER:
            slow_skid(c.skid[i], dt)
            step_walker(
                c.pose[i], c.velocity[i], c.spin[i], c.skid[i], c.state[i], c.wish[i],
                c.push[i], dt,
            )  # fmt: skip
            settle(c.pose[i], c.velocity[i], c.floats[i], g, foot, dt)
        else:
            for k in range(2):
                c.skid[i, k] += c.push[i, k]
            c.skid[i, 2] += c.twist[i]
            _move_prop(b, g, i, foot, dt)
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
        # unyawed, the left axis is (-sin r sin p, cos r, sin r cos p)
        c.pose[i, 3] = math.atan2(lz, level * math.cos(c.pose[i, 4])) if flat > 1e-9 else 0.0
        for k in range(3):
            c.velocity[i, k] = c.velocity[p, k]
            c.accel[i, k] = c.accel[p, k]
            c.spin[i, k] = c.spin[p, k]


@njit(cache=True)
def accelerations(parent: Array, velocity: Array, accel: Array, before: Array, dt: float) -> None:
    """Velocity gained over the step, per second, as CARLA reports acceleration.

    Args:
        parent, velocity, accel: of the table; `accel` of what hangs on nothing is written.
        before: (n, 3) [m/s] velocities before the step.
        dt: [s].
    """
    for i in range(parent.shape[0]):
        if parent[i] < 0:
            for k in range(3):
                accel[i, k] = (velocity[i, k] - before[i, k]) / dt
