"""Finds places in a town where something can happen, and routes through them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.route import Route
from headway.road.routing import plan_route
from planner.itinerary import Itinerary, make_itinerary


def chain(graph: LaneGraph, lane: int, before: float, after: float) -> Route | None:
    """Route through junction lane `lane` that begins and ends about so many metres from it."""
    first, start = lane, 0.0
    while before > 0.0:
        previous = [p for p in graph.predecessors(first) if graph.kind[p] == LaneKind.DRIVING]
        if not previous:
            return None
        first = int(previous[0])
        start = max(float(graph.length[first]) - before, 0.0)
        before -= float(graph.length[first])
    last, end = lane, 0.0
    while after > 0.0:
        following = [n for n in graph.successors(last) if graph.kind[n] == LaneKind.DRIVING]
        if not following:
            return None
        last = int(following[0])
        end = min(after, float(graph.length[last]))
        after -= float(graph.length[last])
    try:
        route = plan_route(graph, first, start, last, end)
    except ValueError:
        return None
    return route if lane in route.lane else None


def itinerary_of(graph: LaneGraph, route: Route) -> Itinerary:
    return make_itinerary(graph, route, 2.0, 1.5, 0.3)


def guarded(
    graph: LaneGraph, kind: StopKind | None, turn: int | None = None, before: float = 70.0
) -> Iterator[tuple[int, Route, Itinerary]]:
    """Junction lanes with a line of `kind` (None: unsignalised) before them, with a route each."""
    for lane in np.flatnonzero((graph.junction >= 0) & (graph.kind == LaneKind.DRIVING)):
        if turn is not None and graph.turn[lane] != turn:
            continue
        route = chain(graph, int(lane), before, 40.0)
        if route is None or (graph.junction[route.lane[[0, -1]]] >= 0).any():
            continue
        itinerary = itinerary_of(graph, route)
        if len(itinerary.junction_s) != 1:
            continue
        guard = itinerary.junction_stop[0]
        if (kind is None and guard < 0) or (guard >= 0 and itinerary.stop_kind[guard] == kind):
            yield int(lane), route, itinerary
