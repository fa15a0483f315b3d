"""Questions to a LaneGraph, fast enough for every vehicle in every tick.

The kernels take `LaneArrays` (from `graph.arrays()`), so other kernels may call them; the plain
functions of the same meaning take the LaneGraph.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.frenet import interpolate, project_line, sample_before
from headway.road.grid import cells_near, is_far
from headway.road.ground import GroundArrays, ground_height
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.types import Array

__all__ = [
    "GroundArrays",
    "LaneArrays",
    "find_lane",
    "find_lanes",
    "ground_at",
    "ground_height",
    "lane_arrays",
    "lane_pose",
    "lanes_near",
    "nearest_lane",
    "nearest_lanes",
    "pose_at",
    "project",
    "project_on_lane",
]

METRES_PER_RADIAN = 3.0  # [m/rad] a wrong heading counts as much as this distance
STOREY_COST = 2.0  # [m/m] a wrong height counts twice
ALL_KINDS = 0xFF


class LaneArrays(NamedTuple):
    """What the kernels read of a LaneGraph; fields as there, contiguous.

    `cell_pose` (P, 6) holds x, y, z, yaw, cos yaw, sin yaw of the samples and `cell_kind` (P,)
    their kinds in the order of `grid_point`, so that a search reads memory from end to end.
    """

    kind: Array
    length: Array
    point_start: Array
    xyz: Array
    s: Array
    yaw: Array
    width: Array
    point_lane: Array
    grid_origin: Array
    grid_cell: float
    grid_shape: Array
    grid_start: Array
    grid_point: Array
    cell_pose: Array
    cell_kind: Array


def lane_arrays(graph: LaneGraph) -> LaneArrays:
    """Lay out `graph` for the kernels; call `graph.arrays()`, which keeps the result."""
    order = graph.grid_point
    yaw = graph.yaw[order]
    return LaneArrays(
        kind=np.array(graph.kind, np.int8),
        length=np.array(graph.length, np.float64),
        point_start=np.array(graph.point_start, np.int32),
        xyz=np.array(graph.xyz, np.float64, order="C"),
        s=np.array(graph.s, np.float64),
        yaw=np.array(graph.yaw, np.float64),
        width=np.array(graph.width, np.float64),
        point_lane=np.array(graph.point_lane, np.int32),
        grid_origin=np.array(graph.grid_origin, np.float64),
        grid_cell=float(graph.grid_cell),
        grid_shape=np.array(graph.grid_shape, np.int32),
        grid_start=np.array(graph.grid_start, np.int32),
        grid_point=np.array(graph.grid_point, np.int32),
        cell_pose=np.column_stack([graph.xyz[order], yaw, np.cos(yaw), np.sin(yaw)]),
        cell_kind=np.array(graph.kind[graph.point_lane[order]], np.int64),
    )


@njit(cache=True)
def lane_pose(lanes: LaneArrays, lane: int, s: float):
    """Pose on the centre of a lane, carried on straight beyond its ends.

    Returns:
        x, y, z [m] and yaw [rad], map frame.
    """
    first, last = lanes.point_start[lane], lanes.point_start[lane + 1] - 1
    return interpolate(lanes.xyz, lanes.yaw, lanes.s, first, last, s)


@njit(cache=True)
def lane_width(lanes: LaneArrays, lane: int, s: float) -> float:
    """Width [m] of a lane at arc length `s`."""
    first, last = lanes.point_start[lane], lanes.point_start[lane + 1] - 1
    p = sample_before(lanes.s, first, last, s)
    span = lanes.s[p + 1] - lanes.s[p]
    f = min(max((s - lanes.s[p]) / span, 0.0), 1.0) if span > 0.0 else 0.0
    return lanes.width[p] + f * (lanes.width[p + 1] - lanes.width[p])


@njit(cache=True)
def project_on_lane(lanes: LaneArrays, lane: int, x: float, y: float):
    """Project a point on the centre of a lane.

    Returns:
        s [m] (negative before the lane, above its length past it), d [m] left positive, and the
        lane's yaw [rad] there.
    """
    first, last = lanes.point_start[lane], lanes.point_start[lane + 1] - 1
    return project_line(lanes.xyz, lanes.yaw, lanes.s, first, last, first, last, x, y)


@njit(cache=True)
def find_lane(
    lanes: LaneArrays, x: float, y: float, z: float, yaw: float, kinds: int, radius: float
):
    """Find the lane that a pose belongs to.

    Args:
        lanes: the roads.
        x, y: [m] map frame.
        z: [m] height, so that the right storey is taken; nan: any.
        yaw: [rad] heading, so that the lane of that direction is taken; nan: any.
        kinds: bit `1 << LaneKind` for each kind that counts.
        radius: [m] how far to look.

    Returns:
        lane (-1: none within the radius), s [m], d [m] left positive.
    """
    nx, ny = lanes.grid_shape[0], lanes.grid_shape[1]
    reach = math.ceil(radius / lanes.grid_cell)
    if is_far(lanes.grid_origin, lanes.grid_cell, x, y):
        return -1, 0.0, 0.0
    cx = math.floor((x - lanes.grid_origin[0]) / lanes.grid_cell)
    cy = math.floor((y - lanes.grid_origin[1]) / lanes.grid_cell)
    fx = (x - lanes.grid_origin[0]) - cx * lanes.grid_cell
    fy = (y - lanes.grid_origin[1]) - cy * lanes.grid_cell
    margin = min(fx, lanes.grid_cell - fx, fy, lanes.grid_cell - fy)
    best, best_k = 1e300, -1
    for ring in range(reach + 1):
        # Rings from the inside out: nothing farther out can be nearer than this.
        if best < (ring - 1) * lanes.grid_cell + margin - 0.5:
            break
        for ix in range(max(cx - ring, 0), min(cx + ring, nx - 1) + 1):
            edge = ix == cx - ring or ix == cx + ring
            for iy in range(max(cy - ring, 0), min(cy + ring, ny - 1) + 1):
                if not edge and iy != cy - ring and iy != cy + ring:
                    continue
                cell = ix * ny + iy
                for k in range(lanes.grid_start[cell], lanes.grid_start[cell + 1]):
                    cost = _cost(lanes.cell_pose, k, x, y, z, yaw, min(best, radius))
                    if cost < best and (kinds >> lanes.cell_kind[k]) & 1:
                        best, best_k = cost, k
    if best_k < 0:
        return -1, 0.0, 0.0
    best_p = lanes.grid_point[best_k]
    lane = lanes.point_lane[best_p]
    first, last = int(lanes.point_start[lane]), int(lanes.point_start[lane + 1]) - 1
    low, high = max(best_p - 2, first), min(best_p + 2, last)
    line = (lanes.xyz, lanes.yaw, lanes.s)
    s, d, _ = project_line(*line, first, last, low, high, x, y)
    return lane, s, d


@njit(cache=True)
def _cost(pose, k, x, y, z, yaw, limit):
    dx, dy = x - pose[k, 0], y - pose[k, 1]
    square = dx * dx + dy * dy
    if square > limit * limit + 0.25:
        return 1e300
    # Along the lane the samples lie apart, which must not count; off the end of it, it does.
    along = dx * pose[k, 4] + dy * pose[k, 5]
    cost = math.sqrt(max(square - min(along * along, 0.25), 0.0))
    if not math.isnan(z):
        cost += STOREY_COST * max(abs(z - pose[k, 2]) - 1.0, 0.0)
    if not math.isnan(yaw):
        cost += METRES_PER_RADIAN * abs(wrap_angle(yaw - pose[k, 3]))
    return cost


@njit(cache=True)
def find_lanes(lanes: LaneArrays, xyz, yaw, kinds: int, radius: float, lane, s, d):
    """Form of `find_lane` for many poses; writes lane (n,) int, s (n,), d (n,)."""
    for i in range(len(xyz)):
        lane[i], s[i], d[i] = find_lane(
            lanes, xyz[i, 0], xyz[i, 1], xyz[i, 2], yaw[i], kinds, radius
        )


def kind_bits(kinds: Iterable[LaneKind] | None) -> int:
    """Return the bit set of `kinds` that the kernels take; None means all."""
    return ALL_KINDS if kinds is None else sum({1 << int(kind) for kind in kinds})


def nearest_lane(
    graph: LaneGraph,
    x: float,
    y: float,
    yaw: float | None = None,
    kinds: Iterable[LaneKind] | None = (LaneKind.DRIVING,),
    z: float | None = None,
    radius: float = 15.0,
) -> tuple[int, float, float]:
    """Find the lane that a pose belongs to; see `find_lane`.

    Returns:
        lane (-1: none within the radius), s [m], d [m] left positive.
    """
    unknown = float("nan")
    lane, s, d = find_lane(
        graph.arrays(),
        float(x),
        float(y),
        unknown if z is None else float(z),
        unknown if yaw is None else float(yaw),
        kind_bits(kinds),
        float(radius),
    )
    return int(lane), float(s), float(d)


def nearest_lanes(
    graph: LaneGraph,
    xyz: Array,
    yaw: Array,
    kinds: Iterable[LaneKind] | None = (LaneKind.DRIVING,),
    radius: float = 15.0,
) -> tuple[Array, Array, Array]:
    """Form of `nearest_lane` for many poses.

    Args:
        graph: the roads.
        xyz: (n, 3) [m], map frame; z may be nan.
        yaw: (n,) [rad]; may be nan.
        kinds: which lanes count.
        radius: [m] how far to look.

    Returns:
        lane (n,) int64, s (n,) [m], d (n,) [m].
    """
    n = len(xyz)
    lane, s, d = np.empty(n, np.int64), np.empty(n), np.empty(n)
    find_lanes(
        graph.arrays(),
        np.ascontiguousarray(xyz, np.float64),
        np.ascontiguousarray(yaw, np.float64),
        kind_bits(kinds),
        float(radius),
        lane,
        s,
        d,
    )
    return lane, s, d


def lanes_near(
    graph: LaneGraph,
    x: float,
    y: float,
    radius: float,
    kinds: Iterable[LaneKind] | None = (LaneKind.DRIVING,),
) -> Array:
    """Return the lanes that have a sample within `radius` [m] of a point, in ascending order."""
    lanes = graph.arrays()
    x0, x1, y0, y1 = cells_near(
        lanes.grid_origin, lanes.grid_cell, lanes.grid_shape, float(x), float(y), float(radius)
    )
    ny, start = graph.grid_shape[1], graph.grid_start
    rows = [
        graph.grid_point[start[ix * ny + y0] : start[ix * ny + y1]]
        for ix in range(x0, x1)
        if y0 < y1
    ]
    points = np.concatenate([np.zeros(0, np.int32), *rows])
    close = np.hypot(graph.xyz[points, 0] - x, graph.xyz[points, 1] - y) <= radius
    found = np.unique(graph.point_lane[points[close]])
    return found[((kind_bits(kinds) >> graph.kind[found].astype(np.int64)) & 1).astype(bool)]


def project(graph: LaneGraph, lane: int, x: float, y: float) -> tuple[float, float]:
    """Project a point on a lane; returns s [m], d [m] left positive.

    Raises:
        IndexError: there is no such lane.
    """
    s, d, _ = project_on_lane(graph.arrays(), _checked(graph, lane), float(x), float(y))
    return float(s), float(d)


def pose_at(graph: LaneGraph, lane: int, s: float) -> tuple[float, float, float, float]:
    """Return x, y, z [m] and yaw [rad] on a lane's centre at arc length `s` [m].

    Raises:
        IndexError: there is no such lane.
    """
    x, y, z, yaw = lane_pose(graph.arrays(), _checked(graph, lane), float(s))
    return float(x), float(y), float(z), float(yaw)


def _checked(graph: LaneGraph, lane: int) -> int:
    """The kernels do not look: -1, which says that there is no lane, would read anywhere."""
    if not 0 <= lane < graph.num_lanes:
        raise IndexError(
            f"{graph.name}: no lane {lane}; expected 0 to {graph.num_lanes - 1} (-1 means none)"
        )
    return int(lane)


def ground_at(
    graph: LaneGraph, x: float, y: float, z: float | None = None
) -> tuple[float, float, float]:
    """Return height [m] of the ground and its slopes dz/dx, dz/dy; see `ground_height`."""
    hint = float("nan") if z is None else float(z)
    height, slope_x, slope_y = ground_height(graph.ground_arrays(), float(x), float(y), hint)
    return float(height), float(slope_x), float(slope_y)
