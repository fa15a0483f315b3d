"""From here to there: which lanes, lane changes included."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import LanePiece, change_pieces, lay_route
from headway.road.queries import lanes_near, project
from headway.road.random_route import random_route
from headway.road.route import Route
from headway.types import Array, check_shape

__all__ = ["Path", "find_paths", "plan_route", "random_route", "route_through"]

CHANGE_COST = 40.0  # [m] what a lane change is worth in detour
CHANGE_ROOM = 45.0  # [m] of lane that a change wants
CRAMPED_COST = 4.0  # [m/m] for each metre that it has less
LEAST_ROOM = 8.0  # [m] of lane below which no change is made
SNAP_RADIUS = 4.0  # [m] a waypoint may lie off a lane's samples
SNAP_HEADING = np.radians(80.0)  # a lane that runs more across than this is not meant
SNAP_COST = 30.0  # [m/m] what the distance to the lane is worth in detour
SPACING = 20.0  # [m] waypoints nearer to the last one add nothing
BACKWARDS = 2.0  # [m] a waypoint may lie behind the last one, by bad aim

_Node = tuple[int, bool, bool]  # lane; whether still beside the start; whether changed to


@dataclass(frozen=True)
class Path:
    """Pieces of lanes in order; `cost` [m] is their length plus what the lane changes count."""

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
    path = find_paths(graph, start_lane, start_s, {goal_lane: goal_s}).get(goal_lane)
    if path is None:
        raise ValueError(
            f"{graph.name}: no way from lane {start_lane} at {start_s:.1f} m "
            f"to lane {goal_lane} at {goal_s:.1f} m"
        )
    return lay_route(graph, path.pieces)


def find_paths(
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
    # The cost of a node is that of standing at the lane's beginning, so the start's is negative.
    start: _Node = (start_lane, True, False)
    heap: list[tuple[float, _Node, _Node | None]] = [(-start_s, start, None)]
    came: dict[_Node, _Node | None] = {}
    found: dict[int, Path] = {}
    while heap and len(found) < len(goals):
        cost, node, source = heapq.heappop(heap)
        if node in came:
            continue
        came[node] = source
        lane, fresh, changed = node
        low = start_s if fresh else 0.0
        if lane in goals and lane not in found:
            room = goals[lane] - low
            if room >= (LEAST_ROOM if changed else 0.0):
                pieces = _pieces(graph, _trace(came, node), start_s, goals[lane])
                found[lane] = Path(tuple(pieces), cost + goals[lane])
        for nxt, price in _steps(graph, node, low):
            if nxt not in came:
                heapq.heappush(heap, (cost + price, nxt, node))
    return found


def route_through(graph: LaneGraph, waypoints: Array) -> Route:
    """Find the way along waypoints, sparse or dense, that fits them best.

    Args:
        graph: the roads.
        waypoints: (n, 2) [m], map frame, n >= 2, in driving order.

    Raises:
        ValueError: there are too few, one lies on no driving lane, or two have no way between.
    """
    xy = np.asarray(waypoints, np.float64)
    check_shape("route_through", "waypoints", xy, (None, 2))
    xy = _thin(xy)
    if len(xy) < 2:
        raise ValueError(f"{graph.name}: a route needs two waypoints that are {SPACING:g} m apart")
    options = [_snap(graph, xy, k) for k in range(len(xy))]
    best: dict[int, tuple[float, tuple[LanePiece, ...]]] = {
        lane: (SNAP_COST * abs(d), ()) for lane, (_, d) in options[0].items()
    }
    for k in range(1, len(xy)):
        reached: dict[int, tuple[float, tuple[LanePiece, ...]]] = {}
        for lane, (cost, pieces) in best.items():
            start_s = options[k - 1][lane][0]
            goals = {
                goal: max(s, start_s) if goal == lane and s > start_s - BACKWARDS else s
                for goal, (s, _) in options[k].items()
            }
            for goal, path in find_paths(graph, lane, start_s, goals).items():
                total = cost + path.cost + SNAP_COST * abs(options[k][goal][1])
                if goal not in reached or total < reached[goal][0]:
                    reached[goal] = (total, pieces + path.pieces)
                    options[k][goal] = (goals[goal], options[k][goal][1])
        if not reached:
            raise ValueError(f"{graph.name}: no way from waypoint {xy[k - 1]} to {xy[k]}")
        best = reached
    _, pieces = min(best.values(), key=lambda entry: entry[0])
    return lay_route(graph, _join(pieces))


def _check_place(graph: LaneGraph, lane: int, s: float) -> None:
    if not 0 <= lane < graph.num_lanes or graph.kind[lane] != LaneKind.DRIVING:
        raise ValueError(f"{graph.name}: lane {lane} is no driving lane")
    if not -1e-6 <= s <= graph.length[lane] + 1e-6:
        raise ValueError(f"{graph.name}: lane {lane} is {graph.length[lane]:.1f} m long, s = {s}")


def _steps(graph: LaneGraph, node: _Node, low: float) -> Iterator[tuple[_Node, float]]:
    lane, fresh, _ = node
    for nxt in graph.successors(lane):
        if graph.kind[nxt] == LaneKind.DRIVING:
            yield (int(nxt), False, False), float(graph.length[lane])
    room = float(graph.length[lane]) - low
    if graph.junction[lane] >= 0 or room < LEAST_ROOM:
        return
    price = CHANGE_COST + CRAMPED_COST * max(CHANGE_ROOM - room, 0.0)
    for side, allowed in ((graph.left, graph.left_change), (graph.right, graph.right_change)):
        if allowed[lane]:
            yield (int(side[lane]), fresh, True), price


def _trace(came: dict[_Node, _Node | None], node: _Node) -> list[list[int]]:
    """Lanes from the start, those of one section (changed between) together."""
    groups: list[list[int]] = [[node[0]]]
    at: _Node = node
    while (before := came[at]) is not None:
        if at[2]:
            groups[-1].append(before[0])
        else:
            groups.append([before[0]])
        at = before
    return [group[::-1] for group in groups[::-1]]


def _pieces(
    graph: LaneGraph, groups: list[list[int]], start_s: float, goal_s: float
) -> list[LanePiece]:
    pieces: list[LanePiece] = []
    for k, lanes in enumerate(groups):
        low = start_s if k == 0 else 0.0
        high = goal_s if k == len(groups) - 1 else float(graph.length[lanes[-1]])
        pieces += change_pieces(graph, lanes, low, high)
    return pieces


def _join(pieces: tuple[LanePiece, ...]) -> list[LanePiece]:
    """Make one piece of two on the same lane that meet."""
    joined: list[LanePiece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and last.lane == piece.lane and not last.changes and last.s_to == piece.s_from:
            joined[-1] = LanePiece(piece.lane, last.s_from, piece.s_to, piece.changes)
        else:
            joined.append(piece)
    return joined


def _thin(xy: Array) -> Array:
    """Leave out waypoints that add nothing; the first and the last stay where they are."""
    kept = [0] if len(xy) else []
    for k in range(1, len(xy)):
        if np.hypot(*(xy[k] - xy[kept[-1]])) >= SPACING:
            kept.append(k)
    if len(kept) > 1:
        kept[-1] = len(xy) - 1
    return xy[kept]


def _snap(graph: LaneGraph, xy: Array, k: int) -> dict[int, tuple[float, float]]:
    """Lanes that waypoint k may mean: s and d by lane."""
    after, before = xy[min(k + 1, len(xy) - 1)] - xy[k], xy[k] - xy[max(k - 1, 0)]
    x, y = float(xy[k, 0]), float(xy[k, 1])
    found: dict[int, tuple[float, float]] = {}
    for strict in (True, False):
        for lane in map(int, lanes_near(graph, x, y, SNAP_RADIUS)):
            s, d = project(graph, lane, x, y)
            s = float(np.clip(s, 0.0, graph.length[lane]))
            yaw = float(np.interp(s, graph.s[graph.points(lane)],
                                  np.unwrap(graph.yaw[graph.points(lane)])))  # fmt: skip
            along = np.array([np.cos(yaw), np.sin(yaw)])
            fits = [
                along @ way >= np.cos(SNAP_HEADING) * np.hypot(*way)
                for way in (after, before)
                if np.hypot(*way) > 0.0
            ]
            # Sparse waypoints lie around corners from each other: either direction will do.
            if abs(d) <= SNAP_RADIUS and (any(fits) or not strict):
                found[lane] = (s, d)
        if found:
            return found
    raise ValueError(f"{graph.name}: waypoint {xy[k]} lies on no driving lane")
