"""Lanes, Frenet frame, ground and shapes on roads laid by hand, whose truth is a formula."""

import math

import numpy as np
import pytest
import shapely

from headway.frames import wrap_angle
from headway.road.assemble import RawLane, RawStop, assemble
from headway.road.frenet import project_on_route, route_index, route_poses, route_value
from headway.road.ground import ground_poses
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.queries import (
    ground_at,
    lane_width,
    lanes_near,
    nearest_lane,
    nearest_lanes,
    pose_at,
    project,
)
from headway.road.shapes import (
    box_corners,
    box_distance,
    box_polygons,
    boxes_overlap,
    crosswalk,
    crosswalk_polygons,
    lane_polygon,
    overlaps,
    point_in_polygon,
)


def straight(
    start, yaw, length, *, z0=0.0, slope=0.0, kind=LaneKind.DRIVING, junction=-1, ids=(0, -1)
):
    s = np.linspace(0.0, length, max(2, math.ceil(length) + 1))
    x, y = start[0] + s * math.cos(yaw), start[1] + s * math.sin(yaw)
    xyz = np.stack([x, y, z0 + slope * s], axis=1)
    n = len(s)
    return RawLane(ids[0], 0, ids[1], junction, kind, 14.0, xyz, np.full(n, yaw), np.full(n, 3.5))


def bend(start, yaw, radius, angle, *, junction=-1, ids=(1, -1)):
    """An arc to the left (angle > 0) or right of `radius` metres."""
    turn = np.linspace(0.0, angle, max(2, math.ceil(abs(angle) * radius) + 1))
    side = math.copysign(radius, angle)
    x = start[0] - side * math.sin(yaw) + side * np.sin(yaw + turn)
    y = start[1] + side * math.cos(yaw) - side * np.cos(yaw + turn)
    n = len(turn)
    xyz = np.stack([x, y, np.zeros(n)], axis=1)
    return RawLane(
        ids[0], 0, ids[1], junction, LaneKind.DRIVING, 14.0, xyz, yaw + turn, np.full(n, 3.5)
    )


@pytest.fixture(scope="module")
def overpass() -> LaneGraph:
    """A level road west to east, and 6 m above it one that climbs to the north."""
    low = straight((-60.0, 0.0), 0.0, 120.0, ids=(0, -1))
    high = straight((0.0, -60.0), math.pi / 2, 120.0, z0=3.0, slope=0.05, ids=(1, -1))
    walk = straight((-60.0, -4.0), 0.0, 120.0, kind=LaneKind.SIDEWALK, ids=(0, -2))
    polygon = np.array([[10.0, -2.0], [13.0, -2.0], [13.0, 2.0], [10.0, 2.0]])
    return assemble("overpass", [low, high, walk], [], [], [polygon])


def test_lengths_curvature_and_turns_of_arcs():
    graph = assemble(
        "arcs",
        [
            bend((0.0, 0.0), 0.3, 30.0, math.pi / 2, junction=5),
            bend((0.0, 0.0), 0.3, 20.0, -math.pi / 2, junction=5),
            bend((0.0, 0.0), 0.3, 200.0, 0.3, junction=5),
        ],
    )
    assert graph.length == pytest.approx([15 * math.pi, 10 * math.pi, 60.0], rel=2e-4)
    for lane, curvature in enumerate([1 / 30, -1 / 20, 1 / 200]):
        assert graph.curvature[graph.points(lane)] == pytest.approx(curvature, rel=1e-3)
    assert graph.turn.tolist() == [1, -1, 0]


@pytest.mark.parametrize("radius", [15.0, 80.0])
def test_frenet_round_trip_on_an_arc(radius):
    graph = assemble("arc", [bend((3.0, -2.0), 2.5, radius, 2.0)])
    draw = np.random.default_rng(7)
    for _ in range(300):
        s, d = draw.uniform(0.0, graph.length[0]), draw.uniform(-4.0, 4.0)
        x, y, _, yaw = pose_at(graph, 0, s)
        back = project(graph, 0, x - d * math.sin(yaw), y + d * math.cos(yaw))
        assert back == pytest.approx((s, d), abs=1e-6)


def test_projection_goes_on_straight_beyond_both_ends(overpass):
    assert project(overpass, 0, -70.0, 1.0) == pytest.approx((-10.0, 1.0))
    assert project(overpass, 0, 75.0, -2.0) == pytest.approx((135.0, -2.0))
    assert pose_at(overpass, 0, 130.0)[:2] == pytest.approx((70.0, 0.0))


def test_nearest_lane_minds_height_heading_and_kind(overpass):
    assert nearest_lane(overpass, 0.5, 0.4, z=0.0) == pytest.approx((0, 60.5, 0.4))
    assert nearest_lane(overpass, 0.5, 0.4, z=6.0) == pytest.approx((1, 60.4, -0.5))
    assert nearest_lane(overpass, 0.5, 0.4, yaw=1.4)[0] == 1
    assert nearest_lane(overpass, -30.0, -3.0)[0] == 0
    assert nearest_lane(overpass, -30.0, -3.0, kinds=(LaneKind.SIDEWALK,))[0] == 2
    assert nearest_lane(overpass, -30.0, 40.0)[0] == -1
    assert nearest_lane(overpass, 5000.0, 40.0)[0] == -1
    assert lanes_near(overpass, -30.0, -2.0, 3.0, None).tolist() == [0, 2]
    assert lanes_near(overpass, 900.0, 900.0, 3.0, None).tolist() == []
    assert lane_width(overpass.arrays(), 0, 12.3) == pytest.approx(3.5)


def test_nearest_lane_equals_brute_force_over_projections(overpass):
    draw = np.random.default_rng(3)
    xyz = np.column_stack([draw.uniform(-50, 50, (400, 2)), np.full(400, np.nan)])
    lane, s, d = nearest_lanes(overpass, xyz, np.full(400, np.nan), None, 100.0)
    for k in range(400):
        across = [abs(project(overpass, i, *xyz[k, :2])[1]) for i in range(3)]
        assert across[lane[k]] == pytest.approx(min(across), abs=1e-6)
        assert project(overpass, lane[k], *xyz[k, :2]) == pytest.approx((s[k], d[k]))


def test_ground_takes_the_storey_where_one_is(overpass):
    assert ground_at(overpass, 0.3, 0.2, 0.0) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)
    height, slope_x, slope_y = ground_at(overpass, 0.3, 0.2, 5.5)
    assert height == pytest.approx(6.0 + 0.05 * 0.2, abs=0.01)
    assert (slope_x, slope_y) == pytest.approx((0.0, 0.05), abs=0.005)
    assert ground_at(overpass, 0.3, 0.2)[0] == pytest.approx(6.01, abs=0.01)
    assert ground_at(overpass, -1e5, 0.0, 0.0)[0] == pytest.approx(0.0, abs=1e-6)


def test_ground_follows_a_car_up_the_ramp_and_gives_its_grade(overpass):
    y = np.arange(-59.0, 59.0, 0.5)
    z, grade, active = np.array([3.0]), np.zeros((1, 2)), np.ones(1, bool)
    for at in y:
        ground_poses(
            overpass.ground_arrays(), np.zeros(1), np.array([at]), np.array([math.pi / 2]),
            z, grade, active,
        )  # fmt: skip
        assert z[0] == pytest.approx(3.0 + 0.05 * (at + 60.0), abs=0.02)
        assert grade[0] == pytest.approx([0.05, 0.0], abs=0.01)
    ground_poses(
        overpass.ground_arrays(),
        np.zeros(1),
        np.zeros(1),
        np.array([-math.pi / 2]),
        z,
        grade,
        active,
    )
    assert grade[0, 0] == pytest.approx(-0.05, abs=0.01)


def crossing(stops=()) -> LaneGraph:
    """Junction 9: east-bound (0 to 2), north-bound (1 to 3), and oncoming's left turn (4 to 5)."""
    lanes = [
        straight((-60.0, 0.0), 0.0, 40.0, ids=(0, -1)),
        straight((5.0, -60.0), math.pi / 2, 40.0, ids=(1, -1)),
        straight((-20.0, 0.0), 0.0, 40.0, junction=9, ids=(2, -1)),
        straight((5.0, -20.0), math.pi / 2, 40.0, junction=9, ids=(3, -1)),
        straight((60.0, 3.5), math.pi, 40.0, ids=(4, -1)),
        bend((20.0, 3.5), math.pi, 24.0, math.pi / 2, junction=9, ids=(5, -1)),
    ]
    for before, after in ((0, 2), (1, 3), (4, 5)):
        lanes[before].successors = [after]
    return assemble("crossing", lanes, stops, ["1"] if stops else [])


def conflicts_of(graph: LaneGraph, lane: int) -> dict[int, tuple[np.ndarray, bool]]:
    rows = range(graph.conflict_start[lane], graph.conflict_start[lane + 1])
    return {
        int(graph.conflict[c]): (graph.conflict_s[c], bool(graph.conflict_yields[c])) for c in rows
    }


def test_crossing_lanes_conflict_where_they_cross_and_right_goes_before_left():
    graph = crossing()
    assert set(conflicts_of(graph, 2)) == {3, 5}
    where, yields = conflicts_of(graph, 2)[3]
    # They cross at right angles, 25 m along the one and 20 m along the other.
    assert where == pytest.approx([22.5, 27.5, 17.5, 22.5], abs=1.1)
    assert yields, "north-bound comes from the right"
    assert not conflicts_of(graph, 3)[2][1]
    assert conflicts_of(graph, 5)[2][1], "a left turn gives way to oncoming"
    assert not conflicts_of(graph, 2)[5][1]
    assert all(graph.conflict_start[i] == graph.conflict_start[i + 1] for i in (0, 1, 4))


def test_a_sign_outranks_the_right_and_lights_leave_only_left_turns():
    north_stops = crossing([RawStop(1, 39.0, StopKind.STOP, -1, -1)])
    assert conflicts_of(north_stops, 3)[2][1]
    assert not conflicts_of(north_stops, 2)[3][1]
    lights = crossing([RawStop(i, 39.0, StopKind.LIGHT, 0, -1) for i in (0, 1, 4)])
    assert not conflicts_of(lights, 2)[3][1]
    assert not conflicts_of(lights, 3)[2][1]
    assert conflicts_of(lights, 5)[2][1]


def test_lanes_that_pass_over_each_other_do_not_conflict():
    low = straight((-20.0, 0.0), 0.0, 40.0, junction=1, ids=(0, -1))
    high = straight((0.0, -20.0), math.pi / 2, 40.0, z0=6.0, junction=1, ids=(1, -1))
    assert len(assemble("bridge", [low, high]).conflict) == 0
    high.xyz[:, 2] = 0.0
    assert len(assemble("crossing", [low, high]).conflict) == 2


def test_ways_that_part_do_not_conflict_and_those_that_meet_do():
    lanes = [
        straight((-40.0, 0.0), 0.0, 40.0, ids=(0, -1)),
        straight((0.0, 0.0), 0.0, 40.0, junction=3, ids=(1, -1)),
        bend((0.0, 0.0), 0.0, 20.0, 1.2, junction=3, ids=(2, -1)),
        bend((10.0, 18.0 * (1.0 - math.cos(1.2))), -1.2, 18.0, 1.2, junction=3, ids=(3, -1)),
    ]
    lanes[0].successors = [1, 2]
    graph = assemble("parting", lanes)
    assert 2 not in conflicts_of(graph, 1)
    assert 3 in conflicts_of(graph, 1)


def test_a_ramp_gives_way_to_the_main_road_that_it_joins():
    lanes = [
        straight((-100.0, 0.0), 0.0, 40.0, ids=(0, -1)),
        straight((-100.0, 3.5), 0.0, 40.0, ids=(0, -2)),
        straight((-60.0, 0.0), 0.0, 60.0, junction=4, ids=(1, -1)),
        straight((0.0, 0.0), 0.0, 40.0, ids=(2, -1)),
        bend((-40.0, -10.0), 0.75, 30.0, -0.75, junction=4, ids=(3, -1)),
        straight((-47.3, -16.8), 0.75, 10.0, ids=(4, -1)),
    ]
    end = lanes[4].xyz[-1, :2]
    lanes[4].xyz[:, :2] -= end  # so that it ends where the main road's way does, heading east
    lanes[5].xyz[:, :2] -= end
    lanes[0].successors, lanes[2].successors = [2], [3]
    lanes[5].successors, lanes[4].successors = [4], [3]
    graph = assemble("ramp", lanes)
    assert conflicts_of(graph, 4)[2][1]
    assert not conflicts_of(graph, 2)[4][1]
    where = conflicts_of(graph, 4)[2][0]
    assert where[1] == pytest.approx(graph.length[4])
    assert where[3] == pytest.approx(60.0)


def test_ways_part_also_after_a_common_lane_inside_the_junction():
    lanes = [
        straight((-40.0, 0.0), 0.0, 40.0, ids=(0, -1)),
        straight((0.0, 0.0), 0.0, 30.0, junction=3, ids=(1, -1)),
        straight((0.0, 0.0), 0.0, 6.0, junction=3, ids=(2, -1)),
        bend((6.0, 0.0), 0.0, 20.0, 1.2, junction=3, ids=(2, -2)),
    ]
    lanes[0].successors, lanes[2].successors = [1, 2], [3]
    assert len(assemble("chain", lanes).conflict) == 0


def test_save_and_load_give_the_same_arrays(overpass, tmp_path):
    overpass.save(tmp_path / "graph.npz")
    again = LaneGraph.load(tmp_path / "graph.npz")
    assert again.name == overpass.name
    for name in LaneGraph.__dataclass_fields__:
        ours, theirs = getattr(overpass, name), getattr(again, name)
        assert np.array_equal(ours, theirs), name
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype, name


def test_a_graph_without_lanes_is_refused():
    with pytest.raises(ValueError, match="empty: no lane"):
        assemble("empty", [])


def test_boxes_overlap_as_shapely_says():
    draw = np.random.default_rng(11)
    poses = np.column_stack([draw.uniform(-6, 6, (2000, 2)), draw.uniform(-4, 4, 2000)])
    extents = draw.uniform(0.3, 3.0, (2000, 2))
    polygons = box_polygons(poses, extents)
    mine = np.empty(2000, bool)
    overlaps(poses[0], extents[0], poses, extents, mine)
    assert np.array_equal(mine, shapely.intersects(polygons[0], polygons))
    assert 100 < mine.sum() < 1900
    for k in range(0, 1999):
        assert boxes_overlap(*poses[k], *extents[k], *poses[k + 1], *extents[k + 1]) == (
            polygons[k].intersects(polygons[k + 1])
        )
        assert box_distance(0.0, 0.0, *poses[k], *extents[k]) == pytest.approx(
            polygons[k].distance(shapely.Point(0.0, 0.0)), abs=1e-9
        )


def test_corners_turn_with_the_box():
    corners = box_corners(np.array([1.0, 2.0, math.pi / 2]), np.array([2.0, 1.0]))
    assert corners == pytest.approx(np.array([[0.0, 4.0], [0.0, 0.0], [2.0, 0.0], [2.0, 4.0]]))


def test_polygons(overpass):
    corners = crosswalk(overpass, 0)
    assert crosswalk_polygons(overpass)[0].area == pytest.approx(12.0)
    assert point_in_polygon(11.0, 0.0, corners)
    assert not point_in_polygon(9.0, 0.0, corners)
    assert lane_polygon(overpass, 0).area == pytest.approx(120.0 * 3.5)


def test_route_projection_uses_the_hint_where_the_route_meets_itself():
    from headway.road.line import LanePiece, lay_route

    lanes = [bend((0.0, 0.0), 0.0, 20.0, math.pi, ids=(k, -1)) for k in range(2)]
    lanes[1] = bend((0.0, 40.0), math.pi, 20.0, math.pi, ids=(1, -1))
    lanes[0].successors, lanes[1].successors = [1], [0]
    graph = assemble("circle", lanes)
    lap = [LanePiece(i, 0.0, float(graph.length[i])) for i in (0, 1)]
    route = lay_route(graph, lap * 2)
    xy = route_poses(route, np.array([30.0]), 1.5)[:, :2]
    turn = float(graph.length.sum())
    for hint, expected in ((25.0, 30.0), (turn + 25.0, turn + 30.0)):
        s, d, yaw = project_on_route(route, xy, hint, 20.0)
        assert s[0] == pytest.approx(expected, abs=0.02)
        assert d[0] == pytest.approx(1.5, abs=0.01)
        assert wrap_angle(yaw[0] - 1.5) == pytest.approx(0.0, abs=0.01)  # 30 m on a radius of 20 m
    assert route_value(route, route.curvature, 30.0) == pytest.approx(0.05, rel=0.01)
    assert route_index(route, 30.4) == np.searchsorted(route.s, 30.4) - 1


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e300, -9.3e18])
def test_a_place_that_is_none_has_no_lane_and_ends_no_process(overpass, wrong):
    for x, y in ((wrong, 0.0), (0.0, wrong), (wrong, wrong)):
        assert nearest_lane(overpass, x, y)[0] == -1
        lane, _, _ = nearest_lanes(overpass, np.array([[x, y, 0.0]]), np.zeros(1), radius=40.0)
        assert lane[0] == -1
        ground_at(overpass, x, y)


@pytest.mark.parametrize("lane", [-1, 10_000])
def test_a_lane_that_is_none_is_refused(overpass, lane):
    with pytest.raises(IndexError, match=f"no lane {lane}"):
        pose_at(overpass, lane, 1.0)
    with pytest.raises(IndexError, match=f"no lane {lane}"):
        project(overpass, lane, 0.0, 0.0)
