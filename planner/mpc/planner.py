"""The MPC planner: rules and homotopies decide where ego may be, the MPC how it gets there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.bicycle import NUM_BICYCLE_PARAMS, BicycleParam, ModelState, step
from headway.cost import CostConfig, stage_terms, stage_weights
from headway.types import (
    NUM_INPUTS,
    NUM_STATES,
    AgentKind,
    Array,
    Forecast,
    Goal,
    Plan,
    Proposals,
    Scene,
)
from headway.vehicle import VehicleParam, vehicle_params
from planner.bounds import BoundList
from planner.idm import IdmConfig, IdmPlanner
from planner.mpc.problem import Limits
from planner.mpc.solver import Solution, Solver, make_solver
from planner.mpc.stages import (
    Lateral,
    RoadAhead,
    fill_bounds,
    fill_obstacles,
    fill_road,
    new_stages,
)
from planner.mpc.start import following, shifted
from planner.rollout import new_states

NO_RESIDUAL = (0.0,) * 4


def _rules() -> IdmConfig:
    """The rule layer's driver: the limit is its wish, and it accelerates as the MPC may."""
    return IdmConfig(
        accel=2.2, speed_margin=0.1, lateral_accel=2.4, curve_brake=1.8, stop_brake=2.0
    )


@dataclass
class MpcConfig:
    """How the MPC planner drives.

    Attributes:
        dt: [s] of the grid, an interval each; uneven grids are allowed.
        iterations: of the SQP in each tick and from each start.
        first_iterations: the same where there is no last plan to go on from.
        cost: weights and limits of the stage cost.
        limits: of the actuators.
        rules: of the rule layer, whose bounds the MPC keeps and whose rollout is its other start.
        corridor_margin: [m] between ego's side and its lane's edge.
        margin_along: [m] to others along their direction, beside their forecast's spread.
        margin_across: [m] across it.
        walker_margin: [m] to walkers, all around.
        quantile: of the normal distribution at the chance level (1.0: 84 % for each axis).
        cap_along: [m] that a forecast's spread widens an obstacle at most.
        cap_across: [m].
        accel_lag: [s] of engine and brakes.
        understeer: [s^2/m^2].
        tick: [s] between two plans.
    """

    dt: tuple[float, ...] = (0.2,) * 20
    iterations: int = 1
    first_iterations: int = 5
    cost: CostConfig = field(default_factory=CostConfig)
    limits: Limits = field(default_factory=Limits)
    rules: IdmConfig = field(default_factory=_rules)
    corridor_margin: float = 0.1
    margin_along: float = 0.8
    margin_across: float = 0.3
    walker_margin: float = 0.6
    quantile: float = 1.0
    cap_along: float = 2.0
    cap_across: float = 0.4
    accel_lag: float = 0.15
    understeer: float = 0.001
    tick: float = 0.05

    def __post_init__(self) -> None:
        if not self.dt or not all(0.0 < value <= 1.0 for value in self.dt):
            raise ValueError(f"MpcConfig.dt: expected intervals in (0, 1] s, got {self.dt!r}")
        for name in ("iterations", "first_iterations", "accel_lag", "tick"):
            if not getattr(self, name) > 0:
                raise ValueError(f"MpcConfig.{name}: expected > 0, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Candidate:
    """A start of the MPC and what came of it.

    Attributes:
        name: of the proposal that it refines.
        bounds: that it keeps.
        stages: (N+1, NUM_STAGE_PARAMS).
        solution: of the solver.
    """

    name: str
    bounds: BoundList
    stages: Array
    solution: Solution


class MpcPlanner:
    """A `Planner`: decisions by rules and proposals, motion by model-predictive control.

    Args:
        config: defaults when None.
        solver: in place of the compiled one, for comparisons.
    """

    def __init__(self, config: MpcConfig | None = None, solver: Solver | None = None) -> None:
        self.config = c = config or MpcConfig()
        self.rules = IdmPlanner(c.rules)
        self._dt = np.array(c.dt)
        self._t = np.concatenate([[0.0], np.cumsum(self._dt)])
        self.solver = solver or make_solver(self._dt, c.limits)
        self._blank = new_stages(len(self._dt))
        self._margins = np.zeros((len(AgentKind), 2))
        self._margins[:] = c.margin_along, c.margin_across
        self._margins[AgentKind.WALKER] = c.walker_margin
        self._margins[AgentKind.PROP] = c.margin_across
        self._road: RoadAhead | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the route and the last plan."""
        self.rules.reset()
        self._road = None
        self._last: Solution | None = None
        self._last_t = float("nan")
        self._type = ""

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return the rule layer's ways on: keep to the route, give way, stop."""
        proposals = self.rules.propose(scene, goal)
        self._look(scene)
        return proposals

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the plan of the cheaper of two starts: the last plan, and the rules' rollout."""
        config, rules = self.config, self.rules
        bounds = rules.bound(scene, goal, proposals, forecast)
        steps = round(self._t[-1] / config.rules.plan_dt) + 1
        states, inputs = new_states(steps), np.zeros((steps, NUM_INPUTS))
        which, wanted = rules.roll(scene, goal, bounds, config.rules.plan_dt, states, inputs)
        x0 = self._state(scene)
        shared = config.cost.params(goal.time_gap, goal.style, self._car)
        fresh = following(
            states, config.rules.plan_dt, self._dt, x0[int(ModelState.ACCEL_CMD) :],
            config.accel_lag, float(self._car[BicycleParam.STEER_LAG]),
        )  # fmt: skip
        starts = [fresh]
        if self._last is not None:
            starts.insert(0, shifted(self._last.inputs, self._dt, scene.t - self._last_t))
        found = []
        iterations = config.iterations if self._last is not None else config.first_iterations
        for start in starts:
            way = self.solver.solve(x0, start, self._blank, shared, iterations=0).states
            stages = self._stages(scene, goal, bounds, forecast, way)
            solution = self.solver.solve(x0, start, stages, shared, iterations=iterations)
            found.append(Candidate("keep", bounds, stages, solution))
        best = min(found, key=lambda c: c.solution.cost)
        self._last, self._last_t = best.solution, scene.t
        active, required = rules.active(goal, bounds, which)
        rules.remember(scene, active, wanted, states, config.rules.plan_dt)
        return self._plan(best, shared, active, required)

    def _look(self, scene: Scene) -> None:
        """Keep what belongs to the route and to the car."""
        ego = scene.ego
        if ego.type_id != self._type:
            self._type = ego.type_id
            row = vehicle_params(ego.type_id)
            self._car = np.empty(NUM_BICYCLE_PARAMS)
            self._car[BicycleParam.WHEELBASE] = ego.wheelbase
            self._car[BicycleParam.UNDERSTEER] = self.config.understeer
            self._car[BicycleParam.ACCEL_LAG] = self.config.accel_lag
            self._car[BicycleParam.STEER_LAG] = max(row[VehicleParam.STEER_LAG], 0.02)
        itinerary = self.rules.itinerary
        if self._road is None or self._road.xy is not itinerary.xy:
            route, graph = self.rules.route, scene.lane_graph
            points = graph.point_start[route.lane] + np.minimum(
                np.round(route.lane_s).astype(int),
                graph.point_start[route.lane + 1] - graph.point_start[route.lane] - 1,
            )
            self._road = RoadAhead(
                itinerary.xy, itinerary.s, itinerary.yaw, itinerary.curvature, itinerary.speed,
                np.ascontiguousarray(route.speed_limit, np.float64),
                0.5 * np.ascontiguousarray(graph.width[points], np.float64),
            )  # fmt: skip
            self._last = None

    def _state(self, scene: Scene) -> Array:
        """(NX,) now: pose and speed as seen, actuators as the last plan has them by now.

        What the accelerometer says has the gearbox in it; the plan's own acceleration does not.
        """
        ego = scene.ego
        accel, steer = ego.accel, ego.steer
        x0 = np.array([*ego.pose, max(ego.speed, 0.0), accel, steer, accel, steer])
        since = scene.t - self._last_t
        if self._last is None or not 0.0 < since < 0.5:
            self._last = None
            limits = self.config.limits
            x0[4:] = np.clip(x0[4:], *(np.tile(edge, 2) for edge in limits.commands()))
            return x0
        # Ticks are shorter than an interval: the first inputs are still held.
        moved = step(self._last.states[0], self._last.inputs[0], self._car, NO_RESIDUAL, since, np)
        x0[int(ModelState.ACCEL) :] = moved[int(ModelState.ACCEL) :]
        return x0

    def _stages(
        self, scene: Scene, goal: Goal, bounds: BoundList, forecast: Forecast, states: Array
    ) -> Array:
        config, rules, agents = self.config, self.rules, scene.agents
        assert self._road is not None
        half = scene.ego.extent
        out = new_stages(len(self._dt))
        margin = float(half[1]) + config.corridor_margin
        at = fill_road(
            self._road, rules.memory.hint, states, goal.speed_cap,
            Lateral(0.0, 0.0, 0.0, margin), out,
        )  # fmt: skip
        fill_bounds(bounds.array(), at, self._t, float(half[0]), config.cost.stop_brake, out)
        mode = int(np.argmax(forecast.probability[0]))
        fill_obstacles(
            states, self._t, half, rules.behind(), agents.kind, agents.pose, agents.extent,
            forecast.mean[0, mode], forecast.covariance[0, mode], forecast.dt, self._margins,
            config.quantile, np.array([config.cap_along, config.cap_across]), out,
        )  # fmt: skip
        return out

    def _plan(
        self, best: Candidate, shared: Array, active: tuple[str, ...], required: float
    ) -> Plan:
        solution = best.solution
        q = stage_weights(self._dt)
        terms = stage_terms(
            list(solution.states[:-1].T), list(solution.inputs.T), list(best.stages[:-1].T),
            list(shared), np,
        )  # fmt: skip
        return Plan(
            solution.states[:, :NUM_STATES],
            solution.inputs,
            self._dt,
            name=best.name,
            cost={name: float(q[:-1] @ value) for name, value in terms.items()},
            active=active,
            status=solution.status,
            residual=solution.residual,
            iterations=solution.iterations,
            solve_s=solution.solve_s,
            required_decel=required,
        )
