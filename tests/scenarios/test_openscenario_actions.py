"""What actors of OpenSCENARIO files do on a real server, and which way ego goes."""

from __future__ import annotations

import numpy as np
import pytest

from carla_bridge.session import Session
from headway.road.lane_graph import LaneKind
from headway.road.queries import nearest_lane, pose_at, project
from scenarios.openscenario.routes import beginnings, ego_route
from scenarios.suites.openscenario import read_stories
from tests.scenarios import xosc
from tests.scenarios.xosc import after, by, event, maneuver, private, teleport, times

DT = 0.05


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


def test_lane_change_takes_its_length_and_ends_on_the_next_lane(session, lane, at, tmp_path):
    graph = session.lane_graph
    change = (
        '<LateralAction><LaneChangeAction><LaneChangeActionDynamics dynamicsShape="sinusoidal"'
        ' dynamicsDimension="distance" value="30"/><LaneChangeTarget>'
        '<RelativeTargetLane entityRef="car" value="1"/></LaneChangeTarget></LaneChangeAction>'
        "</LateralAction>"
    )
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("car")],
        [private("hero", teleport(at(2.0))), private("car", teleport(at(30.0)), xosc.speed(8.0))],
        [maneuver("car", event("change", [after(1.0)], change),
                  event("settle", [xosc.state("event", "change", "completeState")],
                        xosc.speed(8.0, over=2.0)))],
    )  # fmt: skip
    episode, stage = xosc.play(session, text, tmp_path)
    happened, car = times(stage), stage.players["car"]
    took = happened["action change-0 endTransition"] - happened["action change-0 startTransition"]
    assert took == pytest.approx(30.0 / 8.0, abs=0.3)
    found, _, d = nearest_lane(graph, *map(float, car.pose))
    assert found == graph.left[lane]
    assert abs(d) < 0.3
    again, twin = xosc.play(session, text, tmp_path)
    assert twin.elements.log == stage.elements.log
    assert np.array_equal(xosc.path_of(again), xosc.path_of(episode))


def test_two_arrive_together_and_a_trajectory_is_followed_in_time(session, lane, at, tmp_path):
    graph = session.lane_graph
    left = int(graph.left[lane])
    other = [xosc.world(*xosc.on_lane(graph, left, s)) for s in (10.0, 60.0)]
    meet = (
        '<SynchronizeAction masterEntityRef="lead">'
        f"<TargetPositionMaster>{at(80.0)}</TargetPositionMaster>"
        f"<TargetPosition>{other[1]}</TargetPosition>"
        '<FinalSpeed><AbsoluteSpeed value="2"/></FinalSpeed>'
        "</SynchronizeAction>"
    )
    points = [at(50.0), at(60.0, 2.0), at(80.0, 2.0)]
    vertices = "".join(f'<Vertex time="{t}">{p}</Vertex>' for t, p in zip((0, 2, 4), points))  # noqa: B905
    follow = (
        "<RoutingAction><FollowTrajectoryAction><Trajectory name='t' closed='false'><Shape>"
        f"<Polyline>{vertices}</Polyline></Shape></Trajectory><TimeReference>"
        "<Timing domainAbsoluteRelative='relative' scale='1' offset='0'/></TimeReference>"
        "<TrajectoryFollowingMode followingMode='follow'/></FollowTrajectoryAction></RoutingAction>"
    )
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("lead"), xosc.entity("car")],
        [
            private("hero", teleport(at(2.0))),
            private("lead", teleport(at(50.0))),
            private("car", teleport(other[0]), xosc.speed(5.0)),
        ],
        [
            maneuver("lead", event("follow", [after(0.5)], follow)),
            maneuver("car", event("meet", [after(1.0)], meet)),
        ],
    )
    _, stage = xosc.play(session, text, tmp_path)
    happened, lead, car = times(stage), stage.players["lead"], stage.players["car"]
    took = happened["action follow-0 endTransition"] - 0.5
    assert took == pytest.approx(4.0, abs=1.2), "it has to come to its speed first"
    s, d = project(graph, lane, *lead.pose[:2])
    assert d == pytest.approx(2.0, abs=0.4)
    assert s == pytest.approx(79.0, abs=2.5)
    s, d = project(graph, left, *car.pose[:2])
    assert s > 58.5
    assert happened["action meet-0 endTransition"] == pytest.approx(
        happened["action follow-0 endTransition"], abs=0.6
    )


def test_distances_beside_and_behind_are_taken_up_and_kept(session, lane, at, tmp_path):
    graph = session.lane_graph
    left = int(graph.left[lane])
    beside = (
        '<LateralAction><LateralDistanceAction entityRef="slow" distance="4.5" freespace="false"'
        ' continuous="true"/></LateralAction>'
    )
    behind = (
        '<LongitudinalAction><LongitudinalDistanceAction entityRef="slow" distance="8"'
        ' freespace="true" continuous="true"/></LongitudinalAction>'
    )
    offset = (
        '<LateralAction><LaneOffsetAction continuous="false"><LaneOffsetActionDynamics'
        ' dynamicsShape="sinusoidal" maxLateralAcc="0.5"/><LaneOffsetTarget>'
        '<AbsoluteTargetLaneOffset value="-0.6"/></LaneOffsetTarget></LaneOffsetAction>'
        "</LateralAction>"
    )
    text = xosc.document(
        [xosc.entity(name) for name in ("hero", "slow", "tail", "side")],
        [
            private("hero", teleport(xosc.world(*xosc.on_lane(graph, left, 2.0)))),
            private("slow", teleport(at(60.0)), xosc.speed(4.0)),
            private("tail", teleport(at(25.0)), xosc.speed(7.0)),
            private("side", teleport(at(45.0, 3.2)), xosc.speed(4.0)),
        ],
        [
            maneuver("slow", event("shift", [after(0.5)], offset)),
            maneuver("tail", event("close", [after(0.5)], behind)),
            maneuver("side", event("beside", [after(0.5)], beside)),
        ],
        act_stop=xosc.trigger("StopTrigger", after(9.0)),
    )
    _, stage = xosc.play(session, text, tmp_path)
    slow, tail, side = (stage.players[name] for name in ("slow", "tail", "side"))
    where = {p.entity.name: project(graph, lane, *p.pose[:2]) for p in (slow, tail, side)}
    took = times(stage)["action shift-0 endTransition"] - 0.5
    assert took == pytest.approx(np.sqrt(6.0 * 0.6 / 0.5), abs=0.2)
    assert where["slow"][1] == pytest.approx(-0.6, abs=0.15)
    gap = where["slow"][0] - where["tail"][0] - slow.extent[0] - tail.extent[0]
    assert gap == pytest.approx(8.0, abs=1.0)
    assert tail.speed == pytest.approx(slow.speed, abs=0.3)
    assert where["side"][1] - where["slow"][1] == pytest.approx(4.5, abs=0.25)


def turn_before(graph) -> tuple[int, int]:
    """A lane that forks, and one of its turns."""
    return next(
        (lane, turn)
        for lane in map(int, np.flatnonzero((graph.kind == LaneKind.DRIVING) & (graph.length > 20)))
        if graph.junction[lane] < 0 and len(graph.predecessors(lane))
        if 0 in [graph.turn[n] for n in graph.successors(lane)]
        for turn in map(int, graph.successors(lane))
        if graph.turn[turn] != 0
    )


def test_who_has_a_place_to_go_to_takes_the_way_there_and_ego_too(session, tmp_path):
    """A turn at the junction ahead that neither would take of itself."""
    graph = session.lane_graph
    lane, turn = turn_before(graph)
    exit_lane = int(graph.successors(turn)[0])
    before = int(graph.predecessors(lane)[0])
    back = float(graph.length[before]) - 30.0
    start = [xosc.world(*xosc.on_lane(graph, *place)) for place in ((before, back), (lane, 1.0))]
    goal = xosc.world(*xosc.on_lane(graph, exit_lane, 30.0))
    acquire = (
        f"<RoutingAction><AcquirePositionAction>{goal}</AcquirePositionAction></RoutingAction>"
    )
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("car")],
        [
            private("hero", teleport(start[0]), acquire),
            private("car", teleport(start[1]), xosc.speed(6.0)),
        ],
        [maneuver("car", event("go", [after(0.0)], acquire))],
    )
    episode, stage = xosc.play(session, text, tmp_path)
    end = np.array(pose_at(graph, exit_lane, 30.0)[:2])
    assert np.linalg.norm(stage.route.xyz[-1, :2] - end) < 1.0
    assert "action go-0 endTransition" in times(stage)
    assert np.linalg.norm(stage.players["car"].pose[:2] - end) < 3.5
    assert episode.ending == "story_over"


def test_ego_goes_where_the_conditions_want_it_near_to(session, tmp_path):
    graph = session.lane_graph
    lane, turn = turn_before(graph)
    exit_lane = int(graph.successors(turn)[0])
    near = f"""<DistanceCondition value="3" freespace="false" rule="lessThan">{
        xosc.world(*xosc.on_lane(graph, exit_lane, 5.0))
    }</DistanceCondition>"""
    begin = private("hero", teleport(xosc.world(*xosc.on_lane(graph, lane, 1.0))))
    passes = []
    for test in (after(1.0), by("hero", near)):
        groups = [maneuver("hero", event("there", [test], xosc.speed(1.0)))]
        (tmp_path / "way.xosc").write_text(xosc.document([xosc.entity("hero")], [begin], groups))
        spec = read_stories(tmp_path / "way.xosc").routes[0]
        places = beginnings(spec, session.map, graph)
        route = ego_route(spec, session.map, graph, places)
        assert route.length > 300.0
        passes.append(turn in route.lane)
    assert passes == [False, True], "straight on where nothing asks for the turn"


def test_a_controller_that_only_drives_straight_and_a_teleport(session, lane, at, tmp_path):
    graph = session.lane_graph
    straight = (
        "<ControllerAction><AssignControllerAction><Controller name='c'><Properties>"
        "<Property name='module' value='vehicle_longitudinal_control'/></Properties></Controller>"
        f"</AssignControllerAction>{xosc.NO_OVERRIDE}</ControllerAction>"
    )
    x, y, yaw = xosc.on_lane(graph, lane, 60.0, -6.0)
    across = xosc.world(x, y, yaw + 0.5 * np.pi)
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("bike", "vehicle.diamondback.century"),
         xosc.entity("car")],
        [private("hero", teleport(at(2.0))), private("bike", teleport(across), straight),
         private("car", teleport(at(90.0)), xosc.speed(4.0))],
        [maneuver("bike", event("cross", [after(0.5)], xosc.speed(3.0, "step", "distance", 8.0),),
                  event("stop", [xosc.state("event", "cross", "completeState")],
                        xosc.speed(0.0, over=1.0))),
         maneuver("car", event("jump", [after(2.0)], teleport(at(110.0))))],
    )  # fmt: skip
    _, stage = xosc.play(session, text, tmp_path)
    s, d = project(graph, lane, *stage.players["bike"].pose[:2])
    assert s == pytest.approx(60.0, abs=0.3)
    assert d == pytest.approx(2.0, abs=1.5), "8 m across, and the way to a stop"
    went_on = stage.time - 2.0
    s, d = project(graph, lane, *stage.players["car"].pose[:2])
    assert s == pytest.approx(110.0 + 4.0 * went_on, abs=1.5)
    assert abs(d) < 0.3
