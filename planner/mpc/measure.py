"""What benches of the MPC need from inside it: recorded problems, solver times, comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import thread_time

import numpy as np

from headway.cost import stage_cost
from headway.types import Array, Forecast, Goal, Plan, Proposals, Scene
from planner.mpc.config import MpcConfig
from planner.mpc.planner import MpcPlanner
from planner.mpc.reference import ReferenceSolver
from planner.mpc.solver import RtiSolver, Solution, Solver, TerminalExpansion
from planner.mpc.value_net import ValueNet

COST_FLOOR = 1e-3  # of a cost below which shares of it mean nothing
SLACK_ROOM = 0.01  # by which constraints that are violated elsewhere may be violated more


@dataclass(frozen=True)
class Instance:
    """One problem as it was given to a solver; see `RtiSolver.solve`."""

    x0: Array
    inputs: Array
    stages: Array
    shared: Array


class Recorder:
    """A `Solver` that passes all on to another and keeps some of what it was asked.

    Attributes:
        kept: every `every`-th problem.
        asked: all problems since this was emptied, with their solutions.

    Args:
        solver: that solves.
        every: see `kept`; 0 keeps none.
    """

    def __init__(self, solver: Solver, every: int = 0) -> None:
        self._solver, self._every, self._count = solver, every, 0
        self.kept: list[Instance] = []
        self.asked: list[tuple[Instance, Solution]] = []

    def solve(
        self, x0: Array, inputs: Array, stages: Array, shared: Array,
        terminal: TerminalExpansion | None = None, iterations: int = 1, tolerance: float = 1e-6,
    ) -> Solution:  # fmt: skip
        """Return what the other solver finds."""
        found = self._solver.solve(x0, inputs, stages, shared, terminal, iterations, tolerance)
        if iterations > 0:
            problem = Instance(x0.copy(), inputs.copy(), stages, shared)
            self.asked.append((problem, found))
            self._count += 1
            if self._every and self._count % self._every == 0:
                self.kept.append(problem)
        return found


class WatchedPlanner(MpcPlanner):
    """The MPC planner, with what it costs to drive as it does.

    Attributes:
        recorder: of its problems.
        costs: the stage cost [1/s] of each tick, where ego was, under the plan's first inputs.
        num_bad: plans that were not finite.

    Args:
        config: of the planner.
        solver: in place of the compiled one.
        every: see `Recorder`.
    """

    def __init__(
        self, config: MpcConfig | None = None, solver: Solver | None = None, every: int = 0
    ) -> None:
        config = config or MpcConfig()
        inner = solver or RtiSolver(np.array(config.dt), config.limits)
        self.recorder = Recorder(inner, every)
        self.costs: list[float] = []
        self.num_bad = 0
        super().__init__(config, self.recorder)

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Return the planner's plan."""
        self.recorder.asked.clear()
        plan = super().refine(scene, goal, proposals, forecast)
        given, chosen = next(
            pair for pair in self.recorder.asked if np.shares_memory(pair[1].states, plan.states)
        )
        self.costs.append(float(stage_cost(
            list(given.x0), list(chosen.inputs[0]), list(given.stages[0]), list(given.shared), np
        )))  # fmt: skip
        self.num_bad += not (np.isfinite(plan.states).all() and np.isfinite(plan.inputs).all())
        return plan


def rti_ms(
    solver: RtiSolver, problems: Sequence[Instance], iterations: int = 1,
    tolerance: float = 1e-6, value: ValueNet | None = None,
) -> tuple[Array, list[Solution]]:  # fmt: skip
    """CPU time [ms] of each solve, and what was found.

    Args:
        solver: the compiled one.
        problems: to solve.
        iterations: at most.
        tolerance: KKT residual at which to stop.
        value: V, expanded where the warm start ends; rolling that out and expanding are timed too.
    """
    times, found = np.empty(len(problems)), []
    for k, p in enumerate(problems):
        begin, terminal = thread_time(), None
        if value is not None:
            way = solver.solve(p.x0, p.inputs, p.stages, p.shared, iterations=0)
            terminal = value.at(way.states[-1])
        found.append(
            solver.solve(p.x0, p.inputs, p.stages, p.shared, terminal, iterations, tolerance)
        )
        times[k] = 1e3 * (thread_time() - begin)
    return times, found


def reference_ms(
    solver: ReferenceSolver, problems: Sequence[Instance], iterations: int = 1,
    tolerance: float = 1e-6,
) -> tuple[Array, list[Solution]]:  # fmt: skip
    """CPU time [ms] of CasADi's method alone, without what we add, and what was found."""
    times, found = np.empty(len(problems)), []
    for k, p in enumerate(problems):
        begin = solver.method_cpu_s
        found.append(solver.solve(p.x0, p.inputs, p.stages, p.shared, None, iterations, tolerance))
        times[k] = 1e3 * (solver.method_cpu_s - begin)
    return times, found


def as_good(found: Solution, best: Solution) -> tuple[bool, bool]:
    """Whether a cost is within 2 % of the best one, and whether no family's worst slack is larger.

    Slacks are in the families' own scales (`headway.cost.Family`), with `SLACK_ROOM`.
    """
    held = np.all(found.slacks.max(0) <= best.slacks.max(0) + SLACK_ROOM)
    return found.cost <= 1.02 * best.cost + COST_FLOOR, bool(held)


def make_reference(config: MpcConfig, method: str, tolerance: float = 1e-8) -> ReferenceSolver:
    """Return one of CasADi's solvers for the planner's problem.

    Args:
        config: of the planner.
        method: see `ReferenceSolver`.
        tolerance: of the interior-point methods.
    """
    name = {"ipopt": "tol", "fatrop": "tolerance"}.get(method)
    options = {method: {name: tolerance, "print_level": 0}} if name else {}
    if method == "ipopt":
        options["ipopt"]["sb"] = "yes"
    return ReferenceSolver(np.array(config.dt), config.limits, method, options)
