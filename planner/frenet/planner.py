"""Sampling in the Frenet frame: many short motions, the cheapest that holds is driven.

Werling, Ziegler, Kammel, Thrun (2010), "Optimal trajectory generation for dynamic street scenarios
in a Frenet frame", ICRA: longitudinal polynomials to speeds, places to stop and leads (section V),
lateral ones to offsets from the route, every pair of both costed by

    C = k_lon (k_j J_s + k_t T + k_v (v_1 - v_d)^2) + k_lat (k_j J_d + k_t T + k_d d_1^2)

and, from the cheapest on, checked: speed, accelerations, curvature, road, bounds, contacts. The
paper leaves to a behaviour layer which mode is meant; here the rule layer of `planner.idm` says
where to stop and whom to follow, and all modes compete. What is ours beside the paper: a lane (or
a gap beside who stands) costs the speed that its lead lacks, so that it pays to go round; a lane is
left only with room to brake for its lead; and the moving point is the middle of the rear axle,
which the paper leaves open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.route import Route
from headway.types import NUM_STATES, Array, Forecast, Goal, Plan, Proposals, Scene, StateIndex
from planner.beside import RoadBeside, bounds_beside, goes_behind, road_beside
from planner.bounds import BoundList
from planner.contacts import (
    NONE,
    first_contact,
    forecast_poses,
    others_until,
    stays_safe,
)
from planner.corridor import nearest_on
from planner.frenet.config import FrenetConfig
from planner.frenet.sampling import (
    MOST,
    Law,
    Road,
    Start,
    across,
    lay_brake,
    motion,
    profiles,
    segment,
)
from planner.idm import IdmPlanner
from planner.rollout import AT, BOUND_SPEED, STANDS, new_states

CHANGES = ("change_right", "change_left")
BEGUN = 0.4  # [m] beside the route from which on a change is not given up for the lead's sake


@dataclass(frozen=True)
class Way:
    """A lane or a gap beside the route that ego may take.

    Attributes:
        name: keep, nudge_left, nudge_right, change_left, change_right.
        target: [m] offset from the route.
        bounds: that hold on it.
        edges: (R, 2) [m] lowest and highest offset of ego's middle.
        deficit: cost of the speed that its lead lacks.
    """

    name: str
    target: float
    bounds: BoundList
    edges: Array
    deficit: float


@dataclass(frozen=True)
class Sample:
    """The best candidate.

    Attributes:
        states: (N+1, NUM_STATES).
        way: that it takes.
        cost: of it, inf for the fallback.
        contact: [s] of its first contact, NONE for none.
        num: how many were sampled and held.
    """

    states: Array
    way: Way
    cost: float
    contact: float
    num: int


@njit(cache=True)
def combine(
    law: Law, road: Road, start: Start, cap: float, bounds: Array, durations: Array, shares: Array,
    lateral: Array, target: float, extra: float, edges: Array, now: Array, t: Array,
    states: Array, cost: Array, n: int,
) -> int:  # fmt: skip
    """Add the candidates of one way to `states` (M, N+1, NUM_STATES) and `cost` (M,) from row `n`.

    Returns:
        How many there are then.
    """
    along, price = np.empty((MOST, len(t), 3)), np.empty(MOST)
    ways = np.empty((len(t), 3))
    num = profiles(law, road, start, cap, bounds, durations, shares, t, along, price)
    for p in range(num):
        for duration in lateral:
            if n >= len(cost):
                return n
            c = across(law, start, along[p], target, duration, t, ways)
            states[n, 0] = now
            if motion(law, road, start, along[p], ways, edges, states[n]):
                cost[n] = price[p] + c + extra
                n += 1
    return n


class FrenetPlanner:
    """A `Planner`: the cheapest of some hundred polynomials along and across the route.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: FrenetConfig | None = None) -> None:
        self.config = c = config or FrenetConfig()
        self.rules = IdmPlanner(c.rules)
        self._t = c.dt * np.arange(round(c.horizon / c.dt) + 1)
        ways = len(c.nudges) + 3
        most = ways * len(c.lateral_durations) * MOST
        self._states = np.empty((most, len(self._t), NUM_STATES))
        self._cost = np.empty(most)
        self._durations, self._shares = np.array(c.durations), np.array(c.shares)
        self._lateral = np.array(c.lateral_durations)
        self.reset()

    def reset(self) -> None:
        """Forget the route and the last plan."""
        self.rules.reset()
        self._beside: RoadBeside | None = None
        self._route: Route | None = None

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return the rule layer's ways on, for the forecast: keep to the route, give way, stop."""
        proposals = self.rules.propose(scene, goal)
        if self._route is not goal.route:
            self._route = goal.route
            self._beside = road_beside(scene.lane_graph, goal.route)
        return proposals

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the cheapest candidate that holds; without one, brake along the route."""
        rules, dt = self.rules, self.config.dt
        keep = proposals.names.index("keep")
        bounds = rules.bound(scene, goal, forecast, keep)
        ways = self._ways(scene, goal, forecast, keep, bounds)
        best = self._sample(scene, goal, forecast, keep, ways)
        # What the rules say binds, for those who ask.
        roll = rules.roll(scene, goal, best.way.bounds, rules.config.plan_dt)
        active, required = rules.active(goal, best.way.bounds, roll.which)
        rules.remember(active, best.states, dt)
        inputs = np.diff(best.states[:, StateIndex.ACCEL :], axis=0) / dt
        held = math.isfinite(best.cost)
        return Plan(
            best.states, inputs, np.full(len(inputs), dt),
            name="stop" if not held else "yield" if rules.memory.giving_way else "keep",
            cost={"total": best.cost, "offset": best.way.target} if held else {},
            active=active,
            status="ok" if held else "nothing_holds",
            iterations=best.num,
            required_decel=required,
        )  # fmt: skip

    def _ways(
        self, scene: Scene, goal: Goal, forecast: Forecast, keep: int, bounds: BoundList
    ) -> list[Way]:
        """Where ego may be beside the route now, its own lane first."""
        config, ego, beside = self.config, self.rules.ego, self._beside
        assert beside is not None
        i = self.rules.memory.hint
        margin = float(scene.ego.extent[1]) + config.edge
        own = beside.edges + np.array([margin, -margin])
        own[:, 0], own[:, 1] = np.minimum(own[:, 0], 0.0), np.maximum(own[:, 1], 0.0)
        targets = [("keep", 0.0, own)]
        for nudge in config.nudges:
            if own[i, 0] <= nudge <= own[i, 1]:
                targets.append(("nudge_left" if nudge > 0.0 else "nudge_right", nudge, own))
        for side, name in enumerate(CHANGES):
            offset = float(beside.lanes[i, side])
            if math.isnan(offset):
                continue
            inside = abs(ego.d - offset) < abs(ego.d)
            needed = 5.0 if inside else config.change_room + config.horizon * ego.speed
            if beside.until[i, side] - ego.s < needed:
                continue
            edges = own.copy()
            edges[:, side] += (-1.0 if side == 0 else 1.0) * beside.widths[:, side]
            targets.append((name, offset, edges))
        ways = []
        for name, target, edges in targets:
            here = bounds
            if target != 0.0:
                here = bounds_beside(
                    self.rules.itinerary, ego, scene, forecast, keep, bounds, target,
                    self.rules.config.rules,
                )  # fmt: skip
            ways.append(Way(name, target, here, edges, self._deficit(goal, here)))
        return ways

    def _deficit(self, goal: Goal, bounds: BoundList) -> float:
        """Cost of the speed that the slowest lead near ahead lacks."""
        config, ego = self.config, self.rules.ego
        wish = min(float(self.rules.itinerary.speed[self.rules.memory.hint]), goal.speed_cap)
        slowest = wish
        reach = ego.front + config.lead_room + config.lead_look * max(ego.speed, 3.0)
        for row, reason in zip(bounds.array(), bounds.reasons, strict=True):
            if row[AT] > reach or not reason.startswith(("lead", "object")):
                continue
            slowest = min(slowest, 0.0 if row[STANDS] else max(row[BOUND_SPEED], 0.0))
        return config.lead_deficit * (wish - slowest) ** 2

    def _sample(
        self, scene: Scene, goal: Goal, forecast: Forecast, keep: int, ways: list[Way]
    ) -> Sample:
        """Sample on every way and check contacts from the cheapest candidate on."""
        config, ego = self.config, scene.ego
        law, start = self._law(scene, goal), self._start(scene)
        it = self.rules.itinerary
        road = Road(it.xy, it.s, it.yaw, it.curvature, it.speed)
        accel = min(max(self.rules.memory.accel, -config.max_brake), config.max_accel)
        now = np.array([*ego.pose, self.rules.ego.speed, accel, ego.steer])
        n, belongs = 0, np.empty(len(self._cost), np.int64)
        for w, way in enumerate(ways):
            before = n
            n = combine(
                law, road, start, goal.speed_cap, way.bounds.array(), self._durations,
                self._shares, self._lateral, way.target, way.deficit, way.edges, now, self._t,
                self._states, self._cost, n,
            )  # fmt: skip
            belongs[before:n] = w
        poses = forecast_poses(scene, forecast, keep, self._t)
        behind = goes_behind(it, self.rules.ego, scene, float(ego.extent[1]))
        rules = self.rules.config.rules
        until = others_until(scene, forecast.likeliest(keep)[0], behind, config.horizon, rules)
        margin = np.array([config.margin_along, config.margin_across])
        speed = scene.agents.speed
        for c in np.argsort(self._cost[:n], kind="stable"):
            begins = abs(self.rules.ego.d) < BEGUN and ways[int(belongs[c])].name in CHANGES
            if begins and not stays_safe(
                self._states[c], self._states[c, :, StateIndex.SPEED], self._t, config.clear_within,
                ego.extent, poses, scene.agents.extent, speed, config.reaction, config.max_brake,
                config.lead_brake,
            ):  # fmt: skip
                continue
            contact, _ = first_contact(
                self._states[c], self._t, ego.extent, margin, poses, scene.agents.extent, until
            )
            if contact == NONE:
                way = ways[int(belongs[c])]
                return Sample(self._states[c].copy(), way, float(self._cost[c]), NONE, n)
        states = self._brake(law, road, start, now, config.fallback_brake, ways[0])
        contact, _ = first_contact(
            states, self._t, ego.extent, np.zeros(2), poses, scene.agents.extent, until
        )
        if contact < config.near:
            states = self._brake(law, road, start, now, config.max_brake, ways[0])
        return Sample(states, ways[0], math.inf, contact, n)

    def _brake(
        self, law: Law, road: Road, start: Start, now: Array, brake: float, way: Way
    ) -> Array:
        """Brake to rest along the route."""
        profile, ways = np.empty((len(self._t), 3)), np.empty((len(self._t), 3))
        lay_brake(start, brake, 15.0, self._t, profile)
        across(law, start, profile, way.target, float(self._lateral[-1]), self._t, ways)
        states = new_states(len(self._t) - 1)
        states[0] = now
        motion(law, road, start, profile, ways, way.edges, states)
        # A way that could not be driven is one all the same: as far as the wheels turn.
        most = math.atan(law.max_curvature * start.wheelbase)
        states[:, StateIndex.STEER] = np.clip(states[:, StateIndex.STEER], -most, most)
        return states

    def _law(self, scene: Scene, goal: Goal) -> Law:
        c = self.config
        return Law(
            c.max_accel, c.max_brake, c.rules.accel, c.brake, c.firm_brake, c.rules.standing_gap,
            goal.time_gap, c.speed_slack, c.lateral_accel,
            math.tan(c.rules.max_steer) / scene.ego.wheelbase, c.low_speed, c.least_arc, c.jerk,
            c.duration, c.deviation, c.lateral_jerk, c.lateral_duration, c.offset,
        )  # fmt: skip

    def _start(self, scene: Scene) -> Start:
        """Where the middle of the rear axle is in the road frame, and how it moves."""
        ego, rules, it = scene.ego, self.rules, self.rules.itinerary
        half = 0.5 * ego.wheelbase
        x, y = ego.pose[:2] - half * np.array([math.cos(ego.pose[2]), math.sin(ego.pose[2])])
        hint = rules.memory.hint
        i, s, d = nearest_on(
            it.xy, it.s, float(x), float(y), max(hint - 12, 0), min(hint + 6, len(it.s) - 1)
        )
        i = segment(it.s, s, i)
        share = min(max((s - it.s[i]) / max(it.s[i + 1] - it.s[i], 1e-3), 0.0), 1.0)
        yaw = it.yaw[i] + share * (it.yaw[i + 1] - it.yaw[i])
        bent = it.curvature[i] + share * (it.curvature[i + 1] - it.curvature[i])
        e = min(max(wrap_angle(float(ego.pose[2]) - yaw), -1.0), 1.0)
        scale = max(1.0 - bent * d, 0.2)
        tan, cos = math.tan(e), math.cos(e)
        kappa = math.tan(ego.steer) / ego.wheelbase
        # d'' is what `motion` would turn into the curvature now.
        bend = (kappa * scale / cos - bent) * scale / (cos * cos) - bent * scale * tan * tan
        speed, accel = rules.ego.speed, rules.memory.accel
        accel = min(max(accel, -self.config.max_brake), self.config.max_accel)
        if speed < 0.1:
            accel = max(accel, 0.0)
        return Start(
            s, speed * cos / scale, accel * cos / scale, d, scale * tan, bend, i, half,
            half + float(ego.extent[0]), ego.wheelbase,
        )  # fmt: skip
