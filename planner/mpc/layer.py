"""The MPC as a layer of a network: solutions that torch differentiates, and the time that takes.

The only file of the planner that knows torch. What is assumed of a solution, and what its gradient
means where the assumption fails, is said in `planner.mpc.exact`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from headway.types import Array
from planner.mpc.exact import TOLERANCE, ExactSolver, Minima, Problems
from planner.mpc.problem import Limits
from planner.mpc.solver import TerminalExpansion


class Terminal(NamedTuple):
    """V around a point; see `planner.mpc.solver.TerminalExpansion`.

    Attributes:
        point: (..., NX).
        gradient: (..., NX).
        hessian: (..., NX, NX); its symmetric part counts.
    """

    point: Tensor
    gradient: Tensor
    hessian: Tensor


class Planned(NamedTuple):
    """What the layer returns.

    Attributes:
        states: (..., N+1, NX) float64, differentiable.
        inputs: (..., N, NU) float64, differentiable.
        minima: of the batch, with how each problem went; no gradient flows from those that did not
            converge.
    """

    states: Tensor
    inputs: Tensor
    minima: Minima


class _Solution(torch.autograd.Function):
    """Solutions of a batch, and the adjoint of the map from the parameters to them."""

    @staticmethod
    def forward(
        ctx: Any, layer: MpcLayer, problems: Problems, minima: Minima, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the states and inputs found; `parameters` are what the gradients are for."""
        ctx.layer, ctx.problems, ctx.minima = layer, problems, minima
        ctx.dtypes = [p.dtype for p in parameters]
        return torch.from_numpy(minima.states.copy()), torch.from_numpy(minima.inputs.copy())

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of `forward`'s parameters."""
        by_states, by_inputs = (g.numpy() for g in grad_outputs)
        found = ctx.layer.solver.gradients(ctx.problems, ctx.minima, by_states, by_inputs)
        arrays = [found.x0, found.stages, found.shared]
        if found.terminal is not None:
            v = found.terminal
            arrays += [v.point, v.gradient, v.hessian]
        out = (torch.from_numpy(a).to(d) for a, d in zip(arrays, ctx.dtypes, strict=True))
        return (None, None, None, *out)


class MpcLayer:
    """Solutions of the MPC, differentiable by x0, stage and shared parameters and V.

    It works on the CPU in double precision. Threads may share it: each has a solver of its own.
    Gradients are exact at a KKT residual below `tolerance`; there are no second derivatives.

    Args:
        dt: (N,) [s] of the grid.
        limits: of the actuators.
        iterations: Gauss-Newton steps at most.
        tolerance: of the KKT residual.
    """

    def __init__(
        self, dt: Array, limits: Limits, iterations: int = 60, tolerance: float = TOLERANCE
    ) -> None:
        self._make = lambda: ExactSolver(dt, limits, iterations, tolerance)
        self._local = threading.local()

    @property
    def solver(self) -> ExactSolver:
        """The calling thread's solver."""
        if not hasattr(self._local, "solver"):
            self._local.solver = self._make()
        return self._local.solver

    def __call__(
        self, x0: Tensor, stages: Tensor, shared: Tensor, terminal: Terminal | None, inputs: Array
    ) -> Planned:
        """Solve one problem or a batch.

        Args:
            x0: (NX,) or (B, NX), which says whether it is a batch; the others may lack its axis
                and are then the same for all.
            stages: (..., N+1, NUM_STAGE_PARAMS).
            shared: (..., NUM_COST_PARAMS).
            terminal: V, or None.
            inputs: (..., N, NU) warm start.

        Raises:
            ValueError: an array has the wrong shape.
        """
        single = x0.ndim == 1
        num = 1 if single else len(x0)
        parts = [(x0, 1), (stages, 2), (shared, 1)]
        if terminal is not None:
            parts += [(terminal.point, 1), (terminal.gradient, 1), (terminal.hessian, 2)]
        tensors = [t.expand(num, *t.shape) if t.ndim == axes else t for t, axes in parts]
        arrays = [np.array(t.detach().numpy(), np.float64, order="C") for t in tensors]
        v = None
        if terminal is not None:
            hessian = 0.5 * (arrays[5] + np.swapaxes(arrays[5], -1, -2))
            v = TerminalExpansion(arrays[3], arrays[4], hessian)
        problems = Problems(arrays[0], arrays[1], arrays[2], v)
        start = np.broadcast_to(inputs, (num, *np.shape(inputs)[-2:]))
        minima = self.solver.converge(problems, start)
        states, found = _Solution.apply(self, problems, minima, *tensors)  # pyright: ignore
        if single:
            states, found = states[0], found[0]
        return Planned(states, found, minima)


@dataclass(frozen=True)
class GradientTimes:
    """CPU times [ms] of gradients, without convergence, and of the convergence beside them.

    Attributes:
        single: gradient of a loss of all states and inputs by all parameters, compiled adjoint.
        batch: of a whole batch.
        single_torch: the same through `MpcLayer` and torch's backward.
        batch_torch: of a whole batch.
        single_converge: convergence of one problem from its warm start, mean.
        num_batch: problems in the batch.
        num_converged: how many of them converged.
    """

    single: float
    batch: float
    single_torch: float
    batch_torch: float
    single_converge: float
    num_batch: int
    num_converged: int


def bench_gradient(
    problems: Problems, inputs: Array, dt: Array, limits: Limits, repeats: int = 50
) -> GradientTimes:
    """Measure gradients: medians of this thread's CPU time.

    Args:
        problems: a batch, of 64 say; the first is the single one.
        inputs: (B, N, NU) warm starts.
        dt: (N,) [s] of the grid.
        limits: of the actuators.
        repeats: of each measurement.
    """
    layer = MpcLayer(dt, limits)
    b = len(problems.x0)
    begin = time.thread_time()
    minima = layer.solver.converge(problems, inputs)
    converge = (time.thread_time() - begin) / b
    times = {}
    for name, num in (("single", 1), ("batch", b)):
        part = _head(problems, num)
        found = layer.solver.converge(part, minima.inputs[:num])
        by_states, by_inputs = np.ones_like(found.states), np.ones_like(found.inputs)
        tensors = [torch.tensor(a, requires_grad=True) for a in _arrays(part)]
        v = Terminal(*tensors[3:]) if part.terminal is not None else None
        planned = layer(tensors[0], tensors[1], tensors[2], v, found.inputs)
        loss = planned.states.sum() + planned.inputs.sum()

        def adjoint(part=part, found=found, by_states=by_states, by_inputs=by_inputs) -> None:
            layer.solver.gradients(part, found, by_states, by_inputs)

        def backward(loss=loss, tensors=tensors) -> None:
            torch.autograd.grad(loss, tensors, retain_graph=True)

        times[name] = _median_ms(adjoint, repeats)
        times[f"{name}_torch"] = _median_ms(backward, repeats)
    converged = int(np.isfinite(minima.residual).sum())
    return GradientTimes(
        **times, single_converge=1e3 * converge, num_batch=b, num_converged=converged
    )


def _arrays(problems: Problems) -> list[Array]:
    v = problems.terminal
    own = [problems.x0, problems.stages, problems.shared]
    return own if v is None else [*own, v.point, v.gradient, v.hessian]


def _head(problems: Problems, num: int) -> Problems:
    """The first `num` of a batch."""
    v = problems.terminal
    if v is not None:
        v = TerminalExpansion(v.point[:num], v.gradient[:num], v.hessian[:num])
    return Problems(problems.x0[:num], problems.stages[:num], problems.shared[:num], v)


def _median_ms(run: Any, repeats: int) -> float:
    """Median CPU time [ms] of this thread."""
    times = []
    for _ in range(repeats):
        begin = time.thread_time()
        run()
        times.append(time.thread_time() - begin)
    return 1e3 * float(np.median(times))
