"""One frame of the server as arrays in our frame: actors, ego, signals, sensors, collisions."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import carla
import numpy as np

from carla_bridge.bodies import FLAT, SIREN
from carla_bridge.frames import (
    angular_rate_from_carla,
    mirror_y,
    yaw_from_carla,
    yaws_from_carla,
)
from headway.road.lane_graph import LaneGraph
from headway.types import ActorSnapshot, AgentKind, Array, CollisionEvent, EgoState, SignalState
from headway.vehicle import VehicleParam, vehicle_info, vehicle_params
from headway.vehicle.kernel import wheel_angle

SENSOR_DEADLINE_S = 2.0  # [s] of wall time that a packet may come after its frame
LATE_S = 0.2  # [s] the same for one that is due by its sensor's own `sensor_tick`
SIREN_FRAMES = 10  # from one question who has blue lights on to the next


class SensorTimeout(RuntimeError):
    """A sensor's packet of this frame did not come in time; the message names the sensor."""


@dataclass(frozen=True)
class SensorSpec:
    """A sensor to carry on ego.

    Attributes:
        name: key in `Observation.sensors`.
        blueprint: e.g. `sensor.other.imu`.
        attributes: of the blueprint, as strings.
        position: (3,) [m] in ego's frame, x forward, y left, z up.
    """

    name: str
    blueprint: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    position: tuple[float, float, float] = (0.0, 0.0, 1.5)


@dataclass(frozen=True)
class SensorPacket:
    """What one sensor sent in one frame.

    Attributes:
        frame: the server's frame.
        data: as the client library gives it, CARLA's frame and units.
    """

    frame: int
    data: Any


class SensorReader:
    """One sensor's packets, matched with frames.

    Args:
        name: for messages.
        sensor: a spawned sensor.
        period: frames from one packet to the next: 1 where each frame has to bring one, more for a
            sensor with a longer `sensor_tick`, 0 for events.
    """

    def __init__(self, name: str, sensor: carla.Sensor, period: int = 1) -> None:
        self.name = name
        self.sensor = sensor
        self.period = period
        self._due = math.inf  # frame of the next packet, unknown before the first
        self._packets: queue.SimpleQueue[Any] = queue.SimpleQueue()
        sensor.listen(self._packets.put)

    def read(self, frame: int, deadline_s: float = SENSOR_DEADLINE_S) -> SensorPacket | None:
        """Return the packet of exactly `frame`; older ones are dropped.

        Returns:
            None where this sensor has no packet in this frame and need not have one.

        Raises:
            SensorTimeout: it must have one and did not send it within `deadline_s`.
        """
        if self.period != 1:
            deadline_s = LATE_S if self.period and frame >= self._due else 0.0
        until = time.monotonic() + deadline_s
        newest = None
        while True:
            try:
                wait = until - time.monotonic()
                data = self._packets.get(timeout=wait) if wait > 0 else self._packets.get_nowait()
            except queue.Empty:
                if self.period != 1:
                    return None
                raise SensorTimeout(
                    f"sensor {self.name!r} ({self.sensor.type_id}) sent nothing for frame {frame} "
                    f"within {deadline_s:g} s; the last packet was of frame {newest}"
                ) from None
            newest = data.frame
            self._due = newest + self.period
            if newest == frame:
                return SensorPacket(frame, data)
            if newest > frame:
                raise SensorTimeout(
                    f"sensor {self.name!r} ({self.sensor.type_id}) sent frame {newest} where "
                    f"{frame} was expected: another client ticks this world too"
                )

    def drain(self) -> list[Any]:
        """Return everything that came since the last call, oldest first."""
        out = []
        while True:
            try:
                out.append(self._packets.get_nowait())
            except queue.Empty:
                return out


@dataclass(frozen=True)
class Body:
    """What of an actor never changes.

    Attributes:
        kind: `AgentKind`.
        type_id: blueprint id.
        extent: half length, half width [m].
        offset: bounding-box centre from the actor's origin, forward and left [m].
        bottom: height of the box's underside above the actor's origin [m].
        stands_out: whether it is in a car's way; cars drive over flat props.
        has_siren: whether it is an emergency vehicle.
    """

    kind: AgentKind
    type_id: str
    extent: tuple[float, float]
    offset: tuple[float, float]
    bottom: float
    stands_out: bool
    has_siren: bool

    @staticmethod
    def of(actor: carla.Actor) -> Body:
        """Ask the server, once, for the bounding box of `actor`."""
        box = actor.bounding_box  # pyright: ignore[reportAttributeAccessIssue]
        return Body(
            kind=kind_of(actor.type_id, actor.attributes),
            type_id=actor.type_id,
            extent=(box.extent.x, box.extent.y),
            offset=(box.location.x, -box.location.y),
            bottom=box.location.z - box.extent.z,
            stands_out=not actor.type_id.startswith("static.") or box.extent.z > FLAT,
            has_siren=actor.attributes.get("special_type") == "emergency",
        )


def kind_of(type_id: str, attributes: Mapping[str, str]) -> AgentKind:
    """Tell an actor's kind from its blueprint."""
    if type_id.startswith("walker."):
        return AgentKind.WALKER
    if type_id.startswith("static."):
        return AgentKind.PROP
    return AgentKind.TWO_WHEELER if attributes.get("number_of_wheels") == "2" else AgentKind.VEHICLE


class WorldReader:
    """Reads frames of one world.

    Args:
        world: the client's world.
        lane_graph: whose signals the states are aligned with.
        ego: our car.
    """

    def __init__(
        self,
        world: carla.World,
        lane_graph: LaneGraph,
        ego: carla.Vehicle,
    ) -> None:
        self._world = world
        self._ego = ego
        self._ego_body = Body.of(ego)
        self._wheelbase = vehicle_info(ego.type_id).wheelbase
        self._params = vehicle_params(ego.type_id)
        self._steer = 0.0
        self._population = -1
        self._sirens: frozenset[int] = frozenset()
        self._asked = 0  # frames since it was asked who has a siren on
        self._bodies: dict[int, Body] = {}
        self._num_signals = len(lane_graph.signal_id)
        self._lights = self._find_lights(lane_graph)
        self.refresh()

    @property
    def ego_body(self) -> Body:
        """Ego's dimensions."""
        return self._ego_body

    def refresh(self) -> None:
        """Learn which actors there are; needed after spawning or destroying."""
        ids = []
        for actor in self._world.get_actors():
            type_id = actor.type_id
            if not type_id.startswith(("vehicle.", "walker.", "static.prop")):
                continue
            if actor.id == self._ego.id:
                continue
            if actor.id not in self._bodies:
                self._bodies[actor.id] = Body.of(actor)
            if self._bodies[actor.id].stands_out:
                ids.append(actor.id)
        self._ids = sorted(ids)
        bodies = [self._bodies[i] for i in self._ids]
        self._id = np.array(self._ids, dtype=np.int64)
        self._kind = np.array([b.kind for b in bodies], dtype=np.int8)
        self._extent = np.array([b.extent for b in bodies]).reshape(-1, 2)
        self._offset = np.array([b.offset for b in bodies]).reshape(-1, 2)
        self._bottom = np.array([b.bottom for b in bodies])
        self._type_id = tuple(b.type_id for b in bodies)
        self._may_have_siren = [i for i in self._ids if self._bodies[i].has_siren]
        self._asked = SIREN_FRAMES

    def actors(self, snapshot: carla.WorldSnapshot) -> ActorSnapshot:
        """Return every vehicle, walker and prop but ego, as of `snapshot`."""
        rows = self._rows(snapshot) if len(snapshot) == self._population else None
        if rows is None:  # somebody came or went
            self.refresh()
            self._population = len(snapshot)
            rows = self._rows(snapshot) or []
        table = np.array(rows, dtype=np.float64).reshape(-1, 7)
        yaw = yaws_from_carla(table[:, 3])
        cos, sin = np.cos(yaw), np.sin(yaw)
        forward, left = self._offset[:, 0], self._offset[:, 1]
        pose = np.empty((len(table), 3))
        pose[:, 0] = table[:, 0] + forward * cos - left * sin
        pose[:, 1] = -table[:, 1] + forward * sin + left * cos
        pose[:, 2] = yaw
        return ActorSnapshot(
            id=self._id,
            kind=self._kind,
            pose=pose,
            z=table[:, 2] + self._bottom,
            velocity=mirror_y(table[:, 4:6]),
            yaw_rate=-np.radians(table[:, 6]),
            extent=self._extent,
            type_id=self._type_id,
            signal_state=self.signals(),
            sirens=self._find_sirens(),
        )

    def _find_sirens(self) -> frozenset[int]:
        """Who has blue lights on; lights are no part of a frame, the server is asked for them."""
        if not self._may_have_siren:
            return frozenset()
        self._asked += 1
        if self._asked >= SIREN_FRAMES:
            self._asked, lights = 0, self._world.get_vehicles_light_states()
            on = (i for i in self._may_have_siren if int(lights.get(i, 0)) & SIREN)
            self._sirens = frozenset(on)
        return self._sirens

    def ego(self, snapshot: carla.WorldSnapshot, steer_norm: float, dt: float) -> EgoState:
        """Return our car as of `snapshot`.

        Args:
            snapshot: of the frame.
            steer_norm: command that led to it, [-1, 1], left positive.
            dt: [s] since the last call.
        """
        found = snapshot.find(self._ego.id)
        if found is None:
            raise RuntimeError(f"ego (actor {self._ego.id}) is gone from frame {snapshot.frame}")
        transform, body = found.get_transform(), self._ego_body
        yaw = yaw_from_carla(transform.rotation.yaw)
        cos, sin = math.cos(yaw), math.sin(yaw)
        velocity, accel = found.get_velocity(), found.get_acceleration()
        vx, vy, ax, ay = velocity.x, -velocity.y, accel.x, -accel.y
        location, (forward, left) = transform.location, body.offset
        speed = vx * cos + vy * sin
        # The wheels' own angle costs a call per tick and is not in the stream: the vehicle's own
        # steering curve and lag, as our kernel has them.
        target = wheel_angle(self._params, speed, steer_norm)
        lag = math.exp(-dt / self._params[VehicleParam.STEER_LAG])
        self._steer = target + (self._steer - target) * lag
        return EgoState(
            id=self._ego.id,
            pose=np.array(
                [
                    location.x + forward * cos - left * sin,
                    -location.y + forward * sin + left * cos,
                    yaw,
                ]
            ),
            z=location.z + body.bottom,
            velocity=np.array([vx, vy]),
            speed=speed,
            accel=ax * cos + ay * sin,
            lateral_accel=ay * cos - ax * sin,
            yaw_rate=angular_rate_from_carla(found.get_angular_velocity().z),
            steer=self._steer,
            extent=np.array(body.extent),
            wheelbase=self._wheelbase,
            type_id=body.type_id,
        )

    def signals(self) -> Array:
        """Return (S,) int8 states of the newest frame, in the order of `LaneGraph.signal_id`."""
        states = np.full(self._num_signals, SignalState.UNKNOWN, dtype=np.int8)
        for index, light in self._lights:
            states[index] = min(int(light.state), SignalState.UNKNOWN)
        return states

    def _rows(self, snapshot: carla.WorldSnapshot) -> list[tuple[float, ...]] | None:
        rows = []
        for actor_id in self._ids:
            found = snapshot.find(actor_id)
            if found is None:
                return None
            transform, velocity = found.get_transform(), found.get_velocity()
            location = transform.location
            rows.append(
                (
                    location.x,
                    location.y,
                    location.z,
                    transform.rotation.yaw,
                    velocity.x,
                    velocity.y,
                    found.get_angular_velocity().z,
                )
            )
        return rows

    def _find_lights(self, lane_graph: LaneGraph) -> list[tuple[int, carla.TrafficLight]]:
        index_of = {str(name): i for i, name in enumerate(lane_graph.signal_id)}
        found = []
        for light in self._world.get_actors().filter("traffic.traffic_light*"):
            index = index_of.get(light.get_opendrive_id())  # pyright: ignore
            if index is not None:
                found.append((index, light))
        return found


def collision_events(packets: Sequence[Any]) -> tuple[CollisionEvent, ...]:
    """Return what collision sensors sent, each with the frame in which it happened.

    No stream can promise that an event has not come yet, so one may arrive with a later frame's
    observation; it still carries its own frame.
    """
    events = []
    for packet in packets:
        other, impulse = packet.other_actor, packet.normal_impulse
        events.append(
            CollisionEvent(
                frame=packet.frame,
                other_id=other.id if other is not None else 0,
                other_type_id=other.type_id if other is not None else "",
                impulse=math.hypot(impulse.x, impulse.y, impulse.z),
            )
        )
    return tuple(events)
