"""One checker for every registered planner: what the rest of the driver relies on."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from headway.parts import PARTS
from headway.road.frenet import project_on_route, route_poses
from headway.road.random_route import random_route
from headway.types import (
    NUM_INPUTS,
    NUM_STATES,
    AgentKind,
    Agents,
    Goal,
    InputIndex,
    StateIndex,
)
from language.route import RouteLanguage
from tests.planner.harness import Scripted, World, along, make_driver, straight
from world_model.constant_velocity import ConstantVelocity

PLANNERS = [p for p in PARTS if p.group == "planner" and not p.on_server]
POSE = [StateIndex.X, StateIndex.Y, StateIndex.YAW]
LEAD_S, LEAD_SPEED = 45.0, 5.0  # [m] and [m/s] of who is ahead at first


@pytest.fixture(params=PLANNERS, ids=lambda part: part.name)
def planner(request):
    part = request.param
    return part.make(part.config_class()())


class Told(RouteLanguage):
    """Follows the route, with something added to the goal."""

    def __init__(self, **changes) -> None:
        self.changes = changes

    def goal(self, scene):
        return replace(super().goal(scene), **self.changes)


@pytest.fixture(scope="module")
def route(grid):
    """One that begins with 150 m of straight lane."""
    for seed in range(100):
        found = random_route(grid, seed, 300.0, 500.0, min_junctions=1)
        begins = found.s < 150.0
        if (
            np.ptp(np.unwrap(found.yaw[begins])) < 0.01
            and (grid.junction[found.lane[begins]] < 0).all()
            and found.speed_limit[begins].min() > 10.0
        ):
            return found
    raise LookupError


@pytest.fixture(scope="module")
def scenes(grid, route):
    """Five seconds behind a lead, with a walker who crosses and a car that comes towards us."""
    x, y, _, yaw = route_poses(route, np.array([70.0]), -6.0)[0]
    oncoming = route_poses(route, np.array([120.0]), 4.0)[0]
    scripts = [
        Scripted(along(route, lambda t: LEAD_S + LEAD_SPEED * t)),
        Scripted(straight(x, y, yaw + np.pi / 2, lambda t: 1.4 * t), AgentKind.WALKER, (0.2, 0.2)),
        Scripted(straight(oncoming[0], oncoming[1], oncoming[3] + np.pi, lambda t: 9.0 * t)),
    ]
    part = next(p for p in PLANNERS if p.name == "idm")
    world = World(grid, route, scripts, start_s=5.0, start_speed=8.0,
                  driver=make_driver(part.make(part.config_class()())))  # fmt: skip
    seen = []
    world.drive(5.0, until=lambda w: seen.append(w.driver.scene) is not None)
    assert len(seen) == 100
    return seen


def goal_of(scene, **changes) -> Goal:
    return Told(**changes).goal(scene)


def plan_all(planner, scenes, **changes):
    """Proposals and plan of each scene, in the order of the driver."""
    out = []
    for scene in scenes:
        goal = goal_of(scene, **changes)
        proposals = planner.propose(scene, goal)
        forecast = ConstantVelocity().imagine(scene, goal, proposals)
        out.append((proposals, planner.refine(scene, goal, proposals, forecast)))
    return out


def check(scene, proposals, plan) -> None:
    """Shapes, types, finite numbers, names, and that both begin where ego is now."""
    p, steps = len(proposals), proposals.inputs.shape[1]
    assert p >= 1
    assert proposals.states.shape == (p, steps + 1, NUM_STATES)
    assert proposals.dt > 0.0
    assert steps * proposals.dt >= 2.0
    assert len(set(proposals.names)) == p
    assert len(proposals.reason) in (0, p)
    n = len(plan.dt)
    assert n >= 1
    assert plan.states.shape == (n + 1, NUM_STATES)
    assert plan.inputs.shape == (n, NUM_INPUTS)
    assert (plan.dt > 0.0).all()
    assert plan.name in proposals.names, "the Trace shows the forecast under it"
    assert all(isinstance(name, str) for name in plan.active)
    assert np.isfinite(plan.required_decel)
    assert plan.required_decel >= 0.0
    assert all(np.isfinite(v) for v in plan.cost.values())
    for array in (proposals.states, proposals.inputs, plan.states, plan.inputs, plan.dt):
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    now = np.array([*scene.ego.pose, max(scene.ego.speed, 0.0)])
    for states in (*proposals.states, plan.states):
        away = states[0, : StateIndex.SPEED + 1] - now
        away[StateIndex.YAW] = np.remainder(away[StateIndex.YAW] + np.pi, 2.0 * np.pi) - np.pi
        np.testing.assert_allclose(away, 0.0, atol=1e-6)


def check_motion(states, inputs, dt) -> None:
    """A car can do it: way, speed, acceleration and steering belong together."""
    speed, accel = states[:, StateIndex.SPEED], states[:, StateIndex.ACCEL]
    steer = states[:, StateIndex.STEER]
    assert (speed >= -1e-9).all()
    way = np.hypot(np.diff(states[:, StateIndex.X]), np.diff(states[:, StateIndex.Y]))
    np.testing.assert_allclose(way, 0.5 * dt * (speed[1:] + speed[:-1]), atol=0.15)
    np.testing.assert_allclose(np.diff(accel), dt * inputs[:, InputIndex.JERK], atol=1e-6)
    np.testing.assert_allclose(np.diff(steer), dt * inputs[:, InputIndex.STEER_RATE], atol=1e-6)
    assert np.abs(steer).max() < 1.3
    assert accel.min() > -10.0
    assert accel.max() < 6.0


def test_proposals_and_plans_are_what_the_driver_takes_them_for(planner, scenes):
    for scene, (proposals, plan) in zip(scenes, plan_all(planner, scenes), strict=True):
        check(scene, proposals, plan)
        check_motion(plan.states, plan.inputs, plan.dt)
        for states, inputs in zip(proposals.states, proposals.inputs, strict=True):
            check_motion(states, inputs, proposals.dt)


def bits(results):
    return [
        (o.states.tobytes(), o.inputs.tobytes(), n.states.tobytes(), n.inputs.tobytes(), n.name,
         n.active, n.required_decel, o.names, o.reason)
        for o, n in results
    ]  # fmt: skip


def test_after_a_reset_the_same_scenes_give_the_same_plans_to_the_bit(planner, scenes):
    first = bits(plan_all(planner, scenes))
    planner.reset()
    assert bits(plan_all(planner, scenes)) == first
    assert bits(plan_all(type(planner)(), scenes)) == first, "a fresh one too"
    # What was in between is forgotten.
    planner.reset()
    plan_all(planner, scenes[60:], speed_cap=2.0)
    planner.reset()
    assert bits(plan_all(planner, scenes)) == first


def arrays_of(thing, path=""):
    """Every array within nested dataclasses, by its path."""
    if isinstance(thing, np.ndarray):
        yield path, thing
    elif is_dataclass(thing):
        for entry in fields(thing):
            yield from arrays_of(getattr(thing, entry.name), f"{path}.{entry.name}")


def test_it_leaves_what_it_is_given_as_it_is(planner, scenes):
    for scene in scenes[::20]:
        goal = goal_of(scene)
        before = {k: v.copy() for k, v in arrays_of(scene)}
        proposals = planner.propose(scene, goal)
        kept = {k: v.copy() for k, v in arrays_of(proposals)}
        forecast = ConstantVelocity().imagine(scene, goal, proposals)
        kept_forecast = {k: v.copy() for k, v in arrays_of(forecast)}
        planner.refine(scene, goal, proposals, forecast)
        for owner, copies in ((scene, before), (proposals, kept), (forecast, kept_forecast)):
            for name, array in arrays_of(owner):
                np.testing.assert_array_equal(array, copies[name], err_msg=name)


def test_what_it_gave_is_not_changed_by_the_next_tick(planner, scenes):
    results = plan_all(planner, scenes[:3])
    first = bits(results[:1])
    plan_all(planner, scenes[3:6])
    assert bits(results[:1]) == first


def empty_agents() -> Agents:
    return Agents(
        id=np.zeros(0, np.int64), kind=np.zeros(0, np.int8), pose=np.zeros((0, 3)), z=np.zeros(0),
        velocity=np.zeros((0, 2)), yaw_rate=np.zeros(0), extent=np.zeros((0, 2)),
        covariance=np.zeros((0, 5, 5)), history=np.zeros((0, 40, 4)),
        history_mask=np.zeros((0, 40), bool),
    )  # fmt: skip


def test_an_empty_road_is_driven_along(planner, scenes):
    alone = [replace(scene, agents=empty_agents()) for scene in scenes[:20]]
    for scene, (proposals, plan) in zip(alone, plan_all(planner, alone), strict=True):
        check(scene, proposals, plan)
    assert plan.states[-1, StateIndex.SPEED] > alone[-1].ego.speed
    assert not plan.active or plan.active[0] in ("limit", "curve")


@pytest.mark.parametrize("aside", [60.0, 400.0])
def test_with_no_lane_near_it_still_gives_a_plan(planner, scenes, aside):
    def lost(scene):
        yaw = scene.ego.pose[2]
        pose = scene.ego.pose + np.array([-aside * np.sin(yaw), aside * np.cos(yaw), 0.0])
        far = scene.agents.pose + np.array([3.0 * aside, aside, 0.0])
        agents = replace(scene.agents, pose=far)
        return replace(scene, ego=replace(scene.ego, pose=pose), agents=agents)

    away = [lost(scene) for scene in scenes[:5]]
    for scene, (proposals, plan) in zip(away, plan_all(planner, away), strict=True):
        check(scene, proposals, plan)


@pytest.mark.parametrize("start_speed", [0.0, 9.0])
def test_it_keeps_to_the_speed_that_it_was_given(grid, route, planner, start_speed):
    cap = 5.0
    world = World(grid, route, start_s=5.0, start_speed=start_speed,
                  driver=make_driver(planner, Told(speed_cap=cap)))  # fmt: skip
    world.drive(12.0)
    speed = world.driver.trace.column("speed")
    assert speed[-100:].max() < cap + 0.3
    assert speed[-1] > cap - 1.0
    assert (np.diff(speed[: np.argmax(speed < cap + 0.3)]) < 0.05).all(), "it slows down at once"


@pytest.mark.parametrize("stop_s", [60.0, 110.0])
def test_it_stops_where_it_was_told_to(grid, route, planner, stop_s):
    world = World(grid, route, start_s=5.0, start_speed=9.0,
                  driver=make_driver(planner, Told(stop_s=stop_s)))  # fmt: skip
    world.drive(25.0)
    s, _ = world.s_d()
    assert stop_s - 3.0 < s[-1] < stop_s + 0.2
    assert abs(world.driver.trace.column("speed")[-1]) < 0.1
    # The first second is that of a car that was thrown into motion.
    assert world.driver.trace.column("accel")[20:].min() > -4.5


def test_it_follows_a_slow_lead_and_stops_when_that_one_does(grid, route, planner):
    def lead(t):
        return 40.0 + 5.0 * min(t, 8.0) - (0.0 if t < 8.0 else -2.5 * min(t - 8.0, 2.0))

    world = World(grid, route, [Scripted(along(route, lead))], start_s=5.0, start_speed=9.0,
                  driver=make_driver(planner))  # fmt: skip
    world.drive(20.0)
    assert not world.overlaps
    s, _ = world.s_d()
    gap = lead(20.0) - s[-1] - 2.3 - world.info.extent[0]
    if s[-1] < lead(20.0):  # who passes by leaves nothing to follow
        assert 0.5 < gap < 8.0
        assert abs(world.driver.trace.column("speed")[-1]) < 0.2


def test_it_stays_on_its_route(grid, route, planner):
    world = World(grid, route, start_s=5.0, start_speed=5.0, driver=make_driver(planner))
    world.drive(60.0, until=lambda w: project_on_route(
        route, w.state[:, :2], None)[0][0] > route.length - 5.0)  # fmt: skip
    s, d = world.s_d()
    assert s[-1] > min(250.0, route.length - 6.0)
    assert np.abs(d).max() < 1.0
