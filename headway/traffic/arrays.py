"""The arrays that traffic lives in: roads, vehicles (fleet), walkers (crowd).

Agents are structured arrays, one record each, allocated once by the caller and written in place;
a batch of worlds is the same array with a world axis in front. Kernels take the plain arrays;
`as_table` gives Python code a view whose fields are attributes (`fleet.x[3] = 1.0`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.types import Array

PLAN_LANES = 16  # lanes that a vehicle plans ahead, its own included
PATH_POINTS = 64  # samples of the path ahead
PATH_STEP = 2.0  # [m] between them
FAR = 1e9  # [m] or [s], "never"


class Hold(IntEnum):
    """Why a vehicle stops at a line; NONE when it does not."""

    NONE = 0
    LIGHT = 1
    STOP_SIGN = 2
    GIVE_WAY = 3
    EXIT_BLOCKED = 4
    DEAD_END = 5


class WalkerMode(IntEnum):
    """What a walker does."""

    WALK = 0
    WAIT = 1
    CROSS = 2


VEHICLE = np.dtype(
    [
        ("active", "?"),  # whether the row holds a vehicle
        ("driven", "?"),  # whether traffic drives it; ego and foreign ones are only seen
        ("indicator", "i1"),  # 1 changing to the left, -1 to the right, 0 none
        ("hold", "i1"),  # `Hold`
        ("was_held", "i1"),  # `hold` of the step before: who decides later shows that
        ("rng", "u8"),  # random stream
        # Bounding-box centre, map frame: written by the caller.
        ("x", "f8"),  # [m]
        ("y", "f8"),  # [m]
        ("z", "f8"),  # [m] of the ground under it: roads cross on bridges
        ("yaw", "f8"),  # [rad]
        ("speed", "f8"),  # [m/s] along the body
        ("half_length", "f8"),  # [m]
        ("half_width", "f8"),  # [m]
        ("wheelbase", "f8"),  # [m]
        # The driver.
        ("time_gap", "f8"),  # [s] of IDM
        ("min_gap", "f8"),  # [m] of IDM
        ("max_accel", "f8"),  # [m/s^2]
        ("comfort_brake", "f8"),  # [m/s^2]
        ("speed_factor", "f8"),  # of the speed limit
        ("top_speed", "f8"),  # [m/s] of the vehicle itself
        ("lateral_accel", "f8"),  # [m/s^2] accepted in bends
        ("politeness", "f8"),  # of MOBIL
        ("patience", "f8"),  # [s] of standing before taking what is free
        # Memory.
        ("plan", "i4", (PLAN_LANES,)),  # lanes ahead, the current one first
        ("plan_size", "i4"),
        ("plan_at", "f8", (PLAN_LANES + 1,)),  # [m] where each begins, from the centre
        ("s", "f8"),  # [m] on the current lane
        ("d", "f8"),  # [m] left of its centre
        ("shift", "f8"),  # [m] lateral offset of the path, fading to zero
        ("change_timer", "f8"),  # [s] until the next lane change is considered
        ("committed", "i4"),  # junction lane that it goes through, -1 for none
        ("arrival", "f8"),  # [s] when it came to stand at its line, FAR when it did not
        ("stopped_at", "i4"),  # stop sign's line at which it made its full stop, -1
        ("yellow_at", "i4"),  # line of a light that turned yellow and is stopped at, -1
        ("standing", "f8"),  # [s] how long it has stood
        ("waited", "f8"),  # [s] how long others have held it at a junction
        ("hold_gap", "f8"),  # [m] from the front to where it is held, FAR when free
        ("lead", "i4"),  # row that it follows, -1 none, -2 a walker
        ("lead_gap", "f8"),  # [m]
        ("lead_speed", "f8"),  # [m/s] along the path
        # The path ahead, PATH_STEP apart, from the projection of the centre.
        ("path_x", "f8", (PATH_POINTS,)),  # [m]
        ("path_y", "f8", (PATH_POINTS,)),  # [m]
        ("path_yaw", "f8", (PATH_POINTS,)),  # [rad]
        ("path_curvature", "f8", (PATH_POINTS,)),  # [1/m]
        ("path_size", "i4"),
        ("path_box", "f8", (4,)),  # [m] least x, y, largest x, y
        ("desired", "f8"),  # [m/s] that road and temper allow
        # Out.
        ("accel", "f8"),  # [m/s^2]
        ("wheel_angle", "f8"),  # [rad] left positive
    ],
    align=True,
)

WALKER = np.dtype(
    [
        ("active", "?"),
        ("driven", "?"),  # false for walkers that others move
        ("jaywalks", "?"),  # crosses anywhere, and expects that cars brake
        ("direction", "i1"),  # +1 along its walkway, -1 against it
        ("mode", "i1"),  # `WalkerMode`
        ("rng", "u8"),
        ("x", "f8"),  # [m] map frame, written by the caller, as are y, z, vx, vy
        ("y", "f8"),
        ("z", "f8"),  # [m] of the ground under it
        ("vx", "f8"),  # [m/s]
        ("vy", "f8"),
        ("radius", "f8"),  # [m]
        ("pace", "f8"),  # [m/s] wanted
        ("patience", "f8"),  # [s]
        ("way", "i4"),  # walkway
        ("s", "f8"),  # [m] on it
        ("side", "f8"),  # [m] kept to the right of its middle
        ("crossing", "i4"),  # awaited or walked, -1
        ("ignored", "i4"),  # the last one passed over, so that it is offered once
        ("from_x", "f8"),  # [m] ends of the way across
        ("from_y", "f8"),
        ("to_x", "f8"),
        ("to_y", "f8"),
        ("waited", "f8"),  # [s] at the kerb, or blocked on the road
        # Out.
        ("dir_x", "f8"),  # unit direction
        ("dir_y", "f8"),
        ("out_speed", "f8"),  # [m/s]
    ],
    align=True,
)

LANE = np.dtype(
    [
        ("driving", "?"),
        ("left_change", "?"),
        ("right_change", "?"),
        ("turn", "i1"),
        ("junction", "i4"),
        ("left", "i4"),
        ("right", "i4"),
        ("opposite", "i4"),
        ("length", "f8"),
        ("speed_limit", "f8"),
        ("point_begin", "i4"),
        ("point_end", "i4"),
        ("succ_begin", "i4"),
        ("succ_end", "i4"),
        ("pred_begin", "i4"),
        ("pred_end", "i4"),
        ("conflict_begin", "i4"),
        ("conflict_end", "i4"),
        ("stop_begin", "i4"),
        ("stop_end", "i4"),
    ],
    align=True,
)

POINT = np.dtype(
    [(name, "f8") for name in ("x", "y", "z", "s", "yaw", "curvature", "width")] + [("lane", "i4")],
    align=True,
)

CONFLICT = np.dtype(
    [("lane", "i4"), ("yields", "?")]
    + [(name, "f8") for name in ("own_from", "own_to", "other_from", "other_to")],
    align=True,
)

STOP = np.dtype(
    [("s", "f8"), ("kind", "i1"), ("signal", "i4"), ("junction_lane", "i4")], align=True
)

# Structured arrays: no type checker knows their fields, numba does.
Records = Any
Fleet = Records  # (N,) of VEHICLE; row order is the order in which they decide
Crowd = Records  # (M,) of WALKER
Table = Any  # an `as_table` view


class RoadArrays(NamedTuple):
    """What the kernels read of a `LaneGraph`, record by record; the fields mean the same.

    Attributes:
        lane: (L,) of LANE, with the rows of each in the arrays below.
        point: (P,) of POINT.
        succ, pred: lanes that follow and come before.
        conflict: of CONFLICT.
        stop: of STOP, sorted by lane.
        grid_origin, grid_shape, grid_cell, grid_start, grid_point: the point index.
    """

    lane: Records
    point: Records
    succ: Array
    pred: Array
    conflict: Records
    stop: Records
    grid_origin: Array
    grid_shape: Array
    grid_cell: float
    grid_start: Array
    grid_point: Array


class Scratch(NamedTuple):
    """Working arrays of a step.

    Who plans to use which lane, as linked lists by lane, rebuilt each step:

    Attributes:
        head: (L,) int32 first entry of a lane, -1 for none.
        next: (N*PLAN_LANES,) int32; entry `i * PLAN_LANES + k` is the k-th lane of vehicle i.
        lane_weight: (L,) how attractive a lane is where the way forks.
        route_lane: (L,) bool lanes of ego's route.
    """

    head: Array
    next: Array
    lane_weight: Array
    route_lane: Array


def road_arrays(graph: LaneGraph) -> RoadArrays:
    """Lay out `graph` for the kernels."""
    order = np.argsort(graph.stop_lane, kind="stable")
    stop_start = np.searchsorted(graph.stop_lane[order], np.arange(graph.num_lanes + 1))
    lane = np.zeros(graph.num_lanes, LANE)
    lane["driving"] = graph.kind == LaneKind.DRIVING
    for name in ("left_change", "right_change", "turn", "junction", "left", "right", "opposite",
                 "length", "speed_limit"):  # fmt: skip
        lane[name] = getattr(graph, name)
    for name, start in (("point", graph.point_start), ("succ", graph.succ_start),
                        ("pred", graph.pred_start), ("conflict", graph.conflict_start),
                        ("stop", stop_start)):  # fmt: skip
        lane[f"{name}_begin"], lane[f"{name}_end"] = start[:-1], start[1:]
    point = np.zeros(len(graph.s), POINT)
    for k, name in enumerate("xyz"):
        point[name] = graph.xyz[:, k]
    for name in ("s", "yaw", "curvature", "width"):
        point[name] = getattr(graph, name)
    point["lane"] = graph.point_lane
    conflict = np.zeros(len(graph.conflict), CONFLICT)
    conflict["lane"], conflict["yields"] = graph.conflict, graph.conflict_yields
    spans = np.asarray(graph.conflict_s).reshape(-1, 4)
    for k, name in enumerate(("own_from", "own_to", "other_from", "other_to")):
        conflict[name] = spans[:, k]
    stop = np.zeros(len(order), STOP)
    for name in ("s", "kind", "signal", "junction_lane"):
        stop[name] = np.asarray(getattr(graph, f"stop_{name}"))[order]
    return RoadArrays(
        lane=lane,
        point=point,
        succ=np.array(graph.succ, np.int32),
        pred=np.array(graph.pred, np.int32),
        conflict=conflict,
        stop=stop,
        grid_origin=np.array(graph.grid_origin, np.float64),
        grid_shape=np.array(graph.grid_shape, np.int32),
        grid_cell=float(graph.grid_cell),
        grid_start=np.array(graph.grid_start, np.int32),
        grid_point=np.array(graph.grid_point, np.int32),
    )


# The range of each driver's temper, and of those who are aggressive.
CALM = (
    ("time_gap", 1.1, 1.8), ("min_gap", 1.8, 2.8), ("max_accel", 1.5, 2.3),
    ("comfort_brake", 1.8, 2.6), ("speed_factor", 0.85, 1.0), ("lateral_accel", 1.8, 2.6),
    ("politeness", 0.1, 0.5), ("patience", 6.0, 14.0), ("change_timer", 0.0, 2.0),
)  # fmt: skip
HOT = (
    ("time_gap", 0.5, 0.9), ("min_gap", 1.2, 1.8), ("max_accel", 2.5, 3.5),
    ("comfort_brake", 3.0, 4.0), ("speed_factor", 1.1, 1.25), ("lateral_accel", 2.8, 3.6),
    ("politeness", 0.0, 0.0), ("patience", 1.0, 3.0),
)  # fmt: skip


def as_table(records: Array) -> Table:
    """A view of structured `records` whose fields are attributes."""
    return records.view(np.recarray)


def make_fleet(num: int, seed: int, aggressive: float = 0.0) -> Fleet:
    """Allocate `num` inactive vehicles whose tempers are drawn from `seed`.

    Args:
        num: of vehicles.
        seed: of their tempers.
        aggressive: share of them that is.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    fleet = np.zeros(num, VEHICLE)
    fleet["rng"] = draw.integers(1, 2**63, num, dtype=np.uint64)
    fleet["plan"] = -1
    fleet["half_length"], fleet["half_width"], fleet["wheelbase"] = 2.3, 1.0, 2.8
    fleet["top_speed"] = 60.0
    for name, low, high in CALM:
        fleet[name] = draw.uniform(low, high, num)
    if aggressive > 0.0:
        hot = draw.random(num) < aggressive
        for name, low, high in HOT:
            fleet[name] = np.where(hot, draw.uniform(low, high, num), fleet[name])
    for row in range(num):
        clear_memory(fleet, row)
    return fleet


def clear_memory(fleet: Fleet, row: int) -> None:
    """Forget what vehicle `row` intended, as after a teleport."""
    for name in ("plan_size", "s", "d", "shift", "indicator", "standing", "waited", "hold",
                 "lead_speed"):  # fmt: skip
        fleet[name][row] = 0
    for name in ("committed", "stopped_at", "yellow_at", "lead"):
        fleet[name][row] = -1
    for name in ("arrival", "hold_gap", "lead_gap"):
        fleet[name][row] = FAR


def make_crowd(num: int, seed: int, jaywalkers: float = 0.0) -> Crowd:
    """Allocate `num` inactive walkers whose tempers are drawn from `seed`.

    Args:
        num: of walkers.
        seed: of their tempers.
        jaywalkers: share of them that is.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    crowd = np.zeros(num, WALKER)
    crowd["rng"] = draw.integers(1, 2**63, num, dtype=np.uint64)
    crowd["radius"] = 0.3
    crowd["pace"] = draw.uniform(0.9, 1.7, num)
    crowd["patience"] = draw.uniform(4.0, 10.0, num)
    crowd["side"] = draw.uniform(0.15, 0.6, num)
    for name in ("way", "crossing", "ignored"):
        crowd[name] = -1
    if jaywalkers > 0.0:
        crowd["jaywalks"] = draw.random(num) < jaywalkers
    return crowd


def make_scratch(road: RoadArrays, num_vehicles: int) -> Scratch:
    """Allocate the working arrays of one world."""
    return Scratch(
        head=np.full(len(road.lane), -1, np.int32),
        next=np.full(num_vehicles * PLAN_LANES, -1, np.int32),
        lane_weight=np.ones(len(road.lane)),
        route_lane=np.zeros(len(road.lane), np.bool_),
    )
