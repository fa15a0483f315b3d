"""Converged solutions of the MPC and exact derivatives of losses of them, singly and in batches.

A solution is taken at a KKT residual below 1e-8: Gauss-Newton steps of the real-time iteration,
then Newton's with the exact Hessian of the Lagrangian and the active constraints held. A loss's
derivatives follow from the implicit function theorem on the same KKT system (adjoint.c).

What is assumed. The solution is a strict local minimum, and the constraints that hold it do so
strictly: of every constraint's multiplier and distance one is well above zero (`strictness`). Where
both are zero the solution has a kink in the parameters and derivatives to each side only; the one
is returned that leaves the constraint out. That is so where an obstacle is just touched or a slack
just about to open, and also for a car that cruises at the very limit or just comes to stand.
`strictness` says how near a kink is; a training may leave out those below 1e-6. A row that sits on
the kink of its own penalty, where its slack is zero and its multiplier strictly between, is no such
case: the solution moves with the row.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np

from headway.cost import NUM_COST_PARAMS, NUM_STAGE_PARAMS
from headway.types import Array, check_shape
from planner.mpc.problem import NS, NU, NX, Limits
from planner.mpc.solver import (
    DOUBLE,
    STATUS,
    Given,
    RtiSolver,
    TerminalExpansion,
    load_library,
    pointer,
)

TOLERANCE = 1e-8  # of the KKT residual


@dataclass(frozen=True)
class Problems:
    """A batch of B problems on one grid.

    Attributes:
        x0: (B, NX) states now.
        stages: (B, N+1, NUM_STAGE_PARAMS).
        shared: (B, NUM_COST_PARAMS).
        terminal: V with a leading axis B in each field and symmetric Hessians, or None.
    """

    x0: Array
    stages: Array
    shared: Array
    terminal: TerminalExpansion | None = None


@dataclass(frozen=True)
class Minima:
    """Converged solutions of a batch.

    Attributes:
        states: (B, N+1, NX).
        inputs: (B, N, NU).
        slacks: (B, N, NS) of stages 1 to N.
        duals: (B, N+1, ...) multipliers, as adjoint.c reads them.
        cost: (B,).
        residual: (B,) of the KKT conditions; infinite where it did not converge, and states and
            inputs are then the best that was found, or zeros and the warm start if there was none.
        strictness: (B,) least max(multiplier, distance) of all constraints; see the module.
        iterations: (B,) Gauss-Newton steps.
        newton_steps: (B,).
        status: (B,) one of `planner.mpc.solver.STATUS`.
    """

    states: Array
    inputs: Array
    slacks: Array
    duals: Array
    cost: Array
    residual: Array
    strictness: Array
    iterations: Array
    newton_steps: Array
    status: tuple[str, ...]


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a batch's losses, each by its own problem's parameters.

    Attributes:
        x0: (B, NX).
        stages: (B, N+1, NUM_STAGE_PARAMS).
        shared: (B, NUM_COST_PARAMS).
        terminal: by point, gradient and (symmetric) Hessian, or None.
        minimum: (B,) whether the solution converged to a strict local minimum.
    """

    x0: Array
    stages: Array
    shared: Array
    terminal: TerminalExpansion | None
    minimum: Array


class _Batch(ctypes.Structure):
    """`batch` of adjoint.c."""

    _fields_ = [
        *((name, DOUBLE) for name in ("X", "U", "s", "duals", "info")),
        ("status", ctypes.POINTER(ctypes.c_int)),
        *((name, DOUBLE) for name in
          ("loss_x", "loss_u", "x0", "P", "G", "vx", "vg", "vH")),
    ]  # fmt: skip


@cache
def _functions() -> ctypes.CDLL:
    library = load_library()
    library.mpc_converge_batch.restype = None
    library.mpc_converge_batch.argtypes = [
        ctypes.c_void_p, ctypes.c_int, Given, _Batch, ctypes.c_int, ctypes.c_double,
    ]  # fmt: skip
    library.mpc_adjoint_batch.restype = None
    library.mpc_adjoint_batch.argtypes = [ctypes.c_void_p, ctypes.c_int, Given, _Batch]
    return library


class ExactSolver(RtiSolver):
    """The compiled solver, taken to convergence, and derivatives of losses of what it finds.

    The loops over a batch are compiled and run without the interpreter's lock.

    Args:
        dt: (N,) [s] of the grid, which may be uneven.
        limits: of the actuators.
        iterations: Gauss-Newton steps at most.
        tolerance: of the KKT residual.

    Raises:
        NoCompilerError: it cannot be compiled here.
        MemoryError: there is no room.
    """

    def __init__(
        self, dt: Array, limits: Limits, iterations: int = 60, tolerance: float = TOLERANCE
    ) -> None:
        super().__init__(dt, limits, qp_iterations=50, qp_tolerance=1e-8)
        self._library = _functions()
        self.iterations, self.tolerance = iterations, tolerance
        self._num_duals = int(self._library.mpc_num_duals())

    def converge(self, problems: Problems, inputs: Array) -> Minima:
        """Return local minima, each from its warm start.

        Args:
            problems: B of them.
            inputs: (B, N, NU), brought within bounds.

        Raises:
            ValueError: an array has the wrong shape.
        """
        problems = _checked(problems, self.horizon)
        b, n = len(problems.x0), self.horizon
        check_shape("ExactSolver", "inputs", inputs, (b, n, NU))
        found = np.array(inputs, np.float64, order="C")
        states, slacks = np.zeros((b, n + 1, NX)), np.zeros((b, n, NS))
        duals = np.zeros((b, n + 1, self._num_duals))
        info, status = np.zeros((b, 7)), np.zeros(b, np.intc)
        info[:, 1:3] = np.inf  # where nothing was done
        self._library.mpc_converge_batch(
            self._handle, b, self._pointers(problems),
            _batch(X=states, U=found, s=slacks, duals=duals, info=info, status=status),
            self.iterations, self.tolerance,
        )  # fmt: skip
        return Minima(
            states, found, slacks, duals, info[:, 1], info[:, 2], info[:, 6],
            info[:, 3].astype(int), info[:, 5].astype(int), tuple(STATUS[i] for i in status),
        )  # fmt: skip

    def gradients(
        self, problems: Problems, minima: Minima, by_states: Array, by_inputs: Array
    ) -> Gradients:
        """Return the derivatives of losses of the solutions; zeros where there is no minimum.

        Args:
            problems: that were solved.
            minima: of them, by `converge`.
            by_states: (B, N+1, NX) derivatives of each loss by its states.
            by_inputs: (B, N, NU) the same by its inputs.

        Raises:
            ValueError: an array has the wrong shape.
        """
        problems = _checked(problems, self.horizon)
        b, n = len(problems.x0), self.horizon
        check_shape("ExactSolver", "by_states", by_states, (b, n + 1, NX))
        check_shape("ExactSolver", "by_inputs", by_inputs, (b, n, NU))
        out = {
            "x0": np.zeros((b, NX)),
            "P": np.zeros((b, n + 1, NUM_STAGE_PARAMS)),
            "G": np.zeros((b, NUM_COST_PARAMS)),
        }
        terminal = None
        if problems.terminal is not None:
            terminal = TerminalExpansion(
                np.zeros((b, NX)), np.zeros((b, NX)), np.zeros((b, NX, NX))
            )
            out |= {"vx": terminal.point, "vg": terminal.gradient, "vH": terminal.hessian}
        status = np.zeros(b, np.intc)
        loss_x, loss_u = (np.ascontiguousarray(a, np.float64) for a in (by_states, by_inputs))
        self._library.mpc_adjoint_batch(
            self._handle, b, self._pointers(problems),
            _batch(
                X=minima.states, U=minima.inputs, s=minima.slacks, duals=minima.duals,
                status=status, loss_x=loss_x, loss_u=loss_u, **out,
            ),
        )  # fmt: skip
        minimum = (status == 0) & np.isfinite(minima.residual)
        for array in out.values():
            array[~minimum] = 0.0
        return Gradients(out["x0"], out["P"], out["G"], terminal, minimum)

    def _pointers(self, problems: Problems) -> Given:
        v = problems.terminal
        return Given(
            *(pointer(a) for a in (problems.x0, problems.stages, problems.shared, self.dt,
                                    self._q, self._bounds)),
            *((None,) * 3 if v is None else
              (pointer(a) for a in (v.point, v.gradient, v.hessian))),
        )  # fmt: skip


def _checked(problems: Problems, horizon: int) -> Problems:
    """The problems in the solver's own layout.

    Raises:
        ValueError: an array has the wrong shape.
    """
    b = len(problems.x0)
    shapes = {
        "x0": (b, NX), "stages": (b, horizon + 1, NUM_STAGE_PARAMS), "shared": (b, NUM_COST_PARAMS)
    }  # fmt: skip
    for name, shape in shapes.items():
        check_shape("Problems", name, getattr(problems, name), shape)
    terminal = problems.terminal
    if terminal is not None:
        for name, shape in (("point", (b, NX)), ("gradient", (b, NX)), ("hessian", (b, NX, NX))):
            check_shape("Problems", f"terminal.{name}", getattr(terminal, name), shape)
        terminal = TerminalExpansion(
            *(_own(a) for a in (terminal.point, terminal.gradient, terminal.hessian))
        )
    return Problems(_own(problems.x0), _own(problems.stages), _own(problems.shared), terminal)


def _own(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float64)


def _batch(status: Array, **arrays: Array) -> _Batch:
    return _Batch(
        status=status.ctypes.data_as(ctypes.POINTER(ctypes.c_int)),
        **{name: pointer(array) for name, array in arrays.items()},
    )
