"""What a drive is judged by: one small class per criterion, fed tick by tick.

Each has `update(tick)` and, where something happened, a list of what, when and where. Whose fault a
collision is says `scenarios.collisions`.
"""

from __future__ import annotations

import numpy as np

from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.types import AgentKind, Observation, SignalState
from scenarios.collisions import Collisions
from scenarios.stop_lines import StopLines, front_of
from scenarios.tick import (
    STANDING,
    STOP_ZONE,
    Infraction,
    Intent,
    Tick,
    infraction_at,
    lights_passed,
)

GOAL_TOLERANCE = 3.0  # [m] before the end of the route that counts as there
SPEEDING_MARGIN = 0.5  # [m/s] above the limit that is not counted: a speedometer's width
NEARBY = 50.0  # [m]


class Completion:
    """How far along the route ego has come."""

    def __init__(self, route: Route) -> None:
        self._length = route.length
        self._furthest = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        self._furthest = max(self._furthest, tick.s)

    @property
    def share(self) -> float:
        """0 to 1; 1 once ego is within `GOAL_TOLERANCE` of the end."""
        if self._furthest >= self._length - GOAL_TOLERANCE:
            return 1.0
        return max(0.0, self._furthest / self._length)


class RedLights:
    """The front bumper passes the stop line of ego's way while its light shows red."""

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self._lines = StopLines(graph, StopKind.LIGHT)
        self._lanes = np.unique(route.lane)
        self.infractions: list[Infraction] = []

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        for line, state in lights_passed(self._lines, tick, tick.observation.ego.id):
            guards = int(self._lines.guards[line])
            if state == SignalState.RED and (guards < 0 or guards in self._lanes):
                self.infractions.append(
                    infraction_at("red_light", tick, f"passed stop line {self._lines.row[line]}")
                )
                return  # several lines of one light are one infraction


class StopSigns:
    """The front bumper passes a stop sign's line without having come to rest before it."""

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self._lines = StopLines(graph, StopKind.STOP)
        self._lanes = np.unique(route.lane)
        self._rested = np.zeros(len(self._lines), dtype=bool)
        self.infractions: list[Infraction] = []

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        if tick.before is None or not len(self._lines):
            return
        ego = tick.observation.ego
        front = front_of(ego.pose, float(ego.extent[0]))
        if abs(ego.speed) < STANDING:
            beyond, left = self._lines.relative(front)
            at_line = (beyond > -STOP_ZONE) & (beyond < 0.0) & (np.abs(left) < 2.0)
            self._rested |= at_line
        before = front_of(tick.before.ego.pose, float(ego.extent[0]))
        for line in self._lines.passed(before, front, ego.z):
            guards = int(self._lines.guards[line])
            if not self._rested[line] and (guards < 0 or guards in self._lanes):
                self.infractions.append(
                    infraction_at(
                        "stop_sign", tick, f"did not stop at line {self._lines.row[line]}"
                    )
                )
            self._rested[line] = False


class Speeding:
    """Seconds above the limit of ego's place on the route, by more than `SPEEDING_MARGIN`."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.seconds = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        index = min(int(np.searchsorted(self._route.s, tick.s)), len(self._route.s) - 1)
        if tick.observation.ego.speed > self._route.speed_limit[index] + SPEEDING_MARGIN:
            self.seconds += tick.dt


class Density:
    """How many vehicles and walkers are within `NEARBY` of ego, on average over time."""

    def __init__(self) -> None:
        self._sum = 0
        self._ticks = 0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        actors = tick.observation.actors
        if actors is None:
            return
        offset = actors.pose[:, :2] - tick.observation.ego.pose[:2]
        near = np.einsum("ij,ij->i", offset, offset) <= NEARBY**2
        self._sum += int(np.count_nonzero(near & (actors.kind != AgentKind.PROP)))
        self._ticks += 1

    @property
    def mean(self) -> float:
        """Agents, nan before the first tick."""
        return self._sum / self._ticks if self._ticks else float("nan")


class Criteria:
    """All criteria of a drive together.

    Args:
        graph: the town.
        route: the way to go.
    """

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self.completion = Completion(route)
        self.collisions = Collisions(graph)
        self.red_lights = RedLights(graph, route)
        self.stop_signs = StopSigns(graph, route)
        self.speeding = Speeding(route)
        self.density = Density()
        self._route = route
        self._before: Observation | None = None
        self._s = 0.0

    def update(self, observation: Observation, intent: Intent) -> Tick:
        """Take one frame in; return it with ego's place on the route."""
        s, d, _ = project_on_route(self._route, observation.ego.pose[None, :2], self._s)
        self._s = float(s[0])
        dt = 0.0 if self._before is None else observation.t - self._before.t
        tick = Tick(observation, self._before, intent, self._s, float(d[0]), dt)
        for criterion in (self.completion, self.collisions, self.red_lights, self.stop_signs,
                          self.speeding, self.density):  # fmt: skip
            criterion.update(tick)
        self._before = observation
        return tick

    @property
    def infractions(self) -> list[Infraction]:
        """Collisions, red lights and stop signs in the order of time."""
        found = (self.collisions, self.red_lights, self.stop_signs)
        return sorted((i for c in found for i in c.infractions), key=lambda i: i.t)
