"""The closed loops in process: the same again, replayed, and driven by the MPC."""

from __future__ import annotations

import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import LaneGraph
from headway.types import AgentKind, SignalState
from planner.mpc.measure import WatchedPlanner
from scenarios.bench_planner import Stage, make_stage
from scenarios.street import LightPlan, Step

TICKS = 60


@pytest.fixture(scope="module")
def graph() -> LaneGraph:
    return load_town("grid").lane_graph


@pytest.fixture(scope="module")
def stage() -> Stage:
    return make_stage("grid", 5, TICKS)


def test_one_approach_of_a_junction_is_green_at_a_time(graph: LaneGraph):
    plan = LightPlan(graph)
    shown = np.array([plan.at(t) for t in np.arange(0.0, 60.0, 0.5)])
    assert (shown == SignalState.GREEN).any(0).all()  # everyone has a turn
    assert (shown == SignalState.YELLOW).any(0).all()
    assert ((shown != SignalState.RED).sum(1) <= shown.shape[1] // 2).all()
    np.testing.assert_array_equal(plan.at(13.5 + 8.0), plan.at(13.0 + 8.1))


def test_the_same_seed_gives_the_same_motions(stage: Stage):
    again = make_stage("grid", 5, TICKS)
    assert len(stage.frames) == TICKS
    for one, other in zip(stage.frames, again.frames, strict=True):
        np.testing.assert_array_equal(one.pose, other.pose)
        np.testing.assert_array_equal(one.signal_state, other.signal_state)


def test_the_others_move_as_fast_as_they_say(stage: Stage):
    moved = 0
    for before, after in zip(stage.frames[20:-1], stage.frames[21:], strict=True):
        cars = before.kind == AgentKind.VEHICLE
        step = (after.pose[cars, :2] - before.pose[cars, :2]) / 0.05
        speed = np.hypot(*after.velocity[cars].T)
        far = np.hypot(*step.T) > 60.0  # put elsewhere by the traffic
        np.testing.assert_allclose(np.hypot(*step.T)[~far], speed[~far], atol=0.3)
        moved += int((speed > 1.0).sum())
    assert moved > 100


def test_the_mpc_drives_among_a_replay_and_its_costs_are_kept(stage: Stage):
    planner, steps = WatchedPlanner(every=10), list[Step]()
    stage.drive(planner, TICKS, steps.append)
    assert len(steps) == len(planner.costs) == TICKS
    assert np.isfinite(planner.costs).all()
    assert min(planner.costs) >= 0.0
    assert planner.num_bad == 0
    assert len(planner.recorder.kept) >= TICKS // 10
    assert steps[-1].ego.speed > 1.0
    assert all(step.act_cpu_s > 0.0 for step in steps)
    # A problem that was kept is what the solver was asked: it is solved again to the same plan.
    problem, found = planner.recorder.asked[-1]
    again = planner.recorder.solve(problem.x0, problem.inputs, problem.stages, problem.shared)
    np.testing.assert_array_equal(again.inputs, found.inputs)
