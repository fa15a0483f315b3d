"""The simulation behind the server: actors, time, physics, signals, sensors; no sockets.

Right-handed inside; CARLA's frame only in what comes from and goes to the wire.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import numpy as np

from carla_bridge.frames import pose_from_carla, pose_to_carla, yaw_from_carla
from carla_bridge.headless import sensors_spec, wire
from carla_bridge.headless.actor_commands import ActorCommands, SpawnError, UnknownActor
from carla_bridge.headless.actors import Actor, ActorTable, pack_records
from carla_bridge.headless.blueprints import ActorKind, Blueprint, blueprint_library
from carla_bridge.headless.contacts import (
    ContactScratch,
    contact_scratch,
    overlaps_any,
    resolve_contacts,
)
from carla_bridge.headless.motion import (
    accelerations,
    move_bodies,
    place_attached,
    scale_friction,
)
from carla_bridge.headless.rays import RayQueries
from carla_bridge.headless.sensors import Sensors, attribute_number
from carla_bridge.headless.signals import LightColumn, Signals, Trigger
from carla_bridge.headless.towns import Town
from carla_bridge.headless.vehicle_commands import VehicleCommands
from carla_bridge.headless.walkers import MASS as WALKER_MASS
from headway.road.ground import GroundArrays
from headway.road.queries import nearest_lane
from headway.types import Array
from headway.vehicle import VehicleParam, VehicleState, vehicle_params

__all__ = ["SpawnError", "UnknownActor", "World"]

COLLISION_AT_SPAWN = "Spawn failed because of collision at spawn position"
DEFAULT_SPEED_LIMIT = 30.0  # [km/h] where no lane says otherwise, as CARLA
PROP_DENSITY = 60.0  # [kg/m^3] of a prop's box; props with physics are rare and mostly hollow
TOMBS = 4096  # boxes of destroyed actors that are kept
_SETTINGS = [False, False, [False], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
_WEATHER = [0.0, 0.0, 0.0, 10.0, 180.0, 45.0, 2.0, 0.75, 0.1, 0.0, 1.0, 0.03, 0.0331, 0.0]


class World(VehicleCommands, ActorCommands, RayQueries):
    """One episode.

    Args:
        town: where.
        seed: of everything random that has no seed of its own.

    Attributes:
        town: where.
        frame: number of the current frame.
        elapsed: [s] of simulated time since the world began.
        episode_id: tells clients worlds apart.
        settings: EpisodeSettings as on the wire.
        weather: WeatherParameters as on the wire.
        signals: lights and signs.
        table: the actors.
        sensor_listeners: ids of the streams that somebody reads; the server keeps it.
        imu_gravity: [m/s^2] that IMUs report.
        spectator: the wire Actor of the onlooker.
    """

    def __init__(self, town: Town, seed: int = 0) -> None:
        self.town = town
        self.seed = seed
        self.frame = 0
        self.elapsed = 0.0
        self.episode_id = 1
        self.settings: list[Any] = [*_SETTINGS[:2], list(_SETTINGS[2]), *_SETTINGS[3:]]
        self.weather: list[float] = list(_WEATHER)
        self.sensor_listeners: set[int] = set()
        self.imu_gravity = 9.81
        self.table = ActorTable()
        self.signals = Signals(self.table)
        self._sensors = Sensors(self.table, town.xodr)
        self._ground: GroundArrays = town.lane_graph.ground_arrays()
        self._library = blueprint_library()
        self._next_id = 1
        self._next_stream = wire.WORLD_STREAM + 1
        self._tombs: OrderedDict[int, list[Any]] = OrderedDict()
        self._outbox: list[tuple[int, bytes]] = []
        self._version = -1
        self._has_triggers = self._has_attached = False
        self._before = np.zeros((0, 3))
        self._scratch: ContactScratch = contact_scratch(0)
        self._light_states: list[Any] | None = None
        self.last_pairs = 0
        self.spectator = self._add(
            [0, "spectator", [["role_name", 4, ""]]], ActorKind.OTHER, (0.0, 0.0, 0.0)
        ).wire
        self._add_signals()

    # Actors.

    @property
    def blueprints(self) -> list[Any]:
        """The blueprint library as on the wire."""
        return self._library.wire

    def actor_ids(self) -> list[int]:
        """Ids of all actors."""
        return [actor.id for actor in self.table]

    def has(self, actor_id: int) -> bool:
        """Whether that actor exists."""
        return actor_id in self.table

    def actor(self, actor_id: int) -> list[Any] | None:
        """That actor as on the wire, or None."""
        found = self.table.get(actor_id)
        return None if found is None else found.wire

    def bounding_box(self, actor_id: int) -> list[Any]:
        """Its box in its own frame; answers for destroyed and unknown actors too."""
        found = self.table.get(actor_id)
        if found is not None:
            return found.wire[3]
        none = wire.bounding_box((0.0, 0.0, 0.5), (0.5, 0.5, 0.5), 0.0, actor_id)
        return self._tombs.get(actor_id, none)

    def spawn(
        self,
        description: list[Any],
        transform: wire.WireTransform,
        parent: int | None = None,
        attachment: int = 0,
        bone: str = "",
    ) -> list[Any]:
        """Make an actor.

        Args:
            description: [uid, id, attributes as [name, type, value]].
            transform: [[x, y, z], [pitch, yaw, roll]], CARLA's frame; relative to the parent
                where there is one.
            parent: actor that it hangs on, or None.
            attachment: how it hangs; all kinds are rigid here.
            bone: of the parent's skeleton; there are none, so the actor's origin it is.

        Returns:
            the wire Actor.

        Raises:
            SpawnError: it cannot be made; the message says why.
        """
        blueprint = self._library.find(description[1])
        if blueprint is None:
            raise SpawnError(f"unable to spawn actor: there is no blueprint {description[1]!r}")
        self._check_available(blueprint)
        pose = np.array(pose_from_carla(wire.check_transform("spawn", transform)))
        attributes = blueprint.defaults | {a[0]: a[2] for a in description[2]}
        parent_row = -1
        if parent is not None and parent != 0:
            if parent not in self.table:
                raise SpawnError(f"unable to attach actor: parent actor {parent} not found")
            parent_row = self.table.row(parent)
        extent = _extent(blueprint, attributes)
        # A walker's origin is its middle, everything else's is where it touches the ground.
        center = (0.0, 0.0, 0.0 if blueprint.kind == ActorKind.WALKER else extent[2])
        if parent_row < 0:
            self._check_free(blueprint, pose, center, extent)
        box = wire.bounding_box(center, extent)
        actor = self._add(description, blueprint.kind, box, parent or 0, attributes)
        row = self.table.row(actor.id)
        self._fill_row(row, blueprint, attributes, pose, center, extent)
        if parent_row >= 0:
            c = self.table.columns
            c.parent[row], c.offset[row] = parent_row, pose
            place_attached(c)
        if blueprint.kind == ActorKind.SENSOR:
            self._sensors.add(actor)
        elif blueprint.kind == ActorKind.VEHICLE:
            self._light_states = None
        return actor.wire

    @staticmethod
    def _check_available(blueprint: Blueprint) -> None:
        name = blueprint.id
        if blueprint.kind == ActorKind.SENSOR and name not in sensors_spec.IMPLEMENTED:
            ready = ", ".join(sorted(sensors_spec.IMPLEMENTED))
            raise SpawnError(
                f"unable to spawn {name}: this server cannot run it yet; it has {ready}"
            )
        if name == "controller.ai.walker":
            raise SpawnError(
                "unable to spawn controller.ai.walker: this server has no navigation mesh yet; "
                "walkers obey carla.WalkerControl"
            )

    def _check_free(
        self, blueprint: Blueprint, pose: Array, center: Any, extent: Any
    ) -> None:
        solid = (ActorKind.VEHICLE, ActorKind.WALKER, ActorKind.PROP)
        if blueprint.kind not in solid:
            return
        c = self.table.columns
        hit = overlaps_any(
            c, pose[0], pose[1], pose[2], pose[5], np.array(center), np.array(extent),
            blueprint.kind == ActorKind.PROP,
        )  # fmt: skip
        if hit >= 0:
            raise SpawnError(COLLISION_AT_SPAWN)

    def _add(
        self,
        description: list[Any],
        kind: ActorKind,
        box: Any,
        parent: int = 0,
        attributes: dict[str, str] | None = None,
    ) -> Actor:
        actor_id = self._next_id
        self._next_id += 1
        if len(box) == 3:
            box = wire.bounding_box((0.0, 0.0, 0.0), box)
        box[3] = actor_id
        base_type = (attributes or {}).get("base_type", "car")
        tags = {
            ActorKind.VEHICLE: wire.TAG_BY_BASE_TYPE.get(base_type, 14),
            ActorKind.WALKER: wire.TAG_WALKER,
            ActorKind.PROP: wire.TAG_STATIC,
            ActorKind.LIGHT: wire.TAG_LIGHT,
            ActorKind.SIGN: wire.TAG_SIGN,
        }
        tag = bytes([tags[kind]]) if kind in tags else b""
        stream, token = 0, b""
        if kind == ActorKind.SENSOR:
            stream = self._next_stream
            self._next_stream += 1
            # host and port come with get_sensor_token, which the client asks for
            token = wire.token(stream, "127.0.0.1", 0)
        listed = [actor_id, parent, list(description[:3]), box, tag, token]
        actor = Actor(actor_id, description[1], kind, listed, parent, attributes or {}, stream)
        self.table.add(actor)
        return actor

    def _fill_row(
        self,
        row: int,
        blueprint: Blueprint,
        attributes: dict[str, str],
        pose: Array,
        center: Any,
        extent: Any,
    ) -> None:
        c = self.table.columns
        c.pose[row], c.center[row], c.extent[row] = pose, center, extent
        c.previous[row] = pose[:3]
        c.collides[row] = blueprint.kind in (
            ActorKind.VEHICLE, ActorKind.WALKER, ActorKind.PROP,
        )  # fmt: skip
        size = 8.0 * extent[0] * extent[1] * extent[2]
        if blueprint.kind == ActorKind.VEHICLE:
            c.params[row] = vehicle_params(blueprint.id)
            c.mass[row] = c.params[row, VehicleParam.MASS]
            c.inertia[row] = c.params[row, VehicleParam.YAW_INERTIA]
            c.friction[row] = c.params[row, VehicleParam.FRICTION]
            c.simulate[row] = True
            c.state[row, [VehicleState.X, VehicleState.Y, VehicleState.YAW]] = pose[[0, 1, 5]]
            c.active[row] = False
            c.speed_limit[row] = self._lane_limit(pose)
        elif blueprint.kind == ActorKind.WALKER:
            c.mass[row] = WALKER_MASS
            c.simulate[row] = True
        elif blueprint.kind == ActorKind.PROP:
            mass = attribute_number(attributes, "mass")
            c.mass[row] = mass if mass > 0.0 else max(1.0, PROP_DENSITY * size)
            c.inertia[row] = c.mass[row] * (extent[0] ** 2 + extent[1] ** 2) / 3.0
        elif blueprint.kind == ActorKind.TRIGGER:
            c.friction[row] = attribute_number(attributes, "friction", 3.5)

    def _lane_limit(self, pose: Array) -> float:
        graph = self.town.lane_graph
        lane, _, _ = nearest_lane(graph, pose[0], pose[1], pose[5], z=pose[2])
        if lane < 0:
            return DEFAULT_SPEED_LIMIT
        limit = 3.6 * float(graph.speed_limit[lane])
        return limit if 0.0 < limit < 500.0 else DEFAULT_SPEED_LIMIT

    def destroy(self, actor_id: int) -> bool:
        """Take an actor away; what hung on it stays where it is. False: there is none."""
        actor = self.table.get(actor_id)
        if actor is None or actor.wire is self.spectator:
            return False
        self.table.remove(actor_id)
        self._forget_commands(actor_id)
        if actor.kind == ActorKind.SENSOR:
            self._sensors.remove(actor_id)
        elif actor.kind in (ActorKind.LIGHT, ActorKind.SIGN):
            self.signals.remove(actor_id)
        elif actor.kind == ActorKind.VEHICLE:
            self._light_states = None
        self._tombs[actor_id] = actor.wire[3]
        if len(self._tombs) > TOMBS:
            self._tombs.popitem(last=False)
        return True

    def token(self, stream_id: int, host: str, port: int) -> bytes:
        """The 24 bytes by which a client finds a stream."""
        return wire.token(stream_id, host, port)

    def _add_signals(self) -> None:
        lights = []
        for spec in self.town.signals:
            light = spec.type_id == "traffic.traffic_light"
            box = wire.bounding_box(spec.trigger_center, spec.trigger_extent, spec.trigger_yaw)
            kind = ActorKind.LIGHT if light else ActorKind.SIGN
            actor = self._add([0, spec.type_id, [["role_name", 4, ""]]], kind, box)
            row = self.table.row(actor.id)
            c = self.table.columns
            c.pose[row] = pose_from_carla(wire.transform(spec.transform))
            self.signals.opendrive_id[actor.id] = spec.opendrive_id
            records = self.table.views[2]
            records["sign_id"][row] = spec.opendrive_id.encode()[:31]
            if light:
                times = (spec.green_time, spec.yellow_time, spec.red_time)
                c.light[row, : LightColumn.ELAPSED] = times
                lights.append((spec.group, spec.order, actor.id))
            for place in spec.boxes if light or spec.value > 0.0 else ():
                x, y, z = place.center
                self.signals.add_trigger(
                    Trigger(
                        actor.id, x, -y, z, yaw_from_carla(place.yaw), place.extent,
                        max(0.0, spec.value),
                    )
                )  # fmt: skip
        for group, order, actor_id in lights:
            self.signals.add_light(actor_id, group, order)
        self.signals.reset_all()

    # Time.

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass.

        Raises:
            ValueError: dt is not positive and finite.
        """
        if not 0.0 < dt < 1e3:
            raise ValueError(f"World.step: expected a positive number of seconds, got {dt!r}")
        self.frame += 1
        self.elapsed += dt
        self.signals.step(dt)
        self._before_step(dt)
        if self._version != self.table.version:
            self._resize()
        # One kernel for all of this was slower: handing 33 arrays from kernel to kernel costs more
        # than calling each from here with what it needs.
        c = self.table.columns
        if self._has_triggers:
            scale_friction(c)
        move_bodies(c, self._ground, self._before, dt)
        self.last_pairs = resolve_contacts(c, self._scratch)
        accelerations(c.parent, c.velocity, c.accel, self._before, dt)
        if self._has_attached:
            place_attached(c)
        self.signals.touch()
        self._after_step()
        self._outbox = []
        if len(self._sensors):
            self._measure()

    def _resize(self) -> None:
        n = len(self.table)
        self._before = np.zeros((n, 3))
        self._scratch = contact_scratch(n)
        self._version = self.table.version
        c = self.table.columns
        self._has_triggers = bool((c.kind == ActorKind.TRIGGER).any())
        self._has_attached = bool((c.parent >= 0).any())

    def _measure(self) -> None:
        moment = (self.frame, self.elapsed, self.sensor_listeners)
        if self._sensors.watches_collisions and self.last_pairs:
            pairs = self._scratch.pairs[: self.last_pairs]
            impulse = self._scratch.impulse[: self.last_pairs]
            self._outbox += self._sensors.collisions(pairs, impulse, *moment)
        self._outbox += self._sensors.measure(*moment, self.imu_gravity)

    def episode_message(self, dt: float = 0.0, state: int = 0) -> bytes:
        """The world's stream: headers and every actor's record.

        Args:
            dt: [s] length of the step that led here.
            state: CARLA's flags of the simulation, 1 for a change of map.
        """
        if self._version != self.table.version:
            self._resize()
        pack_records(self.table.columns, *self.table.views)
        head = wire.sensor_header("world", self.frame, self.elapsed, _ORIGIN)
        episode = wire.EPISODE_HEADER.pack(
            self.episode_id, time.monotonic(), dt, 0, 0, 0, state
        )
        return b"".join((head, episode, self.table.bytes))

    def sensor_messages(self) -> list[tuple[int, bytes]]:
        """(stream id, message) of what sensors measured in the last step."""
        return self._outbox

    # Queries.

    def transform_of(self, actor_id: int) -> list[list[float]]:
        """Its transform, CARLA's frame.

        Raises:
            UnknownActor: there is none.
        """
        return wire.transform(pose_to_carla(self.table.columns.pose[self._row(actor_id)]))


_ORIGIN = (0.0,) * 6


def _extent(blueprint: Blueprint, attributes: dict[str, str]) -> tuple[float, float, float]:
    if blueprint.kind != ActorKind.TRIGGER:
        return blueprint.extent
    x, y, z = (max(0.0, attribute_number(attributes, f"extent_{a}", 1.0)) for a in "xyz")
    return x, y, z
