"""Whatever the MPC's solvers are given: bounds hold, nothing is NaN, nothing is thrown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.bicycle import ModelState
from headway.cost import NUM_COST_PARAMS, NUM_STAGE_PARAMS, StageParam
from planner.mpc.problem import NU, NX, Limits
from planner.mpc.reference import ReferenceSolver
from planner.mpc.solver import STATUS, RtiSolver, Solution, TerminalExpansion

from .mpc_problems import CALM, DT, dozen, initial, put_obstacle, shared, straight_road

LIMITS = Limits()
SEEDS = st.integers(0, 2**32 - 1)
WILD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 1e12, -1e12, 1e-300, 0.0])


@pytest.fixture(scope="module")
def solvers() -> dict:
    return {
        "rti": RtiSolver(DT, LIMITS),
        "sqpmethod": ReferenceSolver(DT, LIMITS),
        "ipopt": ReferenceSolver(DT, LIMITS, "ipopt", {"ipopt": {"print_level": 0, "sb": "yes",
                                                                 "max_iter": 30}}),
    }  # fmt: skip


def random_problem(seed: int):
    draw = np.random.default_rng(seed)
    x0 = initial(draw.uniform(-1.0, 25.0), draw.uniform(-4.0, 4.0))
    x0[ModelState.YAW] = draw.uniform(-1.0, 1.0)
    low, high = LIMITS.commands()
    x0[ModelState.ACCEL :] = np.tile(draw.uniform(low, high), 2)
    stages = straight_road(x0[3], wanted=draw.uniform(0.0, 20.0))
    for j in range(draw.integers(0, 12)):
        put_obstacle(stages, j, *draw.uniform([-5, -4, 1, 1, -10], [60, 4, 8, 3, 20]))
    stages[:, StageParam.REF_CURVATURE] = draw.uniform(-0.1, 0.1)
    stages[:, StageParam.STOP_AHEAD] = draw.uniform(-10.0, 100.0) - stages[:, 0]
    stages[:, StageParam.LEAD_AHEAD] = draw.uniform(-10.0, 100.0) - stages[:, 0]
    stages[:, StageParam.LEAD_SPEED] = draw.uniform(0.0, 20.0)
    return x0, draw.normal(0.0, draw.choice([0.1, 5.0, 100.0]), (20, NU)), stages


def assert_sane(found: Solution) -> None:
    for part in (found.states, found.inputs, found.slacks):
        assert np.isfinite(part).all()
    for value in (found.cost, found.cost_before, found.residual, found.solve_s):
        assert not np.isnan(value)
    assert found.status in STATUS
    assert found.iterations >= 0
    low, high = LIMITS.inputs()
    assert (found.inputs >= low).all()
    assert (found.inputs <= high).all()


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, iterations=st.integers(0, 5))
def test_bounds_hold_always(solvers, seed: int, iterations: int):
    x0, inputs, stages = random_problem(seed)
    found = solvers["rti"].solve(x0, inputs, stages, shared(), iterations=iterations)
    assert_sane(found)
    commands = found.states[:, int(ModelState.ACCEL_CMD) :]
    low, high = LIMITS.commands()
    assert (commands >= low - 1e-9).all()
    assert (commands <= high + 1e-9).all()
    moved = commands[:-1] + DT[:, None] * found.inputs
    np.testing.assert_allclose(commands[1:], moved, atol=1e-12)


@settings(max_examples=150, deadline=None)
@given(
    seed=SEEDS,
    spoilt=st.lists(
        st.tuples(st.sampled_from(["x0", "inputs", "stages", "shared"]), SEEDS, WILD),
        min_size=1, max_size=5,
    ),
    iterations=st.integers(0, 3),
)  # fmt: skip
def test_nothing_wild_comes_through(solvers, seed: int, spoilt: list, iterations: int):
    x0, inputs, stages = random_problem(seed)
    given_parts = {"x0": x0, "inputs": inputs, "stages": stages, "shared": shared()}
    for name, at, value in spoilt:
        flat = given_parts[name].reshape(-1)
        flat[at % flat.size] = value
    for name in ("rti", "sqpmethod"):
        assert_sane(solvers[name].solve(**given_parts, iterations=iterations))


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, at=SEEDS, value=WILD)
def test_nothing_wild_comes_through_ipopt(solvers, seed: int, at: int, value: float):
    x0, inputs, stages = random_problem(seed)
    stages.reshape(-1)[at % stages.size] = value
    assert_sane(solvers["ipopt"].solve(x0, inputs, stages, shared()))


def contradiction():
    """A corridor without width, a line behind ego, an obstacle all over the road."""
    stages = straight_road(10.0)
    stages[:, StageParam.LEFT], stages[:, StageParam.RIGHT] = -1.0, 1.0
    stages[:, StageParam.STOP_AHEAD] = -20.0
    put_obstacle(stages, 0, 10.0, 0.0, 30.0, 10.0)
    return initial(10.0), CALM, stages, shared()


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
def test_a_failure_leaves_nothing_behind(solvers, name: str):
    x0, stages = dozen()["stop line at 10"]
    before = solvers[name].solve(x0, CALM, stages, shared(), iterations=3)
    spoilt = np.full_like(stages, np.nan)
    failed = solvers[name].solve(x0, CALM, spoilt, shared(), iterations=3)
    assert failed.status == "not_finite"
    after = solvers[name].solve(x0, CALM, stages, shared(), iterations=3)
    np.testing.assert_array_equal(before.states, after.states)
    np.testing.assert_array_equal(before.inputs, after.inputs)


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
def test_nor_does_one_in_the_midst_of_the_quadratic_program(solvers, name: str):
    solve, (x0, inputs, stages, cost) = solvers[name].solve, contradiction()
    before = solve(x0, inputs, stages, cost, iterations=3)
    for column, value in (
        (StageParam.REF_X, np.nan), (StageParam.REF_SPEED, np.inf),
        (StageParam.REF_CURVATURE, 1e300), (StageParam.LEAD_SPEED, np.nan),
    ):  # fmt: skip
        spoilt = stages.copy()
        spoilt[7, column] = value
        solve(x0, inputs, spoilt, cost, iterations=3)
        after = solve(x0, inputs, stages, cost, iterations=3)
        np.testing.assert_array_equal(before.states, after.states)
        np.testing.assert_array_equal(before.inputs, after.inputs)


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
def test_where_it_fails_the_warm_start_is_rolled_out(solvers, name: str):
    x0, stages = dozen()["free at 10"]
    inputs = np.tile([1.0, 0.0], (20, 1))
    way = solvers[name].solve(x0, inputs, stages, shared(), iterations=0)
    spoilt = stages.copy()
    spoilt[5, StageParam.LEFT] = np.nan
    failed = solvers[name].solve(x0, inputs, spoilt, shared(), iterations=3)
    assert failed.status == "not_finite"
    np.testing.assert_allclose(failed.states, way.states, atol=1e-9)
    np.testing.assert_allclose(failed.inputs, way.inputs, atol=1e-12)


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
def test_a_state_that_is_not_finite_gives_a_car_that_stands(solvers, name: str):
    _, stages = dozen()["free at 10"]
    x0 = np.full(NX, np.nan)
    found = solvers[name].solve(x0, CALM, stages, np.full(NUM_COST_PARAMS, np.nan))
    assert_sane(found)
    assert found.status == "not_finite"
    assert not found.states[:, ModelState.SPEED].any()


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
def test_contradicting_rows_have_a_solution(solvers, name: str):
    found = solvers[name].solve(*contradiction(), iterations=20)
    assert_sane(found)
    assert found.cost < found.cost_before
    assert found.slacks.max() > 0.5


@pytest.mark.parametrize("name", ["rti", "sqpmethod"])
@pytest.mark.parametrize("field", ["x0", "inputs", "stages", "shared"])
def test_a_wrong_shape_is_named(solvers, name: str, field: str):
    parts = {"x0": np.zeros(NX), "inputs": CALM, "stages": np.zeros((21, NUM_STAGE_PARAMS)),
             "shared": shared()}  # fmt: skip
    parts[field] = parts[field][1:]
    with pytest.raises(ValueError, match=field):
        solvers[name].solve(**parts)


def test_a_wild_terminal_cost_is_survived(solvers):
    x0, stages = dozen()["free at 10"]
    for value in (np.nan, np.inf, 1e300):
        v = TerminalExpansion(np.zeros(NX), np.full(NX, value), np.eye(NX))
        for name in ("rti", "sqpmethod"):
            assert_sane(solvers[name].solve(x0, CALM, stages, shared(), v, 2))
