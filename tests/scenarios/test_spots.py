"""Places on lanes, on the roads of our own town."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.road.lane_graph import LaneKind
from headway.road.queries import pose_at
from scenarios.spots import Spot, first_junction
from scenarios.suites.spec import Place


@pytest.fixture(scope="module")
def lane(grid):
    """The longest lane that has another of its direction to its right."""
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & grid.right_change
    return int(np.argmax(np.where(fits, grid.length, 0.0)))


def test_a_pose_of_the_map_belongs_to_the_lane_of_its_direction(grid, lane):
    x, y, z, yaw = pose_at(grid, lane, 20.0)
    spot = Spot.near(grid, Place(x, y, z, yaw))
    assert spot.lane == lane
    assert spot.s == pytest.approx(20.0, abs=0.1)
    assert Spot.near(grid, Place(x, y, z, yaw + math.pi)).lane != lane
    with pytest.raises(ValueError, match="no driving lane near"):
        Spot.near(grid, Place(x + 5000.0, y, z, yaw))


def test_a_place_lies_on_its_lane_where_a_projection_lies_beyond(grid, lane):
    """Samples of a lane may end half a millimetre behind its length."""
    length = float(grid.length[lane])
    assert Spot.within(grid, lane, length + 5e-4).s == length
    assert Spot.within(grid, lane, 20.0).s == 20.0
    end = Spot(grid, lane, length)
    for spot in (end.next_lane(-1), Spot.near(grid, end.beside(0.0))):
        assert spot.s <= grid.length[spot.lane]


def test_the_first_junction_on_a_line(grid, lane):
    line = Spot(grid, lane, float(grid.length[lane]) - 60.0).line(1500.0)
    inside = grid.junction[line.lane] >= 0
    found = first_junction(grid, line)
    assert found is not None
    begin, end = found
    assert not inside[:begin].any()
    assert inside[begin:end].all()
    assert not inside[end]
    later = first_junction(grid, line, end)
    assert later is not None
    assert later[0] == end + int(inside[end:].argmax()) > end
    assert first_junction(grid, Spot(grid, lane, 10.0).line(20.0)) is None


def test_ahead_goes_along_the_lanes_and_stops_before_a_junction(grid, lane):
    spot = Spot(grid, lane, 10.0)
    assert spot.ahead(30.0) == Spot(grid, lane, 40.0)
    assert spot.ahead(-4.0) == Spot(grid, lane, 6.0)
    end = spot.ahead(1000.0)
    assert grid.junction[end.lane] < 0
    assert end.s == grid.length[end.lane]
    assert grid.junction[int(grid.successors(end.lane)[0])] >= 0


def test_ahead_goes_on_over_a_joint_that_is_no_junction(ring):
    joints = [
        lane
        for lane in np.flatnonzero((ring.kind == LaneKind.DRIVING) & (ring.junction < 0))
        if len(ring.successors(lane)) and ring.junction[ring.successors(lane)[0]] < 0
        and ring.kind[ring.successors(lane)[0]] == LaneKind.DRIVING
    ]  # fmt: skip
    lane = int(joints[0])
    beyond = Spot(ring, lane, float(ring.length[lane]) - 3.0).ahead(5.0)
    assert beyond.lane == int(ring.successors(lane)[0])
    assert beyond.s == pytest.approx(2.0)


def test_beside_is_left_of_the_lane_and_along_it(grid, lane):
    spot = Spot(grid, lane, 20.0)
    x, y, _, yaw = pose_at(grid, lane, 20.0)
    place = spot.beside(1.5, turn=0.5, along=2.0)
    ahead = (place.x - x) * math.cos(yaw) + (place.y - y) * math.sin(yaw)
    left = -(place.x - x) * math.sin(yaw) + (place.y - y) * math.cos(yaw)
    assert (ahead, left) == pytest.approx((2.0, 1.5))
    assert place.yaw == pytest.approx(yaw + 0.5)


def test_the_edge_lies_beyond_all_lanes_of_the_direction(grid, lane):
    spot = Spot(grid, lane, 20.0)
    beside = Spot(grid, int(grid.right[lane]), 20.0)
    assert spot.edge(-1) == pytest.approx(beside.edge(-1) - 0.5 * (spot.width + beside.width))
    assert spot.edge(-1) < -1.4 * spot.width
