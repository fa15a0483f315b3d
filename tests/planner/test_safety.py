"""The safety layer: brakes when a reaction later would be too late, and only then."""

import math
from dataclasses import replace

import numpy as np
import pytest

from headway.road.frenet import route_poses
from headway.road.lane_graph import StopKind
from headway.types import AgentKind, Command, SignalState
from planner.safety import EmergencyBrake, SafetyConfig
from planner.safety_reach import boxes_touch, travelled
from tests.planner.harness import Scripted, World, along, straight
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
    for gap, brakes in ((1.0, True), (6.0, False)):
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
    for gap, brakes in ((40.0, False), (12.0, True), (2.0, False)):
        start = float(itinerary.stop_s[0]) - 2.4 - gap
        world = World(grid, route, signals=lambda t: red, start_s=start, start_speed=11.0)
        command, interventions = judged(world, Command(throttle=0.5))
        assert (command.brake == 1.0) == brakes, gap
        assert any(i.reason.startswith("red_light") for i in interventions) == brakes


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


def test_it_never_makes_a_command_less_safe(grid):
    route = long_straight(grid)
    rng = np.random.default_rng(0)
    standing = Scripted(along(route, lambda t: 45.0))
    for _ in range(100):
        world = World(grid, route, [standing], start_s=20.0, start_speed=rng.uniform(0.0, 20.0))
        before = Command(rng.uniform(), rng.uniform(), rng.uniform(-1.0, 1.0))
        after, _ = judged(world, before)
        assert after.throttle <= before.throttle
        assert after.brake >= before.brake
        assert abs(after.steer_norm) <= abs(before.steer_norm) + 1e-12


def test_way_until_rest():
    assert travelled(1.0, 10.0, 2.0, 5.0) == 10.0
    assert travelled(100.0, 10.0, 1.0, 5.0) == pytest.approx(10.0 + 10.0**2 / (2.0 * 5.0))


def test_touching_boxes():
    assert boxes_touch(0, 0, 0, 2, 1, 3.9, 0, 0, 2, 1)
    assert not boxes_touch(0, 0, 0, 2, 1, 4.1, 0, 0, 2, 1)
    diagonal = 2.0 + math.sqrt(2.0)
    assert boxes_touch(0, 0, 0, 2, 1, diagonal - 0.01, 0, math.pi / 4, 1, 1)
    assert not boxes_touch(0, 0, 0, 2, 1, diagonal + 0.01, 0, math.pi / 4, 1, 1)


def test_nonsense_is_refused_by_name():
    with pytest.raises(ValueError, match=r"SafetyConfig\.lead_brake"):
        replace(SafetyConfig(), lead_brake=0.0)
