"""PDM-Closed: simulate some IDM policies, score each as the benchmark would, drive the best.

Our own writing of Dauner, Hallgarten, Geiger, Chitta (2023), "Parting with Misconceptions about
Learning-based Vehicle Motion Planning", CoRL, section 3.2: five speeds times three lines beside
the centreline are rolled out at 10 Hz over 4 s, scored by nuPlan's terms, and the best is driven;
when even that one collides within two seconds, ego brakes as hard as it can.

Where it departs from the paper, and why:

- nuPlan's roads have neither stop signs nor junctions without lights, and its PDM sees a red light
  as a lead that stands. Here the rule layer of `planner.idm` gives the bounds of every policy:
  lights, stop signs, the right of way, blocked exits, walkers, and the leads of each line.
- The target speed is never above what the curve ahead allows (nuPlan's limits are slow enough).
- The policy and its controller close the loop in one simulation (`simulate`), by pure pursuit in
  place of an LQR that tracks a path made before.
- The forecast is the world model's: constant velocity with `world_model=constant_velocity`, as in
  the paper. Ways that cross ego's are believed as long as the rule layer believes them, since a
  forecast knows nothing of the right of way.
- Totals nearer than `tie` are one, and then the line nearer the centre is driven: progress is
  measured along the centreline, and any bend would be cut for the sake of a few centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.bicycle import NUM_MODEL_STATES
from headway.road.route import Route
from headway.types import NUM_INPUTS, NUM_STATES, Array, Forecast, Goal, Plan, Proposals, Scene
from planner.beside import bounds_beside, goes_behind
from planner.bounds import BoundList
from planner.car import car_params
from planner.contacts import forecast_poses, others_until
from planner.idm import IdmConfig, IdmPlanner, rule_layer
from planner.pdm_closed.score import Comfort, Score, drivable_area, score_proposals, totals
from planner.pdm_closed.simulate import Road, simulate
from planner.rollout import new_states


@dataclass
class PdmClosedConfig:
    """Which policies are simulated, and how they are scored.

    Attributes:
        paces: shares of the speed limit, a policy each.
        offsets: [m] lines beside the route, each with every pace; the route itself is one.
        horizon: [s] of simulation and plan.
        dt: [s].
        weights: of progress, time to collision and comfort.
        tie: of totals that count as one.
        hit_within: [s] a collision of the best proposal within that is an emergency.
        emergency_brake: [m/s^2].
        accel_lag: [s] of engine and brakes.
        understeer: [s^2/m^2].
        tick: [s] between two plans.
        rules: of the rule layer, whose IDM the policies are.
    """

    paces: tuple[float, ...] = (1.0, 0.8, 0.6, 0.4, 0.2)
    offsets: tuple[float, ...] = (0.0, -1.0, 1.0)
    horizon: float = 4.0
    dt: float = 0.1
    weights: tuple[float, float, float] = (5.0, 5.0, 2.0)
    tie: float = 0.05
    hit_within: float = 2.0
    emergency_brake: float = 7.0
    accel_lag: float = 0.15
    understeer: float = 0.001
    tick: float = 0.05
    rules: IdmConfig = field(default_factory=rule_layer)

    def __post_init__(self) -> None:
        if not self.paces or not all(0.0 < pace <= 1.0 for pace in self.paces):
            raise ValueError(f"PdmClosedConfig.paces: expected shares in (0, 1], got {self.paces}")
        if 0.0 not in self.offsets:
            raise ValueError(f"PdmClosedConfig.offsets: expected 0 among {self.offsets}")
        for name in ("horizon", "dt", "emergency_brake", "accel_lag"):
            if not getattr(self, name) > 0.0:
                raise ValueError(
                    f"PdmClosedConfig.{name}: expected > 0, got {getattr(self, name)!r}"
                )


@dataclass(frozen=True)
class Policies:
    """The policies of one tick, simulated; a row each, line by line.

    Attributes:
        pace: (P,).
        offset: (P,) [m].
        bounds: (P,) that each keeps.
        states: (P, N+1, NUM_STATES).
        inputs: (P, N, NUM_INPUTS).
        along: (P, N+1) [m] s on the route.
        commands: (P, N+1, 2) acceleration [m/s^2] and wheel angle [rad] as commanded.
    """

    pace: Array
    offset: Array
    bounds: list[BoundList]
    states: Array
    inputs: Array
    along: Array
    commands: Array


class PdmClosedPlanner:
    """A `Planner`: the best of fifteen simulated IDM policies.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: PdmClosedConfig | None = None) -> None:
        self.config = c = config or PdmClosedConfig()
        self.rules = IdmPlanner(c.rules)
        self._steps = round(c.horizon / c.dt)
        self._t = c.dt * np.arange(self._steps + 1)
        self.reset()

    def reset(self) -> None:
        """Forget the route."""
        self.rules.reset()
        self._route: Route | None = None
        self._type = ""
        self._command = np.zeros(2)  # of the last plan by the next tick
        self._t_last = float("nan")

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return the rule layer's ways on, for the forecast: keep to the route, give way, stop."""
        proposals = self.rules.propose(scene, goal)
        if self._route is not goal.route:
            self._route = goal.route
            self._area = drivable_area(scene.lane_graph, goal.route)
            it = self.rules.itinerary
            limit = np.maximum(goal.route.speed_limit - self.config.rules.speed_margin, 1.0)
            self._road = Road(it.xy, it.s, it.yaw, it.curvature, it.speed, limit)
        ego = scene.ego
        if ego.type_id != self._type:
            self._type = ego.type_id
            self._car = car_params(ego, self.config.understeer, self.config.accel_lag)
        return proposals

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Simulate the policies, score them, and return the best one's motion."""
        config, rules = self.config, self.rules
        keep = proposals.names.index("keep")
        # 1. What each line is bound by.
        bounds = rules.bound(scene, goal, forecast, keep)
        # 2. Simulate.
        policies = self._simulate(scene, goal, forecast, keep, bounds)
        # 3. Score.
        scores = self._score(scene, forecast, keep, policies)
        total = totals(scores, config.weights)
        best = self._best(total, policies)
        # 4. Drive the best, or brake.
        states, inputs, _, commands = (
            policies.states[best], policies.inputs[best], policies.along[best],
            policies.commands[best],
        )  # fmt: skip
        emergency = scores[best, Score.HIT_AT] <= config.hit_within
        if emergency:
            states, inputs, _, commands = self._roll(
                scene, goal, policies.pace[best], policies.offset[best], policies.bounds[best],
                config.emergency_brake,
            )  # fmt: skip
        active, required = self._active(scene, goal, policies.bounds[best])
        rules.remember(active, states, config.dt)
        share = config.tick / config.dt
        self._command = commands[0] + share * (commands[1] - commands[0])
        self._t_last = scene.t
        return Plan(
            states, inputs, np.full(self._steps, config.dt),
            name="stop" if emergency else "yield" if rules.memory.giving_way else "keep",
            cost={
                "score": float(total[best]),
                "pace": float(policies.pace[best]),
                "offset": float(policies.offset[best]),
                **{c.name.lower(): float(scores[best, c]) for c in Score if c != Score.HIT_AT},
            },
            active=active,
            status="emergency" if emergency else "ok",
            required_decel=required,
        )  # fmt: skip

    def _simulate(
        self, scene: Scene, goal: Goal, forecast: Forecast, keep: int, bounds: BoundList
    ) -> Policies:
        config, num = self.config, len(self.config.paces) * len(self.config.offsets)
        states = np.empty((num, self._steps + 1, NUM_STATES))
        inputs, along = np.empty((num, self._steps, NUM_INPUTS)), np.empty((num, self._steps + 1))
        commands = np.empty((num, self._steps + 1, 2))
        held: list[BoundList] = []
        for offset in config.offsets:
            here = bounds
            if offset != 0.0:
                here = bounds_beside(
                    self.rules.itinerary, self.rules.ego, scene, forecast, keep, bounds, offset,
                    self.rules.config.rules,
                )  # fmt: skip
            for pace in config.paces:
                p = len(held)
                states[p], inputs[p], along[p], commands[p] = self._roll(
                    scene, goal, pace, offset, here, 0.0
                )
                held.append(here)
        return Policies(
            np.tile(config.paces, len(config.offsets)),
            np.repeat(config.offsets, len(config.paces)), held, states, inputs, along,
            commands,
        )  # fmt: skip

    def _roll(
        self, scene: Scene, goal: Goal, pace: float, offset: float, bounds: BoundList, brake: float
    ) -> tuple[Array, Array, Array, Array]:
        """Simulate one policy: states, inputs, s along the route and commands."""
        rules, ego = self.rules, scene.ego
        start = np.empty(NUM_MODEL_STATES)
        start[:3], start[3] = ego.pose, rules.ego.speed
        start[4:6] = start[6:8] = rules.memory.accel, ego.steer
        if 0.0 < scene.t - self._t_last < 0.5:
            start[6:8] = self._command  # the lag is of the car, and not begun anew with each plan
        states, inputs = new_states(self._steps), np.empty((self._steps, NUM_INPUTS))
        along, commands = np.empty(self._steps + 1), np.empty((self._steps + 1, 2))
        simulate(
            rules.config.law(goal.time_gap), self._road, goal.speed_cap, float(pace),
            float(offset), bounds.array(), brake, start, rules.memory.hint,
            rules.ego.half_length, self._car, self.config.dt, states, inputs, along,
            commands,
        )  # fmt: skip
        return states, inputs, along, commands

    def _score(self, scene: Scene, forecast: Forecast, keep: int, policies: Policies) -> Array:
        rules, ego, agents = self.rules, scene.ego, scene.agents
        behind = goes_behind(rules.itinerary, rules.ego, scene, float(ego.extent[1]))
        until = others_until(
            scene, forecast.likeliest(keep)[0], behind, self.config.horizon, rules.config.rules
        )
        road = self._road
        return score_proposals(
            policies.states, self.config.dt, policies.along, ego.extent, ego.wheelbase,
            road.xy, road.s, road.yaw, rules.memory.hint, self._area,
            forecast_poses(scene, forecast, keep, self._t), agents.extent, agents.kind, until,
            Comfort(),
        )  # fmt: skip

    def _best(self, total: Array, policies: Policies) -> int:
        """Return the row with the highest total; among equals, near the centre and fast."""
        equal = np.flatnonzero(total >= total.max() - self.config.tie)
        off = np.abs(policies.offset[equal])
        equal = equal[off == off.min()]
        return int(equal[np.argmax(total[equal])])

    def _active(self, scene: Scene, goal: Goal, bounds: BoundList) -> tuple[tuple[str, ...], float]:
        """What binds now by the rules, for those who ask, and the braking that it asks for."""
        rules = self.rules
        roll = rules.roll(scene, goal, bounds, rules.config.plan_dt)
        return rules.active(goal, bounds, roll.which)
