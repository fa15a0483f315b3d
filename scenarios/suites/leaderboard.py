"""Route files of the CARLA Leaderboard 1 and 2 and of Bench2Drive, and Leaderboard 1's triggers.

The formats are described in docs/upstream_formats.md, sections 2 and 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from scenarios.suites.spec import (
    Parameter,
    Place,
    RouteSpec,
    ScenarioSpec,
    Source,
    Suite,
    SuiteError,
    Weather,
)
from scenarios.suites.xml import Element, collect, finite, number, place, read_root, source_of, word

# Names of `carla.WeatherParameters` with its defaults in 0.9.16.
WEATHER: Mapping[str, float] = MappingProxyType({
    "cloudiness": 0.0, "precipitation": 0.0, "precipitation_deposits": 0.0, "wind_intensity": 0.0,
    "sun_azimuth_angle": 0.0, "sun_altitude_angle": 0.0, "fog_density": 0.0, "fog_distance": 0.0,
    "fog_falloff": 0.0, "wetness": 0.0, "scattering_intensity": 0.0, "mie_scattering_scale": 0.0,
    "rayleigh_scattering_scale": 0.0331, "dust_storm": 0.0,
})  # fmt: skip
CLEAR_2: Mapping[str, float] = MappingProxyType(
    {**WEATHER, "sun_altitude_angle": 70.0, "cloudiness": 50.0}
)
CLEAR_1: Mapping[str, float] = MappingProxyType(
    {**WEATHER, "sun_altitude_angle": 70.0, "cloudiness": 30.0}
)

TRAFFIC = ("num_vehicles", "num_walkers", "aggressive", "jaywalkers")  # of `TrafficConfig`
KINDS = tuple(f"Scenario{number}" for number in range(1, 11))


@dataclass(frozen=True)
class Trigger:
    """A place where Leaderboard 1 may set a scenario off.

    Attributes:
        type: `Scenario1` to `Scenario10`.
        at: where, with its yaw.
        others: where its other actors begin, by side: `front`, `left`, `right`.
        source: where it stands.
    """

    type: str
    at: Place
    others: Mapping[str, tuple[Place, ...]]
    source: Source

    @property
    def number(self) -> int:
        """Of its type."""
        return int(self.type.removeprefix("Scenario"))


def read_routes(path: Path) -> Suite:
    """Read a file of routes; one that is broken is left out, with its error, and the others go on.

    Args:
        path: of a file of either Leaderboard, or of Bench2Drive.
    """
    try:
        root = read_root(path)
    except SuiteError as error:
        return Suite(path.stem, errors=(error,))
    notes: list[str] = []
    read = partial(_route, path=path, notes=notes)
    routes, errors = collect(root, path, "route", "id", read)
    return Suite(path.stem, routes, errors, tuple(notes))


def _route(element: Element, path: Path, notes: list[str]) -> RouteSpec:
    second = element.find("waypoints") is not None
    points = element.iterfind("waypoints/position" if second else "waypoint")
    keypoints = [place(point, path) for point in points]
    if len(keypoints) < 2:
        what = "<position> in its <waypoints>" if second else "<waypoint>"
        raise SuiteError(
            source_of(element, path), f"expected at least 2 {what}, got {len(keypoints)}"
        )
    weathers = element.iterfind("weathers/weather" if second else "weather")
    return RouteSpec(
        id=word(element, "id", path),
        town=word(element, "town", path).rsplit("/", 1)[-1],
        keypoints=np.array([(p.x, p.y, p.z) for p in keypoints]),
        weathers=_weathers(weathers, path, second, notes),
        scenarios=tuple(_scenario(s, path) for s in element.iterfind("scenarios/scenario")),
        source=source_of(element, path),
        difficulty=element.get("difficulty", ""),
        traffic=_traffic(element.find("traffic"), path),
    )


def _traffic(element: Element | None, path: Path) -> Mapping[str, float]:
    """What a route of ours asks of the background traffic."""
    if element is None:
        return MappingProxyType({})
    source = source_of(element, path)
    for name in element.attrib:
        if name not in TRAFFIC:
            raise SuiteError(source, f"expected {', '.join(TRAFFIC)}, got {name!r}")
    return MappingProxyType({name: finite(text, name, source) for name, text in element.items()})


def _weathers(
    elements: Iterator[Element], path: Path, second: bool, notes: list[str]
) -> tuple[Weather, ...]:
    """Weathers by rising share; each names what differs from a clear day."""
    found: dict[float, Weather] = {}
    for element in elements:
        source = source_of(element, path)
        percentage = number(element, "route_percentage", path) if second else 0.0
        if not 0.0 <= percentage <= 100.0:
            raise SuiteError(source, f"expected 'route_percentage' 0 to 100, got {percentage:g}")
        if percentage in found:
            raise SuiteError(source, f"a second weather at {percentage:g} % of the route")
        values = weather_values(element, path, CLEAR_2 if second else WEATHER, notes)
        found[percentage] = Weather(percentage / 100.0, values)
    clear = Weather(0.0, CLEAR_2 if second else CLEAR_1)
    return tuple(found[key] for key in sorted(found)) or (clear,)


def weather_values(
    element: Element, path: Path, base: Mapping[str, float], notes: list[str]
) -> dict[str, float]:
    """Return what a <weather> makes of another one.

    Args:
        element: that names what differs.
        path: of its file.
        base: the other one.
        notes: are told of names that no weather has.

    Raises:
        SuiteError: a value is no number.
    """
    source, values = source_of(element, path), dict(base)
    for name, text in element.items():
        if name in values:
            values[name] = finite(text, name, source)
        elif name not in ("route_percentage", "id"):
            notes.append(f"{source}: no weather has {name!r}; passed over")
    return values


def read_parameters(element: Element, path: Path) -> Mapping[str, Parameter]:
    """Return the parameters of a scenario: its children, but for those that say who is where."""
    return MappingProxyType(
        {
            child.tag: Parameter(MappingProxyType(dict(child.items())), source_of(child, path))
            for child in element
            if child.tag not in ("trigger_point", "ego_vehicle", "other_actor", "weather")
        }
    )


def _scenario(element: Element, path: Path) -> ScenarioSpec:
    source = source_of(element, path)
    kind = word(element, "type", path)
    trigger = element.find("trigger_point")
    if trigger is None:
        raise SuiteError(source, f"{kind} needs a <trigger_point>, and there is none")
    at = place(trigger, path)
    if at.yaw is None:
        raise SuiteError(source_of(trigger, path), "expected an attribute 'yaw', got none")
    name = (element.get("name") or "").strip() or kind
    return ScenarioSpec(name, kind, at, read_parameters(element, path), source)


def read_triggers(path: Path) -> dict[str, tuple[Trigger, ...]]:
    """Read Leaderboard 1's places for scenarios, by town.

    Raises:
        SuiteError: the file cannot be read, is no JSON, or lacks something; the text says where.
    """
    source = Source(str(path), 0, "")
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise SuiteError(source, error.strerror or str(error)) from error
    except json.JSONDecodeError as error:
        raise SuiteError(Source(str(path), error.lineno, ""), f"no JSON: {error.msg}") from error
    found: dict[str, list[Trigger]] = {}
    for where, town, entry in _entries(document, source):
        kind = str(_get(entry, "scenario_type", where))
        if kind not in KINDS:
            raise SuiteError(where, f"expected 'scenario_type' Scenario1 to 10, got {kind!r}")
        for k, event in enumerate(_get(entry, "available_event_configurations", where)):
            here = Source(str(path), 0, f"{where.element}.available_event_configurations[{k}]")
            others = {
                str(side): tuple(_pose(pose, here) for pose in poses)
                for side, poses in (event.get("other_actors") or {}).items()
            }
            at = _pose(_get(event, "transform", here), here)
            found.setdefault(town, []).append(Trigger(kind, at, MappingProxyType(others), here))
    return {town: tuple(triggers) for town, triggers in found.items()}


def _entries(document: Any, source: Source) -> Iterator[tuple[Source, str, Any]]:
    """Where each scenario's entry stands, its town, and itself."""
    for n, towns in enumerate(_get(document, "available_scenarios", source)):
        for town, entries in towns.items():
            for i, entry in enumerate(entries):
                yield Source(source.file, 0, f"available_scenarios[{n}].{town}[{i}]"), town, entry


def _get(mapping: Any, key: str, source: Source) -> Any:
    if not isinstance(mapping, dict) or key not in mapping:
        raise SuiteError(source, f"expected a key {key!r}, got none")
    return mapping[key]


def _pose(pose: Any, source: Source) -> Place:
    x, y, z, yaw = (
        finite(str(_get(pose, name, source)), name, source) for name in ("x", "y", "z", "yaw")
    )
    return Place.from_carla(x, y, z, yaw)
