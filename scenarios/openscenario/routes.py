"""Where everybody begins, and which way ego is to go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import carla
import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.line import LanePiece, lay_route
from headway.road.queries import nearest_lane
from headway.road.route import Route
from headway.road.routing import route_through
from headway.types import Array
from scenarios.openscenario.lines import lane_pieces, ways_on
from scenarios.openscenario.places import Places
from scenarios.suites.openscenario_action_spec import (
    AddEntityAction,
    DeleteEntityAction,
    Position,
    RouteAction,
    TeleportAction,
)
from scenarios.suites.openscenario_spec import (
    ByEntity,
    DistanceCondition,
    Event,
    StorySpec,
    Trigger,
)
from scenarios.suites.spec import Place, SuiteError

WAY = 1000.0  # [m] that ego may drive where no route is assigned to it
LOOK = 150.0  # [m] within which its way is chosen at forks
MOST_WAYS = 100


def beginnings(spec: StorySpec, town: carla.Map, graph: LaneGraph) -> dict[str, Place]:
    """Where those entities are in the beginning that Init puts somewhere, ego among them.

    Raises:
        SuiteError: a place is not on the map, or two are relative to each other.
    """
    given: dict[str, Position] = {}
    for name, action in spec.init:
        if isinstance(action, TeleportAction):
            given[name] = action.position
        elif isinstance(action, AddEntityAction):
            given[action.entity] = action.position
        elif isinstance(action, DeleteEntityAction):
            given.pop(action.entity, None)
    found: dict[str, Place] = {}
    asked: list[str] = []

    def where(name: str) -> Place | None:
        if name not in found and name in given:
            if name in asked:
                raise SuiteError(given[name].source, f"{name!r} is placed relative to itself")
            asked.append(name)
            found[name] = places.find(given[name])
        return found.get(name)

    places = Places(town, graph, where)
    for name in given:
        where(name)
    if spec.ego not in found:
        raise SuiteError(spec.entities[spec.ego].source, "Init has no TeleportAction for ego")
    return found


def ego_route(
    spec: StorySpec, town: carla.Map, graph: LaneGraph, begin: Mapping[str, Place]
) -> Route:
    """Ego's way: the route that the file assigns to it, else along its lane.

    At forks it goes on so that most of the places come near which the conditions want ego near to,
    straight on where that makes no difference.

    Raises:
        SuiteError: ego begins beside the road.
        ValueError: no way leads along the assigned route.
    """
    at, places = begin[spec.ego], Places(town, graph, begin.get)
    for action in _actions_of_ego(spec):
        if isinstance(action, RouteAction):
            points = [at, *(places.find(p) for p in action.positions)]
            return route_through(graph, np.array([(p.x, p.y) for p in points]))
    lane, s, _ = nearest_lane(graph, at.x, at.y, at.yaw, z=at.z)
    if lane < 0:
        raise SuiteError(spec.entities[spec.ego].source, "ego begins on no driving lane")
    aims = list(_aims(spec, places, begin))
    ways = islice(ways_on(graph, lane, s, LOOK), MOST_WAYS)
    way = max(ways, key=lambda pieces: _reached(graph, pieces, aims))
    last = way[-1]
    rest = lane_pieces(graph, last.lane, last.s_to, WAY - LOOK)
    return lay_route(graph, [*way, *(piece for piece in rest if piece.s_to > piece.s_from)])


def _reached(graph: LaneGraph, pieces: list[LanePiece], aims: list[tuple[Array, float]]) -> int:
    """How many aims come near enough on a way."""
    rows = [
        graph.xyz[points, :2][(graph.s[points] >= p.s_from) & (graph.s[points] <= p.s_to)]
        for p in pieces
        for points in [graph.points(p.lane)]
    ]
    xy = np.concatenate(rows)
    return sum(bool(len(xy)) and math.sqrt(np.min(np.sum((xy - at) ** 2, 1))) < r for at, r in aims)


def _aims(
    spec: StorySpec, places: Places, begin: Mapping[str, Place]
) -> Iterator[tuple[Array, float]]:
    """Where conditions want ego, and how near [m]; entities count where they begin."""
    for test in (test for trigger in _triggers(spec) for group in trigger for test in group):
        by = test.test
        if not isinstance(by, ByEntity) or spec.ego not in by.entities:
            continue
        if isinstance(by.test, DistanceCondition) and by.test.than.rule.startswith("less"):
            to = by.test.to
            place = begin.get(to) if isinstance(to, str) else places.find(to)
            if place is not None:
                yield np.array([place.x, place.y]), by.test.than.value


def _events(spec: StorySpec) -> Iterator[tuple[tuple[str, ...], Event]]:
    """All events, with their actors."""
    for story in spec.stories:
        for group in (group for act in story.acts for group in act.groups):
            yield from ((group.actors, e) for m in group.maneuvers for e in m.events)


def _triggers(spec: StorySpec) -> Iterator[Trigger]:
    """All start triggers."""
    yield from (act.start for story in spec.stories for act in story.acts)
    yield from (event.start for _, event in _events(spec))


def _actions_of_ego(spec: StorySpec) -> list[Any]:
    told: list[Any] = [action for name, action in spec.init if name == spec.ego]
    for actors, event in _events(spec):
        if spec.ego in actors:
            told += [action for _, action in event.actions]
    return told
