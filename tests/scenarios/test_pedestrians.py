"""Walkers who step out on a real server: who looks brakes for them, who does not hits them."""

from __future__ import annotations

import numpy as np
import pytest

from carla_bridge.session import Session
from tests.scenarios.played import TRIGGER, drive, long_lane, spec_of


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


@pytest.mark.parametrize(
    "kind",
    ["DynamicObjectCrossing", pytest.param("ParkingCrossingPedestrian", marks=pytest.mark.slow)],
)
def test_who_looks_brakes_for_the_walker_and_who_does_not_hits_it(session, kind):
    route = long_lane(session.lane_graph)
    spec = spec_of(kind, route, distance=45.0)
    episode, _, s, _ = drive(session, route, spec, careful=True)
    speed = episode.trace.column("speed")
    assert episode.ending == "completed"
    assert episode.criteria.collisions.infractions == []
    near = (s > TRIGGER + 20.0) & (s < TRIGGER + 45.0)
    assert speed[near].min() < 0.6 * speed[s < TRIGGER + 30.0].max(), "it slowed down"
    assert np.ptp(s) > 100.0
    episode, _, _, _ = drive(session, route, spec, careful=False, limit=25.0)
    hit = episode.criteria.collisions.infractions[0]
    assert hit.partner_type.startswith("walker.")
    assert hit.at_fault
