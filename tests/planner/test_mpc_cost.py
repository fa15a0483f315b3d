"""The stage cost and the model, the same in NumPy, torch and CasADi; and a stage by hand."""

from __future__ import annotations

import casadi as ca
import numpy as np
import pytest
import torch

from headway import bicycle, cost
from headway.cost import (
    DISCOUNT,
    FAR,
    NUM_COST_PARAMS,
    NUM_ROWS,
    NUM_STAGE_PARAMS,
    TERMINAL_S,
    Family,
    Obstacle,
    StageParam,
    Term,
)
from planner.mpc.problem import NU, NX, Problem

from .mpc_problems import CAR, DT, initial, put_obstacle, shared, straight_road

P = StageParam


def random_stages(seed: int, num: int = 50):
    """States, inputs, stage parameters and shared ones, one a column."""
    draw = np.random.default_rng(seed)
    x = draw.uniform([-20, -20, -3, 0, -5, -0.5, -5, -0.5], [20, 20, 3, 20, 3, 0.5, 3, 0.5],
                     (num, NX)).T  # fmt: skip
    u = draw.uniform([-10, -0.8], [10, 0.8], (num, NU)).T
    p = draw.uniform(-20.0, 20.0, (num, NUM_STAGE_PARAMS)).T
    p[P.REF_CURVATURE] *= 0.005
    p[int(P.RESIDUALS) : int(P.OBSTACLES)] *= 0.02
    for column in (Obstacle.LENGTH, Obstacle.WIDTH):
        sizes = p[int(P.OBSTACLES) + int(column) :: len(Obstacle)]
        sizes[:] = 1.0 + np.abs(sizes)
    g = draw.uniform(0.1, 5.0, (num, NUM_COST_PARAMS)).T
    return x, u, p, g


def symbols():
    sizes = {"x": NX, "u": NU, "p": NUM_STAGE_PARAMS, "g": NUM_COST_PARAMS}
    return tuple(ca.SX.sym(name, size) for name, size in sizes.items())


def test_numpy_and_casadi_agree_on_the_model():
    x, u, p, g = random_stages(1)
    problem = Problem()
    f = ca.Function("f", [problem.x, problem.u, problem.p, problem.g, problem.dt],
                    [problem.next_state]).map(x.shape[1])  # fmt: skip
    begin, car = int(P.RESIDUALS), int(cost.CostParam.BICYCLE)
    theirs = np.asarray(f(x, u, p, g, np.full((1, x.shape[1]), 0.2)))
    ours = bicycle.step(list(x), list(u), list(g[car:]), list(p[begin : begin + 4]), 0.2, np)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_numpy_and_casadi_agree_on_every_term_and_row():
    x, u, p, g = random_stages(2)
    num = x.shape[1]
    sx, su, sp, sg = symbols()
    split = [ca.vertsplit(v) for v in (sx, su, sp, sg)]
    for with_inputs in (True, False):
        terms = cost.stage_terms(split[0], split[1] if with_inputs else None, *split[2:], ca)
        f = ca.Function("f", [sx, su, sp, sg], [ca.vertcat(*terms.values())]).map(num)
        ours = cost.stage_terms(list(x), list(u) if with_inputs else None, list(p), list(g), np)
        assert list(ours) == list(terms)
        assert {family.name.lower() for family in Family} < set(ours)
        assert ({"jerk", "lateral_jerk", "steer_rate"} < set(ours)) == with_inputs
        np.testing.assert_allclose(
            np.array(list(ours.values())), np.asarray(f(x, u, p, g)), rtol=1e-10, atol=1e-10
        )
    rows = ca.vertcat(*(h for _, h in cost.rows(split[0], split[2], split[3], ca)))
    theirs = np.asarray(ca.Function("h", [sx, sp, sg], [rows]).map(num)(x, p, g))
    found = cost.rows(list(x), list(p), list(g), np)
    assert tuple(f for f, _ in found) == cost.ROW_FAMILY
    assert theirs.shape == (NUM_ROWS, num)
    np.testing.assert_allclose(np.array([h for _, h in found]), theirs, rtol=1e-10, atol=1e-10)


def test_numpy_and_torch_agree():
    x, u, p, g = random_stages(3)
    tx, tu, tp, tg = (torch.from_numpy(v) for v in (x, u, p, g))
    ours = cost.stage_cost(list(x), list(u), list(p), list(g), np)
    theirs = cost.stage_cost(list(tx), list(tu), list(tp), list(tg), torch)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12)
    after = bicycle.step(list(x), list(u), list(CAR), [0.0] * 4, 0.2, np)
    moved = bicycle.step(list(tx), list(tu), [torch.tensor(v) for v in CAR], [0.0] * 4, 0.2, torch)
    np.testing.assert_allclose(after, torch.stack(moved).numpy(), rtol=1e-12)


def test_a_stage_by_hand():
    g, p = shared(), straight_road(10.0, wanted=12.0)[0]
    g[[Term.LATERAL, Term.HEADING, Term.ACCEL]] = 0.6, 0.3, 0.25
    g[[Term.JERK, Term.LATERAL_JERK, Term.STEER_RATE]] = 0.12, 0.15, 0.05
    g[0] = 0.0  # of the speed
    x = initial(10.0, y=0.5)
    x[2], x[4] = 0.1, 1.0  # rad, m/s^2
    terms = cost.stage_terms(list(x), [3.0, 0.1], list(p), list(g), np)
    want = dict.fromkeys(terms, 0.0)
    want["lateral"] = 0.5 * 0.6 * 0.5**2
    want["heading"] = 0.5 * 0.3 * (np.sin(0.1) / 0.25) ** 2
    want["accel"] = 0.5 * 0.25 * (1.0 / 2.0) ** 2
    want["jerk"] = 0.5 * 0.12 * 1.0**2
    want["lateral_jerk"] = 0.5 * 0.15 * (100.0 * 0.1 / 2.9 / 3.0) ** 2
    want["steer_rate"] = 0.5 * 0.05 * (0.1 / 0.5) ** 2
    assert terms == pytest.approx(want, abs=1e-12)
    assert cost.stage_cost(list(x), [3.0, 0.1], list(p), list(g), np) == pytest.approx(
        sum(want.values())
    )


def test_violations_by_hand():
    g = shared()
    stages = straight_road(10.0)
    put_obstacle(stages, 3, 3.0, 0.0, 6.0, 2.0)  # ego is 3 m behind its centre: half its length
    p = stages[0]
    p[P.LEFT] = -0.25
    p[P.SPEED_LIMIT] = 9.0
    p[P.STOP_AHEAD] = 20.0
    collision, corridor, limit, stop = cost.violations(list(initial(10.0)), list(p), list(g), np)
    assert collision == pytest.approx(0.5, abs=1e-6)
    assert corridor == pytest.approx(0.25)
    assert limit == pytest.approx(0.5)  # 1 m/s in its scale of 2 m/s
    assert stop == pytest.approx(5.0)  # it takes 25 m to stop with 2 m/s^2


def test_behind_who_stands_the_gap_is_that_of_braking_standing_and_time():
    g, p = shared(), straight_road(10.0)[0]
    p[P.LEAD_AHEAD], p[P.LEAD_SPEED] = 30.0, 0.0
    gap = 2.5 + 1.5 * 10.0 + 10.0**2 / 4.0  # a hundredth of it is smoothing
    *_, stop = cost.violations(list(initial(10.0)), list(p), list(g), np)
    assert stop == pytest.approx(0.5 * (gap - 30.0), abs=0.03)


def test_behind_who_is_faster_the_gap_is_what_two_seconds_leave_of_it():
    g, p = shared(), straight_road(10.0)[0]
    p[P.LEAD_AHEAD], p[P.LEAD_SPEED] = 11.0, 12.0
    *_, stop = cost.violations(list(initial(10.0)), list(p), list(g), np)
    assert stop == pytest.approx(0.5 * (2.5 + 15.0 - 2.0 * 2.0 - 11.0), abs=0.02)


def test_a_slower_lead_never_asks_for_less():
    g, p = shared(), straight_road(10.0)[0]
    p[P.LEAD_AHEAD] = 25.0
    found = []
    for speed in (0.0, 4.0, 8.0, 12.0, 16.0):
        p[P.LEAD_SPEED] = speed
        found.append(cost.violations(list(initial(10.0)), list(p), list(g), np)[3])
    assert found == sorted(found, reverse=True)


def test_far_obstacles_and_free_roads_cost_nothing():
    g, p = shared(), straight_road(12.0, wanted=12.0)[0]
    assert p[P.STOP_AHEAD] == FAR
    g[0] = 0.0  # of the speed
    assert cost.stage_cost(list(initial(12.0)), [0.0, 0.0], list(p), list(g), np) == 0.0


def test_a_terminal_stage_has_no_inputs_and_no_speed():
    g, p = shared(), straight_road(3.0, wanted=12.0)[0]
    assert cost.stage_cost(list(initial(3.0)), None, list(p), list(g), np) == 0.0


def test_weights_are_intervals_discounted():
    q = cost.stage_weights(DT)
    assert q[0] == pytest.approx(0.2)
    assert q[5] == pytest.approx(0.2 * DISCOUNT**1.0)
    assert q[20] == pytest.approx(TERMINAL_S * DISCOUNT**4.0)
