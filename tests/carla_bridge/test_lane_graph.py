"""LaneGraph against the real `carla.Map`, on our own towns and on CARLA's."""

import math

import carla
import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from carla_bridge.lane_graph import (
    lane_graph,
    lane_graph_from_xodr,
    lane_key,
    nearest_carla_waypoint,
    read_roads,
)
from headway.frames import wrap_angle
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.queries import ground_at, nearest_lanes, pose_at
from headway.road.routing import plan_route, random_route, route_through

OURS = ("grid", "ring")
NEWER = ("old_town", "harbour", "interchange", "village")
CARLAS = ("Town01", "Town03", "Town04", "Town10HD")


def xodr_of(name, request) -> str:
    if name in (*OURS, *NEWER):
        return load_town(name).xodr
    return (request.getfixturevalue("shared") / "towns" / f"{name}.xodr").read_text()


@pytest.fixture(
    scope="module",
    params=[*OURS, *(pytest.param(n, marks=pytest.mark.slow) for n in NEWER), *CARLAS],
)
def town(request) -> tuple[LaneGraph, carla.Map]:
    xodr = xodr_of(request.param, request)
    return lane_graph_from_xodr(request.param, xodr), carla.Map(request.param, xodr)


@pytest.fixture(scope="module")
def town01(request) -> tuple[LaneGraph, carla.Map]:
    xodr = xodr_of("Town01", request)
    return lane_graph_from_xodr("Town01", xodr), carla.Map("Town01", xodr)


def test_samples_lie_on_the_lanes_that_carla_finds_there(town):
    graph, world_map = town
    draw = np.random.default_rng(1)
    outside = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & (graph.length > 5.0)
    lanes = draw.choice(np.flatnonzero(outside), 150)
    wrong = 0
    for lane in lanes:
        rows = graph.points(lane)
        at = rows.start + (rows.stop - rows.start) // 2
        waypoint = nearest_carla_waypoint(world_map, graph.xyz[at])
        assert waypoint is not None
        here = waypoint.transform
        wrong += (waypoint.road_id, waypoint.section_id, waypoint.lane_id) != lane_key(graph, lane)
        dx, dy = here.location.x - graph.xyz[at, 0], -here.location.y - graph.xyz[at, 1]
        # get_waypoint's s comes from chords, so it is off along the road, but not across.
        along = dx * math.cos(graph.yaw[at]) + dy * math.sin(graph.yaw[at])
        across = -dx * math.sin(graph.yaw[at]) + dy * math.cos(graph.yaw[at])
        assert abs(across) < 0.05
        assert abs(along) < 1.0
        if waypoint.lane_id == graph.lane_id[lane] and waypoint.road_id == graph.road_id[lane]:
            assert wrap_angle(-math.radians(here.rotation.yaw) - graph.yaw[at]) == pytest.approx(
                0, abs=0.06
            )
            assert waypoint.lane_width == pytest.approx(graph.width[at], abs=0.05)
    assert wrong <= 3  # overpasses: get_waypoint does not mind the height much


def test_every_stretch_that_carla_generates_is_in_the_graph(town):
    graph, world_map = town
    keys = {lane_key(graph, i) for i in np.flatnonzero(graph.kind == LaneKind.DRIVING)}
    short = {
        (road.road_id, i)
        for road in read_roads(graph.name, world_map.to_opendrive())
        for i, (s0, s1, _) in enumerate(road.sections)
        if s1 - s0 < 0.1
    }
    for w in world_map.generate_waypoints(5.0):
        if w.lane_width > 0.3 and (w.road_id, w.section_id) not in short:
            assert (w.road_id, w.section_id, w.lane_id) in keys


def test_successors_go_on_where_the_lane_ends(town):
    graph, _ = town
    for lane in np.flatnonzero(graph.kind == LaneKind.DRIVING):
        end = graph.point_start[lane + 1] - 1
        for nxt in graph.successors(lane):
            begin = graph.point_start[nxt]
            assert np.hypot(*(graph.xyz[begin, :2] - graph.xyz[end, :2])) < 0.35
            assert abs(wrap_angle(graph.yaw[begin] - graph.yaw[end])) < 0.02
            assert lane in graph.predecessors(nxt)
            assert graph.kind[nxt] == LaneKind.DRIVING


def test_yaw_is_the_direction_in_which_the_samples_go(town):
    graph, _ = town
    for lane in range(graph.num_lanes):
        rows = graph.points(lane)
        step = np.diff(graph.xyz[rows, :2], axis=0)
        size = np.hypot(*step.T)
        yaw = np.unwrap(graph.yaw[rows])
        error = np.arctan2(step[:, 1], step[:, 0]) - 0.5 * (yaw[1:] + yaw[:-1])
        if graph.kind[lane] == LaneKind.DRIVING and size.min() > 0.3:
            assert max(abs(wrap_angle(e)) for e in error) < 0.04
        assert (np.diff(graph.s[rows]) > 0.0).all()
        if graph.kind[lane] == LaneKind.DRIVING:
            assert size.max() < 1.6


def test_neighbours_lie_beside_and_permissions_are_carlas(town):
    graph, world_map = town
    for lane in np.flatnonzero(graph.left_change):
        other = graph.left[lane]
        assert graph.kind[other] == LaneKind.DRIVING
        assert graph.right[other] == lane
        rows = graph.points(lane)
        middle = (rows.start + rows.stop) // 2
        beside = graph.point_start[other] + middle - rows.start
        yaw = graph.yaw[middle]
        dx, dy = graph.xyz[beside, :2] - graph.xyz[middle, :2]
        width = 0.5 * (graph.width[middle] + graph.width[beside])
        assert -dx * np.sin(yaw) + dy * np.cos(yaw) == pytest.approx(width, abs=0.1)
        assert abs(wrap_angle(graph.yaw[beside] - yaw)) < 0.1
        waypoint = world_map.get_waypoint_xodr(*_carla_place(graph, world_map, lane, middle))
        if waypoint is not None and graph.length[lane] > 20.0:
            assert int(waypoint.lane_change) & int(carla.LaneChange.Left)
    for lane in np.flatnonzero(graph.opposite >= 0):
        assert graph.opposite[graph.opposite[lane]] == lane


def _carla_place(graph, world_map, lane, point):
    x, y, z = graph.xyz[point]
    found = world_map.get_waypoint(carla.Location(x, -y, z))
    return int(graph.road_id[lane]), int(graph.lane_id[lane]), float(found.s)


def test_conflicts_are_symmetric_and_at_most_one_gives_way(town):
    graph, _ = town
    table = {}
    for lane in range(graph.num_lanes):
        for c in range(graph.conflict_start[lane], graph.conflict_start[lane + 1]):
            table[lane, int(graph.conflict[c])] = graph.conflict_s[c], graph.conflict_yields[c]
    assert len(table) == len(graph.conflict) > 10
    for (a, b), (where, yields) in table.items():
        mirrored, other_yields = table[b, a]
        assert where[[2, 3, 0, 1]].tolist() == mirrored.tolist()
        assert not (yields and other_yields)
        assert graph.junction[a] == graph.junction[b] >= 0
        assert 0.0 <= where[0] < where[1] <= graph.length[a]
        # In the middle of the conflict the two centre lines are near each other.
        x, y, _, _ = pose_at(graph, a, 0.5 * (where[0] + where[1]))
        xy = graph.xyz[graph.points(b), :2]
        assert np.hypot(xy[:, 0] - x, xy[:, 1] - y).min() < 5.0


def test_ground_is_at_the_lanes_height(town):
    graph, _ = town
    draw = np.random.default_rng(2)
    outside = (graph.junction < 0) & (graph.kind == LaneKind.DRIVING)
    points = draw.choice(np.flatnonzero(outside[graph.point_lane]), 2000)
    error = [ground_at(graph, *graph.xyz[p])[0] - graph.xyz[p, 2] for p in points]
    assert np.abs(error).max() < 0.1
    assert np.quantile(np.abs(error), 0.99) < 0.03


def test_a_pose_on_a_lane_is_found_again(town):
    graph, _ = town
    points = np.random.default_rng(4).integers(0, len(graph.s), 3000)
    outside = points[graph.junction[graph.point_lane[points]] < 0]
    lane, s, d = nearest_lanes(graph, graph.xyz[outside], graph.yaw[outside], None)
    same = lane == graph.point_lane[outside]
    assert same.mean() > 0.98  # the others are where one lane ends and the next begins
    assert s[same] == pytest.approx(graph.s[outside][same], abs=1e-6)
    assert np.abs(d).max() < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_random_routes_are_continuous_and_keep_the_markings(town, seed):
    graph, _ = town
    route = random_route(graph, seed)
    assert route.length > 995.0  # blending lane changes and joints make it no shorter
    assert graph.junction[route.lane[[0, -1]]].tolist() == [-1, -1]
    step = np.hypot(*np.diff(route.xyz[:, :2], axis=0).T)
    assert step.min() > 0.5
    assert step.max() < 1.4
    assert (graph.kind[route.lane] == LaneKind.DRIVING).all()
    for before, after in zip(route.lane[:-1], route.lane[1:], strict=True):
        if before != after and not _reaches(graph, before, after):
            side = graph.left if graph.left[before] == after else graph.right
            allowed = graph.left_change if side is graph.left else graph.right_change
            assert side[before] == after
            assert allowed[before]
    again = random_route(graph, seed)
    assert np.array_equal(again.xyz, route.xyz)
    s = np.random.default_rng(seed).uniform(0.0, route.length, 300)
    back, d, _ = project_on_route(route, route_poses(route, s, 0.7)[:, :2], s, 10.0)
    assert back == pytest.approx(s, abs=1e-6)
    assert d == pytest.approx(0.7, abs=1e-6)


def _reaches(graph, before, after) -> bool:
    """Whether one follows the other, at most with lanes between that are too short for a sample."""
    ahead = {int(before)}
    for _ in range(8):
        ahead = {int(j) for i in ahead for j in graph.successors(i)}
        if int(after) in ahead:
            return True
        ahead = {j for j in ahead if graph.length[j] < 1.2}
    return False


def test_planned_routes_and_waypoints_lead_the_same_way(town):
    graph, _ = town
    route = random_route(graph, 5)
    ends = (
        int(route.lane[0]),
        float(route.lane_s[0]),
        int(route.lane[-1]),
        float(route.lane_s[-1]),
    )
    planned = plan_route(graph, *ends)
    assert planned.length <= route.length + 45.0  # never longer, but for what a change costs
    again = route_through(graph, route.xyz[::3, :2])
    offset = project_on_route(route, again.xyz[:, :2], again.s, 30.0)[1]
    assert np.abs(offset).max() < 0.3


def test_lane_changes_of_planned_routes_are_allowed(town):
    graph, _ = town
    outside = graph.junction < 0
    lanes = np.flatnonzero(graph.left_change & (graph.length > 40.0) & outside)
    if len(lanes) == 0:
        assert graph.name in ("Town01", "village")  # one lane each way everywhere
        return
    for lane in map(int, lanes[:: max(1, len(lanes) // 10)]):
        other = int(graph.left[lane])
        route = plan_route(graph, lane, 1.0, other, float(graph.length[other]) - 0.5)
        assert (route.lane[0], route.lane[-1]) == (lane, other)
        assert (
            np.abs(route.curvature).max() < 0.1 + np.abs(graph.curvature[graph.points(lane)]).max()
        )


def test_stop_lines_of_town01_match_its_lights(town01):
    graph, world_map = town01
    lights = [m for m in world_map.get_all_landmarks() if m.type == "1000001"]
    assert sorted({m.id for m in lights}) == sorted(graph.signal_id)
    assert (graph.stop_kind == StopKind.LIGHT).all()
    assert len(graph.stop_s) == len(graph.signal_id) == 36
    guarded: dict[str, set[tuple[int, int]]] = {}
    for lane, signal in zip(graph.stop_lane, graph.stop_signal, strict=True):
        ways = {(int(graph.road_id[j]), int(graph.lane_id[j])) for j in graph.successors(lane)}
        guarded.setdefault(str(graph.signal_id[signal]), set()).update(ways)
        assert graph.junction[lane] < 0
    for mark in lights:
        for low, high in mark.get_lane_validities():
            assert {(mark.road_id, k) for k in range(low, high + 1)} <= guarded[mark.id]
    assert graph.length[graph.stop_lane] - graph.stop_s == pytest.approx(1.0)


def test_every_way_that_a_light_governs_has_a_stop_line(town):
    graph, world_map = town
    index = {lane_key(graph, i): i for i in range(graph.num_lanes)}
    covered = set()
    for lane, way in zip(graph.stop_lane, graph.stop_junction_lane, strict=True):
        ahead = {int(lane)}
        for _ in range(4):
            ahead |= {int(j) for i in ahead for j in graph.successors(i)}
        covered |= {int(way)} if way >= 0 else {j for j in ahead if graph.junction[j] >= 0}
    for mark in world_map.get_all_landmarks():
        if mark.type not in {"1000001", "205", "206"}:
            continue
        for low, high in mark.get_lane_validities():
            for (road_id, _, lane_id), i in index.items():
                governed = road_id == mark.road_id and low <= lane_id <= high
                if governed and graph.junction[i] >= 0 and graph.kind[i] == LaneKind.DRIVING:
                    assert any(j in covered for j in _first_ways(graph, i))
    assert (graph.stop_s >= 0.0).all()
    assert (graph.stop_s <= graph.length[graph.stop_lane]).all()


def _first_ways(graph, lane) -> set[int]:
    """The lane and those before it in its junction."""
    ways = {int(lane)}
    for _ in range(6):
        ways |= {
            int(j) for i in ways for j in graph.predecessors(i)
            if graph.junction[j] == graph.junction[lane]
        }  # fmt: skip
    return ways


def test_grid_has_every_kind_of_lane_and_stop_line():
    graph = lane_graph_from_xodr("grid", load_town("grid").xodr)
    assert set(np.unique(graph.stop_kind)) == {StopKind.LIGHT, StopKind.STOP, StopKind.YIELD}
    assert {LaneKind.DRIVING, LaneKind.SIDEWALK, LaneKind.PARKING} <= set(np.unique(graph.kind))
    assert len(graph.crosswalk_start) - 1 > 10
    # At a signed crossing the ways behind the sign give way to those without one.
    signed = set(graph.stop_lane[graph.stop_kind == StopKind.STOP].tolist())
    ways = {int(j) for i in signed for j in graph.successors(i)}
    others = 0
    for way in ways:
        for c in range(graph.conflict_start[way], graph.conflict_start[way + 1]):
            if not set(graph.predecessors(graph.conflict[c])) & signed:
                assert graph.conflict_yields[c]
                others += 1
    assert others > 10


def test_roundabout_of_ring_gives_way_to_the_circle():
    graph = lane_graph_from_xodr("ring", load_town("ring").xodr)
    yields = graph.stop_lane[graph.stop_kind == StopKind.YIELD]
    entering = {int(j) for i in yields for j in graph.successors(i) if graph.junction[j] >= 0}
    pairs = 0
    for way in entering:
        for c in range(graph.conflict_start[way], graph.conflict_start[way + 1]):
            if int(graph.conflict[c]) not in entering:
                assert graph.conflict_yields[c]
                pairs += 1
    assert pairs >= 4


def test_the_cache_returns_the_same_graph(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path))
    xodr = load_town("ring").xodr
    made = lane_graph("ring", xodr)
    (file,) = tmp_path.glob("*.npz")
    stamp = file.stat().st_mtime_ns
    loaded = lane_graph("ring", xodr)
    assert file.stat().st_mtime_ns == stamp
    for name in LaneGraph.__dataclass_fields__:
        assert np.array_equal(getattr(made, name), getattr(loaded, name)), name
    file.write_bytes(b"half a file")
    again = lane_graph("ring", xodr)
    assert np.array_equal(again.xyz, made.xyz)


def test_text_that_is_no_map_is_refused():
    with pytest.raises(ValueError, match="junk: the OpenDRIVE text is not XML"):
        lane_graph_from_xodr("junk", "not a map")
    with pytest.raises(ValueError, match="has no <road>"):
        lane_graph_from_xodr("junk", "<OpenDRIVE></OpenDRIVE>")
