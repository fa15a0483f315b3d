"""What every rival does on the grid: an empty route to its end, and a red light."""

from __future__ import annotations

import numpy as np
import pytest

from headway.road.lane_graph import StopKind
from headway.road.routing import random_route
from headway.types import SignalState
from planner.frenet.planner import FrenetPlanner
from planner.pdm_closed.planner import PdmClosedPlanner

from .harness import World, make_driver
from .test_drive import front, goal_reached, lights, speeds, spot


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("planner", "off"), [(FrenetPlanner, 0.4), (PdmClosedPlanner, 1.2)])
def test_an_empty_route_is_driven_to_its_end(grid, planner, off, seed):
    route = random_route(grid, seed, min_length=500.0, max_length=800.0)
    world = World(grid, route, driver=make_driver(planner())).drive(200.0, goal_reached)
    assert goal_reached(world)
    s, d = world.s_d()
    assert abs(s[-1] - route.length) < 1.5
    assert np.abs(d).max() < off
    limit = np.interp(s, route.s, route.speed_limit)
    assert (speeds(world) - limit).max() < 0.5
    assert world.driver.trace.intervention_share() < 0.01


@pytest.mark.parametrize(("planner", "turn"), [(FrenetPlanner, 1), (PdmClosedPlanner, 0)])
def test_a_red_light_is_stopped_at_until_it_is_green(grid, planner, turn):
    _, route, itinerary = spot(grid, StopKind.LIGHT, turn)
    signals = lights(grid, (-1.0, SignalState.RED), (18.0, SignalState.GREEN))
    world = World(grid, route, signals=signals, driver=make_driver(planner()))
    world.drive(50.0, goal_reached)
    t, at = world.driver.trace.column("t"), front(world)
    assert 0.3 < itinerary.stop_s[0] - at[t < 18.0].max() < 4.0
    assert speeds(world)[np.searchsorted(t, 17.9)] < 0.05
    assert any(a.startswith("red_light") for r in world.driver.trace.records for a in r.active)
    assert goal_reached(world)
