"""Random long routes: as NoCrash has them, in any town."""

from __future__ import annotations

import numpy as np

from carla_bridge.headless.towns import load_town
from headway.road.routing import route_through
from scenarios.suites.town_routes import DENSITIES, NUM_ROUTES, town_routes


def test_each_route_is_driven_at_three_densities():
    suite = town_routes(["village"])
    assert len(suite.routes) == NUM_ROUTES * len(DENSITIES) == 75
    assert suite.errors == ()
    by_density = [
        [r for r in suite.routes if r.difficulty == name] for name in ("empty", "regular", "dense")
    ]
    for empty, regular, dense in zip(*by_density, strict=True):
        np.testing.assert_array_equal(empty.keypoints, dense.keypoints)
        assert empty.weathers == regular.weathers == dense.weathers
        cars = [r.traffic["num_vehicles"] for r in (empty, regular, dense)]
        assert cars == sorted(cars)
        assert cars[0] == 0
    graph = load_town("village").lane_graph
    assert min(route_through(graph, r.keypoints[:, :2]).length for r in by_density[0]) > 300.0
    assert len({r.keypoints.tobytes() for r in by_density[0]}) == NUM_ROUTES
    again = town_routes(["village"])
    assert all(
        np.array_equal(a.keypoints, b.keypoints)
        for a, b in zip(suite.routes, again.routes, strict=True)
    )


def test_a_town_that_is_not_there_is_named_and_the_others_go_on():
    suite = town_routes(["nowhere", "ring"])
    assert len(suite.routes) == 75
    assert "nowhere" in str(suite.errors[0])
