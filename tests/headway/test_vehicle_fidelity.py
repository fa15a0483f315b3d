"""The fidelity table: what it must reach, and that docs and data tell the same story."""

import csv

import numpy as np
import pytest

from scenarios.fidelity import DOCUMENT, document, summary
from scenarios.fidelity_experiments import Row, all_rows, recordings
from scenarios.fidelity_fit import FIGURES, cost, longitudinal_rows, search


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return all_rows()


def _of(rows: list[Row], source: str, words: str) -> list[Row]:
    found = [row for row in rows if row.source == source and words in row.what]
    assert found, f"no row of {source} says {words!r}"
    return found


def test_most_rows_reach_their_goal(rows):
    steady = [row for row in rows if row.kind == "steady"]
    delays = [row for row in rows if row.kind == "delay"]
    assert sum(row.reached for row in steady) >= 0.85 * len(steady)
    assert sum(row.reached for row in delays) >= len(delays) - 1  # 0.9.13's launch contradicts


def test_full_brake_is_that_of_the_calibration(rows):
    for row in _of(rows, "calibration", "brake 1, from"):
        assert row.reached, row
        assert -8.3 < row.ours < -6.2


def test_engine_braking_grows_with_speed_as_recorded(rows):
    pulses = _of(rows, "scripts", "brake 0.05, from")
    assert len(pulses) == 3
    assert all(row.reached for row in pulses)
    ratio = pulses[2].ours / pulses[0].ours
    assert ratio == pytest.approx(pulses[2].recorded / pulses[0].recorded, rel=0.08)


def test_identified_ego_speeds_are_close(rows):
    errors = [row.error for row in _of(rows, "garage", "throttle")]
    assert float(np.sqrt(np.mean(np.square(errors)))) < 0.07


def test_yaw_follows_steer_with_the_recorded_lag(rows):
    for row in _of(rows, "lanedet", "steer step"):
        assert row.reached, row


def test_shipped_figures_are_the_recorded_ones(shared):
    data = recordings()
    folder = shared / "data" / "real_carla"
    for name, key, column in (
        ("sysid_lateral.csv", "steer_step", "yaw_rate_dps"),
        ("sysid_longitudinal.csv", "patrol_step", "speed_kmh"),
    ):
        with (folder / name).open() as file:
            recorded = [float(line[column]) for line in csv.DictReader(file)]
        assert data[key][column] == pytest.approx(recorded, abs=6e-4)


def test_every_source_is_named_with_its_licence(rows):
    sources = recordings()["sources"]
    assert {row.source for row in rows} <= set(sources)
    assert all(source["licence"] and source["where"] for source in sources.values())


def test_search_finds_a_figure_again():
    """The MKZ's torque, put off by a fifth, comes back to what the table is made with."""
    (figure,) = [f for f in FIGURES if f.vehicle.endswith("mkz_2020") and f.name == "torque_scale"]
    shipped, best = figure.value, cost(longitudinal_rows())
    try:
        figure.put(0.8 * shipped)
        off = cost(longitudinal_rows())
        reached = search([figure])
        assert off > 1.2 * best
        assert reached < 1.02 * best
        assert figure.value == pytest.approx(shipped, rel=0.05)
    finally:
        figure.put(shipped)
    assert cost(longitudinal_rows()) == best


def test_document_is_up_to_date(rows):
    """Its words to the letter, its figures but for the last digit."""
    if not DOCUMENT.is_file():
        pytest.skip("docs/fidelity.md does not ship with an installed package")

    def words(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("| ")]

    written = DOCUMENT.read_text(encoding="utf-8")
    assert words(written) == words(document(rows)), "run `make fidelity`"
    assert summary(rows) in written
