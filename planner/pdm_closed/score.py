"""The score of a proposal: nuPlan's closed-loop terms, as PDM-Closed weighs them.

score = (no collision) (drivable area) (direction)
        (5 progress + 5 time to collision + 2 comfort) / 12

with progress relative to the farthest proposal whose multipliers are not 0 (Dauner et al. 2023,
section 3.3 and supplement; nuPlan's metrics: Caesar et al. 2021).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.road.shapes import boxes_overlap
from headway.types import AgentKind, Array, StateIndex
from planner.beside import lane_under
from planner.corridor import nearest_on

X, Y, YAW, SPEED, ACCEL, STEER = (int(c) for c in StateIndex)
PROP = int(AgentKind.PROP)
NONE = 1e9  # [s] no collision
STOPPED = 0.05  # [m/s] ego stands: who touches it is to blame
IN_JUNCTION = 2.0  # [m] of drivable area beside the lane in junctions, at least


class Score(IntEnum):
    """Columns of a proposal's score."""

    COLLISION = 0  # multiplier: 1, 1/2 for a thing that was hit, 0 for anybody else
    DRIVABLE = 1  # multiplier: 0 where a corner leaves the drivable area
    DIRECTION = 2  # multiplier: 1/2 beyond 2 m, 0 beyond 6 m against the traffic
    PROGRESS = 3  # [m] along the route, made relative in the total
    TTC = 4  # 0 where going straight on would hit somebody within a second
    COMFORT = 5  # 1 within nuPlan's bounds
    HIT_AT = 6  # [s] of the first collision at fault, NONE for none


NUM_SCORES = len(Score)
COLLISION, DRIVABLE, DIRECTION, PROGRESS, TTC, COMFORT, HIT_AT = (int(c) for c in Score)


class Comfort(NamedTuple):
    """nuPlan's bounds of comfort: [m/s^2], [m/s^3], [rad/s], [rad/s^2]."""

    least_accel: float = -4.05
    most_accel: float = 2.40
    lateral_accel: float = 4.89
    jerk: float = 4.13
    whole_jerk: float = 8.37
    yaw_rate: float = 0.95
    yaw_accel: float = 1.93


class Drivable(NamedTuple):
    """Offsets from the route (R,) [m]: drivable area's right and left edge, and where the lanes
    of the other direction begin on the left."""

    right: Array
    left: Array
    oncoming: Array


def drivable_area(graph: LaneGraph, route: Route) -> Drivable:
    """Look up what may be driven on beside `route`: its lane and those beside it, either way."""
    lane = route.lane
    half, off = lane_under(graph, route)
    right, left = -half - off, half - off
    innermost = lane
    for neighbour, sign in ((graph.right, -1.0), (graph.left, 1.0)):
        at = lane
        for _ in range(6):
            at = np.where(at >= 0, neighbour[np.maximum(at, 0)], -1)
            at = np.where(graph.kind[np.maximum(at, 0)] == LaneKind.DRIVING, at, -1)
            width = np.where(at >= 0, graph.width[graph.point_start[np.maximum(at, 0)]], 0.0)
            if sign > 0.0:
                left = left + width
                innermost = np.where(at >= 0, at, innermost)
            else:
                right = right - width
    oncoming = left.copy()
    beyond = graph.opposite[innermost]
    width = graph.width[graph.point_start[np.maximum(beyond, 0)]]
    left = left + np.where(beyond >= 0, width, 0.0)
    inside = graph.junction[lane] >= 0
    right = np.where(inside, np.minimum(right, -half - IN_JUNCTION), right)
    left = np.where(inside, np.maximum(left, half + IN_JUNCTION), left)
    return Drivable(right, left, np.where(inside, left, oncoming))


@njit(cache=True)
def _collision(
    states: Array, dt: float, half_size: Array, off_lane: Array, poses: Array, extent: Array,
    kind: Array, until: Array,
) -> tuple[float, float]:  # fmt: skip
    """Multiplier and time [s] of the first collision at fault.

    Not at fault: ego stands, the other comes from behind, or from the side while ego is wholly in
    a lane (nuPlan's `no_ego_at_fault_collisions`). Who is touched once counts no more.
    """
    worst, when = 1.0, NONE
    for a in range(len(extent)):
        for k in range(len(states)):
            if k * dt > until[a]:
                break
            touch = boxes_overlap(
                states[k, X], states[k, Y], states[k, YAW], half_size[0], half_size[1],
                poses[a, k, 0], poses[a, k, 1], poses[a, k, 2], extent[a, 0], extent[a, 1],
            )  # fmt: skip
            if not touch:
                continue
            if k == 0 or states[k, SPEED] < STOPPED:
                break
            dx, dy = poses[a, k, 0] - states[k, X], poses[a, k, 1] - states[k, Y]
            c, n = math.cos(states[k, YAW]), math.sin(states[k, YAW])
            ahead, left = dx * c + dy * n, dy * c - dx * n
            beside = abs(left) > half_size[1] + 0.5 * extent[a, 1] and abs(ahead) < half_size[0]
            if ahead < -half_size[0] or (beside and not off_lane[k]):
                break
            worst = min(worst, 0.5 if kind[a] == PROP else 0.0)
            when = min(when, k * dt)
            break
    return worst, when


@njit(cache=True)
def _time_to_collision(
    states: Array, dt: float, half_size: Array, poses: Array, extent: Array, until: Array
) -> float:
    """0 where ego, going straight on for up to 0.9 s, would hit somebody ahead; else 1."""
    num = len(states)
    for a in range(len(extent)):
        for k in range(num):
            speed = states[k, SPEED]
            if speed < STOPPED or k * dt > until[a]:
                continue
            c, n = math.cos(states[k, YAW]), math.sin(states[k, YAW])
            for step in range(4):
                later = step * 0.3
                j = min(k + round(later / dt), num - 1)
                x, y = states[k, X] + speed * later * c, states[k, Y] + speed * later * n
                touch = boxes_overlap(
                    x, y, states[k, YAW], half_size[0], half_size[1],
                    poses[a, j, 0], poses[a, j, 1], poses[a, j, 2], extent[a, 0], extent[a, 1],
                )  # fmt: skip
                if not touch:
                    continue
                ahead = (poses[a, j, 0] - x) * c + (poses[a, j, 1] - y) * n
                if k + step > 0 and ahead > 0.0:
                    return 0.0
    return 1.0


@njit(cache=True)
def is_comfortable(bounds: Comfort, states: Array, dt: float, wheelbase: float) -> bool:
    """Whether a motion (N+1, NUM_STATES) keeps nuPlan's bounds of comfort."""
    num = len(states)
    lateral, rate = np.empty(num), np.empty(num)
    for k in range(num):
        slip = math.atan(0.5 * math.tan(states[k, STEER]))
        rate[k] = 2.0 * states[k, SPEED] * math.sin(slip) / wheelbase
        lateral[k] = states[k, SPEED] * rate[k]
        accel = states[k, ACCEL]
        if not bounds.least_accel <= accel <= bounds.most_accel:
            return False
        if abs(lateral[k]) > bounds.lateral_accel or abs(rate[k]) > bounds.yaw_rate:
            return False
    # Over half a second, as nuPlan smooths before it differentiates.
    span = max(round(0.5 / dt), 1)
    for k in range(num - span):
        jerk = (states[k + span, ACCEL] - states[k, ACCEL]) / (span * dt)
        across = (lateral[k + span] - lateral[k]) / (span * dt)
        if abs(jerk) > bounds.jerk or math.hypot(jerk, across) > bounds.whole_jerk:
            return False
        if abs(rate[k + span] - rate[k]) / (span * dt) > bounds.yaw_accel:
            return False
    return True


@njit(cache=True)
def score_proposals(
    states: Array, dt: float, along: Array, half_size: Array, wheelbase: float, xy: Array,
    s: Array, yaw: Array, hint: int, area: Drivable, poses: Array, extent: Array, kind: Array,
    until: Array, comfort: Comfort,
) -> Array:  # fmt: skip
    """Score proposals by every term.

    Args:
        states: (P, N+1, NUM_STATES).
        dt: [s].
        along: (P, N+1) [m] s on the route.
        half_size: (2,) [m] of ego.
        wheelbase: [m].
        xy: (R, 2) of the route; s (R,), yaw (R,) beside it.
        s: see `xy`.
        yaw: see `xy`.
        hint: sample near ego.
        area: what may be driven on.
        poses: (A, N+1, 3) forecast of the others at the same times.
        extent: (A, 2) [m].
        kind: (A,) `AgentKind`.
        until: (A,) [s] that each one's forecast counts, negative for never.
        comfort: bounds.

    Returns:
        (P, NUM_SCORES), see `Score`.
    """
    num, steps = states.shape[0], states.shape[1]
    out = np.empty((num, NUM_SCORES))
    off_lane = np.empty(steps, np.bool_)
    for p in range(num):
        i, off_road, against = hint, 0, 0.0
        for k in range(steps):
            x, y = states[p, k, X], states[p, k, Y]
            back, on = (15, 25) if k == 0 else (2, 8)
            i, _, d = nearest_on(xy, s, x, y, max(i - back, 0), min(i + on, len(s) - 1))
            turn = states[p, k, YAW] - yaw[i]
            reach = half_size[0] * abs(math.sin(turn)) + half_size[1] * abs(math.cos(turn))
            inside = area.right[i] <= d - reach and d + reach <= area.left[i]
            if k == 0 and not inside:
                off_road = -steps  # it begins outside: that is no proposal's doing
            off_road += 0 if inside else 1
            off_lane[k] = d + reach > area.oncoming[i] or d - reach < area.right[i]
            if d > area.oncoming[i] and k > 0:
                against += max(along[p, k] - along[p, k - 1], 0.0)
        out[p, DRIVABLE] = 0.0 if off_road > 0 else 1.0
        out[p, DIRECTION] = 1.0 if against < 2.0 else 0.5 if against < 6.0 else 0.0
        out[p, COLLISION], out[p, HIT_AT] = _collision(
            states[p], dt, half_size, off_lane, poses, extent, kind, until
        )
        out[p, PROGRESS] = max(along[p, -1] - along[p, 0], 0.0)
        out[p, TTC] = _time_to_collision(states[p], dt, half_size, poses, extent, until)
        out[p, COMFORT] = 1.0 if is_comfortable(comfort, states[p], dt, wheelbase) else 0.0
    return out


def totals(scores: Array, weights: tuple[float, float, float]) -> Array:
    """Total (P,) of `scores` (P, NUM_SCORES), in [0, 1].

    Args:
        scores: see `Score`.
        weights: of progress, time to collision and comfort.
    """
    multiplier = scores[:, COLLISION] * scores[:, DRIVABLE] * scores[:, DIRECTION]
    valid = scores[multiplier > 0.0, PROGRESS]
    most = valid.max() if len(valid) else 0.0
    # Below 0.1 m (a queue, a red light) nobody makes progress and nobody is to be told apart by it.
    progress = np.minimum(scores[:, PROGRESS] / most, 1.0) if most > 0.1 else np.ones(len(scores))
    parts = np.column_stack([progress, scores[:, TTC], scores[:, COMFORT]])
    return multiplier * (parts @ np.array(weights)) / sum(weights)
