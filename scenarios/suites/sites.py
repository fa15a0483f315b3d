"""Finds where in a town a scenario of a type can be played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.road.routing import plan_route, route_through
from scenarios.junctions import Approach, Side
from scenarios.spots import Spot, bend, line_between
from scenarios.suites.spec import Place

BEFORE, BEHIND = 100.0, 90.0  # [m] of road before and behind a junction
CHANGES = 110.0  # [m] before an off-ramp that the route changes to its lane


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


def ways_through(
    graph: LaneGraph, turn: int, lights: bool | None, fits: Callable[[Approach], bool]
) -> Iterator[tuple[Approach, int, Spot]]:
    """Ego's approaches to junctions, the lanes through them and where those lead out.

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
            yield approach, way, Spot(graph, onward[0], 0.0)


def turns(
    graph: LaneGraph, turn: int, lights: bool | None, fits: Callable[[Approach], bool]
) -> Iterator[Route]:
    """Routes through junctions with much road before and behind; see `ways_through`."""
    for approach, _, out in ways_through(graph, turn, lights, fits):
        route = line_between(approach.end.back(BEFORE), out.ahead(BEHIND))
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


def entries(graph: LaneGraph) -> Iterator[tuple[Spot, Spot]]:
    """The ends of on-ramps, and the beginnings of the motorway lanes that they become."""
    for lane in map(int, np.flatnonzero(open_lanes(graph))):
        for way in map(int, graph.successors(lane)):
            into = [int(n) for n in graph.successors(way) if _lanes(graph, int(n)) >= 3]
            if _lanes(graph, lane) == 1 and graph.length[lane] > BEFORE and into:
                yield Spot(graph, lane, float(graph.length[lane])), Spot(graph, into[0], 0.0)


def exits(graph: LaneGraph) -> Iterator[tuple[Spot, Spot]]:
    """The ends of motorway lanes that lead to off-ramps, and the ramps' beginnings."""
    for lane in map(int, np.flatnonzero(open_lanes(graph))):
        for way in map(int, graph.predecessors(lane)):
            out_of = [int(p) for p in graph.predecessors(way) if _lanes(graph, int(p)) >= 3]
            if _lanes(graph, lane) == 1 and graph.length[lane] > BEFORE and out_of:
                end = Spot(graph, out_of[0], float(graph.length[out_of[0]]))
                yield end, Spot(graph, lane, 0.0)


def _lanes(graph: LaneGraph, lane: int) -> int:
    """How many driving lanes of its direction a road has here; 0 in a junction."""
    return len(Spot(graph, lane, 0.0).siblings()) if open_lanes(graph)[lane] else 0


def merge(graph: LaneGraph) -> Route:
    """From the on-ramp into the lane beside it."""
    ramp, lane = next(entries(graph))
    return line_between(ramp.back(BEFORE), lane.next_lane(1).ahead(190.0))


def merge_flow(graph: LaneGraph) -> dict[str, Place]:
    """Who drives on the lane that ego merges into."""
    return merge_flow_at(next(entries(graph))[1])


def merge_flow_at(lane: Spot) -> dict[str, Place]:
    """The same where an on-ramp becomes this lane."""
    graph = lane.graph
    target = lane.next_lane(1)
    before = [p for p in map(int, graph.predecessors(target.lane)) if abs(bend(graph, p)) < 0.1]
    source = Spot(graph, int(graph.predecessors(before[0])[0]), 0.0)
    source = replace(source, s=float(graph.length[source.lane])).back(60.0)
    return {
        "start_actor_flow": source.beside(0.0), "end_actor_flow": target.ahead(150.0).beside(0.0)
    }  # fmt: skip


def leave(graph: LaneGraph) -> Route:
    """From the lane beside the last one out to the off-ramp."""
    return leave_at(*next(exits(graph)), 200.0)


def leave_at(lane: Spot, ramp: Spot, before: float) -> Route:
    """The same where this lane leads to that off-ramp, from `before` [m] on, with a run-up."""
    places = (lane.back(before).next_lane(1), lane.back(CHANGES).next_lane(1), ramp.ahead(80.0))
    xy = np.array([(place.x, place.y) for place in (spot.beside(0.0) for spot in places)])
    return route_through(lane.graph, xy)


def leave_flow(graph: LaneGraph) -> dict[str, Place]:
    """Who drives on the lane that ego has to cross."""
    return leave_flow_at(*next(exits(graph)))


def leave_flow_at(lane: Spot, ramp: Spot) -> dict[str, Place]:
    """The same where this lane leads to that off-ramp, where a lower limit begins for ego."""
    return {
        "start_actor_flow": lane.back(180.0).beside(0.0),
        "end_actor_flow": ramp.ahead(2.0).beside(0.0),
    }  # fmt: skip


def past_entry(graph: LaneGraph) -> Route:
    """On the motorway's lane beside which an on-ramp comes in."""
    flow = merge_flow(graph)
    return line_between(
        Spot.near(graph, flow["start_actor_flow"]).back(90.0),
        Spot.near(graph, flow["end_actor_flow"]),
    )


def on_ramp(graph: LaneGraph) -> dict[str, Place]:
    """Who comes in there."""
    return {"other_actor_location": next(entries(graph))[0].back(60.0).beside(0.0)}


def flow_from(side: Side, turn: int) -> Callable[[LaneGraph], dict[str, Place]]:
    """Who comes from a side, and goes straight on, where ego turns like that without lights."""

    def given(graph: LaneGraph) -> dict[str, Place]:
        route = next(turns(graph, turn, False, met_from(side)))
        line = Approach(Spot(graph, int(route.lane[0]), 0.0)).others(side)[0].line(60.0, 60.0)
        ends = (Spot(graph, int(line.lane[k]), float(line.lane_s[k])).beside(0.0) for k in (0, -1))
        return dict(zip(("start_actor_flow", "end_actor_flow"), ends, strict=True))

    return given


def beside_cycleway(graph: LaneGraph) -> Route:
    """Ego turns right over a lane for bicycles that goes straight on."""
    return next(turns(graph, -1, None, lambda approach: cycleway_of(graph, approach.lane) >= 0))


def cycleway(graph: LaneGraph) -> dict[str, Place]:
    """Who rides there."""
    approach = Approach(Spot(graph, int(beside_cycleway(graph).lane[0]), 0.0))
    end = Spot(graph, lane := cycleway_of(graph, approach.lane), float(graph.length[lane]))
    return {"start_actor_flow": replace(end, s=max(end.s - 20.0, 0.0)).beside(0.0)}


def cycleway_of(graph: LaneGraph, lane: int) -> int:
    """The lane for bicycles on the right of a lane, -1 for none."""
    while lane >= 0 and graph.kind[lane] != LaneKind.BIKING:
        lane = int(graph.right[lane])
    return lane
