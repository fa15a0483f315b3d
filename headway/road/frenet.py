"""The road frame: arc length `s` along a line and offset `d` to its left, and back.

A line is a polyline with a yaw per sample. Between samples position and yaw are interpolated
linearly, and a point belongs to the `s` at which the interpolated normal passes through it. That
is exactly invertible, and `s` and `d` have no jumps where the chords meet.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.route import Route
from headway.types import Array, check_shape

NEWTON_STEPS = 8
HOPS = 6  # segments to move at most from the one beside the nearest sample


@njit(cache=True)
def sample_before(s, first: int, last: int, at: float) -> int:
    """Index in [first, last - 1] of the segment that holds arc length `at` (ends are clamped)."""
    low, high = first, last
    while high - low > 1:
        mid = (low + high) // 2
        if s[mid] <= at:
            low = mid
        else:
            high = mid
    return low


@njit(cache=True)
def interpolate(xyz, yaw, s, first: int, last: int, at: float):
    """Pose of a line at arc length `at`, carried on straight beyond its ends.

    Args:
        xyz: (P, 3) [m].
        yaw: (P,) [rad].
        s: (P,) [m].
        first, last: rows of the line, both included.
        at: [m].

    Returns:
        x, y, z [m] and yaw [rad].
    """
    if at <= s[first] or at >= s[last] or first == last:
        p = first if at <= s[first] else last
        over = at - s[p]
        x = xyz[p, 0] + over * math.cos(yaw[p])
        y = xyz[p, 1] + over * math.sin(yaw[p])
        return x, y, xyz[p, 2], yaw[p]
    p = sample_before(s, first, last, at)
    f = (at - s[p]) / (s[p + 1] - s[p])
    x = xyz[p, 0] + f * (xyz[p + 1, 0] - xyz[p, 0])
    y = xyz[p, 1] + f * (xyz[p + 1, 1] - xyz[p, 1])
    z = xyz[p, 2] + f * (xyz[p + 1, 2] - xyz[p, 2])
    return x, y, z, wrap_angle(yaw[p] + f * wrap_angle(yaw[p + 1] - yaw[p]))


@njit(cache=True)
def project_line(xyz, yaw, s, first: int, last: int, low: int, high: int, x: float, y: float):
    """Project a point on a line, looking at samples `low` to `high` of it.

    Args:
        xyz: (P, 3) [m].
        yaw: (P,) [rad].
        s: (P,) [m].
        first, last: rows of the line, both included.
        low, high: rows to search, both included.
        x, y: [m] the point.

    Returns:
        s [m] (before the line negative, past it above its length), d [m] left positive, yaw [rad].
    """
    best, near = 1e300, low
    for p in range(low, high + 1):
        dx, dy = x - xyz[p, 0], y - xyz[p, 1]
        square = dx * dx + dy * dy
        if square < best:
            best, near = square, p
    if first == last:
        return _beyond(xyz, yaw, s, first, x, y)
    p = min(near, last - 1)
    came = 0
    for _ in range(HOPS):
        f = _foot(xyz, yaw, p, x, y)
        if f < 0.0 and p > first and came <= 0:
            p, came = p - 1, -1
        elif f > 1.0 and p < last - 1 and came >= 0:
            p, came = p + 1, 1
        else:
            break
    f = _foot(xyz, yaw, p, x, y)
    if f < 0.0 and p == first:
        return _beyond(xyz, yaw, s, first, x, y)
    if f > 1.0 and p == last - 1:
        return _beyond(xyz, yaw, s, last, x, y)
    f = min(max(f, 0.0), 1.0)
    at = yaw[p] + f * wrap_angle(yaw[p + 1] - yaw[p])
    dx = x - xyz[p, 0] - f * (xyz[p + 1, 0] - xyz[p, 0])
    dy = y - xyz[p, 1] - f * (xyz[p + 1, 1] - xyz[p, 1])
    d = -dx * math.sin(at) + dy * math.cos(at)
    return s[p] + f * (s[p + 1] - s[p]), d, wrap_angle(at)


@njit(cache=True)
def _foot(xyz, yaw, p, x, y):
    # Root of g(f) = (point - c(f)) . t(f), where the normal of the segment meets the point.
    ex, ey = xyz[p + 1, 0] - xyz[p, 0], xyz[p + 1, 1] - xyz[p, 1]
    turn = wrap_angle(yaw[p + 1] - yaw[p])
    f = 0.5
    for _ in range(NEWTON_STEPS):
        at = yaw[p] + f * turn
        c, n = math.cos(at), math.sin(at)
        dx, dy = x - xyz[p, 0] - f * ex, y - xyz[p, 1] - f * ey
        slope = -(ex * c + ey * n) + turn * (-dx * n + dy * c)
        if slope > -1e-9:  # at or beyond the centre of the bend there is no foot: take the chord's
            return (dx * ex + dy * ey) / max(ex * ex + ey * ey, 1e-12) + f
        step = (dx * c + dy * n) / slope
        f -= step
        if abs(step) < 1e-13 or abs(f) > 50.0:
            break
    return f


@njit(cache=True)
def _beyond(xyz, yaw, s, p, x, y):
    dx, dy = x - xyz[p, 0], y - xyz[p, 1]
    c, n = math.cos(yaw[p]), math.sin(yaw[p])
    return s[p] + dx * c + dy * n, -dx * n + dy * c, yaw[p]


@njit(cache=True)
def _project_many(xyz, yaw, s, xy, hint, window, out):
    last = len(s) - 1
    for i in range(len(xy)):
        low, high = 0, last
        if not math.isnan(hint[i]):
            low = sample_before(s, 0, last, hint[i] - window)
            high = min(sample_before(s, 0, last, hint[i] + window) + 1, last)
        out[i] = project_line(xyz, yaw, s, 0, last, low, high, xy[i, 0], xy[i, 1])


@njit(cache=True)
def _interpolate_many(xyz, yaw, s, at, out):
    for i in range(len(at)):
        out[i] = interpolate(xyz, yaw, s, 0, len(s) - 1, at[i])


def project_on_route(
    route: Route, xy: Array, s_hint: Array | float | None = None, window: float = 30.0
) -> tuple[Array, Array, Array]:
    """Project points on a route.

    Args:
        route: the line.
        xy: (n, 2) [m], map frame.
        s_hint: (n,) or () [m] about where they are, so that a route which crosses itself is no
            trouble; None or nan: the whole route is searched.
        window: [m] how far from the hint, either way.

    Returns:
        s (n,) [m], d (n,) [m] left positive, yaw of the route there (n,) [rad]. Before the start
        s is negative, past the end above the route's length.

    Raises:
        ValueError: `xy` is not (n, 2).
    """
    xy = np.ascontiguousarray(xy, dtype=np.float64)
    check_shape("project_on_route", "xy", xy, (None, 2))
    hint = np.empty(len(xy))
    hint[:] = np.nan if s_hint is None else s_hint
    out = np.empty((len(xy), 3))
    _project_many(*_line(route), xy, hint, float(window), out)
    return out[:, 0], out[:, 1], out[:, 2]


def route_poses(route: Route, s: Array, d: Array | float = 0.0) -> Array:
    """Return poses (n, 4) x, y, z [m], yaw [rad] at arc lengths `s` (n,) and offsets `d` [m]."""
    at = np.ascontiguousarray(s, dtype=np.float64)
    check_shape("route_poses", "s", at, (None,))
    out = np.empty((len(at), 4))
    _interpolate_many(*_line(route), at, out)
    out[:, 0] -= d * np.sin(out[:, 3])
    out[:, 1] += d * np.cos(out[:, 3])
    return out


def route_value(route: Route, values: Array, s: Array | float) -> Array:
    """Interpolate a field of the route, e.g. `route.curvature`, at arc lengths `s` [m]."""
    return np.asarray(np.interp(s, route.s, values))


def route_index(route: Route, s: Array | float) -> Array:
    """Row of the route at or before each arc length `s` [m], for fields not to be interpolated."""
    return np.clip(np.searchsorted(route.s, s, side="right") - 1, 0, len(route.s) - 1)


def _line(route: Route) -> tuple[Array, Array, Array]:
    return (
        np.ascontiguousarray(route.xyz, dtype=np.float64),
        np.ascontiguousarray(route.yaw, dtype=np.float64),
        np.ascontiguousarray(route.s, dtype=np.float64),
    )
