"""What the MPC is told of road, bounds and others, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from headway.cost import FAR, MAX_OBSTACLES, NUM_OBSTACLE_COLUMNS, Obstacle, StageParam
from headway.types import AgentKind
from planner.mpc.stages import (
    Lateral,
    RoadAhead,
    fill_bounds,
    fill_obstacles,
    fill_road,
    new_stages,
)

P = StageParam
T = 0.2 * np.arange(21)
FREE = (np.inf, -np.inf)
OWN_LANE = Lateral(0.0, 0.0, 0.0, 1.0, np.nan, *FREE)
EGO = np.array([2.4, 1.0])  # half sizes
MARGINS = np.tile([0.8, 0.3], (len(AgentKind), 1))
CAPS = np.array([[2.0, 0.4]])


def road(curvature: float = 0.0) -> RoadAhead:
    """A metre a sample; its limit falls from 14 to 8 m/s at 50 m."""
    s = np.arange(200.0)
    yaw = curvature * s
    if curvature:
        xy = np.column_stack([np.sin(yaw), 1.0 - np.cos(yaw)]) / curvature
    else:
        xy = np.column_stack([s, 0.0 * s])
    limit = np.where(s < 50.0, 14.0, 8.0)
    return RoadAhead(xy, s, yaw, np.full(200, curvature), limit - 0.5, limit, np.full(200, 1.75))


def ahead(speed: float, y: float = 0.0, x: float = 0.0) -> np.ndarray:
    """States of a warm start along x."""
    states = np.zeros((21, 8))
    states[:, 0], states[:, 1], states[:, 3] = x + speed * T, y, speed
    return states


def test_reference_points_are_the_feet_on_the_route():
    out = new_stages(20)
    at = fill_road(road(), 0, ahead(10.0, y=0.6), 30.0, OWN_LANE, out)
    np.testing.assert_allclose(at, 10.0 * T, atol=1e-9)
    np.testing.assert_allclose(out[:, P.REF_X], 10.0 * T, atol=1e-9)
    np.testing.assert_allclose(out[:, [P.REF_Y, P.REF_YAW, P.REF_CURVATURE]], 0.0, atol=1e-9)
    np.testing.assert_allclose(out[:, P.RIGHT], -0.75)
    np.testing.assert_allclose(out[:, P.LEFT], 0.75)
    np.testing.assert_array_equal(out[:, P.LANE_OFFSET], 0.0)


def test_limits_are_those_of_the_place_and_the_cap_holds():
    out = new_stages(20)
    fill_road(road(), 35, ahead(10.0, x=35.0), 30.0, OWN_LANE, out)
    early, late = 35.0 + 10.0 * T < 49.0, 35.0 + 10.0 * T > 51.0
    np.testing.assert_allclose(out[early, P.SPEED_LIMIT], 14.0)
    np.testing.assert_allclose(out[late, P.SPEED_LIMIT], 8.0)
    np.testing.assert_allclose(out[late, P.REF_SPEED], 7.5)
    fill_road(road(), 35, ahead(10.0, x=35.0), 6.0, OWN_LANE, out)
    np.testing.assert_allclose(out[:, P.REF_SPEED], 6.0)
    np.testing.assert_allclose(out[:, P.SPEED_LIMIT], 6.5)


def test_on_a_bend_yaw_and_curvature_are_the_circles():
    bend = road(0.02)
    out = new_stages(20)
    states = ahead(0.0)
    s = 8.0 * T
    states[:, 0], states[:, 1] = np.sin(0.02 * s) / 0.02, (1.0 - np.cos(0.02 * s)) / 0.02
    at = fill_road(bend, 0, states, 30.0, OWN_LANE, out)
    np.testing.assert_allclose(at, s, atol=0.02)
    np.testing.assert_allclose(out[:, P.REF_YAW], 0.02 * s, atol=1e-3)
    np.testing.assert_allclose(out[:, P.REF_CURVATURE], 0.02)


def test_the_road_goes_on_straight_beyond_its_end():
    out = new_stages(20)
    at = fill_road(road(), 195, ahead(10.0, x=195.0), 30.0, OWN_LANE, out)
    assert at[-1] == pytest.approx(235.0)
    assert out[-1, P.REF_X] == pytest.approx(235.0)


def test_a_lane_change_aims_at_the_lane_that_is_nearer():
    out = new_stages(20)
    states = ahead(10.0)
    states[:, 1] = np.linspace(0.0, 3.5, 21)
    fill_road(road(), 0, states, 30.0, Lateral(3.5, 0.0, 3.5, 1.0, np.nan, *FREE), out)
    np.testing.assert_array_equal(out[:, P.LANE_OFFSET], np.where(states[:, 1] > 1.75, 3.5, 0.0))
    np.testing.assert_allclose(out[:, P.LEFT], 1.75 + 3.5 - 1.0)
    np.testing.assert_allclose(out[:, P.RIGHT], -0.75)


def test_a_lead_and_a_line_by_hand():
    out = new_stages(20)
    bounds = np.array([[42.0, 0.0, 1.0], [30.0, 6.0, 0.0]])  # a line; a lead's rear, 6 m/s
    at = 10.0 * T
    fill_bounds(bounds, at, T, 2.4, 2.0, out)
    np.testing.assert_allclose(out[:, P.STOP_AHEAD], 42.0 - 2.4 - at)
    np.testing.assert_allclose(out[:, P.LEAD_AHEAD], 30.0 - 2.4 + 6.0 * T - at)
    np.testing.assert_allclose(out[:, P.LEAD_SPEED], 6.0)


def test_of_two_leads_the_one_that_asks_for_more_room_counts():
    out = new_stages(20)
    # The nearer one is fast: its own braking distance is 25 m; the further one stands almost.
    bounds = np.array([[20.0, 10.0, 0.0], [30.0, 1.0, 0.0]])
    fill_bounds(bounds, np.zeros(21), T, 0.0, 2.0, out)
    np.testing.assert_allclose(out[:, P.LEAD_SPEED], 1.0)
    np.testing.assert_allclose(out[:, P.LEAD_AHEAD], 30.0 + T)


def test_without_bounds_the_road_is_free():
    out = new_stages(20)
    fill_bounds(np.zeros((0, 3)), np.zeros(21), T, 2.4, 2.0, out)
    np.testing.assert_array_equal(out[:, [P.STOP_AHEAD, P.LEAD_AHEAD]], FAR)
    np.testing.assert_array_equal(out[:, P.LEAD_SPEED], 0.0)


def fill(states, pose, mean, covariance=None, dt=0.5, quantile=0.0, until=None, extent=None):
    """`fill_obstacles` with vehicles; returns who was written, and (N+1, MAX_OBSTACLES, 5)."""
    num, out = len(pose), new_stages(20)
    rows = fill_obstacles(
        states, T, EGO, np.full(num, 8.0) if until is None else until,
        np.full(num, AgentKind.VEHICLE, np.int8), pose,
        np.tile([2.0, 0.9], (num, 1)) if extent is None else extent,
        mean, np.zeros((*mean.shape[:2], 2, 2)) if covariance is None else covariance, dt,
        MARGINS, quantile, np.tile(CAPS, (len(pose), 1)), out,
    )  # fmt: skip
    begin = int(P.OBSTACLES)
    return rows, out[:, begin:].reshape(21, MAX_OBSTACLES, NUM_OBSTACLE_COLUMNS)


def test_a_forecast_is_interpolated_between_now_and_its_steps():
    pose = np.array([[20.0, 3.0, 3.1]])
    mean = np.zeros((1, 6, 3))
    mean[0, :, 0] = 20.0 - 2.0 * np.arange(1, 7) ** 2  # uneven: -2, -8, -18, ... at 0.5, 1.0, ...
    mean[0, :, 1], mean[0, :, 2] = 3.0, -3.1  # the yaw goes across +-pi
    rows, found = fill(ahead(5.0), pose, mean)
    assert rows[0] == 0
    x = found[:, 0, Obstacle.X]
    assert x[0] == pytest.approx(20.0)
    assert x[1] == pytest.approx(20.0 + 0.4 * -2.0)  # at 0.2 s of 0.5
    assert x[4] == pytest.approx(18.0 + 0.6 * -6.0)  # at 0.8 s: between 0.5 and 1.0
    assert x[20] == pytest.approx(20.0 - 72.0)  # the forecast ends at 3 s
    yaw = 3.1 + 0.4 * (2.0 * np.pi - 6.2)
    width = 2.0 * abs(np.sin(yaw)) + 0.9 * abs(np.cos(yaw)) + 1.0 + 0.3
    assert found[1, 0, Obstacle.WIDTH] == pytest.approx(width)


def test_an_obstacle_is_both_boxes_and_the_margin():
    pose = np.array([[15.0, 0.0, 0.0]])
    _, found = fill(ahead(5.0), pose, np.tile(pose[:, None], (1, 6, 1)))
    np.testing.assert_allclose(found[:, 0, Obstacle.LENGTH], 2.0 + 2.4 + 0.8)
    np.testing.assert_allclose(found[:, 0, Obstacle.WIDTH], 0.9 + 1.0 + 0.3)
    pose[0, 2] = np.pi / 2  # it stands across: its width counts along us, its length across
    _, found = fill(ahead(5.0), pose, np.tile(pose[:, None], (1, 6, 1)))
    np.testing.assert_allclose(found[:, 0, Obstacle.LENGTH], 0.9 + 2.4 + 0.8)
    np.testing.assert_allclose(found[:, 0, Obstacle.WIDTH], 2.0 + 1.0 + 0.3)


def test_who_turns_away_in_the_next_lane_leaves_ours_free():
    pose = np.array([[15.0, -4.2, -np.pi / 4]])
    _, found = fill(ahead(5.0), pose, np.tile(pose[:, None], (1, 6, 1)))
    np.testing.assert_allclose(found[:, 0, Obstacle.YAW], 0.0)
    reach = (2.0 + 0.9) / np.sqrt(2.0) + 1.0 + 0.3
    np.testing.assert_allclose(found[:, 0, Obstacle.WIDTH], reach)
    assert reach < 4.2


def test_the_forecasts_spread_widens_by_its_quantile_in_egos_frame():
    pose = np.array([[15.0, 0.0, np.pi / 2]])  # it goes along y
    covariance = np.zeros((1, 6, 2, 2))
    covariance[:, :, 0, 0] = 0.2**2  # x: along us
    covariance[:, :, 1, 1] = 0.5**2  # y: across
    mean = np.tile(pose[:, None], (1, 6, 1))
    _, found = fill(ahead(5.0), pose, mean, covariance, quantile=1.5)
    late = found[5:, 0]  # from 1 s on
    np.testing.assert_allclose(late[:, Obstacle.LENGTH], 0.9 + 2.4 + 0.8 + 1.5 * 0.2)
    np.testing.assert_allclose(late[:, Obstacle.WIDTH], 2.0 + 1.0 + 0.3 + 0.4)  # capped
    # Now it is where it is seen; until the first step its variance grows.
    assert found[0, 0, Obstacle.LENGTH] == pytest.approx(4.1)
    assert found[1, 0, Obstacle.LENGTH] == pytest.approx(4.1 + 1.5 * 0.2 * np.sqrt(0.4))
    _, found = fill(ahead(5.0), pose, mean, 100.0 * covariance, quantile=1.5)
    np.testing.assert_allclose(found[5:, 0, Obstacle.LENGTH], 4.1 + 2.0)  # capped


def test_the_nearest_are_kept_and_those_left_out_are_not():
    num = MAX_OBSTACLES + 4
    pose = np.zeros((num, 3))
    pose[:, 0], pose[:, 1] = 10.0, 3.0 * np.arange(1, num + 1)
    extent = np.tile([4.0, 4.0], (num, 1))
    mean = np.tile(pose[:, None], (1, 6, 1))
    until = np.full(num, 8.0)
    until[0] = -1.0
    rows, _ = fill(ahead(5.0), pose, mean, until=until, extent=extent)
    assert list(rows) == list(range(1, MAX_OBSTACLES + 1))


def test_who_is_believed_no_longer_is_in_nobodys_way():
    pose, mean = np.array([[12.0, 0.0, 1.5]]), np.tile([12.0, 0.0, 1.5], (1, 6, 1))
    rows, found = fill(ahead(5.0), pose, mean, until=np.array([1.1]))
    assert rows[0] == 0
    x = found[:, 0, Obstacle.X]
    assert (x[T <= 1.1] == 12.0).all()
    assert (x[T > 1.1] >= FAR).all()


def test_empty_places_are_far_away_whoever_is_there():
    rows, found = fill(ahead(5.0), np.zeros((0, 3)), np.zeros((0, 6, 3)))
    assert (rows == -1).all()
    assert (found[:, :, Obstacle.X] - ahead(5.0)[:, None, 0] >= 0.99 * FAR).all()
    np.testing.assert_array_equal(found[:, :, Obstacle.LENGTH :], 1.0)


def test_who_has_crossed_over_does_not_go_back():
    out = new_stages(20)
    states = ahead(10.0)
    states[:, 1] = np.linspace(0.0, 3.5, 21)
    fill_road(road(), 0, states, 30.0, Lateral(3.5, 0.0, 3.5, 1.0, 3.5, *FREE), out)
    there = states[:, 1] > 1.75
    # The edge of the lane that it goes to, as far as the warm start has got.
    np.testing.assert_allclose(out[there, P.RIGHT], np.minimum(2.75, states[there, 1]))
    np.testing.assert_allclose(out[~there, P.RIGHT], -0.75)
    np.testing.assert_allclose(out[:, P.LEFT], 1.75 + 3.5 - 1.0)
    # And the way home.
    states[:, 1] = states[::-1, 1]
    fill_road(road(), 0, states, 30.0, Lateral(3.5, 0.0, 3.5, 1.0, 0.0, *FREE), out)
    home = states[:, 1] < 1.75
    np.testing.assert_allclose(out[home, P.LEFT], np.maximum(0.75, states[home, 1]))


def test_beside_what_blocks_the_lane_the_corridor_begins_at_the_way_around_it():
    out = new_stages(20)
    fill_road(road(), 0, ahead(10.0), 30.0, Lateral(2.5, 0.0, 2.5, 1.0, np.nan, 10.0, 20.0), out)
    beside = (10.0 * T > 10.0) & (10.0 * T < 20.0)
    np.testing.assert_allclose(out[beside, P.RIGHT], 2.5 - 0.2)
    np.testing.assert_allclose(out[~beside, P.RIGHT], -0.75)
    np.testing.assert_allclose(out[:, P.LEFT], 1.75 + 2.5 - 1.0)
