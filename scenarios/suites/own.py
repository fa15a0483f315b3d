"""Our own suites, in our own towns.

Their files are shipped; `python -m scenarios.suites.own` writes them anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from carla_bridge.headless.towns import load_town
from headway.parts import PARTS
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from scenarios.junctions import Approach, Side
from scenarios.suites import headway, sites, town_routes
from scenarios.suites.leaderboard import read_routes
from scenarios.suites.spec import RouteSpec, Source, Suite, Weather
from scenarios.suites.write import keypoints_of, scenario_on, write_routes

DATA = Path(__file__).parent / "data"
# The files of each of our suites; `town_routes:TOWN` has none.
OWN_SUITES: Mapping[str, tuple[Path, ...]] = {
    "smoke": (DATA / "smoke.xml",),
    "headway": (DATA / "headway_dev.xml", DATA / "headway_eval.xml"),
    "headway_dev": (DATA / "headway_dev.xml",),
    "headway_eval": (DATA / "headway_eval.xml",),
}
RIVALS = ("pdm_closed", "frenet", "idm_mobil", "idm", "traffic_manager")
SEEDS = (1,)  # of the table in the README
TRIGGER = 15.0  # [m] along a route where its scenario goes off
NOON: Mapping[str, float] = {
    "cloudiness": 5.0, "precipitation": 0.0, "precipitation_deposits": 0.0, "wetness": 0.0,
    "wind_intensity": 10.0, "sun_azimuth_angle": -1.0, "sun_altitude_angle": 60.0,
    "fog_density": 2.0,
}  # fmt: skip
HERE = Source(__name__, 0, "")


def is_own(name: str) -> bool:
    """Whether a suite is one of ours."""
    return name in OWN_SUITES or name.startswith(f"{town_routes.NAME}:")


def own_suite(name: str) -> Suite:
    """Return one of our suites.

    Args:
        name: of `OWN_SUITES`, or `town_routes:TOWN`, `town_routes:TOWN,TOWN`.
    """
    if name not in OWN_SUITES:
        return town_routes.town_routes(name.partition(":")[2].split(","))
    parts = [read_routes(path) for path in OWN_SUITES[name]]
    return Suite(name, tuple(route for part in parts for route in part.routes))


def eval_fingerprint() -> str:
    """SHA-256 of what is frozen: routes of `headway_eval`, seeds and the rivals' settings."""
    settings = {
        part.name: asdict(part.config_class()())
        for part in PARTS if part.group == "planner" and part.name in RIVALS
    }  # fmt: skip
    words = json.dumps({"seeds": SEEDS, "settings": settings}, sort_keys=True)
    return hashlib.sha256((DATA / "headway_eval.xml").read_bytes() + words.encode()).hexdigest()


def smoke() -> list[RouteSpec]:
    """Six routes in under two minutes: a type of each family."""
    grid, interchange = (load_town(name).lane_graph for name in ("grid", "interchange"))
    ways = {
        "ParkedObstacle": (grid, sites.two_lanes, {"distance": "50"}),
        "ParkingCutIn": (grid, sites.parking_lane, {}),
        "HardBreakRoute": (grid, sites.two_ways, {}),
        "PedestrianCrossing": (grid, _turn(0, sites.met_from(Side.RIGHT)), {}),
        "NonSignalizedJunctionRightTurn": (
            grid, _turn(-1, sites.met_from(Side.LEFT)), {"flow_speed": "9"},
        ),
        "HighwayCutIn": (interchange, sites.past_entry, {}),
    }  # fmt: skip
    specs = []
    for number, (kind, (graph, site, words)) in enumerate(ways.items()):
        given = {name: {"value": value} for name, value in words.items()}
        if kind == "HighwayCutIn":
            at = sites.on_ramp(graph)["other_actor_location"]
            given["other_actor_location"] = {"x": f"{at.x:.2f}", "y": f"{-at.y:.2f}", "z": "0"}
        specs.append(_spec(str(number), kind, site(graph), given))
    return specs


def _turn(turn: int, fits: Callable[[Approach], bool]) -> Callable[[LaneGraph], Route]:
    return lambda graph: next(sites.turns(graph, turn, False, fits))


def _spec(number: str, kind: str, route: Route, given: dict[str, dict[str, str]]) -> RouteSpec:
    """A route of a suite, with one scenario near its beginning."""
    scenario = scenario_on(route, TRIGGER, kind, given, HERE)
    return RouteSpec(
        number, route.town, keypoints_of(route), (Weather(0.0, NOON),), (scenario,), HERE
    )


def main() -> None:
    """Write the files."""
    DATA.mkdir(exist_ok=True)
    write_routes(DATA / "smoke.xml", smoke())
    for part in headway.PARTS:
        write_routes(DATA / f"headway_{part}.xml", headway.headway_part(part))
    print(f"headway_eval, seeds and rivals: {eval_fingerprint()}")


if __name__ == "__main__":
    main()
