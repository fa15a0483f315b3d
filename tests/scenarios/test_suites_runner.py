"""ScenarioRunner's own files: what is read, and which way ego is sent."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headway.road.routing import route_through
from scenarios.bench_jobs import BenchConfig, jobs_of
from scenarios.junctions import Side
from scenarios.spots import Spot, straight_on
from scenarios.suites import sites
from scenarios.suites.runner import is_scenario_file, read_scenarios
from tests.scenarios.scenario_files import ego, scenario, write


def test_a_scenario_is_a_drive_along_egos_lane_from_where_it_is_put(grid, tmp_path):
    start = sites.two_ways(grid)
    spot = Spot(grid, int(start.lane[0]), 20.0)
    given = (
        '<weather cloudiness="80" fog_density="7" colour="red"/>'
        '<other_actor x="1" y="2" z="3" yaw="90" model="vehicle.audi.tt"/>'
        '<flow_speed value="30"/>'
    )
    path = write(tmp_path, scenario("Lead_1", "FollowLeadingVehicle", ego(spot), given))
    assert is_scenario_file(path)
    suite = read_scenarios(path)
    assert suite.errors == ()
    assert "'colour'" in suite.notes[0]
    (spec,) = suite.routes
    assert (spec.id, spec.town, spec.limit_s) == ("Lead_1", "grid", 60.0)
    assert spec.weather_at(0.5)["cloudiness"] == 80.0
    assert spec.weather_at(0.5)["sun_altitude_angle"] == 70.0, "a clear day but for what differs"
    (lead,) = spec.scenarios
    assert set(lead.parameters) == {"flow_speed"}
    (other,) = lead.others
    assert (other.model, other.at.x, other.at.y) == ("vehicle.audi.tt", 1.0, -2.0)
    assert other.at.yaw == pytest.approx(-math.pi / 2)
    route = route_through(grid, spec.keypoints[:, :2])
    at = spot.beside(0.0)
    assert route.xyz[0, :2] == pytest.approx((at.x, at.y), abs=0.1)
    assert (lead.trigger.x, lead.trigger.y) == pytest.approx((at.x, at.y), abs=1e-3)
    assert 300.0 < route.length < 1100.0
    first = int(np.argmax(grid.junction[route.lane] >= 0))
    assert first > 0, "it goes on through junctions"
    assert route.lane[first] == straight_on(grid, int(route.lane[first - 1]))


@pytest.mark.parametrize(("kind", "turn"), [("VehicleTurningLeft", 1), ("VehicleTurningRight", -1)])
def test_who_is_to_turn_turns_at_the_first_junction(grid, tmp_path, kind, turn):
    approach = next(sites.turns(grid, turn, None, lambda approach: True))
    spot = Spot(grid, int(approach.lane[0]), float(approach.lane_s[0]))
    (spec,) = read_scenarios(write(tmp_path, scenario("a", kind, ego(spot)))).routes
    route = route_through(grid, spec.keypoints[:, :2])
    inside = route.lane[grid.junction[route.lane] >= 0]
    assert grid.turn[inside[0]] == turn


@pytest.mark.parametrize(
    ("kind", "turn"), [("SignalizedJunctionLeftTurn", 1), ("SignalizedJunctionRightTurn", -1)]
)
def test_who_is_to_turn_at_lights_turns_at_lights(grid, tmp_path, kind, turn):
    approach = next(sites.turns(grid, turn, True, sites.met_from(Side.OPPOSITE)))
    spot = Spot(grid, int(approach.lane[0]), float(approach.lane_s[0]))
    (spec,) = read_scenarios(write(tmp_path, scenario("a", kind, ego(spot)))).routes
    route = route_through(grid, spec.keypoints[:, :2])
    turned = [lane for lane in np.unique(route.lane) if grid.turn[lane] == turn]
    lit = grid.stop_junction_lane[grid.stop_signal >= 0]
    before = {int(p) for lane in turned for p in grid.predecessors(int(lane))}
    stops = set(grid.stop_lane[grid.stop_signal >= 0].tolist())
    assert before & stops or set(turned) & set(lit.tolist())


def test_what_cannot_be_driven_is_named_by_line_and_the_others_go_on(grid, tmp_path):
    spot = Spot(grid, int(sites.two_ways(grid).lane[0]), 20.0)
    here = ego(spot)
    text = (
        scenario("twice", "FreeRide", here + here)
        + scenario("away", "FreeRide", '<ego_vehicle x="9000" y="9000" z="0" yaw="0"/>')
        + scenario("none", "FreeRide", here, town="Atlantis")
        + scenario("good", "FreeRide", here)
        + scenario("good", "ControlLoss", here)
        + scenario("odd", "Flood", here)
    )
    path = write(tmp_path, text)
    suite, jobs = jobs_of(BenchConfig(suite=str(path)))
    assert [job.route for job in jobs] == ["good"]
    assert suite.routes[0].limit_s == 0.0, "a free ride has no end but its road's"
    said = [str(error).removeprefix(f"{path}:") for error in suite.errors]
    assert said[0] == "2: <scenario>: expected one <ego_vehicle>, got 2"
    assert said[1].startswith("3: <scenario>: grid: no driving lane near x 9000.0")
    assert said[2] == "6: <scenario>: name 'good' is that of line 5 already"
    assert said[3].startswith("4: <scenario>: the town 'Atlantis' is not installed")
    assert said[4].startswith("7: <scenario>: scenarios of type 'Flood' are not ours yet")
