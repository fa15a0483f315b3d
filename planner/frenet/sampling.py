"""Candidates in the road frame: profiles along it, ways across it, and both as motions of the car.

Notation of Werling et al. (2010): s along the route, d to its left, a dot for d/dt and a prime for
d/ds. The moving point is the middle of the rear axle, whose course is the car's yaw and whose
curvature is tan(steer) / wheelbase.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from headway.types import Array, StateIndex
from planner.frenet.polynomials import quartic, quintic, squared_jerk, value
from planner.rollout import AT, BOUND_SPEED, STANDS

X, Y, YAW, SPEED, ACCEL, STEER = (int(c) for c in StateIndex)
S, V, A = 0, 1, 2  # columns of a profile: [m], [m/s], [m/s^2] along the route
NEVER = 1e9
MOST = 256  # profiles that one way has at most


class Law(NamedTuple):
    """Limits and weights as the kernels take them; see `FrenetConfig`."""

    max_accel: float
    max_brake: float
    accel: float
    brake: float
    firm_brake: float
    standing_gap: float
    time_gap: float
    speed_slack: float
    lateral_accel: float
    max_curvature: float
    low_speed: float
    least_arc: float
    jerk: float
    duration: float
    deviation: float
    lateral_jerk: float
    lateral_duration: float
    offset: float


class Road(NamedTuple):
    """The route, `R` samples; `speed` [m/s] is what limits and curves allow, see `Itinerary`."""

    xy: Array
    s: Array
    yaw: Array
    curvature: Array
    speed: Array


class Start(NamedTuple):
    """The middle of the rear axle now, in the road frame.

    Attributes:
        s: [m]; v: [m/s] and a: [m/s^2] along the route.
        d: [m]; slope: d' [-]; bend: d'' [1/m].
        i: sample of the route near it.
        centre: [m] from there to the middle of the box; front: [m] to the front.
        wheelbase: [m].
    """

    s: float
    v: float
    a: float
    d: float
    slope: float
    bend: float
    i: int
    centre: float
    front: float
    wheelbase: float


@njit(cache=True)
def segment(s: Array, at: float, i: int) -> int:
    """Index of the segment that holds arc length `at` [m], searched from `i` on."""
    i = min(max(i, 0), len(s) - 2)
    while i > 0 and s[i] > at:
        i -= 1
    while i < len(s) - 2 and s[i + 1] <= at:
        i += 1
    return i


@njit(cache=True)
def allowed(road: Road, at: float, i: int, cap: float) -> float:
    """Speed [m/s] allowed at arc length `at` [m], `cap` included."""
    share = (at - road.s[i]) / max(road.s[i + 1] - road.s[i], 1e-3)
    share = min(max(share, 0.0), 1.0)
    return min(road.speed[i] + share * (road.speed[i + 1] - road.speed[i]), cap)


@njit(cache=True)
def go_on(
    law: Law, road: Road, start: Start, cap: float, bounds: Array, first: int, t: Array, out: Array
) -> None:
    """Write the profile from row `first` on: hold the speed, but for what lies ahead.

    A polynomial says nothing of what comes after its end; there ego keeps to the speed allowed and
    brakes comfortably for its bounds, v^2 <= v_b^2 + 2 b (gap - s_0 - tau v).
    """
    i = start.i
    for k in range(first, len(t)):
        h = t[k] - t[k - 1]
        s, v = out[k - 1, S], max(out[k - 1, V], 0.0)
        i = segment(road.s, s + v * h + start.centre, i)
        after = min(v, allowed(road, s + v * h + start.centre, i, cap))
        for b in range(len(bounds)):
            gap = bounds[b, AT] + bounds[b, BOUND_SPEED] * t[k] - s - start.front - v * h
            if bounds[b, STANDS] == 0.0:
                gap -= law.standing_gap + law.time_gap * v
            square = bounds[b, BOUND_SPEED] ** 2 + 2.0 * law.brake * max(gap, 0.0)
            after = min(after, math.sqrt(square))
        after = max(after, v - law.max_brake * h)
        out[k, S], out[k, V], out[k, A] = s + 0.5 * (v + after) * h, after, (after - v) / h


@njit(cache=True)
def lay(c: Array, duration: float, t: Array, out: Array) -> int:
    """Write the profile (N+1, 3) of polynomial `c`; returns the row that follows its end.

    The first row after `duration` [s] is written too, with the end's speed.
    """
    for k in range(len(t)):
        if t[k] >= duration:
            end, speed, _, _ = value(c, duration)
            out[k, S], out[k, V], out[k, A] = end + speed * (t[k] - duration), speed, 0.0
            return k + 1
        out[k, S], out[k, V], out[k, A], _ = value(c, t[k])
    return len(t)


@njit(cache=True)
def lay_brake(start: Start, brake: float, jerk: float, t: Array, out: Array) -> None:
    """Write the profile (N+1, 3) of braking to rest with `brake` [m/s^2], built up by `jerk`."""
    s, v, a = start.s, start.v, min(start.a, 0.0)
    out[0, S], out[0, V], out[0, A] = s, v, a
    for k in range(1, len(t)):
        h = (t[k] - t[k - 1]) / 8.0
        for _ in range(8):
            a = max(a - jerk * h, -brake)
            after = max(v + a * h, 0.0)
            s, v = s + 0.5 * (v + after) * h, after
        out[k, S], out[k, V], out[k, A] = s, v, a if v > 0.0 else 0.0


@njit(cache=True)
def needed_gap(law: Law, firm: bool, brake: float, speed: float, bound: Array) -> float:
    """Gap [m] that ego needs at `speed` [m/s] to a bound, to stop or to fall in behind it.

    Who keeps a speed needs the time gap as well; who ends at the bound anyway comes nearer.
    """
    if bound[STANDS] > 0.0:
        return speed * speed / (2.0 * brake)
    closing = max(speed * speed - bound[BOUND_SPEED] ** 2, 0.0) / (2.0 * brake)
    if firm:
        return min(0.5, 0.2 * law.standing_gap) + closing
    return 0.9 * law.standing_gap + 0.8 * law.time_gap * speed + closing


@njit(cache=True)
def holds(
    law: Law, road: Road, start: Start, cap: float, bounds: Array, firm: bool, t: Array,
    profile: Array,
) -> bool:  # fmt: skip
    """Whether a profile keeps to accelerations, to the speed allowed and behind the bounds.

    At every time ego must be able to brake for each bound: comfortably, or, when `firm`, with
    `firm_brake` or what it takes now. A speed above the allowed one may be so a little longer.
    """
    i = segment(road.s, start.s + start.centre, start.i)
    over = start.v - allowed(road, start.s + start.centre, i, cap)
    for k in range(1, len(t)):
        s, v, a = profile[k, S], profile[k, V], profile[k, A]
        if v < -0.05 or a > max(law.max_accel, start.a) or a < min(-law.max_brake, start.a):
            return False
        i = segment(road.s, s + start.centre, i)
        slack = max(law.speed_slack, 0.15 + over * max(1.0 - 0.25 * t[k], 0.0))
        if v > allowed(road, s + start.centre, i, cap) + slack:
            return False
    for b in range(len(bounds)):
        room = bounds[b, AT] - start.front
        brake, least = law.brake, -0.05
        if firm:
            near = needed_gap(law, True, 1e6, start.v, bounds[b])
            square = start.v * start.v
            if bounds[b, STANDS] == 0.0:
                square = max(square - bounds[b, BOUND_SPEED] ** 2, 0.0)
            now = square / (2.0 * max(room - start.s - near, 0.05))
            brake = max(law.firm_brake, 1.05 * now)
            least += min(room - start.s - near, 0.0)  # who is too near already
        for k in range(1, len(t)):
            gap = room + bounds[b, BOUND_SPEED] * t[k] - profile[k, S]
            if gap < needed_gap(law, firm, brake, profile[k, V], bounds[b]) + least:
                return False
    return True


@njit(cache=True)
def profiles(
    law: Law, road: Road, start: Start, cap: float, bounds: Array, durations: Array, shares: Array,
    t: Array, out: Array, cost: Array,
) -> int:  # fmt: skip
    """Sample profiles along the route that hold, with their cost.

    Velocity keeping (section V-B): quartics to shares of the speed that is allowed by then, at
    C = k_j J + k_t T + k_v (v_1 - v_d)^2, v_d being what can be reached in T. Stopping and
    following (V-A): quintics to rest before a place, or to the lead's speed at
    s_lead - (s_0 + tau v_lead), at C = k_j J + k_t T.

    Args:
        law: limits and weights.
        road: the route.
        start: ego.
        cap: [m/s] on top of what the road allows.
        bounds: (B, NUM_BOUNDS) on ego's front, see `planner.rollout.Bound`.
        durations: (D,) [s] T.
        shares: (F,) of the speed allowed.
        t: (N+1,) [s] grid.
        out: (MOST, N+1, 3), written.
        cost: (MOST,), written.

    Returns:
        How many hold.
    """
    n = 0
    for duration in durations:
        wish = start.v
        i = start.i
        for _ in range(3):  # the speed allowed where ego is by then, which depends on its speed
            at = start.s + start.centre + 0.5 * (start.v + wish) * duration
            i = segment(road.s, at, i)
            wish = allowed(road, at, i, cap)
        reach = min(wish, start.v + law.accel * duration)
        for share in shares:
            if n >= MOST:
                break
            target = share * reach
            c = quartic(start.s, start.v, start.a, target, 0.0, duration)
            go_on(law, road, start, cap, bounds, lay(c, duration, t, out[n]), t, out[n])
            if holds(law, road, start, cap, bounds, share == 0.0, t, out[n]):
                cost[n] = law.jerk * squared_jerk(c, duration) + law.duration * duration
                cost[n] += law.deviation * (target - reach) ** 2
                n += 1
    for b in range(len(bounds)):
        n = _to_bound(law, road, start, cap, bounds, b, durations, t, out, cost, n)
    return n


@njit(cache=True)
def _to_bound(
    law: Law, road: Road, start: Start, cap: float, bounds: Array, b: int, durations: Array,
    t: Array, out: Array, cost: Array, n: int,
) -> int:  # fmt: skip
    """Add the profiles that end at bound `b`; returns how many there are now."""
    gap = bounds[b, AT] - start.s - start.front
    speed = max(bounds[b, BOUND_SPEED], 0.0)
    stands = bounds[b, STANDS] > 0.0
    keep = 0.0 if stands else law.standing_gap + law.time_gap * speed
    way = gap - keep
    if gap > 150.0 or n + len(durations) + 9 > MOST:
        return n
    if speed < 0.3 and start.v < 1.0 and way < 0.5:  # there: hold
        brake = start.v**2 / (2.0 * max(way, 0.02))
        lay_brake(start, min(max(brake, 1.0), law.max_brake), 8.0, t, out[n])
        if holds(law, road, start, cap, bounds, True, t, out[n]):
            cost[n] = 0.0
            return n + 1
    soft = math.sqrt(5.8 * max(way, 0.1) / law.accel)  # from rest to rest with that peak
    for j in range(9 if speed < 0.3 else len(durations)):
        if speed >= 0.3:
            duration = float(durations[j])
        elif j < 6:
            duration = (1.2 + 0.25 * j) * max(way, 0.1) / max(start.v, 0.1)
        else:
            duration = (0.8 + 0.2 * (j - 6)) * soft
        if not 0.6 <= duration <= 15.0 or (speed < 0.3 and way <= 0.05):
            continue
        end = start.s + way + speed * duration
        c = quintic(start.s, start.v, start.a, end, speed, 0.0, duration)
        go_on(law, road, start, cap, bounds, lay(c, duration, t, out[n]), t, out[n])
        if holds(law, road, start, cap, bounds, True, t, out[n]):
            cost[n] = law.jerk * squared_jerk(c, duration) + law.duration * duration
            n += 1
    return n


@njit(cache=True)
def across(
    law: Law, start: Start, profile: Array, target: float, duration: float, t: Array, out: Array
) -> float:
    """Write d, d', d'' (N+1, 3) of the way to offset `target` [m] and return its cost.

    At speed the quintic is one in time (section V, d(t)); where the profile gets slower than
    `low_speed`, one in the arc length (section VI, d(s)), as a car that stands moves no sideways.
    """
    slow, last = start.v, 0
    for k in range(len(t)):
        if t[k] <= duration:
            slow, last = min(slow, profile[k, V]), k
    in_time = slow > law.low_speed
    if in_time:
        rate = start.slope * start.v
        bend = start.bend * start.v**2 + start.slope * start.a
        end = duration
        c = quintic(start.d, rate, bend, target, 0.0, 0.0, end)
        jerk = squared_jerk(c, end)
    else:
        end = max(profile[last, S] - start.s, law.least_arc)
        c = quintic(start.d, start.slope, start.bend, target, 0.0, 0.0, end)
        # By the chain rule the jerk in time is d''' v^3; v is the mean over the way.
        mean = (profile[last, S] - start.s) / max(t[last], 1e-3)
        jerk = squared_jerk(c, end) * mean**5
    for k in range(len(t)):
        v, a = profile[k, V], profile[k, A]
        at = t[k] if in_time else profile[k, S] - start.s
        if at >= end:
            out[k, 0], out[k, 1], out[k, 2] = target, 0.0, 0.0
            continue
        d, first, second, _ = value(c, max(at, 0.0))
        out[k, 0], out[k, 1], out[k, 2] = d, first, second
        if in_time:
            out[k, 1] = first / v
            out[k, 2] = (second - out[k, 1] * a) / (v * v)
    return law.lateral_jerk * jerk + law.lateral_duration * duration + law.offset * target**2


@njit(cache=True)
def motion(
    law: Law, road: Road, start: Start, profile: Array, ways: Array, edges: Array, out: Array
) -> bool:
    """Write the car's states (N+1, NUM_STATES); row 0 is left alone. Returns whether it holds.

    Werling et al. (2010), appendix I: with tan(e) = d' / (1 - k d), e the course to the road,

        kappa = (((d'' + (k' d + k d') tan e) cos^2 e / (1 - k d)) + k) cos e / (1 - k d)
        v = sdot (1 - k d) / cos e
        a = sddot (1 - k d) / cos e
            + sdot^2 / cos e ((1 - k d) tan e (kappa (1 - k d) / cos e - k) - (k' d + k d'))

    Args:
        law: limits.
        road: the route.
        start: ego.
        profile: (N+1, 3) along.
        ways: (N+1, 3) across.
        edges: (R, 2) [m] lowest and highest offset that the rear axle's middle may have.
        out: written.
    """
    i, good = start.i, True
    for k in range(1, len(profile)):
        s, v, a = profile[k, S], max(profile[k, V], 0.0), profile[k, A]
        d, slope, bend = ways[k, 0], ways[k, 1], ways[k, 2]
        i = segment(road.s, s, i)
        span = max(road.s[i + 1] - road.s[i], 1e-3)
        share = (s - road.s[i]) / span
        f = min(max(share, 0.0), 1.0)
        yaw = road.yaw[i] + f * (road.yaw[i + 1] - road.yaw[i])
        bent = road.curvature[i] + f * (road.curvature[i + 1] - road.curvature[i])
        turns = (road.curvature[i + 1] - road.curvature[i]) / span
        c, n = math.cos(yaw), math.sin(yaw)
        x = road.xy[i, 0] + f * (road.xy[i + 1, 0] - road.xy[i, 0]) + (share - f) * span * c
        y = road.xy[i, 1] + f * (road.xy[i + 1, 1] - road.xy[i, 1]) + (share - f) * span * n
        scale = 1.0 - bent * d
        if scale < 0.2:
            good, scale = False, 0.2
        e = math.atan(slope / scale)
        tan, cos = math.tan(e), math.cos(e)
        skew = turns * d + bent * slope
        kappa = ((bend + skew * tan) * cos * cos / scale + bent) * cos / scale
        stretch = scale / cos
        out[k, YAW] = yaw + e
        out[k, X] = x - d * n + start.centre * math.cos(yaw + e)
        out[k, Y] = y + d * c + start.centre * math.sin(yaw + e)
        out[k, SPEED] = v * stretch
        out[k, ACCEL] = a * stretch + v * v / cos * (scale * tan * (kappa * stretch - bent) - skew)
        out[k, STEER] = math.atan(start.wheelbase * kappa)
        if abs(kappa) > law.max_curvature or abs(kappa) * v * v > law.lateral_accel:
            good = False
        low, high = min(edges[i, 0], start.d - 0.05), max(edges[i, 1], start.d + 0.05)
        if not low <= d <= high:
            good = False
    return good
