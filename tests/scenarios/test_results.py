"""The results file has upstream's layout, and its tools' rules find our scores in it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from scenarios.results import record_of, results_of, write_results
from scenarios.scores import Outcome, ScoreVersion, driving_score, succeeded
from scenarios.suites.spec import Place, RouteSpec, ScenarioSpec, Source, Weather

HERE = Source("by hand", 0, "route")
B2D, FIRST = ScoreVersion.BENCH2DRIVE, ScoreVersion.LEADERBOARD_1_0
SECOND = ScoreVersion.LEADERBOARD_2_1


def spec_of(number: str) -> RouteSpec:
    scenario = ScenarioSpec("Accident_1", "Accident", Place(0.0, 0.0, 0.0, 0.0), {}, HERE)
    points = np.array([[0.0, 0.0, 0.0], [300.0, 400.0, 0.0]])
    return RouteSpec(number, "grid", points, (Weather(0.0, {}),), (scenario,), HERE)


def row_of(number: str, status: str = "Completed", events=(), **outcome) -> dict:
    full = Outcome(**{"completion": 1.0, **outcome})
    return {
        "route": number, "seed": 1, "planner": "mpc", "status": status, "outcome": asdict(full),
        "infractions": list(events), "off_lane_m": 12.5, "length": 510.0, "sim_s": 60.0,
        "wall_s": 7.0, "end": [10.0, 20.0, 0.5],
    }  # fmt: skip


def event(kind: str, partner: int = 0, partner_type: str = "") -> dict:
    where = {"x": 1.0, "y": 2.0, "z": 3.0}
    return {"kind": kind, "partner": partner, "partner_type": partner_type, **where}


EVENTS = [
    event("collision", 7, "walker.pedestrian.0001"), event("collision", 8, "vehicle.audi.tt"),
    event("collision", 9, "static.prop.warningconstruction"), event("red_light"),
    event("stop_sign"),
]  # fmt: skip
BAD = row_of(
    "11", "Failed - Agent got blocked", EVENTS, completion=0.4, pedestrians=1, vehicles=1,
    statics=1, red_lights=1, stop_signs=1, scenario_timeouts=2, off_lane=0.25,
    slowness=(0.5, 0.876),
)  # fmt: skip


def test_messages_hold_what_tools_look_for_in_coordinates_of_carla():
    found = record_of(0, spec_of("11"), BAD, SECOND)["infractions"]
    at = "(x=1.0, y=-2.0, z=3.0)"
    assert found["collisions_pedestrian"] == [
        f"Agent collided against object with type=walker.pedestrian.0001 and id=7 at {at}"
    ]
    for name in ("collisions_vehicle", "collisions_layout", "red_light", "stop_infraction"):
        assert len(found[name]) == 1
        assert found[name][0].endswith(at)
    assert found["vehicle_blocked"] == ["Agent got blocked at (x=10.0, y=-20.0, z=0.5)"]
    assert len(found["scenario_timeouts"]) == 2
    off = found["outside_route_lanes"][0]
    assert float(off.split(" ")[8]) == 12.5, "metres are the ninth word"
    assert "(25.00% of the completed route)" in off
    slow = [re.search(r"\b\d+\.?\d*%", m).group() for m in found["min_speed_infractions"]]
    assert slow == ["50.0%", "87.6%"]


@pytest.mark.parametrize("version", ScoreVersion)
def test_a_record_has_our_scores_and_all_lists(version):
    record = record_of(3, spec_of("11"), BAD, version)
    outcome = Outcome(**BAD["outcome"])
    scores = record["scores"]
    assert scores["score_route"] == 40.0
    assert scores["score_composed"] == pytest.approx(driving_score(outcome, version), abs=1e-5)
    assert scores["score_composed"] == pytest.approx(40.0 * scores["score_penalty"], abs=1e-4)
    assert record["index"] == 3
    assert record["status"] == "Failed - Agent got blocked"
    if version is FIRST:
        assert record["route_id"] == "RouteScenario_11"
        assert len(record["infractions"]) == 9
        assert record["meta"]["route_length"] == 500.0, "straight lines between keypoints"
        assert "num_infractions" not in record
    else:
        assert record["route_id"] == "RouteScenario_11_rep0"
        assert len(record["infractions"]) == 12
        assert record["meta"] == {
            "route_length": 510.0, "duration_game": 60.0, "duration_system": 7.0
        }  # fmt: skip
        assert record["num_infractions"] == sum(map(len, record["infractions"].values())) == 11
    assert ("save_name" in record) == (version is B2D)


@pytest.mark.parametrize(
    "row",
    [row_of("11"), row_of("11", slowness=(0.5,)), row_of("11", off_lane=0.01), BAD,
     row_of("11", events=EVENTS[3:4], red_lights=1)],
)  # fmt: skip
def test_bench2drive_finds_the_successes_that_we_find(row):
    record = record_of(0, spec_of("11"), row, B2D)
    clean = not any(v for k, v in record["infractions"].items() if k != "min_speed_infractions")
    theirs = record["status"] in ("Completed", "Perfect") and clean
    assert theirs == succeeded(Outcome(**row["outcome"]))
    assert (record["status"] == "Perfect") == (theirs and not row["outcome"]["slowness"])


def test_the_ends_of_a_route_have_upstreams_names():
    late = row_of("11", "Failed - Agent timed out", completion=0.5)
    second, theirs = (record_of(0, spec_of("11"), late, v) for v in (SECOND, B2D))
    assert second["infractions"]["route_timeout"] == ["Route timeout."]
    assert theirs["status"] == "Failed - TickRuntime"
    assert theirs["infractions"]["route_timeout"] == []
    first = record_of(0, spec_of("11"), row_of("11"), FIRST)
    assert first["status"] == "Completed", "nothing is perfect there"


def test_scores_of_all_come_with_the_last_route_whatever_the_order():
    routes = [spec_of("11"), spec_of("7")]
    half = results_of(routes, [BAD], SECOND)
    assert half["entry_status"] == "Started"
    assert half["_checkpoint"]["global_record"] == {}
    assert half["_checkpoint"]["progress"] == [1, 2]
    both = results_of(routes, [row_of("7"), BAD], SECOND)
    assert both == results_of(routes, [BAD, row_of("7")], SECOND)
    checkpoint = both["_checkpoint"]
    ids = [(r["index"], r["route_id"]) for r in checkpoint["records"]]
    assert ids == [(0, "RouteScenario_11_rep0"), (1, "RouteScenario_7_rep0")]
    overall, km = checkpoint["global_record"], 0.51 * 1.4
    assert overall["status"] == "Failed"
    assert overall["scores_mean"]["score_route"] == 70.0
    assert overall["scores_std_dev"]["score_route"] == round(60.0 / 2**0.5, 3)
    assert overall["infractions"]["red_light"] == round(1.0 / km, 3)
    assert overall["infractions"]["outside_route_lanes"] == 0.013, "kilometres, not per one"
    assert overall["meta"]["total_length"] == 1020.0
    assert overall["meta"]["exceptions"] == [
        ["RouteScenario_11_rep0", 0, "Failed - Agent got blocked"]
    ]
    assert (both["entry_status"], both["eligible"]) == ("Finished", True)
    figures = dict(zip(both["labels"], both["values"], strict=True))
    assert len(figures) == 15
    assert figures["Avg. route completion"] == "70.0"
    assert figures["Scenario timeouts"] == str(round(2.0 / km, 3))


def test_leaderboard_1_sums_each_routes_own_rate():
    routes = [spec_of("11"), spec_of("7")]
    still = row_of("7", "Failed - Agent got blocked", EVENTS[3:4], completion=0.0, red_lights=1)
    both = results_of(routes, [BAD, still], FIRST)
    overall = both["_checkpoint"]["global_record"]
    assert overall["infractions"]["red_light"] == pytest.approx(1.0 / 0.2), "who stood is left out"
    assert overall["scores"]["score_route"] == 20.0
    assert len(both["values"]) == len(both["labels"]) == 12
    assert both["values"][1] == "20.000"
    assert both["entry_status"] == "Finished with agent errors"


def test_a_route_that_was_lost_is_in_the_file_and_makes_it_no_entry(tmp_path):
    lost = {"route": "7", "seed": 1, "planner": "mpc", "error": "its process died"}
    path = write_results(tmp_path, [spec_of("11"), spec_of("7")], [row_of("11"), lost], SECOND)
    results = json.loads(path.read_text())
    record = results["_checkpoint"]["records"][1]
    assert record["status"] == "Failed - Simulation crashed"
    assert record["scores"]["score_composed"] == 0.0
    assert (results["entry_status"], results["eligible"]) == ("Crashed", False)
    assert results["_checkpoint"]["global_record"]["scores_mean"]["score_composed"] == 50.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]
