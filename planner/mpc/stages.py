"""What the MPC knows of the world, stage by stage, along the trajectory that it starts from.

A stage's parameters belong to the place where the warm start is at that time: the route there, the
lane, what has to be stopped for, and where the others are by then.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.cost import (
    FAR,
    MAX_OBSTACLES,
    NUM_OBSTACLE_COLUMNS,
    NUM_STAGE_PARAMS,
    StageParam,
)
from headway.types import Array
from planner.contacts import poses_at
from planner.corridor import nearest_on
from planner.rollout import AT, BOUND_SPEED, STANDS

REF_X, REF_Y, REF_YAW, REF_CURVATURE, REF_SPEED, SPEED_LIMIT, LANE_OFFSET, RIGHT, LEFT = (
    int(c) for c in list(StageParam)[:9]
)
STOP_AHEAD, LEAD_AHEAD, LEAD_SPEED = (int(c) for c in list(StageParam)[9:12])
OBSTACLES = int(StageParam.OBSTACLES)
BLOCKED_ROOM = 0.2  # [m] that ego's centre may be nearer than meant to what blocks a lane


class RoadAhead(NamedTuple):
    """The route as the MPC reads it, `R` samples.

    Attributes:
        xy: (R, 2) [m].
        s: (R,) [m].
        yaw: (R,) [rad], unwrapped.
        curvature: (R,) [1/m].
        speed: (R,) [m/s] that limits and curves allow, with room to brake.
        limit: (R,) [m/s].
        half_width: (R,) [m] of the lane.
    """

    xy: Array
    s: Array
    yaw: Array
    curvature: Array
    speed: Array
    limit: Array
    half_width: Array


class Lateral(NamedTuple):
    """Which lane a homotopy is in, and where its corridor lies, offsets from the route.

    Attributes:
        offset: [m] centre of the lane beside the route's own that it is in or goes to, else 0.
        right: [m] that its corridor reaches further to the right than the route's lane.
        left: [m] the same to the left.
        margin: [m] that ego's centre keeps from the edge of the corridor, at least.
        target: [m] centre of the lane that it changes to, `offset` or 0, nan for no change: from
            where the warm start has crossed over, the corridor is that lane, as far as it has got.
            Otherwise it would be cheaper in every tick to cross over a little later.
        blocked_from, blocked_to: [m] along the route between which all that is right of `offset`
            is blocked.
        at_once: whether its centre is gone to at once, and not only from half way on.
    """

    offset: float
    right: float
    left: float
    margin: float
    target: float
    blocked_from: float
    blocked_to: float
    at_once: bool = False


class Sources(NamedTuple):
    """What the parameters of the stages come from.

    Attributes:
        stops: (N+1,) the bound that each stage stops for, -1 for none.
        leads: (N+1,) the bound that each follows, -1 for none.
        obstacles: (MAX_OBSTACLES,) rows of the agents, -1 for none.
    """

    stops: Array
    leads: Array
    obstacles: Array


@njit(cache=True)
def fill_road(
    road: RoadAhead, hint: int, states: Array, cap: float, lateral: Lateral, out: Array
) -> Array:
    """Write the road's part of the stages.

    Args:
        road: the route.
        hint: a sample near the first state.
        states: (N+1, >= 2) of the warm start.
        cap: [m/s] on top of what the road allows.
        lateral: of the homotopy.
        out: (N+1, NUM_STAGE_PARAMS), written.

    Returns:
        s (N+1,) [m] of each stage's reference point.
    """
    num, last = len(states), len(road.s) - 1
    at = np.empty(num)
    i, crossed = hint, False
    for k in range(num):
        back, on = (15, 25) if k == 0 else (3, 14)
        i, s, d = nearest_on(
            road.xy, road.s, states[k, 0], states[k, 1], max(i - back, 0), min(i + on, last)
        )
        at[k] = s
        here = min(i, last - 1)
        share = (s - road.s[here]) / max(road.s[here + 1] - road.s[here], 1e-3)
        f = min(max(share, 0.0), 1.0)
        over = (share - f) * (road.s[here + 1] - road.s[here])  # beyond the route's ends
        yaw = road.yaw[here] + f * (road.yaw[here + 1] - road.yaw[here])
        row = out[k]
        row[REF_X] = road.xy[here, 0] + f * (road.xy[here + 1, 0] - road.xy[here, 0])
        row[REF_Y] = road.xy[here, 1] + f * (road.xy[here + 1, 1] - road.xy[here, 1])
        row[REF_X] += over * math.cos(yaw)
        row[REF_Y] += over * math.sin(yaw)
        row[REF_YAW] = yaw
        row[REF_CURVATURE] = road.curvature[here] + f * (
            road.curvature[here + 1] - road.curvature[here]
        )
        row[REF_SPEED] = min(road.speed[here] + f * (road.speed[here + 1] - road.speed[here]), cap)
        row[SPEED_LIMIT] = min(road.limit[here], cap + 0.5)
        in_target = lateral.at_once or abs(d - lateral.offset) < abs(d)
        row[LANE_OFFSET] = lateral.offset if in_target else 0.0
        half = road.half_width[here]
        row[RIGHT] = -half - lateral.right + lateral.margin
        row[LEFT] = half + lateral.left - lateral.margin
        # (Comparisons with nan are false.)
        crossed = crossed or abs(d - lateral.target) < abs(d - (lateral.offset - lateral.target))
        if crossed:
            row[RIGHT] = min(lateral.target - half + lateral.margin, d)
            row[LEFT] = max(lateral.target + half - lateral.margin, d)
        if lateral.blocked_from < s < lateral.blocked_to:
            row[RIGHT] = lateral.offset - BLOCKED_ROOM
        row[STOP_AHEAD:OBSTACLES] = 0.0
    return at


@njit(cache=True)
def fill_bounds(
    bounds: Array, at: Array, t: Array, half_length: float, brake: float, out: Array
) -> tuple[Array, Array]:
    """Write where ego has to stop, and behind whom.

    Of several leads the one counts that asks for the most room: rear + v^2 / 2b.

    Args:
        bounds: (B, NUM_BOUNDS) on ego's front, see `planner.rollout.Bound`.
        at: (N+1,) [m] s of the reference points.
        t: (N+1,) [s].
        half_length: [m] of ego.
        brake: [m/s^2].
        out: (N+1, NUM_STAGE_PARAMS), written.

    Returns:
        By stage the bound that it stops for, and the one that it follows, (N+1,) each, -1 for none.
    """
    stops, leads = np.full(len(at), -1), np.full(len(at), -1)
    for k in range(len(at)):
        stop, lead, speed, worst = FAR, FAR, 0.0, 1e9
        for b in range(len(bounds)):
            place = bounds[b, AT] - half_length - at[k]
            if bounds[b, STANDS] > 0.0:
                if place < stop:
                    stop, stops[k] = place, b
                continue
            place += bounds[b, BOUND_SPEED] * t[k]
            room = place + bounds[b, BOUND_SPEED] ** 2 / (2.0 * brake)
            if room < worst:
                worst, lead, speed, leads[k] = room, place, bounds[b, BOUND_SPEED], b
        out[k, STOP_AHEAD] = stop
        out[k, LEAD_AHEAD] = min(lead, FAR)
        out[k, LEAD_SPEED] = speed
    return stops, leads


@njit(cache=True)
def _put_far(o: Array, state: Array) -> None:
    """Write an obstacle that is in nobody's way."""
    o[0], o[1], o[2], o[3], o[4] = state[0] + FAR, state[1], 0.0, 1.0, 1.0


@njit(cache=True)
def fill_obstacles(
    states: Array,
    t: Array,
    half_size: Array,
    until: Array,
    kind: Array,
    pose: Array,
    extent: Array,
    mean: Array,
    covariance: Array,
    dt: float,
    margins: Array,
    quantile: float,
    caps: Array,
    out: Array,
) -> Array:
    """Write the obstacles' part of the stages: those that come nearest to the warm start.

    Each is the box of ego and of the other beside it, in ego's frame (by their own, who turns out
    of ego's way would reach far into it), widened by a margin and by `quantile` standard deviations
    of its forecast along and across (a chance constraint for each axis, Zhu and Alonso-Mora 2019,
    eq. 13).

    Args:
        states: (N+1, >= 3) of the warm start.
        t: (N+1,) [s].
        half_size: (2,) [m] of ego.
        until: (A,) [s] how long each one's forecast counts, negative for never.
        kind: (A,) `AgentKind`.
        pose: (A, 3), extent (A, 2), now.
        extent: see `pose`.
        mean: (A, T, 3) forecast at dt, 2 dt, ...
        covariance: (A, T, 2, 2).
        dt: [s] of the forecast.
        margins: (4, 2) [m] along ego and across it, by `AgentKind`.
        quantile: of the normal distribution at the chance level.
        caps: (A, 2) [m] by which the forecast's spread widens each at most, along and across.
        out: (N+1, NUM_STAGE_PARAMS), written.

    Returns:
        Rows (MAX_OBSTACLES,) of the agents that were written, -1 for none, nearest first.
    """
    num, steps = len(states), mean.shape[1]
    poses = poses_at(pose, mean, dt, t)
    near = np.full(len(kind), 1e9)
    shape = np.empty((len(kind), num, NUM_OBSTACLE_COLUMNS))
    for a in range(len(kind)):
        if (
            until[a] < 0.0
            or math.hypot(pose[a, 0] - states[0, 0], pose[a, 1] - states[0, 1]) > 150.0
        ):
            continue
        for k in range(num):
            o = shape[a, k]
            if t[k] > until[a]:
                _put_far(o, states[k])
                continue
            o[:2], o[2] = poses[a, k, :2], states[k, 2]
            c, s = math.cos(o[2]), math.sin(o[2])
            # The spread of the step that is under way; before the first it grows from nothing.
            j = min(math.floor(t[k] / dt), steps - 1)
            p = covariance[a, j] * (t[k] / dt if j == 0 else 1.0)
            along = math.sqrt(max(c * c * p[0, 0] + 2.0 * c * s * p[0, 1] + s * s * p[1, 1], 0.0))
            across = math.sqrt(max(s * s * p[0, 0] - 2.0 * c * s * p[0, 1] + c * c * p[1, 1], 0.0))
            turn = poses[a, k, 2] - o[2]
            cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
            m = margins[kind[a]]
            o[3] = half_size[0] + extent[a, 0] * cos + extent[a, 1] * sin + m[0]
            o[4] = half_size[1] + extent[a, 0] * sin + extent[a, 1] * cos + m[1]
            o[3] += min(quantile * along, caps[a, 0])
            o[4] += min(quantile * across, caps[a, 1])
            dx, dy = states[k, 0] - o[0], states[k, 1] - o[1]
            gap = max(abs(c * dx + s * dy) / o[3], abs(c * dy - s * dx) / o[4])
            near[a] = min(near[a], gap)
    rows = np.full(MAX_OBSTACLES, -1)
    for j in range(MAX_OBSTACLES):
        a = -1
        if len(near) > 0:
            a = int(np.argmin(near))
            if near[a] >= 8.0:
                a = -1
        rows[j] = a
        for k in range(num):
            o = out[k, OBSTACLES + NUM_OBSTACLE_COLUMNS * j :][:NUM_OBSTACLE_COLUMNS]
            if a >= 0:
                o[:] = shape[a, k]
            else:
                _put_far(o, states[k])
        if a >= 0:
            near[a] = 1e9
    return rows


def new_stages(num_intervals: int) -> Array:
    """Return room for the stages of `num_intervals` intervals."""
    return np.zeros((num_intervals + 1, NUM_STAGE_PARAMS))
