"""The simulation behind the server: actors, time, physics, signals, sensors; no sockets.

Right-handed inside; CARLA's frame only in what comes from and goes to the wire.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import numpy as np

from carla_bridge.frames import pose_to_carla
from carla_bridge.headless import wire
from carla_bridge.headless.actor_commands import ActorCommands, SpawnError, UnknownActor
from carla_bridge.headless.actors import ActorTable, pack_records
from carla_bridge.headless.blueprints import ActorKind, blueprint_library
from carla_bridge.headless.contacts import ContactScratch, contact_scratch, resolve_contacts
from carla_bridge.headless.motion import (
    accelerations,
    move_bodies,
    place_attached,
    scale_friction,
)
from carla_bridge.headless.rays import RayQueries
from carla_bridge.headless.sensors import Sensors
from carla_bridge.headless.signals import Signals
from carla_bridge.headless.spawning import Spawning
from carla_bridge.headless.towns import Town
from carla_bridge.headless.vehicle_commands import VehicleCommands
from headway.road.ground import GroundArrays

__all__ = ["SpawnError", "UnknownActor", "World", "warm_world"]

TOMBS = 4096  # boxes of destroyed actors that are kept
_SETTINGS = [False, False, [False], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
_WEATHER = [0.0, 0.0, 0.0, 10.0, 180.0, 45.0, 2.0, 0.75, 0.1, 0.0, 1.0, 0.03, 0.0331, 0.0]


class World(Spawning, VehicleCommands, ActorCommands, RayQueries):
    """One episode.

    Args:
        town: where.
        seed: of everything random that has no seed of its own.
        first_id: of its actors.

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

    def __init__(self, town: Town, seed: int = 0, first_id: int = 1) -> None:
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
        self._next_id = first_id
        self._next_stream = wire.WORLD_STREAM + 1
        self._tombs: OrderedDict[int, list[Any]] = OrderedDict()
        self._outbox: list[tuple[int, bytes]] = []
        self._version = -1
        self._has_triggers = self._has_attached = False
        self._before = np.zeros((0, 3))
        self._scratch: ContactScratch = contact_scratch(0)
        self._light_states: list[Any] | None = None
        self._ackermann: dict[int, list[float]] = {}
        self._loose: set[int] = set()
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

    @property
    def next_id(self) -> int:
        """The id that the next actor gets."""
        return self._next_id

    def bounding_box(self, actor_id: int) -> list[Any]:
        """Its box in its own frame; answers for destroyed and unknown actors too."""
        found = self.table.get(actor_id)
        if found is not None:
            return found.wire[3]
        none = wire.bounding_box((0.0, 0.0, 0.5), (0.5, 0.5, 0.5), 0.0, actor_id)
        return self._tombs.get(actor_id, none)

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
        episode = wire.EPISODE_HEADER.pack(self.episode_id, time.monotonic(), dt, 0, 0, 0, state)
        return b"".join((head, episode, self.table.bytes.tobytes()))

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


def warm_world(town: Town) -> None:
    """Compile every kernel that a world needs, or load it from the cache.

    Args:
        town: any; it is left as it was.
    """
    world = World(town)
    car = world.spawn([0, "vehicle.tesla.model3", []], [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])[0]
    for what, x in (("walker.pedestrian.0001", 4.0), ("static.trigger.friction", 0.0)):
        world.spawn([0, what, []], [[x, 0.0, 1.0], [0.0, 0.0, 0.0]])
    world.spawn([0, "sensor.other.imu", []], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], car)
    world.apply_ackermann_control(car, [0.0, 0.0, 1.0, 1.0, 0.0])
    for _ in range(2):
        world.step(0.05)
        world.episode_message(0.05)
    world.project_point([0.0, 0.0, 10.0], [0.0, 0.0, -1.0], 20.0)
