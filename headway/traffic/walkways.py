"""Where walkers walk and cross: a small network made once from a LaneGraph.

Walkways are the sidewalks; where a road has none they run along its edge. Ends that meet are
joined. Crossings are the town's crosswalks, and the corners of junctions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.road.grid import cells_near
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.traffic.arrays import RoadArrays
from headway.types import Array

EDGE_GAP = 1.2  # [m] from the carriageway to a walkway along the road's edge
EDGE_SPEED_LIMIT = 20.0  # [m/s] nobody walks along faster roads
JOIN = 4.0  # [m] ends nearer than this are one way
CROSS_MIN, CROSS_MAX = 4.0, 24.0  # [m] length of a crossing
INSET = 1.5  # [m] a corner crossing begins this far from the walkway's end
ANYWHERE = 15.0  # [m] between the places where jaywalkers may cross
MIN_LENGTH = 3.0  # [m] of a walkway


class WalkNet(NamedTuple):
    """Walkways (W), their joins and crossings (C), in the map frame.

    Attributes:
        point_start: (W+1,) int32; x, y, z, s: (*,) [m] samples.
        length: (W,) [m].
        join_start: (2W+1,) int32 by end (2w the start, 2w+1 the end); join: (*,) int32 ends.
        cross_start: (W+1,) int32, rows of `cross`; cross: (C,) int32 crossings by walkway.
        cross_way, cross_s: (C,) int32, [m] where a crossing begins; it ends where crossing
            `c ^ 1`, the same one the other way, begins.
        cross_xy: (C, 4) [m] from x, y, to x, y.
        cross_anywhere: (C,) bool, those that only jaywalkers use.
    """

    point_start: Array
    x: Array
    y: Array
    z: Array
    s: Array
    length: Array
    join_start: Array
    join: Array
    cross_start: Array
    cross: Array
    cross_way: Array
    cross_s: Array
    cross_xy: Array
    cross_anywhere: Array


@njit(cache=True)
def clearance(road: RoadArrays, x: float, y: float) -> float:
    """Distance [m] from a point to the nearest driving lane's edge, negative on it, 8 at most."""
    x0, x1, y0, y1 = cells_near(road.grid_origin, road.grid_cell, road.grid_shape, x, y, 12.0)
    best = 8.0
    for ix in range(x0, x1):
        for iy in range(y0, y1):
            c = ix * road.grid_shape[1] + iy
            for k in range(road.grid_start[c], road.grid_start[c + 1]):
                p = road.grid_point[k]
                if road.lane[road.point[p].lane].driving:
                    dist = (
                        math.hypot(x - road.point[p].x, y - road.point[p].y)
                        - 0.5 * road.point[p].width
                    )
                    best = min(best, dist)
    return best


def build_walk_net(graph: LaneGraph, road: RoadArrays, anywhere: bool = False) -> WalkNet:
    """Make the walkers' network of a town; jaywalkers need one to cross `anywhere`.

    It takes up to a second, so the last town's is kept: a suite drives many routes in each.
    """
    graph_before, net = _last.get(anywhere, (None, None))
    if net is None or graph_before is not graph:
        net = _build(graph, road, anywhere)
        _last[anywhere] = graph, net
    return net


_last: dict[bool, tuple[LaneGraph, WalkNet]] = {}


def _build(graph: LaneGraph, road: RoadArrays, anywhere: bool) -> WalkNet:
    ways = _sidewalks(graph) + _edges(graph)
    ways = [piece for way in ways for piece in _off_road(road, way)]
    joins = _joins(road, ways)
    crossings = _crosswalks(graph, ways)
    crossings = _thin(crossings + _corners(road, ways, joins), ways)
    between = _straight_across(road, ways) if anywhere else []
    return _pack(ways, joins, crossings, between)


def _sidewalks(graph: LaneGraph) -> list[Array]:
    lanes = np.flatnonzero(graph.kind == LaneKind.SIDEWALK)
    return [np.array(graph.xyz[graph.points(int(i))]) for i in lanes]


def _edges(graph: LaneGraph) -> list[Array]:
    """Ways along the edge of roads without a sidewalk."""
    beyond: dict[tuple[int, int], list[int]] = {}
    for i in range(graph.num_lanes):
        beyond.setdefault((int(graph.road_id[i]), int(graph.section_id[i])), []).append(i)
    ways = []
    for i in np.flatnonzero(graph.kind == LaneKind.DRIVING):
        if graph.junction[i] >= 0 or graph.speed_limit[i] > EDGE_SPEED_LIMIT:
            continue
        own = graph.lane_id[i]
        outer = [
            j
            for j in beyond[int(graph.road_id[i]), int(graph.section_id[i])]
            if graph.lane_id[j] * own > 0 and abs(graph.lane_id[j]) > abs(own)
        ]
        if any(graph.kind[j] in (LaneKind.SIDEWALK, LaneKind.DRIVING) for j in outer):
            continue
        rows = graph.points(int(i))
        aside = 0.5 * graph.width[rows] + EDGE_GAP
        for j in outer:
            if graph.kind[j] in (LaneKind.PARKING, LaneKind.BIKING):
                aside = aside + float(np.mean(graph.width[graph.points(j)]))
        yaw = graph.yaw[rows]
        normal = np.stack([np.sin(yaw), -np.cos(yaw), np.zeros(len(yaw))], axis=1)
        ways.append(graph.xyz[rows] + aside[:, None] * normal)
    return ways


def _off_road(road: RoadArrays, way: Array) -> list[Array]:
    """The pieces of `way` that do not lie on a driving lane."""
    free = np.array([clearance(road, x, y) > 0.25 for x, y, _ in way])
    cuts = np.flatnonzero(np.diff(free.astype(np.int8))) + 1
    pieces = np.split(way, cuts)
    flags = np.split(free, cuts)
    kept = [p for p, f in zip(pieces, flags, strict=True) if len(f) and f[0] and len(p) > 1]
    return [p for p in kept if _arc(p)[-1] > MIN_LENGTH]


def _joins(road: RoadArrays, ways: list[Array]) -> list[list[int]]:
    if not ways:
        return []
    ends = np.array([way[k, :2] for way in ways for k in (0, -1)])
    joins: list[list[int]] = []
    for e, end in enumerate(ends):
        near = np.flatnonzero(np.hypot(*(ends - end).T) < JOIN)
        joins.append([
            int(o) for o in near
            if o // 2 != e // 2 and clearance(road, *(0.5 * (ends[o] + end))) > 0.1
        ])  # fmt: skip
    return joins


Crossing = tuple[int, int, int, int]  # way, sample, other way, sample


def _crosswalks(graph: LaneGraph, ways: list[Array]) -> list[Crossing]:
    if not ways:
        return []
    points, owner, index = _all_points(ways)
    found: list[Crossing] = []
    for c in range(len(graph.crosswalk_start) - 1):
        ring = graph.crosswalk_xy[graph.crosswalk_start[c] : graph.crosswalk_start[c + 1], :2]
        box = _rectangle(ring)
        if box is None:
            continue
        a, b = (int(np.argmin(np.hypot(*(points - end).T))) for end in box)
        gap = max(np.hypot(*(points[a] - box[0])), np.hypot(*(points[b] - box[1])))
        if gap < 6.0 and owner[a] != owner[b]:
            found.append((owner[a], index[a], owner[b], index[b]))
    return found


def _rectangle(ring: Array) -> tuple[Array, Array] | None:
    """The two ends of a crosswalk's long axis."""
    if len(ring) < 4:
        return None
    ring = ring[:4]
    sides = np.hypot(*(np.roll(ring, -1, axis=0) - ring).T)
    k = 0 if sides[0] + sides[2] < sides[1] + sides[3] else 1
    return 0.5 * (ring[k] + ring[k + 1]), 0.5 * (ring[(k + 2) % 4] + ring[(k + 3) % 4])


def _all_points(ways: list[Array]) -> tuple[Array, Array, Array]:
    points = np.concatenate(ways)[:, :2]
    owner = np.concatenate([np.full(len(way), w) for w, way in enumerate(ways)])
    index = np.concatenate([np.arange(len(way)) for way in ways])
    return points, owner, index


def _corners(road: RoadArrays, ways: list[Array], joins: list[list[int]]) -> list[Crossing]:
    """Crossings near the ends of walkways, straight across or straight on over a side road."""
    if not ways:
        return []
    points, owner, index = _all_points(ways)
    found: set[Crossing] = set()
    for w, way in enumerate(ways):
        for at_end in (False, True):
            ordered = way[::-1, :2] if at_end else way[:, :2]
            k = min(round(INSET), len(way) - 1)
            start = ordered[k]
            along = ordered[0] - ordered[min(3, len(way) - 1)]
            along = along / max(np.hypot(*along), 1e-9)
            delta = points - start
            dist = np.hypot(*delta.T)
            forward = delta @ along
            sideways = np.abs(delta[:, 0] * along[1] - delta[:, 1] * along[0])
            fits = (dist > CROSS_MIN) & (dist < CROSS_MAX) & (owner != w)
            across = fits & (np.abs(forward) < 0.8)
            onward = fits & (sideways < 2.5) & (forward > 0.0) & (not joins[2 * w + at_end])
            for group in (across, onward):
                nearest = np.flatnonzero(group)[np.argsort(dist[group], kind="stable")]
                for p in nearest[:4]:
                    if _over_road(road, start, points[p]):
                        here = len(way) - 1 - k if at_end else k
                        a, b = (w, here), (int(owner[p]), int(index[p]))
                        found.add((*min(a, b), *max(a, b)))
                        break
    return sorted(found)


def _straight_across(road: RoadArrays, ways: list[Array]) -> list[Crossing]:
    """Ways straight over the road, so far apart along each walkway, away from its ends."""
    if not ways:
        return []
    points, owner, index = _all_points(ways)
    found: list[Crossing] = []
    for w, way in enumerate(ways):
        arc = _arc(way)
        for s in np.arange(ANYWHERE, arc[-1] - 0.5 * ANYWHERE, ANYWHERE):
            k = int(np.searchsorted(arc, s))
            along = way[k, :2] - way[k - 1, :2]
            along = along / max(np.hypot(*along), 1e-9)
            near = np.flatnonzero(np.abs(points - way[k, :2]).max(axis=1) < CROSS_MAX)
            delta = points[near] - way[k, :2]
            dist = np.hypot(*delta.T)
            # Each pair of walkways once: crossings go both ways.
            fits = (owner[near] > w) & (dist > CROSS_MIN) & (dist < CROSS_MAX)
            fits &= np.abs(delta @ along) < 0.8
            for p in near[fits][np.argsort(dist[fits], kind="stable")][:4]:
                if _over_road(road, way[k, :2], points[p]):
                    found.append((w, k, int(owner[p]), int(index[p])))
                    break
    return found


def _over_road(road: RoadArrays, a: Array, b: Array) -> bool:
    inside = [clearance(road, *(a + f * (b - a))) < 0.0 for f in np.linspace(0.0, 1.0, 13)]
    return bool(np.mean(inside) > 0.4 and not inside[0] and not inside[-1])


def _thin(crossings: list[Crossing], ways: list[Array]) -> list[Crossing]:
    """Drop crossings that begin and end within 4 m of another."""
    kept: list[Crossing] = []
    for c in crossings:
        a, b = ways[c[0]][c[1], :2], ways[c[2]][c[3], :2]
        if not any(
            min(
                np.hypot(*(a - ways[k[0]][k[1], :2])) + np.hypot(*(b - ways[k[2]][k[3], :2])),
                np.hypot(*(b - ways[k[0]][k[1], :2])) + np.hypot(*(a - ways[k[2]][k[3], :2])),
            ) < 8.0
            for k in kept
        ):  # fmt: skip
            kept.append(c)
    return kept


def _arc(way: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way[:, :2], axis=0).T))])


def _pack(
    ways: list[Array], joins: list[list[int]], crossings: list[Crossing], between: list[Crossing]
) -> WalkNet:
    arc = [_arc(w) for w in ways]
    both = [d for a, m, b, n in crossings + between for d in ((a, m, b, n), (b, n, a, m))]
    cross_way = np.array([d[0] for d in both], np.int32)
    points = np.concatenate(ways) if ways else np.zeros((0, 3))
    return WalkNet(
        point_start=np.cumsum([0] + [len(w) for w in ways]).astype(np.int32),
        x=np.ascontiguousarray(points[:, 0]),
        y=np.ascontiguousarray(points[:, 1]),
        z=np.ascontiguousarray(points[:, 2]),
        s=np.concatenate(arc) if ways else np.zeros(0),
        length=np.array([a[-1] for a in arc]),
        join_start=np.cumsum([0] + [len(j) for j in joins]).astype(np.int32),
        join=np.array([o for j in joins for o in j], np.int32),
        cross_start=np.searchsorted(np.sort(cross_way), np.arange(len(ways) + 1)).astype(np.int32),
        cross=np.argsort(cross_way, kind="stable").astype(np.int32),
        cross_way=cross_way,
        cross_s=np.array([arc[d[0]][d[1]] for d in both]),
        cross_xy=np.array([[*ways[d[0]][d[1], :2], *ways[d[2]][d[3], :2]] for d in both]).reshape(
            -1, 4
        ),
        cross_anywhere=np.arange(len(both)) >= 2 * len(crossings),
    )
