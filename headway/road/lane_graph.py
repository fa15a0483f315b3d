"""LaneGraph: a town's roads as flat arrays, so that numba kernels and NumPy read it alike.

A lane here is one lane of one OpenDRIVE lane section, stored in its direction of travel, as samples
about one metre apart. Ragged data is CSR: lane `i` owns rows `start[i]:start[i + 1]`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headway.types import Array, check_shape

if TYPE_CHECKING:
    from headway.road.ground import GroundArrays
    from headway.road.queries import LaneArrays

FORMAT = 4  # raise it when fields or their derivation change; other caches are made anew


class LaneKind(IntEnum):
    """What a lane is for."""

    DRIVING = 0
    SIDEWALK = 1
    PARKING = 2
    SHOULDER = 3
    BIKING = 4


class StopKind(IntEnum):
    """Why one may have to stop at a stop line."""

    LIGHT = 0
    STOP = 1
    YIELD = 2


@dataclass(frozen=True)
class LaneGraph:
    """A town's roads, right-handed map frame, SI units.

    `L` lanes, `P` points, `S` signals (traffic lights), `Q` stop lines, `C` crosswalks,
    `M` landmarks.

    Attributes:
        name: of the town.
        road_id, section_id, lane_id: (L,) int32, OpenDRIVE's.
        junction: (L,) int32 junction id, -1 outside.
        kind: (L,) int8 `LaneKind`.
        length: (L,) [m].
        speed_limit: (L,) [m/s].
        left, right: (L,) int32 neighbour lane of the same direction, -1 for none.
        left_change, right_change: (L,) bool, whether the marking between allows the change.
        opposite: (L,) int32 the lane beyond the centre line that runs the other way, -1 for none.
        point_start: (L+1,) int32.
        xyz: (P, 3) [m] lane centre.
        s: (P,) [m] arc length from the lane's start.
        yaw: (P,) [rad] direction of travel.
        curvature: (P,) [1/m], left positive.
        width: (P,) [m].
        succ_start, succ: (L+1,), (*,) int32 lanes that follow.
        pred_start, pred: (L+1,), (*,) int32 lanes that come before.
        turn: (L,) int8 of lanes in junctions: -1 right, 0 straight, 1 left; 0 outside.
        conflict_start: (L+1,) int32.
        conflict: (*,) int32 the lane that overlaps this one (crossing or merging) in a junction.
        conflict_s: (*, 4) [m] own from, own to, the other's from, the other's to.
        conflict_yields: (*,) bool: this lane has to give way to the other one (signs, else
            left turns to oncoming, minor to major, right before left).
        signal_id: (S,) OpenDRIVE ids of the traffic lights, as `TrafficLight.get_opendrive_id`.
        stop_lane: (Q,) int32 lane that the stop line crosses (its last metres before a junction).
        stop_s: (Q,) [m] where on that lane.
        stop_kind: (Q,) int8 `StopKind`.
        stop_signal: (Q,) int32 index into `signal_id`, -1 for signs.
        stop_junction_lane: (Q,) int32 the junction lane it guards, -1 for all that follow.
        crosswalk_start, crosswalk_xy: (C+1,), (*, 2) polygons.
        grid_origin: (2,) [m], grid_cell: () [m] and grid_shape: (2,) int32 of the point index.
        grid_start, grid_point: CSR of point indices per cell, row-major (x * ny + y).
        point_lane: (P,) int32 the lane of each point.
        road_name: (L,) str name of the lane's road, "" where it has none.
        landmark_name, landmark_kind: (M,) str; kinds are bus_stop, station, shop.
        landmark_xy: (M, 2) [m] where it stands.
        landmark_lane: (M,) int32 the driving lane beside it, landmark_s: (M,) [m] where on that.
    """

    name: str
    road_id: Array
    section_id: Array
    lane_id: Array
    junction: Array
    kind: Array
    length: Array
    speed_limit: Array
    left: Array
    right: Array
    left_change: Array
    right_change: Array
    opposite: Array
    point_start: Array
    xyz: Array
    s: Array
    yaw: Array
    curvature: Array
    width: Array
    succ_start: Array
    succ: Array
    pred_start: Array
    pred: Array
    turn: Array
    conflict_start: Array
    conflict: Array
    conflict_s: Array
    conflict_yields: Array
    signal_id: Array
    stop_lane: Array
    stop_s: Array
    stop_kind: Array
    stop_signal: Array
    stop_junction_lane: Array
    crosswalk_start: Array
    crosswalk_xy: Array
    grid_origin: Array
    grid_cell: float
    grid_shape: Array
    grid_start: Array
    grid_point: Array
    point_lane: Array
    road_name: Array
    landmark_name: Array
    landmark_kind: Array
    landmark_xy: Array
    landmark_lane: Array
    landmark_s: Array

    def __post_init__(self) -> None:
        num_lanes, num_points = len(self.road_id), len(self.s)
        for name in ("section_id", "lane_id", "junction", "kind", "length", "speed_limit", "left",
                     "right", "left_change", "right_change", "opposite", "turn",
                     "road_name"):  # fmt: skip
            check_shape("LaneGraph", name, getattr(self, name), (num_lanes,))
        for name in ("point_start", "succ_start", "pred_start", "conflict_start"):
            check_shape("LaneGraph", name, getattr(self, name), (num_lanes + 1,))
        check_shape("LaneGraph", "xyz", self.xyz, (num_points, 3))
        for name in ("yaw", "curvature", "width", "point_lane"):
            check_shape("LaneGraph", name, getattr(self, name), (num_points,))
        num_landmarks = len(self.landmark_name)
        for name in ("landmark_kind", "landmark_lane", "landmark_s"):
            check_shape("LaneGraph", name, getattr(self, name), (num_landmarks,))
        check_shape("LaneGraph", "landmark_xy", self.landmark_xy, (num_landmarks, 2))

    @property
    def num_lanes(self) -> int:
        """Number of lanes L."""
        return len(self.road_id)

    def points(self, lane: int) -> slice:
        """Rows of `xyz`, `s`, `yaw`, `curvature` and `width` that belong to `lane`."""
        return slice(int(self.point_start[lane]), int(self.point_start[lane + 1]))

    def samples_at(self, lane: Array, s: Array) -> Array:
        """Rows (n,) of the samples nearest to arc lengths `s` (n,) [m] of lanes `lane` (n,)."""
        rows = self.point_start[lane] + np.round(s).astype(np.int64)
        return np.minimum(rows, self.point_start[lane + 1] - 1)

    def successors(self, lane: int) -> Array:
        """Lanes that follow `lane`."""
        return self.succ[self.succ_start[lane] : self.succ_start[lane + 1]]

    def predecessors(self, lane: int) -> Array:
        """Lanes that come before `lane`."""
        return self.pred[self.pred_start[lane] : self.pred_start[lane + 1]]

    def arrays(self) -> LaneArrays:
        """Return what the kernels of `headway.road.queries` read, laid out once."""
        kept = self.__dict__.get("_lane_arrays")
        if kept is None:
            from headway.road.queries import lane_arrays  # noqa: PLC0415 - it imports this module

            kept = self.__dict__["_lane_arrays"] = lane_arrays(self)
        return kept

    def ground_arrays(self) -> GroundArrays:
        """Return the raster that the kernels of `headway.road.ground` read, laid out once."""
        kept = self.__dict__.get("_ground_arrays")
        if kept is None:
            from headway.road.ground import make_ground  # noqa: PLC0415 - it imports this module

            kept = self.__dict__["_ground_arrays"] = make_ground(self)
        return kept

    def save(self, path: Path) -> None:
        """Write all arrays to `path` (.npz)."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        np.savez_compressed(path, allow_pickle=False, format=FORMAT, **arrays)

    @staticmethod
    def load(path: Path) -> LaneGraph:
        """Read what `save` wrote.

        Raises:
            ValueError: the file was written by another version of headway.
        """
        with np.load(path) as data:
            if int(data["format"]) != FORMAT:
                raise ValueError(f"{path}: LaneGraph format {data['format']}, expected {FORMAT}")
            values = {f.name: data[f.name] for f in fields(LaneGraph)}
        values["name"] = str(values["name"])
        values["grid_cell"] = float(values["grid_cell"])
        return LaneGraph(**values)
