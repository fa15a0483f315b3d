"""Drives an OpenSCENARIO file: ego by a driver, everybody else by the storyboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, NoTraffic, Traffic
from headway.driver import Driver
from headway.road.route import Route
from headway.types import ActorSnapshot, EgoState
from scenarios.config import DriveConfig
from scenarios.episode import Episode, run_episode
from scenarios.openscenario.routes import beginnings, ego_route
from scenarios.openscenario.storyboard import Storyboard
from scenarios.openscenario.verdicts import judge
from scenarios.openscenario.world import StoryStage
from scenarios.script import Script
from scenarios.suites.leaderboard import CLEAR_2
from scenarios.suites.openscenario_spec import (
    StorySpec,
)
from scenarios.suites.spec import SuiteError

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
        self.keep_off(())
        return self.stage.take_commands() + self._background.commands(actors, ego)

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Leave lines to others: so does the background."""
        self._background.keep_off([*self.stage.closed_lines, *lines])


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
    stage.set_weather(CLEAR_2)
    simulator = CarlaSimulator(session, config.simulator, lambda session, seed: cast)
    try:
        episode = run_episode(simulator, driver, route, seed, config.episode, over=cast.ending)
    finally:
        cast.script.close()
        simulator.close()
    for error in cast.script.failures.values():
        raise error if isinstance(error, SuiteError) else ValueError(f"{spec.source}: {error}")
    stage.verdicts = judge(spec.criteria, episode, session.lane_graph)
    return episode, stage


def story_figures(stage: StoryStage) -> dict[str, Any]:
    """What a row of the bench has of a file: verdicts by criterion, and what happened when [s].

    Where there are criteria, they alone say whether it was a success.
    """
    happened = [
        [round(h.time, 2), h.kind, h.name, h.what]
        for h in stage.elements.log
        if h.kind in ("event", "action")
    ]
    figures: dict[str, Any] = {"criteria": stage.verdicts, "story": happened}
    return figures | ({"success": all(stage.verdicts.values())} if stage.verdicts else {})
