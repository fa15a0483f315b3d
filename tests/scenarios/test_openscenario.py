"""Storyboards of OpenSCENARIO files played on a real server, ego driven by a planner."""

from __future__ import annotations

import carla
import numpy as np
import pytest

from carla_bridge.session import Session
from headway.road.lane_graph import LaneKind
from headway.road.queries import nearest_lane, pose_at, project
from headway.types import AgentKind
from scenarios.bench import row_of
from scenarios.openscenario.routes import beginnings, ego_route
from scenarios.suites.openscenario import read_stories
from scenarios.suites.spec import SuiteError
from tests.scenarios import xosc
from tests.scenarios.xosc import after, by, condition, event, maneuver, private, teleport, times

DT = 0.05


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


@pytest.fixture(scope="module")
def lane(session) -> int:
    """The longest lane with one to its left."""
    graph = session.lane_graph
    fits = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & (graph.left >= 0)
    return int(np.argmax(np.where(fits, graph.length, 0.0)))


@pytest.fixture
def at(session, lane):
    """A pose on that lane as words of a file."""
    return lambda s, left=0.0: xosc.world(*xosc.on_lane(session.lane_graph, lane, s, left))


def test_ego_stops_behind_a_lead_that_brakes_when_ego_is_near(session, at, tmp_path):
    near = (
        '<RelativeDistanceCondition entityRef="lead" relativeDistanceType="longitudinal"'
        ' value="25" freespace="true" rule="lessThan"/>'
    )
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("lead")],
        [
            private("hero", teleport(at(5.0)), xosc.speed(8.0)),
            private("lead", teleport(at(45.0)), xosc.speed(4.0)),
        ],
        [maneuver("lead", event("brake", [by("hero", near)],
                                xosc.speed(0.0, "linear", "rate", 3.0)),
                  event("wait", [xosc.state("action", "brake-0", "endTransition")],
                        xosc.speed(0.0, over=6.0)))],
        stop=xosc.criteria("CollisionTest", "KeepLaneTest", DrivenDistanceTest=500.0),
    )  # fmt: skip
    episode, stage = xosc.play(session, text, tmp_path)
    happened = times(stage)
    assert episode.ending == "story_over"
    begin, end = happened["event brake startTransition"], happened["event brake endTransition"]
    assert end - begin == pytest.approx(4.0 / 3.0, abs=0.15), "4 m/s at 3 m/s^2"
    assert happened["action wait-0 startTransition"] == end
    assert happened["story story endTransition"] == pytest.approx(end + 6.0, abs=2 * DT)
    # The gap between the boxes was 25 m when it braked; ego closed in at 4 m/s and more.
    hero, lead = stage.players["hero"], stage.players["lead"]
    assert episode.trace.column("speed")[2] > 6.0, "ego had its speed from the beginning"
    assert lead.speed < 0.1
    assert hero.speed < 1.0
    gap = np.hypot(*(hero.pose - lead.pose)[:2]) - hero.extent[0] - lead.extent[0]
    assert 1.0 < gap < 15.0
    expected = {"CollisionTest": True, "KeepLaneTest": True, "DrivenDistanceTest": False}
    assert stage.verdicts == expected
    row = row_of(stage.spec, episode, stage, "2.1")
    assert (row["status"], row["driving_score"], row["success"]) == ("Completed", 100.0, False)
    assert [round(begin, 2), "event", "brake", "startTransition"] in row["story"]


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


def test_conditions_fire_when_they_should(session, at, tmp_path):
    """Delay, edges, groups, rules for several entities, parameters, each seen in the log."""
    stands = by("car", '<StandStillCondition duration="1"/>')
    fast = by("car hero", '<SpeedCondition value="5" rule="greaterThan"/>', "all")
    far = by("car", '<TraveledDistanceCondition value="20"/>')
    reached = by(
        "car", f'<ReachPositionCondition tolerance="2">{at(60.0)}</ReachPositionCondition>'
    )
    set_to = (
        '<GlobalAction><ParameterAction parameterRef="mood"><ModifyAction><Rule>'
        '<AddValue value="2"/></Rule></ModifyAction></ParameterAction></GlobalAction>'
    )
    mood = xosc.value('<ParameterCondition parameterRef="mood" value="3" rule="equalTo"/>')
    nothing = set_to.replace("mood", "other")
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("car")],
        [
            private("hero", teleport(at(2.0))),
            private("car", teleport(at(30.0))),
        ],
        [
            maneuver("car",
                     event("go", [stands], xosc.speed(6.0, "linear", "time", 2.0)),
                     event("both", [fast], nothing),
                     event("far", [far], nothing),
                     event("late", [condition(far, delay=1.0)], nothing),
                     event("edges", [far, stands], nothing),
                     event("at once", [condition(far, "none"), condition(stands, "none")], nothing),
                     event("falls", [condition(stands, "falling")], nothing),
                     event("there", [reached], set_to),
                     event("mood", [mood], nothing),
                     event("twice", [after(1.5)], nothing, maximumExecutionCount=2),
                     event("long", [after(3.0)], xosc.speed(6.0, over=2.0)),
                     event("skips", [after(4.0)], nothing, priority="skip")),
        ],
        act_stop=xosc.trigger("StopTrigger", after(12.0)),
        parameters={"mood": "1"},
    )  # fmt: skip
    episode, stage = xosc.play(session, text, tmp_path)
    begins = {key.split(" ", 1)[1].removesuffix(" startTransition"): t
              for key, t in times(stage).items()
              if key.startswith("event") and key.endswith("startTransition")}  # fmt: skip
    assert begins["go"] == pytest.approx(1.0, abs=2 * DT), "it stood from the beginning"
    ego_fast = float(np.argmax(episode.trace.column("speed") > 5.0)) * DT
    assert begins["both"] == pytest.approx(max(ego_fast, 2.7), abs=0.5)
    assert begins["far"] == pytest.approx(1.0 + 2.0 + 14.0 / 6.0, abs=0.5)
    assert begins["late"] == pytest.approx(begins["far"] + 1.0, abs=DT)
    assert begins["edges"] == begins["far"], "an edge that was seen stays seen"
    assert "at once" not in begins, "without edges both have to hold together"
    assert begins["falls"] == pytest.approx(begins["go"], abs=4 * DT)
    assert begins["there"] == pytest.approx(begins["far"] + 8.0 / 6.0, abs=0.5)
    assert begins["mood"] == pytest.approx(begins["there"], abs=2 * DT)
    assert stage.parameters["mood"] == "3.0"
    runs = [h for h in stage.elements.log if (h.name, h.what) == ("twice", "startTransition")]
    assert len(runs) == 2
    assert times(stage)["event skips skipTransition"] == pytest.approx(4.0, abs=2 * DT)
    assert times(stage)["act act stopTransition"] == pytest.approx(12.0, abs=2 * DT)
    assert episode.ending == "story_over"


def test_who_comes_near_somebody_meets_the_conditions_one_by_one(session, at, tmp_path):
    """At 5 m/s towards a car that stands 50 m ahead: each fires where it is reckoned to."""
    rule = 'freespace="{}" rule="lessThan"'
    free, centres = rule.format("true"), rule.format("false")
    wall = '<EntityRef entityRef="wall"/>'
    tests = {
        "closing": '<RelativeSpeedCondition entityRef="wall" value="3" rule="greaterThan"/>',
        "contact": f'<TimeToCollisionCondition value="4" {free}><TimeToCollisionConditionTarget>'
        f"{wall}</TimeToCollisionConditionTarget></TimeToCollisionCondition>",
        "headway": f'<TimeHeadwayCondition entityRef="wall" value="3" {centres}/>',
        "near": f'<DistanceCondition value="30" {centres}>{at(100.0)}</DistanceCondition>',
        "along": f'<DistanceCondition value="35" alongRoute="true" {centres}>{at(100.0)}'
        "</DistanceCondition>",
        "hits": f"<CollisionCondition>{wall}</CollisionCondition>",
        "brakes": '<AccelerationCondition value="20" rule="greaterThan"/>',
    }
    set_to = (
        '<GlobalAction><ParameterAction parameterRef="any"><SetAction value="1"/>'
        "</ParameterAction></GlobalAction>"
    )
    events = [event(name, [after(0.3), by("car", test)], set_to) for name, test in tests.items()]
    text = xosc.document(
        [xosc.entity(name) for name in ("hero", "car", "wall")],
        [
            private("hero", teleport(at(2.0))),
            private("car", teleport(at(30.0)), xosc.speed(5.0)),
            private("wall", teleport(at(80.0))),
        ],
        [maneuver("car", *events)],
        act_stop=xosc.trigger("StopTrigger", after(13.0)),
    )
    _, stage = xosc.play(session, text, tmp_path)
    length = 2.0 * stage.players["car"].extent[0]
    hit = times(stage)["event hits startTransition"]
    speed = (50.0 - length) / hit  # a little less than it was told to have
    assert speed == pytest.approx(5.0, rel=0.06)
    expected = {
        "closing": 0.35, "contact": hit - 4.0, "headway": (50.0 - 3.0 * speed) / speed,
        "near": 40.0 / speed, "along": 35.0 / speed, "brakes": hit,
    }  # fmt: skip
    found = {name: times(stage)[f"event {name} startTransition"] for name in expected}
    assert found == pytest.approx(expected, abs=0.25)


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


def test_the_world_changes_as_the_storyboard_says(session, at, tmp_path):
    light = session.world.get_actors().filter("traffic.traffic_light*")[0]
    signal = light.get_opendrive_id()
    weather = (
        "<GlobalAction><EnvironmentAction><Environment name='e'><Weather cloudState='free'>"
        "<Sun intensity='0.25' azimuth='0' elevation='0.5'/><Fog visualRange='100'/>"
        "<Precipitation precipitationType='rain' intensity='0.5'/></Weather></Environment>"
        "</EnvironmentAction></GlobalAction>"
    )
    off = (
        "<GlobalAction><InfrastructureAction><TrafficSignalAction>"
        f"<TrafficSignalStateAction name='{signal}' state='off'/></TrafficSignalAction>"
        "</InfrastructureAction></GlobalAction>"
    )
    dark = xosc.value(f"<TrafficSignalCondition name='{signal}' state='off'/>")
    add = "<GlobalAction><EntityAction entityRef='{}'><AddEntityAction>{}</AddEntityAction></EntityAction></GlobalAction>"  # noqa: E501
    drop = "<GlobalAction><EntityAction entityRef='box'><DeleteEntityAction/></EntityAction></GlobalAction>"  # noqa: E501
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("box", "static.prop.container"),
         xosc.entity("late"), xosc.entity("walker", "walker.pedestrian.0001")],
        [private("hero", teleport(at(2.0))), private("box", teleport(at(90.0, -6.0))),
         private("walker", teleport(at(60.0, 6.0)))],
        [maneuver("walker",
                  event("weather", [after(0.2)], weather, off),
                  event("walk", [dark], xosc.speed(2.0, over=3.0)),
                  event("add", [after(1.0)], add.format("late", at(120.0))),
                  event("drop", [after(1.5)], drop))],
    )  # fmt: skip
    _, stage = xosc.play(session, text, tmp_path)
    now = session.world.get_weather()
    assert now.precipitation == pytest.approx(50.0)
    assert now.cloudiness == pytest.approx(75.0)
    assert now.fog_density == pytest.approx(100.0)
    assert now.sun_altitude_angle == pytest.approx(np.degrees(0.5))
    assert set(stage.players) == {"hero", "walker", "late"}
    walker = stage.players["walker"]
    assert walker.kind == AgentKind.WALKER
    assert walker.travelled == pytest.approx(6.0, abs=1.0)
    assert times(stage)["event walk startTransition"] < 0.5


def test_what_the_town_has_not_is_said_with_its_line(session, at, tmp_path):
    nowhere = '<Position><LanePosition roadId="9999" laneId="-1" s="1"/></Position>'
    text = xosc.document(
        [xosc.entity("hero"), xosc.entity("car")],
        [private("hero", teleport(at(2.0))), private("car", teleport(nowhere))],
    )
    expected = r"played.xosc:\d+: <LanePosition>: grid has no road 9999 with lane -1 at s 1"
    with pytest.raises(SuiteError, match=expected):
        xosc.play(session, text, tmp_path)


def test_positions_are_where_the_roads_say(session, lane, at, tmp_path):
    """Lane, road and relative positions, right-handed and in CARLA's axes."""
    graph = session.lane_graph
    side = 1.0 if graph.lane_id[lane] < 0 else -1.0  # of the road's t axis
    x, y, _, yaw = pose_at(graph, lane, 40.0)
    waypoint = session.map.get_waypoint(carla.Location(x=x, y=-y))
    road, number = waypoint.road_id, waypoint.lane_id
    placed = {
        "lane": f'<LanePosition roadId="{road}" laneId="{number}" s="{waypoint.s}" offset="0.5"/>',
        "ahead": f'<RelativeRoadPosition entityRef="hero" ds="{side * 20.0}" dt="{side * 0.5}"/>',
        "beside": f'<RelativeLanePosition entityRef="hero" dLane="{int(graph.lane_id[graph.left[lane]] - number)}" ds="{side * 10.0}"/>',  # noqa: E501
        "object": '<RelativeObjectPosition entityRef="hero" dx="5" dy="2"/>',
    }
    init = [private("hero", teleport(at(40.0)))] + [
        private(name, teleport(f"<Position>{p}</Position>")) for name, p in placed.items()
    ]
    names = [xosc.entity(name) for name in ("hero", *placed)]
    found = {}
    for description in ("test", "CARLA:test"):
        path = tmp_path / "placed.xosc"
        text = xosc.document(names, init, description=description)
        if description.startswith("CARLA:"):  # the same place of ego's in those axes
            text = text.replace(at(40.0), xosc.world(x, -y, -yaw))
        path.write_text(text)
        spec = read_stories(path).routes[0]
        begin = beginnings(spec, session.map, graph)
        found[description] = {
            name: (*project(graph, lane, place.x, place.y), place.yaw)
            for name, place in begin.items()
        }
    for description, left in (("test", 1.0), ("CARLA:test", -1.0)):
        where = found[description]
        assert where["hero"][:2] == pytest.approx((40.0, 0.0), abs=0.05)
        assert where["lane"][:2] == pytest.approx((40.0, left * side * 0.5), abs=0.1)
        assert where["ahead"][:2] == pytest.approx((60.0, left * 0.5), abs=0.1)
        assert where["object"][:2] == pytest.approx((45.0, left * 2.0), abs=0.1)
        assert where["object"][2] == pytest.approx(yaw)
        width = project(graph, lane, *pose_at(graph, int(graph.left[lane]), 50.0)[:2])[1]
        assert where["beside"][:2] == pytest.approx((50.0, width), abs=0.1)
