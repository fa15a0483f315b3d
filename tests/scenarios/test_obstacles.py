"""Obstacles in ego's lane on a real server: who looks changes lane, who does not hits them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, SimulatorConfig
from headway.road.route import Route
from scenarios.cast import Cast
from scenarios.families import PLAYS
from scenarios.stage import Stage
from tests.scenarios.played import TRIGGER, drive, long_lane, spec_of


@pytest.fixture(scope="module")
def session():
    with Session(town="grid") as running:
        yield running


@pytest.fixture(scope="module")
def route(session) -> Route:
    return long_lane(session.lane_graph)


@pytest.mark.parametrize(
    "kind",
    [
        "ParkedObstacle",
        pytest.param("Accident", marks=pytest.mark.slow),
        pytest.param("ConstructionObstacle", marks=pytest.mark.slow),
    ],
)
def test_who_looks_passes_beside_it_and_who_does_not_hits_it(session, route, kind):
    spec = spec_of(kind, route, distance=50.0)
    episode, stage, s, d = drive(session, route, spec, careful=True)
    there = np.abs(s - TRIGGER - 50.0) < 4.0
    assert episode.ending == "completed"
    assert episode.criteria.collisions.infractions == []
    assert d[there].min() > 1.0, "beside it, not through it"
    assert stage.timeouts == []
    episode, _, s, _ = drive(session, route, spec, careful=False, limit=25.0)
    hit = episode.criteria.collisions.infractions[0]
    assert hit.at_fault
    assert hit.s == pytest.approx(TRIGGER + 50.0, abs=15.0)


def test_what_cannot_be_played_is_reported_by_name_and_the_drive_goes_on(session, route):
    off = spec_of("ParkedObstacle", route, distance=50.0)
    off = replace(off, name="elsewhere", trigger=replace(off.trigger, x=off.trigger.x + 50.0))
    wrong = spec_of("Accident", route, distance=math.nan)
    stage = Stage(session, route, 1)
    cast = Cast(stage, PLAYS, [off, wrong])
    simulator = CarlaSimulator(session, SimulatorConfig(settle_s=0.5), lambda *_: cast)
    simulator.reset(route, 1)
    simulator.close()
    messages = [str(error) for error in cast.script.failures.values()]
    assert "does not lead through the trigger of elsewhere" in messages[0]
    assert "expected a number in 'value', got 'nan'" in messages[1]
