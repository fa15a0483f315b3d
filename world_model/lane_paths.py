"""The way each vehicle is expected to take: its lane, and the likeliest lanes after it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.queries import (
    LaneArrays,
    find_lane,
    kind_bits,
    lane_pose,
    lane_width,
    project_on_lane,
)
from headway.types import AgentKind, Array, SignalState

STEP = 2.0  # [m] between the samples of a path
MAX_LANES = 24  # of a path
LANE_RADIUS = 3.0  # [m] beside a lane's samples
LANE_HEADING = math.radians(60.0)  # who is turned away further does not follow the lane
FORK_REACH = 4.0  # [m] before a fork within which the turn rate tells where one goes
CHANGE_S = 1.5  # [s] within which a change of lane would cross the marking
CHANGE_SPEED = 0.3  # [m/s] across, below which no change of lane is seen
METRES_PER_CURVATURE = 20.0  # [m/(1/m)] a wrong curvature counts as much as this distance
YELLOW_BRAKE, RED_BRAKE = 3.0, 6.0  # [m/s^2] beyond which nobody stops any more
LIGHT_NEAR = 12.0  # [m] to a light's line: who stands there waits for it
FAR = 1e9
STOP_SIGN = -2
DRIVING = kind_bits((LaneKind.DRIVING,))
DRIVING_KIND = int(LaneKind.DRIVING)
RED, YELLOW, GREEN = int(SignalState.RED), int(SignalState.YELLOW), int(SignalState.GREEN)
VEHICLE, TWO_WHEELER = int(AgentKind.VEHICLE), int(AgentKind.TWO_WHEELER)


class Roads(NamedTuple):
    """What the kernels read of a LaneGraph; fields as there.

    `line_start` (L+1,) is the CSR by lane of the lines at lights and stop signs: `line_s` [m],
    `line_signal` (`STOP_SIGN` for signs) and `line_lane` (the junction lane guarded, -1 for all).
    """

    lanes: LaneArrays
    junction: Array
    turn: Array
    speed_limit: Array
    curvature: Array
    left: Array
    right: Array
    succ_start: Array
    succ: Array
    pred_start: Array
    pred: Array
    line_start: Array
    line_s: Array
    line_signal: Array
    line_lane: Array


def make_roads(graph: LaneGraph) -> Roads:
    """Lay out `graph` for the kernels."""
    lines = np.flatnonzero(
        ((graph.stop_kind == StopKind.LIGHT) & (graph.stop_signal >= 0))
        | (graph.stop_kind == StopKind.STOP)
    )
    lines = lines[np.lexsort((graph.stop_s[lines], graph.stop_lane[lines]))]
    per_lane = np.bincount(graph.stop_lane[lines], minlength=graph.num_lanes)
    return Roads(
        graph.arrays(),
        *(np.ascontiguousarray(getattr(graph, name)) for name in Roads._fields[1:11]),
        line_start=np.concatenate([[0], np.cumsum(per_lane)]).astype(np.int32),
        line_s=graph.stop_s[lines].astype(np.float64),
        line_signal=np.where(
            graph.stop_kind[lines] == StopKind.LIGHT, graph.stop_signal[lines], STOP_SIGN
        ).astype(np.int32),
        line_lane=graph.stop_junction_lane[lines].astype(np.int32),
    )


class Paths(NamedTuple):
    """Paths of `A` agents, a sample each `STEP` [m] from where they are now.

    Attributes:
        num: (A,) int64 number of lanes, 0 for who follows none.
        lane: (A, MAX_LANES) int64.
        start: (A, MAX_LANES) [m] where on the path each lane begins.
        pose: (A, M, 3) x, y [m], yaw [rad], map frame.
        allowed: (A, M) [m/s] by limits and bends, with room to brake for what follows.
        offset: (A,) [m] the agent beside its path, left positive.
        stop: (A,) [m] the line of a light or stop sign that holds the agent, `FAR` for none.
        go: (A,) bool, whether a light just ahead says go.
    """

    num: Array
    lane: Array
    start: Array
    pose: Array
    allowed: Array
    offset: Array
    stop: Array
    go: Array


def new_paths(num: int, length: float) -> Paths:
    """Return room for the paths of `num` agents, `length` [m] long."""
    samples = max(2, math.ceil(length / STEP) + 1)
    return Paths(
        np.zeros(num, np.int64), np.empty((num, MAX_LANES), np.int64),
        np.empty((num, MAX_LANES)), np.empty((num, samples, 3)), np.empty((num, samples)),
        np.zeros(num), np.full(num, FAR), np.zeros(num, np.bool_),
    )  # fmt: skip


@njit(cache=True)
def lay_paths(
    roads: Roads, kind: Array, pose: Array, z: Array, velocity: Array, yaw_rate: Array,
    extent: Array, starts: Array, signal_state: Array, lateral_accel: float, brake: float,
    paths: Paths,
) -> None:  # fmt: skip
    """Find each vehicle's way and write it into `paths`; arrays as in `Agents` and `Scene`.

    Args:
        roads: of the town.
        kind, pose, z, velocity, yaw_rate, extent: of the agents.
        starts: (A,) bool, whether they stood a moment ago: a stop sign holds them no more.
        signal_state: of the lights.
        lateral_accel: [m/s^2] in bends.
        brake: [m/s^2] before bends and lower limits.
        paths: written.
    """
    for a in range(len(kind)):
        if kind[a] != VEHICLE and kind[a] != TWO_WHEELER:
            continue
        speed = math.hypot(velocity[a, 0], velocity[a, 1])
        curvature = yaw_rate[a] / speed if speed > 1.0 else 0.0
        lane, s, d = own_lane(roads, pose[a], z[a], velocity[a], curvature)
        if lane < 0:
            continue
        paths.offset[a] = d
        length = (paths.pose.shape[1] - 1) * STEP
        paths.num[a] = follow_lanes(roads, lane, s, curvature, length, paths.lane[a],
                                    paths.start[a])  # fmt: skip
        here = max(roads.speed_limit[lane], 1.0)
        factor = min(max(speed / here, 1.0), 1.3)  # who is above the limit stays above it
        _sample(roads, paths, a, factor, lateral_accel, brake)
        paths.stop[a], paths.go[a] = _line(
            roads, paths, a, extent[a, 0], speed, starts[a], signal_state
        )  # fmt: skip


@njit(cache=True)
def own_lane(
    roads: Roads, pose: Array, z: float, velocity: Array, curvature: float
) -> tuple[int, float, float]:
    """Find the lane that a vehicle follows: the one it is on, or the one it changes to.

    Args:
        roads: of the town.
        pose: (3,) x, y [m], yaw [rad].
        z: [m].
        velocity: (2,) [m/s].
        curvature: [1/m] that it drives; in junctions it tells ways apart that still overlap.

    Returns:
        lane (-1 for none), s [m], d [m] left positive.
    """
    lanes, x, y, yaw = roads.lanes, pose[0], pose[1], pose[2]
    found, s, d = find_lane(lanes, x, y, z, yaw, DRIVING, LANE_RADIUS)
    lane = int(found)
    if lane < 0:
        return -1, 0.0, 0.0
    if roads.junction[lane] >= 0:
        lane = _way_through(roads, lane, x, y, yaw, curvature)
    s, d, lane_yaw = project_on_lane(lanes, lane, x, y)
    half = 0.5 * float(lane_width(lanes, lane, s))
    if abs(wrap_angle(yaw - lane_yaw)) > LANE_HEADING or abs(d) > half + 0.4:
        return -1, 0.0, 0.0
    across = velocity[1] * math.cos(lane_yaw) - velocity[0] * math.sin(lane_yaw)
    beside = -1
    if roads.junction[lane] < 0 and abs(across) > CHANGE_SPEED:
        if d + CHANGE_S * across > half:
            beside = int(roads.left[lane])
        elif d + CHANGE_S * across < -half:
            beside = int(roads.right[lane])
    if beside >= 0 and lanes.kind[beside] == DRIVING_KIND:
        lane = beside
        s, d, _ = project_on_lane(lanes, lane, x, y)
    return lane, s, d


@njit(cache=True)
def _way_through(roads: Roads, lane: int, x: float, y: float, yaw: float, curvature: float) -> int:
    """The one of the ways that part where `lane` begins on which a vehicle most likely is."""
    best, best_cost = lane, FAR
    for i in range(roads.pred_start[lane], roads.pred_start[lane + 1]):
        before = int(roads.pred[i])
        for j in range(roads.succ_start[before], roads.succ_start[before + 1]):
            other = int(roads.succ[j])
            if roads.lanes.kind[other] != DRIVING_KIND:
                continue
            s, d, lane_yaw = project_on_lane(roads.lanes, other, x, y)
            if s < -0.5 or s > roads.lanes.length[other] + 0.5:
                continue
            bend = _mean_curvature(roads, other, s, s + 6.0)
            cost = abs(d) + 3.0 * abs(wrap_angle(yaw - lane_yaw))
            cost += METRES_PER_CURVATURE * abs(bend - curvature)
            if cost < best_cost - 1e-9:
                best, best_cost = other, cost
    return best


@njit(cache=True)
def _mean_curvature(roads: Roads, lane: int, low: float, high: float) -> float:
    """Curvature [1/m] of a lane between two places on it, by its yaw."""
    length = roads.lanes.length[lane]
    low, high = min(max(low, 0.0), length), min(max(high, 0.0), length)
    if high - low < 0.5:
        low, high = max(high - 2.0, 0.0), min(low + 2.0, length)
    first = lane_pose(roads.lanes, lane, low)[3]
    last = lane_pose(roads.lanes, lane, high)[3]
    return wrap_angle(last - first) / max(high - low, 0.5)


@njit(cache=True)
def follow_lanes(
    roads: Roads, lane: int, s: float, curvature: float, length: float, out: Array, start: Array
) -> int:
    """Write the likeliest lanes for `length` [m] on from `s` [m] of `lane`, and where they begin.

    At a fork that is straight on, unless the fork is near and the curvature [1/m] driven fits
    another way better.

    Returns:
        How many they are.
    """
    out[0], start[0], num = lane, -s, 1
    while num < MAX_LANES:
        here = int(out[num - 1])
        end = start[num - 1] + roads.lanes.length[here]
        if end > length:
            break
        best, best_cost = -1, FAR
        for j in range(roads.succ_start[here], roads.succ_start[here + 1]):
            following = int(roads.succ[j])
            if roads.lanes.kind[following] != DRIVING_KIND:
                continue
            bend = _mean_curvature(roads, following, 0.0, 12.0)
            cost = abs(bend) + (1.0 if roads.turn[following] != 0 else 0.0)
            if end < FORK_REACH and abs(curvature) > 0.02:
                cost = abs(bend - curvature)
            if cost < best_cost:
                best, best_cost = following, cost
        if best < 0:
            break
        out[num], start[num] = best, end
        num += 1
    return num


@njit(cache=True)
def _sample(
    roads: Roads, paths: Paths, a: int, factor: float, lateral_accel: float, brake: float
) -> None:
    """Write the poses and speeds of path `a`; `factor` scales the limits."""
    pose, allowed = paths.pose[a], paths.allowed[a]
    xyz, yaw, s = roads.lanes.xyz, roads.lanes.yaw, roads.lanes.s
    point_start = roads.lanes.point_start
    samples = len(allowed)
    k, lane = -1, -1
    p, last = 0, 0
    for i in range(samples):
        while k < 0 or (k + 1 < paths.num[a] and i * STEP >= paths.start[a, k + 1]):
            k += 1
            lane = paths.lane[a, k]
            p, last = point_start[lane], point_start[lane + 1] - 1
        at = i * STEP - paths.start[a, k]
        while p + 1 < last and s[p + 1] <= at:
            p += 1
        q = min(p + 1, last)
        f = (at - s[p]) / max(s[q] - s[p], 1e-6)  # the last lane's end goes on straight
        pose[i, 0] = xyz[p, 0] + f * (xyz[q, 0] - xyz[p, 0])
        pose[i, 1] = xyz[p, 1] + f * (xyz[q, 1] - xyz[p, 1])
        pose[i, 2] = wrap_angle(yaw[p] + min(f, 1.0) * wrap_angle(yaw[q] - yaw[p]))
        allowed[i] = factor * roads.speed_limit[lane]
    for i in range(samples - 1, -1, -1):
        low, high = max(i - 1, 0), min(i + 1, samples - 1)
        bend = abs(wrap_angle(pose[high, 2] - pose[low, 2])) / ((high - low) * STEP)
        if bend > 1e-3:
            allowed[i] = min(allowed[i], math.sqrt(lateral_accel / bend))
        if i + 1 < samples:
            allowed[i] = min(allowed[i], math.sqrt(allowed[i + 1] ** 2 + 2.0 * brake * STEP))


@njit(cache=True)
def _line(
    roads: Roads,
    paths: Paths,
    a: int,
    half_length: float,
    speed: float,
    starts: bool,
    signal_state: Array,
) -> tuple[float, bool]:
    """Where on its path a line holds vehicle `a` [m] (FAR: nowhere), and whether a light says go.

    A light that shows red is taken to go on showing it, and a stop sign to hold for as long.
    """
    for k in range(paths.num[a]):
        lane = paths.lane[a, k]
        following = paths.lane[a, k + 1] if k + 1 < paths.num[a] else -1
        for q in range(roads.line_start[lane], roads.line_start[lane + 1]):
            if roads.line_lane[q] >= 0 and following >= 0 and roads.line_lane[q] != following:
                continue
            line = paths.start[a, k] + roads.line_s[q]
            gap = line - half_length
            if gap < -0.5:
                continue  # the front is past it
            sign = roads.line_signal[q] == STOP_SIGN
            if sign and starts:
                continue
            state = RED if sign else signal_state[roads.line_signal[q]]
            needed = speed * speed / (2.0 * max(gap, 0.1))
            if (state == RED and needed < RED_BRAKE) or (state == YELLOW and needed < YELLOW_BRAKE):
                return line, False
            if state == GREEN and gap < LIGHT_NEAR:
                return FAR, True
    return FAR, False
