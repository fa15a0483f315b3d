"""Leaderboard 1's triggers: which of them a route leads through, and what is played there."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scenarios.bench_jobs import BenchConfig, jobs_of, spec_of
from scenarios.junctions import Side
from scenarios.suites import sites
from scenarios.suites.leaderboard import Trigger
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import Place, Source
from scenarios.suites.triggers import scenarios_on

HERE = Source("by hand", 0, "trigger")


@pytest.fixture(scope="module")
def route(grid):
    """A left turn at lights, towards which others come."""
    return next(sites.turns(grid, 1, True, sites.met_from(Side.OPPOSITE)))


def place(route, s: float, left: float = 0.0, yaw: float = 0.0, up: float = 0.0) -> Place:
    k = int(np.searchsorted(route.s, s))
    x, y, z = map(float, route.xyz[k])
    at = float(route.yaw[k])
    return Place(x - left * math.sin(at), y + left * math.cos(at), z + up, at + yaw)


def trigger(number: int, at: Place, *others: Place) -> Trigger:
    return Trigger(f"Scenario{number}", at, {"left": others} if others else {}, HERE)


def found(grid, route, *triggers: Trigger) -> list[str]:
    return [spec.type for spec in scenarios_on(grid, route, triggers, [])]


@pytest.mark.parametrize(
    ("off", "matched"),
    [
        ({}, True),
        ({"left": 1.4, "up": 1.2}, True),
        ({"left": 1.5, "up": 1.5}, False),  # 2.1 m away
        ({"yaw": math.radians(9.0)}, True),
        ({"yaw": math.radians(11.0)}, False),
        ({"yaw": math.radians(180.0)}, False),  # who comes towards it
    ],
)
def test_a_route_leads_through_a_trigger_within_2_m_and_10_degrees(grid, route, off, matched):
    names = found(grid, route, trigger(1, place(route, 30.0, **off)))
    assert names == (["ControlLoss"] if matched else [])


def test_what_is_played_fits_the_way_that_ego_turns(grid, route):
    """Ego turns left at lights: nobody's right turn; the other way round nothing lies ahead."""
    at = place(route, 40.0)
    assert found(grid, route, trigger(8, at)) == ["SignalizedJunctionLeftTurn"]
    assert found(grid, route, trigger(9, at)) == []
    assert found(grid, route, trigger(4, at)) == ["VehicleTurningRoute"]
    (red,) = scenarios_on(grid, route, [trigger(7, at)], [])
    sides = ("left", "opposite", "right")
    assert red.type == "OppositeVehicleRunningRedLight"
    assert Parameters(red).choice("direction", sides) in sides
    behind = place(route, route.length - 30.0)
    assert found(grid, route, trigger(4, behind), trigger(7, behind), trigger(8, behind)) == []
    assert found(grid, route, trigger(10, behind)) == ["NoSignalJunctionCrossingRoute"]


def test_without_lights_nobody_runs_a_red_one_and_that_is_said(grid):
    """Upstream chooses it all the same, so that nothing else happens there."""
    route = next(sites.turns(grid, 1, False, sites.met_from(Side.OPPOSITE)))
    at, notes = place(route, 40.0), []
    assert scenarios_on(grid, route, [trigger(7, at), trigger(4, at)], notes) == ()
    assert notes == ["by hand: <trigger>: nobody comes to lights there; passed over"]


def test_one_place_has_one_scenario_the_highest_number(grid, route):
    at, beside, further = place(route, 30.0), place(route, 31.5), place(route, 34.0)
    names = found(grid, route, trigger(1, at), trigger(4, beside), trigger(3, at))
    assert names == ["VehicleTurningRoute"]
    names = found(grid, route, trigger(1, at), trigger(3, further))
    assert names == ["ControlLoss", "DynamicObjectCrossing"]


def test_who_would_stand_where_another_one_does_is_drawn_again_with_upstreams_dice(grid, route):
    at, other = place(route, 30.0), place(route, 60.0)
    taken = place(route, 31.0)
    first = trigger(8, at)
    fives = [trigger(5, other, taken), trigger(1, other), trigger(2, other), trigger(3, other)]
    dice = np.random.RandomState(0)
    expected = ("ControlLoss", "FollowLeadingVehicle", "DynamicObjectCrossing")[dice.choice(3)]
    assert found(grid, route, first, *fives) == ["SignalizedJunctionLeftTurn", expected]
    assert found(grid, route, first, fives[0]) == ["SignalizedJunctionLeftTurn"]


@pytest.fixture
def files(grid, route, tmp_path):
    """A file of routes of Leaderboard 1 and its file of triggers."""
    rows = [0, len(route.s) // 2, len(route.s) - 1]
    points = "".join(f'<waypoint x="{x}" y="{-y}" z="{z}"/>' for x, y, z in route.xyz[rows])
    routes = "".join(
        f'<route id="{k}" town="{town}">{points}</route>'
        for k, town in enumerate(("grid", "Atlantis"))
    )
    (tmp_path / "routes.xml").write_text(f"<routes>{routes}</routes>")

    def pose(at: Place) -> dict[str, str]:
        yaw = -math.degrees(at.yaw or 0.0)
        return {"x": str(at.x), "y": str(-at.y), "z": str(at.z), "yaw": str(yaw), "pitch": "0"}

    # The last patch of ControlLoss lies where ego waits for the light.
    at = {"Scenario1": place(route, 20.0), "Scenario8": place(route, 60.0, left=1.0),
          "Scenario3": place(route, 40.0, left=9.0)}  # fmt: skip
    entries = [
        {"scenario_type": kind, "available_event_configurations": [{"transform": pose(where)}]}
        for kind, where in at.items()
    ]
    document = {"available_scenarios": [{"grid": entries, "ring": entries}]}
    (tmp_path / "places.json").write_text(json.dumps(document))
    return str(tmp_path / "routes.xml"), str(tmp_path / "places.json")


def test_routes_get_the_scenarios_of_a_file_of_triggers(files):
    config = BenchConfig(suite=files[0], triggers=files[1])
    suite, jobs = jobs_of(config)
    assert [job.route for job in jobs] == ["0"]
    assert "the town 'Atlantis' is not installed" in str(suite.errors[0])
    spec = spec_of(config, "0")
    assert [s.name for s in spec.scenarios] == ["Scenario1_1", "Scenario8_2"]
    assert "places.json: <available_scenarios[0].grid[0]" in str(spec.scenarios[0].source)
    assert config.path.name == "bench-routes-places"
    assert spec_of(BenchConfig(suite=files[0]), "0").scenarios == ()
    with pytest.raises(ValueError, match=r"BenchConfig.triggers: story.xosc has no routes"):
        BenchConfig(suite="story.xosc", triggers=files[1])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_route_of_leaderboard_1_is_driven_among_its_scenarios(files, tmp_path):
    from tests.scenarios.test_bench import bench, rows_of

    told = (f"triggers={files[1]}", "score=1.0", "planners=[mpc]", "episode.time_limit_s=150")
    summary, _ = bench(files[0], tmp_path / "rows", *told)
    row = rows_of(tmp_path / "rows")["mpc 0 1"]
    assert row["scenarios"] == ["ControlLoss", "SignalizedJunctionLeftTurn"]
    assert row["status"] == "Completed"
    assert row["infractions"] == []
    assert summary["planners"]["mpc"]["driving_score"] == 100.0
