"""The rule-based planner: IDM along the route, pure pursuit beside it; passes nothing.

It is the honest baseline, and the rival that stays. `propose` rolls ego out along the route under
what does not move (limits, curves, lights, signs, the goal); `refine` adds those who do: leads,
walkers, crossing traffic, blocked exits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.queries import nearest_lanes
from headway.road.route import Route
from headway.types import (
    NUM_INPUTS,
    AgentKind,
    Array,
    Forecast,
    Goal,
    Plan,
    Proposals,
    Scene,
    StateIndex,
)
from planner import corridor
from planner.bounds import (
    Arrivals,
    BoundList,
    EgoOnRoute,
    Others,
    crossing_bounds,
    follows_lane,
    junction_bounds,
    lead_bounds,
    standing_bounds,
)
from planner.corridor import NUM_SEEN, nearest_on, survey
from planner.itinerary import Itinerary, SpeedReason, make_itinerary
from planner.rollout import AT, BOUND_SPEED, STANDS, Law, bound_accels, new_states, roll_out
from planner.rules import Memory, Rules


@dataclass
class IdmConfig:
    """How the rule-based planner drives.

    Attributes:
        accel: [m/s^2] IDM's a.
        brake: [m/s^2] IDM's b, comfortable.
        max_brake: [m/s^2] spent when there is no other way.
        standing_gap: [m] to a lead that stands.
        stop_brake: [m/s^2] towards lines.
        jerk_up: [m/s^3] with which acceleration builds up.
        jerk_down: [m/s^3] with which comfortable braking builds up.
        lateral_accel: [m/s^2] in curves.
        curve_brake: [m/s^2] before curves and lower limits.
        speed_margin: [m/s] below the limit.
        steer_rate: [rad/s] of the front wheels.
        max_steer: [rad].
        pursuit_min: [m] distance of the point pursued at standstill.
        pursuit_time: [s] that is added per speed.
        horizon: [s] of proposals, on a grid of `dt`.
        dt: [s].
        plan_dt: [s] of the plan's finer grid.
        ahead: [m] beyond which nothing matters, at least; braking distance is added.
        rules: margins and times towards others.
    """

    accel: float = 1.8
    brake: float = 2.0
    max_brake: float = 7.0
    standing_gap: float = 2.5
    stop_brake: float = 1.8
    jerk_up: float = 4.0
    jerk_down: float = 8.0
    lateral_accel: float = 2.0
    curve_brake: float = 1.5
    speed_margin: float = 0.3
    steer_rate: float = 1.5
    max_steer: float = 0.9
    pursuit_min: float = 2.5
    pursuit_time: float = 0.55
    horizon: float = 8.0
    dt: float = 0.4
    plan_dt: float = 0.2
    ahead: float = 60.0
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        for name in ("accel", "brake", "max_brake", "stop_brake", "lateral_accel", "curve_brake",
                     "dt", "plan_dt", "horizon", "pursuit_min", "steer_rate"):  # fmt: skip
            if not getattr(self, name) > 0.0:
                raise ValueError(f"IdmConfig.{name}: expected > 0, got {getattr(self, name)!r}")

    def law(self, time_gap: float) -> Law:
        """The numbers that the rollout needs, with the goal's `time_gap` [s]."""
        return Law(
            self.accel, self.brake, self.max_brake, time_gap, self.standing_gap, self.stop_brake,
            self.jerk_up, self.jerk_down, self.steer_rate, self.pursuit_min, self.pursuit_time,
            self.max_steer,
        )  # fmt: skip


NAMES = ("keep", "yield", "stop")


class IdmPlanner:
    """A `Planner`: IDM and pure pursuit along the route, with the rules of the road.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: IdmConfig | None = None) -> None:
        self.config = config or IdmConfig()
        self._route: Route | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the route and what was decided on it."""
        self._route = None
        self.memory = Memory()

    def follow(self, graph: LaneGraph, route: Route, hint: int = -1) -> None:
        """Look up what lies along `route`; `hint` is the sample near ego, where that is known."""
        config = self.config
        self._route = route
        self.itinerary: Itinerary = make_itinerary(
            graph, route, config.lateral_accel, config.curve_brake, config.speed_margin
        )
        self.memory.hint = hint

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return three ways on: keep to the route, give way at the next junction, stop."""
        self._look(scene, goal)
        ego, config = self.ego, self.config
        self.standing = standing_bounds(self.itinerary, ego, goal, scene, self.memory, config.rules)
        halt = BoundList()
        halt.stop(ego.front + ego.speed**2 / (2.0 * config.brake) + 0.5, "stop")
        options = (self.standing, self.standing + self._next_junction(), self.standing + halt)
        steps = round(config.horizon / config.dt)
        states = np.zeros((len(NAMES), *new_states(steps).shape))
        inputs = np.zeros((len(NAMES), steps, NUM_INPUTS))
        reasons = []
        for p, bounds in enumerate(options):
            which, _ = self._roll(scene, goal, bounds, config.dt, states[p], inputs[p])
            reasons.append(bounds.reasons[which] if which >= 0 else self._road_reason(goal))
        return Proposals(states, inputs, config.dt, NAMES, tuple(reasons))

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the plan that also minds those who move."""
        config, rules, ego = self.config, self.config.rules, self.ego
        steps = round(config.horizon / config.plan_dt)
        dt = np.full(steps, config.plan_dt)
        states, inputs = new_states(steps), np.zeros((steps, NUM_INPUTS))
        others = self._others(scene, proposals, forecast)
        # First without crossing traffic: when would we be where?
        bounds = self.standing + lead_bounds(ego, others, self._now(), rules)
        self._roll(scene, goal, bounds, config.plan_dt, states, inputs)
        arrive = Arrivals(self._along + ego.half_length, config.plan_dt * np.arange(steps + 1))
        bounds = self.standing + lead_bounds(ego, others, arrive, rules)
        bounds += crossing_bounds(ego, others, arrive, rules)
        bounds += junction_bounds(self.itinerary, ego, others, arrive, scene, self.memory, rules)
        states, inputs = new_states(steps), np.zeros((steps, NUM_INPUTS))
        which, wanted = self._roll(scene, goal, bounds, config.plan_dt, states, inputs)
        active, required = self._active(goal, bounds, which)
        self._remember(scene, active, wanted, states, config.plan_dt)
        return Plan(
            states, inputs, dt, name=_name_of(active), active=active, required_decel=required
        )

    def _look(self, scene: Scene, goal: Goal) -> None:
        """Find ego on the route."""
        memory, config = self.memory, self.config
        if goal.route is not self._route:
            self.follow(scene.lane_graph, goal.route)
        it, last = self.itinerary, len(self.itinerary.s) - 1
        lo, hi = (0, last) if memory.hint < 0 else (memory.hint - 20, memory.hint + 30)
        state = scene.ego
        x, y = float(state.pose[0]), float(state.pose[1])
        i, s, d = nearest_on(it.xy, it.s, x, y, max(lo, 0), min(hi, last))
        dt = scene.t - memory.t
        if not 0.0 < dt < 1.0:  # the first tick, or a jump in time
            memory.accel = state.accel
        memory.hint, memory.t = i, scene.t
        speed = max(state.speed, 0.0)
        ahead = config.ahead + 3.0 * speed + speed**2 / (2.0 * config.stop_brake)
        self.ego = EgoOnRoute(s, d, speed, float(state.extent[0]), ahead)
        if speed > 0.3:
            memory.standing_since = float("inf")
        elif memory.standing_since > scene.t:
            memory.standing_since = scene.t
        self._start = np.array([*state.pose, speed, memory.accel, state.steer])
        self._along = np.zeros(0)

    def _next_junction(self) -> BoundList:
        """Stop before the next junction that can still be stopped at."""
        bounds, ego = BoundList(), self.ego
        for begin in self.itinerary.junction_s[:, 0]:
            at = float(begin) - self.config.rules.line_gap
            if at > ego.front and ego.needed(at) < self.config.brake:
                bounds.stop(at, "junction")
                break
        return bounds

    def _roll(
        self, scene: Scene, goal: Goal, bounds: BoundList, dt: float, states: Array, inputs: Array
    ) -> tuple[int, float]:
        """Roll ego out under `bounds`; see `planner.rollout.roll_out`."""
        it, ego = self.itinerary, scene.ego
        self._along = np.zeros(len(states))
        return roll_out(
            self.config.law(goal.time_gap), it.xy, it.s, it.yaw, it.curvature, it.speed,
            goal.speed_cap, bounds.array(), self._start, self.memory.hint, self.ego.half_length,
            ego.wheelbase, dt, max(1, round(dt / 0.1)), states, inputs, self._along,
        )  # fmt: skip

    def _now(self) -> Arrivals:
        """Arrivals that know nothing: everywhere ahead is far in time."""
        return Arrivals(np.array([self.ego.front, self.ego.front + 0.1]), np.zeros(2))

    def _others(self, scene: Scene, proposals: Proposals, forecast: Forecast) -> Others:
        """See the agents from the route, under the forecast of `keep`."""
        agents, it, rules, ego = scene.agents, self.itinerary, self.config.rules, self.ego
        keep = proposals.names.index("keep")
        mode = int(np.argmax(forecast.probability[keep]))
        margins = np.array([rules.margin_vehicle, rules.margin_vehicle, rules.margin_walker,
                            rules.margin_prop])  # fmt: skip
        believed = np.array([rules.forecast_vehicle, rules.forecast_vehicle,
                             rules.forecast_walker, 0.0])  # fmt: skip
        seen = np.empty((len(agents), NUM_SEEN))
        survey(
            it.xy, it.s, it.yaw, ego.s, ego.ahead, float(scene.ego.extent[1]), margins,
            agents.kind, agents.pose, agents.velocity, agents.extent,
            forecast.mean[keep, mode], forecast.dt, believed, seen,
        )  # fmt: skip
        walker = agents.kind == AgentKind.WALKER
        lane, lane_s, lane_d = nearest_lanes(
            scene.lane_graph, np.column_stack([agents.pose[:, :2], agents.z]),
            agents.pose[:, 2], radius=3.0,
        )  # fmt: skip
        lane[walker | (agents.kind == AgentKind.PROP)] = -1
        follows = follows_lane(scene.lane_graph, lane, lane_s, lane_d, agents)
        in_way = (seen[:, corridor.NOW] > 0.0) & (seen[:, corridor.S] > ego.s)
        rows = np.flatnonzero(in_way)
        return Others(
            agents=agents,
            seen=seen,
            lane=lane,
            lane_s=lane_s,
            drifts=~follows,
            ahead=rows[np.argsort(seen[rows, corridor.REAR])],
        )

    def _road_reason(self, goal: Goal) -> str:
        """What of the road bounds the speed here."""
        it, hint = self.itinerary, self.memory.hint
        if goal.speed_cap < it.speed[hint]:
            return "speed_cap"
        return "curve" if it.speed_reason[hint] == SpeedReason.CURVE else "limit"

    def _active(self, goal: Goal, bounds: BoundList, which: int) -> tuple[tuple[str, ...], float]:
        """Reasons that bind now, the tightest first, and the braking [m/s^2] that they ask for."""
        ego = self.ego
        if which < 0:
            near_speed = ego.speed > 0.9 * float(self.itinerary.speed[self.memory.hint])
            return ((self._road_reason(goal),) if near_speed else ()), 0.0
        rows = bounds.array()
        accels = bound_accels(self.config.law(goal.time_gap), rows, ego.front, ego.speed)
        binding = np.flatnonzero(accels <= accels[which] + 0.3)
        binding = binding[np.argsort(accels[binding], kind="stable")]
        required = 0.0
        for b in binding:
            gap = max(rows[b, AT] - ego.front, 0.1)
            closing = max(ego.speed - rows[b, BOUND_SPEED], 0.0)
            required = max(required, closing**2 / (2.0 * gap))
            if rows[b, STANDS] == 0.0 and gap < self.config.standing_gap:
                required = max(required, -float(accels[b]))
        names = dict.fromkeys(bounds.reasons[b] for b in binding)
        return tuple(names), float(required)

    def _remember(
        self, scene: Scene, active: tuple[str, ...], wanted: float, states: Array, dt: float
    ) -> None:
        """Carry the acceleration on to the next tick, where this plan will be by then."""
        memory = self.memory
        tick = 0.05
        accel = states[:2, StateIndex.ACCEL]
        memory.accel = float(accel[0] + (accel[1] - accel[0]) * tick / dt)
        if wanted < -3.0:
            memory.accel = min(memory.accel, wanted)
        memory.giving_way = any(a.startswith("give_way") for a in active)


def _name_of(active: tuple[str, ...]) -> str:
    """The proposal that a plan is a refinement of, by what binds it."""
    cause = active[0].partition(":")[0] if active else ""
    return "yield" if cause in ("give_way", "crossing", "walker", "exit_blocked") else "keep"
