"""Scenarios played on a real server for who looks and for who does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, SimulatorConfig
from headway.cli import build_driver, compose_drive
from headway.interfaces import SelfDriving
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.road.routing import plan_route
from headway.types import Agents, Observation, Scene, SignalState
from perception.privileged import PrivilegedPerception
from scenarios.cast import Cast
from scenarios.episode import EpisodeConfig, run_episode
from scenarios.families import PLAYS
from scenarios.stage import Stage
from scenarios.suites.spec import Place, ScenarioSpec, Source
from scenarios.suites.write import scenario_on

HERE = Source("by hand", 0, "scenario")
TRIGGER = 15.0  # [m] along the route


def session_in(town: str, sessions: dict[str, Session]) -> Session:
    """The session with a town, begun when it is first asked for."""
    if town not in sessions:
        sessions[town] = Session(town=town)
    return sessions[town]


def long_lane(graph: LaneGraph) -> Route:
    """The longest lane whose left neighbour ego may change to."""
    fits = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & graph.left_change
    lane = int(np.argmax(np.where(fits, graph.length, 0.0)))
    return plan_route(graph, lane, 2.0, lane, float(graph.length[lane]) - 2.0)


def spec_of(
    kind: str,
    route: Route,
    at_s: float = TRIGGER,
    **given: float | str | tuple[float, float] | Place,
) -> ScenarioSpec:
    words = {name: _words(value) for name, value in given.items()}
    return scenario_on(route, at_s, kind, words, HERE)


def _words(value: float | str | tuple[float, float] | Place) -> dict[str, str]:
    """A parameter's attributes as a file has them."""
    if isinstance(value, Place):
        return {"x": str(value.x), "y": str(-value.y), "z": str(value.z)}
    if isinstance(value, tuple):
        return {"from": str(value[0]), "to": str(value[1])}
    return {"value": str(value)}


class Deaf(PrivilegedPerception):
    """Perceives no sirens."""

    def perceive(self, observation: Observation) -> Scene:
        return replace(super().perceive(observation), sirens=frozenset())


class Blind(PrivilegedPerception):
    """Sees the road and nobody on it."""

    def perceive(self, observation: Observation) -> Scene:
        scene = super().perceive(observation)
        nobody = {f.name: getattr(scene.agents, f.name)[:0] for f in fields(Agents)}
        return replace(scene, agents=Agents(**nobody))


class Lawless(PrivilegedPerception):
    """Takes every light for green and sees no sign."""

    _graph: LaneGraph | None = None

    def perceive(self, observation: Observation) -> Scene:
        scene = super().perceive(observation)
        green = np.full_like(scene.signal_state, SignalState.GREEN)
        if self._graph is None:
            graph = scene.lane_graph
            names = ("stop_lane", "stop_s", "stop_kind", "stop_signal", "stop_junction_lane")
            self._graph = replace(graph, **{name: getattr(graph, name)[:0] for name in names})
        return replace(scene, signal_state=green, lane_graph=self._graph)


def drive(session, route, spec, careful: bool, limit: float = 60.0, seed: int = 1,
          careless: type[PrivilegedPerception] = Blind, *, planner: str = "mpc",
          ego: SelfDriving | None = None, others: Sequence[ScenarioSpec] = ()):  # fmt: skip
    """Play a scenario.

    Args:
        session: with the server.
        route: ego's.
        spec: of the scenario.
        careful: whether ego sees what there is.
        limit: [s].
        seed: of the scenario's choices.
        careless: what ego sees by, unless it is careful.
        planner: that drives.
        ego: drives by itself in its place.
        others: scenarios that are played at the same time.
    """
    config, _ = compose_drive([f"planner={planner}"])
    driver = build_driver(config, session)
    if ego is not None:
        driver.planner = ego
    if not careful:
        driver.perception = careless()
    stage = Stage(session, route, seed)
    cast = Cast(stage, PLAYS, [spec, *others])
    simulator = CarlaSimulator(session, SimulatorConfig(), lambda session, seed: cast)
    simulator.disturbed = stage.disturbed
    episode = run_episode(simulator, driver, route, 1, EpisodeConfig(time_limit_s=limit))
    cast.script.close()
    simulator.close()
    assert cast.script.failures == {}
    xy = np.column_stack([episode.trace.column(name) for name in "xy"])
    s, d, _ = project_on_route(route, xy)
    return episode, stage, s, d
