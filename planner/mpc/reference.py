"""The same problem by CasADi's own solvers: the fallback without a compiler, and the references.

`sqpmethod` repeats the real-time iteration of rti.c with a quadratic-program solver from CasADi's
wheel: Gauss-Newton Hessian, one SQP step, rolled out and taken as far as it lowers the cost.
`ipopt` and `fatrop` are interior-point methods with the exact Hessian, for comparisons. What they
find is rolled out through the model, so that a solution means the same whoever found it.
"""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter, thread_time
from typing import Any

import casadi as ca
import numpy as np

from headway.bicycle import ModelState
from headway.cost import (
    NUM_COST_PARAMS,
    NUM_ROWS,
    NUM_STAGE_PARAMS,
    CostParam,
    stage_weights,
)
from headway.types import Array, check_shape
from planner.mpc.problem import NS, NU, NX, Limits, Problem, Program
from planner.mpc.solver import Solution, TerminalExpansion
from planner.mpc.start import rolled_out

METHODS = ("sqpmethod", "ipopt", "fatrop")
SPEED = int(ModelState.SPEED)
HALVINGS = 5  # of a step, as in rti.c
SLACK_CURVATURE = 1e-6  # as in rti.c
QUIET: dict[str, Any] = {"print_time": False, "error_on_fail": False}
NO_WARNINGS: dict[str, Any] = {"show_eval_warnings": False, "calc_lam_p": False}
MAX_ITERATIONS = 300  # of an interior-point method


class ReferenceSolver:
    """A `Solver` over `casadi.nlpsol`.

    Attributes:
        method_cpu_s: [s] CPU time spent in CasADi's method since this was made.

    Args:
        dt: (N,) [s] of the grid.
        limits: of the actuators.
        method: of `METHODS`.
        options: of the method, over ours; with `sqpmethod`, `qpsol` names the QP solver.

    Raises:
        ValueError: the method is not known.
    """

    def __init__(
        self, dt: Array, limits: Limits, method: str = "sqpmethod",
        options: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        if method not in METHODS:
            raise ValueError(f"ReferenceSolver.method: expected one of {METHODS}, got {method!r}")
        self.method, self.limits, self.method_cpu_s = method, limits, 0.0
        self.dt = np.ascontiguousarray(dt, np.float64)
        self.horizon = n = len(self.dt)
        self._q = stage_weights(self.dt)
        problem = Problem()
        self.program = Program(problem, n)
        self._roll = _rollout(problem, n, limits)
        nlp = self.program.nlp
        lam = ca.SX.sym("lam", nlp["g"].numel())  # pyright: ignore[reportArgumentType]
        lam_x = ca.SX.sym("lam_x", nlp["x"].numel())  # pyright: ignore[reportArgumentType]
        slope = ca.gradient(nlp["f"] + ca.dot(lam, nlp["g"]), nlp["x"]) + lam_x
        self._slope = ca.Function("slope", [nlp["x"], nlp["p"], lam, lam_x], [slope, nlp["g"]])
        given = NO_WARNINGS | _options(method, problem, self.program) | (options or {})
        self._solver = ca.nlpsol("mpc", method, nlp, given)

    def solve(
        self, x0: Array, inputs: Array, stages: Array, shared: Array,
        terminal: TerminalExpansion | None = None, iterations: int = 1, tolerance: float = 1e-6,
    ) -> Solution:  # fmt: skip
        """Improve a warm start; see `planner.mpc.solver.RtiSolver.solve`.

        The interior-point methods run until they converge, whatever `iterations` is, except that
        with none all methods only roll the warm start out.
        """
        begin, n = perf_counter(), self.horizon
        check_shape("ReferenceSolver", "x0", x0, (NX,))
        check_shape("ReferenceSolver", "inputs", inputs, (n, NU))
        check_shape("ReferenceSolver", "stages", stages, (n + 1, NUM_STAGE_PARAMS))
        check_shape("ReferenceSolver", "shared", shared, (NUM_COST_PARAMS,))
        v = terminal or TerminalExpansion(np.zeros(NX), np.zeros(NX), np.zeros((NX, NX)))
        data = np.concatenate([stages.ravel(), shared, self.dt, self._q, v.point, v.gradient,
                               np.asarray(v.hessian).ravel(order="F")])  # fmt: skip
        if not np.isfinite(inputs).all():
            inputs = np.nan_to_num(inputs, posinf=0.0, neginf=0.0)
        here = self._rolled(x0, inputs, data)
        if not (np.isfinite(data).all() and np.isfinite(here[3])):
            states, held = rolled_out(x0, inputs, self.dt, self.limits, stages, shared)
            slacks = np.zeros((n, NS))
            return Solution(states, held, slacks, np.inf, np.inf, np.inf, 0, 0, "not_finite",
                            perf_counter() - begin)  # fmt: skip
        before = here[3]
        if iterations < 1:
            found, status, count, residual = here, "ok", 0, np.inf
        elif self.method == "sqpmethod":
            found, status, count, residual = self._iterate(x0, here, data, iterations, tolerance)
        else:
            found, status, count, residual = self._converge(x0, here, data)
        states, inputs, slacks, cost = found
        return Solution(states, inputs, slacks, cost, before, residual, count, 0, status,
                        perf_counter() - begin)  # fmt: skip

    def _rolled(self, x0: Array, inputs: Array, data: Array) -> tuple[Array, Array, Array, float]:
        """States, inputs within bounds, slacks and cost."""
        states, held, slacks, cost = self._roll(x0, inputs.T, data)
        return (
            np.asarray(states).T.copy(), np.asarray(held).T.copy(), np.asarray(slacks).T.copy(),
            float(cost),
        )  # fmt: skip

    def _call(self, x0: Array, here: tuple[Array, Array, Array, float], data: Array,
              lam: tuple[Array, Array] | None) -> tuple[Array, Array, Array]:  # fmt: skip
        """What the method makes of a point: w and the multipliers of g and w."""
        low, high = self.program.bounds(x0, self.limits)
        start = {} if lam is None else {"lam_g0": lam[0], "lam_x0": lam[1]}
        w = self.program.pack(*here[:3])
        begin = thread_time()
        try:
            out = self._solver(
                x0=w, p=data, lbx=low, ubx=high, lbg=self.program.lbg, ubg=self.program.ubg, **start
            )
        finally:
            self.method_cpu_s += thread_time() - begin
        return tuple(np.asarray(out[name]).ravel() for name in ("x", "lam_g", "lam_x"))  # pyright: ignore

    def _residual(self, x0: Array, here: tuple[Array, Array, Array, float], data: Array,
                  lam: tuple[Array, Array]) -> float:  # fmt: skip
        """The largest violation of the KKT conditions, as rti.c has it; dynamics hold exactly."""
        w = self.program.pack(*here[:3])
        slope, g = (np.asarray(v).ravel() for v in self._slope(w, data, *lam))
        slack = NX + NU + NX + np.arange(NS) + (NX + NU + NS) * np.arange(self.horizon)[:, None]
        slope[:NX] = 0.0  # x_0 is given
        with np.errstate(all="ignore"):
            products = np.concatenate([lam[0] * g, (lam[1][slack] * w[slack]).ravel()])
            worst = float(np.abs(np.concatenate([slope, products])).max())
        return worst if np.isfinite(worst) else np.inf

    def _iterate(
        self, x0: Array, here: tuple[Array, Array, Array, float], data: Array, iterations: int,
        tolerance: float,
    ) -> tuple[tuple[Array, Array, Array, float], str, int, float]:  # fmt: skip
        """The real-time iteration: SQP steps of the method, each taken as far as it helps."""
        lam, residual = None, np.inf
        for count in range(iterations):
            if lam is not None:
                residual = self._residual(x0, here, data, lam)
                if residual < tolerance:
                    return here, "ok", count, residual
            try:
                w, *new = self._call(x0, here, data, lam)
            except RuntimeError:  # a QP solver's own complaint
                return here, "qp_failed", count, residual
            if not all(np.isfinite(part).all() for part in (w, *new)):
                return here, "qp_failed", count, residual
            lam = (new[0], new[1])
            if count == 0:
                residual = self._residual(x0, here, data, lam)
            step = self.program.unpack(w)[1] - here[1]
            for halving in range(HALVINGS):
                trial = self._rolled(x0, here[1] + 0.5**halving * step, data)
                if trial[3] < here[3]:
                    here = trial
                    break
            else:
                residual = self._residual(x0, here, data, lam)
                status = "ok" if residual < tolerance else "no_progress"
                return here, status, count + 1, residual
        return here, "ok", iterations, residual

    def _converge(
        self, x0: Array, here: tuple[Array, Array, Array, float], data: Array
    ) -> tuple[tuple[Array, Array, Array, float], str, int, float]:
        """An interior-point method's own solution, rolled out, where it is better."""
        try:
            w, *lam = self._call(x0, here, data, None)
        except RuntimeError:
            return here, "qp_failed", 0, np.inf
        stats = self._solver.stats()
        count = int(stats.get("iter_count", 0))
        if not all(np.isfinite(part).all() for part in (w, *lam)):
            return here, "not_finite", count, np.inf
        found = self._rolled(x0, self.program.unpack(w)[1], data)
        if not found[3] < here[3]:
            found = here
        residual = self._residual(x0, found, data, (lam[0], lam[1]))
        return found, "ok" if stats["success"] else "no_progress", count, residual


def _options(method: str, problem: Problem, program: Program) -> dict[str, Any]:
    """Defaults: silent, and never an exception for a failure."""
    if method == "ipopt":
        ours = {"print_level": 0, "sb": "yes", "tol": 1e-8, "max_iter": MAX_ITERATIONS}
        return QUIET | {"ipopt": ours}
    if method == "fatrop":
        ours = {"print_level": 0, "tolerance": 1e-8, "max_iter": MAX_ITERATIONS}
        return QUIET | {
            "fatrop": ours, "structure_detection": "auto", "equality": program.equality,
        }  # fmt: skip
    return QUIET | {
        "qpsol": "piqp",
        "qpsol_options": QUIET | {"piqp": {"verbose": False}},
        "hess_lag": _gauss_newton(problem, program),
        "max_iter": 1, "max_iter_ls": 0,
        "print_header": False, "print_iteration": False, "print_status": False,
    }  # fmt: skip


def _gauss_newton(problem: Problem, program: Program) -> ca.Function:
    """The Hessian of rti.c's quadratic programs, in the signature of sqpmethod's `hess_lag`."""
    n, w, p = program.horizon, program.nlp["x"], program.nlp["p"]
    sizes = [NUM_STAGE_PARAMS * (n + 1), NUM_COST_PARAMS, n, n + 1, NX, NX, NX * NX]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    params, shared, dt, q, _, _, bend = (p[int(begin) : int(end)] for begin, end in pairwise(ends))
    stage, last = problem.linearise(), problem.linearise_end()
    lam_f = ca.SX.sym("lam_f")
    lam_g = ca.SX.sym("lam_g", program.nlp["g"].numel())  # pyright: ignore[reportArgumentType]
    rows = np.flatnonzero(np.logical_not(program.equality)).reshape(n, NUM_ROWS).tolist()
    quadratic = shared[int(CostParam.QUADRATIC) : int(CostParam.QUADRATIC) + NS]
    blocks = []
    for k in range(n + 1):
        begin = 0 if k == 0 else NX + NU + (k - 1) * (NX + NS + NU)
        here = params[k * NUM_STAGE_PARAMS : (k + 1) * NUM_STAGE_PARAMS]
        slack = NS if k else 0
        block = ca.SX(NX + slack + (NU if k < n else 0), NX + slack + (NU if k < n else 0))
        x = w[begin : begin + NX]
        if k < n:
            u = w[begin + NX + slack : begin + NX + slack + NU]
            found = stage(x, u, here, shared, dt[k], q[k])
            state, cross, control, bends = found[5], found[4], found[3], found[10]
            block[NX + slack :, NX + slack :] = control
            block[NX + slack :, :NX] = cross
            block[:NX, NX + slack :] = cross.T
        else:
            found = last(x, here, shared, q[k])
            state, bends = found[0] + ca.reshape(bend, NX, NX), found[4]
        block[:NX, :NX] = state
        if k:
            block[SPEED, SPEED] -= ca.dot(lam_g[rows[k - 1]], bends)  # a lower bound's is negative
            block[NX : NX + NS, NX : NX + NS] = q[k] * ca.diag(quadratic + SLACK_CURVATURE)
        blocks.append(block)
    hessian = lam_f * ca.diagcat(*blocks)
    return ca.Function("gauss_newton", [w, p, lam_f, lam_g], [hessian])


def _rollout(problem: Problem, n: int, limits: Limits) -> ca.Function:
    """`(x0, U, data) -> X, U, S, cost`: the model under inputs that are brought within bounds."""
    x, u, p, g = problem.x, problem.u, problem.p, problem.g
    bound = limits.inputs(), limits.commands()
    command = x[NX - NU :]
    low, high = ((ca.DM(edge) - command) / problem.dt for edge in bound[1])
    held = ca.fmin(ca.fmax(ca.fmin(ca.fmax(u, low), high), ca.DM(bound[0][0])), ca.DM(bound[0][1]))
    slack = _slacks(problem)
    price = problem.slack_cost(problem.s)
    after, smooth = (
        ca.substitute(e, u, held) for e in (problem.next_state, problem.smooth_cost(True))
    )
    stage = ca.Function("stage", [x, u, p, g, problem.dt], [after, held, smooth])
    soft = ca.Function("soft", [x, p, g], [slack, ca.substitute(price, problem.s, slack)])
    last = ca.Function("last", [x, p, g], [problem.smooth_cost(False)])

    sizes = [NUM_STAGE_PARAMS * (n + 1), NUM_COST_PARAMS, n, n + 1, NX, NX, NX * NX]
    data = ca.MX.sym("data", sum(sizes))  # pyright: ignore[reportArgumentType]
    ends = [int(e) for e in np.concatenate([[0], np.cumsum(sizes)])]
    params, shared, dt, q, point, slope, bend = ca.vertsplit(data, ends)
    params = ca.reshape(params, NUM_STAGE_PARAMS, n + 1)
    first = ca.MX.sym("x0", NX)  # pyright: ignore[reportArgumentType]
    inputs = ca.MX.sym("U", NU, n)  # pyright: ignore[reportArgumentType]
    states, heldout, smooths = stage.mapaccum(n)(
        first, inputs, params[:, :n], ca.repmat(shared, 1, n), dt.T
    )
    slacks, prices = soft.map(n)(states, params[:, 1:], ca.repmat(shared, 1, n))
    end = states[:, n - 1]
    off = end - point
    cost = ca.dot(q[:n], smooths.T) + ca.dot(q[1:], prices.T) + ca.dot(slope, off)
    cost += q[n] * last(end, params[:, n], shared)
    cost += 0.5 * ca.dot(off, ca.reshape(bend, NX, NX) @ off)
    return ca.Function("roll", [first, inputs, data],
                       [ca.horzcat(first, states), heldout, slacks, cost])  # fmt: skip


def _slacks(problem: Problem) -> ca.SX:
    """(NS,) the least slacks with which all rows hold."""
    share = problem.slack_of_row
    rows = ca.vertsplit(problem.rows)
    out = []
    for j in range(NS):
        worst = ca.SX(0)
        for i in np.flatnonzero(share[:, j]):
            worst = ca.fmax(worst, -rows[i])
        out.append(worst)
    return ca.vertcat(*out)
