"""Random routes: somewhere to go, the same for the same seed."""

from __future__ import annotations

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import LanePiece, change_pieces, lay_route
from headway.road.route import Route
from headway.types import Array

START_ROOM = 5.0  # [m] of lane behind the start
STOP_ROOM = 30.0  # [m] of lane ahead of the start, so that one may get going before the junction
END_ROOM = 12.0  # [m] from the end of the route to that of its lane
NARROW = 2.4  # [m] a lane that is anywhere narrower is no place to start or end
ATTEMPTS = 600
CHANGE_ROOM = 60.0  # [m] of lane that a lane change wants


def random_route(
    graph: LaneGraph,
    seed: int,
    min_length: float = 1000.0,
    max_length: float | None = None,
    min_junctions: int = 3,
) -> Route:
    """Draw a route that starts and ends on driving lanes outside junctions.

    It follows lanes and takes turns at random; lanes are changed only where none of the lanes
    that can be reached without is enough.

    Args:
        graph: the roads.
        seed: of the draw.
        min_length, max_length: [m]; the longest is by default half as long again as the shortest.
        min_junctions: how many junctions it crosses at least.

    Raises:
        ValueError: no such route was found.
    """
    longest = 1.5 * min_length if max_length is None else max_length
    if not 0.0 < min_length <= longest:
        raise ValueError(f"random_route: min_length {min_length} m, max_length {longest} m")
    draw = np.random.Generator(np.random.PCG64(seed))
    starts = start_lanes(graph)
    if len(starts) == 0:
        raise ValueError(f"{graph.name}: no driving lane is long enough to start on")
    for attempt in range(ATTEMPTS):
        pieces = _walk(
            graph, draw, int(draw.choice(starts)), (min_length, longest), min_junctions,
            revisit=attempt >= ATTEMPTS // 3, change=attempt >= ATTEMPTS // 2,
        )  # fmt: skip
        if pieces:
            return lay_route(graph, pieces)
    raise ValueError(
        f"{graph.name}: found no route of {min_length:g} to {longest:g} m "
        f"through {min_junctions} junctions"
    )


def start_lanes(graph: LaneGraph) -> Array:
    """Return the driving lanes outside junctions that are long and wide enough to start on."""
    narrowest = np.minimum.reduceat(graph.width, graph.point_start[:-1])
    return np.flatnonzero(
        (graph.kind == LaneKind.DRIVING)
        & (graph.junction < 0)
        & (graph.length >= START_ROOM + STOP_ROOM)
        & (narrowest >= NARROW)
    )


def _walk(
    graph: LaneGraph,
    draw: np.random.Generator,
    lane: int,
    lengths: tuple[float, float],
    min_junctions: int,
    revisit: bool,
    change: bool,
) -> list[LanePiece]:
    """One try; empty when it came to nothing."""
    begin = float(draw.uniform(START_ROOM, graph.length[lane] - STOP_ROOM))
    pieces: list[LanePiece] = []
    seen, junctions, total = {lane}, 0, 0.0
    wide = np.minimum.reduceat(graph.width, graph.point_start[:-1]) >= NARROW
    while total < lengths[1]:
        length = float(graph.length[lane])
        if (
            graph.junction[lane] < 0
            and junctions >= min_junctions
            and wide[lane]
            and total + length - begin - END_ROOM >= lengths[0]
            and length - begin > 2.0 * END_ROOM
        ):
            end = max(begin + END_ROOM, begin + lengths[0] - total)
            if total + end - begin > lengths[1]:
                return []
            return [*pieces, LanePiece(lane, begin, end)]
        beside = _beside(graph, lane) if change and length - begin > CHANGE_ROOM else []
        follow = [
            int(j)
            for j in graph.successors(lane)
            if graph.kind[j] == LaneKind.DRIVING and (revisit or int(j) not in seen)
        ]
        if beside and (not follow or draw.random() < 0.2):
            other = int(draw.choice(beside))
            pieces += change_pieces(graph, [lane, other], begin, float(graph.length[other]))
            lane = other
            follow = [int(j) for j in graph.successors(lane) if graph.kind[j] == LaneKind.DRIVING]
        else:
            pieces.append(LanePiece(lane, begin, length))
        if not follow:
            return []
        total += length - begin
        nxt = int(draw.choice(follow))
        junctions += int(graph.junction[nxt] >= 0 and graph.junction[nxt] != graph.junction[lane])
        seen.add(nxt)
        lane, begin = nxt, 0.0
    return []


def _beside(graph: LaneGraph, lane: int) -> list[int]:
    if graph.junction[lane] >= 0:
        return []
    sides = ((graph.left, graph.left_change), (graph.right, graph.right_change))
    return [int(side[lane]) for side, allowed in sides if allowed[lane]]
