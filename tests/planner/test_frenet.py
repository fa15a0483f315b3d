"""The Frenet planner: its polynomials, its motions of the car, and closed loops on the grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.road.routing import plan_route, random_route
from headway.types import NUM_STATES, Plan, StateIndex
from planner.beside import bounds_beside, road_beside
from planner.contacts import NONE, first_contact, stays_safe
from planner.frenet.config import FrenetConfig
from planner.frenet.planner import FrenetPlanner
from planner.frenet.polynomials import quartic, quintic, squared_jerk, value
from planner.frenet.sampling import Law, Road, Start, across, motion

from .harness import Scripted, World, along, make_driver
from .test_drive import assert_clear, front, goal_reached, long_straight, speeds

CONFIG = FrenetConfig()
LAW = Law(
    CONFIG.max_accel, CONFIG.max_brake, 1.8, CONFIG.brake, CONFIG.firm_brake, 2.5, 1.5,
    CONFIG.speed_slack, CONFIG.lateral_accel, 0.3, CONFIG.low_speed, CONFIG.least_arc, CONFIG.jerk,
    CONFIG.duration, CONFIG.deviation, CONFIG.lateral_jerk, CONFIG.lateral_duration, CONFIG.offset,
)  # fmt: skip
WHEELBASE, HALF = 2.8, 1.4


def single_lane(grid: LaneGraph) -> Route:
    """A straight route on a lane without neighbours of its direction."""
    lone = (grid.kind == 0) & (grid.junction < 0) & ~grid.left_change & ~grid.right_change
    lane = int(np.argmax(np.where(lone, grid.length, 0.0)))
    assert grid.length[lane] > 150.0
    return plan_route(grid, lane, 2.0, lane, float(grid.length[lane]) - 2.0)


@pytest.mark.parametrize(
    ("begin", "end", "t"),
    [((1.0, 2.0, 0.5), (9.0, 1.0, -0.3), 3.0), ((0.0, -3.0, 1.0), (0.0, 0.0, 0.0), 0.7)],
)
def test_polynomials_meet_their_end_conditions(
    begin: tuple[float, float, float], end: tuple[float, float, float], t: float
) -> None:
    c = quintic(*begin, *end, t)
    np.testing.assert_allclose(value(c, 0.0)[:3], begin, atol=1e-12)
    np.testing.assert_allclose(value(c, t)[:3], end, atol=1e-9)
    q = quartic(*begin, end[1], end[2], t)
    np.testing.assert_allclose(value(q, 0.0)[:3], begin, atol=1e-12)
    np.testing.assert_allclose(value(q, t)[1:3], end[1:], atol=1e-9)
    assert q[5] == 0.0


def test_no_other_way_has_less_squared_jerk():
    t, grid = 3.0, np.linspace(0.0, 3.0, 20_001)
    best = quintic(0.0, 4.0, -1.0, 10.0, 2.0, 0.0, t)
    quart = quartic(0.0, 4.0, -1.0, 2.0, 0.0, t)
    jerk = np.array([value(best, x)[3] for x in grid])
    assert squared_jerk(best, t) == pytest.approx(np.trapezoid(jerk**2, grid), rel=1e-6)
    # x^3 (t - x)^3 changes neither end up to the second derivative.
    bump = np.polynomial.Polynomial([0, 0, 0, 1]) * np.polynomial.Polynomial([t, -1]) ** 3
    for size in (-0.05, 0.05):
        other = np.trapezoid((jerk + size * bump.deriv(3)(grid)) ** 2, grid)
        assert other > squared_jerk(best, t)
    for end in (-0.5, 0.5):  # the quartic chooses its own end: every other costs more
        other = quintic(0.0, 4.0, -1.0, value(quart, t)[0] + end, 2.0, 0.0, t)
        assert squared_jerk(other, t) > squared_jerk(quart, t)


def ring_road(curvature: float) -> Road:
    s = np.arange(0.0, 150.0, 0.5)
    yaw = curvature * s
    if curvature:
        xy = np.column_stack([np.sin(yaw), 1.0 - np.cos(yaw)]) / curvature
    else:
        xy = np.column_stack([s, np.zeros_like(s)])
    return Road(xy, s, yaw, np.full_like(s, curvature), np.full_like(s, 20.0))


@pytest.mark.parametrize("curvature", [0.0, 0.04, -0.04])
@pytest.mark.parametrize("speed", [8.0, 3.0])  # above and below `low_speed`
def test_motions_are_the_cars_own(curvature, speed):
    """Turning, speed and acceleration of the states fit the positions and the wheel angle."""
    road, dt = ring_road(curvature), 0.01
    t = dt * np.arange(round(4.0 / dt) + 1)
    start = Start(10.0, speed, 0.4, 0.3, 0.02, 0.005, 20, HALF, HALF + 2.4, WHEELBASE)
    profile = np.column_stack(
        [10.0 + speed * t + 0.2 * t**2, speed + 0.4 * t, np.full_like(t, 0.4)]
    )
    ways, states = np.empty((len(t), 3)), np.zeros((len(t), NUM_STATES))
    across(LAW, start, profile, -1.0, 3.0, t, ways)
    np.testing.assert_allclose(ways[0], [0.3, 0.02, 0.005], atol=1e-9)
    np.testing.assert_allclose(ways[-1], [-1.0, 0.0, 0.0], atol=1e-9)
    edges = np.tile([-3.0, 3.0], (len(road.s), 1))
    law = LAW._replace(lateral_accel=10.0)
    assert motion(law, road, start, profile, ways, edges, states)
    states = states[1:]
    yaw, v = states[:, StateIndex.YAW], states[:, StateIndex.SPEED]
    rear = states[:, :2] - HALF * np.column_stack([np.cos(yaw), np.sin(yaw)])
    moved = np.diff(rear, axis=0) / dt
    mid = slice(None, -1)
    # The chords of the route's samples leave a centimetre per second.
    np.testing.assert_allclose(np.hypot(*moved.T), 0.5 * (v[1:] + v[mid]), atol=0.02)
    np.testing.assert_allclose(
        np.unwrap(np.arctan2(moved[:, 1], moved[:, 0])), 0.5 * (yaw[1:] + yaw[mid]), atol=0.012
    )
    rate = np.diff(yaw) / dt
    turn = np.tan(states[:, StateIndex.STEER]) / WHEELBASE * v
    np.testing.assert_allclose(rate, 0.5 * (turn[1:] + turn[mid]), atol=2e-3)
    accel = states[:, StateIndex.ACCEL]
    np.testing.assert_allclose(np.diff(v) / dt, 0.5 * (accel[1:] + accel[mid]), atol=5e-3)


def test_ways_in_time_and_in_arc_length_are_one_at_constant_speed():
    t, speed = np.linspace(0.0, 4.0, 41), 6.0
    profile = np.column_stack([speed * t, np.full_like(t, speed), np.zeros_like(t)])
    start = Start(0.0, speed, 0.0, 0.5, 0.03, -0.004, 0, HALF, 3.8, WHEELBASE)
    in_time, in_arc = np.empty((41, 3)), np.empty((41, 3))
    cost_in_time = across(LAW, start, profile, 0.0, 3.0, t, in_time)
    cost_in_arc = across(LAW._replace(low_speed=2.0 * speed), start, profile, 0.0, 3.0, t, in_arc)
    np.testing.assert_allclose(in_time, in_arc, atol=1e-9)
    assert cost_in_time == pytest.approx(cost_in_arc)


def test_contacts_are_of_boxes_and_of_their_time():
    t = 0.2 * np.arange(11)
    ego = np.column_stack([10.0 * t, np.zeros_like(t), np.zeros_like(t)])
    size, none = np.array([2.0, 1.0]), np.zeros(2)
    other = np.zeros((1, 11, 3))
    other[0, :, 0] = 13.0
    extent = np.array([[2.0, 1.0]])
    # Fronts meet when 10 t >= 13 - 2 - 2: at 0.9 s, so at the grid's 1.0 s.
    when, who = first_contact(ego, t, size, none, other, extent, np.array([2.0]))
    assert (when, who) == (pytest.approx(1.0), 0)
    assert first_contact(ego, t, size, none, other, extent, np.array([0.8]))[0] == NONE
    assert first_contact(ego, t, size, none, other, extent, np.array([-1.0]))[0] == NONE
    other[0, :, 1] = 2.1
    assert first_contact(ego, t, size, none, other, extent, np.array([2.0]))[0] == NONE
    wide = np.array([0.0, 0.2])
    assert first_contact(ego, t, size, wide, other, extent, np.array([2.0]))[1] == 0


def test_the_road_beside_a_route_ends_where_the_neighbour_does(grid):
    route = long_straight(grid)
    beside = road_beside(grid, route)
    lane = int(route.lane[0])
    sides = np.flatnonzero(~np.isnan(beside.lanes[10]))
    free = (grid.right_change[lane], grid.left_change[lane])
    assert list(sides) == list(np.flatnonzero(free))
    for side in sides:
        assert abs(beside.lanes[10, side]) == pytest.approx(3.5, abs=0.01)
        assert beside.until[10, side] == pytest.approx(route.length, abs=1.5)
    assert np.isnan(road_beside(grid, single_lane(grid)).lanes).all()


def test_who_parks_beside_bounds_only_the_ways_that_it_blocks(grid):
    route = single_lane(grid)
    parked = Scripted(along(route, lambda t: 60.0, -2.2))
    planner = FrenetPlanner()
    world = World(grid, route, [parked], start_speed=8.0, driver=make_driver(planner))
    driver = world.driver
    scene = driver.perception.perceive(world.observe())
    goal = driver.language.goal(scene)
    proposals = planner.propose(scene, goal)
    forecast = driver.world_model.imagine(scene, goal, proposals)
    rules = planner.rules
    bounds = rules.bound(scene, goal, forecast, 0)
    assert "lead:2" in bounds.reasons
    for offset, blocked in ((0.6, False), (-0.6, True)):
        here = bounds_beside(
            rules.itinerary, rules.ego, scene, forecast, 0, bounds, offset, rules.config.rules
        )
        assert ("lead:2" in here.reasons) == blocked
        assert [r for r in here.reasons if r != "lead:2"] == [
            r for r in bounds.reasons if r != "lead:2"
        ]


def test_who_parks_into_the_lane_is_nudged_around(grid):
    route = single_lane(grid)
    parked = Scripted(along(route, lambda t: 80.0, -2.2))
    world = World(grid, route, [parked], driver=make_driver(FrenetPlanner())).drive(
        40.0, goal_reached
    )
    assert_clear(world)
    s, d = world.s_d()
    assert s[-1] > 100.0
    beside = np.abs(s - 80.0) < 4.0
    # Its side is 1.25 m right of the centre, ego's 1.08 m: margins of 0.2 m want a little more.
    assert d[beside].min() > 0.1
    assert d.max() < 0.8
    assert any(r.cost.get("offset", 0.0) > 0.0 for r in world.driver.trace.records)


def test_a_blocked_lane_is_stopped_for_where_there_is_no_other(grid):
    route = single_lane(grid)
    standing = Scripted(along(route, lambda t: 80.0))
    world = World(grid, route, [standing], driver=make_driver(FrenetPlanner())).drive(30.0)
    assert 1.0 < 80.0 - 2.3 - front(world)[-1] < 5.0
    assert speeds(world)[-1] < 0.05
    assert world.driver.trace.intervention_share() < 0.01


def test_a_blocked_lane_is_left_where_there_is_another(grid):
    route = long_straight(grid)
    standing = Scripted(along(route, lambda t: 90.0))
    world = World(grid, route, [standing], driver=make_driver(FrenetPlanner())).drive(
        40.0, goal_reached
    )
    assert_clear(world)
    s, d = world.s_d()
    assert s[-1] > 250.0
    assert np.abs(d[np.abs(s - 90.0) < 3.0]).min() > 2.5
    assert abs(d[-1]) < 0.3, "and it is back in its own lane"


def test_without_anything_that_holds_ego_brakes(grid):
    route = single_lane(grid)
    # Who stands 4 m ahead of a car at 36 km/h cannot be missed.
    standing = Scripted(along(route, lambda t: 48.7))
    world = World(
        grid, route, [standing], start_s=40.0, start_speed=10.0, driver=make_driver(FrenetPlanner())
    )
    driver, observation = world.driver, world.observe()
    scene = driver.perception.perceive(observation)
    goal = driver.language.goal(scene)
    proposals = driver.planner.propose(scene, goal)
    forecast = driver.world_model.imagine(scene, goal, proposals)
    plan: Plan = driver.planner.refine(scene, goal, proposals, forecast)
    assert (plan.name, plan.status) == ("stop", "nothing_holds")
    speed = plan.states[:, StateIndex.SPEED]
    assert (np.diff(speed) <= 1e-9).all()
    # As hard as it may: 10 m/s by 6 m/s^2, built up within half a second.
    assert speed[np.searchsorted(0.2 * np.arange(len(speed)), 2.2)] == 0.0
    assert plan.active[0] == "lead:2"
    assert plan.required_decel > 6.0


def test_the_same_scene_gives_the_same_plan(grid):
    route = random_route(grid, 3, min_length=300.0, max_length=600.0)
    plans = [
        World(grid, route, driver=make_driver(FrenetPlanner()))
        .drive(3.0)
        .driver.trace.records[-1]
        .plan
        for _ in range(2)
    ]
    np.testing.assert_array_equal(plans[0], plans[1])


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"FrenetConfig\.durations"):
        FrenetConfig(durations=())
    with pytest.raises(ValueError, match=r"FrenetConfig\.dt"):
        FrenetConfig(dt=math.nan)


def test_a_lane_is_left_only_with_room_to_brake_for_its_lead():
    t = 0.2 * np.arange(11)
    size, extent = np.array([2.0, 1.0]), np.array([[2.0, 1.0]])
    ego, speed = np.column_stack([10.0 * t, 0.0 * t, 0.0 * t]), np.full(11, 10.0)

    def safe(gap: float, lead_speed: float, d: float = 0.0) -> bool:
        lead = np.zeros((1, 11, 3))
        lead[0, :, 0], lead[0, :, 1] = gap + 4.0 + lead_speed * t, d
        return stays_safe(
            ego, speed, t, 0.0, size, lead, extent, np.array([lead_speed]), 0.6, 6.0, 8.0
        )

    # 0.6 s at 10 m/s are 6 m, 100 / 12 = 8.33 m of ego's braking, 100 / 16 = 6.25 m of the lead's.
    assert not safe(14.0, 0.0)
    assert safe(14.5, 0.0)
    assert not safe(8.0, 10.0)
    assert safe(8.2, 10.0)
    assert safe(1.0, 0.0, d=2.1)
