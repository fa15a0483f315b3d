"""Into the lane that the route changes to, and out of a place beside the road: with a gap."""

from __future__ import annotations

import numpy as np
import pytest

from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneKind
from headway.road.routing import plan_route
from planner.idm import IdmPlanner
from planner.merging import find_merges
from planner.mpc.planner import MpcPlanner

from .harness import Scripted, World, along, make_driver

WIDTH = 3.5  # [m] of a lane of this town
PARKED = -3.2  # [m] beside the lane's middle


@pytest.fixture(scope="module")
def lanes(grid):
    """The longest lane that has another of its direction to its right, and that one."""
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & grid.right_change
    left = int(np.argmax(np.where(fits, grid.length, 0.0)))
    return left, int(grid.right[left])


@pytest.fixture(scope="module")
def change(grid, lanes):
    """A route from the left one to the right one."""
    left, right = lanes
    return plan_route(grid, left, 2.0, right, float(grid.length[right]) - 2.0)


@pytest.fixture(scope="module")
def straight(grid, lanes):
    """Along the right one."""
    _, right = lanes
    return plan_route(grid, right, 2.0, right, float(grid.length[right]) - 2.0)


def stream(route, places, speed):
    return [Scripted(along(route, lambda t, s=s: s + speed * t)) for s in places]


def drive(grid, route, scripts, seconds, speed=9.0, **start):
    driver = make_driver(MpcPlanner())
    return World(
        grid, route, scripts, start_speed=speed, driver=driver, **start
    ).drive(seconds)  # fmt: skip


def test_a_lane_change_of_the_route_by_hand(grid, change):
    rules = IdmPlanner()
    rules.follow(grid, change)
    (merge,) = find_merges(grid, change, rules.route_path)
    swap = float(change.s[np.flatnonzero(np.diff(change.lane))[0]])
    assert swap - 22.5 < merge.begin < swap - 15.0  # half of CHANGE_LENGTH, begun gently
    late = np.hypot(*(merge.stay.xy - rules.route_path.xy).T)
    assert late[change.s < merge.begin - 1.0].max() == pytest.approx(0.0, abs=1e-9)
    assert late[change.s > swap + 25.0] == pytest.approx(WIDTH, abs=0.06)
    left = int(change.lane[0])
    assert merge.along[left if left in merge.along else int(change.lane[-1])] == pytest.approx(
        change.s[-1] - change.lane_s[-1], abs=1.0
    )


def test_it_changes_where_the_route_does_when_nobody_is_there(grid, change):
    world = drive(grid, change, [], 9.0)
    s, d = world.s_d()
    assert np.abs(d).max() < 0.5
    assert s[-1] > 70.0


def test_it_stays_in_its_lane_beside_a_stream_and_goes_behind_it(grid, change, straight):
    # Three abreast and behind, 12 m apart: too near for ego to fit between them.
    world = drive(grid, change, stream(straight, 6.0 - 12.0 * np.arange(3), 9.0), 25.0)
    assert not world.overlaps
    s, d = world.s_d()
    swap = float(change.s[np.flatnonzero(np.diff(change.lane))[0]])
    beside = d[(s > swap + 22.5) & (s < swap + 30.0)]
    assert len(beside)
    assert beside == pytest.approx(WIDTH, abs=0.6)  # the route has changed, ego has not
    assert abs(d[-1]) < 0.4  # and in the end it has
    assert world.driver.trace.column("speed").min() > 2.0  # without stopping


def test_it_takes_a_gap_in_a_stream_that_is_long_enough(grid, change, straight):
    world = drive(grid, change, stream(straight, [35.0, -5.0, -40.0, -75.0], 9.0), 9.0)
    assert not world.overlaps
    assert abs(world.s_d()[1][-1]) < 0.4
    at = world.car.ego().pose[None, :2]
    ego = project_on_route(straight, at)[0][0]
    ahead = [script.motion(world.t)[0] for script in world.scripts]
    order = [project_on_route(straight, np.array([script.motion(world.t)[:2]]))[0][0]
             for script in world.scripts]  # fmt: skip
    assert len(ahead) == 4
    assert order[1] < ego < order[0]  # between the first two


@pytest.mark.parametrize("room", [9.7, 11.0])
def test_out_of_a_parking_place_in_one_go_behind_the_stream(grid, straight, room):
    stands = [
        Scripted(along(straight, lambda t, s=s: s, PARKED)) for s in (30.0 - room, 30.0 + room)
    ]
    passers = stream(straight, 28.0 - 22.0 * np.arange(3), 8.0)
    world = drive(grid, straight, [*stands, *passers], 20.0, 0.0, start_s=30.0, start_d=PARKED)
    assert not world.overlaps
    s, d = world.s_d()
    t = world.driver.trace.column("t")
    assert s[t < 5.0].max() - s[0] < 0.5  # it stays where it is, as long as they pass
    assert s[-1] > 60.0
    assert d[-1] > -0.4  # or on the lane to the left already, as they are slow
