"""Writes routes with scenarios as a file of Leaderboard 2 and Bench2Drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from carla_bridge.frames import yaw_to_carla
from headway.road.route import Route
from headway.types import Array
from scenarios.suites.spec import Parameter, Place, RouteSpec, ScenarioSpec, Source

SPACING = 25.0  # [m] between a route's keypoints


def write_routes(path: Path, routes: Sequence[RouteSpec]) -> None:
    """Write routes so that `read_routes` reads the same again (coordinates to a centimetre).

    Args:
        path: to write.
        routes: of any towns.
    """
    root = etree.Element("routes")
    for spec in routes:
        route = etree.SubElement(root, "route", id=spec.id, town=spec.town)
        if spec.difficulty:
            route.set("difficulty", spec.difficulty)
        if spec.traffic:
            asked = {name: f"{value:g}" for name, value in spec.traffic.items()}
            etree.SubElement(route, "traffic", **asked)
        weathers = etree.SubElement(route, "weathers")
        for weather in spec.weathers:
            values = {name: f"{value:g}" for name, value in weather.values.items()}
            share = f"{100.0 * weather.share:g}"
            etree.SubElement(weathers, "weather", route_percentage=share, **values)
        waypoints = etree.SubElement(route, "waypoints")
        for x, y, z in spec.keypoints:
            etree.SubElement(waypoints, "position", **_xyz(Place(x, y, z)))
        scenarios = etree.SubElement(route, "scenarios")
        for scenario in spec.scenarios:
            element = etree.SubElement(
                scenarios, "scenario", name=scenario.name, type=scenario.type
            )
            yaw = f"{yaw_to_carla(scenario.trigger.yaw or 0.0):.2f}"
            etree.SubElement(element, "trigger_point", **_xyz(scenario.trigger), yaw=yaw)
            for name, parameter in scenario.parameters.items():
                etree.SubElement(element, name, **parameter.words)
    path.write_bytes(etree.tostring(root, pretty_print=True, encoding="utf-8"))


def keypoints_of(route: Route) -> Array:
    """Points of a route (K, 3) [m], map frame, from which it can be found again."""
    rows = np.searchsorted(route.s, np.arange(0.0, route.length, SPACING))
    return route.xyz[np.unique([*rows, len(route.s) - 1])]


def scenario_on(
    route: Route, s: float, kind: str, words: Mapping[str, Mapping[str, str]], source: Source
) -> ScenarioSpec:
    """A scenario that goes off at `s` [m] of a route.

    Args:
        route: ego's.
        s: where.
        kind: its type.
        words: attributes of its parameters by name.
        source: where it is made.
    """
    k = int(np.searchsorted(route.s, s))
    x, y, z = map(float, route.xyz[k])
    parameters = {name: Parameter(given, source) for name, given in words.items()}
    return ScenarioSpec(f"{kind}_1", kind, Place(x, y, z, float(route.yaw[k])), parameters, source)


def _xyz(place: Place) -> dict[str, str]:
    """CARLA's coordinates [m] as attributes."""
    at = {"x": place.x, "y": -place.y, "z": place.z}
    return {axis: f"{value + 0.0:.2f}" for axis, value in at.items()}
