"""Long routes through a town, drawn from seeds, among no, some and many others: NoCrash's rules.

Codevilla et al., Exploring the Limitations of Behavior Cloning for Autonomous Driving, ICCV 2019,
section 4: 25 pairs of poses in each town, three densities. Pairs are drawn here, so that any town
will do, and the densities are those around ego, as ours are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import LaneGraph
from headway.road.random_route import random_route
from headway.road.route import Route
from scenarios.suites.spec import RouteSpec, Source, Suite, SuiteError
from scenarios.suites.weathers import named
from scenarios.suites.write import keypoints_of

NAME = "town_routes"
NUM_ROUTES = 25
LENGTH = 800.0  # [m] at least
SHORTER = 300.0  # [m] the same in small towns
TRIES = 200  # drawn routes, until enough of them differ
DENSITIES: Mapping[str, Mapping[str, float]] = {
    "empty": {"num_vehicles": 0, "num_walkers": 0},
    "regular": {"num_vehicles": 20, "num_walkers": 15},
    "dense": {"num_vehicles": 70, "num_walkers": 60},
}
# NoCrash's four to train on and two to test on.
WEATHERS = (
    "ClearNoon", "WetNoon", "HardRainNoon", "ClearSunset", "WetSunset", "SoftRainSunset",
)  # fmt: skip


def town_routes(towns: Sequence[str]) -> Suite:
    """Draw the routes of towns; each is driven at each density, its weather is the same then.

    Args:
        towns: installed ones.
    """
    source = Source(NAME, 0, "")
    routes: list[RouteSpec] = []
    errors: list[SuiteError] = []
    for town in towns:
        try:
            ways = _draw(load_town(town).lane_graph)
        except ValueError as error:
            errors.append(SuiteError(source, str(error)))
            continue
        routes += [
            RouteSpec(
                f"{town}-{density}-{k:02}", town, keypoints_of(way),
                (named(WEATHERS[k % len(WEATHERS)]),), (), source, density, traffic,
            )
            for density, traffic in DENSITIES.items() for k, way in enumerate(ways)
        ]  # fmt: skip
    return Suite(NAME, tuple(routes), tuple(errors))


def _draw(graph: LaneGraph) -> list[Route]:
    """Different routes, as long as the town has them."""
    found: dict[bytes, Route] = {}
    for seed in range(TRIES):
        try:
            route = random_route(graph, seed, LENGTH)
        except ValueError:
            route = random_route(graph, seed, SHORTER)
        found.setdefault(keypoints_of(route).tobytes(), route)
        if len(found) == NUM_ROUTES:
            break
    return list(found.values())
