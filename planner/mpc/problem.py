"""The optimal control problem, written once in CasADi; everything else is generated from it.

    min   sum_{k<N} q_k c(x_k, u_k) + q_N c_N(x_N) + V(x_N)
    s.t.  x_{k+1} = step(x_k, u_k),   hard bounds on jerk, steering rate and both commands,

with `headway.bicycle.step` for the model, `headway.cost` for c (its soft rows by one slack a
family) and q_k = dt_k discounted. V enters as a quadratic expansion that is data, not code:
V(x) ~ g' (x - x_v) + 1/2 (x - x_v)' H (x - x_v).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import casadi as ca
import numpy as np

from headway import bicycle, cost
from headway.bicycle import NUM_MODEL_STATES, ModelState
from headway.cost import (
    NUM_COST_PARAMS,
    NUM_FAMILIES,
    NUM_ROWS,
    NUM_STAGE_PARAMS,
    CostParam,
    StageParam,
)
from headway.types import NUM_INPUTS, Array

NX, NU, NS = NUM_MODEL_STATES, NUM_INPUTS, NUM_FAMILIES
REGULARISATION = 1e-4  # on every diagonal of a stage's Hessian, times the stage's weight


@dataclass
class Limits:
    """Hard limits of the actuators.

    Attributes:
        accel_min: [m/s^2].
        accel_max: [m/s^2]; what is lost in a gear change comes as a jerk, so no more than is
            comfortable to lose.
        steer_max: [rad].
        jerk_max: [m/s^3].
        steer_rate_max: [rad/s].
    """

    accel_min: float = -7.0
    accel_max: float = 1.5
    steer_max: float = 0.9
    jerk_max: float = 10.0
    steer_rate_max: float = 0.8

    def __post_init__(self) -> None:
        if not self.accel_min < 0.0:
            raise ValueError(f"Limits.accel_min: expected < 0, got {self.accel_min!r}")
        for name in ("accel_max", "steer_max", "jerk_max", "steer_rate_max"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"Limits.{name}: expected > 0, got {getattr(self, name)!r}")

    def inputs(self) -> tuple[Array, Array]:
        """Lowest and highest inputs (NU,)."""
        high = np.array([self.jerk_max, self.steer_rate_max])
        return -high, high

    def commands(self) -> tuple[Array, Array]:
        """Lowest and highest commanded acceleration and wheel angle (2,)."""
        return (
            np.array([self.accel_min, -self.steer_max]),
            np.array([self.accel_max, self.steer_max]),
        )


class Problem:
    """The symbolic problem: functions of one stage, and the whole as a nonlinear program."""

    def __init__(self) -> None:
        self.x = ca.SX.sym("x", NX)  # pyright: ignore[reportArgumentType]
        self.u = ca.SX.sym("u", NU)  # pyright: ignore[reportArgumentType]
        self.s = ca.SX.sym("s", NS)  # pyright: ignore[reportArgumentType]
        self.p = ca.SX.sym("p", NUM_STAGE_PARAMS)  # pyright: ignore[reportArgumentType]
        self.g = ca.SX.sym("g", NUM_COST_PARAMS)  # pyright: ignore[reportArgumentType]
        self.dt = ca.SX.sym("dt")
        self.q = ca.SX.sym("q")

    @cached_property
    def next_state(self) -> ca.SX:
        """The model, one interval on."""
        begin = int(StageParam.RESIDUALS)
        residual = ca.vertsplit(self.p[begin : begin + bicycle.NUM_RESIDUALS])
        car = ca.vertsplit(self.g[int(CostParam.BICYCLE) :])
        return ca.vertcat(
            *bicycle.step(ca.vertsplit(self.x), ca.vertsplit(self.u), car, residual, self.dt, ca)
        )

    @cached_property
    def rows(self) -> ca.SX:
        """(NUM_ROWS,) soft constraints without their slacks, h >= 0."""
        found = cost.rows(ca.vertsplit(self.x), ca.vertsplit(self.p), ca.vertsplit(self.g), ca)
        return ca.vertcat(*(h for _, h in found))

    @cached_property
    def row_bends(self) -> ca.SX:
        """(NUM_ROWS,) how convex in speed the violation of stop rows is; 0 for the other rows.

        Times their multipliers it is the part of the constraints' curvature that counts: without
        it the last centimetres before a line take twice the iterations.
        """
        speed = self.x[int(ModelState.SPEED)]
        stops = [family == cost.Family.STOP for family in cost.ROW_FAMILY]
        bends = [
            -ca.jacobian(ca.jacobian(h, speed), speed) if stop else ca.SX(0)
            for h, stop in zip(ca.vertsplit(self.rows), stops, strict=True)
        ]
        return ca.vertcat(*bends)

    @cached_property
    def slack_of_row(self) -> Array:
        """(NUM_ROWS, NS) 1 where a row has that slack."""
        out = np.zeros((NUM_ROWS, NS))
        out[np.arange(NUM_ROWS), [int(f) for f in cost.ROW_FAMILY]] = 1.0
        return out

    def weighted_residuals(self, with_inputs: bool) -> ca.SX:
        """Residuals times the roots of their weights: half their square is the smooth cost."""
        control = ca.vertsplit(self.u) if with_inputs else None
        parts = cost.residuals(
            ca.vertsplit(self.x), control, ca.vertsplit(self.p), ca.vertsplit(self.g), ca
        )
        r = ca.vertcat(*parts)
        begin = int(CostParam.WEIGHT) + 1  # progress is linear
        return ca.sqrt(self.g[begin : begin + r.numel()]) * r

    def slack_cost(self, s: ca.SX) -> ca.SX:
        """What slacks cost, a rate."""
        lin, quad = int(CostParam.LINEAR), int(CostParam.QUADRATIC)
        return ca.dot(self.g[lin : lin + NS], s) + 0.5 * ca.dot(self.g[quad : quad + NS], s * s)

    def smooth_cost(self, with_inputs: bool) -> ca.SX:
        """The stage cost without slacks, a rate."""
        r = self.weighted_residuals(with_inputs)
        progress = cost.progress_cost(ca.vertsplit(self.x), ca.vertsplit(self.g))
        return 0.5 * ca.dot(r, r) + (progress if with_inputs else 0.0)

    def linearise(self) -> ca.Function:
        """`stage_lin(x, u, p, g, dt, q)`: A, B, f, R, S, Q, r_u, r_x, C, h, bends of a stage.

        The Hessian is Gauss-Newton's over (u, x), without slacks; all dense, column-major.
        """
        z = ca.vertcat(self.u, self.x)
        r = self.weighted_residuals(with_inputs=True)
        jac = ca.jacobian(r, z)
        hess = self.q * (jac.T @ jac + REGULARISATION * ca.SX.eye(NU + NX))
        grad = self.q * ca.gradient(self.smooth_cost(with_inputs=True), z)
        return _function(
            "stage_lin",
            [self.x, self.u, self.p, self.g, self.dt, self.q],
            [
                ca.jacobian(self.next_state, self.x), ca.jacobian(self.next_state, self.u),
                self.next_state, hess[:NU, :NU], hess[:NU, NU:], hess[NU:, NU:],
                grad[:NU], grad[NU:], ca.jacobian(self.rows, self.x), self.rows, self.row_bends,
            ],
        )  # fmt: skip

    def linearise_end(self) -> ca.Function:
        """`stage_lin_end(x, p, g, q)`: Q, r_x, C, h, bends of the last stage."""
        r = self.weighted_residuals(with_inputs=False)
        jac = ca.jacobian(r, self.x)
        return _function(
            "stage_lin_end",
            [self.x, self.p, self.g, self.q],
            [
                self.q * (jac.T @ jac + REGULARISATION * ca.SX.eye(NX)), self.q * (jac.T @ r),
                ca.jacobian(self.rows, self.x), self.rows, self.row_bends,
            ],
        )  # fmt: skip

    def advance(self) -> ca.Function:
        """`stage_advance(x, u, p, g, dt, q)`: next state, smooth cost and rows of one stage."""
        return _function(
            "stage_advance",
            [self.x, self.u, self.p, self.g, self.dt, self.q],
            [self.next_state, self.q * self.smooth_cost(True), self.rows],
        )

    def finish(self) -> ca.Function:
        """`stage_finish(x, p, g, q)`: smooth cost and rows of the last stage."""
        return _function(
            "stage_finish",
            [self.x, self.p, self.g, self.q],
            [self.q * self.smooth_cost(False), self.rows],
        )

    def lagrangian(self, with_inputs: bool) -> tuple[ca.SX, ca.SX, ca.SX]:
        """A stage's part of the Lagrangian without slacks and bounds, with its multipliers.

        Returns:
            q c + pi' step - lambda' rows, without `step` at the end; pi (NX,), lambda (NUM_ROWS,).
        """
        pi = ca.SX.sym("pi", NX)  # pyright: ignore[reportArgumentType]
        lam = ca.SX.sym("lam", NUM_ROWS)  # pyright: ignore[reportArgumentType]
        value = self.q * self.smooth_cost(with_inputs) - ca.dot(lam, self.rows)
        if with_inputs:
            value += ca.dot(pi, self.next_state)
        return value, pi, lam

    def curve(self) -> ca.Function:
        """`stage_curve(x, u, p, g, dt, q, pi, lam)`: R, S, Q of the Lagrangian, exact."""
        value, pi, lam = self.lagrangian(with_inputs=True)
        hess = ca.hessian(value, ca.vertcat(self.u, self.x))[0]
        return _function(
            "stage_curve",
            [self.x, self.u, self.p, self.g, self.dt, self.q, pi, lam],
            [hess[:NU, :NU], hess[:NU, NU:], hess[NU:, NU:]],
        )

    def curve_end(self) -> ca.Function:
        """`stage_curve_end(x, p, g, q, lam)`: Q of the last stage, exact, without V."""
        value, _, lam = self.lagrangian(with_inputs=False)
        return _function(
            "stage_curve_end",
            [self.x, self.p, self.g, self.q, lam],
            [ca.hessian(value, self.x)[0]],
        )

    def sensitivity(self, with_inputs: bool) -> ca.Function:
        """`stage_sens[_end]`: derivative by (p, g) of the KKT conditions times an adjoint.

        Its arguments are those of `stage_curve[_end]`, then the adjoint's du, dx, dpi and dlam (at
        the end dx and dlam); its results the derivatives by p and by g.
        """
        value, pi, lam = self.lagrangian(with_inputs)
        primal = [self.u, self.x, pi, lam] if with_inputs else [self.x, lam]
        adjoint = [ca.SX.sym(f"d{v[0].name()}", v.numel()) for v in primal]  # pyright: ignore
        along = ca.jtimes(value, ca.vertcat(*primal), ca.vertcat(*adjoint))
        by_p, by_g = ca.gradient(along, self.p), ca.gradient(along, self.g)
        if with_inputs:
            args = [self.x, self.u, self.p, self.g, self.dt, self.q, pi, lam]
        else:
            args = [self.x, self.p, self.g, self.q, lam]
        name = "stage_sens" if with_inputs else "stage_sens_end"
        return _function(name, [*args, *adjoint], [by_p, by_g])

    def program(self, horizon: int) -> Program:
        """Return the whole problem of `horizon` intervals as a nonlinear program."""
        return Program(self, horizon)


class Program:
    """The problem as an NLP over w = [x_0, u_0, x_1, s_1, u_1, ..., x_N, s_N] for CasADi's solvers.

    x_0 is a variable that its bounds fix, so that every solver sees the same structure.

    Attributes:
        nlp: x, p, f, g for `casadi.nlpsol`.
        equality: (n_g,) whether a constraint is an equality (the dynamics), for fatrop.
        lbg, ubg: (n_g,) bounds of the constraints.
    """

    def __init__(self, problem: Problem, horizon: int) -> None:
        self.horizon = horizon
        advance = ca.Function(
            "f", [problem.x, problem.u, problem.p, problem.g, problem.dt], [problem.next_state]
        )
        stage = ca.Function(
            "c", [problem.x, problem.u, problem.p, problem.g], [problem.smooth_cost(True)]
        )
        last = ca.Function("e", [problem.x, problem.p, problem.g], [problem.smooth_cost(False)])
        rows = ca.Function("h", [problem.x, problem.p, problem.g], [problem.rows])
        slack = ca.Function("z", [problem.s, problem.g], [problem.slack_cost(problem.s)])

        params = ca.SX.sym("P", NUM_STAGE_PARAMS, horizon + 1)  # pyright: ignore
        shared = ca.SX.sym("G", NUM_COST_PARAMS)  # pyright: ignore
        dt = ca.SX.sym("dt", horizon)  # pyright: ignore
        q = ca.SX.sym("q", horizon + 1)  # pyright: ignore
        v_point = ca.SX.sym("xv", NX)  # pyright: ignore
        v_grad = ca.SX.sym("gv", NX)  # pyright: ignore
        v_hess = ca.SX.sym("Hv", NX, NX)  # pyright: ignore
        share = ca.DM(problem.slack_of_row)
        w, f, g, self.equality = [], ca.SX(0), [], []
        held = ca.SX(0, 1)  # the rows of a stage; the first has none
        state = ca.SX.sym("x0", NX)  # pyright: ignore
        for k in range(horizon + 1):
            w.append(state)
            if k > 0:
                s = ca.SX.sym(f"s{k}", NS)  # pyright: ignore
                w.append(s)
                f += q[k] * slack(s, shared)
                held = rows(state, params[:, k], shared) + share @ s
            if k == horizon:
                f += q[k] * last(state, params[:, k], shared)
                off = state - v_point
                f += ca.dot(v_grad, off) + 0.5 * ca.dot(off, v_hess @ off)
                g.append(held)
                self.equality += [False] * NUM_ROWS
                break
            u = ca.SX.sym(f"u{k}", NU)  # pyright: ignore
            w.append(u)
            f += q[k] * stage(state, u, params[:, k], shared)
            after = ca.SX.sym(f"x{k + 1}", NX)  # pyright: ignore
            # fatrop wants its dynamics with this sign, and before the stage's path constraints.
            g.append(after - advance(state, u, params[:, k], shared, dt[k]))
            g.append(held)
            self.equality += [True] * NX + [False] * held.numel()
            state = after
        parts = (params, shared, dt, q, v_point, v_grad, v_hess)
        self.nlp = {
            "x": ca.vertcat(*w),
            "p": ca.vertcat(*(ca.vec(part) for part in parts)),
            "f": f,
            "g": ca.vertcat(*g),
        }
        self.lbg = np.zeros(len(self.equality))
        self.ubg = np.where(self.equality, 0.0, np.inf)

    def bounds(self, x0: Array, limits: Limits) -> tuple[Array, Array]:
        """Lowest and highest w for an initial state (NX,)."""
        input_low, input_high = limits.inputs()
        low, high = limits.commands()
        free = np.full(int(ModelState.ACCEL_CMD), np.inf)
        none = np.zeros(NS)
        lower, upper = [x0, input_low], [x0, input_high]
        for k in range(1, self.horizon + 1):
            lower += [-free, low, none]
            upper += [free, high, none + np.inf]
            if k < self.horizon:
                lower.append(input_low)
                upper.append(input_high)
        return np.concatenate(lower), np.concatenate(upper)

    def pack(self, states: Array, inputs: Array, slacks: Array) -> Array:
        """Return w of states (N+1, NX), inputs (N, NU) and slacks (N, NS) of stages 1 to N."""
        parts = [states[0], inputs[0]]
        for k in range(1, self.horizon + 1):
            parts += [states[k], slacks[k - 1]]
            if k < self.horizon:
                parts.append(inputs[k])
        return np.concatenate(parts)

    def unpack(self, w: Array) -> tuple[Array, Array, Array]:
        """States (N+1, NX), inputs (N, NU) and slacks (N, NS) of `pack`."""
        states = np.empty((self.horizon + 1, NX))
        inputs, slacks = np.empty((self.horizon, NU)), np.empty((self.horizon, NS))
        states[0], inputs[0], at = w[:NX], w[NX : NX + NU], NX + NU
        for k in range(1, self.horizon + 1):
            states[k], at = w[at : at + NX], at + NX
            slacks[k - 1], at = w[at : at + NS], at + NS
            if k < self.horizon:
                inputs[k], at = w[at : at + NU], at + NU
        return states, inputs, slacks


def _function(name: str, args: list[ca.SX], results: list[ca.SX]) -> ca.Function:
    """A CasADi function with dense results."""
    return ca.Function(name, args, [ca.densify(r) for r in results])
