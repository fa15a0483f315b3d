"""Obstacles in ego's lane on a real server: who looks changes lane, who does not hits them."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, SimulatorConfig
from headway.cli import build_driver, compose_drive
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.road.routing import plan_route
from headway.types import Agents, Observation, Scene
from perception.privileged import PrivilegedPerception
from scenarios.episode import EpisodeConfig, run_episode
from scenarios.families import PLAYS
from scenarios.stage import Cast, Stage
from scenarios.suites.spec import Parameter, Place, ScenarioSpec, Source

HERE = Source("by hand", 0, "scenario")
TRIGGER = 15.0  # [m] along the route


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


@pytest.fixture(scope="module")
def route(session) -> Route:
    """The longest lane whose left neighbour ego may change to."""
    graph: LaneGraph = session.lane_graph
    fits = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & graph.left_change
    lane = int(np.argmax(np.where(fits, graph.length, 0.0)))
    return plan_route(graph, lane, 2.0, lane, float(graph.length[lane]) - 2.0)


def spec_of(kind: str, route: Route, **numbers: float) -> ScenarioSpec:
    k = int(np.searchsorted(route.s, TRIGGER))
    at = Place(*map(float, route.xyz[k]), float(route.yaw[k]))
    words = {name: Parameter({"value": str(value)}, HERE) for name, value in numbers.items()}
    return ScenarioSpec(f"{kind}_1", kind, at, words, HERE)


class Blind(PrivilegedPerception):
    """Sees the road and nobody on it."""

    def perceive(self, observation: Observation) -> Scene:
        scene = super().perceive(observation)
        nobody = {f.name: getattr(scene.agents, f.name)[:0] for f in fields(Agents)}
        return replace(scene, agents=Agents(**nobody))


def drive(session, route, spec, careful: bool, limit: float = 60.0):
    config, _ = compose_drive(["planner=mpc", "safety=none"])
    driver = build_driver(config, session)
    if not careful:
        driver.perception = Blind()
    stage = Stage(session, route, 1)
    cast = Cast(stage, PLAYS, [spec])
    simulator = CarlaSimulator(session, SimulatorConfig(), lambda session, seed: cast)
    episode = run_episode(simulator, driver, route, 1, EpisodeConfig(time_limit_s=limit))
    simulator.close()
    assert cast.script.failures == {}
    xy = np.column_stack([episode.trace.column(name) for name in "xy"])
    s, d, _ = project_on_route(route, xy)
    return episode, stage, s, d


@pytest.mark.parametrize(
    "kind",
    [
        "ParkedObstacle",
        pytest.param("Accident", marks=pytest.mark.slow),
        pytest.param("ConstructionObstacle", marks=pytest.mark.slow),
    ],
)
def test_who_looks_passes_beside_it_and_who_does_not_hits_it(session, route, kind):
    spec = spec_of(kind, route, distance=50.0)
    episode, stage, s, d = drive(session, route, spec, careful=True)
    there = np.abs(s - TRIGGER - 50.0) < 4.0
    assert episode.ending == "completed"
    assert episode.criteria.collisions.infractions == []
    assert d[there].min() > 1.0, "beside it, not through it"
    assert stage.timeouts == []
    episode, _, s, _ = drive(session, route, spec, careful=False, limit=25.0)
    hit = episode.criteria.collisions.infractions[0]
    assert hit.at_fault
    assert hit.s == pytest.approx(TRIGGER + 50.0, abs=15.0)


def test_what_cannot_be_played_is_reported_by_name_and_the_drive_goes_on(session, route):
    off = spec_of("ParkedObstacle", route, distance=50.0)
    off = replace(off, name="elsewhere", trigger=replace(off.trigger, x=off.trigger.x + 50.0))
    wrong = spec_of("Accident", route, distance=math.nan)
    stage = Stage(session, route, 1)
    cast = Cast(stage, PLAYS, [off, wrong])
    simulator = CarlaSimulator(session, SimulatorConfig(settle_s=0.5), lambda *_: cast)
    simulator.reset(route, 1)
    simulator.close()
    messages = [str(error) for error in cast.script.failures.values()]
    assert "does not lead through the trigger of elsewhere" in messages[0]
    assert "expected a number in 'value', got 'nan'" in messages[1]
