"""What rows say of planners: means, intervals by routes, differences on common drives."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scenarios.abilities import ability_shares
from scenarios.parquet import write_parquet
from scenarios.scores import Outcome
from scenarios.summary import summary, tables

CLEAN = {name: getattr(Outcome(1.0), name) for name in Outcome.__dataclass_fields__}


def row_of(planner: str, route: int, score: float, seed: int = 1, **figures) -> dict:
    return {
        "key": f"{planner} {route} {seed}", "planner": planner, "route": str(route), "seed": seed,
        "driving_score": score, "success": score == 100.0, "outcome": CLEAN, "infractions": [],
        "scenarios": ["Accident"], "comfort": 0.5, "efficiency": None, "end": [0.0, 0.0, 0.0],
        "status": "Completed", "past_junction": False, **figures,
    }  # fmt: skip


def test_means_have_intervals_and_one_route_says_nothing_of_others():
    scores = np.random.default_rng(1).uniform(0.0, 100.0, 40)
    rows = [row_of("a", k, score) for k, score in enumerate(scores)]
    found = summary(rows, ["a"], "2.1")["a"]
    low, high = found["driving_score_ci"]
    half = 1.96 * scores.std() / 40**0.5
    assert found["driving_score"] == pytest.approx(scores.mean(), abs=1e-3)
    assert (low, high) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=1.5)
    assert summary(rows[:1], ["a"], "2.1")["a"]["driving_score_ci"] is None


def test_more_seeds_of_the_same_routes_are_no_more_routes():
    scores = np.random.default_rng(2).uniform(0.0, 100.0, 10)
    once = [row_of("a", k, score) for k, score in enumerate(scores)]
    often = [row_of("a", k, score, s) for s in range(1, 6) for k, score in enumerate(scores)]
    ends = [summary(rows, ["a"], "2.1")["a"]["driving_score_ci"] for rows in (once, often)]
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)


def test_others_are_compared_with_the_first_where_both_drove():
    rng = np.random.default_rng(3)
    rows = []
    for k, score in enumerate(rng.uniform(0.0, 90.0, 12)):
        rows += [row_of("a", k, score), row_of("b", k, score + 5.0 + rng.uniform(-1.0, 1.0))]
    rows += [row_of("b", 12, 100.0), {"planner": "a", "route": "12", "seed": 1, "error": "died"}]
    found = summary(rows, ["a", "b"], "2.1")
    less = found["b"]["minus_first"]
    assert (found["a"]["errors"], found["b"]["drives"], less["drives"]) == (1, 13, 12)
    low, high = less["driving_score_ci"]
    assert 4.0 < low < less["driving_score"] < high < 6.0, "the routes' own spread falls out"
    wide = found["b"]["driving_score_ci"]
    assert wide[1] - wide[0] > 10.0
    assert less["success_rate"] == 0.0
    json.dumps(found, allow_nan=False)
    assert len(tables(found, "2.1")) == 3, "figures, differences, abilities"


def test_nothing_driven_is_null_and_still_json():
    found = summary([], ["a"], "2.1")
    assert found["a"]["driving_score"] is None
    json.dumps(found, allow_nan=False)
    tables(found, "2.1")


def test_abilities_are_shares_of_routes_and_signs_are_heeded_by_who_fails_later():
    def turn(past_junction, red_lights=0, success=False):
        outcome = {**CLEAN, "red_lights": red_lights}
        return {"scenarios": ["SignalizedJunctionLeftTurn"], "success": success,
                "outcome": outcome, "past_junction": past_junction}  # fmt: skip

    rows = [turn(True, success=True), turn(True), turn(True, red_lights=1), turn(False)]
    assert ability_shares(rows) == {"Merging": 0.25, "Traffic_Signs": 0.5}


def test_a_table_of_rows_keeps_figures_types_and_gaps(tmp_path):
    from pyarrow import parquet

    lost = {"key": "a 2 1", "planner": "a", "route": "2", "seed": 1, "error": "died"}
    rows = [row_of("a", 1, 87.5), lost]
    table = parquet.read_table(write_parquet(tmp_path, rows))
    assert table.num_rows == 2
    columns = table.to_pydict()
    assert columns["driving_score"] == [87.5, None]
    assert columns["completion"] == [1.0, None]
    assert columns["error"] == [None, "died"]
    event = table.schema.field("infractions").type.value_type
    assert {field.name for field in event} >= {"kind", "t", "x", "y", "z", "partner_type"}
