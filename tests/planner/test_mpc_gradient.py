"""Converged solutions of the MPC, their gradients, and the layer of torch over them."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch

from headway.bicycle import ModelState
from headway.cost import CostParam, Family, StageParam, rows
from planner.mpc.exact import ExactSolver, Minima, Problems
from planner.mpc.layer import MpcLayer, Terminal, bench_gradient
from planner.mpc.solver import RtiSolver, TerminalExpansion
from tests.planner.gradient_problems import DT, KINDS, LIMITS, Case, batch, make

FINE = 1e-11  # KKT residual for finite differences
STEP = 1e-6


@pytest.fixture(scope="module")
def solver() -> ExactSolver:
    return ExactSolver(DT, LIMITS)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [make(kind, seed) for kind in KINDS for seed in range(10)]


def arrays(problems: Problems) -> list[np.ndarray]:
    v = problems.terminal
    assert v is not None
    return [problems.x0, problems.stages, problems.shared, v.point, v.gradient, v.hessian]


def binds(kind: str, problems: Problems, minima: Minima) -> bool:
    """Whether what the kind is named after holds the solution."""
    if kind == "brake":
        accel_cmd = minima.states[0, :, ModelState.ACCEL_CMD]
        return bool(
            np.any(minima.inputs[0, :, 0] == -LIMITS.jerk_max)
            and np.any(accel_cmd < LIMITS.accel_min + 1e-9)
        )
    if kind == "free":
        return True
    family = {"obstacle": Family.COLLISION, "corridor": Family.CORRIDOR}.get(kind, Family.STOP)
    found = rows(list(minima.states[0].T), list(problems.stages[0].T), list(problems.shared[0]), np)
    return any(f == family and bool(np.any(h[1:] < 1e-9)) for f, h in found)


@cache
def case_off_kinks(kind: str) -> Case:
    """The first problem of a kind that it binds, and whose minimum is no kink in the parameters."""
    solver = ExactSolver(DT, LIMITS, tolerance=FINE)
    for seed in range(200):
        problems, start = batch([make(kind, seed)])
        minima = solver.converge(problems, start)
        if minima.strictness[0] > 2e-3 and binds(kind, problems, minima):
            return make(kind, seed)
    raise AssertionError(f"no problem of {kind} off kinks")


@pytest.mark.parametrize("with_terminal", [False, True])
def test_converges(solver: ExactSolver, cases: list[Case], with_terminal: bool) -> None:
    problems, start = batch(cases, with_terminal)
    minima = solver.converge(problems, start)
    assert set(minima.status) == {"ok"}
    assert minima.residual.max() < 1e-8
    assert np.all(np.abs(minima.inputs) <= [LIMITS.jerk_max, LIMITS.steer_rate_max])
    low, high = LIMITS.commands()
    commands = minima.states[:, 1:, int(ModelState.ACCEL_CMD) :]
    assert np.all(commands >= low - 1e-12)
    assert np.all(commands <= high + 1e-12)


def test_minima_are_those_of_the_iteration(solver: ExactSolver, cases: list[Case]) -> None:
    """Neither many real-time iterations nor steps to any side find less."""
    rti = RtiSolver(DT, LIMITS)
    rng = np.random.default_rng(3)
    problems, start = batch(cases)
    minima = solver.converge(problems, start)
    for i in range(0, len(cases), 5):
        v = cases[i].terminal
        other = rti.solve(
            problems.x0[i], start[i], problems.stages[i], problems.shared[i], v, iterations=60
        )
        assert minima.cost[i] <= other.cost + 1e-7 * (1.0 + abs(other.cost))
        for size in (1e-1, 1e-3):
            moved = minima.inputs[i] + size * rng.normal(size=minima.inputs[i].shape)
            near = rti.solve(
                problems.x0[i], moved, problems.stages[i], problems.shared[i], v, iterations=0
            )
            assert near.cost > minima.cost[i]


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences(kind: str) -> None:
    """By every parameter: x0, all stages', the shared ones, and V's point, gradient, Hessian."""
    solver = ExactSolver(DT, LIMITS, tolerance=FINE)
    rng = np.random.default_rng(5)
    problems, start = batch([case_off_kinks(kind)])
    minima = solver.converge(problems, start)
    by_states, by_inputs = rng.normal(size=minima.states.shape), rng.normal(size=(1, len(DT), 2))
    found = solver.gradients(problems, minima, by_states, by_inputs)
    assert found.minimum.all()
    assert found.terminal is not None
    v = found.terminal
    exact = [found.x0, found.stages, found.shared, v.point, v.gradient, v.hessian]
    given = arrays(problems)
    for part, gradient in enumerate(exact):
        size = given[part].size

        def losses(step: float, part: int = part, size: int = size) -> np.ndarray:
            moved = [np.repeat(a, size, axis=0) for a in given]
            moved[part].reshape(size, size)[np.diag_indices(size)] += step
            moved[5] = 0.5 * (moved[5] + np.swapaxes(moved[5], 1, 2))
            near = solver.converge(
                Problems(*moved[:3], TerminalExpansion(*moved[3:])),
                np.repeat(minima.inputs, size, axis=0),
            )
            assert near.residual.max() < FINE
            return (near.states * by_states).sum((1, 2)) + (near.inputs * by_inputs).sum((1, 2))

        numeric = (losses(STEP) - losses(-STEP)) / (2.0 * STEP)
        scale = np.abs(numeric).max()
        assert scale > 0.0
        np.testing.assert_allclose(gradient.ravel(), numeric, rtol=5e-5, atol=1e-6 * scale)


def test_a_held_row_passes_its_movement_on() -> None:
    """Where a stop line holds ego's end exactly, the place moves with the line."""
    solver = ExactSolver(DT, LIMITS, tolerance=FINE)
    case = make("stop", 0)
    case.shared[CostParam.QUADRATIC + Family.STOP] = 0.0
    case.shared[CostParam.LINEAR + Family.STOP] = 1e3
    problems, start = batch([case], with_terminal=False)
    minima = solver.converge(problems, start)
    assert minima.status == ("ok",)
    found = rows(list(minima.states[0].T), list(case.stages.T), list(case.shared), np)
    stop = next(i for i, (f, _) in enumerate(found) if f == Family.STOP)
    held = np.flatnonzero(np.abs(found[stop][1]) < 1e-9)
    assert len(held) > 0
    # The row holds s + v^2 / 2b: the line of its own stage moves it by as much, no other does.
    k = int(held[-1])
    yaw = case.stages[k, StageParam.REF_YAW]
    by_states = np.zeros_like(minima.states)
    by_states[0, k, :2] = np.cos(yaw), np.sin(yaw)
    by_states[0, k, ModelState.SPEED] = (
        minima.states[0, k, ModelState.SPEED] / case.shared[CostParam.STOP_BRAKE]
    )
    gradient = solver.gradients(problems, minima, by_states, np.zeros_like(minima.inputs))
    lines = gradient.stages[0, :, StageParam.STOP_AHEAD]
    np.testing.assert_allclose(lines, np.arange(len(DT) + 1) == k, atol=1e-7)


@pytest.fixture(scope="module")
def layer() -> MpcLayer:
    return MpcLayer(DT, LIMITS, tolerance=FINE)


def test_layer_passes_gradcheck(layer: MpcLayer) -> None:
    problems, start = batch([case_off_kinks(kind) for kind in ("obstacle", "stop", "corridor")])
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays(problems)]
    start = layer(*tensors[:3], Terminal(*tensors[3:]), start).inputs.detach().numpy()

    def solution(*given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        planned = layer(given[0], given[1], given[2], Terminal(*given[3:]), start)
        return planned.states, planned.inputs

    assert torch.autograd.gradcheck(solution, tensors, fast_mode=True, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("with_terminal", [False, True])
def test_batch_equals_singles(layer: MpcLayer, cases: list[Case], with_terminal: bool) -> None:
    problems, start = batch(cases[::7], with_terminal)
    parts = arrays(problems) if with_terminal else [problems.x0, problems.stages, problems.shared]
    rng = np.random.default_rng(6)
    towards = torch.tensor(rng.normal(size=(len(DT) + 1, len(ModelState))))
    together = [torch.tensor(a, requires_grad=True) for a in parts]
    v = Terminal(*together[3:]) if with_terminal else None
    planned = layer(together[0], together[1], together[2], v, start)
    (planned.states * towards).sum().backward()
    for i in range(len(start)):
        alone = [torch.tensor(a[i], requires_grad=True) for a in parts]
        v = Terminal(*alone[3:]) if with_terminal else None
        one = layer(alone[0], alone[1], alone[2], v, start[i])
        assert one.states.shape == (len(DT) + 1, len(ModelState))
        assert torch.equal(one.inputs, planned.inputs[i])
        (one.states * towards).sum().backward()
        for a, b in zip(alone, together, strict=True):
            assert a.grad is not None
            assert b.grad is not None
            assert torch.equal(a.grad, b.grad[i])


def test_one_set_of_weights_for_a_batch(layer: MpcLayer, cases: list[Case]) -> None:
    """A parameter without the batch's axis gets the sum; single precision stays single."""
    problems, start = batch(cases[:4], with_terminal=False)
    x0, stages = torch.tensor(problems.x0), torch.tensor(problems.stages)
    each = torch.tensor(np.repeat(problems.shared[:1], 4, axis=0), requires_grad=True)
    one = torch.tensor(problems.shared[0], requires_grad=True)
    half = torch.tensor(problems.shared[0], dtype=torch.float32, requires_grad=True)
    for shared in (each, one, half):
        layer(x0, stages, shared, None, start).inputs.square().sum().backward()
    assert each.grad is not None
    assert one.grad is not None
    assert half.grad is not None
    torch.testing.assert_close(one.grad, each.grad.sum(0))
    assert half.grad.dtype == torch.float32
    torch.testing.assert_close(half.grad.double(), one.grad, rtol=1e-2, atol=1e-2)


def test_threads_share_a_layer(layer: MpcLayer, cases: list[Case]) -> None:
    problems, start = batch(cases)

    def gradients(turn: int) -> list[torch.Tensor]:
        del turn
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays(problems)]
        planned = layer(tensors[0], tensors[1], tensors[2], Terminal(*tensors[3:]), start)
        loss = planned.states.square().mean() + planned.inputs.square().sum()
        return list(torch.autograd.grad(loss, tensors))

    alone = gradients(0)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(gradients, range(4)):
            assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))


def test_no_gradient_without_convergence(cases: list[Case]) -> None:
    solver = ExactSolver(DT, LIMITS, iterations=1, tolerance=1e-30)
    problems, start = batch(cases[:3])
    problems.x0[2] = np.nan
    minima = solver.converge(problems, start)
    assert minima.status == ("no_progress", "no_progress", "not_finite")
    found = solver.gradients(
        problems, minima, np.ones_like(minima.states), np.ones_like(minima.inputs)
    )
    assert not found.minimum.any()
    assert found.terminal is not None
    for array in (found.x0, found.stages, found.shared, found.terminal.hessian):
        assert not array.any()


def test_wrong_shapes_are_named(solver: ExactSolver, cases: list[Case]) -> None:
    problems, start = batch(cases[:2])
    wrong = Problems(problems.x0, problems.stages[:, :-1], problems.shared)
    with pytest.raises(ValueError, match=r"Problems.stages: expected shape \(2, 21, 76\)"):
        solver.converge(wrong, start)
    with pytest.raises(ValueError, match=r"ExactSolver.inputs: expected shape"):
        solver.converge(problems, start[:1])


def test_bench_measures(cases: list[Case]) -> None:
    problems, start = batch(cases)
    times = bench_gradient(problems, start, DT, LIMITS, repeats=3)
    assert times.num_converged == times.num_batch == len(start)
    assert 0.0 < times.single < times.batch
    assert 0.0 < times.single_torch < times.batch_torch
