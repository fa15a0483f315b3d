"""Drives an OpenSCENARIO file: ego by a driver, everybody else by the storyboard."""

from __future__ import annotations

from typing import Any

import carla
import numpy as np

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, NoTraffic, Traffic
from headway.driver import Driver
from headway.road.lane_graph import LaneGraph
from headway.road.queries import nearest_lane
from headway.road.route import Route
from headway.road.routing import route_through
from headway.types import ActorSnapshot, EgoState
from scenarios.config import DriveConfig
from scenarios.episode import Episode, run_episode
from scenarios.openscenario.lines import lane_line
from scenarios.openscenario.places import Places
from scenarios.openscenario.storyboard import Storyboard
from scenarios.openscenario.verdicts import judge
from scenarios.openscenario.world import StoryStage
from scenarios.script import Script
from scenarios.suites.leaderboard import CLEAR_2
from scenarios.suites.openscenario_spec import (
    AddEntityAction,
    DeleteEntityAction,
    Position,
    RouteAction,
    StorySpec,
    TeleportAction,
)
from scenarios.suites.spec import Place, SuiteError

EGO_WAY = 1000.0  # [m] that ego may drive where no route is assigned to it
STORY_OVER = "story_over"  # the ending of an episode whose storyboard is over


class StoryCast:
    """A `Traffic`: the entities of a storyboard, among the background traffic.

    They stand until `ending` is asked for the first time: the episode begins then.
    """

    def __init__(self, stage: StoryStage, background: Traffic | None = None) -> None:
        self.stage, self.board, self.script = stage, Storyboard(stage), Script()
        self._background = background or NoTraffic()
        self._begun = self._first = False

    def ending(self) -> str:
        """`STORY_OVER` once it is over, or has failed."""
        if not self._begun:
            self._begun = self._first = True
            self.script.start("storyboard", self.board.play())
        return STORY_OVER if self.board.over or self.script.failures else ""

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring everybody into the world."""
        self.stage.see(None, ego, 0.0)
        self.stage.populate(ego)
        self._background.spawn(ego, route)

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return the `carla.command`s of one tick."""
        self.stage.see(actors, ego, self.stage.dt)
        if self._begun:
            self.stage.observe(actors, ego, 0.0 if self._first else self.stage.dt)
            self._first = False
            self.script.step()
        return self.stage.take_commands() + self._background.commands(actors, ego)


def play_story(
    spec: StorySpec, session: Session, driver: Driver, config: DriveConfig, background: Traffic,
    seed: int,
) -> tuple[Episode, StoryStage]:  # fmt: skip
    """Drive one file; arguments as those of `scenarios.bench.play_route`.

    Raises:
        ValueError: a place of the file is not on the map, or the storyboard cannot be played.
    """
    begin = beginnings(spec, session.map, session.lane_graph)
    route = ego_route(spec, session.map, session.lane_graph, begin)
    stage = StoryStage(session, spec, route, seed, begin)
    cast = StoryCast(stage, background)
    session.world.set_weather(carla.WeatherParameters(**CLEAR_2))
    simulator = CarlaSimulator(session, config.simulator, lambda session, seed: cast)
    try:
        episode = run_episode(simulator, driver, route, seed, config.episode, over=cast.ending)
    finally:
        simulator.close()
    for error in cast.script.failures.values():
        raise error if isinstance(error, SuiteError) else ValueError(f"{spec.source}: {error}")
    stage.verdicts = judge(spec.criteria, episode, session.lane_graph)
    return episode, stage


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


def ego_route(spec: StorySpec, town: carla.Map, graph: LaneGraph, begin: dict[str, Place]) -> Route:
    """Ego's way: the route that the file assigns to it, else along its lane.

    Raises:
        SuiteError: ego begins beside the road.
        ValueError: no way leads along the assigned route.
    """
    at = begin[spec.ego]
    for action in _actions_of_ego(spec):
        if isinstance(action, RouteAction):
            places = [at, *(Places(town, graph, begin.get).find(p) for p in action.positions)]
            return route_through(graph, np.array([(p.x, p.y) for p in places]))
    lane, s, _ = nearest_lane(graph, at.x, at.y, at.yaw, z=at.z)
    if lane < 0:
        raise SuiteError(spec.entities[spec.ego].source, "ego begins on no driving lane")
    return lane_line(graph, lane, s, EGO_WAY)


def _actions_of_ego(spec: StorySpec) -> list[Any]:
    told = [action for name, action in spec.init if name == spec.ego]
    for story in spec.stories:
        for group in (group for act in story.acts for group in act.groups):
            if spec.ego in group.actors:
                told += [a for m in group.maneuvers for e in m.events for _, a in e.actions]
    return told
