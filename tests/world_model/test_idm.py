"""Reacting traffic: lanes, leads, lights, walkers, and what ego does."""

from typing import Any

import numpy as np
import pytest

from headway.road.lane_graph import LaneKind, StopKind
from headway.road.queries import nearest_lane, project
from headway.types import AgentKind, SignalState
from tests.world_model.scenes import (
    DT,
    NOWHERE,
    STEPS,
    Agent,
    agents_of,
    on_lane,
    proposals_of,
    scene_of,
    straight_lane,
)
from world_model.idm import IdmWorld, IdmWorldConfig

GOAL: Any = None


def way(graph, lane, mean):
    """(T,) [m] along a straight lane of the poses (T, 3)."""
    return np.array([project(graph, lane, x, y)[0] for x, y in mean[:, :2]])


def imagine(scene, proposals=NOWHERE, **config):
    forecast = IdmWorld(IdmWorldConfig(**config)).imagine(scene, GOAL, proposals)
    p, n = len(proposals), len(scene.agents)
    assert forecast.mean.shape == (p, 1, n, STEPS, 3)
    assert forecast.covariance.shape == (p, 1, n, STEPS, 2, 2)
    assert np.isfinite(forecast.mean).all()
    return forecast


def forks(graph):
    """Lane before a junction, its straight way on, and a left turn of more than 60 degrees."""
    for lane in np.flatnonzero((graph.kind == LaneKind.DRIVING) & (graph.junction < 0)):
        ways = {int(graph.turn[j]): int(j) for j in graph.successors(lane)}
        if 0 in ways and 1 in ways and graph.length[lane] > 20.0:
            return int(lane), ways[0], ways[1]
    raise LookupError


def test_alone_it_comes_up_to_the_limit_and_yields_to_nobody(grid):
    lane = straight_lane(grid, 60.0)
    start = on_lane(grid, lane, 5.0, 5.0)
    free = imagine(scene_of(grid, [start])).mean[0, 0, 0]
    speed = np.diff(way(grid, lane, free[:6])) / DT
    assert (np.diff(speed) > 0.0).all()
    assert speed[-1] < grid.speed_limit[lane]
    step = np.hypot(*np.diff(free[:, :2], axis=0).T) / DT
    assert step.max() < 1.05 * grid.speed_limit.max()
    # Somebody behind, and somebody coming the other way, are no reason to do otherwise.
    other = int(grid.opposite[lane])
    listed = [start, on_lane(grid, lane, 0.0, 2.0, extent=(1.0, 0.5))]
    if other >= 0:
        listed.append(on_lane(grid, other, 10.0, 8.0))
    np.testing.assert_allclose(imagine(scene_of(grid, listed)).mean[0, 0, 0], free, atol=1e-9)


def test_it_stops_behind_a_standing_lead_and_the_third_behind_the_second(grid):
    lane = straight_lane(grid, 90.0)
    listed = [on_lane(grid, lane, s, v) for s, v in ((80.0, 0.0), (40.0, 9.0), (20.0, 9.0))]
    mean = imagine(scene_of(grid, listed)).mean[0, 0]
    s = np.array([way(grid, lane, m) for m in mean])
    np.testing.assert_allclose(s[0], 80.0, atol=1e-6)
    gaps = s[:-1] - s[1:] - 4.6
    assert (gaps > 0.5).all(), "nobody drives through anybody"
    assert gaps[0, -1] < 4.0
    assert s[1, -1] - s[1, -2] < 0.1, "it stands"
    assert (np.diff(s, axis=1) > -1e-9).all(), "nobody drives backwards"


def test_who_leads_with_the_same_speed_is_no_reason_to_stop(grid):
    lane = straight_lane(grid, 90.0)
    listed = [on_lane(grid, lane, 30.0, 8.0), on_lane(grid, lane, 10.0, 8.0)]
    mean = imagine(scene_of(grid, listed)).mean[0, 0]
    apart = np.hypot(*(mean[0, :8, :2] - mean[1, :8, :2]).T)
    assert (apart > 8.0).all()
    assert way(grid, lane, mean[1][:8])[-1] > 30.0


def test_it_follows_the_bend_of_its_lane(grid):
    _, _, left = forks(grid)
    bent = grid.curvature[grid.points(left)]
    s = 4.0
    listed = [on_lane(grid, left, s, 4.0, yaw_rate=4.0 * float(np.mean(bent)))]
    mean = imagine(scene_of(grid, listed)).mean[0, 0, 0]
    xy = grid.xyz[grid.points(left), :2]
    inside = [m for m in mean if 0.0 < project(grid, left, m[0], m[1])[0] < grid.length[left] - 1.0]
    assert len(inside) >= 3
    for x, y, yaw in inside:
        at, d = project(grid, left, x, y)
        assert abs(d) < 0.3
        lane_yaw = grid.yaw[grid.points(left)][np.argmin(np.hypot(*(xy - (x, y)).T))]
        assert abs(np.arctan2(np.sin(yaw - lane_yaw), np.cos(yaw - lane_yaw))) < 0.25
        assert at > s


def test_at_a_fork_the_turn_rate_tells_the_way_and_without_one_it_is_straight_on(grid):
    before, straight, left = forks(grid)
    bend = float(np.median(grid.curvature[grid.points(left)]))
    assert bend > 0.03
    length = float(grid.length[before])
    out = []
    for yaw_rate in (0.0, 5.0 * bend):
        scene = scene_of(grid, [on_lane(grid, before, length - 1.0, 5.0, yaw_rate=yaw_rate)])
        end = imagine(scene).mean[0, 0, 0, -1]
        turned = end[2] - scene.agents.pose[0, 2]
        out.append(abs(np.arctan2(np.sin(turned), np.cos(turned))))
    assert out[0] < 0.5
    assert out[1] > 1.0
    # Inside, where the ways still overlap, it does as well.
    for way_on, yaw_rate in ((straight, 0.0), (left, 5.0 * bend)):
        agent = on_lane(grid, left, 1.0, 5.0, yaw_rate=yaw_rate)
        mean = imagine(scene_of(grid, [agent])).mean[0, 0, 0]
        assert abs(project(grid, way_on, *mean[2, :2])[1]) < 0.5


def light_lane(graph):
    """A lane with a light at its end and a straight one before it, and the row of the line."""
    for q in np.flatnonzero(graph.stop_kind == StopKind.LIGHT):
        lane = int(graph.stop_lane[q])
        before = graph.points(int(graph.predecessors(lane)[0]))
        if graph.stop_s[q] > 20.0 and np.ptp(np.unwrap(graph.yaw[before])) < 0.01:
            return lane, int(q)
    raise LookupError


def test_it_stops_at_a_red_light_and_drives_on_at_a_green_one(grid):
    lane, q = light_lane(grid)
    line = float(grid.stop_s[q])
    signals = np.full(len(grid.signal_id), SignalState.GREEN, np.int8)
    listed = [on_lane(grid, lane, line - 30.0, 9.0)]
    go = imagine(scene_of(grid, listed, signals=signals)).mean[0, 0, 0]
    assert np.hypot(*(go[-1, :2] - go[0, :2])) > 45.0
    signals[grid.stop_signal[q]] = SignalState.RED
    red = imagine(scene_of(grid, listed, signals=signals)).mean[0, 0, 0]
    front = way(grid, lane, red) + 2.3
    assert line - 3.0 < front[-1] < line + 0.1
    # Who is past the line is not called back.
    listed = [on_lane(grid, lane, line - 1.0, 9.0)]
    past = imagine(scene_of(grid, listed, signals=signals)).mean[0, 0, 0]
    assert np.hypot(*(past[-1, :2] - past[0, :2])) > 20.0


def test_it_stops_at_a_stop_sign_and_drives_on_once_it_has_stood_there(grid):
    q = int(np.flatnonzero(grid.stop_kind == StopKind.STOP)[0])
    lane, line = int(grid.stop_lane[q]), float(grid.stop_s[q])
    comes = imagine(scene_of(grid, [on_lane(grid, lane, line - 15.0, 6.0)])).mean[0, 0, 0]
    assert line - 3.0 < way(grid, lane, comes)[-1] + 2.3 < line + 0.1
    scene = scene_of(grid, [on_lane(grid, lane, line - 3.5, 0.8)])
    scene.agents.history[0, :30, 3] = 0.0
    starts = imagine(scene).mean[0, 0, 0]
    assert np.hypot(*(starts[-1, :2] - starts[0, :2])) > 10.0


def test_who_stands_for_no_reason_goes_on_standing_but_starts_at_a_green_light(grid):
    lane, q = light_lane(grid)
    line = float(grid.stop_s[q])
    for s, starts in ((line - 3.5, True), (line - 30.0, False)):
        mean = imagine(scene_of(grid, [on_lane(grid, lane, s, 0.0)])).mean[0, 0, 0]
        assert (np.hypot(*(mean[-1, :2] - mean[0, :2])) > 5.0) == starts
    # The second in the queue starts with the first.
    queue = [on_lane(grid, lane, line - 3.5, 0.0), on_lane(grid, lane, line - 10.5, 0.0)]
    mean = imagine(scene_of(grid, queue)).mean[0, 0]
    assert np.hypot(*(mean[1, -1, :2] - mean[1, 0, :2])) > 5.0


def test_it_reacts_to_what_ego_proposes(grid):
    lane = straight_lane(grid, 90.0)
    ego = on_lane(grid, lane, 40.0, 9.0)
    follower = on_lane(grid, lane, 20.0, 9.0)
    bystander = on_lane(grid, int(grid.opposite[lane]), 30.0, 9.0)
    proposals = proposals_of(ego, [-4.0, 0.0, 1.0])
    mean = imagine(scene_of(grid, [follower, bystander], ego), proposals).mean[:, 0]
    s = np.array([way(grid, lane, m[:10]) for m in mean[:, 0]])
    assert s[0, -1] < s[1, -1] - 5.0, "ego brakes, and so does it"
    assert s[1, -1] < s[2, -1]
    ego_rear = 40.0 + 9.0**2 / 8.0 - 2.3
    assert s[0].max() + 2.3 < ego_rear, "it stops behind ego"
    np.testing.assert_array_equal(mean[0, 1], mean[2, 1])
    # Ego on another lane, or behind, changes nothing.
    behind = on_lane(grid, lane, 5.0, 0.0)
    calm = imagine(scene_of(grid, [follower], behind), proposals_of(behind, [0.0])).mean[0, 0, 0]
    free = imagine(scene_of(grid, [follower])).mean[0, 0, 0]
    np.testing.assert_array_equal(calm, free)


def test_who_does_not_see_ego_does_the_same_in_one_proposal_as_in_twenty(grid):
    lane = straight_lane(grid, 90.0)
    ego = on_lane(grid, lane, 50.0, 8.0)
    listed = [on_lane(grid, lane, 30.0, 9.0), on_lane(grid, lane, 15.0, 9.0),
              on_lane(grid, lane, 75.0, 3.0)]  # fmt: skip
    scene = scene_of(grid, listed, ego)
    accels = np.linspace(-4.0, 2.0, 7)
    together = imagine(scene, proposals_of(ego, accels)).mean
    alone = [imagine(scene, proposals_of(ego, [a])).mean[0] for a in accels]
    np.testing.assert_array_equal(together, np.array(alone))


def test_it_brakes_for_a_walker_on_its_lane_and_not_for_one_beside_it(grid):
    lane = straight_lane(grid, 60.0)
    car = on_lane(grid, lane, 10.0, 8.0)
    for d, stops in ((0.5, True), (4.5, False)):
        walker = on_lane(grid, lane, 40.0, 0.0, d, kind=AgentKind.WALKER, extent=(0.2, 0.2))
        s = way(grid, lane, imagine(scene_of(grid, [car, walker])).mean[0, 0, 0, :12])
        assert (s[-1] < 40.0) == stops


def test_walkers_things_and_cars_off_the_road_go_straight(grid):
    lane = straight_lane(grid, 60.0)
    here = on_lane(grid, lane, 20.0, 0.0)
    x, y, yaw = here.x, here.y, here.yaw
    across = Agent(x, y, yaw + np.pi / 2, 1.4, AgentKind.WALKER, extent=(0.2, 0.2))
    prop = Agent(x + 200.0, y, yaw, 0.0, AgentKind.PROP)
    off = on_lane(grid, lane, 20.0, 3.0, 40.0)
    lost = nearest_lane(grid, off.x, off.y, radius=3.0)[0]
    mean = imagine(scene_of(grid, [across, prop, off])).mean[0, 0]
    walked = [x - 2.8 * np.sin(yaw), y + 2.8 * np.cos(yaw)]
    np.testing.assert_allclose(mean[0, 4, :2], walked, atol=1e-9)
    np.testing.assert_allclose(mean[1, -1], [x + 200.0, y, yaw])
    assert lost == -1
    np.testing.assert_allclose(np.hypot(*(mean[2, -1, :2] - (off.x, off.y))), 3.0 * 8.0)


def test_who_moves_over_the_marking_comes_to_the_next_lane(ring):
    for lane in np.flatnonzero((ring.kind == LaneKind.DRIVING) & (ring.junction < 0)):
        if ring.left[lane] >= 0 and ring.left_change[lane] and ring.length[lane] > 150.0:
            break
    else:
        raise LookupError
    lane, left = int(lane), int(ring.left[lane])
    for drift, target in ((0.0, lane), (1.0, left)):
        agent = on_lane(ring, lane, 10.0, 12.0, 0.8, drift=drift)
        mean = imagine(scene_of(ring, [agent])).mean[0, 0, 0]
        assert abs(project(ring, target, *mean[9, :2])[1]) < 0.5


def test_the_covariance_grows_along_the_way_and_stays_within_the_lane(grid):
    lane = straight_lane(grid, 60.0)
    _, _, left = forks(grid)
    listed = [on_lane(grid, lane, 5.0, 9.0), on_lane(grid, left, 1.0, 5.0, yaw_rate=0.5),
              on_lane(grid, lane, 50.0, 1.0, 5.0, kind=AgentKind.WALKER)]  # fmt: skip
    covariance = imagine(scene_of(grid, listed)).covariance[0, 0]
    values = np.linalg.eigvalsh(covariance)
    assert (values > 0.0).all()
    assert (np.diff(values.sum(axis=-1), axis=1) > 0.0).all()
    assert (np.diff(values, axis=1) > 0.0).all()
    assert np.sqrt(values[0, -1, 0]) < 0.9, "across the lane"
    assert np.sqrt(values[0, -1, 1]) > 10.0, "along it"
    # Along the way is where the road goes, at each time anew.
    ahead = np.linalg.eigh(covariance[0, -1])[1][:, 1]
    yaw = imagine(scene_of(grid, listed)).mean[0, 0, 0, -1, 2]
    assert abs(ahead @ (np.cos(yaw), np.sin(yaw))) > 0.999


def test_nobody_and_nothing_proposed_are_fine(grid):
    empty = imagine(scene_of(grid, []))
    assert empty.mean.shape == (1, 1, 0, STEPS, 3)
    none = NOWHERE.empty(STEPS, DT)
    scene = scene_of(grid, [on_lane(grid, straight_lane(grid, 60.0), 5.0, 9.0)])
    assert IdmWorld().imagine(scene, GOAL, none).mean.shape == (0, 1, 1, STEPS, 3)


def test_it_does_not_touch_what_it_is_given(grid):
    scene = scene_of(grid, [on_lane(grid, straight_lane(grid, 60.0), 5.0, 9.0)])
    before = {k: np.array(v) for k, v in vars(scene.agents).items()}
    imagine(scene)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(scene.agents, name), value)


@pytest.mark.parametrize("name", ["accel", "brake", "time_gap", "settle_s", "lane_std"])
def test_wrong_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"IdmWorldConfig.{name}"):
        IdmWorldConfig(**{name: 0.0})
    assert agents_of([]).pose.shape == (0, 3)
