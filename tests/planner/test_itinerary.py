"""What lies along a route through the grid town, and whom one gives way to there."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from headway.road.frenet import route_poses
from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.queries import pose_at
from headway.road.routing import random_route
from headway.types import SignalState
from planner.itinerary import Itinerary
from planner.right_of_way import FAR, STOP_SIGN, conflict_times

from .spots import guarded, itinerary_of

BEFORE, AFTER = 1.5, 0.7  # [s] gaps to the one who comes
HALF = 2.3  # [m] half length of the one who comes
LEFT, STRAIGHT, RIGHT = 1, 0, -1


@pytest.mark.parametrize("kind", list(StopKind))
@pytest.mark.parametrize("turn", [RIGHT, STRAIGHT, LEFT])
def test_the_line_before_a_junction_is_where_the_town_has_it(grid, kind, turn):
    spots = list(islice(guarded(grid, kind, turn), 4))
    assert spots
    for lane, route, itinerary in spots:
        (q,) = [
            q
            for before in grid.predecessors(lane)
            for q in np.flatnonzero(grid.stop_lane == before)
            if grid.stop_junction_lane[q] in (-1, lane)
        ]
        assert itinerary.stop_kind.tolist() == [kind]
        assert itinerary.stop_signal.tolist() == [grid.stop_signal[q]]
        assert (itinerary.stop_signal[0] >= 0) == (kind == StopKind.LIGHT)
        there = pose_at(grid, int(grid.stop_lane[q]), float(grid.stop_s[q]))
        along = route_poses(route, itinerary.stop_s)[0]
        assert np.hypot(along[0] - there[0], along[1] - there[1]) < 0.3
        # The line lies before the junction that it guards, and near it.
        assert itinerary.junction_stop.tolist() == [0]
        assert -1.0 < itinerary.junction_s[0, 0] - itinerary.stop_s[0] < 25.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_junction_spans_are_where_the_route_is_in_junctions(grid, seed):
    route = random_route(grid, seed, min_length=500.0, max_length=800.0)
    itinerary = itinerary_of(grid, route)
    spans = itinerary.junction_s
    assert len(spans) >= 3
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    in_span = ((route.s[:, None] >= spans[:, 0]) & (route.s[:, None] < spans[:, 1])).any(axis=1)
    assert (in_span == (grid.junction[route.lane] >= 0)).all()
    for (begin, _), guard in zip(spans, itinerary.junction_stop, strict=True):
        lines = itinerary.stop_s[(itinerary.stop_s <= begin + 2.0)]
        assert guard == (len(lines) - 1 if len(lines) and begin - lines[-1] < 25.0 else -1)
    assert (np.diff(itinerary.stop_s) > 0.0).all()


def conflict_lane(itinerary: Itinerary, c: int) -> int:
    """The lane that conflict `c` lies on: its own entry in the CSR has no offset."""
    (entry,) = [
        e
        for e in np.flatnonzero(itinerary.approach_conflict == c)
        if itinerary.approach_offset[e] == 0.0
    ]
    return int(np.searchsorted(itinerary.approach_start, entry, "right")) - 1


def approach(graph: LaneGraph, itinerary: Itinerary, c: int, dist: float) -> tuple[int, float]:
    """Lane and s whence it is `dist` [m] to where conflict `c` begins; fails when there is none."""
    s = itinerary.conflict_other_s[c, 0] - dist
    lane = conflict_lane(itinerary, c)
    while s < 0.0:
        lanes = graph.predecessors(lane)
        if not len(lanes):
            pytest.fail(f"nobody can come from {dist} m to conflict {c}")
        lane = int(lanes[0])
        s += float(graph.length[lane])
    return lane, s


def test_conflicts_are_where_the_centre_lines_come_near(grid):
    num = 0
    for _, route, itinerary in islice(guarded(grid, StopKind.STOP), 6):
        for c in range(len(itinerary.conflict_s)):
            first, last = itinerary.conflict_s[c]
            own = route_poses(route, np.linspace(first, last, 20))[:, :2]
            lane, (first, last) = conflict_lane(itinerary, c), itinerary.conflict_other_s[c]
            theirs = [pose_at(grid, lane, s)[:2] for s in np.linspace(first, last, 20)]
            gaps = np.linalg.norm(own[:, None] - np.array(theirs)[None], axis=2)
            assert gaps.min() < 3.0
            begin, end = itinerary.junction_s[itinerary.conflict_junction[c]]
            assert begin - 1.0 <= itinerary.conflict_s[c, 0]
            assert itinerary.conflict_s[c, 1] <= end + 1.0
            num += 1
    assert num > 10


def test_a_left_turn_at_a_light_gives_way_to_oncoming_traffic_alone(grid):
    num = 0
    for lane, _, itinerary in islice(guarded(grid, StopKind.LIGHT, LEFT), 8):
        ours = pose_at(grid, lane, 0.0)[3]
        for c in range(len(itinerary.conflict_s)):
            facing = np.cos(pose_at(grid, conflict_lane(itinerary, c), 0.0)[3] - ours)
            if itinerary.conflict_yields[c]:
                assert facing < -0.7
                num += 1
            assert itinerary.conflict_signal[c] != STOP_SIGN
    assert num >= 4


def test_who_comes_out_of_a_stop_sign_gives_way_to_the_road_that_it_meets(grid):
    for lane, _, itinerary in islice(guarded(grid, StopKind.STOP, LEFT), 4):
        ours = pose_at(grid, lane, 0.0)[3]
        for c in range(len(itinerary.conflict_s)):
            across = abs(np.sin(pose_at(grid, conflict_lane(itinerary, c), 0.0)[3] - ours)) > 0.7
            if across and itinerary.conflict_signal[c] != STOP_SIGN:
                assert itinerary.conflict_yields[c]


def blocked(graph: LaneGraph, itinerary: Itinerary, c: int, lane: int, s: float, speed: float,
            ego: tuple[float, float]) -> bool:  # fmt: skip
    """Whether one vehicle at `s` of `lane` keeps ego out of conflict `c`.

    Args:
        graph: the town.
        itinerary: ego's.
        c: the conflict that ego is in from `ego[0]` to `ego[1]` [s]; it is in no other.
        lane: of the vehicle.
        s: [m] of its middle.
        speed: [m/s] of it.
        ego: see `c`.
    """
    num = len(itinerary.conflict_s)
    ego_from, ego_to = np.full(num, FAR), np.full(num, FAR)
    ego_from[c], ego_to[c] = ego
    row, front = np.full(num, -1, np.int64), np.zeros(num)
    conflict_times(
        itinerary.approach_start, itinerary.approach_conflict, itinerary.approach_offset,
        itinerary.conflict_other_s, itinerary.conflict_yields, itinerary.conflict_signal,
        itinerary.conflict_line, np.full(len(graph.signal_id), SignalState.GREEN, np.int8),
        ego_from, ego_to, BEFORE, AFTER, np.array([lane]), np.array([s]), np.array([speed]),
        np.array([HALF]), np.zeros(1, bool), row, front,
    )  # fmt: skip
    assert (np.delete(row, c) == -1).all()
    return bool(row[c] == 0)


@pytest.mark.parametrize("kind", [StopKind.LIGHT, StopKind.YIELD, None])
def test_ego_gives_way_to_one_who_is_there_at_a_known_time(grid, kind):
    """Somebody comes at 9 m/s and is at the conflict after 4 s: ego goes well before or after."""
    num = 0
    for _, _, itinerary in islice(guarded(grid, kind, LEFT), 4):
        for c in np.flatnonzero(itinerary.conflict_yields).tolist():
            if itinerary.conflict_signal[c] == STOP_SIGN:
                continue
            speed, at = 9.0, 4.0
            lane, s = approach(grid, itinerary, c, speed * at + HALF)  # its front is HALF ahead
            length = float(np.diff(itinerary.conflict_other_s[c])[0])
            gone = at + (length + 2.0 * HALF) / speed

            def at_times(begin, end, c=c, lane=lane, s=s, itinerary=itinerary, speed=speed):
                return blocked(grid, itinerary, c, lane, s, speed, (begin, end))

            assert at_times(at - 0.5, at + 2.0)
            assert at_times(at - 3.0, at - BEFORE + 0.1)  # gone too shortly before it comes
            assert not at_times(at - 3.0, at - BEFORE - 0.1)
            assert at_times(gone + AFTER - 0.1, gone + 3.0)
            assert not at_times(gone + AFTER + 0.1, gone + 3.0)
            num += 1
    assert num >= 2


def test_one_who_has_to_give_way_to_us_holds_us_up_only_when_it_cannot_stop(grid):
    num = 0
    for _, _, itinerary in islice(guarded(grid, StopKind.LIGHT, STRAIGHT), 12):
        for c in np.flatnonzero(~itinerary.conflict_yields).tolist():
            ego = (1.0, 4.0)
            # Its way to the conflict's lane is what it can brake on: 9 m/s need 9 m at 4.5 m/s^2.
            into = float(itinerary.conflict_other_s[c, 0])
            for dist, blocks in ((4.0, True), (30.0, False)):
                lane, s = approach(grid, itinerary, c, into + dist + HALF)
                assert blocked(grid, itinerary, c, lane, s, 9.0, ego) == blocks
            num += 1
    assert num >= 4
