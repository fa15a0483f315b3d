"""The line of a route: lanes one after another, lane changes blended in, sampled evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.road.frenet import sample_before
from headway.road.lane_graph import LaneGraph
from headway.road.queries import lane_pose
from headway.road.route import Route
from headway.types import Array

STEP = 1.0  # [m] between samples
CHANGE_LENGTH = 45.0  # [m] along which a lane change is blended, where there is room
CHANGE_LEAD = 10.0  # [m] of lane before a lane change begins, where there is room
CURVATURE_REACH = 2  # [samples] either way over which the curvature is taken


@dataclass(frozen=True)
class LanePiece:
    """A stretch of one lane.

    Attributes:
        lane: which.
        s_from, s_to: [m] on it.
        changes: whether the next piece is the lane beside this one and not what follows it.
    """

    lane: int
    s_from: float
    s_to: float
    changes: bool = False


@dataclass(frozen=True)
class _Blend:
    at: float  # [m] along the route where the lanes swap
    length: float  # [m]
    offset: float  # [m] of the new lane from the old one, left positive


def same_place(graph: LaneGraph, lane: int, s: float, other: int) -> float:
    """Return the s [m] on `other`, a lane of the same section and direction, abreast of `s`.

    Lanes of a section are sampled at the same places of the road.
    """
    first, last = int(graph.point_start[lane]), int(graph.point_start[lane + 1]) - 1
    p = int(sample_before(graph.s, first, last, s))
    f = np.clip((s - graph.s[p]) / max(graph.s[p + 1] - graph.s[p], 1e-9), 0.0, 1.0)
    q = int(graph.point_start[other]) + p - first
    return float(graph.s[q] + f * (graph.s[q + 1] - graph.s[q]))


def change_pieces(
    graph: LaneGraph, lanes: Sequence[int], low: float, high: float
) -> list[LanePiece]:
    """Split a stretch across lanes of one section into pieces.

    Args:
        graph: the roads.
        lanes: the lanes from first to last; with one there is no change.
        low: [m] on the first lane where the stretch begins.
        high: [m] on the last lane where it ends.
    """
    count = len(lanes) - 1
    if count == 0:
        return [LanePiece(lanes[0], low, high)]
    end = same_place(graph, lanes[-1], high, lanes[0])
    room = max(end - low, 0.0)
    each = min(CHANGE_LENGTH, room / count)
    lead = min(CHANGE_LEAD, 0.5 * (room - count * each))
    pieces, begin = [], low
    for k in range(count):
        swap = same_place(graph, lanes[0], low + lead + (k + 0.5) * each, lanes[k])
        pieces.append(LanePiece(lanes[k], begin, swap, changes=True))
        begin = same_place(graph, lanes[k], swap, lanes[k + 1])
    return [*pieces, LanePiece(lanes[-1], begin, high)]


def lay_route(graph: LaneGraph, pieces: Sequence[LanePiece]) -> Route:
    """Lay the line through pieces of lanes.

    A lane change shifts the line sideways along a quintic (curvature starts and ends at zero), over
    `CHANGE_LENGTH` or what room there is.

    Raises:
        ValueError: the pieces are shorter than a metre altogether.
    """
    starts = np.concatenate([[0.0], np.cumsum([p.s_to - p.s_from for p in pieces])])
    total = float(starts[-1])
    if total < STEP:
        raise ValueError(f"{graph.name}: a route of {total:.2f} m is too short")
    along = np.linspace(0.0, total, int(np.ceil(total / STEP)) + 1)
    which = np.clip(np.searchsorted(starts, along, side="right") - 1, 0, len(pieces) - 1)
    lane = np.array([p.lane for p in pieces], np.int32)[which]
    lane_s = along - starts[which] + np.array([p.s_from for p in pieces])[which]
    lanes = graph.arrays()
    poses = np.array([lane_pose(lanes, int(i), at) for i, at in zip(lane, lane_s, strict=True)])
    offset, slope = _offsets(_blends(graph, pieces, starts), along)
    xyz = poses[:, :3].copy()
    xyz[:, 0] -= offset * np.sin(poses[:, 3])
    xyz[:, 1] += offset * np.cos(poses[:, 3])
    yaw = np.unwrap(poses[:, 3])
    yaw = yaw + np.arctan2(slope, 1.0 - np.gradient(yaw, along) * offset)
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(xyz[:, 0]), np.diff(xyz[:, 1])))])
    return Route(
        town=graph.name,
        xyz=xyz,
        s=s,
        yaw=np.pi - (np.pi - yaw) % (2.0 * np.pi),
        curvature=_curvature(yaw, s),
        lane=lane,
        lane_s=lane_s,
        speed_limit=graph.speed_limit[lane].astype(np.float64),
    )


def changes_of(graph: LaneGraph, route: Route) -> tuple[Array, Array]:
    """Return where a route changes lanes, and to which side.

    Args:
        graph: the roads.
        route: on them.

    Returns:
        (n,) the first sample in each new lane, and (n,) 1 for a change to the left, else -1.
    """
    before, after = route.lane[:-1], route.lane[1:]
    to_left, to_right = (after == side[before] for side in (graph.left, graph.right))
    changes = np.flatnonzero((to_left | to_right) & (before >= 0) & (after >= 0)) + 1
    return changes, np.where(to_left[changes - 1], 1, -1)


def from_lanes(graph: LaneGraph, route: Route) -> tuple[Array, Array]:
    """Return how far a route's line is from the middle of its lane, and the lane's direction.

    Args:
        graph: the roads.
        route: on them, `R` samples.

    Returns:
        (R,) [m] left positive, 0 but where it changes lanes and where it has no lane, and (R,) yaw
        [rad].
    """
    lanes, aside, yaw = graph.arrays(), np.zeros(len(route.s)), route.yaw.astype(np.float64)
    for i in np.flatnonzero(route.lane >= 0):
        x, y, _, yaw[i] = lane_pose(lanes, int(route.lane[i]), float(route.lane_s[i]))
        step = route.xyz[i, :2] - (x, y)
        aside[i] = step[1] * np.cos(yaw[i]) - step[0] * np.sin(yaw[i])
    return aside, yaw


def _blends(graph: LaneGraph, pieces: Sequence[LanePiece], starts: Array) -> list[_Blend]:
    lanes, total = graph.arrays(), starts[-1]
    swaps = [float(starts[k + 1]) for k, piece in enumerate(pieces) if piece.changes]
    blends = []
    for k, piece in enumerate(pieces):
        if not piece.changes:
            continue
        at = float(starts[k + 1])
        x, y, _, yaw = lane_pose(lanes, piece.lane, piece.s_to)
        to_x, to_y, _, _ = lane_pose(lanes, pieces[k + 1].lane, pieces[k + 1].s_from)
        offset = -(to_x - x) * np.sin(yaw) + (to_y - y) * np.cos(yaw)
        gaps = [abs(at - other) for other in swaps if other != at]
        length = min(CHANGE_LENGTH, 2.0 * at, 2.0 * (total - at), *gaps)
        blends.append(_Blend(at, max(length, STEP), offset))
    return blends


def _offsets(blends: Sequence[_Blend], along: Array) -> tuple[Array, Array]:
    """Lateral offset [m] from the lane that counts at each place, and its slope."""
    offset, slope = np.zeros(len(along)), np.zeros(len(along))
    for blend in blends:
        t = np.clip((along - blend.at) / blend.length + 0.5, 0.0, 1.0)
        shift = t * t * t * (10.0 + t * (-15.0 + 6.0 * t))
        offset += blend.offset * (shift - (along >= blend.at))
        slope += blend.offset * 30.0 * t * t * (1.0 - t) * (1.0 - t) / blend.length
    return offset, slope


def _curvature(yaw: Array, s: Array) -> Array:
    n = len(s)
    low = np.maximum(np.arange(n) - CURVATURE_REACH, 0)
    high = np.minimum(np.arange(n) + CURVATURE_REACH, n - 1)
    return (yaw[high] - yaw[low]) / np.maximum(s[high] - s[low], 1e-3)
