"""Lanes beside a route: where they go on, and where lanes may be changed."""

import numpy as np
import pytest

from headway.road.frenet import route_poses
from headway.road.queries import nearest_lane
from headway.road.random_route import random_route
from planner.corridor import NUM_SEEN, Seen
from planner.homotopies import LaneChangeConfig, Path, begins, lane_options, route_lanes
from planner.neighbours import Side

NOBODY = np.zeros((0, NUM_SEEN))


@pytest.fixture(scope="module")
def beside(grid):
    """A route with a lane to its right that goes on through two junctions."""
    route = random_route(grid, 3)
    return route, route_lanes(grid, route), grid.junction[route.lane] >= 0


def test_the_neighbour_goes_on_through_a_junction_on_a_lane_of_its_own(grid, beside):
    route, lanes, inside = beside
    offset = lanes.offset[:, Side.RIGHT]
    crossed = np.flatnonzero(inside & np.isfinite(offset))
    assert len(crossed) > 20
    for i in crossed[inside[crossed - 3] & inside[crossed + 3]]:  # not where lanes end
        x, y, z, yaw = route_poses(route, route.s[i : i + 1], float(offset[i]))[0]
        lane, _, d = nearest_lane(grid, x, y, yaw, z=z)
        assert grid.junction[lane] >= 0
        assert lane != route.lane[i]
        assert abs(d) < 0.5


def test_it_may_be_stayed_in_as_long_as_there_is_a_place_to_come_back(beside):
    route, lanes, inside = beside
    clear, reach = lanes.clear[:, Side.RIGHT], lanes.reach[:, Side.RIGHT]
    assert not clear[inside].any()
    step = np.diff(route.s).max()
    assert (reach[clear > 62.0] >= clear[clear > 62.0] - 1.01 * step).all()
    assert (reach > clear + 100.0).any(), "beyond the junction"
    for i in np.flatnonzero((reach > 0.0) & np.isfinite(reach)):
        last = int(np.searchsorted(route.s, route.s[i] + reach[i] - 1e-6))
        assert np.isfinite(lanes.offset[i:last, Side.RIGHT]).all()
        assert clear[last - 1] > 0.0 or last == i


def slow_ahead(s: float) -> np.ndarray:
    """Seen in ego's lane 30 m ahead, at 5 m/s."""
    seen = np.zeros((1, NUM_SEEN))
    seen[0, [Seen.S, Seen.REAR, Seen.FRONT, Seen.SPEED]] = s + 30.0, s + 28.0, s + 32.0, 5.0
    return seen


def test_no_change_begins_that_would_end_in_a_junction(beside):
    route, lanes, _ = beside
    path = Path(route.xyz[:, :2].copy(), route.s, route.yaw, route.curvature, route.speed_limit)
    offered = []
    for i in range(len(route.s)):
        options = lane_options(
            LaneChangeConfig(),
            path,
            lanes,
            i,
            float(route.s[i]),
            0.0,
            10.0,
            2.4,
            slow_ahead(float(route.s[i])),
            np.full(1, 1.6),
            13.0,
        )
        offered.append("change_right" in [option.name for option in options])
    assert 0 < sum(offered) < len(offered)
    assert (lanes.clear[offered, Side.RIGHT] > 35.0).all()


def follower(gap: float, speed: float, s: float) -> np.ndarray:
    """Seen in the route's lane, its front `gap` [m] behind ego's rear at s - 2.4 [m]."""
    seen = np.zeros((1, NUM_SEEN))
    front = s - 2.4 - gap
    seen[0, [Seen.S, Seen.REAR, Seen.FRONT, Seen.SPEED]] = front - 2.0, front - 4.0, front, speed
    return seen


def ways_home(beside, i: int, speed: float, seen: np.ndarray, bold: float = 0.0) -> dict:
    """The lanes offered to an ego that is in the lane to the right at sample i."""
    route, lanes, _ = beside
    path = Path(route.xyz[:, :2].copy(), route.s, route.yaw, route.curvature, route.speed_limit)
    d = float(lanes.offset[i, Side.RIGHT])
    options = lane_options(
        LaneChangeConfig(),
        path,
        lanes,
        i,
        float(route.s[i]),
        d,
        speed,
        2.4,
        seen,
        np.full(len(seen), 1.6),
        13.0,
        bold,
    )
    return {option.name: option for option in options}


def test_the_way_home_needs_a_gap_that_the_follower_can_keep(beside):
    route, lanes, _ = beside
    i = int(np.flatnonzero(lanes.clear[:, Side.RIGHT] > 80.0)[0])
    s = float(route.s[i])
    # 4 m, half a second at 20 m/s, 5 m in the second of reaction, then 5^2 / (2 (2 + 2.5)) m
    # while it brakes and ego gathers speed
    assert "keep" not in ways_home(beside, i, 15.0, follower(21.7, 20.0, s))
    assert "keep" in ways_home(beside, i, 15.0, follower(21.9, 20.0, s))
    # Who has waited for long asks for twice the braking, half the reaction and half the
    # distance: 4 + 5 + 10 + 400 / (2 (4 + 2.5)) m.
    assert "keep" not in ways_home(beside, i, 0.0, follower(50.0, 20.0, s))
    assert "keep" not in ways_home(beside, i, 0.0, follower(49.6, 20.0, s), bold=1.0)
    assert "keep" in ways_home(beside, i, 0.0, follower(50.0, 20.0, s), bold=1.0)


def test_who_drives_away_behind_ego_is_nobody_to_wait_for_and_who_comes_is(beside):
    route, lanes, _ = beside
    i = int(np.flatnonzero(lanes.clear[:, Side.RIGHT] > 80.0)[0])
    s = float(route.s[i])
    away = follower(6.0, -10.0, s)
    assert "keep" in ways_home(beside, i, 8.0, away)
    comes = follower(0.0, -10.0, s)
    comes[0, [Seen.S, Seen.REAR, Seen.FRONT]] += 60.0
    assert "keep" not in ways_home(beside, i, 8.0, comes)


def test_a_change_that_has_begun_is_not_broken_off_for_a_follower_who_can_still_brake(beside):
    route, lanes, _ = beside
    i = int(np.flatnonzero(lanes.clear[:, Side.RIGHT] > 80.0)[0])
    s, offset = float(route.s[i]), float(lanes.offset[i, Side.RIGHT])
    path = Path(route.xyz[:, :2], route.s, route.yaw, route.curvature, route.speed_limit)
    lead, behind = slow_ahead(s), follower(10.0, 12.0, s)
    behind[0, Seen.D] = offset
    seen = np.concatenate([lead, behind])
    # 4 m, a third of half a second and of a second's closing, 4^2 / (2 (6 + 2.5)) m: 8.3 m
    for going_to, offered in ((0.0, False), (offset, True)):
        options = lane_options(
            LaneChangeConfig(), path, lanes, i, s, 0.0, 8.0, 2.4, seen, np.full(2, 1.6), 13.0,
            going_to=going_to,
        )  # fmt: skip
        assert ("change_right" in [option.name for option in options]) == offered


def test_who_stands_far_ahead_is_left_while_ego_still_has_speed(beside):
    route, lanes, _ = beside
    room = np.minimum(lanes.reach[:, Side.RIGHT], route.length - route.s)
    i = int(np.flatnonzero((lanes.clear[:, Side.RIGHT] > 80.0) & (room > 180.0))[0])
    s, path = float(route.s[i]), Path(route.xyz[:, :2], route.s, route.yaw, route.curvature, None)
    stands = slow_ahead(s)
    stands[0, [Seen.S, Seen.REAR, Seen.FRONT]] += 90.0 - stands[0, Seen.REAR] + s
    for pace, offered in ((0.0, True), (9.0, False)):  # who drives is reached much later
        stands[0, Seen.SPEED] = pace
        options = lane_options(
            LaneChangeConfig(), path, lanes, i, s, 0.0, 13.0, 2.4, stands, np.full(1, 1.6), 13.0
        )
        assert ("change_right" in [option.name for option in options]) == offered


def test_past_who_stands_for_good_a_jam_farther_ahead_is_no_matter(beside):
    route, lanes, _ = beside
    room = np.minimum(lanes.reach[:, Side.RIGHT], route.length - route.s)
    i = int(np.flatnonzero((lanes.clear[:, Side.RIGHT] > 80.0) & (room > 180.0))[0])
    s, path = float(route.s[i]), Path(route.xyz[:, :2], route.s, route.yaw, route.curvature, None)
    seen = np.concatenate([slow_ahead(s)] * 2)
    seen[:, Seen.SPEED] = 0.0
    seen[1, [Seen.S, Seen.REAR, Seen.FRONT]] += 30.0
    seen[1, Seen.D] = lanes.offset[i, Side.RIGHT]
    for until, offered in ((np.inf, False), (s + 32.0 + 15.0, True), (s + 60.0, False)):
        options = lane_options(
            LaneChangeConfig(), path, lanes, i, s, 0.0, 5.0, 2.4, seen, np.full(2, 1.6), 13.0,
            until=until,
        )  # fmt: skip
        assert ("change_right" in [option.name for option in options]) == offered


def test_who_stands_half_in_the_next_lane_blocks_it(beside):
    route, lanes, _ = beside
    i = int(np.flatnonzero(lanes.clear[:, Side.RIGHT] > 80.0)[0])
    s, path = float(route.s[i]), Path(route.xyz[:, :2], route.s, route.yaw, route.curvature, None)
    seen = slow_ahead(s)
    seen[0, Seen.SPEED], seen[0, Seen.D] = 0.0, -1.2  # 2.3 m beside the next lane's middle
    for width, offered in ((2.2, True), (2.4, False)):
        options = lane_options(
            LaneChangeConfig(), path, lanes, i, s, 0.0, 5.0, 2.4, seen, np.full(1, width), 13.0
        )
        assert ("change_right" in [option.name for option in options]) == offered


def test_one_arrives_in_the_lane_beside_the_route_too(beside):
    route, lanes, _ = beside
    reach = lanes.reach[:, Side.RIGHT]
    assert np.isfinite(lanes.offset[-1, Side.RIGHT]), "the route should end beside a lane"
    i = int(np.searchsorted(route.s, route.s[-1] - 20.0))
    assert np.isinf(reach[i:]).all()
    stuck = ways_home(beside, i, 8.0, follower(1.0, 20.0, float(route.s[i])))
    assert list(stuck) == ["change_right"]
    assert stuck["change_right"].ends_s == np.inf
    before = int(np.searchsorted(route.s, route.s[-1] - 50.0))
    assert "keep" in ways_home(beside, before, 8.0, NOBODY)


def test_a_shift_leads_through_where_ego_is():
    for d in (0.0, 0.4, 1.75, 3.0):
        s0 = begins(100.0, d, 0.0, 3.5, 40.0)
        f = (100.0 - s0) / 40.0
        assert 3.5 * (10.0 * f**3 - 15.0 * f**4 + 6.0 * f**5) == pytest.approx(d, abs=0.01)
    assert begins(100.0, -0.3, 0.0, 3.5, 40.0) == 100.0  # off the other way: it begins here
    assert begins(100.0, 0.2, 0.0, 0.0, 40.0) == 100.0
