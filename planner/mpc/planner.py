"""The MPC planner: rules and homotopies decide where ego may be, the MPC how it gets there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headway.bicycle import (
    NUM_RESIDUALS,
    BicycleParam,
    ModelState,
    step,
)
from headway.types import (
    NUM_STATES,
    AgentKind,
    Agents,
    Array,
    Forecast,
    Goal,
    Plan,
    Proposals,
    Scene,
    StateIndex,
)
from planner.bounds import BoundList
from planner.car import car_params
from planner.contacts import others_until
from planner.homotopies import LaneOption
from planner.idm import IdmPlanner, Rollout
from planner.mpc.config import MpcConfig
from planner.mpc.relaxation import Relaxation
from planner.mpc.report import binding, cost_terms
from planner.mpc.solver import Solution, Solver, make_solver
from planner.mpc.stages import (
    RoadAhead,
    Sources,
    fill_bounds,
    fill_obstacles,
    fill_road,
    new_stages,
)
from planner.mpc.start import following, shifted
from planner.mpc.ways import Ways
from planner.scoring import rates, totals

NO_RESIDUAL = (0.0,) * NUM_RESIDUALS
STANDS = 0.1  # [m/s] a plan that gets no faster stands
STRAIGHTEN = 0.3  # [rad/s] with which the wheels come back meanwhile
HOLDS = ("yield", "stop")  # where the rules would let one go


@dataclass(frozen=True)
class Candidate:
    """A proposal, seen in the light of the forecast.

    Attributes:
        name: of the proposal.
        option: the lane that it is in.
        bounds: that it keeps.
        roll: the rules' rollout under them.
        forecast: index of the proposal under which the others were imagined.
        score: cost of the rollout.
        tail: the part of it beyond the MPC's horizon.
    """

    name: str
    option: LaneOption
    bounds: BoundList
    roll: Rollout
    forecast: int
    score: float = 0.0
    tail: float = 0.0


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
        # Nobody takes their time where others come.
        brisk = replace(c.limits, accel_max=max(c.limits.accel_max, c.passing.accel, c.lanes.accel))
        self._brisk = solver or make_solver(self._dt, brisk)
        self._blank = new_stages(len(self._dt))
        self._margins = np.zeros((len(AgentKind), 2))
        self._margins[:] = c.margin_along, c.margin_across
        self._margins[AgentKind.WALKER] = c.walker_margin
        self._margins[AgentKind.PROP] = c.margin_across
        self._road: RoadAhead | None = None
        self._ways = Ways(c, self.rules)
        self.reset()

    def reset(self) -> None:
        """Forget the route and the last plan."""
        self.rules.reset()
        self._ways.reset()
        self._follows = Relaxation()
        self._road = None
        self._last: Solution | None = None
        self._last_t = float("nan")
        self._type = ""

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return lanes x speed profiles: keep, change, overtake; slower; creep, give way, stop."""
        rules = self.rules
        rules.look(scene, goal)
        self._look(scene)
        self._profiles = self._ways.profiles(scene, goal)
        names, rolls, reasons = [], [], []
        for way in self._profiles:
            bounds = rules.standing + self._ways.ends(way.option) + way.extra
            roll = rules.roll(scene, goal, bounds, rules.config.dt, way.pace, way.option.path)
            names.append(way.name)
            rolls.append(roll)
            reasons.append(bounds.reasons[roll.which] if roll.which >= 0 else "road")
        return Proposals(
            np.stack([r.states for r in rolls]), np.stack([r.inputs for r in rolls]),
            rules.config.dt, tuple(names), tuple(reasons),
        )  # fmt: skip

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Score the proposals under the forecast and return the MPC's plan of the best."""
        rules, x0 = self.rules, self._state(scene)
        forecast = _held(forecast, scene.agents, self._ways.stays)
        candidates = self._candidates(scene, goal, proposals, forecast)
        time_gap = self._follows.time_gap(
            goal.time_gap, self.config.cost.standing_gap, candidates[0].bounds, rules.ego, scene.t
        )
        shared = self.config.cost.params(time_gap, goal.style, self._car)
        self._ways.note(candidates[0].bounds)
        candidates = self._score(candidates, scene, goal, forecast, shared)
        solved = [
            (*self._solve(candidate, start, scene, goal, forecast, x0, shared), candidate)
            for candidate, start in self._starts(candidates, scene.t, x0)
        ]
        solution, stages, sources, best = min(solved, key=lambda s: self._worth(s[0], s[3]))
        self._last, self._last_t, self._ways.target = solution, scene.t, best.option.target
        active, which = binding(solution, stages, shared, sources, best.bounds, scene.agents.id)
        roll = best.roll
        rules.remember(active, roll.states, self.config.rules.plan_dt, roll.wanted)
        states = solution.states[:, :NUM_STATES]
        # What acts is behind the commands by their lags.
        acting = states[:, [StateIndex.ACCEL, StateIndex.STEER]]
        return Plan(
            states,
            np.diff(acting, axis=0) / self._dt[:, None],
            self._dt,
            name=best.name,
            cost=cost_terms(solution, stages, shared, self._dt),
            active=active,
            status=solution.status,
            residual=solution.residual,
            iterations=solution.iterations,
            solve_s=solution.solve_s,
            required_decel=rules.required(goal, best.bounds, which),
        )

    def _candidates(
        self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast
    ) -> list[Candidate]:
        """The proposals again, now under all that moves."""
        rules, found = self.rules, []
        known: dict[str, BoundList] = {}
        for way in self._profiles:
            index = proposals.names.index(way.name)
            creep = way.name == "creep"
            kept = way.name if creep else way.option.name
            if kept not in known:
                bounds = rules.bound(scene, goal, forecast, index, creep, way.option.path)
                known[kept] = bounds + self._ways.ends(way.option)
            bounds = known[kept] + way.extra
            roll = rules.roll(scene, goal, bounds, rules.config.plan_dt, way.pace, way.option.path)
            found.append(Candidate(way.name, way.option, bounds, roll, index))
        return found

    def _score(
        self, candidates: list[Candidate], scene: Scene, goal: Goal, forecast: Forecast,
        shared: Array,
    ) -> list[Candidate]:  # fmt: skip
        """The candidates with their scores, the best first."""
        config, dt = self.config, forecast.dt
        stride = round(dt / config.rules.plan_dt)
        steps = round(config.score_s / dt)
        rows = slice(0, steps * stride + 1, stride)
        states = np.stack([c.roll.states[rows] for c in candidates])
        inputs = np.stack([c.roll.inputs[: steps * stride : stride] for c in candidates])
        t = dt * np.arange(steps + 1)
        stages = np.stack(
            [
                self._stages(c, way, t, scene, goal, forecast, rows=False)[0]
                for c, way in zip(candidates, states, strict=True)
            ]
        )
        rate = rates(states, inputs, stages, shared)
        off = [self._ways.off_lane(c.option) for c in candidates]
        rate += np.array(off)[:, None]
        better = {c.option.name for c in candidates if self._ways.is_past(c.option)}
        score, tail = totals(rate, dt), totals(rate, dt, begin=round(self._t[-1] / dt))
        for i, c in enumerate(candidates):
            extra = config.switch if abs(c.option.target - self._ways.target) > 1.0 else 0.0
            extra += config.hold if c.name in HOLDS else 0.0
            extra += config.stuck if better and c.option.name not in better else 0.0
            candidates[i] = replace(
                c,
                score=float(score[i]) + extra,
                tail=float(tail[i]) + extra + off[i] * self._t[-1],
            )
        return sorted(candidates, key=lambda c: c.score)

    def _starts(
        self, candidates: Sequence[Candidate], now: float, x0: Array
    ) -> list[tuple[Candidate, Array]]:
        """Two starts: the last plan, in the lane that it was in, and the best proposal.

        Without a last plan that still has a lane, the best two proposals; also when it stands: from
        there the solver finds ways to crawl on as straight as ego stands, and no turn of the wheel.
        """
        config = self.config
        out: list[tuple[Candidate, Array]] = []
        same = [c for c in candidates if abs(c.option.target - self._ways.target) < 1.0]
        if self._last is not None and same and not self._stands():
            out.append((same[0], shifted(self._last.inputs, self._dt, now - self._last_t)))
        command = x0[int(ModelState.ACCEL_CMD) :]
        for candidate in candidates[: 2 - len(out)]:
            start = following(
                candidate.roll.states, config.rules.plan_dt, self._dt, command, config.accel_lag,
                float(self._car[BicycleParam.STEER_LAG]),
            )  # fmt: skip
            out.append((candidate, start))
        return out

    def _solve(
        self, candidate: Candidate, start: Array, scene: Scene, goal: Goal, forecast: Forecast,
        x0: Array, shared: Array,
    ) -> tuple[Solution, Array, Sources]:  # fmt: skip
        """The MPC's solution from `start`, its stages, and what they come from."""
        config = self.config
        across = self._ways.is_across(candidate.option)
        solver = self._brisk if across else self.solver
        way = solver.solve(x0, start, self._blank, shared, iterations=0).states
        stages, sources = self._stages(candidate, way, self._t, scene, goal, forecast)
        # From rest, close behind what stands, the first step is no way out yet.
        anew = self._last is None or (across and self._stands())
        iterations = config.first_iterations if anew else config.iterations
        solution = solver.solve(x0, start, stages, shared, iterations=iterations)
        return solution, stages, sources

    def _worth(self, solution: Solution, candidate: Candidate) -> float:
        """Cost of a solution and of what follows it; what failed counts last."""
        failed = 1e6 if solution.status == "not_finite" else 0.0
        return solution.cost + candidate.tail + failed

    def _look(self, scene: Scene) -> None:
        """Keep what belongs to the route and to the car."""
        ego = scene.ego
        if ego.type_id != self._type:
            self._type = ego.type_id
            self._car = car_params(ego, self.config.understeer, self.config.accel_lag)
        itinerary = self.rules.itinerary
        if self._road is not None and self._road.xy is itinerary.xy:
            return
        route, graph = self.rules.route, scene.lane_graph
        assert route is not None
        points = graph.samples_at(route.lane, route.lane_s)
        self._road = RoadAhead(
            itinerary.xy, itinerary.s, itinerary.yaw, itinerary.curvature, itinerary.speed,
            np.ascontiguousarray(route.speed_limit, np.float64),
            0.5 * np.ascontiguousarray(graph.width[points], np.float64),
        )  # fmt: skip
        self._ways.follow(graph, route)
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
        then, inputs = self._last.states[0].tolist(), self._last.inputs[0].tolist()
        moved = step(then, inputs, self._car.tolist(), NO_RESIDUAL, since, np)
        x0[int(ModelState.ACCEL) :] = moved[int(ModelState.ACCEL) :]
        if self._stands():
            # Wheels at the lock cost nothing while ego stands, and going with them would: it would
            # never go again. They come back to the road's bend meanwhile.
            assert self._road is not None
            bend = math.atan(ego.wheelbase * float(self._road.curvature[self.rules.memory.hint]))
            for c in (int(ModelState.STEER), int(ModelState.STEER_CMD)):
                x0[c] += min(max(bend - x0[c], -STRAIGHTEN * since), STRAIGHTEN * since)
        return x0

    def _stands(self) -> bool:
        """Whether the last plan is to stand."""
        return self._last is not None and self._last.states[:, StateIndex.SPEED].max() < STANDS

    def _stages(
        self, candidate: Candidate, states: Array, t: Array, scene: Scene, goal: Goal,
        forecast: Forecast, rows: bool = True,
    ) -> tuple[Array, Sources]:  # fmt: skip
        """Stages (T, NUM_STAGE_PARAMS) of a candidate along `states`, and what they come from.

        Without `rows` for stops and leads where rollouts are scored, which keep them by the rules'
        own law: the MPC's rows are stricter on the way, and standing still would look cheaper than
        coming up to a queue. Leads are no obstacles either then: the law takes them to keep their
        speed, forecasts do not.
        """
        config, rules, agents, option = self.config, self.rules, scene.agents, candidate.option
        assert self._road is not None
        half = scene.ego.extent
        out = new_stages(len(t) - 1)
        lateral = self._ways.lateral(option, float(half[1]))
        road = self._road._replace(speed=option.path.speed)
        if option.line:
            path = option.path
            road = road._replace(xy=path.xy, yaw=path.yaw, curvature=path.curvature)
        at = fill_road(road, rules.memory.hint, states, goal.speed_cap, lateral, out)
        bounds = candidate.bounds if rows else BoundList()
        stops, leads = fill_bounds(
            bounds.array(), at, t, float(half[0]), config.cost.stop_brake, out
        )
        mean, covariance = forecast.likeliest(candidate.forecast)
        until = others_until(scene, mean, self._ways.behind, config.score_s, rules.config.rules)
        # Whom ego follows is not widened along its way: the time gap is for what it may do, and who
        # stands a metre behind it in a queue is in nobody's way.
        caps = np.tile([config.cap_along, config.cap_across], (len(agents), 1))
        followed = _followed(candidate.bounds, agents.id)
        caps[followed, 0] = 0.0
        if not rows:
            until[followed] = -1.0
        others = fill_obstacles(
            states, t, half, until, agents.kind, agents.pose, agents.extent,
            mean, covariance, forecast.dt, self._margins, config.quantile,
            caps, out,
        )  # fmt: skip
        return out, Sources(stops, leads, others)


def _held(forecast: Forecast, agents: Agents, stays: Array) -> Forecast:
    """Return the forecast with those who stay (A,) bool where they are.

    A forecast lets whoever stands set off at any moment, so that there would be no way around it.
    """
    if not stays.any():
        return forecast
    mean, covariance = forecast.mean.copy(), forecast.covariance.copy()
    mean[:, :, stays] = agents.pose[stays][:, None]
    covariance[:, :, stays] = 0.0
    return replace(forecast, mean=mean, covariance=covariance)


def _followed(bounds: BoundList, agent_id: Array) -> Array:
    """(A,) bool, whom ego follows under `bounds`."""
    leads = [int(r[5:]) for r in bounds.reasons if r.startswith("lead:")]
    return np.isin(agent_id, leads)
