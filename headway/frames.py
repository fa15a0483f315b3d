"""Angles, rotations and local frames, in radians; jitted for scalars, plain for arrays."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.types import Array


@njit(cache=True)
def wrap_angle(angle: float) -> float:
    """Wrap an angle [rad] to (-pi, pi]."""
    return math.pi - (math.pi - angle) % (2.0 * math.pi)


def wrap_angles(angle: Array) -> Array:
    """Wrap angles (...) [rad] to (-pi, pi]."""
    return np.pi - (np.pi - np.asarray(angle, dtype=np.float64)) % (2.0 * np.pi)


@njit(cache=True)
def rotate(x: float, y: float, angle: float) -> tuple[float, float]:
    """Turn the vector (x, y) by `angle` [rad] counter-clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    return c * x - s * y, s * x + c * y


@njit(cache=True)
def to_local(
    x: float, y: float, origin_x: float, origin_y: float, yaw: float
) -> tuple[float, float]:
    """Express the map point (x, y) in the frame at (origin_x, origin_y) facing `yaw` [rad]."""
    return rotate(x - origin_x, y - origin_y, -yaw)


@njit(cache=True)
def to_map(x: float, y: float, origin_x: float, origin_y: float, yaw: float) -> tuple[float, float]:
    """Express a point of the frame at (origin_x, origin_y) facing `yaw` [rad] in the map."""
    rx, ry = rotate(x, y, yaw)
    return origin_x + rx, origin_y + ry


def rotations(angle: Array) -> Array:
    """Return the rotation matrices (..., 2, 2) that turn vectors by `angle` (...) [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def points_to_local(xy: Array, pose: Array) -> Array:
    """Express map points (..., 2) [m] in the frame of `pose` (3,) x, y [m], yaw [rad]."""
    return (np.asarray(xy, dtype=np.float64) - pose[:2]) @ rotations(np.asarray(pose[2]))


def points_to_map(xy: Array, pose: Array) -> Array:
    """Express points (..., 2) [m] of the frame of `pose` (3,) in the map; undoes the former."""
    return np.asarray(xy, dtype=np.float64) @ rotations(np.asarray(pose[2])).T + pose[:2]


def boxes(pose: Array, extent: Array) -> Array:
    """Return the corners (..., 4, 2) [m] of boxes, counter-clockwise from front left.

    Args:
        pose: (..., 3) x, y [m], yaw [rad] of the centres, map frame.
        extent: (..., 2) half length, half width [m].
    """
    unit = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    local = unit * np.asarray(extent, dtype=np.float64)[..., None, :]
    turned = local @ np.swapaxes(rotations(np.asarray(pose)[..., 2]), -1, -2)
    return turned + np.asarray(pose)[..., None, :2]
