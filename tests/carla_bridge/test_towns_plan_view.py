"""Reference lines: what is drawn goes where it should, and LibCarla reads it alike."""

import math
import random
from itertools import pairwise

import carla
import pytest

from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.opendrive import Lane, Section
from carla_bridge.headless.towns.plan_view import Elevation, PlanView, Pose
from headway.frames import wrap_angle


def random_goal(source: random.Random) -> tuple[Pose, Pose]:
    start = Pose(source.uniform(-50, 50), source.uniform(-50, 50), source.uniform(-3, 3))
    there = start.ahead(source.uniform(25, 60), source.uniform(-15, 15))
    return start, Pose(there.x, there.y, wrap_angle(start.heading + source.uniform(-1.8, 1.8)))


@pytest.mark.parametrize("how", ["cubic_to", "fillet_to"])
def test_curves_arrive_at_the_goal_without_a_kink(how):
    source = random.Random(1)
    for _ in range(10):
        start, goal = random_goal(source)
        plan = PlanView(start)
        plan = plan.cubic_to(goal) if how == "cubic_to" else plan.fillet_to(goal, 8.0)
        assert math.hypot(plan.end.x - goal.x, plan.end.y - goal.y) < 1e-6
        assert abs(wrap_angle(plan.end.heading - goal.heading)) < 1e-6
        count = 200
        step = plan.length / count
        poses = [plan.at(i * step) for i in range(count + 1)]
        for a, b in pairwise(poses):
            # arc length is arc length, and the heading is the direction of motion
            chord = math.hypot(b.x - a.x, b.y - a.y)
            turn = wrap_angle(b.heading - a.heading)
            assert chord <= step + 1e-6
            assert chord > step * (1 - turn**2) - 1e-6
            if chord > 0.01:
                direction = math.atan2(b.y - a.y, b.x - a.x)
                assert abs(wrap_angle(direction - a.heading - turn / 2)) < 0.02 + abs(turn)


def test_a_quarter_turn_takes_the_radius_that_was_asked_for():
    plan = PlanView(Pose(0.0, 0.0, 0.0)).fillet_to(Pose(20.0, 20.0, math.pi / 2), 8.0)
    assert plan.length == pytest.approx(12.0 + 8.0 * math.pi / 2 + 12.0)
    assert [e.curvature for e in plan.elements] == pytest.approx([0.0, 1 / 8.0, 0.0])
    tight = PlanView(Pose(0.0, 0.0, 0.0)).fillet_to(Pose(6.0, 20.0, math.pi / 2), 8.0)
    assert max(e.curvature for e in tight.elements) == pytest.approx(1 / 6.0)


def test_heights_pass_through_their_nodes_smoothly():
    nodes = [(0.0, 1.0, 0.02), (40.0, 4.0, 0.0), (100.0, -2.0, -0.05)]
    elevation = Elevation.through(nodes)
    for s, z, slope in nodes:
        for side in (-1e-6, 1e-6):
            assert elevation.at(min(max(s + side, 0.0), 100.0)) == pytest.approx(
                (z, slope), abs=1e-5
            )


def test_libcarla_reads_lines_arcs_cubics_and_heights_as_they_were_meant():
    town = TownBuilder("test", (0.0, 0.0))
    plan = PlanView(Pose(3.0, -2.0, 0.4)).line(30.0).arc(40.0, -0.9)
    plan.cubic_to(plan.end.ahead(50.0, 12.0))
    heights = Elevation.through(
        [(0.0, 0.0, 0.0), (plan.length / 2, 5.0, 0.05), (plan.length, 3.0, 0.0)]
    )
    section = Section(0.0, [Lane("driving", 3.0)], [Lane("driving", 3.5, 4.5)])
    road = town.road(plan, [section], 50, elevation=heights)
    town_map = carla.Map("test", town.xml())
    for share in (0.01, 0.2, 0.4, 0.6, 0.8, 0.99):
        s = share * road.length
        expected = plan.at(s).ahead(0.0, -(3.5 + share) / 2)
        waypoint = town_map.get_waypoint_xodr(road.road_id, -1, s)
        location = waypoint.transform.location
        assert waypoint.lane_width == pytest.approx(3.5 + share, abs=1e-3)
        assert math.hypot(location.x - expected.x, -location.y - expected.y) < 0.02
        assert location.z == pytest.approx(heights.at(s)[0], abs=1e-3)
        oncoming = town_map.get_waypoint_xodr(road.road_id, 1, s).transform.rotation.yaw
        assert abs(wrap_angle(math.radians(-oncoming) - expected.heading - math.pi)) < 0.01


def test_one_end_is_linked_once():
    town = TownBuilder("test", (0.0, 0.0))
    roads = [
        town.road(
            PlanView(Pose(x, 0.0, 0.0)).line(10.0), [Section(0.0, [], [Lane("driving", 3.0)])], 50
        )
        for x in (0.0, 10.0, 20.0)
    ]
    town.join(End(roads[0], "end"), End(roads[1], "start"))
    with pytest.raises(ValueError, match="the end of road 1 is already linked"):
        town.join(End(roads[0], "end"), End(roads[2], "start"))
