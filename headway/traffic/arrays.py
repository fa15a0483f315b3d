"""The arrays that traffic lives in: roads, vehicles (fleet), walkers (crowd).

All are allocated once by the caller and written in place. Every field of `Fleet` and `Crowd` has
the agent as its leading axis, so a batch of worlds is one allocation with a world axis in front
and one view per world: `Fleet(*(field[w] for field in batch))`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

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


class RoadArrays(NamedTuple):
    """What the kernels read of a `LaneGraph`; stop lines are sorted by lane.

    Attributes:
        driving: (L,) bool.
        stop_start: (L+1,) int32, rows of the stop arrays that lie on each lane.
        stop_index: (Q,) int32 row in the LaneGraph.
        The others are LaneGraph's fields of the same name; `x`, `y`, `z` are columns of its `xyz`.
    """

    driving: Array
    junction: Array
    length: Array
    speed_limit: Array
    left: Array
    right: Array
    left_change: Array
    right_change: Array
    opposite: Array
    turn: Array
    point_start: Array
    x: Array
    y: Array
    z: Array
    s: Array
    yaw: Array
    curvature: Array
    width: Array
    point_lane: Array
    succ_start: Array
    succ: Array
    pred_start: Array
    pred: Array
    conflict_start: Array
    conflict: Array
    conflict_s: Array
    conflict_yields: Array
    stop_start: Array
    stop_index: Array
    stop_s: Array
    stop_kind: Array
    stop_signal: Array
    stop_junction_lane: Array
    grid_origin: Array
    grid_cell: float
    grid_shape: Array
    grid_start: Array
    grid_point: Array


def road_arrays(graph: LaneGraph) -> RoadArrays:
    """Lay out `graph` for the kernels."""
    order = np.argsort(graph.stop_lane, kind="stable").astype(np.int32)
    stop_start = np.searchsorted(graph.stop_lane[order], np.arange(graph.num_lanes + 1))
    return RoadArrays(
        driving=np.ascontiguousarray(graph.kind == LaneKind.DRIVING),
        junction=_array(graph.junction, np.int32),
        length=_array(graph.length),
        speed_limit=_array(graph.speed_limit),
        left=_array(graph.left, np.int32),
        right=_array(graph.right, np.int32),
        left_change=_array(graph.left_change, np.bool_),
        right_change=_array(graph.right_change, np.bool_),
        opposite=_array(graph.opposite, np.int32),
        turn=_array(graph.turn, np.int8),
        point_start=_array(graph.point_start, np.int32),
        x=_array(graph.xyz[:, 0]),
        y=_array(graph.xyz[:, 1]),
        z=_array(graph.xyz[:, 2]),
        s=_array(graph.s),
        yaw=_array(graph.yaw),
        curvature=_array(graph.curvature),
        width=_array(graph.width),
        point_lane=_array(graph.point_lane, np.int32),
        succ_start=_array(graph.succ_start, np.int32),
        succ=_array(graph.succ, np.int32),
        pred_start=_array(graph.pred_start, np.int32),
        pred=_array(graph.pred, np.int32),
        conflict_start=_array(graph.conflict_start, np.int32),
        conflict=_array(graph.conflict, np.int32),
        conflict_s=_array(np.asarray(graph.conflict_s).reshape(-1, 4)),
        conflict_yields=_array(graph.conflict_yields, np.bool_),
        stop_start=_array(stop_start, np.int32),
        stop_index=order,
        stop_s=_array(np.asarray(graph.stop_s)[order]),
        stop_kind=_array(np.asarray(graph.stop_kind)[order], np.int8),
        stop_signal=_array(np.asarray(graph.stop_signal)[order], np.int32),
        stop_junction_lane=_array(np.asarray(graph.stop_junction_lane)[order], np.int32),
        grid_origin=_array(graph.grid_origin),
        grid_cell=float(graph.grid_cell),
        grid_shape=_array(graph.grid_shape, np.int32),
        grid_start=_array(graph.grid_start, np.int32),
        grid_point=_array(graph.grid_point, np.int32),
    )


def _array(values: Array, dtype: type = np.float64) -> Array:
    # Always a fresh writable array: read-only inputs are another type to numba and compile again.
    return np.array(values, dtype=dtype, order="C")


class Fleet(NamedTuple):
    """Vehicles, one row each; row order is the order in which they decide.

    Attributes:
        active: (N,) bool, whether the row holds a vehicle.
        driven: (N,) bool, whether traffic drives it; ego and foreign vehicles are not driven but
            seen by all others.
        x, y, yaw: (N,) [m], [m], [rad] bounding-box centre, map frame.
        speed: (N,) [m/s] along the body.
        half_length, half_width, wheelbase: (N,) [m].
        time_gap, min_gap: (N,) [s], [m] of IDM.
        max_accel, comfort_brake: (N,) [m/s^2].
        speed_factor: (N,) of the speed limit.
        lateral_accel: (N,) [m/s^2] accepted in bends.
        politeness: (N,) of MOBIL.
        patience: (N,) [s] of standing before somebody takes what is free.
        rng: (N,) uint64 one stream per vehicle.
        plan: (N, PLAN_LANES) int32 lanes ahead, the current one first; `plan_size` (N,) used.
        plan_at: (N, PLAN_LANES+1) [m] where each begins, measured from the centre along the path.
        s, d: (N,) [m] on the first planned lane.
        shift: (N,) [m] lateral offset of the path from the lane's centre, fading to zero.
        indicator: (N,) int8, 1 changing to the left, -1 to the right, 0 none.
        change_timer: (N,) [s] until the next lane change is considered.
        committed: (N,) int32 junction lane that the vehicle goes through, -1 for none.
        arrival: (N,) [s] time when it came to stand at its line, FAR when it did not.
        stopped_at: (N,) int32 stop line at which it has made its full stop, -1 for none.
        yellow_at: (N,) int32 stop line of a light that turned yellow and is stopped at, -1.
        standing: (N,) [s] how long it has stood.
        waited: (N,) [s] how long it has been held at a junction by others.
        hold: (N,) int8 `Hold`.
        hold_gap: (N,) [m] from its front to where it is held, FAR when free.
        lead: (N,) int32 row of the vehicle it follows, -1 none, -2 a walker.
        lead_gap, lead_speed: (N,) [m], [m/s].
        path_x, path_y, path_yaw, path_curvature: (N, PATH_POINTS) the path ahead, PATH_STEP apart,
            from the projection of the centre; `path_size` (N,).
        path_box: (N, 4) [m] least x, y and largest x, y of it.
        desired: (N,) [m/s] speed that road and temper allow.
        accel: (N,) [m/s^2] out.
        wheel_angle: (N,) [rad] out, left positive.
    """

    active: Array
    driven: Array
    x: Array
    y: Array
    yaw: Array
    speed: Array
    half_length: Array
    half_width: Array
    wheelbase: Array
    time_gap: Array
    min_gap: Array
    max_accel: Array
    comfort_brake: Array
    speed_factor: Array
    lateral_accel: Array
    politeness: Array
    patience: Array
    rng: Array
    plan: Array
    plan_size: Array
    plan_at: Array
    s: Array
    d: Array
    shift: Array
    indicator: Array
    change_timer: Array
    committed: Array
    arrival: Array
    stopped_at: Array
    yellow_at: Array
    standing: Array
    waited: Array
    hold: Array
    hold_gap: Array
    lead: Array
    lead_gap: Array
    lead_speed: Array
    path_x: Array
    path_y: Array
    path_yaw: Array
    path_curvature: Array
    path_size: Array
    path_box: Array
    desired: Array
    accel: Array
    wheel_angle: Array


class Scratch(NamedTuple):
    """Who plans to use which lane: linked lists by lane, rebuilt each step.

    Attributes:
        head: (L,) int32 first entry of a lane, -1 for none.
        next: (N*PLAN_LANES,) int32; entry `i * PLAN_LANES + k` is the k-th lane of vehicle i.
        lane_weight: (L,) how attractive a lane is where the way forks; on the lanes ego will drive
            it is above 1, elsewhere in (0, 1].
    """

    head: Array
    next: Array
    lane_weight: Array


class Crowd(NamedTuple):
    """Walkers, one row each.

    Attributes:
        active: (M,) bool; driven: (M,) bool, false for walkers that others move.
        x, y, vx, vy: (M,) [m], [m/s] map frame.
        radius: (M,) [m].
        pace: (M,) [m/s] desired speed.
        patience: (M,) [s].
        rng: (M,) uint64.
        way: (M,) int32 walkway; direction: (M,) int8, +1 along it, -1 against it.
        s: (M,) [m] on the walkway; side: (M,) [m] lateral offset kept on it, left positive.
        mode: (M,) int8 `WalkerMode`.
        crossing: (M,) int32 crossing that is awaited or walked, -1.
        from_x, from_y, to_x, to_y: (M,) ends of the walked crossing.
        waited: (M,) [s] at the kerb or blocked.
        ignored: (M,) int32 the last crossing passed over, so that it is offered once.
        dir_x, dir_y, out_speed: (M,) out: unit direction and speed [m/s].
    """

    active: Array
    driven: Array
    x: Array
    y: Array
    vx: Array
    vy: Array
    radius: Array
    pace: Array
    patience: Array
    rng: Array
    way: Array
    direction: Array
    s: Array
    side: Array
    mode: Array
    crossing: Array
    from_x: Array
    from_y: Array
    to_x: Array
    to_y: Array
    waited: Array
    ignored: Array
    dir_x: Array
    dir_y: Array
    out_speed: Array


class WalkerMode(IntEnum):
    """What a walker does."""

    WALK = 0
    WAIT = 1
    CROSS = 2


_FLEET_INT32 = ("plan_size", "committed", "stopped_at", "yellow_at", "lead", "path_size")
_CROWD_INT32 = ("way", "crossing", "ignored")


def make_fleet(num: int, seed: int) -> Fleet:
    """Allocate `num` inactive vehicles whose tempers are drawn from `seed`."""
    draw = np.random.Generator(np.random.PCG64(seed))
    fields: dict[str, Array] = {}
    for name in Fleet._fields:
        fields[name] = np.zeros(num, np.int32 if name in _FLEET_INT32 else np.float64)
    for name in ("active", "driven"):
        fields[name] = np.zeros(num, np.bool_)
    for name in ("indicator", "hold"):
        fields[name] = np.zeros(num, np.int8)
    for name in ("path_x", "path_y", "path_yaw", "path_curvature"):
        fields[name] = np.zeros((num, PATH_POINTS))
    fields["rng"] = draw.integers(1, 2**63, num, dtype=np.uint64)
    fields["plan"] = np.full((num, PLAN_LANES), -1, np.int32)
    fields["path_box"] = np.zeros((num, 4))
    fields["plan_at"] = np.zeros((num, PLAN_LANES + 1))
    fields["half_length"][:], fields["half_width"][:], fields["wheelbase"][:] = 2.3, 1.0, 2.8
    for name, low, high in (
        ("time_gap", 1.1, 1.8), ("min_gap", 1.8, 2.8), ("max_accel", 1.5, 2.3),
        ("comfort_brake", 1.8, 2.6), ("speed_factor", 0.85, 1.0), ("lateral_accel", 1.8, 2.6),
        ("politeness", 0.1, 0.5), ("patience", 6.0, 14.0), ("change_timer", 0.0, 2.0),
    ):  # fmt: skip
        fields[name] = draw.uniform(low, high, num)
    fleet = Fleet(**fields)
    for i in range(num):
        clear_memory(fleet, i)
    return fleet


def clear_memory(fleet: Fleet, row: int) -> None:
    """Forget what vehicle `row` intended, as after a teleport."""
    fleet.plan_size[row] = 0
    for name in ("s", "d", "shift", "indicator", "standing", "waited", "hold", "lead_speed"):
        getattr(fleet, name)[row] = 0
    for name in ("committed", "stopped_at", "yellow_at", "lead"):
        getattr(fleet, name)[row] = -1
    for name in ("arrival", "hold_gap", "lead_gap"):
        getattr(fleet, name)[row] = FAR


def make_crowd(num: int, seed: int) -> Crowd:
    """Allocate `num` inactive walkers whose tempers are drawn from `seed`."""
    draw = np.random.Generator(np.random.PCG64(seed))
    fields: dict[str, Array] = {}
    for name in Crowd._fields:
        fields[name] = np.zeros(num, np.int32 if name in _CROWD_INT32 else np.float64)
    for name in ("active", "driven"):
        fields[name] = np.zeros(num, np.bool_)
    for name in ("direction", "mode"):
        fields[name] = np.zeros(num, np.int8)
    fields["rng"] = draw.integers(1, 2**63, num, dtype=np.uint64)
    fields["radius"][:] = 0.3
    fields["pace"] = draw.uniform(0.9, 1.7, num)
    fields["patience"] = draw.uniform(4.0, 10.0, num)
    for name in _CROWD_INT32:
        fields[name][:] = -1
    return Crowd(**fields)


def make_scratch(road: RoadArrays, num_vehicles: int) -> Scratch:
    """Allocate the working arrays of one world."""
    return Scratch(
        head=np.full(len(road.length), -1, np.int32),
        next=np.full(num_vehicles * PLAN_LANES, -1, np.int32),
        lane_weight=np.ones(len(road.length)),
    )
