"""Every place in a town where a scenario of a type can be played."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from headway.frames import wrap_angle
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.route import Route
from headway.types import Array
from scenarios.junctions import Approach, Side
from scenarios.spots import Spot, line_between
from scenarios.suites import sites
from scenarios.suites.spec import Place

RUN_UP, LEAST_RUN_UP = 60.0, 25.0  # [m] of road before a trigger
AFTER = 60.0  # [m] of road behind what a scenario needs
STEP = 50.0  # [m] between the triggers that are tried along a lane
STRAIGHT, BEND = 0.35, 0.6  # [rad] of heading, at most on a straight road, at least in a bend
JUNCTION_TRIGGER = 55.0  # [m] before a junction
LEAST_BEFORE, BEHIND = 40.0, 60.0  # [m] of road before and behind a junction
FLOW_SPEED = 0.8  # of the limit
GAPS = (2.5, 9.0)  # [s] between those who flow through a junction

Given = Mapping[str, float | str | tuple[float, float] | Place]


@dataclass(frozen=True)
class Site:
    """Where a scenario can be played.

    Attributes:
        route: for ego.
        trigger_s: [m] on it, where the scenario goes off.
        given: parameters that depend on the place.
    """

    route: Route
    trigger_s: float
    given: Given = field(default_factory=dict)


Places = Callable[[LaneGraph], Iterator[Site]]


def _open_road(
    graph: LaneGraph, fits: Callable[[LaneGraph], Array], need: float, before: float = RUN_UP,
    heading: tuple[float, float] = (0.0, np.inf),
) -> Iterator[Site]:  # fmt: skip
    """Stretches without a junction, all of whose lanes fit.

    Args:
        graph: the town.
        fits: which lanes do.
        need: [m] behind the trigger.
        before: [m] of run-up.
        heading: [rad] by which it turns behind the trigger, least and largest.
    """
    good = sites.open_lanes(graph) & fits(graph)
    for lane in map(int, np.flatnonzero(good)):
        for s in np.arange(5.0, float(graph.length[lane]), STEP):
            at = Spot(graph, lane, float(s))
            begin, end = at.back(before), at.ahead(need)
            run_up, way = _between(begin, at), _between(at, end)
            if run_up is None or way is None or run_up.length < min(before, LEAST_RUN_UP):
                continue
            turned = abs(wrap_angle(float(way.yaw[-1] - way.yaw[0])))
            fit = good[run_up.lane].all() and good[way.lane].all()
            if way.length < need - 1.0 or not fit or not heading[0] <= turned <= heading[1]:
                continue
            route = _between(begin, _out_of_junction(end, AFTER))
            if route is not None and route.length >= run_up.length + way.length - 1.0:
                yield Site(route, run_up.length)


def _out_of_junction(spot: Spot, way: float) -> Spot:
    """The place so far on [m], or the next one that lies in no junction."""
    for more in np.arange(0.0, 80.0, 10.0):
        on = spot.onward(way + float(more))
        if spot.graph.junction[on.lane] < 0:
            return on
    return spot


def _between(source: Spot, sink: Spot) -> Route | None:
    try:
        return line_between(source, sink)
    except ValueError:
        return None


def _junctions(
    graph: LaneGraph, turn: int, lights: bool | None = None,
    fits: Callable[[Approach], bool] = lambda approach: True,
) -> Iterator[tuple[Site, Approach]]:  # fmt: skip
    """Ways through junctions; arguments are those of `sites.ways_through`."""
    for approach, way, out in sites.ways_through(graph, turn, lights, fits):
        begin, behind = approach.end.back(JUNCTION_TRIGGER + RUN_UP), out.ahead(BEHIND)
        run_up = _between(begin, approach.end)
        if run_up is None or run_up.length < LEAST_BEFORE + 5.0 or behind.s < 0.5 * BEHIND:
            continue
        route = _between(begin, behind)
        if route is not None and way in route.lane:
            yield Site(route, max(run_up.length - JUNCTION_TRIGGER, 5.0)), approach


def _turns(graph: LaneGraph, turns: tuple[int, ...], lights: bool | None = None,
           fits: Callable[[Approach], bool] = lambda approach: True) -> Iterator[Site]:  # fmt: skip
    for turn in turns:
        for site, _ in _junctions(graph, turn, lights, fits):
            yield site


def _through_flow(graph: LaneGraph, turn: int, lights: bool, side: Side) -> Iterator[Site]:
    """Turns through those who come from a side; `flow_speed` and gaps by the limit there."""
    for site, approach in _junctions(graph, turn, lights, sites.met_from(side)):
        yield Site(site.route, site.trigger_s, _flow(graph, approach.others(side)[0].lane, GAPS))


def _flow_ends(graph: LaneGraph, turn: int, side: Side) -> Iterator[Site]:
    """Turns without lights through those who come from a side, given by their beginning and end."""
    for site, approach in _junctions(graph, turn, False, sites.met_from(side)):
        other = approach.others(side)[0]
        line = other.line(90.0, 40.0)  # ends before ego's route, at whose end ego slows down
        if abs(wrap_angle(float(line.yaw[-1] - other.end.yaw))) > BEND:
            continue  # at the foot of a T those who come have to turn
        ends = (Spot(graph, int(line.lane[k]), float(line.lane_s[k])).beside(0.0) for k in (0, -1))
        places = dict(zip(("start_actor_flow", "end_actor_flow"), ends, strict=True))
        yield Site(site.route, site.trigger_s, {**_flow(graph, other.lane, GAPS), **places})


def _flow(graph: LaneGraph, lane: int, gaps: tuple[float, float]) -> Given:
    """Speed [m/s] and spacing [m] of those who flow on a lane."""
    speed = round(FLOW_SPEED * float(graph.speed_limit[lane]), 1)
    low, high = (float(round(speed * gap)) for gap in gaps)
    return {"flow_speed": speed, "source_dist_interval": (low, high)}


def _one_way_each(graph: LaneGraph) -> Array:
    """A lane of each direction."""
    alone = (graph.left < 0) & ~sites.beside(graph, graph.right, LaneKind.DRIVING)
    return alone & (graph.opposite >= 0)


def _rightmost_of_many(graph: LaneGraph) -> Array:
    """Ego may change to the left, and nobody drives on the right."""
    return graph.left_change & ~sites.beside(graph, graph.right, LaneKind.DRIVING)


def _lane_on_the_right(graph: LaneGraph) -> Array:
    return sites.beside(graph, graph.right, LaneKind.DRIVING)


def _parking(graph: LaneGraph) -> Array:
    return sites.beside(graph, graph.right, LaneKind.PARKING)


def _parking_one_way_each(graph: LaneGraph) -> Array:
    return _parking(graph) & _one_way_each(graph)


def _town_road(graph: LaneGraph) -> Array:
    """Somebody may walk beside it."""
    return (graph.speed_limit < 17.0) & ~_lane_on_the_right(graph)


def _any_road(graph: LaneGraph) -> Array:
    return np.ones(graph.num_lanes, bool)


def _with_sign(graph: LaneGraph, approach: Approach) -> bool:
    return bool(np.any(graph.stop_lane[graph.stop_kind == StopKind.STOP] == approach.lane))


def _at_stop_signs(graph: LaneGraph) -> Iterator[Site]:
    yield from _turns(graph, (-1, 1), False, partial(_with_sign, graph))


def _adversary(graph: LaneGraph, lights: bool) -> Iterator[Site]:
    """Who crosses comes from the right or the left."""
    for side, name in ((Side.RIGHT, "right"), (Side.LEFT, "left")):
        for site, _ in _junctions(graph, 0, lights, sites.met_from(side)):
            yield Site(site.route, site.trigger_s, {"direction": name})


def _t_junctions(graph: LaneGraph) -> Iterator[Site]:
    """Ego comes to the foot of a T."""

    def foot(approach: Approach) -> bool:
        left, right, ahead = (sites.met_from(s)(approach) for s in (Side.LEFT, Side.RIGHT,
                                                                    Side.OPPOSITE))  # fmt: skip
        return left and right and not ahead

    yield from _turns(graph, (-1, 1), None, foot)


def _beside_cycleway(graph: LaneGraph) -> Iterator[Site]:
    """Ego turns right over a lane for bicycles that goes straight on."""
    fits = lambda approach: sites.cycleway_of(graph, approach.lane) >= 0  # noqa: E731
    for site, approach in _junctions(graph, -1, None, fits):
        lane = sites.cycleway_of(graph, approach.lane)
        end = float(graph.length[lane])
        start = Spot(graph, lane, max(end - 20.0, 0.0)).beside(0.0)
        given = {"start_actor_flow": start, "flow_speed": 5.0, "source_dist_interval": (8.0, 35.0)}
        yield Site(site.route, site.trigger_s, given)


def _merging(graph: LaneGraph) -> Iterator[Site]:
    """From an on-ramp into the motorway's lane beside its own."""
    for ramp, lane in sites.entries(graph):
        route = line_between(ramp.back(160.0), lane.next_lane(1).ahead(230.0))
        yield Site(route, 50.0, sites.merge_flow_at(lane))


def _leaving(graph: LaneGraph) -> Iterator[Site]:
    """From the lane beside the last one out to the off-ramp."""
    for lane, ramp in sites.exits(graph):
        yield Site(sites.leave_at(lane, ramp, 300.0), 50.0, sites.leave_flow_at(lane, ramp))


def _past_entries(graph: LaneGraph) -> Iterator[Site]:
    """On the motorway's lane beside which an on-ramp comes in."""
    for ramp, lane in sites.entries(graph):
        flow = sites.merge_flow_at(lane)
        start = Spot.near(graph, flow["start_actor_flow"])
        route = line_between(start.back(120.0), Spot.near(graph, flow["end_actor_flow"]))
        yield Site(route, 50.0, {"other_actor_location": ramp.back(60.0).beside(0.0)})


def _lane_after_lane(graph: LaneGraph) -> Iterator[Site]:
    """From the leftmost of three lanes to the rightmost one, or back."""
    for lane in map(int, np.flatnonzero(sites.open_lanes(graph))):
        row = Spot(graph, lane, 5.0).siblings()
        if len(row) < 3 or row[0].lane != lane:
            continue
        for here, there in ((row[0], row[-1]), (row[-1], row[0])):
            end = there.ahead(280.0)
            route = _between(here, end)
            straight = _between(there, end)
            if route is not None and straight is not None and straight.length > 270.0:
                yield Site(route, 20.0)


OBSTACLE = partial(_open_road, fits=_rightmost_of_many, need=110.0, heading=(0.0, STRAIGHT))
OBSTACLE_TWO_WAYS = partial(_open_road, fits=_one_way_each, need=110.0, heading=(0.0, STRAIGHT))

PLACES: dict[str, Places] = {
    **dict.fromkeys(("Accident", "ConstructionObstacle", "ParkedObstacle"), OBSTACLE),
    **dict.fromkeys(
        ("AccidentTwoWays", "ConstructionObstacleTwoWays", "ParkedObstacleTwoWays"),
        OBSTACLE_TWO_WAYS,
    ),
    "HazardAtSideLane": partial(_open_road, fits=_rightmost_of_many, need=150.0),
    "HazardAtSideLaneTwoWays": partial(
        _open_road, fits=_one_way_each, need=150.0, heading=(0.0, STRAIGHT)
    ),
    "VehicleOpensDoorTwoWays": partial(_open_road, fits=_parking_one_way_each, need=100.0),
    "StaticCutIn": partial(_open_road, fits=_lane_on_the_right, need=190.0),
    "HighwayCutIn": _past_entries,
    "ParkingCutIn": partial(_open_road, fits=_parking, need=75.0),
    "CrossingBicycleFlow": _beside_cycleway,
    "EnterActorFlow": partial(_flow_ends, turn=-1, side=Side.LEFT),
    **dict.fromkeys(
        ("EnterActorFlowV2", "MergerIntoSlowTraffic", "MergerIntoSlowTrafficV2"), _merging
    ),
    "HighwayExit": _leaving,
    "InterurbanActorFlow": partial(_flow_ends, turn=1, side=Side.OPPOSITE),
    "InterurbanAdvancedActorFlow": partial(_flow_ends, turn=1, side=Side.LEFT),
    **dict.fromkeys(
        ("NonSignalizedJunctionLeftTurn", "NonSignalizedJunctionLeftTurnEnterFlow"),
        partial(_through_flow, turn=1, lights=False, side=Side.OPPOSITE),
    ),
    "NonSignalizedJunctionRightTurn": partial(_through_flow, turn=-1, lights=False, side=Side.LEFT),
    **dict.fromkeys(
        ("SignalizedJunctionLeftTurn", "SignalizedJunctionLeftTurnEnterFlow"),
        partial(_through_flow, turn=1, lights=True, side=Side.OPPOSITE),
    ),
    "SignalizedJunctionRightTurn": partial(_through_flow, turn=-1, lights=True, side=Side.LEFT),
    "OppositeVehicleRunningRedLight": partial(_adversary, lights=True),
    "OppositeVehicleTakingPriority": partial(_adversary, lights=False),
    "PriorityAtJunction": partial(_turns, turns=(0, -1), lights=True),
    "SequentialLaneChange": _lane_after_lane,
    "T_Junction": _t_junctions,
    "VanillaNonSignalizedTurn": partial(_turns, turns=(-1, 1), lights=False),
    "VanillaNonSignalizedTurnEncounterStopsign": _at_stop_signs,
    **dict.fromkeys(
        ("VanillaSignalizedTurnEncounterGreenLight", "VanillaSignalizedTurnEncounterRedLight"),
        partial(_turns, turns=(-1, 1), lights=True),
    ),
    "DynamicObjectCrossing": partial(_open_road, fits=_town_road, need=60.0),
    "ParkingCrossingPedestrian": partial(_open_road, fits=_parking, need=60.0),
    "PedestrianCrossing": partial(_turns, turns=(0,)),
    **dict.fromkeys(
        ("VehicleTurningRoute", "VehicleTurningRoutePedestrian"), partial(_turns, turns=(-1, 1))
    ),
    "BlockedIntersection": partial(_turns, turns=(-1, 1)),
    "ControlLoss": partial(_open_road, fits=_any_road, need=115.0),
    "HardBreakRoute": partial(_open_road, fits=_any_road, need=110.0),
    "InvadingTurn": partial(_open_road, fits=_one_way_each, need=135.0, heading=(BEND, np.pi)),
    "ParkingExit": partial(_open_road, fits=_parking, need=60.0, before=20.0),
    "YieldToEmergencyVehicle": partial(_open_road, fits=_rightmost_of_many, need=200.0),
}
