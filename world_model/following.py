"""Everybody drives on together: IDM along paths, behind leads and, by proposal, behind ego."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.traffic.following import idm_accel
from headway.types import Array, StateIndex
from world_model.lane_paths import FAR, STEP, Paths

EGO_X, EGO_Y, EGO_YAW, EGO_SPEED = (
    int(c) for c in (StateIndex.X, StateIndex.Y, StateIndex.YAW, StateIndex.SPEED)
)
MARGIN = 0.3  # [m] beside a vehicle that has to be free
LINE_GAP = 1.0  # [m] before a line where one comes to stand
WAITS_BEHIND = 10.0  # [m] who stands within it behind somebody waits for that one


class Law(NamedTuple):
    """Numbers of the drivers that are imagined, SI units; see `IdmWorldConfig`."""

    accel: float
    brake: float
    time_gap: float
    min_gap: float


class Relations(NamedTuple):
    """Who may come to be ahead of whom: CSR by follower, a row each.

    For a lead that follows lanes, its own path's place plus `at` is the place on the follower's
    path, as long as it is between `low` and `high` of its own. One that goes straight is at
    `at` + `along` t of the follower's path and `beside` + `across` t beside it; `half` is half its
    length along and `reach` half its width across, as the follower sees it.
    """

    start: Array
    lead: Array
    straight: Array
    at: Array
    low: Array
    high: Array
    along: Array
    beside: Array
    across: Array
    half: Array
    reach: Array


@njit(cache=True)
def locate(pose: Array, x: float, y: float, near: int) -> tuple[int, float, float, float]:
    """Find a point on a path, downhill from sample `near` on (all samples when it is negative).

    Returns:
        sample, place on the path [m], offset [m] left positive, yaw of the path [rad].
    """
    last = len(pose) - 1
    if near < 0:
        near, least = 0, 1e300
        for i in range(last + 1):
            gap = (pose[i, 0] - x) ** 2 + (pose[i, 1] - y) ** 2
            if gap < least:
                near, least = i, gap
    else:
        least = (pose[near, 0] - x) ** 2 + (pose[near, 1] - y) ** 2
        for way in (1, -1):
            while 0 <= near + way <= last:
                gap = (pose[near + way, 0] - x) ** 2 + (pose[near + way, 1] - y) ** 2
                if gap >= least:
                    break
                near, least = near + way, gap
    c, s = math.cos(pose[near, 2]), math.sin(pose[near, 2])
    dx, dy = x - pose[near, 0], y - pose[near, 1]
    return near, near * STEP + c * dx + s * dy, c * dy - s * dx, pose[near, 2]


@njit(cache=True)
def _shared(paths: Paths, a: int, b: int) -> tuple[float, float, float]:
    """Find where the path of `b` runs on that of `a`.

    Returns:
        What to add to a place of b's path for that on a's, and from where to where on b's; an
        empty span when they share no lane.
    """
    for first in range(paths.num[b]):
        for other in range(paths.num[a]):
            if paths.lane[a, other] != paths.lane[b, first]:
                continue
            i, j = other, first
            shift, low = paths.start[a, i] - paths.start[b, j], paths.start[b, j]
            while (
                i + 1 < paths.num[a] and j + 1 < paths.num[b]
                and paths.lane[a, i + 1] == paths.lane[b, j + 1]
            ):  # fmt: skip
                i, j = i + 1, j + 1
            # Where both end at the horizon, nobody knows that they part.
            high = paths.start[b, j + 1] if j + 1 < paths.num[b] else FAR
            return shift, low, high
    return 0.0, 0.0, -1.0


@njit(cache=True)
def relate(paths: Paths, pose: Array, velocity: Array, extent: Array, reach: Array) -> Relations:
    """Find who may come to be ahead of whom; `reach` (A,) [m] is how far each looks."""
    num = len(pose)
    room = num * num
    start = np.zeros(num + 1, np.int64)
    lead, straight = np.empty(room, np.int64), np.zeros(room, np.bool_)
    rows = np.empty((room, 8))
    n = 0
    for a in range(num):
        start[a] = n
        if paths.num[a] == 0:
            continue
        for b in range(num):
            far = math.hypot(pose[b, 0] - pose[a, 0], pose[b, 1] - pose[a, 1])
            if a == b or far > reach[a] + (reach[b] if paths.num[b] > 0 else 20.0):
                continue
            if paths.num[b] > 0:
                at, low, high = _shared(paths, a, b)
                if high <= low:
                    continue
                # Once its rear has left, it is gone; its front counts as it comes in.
                low, high = low - extent[b, 0], high + extent[b, 0]
                rows[n] = (at, low, high, 0.0, 0.0, 0.0, extent[b, 0], 0.0)
            else:
                _, at, beside, yaw = locate(paths.pose[a], pose[b, 0], pose[b, 1], -1)
                c, s = math.cos(yaw), math.sin(yaw)
                along = c * velocity[b, 0] + s * velocity[b, 1]
                across = c * velocity[b, 1] - s * velocity[b, 0]
                if abs(beside) > 15.0 + 8.0 * abs(across):
                    continue
                turn = wrap_angle(pose[b, 2] - yaw)
                tc, ts = abs(math.cos(turn)), abs(math.sin(turn))
                half = tc * extent[b, 0] + ts * extent[b, 1]
                wide = ts * extent[b, 0] + tc * extent[b, 1]
                rows[n] = (at, 0.0, 0.0, along, beside, across, half, wide)
                straight[n] = True
            lead[n] = b
            n += 1
    start[num] = n
    cut = rows[:n]
    return Relations(
        start, lead[:n], straight[:n], cut[:, 0].copy(), cut[:, 1].copy(), cut[:, 2].copy(),
        cut[:, 3].copy(), cut[:, 4].copy(), cut[:, 5].copy(), cut[:, 6].copy(), cut[:, 7].copy(),
    )  # fmt: skip


@njit(cache=True)
def place_ego(
    paths: Paths, pose: Array, extent: Array, ego: Array, ego_extent: Array, reach: Array,
    at: Array, speed: Array,
) -> None:  # fmt: skip
    """Find out under which proposals and when ego is in whose way.

    Args:
        paths: of the agents.
        pose: (A, 3) theirs.
        extent: (A, 2) [m] their half sizes.
        ego: (P, T+1, NUM_STATES).
        ego_extent: (2,) [m].
        reach: (A,) [m] how far each looks.
        at: (P, T, A) [m] place of ego's rear on each path, FAR where it is not in the way; written.
        speed: (P, T, A) [m/s] of ego along the path; written.
    """
    num_p, steps = at.shape[:2]
    at[:] = FAR
    far = 0.0
    for p in range(num_p):
        far = max(far, math.hypot(ego[p, steps, EGO_X] - ego[p, 0, EGO_X],
                                  ego[p, steps, EGO_Y] - ego[p, 0, EGO_Y]))  # fmt: skip
    for a in range(len(pose)):
        if paths.num[a] == 0 or num_p == 0:
            continue
        x, y = ego[0, 0, EGO_X], ego[0, 0, EGO_Y]
        if math.hypot(pose[a, 0] - x, pose[a, 1] - y) > reach[a] + far + 10.0:
            continue
        first, _, _, _ = locate(paths.pose[a], x, y, -1)
        for p in range(num_p):
            near = first
            for k in range(steps):
                state = ego[p, k]
                near, s, d, yaw = locate(paths.pose[a], state[EGO_X], state[EGO_Y], near)
                turn = state[EGO_YAW] - yaw
                c, w = math.cos(turn), abs(math.sin(turn))
                wide = w * ego_extent[0] + abs(c) * ego_extent[1]
                if abs(d) < extent[a, 1] + wide + MARGIN:
                    at[p, k, a] = s - abs(c) * ego_extent[0] - w * ego_extent[1]
                    speed[p, k, a] = max(c * state[EGO_SPEED], 0.0)


@njit(cache=True)
def drive_on(
    law: Law, paths: Paths, relations: Relations, pose: Array, velocity: Array, extent: Array,
    hold_speed: Array, settle_s: Array, waits: Array, ego_at: Array, ego_speed: Array, dt: float,
    mean: Array,
) -> None:  # fmt: skip
    """Drive everybody on under each proposal, all of them a step at a time.

    Args:
        law: of the drivers.
        paths: where they go; who has none goes straight on.
        relations: who may be ahead of whom.
        pose, velocity, extent: of the agents.
        hold_speed: (A,) [m/s] that one does not exceed.
        settle_s: (A,) [s] time constant with which each comes to the middle of its lane.
        waits: (A,) bool, whether they stand for a reason that cannot be seen, and go on doing so.
        ego_at, ego_speed: see `place_ego`.
        dt: [s].
        mean: (P, A, T, 3) x, y [m], yaw [rad]; written.
    """
    num_p, num, steps = mean.shape[:3]
    minds = minds_ego(paths, relations, ego_at)
    moves = np.ones(num, np.bool_)
    at, speed, accel = np.empty((steps + 1, num)), np.empty((steps + 1, num)), np.empty(num)
    for a in range(num):
        at[0, a], speed[0, a] = 0.0, math.hypot(velocity[a, 0], velocity[a, 1])
    for p in range(num_p):
        if p == 1:  # the rest do under every proposal what they do under the first
            moves[:] = minds
        for k in range(steps):
            _accels(law, paths, relations, extent, at[k], speed[k], hold_speed, waits,
                    ego_at[p, k], ego_speed[p, k], k * dt, moves, accel)  # fmt: skip
            for a in range(num):
                if moves[a] and paths.num[a] > 0:
                    # Whoever comes to rest does so within the step.
                    span = dt if accel[a] >= 0.0 else min(dt, -speed[k, a] / accel[a])
                    speed[k + 1, a] = max(speed[k, a] + accel[a] * span, 0.0)
                    at[k + 1, a] = at[k, a] + 0.5 * (speed[k, a] + speed[k + 1, a]) * span
        for a in range(num):
            if not moves[a]:
                mean[p, a] = mean[0, a]
            elif paths.num[a] > 0:
                _put(paths.pose[a], at[1:, a], paths.offset[a], settle_s[a], dt, mean[p, a])
            else:
                for k in range(steps):
                    t = (k + 1) * dt
                    mean[p, a, k, 0] = pose[a, 0] + velocity[a, 0] * t
                    mean[p, a, k, 1] = pose[a, 1] + velocity[a, 1] * t
                    mean[p, a, k, 2] = pose[a, 2]


@njit(cache=True)
def minds_ego(paths: Paths, relations: Relations, ego_at: Array) -> Array:
    """Find who may do something else under another proposal (A,) bool: who sees ego, or them."""
    num_p, steps, num = ego_at.shape
    minds = np.zeros(num, np.bool_)
    for a in range(num):
        for p in range(num_p):
            for k in range(steps):
                if ego_at[p, k, a] < FAR:
                    minds[a] = True
    changed = True
    while changed:
        changed = False
        for a in range(num):
            if minds[a] or paths.num[a] == 0:
                continue
            for r in range(relations.start[a], relations.start[a + 1]):
                if minds[relations.lead[r]]:
                    minds[a] = changed = True
    return minds


@njit(cache=True)
def _put(path: Array, at: Array, offset: float, settle_s: float, dt: float, out: Array) -> None:
    """Write the poses (T, 3) at places `at` (T,) [m] of a path, from `offset` [m] to its left."""
    for k in range(len(at)):
        beside = offset * math.exp(-(k + 1) * dt / settle_s)
        i = min(max(int(at[k] / STEP), 0), len(path) - 2)
        f = at[k] / STEP - i
        yaw = path[i, 2] + min(max(f, 0.0), 1.0) * wrap_angle(path[i + 1, 2] - path[i, 2])
        out[k, 0] = path[i, 0] + f * (path[i + 1, 0] - path[i, 0]) - beside * math.sin(yaw)
        out[k, 1] = path[i, 1] + f * (path[i + 1, 1] - path[i, 1]) + beside * math.cos(yaw)
        out[k, 2] = yaw


@njit(cache=True)
def _accels(
    law: Law, paths: Paths, relations: Relations, extent: Array, at: Array, speed: Array,
    hold_speed: Array, waits: Array, ego_at: Array, ego_speed: Array, t: float, moves: Array,
    out: Array,
) -> None:  # fmt: skip
    """Write the acceleration (A,) [m/s^2] at time `t` [s] of each agent that moves on a path."""
    for a in range(len(at)):
        if not moves[a] or paths.num[a] == 0:
            continue
        i = min(max(int(at[a] / STEP), 0), paths.allowed.shape[1] - 1)
        desired = min(paths.allowed[a, i], hold_speed[a])
        front = at[a] + extent[a, 0]
        gap, lead_speed = FAR, 0.0
        if ego_at[a] < FAR and ego_at[a] + 0.5 > at[a]:
            gap, lead_speed = ego_at[a] - front, float(ego_speed[a])
        for r in range(relations.start[a], relations.start[a + 1]):
            b = relations.lead[r]
            if relations.straight[r]:
                if abs(relations.beside[r] + relations.across[r] * t) > (
                    extent[a, 1] + relations.reach[r] + MARGIN
                ):
                    continue
                place, along = relations.at[r] + relations.along[r] * t, relations.along[r]
            else:
                if not relations.low[r] <= at[b] <= relations.high[r]:
                    continue
                place, along = relations.at[r] + at[b], speed[b]
            clear = place - relations.half[r] - front
            if place > at[a] and clear < gap:
                gap, lead_speed = clear, max(float(along), 0.0)
        wanted = idm_accel(speed[a], desired, gap, lead_speed, law.time_gap, law.min_gap,
                           law.accel, law.brake)  # fmt: skip
        if paths.stop[a] < FAR:
            # A line is no bumper: one stands nearer to it than IDM does to a lead.
            clear = paths.stop[a] - front + law.min_gap - LINE_GAP
            wanted = min(wanted, idm_accel(speed[a], desired, clear, 0.0, law.time_gap,
                                           law.min_gap, law.accel, law.brake))  # fmt: skip
        out[a] = min(wanted, 0.0) if waits[a] and gap > WAITS_BEHIND else wanted
