"""Solvers of the MPC: the compiled real-time iteration, and CasADi's sqpmethod where there is none.

A failure is data (`Solution.status`), never an exception and never NaN: where the solver fails, the
solution is its warm start, rolled out.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import cache
from math import inf, isfinite
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from headway.cost import NUM_COST_PARAMS, NUM_STAGE_PARAMS, ROW_FAMILY, stage_weights
from headway.types import Array, check_shape
from planner.mpc.build import NoCompilerError, solver_library
from planner.mpc.problem import NS, NU, NX, Limits
from planner.mpc.start import rolled_out

log = logging.getLogger(__name__)

STATUS = ("ok", "qp_failed", "not_finite", "no_progress")
DOUBLE = ctypes.POINTER(ctypes.c_double)


@dataclass(frozen=True)
class TerminalExpansion:
    """V around a point: gradient' (x - point) + 1/2 (x - point)' hessian (x - point).

    Attributes:
        point: (NX,).
        gradient: (NX,).
        hessian: (NX, NX), positive semidefinite.
    """

    point: Array
    gradient: Array
    hessian: Array


@dataclass(frozen=True)
class Solution:
    """What a solver found.

    Attributes:
        states: (N+1, NX), the model rolled out under `inputs`.
        inputs: (N, NU).
        slacks: (N, NS) of stages 1 to N.
        cost: of this solution; `cost_before` that of the warm start.
        cost_before: see `cost`.
        residual: of the KKT conditions where the last step began; below the tolerance when it
            converged.
        iterations: of the SQP.
        qp_iterations: of its quadratic programs, together; 0 where they are not told.
        status: `ok`, or what went wrong.
        solve_s: [s].
    """

    states: Array
    inputs: Array
    slacks: Array
    cost: float
    cost_before: float
    residual: float
    iterations: int
    qp_iterations: int
    status: str
    solve_s: float


class Solver(Protocol):
    """Solves one problem; see `RtiSolver.solve`."""

    def solve(
        self, x0: Array, inputs: Array, stages: Array, shared: Array,
        terminal: TerminalExpansion | None = None, iterations: int = 1, tolerance: float = 1e-6,
    ) -> Solution:  # fmt: skip
        """Return the solution found from the warm start `inputs`."""
        ...


class Given(ctypes.Structure):
    """`given` of rti.c."""

    _fields_ = [(name, DOUBLE) for name in
                ("x0", "P", "G", "dt", "q", "bounds", "vx", "vg", "vH")]  # fmt: skip


@cache
def load_library() -> ctypes.CDLL:
    """The compiled solver.

    Raises:
        NoCompilerError: it cannot be had.
    """
    try:
        library = ctypes.CDLL(str(solver_library()))
    except OSError as error:
        raise NoCompilerError(f"the compiled solver does not load: {error}") from error
    library.mpc_new.restype = ctypes.c_void_p
    library.mpc_new.argtypes = [
        ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_double,
    ]  # fmt: skip
    library.mpc_free.argtypes = [ctypes.c_void_p]
    library.mpc_solve.argtypes = [
        ctypes.c_void_p, ctypes.POINTER(Given), DOUBLE, DOUBLE, DOUBLE,
        ctypes.c_int, ctypes.c_double, DOUBLE,
    ]  # fmt: skip
    return library


class RtiSolver:
    """The compiled solver: Gauss-Newton SQP over HPIPM, one iteration or until it converges.

    Each holds its own memory; many may run in one process, each in one thread at a time.

    Args:
        dt: (N,) [s] of the grid, which may be uneven.
        limits: of the actuators.
        qp_iterations: of HPIPM at most.
        qp_tolerance: of HPIPM.

    Raises:
        NoCompilerError: it cannot be compiled here.
        MemoryError: there is no room.
    """

    def __init__(
        self, dt: Array, limits: Limits, qp_iterations: int = 30, qp_tolerance: float = 1e-5
    ) -> None:
        self.dt = np.ascontiguousarray(dt, np.float64)
        self._limits = limits
        self.horizon = n = len(self.dt)
        self._library = load_library()
        family = (ctypes.c_int * len(ROW_FAMILY))(*(int(f) for f in ROW_FAMILY))
        self._handle: Any = self._library.mpc_new(n, family, qp_iterations, qp_tolerance)
        if not self._handle:
            raise MemoryError("RtiSolver: no memory for the solver")
        self._q = stage_weights(self.dt)
        self._bounds = np.concatenate([*limits.inputs(), *limits.commands()])
        self._x0 = np.empty(NX)
        self._stages = np.empty((n + 1, NUM_STAGE_PARAMS))
        self._shared = np.empty(NUM_COST_PARAMS)
        self._v = [np.zeros(NX), np.zeros(NX), np.zeros((NX, NX))]
        self._info = np.empty(6)
        self._given = Given(
            *(pointer(a) for a in (self._x0, self._stages, self._shared, self.dt, self._q,
                                    self._bounds)),
            None, None, None,
        )  # fmt: skip

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.mpc_free(self._handle)
            self._handle = None

    def solve(
        self, x0: Array, inputs: Array, stages: Array, shared: Array,
        terminal: TerminalExpansion | None = None, iterations: int = 1, tolerance: float = 1e-6,
    ) -> Solution:  # fmt: skip
        """Improve a warm start.

        Args:
            x0: (NX,) state now.
            inputs: (N, NU) warm start; brought within bounds.
            stages: (N+1, NUM_STAGE_PARAMS).
            shared: (NUM_COST_PARAMS,).
            terminal: V, or None.
            iterations: at most.
            tolerance: KKT residual at which to stop.

        Raises:
            ValueError: an array has the wrong shape.
        """
        begin = perf_counter()
        n = self.horizon
        check_shape("RtiSolver", "x0", x0, (NX,))
        check_shape("RtiSolver", "inputs", inputs, (n, NU))
        check_shape("RtiSolver", "stages", stages, (n + 1, NUM_STAGE_PARAMS))
        check_shape("RtiSolver", "shared", shared, (NUM_COST_PARAMS,))
        self._x0[:], self._stages[:], self._shared[:] = x0, stages, shared
        given = self._given
        if terminal is None:
            given.vx = given.vg = given.vH = None
        else:
            self._v[0][:], self._v[1][:] = terminal.point, terminal.gradient
            self._v[2][:] = terminal.hessian
            given.vx, given.vg, given.vH = (pointer(a) for a in self._v)
        states = np.zeros((n + 1, NX))
        found = np.array(inputs, np.float64, order="C")
        if not np.isfinite(found).all():
            found = np.nan_to_num(found, posinf=0.0, neginf=0.0)
        slacks = np.zeros((n, NS))
        status = self._library.mpc_solve(
            self._handle, ctypes.byref(given), pointer(states), pointer(found), pointer(slacks),
            iterations, tolerance, pointer(self._info),
        )  # fmt: skip
        before, cost, residual, count, qp_count, _ = self._info
        if not isfinite(before):  # nothing was done: the warm start cannot be rolled out
            states, found = rolled_out(x0, found, self.dt, self._limits, stages, shared)
            return Solution(states, found, slacks, inf, inf, inf, 0, 0, STATUS[status],
                            perf_counter() - begin)  # fmt: skip
        return Solution(
            states, found, slacks, float(cost), float(before), float(residual), int(count),
            int(qp_count), STATUS[status], perf_counter() - begin,
        )  # fmt: skip


def make_solver(dt: Array, limits: Limits) -> Solver:
    """Return the compiled solver, or without a compiler CasADi's sqpmethod, which is said once."""
    try:
        return RtiSolver(dt, limits)
    except NoCompilerError as error:
        from planner.mpc.reference import ReferenceSolver  # noqa: PLC0415  it builds on this module

        _warn_once(str(error))
        return ReferenceSolver(dt, limits)


@cache
def _warn_once(reason: str) -> None:
    log.warning("the MPC runs on its slow fallback, CasADi's sqpmethod: %s", reason)


def pointer(array: Array) -> Any:
    """Return where the numbers of a float64 array are; the caller keeps it alive."""
    return array.ctypes.data_as(DOUBLE)
