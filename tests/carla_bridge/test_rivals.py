"""Rivals that drive by themselves, closed loop against our own server."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from carla_bridge.rivals import (
    PAST_JUNCTION,
    PATH_STEP,
    BasicAgentConfig,
    BasicAgentPlanner,
    BehaviorAgentConfig,
    BehaviorAgentPlanner,
    TrafficManagerPlanner,
    TrafficManagerPlannerConfig,
    path_points,
    road_options,
)
from carla_bridge.session import Session, SessionError
from carla_bridge.simulator import CarlaSimulator, SimulatorConfig
from headway.cli import build_driver, compose_drive
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneKind
from headway.road.random_route import random_route
from headway.road.routing import plan_route
from headway.trace import Trace
from scenarios.episode import EpisodeConfig, run_episode
from scenarios.report import plot_drive
from scenarios.video import write_video

AGENTS = Path(os.environ.get("CARLA_ROOT", "")) / "PythonAPI" / "carla" / "agents"


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


@pytest.fixture(scope="module")
def route(session):
    """A route with turns."""
    for seed in range(1, 30):
        found = random_route(session.lane_graph, seed, 350.0, 500.0, min_junctions=2)
        inside = found.lane[session.lane_graph.junction[found.lane] >= 0]
        if {-1, 1} <= set(session.lane_graph.turn[inside].tolist()):
            return found
    raise LookupError


def drive(session, route, planner, time_limit_s=150.0):
    config, _ = compose_drive([f"planner={planner}"])
    driver = build_driver(config, session)
    simulator = CarlaSimulator(session, SimulatorConfig(settle_s=0.5))
    episode = run_episode(simulator, driver, route, 1, EpisodeConfig(time_limit_s=time_limit_s))
    simulator.close()
    return episode


def off_route(episode, route):
    trace = episode.trace
    xy = np.column_stack([trace.column("x"), trace.column("y")])
    d, hint = [], None
    for point in xy:
        s, beside, _ = project_on_route(route, point[None], hint)
        hint = s[0]
        d.append(abs(float(beside[0])))
    return max(d)


@pytest.fixture(scope="module")
def autopilot(session, route):
    return drive(session, route, "traffic_manager")


def test_the_traffic_manager_drives_the_route_to_its_end(autopilot, route):
    assert autopilot.ending == "completed"
    assert off_route(autopilot, route) < 3.0
    assert not autopilot.criteria.collisions.infractions


def test_what_it_did_is_in_the_trace_as_far_as_anybody_knows(autopilot, tmp_path):
    trace = autopilot.trace
    assert len(trace) > 300
    for name in ("throttle", "brake", "steer_norm"):
        assert np.isnan(trace.column(name)).all(), "nobody told us"
    assert trace.column("speed").max() > 5.0
    assert np.abs(trace.column("steer")).max() > 0.05, "the wheels are those of the autopilot"
    assert trace.intervention_share() == 0.0
    assert {"perceive", "goal", "rival", "act"} <= set(trace.stage_summary())
    trace.save(tmp_path / "trace.npz")
    again = Trace.load(tmp_path / "trace.npz")
    assert again.records[0].plan_name == "TrafficManagerPlanner"
    assert again.records[-1].proposals.shape[0] == 0


def test_plots_and_film_can_be_made_of_it(autopilot, session, tmp_path):
    trace = Trace(autopilot.trace.records[:60], autopilot.trace.header, autopilot.trace.route)
    assert plot_drive(trace, (), tmp_path / "plots.png").stat().st_size > 20_000
    write_video(trace, session.lane_graph, tmp_path / "drive.mp4", ())
    assert (tmp_path / "drive.mp4").stat().st_size > 20_000


def test_it_takes_over_the_next_ego_as_well(session, route):
    planner = TrafficManagerPlanner(TrafficManagerPlannerConfig(-10.0), session)
    simulator = CarlaSimulator(session, SimulatorConfig(settle_s=0.5))
    for seed in (1, 2):
        planner.reset()
        observation = simulator.reset(route, seed)
        for _ in range(100):
            assert planner.act(observation) is None
            observation = simulator.step(None)
        assert observation.ego.speed > 2.0
    simulator.close()


def test_a_session_outlives_the_traffic_manager_of_the_one_before():
    """A traffic manager that outlives its server would end this process here."""
    for _ in range(2):
        with Session(town="grid") as running:
            manager, port = running.traffic_manager()
            assert running.traffic_manager() == (manager, port)
            frames = [running.tick().frame for _ in range(5)]
            assert frames == list(range(frames[0], frames[0] + 5))


@pytest.mark.parametrize("town", ["grid", "ring"])
def test_the_points_of_a_path_lie_on_the_route_and_never_in_a_junction(town):
    graph = load_town(town).lane_graph
    for seed in range(5):
        route = random_route(graph, seed, min_length=500.0, max_length=900.0)
        xy = np.array([(p.x, -p.y) for p in path_points(graph, route)])
        s, d, _ = project_on_route(route, xy, None)
        assert np.abs(d).max() < 0.5
        assert (np.diff(s) > 0.0).all()
        rows = np.searchsorted(route.s, s - 1e-3)
        assert (graph.junction[route.lane[rows]] < 0).all()
        # Behind each junction there is one before the next begins.
        inside = (graph.junction[route.lane] >= 0).astype(int)
        ends = route.s[np.flatnonzero(np.diff(inside) == -1) + 1]
        begins = np.append(route.s[np.flatnonzero(np.diff(inside) == 1)], np.inf)
        for end in ends:
            assert ((s >= end - 1.0) & (s <= begins[begins > end][0] + 1.0)).any()


def test_rounding_does_not_carry_a_path_beyond_the_route_end():
    graph = load_town("grid").lane_graph
    drives = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0)
    lane = int(np.argmax(np.where(drives, graph.length, 0.0)))
    length = PAST_JUNCTION + 9.0 * PATH_STEP
    whole = plan_route(graph, lane, 0.0, lane, length)
    route = replace(whole, s=whole.s * ((length - 5e-7) / whole.length))
    last = path_points(graph, route)[-1]
    assert (last.x, -last.y) == pytest.approx(tuple(route.xyz[-1, :2]), abs=1e-3)


def test_the_agents_hear_of_every_turn_and_change_of_lane(route, session):
    graph = session.lane_graph
    options = np.array(road_options(graph, route.lane))
    turn = graph.turn[route.lane]
    inside = graph.junction[route.lane] >= 0
    assert (options[inside & (turn == 1)] == "LEFT").all()
    assert (options[inside & (turn == -1)] == "RIGHT").all()
    assert (options[~inside] == "LANEFOLLOW").all()
    lane = int(np.flatnonzero((graph.left >= 0) & graph.left_change)[0])
    lanes = np.array([lane] * 30 + [int(graph.left[lane])] * 30)
    options = road_options(graph, lanes)
    assert options[0] == options[-1] == "LANEFOLLOW"
    assert options[25] == "CHANGELANELEFT"


@pytest.mark.parametrize("planner", ["carla_basic", "carla_behavior"])
def test_without_their_package_the_error_says_where_it_is_looked_for(planner, monkeypatch, session):
    config, _ = compose_drive([f"planner={planner}"])
    monkeypatch.delenv("CARLA_ROOT", raising=False)
    with pytest.raises(SessionError, match=r"CARLA_ROOT is not set; set CARLA_ROOT to a CARLA"):
        build_driver(config, session)
    monkeypatch.setenv("CARLA_ROOT", "/nowhere")
    with pytest.raises(SessionError, match=r"none below CARLA_ROOT=/nowhere"):
        build_driver(config, session)
    with pytest.raises(ValueError, match=f"planner={planner}: expected a session"):
        build_driver(config)


@pytest.mark.skipif(
    not AGENTS.is_dir(), reason="no CARLA installation with its agents package at $CARLA_ROOT"
)
@pytest.mark.filterwarnings("default")  # theirs are not ours to mend
@pytest.mark.parametrize("planner", ["carla_basic", "carla_behavior"])
def test_carlas_agents_drive_the_route_to_its_end(session, route, planner):
    episode = drive(session, route, planner)
    assert episode.ending == "completed"
    assert off_route(episode, route) < 3.0
    assert np.isfinite(episode.trace.column("throttle")).all()
    assert episode.trace.column("throttle").max() > 0.2


@pytest.mark.skipif(
    not AGENTS.is_dir(), reason="no CARLA installation with its agents package at $CARLA_ROOT"
)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "make",
    [lambda s: BasicAgentPlanner(BasicAgentConfig(8.0), s),
     lambda s: BehaviorAgentPlanner(BehaviorAgentConfig("cautious"), s)],
    ids=["basic", "behavior"],
)  # fmt: skip
def test_carlas_agents_brake_for_who_stands_ahead(session, make):
    """Whether they brake early enough is theirs to answer."""
    graph = session.lane_graph
    for seed in range(40):
        route = random_route(graph, seed, 300.0, 500.0, min_junctions=1)
        ahead = route.s < 75.0
        if np.ptp(np.unwrap(route.yaw[ahead])) < 1e-3 and len(set(route.lane[ahead])) == 1:
            break
    else:
        raise LookupError
    planner, simulator = make(session), CarlaSimulator(session, SimulatorConfig(settle_s=0.5))
    observation = simulator.reset(route, 1)
    blocker = spawn_ahead(session, route, 60.0)
    braked = False
    while not braked and observation.t < 15.0:
        command = planner.act(observation)
        braked = command.brake > 0.2 and observation.ego.speed > 3.0
        observation = simulator.step(command)
    gap = 60.0 - np.hypot(*(observation.ego.pose[:2] - route.xyz[0, :2])) - 4.8
    assert braked
    assert gap > 3.0
    assert not observation.events
    session.destroy([blocker.id])
    simulator.close()


def spawn_ahead(session, route, s):
    import carla

    from carla_bridge.frames import yaw_to_carla

    i = int(np.searchsorted(route.s, s))
    x, y, z = map(float, route.xyz[i])
    blueprint = session.world.get_blueprint_library().find("vehicle.tesla.model3")
    place = carla.Transform(
        carla.Location(x=x, y=-y, z=z + 0.2), carla.Rotation(yaw=yaw_to_carla(float(route.yaw[i])))
    )
    car = session.world.spawn_actor(blueprint, place)
    session.own([car])
    return car


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="behavior: expected one of cautious"):
        BehaviorAgentConfig("brave")
    with pytest.raises(ValueError, match="target_speed"):
        BasicAgentConfig(-1.0)
    with pytest.raises(ValueError, match="lead_distance"):
        TrafficManagerPlannerConfig(lead_distance=-1.0)
