"""Towns for the planner's closed loops."""

import pytest

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import LaneGraph


@pytest.fixture(scope="session")
def grid() -> LaneGraph:
    return load_town("grid").lane_graph


@pytest.fixture(scope="session")
def ring() -> LaneGraph:
    return load_town("ring").lane_graph
