"""Scores against cases computed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scores import (
    COUNTED,
    Outcome,
    ScoreVersion,
    driving_score,
    infraction_score,
    succeeded,
)

V1, V2, V21, B2D = (ScoreVersion(word) for word in ("1.0", "2.0", "2.1", "bench2drive"))
# Half a route, one walker and two cars hit, a light run, a tenth of the way off the lanes, one
# check at 60 % of the others' speed, and an emergency vehicle held up.
MIXED = Outcome(0.5, pedestrians=1, vehicles=2, red_lights=1, off_lane=0.1, slowness=(0.6,),
                missed_yields=1)  # fmt: skip


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (V1, 50 * 0.9 * 0.5 * 0.6 * 0.6 * 0.7),
        (V2, 50 * 0.9 * 0.5 * 0.6 * 0.6 * 0.7 * 0.7 * (1 - 0.3 * 0.4)),
        (B2D, 50 * 0.9 * 0.5 * 0.6 * 0.6 * 0.7 * 0.7),
        (V21, 50 * 0.9 / (1 + 1.0 + 2 * 0.7 + 0.4 + 0.4 + 0.4 * 0.4)),
    ],
)
def test_a_drive_with_many_faults(version, expected):
    assert driving_score(MIXED, version) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("pedestrians", 50.0, 50.0), ("vehicles", 60.0, 100 / 1.7), ("statics", 65.0, 62.5),
        ("red_lights", 70.0, 100 / 1.4), ("stop_signs", 80.0, 80.0),
        ("scenario_timeouts", 70.0, 100 / 1.4), ("missed_yields", 70.0, 100 / 1.4),
    ],
)  # fmt: skip
def test_one_event_of_each_kind(kind, old, new):
    outcome = Outcome(1.0, **{kind: 1})
    assert driving_score(outcome, V2) == pytest.approx(old)
    assert driving_score(outcome, B2D) == pytest.approx(old)
    assert driving_score(outcome, V21) == pytest.approx(new)
    later = kind in ("scenario_timeouts", "missed_yields")  # version 1.0 does not know them
    assert driving_score(outcome, V1) == pytest.approx(100.0 if later else old)
    assert not succeeded(outcome)


def test_slowness_costs_in_the_leaderboard_and_not_in_bench2drive():
    slow = Outcome(1.0, slowness=(0.0, 0.5, 1.7))
    assert driving_score(slow, V2) == pytest.approx(100 * 0.7 * 0.85)
    assert driving_score(slow, V21) == pytest.approx(100 / 1.6)
    assert driving_score(slow, V1) == driving_score(slow, B2D) == 100.0
    assert succeeded(slow)


def test_success_needs_the_whole_route_on_its_lanes():
    assert succeeded(Outcome(1.0))
    assert not succeeded(Outcome(0.99))
    assert not succeeded(Outcome(1.0, off_lane=0.01))


def test_in_nocrash_a_collision_fails_and_nothing_else_does():
    nocrash = ScoreVersion.NOCRASH
    rude = Outcome(1.0, red_lights=2, off_lane=0.1)
    assert driving_score(rude, nocrash) == 100.0
    assert succeeded(rude, nocrash)
    hit = Outcome(1.0, statics=1)
    assert driving_score(hit, nocrash) == 0.0
    assert not succeeded(hit, nocrash)
    assert not succeeded(Outcome(0.9), nocrash)


counts = st.fixed_dictionaries({kind: st.integers(0, 3) for kind in COUNTED})


@given(counts, st.sampled_from(COUNTED), st.floats(0, 1), st.sampled_from(list(ScoreVersion)))
def test_another_infraction_never_helps(given_counts, kind, off_lane, version):
    less = infraction_score(Outcome(1.0, off_lane=off_lane, **given_counts), version)
    worse = given_counts | {kind: given_counts[kind] + 1}
    more = infraction_score(Outcome(1.0, off_lane=off_lane, **worse), version)
    assert 0.0 <= more <= less <= 1.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("completion", 1.2), ("off_lane", -0.1), ("vehicles", -1), ("slowness", (-0.5,))],
)
def test_nonsense_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"Outcome.{name}"):
        Outcome(**({"completion": 1.0} | {name: value}))
