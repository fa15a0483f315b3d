"""After a long wait at a stop sign ego creeps to the edge of what it gives way to."""

import numpy as np

from headway.road.lane_graph import StopKind
from planner.mpc.planner import MpcPlanner

from .harness import Scripted, World, along, make_driver
from .test_drive import assert_clear, crossing_agent, front, goal_reached, spot


def test_it_stops_at_the_line_and_then_creeps_to_the_edge_of_the_crossing(grid):
    _, route, itinerary = spot(grid, StopKind.STOP, 0, with_yields=True)
    line, edge = float(itinerary.stop_s[0]), float(itinerary.conflict_s[:, 0].min())
    other, s = crossing_agent(grid, itinerary, True, 8.0, 14.0)
    stream = [Scripted(along(other, lambda t, k=k: s(t) - 25.0 * k)) for k in range(9)]
    world = World(grid, route, stream, driver=make_driver(MpcPlanner()))
    world.drive(80.0, goal_reached)
    at, speed = front(world), world.driver.trace.column("speed")
    assert_clear(world)
    assert goal_reached(world)
    stands = speed < 0.05
    at_line = stands & (at > line - 3.0) & (at < line)
    waits = stands & (at > line + 0.3) & (at < route.length - 10.0)  # not at the goal
    assert at_line.sum() > 10
    assert waits.sum() > 40, "it waits in front of the stream"
    assert (at[waits] < edge + 1.0).all(), "the first that is crossed may be free"
    assert np.flatnonzero(at_line)[0] < np.flatnonzero(waits)[0]
    creeps = (at > line) & (at < edge - 0.5)
    assert speed[creeps].max() < 3.0
    assert "creep" in {record.plan_name for record in world.driver.trace.records}
