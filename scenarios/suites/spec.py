"""What a suite asks for: routes, their weather and their scenarios, in headway's map frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from carla_bridge.frames import yaw_from_carla
from headway.types import Array

if TYPE_CHECKING:
    from scenarios.suites.openscenario_spec import (
        StorySpec,
    )


@dataclass(frozen=True)
class Source:
    """Where something stands.

    Attributes:
        file: its path as given.
        line: from 1; 0 for a file that has none.
        element: its name, e.g. `trigger_point`.
    """

    file: str
    line: int
    element: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: <{self.element}>" if self.element else place


class SuiteError(ValueError):
    """Something in a suite's file that cannot be used; its text begins with the `Source`."""

    def __init__(self, source: Source, message: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


@dataclass(frozen=True)
class Place:
    """A point of the map.

    Attributes:
        x, y, z: [m] map frame.
        yaw: [rad] map frame, None where the file gives none.
    """

    x: float
    y: float
    z: float
    yaw: float | None = None

    @staticmethod
    def from_carla(x: float, y: float, z: float, yaw_deg: float | None = None) -> Place:
        """The same point from CARLA's coordinates [m] and yaw [deg]."""
        return Place(x, -y, z, None if yaw_deg is None else yaw_from_carla(yaw_deg))


@dataclass(frozen=True)
class Parameter:
    """One parameter of a scenario as the file has it: words by attribute, and where."""

    words: Mapping[str, str]
    source: Source


@dataclass(frozen=True)
class Other:
    """Another actor that a file puts somewhere.

    Attributes:
        model: blueprint.
        at: where.
    """

    model: str
    at: Place


@dataclass(frozen=True)
class ScenarioSpec:
    """One scenario of a route.

    Attributes:
        name: its own, e.g. `Accident_1`.
        type: e.g. `Accident`.
        trigger: where ego sets it off.
        parameters: by name; `scenarios.suites.parameters` reads them.
        source: where it stands.
        others: actors that the file puts somewhere; those of routes are chosen by the type.
    """

    name: str
    type: str
    trigger: Place
    parameters: Mapping[str, Parameter]
    source: Source
    others: tuple[Other, ...] = ()


@dataclass(frozen=True)
class Weather:
    """The weather at one place of a route; between two of them it changes linearly.

    Attributes:
        share: of the route, [0, 1].
        values: by the names of `carla.WeatherParameters`; what is missing keeps its default.
    """

    share: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class RouteSpec:
    """One route.

    Attributes:
        id: unique in its suite.
        town: short name, e.g. `Town03`.
        keypoints: (K, 3) [m] map frame, K >= 2, to be joined along the lanes.
        weathers: by rising share, at least one.
        scenarios: on the way.
        source: where it stands.
        difficulty: `easy`, `medium` or `hard`; empty where the file does not say.
        traffic: what it asks of the background, by the names of `TrafficConfig`; the rest is the
            configuration's.
        limit_s: [s] that its scenarios have, with which the drive is over; 0: it goes to its end.
    """

    id: str
    town: str
    keypoints: Array
    weathers: tuple[Weather, ...]
    scenarios: tuple[ScenarioSpec, ...]
    source: Source
    difficulty: str = ""
    traffic: Mapping[str, float] = field(default_factory=dict)
    limit_s: float = 0.0

    def weather_at(self, share: float) -> dict[str, float]:
        """The weather after `share` of the route, by the names of `carla.WeatherParameters`."""
        before = [w for w in self.weathers if w.share <= share] or [self.weathers[0]]
        after = [w for w in self.weathers if w.share > share] or [before[-1]]
        low, high = before[-1], after[0]
        span = high.share - low.share
        part = (share - low.share) / span if span > 0.0 else 0.0
        part = max(part, 0.0)  # before the first one it holds
        return {name: v + part * (high.values[name] - v) for name, v in low.values.items()}


@dataclass(frozen=True)
class Suite:
    """Routes that can be driven, and what of the file cannot be used.

    Attributes:
        name: of the file, without its ending.
        routes: in the file's order; OpenSCENARIO files of a folder by their names.
        errors: one for each route that was left out, and for a file that could not be read.
        notes: things that were passed over, and routes that are driven all the same.
    """

    name: str
    routes: tuple[RouteSpec | StorySpec, ...] = ()
    errors: tuple[SuiteError, ...] = ()
    notes: tuple[str, ...] = field(default=())
