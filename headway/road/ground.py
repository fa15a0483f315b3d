"""Height and slope of the ground anywhere in a town, as a raster with two storeys.

The lanes' heights are laid on a raster. Where roads pass over each other a node holds the heights
of both, and who asks says how high it is now. A query is bilinear between four nodes: a few tens
of nanoseconds, continuous, the same for all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph
from headway.types import Array

CELL = 1.0  # [m] between nodes
MAX_NODES = 6_000_000  # larger towns get a coarser raster
REACH = 8.0  # [m] around lanes where the raster knows the ground
LEVEL = 1e-3  # [m] a town with less between its highest and lowest place is flat
STOREY = 0.7  # [m] of height that makes another storey
SMOOTH = (
    3.0  # [m] over which heights are averaged: ways that cross differ by up to 0.25 m in Town04
)
LONGEST_EXTENSION = 1.5  # [m] along a lane from a sample for which its slope is believed


class GroundArrays(NamedTuple):
    """The raster.

    Attributes:
        origin: (2,) [m] of node 0, 0, map frame.
        cell: [m] between nodes.
        height: (nx, ny, 2) float32 [m] of both storeys, the same twice where there is one.
    """

    origin: Array
    cell: float
    height: Array


@njit(cache=True)
def ground_height(ground: GroundArrays, x: float, y: float, z: float):
    """Height and slopes of the ground.

    Args:
        ground: the raster.
        x, y: [m] map frame; beyond the raster's edge the edge counts.
        z: [m] height now: of several storeys the nearest is taken; nan: the top one.

    Returns:
        height [m], slopes dz/dx and dz/dy [-].
    """
    nx, ny = ground.height.shape[0], ground.height.shape[1]
    # In this order nan becomes 0: as an integer it is any node of memory.
    gx = min(max(0.0, (x - ground.origin[0]) / ground.cell), nx - 1.000001)
    gy = min(max(0.0, (y - ground.origin[1]) / ground.cell), ny - 1.000001)
    ix, iy = int(gx), int(gy)
    fx, fy = gx - ix, gy - iy
    a = _storey(ground.height, ix, iy, z)
    b = _storey(ground.height, ix + 1, iy, z)
    c = _storey(ground.height, ix, iy + 1, z)
    d = _storey(ground.height, ix + 1, iy + 1, z)
    height = (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy
    slope_x = ((b - a) * (1.0 - fy) + (d - c) * fy) / ground.cell
    slope_y = ((c - a) * (1.0 - fx) + (d - b) * fx) / ground.cell
    return height, slope_x, slope_y


@njit(cache=True)
def _storey(height, ix, iy, z):
    first, second = height[ix, iy, 0], height[ix, iy, 1]
    if math.isnan(z):
        return float(max(first, second))
    return float(first if abs(z - first) <= abs(z - second) else second)


@njit(cache=True)
def ground_poses(ground: GroundArrays, x, y, yaw, z, grade, active):
    """Put many bodies on the ground.

    Args:
        ground: the raster.
        x, y, yaw: (N,) [m], [m], [rad] map frame.
        z: (N,) [m] heights now, replaced by those of the ground.
        grade: (N, 2) out: slope along the body's x (ahead) and y (left), rise over run.
        active: (N,) bool, rows to do.
    """
    for i in range(len(x)):
        if not active[i]:
            continue
        z[i], slope_x, slope_y = ground_height(ground, x[i], y[i], z[i])
        c, n = math.cos(yaw[i]), math.sin(yaw[i])
        grade[i, 0] = slope_x * c + slope_y * n
        grade[i, 1] = -slope_x * n + slope_y * c


def make_ground(graph: LaneGraph) -> GroundArrays:
    """Lay the raster of a town; call `graph.ground_arrays()`, which keeps the result."""
    low = graph.xyz[:, :2].min(axis=0) - REACH - CELL
    size = graph.xyz[:, :2].max(axis=0) + REACH + CELL - low
    if np.ptp(graph.xyz[:, 2]) < LEVEL:
        flat = np.full((2, 2, 2), graph.xyz[:, 2].mean(), np.float32)
        return GroundArrays(low, float(size.max()), flat)
    cell = CELL
    while np.prod(np.ceil(size / cell) + 2.0) > MAX_NODES:
        cell *= 2.0
    nx, ny = (int(n) for n in np.ceil(size / cell) + 2.0)
    height = np.full((nx, ny, 2), np.nan, np.float32)
    nearest = np.full((nx, ny), np.inf, np.float32)
    xyz = np.array(graph.xyz, np.float64, order="C")
    arrays = (xyz, np.array(graph.yaw, np.float64), _slopes(graph))
    reach = max(REACH, 2.0 * cell)
    _splat(*arrays, low, cell, reach, height, nearest, 0)
    nearest[:] = np.inf
    _splat(*arrays, low, cell, reach, height, nearest, 1)
    for storey in (0, 1):
        _smooth(*arrays, low, cell, max(SMOOTH, 1.5 * cell), height, storey)
    _spread(height)
    return GroundArrays(low, cell, height)


def _slopes(graph: LaneGraph) -> Array:
    slopes = np.zeros(len(graph.s))
    for i in range(graph.num_lanes):
        rows = graph.points(i)
        if graph.length[i] > 0.5:
            slopes[rows] = np.gradient(graph.xyz[rows, 2], graph.s[rows])
    return slopes


@njit(cache=True)
def _square(x, y, reach, cell, shape):
    """First and one past the last node of the raster within a square around a place, x and y."""
    x0, x1 = math.ceil((x - reach) / cell), math.floor((x + reach) / cell)
    y0, y1 = math.ceil((y - reach) / cell), math.floor((y + reach) / cell)
    return max(x0, 0), min(x1 + 1, shape[0]), max(y0, 0), min(y1 + 1, shape[1])


@njit(cache=True)
def _splat(xyz, yaw, slope, low, cell, reach, height, nearest, storey):
    """Give each node the height of the nearest sample; for storey 1 of those far from storey 0."""
    for p in range(len(xyz)):
        x, y = xyz[p, 0] - low[0], xyz[p, 1] - low[1]
        c, n = math.cos(yaw[p]), math.sin(yaw[p])
        x0, x1, y0, y1 = _square(x, y, reach, cell, nearest.shape)
        for ix in range(x0, x1):
            for iy in range(y0, y1):
                dx, dy = ix * cell - x, iy * cell - y
                distance = dx * dx + dy * dy
                if distance > reach * reach or distance >= nearest[ix, iy]:
                    continue
                along = min(max(dx * c + dy * n, -LONGEST_EXTENSION), LONGEST_EXTENSION)
                z = xyz[p, 2] + slope[p] * along
                if storey == 1 and abs(z - height[ix, iy, 0]) < STOREY:
                    continue
                nearest[ix, iy] = distance
                height[ix, iy, storey] = z


@njit(cache=True)
def _smooth(xyz, yaw, slope, low, cell, reach, height, storey):
    """Average the samples of a storey around each node, the near ones counting most."""
    nx, ny = height.shape[0], height.shape[1]
    total = np.zeros((nx, ny))
    weights = np.zeros((nx, ny))
    for p in range(len(xyz)):
        x, y = xyz[p, 0] - low[0], xyz[p, 1] - low[1]
        c, n = math.cos(yaw[p]), math.sin(yaw[p])
        x0, x1, y0, y1 = _square(x, y, reach, cell, weights.shape)
        for ix in range(x0, x1):
            for iy in range(y0, y1):
                if math.isnan(height[ix, iy, storey]):
                    continue
                dx, dy = ix * cell - x, iy * cell - y
                near = 1.0 - (dx * dx + dy * dy) / (reach * reach)
                z = xyz[p, 2] + slope[p] * (dx * c + dy * n)
                if near <= 0.0 or abs(z - height[ix, iy, storey]) >= STOREY:
                    continue
                total[ix, iy] += near * near * z
                weights[ix, iy] += near * near
    for ix in range(nx):
        for iy in range(ny):
            if weights[ix, iy] > 0.0:
                height[ix, iy, storey] = total[ix, iy] / weights[ix, iy]


@njit(cache=True)
def _spread(height):
    """Fill nodes beyond every lane from their neighbours, and second storeys where there is one."""
    nx, ny = height.shape[0], height.shape[1]
    queue = np.empty(nx * ny, np.int64)
    head, tail = 0, 0
    for ix in range(nx):
        for iy in range(ny):
            if not math.isnan(height[ix, iy, 0]):
                queue[tail] = ix * ny + iy
                tail += 1
                if math.isnan(height[ix, iy, 1]):
                    height[ix, iy, 1] = height[ix, iy, 0]
    while head < tail:
        ix, iy = queue[head] // ny, queue[head] % ny
        head += 1
        for k in range(4):
            jx, jy = ix + (k == 0) - (k == 1), iy + (k == 2) - (k == 3)
            if 0 <= jx < nx and 0 <= jy < ny and math.isnan(height[jx, jy, 0]):
                height[jx, jy, 0] = height[ix, iy, 0]
                height[jx, jy, 1] = height[ix, iy, 1]
                queue[tail] = jx * ny + jy
                tail += 1
