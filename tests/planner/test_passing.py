"""Around what stands in the lane: on the oncoming lane when it is free, and not in a queue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneKind, StopKind
from headway.road.routing import plan_route
from headway.types import AgentKind, Goal, SignalState
from language.route import RouteLanguage
from planner.mpc.planner import MpcPlanner

from .harness import Scripted, World, along, make_driver
from .harness import straight as towards
from .test_drive import assert_clear, front, spot

HALF = 1.75  # [m] half a lane of this town
STANDS = 60.0  # [m] along the route


@pytest.fixture(scope="module")
def straight(grid):
    """The longest lane that lies at the centre line, with another of its direction to its right."""
    inner = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & (grid.left < 0)
    inner &= (grid.opposite >= 0) & (grid.right >= 0)
    lane = int(np.argmax(np.where(inner, grid.length, 0.0)))
    return plan_route(grid, lane, 2.0, lane, float(grid.length[lane]) - 2.0)


def blocked(route, *more: Scripted) -> list[Scripted]:
    """Vehicles that stand in both lanes of ego's direction."""
    sides = (0.0, -2.0 * HALF)
    return [Scripted(along(route, lambda t: STANDS, d)) for d in sides] + list(more)


def drive(grid, route, agents, seconds=60.0, language: RouteLanguage | None = None) -> World:
    driver = make_driver(MpcPlanner(), language)
    return World(grid, route, agents, start_s=5.0, driver=driver).drive(seconds, passed)


def passed(world: World) -> bool:
    """Whether ego is well beyond them, in its lane again."""
    at = project_on_route(world.route, world.car.ego().pose[None, :2])
    return bool(at[0][0] > STANDS + 40.0 and abs(at[1][0]) < 0.4)


def test_two_who_stand_are_passed_on_the_oncoming_lane(grid, straight):
    world = drive(grid, straight, blocked(straight))
    s, d = world.s_d()
    assert_clear(world)
    assert passed(world)
    there = np.abs(s - STANDS) < 2.0
    assert (d[there] > 2.0).all()
    assert "overtake" in {r.plan_name for r in world.driver.trace.records}


def test_from_rest_close_behind_things_ego_still_gets_out(grid, straight):
    """One step of the solver from standing still is no way out."""
    things = [
        Scripted(along(straight, lambda t: STANDS, d), AgentKind.PROP, (2.8, 1.3))
        for d in (-1.2, -3.8)
    ]

    def comes(t: float) -> tuple[float, float, float, float]:
        x, y, yaw, _ = along(straight, lambda t: STANDS + 40.0 - 10.0 * t, 2.0 * HALF)(t)
        return x, y, yaw + np.pi, 10.0

    driver = make_driver(MpcPlanner())
    start_s = STANDS - 2.8 - 2.45 - 6.2
    agents = [*things, Scripted(comes)]
    world = World(grid, straight, agents, start_s=start_s, start_d=0.34, driver=driver)
    world.drive(30.0, passed)
    assert_clear(world)
    assert passed(world)


def test_who_stands_behind_the_goal_is_nothing_to_pass(grid, straight):
    x, y, _, yaw = route_poses(straight, np.array([straight.length]), 0.0)[0]
    behind = np.array([x, y]) + 12.0 * np.array([np.cos(yaw), np.sin(yaw)])
    stands = Scripted(lambda t: (*behind, yaw, 0.0))
    world = World(
        grid, straight, [stands], start_s=straight.length - 70.0, driver=make_driver(MpcPlanner())
    )
    world.drive(25.0, lambda w: w.s_d()[0][-1] > straight.length - 3.0)
    assert_clear(world)
    assert world.s_d()[0][-1] > straight.length - 6.0
    assert "overtake" not in {r.plan_name for r in world.driver.trace.records}


@pytest.mark.parametrize(("d", "pace", "passes"), [(2.5, 0.0, False), (9.0, 0.0, True),
                                                   (-2.25, 1.4, True)])  # fmt: skip
def test_who_may_be_waiting_for_a_walker_is_not_overtaken(grid, straight, d, pace, passes):
    """Who walks along the road is nobody that one waits for."""
    begin = STANDS + 5.0 - 10.0 * pace
    motion = along(straight, lambda t: begin + pace * t, d)
    at_the_kerb = Scripted(motion, AgentKind.WALKER, (0.2, 0.2))
    world = drive(grid, straight, blocked(straight, at_the_kerb), 25.0)
    assert_clear(world)
    assert passed(world) == passes


def test_a_walker_who_stands_there_for_long_is_nobody_that_they_wait_for(grid, straight):
    """Ego waits meanwhile where it can still turn out."""
    motion = along(straight, lambda t: STANDS + 5.0, -2.9)
    beside = Scripted(motion, AgentKind.WALKER, (0.2, 0.2))
    world = drive(grid, straight, blocked(straight, beside))
    assert "overtake" not in {r.plan_name for r in world.driver.trace.records if r.t < 20.0}
    assert_clear(world)
    assert passed(world)


@pytest.mark.parametrize("when", [6.0, 9.0, 12.0])
def test_who_comes_the_other_way_is_let_pass_first(grid, straight, when):
    def comes(t: float) -> tuple[float, float, float, float]:
        x, y, yaw, speed = along(straight, lambda t: STANDS - 10.0 * (t - when), 2.0 * HALF)(t)
        return x, y, yaw + np.pi, abs(speed)

    world = drive(grid, straight, blocked(straight, Scripted(comes)))
    s, d = world.s_d()
    t = world.driver.trace.column("t")
    assert_clear(world)
    assert passed(world)
    # Neither is over the centre line while the other is near.
    facing = np.abs(STANDS - 10.0 * (t - when) - s) < 15.0
    assert facing.any()
    assert (d[facing] + 0.95 < HALF + 0.3).all()


def test_a_stream_of_oncoming_traffic_is_waited_for_where_one_can_still_turn_out(grid, straight):
    def comes(k: int):
        def motion(t: float) -> tuple[float, float, float, float]:
            at = STANDS + 40.0 * k - 10.0 * t
            x, y, yaw, speed = along(straight, lambda _: at, 2.0 * HALF)(t)
            return x, y, yaw + np.pi, 10.0 + 0.0 * speed

        return Scripted(motion)

    world = drive(grid, straight, blocked(straight, *(comes(k) for k in range(8))), 70.0)
    s, _ = world.s_d()
    t = world.driver.trace.column("t")
    assert_clear(world)
    assert passed(world)
    waits = (t > 15.0) & (t < 20.0)
    gap = STANDS - 2.3 - (s[waits] + world.info.extent[0])
    assert (gap > 9.0).all()
    assert (gap < 13.0).all()


def test_ego_waits_where_it_can_turn_out_while_others_come_over_the_line(grid, straight):
    """It keeps to the right of them, which is no way past who stands in its lane."""

    def comes(k: int):
        def motion(t: float) -> tuple[float, float, float, float]:
            at = STANDS + 40.0 * k - 10.0 * t
            x, y, yaw, _ = along(straight, lambda _: at, 2.0)(t)
            # Where it is past them it is gone.
            return (x, y, yaw + np.pi, 10.0) if at > STANDS + 10.0 else (1e4, 1e4, 0.0, 0.0)

        return Scripted(motion)

    world = drive(grid, straight, blocked(straight, *(comes(k) for k in range(2, 8))), 70.0)
    assert_clear(world)
    assert passed(world)
    assert "aside" in {r.plan_name for r in world.driver.trace.records}


def test_who_is_on_its_way_around_goes_on_when_somebody_appears_far_ahead(grid, straight):
    """Ego could neither come back nor turn out a second time from where it would stop.

    Who appears brakes by 4 m/s^2 after half a second.
    """
    begun: list[float] = []

    def comes(t: float) -> tuple[float, float, float, float]:
        d = project_on_route(straight, world.car.ego().pose[None, :2])[1][0]
        if not begun and d > 0.6:
            begun.append(t)
        if not begun:
            return 1e4, 1e4, 0.0, 0.0
        since = t - begun[0]
        brakes = min(max(since - 0.5, 0.0), 2.5)
        way = 10.0 * min(since, 0.5) + (10.0 - 2.0 * brakes) * brakes
        x, y, yaw, _ = along(straight, lambda _: STANDS + 60.0 - way, 2.0 * HALF)(t)
        return x, y, yaw + np.pi, 10.0 - 4.0 * brakes

    world = World(grid, straight, blocked(straight), start_s=5.0, driver=make_driver(MpcPlanner()))
    world.scripts = [*world.scripts, Scripted(comes)]
    world.drive(40.0, passed)
    assert begun
    assert_clear(world)
    assert passed(world)


@pytest.mark.parametrize(("pace", "overtaken"), [(2.8, True), (10.0, False)])
def test_who_crawls_is_overtaken_on_the_oncoming_lane_and_who_drives_is_not(
    grid, straight, pace, overtaken
):
    sides = (-1.0, -2.0 * HALF)  # the lane to the right is no way out
    leads = [
        Scripted(along(straight, lambda t: 45.0 + pace * t, d), AgentKind.TWO_WHEELER, (0.9, 0.3))
        for d in sides
    ]
    world = World(grid, straight, leads, start_s=5.0, driver=make_driver(MpcPlanner()))
    world.drive(25.0, lambda w: w.s_d()[0][-1] > min(60.0 + pace * w.t, straight.length - 30.0))
    assert_clear(world)
    assert (world.s_d()[0][-1] > 50.0 + pace * world.t) == overtaken
    assert ("overtake" in {r.plan_name for r in world.driver.trace.records}) == overtaken


def test_who_is_about_to_drive_off_is_not_overtaken(grid, straight):
    """It has stood for long, and gathers speed as ego comes up: a lead at a light that changed."""

    def motion(t: float) -> float:
        return 45.0 + 0.5 * max(t - 6.0, 0.0) ** 2

    leads = [Scripted(along(straight, motion, d)) for d in (0.0, -2.0 * HALF)]
    world = World(grid, straight, leads, start_s=5.0, driver=make_driver(MpcPlanner()))
    world.drive(14.0)
    assert_clear(world)
    # It turns back at the line.
    assert world.s_d()[1].max() + world.info.extent[1] < HALF + 0.1


def test_ego_keeps_to_the_right_of_who_comes_over_the_line(grid, straight):
    """Their side is 0.5 m over it: ego passes without stopping, as far right as its lane allows."""

    def comes(t: float) -> tuple[float, float, float, float]:
        x, y, yaw, _ = along(straight, lambda t: 140.0 - 12.0 * t, 2.2)(t)
        return x, y, yaw + np.pi, 12.0

    world = World(grid, straight, [Scripted(comes)], start_s=5.0, driver=make_driver(MpcPlanner()))
    world.drive(10.0)
    assert_clear(world)
    s, d = world.s_d()
    facing = np.abs(140.0 - 12.0 * world.driver.trace.column("t") - s) < 6.0
    assert facing.any()
    assert d[facing].max() < -0.35
    assert np.diff(s[facing]).min() > 0.2  # 4 m/s, 20 times a second
    assert abs(d[-1]) < 0.2, "and comes back to the middle"


@pytest.mark.parametrize("turn", [0.5 * np.pi, np.pi])
def test_who_crawls_across_or_towards_ego_is_nothing_to_pass(grid, straight, turn):
    x, y, _, yaw = route_poses(straight, np.array([STANDS + 20.0]), 0.0)[0]
    begin = np.array([x, y]) - 9.0 * np.array([np.cos(yaw + turn), np.sin(yaw + turn)])
    crawler = Scripted(towards(*begin, yaw + turn, lambda t: 1.5 * t))
    world = World(grid, straight, [crawler], start_s=5.0, driver=make_driver(MpcPlanner()))
    world.drive(9.0)
    assert_clear(world)
    assert "overtake" not in {r.plan_name for r in world.driver.trace.records}


def test_who_waits_at_a_red_light_is_not_overtaken(grid):
    _, route, itinerary = spot(grid, StopKind.LIGHT, 0)
    line = float(itinerary.stop_s[0])
    red = np.full(len(grid.signal_id), SignalState.RED, np.int8)
    queue = [
        Scripted(along(route, lambda t, k=k: line - 4.0 - 7.0 * k), AgentKind.VEHICLE)
        for k in range(2)
    ]
    driver = make_driver(MpcPlanner())
    world = World(grid, route, queue, signals=lambda t: red, driver=driver).drive(25.0)
    assert_clear(world)
    assert world.s_d()[1].max() < 0.3  # to the right lane it may go
    assert front(world)[-1] < line


class PullOver(RouteLanguage):
    """Asks for the kerb after five seconds."""

    def goal(self, scene) -> Goal:
        goal = super().goal(scene)
        return replace(goal, maneuver="pull_over") if scene.t > 5.0 else goal


def test_it_pulls_over_and_stands_at_the_lane_s_edge(grid, straight):
    world = drive(grid, straight, [], 30.0, PullOver())
    s, d = world.s_d()
    assert world.driver.trace.column("speed")[-1] == pytest.approx(0.0, abs=0.02)
    edge = HALF - world.info.extent[1]
    assert d[-1] == pytest.approx(-(edge - 0.25), abs=0.15)
    assert s[-1] < straight.length - 20.0
    names = {r.plan_name for r in world.driver.trace.records if r.t > 6.0}
    assert names <= {"pull_over", "pull_over_slow", "yield", "stop"}


def test_past_who_stands_across_over_the_left_line_within_its_own_lane(grid):
    alone = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & (grid.opposite >= 0)
    alone &= (grid.left < 0) & ((grid.right < 0) | (grid.kind[grid.right] != LaneKind.DRIVING))
    lane = int(np.argmax(np.where(alone, grid.length, 0.0)))
    route = plan_route(grid, lane, 2.0, lane, float(grid.length[lane]) - 2.0)
    at = 50.0
    x, y, _, yaw = route_poses(route, np.array([at]), 3.5)[0]
    stands = Scripted(lambda t: (x, y, yaw + 1.27, 0.0))  # 1 m beside the middle
    driver = make_driver(MpcPlanner())
    world = World(grid, route, [stands], start_s=5.0, driver=driver).drive(25.0)
    assert not world.overlaps
    s, d = world.s_d()
    assert s[-1] > at + 10.0
    beside = d[np.abs(s - at) < 3.0]
    assert -0.8 < beside.min() < beside.max() < -0.2  # on the right of its lane, and not beyond it
