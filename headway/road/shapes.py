"""Oriented boxes and polygons on the ground: corners, overlap, distance, crosswalks."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numba import njit

from headway.road.lane_graph import LaneGraph
from headway.types import Array


@njit(cache=True)
def boxes_overlap(
    ax: float, ay: float, a_yaw: float, a_half_length: float, a_half_width: float,
    bx: float, by: float, b_yaw: float, b_half_length: float, b_half_width: float,
) -> bool:  # fmt: skip
    """Whether two oriented boxes share a point (separating axis theorem); SI, map frame."""
    dx, dy = bx - ax, by - ay
    reach = math.hypot(a_half_length, a_half_width) + math.hypot(b_half_length, b_half_width)
    if dx * dx + dy * dy > reach * reach:
        return False
    return boxes_share_axes(
        dx, dy, math.cos(a_yaw), math.sin(a_yaw), a_half_length, a_half_width,
        math.cos(b_yaw), math.sin(b_yaw), b_half_length, b_half_width,
    )  # fmt: skip


@njit(cache=True)
def boxes_share_axes(
    dx: float, dy: float,
    ca: float, sa: float, a_half_length: float, a_half_width: float,
    cb: float, sb: float, b_half_length: float, b_half_width: float,
) -> bool:  # fmt: skip
    """The separating axes of two boxes, `dx`, `dy` [m] apart, whose directions are prepared.

    Args:
        dx, dy: from one centre to the other [m].
        ca, sa, cb, sb: cosine and sine of the boxes' yaws.
        a_half_length, a_half_width, b_half_length, b_half_width: [m].

    Returns:
        Whether the projections meet on all four axes: the boxes share a point.
    """
    c, n = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    if abs(dx * ca + dy * sa) > a_half_length + b_half_length * c + b_half_width * n:
        return False
    if abs(-dx * sa + dy * ca) > a_half_width + b_half_length * n + b_half_width * c:
        return False
    if abs(dx * cb + dy * sb) > b_half_length + a_half_length * c + a_half_width * n:
        return False
    return abs(-dx * sb + dy * cb) <= b_half_width + a_half_length * n + a_half_width * c


@njit(cache=True)
def box_distance(x: float, y: float, bx: float, by: float, yaw: float, hl: float, hw: float):
    """Distance [m] from a point to an oriented box of half length `hl` and half width `hw`."""
    c, n = math.cos(yaw), math.sin(yaw)
    dx, dy = x - bx, y - by
    along = max(abs(dx * c + dy * n) - hl, 0.0)
    across = max(abs(-dx * n + dy * c) - hw, 0.0)
    return math.hypot(along, across)


@njit(cache=True)
def overlaps(pose, extent, poses, extents, out):
    """Whether one box overlaps each of many; writes `out` (n,) bool.

    Args:
        pose: (3,) x, y [m], yaw [rad]; extent: (2,) half length, half width [m].
        poses: (n, 3); extents: (n, 2).
        out: (n,) bool.
    """
    for i in range(len(poses)):
        out[i] = boxes_overlap(
            pose[0], pose[1], pose[2], extent[0], extent[1],
            poses[i, 0], poses[i, 1], poses[i, 2], extents[i, 0], extents[i, 1],
        )  # fmt: skip


@njit(cache=True)
def point_in_polygon(x: float, y: float, polygon) -> bool:
    """Whether a point lies in a polygon (k, 2), by the even-odd rule."""
    inside = False
    j = len(polygon) - 1
    for i in range(len(polygon)):
        xi, yi, xj, yj = polygon[i, 0], polygon[i, 1], polygon[j, 0], polygon[j, 1]
        if (yi > y) != (yj > y) and x < (xj - xi) * (y - yi) / (yj - yi) + xi:
            inside = not inside
        j = i
    return inside


def box_corners(poses: Array, extents: Array) -> Array:
    """Corners of oriented boxes.

    Args:
        poses: (..., 3) x, y [m], yaw [rad].
        extents: (..., 2) half length, half width [m].

    Returns:
        (..., 4, 2) [m]: front left, rear left, rear right, front right (counter-clockwise).
    """
    poses, extents = np.asarray(poses, np.float64), np.asarray(extents, np.float64)
    signs = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    local = signs * extents[..., None, :]
    c, n = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])
    x = poses[..., 0, None] + local[..., 0] * c - local[..., 1] * n
    y = poses[..., 1, None] + local[..., 0] * n + local[..., 1] * c
    return np.stack([x, y], axis=-1)


def box_polygons(poses: Array, extents: Array) -> Array:
    """Return shapely polygons (...,) of oriented boxes; arguments as `box_corners`."""
    return np.asarray(shapely.polygons(box_corners(poses, extents)))


def crosswalk(graph: LaneGraph, index: int) -> Array:
    """Return the corners (k, 2) [m] of a crosswalk."""
    return graph.crosswalk_xy[graph.crosswalk_start[index] : graph.crosswalk_start[index + 1]]


def crosswalk_polygons(graph: LaneGraph) -> Array:
    """Return all crosswalks as shapely polygons (C,)."""
    count = len(graph.crosswalk_start) - 1
    return np.array([shapely.Polygon(crosswalk(graph, i)) for i in range(count)], dtype=object)


def lane_polygon(graph: LaneGraph, lane: int) -> shapely.Polygon:
    """Return the area of a lane as a shapely polygon."""
    rows = graph.points(lane)
    normal = np.stack([-np.sin(graph.yaw[rows]), np.cos(graph.yaw[rows])], axis=-1)
    offset = 0.5 * graph.width[rows, None] * normal
    xy = graph.xyz[rows, :2]
    return shapely.Polygon(np.concatenate([xy - offset, (xy + offset)[::-1]]))
