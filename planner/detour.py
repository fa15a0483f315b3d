"""A route that leaves its lane for the one beside it, and comes back before that one ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import Array
from planner.neighbours import Side, neighbours

CLEAR = 40.0  # [m] before a junction, or the end of the lane beside, one is back


def lane_beside(graph: LaneGraph, route: Route, side: Side) -> tuple[Array, Array]:
    """Find the lanes on one side of a route that may be changed to and back from.

    Args:
        graph: the roads.
        route: of that town.
        side: of it.

    Returns:
        lane (R,) int, -1 for none, and how far its middle is from the route's (R,) [m], left
        positive.
    """
    beside = neighbours(graph, route)
    good = beside.free[:, side] & beside.back[:, side]
    return np.where(good, beside.lane[:, side], -1), beside.offset[:, side]


def stretch_end(graph: LaneGraph, route: Route, beside: Array, s: float) -> float:
    """Return the place [m] by which one has to be back on the route, from `s` [m] on."""
    first = int(np.searchsorted(route.s, s))
    kept = np.zeros(len(route.s), bool)
    kept[:-1] = (beside[:-1] >= 0) & (beside[1:] >= 0)
    # Where the route itself changes lanes it does so without us.
    for i in np.flatnonzero(route.lane[1:] != route.lane[:-1]):
        kept[i] &= bool((graph.successors(int(route.lane[i])) == route.lane[i + 1]).any())
    over = np.flatnonzero(~kept[first:])
    return float(route.s[first + over[0]]) - CLEAR if len(over) else float(route.s[-1]) - CLEAR


def lay_detour(
    graph: LaneGraph, route: Route, beside: Array, offset: Array, s_out: float, s_back: float,
    length: float,
) -> Route:  # fmt: skip
    """Return `route`, sample for sample, with a stretch of it on the lane beside.

    Args:
        graph: the roads.
        route: to leave.
        beside, offset: see `lane_beside`.
        s_out: [m] of the route where the change begins.
        s_back: [m] where the way back ends.
        length: [m] of each change, along a quintic as in `headway.road.line`.
    """
    share = _quintic((route.s - s_out) / length) - _quintic((route.s - s_back) / length + 1.0)
    share = np.where(beside >= 0, share, 0.0)
    xyz = route.xyz.copy()
    xyz[:, 0] -= share * offset * np.sin(route.yaw)
    xyz[:, 1] += share * offset * np.cos(route.yaw)
    slope = np.gradient(share * offset, route.s)
    lane = np.where(share > 0.5, beside, route.lane)
    way = np.hypot(np.diff(xyz[:, 0]), np.diff(xyz[:, 1]))
    return replace(
        route,
        xyz=xyz,
        s=np.concatenate([[0.0], np.cumsum(way)]),
        yaw=route.yaw + np.arctan2(slope, 1.0 - route.curvature * share * offset),
        lane=lane.astype(route.lane.dtype),
        speed_limit=graph.speed_limit[lane],
    )


def _quintic(t: Array) -> Array:
    t = np.clip(t, 0.0, 1.0)
    return t * t * t * (10.0 + t * (-15.0 + 6.0 * t))
