"""What a drive is judged by: one small class per criterion, fed tick by tick.

Each has `update(tick)` and, where something happened, a list of what, when and where. Whose fault a
collision is says `scenarios.collisions`.
"""

from __future__ import annotations

import numpy as np

from headway.frames import wrap_angle
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.queries import lane_width, nearest_lane, pose_at
from headway.road.route import Route
from headway.types import AgentKind, EgoState, Observation, SignalState
from scenarios.collisions import Collisions
from scenarios.stop_lines import StopLines, front_of
from scenarios.tick import (
    STANDING,
    STOP_ZONE,
    Infraction,
    Intent,
    Leniency,
    Tick,
    infraction_at,
    lights_passed,
)

GOAL_TOLERANCE = 3.0  # [m] before the end of the route that counts as there
SPEEDING_MARGIN = 0.5  # [m/s] above the limit that is not counted: a speedometer's width
NEARBY = 50.0  # [m]
LANE_MARGIN = 0.5  # [m] beyond a lane's edge that ego's middle may be
AGAINST = np.radians(120.0)  # from a lane's direction, beyond which ego drives against it


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


class OffLane:
    """How much of its way ego's middle was where ego may not drive.

    That is more than `LANE_MARGIN` beyond the edge of the nearest lane for driving or parking, or,
    outside junctions, within a lane of the other direction.
    """

    def __init__(self, graph: LaneGraph) -> None:
        self._graph, self._lanes = graph, graph.arrays()
        self._way = 0.0
        self.metres = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        if tick.before is None:
            return
        ego = tick.observation.ego
        step = float(np.hypot(*(ego.pose[:2] - tick.before.ego.pose[:2])))
        self._way += step
        if step > 0.0 and self._is_off(ego, tick.leniency.oncoming_lane):
            self.metres += step

    def _is_off(self, ego: EgoState, may_go_against: bool) -> bool:
        graph, kinds = self._graph, (LaneKind.DRIVING, LaneKind.PARKING)
        x, y, yaw = map(float, ego.pose)
        lane, s, d = nearest_lane(graph, x, y, kinds=kinds, z=ego.z)
        if lane < 0 or abs(d) > 0.5 * lane_width(self._lanes, lane, s) + LANE_MARGIN:
            return True
        if may_go_against or graph.junction[lane] >= 0 or graph.kind[lane] == LaneKind.PARKING:
            return False  # lanes of a junction cross; one may park against the direction
        return abs(wrap_angle(pose_at(graph, lane, s)[3] - yaw)) > AGAINST

    @property
    def share(self) -> float:
        """Of the way, [0, 1]."""
        return self.metres / self._way if self._way > 0.0 else 0.0


class Pace:
    """How fast ego is, compared with the other vehicles, on equal stretches of the route.

    Args:
        route: the way to go.
        stretches: into how many it is cut: 4 in the Leaderboard, 20 in Bench2Drive.
    """

    def __init__(self, route: Route, stretches: int = 20) -> None:
        self._length, self._stretches = route.length, stretches
        self._sums = np.zeros((stretches, 2))  # of ego's speed, of the others' mean speed
        self._passed = 0  # stretches
        self._s = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        self._s = max(self._s, tick.s)
        self._passed = min(int(self._stretches * self._s / self._length), self._stretches)
        actors = tick.observation.actors
        if actors is None or self._passed == self._stretches:
            return
        drives = (actors.kind != AgentKind.WALKER) & (actors.kind != AgentKind.PROP)
        if drives.any():
            others = float(np.hypot(*actors.velocity[drives].T).mean())
            self._sums[self._passed] += np.abs(tick.observation.ego.speed), others

    @property
    def shares(self) -> list[float]:
        """Ego's mean speed as a share of the others', by stretch that was passed."""
        nearly = self._s > 0.95 * self._length
        passed = self._stretches if nearly else self._passed
        return [ego / others if others > 0.0 else 1.0 for ego, others in self._sums[:passed]]

    @property
    def efficiency(self) -> float:
        """Bench2Drive's driving efficiency [%], nan before a stretch was passed.

        It is the mean over the stretches; those of more than 1000 % do not count.
        """
        kept = [share for share in self.shares if share <= 10.0]
        return 100.0 * float(np.mean(kept)) if kept else float("nan")


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
        self.off_lane = OffLane(graph)
        self.pace = Pace(route)
        self._route = route
        self._before: Observation | None = None
        self._s = 0.0

    def update(
        self, observation: Observation, intent: Intent, leniency: Leniency | None = None
    ) -> Tick:
        """Take one frame in; return it with ego's place on the route."""
        s, d, _ = project_on_route(self._route, observation.ego.pose[None, :2], self._s)
        self._s = float(s[0])
        dt = 0.0 if self._before is None else observation.t - self._before.t
        tick = Tick(
            observation, self._before, intent, self._s, float(d[0]), dt, leniency or Leniency()
        )
        for criterion in (self.completion, self.collisions, self.red_lights, self.stop_signs,
                          self.speeding, self.density, self.off_lane, self.pace):  # fmt: skip
            criterion.update(tick)
        self._before = observation
        return tick

    @property
    def infractions(self) -> list[Infraction]:
        """Collisions, red lights and stop signs in the order of time."""
        found = (self.collisions, self.red_lights, self.stop_signs)
        return sorted((i for c in found for i in c.infractions), key=lambda i: i.t)
