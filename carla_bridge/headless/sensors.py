"""What sensors measure, as the bytes that clients read: collision, imu, gnss.

Lane invasion is not here: the client computes it from the map by itself. All noise comes from a
generator of the sensor's own, seeded by `noise_seed`, and is drawn whether or not anyone listens,
so that a late listener changes nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import carla
import msgpack
import numpy as np

from carla_bridge.frames import pose_to_carla
from carla_bridge.headless.actors import Actor, ActorTable
from carla_bridge.headless.motion import body_vector
from carla_bridge.headless.wire import finite, sensor_header
from headway.types import Array

_TINY_MAP = """<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="geo">
{reference}</header><road name="r" length="10" id="1" junction="-1">
<planView><geometry s="0" x="0" y="0" hdg="0" length="10"><line/></geometry></planView>
<lanes><laneSection s="0"><center><lane id="0" type="none" level="false"/></center><right>
<lane id="-1" type="driving" level="false"><width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane>
</right></laneSection></lanes></road></OpenDRIVE>"""


class Geolocator:
    """Latitude and longitude as the client's own map computes them.

    The client is asked itself, with a map of one road that bears the town's geo reference, so
    that any projection it knows agrees to the last bit.
    """

    def __init__(self, xodr: str) -> None:
        match = re.search(r"<geoReference.*?</geoReference>", xodr, re.DOTALL)
        reference = match.group(0) if match else ""
        self._map = carla.Map("geo", _TINY_MAP.format(reference=reference))

    def locate(self, x: float, y: float, z: float) -> tuple[float, float, float]:
        """Latitude, longitude [deg], altitude [m] of a point in CARLA's frame [m]."""
        place = self._map.transform_to_geolocation(carla.Location(x, y, z))
        return place.latitude, place.longitude, place.altitude


def _pack(value: Any) -> bytes:
    packed = msgpack.packb(value, use_bin_type=True)
    assert packed is not None
    return packed


@dataclass
class Sensor:
    """One sensor that is out there.

    Attributes:
        actor: its actor.
        kind: last part of its type: collision, imu, gnss, lane_invasion.
        tick: [s] between measurements, 0 for every frame.
        due: [s] of the episode when the next is due.
        stddev, bias: of its noise, by the order of its message.
        random: its generator.
    """

    actor: Actor
    kind: str
    tick: float
    due: float
    stddev: Array = field(default_factory=lambda: np.zeros(0))
    bias: Array = field(default_factory=lambda: np.zeros(0))
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def noise(self) -> Array:
        """What is added to this measurement."""
        if not self.stddev.any():
            return self.bias
        return self.bias + self.stddev * self.random.standard_normal(len(self.stddev))


_NOISE = {
    "gnss": (
        ("noise_lat_stddev", "noise_lon_stddev", "noise_alt_stddev"),
        ("noise_lat_bias", "noise_lon_bias", "noise_alt_bias"),
    ),
    "imu": (
        (
            "noise_accel_stddev_x", "noise_accel_stddev_y", "noise_accel_stddev_z",
            "noise_gyro_stddev_x", "noise_gyro_stddev_y", "noise_gyro_stddev_z",
        ),
        ("", "", "", "noise_gyro_bias_x", "noise_gyro_bias_y", "noise_gyro_bias_z"),
    ),
}  # fmt: skip


def attribute_number(attributes: dict[str, str], name: str, default: float = 0.0) -> float:
    """A numeric attribute; `default` where it is missing or no finite number."""
    text = attributes.get(name, "").rstrip("f")
    try:
        return finite(float(text), default)
    except ValueError:
        return default


class Sensors:
    """All sensors of a world."""

    def __init__(self, table: ActorTable, xodr: str) -> None:
        self._table = table
        self._xodr = xodr
        self._sensors: dict[int, Sensor] = {}
        self._geolocator: Geolocator | None = None
        self._watchers: dict[int, list[Sensor]] = {}  # collision sensors by parent

    def __len__(self) -> int:
        return len(self._sensors)

    def add(self, actor: Actor) -> None:
        """Start a sensor, of a type in `sensors_spec.IMPLEMENTED`."""
        kind = actor.type_id.rsplit(".", 1)[-1]
        sensor = Sensor(actor, kind, 0.0, -math.inf)
        if kind in _NOISE:
            stddev, bias = _NOISE[kind]
            sensor.tick = max(0.0, attribute_number(actor.attributes, "sensor_tick"))
            sensor.stddev = np.array([attribute_number(actor.attributes, n) for n in stddev])
            sensor.bias = np.array([attribute_number(actor.attributes, n) for n in bias])
            seed = int(attribute_number(actor.attributes, "noise_seed"))
            sensor.random = np.random.default_rng(abs(seed))
        if kind == "gnss" and self._geolocator is None:
            self._geolocator = Geolocator(self._xodr)
        if kind == "collision":
            self._watchers.setdefault(actor.parent, []).append(sensor)
        self._sensors[actor.id] = sensor

    def remove(self, actor_id: int) -> None:
        """Stop a sensor; nothing happens if that is none."""
        sensor = self._sensors.pop(actor_id, None)
        if sensor is not None and sensor.kind == "collision":
            rest = [s for s in self._watchers[sensor.actor.parent] if s is not sensor]
            if rest:
                self._watchers[sensor.actor.parent] = rest
            else:
                del self._watchers[sensor.actor.parent]

    @property
    def watches_collisions(self) -> bool:
        """Whether any collision sensor is out there."""
        return bool(self._watchers)

    def measure(
        self, frame: int, now: float, listeners: set[int], gravity: float
    ) -> list[tuple[int, bytes]]:
        """What the sensors that are due send.

        Args:
            frame: of the server.
            now: [s] of the episode.
            listeners: ids of the streams that somebody reads.
            gravity: [m/s^2] that accelerometers feel.

        Returns:
            (stream id, message) pairs in the order of actor ids.
        """
        out = []
        for sensor in self._sensors.values():
            if sensor.kind not in _NOISE or now < sensor.due - 1e-9:
                continue
            if sensor.tick > 0.0:
                sensor.due = max(sensor.due, now - sensor.tick) + sensor.tick
                if sensor.due <= now:  # the first, or the world's steps are longer than the tick
                    sensor.due = now + sensor.tick
            noise = sensor.noise()
            if sensor.actor.stream in listeners:
                message = self._message(sensor, noise, frame, now, gravity)
                out.append((sensor.actor.stream, message))
        return out

    def _message(
        self, sensor: Sensor, noise: Array, frame: int, now: float, gravity: float
    ) -> bytes:
        c = self._table.columns
        row = self._table.row(sensor.actor.id)
        place = pose_to_carla(c.pose[row])
        head = sensor_header(sensor.kind, frame, now, place)
        if sensor.kind == "gnss":
            assert self._geolocator is not None
            values = np.array(self._geolocator.locate(*place[:3])) + noise
            return head + _pack([float(v) for v in values])
        roll, pitch, yaw = (float(v) for v in c.pose[row, 3:])
        ax, ay, az = (float(v) for v in c.accel[row])
        # an accelerometer feels what holds it against gravity
        force = body_vector(roll, pitch, yaw, ax, ay, az + gravity)
        wx, wy, wz = (float(v) for v in c.spin[row])
        rate = body_vector(roll, pitch, yaw, wx, wy, wz)
        accel = [force[0], -force[1], force[2]]
        gyro = [-rate[0], rate[1], -rate[2]]  # a rotation vector mirrored in y
        values = np.array(accel + gyro) + noise
        compass = math.radians(place[4]) + 0.5 * math.pi  # 0 to the north, CARLA's -y
        body = [
            [float(v) for v in values[:3]],
            [float(v) for v in values[3:]],
            compass % (2.0 * math.pi),
        ]
        return head + _pack(body)

    def collisions(
        self,
        pairs: Array,
        impulse: Array,
        frame: int,
        now: float,
        listeners: set[int],
    ) -> list[tuple[int, bytes]]:
        """What collision sensors report of the contacts of this step.

        Args:
            pairs: (p, 2) rows.
            impulse: (p, 3) on the second of each pair: x, y of our frame and length [N s].
            frame: of the server.
            now: [s] of the episode.
            listeners: ids of the streams that somebody reads.
        """
        out: list[tuple[int, bytes]] = []
        if not self._watchers:
            return out
        ids = self._table.columns.id
        for k in np.flatnonzero(impulse[:, 2] > 0.0):
            x, y = float(impulse[k, 0]), -float(impulse[k, 1])
            first, second = (int(ids[row]) for row in pairs[k])
            for own, other, sign in ((first, second, -1.0), (second, first, 1.0)):
                for sensor in self._watchers.get(own, ()):
                    if sensor.actor.stream in listeners:
                        message = self._collision(
                            sensor, own, other, [sign * x, sign * y, 0.0], frame, now
                        )
                        out.append((sensor.actor.stream, message))
        return out

    def _collision(
        self, sensor: Sensor, own: int, other: int, impulse: list[float], frame: int, now: float
    ) -> bytes:
        place = pose_to_carla(self._table.columns.pose[self._table.row(sensor.actor.id)])
        body: list[Any] = []
        for actor_id in (own, other):
            actor = self._table.get(actor_id)
            assert actor is not None
            body.append(actor.wire)
        head = sensor_header("collision", frame, now, place)
        return head + _pack([*body, impulse])
