"""What the scenarios of a route see of the drive, and the moments of it that they await."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from headway.frames import wrap_angles
from headway.road.frenet import project_on_route, route_index
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import ActorSnapshot, EgoState, SignalState
from scenarios.movers import Mover
from scenarios.script import Branch, first, until
from scenarios.spots import Spot
from scenarios.suites.spec import Place, ScenarioSpec
from scenarios.tick import Leniency

REACHED = 2.0  # [m] before its trigger at which a scenario goes off
TRIGGER_OFF, TRIGGER_TURN = 2.0, np.radians(10.0)  # [m], [rad] a trigger may be off the route
PASSING = 10.0  # [m] between the middles of two, one of which passes the other


class View:
    """The drive of one episode.

    Args:
        graph: the town.
        route: ego's.
        dt: [s] of a tick.

    Attributes:
        graph: the town.
        route: ego's.
        dt: [s] of a tick.
        t: [s] since ego was placed.
        ego: as of the last frame.
        ego_s: [m] along the route.
        actors: the others, as of the last frame.
        timeouts: names of the scenarios that ego did not get through in time.
        missed_yields: names of those in which ego did not let an emergency vehicle pass.
    """

    def __init__(self, graph: LaneGraph, route: Route, dt: float) -> None:
        self.graph, self.route, self.dt = graph, route, dt
        self.t = self.ego_s = 0.0
        self.ego: EgoState | None = None
        self.actors: ActorSnapshot | None = None
        self.timeouts: list[str] = []
        self.missed_yields: list[str] = []
        self._clocks = self._overtaking = 0

    def see(self, actors: ActorSnapshot | None, ego: EgoState, dt: float) -> None:
        """Take a frame in."""
        hint = self.ego_s if self.ego is not None else None
        self.actors, self.ego = actors, ego
        self.ego_s = float(project_on_route(self.route, ego.pose[None, :2], hint)[0][0])
        self.t += dt

    @property
    def leniency(self) -> Leniency:
        """What ego may do for now: stand while a scenario's own clock runs, for one."""
        return Leniency(standing=self._clocks > 0, oncoming_lane=self._overtaking > 0)

    @contextmanager
    def overtaking(self) -> Iterator[None]:
        """Let ego use the oncoming lane meanwhile."""
        self._overtaking += 1
        try:
            yield
        finally:
            self._overtaking -= 1

    # Moments.

    async def seconds(self, duration: float) -> None:
        """Wait so long [s]."""
        end = self.t + duration
        await until(lambda: self.t >= end - 1e-9)

    async def forever(self) -> None:
        """Wait until broken off."""
        await until(lambda: False)

    async def triggered(self, spec: ScenarioSpec) -> None:
        """Wait until ego comes to the scenario's trigger."""
        at = self.trigger_s(spec)
        await until(lambda: self.ego_s > at - REACHED)

    async def near(self, where: Place, distance: float) -> None:
        """Wait until ego's middle is within `distance` [m] of a place."""
        await until(lambda: self.distance_to(where) < distance)

    async def about_to_reach(self, where: Place, seconds: float, distance: float) -> None:
        """Wait until ego, going on as fast as it is, is so near to a place in time, or in way."""

        def soon() -> bool:
            assert self.ego is not None
            away = self.distance_to(where)
            return away < distance or away < seconds * self.speed

        await until(soon)

    async def driven(self, way: float) -> None:
        """Wait until ego has come `way` [m] on along its route."""
        end = self.ego_s + way
        await until(lambda: self.ego_s >= end)

    async def through_junction(self) -> None:
        """Wait until ego has left a junction: the one it is in, or the next."""
        await until(lambda: self._in_junction(self.ego_s))
        await until(lambda: not self._in_junction(self.ego_s))

    async def ahead_of(self, mover: Mover) -> None:
        """Wait until ego's tail is past a vehicle that goes its way."""
        await until(lambda: self.lead_over(mover) > self._half(mover))

    async def behind(self, mover: Mover) -> None:
        """Wait until a vehicle that goes ego's way is past ego's nose, and not far."""
        await until(
            lambda: self.lead_over(mover) < -self._half(mover) and self.gap_to(mover) < PASSING
        )

    async def near_any(self, places: Sequence[Place], distance: float) -> None:
        """Wait until ego's middle is within `distance` [m] of one of these places."""
        await until(lambda: any(self.distance_to(place) < distance for place in places))

    async def passed(self, spot: Spot) -> None:
        """Wait until ego's middle is beyond the line across the lane at `spot`."""
        place, yaw = spot.beside(0.0), spot.yaw
        await until(lambda: self._along(place, yaw) > 0.0)

    async def in_time(self, name: str, moment: Branch, limit: float = 240.0) -> None:
        """Wait for `moment`, at most so long [s]; when it is too late, note that.

        While this clock runs, ego may stand for as long as it likes.
        """
        self._clocks += 1
        try:
            if await first(moment, self.seconds(limit)):
                self.timeouts.append(name)
        finally:
            self._clocks -= 1

    @property
    def speed(self) -> float:
        """[m/s] of ego."""
        assert self.ego is not None
        return float(np.hypot(*self.ego.velocity))

    def lead_over(self, mover: Mover) -> float:
        """[m] that ego's middle is before that of another vehicle, in that one's direction."""
        return self._along(mover.place, float(mover.pose[2]))

    def gap_to(self, mover: Mover) -> float:
        """[m] between the middles of ego and another vehicle."""
        return self.distance_to(mover.place)

    def distance_to(self, where: Place) -> float:
        """[m] from ego's middle."""
        assert self.ego is not None
        return float(np.hypot(self.ego.pose[0] - where.x, self.ego.pose[1] - where.y))

    def trigger_s(self, spec: ScenarioSpec) -> float:
        """Where [m] on the route a scenario's trigger lies.

        Raises:
            ValueError: the route does not lead through it.
        """
        at, route = spec.trigger, self.route
        off = np.hypot(route.xyz[:, 0] - at.x, route.xyz[:, 1] - at.y)
        turned = np.abs(wrap_angles(route.yaw - (at.yaw or 0.0)))
        fits = (off < TRIGGER_OFF) & (turned < TRIGGER_TURN)
        if not fits.any():
            raise ValueError(
                f"{spec.source}: the route does not lead through the trigger of {spec.name}"
            )
        return float(route.s[np.argmin(np.where(fits, off, math.inf))])

    def junction_ahead(self, spec: ScenarioSpec) -> tuple[int, float, float]:
        """The first junction on the route behind a scenario's trigger.

        Returns:
            Its id, and where [m] on the route it begins and ends.

        Raises:
            ValueError: there is none.
        """
        at, junction = self.trigger_s(spec), self.graph.junction[self.route.lane]
        rows = np.flatnonzero((junction >= 0) & (self.route.s >= at))
        if not len(rows):
            raise ValueError(f"{spec.source}: no junction lies behind the trigger of {spec.name}")
        begin = rows[0]
        inside = (junction == junction[begin]) & (self.route.s >= self.route.s[begin])
        end = begin + int(np.argmin(inside[begin:])) if not inside[begin:].all() else -1
        return int(junction[begin]), float(self.route.s[begin]), float(self.route.s[end])

    def entry(self, spec: ScenarioSpec) -> tuple[Route, ...]:
        """Ego's way from a scenario's trigger to that junction, of which upstream keeps traffic.

        Empty where no junction lies behind it.
        """
        at = self.trigger_s(spec)
        try:
            _, begin, _ = self.junction_ahead(spec)
        except ValueError:
            return ()
        return (self.spot_at(at).line(max(begin - at, 5.0)),)

    def may_go(self, signals: Sequence[int]) -> bool:
        """Whether one of these lights, rows of `LaneGraph.signal_id`, is green; yes without any."""
        if not signals or self.actors is None:
            return True
        return bool(np.any(self.actors.signal_state[list(signals)] == SignalState.GREEN))

    def spot_at(self, s: float) -> Spot:
        """The place of ego's route at `s` [m]."""
        k = int(route_index(self.route, s))
        return Spot(self.graph, int(self.route.lane[k]), float(self.route.lane_s[k]))

    def _half(self, mover: Mover) -> float:
        """[m] half the lengths of ego and another vehicle together."""
        assert self.ego is not None
        return float(self.ego.extent[0]) + mover.half_length

    def _in_junction(self, s: float) -> bool:
        return bool(self.graph.junction[self.route.lane[route_index(self.route, s)]] >= 0)

    def _along(self, place: Place, yaw: float) -> float:
        assert self.ego is not None
        dx, dy = self.ego.pose[0] - place.x, self.ego.pose[1] - place.y
        return float(dx * math.cos(yaw) + dy * math.sin(yaw))
