"""ScenarioRunner's own files (`<scenarios>`): each scenario is a drive from where ego is put.

The classes are described in docs/upstream_scenarios.md, section 12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from carla_bridge.headless.towns import available_towns, load_town
from scenarios.junctions import Approach
from scenarios.spots import Spot, bend, straight_on
from scenarios.suites.leaderboard import CLEAR_2, read_parameters, weather_values
from scenarios.suites.spec import Other, Place, RouteSpec, ScenarioSpec, Suite, SuiteError, Weather
from scenarios.suites.xml import Element, collect, place, read_root, source_of, word

WAY, SPACING = 1000.0, 40.0  # [m] that ego may drive, [m] between the keypoints of its way
IN_LANE = 10.0  # [m] behind a junction at which ego is to be in the lane that it turned into

# 1: by the leftmost way of its lane through the first junction, -1: by the rightmost one.
OUTERMOST: Mapping[str, int] = {"VehicleTurningLeft": 1, "VehicleTurningRight": -1}
# 1: left at the first lights where it can, -1: right.
AT_LIGHTS: Mapping[str, int] = {
    "SignalizedJunctionLeftTurn": 1, "SignalizedJunctionRightTurn": -1,
}  # fmt: skip
# [s] that a class has, as upstream's constructors say; FreeRide has no end.
LIMITS: Mapping[str, float] = {
    "FreeRide": 0.0, "ChangeLane": 600.0, "CutIn": 600.0, "ConstructionObstacle": 60.0,
    "ControlLoss": 60.0, "DynamicObjectCrossing": 60.0, "FollowLeadingVehicle": 60.0,
    "FollowLeadingVehicleWithObstacle": 120.0, "ManeuverOppositeDirection": 120.0,
    "NoSignalJunctionCrossing": 60.0, "OtherLeadingVehicle": 80.0,
    "SignalizedJunctionLeftTurn": 80.0, "SignalizedJunctionRightTurn": 80.0,
    "StationaryObjectCrossing": 60.0, "VehicleTurningLeft": 60.0, "VehicleTurningRight": 60.0,
}  # fmt: skip
OTHER_LIMIT = 180.0  # [s]


def is_scenario_file(path: Path) -> bool:
    """Whether it is one of ScenarioRunner's own."""
    try:
        return read_root(path).tag == "scenarios"
    except SuiteError:
        return False


def read_scenarios(path: Path) -> Suite:
    """Read a file of scenarios; one that is broken is left out, with its error.

    Ego's way leads along its lane, straight on or as the class wants it to turn. In a town that is
    not installed it is the place alone where ego begins.

    Args:
        path: of the file.
    """
    try:
        root = read_root(path)
    except SuiteError as error:
        return Suite(path.stem, errors=(error,))
    towns: set[str] = set(available_towns())
    notes: list[str] = []

    def read(element: Element) -> RouteSpec:
        spec = _read(element, path, notes)
        return _laid(spec) if spec.town in towns else spec

    routes, errors = collect(root, path, "scenario", "name", read)
    return Suite(path.stem, routes, errors, tuple(notes))


def _read(element: Element, path: Path, notes: list[str]) -> RouteSpec:
    """A scenario as the file has it; its one keypoint is where ego begins."""
    source = source_of(element, path)
    name, kind = word(element, "name", path), word(element, "type", path)
    egos = element.findall("ego_vehicle")
    if len(egos) != 1:
        raise SuiteError(source, f"expected one <ego_vehicle>, got {len(egos)}")
    begin = _pose(egos[0], path)
    others = tuple(
        Other(word(other, "model", path), _pose(other, path))
        for other in element.iterfind("other_actor")
    )
    weather = dict(CLEAR_2)
    for given in element.iterfind("weather"):
        weather = weather_values(given, path, weather, notes)
    parameters = read_parameters(element, path)
    return RouteSpec(
        id=name,
        # Layered maps have the roads of the plain ones.
        town=word(element, "town", path).rsplit("/", 1)[-1].removesuffix("_Opt"),
        keypoints=np.array([(begin.x, begin.y, begin.z)]),
        weathers=(Weather(0.0, weather),),
        scenarios=(ScenarioSpec(name, kind, begin, parameters, source, others),),
        source=source,
        limit_s=LIMITS.get(kind, OTHER_LIMIT),
    )


def _pose(element: Element, path: Path) -> Place:
    at = place(element, path)
    return at if at.yaw is not None else replace(at, yaw=0.0)


def _laid(spec: RouteSpec) -> RouteSpec:
    """The same with ego's way, from the centre of its lane on.

    Raises:
        SuiteError: ego begins on no lane, or can nowhere turn as it has to.
    """
    (scenario,) = spec.scenarios
    graph = load_town(spec.town).lane_graph
    try:
        begin = Spot.near(graph, scenario.trigger)
        if turn := OUTERMOST.get(scenario.type):
            way = [begin, *_onward(_outermost(begin, turn))]
        elif turn := AT_LIGHTS.get(scenario.type):
            way = [begin, *_onward(_turned_at_lights(begin, turn))]
        else:
            way = list(_onward(begin))
    except ValueError as error:
        raise SuiteError(spec.source, str(error)) from error
    places = (spot.beside(0.0) for spot in way)
    return replace(
        spec,
        keypoints=np.array([(at.x, at.y, at.z) for at in places]),
        scenarios=(replace(scenario, trigger=begin.beside(0.0)),),
    )


def _onward(begin: Spot) -> Iterator[Spot]:
    """Where ego drives, straight on at forks."""
    yield begin
    for along in np.arange(SPACING, WAY, SPACING):
        spot = begin.onward(float(along))
        yield spot
        if spot.s >= float(spot.graph.length[spot.lane]):  # the road ends
            return


def _outermost(begin: Spot, turn: int) -> Spot:
    """Where ego leaves the first junction by the outermost way of its lane.

    Raises:
        ValueError: no junction lies ahead.
    """
    graph, lane = begin.graph, Approach(begin).lane
    ways = [way for way in map(int, graph.successors(lane)) if graph.junction[way] >= 0]
    way = max(ways, key=lambda way: turn * bend(graph, way))
    return Spot(graph, way, float(graph.length[way])).onward(IN_LANE)


def _turned_at_lights(begin: Spot, turn: int) -> Spot:
    """Where ego leaves the first junction with lights where it can turn like that.

    Raises:
        ValueError: there is none.
    """
    graph, lane, seen = begin.graph, begin.lane, set()
    while lane >= 0 and lane not in seen:
        seen.add(lane)
        end = Spot(graph, lane, float(graph.length[lane]))
        for beside in end.siblings() if graph.junction[lane] < 0 else ():
            ways = [
                way for way in map(int, graph.successors(beside.lane))
                if graph.junction[way] >= 0 and graph.turn[way] == turn
            ]  # fmt: skip
            if ways and Approach(beside).signals():
                return Spot(graph, ways[0], float(graph.length[ways[0]])).onward(IN_LANE)
        lane = straight_on(graph, lane)
    where = "left" if turn > 0 else "right"
    raise ValueError(f"{graph.name}: ego can nowhere turn {where} at lights")
