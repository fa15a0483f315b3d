"""From lanes, stop lines and crosswalks as lists to one LaneGraph, with everything derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headway.road.conflicts import find_conflicts
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.types import Array

GRID_CELL = 5.0  # [m]
TURN_ANGLE = np.radians(35.0)  # more than this from entry to exit is a turn


@dataclass
class RawLane:
    """One lane as read from the map, in its direction of travel.

    Attributes:
        road_id, section_id, lane_id, junction, kind: as in LaneGraph.
        speed_limit: [m/s].
        xyz: (n, 3) [m], map frame, n >= 2.
        yaw: (n,) [rad] direction of travel.
        width: (n,) [m].
        successors: lanes that follow, as indices into the list.
        left, right, left_change, right_change, opposite, road_name: as in LaneGraph.
    """

    road_id: int
    section_id: int
    lane_id: int
    junction: int
    kind: LaneKind
    speed_limit: float
    xyz: Array
    yaw: Array
    width: Array
    successors: list[int] = field(default_factory=list)
    left: int = -1
    right: int = -1
    left_change: bool = False
    right_change: bool = False
    opposite: int = -1
    road_name: str = ""


@dataclass(frozen=True, order=True)
class RawStop:
    """A stop line; fields as LaneGraph's `stop_*`, `signal` an index into its `signal_id`."""

    lane: int
    s: float
    kind: int
    signal: int
    junction_lane: int


@dataclass(frozen=True)
class RawLandmark:
    """Something with a name beside a road; fields as LaneGraph's `landmark_*`."""

    name: str
    kind: str
    xy: tuple[float, float]
    lane: int
    s: float


def assemble(
    name: str,
    lanes: Sequence[RawLane],
    stops: Sequence[RawStop] = (),
    signal_ids: Sequence[str] = (),
    crosswalks: Sequence[Array] = (),
    landmarks: Sequence[RawLandmark] = (),
) -> LaneGraph:
    """Lay out the lists as arrays; derive arc lengths, curvature, turns, conflicts and the grid.

    Args:
        name: of the town.
        lanes: all lanes; indices in them and in `stops` refer to this list.
        stops: stop lines.
        signal_ids: OpenDRIVE ids of the traffic lights.
        crosswalks: polygons (k, 2) [m], map frame.
        landmarks: stops, stations, shops.

    Raises:
        ValueError: there is no lane, so there is nothing to drive on.
    """
    if not lanes:
        raise ValueError(f"{name}: no lane was found, so there is no road to drive on")
    counts = np.array([len(lane.xyz) for lane in lanes])
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    s = np.concatenate([_arc_length(lane.xyz) for lane in lanes])
    xyz = np.concatenate([lane.xyz for lane in lanes])
    succ_start, succ = csr([lane.successors for lane in lanes])
    pred_start, pred = csr(_reverse([lane.successors for lane in lanes]))
    ordered = sorted(set(stops))
    empty = np.zeros(0, np.int32)
    arrays = {
        **{k: _column(lanes, k, np.int32) for k in (
            "road_id", "section_id", "lane_id", "junction", "left", "right", "opposite")},
        **{k: _column(lanes, k, np.bool_) for k in ("left_change", "right_change")},
        "kind": _column(lanes, "kind", np.int8),
        "speed_limit": _column(lanes, "speed_limit", np.float64),
        "length": s[start[1:] - 1],
        "point_start": start,
        "xyz": xyz,
        "s": s,
        "yaw": np.concatenate([lane.yaw for lane in lanes]),
        "curvature": np.concatenate([_curvature(lane) for lane in lanes]),
        "width": np.concatenate([lane.width for lane in lanes]),
        "succ_start": succ_start, "succ": succ, "pred_start": pred_start, "pred": pred,
        "turn": np.array([_turn(lane) for lane in lanes], np.int8),
        "conflict_start": np.zeros(len(lanes) + 1, np.int32),
        "conflict": empty,
        "conflict_s": np.zeros((0, 4)),
        "conflict_yields": np.zeros(0, np.bool_),
        "signal_id": np.array(list(signal_ids), dtype=np.str_),
        "stop_lane": np.array([q.lane for q in ordered], np.int32),
        "stop_s": np.array([q.s for q in ordered], np.float64),
        "stop_kind": np.array([q.kind for q in ordered], np.int8),
        "stop_signal": np.array([q.signal for q in ordered], np.int32),
        "stop_junction_lane": np.array([q.junction_lane for q in ordered], np.int32),
        "crosswalk_start": csr([[0] * len(c) for c in crosswalks])[0],
        "crosswalk_xy": np.concatenate([np.zeros((0, 2)), *crosswalks]),
        "road_name": _column(lanes, "road_name", np.str_),
        "landmark_name": np.array([m.name for m in landmarks], np.str_),
        "landmark_kind": np.array([m.kind for m in landmarks], np.str_),
        "landmark_xy": np.array([m.xy for m in landmarks], np.float64).reshape(-1, 2),
        "landmark_lane": np.array([m.lane for m in landmarks], np.int32),
        "landmark_s": np.array([m.s for m in landmarks], np.float64),
        "point_lane": np.repeat(np.arange(len(lanes), dtype=np.int32), counts),
    }  # fmt: skip
    arrays |= _point_grid(xyz)
    arrays |= find_conflicts(LaneGraph(name=name, **arrays))
    return LaneGraph(name=name, **arrays)


def csr(rows: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """Return start (len + 1,) and values of ragged int rows, both int32."""
    start = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int32)
    values = np.array([v for r in rows for v in r], dtype=np.int32)
    return start, values


def _reverse(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    back: list[list[int]] = [[] for _ in rows]
    for i, row in enumerate(rows):
        for j in row:
            back[j].append(i)
    return back


def _column(lanes: Sequence[RawLane], name: str, dtype: type) -> Array:
    return np.array([getattr(lane, name) for lane in lanes], dtype=dtype)


def _arc_length(xyz: Array) -> Array:
    step = np.hypot(np.diff(xyz[:, 0]), np.diff(xyz[:, 1]))
    return np.concatenate([[0.0], np.cumsum(step)])


def _curvature(lane: RawLane) -> Array:
    # From the yaw over 2 m or so: at a kink between two pieces of road one sample alone would
    # claim a bend that nobody can drive.
    yaw, s = np.unwrap(lane.yaw), _arc_length(lane.xyz)
    n = len(s)
    if n < 3 or s[-1] < 1.0:
        return np.full(n, (yaw[-1] - yaw[0]) / max(s[-1], 1.0))
    lo = np.maximum(np.arange(n) - 1, 0)
    hi = np.minimum(np.arange(n) + 1, n - 1)
    return (yaw[hi] - yaw[lo]) / np.maximum(s[hi] - s[lo], 1e-3)


def _turn(lane: RawLane) -> int:
    if lane.junction < 0:
        return 0
    angle = np.unwrap(lane.yaw)
    change = angle[-1] - angle[0]
    return int(np.sign(change)) if abs(change) > TURN_ANGLE else 0


def _point_grid(xyz: Array) -> dict[str, Array | float]:
    origin = np.floor(xyz[:, :2].min(axis=0) / GRID_CELL) * GRID_CELL
    cell = np.floor((xyz[:, :2] - origin) / GRID_CELL).astype(np.int64)
    shape = cell.max(axis=0) + 1
    flat = cell[:, 0] * shape[1] + cell[:, 1]
    order = np.argsort(flat, kind="stable").astype(np.int32)
    start = np.searchsorted(flat[order], np.arange(shape[0] * shape[1] + 1)).astype(np.int32)
    return {
        "grid_origin": origin,
        "grid_cell": GRID_CELL,
        "grid_shape": shape.astype(np.int32),
        "grid_start": start,
        "grid_point": order,
    }
