"""The one file that knows CARLA's frame: left-handed, z up, degrees, y to the south of x east.

Ours is right-handed with yaw counter-clockwise in radians: mirror y, negate yaw. Pitch is nose up
and roll left side up in both.
Scalars and arrays alike; numba kernels may call the jitted forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from headway.frames import wrap_angle, wrap_angles
from headway.types import Array


@njit(cache=True)
def yaw_from_carla(yaw_deg: float) -> float:
    """CARLA's yaw [deg, clockwise] to ours [rad, counter-clockwise], in (-pi, pi]."""
    return wrap_angle(-math.radians(yaw_deg))


@njit(cache=True)
def yaw_to_carla(yaw: float) -> float:
    """Our yaw [rad] to CARLA's [deg], in [-180, 180)."""
    return math.degrees(wrap_angle(-yaw))


def mirror_y(xyz: Array) -> Array:
    """Positions, velocities or accelerations (..., 2 or 3) from CARLA's frame to ours or back."""
    out = np.array(xyz, dtype=np.float64)
    out[..., 1] *= -1.0
    return out


def yaws_from_carla(yaw_deg: Array) -> Array:
    """Array form of `yaw_from_carla`."""
    return wrap_angles(-np.radians(np.asarray(yaw_deg, dtype=np.float64)))


def yaws_to_carla(yaw: Array) -> Array:
    """Array form of `yaw_to_carla`."""
    return np.degrees(wrap_angles(-np.asarray(yaw, dtype=np.float64)))


@njit(cache=True)
def angular_rate_from_carla(rate_deg: float) -> float:
    """Yaw rate as CARLA's actors report it [deg/s, clockwise] to ours [rad/s]."""
    return -math.radians(rate_deg)


@njit(cache=True)
def angular_rate_to_carla(rate: float) -> float:
    """Our yaw rate [rad/s] to that of CARLA's actors [deg/s]."""
    return -math.degrees(rate)


def pose_from_carla(transform: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """A wire transform to x, y, z [m], roll, pitch, yaw [rad] in our frame.

    Args:
        transform: [[x, y, z], [pitch, yaw, roll]] in CARLA's frame [m, deg].

    Returns:
        pose with roll left side up and pitch nose up, which are CARLA's own senses of the two.
    """
    (x, y, z), (pitch, yaw, roll) = transform
    return (
        float(x), -float(y), float(z),
        math.radians(roll), math.radians(pitch), yaw_from_carla(float(yaw)),
    )  # fmt: skip


def pose_to_carla(pose: Array) -> list[float]:
    """The inverse of `pose_from_carla`, as x, y, z [m], pitch, yaw, roll [deg] in CARLA's order.

    Args:
        pose: (6,) x, y, z [m], roll, pitch, yaw [rad], our frame.
    """
    x, y, z, roll, pitch, yaw = (float(v) for v in pose)
    return [x, -y, z, math.degrees(pitch), yaw_to_carla(yaw), math.degrees(roll)]


def vector_from_carla(vector: Sequence[float]) -> tuple[float, float, float]:
    """A position, velocity, acceleration or force between CARLA's frame and ours, either way."""
    return float(vector[0]), -float(vector[1]), float(vector[2])
