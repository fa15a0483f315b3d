"""From here to there: which lanes, and the line through them with lane changes blended in."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import LanePiece, lay_route
from headway.road.queries import lanes_near, project
from headway.road.route import Route
from headway.types import Array, check_shape

CHANGE_COST = 40.0  # [m] what a lane change is worth in detour
CHANGE_ROOM = 40.0  # [m] of lane that a change wants
CRAMPED_COST = 20.0  # [m/m] for each metre that it has less
LEAST_ROOM = 8.0  # [m] of lane below which no change is made
SNAP_RADIUS = 3.0  # [m] a waypoint may lie off a lane's samples
SNAP_HEADING = np.radians(70.0)  # a lane that runs more across than this is not meant
SNAP_COST = 10.0  # [m/m] what the distance to the lane is worth in detour
END_ROOM = 8.0  # [m] random routes end at least this far from the lane's ends
ATTEMPTS = 400  # of a random walk


@dataclass(frozen=True)
class Path:
    """Lanes in order; `cost` [m] is length plus what its lane changes count."""

    pieces: tuple[LanePiece, ...]
    cost: float


def plan_route(
    graph: LaneGraph, start_lane: int, start_s: float, goal_lane: int, goal_s: float
) -> Route:
    """Find the shortest way, lane changes included where the markings allow them.

    Args:
        graph: the roads.
        start_lane: where to begin, a driving lane.
        start_s: [m] on it.
        goal_lane: where to end, a driving lane.
        goal_s: [m] on it.

    Raises:
        ValueError: no way leads there, or start or goal is not on a driving lane.
    """
    path = find_path(graph, start_lane, start_s, {goal_lane: goal_s}).get(goal_lane)
    if path is None:
        raise ValueError(
            f"{graph.name}: no way from lane {start_lane} at {start_s:.1f} m "
            f"to lane {goal_lane} at {goal_s:.1f} m"
        )
    return lay_route(graph, path.pieces)


def find_path(
    graph: LaneGraph, start_lane: int, start_s: float, goals: dict[int, float]
) -> dict[int, Path]:
    """Dijkstra from one place to several.

    Args:
        graph: the roads.
        start_lane: a driving lane.
        start_s: [m] on it.
        goals: s [m] by lane.

    Returns:
        The best path to each goal that can be reached.

    Raises:
        ValueError: a place is not on a driving lane.
    """
    for lane, s in [(start_lane, start_s), *goals.items()]:
        _check_place(graph, lane, s)
    best: dict[int, float] = {}
    came: dict[int, tuple[int, bool]] = {}
    # The start is a node of its own (-1), so that a goal behind it on the same lane is a loop.
    heap: list[tuple[float, int, int, bool]] = [(0.0, -1, -1, False)]
    found: dict[int, Path] = {}
    waiting = dict(goals)
    if start_lane in waiting and waiting[start_lane] >= start_s:
        ahead = waiting.pop(start_lane)
        found[start_lane] = Path((LanePiece(start_lane, start_s, ahead, False),), ahead - start_s)
    ends: dict[int, tuple[float, int, bool]] = {}
    while heap and waiting:
        cost, lane, source, changed = heapq.heappop(heap)
        if lane in best:
            continue
        if lane in waiting and source != -2:
            pass
        best[lane] = cost
        came[lane] = (source, changed)
        _finish(graph, lane, cost, start_lane, start_s, waiting, ends)
        for goal in [g for g, (value, _, _) in ends.items() if g in waiting]:
            if not heap or ends[goal][0] <= heap[0][0]:
                found[goal] = _trace(graph, goal, waiting.pop(goal), ends, came, start_lane, start_s)
        for nxt, price, change in _steps(graph, lane, start_lane, start_s):
            if nxt not in best:
                heapq.heappush(heap, (cost + price, nxt, lane, change))
    for goal in sorted(set(waiting) & set(ends)):
        found[goal] = _trace(graph, goal, waiting[goal], ends, came, start_lane, start_s)
    return found
