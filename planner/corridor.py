"""The others as seen from the route: where they are, and when they will be in ego's way."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.types import AgentKind, Array

FAR = 1e9
BEHIND = 120.0  # [m] of the route behind ego that is looked at: who comes up, in its lane or beside


class Seen(IntEnum):
    """Columns of what `survey` writes, a row an agent; all in the route's frame."""

    S = 0  # [m] of the centre
    D = 1  # [m] of the centre, left positive
    REAR = 2  # [m] lowest s of the footprint
    FRONT = 3  # [m] highest s of the footprint
    SPEED = 4  # [m/s] along the route
    LATERAL = 5  # [m/s] across it, left positive
    NOW = 6  # 1 when the footprint is in the corridor
    ENTER = 7  # [s] when the forecast's footprint first is, FAR for never
    LEAVE = 8  # [s] when it last is
    ENTER_S = 9  # [m] lowest s of the footprint while it is
    LEAVE_S = 10  # [m] highest
    HEADING = 11  # [rad] yaw to the route's


NUM_SEEN = len(Seen)
(S, D, REAR, FRONT, SPEED, LATERAL, NOW, ENTER, LEAVE, ENTER_S, LEAVE_S, HEADING) = (
    int(c) for c in Seen
)
WALKER, PROP = int(AgentKind.WALKER), int(AgentKind.PROP)


@njit(cache=True)
def nearest_on(
    xy: Array, s: Array, x: float, y: float, lo: int, hi: int
) -> tuple[int, float, float]:
    """Return segment, s [m] and d [m] of the point of samples [lo, hi] nearest to (x, y)."""
    best, best_at = FAR, lo
    for i in range(lo, hi + 1):
        gap = (xy[i, 0] - x) ** 2 + (xy[i, 1] - y) ** 2
        if gap < best:
            best, best_at = gap, i
    out_i, out_s, out_d, out_gap = best_at, s[best_at], 0.0, FAR
    for i in range(max(best_at - 1, 0), min(best_at + 1, len(s) - 1)):
        ux, uy = xy[i + 1, 0] - xy[i, 0], xy[i + 1, 1] - xy[i, 1]
        length = math.hypot(ux, uy)
        if length < 1e-9:
            continue
        ux, uy = ux / length, uy / length
        along = (x - xy[i, 0]) * ux + (y - xy[i, 1]) * uy
        # The ends of the route go on straight; between samples the segment ends.
        if not (i == 0 and along < 0.0) and along < 0.0:
            along = 0.0
        if i != len(s) - 2 and along > length:
            along = length
        px, py = x - xy[i, 0] - along * ux, y - xy[i, 1] - along * uy
        gap = math.hypot(px, py)
        if gap < out_gap:
            out_gap = gap
            out_i, out_s, out_d = i, s[i] + along, math.copysign(gap, ux * py - uy * px)
    return out_i, out_s, out_d


@njit(cache=True)
def _reach(half_length: float, half_width: float, heading: float) -> tuple[float, float]:
    """Half sizes of a turned box along the route and across it."""
    c, n = abs(math.cos(heading)), abs(math.sin(heading))
    return half_length * c + half_width * n, half_length * n + half_width * c


@njit(cache=True)
def _overlaps(
    heading: float, d: float, half_length: float, half_width: float, half_corridor: float
) -> bool:
    """Whether the box reaches into the corridor |d| <= half_corridor."""
    return abs(d) - _reach(half_length, half_width, heading)[1] < half_corridor


@njit(cache=True)
def survey(
    xy: Array,
    s: Array,
    yaw: Array,
    ego_s: float,
    ahead: float,
    half_width: float,
    margins: Array,
    kind: Array,
    pose: Array,
    velocity: Array,
    extent: Array,
    forecast: Array,
    dt: float,
    horizon: Array,
    out: Array,
) -> None:
    """See every agent from the route.

    Args:
        xy: (R, 2) [m] of the route, s (R,) [m], yaw (R,) [rad] beside it.
        s: see `xy`.
        yaw: see `xy`.
        ego_s: [m].
        ahead: [m] how far agents matter.
        half_width: [m] of ego.
        margins: (4,) [m] to keep to each side by `AgentKind`.
        kind: (A,) `AgentKind`.
        pose: (A, 3), velocity (A, 2), extent (A, 2), map frame.
        velocity: see `pose`.
        extent: see `pose`.
        forecast: (A, T, 3) x, y, yaw at dt, 2 dt ...
        dt: [s].
        horizon: (4,) [s] how long the forecast is believed, by `AgentKind`.
        out: (A, NUM_SEEN), written.
    """
    lo = int(np.searchsorted(s, ego_s - BEHIND))
    hi = min(int(np.searchsorted(s, ego_s + ahead)), len(s) - 1)
    for a in range(len(kind)):
        out[a] = 0.0
        out[a, S], out[a, D] = -FAR, FAR
        out[a, ENTER], out[a, LEAVE] = FAR, -FAR
        out[a, ENTER_S], out[a, LEAVE_S] = FAR, -FAR
        i, at, d = nearest_on(xy, s, pose[a, 0], pose[a, 1], lo, hi)
        if abs(d) > 40.0:
            continue
        heading = wrap_angle(pose[a, 2] - yaw[i])
        c, n = math.cos(yaw[i]), math.sin(yaw[i])
        along, _ = _reach(extent[a, 0], extent[a, 1], heading)
        out[a, S], out[a, D], out[a, HEADING] = at, d, heading
        out[a, REAR], out[a, FRONT] = at - along, at + along
        out[a, SPEED] = velocity[a, 0] * c + velocity[a, 1] * n
        out[a, LATERAL] = velocity[a, 1] * c - velocity[a, 0] * n
        corridor = half_width + float(margins[kind[a]])
        if _overlaps(heading, d, extent[a, 0], extent[a, 1], corridor):
            out[a, NOW] = 1.0
            _note(out[a], 0.0, at - along, at + along)
        steps = min(forecast.shape[1], int(horizon[kind[a]] / dt + 1e-6))
        # Between the grid's times the footprint moves on: four looks per interval.
        for step in range(4 * steps):
            t = (step + 1) * 0.25 * dt
            k, part = step // 4, (step % 4 + 1) * 0.25
            x0 = pose[a, 0] if k == 0 else forecast[a, k - 1, 0]
            y0 = pose[a, 1] if k == 0 else forecast[a, k - 1, 1]
            x = x0 + part * (forecast[a, k, 0] - x0)
            y = y0 + part * (forecast[a, k, 1] - y0)
            i, at, d = nearest_on(xy, s, x, y, max(i - 8, lo), min(i + 8, hi))
            heading = wrap_angle(forecast[a, k, 2] - yaw[i])
            if _overlaps(heading, d, extent[a, 0], extent[a, 1], corridor):
                along, _ = _reach(extent[a, 0], extent[a, 1], heading)
                _note(out[a], t, at - along, at + along)


def ahead_of(seen: Array, s: float) -> Array:
    """Rows of those who are in the corridor now, ahead of `s` [m], nearest first."""
    rows = np.flatnonzero((seen[:, NOW] > 0.0) & (seen[:, S] > s))
    return rows[np.argsort(seen[rows, REAR])]


@njit(cache=True)
def _note(row: Array, t: float, rear: float, front: float) -> None:
    """Book that the footprint is in the corridor at `t`."""
    row[ENTER] = min(row[ENTER], t)
    row[LEAVE] = max(row[LEAVE], t)
    row[ENTER_S] = min(row[ENTER_S], rear)
    row[LEAVE_S] = max(row[LEAVE_S], front)
