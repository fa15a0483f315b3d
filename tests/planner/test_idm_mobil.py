"""Lane changes by MOBIL: on the motorway of the ring, along a route that leaves on the right."""

import numpy as np
import pytest

from headway.driver import Driver
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneKind
from headway.road.routing import plan_route
from headway.types import AgentKind
from language.route import RouteLanguage
from perception.privileged import PrivilegedPerception
from planner.detour import CLEAR, lane_beside, lay_detour, stretch_end
from planner.idm_mobil import IdmMobilConfig, IdmMobilPlanner
from planner.neighbours import Side
from planner.safety import EmergencyBrake
from planner.tracker import PlanTracker
from tests.planner.harness import Scripted, World, along
from world_model.constant_velocity import ConstantVelocity

EGO_SPEED = 20.0


@pytest.fixture(scope="module")
def route(ring):
    """The longest lane that has one to the left, and 60 m of the junction and road behind it."""
    good = (ring.kind == LaneKind.DRIVING) & (ring.junction < 0) & ring.left_change
    good &= (ring.left >= 0) & np.array([len(ring.successors(i)) > 0 for i in range(len(good))])
    lane = int(np.flatnonzero(good)[np.argmax(ring.length[good])])
    after = int(ring.successors(lane)[0])
    last = int(ring.successors(after)[0])
    return plan_route(ring, lane, 0.0, last, min(60.0, float(ring.length[last])))


def drive(ring, route, scripts, seconds, config=None):
    driver = Driver(
        PrivilegedPerception(), RouteLanguage(), ConstantVelocity(), IdmMobilPlanner(config),
        PlanTracker(), EmergencyBrake(),
    )  # fmt: skip
    world = World(ring, route, scripts, start_s=10.0, start_speed=EGO_SPEED, driver=driver)
    return world.drive(seconds, until=lambda w: on(route, w)[0] > route.length - 3.0)


def on(route, world):
    s, d, _ = project_on_route(route, world.state[:, :2], None)
    return float(s[0]), float(d[0])


def slow(route, start, speed, d=0.0):
    return Scripted(along(route, lambda t: start + speed * t, d))


def test_it_passes_a_slow_lead_and_is_back_before_it_has_to_be(ring, route):
    beside, offset = lane_beside(ring, route, Side.LEFT)
    by = stretch_end(ring, route, beside, 0.0)
    world = drive(ring, route, [slow(route, 60.0, 6.0)], 60.0)
    s, d = world.s_d()
    assert not world.overlaps
    assert s[-1] > route.length - 8.0
    assert np.abs(d.max() - offset[0]) < 0.4, "it was on the left lane"
    assert d.min() > -0.7
    aside = np.flatnonzero(d > 0.5)
    assert s[aside[-1]] < by + 2.0, "in time"
    assert 60.0 + 6.0 * world.t < s[-1], "past the lead"
    assert np.median(world.driver.trace.column("speed")) > 15.0
    lateral = world.driver.trace.column("lateral_accel")[20:]
    assert np.abs(lateral[s[20:] < by]).max() < 2.5


def test_with_changes_switched_off_it_stays_behind(ring, route):
    world = drive(ring, route, [slow(route, 60.0, 6.0)], 20.0, IdmMobilConfig(threshold=99.0))
    s, d = world.s_d()
    assert np.abs(d).max() < 0.7
    assert s[-1] < 60.0 + 6.0 * world.t


def test_it_does_not_move_over_into_whoever_is_beside(ring, route):
    offset = float(lane_beside(ring, route, Side.LEFT)[1][0])
    column = [slow(route, start, 20.0, offset) for start in (-45.0, -20.0, 5.0, 30.0)]
    world = drive(ring, route, [slow(route, 90.0, 6.0), *column], 4.0)
    _, d = world.s_d()
    assert not world.overlaps
    assert d.max() < 1.0


def test_it_comes_back_only_when_there_is_room(ring, route):
    """A row of slow cars on its own lane: it passes all that it can, and touches none."""
    row = [slow(route, start, 8.0) for start in (60.0, 85.0, 110.0)]
    world = drive(ring, route, row, 60.0)
    s, d = world.s_d()
    assert not world.overlaps
    assert d.max() > 3.0
    assert abs(d[-1]) < 0.7
    assert s[-1] > 400.0


def test_nobody_is_passed_where_the_stretch_is_too_short(ring, route):
    end = stretch_end(ring, route, lane_beside(ring, route, Side.LEFT)[0], 0.0)
    world = World(ring, route, [slow(route, end - 110.0, 6.0)], start_s=end - 150.0,
                  start_speed=15.0,
                  driver=Driver(PrivilegedPerception(), RouteLanguage(), ConstantVelocity(),
                                IdmMobilPlanner(), PlanTracker(), EmergencyBrake()))  # fmt: skip
    world.drive(10.0)
    assert np.abs(world.s_d()[1]).max() < 0.7


def test_a_walker_ahead_is_no_lead_to_be_passed(ring, route):
    walker = Scripted(along(route, lambda t: 120.0), AgentKind.WALKER, (0.2, 0.2))
    world = drive(ring, route, [walker], 20.0)
    s, d = world.s_d()
    assert np.abs(d).max() < 0.7
    assert s[-1] < 120.0


def test_a_detour_is_the_route_but_for_its_stretch(ring, route):
    beside, offset = lane_beside(ring, route, Side.LEFT)
    line = lay_detour(ring, route, beside, offset, 50.0, 250.0, 60.0)
    out = (route.s < 50.0) | (route.s > 250.0)
    np.testing.assert_allclose(line.xyz[out], route.xyz[out], atol=1e-9)
    np.testing.assert_array_equal(line.lane[out], route.lane[out])
    middle = (route.s > 115.0) & (route.s < 185.0)
    np.testing.assert_array_equal(line.lane[middle], ring.left[route.lane[middle]])
    _, d, _ = project_on_route(route, line.xyz[middle, :2], None)
    np.testing.assert_allclose(d, offset[middle], atol=0.05)
    assert (np.diff(line.s) > 0.5).all()
    chord = np.arctan2(np.diff(line.xyz[:, 1]), np.diff(line.xyz[:, 0]))
    error = np.abs(np.angle(np.exp(1j * (chord - line.yaw[:-1]))))
    assert error.max() < 0.08
    end = stretch_end(ring, route, beside, 50.0)
    ahead = (route.s > 50.0) & (route.s < end + CLEAR - 2.0)
    assert (ring.junction[route.lane[ahead]] < 0).all()
    assert (beside[ahead] >= 0).all()
