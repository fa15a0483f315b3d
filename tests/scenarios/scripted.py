"""An honest reference driver: along its route at a pace, and at gates it waits until it may go.

Where no planner gets through a type yet, this one shows that it can be got through, and by which
behaviour: the careless one is the same without its gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headway.frames import wrap_angle
from headway.road.frenet import project_on_route, route_poses
from headway.road.route import Route
from headway.types import AgentKind, Array, Command, Observation
from headway.vehicle import inverse_accel, inverse_steer, vehicle_params

ACCEL, BRAKE, HARDEST = 2.0, 2.0, 6.0  # [m/s^2] to speed up, to stop at a gate, at most
TOO_LATE = 5.0  # [m/s^2] from which on it goes through a gate that has closed
LATERAL = 2.0  # [m/s^2] in bends
RAMP = 18.0  # [m] along its route in which it moves aside
LOOK_LEAST, LOOK_TIME = 4.0, 0.5  # [m], [s] ahead that it steers for
BESIDE = 9.0  # [m] between the middles of two cars that are clear of each other
GAP, GAP_TIME = 4.0, 1.0  # [m], [s] behind who is ahead
DT = 0.05  # [s] of a tick
AT_GATE, STANDING = 3.0, 0.3  # [m] from a gate, [m/s] slower than which it stands there
ABREAST = 1.3  # [m] beside its own line that somebody's edge is in its way

Look = Callable[[Observation], bool]


@dataclass(frozen=True)
class Gate:
    """A place where ego waits.

    Attributes:
        s: [m] on the route, for its nose.
        clear: whether it may go on.
        rest: [s] that it stands there at any rate.
    """

    s: float
    clear: Look
    rest: float = 0.0


@dataclass(frozen=True)
class Aside:
    """A stretch of the route beside whose middle ego drives.

    Attributes:
        begin, end: [m] on the route; it moves over before and comes back behind.
        left: [m].
        ramp: [m] in which it does so.
    """

    begin: float
    end: float
    left: float
    ramp: float = RAMP

    def offset(self, s: float) -> float:
        """[m] left at `s` on the route."""
        into = np.interp(s, [self.begin - self.ramp, self.begin, self.end, self.end + self.ramp],
                         [0.0, 1.0, 1.0, 0.0])  # fmt: skip
        return self.left * float(0.5 - 0.5 * np.cos(np.pi * into))


class Scripted:
    """Drives by itself; see `headway.interfaces.SelfDriving`.

    Args:
        route: to drive.
        pace: [m/s] at most.
        gates: where it waits.
        asides: where it does not drive in the middle.
        follows: whether it keeps behind who is ahead on its way.
        steers: whether it corrects where it is; else it turns its wheels as the road bends.
    """

    def __init__(
        self, route: Route, pace: float, gates: Sequence[Gate] = (), asides: Sequence[Aside] = (),
        follows: bool = True, steers: bool = True,
    ) -> None:  # fmt: skip
        self.route, self.gates, self.asides = route, gates, asides
        self.follows, self.steers = follows, steers
        self._speeds = _speeds(route, pace)
        self.reset()

    def reset(self) -> None:
        """Forget where it is."""
        self._s = 0.0
        self._rested = [0.0] * len(self.gates)

    def act(self, observation: Observation) -> Command:
        """Return what to do now."""
        ego = observation.ego
        hint = self._s if self._s > 0.0 else None
        self._s = float(project_on_route(self.route, ego.pose[None, :2], hint)[0][0])
        front = self._s + float(ego.extent[0])
        wanted = float(np.interp(self._s + 0.5 * ego.speed, self.route.s, self._speeds))
        wanted = min(wanted, self._before_gates(observation, front))
        if self.follows:
            wanted = min(wanted, self._behind_others(observation, front))
        steer = self._steer(observation)
        if wanted < 0.2 and ego.speed < 0.5:
            return Command(brake=0.6, steer_norm=steer)
        accel = np.clip(3.0 * (wanted - ego.speed), -HARDEST, ACCEL)
        params = vehicle_params(ego.type_id)[None, :]
        throttle, brake = inverse_accel(params, np.array([ego.speed]), np.array([accel]))
        return Command(float(throttle[0]), float(brake[0]), steer)

    def _before_gates(self, observation: Observation, front: float) -> float:
        """[m/s] from which it can stop at the next gate, if that is closed."""
        for k, gate in enumerate(self.gates):
            left = gate.s - front
            if abs(left) < AT_GATE and observation.ego.speed < STANDING:
                self._rested[k] += DT
            if left < 0.0 or (self._rested[k] >= gate.rest and gate.clear(observation)):
                continue
            if observation.ego.speed**2 < 2.0 * TOO_LATE * max(left, 0.5):
                return math.sqrt(2.0 * BRAKE * max(left - 0.3 - 0.3 * observation.ego.speed, 0.0))
        return math.inf

    def _behind_others(self, observation: Observation, front: float) -> float:
        """[m/s] from which it can stop behind who is ahead."""
        actors = observation.actors
        assert actors is not None
        s, d, yaw = project_on_route(self.route, actors.pose[:, :2])
        cos = np.cos(actors.pose[:, 2] - yaw)
        along, across = actors.extent[:, 0] * np.abs(cos), actors.extent[:, 1] * np.abs(cos)
        along += actors.extent[:, 1] * np.sqrt(np.maximum(1.0 - cos**2, 0.0))
        across += actors.extent[:, 0] * np.sqrt(np.maximum(1.0 - cos**2, 0.0))
        own = np.array([self._offset(float(at)) for at in s])
        ahead = (np.abs(d - own) - across < ABREAST) & (s > self._s) & (s < self._s + 80.0)
        if not ahead.any():
            return math.inf
        theirs = np.maximum(actors.velocity[:, 0] * np.cos(yaw)
                            + actors.velocity[:, 1] * np.sin(yaw), 0.0)  # fmt: skip
        gap = np.maximum(s - along - front - GAP, 0.0)
        lag = 3.0 * GAP_TIME
        return float(np.min((np.sqrt(lag**2 + theirs**2 + 6.0 * gap) - lag)[ahead]))

    def _offset(self, s: float) -> float:
        return sum(aside.offset(s) for aside in self.asides)

    def _steer(self, observation: Observation) -> float:
        """Pure pursuit with the rear axle, or the bend of the road alone; left positive."""
        ego = observation.ego
        base = ego.wheelbase
        look = LOOK_LEAST + LOOK_TIME * max(ego.speed, 0.0)
        if self.steers:
            x, y, yaw = map(float, ego.pose)
            x, y = x - 0.5 * base * math.cos(yaw), y - 0.5 * base * math.sin(yaw)
            ahead = self._s + look - 0.5 * base
            at = route_poses(self.route, np.array([ahead]), self._offset(ahead))[0]
            bearing = wrap_angle(math.atan2(at[1] - y, at[0] - x) - yaw)
            reach = math.hypot(at[0] - x, at[1] - y)
            angle = math.atan(2.0 * base * math.sin(bearing) / max(reach, 1.0))
        else:
            angle = math.atan(base * float(np.interp(self._s, self.route.s, self.route.curvature)))
        params = vehicle_params(ego.type_id)[None, :]
        return float(inverse_steer(params, np.array([ego.speed]), np.array([angle]))[0])


def _speeds(route: Route, pace: float) -> Array:
    """[m/s] along the route: limits and bends, braked for early."""
    bend = np.sqrt(LATERAL / np.maximum(np.abs(route.curvature), 1e-6))
    speeds = np.minimum(np.minimum(route.speed_limit, pace), bend)
    for k in range(len(speeds) - 2, -1, -1):
        way = float(route.s[k + 1] - route.s[k])
        speeds[k] = min(speeds[k], math.sqrt(speeds[k + 1] ** 2 + 2.0 * 1.5 * way))
    return speeds


# What a gate waits for.


def free(line: Route, zone: tuple[float, float], seconds: float) -> Look:
    """Nobody on a line is in a part of it [m], or gets there in less than so long [s]."""

    def clear(observation: Observation) -> bool:
        actors = observation.actors
        assert actors is not None
        s, d, yaw = project_on_route(line, actors.pose[:, :2])
        towards = actors.velocity[:, 0] * np.cos(yaw) + actors.velocity[:, 1] * np.sin(yaw)
        half = actors.extent[:, 0]
        there = (np.abs(d) < 2.5) & (actors.kind != AgentKind.PROP)
        there &= (s - half < zone[1]) & (s + half + np.maximum(towards, 0.0) * seconds > zone[0])
        return not there.any()

    return clear


def room(line: Route, seconds: float) -> Look:
    """Nobody on a line is beside ego, or comes up beside it in less than so long [s]."""

    def clear(observation: Observation) -> bool:
        actors, ego = observation.actors, observation.ego
        assert actors is not None
        s, d, _ = project_on_route(line, np.vstack([ego.pose[None, :2], actors.pose[:, :2]]))
        ahead = s[1:] - s[0]
        closing = np.hypot(*actors.velocity.T) - ego.speed
        near = ahead < BESIDE + np.maximum(-closing, 0.0) * seconds
        near &= ahead > -BESIDE - np.maximum(closing, 0.0) * seconds
        return not ((np.abs(d[1:]) < 1.5) & near).any()

    return clear


def anyway(observation: Observation) -> bool:
    """Whoever is there."""
    del observation
    return True


def meeting(
    line: Route, route: Route, begin: float, end: float, width: float = 3.0
) -> tuple[float, float]:
    """The part [m] of a line that comes near a part of the route.

    Raises:
        ValueError: none does.
    """
    way = route.xyz[(route.s >= begin) & (route.s <= end), :2]
    off = np.hypot(*(line.xyz[:, None, :2] - way[None]).transpose(2, 0, 1)).min(axis=1)
    if not (near := line.s[off < width]).size:
        raise ValueError(f"no part of the line is within {width} m of the route")
    return float(near.min()), float(near.max())
