"""Leaderboard 1's places for scenarios, matched to routes as its evaluator matches them.

Distances, angles, order and dice are upstream's: docs/upstream_formats.md, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from carla_bridge.headless.towns import available_towns, load_town
from headway.frames import wrap_angle, wrap_angles
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.road.routing import route_through
from scenarios.junctions import Approach, Side
from scenarios.spots import Spot, first_junction
from scenarios.suites.leaderboard import Trigger
from scenarios.suites.openscenario_spec import Drivable
from scenarios.suites.sites import met_from
from scenarios.suites.spec import Parameter, Place, RouteSpec, ScenarioSpec, Suite, SuiteError

NEAR, TURNED = 2.0, math.radians(10.0)  # [m], [rad] a trigger may be off a point of the route
LEFT, STRAIGHT, RIGHT = 1, 0, -1  # as LaneGraph.turn

# Ours by upstream's number. Its 7 to 9 bring nobody, but set the lights so that the background
# crosses ego's way; ours are the types that CARLA made of them later, which bring their own.
TYPES: Mapping[int, str] = {
    1: "ControlLoss", 2: "FollowLeadingVehicle", 3: "DynamicObjectCrossing",
    4: "VehicleTurningRoute", 5: "OtherLeadingVehicle", 6: "ManeuverOppositeDirection",
    7: "OppositeVehicleRunningRedLight", 8: "SignalizedJunctionLeftTurn",
    9: "SignalizedJunctionRightTurn", 10: "NoSignalJunctionCrossingRoute",
}  # fmt: skip
# How ego has to turn next, where that matters.
TURNS: Mapping[int, tuple[int, ...]] = {
    4: (LEFT, RIGHT), 7: (LEFT, STRAIGHT, RIGHT), 8: (LEFT,), 9: (RIGHT,),
}  # fmt: skip
# From where somebody comes, the first that there is, by number and ego's turn.
SIDES: Mapping[tuple[int, int], tuple[Side, ...]] = {
    (7, LEFT): (Side.LEFT, Side.OPPOSITE, Side.RIGHT),
    (7, RIGHT): (Side.LEFT, Side.OPPOSITE),
    (7, STRAIGHT): (Side.RIGHT, Side.LEFT, Side.OPPOSITE),
    (8, LEFT): (Side.OPPOSITE,),
    (9, RIGHT): (Side.LEFT,),
}
# Gaps that one can get through, in a town's traffic [m/s], [m]; upstream's have 20 m/s.
FLOW = {"flow_speed": {"value": "9"}, "source_dist_interval": {"from": "25", "to": "90"}}


@dataclass(frozen=True)
class _Match:
    """A trigger that the route leads through.

    Attributes:
        trigger: which.
        row: point of the route.
        junction_row: the first point from there on that is in a junction; -1 for none.
        turn: of ego there; None for none.
    """

    trigger: Trigger
    row: int
    junction_row: int
    turn: int | None

    @property
    def places(self) -> list[Place]:
        """Where ego and the others would be."""
        return [self.trigger.at, *(at for side in self.trigger.others.values() for at in side)]

    @property
    def fits(self) -> bool:
        """Whether ego turns as the scenario wants it to."""
        turns = TURNS.get(self.trigger.number)
        return turns is None or self.turn in turns


def with_scenarios(suite: Suite, triggers: Mapping[str, Sequence[Trigger]]) -> Suite:
    """Give the routes of a suite the scenarios whose triggers they lead through.

    Routes in towns that are not installed stay as they are; one that no way leads along is an
    error.

    Args:
        suite: of Leaderboard 1.
        triggers: by town.
    """
    there = set(available_towns())
    routes: list[Drivable] = []
    errors, notes = list(suite.errors), list(suite.notes)
    for spec in suite.routes:
        if not isinstance(spec, RouteSpec) or spec.town not in there:
            routes.append(spec)
            continue
        graph = load_town(spec.town).lane_graph
        try:
            route = route_through(graph, spec.keypoints[:, :2])
        except ValueError as error:
            errors.append(SuiteError(spec.source, str(error)))
            continue
        found = scenarios_on(graph, route, triggers.get(spec.town, ()), notes)
        routes.append(replace(spec, scenarios=(*spec.scenarios, *found)))
    return replace(suite, routes=tuple(routes), errors=tuple(errors), notes=tuple(notes))


def scenarios_on(
    graph: LaneGraph, route: Route, triggers: Sequence[Trigger], notes: list[str]
) -> tuple[ScenarioSpec, ...]:
    """Return a route's scenarios, one at a place, in the order of the file's first trigger there.

    Where one needs lights and somebody who comes to them, and there are none, it is left out, after
    the choice: upstream's does nothing there.

    Args:
        graph: the town.
        route: ego's.
        triggers: of the town.
        notes: are told what is left out.
    """
    groups: list[list[_Match]] = []
    for trigger in triggers:
        match = _match(graph, route, trigger)
        if match is None or not match.fits:
            continue
        group = next((g for g in groups if _same_place(g[0].trigger.at, trigger.at)), None)
        if group is None:
            groups.append(group := [])
        group.append(match)
    found = []
    for k, match in enumerate(_choose(groups), 1):
        words = _words(graph, route, match)
        if words is None:
            notes.append(f"{match.trigger.source}: nobody comes to lights there; passed over")
        else:
            found.append(_spec(match.trigger, words, k))
    return tuple(found)


def _choose(groups: Sequence[Sequence[_Match]]) -> list[_Match]:
    """One of each group: the highest number, unless it would stand where another one does."""
    # Upstream's own generator, with its seed: the same dice.
    dice = np.random.RandomState(0)
    chosen: list[_Match] = []
    for group in groups:
        left = list(group)
        k = max(range(len(left)), key=lambda k: (left[k].trigger.number, k))
        pick = left.pop(k)
        while taken := any(_in_the_way(pick, other) for other in chosen):
            if not left:
                break
            pick = left.pop(int(dice.choice(len(left))))
        if not taken:
            chosen.append(pick)
    return chosen


def _in_the_way(one: _Match, other: _Match) -> bool:
    """Whether two would use the same place."""
    return any(_apart(a, b) < NEAR for a in one.places for b in other.places)


def _match(graph: LaneGraph, route: Route, trigger: Trigger) -> _Match | None:
    """Where a route leads through a trigger first, if it does."""
    at = trigger.at
    away = np.linalg.norm(route.xyz - (at.x, at.y, at.z), axis=1)
    turned = np.abs(wrap_angles(route.yaw - (at.yaw or 0.0)))
    rows = np.flatnonzero((away < NEAR) & (turned < TURNED))
    if not len(rows):
        return None
    row = int(rows[0])
    junction = first_junction(graph, route, row)
    if junction is None:
        return _Match(trigger, row, -1, None)
    return _Match(trigger, row, junction[0], int(graph.turn[route.lane[junction[0]]]))


def _words(graph: LaneGraph, route: Route, match: _Match) -> Mapping[str, Mapping[str, str]] | None:
    """What ours is told; None where nothing could happen."""
    number = match.trigger.number
    if number not in (7, 8, 9):
        return {}
    if match.turn is None or match.junction_row == match.row:
        return None
    lane = int(route.lane[match.junction_row - 1])
    side = _side(graph, lane, SIDES[number, match.turn])
    if side is None:
        return None
    return {"direction": {"value": side.name.lower()}} if number == 7 else FLOW


def _side(graph: LaneGraph, lane: int, among: Sequence[Side]) -> Side | None:
    """From where somebody can come to the lights at which a lane ends."""
    approach = Approach(Spot(graph, lane, float(graph.length[lane])))
    if not approach.signals():
        return None
    return next((side for side in among if met_from(side)(approach)), None)


def _same_place(a: Place, b: Place) -> bool:
    """Whether two triggers count as one place."""
    turned = abs(wrap_angle((a.yaw or 0.0) - (b.yaw or 0.0)))
    return math.hypot(a.x - b.x, a.y - b.y) < NEAR and turned < TURNED


def _apart(a: Place, b: Place) -> float:
    """[m] between two places."""
    return math.dist((a.x, a.y, a.z), (b.x, b.y, b.z))


def _spec(trigger: Trigger, words: Mapping[str, Mapping[str, str]], number: int) -> ScenarioSpec:
    parameters = {name: Parameter(given, trigger.source) for name, given in words.items()}
    kind, name = TYPES[trigger.number], f"{trigger.type}_{number}"
    return ScenarioSpec(name, kind, trigger.at, parameters, trigger.source)
