"""The episode: reset; while not over act and step; score."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from headway.driver import Driver
from headway.interfaces import Simulator
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.trace import Trace
from headway.types import Observation
from scenarios.criteria import Criteria
from scenarios.tick import STANDING, Intent, Leniency, Tick


class Progress(Protocol):
    """Hears about each tick: share of the route that is done, simulated and wall seconds."""

    def __call__(self, share: float, sim_s: float, wall_s: float) -> None:  # noqa: D102
        ...


@dataclass
class EpisodeConfig:
    """When an episode ends without having reached its goal.

    Attributes:
        off_route: [m] beside the route.
        blocked_s: [s] of standing.
        ends_at_collision: whether the first one, whoever's fault, is the end.
        time_limit_s: [s] at any rate; 0 makes it `time_limit_base_s` and `time_limit_s_per_m` of
            the route.
        time_limit_base_s: [s].
        time_limit_s_per_m: [s/m] 7.2 km/h on average, long waits at lights included.
    """

    off_route: float = 30.0
    blocked_s: float = 180.0
    ends_at_collision: bool = False
    time_limit_s: float = 0.0
    time_limit_base_s: float = 60.0
    time_limit_s_per_m: float = 0.5

    def __post_init__(self) -> None:
        for name in ("off_route", "blocked_s", "time_limit_s_per_m"):
            if not getattr(self, name) > 0.0:
                raise ValueError(
                    f"EpisodeConfig.{name}: expected more than 0, got {getattr(self, name)!r}"
                )

    def limit_s(self, route: Route) -> float:
        """[s] that a drive along `route` may take."""
        whole = self.time_limit_base_s + self.time_limit_s_per_m * route.length
        return self.time_limit_s or whole


@dataclass(frozen=True)
class Episode:
    """How it went.

    Attributes:
        criteria: all of them, with what happened.
        ending: `completed`, `collision`, `off_route`, `blocked`, `time_limit` or what the caller
            gave.
        sim_s: [s] simulated.
        wall_s: [s] that the loop took.
        trace: of the driver.
    """

    criteria: Criteria
    ending: str
    sim_s: float
    wall_s: float
    trace: Trace


def run_episode(
    simulator: Simulator,
    driver: Driver,
    route: Route,
    seed: int,
    config: EpisodeConfig,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
    leniency: Callable[[], Leniency] = Leniency,
    over: Callable[[], str] = lambda: "",
) -> Episode:
    """Drive `route` once and judge it.

    Args:
        simulator: where.
        driver: who.
        route: to drive.
        seed: of the simulator's choices.
        config: when it ends early.
        progress: hears about each tick.
        clock: [s] wall time.
        leniency: what, in this tick, scenarios let ego do.
        over: why, for reasons of its own, the episode ends in this tick; empty: it goes on. It is
            asked first when the episode begins.
    """
    driver.reset()
    observation = simulator.reset(route, seed)
    graph: LaneGraph = observation.lane_graph
    criteria, ending = Criteria(graph, route), _Ending(config, route, over)
    tick = criteria.update(observation, Intent())
    begin = clock()
    while not (why := ending.of(tick, criteria)):
        command = driver.act(observation)
        observation = simulator.step(command)
        tick = criteria.update(observation, _intent(driver.trace), leniency())
        if progress is not None:
            progress(criteria.completion.share, observation.t, clock() - begin)
    return Episode(criteria, why, observation.t, clock() - begin, driver.trace)


def _intent(trace: Trace) -> Intent:
    """What the driver's last tick gave as reasons."""
    last = trace.records[-1]
    return Intent(last.active, last.required_decel)


class _Ending:
    """Decides whether an episode is over."""

    def __init__(self, config: EpisodeConfig, route: Route, over: Callable[[], str]) -> None:
        self._config, self._over = config, over
        self._limit_s = config.limit_s(route)
        self._moved_t = 0.0

    def of(self, tick: Tick, criteria: Criteria) -> str:
        """Return why it is over, or nothing."""
        observation: Observation = tick.observation
        if abs(observation.ego.speed) > STANDING or tick.leniency.standing:
            self._moved_t = tick.t
        if reason := self._over():
            return reason
        if criteria.completion.share >= 1.0:
            return "completed"
        if self._config.ends_at_collision and criteria.collisions.infractions:
            return "collision"
        if abs(tick.d) > self._config.off_route:
            return "off_route"
        if tick.t - self._moved_t >= self._config.blocked_s:
            return "blocked"
        return "time_limit" if tick.t >= self._limit_s else ""
