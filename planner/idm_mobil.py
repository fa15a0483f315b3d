"""The rule-based planner with lane changes: MOBIL decides, IDM and pure pursuit drive.

Kesting, Treiber, Helbing, "General lane-changing model MOBIL for car-following models",
Transportation Research Record 1999 (2007): a change is safe when the new follower need not brake
harder than b_safe, and worth it when a' - a + p (a'_new - a_new + a'_old - a_old) exceeds a
threshold, where the primes are after the change, and new and old are the two followers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from headway.road.frenet import project_on_route
from headway.road.route import Route
from headway.traffic.following import idm_accel
from headway.types import AgentKind, Array, Forecast, Goal, Plan, Proposals, Scene
from planner.detour import lane_beside, lay_detour, stretch_end
from planner.idm import IdmConfig, IdmPlanner
from planner.neighbours import Side

NOBODY = 1e9  # [m] to a lead or follower that is not there
SAME_WAY = 0.6  # [rad] to the route: who is turned further is no lead or follower
LOOK = 120.0  # [m] ahead and behind
LANE_HALF = 1.75  # [m]


@dataclass
class IdmMobilConfig:
    """When lanes are changed, and how it drives.

    Attributes:
        politeness: p, how much the followers' losses count.
        threshold: [m/s^2] that a change out of the route's lane has to gain.
        keep_bias: [m/s^2] that coming back to the route's lane may cost.
        safe_brake: [m/s^2] b_safe.
        side_gap: [m] before and behind ego that is free on the other lane.
        change_s: [s] that a change takes.
        min_change: [m] along which it is made at least.
        min_stretch_s: [s] beside the route's lane without which no change is worth it.
        min_speed: [m/s] below which no lane is changed.
        idm: how it drives otherwise.
    """

    politeness: float = 0.0
    threshold: float = 0.1
    keep_bias: float = 0.3
    safe_brake: float = 2.0
    side_gap: float = 4.0
    change_s: float = 4.0
    min_change: float = 35.0
    min_stretch_s: float = 6.0
    min_speed: float = 4.0
    idm: IdmConfig = field(default_factory=IdmConfig)

    def __post_init__(self) -> None:
        for name in ("safe_brake", "change_s", "min_change"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"IdmMobilConfig.{name}: expected > 0, got {getattr(self, name)}")


@dataclass
class _Detour:
    """A stretch beside the route that was begun."""

    beside: Array
    offset: Array
    s_out: float
    s_back: float
    length: float
    route: Route


class IdmMobilPlanner:
    """A `Planner`: the rule-based one, which also passes slow leads on roads of several lanes.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: IdmMobilConfig | None = None) -> None:
        self.config = config or IdmMobilConfig()
        self._idm = IdmPlanner(self.config.idm)
        self.reset()

    def reset(self) -> None:
        """Forget the route and what was decided on it."""
        self._idm.reset()
        self._base: Route | None = None
        self._detour: _Detour | None = None
        self._s = float("nan")

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Decide on the lane, and return the ways on along it."""
        self._goal = self._decide(scene, goal)
        return self._idm.propose(scene, self._goal)

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the plan along the lane that was decided on."""
        del goal
        return self._idm.refine(scene, self._goal, proposals, forecast)

    def _decide(self, scene: Scene, goal: Goal) -> Goal:
        """Return `goal` with the route that is driven now."""
        route = goal.route
        if route is not self._base:
            self._base, self._detour, self._s = route, None, float("nan")
            self._sides = [lane_beside(scene.lane_graph, route, side) for side in Side]
        s, _, _ = project_on_route(route, scene.ego.pose[None, :2], self._s)
        self._s = float(s[0])
        if self._detour is not None and self._s > self._detour.s_back + 2.0:
            self._switch(scene, None)
        lanes = _Lanes(scene, goal, self._s, self.config)
        cap = goal.speed_cap
        if self._detour is None:
            self._maybe_leave(scene, lanes)
        else:
            cap = min(cap, self._maybe_return(scene, lanes, self._detour))
        if self._detour is None:
            return goal
        line = self._detour.route
        stop_s = None if goal.stop_s is None else float(np.interp(goal.stop_s, route.s, line.s))
        return replace(goal, route=line, stop_s=stop_s, speed_cap=cap)

    def _maybe_leave(self, scene: Scene, lanes: _Lanes) -> None:
        """Begin a stretch beside the route if that is safe, worth it, and long enough."""
        config, speed = self.config, scene.ego.speed
        row = min(int(np.searchsorted(lanes.route.s, self._s)), len(lanes.route.s) - 1)
        if speed < config.min_speed or lanes.lead(0.0)[0] >= NOBODY:
            return
        length = max(config.min_change, config.change_s * speed)
        best, chosen = config.threshold, None
        for beside, offset in self._sides:
            if beside[row] < 0:
                continue
            end = stretch_end(scene.lane_graph, lanes.route, beside, self._s)
            if end - self._s < 2.0 * length + config.min_stretch_s * speed:
                continue
            gain = lanes.gain(0.0, float(offset[row]))
            if gain > best:
                best = gain
                chosen = _Detour(beside, offset, self._s + 1.0, end, length, lanes.route)
        if chosen is not None:
            self._switch(scene, chosen)

    def _maybe_return(self, scene: Scene, lanes: _Lanes, detour: _Detour) -> float:
        """Come back early when that costs little; return the speed [m/s] not to be exceeded."""
        row = min(int(np.searchsorted(lanes.route.s, self._s)), len(lanes.route.s) - 1)
        begins = detour.s_back - detour.length
        if self._s < detour.s_out + detour.length or self._s >= begins:
            return float("inf")
        gain = lanes.gain(float(detour.offset[row]), 0.0)
        if gain > -self.config.keep_bias:
            length = max(self.config.min_change, self.config.change_s * scene.ego.speed)
            if self._s + 1.0 + length < detour.s_back:
                back = replace_back(detour, self._s + 1.0 + length, length)
                self._switch(scene, back)
            return float("inf")
        if begins - self._s < 2.0 * scene.ego.speed + 30.0 and not lanes.safe(0.0):
            # The lane ends soon and somebody is where we have to be: let them go ahead.
            return max(lanes.beside_speed(0.0) - 2.0, 2.0)
        return float("inf")

    def _switch(self, scene: Scene, detour: _Detour | None) -> None:
        """Take another line; it has the samples of the route, so nothing else is forgotten."""
        base = self._base
        assert base is not None
        if detour is not None:
            detour.route = lay_detour(
                scene.lane_graph, base, detour.beside, detour.offset, detour.s_out,
                detour.s_back, detour.length,
            )  # fmt: skip
        self._detour = detour
        line = base if detour is None else detour.route
        self._idm.follow(scene.lane_graph, line, self._idm.memory.hint)


def replace_back(detour: _Detour, s_back: float, length: float) -> _Detour:
    """Return the same stretch with its way back so that it ends at `s_back` [m]."""
    # What lies behind is laid with the new length as well: nobody drives there any more.
    return _Detour(detour.beside, detour.offset, min(detour.s_out, s_back - 2.0 * length), s_back,
                   length, detour.route)  # fmt: skip


class _Lanes:
    """Who is ahead and behind on the lanes beside each other, for MOBIL."""

    def __init__(self, scene: Scene, goal: Goal, s: float, config: IdmMobilConfig) -> None:
        self.route, self._config, self._time_gap = goal.route, config, goal.time_gap
        agents, ego = scene.agents, scene.ego
        at, self._d, yaw = project_on_route(goal.route, agents.pose[:, :2], s, LOOK)
        turn = np.cos(agents.pose[:, 2] - yaw)
        vehicle = (agents.kind == AgentKind.VEHICLE) | (agents.kind == AgentKind.TWO_WHEELER)
        self._counts = vehicle & (turn > np.cos(SAME_WAY)) & (np.abs(at - s) < LOOK)
        self._ahead = at - s
        self._half = agents.extent[:, 0]
        self._speed = agents.speed
        self._own_half, self._own_speed = float(ego.extent[0]), max(ego.speed, 0.0)
        limit = float(np.interp(s, goal.route.s, goal.route.speed_limit))
        self._limit = limit
        self._desired = max(min(limit - config.idm.speed_margin, goal.speed_cap), 1.0)

    def lead(self, d: float) -> tuple[float, float]:
        """Return gap [m] and speed [m/s] of who is ahead on the lane `d` [m] left of the route."""
        return self._nearest(d, self._ahead)

    def follower(self, d: float) -> tuple[float, float]:
        """Return gap [m] and speed [m/s] of who is behind there."""
        return self._nearest(d, -self._ahead)

    def _nearest(self, d: float, away: Array) -> tuple[float, float]:
        rows = np.flatnonzero(self._counts & (np.abs(self._d - d) < LANE_HALF) & (away > 0.0))
        if not len(rows):
            return NOBODY, 0.0
        i = int(rows[np.argmin(away[rows])])
        return float(away[i] - self._half[i]) - self._own_half, float(self._speed[i])

    def safe(self, d: float) -> bool:
        """Whether ego may be on the lane at `d` without anybody having to brake hard."""
        (ahead, lead_speed), (behind, speed) = self.lead(d), self.follower(d)
        if min(ahead, behind) < self._config.side_gap:
            return False
        own = self._accel(self._own_speed, self._desired, ahead, lead_speed)
        return min(own, self._follows(speed, behind, self._own_speed)) > -self._config.safe_brake

    def gain(self, here: float, there: float) -> float:
        """MOBIL's gain [m/s^2] of a change from the lane at `here` to that at `there` [m].

        -inf when it is not safe.
        """
        if not self.safe(there):
            return -np.inf
        (gap, lead_speed), (new_gap, new_speed) = self.lead(here), self.lead(there)
        own = self._accel(self._own_speed, self._desired, new_gap, new_speed)
        own -= self._accel(self._own_speed, self._desired, gap, lead_speed)
        length = 2.0 * self._own_half
        others = 0.0
        behind, speed = self.follower(there)  # gets ego ahead of it
        if behind < NOBODY:
            room = min(behind + length + new_gap, NOBODY)
            others += self._follows(speed, behind, self._own_speed)
            others -= self._follows(speed, room, new_speed)
        behind, speed = self.follower(here)  # is rid of ego
        if behind < NOBODY:
            room = min(behind + length + gap, NOBODY)
            others += self._follows(speed, room, lead_speed)
            others -= self._follows(speed, behind, self._own_speed)
        return own + self._config.politeness * others

    def beside_speed(self, d: float) -> float:
        """Speed [m/s] of the slowest within `side_gap` and a second of ego on the lane at `d`."""
        reach = self._config.side_gap + self._own_half + self._own_speed
        near = self._counts & (np.abs(self._d - d) < LANE_HALF) & (np.abs(self._ahead) < reach)
        return float(self._speed[near].min()) if near.any() else np.inf

    def _follows(self, speed: float, gap: float, lead_speed: float) -> float:
        return self._accel(speed, max(speed, self._limit), gap, lead_speed)

    def _accel(self, speed: float, desired: float, gap: float, lead_speed: float) -> float:
        c = self._config.idm
        return idm_accel(speed, desired, gap, lead_speed, self._time_gap, c.standing_gap, c.accel,
                         c.brake)  # fmt: skip
