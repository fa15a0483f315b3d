"""Height and slope of the ground below a point, for kernels that ask for every actor every tick."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph
from headway.types import Array

MARGIN = 0.5  # [m] beyond a lane's edge that still counts as on it
LEVEL = 3.0  # [m] two roads further apart than this in height are different levels


class Ground(NamedTuple):
    """What the ground query reads of a `LaneGraph`, see there."""

    xyz: Array
    yaw: Array
    s: Array
    width: Array
    lane: Array
    first: Array
    origin: Array
    shape: Array
    start: Array
    point: Array
    cell: float


def ground_of(graph: LaneGraph) -> Ground:
    """The arrays of `graph` that `ground_at` needs, contiguous."""
    return Ground(
        np.ascontiguousarray(graph.xyz, np.float64),
        np.ascontiguousarray(graph.yaw, np.float64),
        np.ascontiguousarray(graph.s, np.float64),
        np.ascontiguousarray(graph.width, np.float64),
        np.ascontiguousarray(graph.point_lane, np.int64),
        np.ascontiguousarray(graph.point_start, np.int64),
        np.ascontiguousarray(graph.grid_origin, np.float64),
        np.ascontiguousarray(graph.grid_shape, np.int64),
        np.ascontiguousarray(graph.grid_start, np.int64),
        np.ascontiguousarray(graph.grid_point, np.int64),
        float(graph.grid_cell),
    )


@njit(cache=True)
def _offsets(g: Ground, p: int, x: float, y: float):
    dx, dy = x - g.xyz[p, 0], y - g.xyz[p, 1]
    c, n = math.cos(g.yaw[p]), math.sin(g.yaw[p])
    return dx * c + dy * n, -dx * n + dy * c


@njit(cache=True)
def _search(g: Ground, x: float, y: float, z: float, reach: int) -> int:
    """The point whose lane most likely carries (x, y), of those about as high as z; -1 for none."""
    ix = int(math.floor((x - g.origin[0]) / g.cell))
    iy = int(math.floor((y - g.origin[1]) / g.cell))
    best, best_cost = -1, math.inf
    for i in range(max(ix - reach, 0), min(ix + reach + 1, g.shape[0])):
        for j in range(max(iy - reach, 0), min(iy + reach + 1, g.shape[1])):
            cell = i * g.shape[1] + j
            for k in range(g.start[cell], g.start[cell + 1]):
                p = g.point[k]
                dx, dy = x - g.xyz[p, 0], y - g.xyz[p, 1]
                cost = dx * dx + dy * dy
                if abs(z - g.xyz[p, 2]) > LEVEL:
                    cost += 1e6  # another level, taken only where there is no other
                if cost < best_cost:
                    best, best_cost = p, cost
    return best


@njit(cache=True)
def _follow(g: Ground, p: int, x: float, y: float) -> int:
    """The nearest point of the same lane to (x, y), walking from `p`."""
    first, last = g.first[g.lane[p]], g.first[g.lane[p] + 1] - 1
    here = (x - g.xyz[p, 0]) ** 2 + (y - g.xyz[p, 1]) ** 2
    for step in (1, -1):
        while first <= p + step <= last:
            q = p + step
            there = (x - g.xyz[q, 0]) ** 2 + (y - g.xyz[q, 1]) ** 2
            if there >= here:
                break
            p, here = q, there
    return p


@njit(cache=True)
def ground_at(g: Ground, x: float, y: float, z: float, hint: int):
    """The ground below (x, y).

    Args:
        g: from `ground_of`.
        x, y: [m], our frame.
        z: [m] about where the asker is; tells a bridge from the road below it.
        hint: what the last call for this asker returned as point, -1 for none.

    Returns:
        point (the next call's hint, -1 off every lane), height [m], slope along x, slope along y
        of the map (tangents).
    """
    p = hint
    if p >= 0:
        p = _follow(g, p, x, y)
        along, across = _offsets(g, p, x, y)
        inside = abs(across) <= 0.5 * g.width[p] and abs(along) <= 1.5
        if not inside or abs(z - g.xyz[p, 2]) > LEVEL:
            p = -1
    if p < 0:
        p = _search(g, x, y, z, 1)
        if p < 0:
            return -1, 0.0, 0.0, 0.0
        along, across = _offsets(g, p, x, y)
        if abs(across) > 0.5 * g.width[p] + MARGIN or abs(along) > 3.0:
            return -1, 0.0, 0.0, 0.0
    first, last = g.first[g.lane[p]], g.first[g.lane[p] + 1] - 1
    q = p + 1 if (along >= 0.0 and p < last) or p == first else p - 1
    slope = 0.0
    if first <= q <= last and g.s[q] != g.s[p]:
        slope = (g.xyz[q, 2] - g.xyz[p, 2]) / (g.s[q] - g.s[p])
    c, n = math.cos(g.yaw[p]), math.sin(g.yaw[p])
    return p, g.xyz[p, 2] + slope * along, slope * c, slope * n


@njit(cache=True)
def nearest_height(g: Ground, x: float, y: float, z: float) -> float:
    """Height [m] of the lane point nearest to (x, y), however far; `z` where there is none."""
    best, height = math.inf, z
    for p in range(g.xyz.shape[0]):
        cost = (x - g.xyz[p, 0]) ** 2 + (y - g.xyz[p, 1]) ** 2
        if abs(z - g.xyz[p, 2]) > LEVEL:
            cost += 100.0  # prefer the own level where both are about as near
        if cost < best:
            best, height = cost, g.xyz[p, 2]
    return height
