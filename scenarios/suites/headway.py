"""The suite `headway`: every type at several places of our own towns, in two parts.

`dev` is for reading replays and mending planners; `eval` lies in towns that nothing is ever trained
or tuned on. Routes, traffic and parameters are drawn once, from a seed, and shipped as files.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle

import numpy as np

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import LaneGraph
from headway.road.routing import route_through
from headway.types import Array
from scenarios.suites import weathers
from scenarios.suites.places import PLACES, Given, Places, Site
from scenarios.suites.spec import Place, RouteSpec, Source
from scenarios.suites.write import keypoints_of, scenario_on

NUM_DRAWN = 12  # sites among which the one that is farthest from those in use is taken
CHANGING = 6  # each so manieth route's weather changes along the way
HERE = Source(__name__, 0, "")


@dataclass(frozen=True)
class Part:
    """Half of the suite.

    Attributes:
        towns: that it is driven in.
        each: how many routes each type has.
        first: id of its first route.
    """

    towns: tuple[str, ...]
    each: int
    first: int


PARTS = {
    "dev": Part(("grid", "old_town", "interchange", "ring"), 3, 0),
    "eval": Part(("harbour", "village"), 2, 1000),
}
# What a route's background is like; `aggressive` and `jaywalkers` are shares.
DIFFICULTIES: Mapping[str, Mapping[str, float]] = {
    "easy": {"num_vehicles": 12, "num_walkers": 8, "aggressive": 0.0, "jaywalkers": 0.0},
    "medium": {"num_vehicles": 30, "num_walkers": 20, "aggressive": 0.2, "jaywalkers": 0.1},
    "hard": {"num_vehicles": 50, "num_walkers": 40, "aggressive": 0.5, "jaywalkers": 0.3},
}
# Ranges of the parameters that do not depend on the place, as Bench2Drive's routes have them
# (docs/upstream_scenarios.md, section 1).
OBSTACLE = {"distance": (40, 45)}
TWO_WAYS = {"distance": (40, 45), "frequency": ((40, 70), (150, 200))}
SLOW_FLOW = {"flow_speed": (9, 10), "source_dist_interval": ((11, 16), (30, 42))}
PARAMETERS: Mapping[str, Mapping[str, tuple]] = {
    **dict.fromkeys(
        ("Accident", "ConstructionObstacle", "ParkedObstacle", "StaticCutIn"), OBSTACLE
    ),
    **dict.fromkeys(
        ("AccidentTwoWays", "ConstructionObstacleTwoWays", "ParkedObstacleTwoWays"), TWO_WAYS
    ),
    **dict.fromkeys(("MergerIntoSlowTraffic", "MergerIntoSlowTrafficV2"), SLOW_FLOW),
    "DynamicObjectCrossing": {"distance": (40, 50), "crossing_angle": (0, 11)},
    "HazardAtSideLane": {"distance": (41, 45), "bicycle_drive_distance": (40, 60),
                         "bicycle_speed": (6, 12)},
    "HazardAtSideLaneTwoWays": {"distance": (41, 45), "bicycle_drive_distance": (40, 60),
                                "bicycle_speed": (7, 11), "frequency": (75, 100)},
    "HighwayExit": {"flow_speed": (10, 15), "source_dist_interval": ((11, 20), (33, 46))},
    "InvadingTurn": {"distance": (50, 60), "offset": (0.18, 0.34)},
    "ParkingCrossingPedestrian": {"distance": (36, 45), "crossing_angle": (0, 12)},
    "ParkingExit": {"front_vehicle_distance": (9, 10), "behind_vehicle_distance": (9, 10)},
    "VehicleOpensDoorTwoWays": {"distance": (40, 55), "frequency": ((40, 60), (130, 160))},
    "YieldToEmergencyVehicle": {"distance": (26, 30)},
}  # fmt: skip


def headway_part(name: str) -> list[RouteSpec]:
    """Draw the routes of a part of the suite.

    Args:
        name: `dev` or `eval`.
    """
    part = PARTS[name]
    used: dict[str, list[Array]] = {town: [] for town in part.towns}
    specs: list[RouteSpec] = []
    for index, kind in enumerate(sorted(PLACES)):
        draw = np.random.Generator(np.random.PCG64(zlib.crc32(f"{name} {kind}".encode())))
        for k, (town, site) in enumerate(_sites(kind, part, index, used, draw)):
            number = part.first + len(specs)
            difficulty = list(DIFFICULTIES)[(index + k) % len(DIFFICULTIES)]
            given = {**site.given, **_drawn(kind, draw)}
            specs.append(_route(number, kind, town, site, given, difficulty, draw))
    return specs


def _sites(
    kind: str, part: Part, index: int, used: dict[str, list[Array]], draw: np.random.Generator
) -> Iterator[tuple[str, Site]]:
    """Where a type is played: from town to town, away from where others are played."""
    having = [town for town in part.towns if _all_sites(PLACES[kind], town)]
    if not having:
        return
    turn = cycle(having[index % len(having) :] + having[: index % len(having)])
    mine: dict[str, set[int]] = {town: set() for town in having}
    for town, _ in zip(turn, range(part.each), strict=False):
        sites = _all_sites(PLACES[kind], town)
        free = [n for n in range(len(sites)) if n not in mine[town]] or list(range(len(sites)))
        drawn = draw.choice(free, min(NUM_DRAWN, len(free)), replace=False)
        drawn = sorted(drawn, key=lambda n: -_distance(_trigger(sites[n]), used[town]))
        n = next(int(n) for n in drawn if _is_found_again(town, sites[n]))
        mine[town].add(n)
        used[town].append(_trigger(sites[n]))
        yield town, sites[n]


@cache
def _all_sites(places: Places, town: str) -> Sequence[Site]:
    return tuple(places(_graph(town)))


@cache
def _graph(town: str) -> LaneGraph:
    return load_town(town).lane_graph


def _is_found_again(town: str, site: Site) -> bool:
    """Whether a site's keypoints lead along its route."""
    again = route_through(_graph(town), keypoints_of(site.route)[:, :2])
    return abs(again.length - site.route.length) < 1.0


def _trigger(site: Site) -> Array:
    return site.route.xyz[int(np.searchsorted(site.route.s, site.trigger_s)), :2]


def _distance(xy: Array, others: Sequence[Array]) -> float:
    return min((float(np.hypot(*(xy - other))) for other in others), default=np.inf)


def _drawn(kind: str, draw: np.random.Generator) -> Given:
    """Parameters that do not depend on the place; a pair of ranges is one of an interval."""
    found: dict[str, float | tuple[float, float]] = {}
    for name, (low, high) in PARAMETERS.get(kind, {}).items():
        if isinstance(low, tuple):
            found[name] = (round(draw.uniform(*low)), round(draw.uniform(*high)))
        else:
            found[name] = round(draw.uniform(low, high), 2)
    return found


def _route(
    number: int, kind: str, town: str, site: Site, given: Given, difficulty: str,
    draw: np.random.Generator,
) -> RouteSpec:  # fmt: skip
    words = {name: _words(value) for name, value in given.items()}
    scenario = scenario_on(site.route, site.trigger_s, kind, words, HERE)
    names = draw.choice(weathers.NAMES, 2, replace=False)
    sky = [weathers.named(names[0])]
    if number % CHANGING == 0:
        sky.append(weathers.named(names[1], 1.0))
    return RouteSpec(
        str(number), town, keypoints_of(site.route), tuple(sky), (scenario,), HERE, difficulty,
        DIFFICULTIES[difficulty],
    )  # fmt: skip


def _words(value: float | str | tuple[float, float] | Place) -> dict[str, str]:
    """A parameter's attributes as a file has them."""
    if isinstance(value, Place):
        return {"x": f"{value.x:.2f}", "y": f"{-value.y:.2f}", "z": f"{value.z:.2f}"}
    if isinstance(value, tuple):
        return {"from": f"{value[0]:g}", "to": f"{value[1]:g}"}
    return {"value": str(value)}
