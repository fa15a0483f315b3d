"""Routes over a three-lane road with sections, and a loop."""

import numpy as np
import pytest

from headway.frames import wrap_angle
from headway.road.assemble import RawLane, assemble
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import CHANGE_LENGTH
from headway.road.routing import find_paths, plan_route, random_route, route_through

WIDTH = 3.5
SECTION = 150.0


def road(changes: tuple[bool, ...] = (True, True, True)) -> LaneGraph:
    """Sections of three lanes to the east, one after another; `changes` says where one may change.

    Lane `3 * section + k` is the k-th from the left.
    """
    lanes = []
    for section, allowed in enumerate(changes):
        s = np.linspace(0.0, SECTION, int(SECTION) + 1)
        for k in range(3):
            xyz = np.stack([section * SECTION + s, np.full(len(s), -WIDTH * k), 0.0 * s], axis=1)
            me = 3 * section + k
            lanes.append(
                RawLane(
                    7, section, -1 - k, -1, LaneKind.DRIVING, 10.0 + section, xyz,
                    np.zeros(len(s)), np.full(len(s), WIDTH),
                    successors=[me + 3] if section + 1 < len(changes) else [],
                    left=me - 1 if k > 0 else -1,
                    right=me + 1 if k < 2 else -1,
                    left_change=allowed and k > 0,
                    right_change=allowed and k < 2,
                )
            )  # fmt: skip
    return assemble("road", lanes)


def lanes_of(route) -> list[int]:
    return [int(a) for k, a in enumerate(route.lane) if k == 0 or a != route.lane[k - 1]]


def check_line(route) -> None:
    step = np.hypot(*np.diff(route.xyz[:, :2], axis=0).T)
    assert step.min() > 0.5
    assert step.max() < 1.3
    assert np.cumsum(step) == pytest.approx(route.s[1:])
    chords = np.arctan2(np.diff(route.xyz[:, 1]), np.diff(route.xyz[:, 0]))
    middle = route.yaw[:-1] + 0.5 * np.array([wrap_angle(a) for a in np.diff(route.yaw)])
    assert max(abs(wrap_angle(a)) for a in chords - middle) < 0.02


def test_without_a_change_the_line_is_the_lane():
    graph = road()
    route = plan_route(graph, 1, 10.0, 7, 100.0)
    assert route.length == pytest.approx(2 * SECTION + 90.0)
    assert lanes_of(route) == [1, 4, 7]
    assert route.xyz[:, 1] == pytest.approx(-WIDTH)
    assert route.speed_limit[[0, 200, -1]].tolist() == [10.0, 11.0, 12.0]
    check_line(route)


def test_lane_changes_are_made_only_where_allowed():
    graph = road((False, True, False))
    route = plan_route(graph, 2, 10.0, 6, 100.0)
    assert lanes_of(route) == [2, 5, 4, 3, 6]
    check_line(route)
    with pytest.raises(ValueError, match="no way from lane 2"):
        plan_route(road((False, False, False)), 2, 10.0, 6, 100.0)


def test_a_lane_change_is_blended_smoothly():
    graph = road()
    route = plan_route(graph, 1, 0.0, 0, SECTION)
    assert lanes_of(route) == [1, 0]
    y, x = route.xyz[:, 1], route.xyz[:, 0]
    moving = x[(y > -WIDTH + 0.01) & (y < -0.01)]
    assert 0.6 * CHANGE_LENGTH < moving[-1] - moving[0] < CHANGE_LENGTH
    assert (np.diff(y) >= -1e-9).all()
    swap = np.flatnonzero(np.diff(route.lane))[0]
    assert y[swap] == pytest.approx(-WIDTH / 2, abs=0.2)
    # A quintic over L shifts by D with a curvature of at most 5.78 D / L^2.
    assert np.abs(route.curvature).max() < 5.8 * WIDTH / CHANGE_LENGTH**2
    assert abs(route.yaw[[0, -1]]).max() < 1e-9
    check_line(route)


def test_a_change_beside_the_start_and_before_the_goal():
    graph = road()
    route = plan_route(graph, 0, 60.0, 2, 130.0)
    assert lanes_of(route) == [0, 1, 2]
    assert route.xyz[0, :2] == pytest.approx([60.0, 0.0], abs=1e-6)
    assert route.xyz[-1, :2] == pytest.approx([130.0, -2 * WIDTH], abs=1e-6)
    check_line(route)


def test_a_goal_behind_the_start_needs_a_loop():
    graph = road()
    assert find_paths(graph, 0, 60.0, {0: 20.0}) == {}
    assert find_paths(graph, 0, 20.0, {0: 60.0})[0].cost == pytest.approx(40.0)


def test_places_off_driving_lanes_are_refused():
    graph = road()
    with pytest.raises(ValueError, match="lane 99 is no driving lane"):
        plan_route(graph, 0, 0.0, 99, 0.0)
    with pytest.raises(ValueError, match=r"150\.0 m long, s = 151"):
        plan_route(graph, 0, 151.0, 1, 0.0)


def test_frenet_round_trip_on_a_route_with_changes():
    route = plan_route(road(), 0, 5.0, 8, 140.0)
    draw = np.random.default_rng(5)
    s, d = draw.uniform(0.0, route.length, 500), draw.uniform(-3.0, 3.0, 500)
    poses = route_poses(route, s, d)
    back_s, back_d, yaw = project_on_route(route, poses[:, :2], s, 10.0)
    assert back_s == pytest.approx(s, abs=1e-6)
    assert back_d == pytest.approx(d, abs=1e-6)
    assert yaw == pytest.approx(poses[:, 3], abs=1e-6)
    everywhere, _, _ = project_on_route(route, poses[:, :2])
    assert everywhere == pytest.approx(s, abs=1e-6)


def test_route_through_sparse_and_dense_waypoints():
    graph = road()
    sparse = np.array([[10.0, 0.2], [140.0, -WIDTH + 0.1], [430.0, -2 * WIDTH]])
    route = route_through(graph, sparse)
    assert route.lane[0] == 0
    assert route.lane[-1] == 8
    for point in sparse:
        assert abs(project_on_route(route, point[None])[1][0]) < 0.5
    dense = route_through(graph, route.xyz[:, :2])
    assert lanes_of(dense) == lanes_of(route)
    assert dense.length == pytest.approx(route.length, abs=0.5), "it ends at the last one"
    with pytest.raises(ValueError, match="lies on no driving lane"):
        route_through(graph, np.array([[10.0, 0.0], [50.0, 30.0]]))
    with pytest.raises(ValueError, match="two waypoints"):
        route_through(graph, np.array([[10.0, 0.0], [11.0, 0.0]]))


def test_random_routes_say_what_they_cannot_find():
    with pytest.raises(ValueError, match="found no route of 1000 to 1500 m"):
        random_route(road(), 0)
    route = random_route(road(), 0, 300.0, min_junctions=0)
    assert 300.0 <= route.length <= 450.0
