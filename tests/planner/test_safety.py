"""The safety layer: brakes when a tick later would be too late, and only then."""

import ast
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import planner
from headway.cli import build_driver, compose_drive
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneKind, StopKind
from headway.road.routing import plan_route
from headway.types import NUM_INPUTS, NUM_STATES, AgentKind, Command, Plan, SignalState
from headway.vehicle import VehicleState
from planner.safety import EmergencyBrake, NoSafety, SafetyConfig
from planner.safety_backup import RoadAhead
from planner.safety_reach import boxes_touch, lateral_reach, travelled
from tests.planner.harness import DT, Scripted, World, along, straight
from tests.planner.safety_cases import PLAN
from tests.planner.spots import guarded
from tests.planner.test_drive import long_straight


def judged(world: World, command: Command):
    """One tick of the driver up to the plan, then the safety layer over `command`."""
    observation = world.observe()
    driver = world.driver
    scene = driver.perception.perceive(observation)
    goal = driver.language.goal(scene)
    proposals = driver.planner.propose(scene, goal)
    forecast = driver.world_model.imagine(scene, goal, proposals)
    plan = driver.planner.refine(scene, goal, proposals, forecast)
    safety = EmergencyBrake()
    return safety.filter(command, plan, scene), safety.interventions


@pytest.mark.parametrize(("gap", "brakes"), [(10.0, True), (30.0, False)])
def test_a_wall_of_steel_is_braked_for_when_it_is_time(grid, gap, brakes):
    route = long_straight(grid)
    standing = Scripted(along(route, lambda t: 20.0 + 2.4 + gap + 2.3))
    world = World(grid, route, [standing], start_s=20.0, start_speed=13.0)
    command, interventions = judged(world, Command(throttle=1.0))
    assert (command.brake == 1.0) == brakes
    assert (command.throttle == 0.0) == brakes
    assert [i.reason for i in interventions] == (["emergency_brake:2"] if brakes else [])
    assert all(i.margin < 0.0 for i in interventions)


def test_a_lead_as_fast_as_ego_may_be_followed_closely(grid):
    route = long_straight(grid)
    for gap, brakes in ((3.0, True), (15.0, False)):
        lead = Scripted(along(route, lambda t, g=gap: 20.0 + 2.4 + g + 2.3 + 13.0 * t))
        world = World(grid, route, [lead], start_s=20.0, start_speed=13.0)
        command, _ = judged(world, Command(throttle=0.2))
        assert (command.brake == 1.0) == brakes


def test_a_walker_who_steps_out_is_braked_for(grid):
    route = long_straight(grid)
    x, y, _, yaw = route_poses(route, np.array([27.5]), -2.0)[0]
    walker = Scripted(
        straight(x, y, yaw + math.pi / 2, lambda t: 1.8 * t), AgentKind.WALKER, (0.3, 0.3)
    )
    world = World(grid, route, [walker], start_s=20.0, start_speed=8.0)
    command, interventions = judged(world, Command(throttle=0.3))
    assert command.brake == 1.0
    assert interventions[0].reason == "emergency_brake:2"


def test_a_red_light_is_not_driven_over_while_it_can_be_helped(grid):
    _, route, itinerary = next(guarded(grid, StopKind.LIGHT, 0))
    red = np.full(len(grid.signal_id), SignalState.RED, np.int8)
    for gap, brakes in ((40.0, False), (10.5, True), (2.0, False)):
        start = float(itinerary.stop_s[0]) - 2.4 - gap
        world = World(grid, route, signals=lambda t: red, start_s=start, start_speed=11.0)
        command, interventions = judged(world, Command(throttle=0.5))
        assert (command.brake == 1.0) == brakes, gap
        assert any(i.reason.startswith("red_light") for i in interventions) == brakes


def full_throttle(world: World, seconds: float) -> None:
    """Ego along the route with the throttle down, whatever the planner wants."""
    for _ in range(round(seconds / DT)):
        observation = world.observe()
        scene = world.driver.perception.perceive(observation)
        _, d, yaw = project_on_route(world.route, scene.ego.pose[None, :2])
        error = math.remainder(scene.ego.pose[2] - float(yaw[0]), math.tau)
        steer = -2.0 * error - 0.1 * float(d[0])
        command = Command(1.0, 0.0, min(max(steer, -1.0), 1.0))
        world.step(world.driver.safety.filter(command, PLAN, scene))


def test_no_throttle_takes_ego_over_a_red_line_that_it_could_stop_at(grid):
    _, route, itinerary = next(guarded(grid, StopKind.LIGHT, 0))
    red = np.full(len(grid.signal_id), SignalState.RED, np.int8)
    line = float(itinerary.stop_s[0])
    for start, speed in ((0.0, 0.0), (line - 30.0, 12.0), (line - 4.0, 0.0)):
        world = World(grid, route, signals=lambda t: red, start_s=start, start_speed=speed)
        full_throttle(world, 12.0)
        s, _, _ = project_on_route(route, world.state[:1, :2])
        assert line - 3.0 < s[0] + world.info.extent[0] < line


def test_a_stop_sign_is_not_passed_before_ego_has_stood(grid):
    _, route, itinerary = next(guarded(grid, StopKind.STOP, 0))
    line = float(itinerary.stop_s[0])
    world = World(grid, route, start_s=line - 25.0, start_speed=8.0)
    slowest = 99.0
    for _ in range(12):
        full_throttle(world, 0.5)
        s, _, _ = project_on_route(route, world.state[:1, :2])
        if -5.0 < s[0] + world.info.extent[0] - line < 0.0:
            slowest = min(slowest, float(world.state[0, VehicleState.VX]))
    assert s[0] > line, "having stood, it may go on"
    assert slowest < 2.0


def test_a_walker_who_walks_into_its_rear_side_is_waited_for(grid):
    # His middle is behind ego's rear, his shoulder is not: ego stays until he has gone by.
    route = long_straight(grid)
    x, y, _, yaw = route_poses(route, np.array([20.0 - 2.5]), -1.6)[0]
    walker = Scripted(
        straight(x, y, yaw + math.pi / 2, lambda t: 1.3 * t), AgentKind.WALKER, (0.3, 0.3)
    )
    world = World(grid, route, [walker], start_s=20.0, start_speed=1.0)
    command, _ = judged(world, Command(throttle=1.0))
    assert command.brake == 1.0


def test_wild_steering_is_limited_and_gentle_steering_is_not(grid):
    route = long_straight(grid)
    world = World(grid, route, start_s=20.0, start_speed=20.0)
    command, interventions = judged(world, Command(steer_norm=1.0))
    assert 0.0 < command.steer_norm < 0.2
    assert interventions[0].reason == "limit:lateral_accel"
    gentle = Command(throttle=0.2, steer_norm=0.01)
    command, interventions = judged(world, gentle)
    assert command is gentle
    assert interventions == ()


def beside(route, s: float, d: float, speed: float) -> Scripted:
    return Scripted(along(route, lambda t: s + speed * t, d))


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("ahead", [-1.0, 0.5])
def test_ego_does_not_steer_into_who_drives_beside_it(grid, side, ahead):
    route = long_straight(grid)
    other = beside(route, 20.0 + ahead, 3.0 * side, 12.0)
    world = World(grid, route, [other], start_s=20.0, start_speed=12.0)
    into = Command(throttle=0.2, steer_norm=0.08 * side)
    reasons = set()
    for _ in range(60):
        observation = world.observe()
        scene = world.driver.perception.perceive(observation)
        command = world.driver.safety.filter(into, PLAN, scene)
        reasons |= {i.reason for i in world.driver.safety.interventions}
        world.step(command)
        after = world.observe()
        ego, actors = after.ego, after.actors
        assert not boxes_touch(*ego.pose, *ego.extent, *actors.pose[0], *actors.extent[0])
    assert "lateral:2" in reasons


def test_the_road_goes_straight_on_where_the_route_changes_lanes(grid):
    """So that to keep to it, before who passes beside ego, is not to move over with the route."""
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & grid.right_change
    left = int(np.argmax(np.where(fits, grid.length, 0.0)))
    right = int(grid.right[left])
    change = plan_route(grid, left, 2.0, right, float(grid.length[right]) - 2.0)
    middle = float(change.s[np.flatnonzero(np.diff(change.lane))[0]])
    world = World(grid, change, start_s=middle, start_d=1.0)
    scene = world.driver.perception.perceive(world.observe())
    road = RoadAhead().find(scene, 60.0)
    assert road.d == pytest.approx(1.0, abs=0.05)
    along_it = np.array([np.cos(road.yaw[0]), np.sin(road.yaw[0])])
    across = np.array([-along_it[1], along_it[0]])
    assert np.ptp(road.xyz[:, :2] @ across) < 0.02  # one straight line, parallel to both lanes
    assert np.ptp(road.yaw) < 1e-3
    x, y = scene.ego.pose[:2] - road.d * across  # beside ego, where the route is now
    assert np.hypot(*(road.xyz[:, :2] - (x, y)).T).min() < 0.6


@pytest.mark.parametrize("throttle", [0.0, 0.2])
@pytest.mark.parametrize(("gap", "refused"), [(2.0, True), (60.0, False)])
def test_ego_does_not_pull_out_before_who_comes_from_behind(grid, gap, refused, throttle):
    """Neither fast nor while it slows down, so that the other comes up beside it."""
    route = long_straight(grid)
    other = beside(route, 70.0 - gap - 4.8, 3.5, 11.0)
    world = World(grid, route, [other], start_s=70.0, start_speed=12.0)
    safety = EmergencyBrake()
    reasons = set()
    for _ in range(60 if refused else 30):
        scene = world.driver.perception.perceive(world.observe())
        command = safety.filter(Command(throttle=throttle, steer_norm=0.06), PLAN, scene)
        reasons |= {i.reason for i in safety.interventions}
        world.step(command)
        after = world.observe()
        ego, actors = after.ego, after.actors
        assert not boxes_touch(*ego.pose, *ego.extent, *actors.pose[0], *actors.extent[0])
    assert ("lateral:2" in reasons) == refused


def test_who_follows_closely_is_nothing_to_brake_for(grid):
    route = long_straight(grid)
    follower = beside(route, 40.0 - 5.5, 0.0, 12.0)
    world = World(grid, route, [follower], start_s=40.0, start_speed=12.0)
    command, interventions = judged(world, Command(throttle=0.3))
    assert command == Command(throttle=0.3)
    assert interventions == ()


@pytest.fixture(scope="module")
def bend(ring):
    """The lane of the ring that turns left the most, beside one of the other direction."""
    lanes = np.flatnonzero(
        (ring.kind == LaneKind.DRIVING) & (ring.junction < 0) & (ring.opposite >= 0)
        & (ring.length > 120.0)
    )  # fmt: skip
    turn = [np.diff(np.unwrap(ring.yaw[ring.points(int(lane))])).sum() for lane in lanes]
    lane = int(lanes[np.argmax(turn)])
    return plan_route(ring, lane, 1.0, lane, float(ring.length[lane]) - 1.0)


@pytest.mark.parametrize(("d", "brakes"), [(3.5, False), (0.5, True)])
def test_who_comes_round_a_bend_on_the_other_lane_is_nothing_to_brake_for(ring, bend, d, brakes):
    reasons = set()
    for start in np.arange(10.0, bend.length - 60.0, 15.0):
        x, y, yaw, _ = along(bend, lambda t, s=start + 36.0: s, d)(0.0)
        comes = Scripted(straight(x, y, yaw + math.pi, lambda t: 11.5 * t))
        world = World(ring, bend, [comes], start_s=start, start_speed=13.8)
        reasons |= {i.reason for i in judged(world, Command(throttle=0.4))[1]}
    assert ("emergency_brake:2" in reasons) == brakes


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_plan_that_is_no_number_is_braked_for_and_named(grid, broken):
    world = World(grid, long_straight(grid), start_s=20.0, start_speed=10.0)
    scene = world.driver.perception.perceive(world.observe())
    states = PLAN.states.copy()
    states[1, 3] = broken
    safety = EmergencyBrake()
    command = safety.filter(Command(throttle=1.0), replace(PLAN, states=states), scene)
    assert (command.throttle, command.brake) == (0.0, 1.0)
    assert [i.reason for i in safety.interventions] == ["plan:not_finite"]
    lost = replace(scene, ego=replace(scene.ego, speed=broken))
    command = safety.filter(Command(throttle=1.0), PLAN, lost)
    assert (command.throttle, command.brake) == (0.0, 1.0)
    assert [i.reason for i in safety.interventions] == ["scene:not_finite"]
    assert safety.filter(Command(throttle=0.2), PLAN, scene) == Command(throttle=0.2)


unit, signed = st.floats(0.0, 1.0), st.floats(-1.0, 1.0)
numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    st.lists(st.builds(Command, unit, unit, signed, st.booleans(), st.booleans()), min_size=1,
             max_size=4),
    arrays(np.float64, (3, NUM_STATES), elements=numbers),
    st.floats(0.0, 30.0), st.floats(1.0, 60.0), st.floats(-4.0, 4.0), st.floats(0.0, 20.0),
)  # fmt: skip
def test_whatever_the_plan_the_command_is_within_limits_and_never_less_safe(
    grid, commands, states, speed, gap, d, other_speed
):
    route = long_straight(grid)
    other = beside(route, 20.0 + gap, d, other_speed)
    world = World(grid, route, [other], start_s=20.0, start_speed=speed)
    safety = EmergencyBrake()
    plan = Plan(states, np.zeros((2, NUM_INPUTS)), np.full(2, 0.1), "anything")
    last = Command()
    for before in commands:
        scene = world.driver.perception.perceive(world.observe())
        after = safety.filter(before, plan, scene)
        assert 0.0 <= after.throttle <= before.throttle
        assert before.brake <= after.brake <= 1.0
        assert after.throttle == 0.0 or after.brake == 0.0
        assert after.hand_brake == before.hand_brake
        assert not after.reverse
        assert (after == before) == (not safety.interventions)
        # Between what came in and: straight ahead, the tick before, or along the (straight) road.
        road = 0.05 if abs(scene.ego.pose[2] - route.yaw[20]) < 1e-6 else 1.0
        low = min(before.steer_norm, last.steer_norm, -road)
        high = max(before.steer_norm, last.steer_norm, road)
        assert low - 1e-9 <= after.steer_norm <= high + 1e-9
        assert all(math.isfinite(i.margin) for i in safety.interventions)
        last = after
        world.step(after)


def test_nothing_is_guarded_when_nothing_shall_be(grid):
    world = World(grid, long_straight(grid), start_s=20.0, start_speed=10.0)
    scene = world.driver.perception.perceive(world.observe())
    wild = Command(1.0, 1.0, 1.0)
    safety = NoSafety()
    assert safety.filter(wild, PLAN, scene) is wild
    assert safety.interventions == ()


def test_it_shares_no_module_with_the_planner_that_it_guards():
    folder = Path(planner.__file__).parent
    for file in folder.glob("safety*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("planner"):
                assert node.module.startswith("planner.safety"), (file.name, node.module)
            elif isinstance(node, ast.Import):
                assert not any(a.name.startswith("planner") for a in node.names), file.name


def test_way_until_rest():
    assert travelled(1.0, 10.0, 2.0, 5.0) == 10.0
    assert travelled(100.0, 10.0, 1.0, 5.0) == pytest.approx(10.0 + 10.0**2 / (2.0 * 5.0))


def test_way_sideways_is_that_of_definition_6():
    response, accel, brake, speed = 0.3, 0.5, 2.0, 1.0
    after = speed + accel * response
    expected = 0.5 * (speed + after) * response + after**2 / (2.0 * brake)
    assert lateral_reach(100.0, speed, response, accel, brake) == pytest.approx(expected)
    assert lateral_reach(100.0, -1.0, response, accel, brake) == 0.0


def test_touching_boxes():
    assert boxes_touch(0, 0, 0, 2, 1, 3.9, 0, 0, 2, 1)
    assert not boxes_touch(0, 0, 0, 2, 1, 4.1, 0, 0, 2, 1)
    diagonal = 2.0 + math.sqrt(2.0)
    assert boxes_touch(0, 0, 0, 2, 1, diagonal - 0.01, 0, math.pi / 4, 1, 1)
    assert not boxes_touch(0, 0, 0, 2, 1, diagonal + 0.01, 0, math.pi / 4, 1, 1)


def test_nonsense_is_refused_by_name():
    with pytest.raises(ValueError, match=r"SafetyConfig\.lead_brake"):
        replace(SafetyConfig(), lead_brake=0.0)


@pytest.mark.parametrize(
    ("name", "kind"), [("emergency_brake", EmergencyBrake), ("none", NoSafety)]
)
def test_it_is_chosen_by_name(name, kind):
    config, _ = compose_drive([f"safety={name}"])
    assert isinstance(build_driver(config).safety, kind)
