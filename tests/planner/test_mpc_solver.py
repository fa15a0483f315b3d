"""The compiled solver against what others find: IPOPT, fatrop, sqpmethod, Riccati."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from headway.bicycle import ModelState, step
from headway.cost import Family, StageParam, Term, stage_cost, stage_terms, stage_weights
from planner.mpc.problem import NU, NX, Limits
from planner.mpc.reference import METHODS, ReferenceSolver
from planner.mpc.solver import RtiSolver, TerminalExpansion

from .mpc_problems import CALM, CAR, DT, dozen, initial, shared, stop_at, straight_road

PROBLEMS = dozen()
UNEVEN = np.array([0.1] * 6 + [0.2] * 8 + [0.4] * 6)


@pytest.fixture(scope="module")
def solver() -> RtiSolver:
    return RtiSolver(DT, Limits(), qp_tolerance=1e-9)


@pytest.fixture(scope="module")
def references() -> dict[str, ReferenceSolver]:
    return {method: ReferenceSolver(DT, Limits(), method) for method in METHODS}


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_converges_to_what_ipopt_finds(solver, references, name: str):
    x0, stages = PROBLEMS[name]
    best = references["ipopt"].solve(x0, CALM, stages, shared())
    found = solver.solve(x0, CALM, stages, shared(), iterations=100)
    assert best.status == "ok"
    assert found.cost == pytest.approx(best.cost, rel=1e-6, abs=1e-7)
    np.testing.assert_allclose(found.states, best.states, atol=1e-4)
    np.testing.assert_allclose(found.inputs, best.inputs, atol=1e-3)
    np.testing.assert_allclose(found.slacks.max(0), best.slacks.max(0), atol=1e-5)


@pytest.mark.parametrize("method", ["fatrop", "sqpmethod"])
@pytest.mark.parametrize("name", ["obstacle beside the way at 10", "slow lead at 10"])
def test_the_references_agree(references, method: str, name: str):
    x0, stages = PROBLEMS[name]
    best = references["ipopt"].solve(x0, CALM, stages, shared())
    found = references[method].solve(x0, CALM, stages, shared(), iterations=100)
    assert found.cost == pytest.approx(best.cost, rel=1e-4, abs=1e-4)
    assert found.residual < 1e-4


def test_sqpmethod_takes_the_same_iterates(solver, references):
    for x0, stages in PROBLEMS.values():
        for iterations in (0, 1, 3):
            ours = solver.solve(x0, CALM, stages, shared(), iterations=iterations)
            theirs = references["sqpmethod"].solve(x0, CALM, stages, shared(), None, iterations)
            assert theirs.cost == pytest.approx(ours.cost, rel=1e-5, abs=1e-6)
            assert theirs.cost_before == pytest.approx(ours.cost_before, rel=1e-12)
            np.testing.assert_allclose(theirs.states, ours.states, atol=2e-4)


def longitudinal(dt: float) -> tuple[np.ndarray, np.ndarray]:
    """The linear part of the model: speed, acceleration and its command under jerk."""
    pick = [ModelState.SPEED, ModelState.ACCEL, ModelState.ACCEL_CMD]
    columns = []
    for i in range(4):
        state, control = np.zeros(NX), np.zeros(NU)
        if i < 3:
            state[pick[i]] = 1.0
        else:
            control[0] = 1.0
        end = np.array(step(list(state), list(control), list(CAR), [0.0] * 4, dt, np))
        columns.append(end[pick])
    full = np.array(columns).T
    return full[:, :3], full[:, 3:]


@pytest.mark.parametrize("dt", [DT, UNEVEN], ids=["even", "uneven"])
def test_on_a_linear_quadratic_problem_it_equals_riccati(dt: np.ndarray):
    wanted, x0 = 10.0, initial(8.5)
    x0[ModelState.ACCEL] = x0[ModelState.ACCEL_CMD] = 0.3
    stages, g, q = straight_road(8.5, dt, wanted=30.0), shared(), stage_weights(dt)
    stages[:, StageParam.SPEED_LIMIT] = 30.0
    g[0] = 0.0  # what speed is worth is told by V alone
    v = TerminalExpansion(initial(wanted), np.zeros(NX), np.zeros((NX, NX)))
    v.hessian[ModelState.SPEED, ModelState.SPEED] = 3.0
    weight = np.diag([0.0, g[Term.ACCEL] / 4.0, 0.0])
    control = np.array([[g[Term.JERK] / 9.0]])
    cost_to_go, gains = q[-1] * weight + np.diag([3.0, 0.0, 0.0]), []
    for k in reversed(range(len(dt))):
        a, b = longitudinal(dt[k])
        gain = np.linalg.solve(q[k] * control + b.T @ cost_to_go @ b, b.T @ cost_to_go @ a)
        cost_to_go = q[k] * weight + a.T @ cost_to_go @ (a - b @ gain)
        gains.insert(0, gain)
    first = state = np.array([8.5 - wanted, 0.3, 0.3])
    jerks = []
    for k, gain in enumerate(gains):
        a, b = longitudinal(dt[k])
        jerks.append(float(-(gain @ state)[0]))
        state = a @ state + b[:, 0] * jerks[-1]

    solver = RtiSolver(dt, Limits(), qp_tolerance=1e-10)
    calm = np.zeros((len(dt), NU))
    found = solver.solve(x0, calm, stages, g, v, iterations=100, tolerance=1e-9)
    assert found.slacks.max() < 1e-6
    np.testing.assert_allclose(found.inputs[:, 0], jerks, atol=1e-4)
    np.testing.assert_allclose(found.inputs[:, 1], 0.0, atol=1e-6)
    assert found.states[-1, ModelState.SPEED] == pytest.approx(state[0] + wanted, abs=1e-5)
    assert found.cost == pytest.approx(0.5 * first @ cost_to_go @ first, rel=1e-6)


def test_an_uneven_grid_converges_to_what_ipopt_finds():
    x0, stages = initial(10.0), straight_road(10.0, UNEVEN)
    stop_at(stages, 32.0)
    inputs = np.zeros((len(UNEVEN), NU))
    best = ReferenceSolver(UNEVEN, Limits(), "ipopt").solve(x0, inputs, stages, shared())
    solver = RtiSolver(UNEVEN, Limits(), qp_tolerance=1e-9)
    found = solver.solve(x0, inputs, stages, shared(), iterations=100)
    assert found.cost == pytest.approx(best.cost, rel=1e-6)
    np.testing.assert_allclose(found.states, best.states, atol=1e-4)


def excess(x0: np.ndarray, stage: np.ndarray) -> float:
    """What the rows of a stage cost."""
    terms = stage_terms(list(x0), None, list(stage), list(shared()), np)
    return sum(terms[family.name.lower()] for family in Family)


def test_its_cost_is_that_of_the_stage_cost(solver):
    """The sum of headway.cost over the stages; what is violated now already is not counted."""
    for x0, stages in PROBLEMS.values():
        found = solver.solve(x0, CALM, stages, shared(), iterations=2)
        q, g = stage_weights(DT), list(shared())
        total = -q[0] * excess(x0, stages[0])
        for k in range(21):
            control = list(found.inputs[k]) if k < 20 else None
            total += q[k] * stage_cost(list(found.states[k]), control, list(stages[k]), g, np)
        assert found.cost == pytest.approx(total, rel=1e-9)


def test_a_terminal_expansion_counts_as_it_is_written(solver, references):
    draw = np.random.default_rng(1)
    root = draw.normal(size=(NX, NX))
    x0, stages = PROBLEMS["free at 10"]
    point = initial(12.0)
    point[0] = 44.0
    v = TerminalExpansion(point, draw.normal(size=NX), 0.1 * root @ root.T)
    plain = solver.solve(x0, CALM, stages, shared(), iterations=0)
    with_v = solver.solve(x0, CALM, stages, shared(), v, iterations=0)
    off = plain.states[-1] - point
    assert with_v.cost - plain.cost == pytest.approx(
        v.gradient @ off + 0.5 * off @ v.hessian @ off, rel=1e-9
    )
    best = references["ipopt"].solve(x0, CALM, stages, shared(), v)
    found = solver.solve(x0, CALM, stages, shared(), v, iterations=100)
    assert found.cost == pytest.approx(best.cost, rel=1e-4)
    # And without it again: nothing is left of it.
    again = solver.solve(x0, CALM, stages, shared(), iterations=0)
    assert again.cost == plain.cost


def test_an_iteration_never_makes_it_worse(solver):
    for x0, stages in PROBLEMS.values():
        inputs = CALM
        for _ in range(5):
            found = solver.solve(x0, inputs, stages, shared())
            assert found.cost <= found.cost_before
            inputs = found.inputs


def test_solvers_in_threads_share_nothing():
    def run(order: list[str]) -> dict[str, bytes]:
        mine = RtiSolver(DT, Limits())
        out = {}
        for _ in range(10):
            for name in order:
                x0, stages = PROBLEMS[name]
                found = mine.solve(x0, CALM, stages, shared(), iterations=3)
                out[name] = found.states.tobytes() + found.inputs.tobytes()
        return out

    names = list(PROBLEMS)
    alone = run(names)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(run, [names, names[::-1]]))
    assert both[0] == alone
    assert both[1] == alone
