"""Weather along a route on a real server, and what is let go when an episode ends."""

from __future__ import annotations

import carla
import pytest

from carla_bridge.session import Session
from carla_bridge.simulator import NoTraffic
from headway.cli import build_driver, compose_drive
from scenarios.bench import play_route
from scenarios.suites import sites
from scenarios.suites.own import smoke
from scenarios.suites.spec import RouteSpec, Weather
from tests.scenarios.played import HERE, spec_of


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


def play(session, spec: RouteSpec, limit: float):
    config, _ = compose_drive(
        ["planner=idm", "world_model=constant_velocity", f"episode.time_limit_s={limit}"]
    )
    driver = build_driver(config, session)
    return play_route(spec, session, driver, config, NoTraffic(), 1)


def test_the_weather_changes_along_the_way(session):
    dry = smoke()[0]
    weathers = (Weather(0.0, {"cloudiness": 0.0}), Weather(1.0, {"cloudiness": 100.0}))
    spec = RouteSpec("0", "grid", dry.keypoints, weathers, (), HERE)
    episode, _ = play(session, spec, 15.0)
    share = episode.criteria.completion.share
    assert 0.1 < share < 0.9
    assert session.world.get_weather().cloudiness == pytest.approx(100.0 * share, abs=8.0)


def test_lights_that_a_scenario_held_cycle_again_when_the_episode_ends(session):
    route = next(sites.turns(session.lane_graph, 1, True, lambda approach: True))
    scenario = spec_of("PriorityAtJunction", route)
    spec = RouteSpec("0", "grid", route.xyz[::20], (Weather(0.0, {}),), (scenario,), HERE)
    play(session, spec, 6.0)  # ego has not reached the junction
    lights = session.world.get_actors().filter("traffic.traffic_light*")
    session.tick()
    assert not any(light.is_frozen() for light in lights)
    states = [light.get_state() for light in lights]
    assert carla.TrafficLightState.Green in states
