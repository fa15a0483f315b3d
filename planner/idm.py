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
from planner.homotopies import Path, route_path
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

    accel: float = 2.5
    brake: float = 2.0
    max_brake: float = 7.0
    standing_gap: float = 2.5
    stop_brake: float = 2.5
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


def rule_layer() -> IdmConfig:
    """The rule layer of planners that have a driver of their own."""
    return IdmConfig(accel=1.8, stop_brake=1.8)


@dataclass(frozen=True)
class Rollout:
    """Ego rolled out along its path under bounds.

    Attributes:
        states: (T+1, NUM_STATES).
        inputs: (T, NUM_INPUTS).
        along: (T+1,) [m] s of ego's centre.
        which: index of the bound that binds now, -1 for the road itself.
        wanted: [m/s^2] acceleration wanted now.
    """

    states: Array
    inputs: Array
    along: Array
    which: int
    wanted: float


class IdmPlanner:
    """A `Planner`: IDM and pure pursuit along the route, with the rules of the road.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: IdmConfig | None = None) -> None:
        self.config = config or IdmConfig()
        self.route: Route | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the route and what was decided on it."""
        self.route = None
        self.memory = Memory()

    def follow(self, graph: LaneGraph, route: Route, hint: int = -1) -> None:
        """Look up what lies along `route`; `hint` is the sample near ego, where that is known."""
        config = self.config
        self.route = route
        self.itinerary: Itinerary = make_itinerary(
            graph, route, config.lateral_accel, config.curve_brake, config.speed_margin
        )
        self.route_path: Path = route_path(self.itinerary)
        self.memory.hint = hint

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return three ways on: keep to the route, give way at the next junction, stop."""
        self.look(scene, goal)
        options = self.variants()
        rolls, reasons = [], []
        for extra in options.values():
            bounds = self.standing + extra
            rolls.append(self.roll(scene, goal, bounds, self.config.dt))
            which = rolls[-1].which
            reasons.append(bounds.reasons[which] if which >= 0 else self.road_reason(goal))
        return Proposals(
            np.stack([r.states for r in rolls]), np.stack([r.inputs for r in rolls]),
            self.config.dt, tuple(options), tuple(reasons),
        )  # fmt: skip

    def variants(self) -> dict[str, BoundList]:
        """What is added to the bounds, by name: nothing, give way at the next junction, stop."""
        halt = BoundList()
        halt.stop(self.ego.front + self.ego.speed**2 / (2.0 * self.config.brake) + 0.5, "stop")
        return {"keep": BoundList(), "yield": self._next_junction(), "stop": halt}

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the plan that also minds those who move."""
        config = self.config
        bounds = self.bound(scene, goal, forecast, proposals.names.index("keep"))
        roll = self.roll(scene, goal, bounds, config.plan_dt)
        dt = np.full(len(roll.inputs), config.plan_dt)
        active, required = self.active(goal, bounds, roll.which)
        self.remember(active, roll.states, config.plan_dt, roll.wanted)
        return Plan(
            roll.states, roll.inputs, dt, name=_name_of(active), active=active,
            required_decel=required,
        )  # fmt: skip

    def bound(
        self, scene: Scene, goal: Goal, forecast: Forecast, proposal: int, creep: bool = False,
        path: Path | None = None,
    ) -> BoundList:  # fmt: skip
        """Return all that bounds ego on its path: what stands, leads, crossing traffic, exits.

        Args:
            scene: of this tick, `look`ed at.
            goal: of this tick.
            forecast: of the others.
            proposal: under which their forecast is taken.
            creep: whether ego gives way at the edge of what is crossed, and not at its line.
            path: on which it drives; None: the route's.
        """
        dt, rules, ego = self.config.plan_dt, self.config.rules, self.ego
        others = self._others(scene, forecast, proposal, path)
        # First without crossing traffic: when would we be where?
        bounds = self.standing + lead_bounds(ego, others, self._now(), rules)
        along = self.roll(scene, goal, bounds, dt, path=path).along
        arrive = Arrivals(along + ego.half_length, dt * np.arange(len(along)))
        bounds = self.standing + lead_bounds(ego, others, arrive, rules)
        bounds += crossing_bounds(ego, others, arrive, self.memory, rules)
        bounds += junction_bounds(
            self.itinerary, ego, others, arrive, scene, self.memory, rules, creep
        )
        return bounds

    def look(self, scene: Scene, goal: Goal) -> None:
        """Find ego on the route, and what stands there."""
        memory, config = self.memory, self.config
        if goal.route is not self.route:
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
        memory.note_wait(s, speed)
        memory.note_others(scene.agents)
        self.standing = standing_bounds(self.itinerary, self.ego, goal, scene, memory, config.rules)
        self._start = np.array([*state.pose, speed, memory.accel, state.steer])

    def _next_junction(self) -> BoundList:
        """Stop before the next junction that can still be stopped at."""
        bounds, ego = BoundList(), self.ego
        for begin in self.itinerary.junction_s[:, 0]:
            at = float(begin) - self.config.rules.line_gap
            if at > ego.front and ego.needed(at) < self.config.brake:
                bounds.stop(at, "junction")
                break
        return bounds

    def roll(
        self, scene: Scene, goal: Goal, bounds: BoundList, dt: float, pace: float = 1.0,
        path: Path | None = None,
    ) -> Rollout:  # fmt: skip
        """Roll ego out along its path over the horizon, under `bounds`.

        Args:
            scene: of this tick, `look`ed at.
            goal: of this tick.
            bounds: to keep.
            dt: [s] of the grid.
            pace: share of the speed that the road allows.
            path: on which it drives; None: the route's.
        """
        steps = round(self.config.horizon / dt)
        states, inputs = new_states(steps), np.zeros((steps, NUM_INPUTS))
        along = np.zeros(steps + 1)
        path = path or self.route_path
        which, wanted = roll_out(
            self.config.law(goal.time_gap), path.xy, path.s, path.yaw, path.curvature,
            path.speed * pace if pace < 1.0 else path.speed, goal.speed_cap, bounds.array(),
            self._start, self.memory.hint, self.ego.half_length, scene.ego.wheelbase, dt,
            max(1, round(dt / 0.1)), states, inputs, along,
        )  # fmt: skip
        return Rollout(states, inputs, along, which, wanted)

    def _now(self) -> Arrivals:
        """Arrivals that know nothing: everywhere ahead is far in time."""
        return Arrivals(np.array([self.ego.front, self.ego.front + 0.1]), np.zeros(2))

    def survey(
        self, scene: Scene, mean: Array, dt: float, ahead: float = 0.0, path: Path | None = None
    ) -> Array:
        """See the agents from the path: (A, NUM_SEEN), see `planner.corridor.Seen`.

        Args:
            scene: with the agents.
            mean: (A, T, 3) forecast of them; T = 0: only now.
            dt: [s] of the forecast.
            ahead: [m] how far is looked at least.
            path: from which; None: the route's.
        """
        agents, rules, ego = scene.agents, self.config.rules, self.ego
        path = path or self.route_path
        seen = np.empty((len(agents), NUM_SEEN))
        survey(
            path.xy, path.s, path.yaw, ego.s, max(ego.ahead, ahead), float(scene.ego.extent[1]),
            rules.margins(), agents.kind, agents.pose, agents.velocity, agents.extent, mean, dt,
            rules.believed(), seen,
        )  # fmt: skip
        return seen

    def _others(self, scene: Scene, forecast: Forecast, proposal: int, path: Path | None) -> Others:
        """See the agents from the path and on their lanes, with their forecast."""
        agents, ego = scene.agents, self.ego
        seen = self.survey(scene, forecast.likeliest(proposal)[0], forecast.dt, path=path)
        walker = agents.kind == AgentKind.WALKER
        lane, lane_s, lane_d = nearest_lanes(
            scene.lane_graph, np.column_stack([agents.pose[:, :2], agents.z]),
            agents.pose[:, 2], radius=3.0,
        )  # fmt: skip
        lane[walker | (agents.kind == AgentKind.PROP)] = -1
        follows = follows_lane(scene.lane_graph, lane, lane_s, lane_d, agents)
        return Others(
            agents=agents,
            seen=seen,
            lane=lane,
            lane_s=lane_s,
            drifts=~follows,
            ahead=corridor.ahead_of(seen, ego.s),
        )

    def road_reason(self, goal: Goal) -> str:
        """What of the road bounds the speed here."""
        it, hint = self.itinerary, self.memory.hint
        if goal.speed_cap < it.speed[hint]:
            return "speed_cap"
        return "curve" if it.speed_reason[hint] == SpeedReason.CURVE else "limit"

    def active(self, goal: Goal, bounds: BoundList, which: int) -> tuple[tuple[str, ...], float]:
        """Reasons that bind now, the tightest first, and the braking [m/s^2] that they ask for."""
        ego = self.ego
        if which < 0:
            near_speed = ego.speed > 0.9 * float(self.itinerary.speed[self.memory.hint])
            return ((self.road_reason(goal),) if near_speed else ()), 0.0
        accels = bound_accels(self.config.law(goal.time_gap), bounds.array(), ego.front, ego.speed)
        binding = np.flatnonzero(accels <= accels[which] + 0.3)
        binding = binding[np.argsort(accels[binding], kind="stable")]
        names = dict.fromkeys(bounds.reasons[b] for b in binding)
        return tuple(names), self.required(goal, bounds, binding.tolist())

    def required(self, goal: Goal, bounds: BoundList, which: list[int]) -> float:
        """The hardest braking [m/s^2] that the bounds `which` ask for now."""
        ego, rows, hardest = self.ego, bounds.array(), 0.0
        accels = bound_accels(self.config.law(goal.time_gap), rows, ego.front, ego.speed)
        for b in which:
            gap = max(rows[b, AT] - ego.front, 0.1)
            closing = max(ego.speed - rows[b, BOUND_SPEED], 0.0)
            hardest = max(hardest, closing**2 / (2.0 * gap))
            if rows[b, STANDS] == 0.0 and gap < self.config.standing_gap:
                hardest = max(hardest, -float(accels[b]))
        return hardest

    def remember(
        self, active: tuple[str, ...], states: Array, dt: float, wanted: float = 0.0
    ) -> None:
        """Carry the acceleration on to the next tick, where this plan will be by then.

        Args:
            active: what binds it.
            states: (T+1, NUM_STATES) of the plan.
            dt: [s] of its grid.
            wanted: [m/s^2] by the rules; hard braking builds up at once.
        """
        memory = self.memory
        tick = 0.05
        accel = states[:2, StateIndex.ACCEL]
        memory.accel = float(accel[0] + (accel[1] - accel[0]) * tick / dt)
        if wanted < -3.0:
            memory.accel = min(memory.accel, wanted)
        memory.giving_way = any(a.startswith("give_way") for a in active)
        crossing = (a.partition(":") for a in active)
        memory.stopping_for = frozenset(
            int(i) for kind, _, i in crossing if kind in ("crossing", "walker")
        )


def _name_of(active: tuple[str, ...]) -> str:
    """The proposal that a plan is a refinement of, by what binds it."""
    cause = active[0].partition(":")[0] if active else ""
    return "yield" if cause in ("give_way", "crossing", "walker", "exit_blocked") else "keep"
