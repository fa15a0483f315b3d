"""How CARLA 0.9.16 lays out its bytes: records, headers, message-pack lists.

Everything in here is in CARLA's frame: left-handed, z up, degrees.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

WORLD_STREAM = 1  # id of the stream that carries the episode's state

# Order of the sensor registry in the 0.9.16 wheel; the number is the header's `type`.
SENSOR_REGISTRY = (
    "collision", "depth", "normals", "dvs", "gnss", "imu", "lane_invasion", "obstacle",
    "optical_flow", "radar", "semantic_lidar", "lidar", "rss", "rgb", "semantic_segmentation",
    "instance_segmentation", "cosmos", "world", "gbuffer_uint8", "gbuffer_float", "v2x",
    "v2x_custom",
)  # fmt: skip
SENSOR_TYPE = {name: number for number, name in enumerate(SENSOR_REGISTRY)}

_BASE = [
    ("id", "<u4"), ("alive", "u1"),
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"),
    ("pitch", "<f4"), ("yaw", "<f4"), ("roll", "<f4"),
    ("vx", "<f4"), ("vy", "<f4"), ("vz", "<f4"),
    ("wx", "<f4"), ("wy", "<f4"), ("wz", "<f4"),
    ("ax", "<f4"), ("ay", "<f4"), ("az", "<f4"),
]  # fmt: skip
RECORD_SIZE = 119  # of one ActorDynamicState
# The three readings of the union that ends a record.
VEHICLE_RECORD = np.dtype([
    *_BASE, ("throttle", "<f4"), ("steer", "<f4"), ("brake", "<f4"), ("hand_brake", "u1"),
    ("reverse", "u1"), ("manual", "u1"), ("gear", "<i4"), ("speed_limit", "<f4"),
    ("light_state", "u1"), ("has_light", "u1"), ("light_id", "<u4"), ("failure", "u1"),
    ("unused", "S24"),
])  # fmt: skip
WALKER_RECORD = np.dtype([
    *_BASE, ("dx", "<f4"), ("dy", "<f4"), ("dz", "<f4"), ("speed", "<f4"), ("jump", "u1"),
    ("unused", "S37"),
])  # fmt: skip
LIGHT_RECORD = np.dtype([
    *_BASE, ("sign_id", "S32"), ("green", "<f4"), ("yellow", "<f4"), ("red", "<f4"),
    ("elapsed", "<f4"), ("pole", "<u4"), ("frozen", "u1"), ("state", "u1"),
])  # fmt: skip

SENSOR_HEADER = struct.Struct("<QQd6f")  # type, frame, time, transform
EPISODE_HEADER = struct.Struct("<Qdf3iI")  # episode, platform time, delta, map origin, state
_TOKEN = struct.Struct("<IHBB4s12x")

# CARLA's numbers of semantic tags (its own are Cityscapes' plus some).
TAG_LIGHT, TAG_SIGN, TAG_WALKER, TAG_STATIC = 7, 8, 12, 20
TAG_BY_BASE_TYPE = {
    "car": 14, "van": 14, "truck": 15, "bus": 16, "motorcycle": 18, "bicycle": 19,
}  # fmt: skip

WireTransform = Sequence[Sequence[float]]  # [[x, y, z], [pitch, yaw, roll]]


def transform(values: Iterable[float]) -> list[list[float]]:
    """x, y, z [m], pitch, yaw, roll [deg] as a wire transform."""
    x, y, z, pitch, yaw, roll = (float(v) for v in values)
    return [[x, y, z], [pitch, yaw, roll]]


def bounding_box(
    center: Sequence[float], extent: Sequence[float], yaw: float = 0.0, actor_id: int = 0
) -> list[Any]:
    """A bounding box in the actor's own frame [m, deg]."""
    return [
        [float(v) for v in center],
        [float(v) for v in extent],
        [0.0, float(yaw), 0.0],
        int(actor_id),
    ]


def token(stream_id: int, host: str, port: int) -> bytes:
    """The 24 bytes by which a client finds a stream.

    Args:
        stream_id: which stream.
        host: IPv4 address of the streaming server.
        port: its TCP port.
    """
    return _TOKEN.pack(stream_id, port, 1, 1, socket.inet_aton(host))


def sensor_header(kind: str, frame: int, time: float, pose: Sequence[float]) -> bytes:
    """The 48 bytes before each sensor message.

    Args:
        kind: name in `SENSOR_REGISTRY`.
        frame: the server's frame.
        time: [s] of the episode.
        pose: x, y, z [m], pitch, yaw, roll [deg], CARLA's frame.
    """
    return SENSOR_HEADER.pack(SENSOR_TYPE[kind], frame, time, *pose)


def finite(value: Any, default: float = 0.0) -> float:
    """`value` as a float, `default` where it is NaN or infinite.

    Raises:
        TypeError: it is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value) if math.isfinite(value) else default


def check_numbers(what: str, values: Any, count: int, limit: float = 1e6) -> list[float]:
    """`values` as `count` finite floats.

    Raises:
        TypeError: it is not a list of `count` numbers.
        ValueError: one of them is NaN, infinite or beyond `limit`: a simulation that takes it
            would answer infinities a few steps later.
    """
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise TypeError(f"{what}: expected {count} numbers, got {values!r}")
    out = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{what}: expected {count} numbers, got {values!r}")
        if not -limit <= value <= limit:  # also catches NaN
            reason = f"beyond {limit:g}" if math.isfinite(value) else "not finite"
            raise ValueError(f"{what}: {values!r} is {reason}")
        out.append(float(value))
    return out


def check_transform(what: str, value: Any) -> list[list[float]]:
    """`value` as a wire transform of finite numbers.

    Raises:
        TypeError: it has another form.
        ValueError: a number is NaN or infinite.
    """
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise TypeError(f"{what}: expected [[x, y, z], [pitch, yaw, roll]], got {value!r}")
    return [check_numbers(what, value[0], 3), check_numbers(what, value[1], 3)]
