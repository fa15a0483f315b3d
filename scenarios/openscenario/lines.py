"""Lines that entities follow: along the lanes, or straight from point to point."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import STEP, LanePiece, lay_route
from headway.road.route import Route
from headway.types import Array

ANY_SPEED = 50.0  # [m/s] limit of a line that is no road


def walk(graph: LaneGraph, lane: int, s: float, way: float) -> tuple[int, float]:
    """Go `way` [m] along the lanes from a place, backwards where negative, straight on at forks.

    Returns:
        Lane and s [m] on it.

    Raises:
        ValueError: the lanes end before that.
    """
    s += way
    while s > graph.length[lane] or s < 0.0:
        after = _straight_on(graph, lane, s > 0.0)
        if after < 0:
            raise ValueError(f"{graph.name}: the road ends before {way:.1f} m")
        if s > 0.0:
            s -= float(graph.length[lane])
        else:
            s += float(graph.length[after])
        lane = after
    return lane, s


def lane_line(graph: LaneGraph, lane: int, s: float, way: float = 1000.0) -> Route:
    """The line along the lanes from a place, straight on at forks, for as far as they go."""
    pieces = lane_pieces(graph, lane, s, way)
    if sum(piece.s_to - piece.s_from for piece in pieces) < STEP:  # at the very end of a road
        last = pieces[-1]
        pieces[-1] = LanePiece(last.lane, last.s_to - 2.0 * STEP, last.s_to)
    return lay_route(graph, pieces)


def lane_pieces(graph: LaneGraph, lane: int, s: float, way: float) -> list[LanePiece]:
    """The pieces of lanes of `lane_line`."""
    pieces: list[LanePiece] = []
    while lane >= 0 and way > 0.0:
        end = min(s + way, float(graph.length[lane]))
        pieces.append(LanePiece(lane, s, end))
        way -= end - s
        lane, s = _straight_on(graph, lane, True), 0.0
    return pieces


def ways_on(graph: LaneGraph, lane: int, s: float, way: float) -> Iterator[list[LanePiece]]:
    """All ways along the lanes from a place, `way` [m] long or to the end; straightest first."""
    end = min(s + way, float(graph.length[lane]))
    left, after = way - (end - s), _onward(graph, lane, True)
    if left <= 0.0 or not after:
        yield [LanePiece(lane, s, end)]
        return
    for lane_after in after:
        for rest in ways_on(graph, lane_after, 0.0, left):
            yield [LanePiece(lane, s, end), *rest]


def polyline(graph: LaneGraph, xyz: Array) -> Route:
    """The line straight from point to point.

    Args:
        graph: the town.
        xyz: (n, 3) [m] map frame, n >= 2.

    Raises:
        ValueError: the points all lie in one place.
    """
    corners = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xyz[:, :2], axis=0).T))])
    if corners[-1] < 1e-3:
        raise ValueError("a line needs two points apart")
    s = np.linspace(0.0, corners[-1], int(np.ceil(corners[-1] / STEP)) + 1)
    dense = np.stack([np.interp(s, corners, xyz[:, k]) for k in range(3)], axis=1)
    # The heading of the stretch that a sample lies on.
    steps = np.diff(xyz[:, :2], axis=0)
    stretch = np.clip(np.searchsorted(corners, s, side="right") - 1, 0, len(steps) - 1)
    nowhere = np.full(len(s), -1, np.int32)
    return Route(
        town=graph.name, xyz=dense, s=s, yaw=np.arctan2(steps[stretch, 1], steps[stretch, 0]),
        curvature=np.zeros(len(s)), lane=nowhere, lane_s=np.zeros(len(s)),
        speed_limit=np.full(len(s), ANY_SPEED),
    )  # fmt: skip


def straight_line(graph: LaneGraph, pose: Array, way: float = 300.0) -> Route:
    """The line straight on from a pose (x, y, yaw)."""
    x, y, yaw = pose
    end = (x + way * np.cos(yaw), y + way * np.sin(yaw), 0.0)
    return polyline(graph, np.array([(x, y, 0.0), end]))


def _onward(graph: LaneGraph, lane: int, forward: bool) -> list[int]:
    """The driving lanes that follow, or come before; the one with the least turn first."""
    found = graph.successors(lane) if forward else graph.predecessors(lane)
    drives = [int(n) for n in found if graph.kind[n] == LaneKind.DRIVING]
    return sorted(drives, key=lambda n: abs(int(graph.turn[n])))


def _straight_on(graph: LaneGraph, lane: int, forward: bool) -> int:
    """The first of them; -1 for none."""
    return next(iter(_onward(graph, lane, forward)), -1)
