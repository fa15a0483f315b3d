"""The driver's Trace of a real drive: everything is there, and survives the disk."""

import numpy as np
import pytest

from headway.road.lane_graph import StopKind
from headway.trace import Trace
from headway.types import AgentKind, SignalState
from tests.planner.harness import Scripted, World, along
from tests.planner.spots import guarded

STAGES = ["perceive", "goal", "propose", "suggest", "imagine", "refine", "track", "safety",
          "record", "act"]  # fmt: skip


@pytest.fixture(scope="module")
def world():
    from carla_bridge.headless.towns import load_town

    graph = load_town("grid").lane_graph
    _, route, _ = next(guarded(graph, StopKind.LIGHT, 0))
    others = [
        Scripted(along(route, lambda t: 40.0 + t)),
        Scripted(along(route, lambda t: 30.0, 6.0), AgentKind.WALKER, (0.3, 0.3)),
    ]
    red = np.full(len(graph.signal_id), SignalState.RED, np.int8)
    return World(graph, route, others, signals=lambda t: red).drive(12.0)


def test_every_stage_is_timed(world):
    trace = world.driver.trace
    assert len(trace) == 240
    assert list(trace.records[-1].stage_s) == STAGES
    stages = trace.stage_ms()
    parts = sum(stages[name] for name in STAGES[:-1])
    assert (parts <= stages["act"] + 1e-6).all()
    summary = trace.stage_summary(skip=20)
    assert set(summary) == set(STAGES), "no solver, no stage `solve`"
    assert 0.0 < summary["act"]["median_ms"] <= summary["act"]["p99_ms"]


def test_what_was_driven_is_what_was_recorded(world):
    trace = world.driver.trace
    t, x, vx = trace.column("t"), trace.column("x"), trace.column("vx")
    np.testing.assert_allclose(np.diff(t), 0.05)
    np.testing.assert_allclose(np.diff(x), 0.05 * 0.5 * (vx[1:] + vx[:-1]), atol=0.02)
    with pytest.raises(ValueError, match="throttl"):
        trace.column("throttl")


def test_a_trace_survives_the_disk(world, tmp_path):
    trace = world.driver.trace
    trace.save(tmp_path / "trace")
    loaded = Trace.load(tmp_path / "trace.json")
    assert len(loaded) == len(trace)
    assert loaded.header == trace.header
    assert loaded.agent_type == {2: "scripted", 3: "scripted"}
    assert loaded.route is not None
    np.testing.assert_array_equal(loaded.route.xyz, trace.route.xyz)
    for ours, theirs in zip(trace.records[::40], loaded.records[::40], strict=True):
        assert ours.active == theirs.active
        assert ours.proposal_names == theirs.proposal_names
        assert ours.interventions == theirs.interventions
        assert ours.stage_s == pytest.approx(theirs.stage_s)
        np.testing.assert_array_equal(ours.ego, theirs.ego)
        np.testing.assert_array_equal(ours.goal, theirs.goal)
        np.testing.assert_allclose(ours.plan, theirs.plan, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(ours.agents, theirs.agents, rtol=1e-6)
        np.testing.assert_allclose(ours.proposals, theirs.proposals, rtol=1e-6, atol=1e-6)
    size = (tmp_path / "trace.npz").stat().st_size / len(trace)
    assert size < 8000.0, f"{size:.0f} bytes a tick"


def test_another_format_is_refused(world, tmp_path):
    path = world.driver.trace.save(tmp_path / "trace")
    with np.load(path) as data:
        arrays = {**data, "format": np.array(99)}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="format 99"):
        Trace.load(path)


def test_a_question_before_the_first_tick_is_an_error(world):
    from tests.planner.harness import make_driver

    with pytest.raises(ValueError, match=r"Driver\.hear"):
        make_driver().hear("turn left")
