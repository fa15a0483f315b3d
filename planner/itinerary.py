"""Itinerary: what lies along a route and does not move; made once per route, read every tick."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.types import Array
from planner.right_of_way import STOP_SIGN

APPROACH = 90.0  # [m] before a conflict within which others are looked for
SMOOTH = 2  # samples to each side over which the route's curvature is taken


class SpeedReason(IntEnum):
    """What bounds the speed at a place of the route."""

    LIMIT = 0
    CURVE = 1


@dataclass(frozen=True)
class Itinerary:
    """What lies along a route: `R` samples, `Q` stop lines, `J` junctions, `C` conflicts.

    Attributes:
        xy: (R, 2) [m], map frame.
        s: (R,) [m].
        yaw: (R,) [rad], unwrapped.
        curvature: (R,) [1/m], smoothed.
        speed: (R,) [m/s] allowed by limits and curves, with room to brake for what follows.
        speed_reason: (R,) int8 `SpeedReason`.
        stop_s: (Q,) [m] of the lines, ascending.
        stop_kind: (Q,) int8 `StopKind`.
        stop_signal: (Q,) int32 index of the light, -1 for signs.
        junction_s: (J, 2) [m] from, to; ascending.
        junction_stop: (J,) int32 the stop line that guards it, -1 for none.
        conflict_s: (C, 2) [m] along the route, from, to.
        conflict_other_s: (C, 2) [m] along the other lane, from, to.
        conflict_junction: (C,) int32.
        conflict_yields: (C,) bool, whether we give way.
        conflict_signal: (C,) int32 light that holds the others, `STOP_SIGN`, or -1 for none.
        conflict_line: (C,) [m] where they wait for it, on the other lane (negative before it).
        conflict_merges: (C,) bool, whether the other lane goes on where the route does.
        approach_start: (L+1,) int32 CSR by lane of the LaneGraph.
        approach_conflict: (*,) int32 a conflict that one may come to from this lane.
        approach_offset: (*,) [m] to take from the lane's s for s on the conflicting lane.
    """

    xy: Array
    s: Array
    yaw: Array
    curvature: Array
    speed: Array
    speed_reason: Array
    stop_s: Array
    stop_kind: Array
    stop_signal: Array
    junction_s: Array
    junction_stop: Array
    conflict_s: Array
    conflict_other_s: Array
    conflict_junction: Array
    conflict_yields: Array
    conflict_signal: Array
    conflict_line: Array
    conflict_merges: Array
    approach_start: Array
    approach_conflict: Array
    approach_offset: Array


def make_itinerary(
    graph: LaneGraph, route: Route, lateral_accel: float, brake: float, speed_margin: float
) -> Itinerary:
    """Look up what lies along `route`.

    Args:
        graph: the town.
        route: of that town.
        lateral_accel: [m/s^2] allowed in curves.
        brake: [m/s^2] with which to come down to a lower speed.
        speed_margin: [m/s] kept below the limits.
    """
    yaw = np.unwrap(route.yaw)
    curvature = smooth_curvature(route.s, yaw)
    speed, reason = _speed_profile(route, curvature, lateral_accel, brake, speed_margin)
    stops = _stop_lines(graph, route)
    junction_s, junction_stop = _junctions(graph, route, stops[0])
    conflicts = _conflicts(graph, route, junction_s)
    approach = _approaches(graph, conflicts["lane"], conflicts["shared"])
    signal, line = _holds_of(graph, conflicts["lane"])
    return Itinerary(
        xy=np.ascontiguousarray(route.xyz[:, :2]),
        s=np.asarray(route.s, dtype=np.float64),
        yaw=yaw,
        curvature=curvature,
        speed=speed,
        speed_reason=reason,
        stop_s=stops[0],
        stop_kind=stops[1],
        stop_signal=stops[2],
        junction_s=junction_s,
        junction_stop=junction_stop,
        conflict_s=conflicts["own"],
        conflict_other_s=conflicts["other"],
        conflict_junction=conflicts["junction"],
        conflict_yields=conflicts["yields"],
        conflict_signal=signal,
        conflict_line=line,
        conflict_merges=conflicts["merges"],
        approach_start=approach[0],
        approach_conflict=approach[1],
        approach_offset=approach[2],
    )


def smooth_curvature(s: Array, yaw: Array) -> Array:
    """Return the curvature (R,) [1/m] of a line from its unwrapped yaw, over `SMOOTH` samples."""
    index = np.arange(len(s))
    before, after = np.maximum(index - SMOOTH, 0), np.minimum(index + SMOOTH, len(s) - 1)
    return (yaw[after] - yaw[before]) / np.maximum(s[after] - s[before], 1e-3)


def _speed_profile(
    route: Route, curvature: Array, lateral_accel: float, brake: float, margin: float
) -> tuple[Array, Array]:
    """Speed by limits and curves with a backward pass v_i^2 <= v_{i+1}^2 + 2 b ds."""
    sharp = np.abs(curvature)
    sharp = np.max([np.roll(sharp, k) for k in range(-1, 2)], axis=0)
    in_curve = np.sqrt(lateral_accel / np.maximum(sharp, 1e-4))
    limit = np.maximum(route.speed_limit - margin, 1.0)
    speed = np.minimum(limit, in_curve)
    reason = np.where(in_curve < limit, SpeedReason.CURVE, SpeedReason.LIMIT).astype(np.int8)
    _brake_ahead(np.asarray(route.s, dtype=np.float64), speed, reason, brake)
    return speed, reason


@njit(cache=True)
def _brake_ahead(s: Array, speed: Array, reason: Array, brake: float) -> None:
    """Lower `speed` in place so that braking with `brake` reaches every slower place in time."""
    for i in range(len(s) - 2, -1, -1):
        reach = np.sqrt(speed[i + 1] ** 2 + 2.0 * brake * (s[i + 1] - s[i]))
        if reach < speed[i]:
            speed[i] = reach
            reason[i] = reason[i + 1]


def _stop_lines(graph: LaneGraph, route: Route) -> tuple[Array, Array, Array]:
    """s, kind and light of the lines that guard where the route goes."""
    first = np.flatnonzero(np.diff(route.lane, prepend=-1))
    runs = list(zip(first, [*first[1:], len(route.lane)], strict=True))
    found = []
    for k, (start, end) in enumerate(runs):
        lane = route.lane[start]
        following = route.lane[runs[k + 1][0]] if k + 1 < len(runs) else -1
        for q in np.flatnonzero(graph.stop_lane == lane):
            guarded = graph.stop_junction_lane[q]
            if guarded >= 0 and following >= 0 and guarded != following:
                continue
            i = start + int(np.argmin(np.abs(route.lane_s[start:end] - graph.stop_s[q])))
            # A line that the route joins its lane after, or leaves before, is none of ours.
            gap = graph.stop_s[q] - route.lane_s[i]
            if abs(gap) > 3.0:
                continue
            found.append((route.s[i] + gap, graph.stop_kind[q], graph.stop_signal[q]))
    found = sorted(set(found))
    s, kind, signal = zip(*found, strict=True) if found else ((), (), ())
    return np.array(s, np.float64), np.array(kind, np.int8), np.array(signal, np.int32)


def _junctions(graph: LaneGraph, route: Route, stop_s: Array) -> tuple[Array, Array]:
    """Spans of the route in junctions, and the line that guards each."""
    inside = graph.junction[route.lane]
    change = np.flatnonzero(np.diff(inside, prepend=-1, append=-1))
    spans = [
        (route.s[a], route.s[min(b, len(route.s) - 1)])
        for a, b in pairwise(change)
        if inside[a] >= 0
    ]
    guards = []
    for begin, _ in spans:
        near = np.flatnonzero((stop_s <= begin + 2.0) & (stop_s >= begin - 25.0))
        guards.append(near[-1] if len(near) else -1)
    return np.array(spans, np.float64).reshape(-1, 2), np.array(guards, np.int32)


def _conflicts(graph: LaneGraph, route: Route, junction_s: Array) -> dict[str, Array]:
    """Where other lanes cross or join ours inside junctions, in the order of the route."""
    own_lanes = set(route.lane.tolist())
    first = np.flatnonzero(np.diff(route.lane, prepend=-1))
    rows: dict[str, list] = {k: [] for k in ("own", "other", "junction", "yields", "lane",
                                             "merges", "shared")}  # fmt: skip
    for start in first:
        lane = int(route.lane[start])
        if graph.junction[lane] < 0:
            continue
        s0 = route.s[start] - route.lane_s[start]
        j = int(np.searchsorted(junction_s[:, 0], route.s[start] + 1e-6)) - 1
        before = set(graph.predecessors(lane).tolist())
        for c in range(graph.conflict_start[lane], graph.conflict_start[lane + 1]):
            other = int(graph.conflict[c])
            if other in own_lanes:
                continue
            own_from, own_to, other_from, other_to = graph.conflict_s[c]
            follow = set(graph.successors(other).tolist()) & set(graph.successors(lane).tolist())
            rows["own"].append((s0 + own_from, s0 + own_to))
            rows["other"].append((other_from, other_to))
            rows["junction"].append(j)
            rows["yields"].append(bool(graph.conflict_yields[c]))
            rows["lane"].append(other)
            rows["merges"].append(bool(follow))
            # Who comes from where we come from follows us or leads us: no crossing traffic.
            rows["shared"].append(before)
    return {
        "own": np.array(rows["own"], np.float64).reshape(-1, 2),
        "other": np.array(rows["other"], np.float64).reshape(-1, 2),
        "junction": np.array(rows["junction"], np.int32),
        "yields": np.array(rows["yields"], bool),
        "lane": np.array(rows["lane"], np.int32),
        "merges": np.array(rows["merges"], bool),
        "shared": np.array(rows["shared"], object),
    }


def _approaches(graph: LaneGraph, lanes: Array, shared: Array) -> tuple[Array, Array, Array]:
    """CSR by lane: conflicts that a vehicle on it may come to, and its offset to their lane's s."""
    entries: list[tuple[int, int, float]] = []
    for c, lane in enumerate(lanes.tolist()):
        entries.append((lane, c, 0.0))
        frontier, seen = [(lane, 0.0)], {lane}
        while frontier:
            here, offset = frontier.pop()
            for prev in graph.predecessors(here).tolist():
                if prev in seen or prev in shared[c] or offset > APPROACH:
                    continue
                seen.add(prev)
                entries.append((prev, c, offset + float(graph.length[prev])))
                frontier.append((prev, offset + float(graph.length[prev])))
    entries.sort()
    start = np.zeros(graph.num_lanes + 1, np.int32)
    for lane, _, _ in entries:
        start[lane + 1] += 1
    return (
        np.cumsum(start).astype(np.int32),
        np.array([c for _, c, _ in entries], np.int32),
        np.array([offset for _, _, offset in entries], np.float64),
    )


def _holds_of(graph: LaneGraph, lanes: Array) -> tuple[Array, Array]:
    """What holds those who want to enter each of `lanes`, and where they wait.

    Returns:
        The light's index, `STOP_SIGN`, or -1 for nothing; the line's place on the lane (negative).
    """
    hold, line = np.full(len(lanes), -1, np.int32), np.zeros(len(lanes))
    held = np.flatnonzero(graph.stop_kind != StopKind.YIELD)
    for c, lane in enumerate(lanes.tolist()):
        before = graph.predecessors(lane).tolist()
        for q in held:
            if graph.stop_junction_lane[q] in (-1, lane) and int(graph.stop_lane[q]) in before:
                light = graph.stop_kind[q] == StopKind.LIGHT
                hold[c] = graph.stop_signal[q] if light else STOP_SIGN
                line[c] = graph.stop_s[q] - graph.length[graph.stop_lane[q]]
    return hold, line
