"""Where in a town a scenario of a type can be played."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.road.routing import plan_route
from scenarios.flows import line_between
from scenarios.junctions import Approach, Side
from scenarios.spots import Spot

BEFORE, BEHIND = 100.0, 90.0  # [m] of road before and behind a junction


def open_lanes(graph: LaneGraph) -> np.ndarray:
    """Which lanes are driving lanes outside junctions."""
    return (graph.kind == LaneKind.DRIVING) & (graph.junction < 0)


def longest(graph: LaneGraph, fits: np.ndarray) -> Route:
    """The whole of the longest lane that fits."""
    lane = int(np.argmax(np.where(open_lanes(graph) & fits, graph.length, 0.0)))
    assert fits[lane], f"{graph.name} has no such lane"
    return plan_route(graph, lane, 2.0, lane, float(graph.length[lane]) - 2.0)


def beside(graph: LaneGraph, side: np.ndarray, kind: LaneKind) -> np.ndarray:
    """Which lanes have one of this kind on a side (`graph.left` or `graph.right`)."""
    return (side >= 0) & (graph.kind[side] == kind)


def two_lanes(graph: LaneGraph) -> Route:
    """Ego may change to the left."""
    return longest(graph, graph.left_change)


def right_lane_beside(graph: LaneGraph) -> Route:
    """Another lane of ego's direction lies on the right."""
    return longest(graph, beside(graph, graph.right, LaneKind.DRIVING))


def two_ways(graph: LaneGraph) -> Route:
    """One lane each way."""
    alone = (graph.left < 0) & ~beside(graph, graph.right, LaneKind.DRIVING)
    return longest(graph, alone & (graph.opposite >= 0))


def parking_lane(graph: LaneGraph) -> Route:
    """One may park on the right."""
    return longest(graph, beside(graph, graph.right, LaneKind.PARKING))


def turns(
    graph: LaneGraph, turn: int, lights: bool | None, fits: Callable[[Approach], bool]
) -> Iterator[Route]:
    """Ways through junctions, the widest roads first.

    Args:
        graph: the town.
        turn: 1 left, 0 straight on, -1 right.
        lights: whether the junction has any; None: either way.
        fits: of ego's approach.
    """
    for lane in map(int, np.flatnonzero(open_lanes(graph))):
        end = Spot(graph, lane, float(graph.length[lane]))
        for way in map(int, graph.successors(lane)):
            onward = [n for n in map(int, graph.successors(way)) if graph.junction[n] < 0]
            if graph.junction[way] < 0 or graph.turn[way] != turn or not onward:
                continue
            approach = Approach(end)
            lit = bool(approach.signals())
            if (lights is not None and lit != lights) or not fits(approach):
                continue
            goal = Spot(graph, onward[0], 0.0).ahead(BEHIND)
            route = line_between(end.back(BEFORE), goal)
            if route.length > BEFORE + BEHIND and (graph.junction[route.lane[-1]] < 0):
                yield route


def met_from(side: Side) -> Callable[[Approach], bool]:
    """Whether somebody can come from there to where ego comes."""

    def fits(approach: Approach) -> bool:
        try:
            return bool(approach.others(side))
        except ValueError:
            return False

    return fits
