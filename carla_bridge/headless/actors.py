"""The actor table: one row an actor in arrays, and the kernel that writes the wire's records.

Rows are ordered by actor id, so that loops over rows meet actors in the same order run after run.
Poses are right-handed: x, y, z [m], roll, pitch, yaw [rad]; pitch is nose up and roll left side
up, both CARLA's own senses; only y and yaw change sign at the wire (`carla_bridge.frames`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from carla_bridge.frames import yaw_to_carla
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.wire import LIGHT_RECORD, RECORD_SIZE, VEHICLE_RECORD, WALKER_RECORD
from headway.types import Array
from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_PARAMS,
    NUM_VEHICLE_STATES,
    VehicleControlIndex,
    VehicleState,
)

_VEHICLE, _WALKER, _LIGHT = int(ActorKind.VEHICLE), int(ActorKind.WALKER), int(ActorKind.LIGHT)
_SIGN = int(ActorKind.SIGN)
_THROTTLE, _STEER = int(VehicleControlIndex.THROTTLE), int(VehicleControlIndex.STEER)
_BRAKE, _HAND_BRAKE = int(VehicleControlIndex.BRAKE), int(VehicleControlIndex.HAND_BRAKE)
_REVERSE, _MANUAL = int(VehicleControlIndex.REVERSE), int(VehicleControlIndex.MANUAL)
_GEAR = int(VehicleState.GEAR)


class Columns(NamedTuple):
    """The table's arrays, `n` rows each; kernels read and write them in place.

    Attributes:
        id: int64 actor id.
        kind: int8 `ActorKind`.
        pose: (n, 6) x, y, z, roll, pitch, yaw.
        previous: (n, 3) x, y, z before the step.
        velocity, accel: (n, 3) [m/s], [m/s^2], map frame, at the actor's origin.
        spin: (n, 3) [rad/s] about x, y, z of the map.
        extent, center: (n, 3) bounding box, half sizes and centre in the actor's frame [m].
        mass, inertia: [kg], [kg m^2] about the vertical.
        simulate: physics on.
        collides: takes part in contacts.
        parent: int64 row that it is attached to, -1 for none.
        offset: (n, 6) pose relative to the parent.
        state, control, params: rows of `headway.vehicle`, zero for other actors.
        grade: (n, 2) slope of the ground along the body's x and y.
        active: which rows `step_vehicles` moves.
        held: (n, 3) body velocity that constant velocity mode holds, NaN where it is off.
        skid: (n, 3) what blows gave: velocity x, y of the map [m/s] and yaw rate [rad/s] on top of
            the tyre model's or the walker's own; friction takes it away.
        push: (n, 3) [m/s] velocity change that impulses and forces ask for in the next step.
        twist: [rad/s] the same about the vertical.
        wish: (n, 4) walkers: direction x, y, z and speed [m/s].
        jump: uint8 of the walker's control.
        friction: of a vehicle's own tyres; of a friction trigger what it sets.
        floats: gravity off.
        speed_limit: [km/h].
        at_light: int64 row of the light whose trigger volume holds the vehicle, -1 for none.
        light: (n, 6) green, yellow, red, elapsed [s], frozen, state of traffic lights.
    """

    id: Array
    kind: Array
    pose: Array
    previous: Array
    velocity: Array
    accel: Array
    spin: Array
    extent: Array
    center: Array
    mass: Array
    inertia: Array
    simulate: Array
    collides: Array
    parent: Array
    offset: Array
    state: Array
    control: Array
    params: Array
    grade: Array
    active: Array
    held: Array
    skid: Array
    push: Array
    twist: Array
    wish: Array
    jump: Array
    friction: Array
    floats: Array
    speed_limit: Array
    at_light: Array
    light: Array


_SPEC: dict[str, tuple[tuple[int, ...], Any]] = {
    "id": ((), np.int64), "kind": ((), np.int8), "pose": ((6,), float), "previous": ((3,), float),
    "velocity": ((3,), float), "accel": ((3,), float), "spin": ((3,), float),
    "extent": ((3,), float), "center": ((3,), float), "mass": ((), float),
    "inertia": ((), float), "simulate": ((), np.bool_), "collides": ((), np.bool_),
    "parent": ((), np.int64), "offset": ((6,), float), "state": ((NUM_VEHICLE_STATES,), float),
    "control": ((NUM_VEHICLE_CONTROLS,), float), "params": ((NUM_VEHICLE_PARAMS,), float),
    "grade": ((2,), float), "active": ((), np.bool_), "held": ((3,), float),
    "skid": ((3,), float), "push": ((3,), float), "twist": ((), float),
    "wish": ((4,), float), "jump": ((), np.uint8), "friction": ((), float),
    "floats": ((), np.bool_), "speed_limit": ((), float), "at_light": ((), np.int64),
    "light": ((6,), float),
}  # fmt: skip
_FILL = {"parent": -1, "at_light": -1, "held": math.nan}


@dataclass
class Actor:
    """What is known of an actor besides its row.

    Attributes:
        id: actor id.
        type_id: blueprint id.
        kind: what it is.
        wire: the Actor list that clients receive.
        parent: id of the actor it hangs on, 0 for none.
        attributes: value by attribute id.
        stream: id of its stream, 0 for none.
        light_state: bits of `carla.VehicleLightState`.
        doors: which doors stand open.
        autopilot: the flag that clients set; the traffic manager does the driving.
        dead: a walker that was run over.
        ackermann: gains of the Ackermann controller that were set.
        physics: what `get_physics_control` answers once it was changed.
    """

    id: int
    type_id: str
    kind: ActorKind
    wire: list[Any]
    parent: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    stream: int = 0
    light_state: int = 0
    doors: set[int] = field(default_factory=set)
    autopilot: bool = False
    dead: bool = False
    ackermann: list[float] | None = None
    physics: Any = None


class ActorTable:
    """Actors by id and their rows.

    Attributes:
        columns: views of the first `len(table)` rows; made anew whenever the table changes.
        records: (n,) `VEHICLE_RECORD` view of the wire buffer.
        version: counts changes of the rows.
    """

    def __init__(self) -> None:
        self._capacity = 64
        self._store = {name: self._array(name, self._capacity) for name in _SPEC}
        self._buffer = np.zeros(self._capacity * RECORD_SIZE, np.uint8)
        self._actors: dict[int, Actor] = {}
        self._rows: dict[int, int] = {}
        self.version = 0
        self._refresh()

    @staticmethod
    def _array(name: str, capacity: int) -> Array:
        shape, kind = _SPEC[name]
        return np.full((capacity, *shape), _FILL.get(name, 0), kind)

    def _refresh(self) -> None:
        n = len(self._actors)
        self.columns = Columns(**{name: array[:n] for name, array in self._store.items()})
        self.bytes = self._buffer[: n * RECORD_SIZE]
        self.records = self.bytes.view(VEHICLE_RECORD)
        self.views = (self.records, self.bytes.view(WALKER_RECORD), self.bytes.view(LIGHT_RECORD))
        self.version += 1

    def __len__(self) -> int:
        return len(self._actors)

    def __contains__(self, actor_id: object) -> bool:
        return actor_id in self._actors

    def __iter__(self) -> Iterator[Actor]:
        return iter(self._actors.values())

    def get(self, actor_id: int) -> Actor | None:
        """The actor of that id, or None."""
        return self._actors.get(actor_id)

    def row(self, actor_id: int) -> int:
        """Its row now.

        Raises:
            KeyError: there is no such actor.
        """
        return self._rows[actor_id]

    def add(self, actor: Actor) -> int:
        """Append an actor, whose id must be above all others; returns its row, filled afresh."""
        row = len(self._actors)
        if row == self._capacity:
            self._capacity *= 2
            for name, old in self._store.items():
                self._store[name] = self._array(name, self._capacity)
                self._store[name][:row] = old
            self._buffer = np.concatenate([self._buffer, np.zeros_like(self._buffer)])
        for name, array in self._store.items():
            array[row] = _FILL.get(name, 0)
        self._buffer[row * RECORD_SIZE : (row + 1) * RECORD_SIZE] = 0
        self._store["id"][row] = actor.id
        self._store["kind"][row] = actor.kind
        self._actors[actor.id] = actor
        self._rows[actor.id] = row
        self._refresh()
        return row

    def remove(self, actor_id: int) -> Actor:
        """Take an actor out; rows behind it move up by one.

        Raises:
            KeyError: there is no such actor.
        """
        row, n = self._rows.pop(actor_id), len(self._actors)
        actor = self._actors.pop(actor_id)
        for array in self._store.values():
            array[row : n - 1] = array[row + 1 : n]
        moved = self._buffer[(row + 1) * RECORD_SIZE : n * RECORD_SIZE].copy()
        self._buffer[row * RECORD_SIZE : (n - 1) * RECORD_SIZE] = moved
        for other, place in self._rows.items():
            if place > row:
                self._rows[other] = place - 1
        for name in ("parent", "at_light"):
            refs = self._store[name][: n - 1]
            refs[refs == row] = -1
            refs[refs > row] -= 1
        self._refresh()
        return actor


@njit(cache=True)
def pack_records(c: Columns, vehicles, walkers, lights) -> None:
    """Write every actor's ActorDynamicState.

    Args:
        c: the table.
        vehicles, walkers, lights: (n,) record views of one buffer of n * 119 bytes.
    """
    deg = 180.0 / math.pi
    for i in range(c.id.shape[0]):
        r = vehicles[i]
        r.id = c.id[i]
        r.alive = 1
        r.x, r.y, r.z = c.pose[i, 0], -c.pose[i, 1], c.pose[i, 2]
        r.roll, r.pitch = c.pose[i, 3] * deg, c.pose[i, 4] * deg
        r.yaw = yaw_to_carla(c.pose[i, 5])
        r.vx, r.vy, r.vz = c.velocity[i, 0], -c.velocity[i, 1], c.velocity[i, 2]
        # a mirrored rotation vector keeps only its component along the mirrored axis
        r.wx, r.wy, r.wz = -c.spin[i, 0] * deg, c.spin[i, 1] * deg, -c.spin[i, 2] * deg
        r.ax, r.ay, r.az = c.accel[i, 0], -c.accel[i, 1], c.accel[i, 2]
        kind = c.kind[i]
        if kind == _VEHICLE:
            r.throttle, r.steer = c.control[i, _THROTTLE], -c.control[i, _STEER]
            r.brake, r.hand_brake = c.control[i, _BRAKE], np.uint8(c.control[i, _HAND_BRAKE])
            r.reverse = np.uint8(c.control[i, _REVERSE])
            r.manual = np.uint8(c.control[i, _MANUAL])
            r.gear = np.int32(c.state[i, _GEAR])
            r.speed_limit = c.speed_limit[i]
            row = c.at_light[i]
            if row >= 0:
                r.light_state, r.has_light = np.uint8(c.light[row, 5]), 1
                r.light_id = c.id[row]
            else:
                r.light_state, r.has_light, r.light_id = 2, 0, 0  # CARLA says green where none is
        elif kind == _WALKER:
            w = walkers[i]
            w.dx, w.dy, w.dz = c.wish[i, 0], -c.wish[i, 1], c.wish[i, 2]
            w.speed, w.jump = c.wish[i, 3], c.jump[i]
        elif kind == _LIGHT:
            t = lights[i]
            t.green, t.yellow, t.red = c.light[i, 0], c.light[i, 1], c.light[i, 2]
            t.elapsed, t.frozen = c.light[i, 3], np.uint8(c.light[i, 4])
            t.state = np.uint8(c.light[i, 5])
