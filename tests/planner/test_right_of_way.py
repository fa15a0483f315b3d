"""Who comes first at one conflict: ego is there from 3 to 6 s and has to give way."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from headway.road.lane_graph import StopKind
from headway.types import SignalState
from planner.bounds import EgoOnRoute, _live, waiting_place
from planner.itinerary import Itinerary
from planner.right_of_way import STOP_SIGN, conflict_times
from planner.rules import Memory, Rules

LANE_LENGTH = 100.0  # the others' approach; the conflict lies at its end


def blocker(fronts, speeds, *, hold=-1, line=0.0, may_start=True, before=1.5) -> int:
    """Row of the one to whom ego gives way, -1 for nobody.

    Args:
        fronts: [m] of the others before the conflict (negative), on one lane.
        speeds: [m/s].
        hold: light, `STOP_SIGN` or -1.
        line: [m] of it.
        may_start: whether those who stand are taken to start.
        before: [s].
    """
    half = np.full(len(fronts), 2.0)
    row, front = np.full(1, -1, np.int64), np.zeros(1)
    conflict_times(
        np.array([0, 1], np.int32), np.array([0], np.int32), np.array([LANE_LENGTH]),
        np.array([[0.0, 5.0]]), np.array([True]), np.array([hold], np.int32), np.array([line]),
        np.zeros(0, np.int8), np.array([3.0]), np.array([6.0]), before, 0.7,
        np.zeros(len(fronts), np.int64), LANE_LENGTH + np.array(fronts) - half,
        np.array(speeds, float), half, np.full(len(fronts), not may_start), row, front,
    )  # fmt: skip
    return int(row[0])


@pytest.mark.parametrize(
    ("front", "speed", "expected"),
    [(-40.0, 10.0, 0), (-90.0, 10.0, -1), (-5.0, 10.0, -1), (-60.0, 9.0, 0)],
)
def test_ego_gives_way_to_whom_would_be_there_with_it(front, speed, expected):
    assert blocker([front], [speed]) == expected


def test_who_still_has_to_stop_at_a_sign_comes_after_us():
    assert blocker([-12.0], [4.0]) == 0
    assert blocker([-12.0], [4.0], hold=STOP_SIGN, line=-3.0) == -1
    # ... unless they cannot stop any more, or are over the line.
    assert blocker([-22.0], [9.0], hold=STOP_SIGN, line=-18.0) == 0
    assert blocker([-2.0], [4.0], hold=STOP_SIGN, line=-3.0) == 0


def test_nobody_comes_through_one_who_stands_and_lets_us_go():
    assert blocker([-8.0, -60.0], [0.0, 9.0], may_start=False) == -1
    assert blocker([-8.0, -60.0], [1.0, 9.0], may_start=False) != -1  # that one rolls
    assert blocker([-60.0, -90.0], [9.0, 0.0], may_start=False) == 0  # who stands is behind
    assert blocker([-8.0, -60.0], [0.0, 9.0], may_start=True) == 0  # and may pull away any time


@pytest.mark.parametrize("lights", [[], [SignalState.RED, SignalState.GREEN]])
def test_others_are_live_whom_no_red_light_holds(lights):
    signal = [-1, STOP_SIGN, *range(len(lights))]
    given = SimpleNamespace(
        conflict_signal=np.array(signal), conflict_yields=np.ones(len(signal), bool)
    )
    live = _live(cast(Itinerary, given), np.array(lights, np.int8))
    assert live.tolist() == [True, True, False, True][: len(signal)]


def test_who_let_ego_set_off_lets_it_drive_on_as_long_as_it_stands():
    memory, rules, ids = Memory(t=10.0), Rules(), np.array([7, 8])
    memory.resting_since = {7: 5.0, 8: 9.5}
    memory.waiting_since = 9.0
    assert memory.lets_go(ids, rules).tolist() == [True, False]
    memory.waiting_since = float("inf")  # ego drives
    assert memory.lets_go(ids, rules).tolist() == [True, False]
    memory.resting_since.pop(7)
    assert memory.lets_go(ids, rules).tolist() == [False, False]


@pytest.mark.parametrize(
    ("front", "live", "at"),
    [
        (12.0, True, 19.0),  # standing at 25 m its body would lie in the first from 20 to 24 m
        (12.0, False, 25.0),  # which a light holds
        (21.0, True, 25.0),  # it is in there already
    ],
)
def test_who_waits_for_the_second_stream_does_not_stand_in_the_first(front, live, at):
    lit = SimpleNamespace(
        conflict_s=np.array([[20.0, 24.0], [26.0, 30.0]]), conflict_junction=np.zeros(2, int),
        junction_s=np.array([[10.0, 40.0]]), junction_stop=np.zeros(1, int),
        stop_s=np.array([9.0]), stop_kind=np.array([StopKind.LIGHT]),
    )  # fmt: skip
    ego = EgoOnRoute(front - 2.4, 0.0, 2.0, 2.4, 60.0)
    found = waiting_place(cast(Itinerary, lit), 1, ego, Rules(), False, np.array([live, True]))
    assert found == at
