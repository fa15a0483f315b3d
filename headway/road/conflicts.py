"""Where the ways through a junction overlap, and who gives way to whom.

Two ways conflict where vehicles on their centre lines would touch. Ways that part from the same
lane do not conflict while they part. Rules of right-hand traffic, strongest first: signs; the
circle of a roundabout; lights (a left turn gives way to oncoming); the road with the higher speed
limit; at merges the broader road, then the left lane; oncoming before a left turn; right before
left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.types import Array

CLEARANCE = 2.5  # [m] centre lines closer than this: vehicles 2 m wide touch, with a margin
STOREYS = 3.0  # [m] of height between ways that pass over each other
HALF_SAMPLE = 0.5  # [m] centre lines are looked at this densely
SAME_DIRECTION = math.radians(40.0)
RAMP_ANGLE = math.radians(65.0)  # the same for ways that end as one: loop ramps come in bent
ONCOMING = math.radians(140.0)
FASTER = 10.0 / 3.6  # [m/s] more makes a road the major one
CIRCLE_LENGTH = 180.0  # [m] longest way around a roundabout
SIGN_RANK = {StopKind.LIGHT: 0, StopKind.YIELD: 1, StopKind.STOP: 2}


@dataclass(frozen=True)
class Way:
    """What the rules look at: one lane of a junction and where it comes from.

    Attributes:
        rank: 0 without a sign, 1 give way, 2 stop.
        light: whether a traffic light governs it.
        limit: [m/s] on the approach.
        breadth: number of driving lanes of the approach that go the same way.
        yaw: [rad] on entering.
        xy: (2,) [m] where it begins.
        turn: as in LaneGraph.
        from_circle: whether it comes from inside a roundabout.
        enters_circle: whether it leads into one from outside.
    """

    rank: int
    light: bool
    limit: float
    breadth: int
    yaw: float
    xy: Array
    turn: int
    from_circle: bool
    enters_circle: bool


def find_conflicts(graph: LaneGraph) -> dict[str, Array]:
    """Find the overlaps of driving lanes inside each junction.

    Args:
        graph: with everything but its conflicts.

    Returns:
        The fields `conflict_start`, `conflict`, `conflict_s` and `conflict_yields` of LaneGraph.
    """
    rows: list[list[tuple[int, tuple[float, float, float, float], bool]]] = [
        [] for _ in range(graph.num_lanes)
    ]
    inside = np.flatnonzero((graph.junction >= 0) & (graph.kind == LaneKind.DRIVING))
    guards = _guards(graph)
    circle = _circle_lanes(graph)
    ways = {int(i): _way(graph, int(i), guards, circle) for i in inside}
    boxes = {int(i): _box(graph, int(i)) for i in inside}
    before = {int(i): _lanes_before(graph, int(i)) for i in inside}
    xyz, s, start = graph.xyz, graph.s, graph.point_start
    for junction in np.unique(graph.junction[inside]):
        members = [int(i) for i in inside if graph.junction[i] == junction]
        for a, i in enumerate(members):
            for j in members[a + 1 :]:
                if not _may_touch(boxes[i], boxes[j]) or i in before[j] or j in before[i]:
                    continue
                parting = bool(before[i] & before[j])
                own = _overlap(xyz, s, start[i], start[i + 1], start[j], start[j + 1], parting)
                other = _overlap(xyz, s, start[j], start[j + 1], start[i], start[i + 1], parting)
                if own[1] < own[0] or other[1] < other[0]:
                    continue
                merging = bool(own[1] >= s[start[i + 1] - 1] and other[1] >= s[start[j + 1] - 1])
                first, second = (False, False) if parting else _give_way(ways[i], ways[j], merging)
                rows[i].append((j, (*own, *other), first))
                rows[j].append((i, (*other, *own), second))
    flat = [entry for row in rows for entry in sorted(row)]
    return {
        "conflict_start": np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int32),
        "conflict": np.array([e[0] for e in flat], np.int32),
        "conflict_s": np.array([e[1] for e in flat], np.float64).reshape(-1, 4),
        "conflict_yields": np.array([e[2] for e in flat], np.bool_),
    }


def _give_way(a: Way, b: Way, merging: bool) -> tuple[bool, bool]:
    """Whether the first gives way to the second, and the second to the first."""
    angle = (b.yaw - a.yaw + math.pi) % (2.0 * math.pi) - math.pi
    if a.rank != b.rank:
        return a.rank > b.rank, b.rank > a.rank
    if a.from_circle != b.from_circle and (a.enters_circle or b.enters_circle):
        return b.from_circle, a.from_circle
    if a.light != b.light:
        return b.light, a.light
    if a.light and abs(angle) <= ONCOMING:  # side by side, or across in another phase
        return False, False
    if abs(angle) < (RAMP_ANGLE if merging else SAME_DIRECTION):
        return _merge(a, b)
    first, second = (a.turn > 0, b.turn > 0) if abs(angle) > ONCOMING else (angle > 0, angle < 0)
    if not a.light and abs(a.limit - b.limit) > FASTER:
        first, second = a.limit < b.limit, b.limit < a.limit
    return first > second, second > first  # who heads to our left comes from our right


def _merge(a: Way, b: Way) -> tuple[bool, bool]:
    if abs(a.limit - b.limit) > FASTER:
        return a.limit < b.limit, b.limit < a.limit
    if a.breadth != b.breadth:
        return a.breadth < b.breadth, b.breadth < a.breadth
    yaw = a.yaw + 0.5 * ((b.yaw - a.yaw + math.pi) % (2.0 * math.pi) - math.pi)
    side = -math.sin(yaw) * (b.xy[0] - a.xy[0]) + math.cos(yaw) * (b.xy[1] - a.xy[1])
    return bool(side > 0.0), bool(side < 0.0)


def _way(graph: LaneGraph, lane: int, guards: dict[int, set[StopKind]], circle: set[int]) -> Way:
    entry = lane
    for _ in range(8):
        before = graph.predecessors(entry)
        if graph.junction[entry] < 0 or len(before) == 0:
            break
        entry = int(before[0])
    same = (
        (graph.road_id == graph.road_id[entry])
        & (graph.section_id == graph.section_id[entry])
        & (graph.kind == LaneKind.DRIVING)
        & (np.sign(graph.lane_id) == np.sign(graph.lane_id[entry]))
    )
    kinds = guards.get(lane, set())
    first = graph.point_start[lane]
    from_circle = entry in circle
    return Way(
        rank=max((SIGN_RANK[k] for k in kinds), default=0),
        light=StopKind.LIGHT in kinds,
        limit=float(graph.speed_limit[entry]),
        breadth=int(same.sum()),
        yaw=float(graph.yaw[first]),
        xy=graph.xyz[first, :2],
        turn=int(graph.turn[lane]),
        from_circle=from_circle,
        enters_circle=not from_circle and any(int(j) in circle for j in graph.successors(lane)),
    )


def _guards(graph: LaneGraph) -> dict[int, set[StopKind]]:
    """Kinds of the stop lines before each lane of a junction."""
    found: dict[int, set[StopKind]] = {}
    for lane, kind, way in zip(
        graph.stop_lane, graph.stop_kind, graph.stop_junction_lane, strict=True
    ):
        todo = [int(way)] if way >= 0 else _first_ways(graph, int(lane))
        seen: set[int] = set()
        while todo:
            i = todo.pop()
            if i in seen or graph.junction[i] < 0:
                continue
            seen.add(i)
            found.setdefault(i, set()).add(StopKind(int(kind)))
            todo += [int(j) for j in graph.successors(i) if graph.junction[j] == graph.junction[i]]
    return found


def _first_ways(graph: LaneGraph, lane: int) -> list[int]:
    ahead = [int(j) for j in graph.successors(lane)]
    for _ in range(4):  # the line may lie some short lanes before the junction
        if not ahead or any(graph.junction[j] >= 0 for j in ahead):
            return ahead
        ahead = [int(k) for j in ahead for k in graph.successors(j)]
    return ahead


def _circle_lanes(graph: LaneGraph) -> set[int]:
    """Lanes of roundabouts: part of a short loop that only ever bends left."""
    angle = np.zeros(graph.num_lanes)
    for i in range(graph.num_lanes):
        yaw = np.unwrap(graph.yaw[graph.points(i)])
        # A bend of at most 60 m radius all along; straight pieces rule out blocks of houses.
        drop = float(np.min(np.diff(yaw), initial=0.0))
        angle[i] = yaw[-1] - yaw[0] if drop > -0.02 else -9.0
    bends = (angle > graph.length / 60.0 - 0.05) & (graph.kind == LaneKind.DRIVING)
    found: set[int] = set()
    for first in np.flatnonzero(bends & (graph.length < CIRCLE_LENGTH)):
        if int(first) in found:
            continue
        stack = [(int(first), [int(first)], float(graph.length[first]), float(angle[first]))]
        while stack:
            lane, path, length, turned = stack.pop()
            for nxt in map(int, graph.successors(lane)):
                if nxt == first and abs(turned - 2.0 * math.pi) < 0.5 and len(path) > 2:
                    found |= set(path)
                elif bends[nxt] and nxt not in path and length < CIRCLE_LENGTH and turned < 7.0:
                    gone, bent = length + float(graph.length[nxt]), turned + float(angle[nxt])
                    stack.append((nxt, [*path, nxt], gone, bent))
    return found


def _box(graph: LaneGraph, lane: int) -> Array:
    points = graph.xyz[graph.points(lane), :2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _may_touch(a: Array, b: Array) -> bool:
    return bool(np.all(a[:2] - CLEARANCE < b[2:]) and np.all(b[:2] - CLEARANCE < a[2:]))


def _lanes_before(graph: LaneGraph, lane: int) -> set[int]:
    """All lanes from the approaches to this lane, the last perhaps of several in its junction."""
    found: set[int] = set()
    todo = [lane]
    while todo:
        for j in map(int, graph.predecessors(todo.pop())):
            if j not in found and j != lane:
                found.add(j)
                if graph.junction[j] == graph.junction[lane]:
                    todo.append(j)
    return found


@njit(cache=True)
def _overlap(xyz, s, own_from, own_to, other_from, other_to, parting):
    """Arc lengths between which a lane is within CLEARANCE of another; from > to if nowhere.

    With `parting` the beginning does not count, as long as it is close.
    """
    low, high = 1e18, -1e18
    apart = not parting
    for p in range(own_from, own_to - 1):
        span = s[p + 1] - s[p]
        pieces = max(1, math.ceil(span / HALF_SAMPLE))
        for k in range(pieces + (1 if p == own_to - 2 else 0)):
            f = k / pieces
            x = xyz[p, 0] + f * (xyz[p + 1, 0] - xyz[p, 0])
            y = xyz[p, 1] + f * (xyz[p + 1, 1] - xyz[p, 1])
            z = xyz[p, 2] + f * (xyz[p + 1, 2] - xyz[p, 2])
            if not _near(xyz, other_from, other_to, x, y, z):
                apart = apart or not _lies_before(xyz, other_from, x, y)
                continue
            if apart:
                at = s[p] + f * span
                low, high = min(low, at), max(high, at)
    low = max(low - HALF_SAMPLE, s[own_from])
    high = min(high + HALF_SAMPLE, s[own_to - 1])
    return low, high


@njit(cache=True)
def _lies_before(xyz, first, x, y):
    """Whether a point lies before a lane's beginning."""
    ex, ey = xyz[first + 1, 0] - xyz[first, 0], xyz[first + 1, 1] - xyz[first, 1]
    return (x - xyz[first, 0]) * ex + (y - xyz[first, 1]) * ey < 0.0


@njit(cache=True)
def _near(xyz, first, end, x, y, z):
    for q in range(first, end - 1):
        ax, ay = xyz[q, 0], xyz[q, 1]
        ex, ey = xyz[q + 1, 0] - ax, xyz[q + 1, 1] - ay
        square = ex * ex + ey * ey
        f = ((x - ax) * ex + (y - ay) * ey) / square if square > 0.0 else 0.0
        f = min(max(f, 0.0), 1.0)
        dx, dy = x - ax - f * ex, y - ay - f * ey
        if dx * dx + dy * dy < CLEARANCE * CLEARANCE and abs(z - xyz[q, 2]) < STOREYS:
            return True
    return False
