"""Where each vehicle is on its planned lanes, and the path that lies ahead of it."""

from __future__ import annotations

import math

from numba import njit

from headway.traffic.arrays import PATH_POINTS, PATH_STEP, PLAN_LANES, Fleet, RoadArrays, Scratch
from headway.traffic.rng import uniform

LOST_LATERAL = 4.0  # [m] from its lane: the plan is made anew
LOST_LATERAL_FOREIGN = 1.9  # [m] the same for vehicles that traffic does not drive
SHIFT_RATE = 1.3  # [m/s] at most, lateral speed of a lane change
SEARCH_RADIUS = 8.0  # [m] around a vehicle in which its lane is looked for


@njit(cache=True)
def wrap(angle: float) -> float:
    """Wrap to (-pi, pi]."""
    return math.pi - (math.pi - angle) % (2.0 * math.pi)


@njit(cache=True)
def point_at(road: RoadArrays, lane: int, s: float) -> int:
    """Index of the last sample of `lane` at or before `s`."""
    first, last = road.point_start[lane], road.point_start[lane + 1] - 1
    length = road.length[lane]
    p = first
    if length > 0.0:
        p = first + int(max(s, 0.0) / length * (last - first))
    p = min(max(p, first), last)
    while p > first and road.s[p] > s:
        p -= 1
    while p < last and road.s[p + 1] <= s:
        p += 1
    return p


@njit(cache=True)
def project(road: RoadArrays, lane: int, x: float, y: float, hint: float, window: float):
    """Project a point on `lane` near arc length `hint`.

    Args:
        road: the roads.
        lane: which lane.
        x, y: [m] map frame.
        hint: [m] arc length around which to look.
        window: [m] how far from it, either way.

    Returns:
        s [m] (below zero before the lane, above its length beyond), d [m] left positive, yaw [rad]
        of the lane there.
    """
    first, last = road.point_start[lane], road.point_start[lane + 1] - 1
    lo, hi = point_at(road, lane, hint - window), point_at(road, lane, hint + window)
    hi = min(hi + 1, last)
    best, best_p = 1e18, lo
    for p in range(lo, hi + 1):
        dx, dy = x - road.x[p], y - road.y[p]
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_p = dist, p
    yaw = road.yaw[best_p]
    dx, dy = x - road.x[best_p], y - road.y[best_p]
    along = dx * math.cos(yaw) + dy * math.sin(yaw)
    d = -dx * math.sin(yaw) + dy * math.cos(yaw)
    s = road.s[best_p] + along
    if first < best_p < last:
        # Bends: project on the chord of the two samples around, which is smooth in s.
        q = best_p + 1 if along >= 0.0 else best_p - 1
        ex, ey = road.x[q] - road.x[best_p], road.y[q] - road.y[best_p]
        length = math.hypot(ex, ey)
        if length > 1e-6:
            part = (dx * ex + dy * ey) / length
            s = road.s[best_p] + (part if q > best_p else -part)
    return s, d, yaw


@njit(cache=True)
def nearest_lane(road: RoadArrays, x: float, y: float, yaw: float, weight):
    """Find the driving lane that a vehicle at a pose is on.

    Distance counts, and so does heading (1 rad as 4 m); lanes of weight above 1 are preferred.

    Returns:
        lane (-1 when none is near), s [m].
    """
    cell = road.grid_cell
    nx, ny = road.grid_shape[0], road.grid_shape[1]
    reach = int(math.ceil(SEARCH_RADIUS / cell))
    cx = int(math.floor((x - road.grid_origin[0]) / cell))
    cy = int(math.floor((y - road.grid_origin[1]) / cell))
    best, best_p = 1e18, -1
    for ix in range(max(cx - reach, 0), min(cx + reach, nx - 1) + 1):
        for iy in range(max(cy - reach, 0), min(cy + reach, ny - 1) + 1):
            c = ix * ny + iy
            for k in range(road.grid_start[c], road.grid_start[c + 1]):
                p = road.grid_point[k]
                lane = road.point_lane[p]
                if not road.driving[lane]:
                    continue
                dist = math.hypot(x - road.x[p], y - road.y[p])
                if dist > SEARCH_RADIUS:
                    continue
                cost = dist + 4.0 * abs(wrap(yaw - road.yaw[p]))
                if weight[lane] > 1.0:
                    cost -= 1.5
                if cost < best:
                    best, best_p = cost, p
    if best_p < 0:
        return -1, 0.0
    return road.point_lane[best_p], road.s[best_p]


@njit(cache=True)
def choose_successor(road: RoadArrays, weight, lane: int, rng, row: int, driven: bool) -> int:
    """Choose the lane after `lane` at random by weight; for ego the heaviest, else the straightest.

    Returns:
        The lane, or -1 at a dead end.
    """
    total, best, best_lane = 0.0, -1.0, -1
    for k in range(road.succ_start[lane], road.succ_start[lane + 1]):
        nxt = road.succ[k]
        if not road.driving[nxt]:
            continue
        total += weight[nxt]
        score = weight[nxt] - 0.3 * abs(road.turn[nxt])
        if score > best:
            best, best_lane = score, nxt
    if best_lane < 0 or not driven:
        return best_lane
    pick = uniform(rng, row) * total
    for k in range(road.succ_start[lane], road.succ_start[lane + 1]):
        nxt = road.succ[k]
        if not road.driving[nxt]:
            continue
        pick -= weight[nxt]
        if pick <= 0.0:
            return nxt
    return best_lane


@njit(cache=True)
def locate(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, horizon: float) -> bool:
    """Bring vehicle `i`'s plan up to date with where it is; false when no lane is near."""
    limit = LOST_LATERAL if fleet.driven[i] else LOST_LATERAL_FOREIGN
    for attempt in range(2):
        if fleet.plan_size[i] == 0:
            lane, s = nearest_lane(road, fleet.x[i], fleet.y[i], fleet.yaw[i], scratch.lane_weight)
            if lane < 0:
                return False
            fleet.plan[i, 0], fleet.plan_size[i], fleet.s[i] = lane, 1, s
            fleet.committed[i] = -1
            if fleet.driven[i]:
                _, fleet.shift[i], _ = project(road, lane, fleet.x[i], fleet.y[i], s, 6.0)
        yaw = _advance(road, fleet, scratch, i)
        lost = abs(fleet.d[i] - (fleet.shift[i] if fleet.driven[i] else 0.0)) > limit
        lost = lost or abs(wrap(fleet.yaw[i] - yaw)) > 1.7
        lost = lost or fleet.s[i] < -6.0 or fleet.s[i] > road.length[fleet.plan[i, 0]] + 6.0
        if not lost or attempt == 1:
            break
        fleet.plan_size[i] = 0
    _extend(road, fleet, scratch, i, horizon)
    return True


@njit(cache=True)
def _advance(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int) -> float:
    s, d, yaw = project(road, fleet.plan[i, 0], fleet.x[i], fleet.y[i], fleet.s[i], 8.0)
    while s > road.length[fleet.plan[i, 0]]:
        if fleet.plan_size[i] == 1:
            nxt = choose_successor(
                road, scratch.lane_weight, fleet.plan[i, 0], fleet.rng, i, fleet.driven[i]
            )
            if nxt < 0:
                break
            fleet.plan[i, 1], fleet.plan_size[i] = nxt, 2
        if fleet.committed[i] == fleet.plan[i, 0]:
            fleet.committed[i] = -1
        hint = s - road.length[fleet.plan[i, 0]]
        for k in range(1, fleet.plan_size[i]):
            fleet.plan[i, k - 1] = fleet.plan[i, k]
        fleet.plan_size[i] -= 1
        s, d, yaw = project(road, fleet.plan[i, 0], fleet.x[i], fleet.y[i], hint, 8.0)
        if s <= 0.0:
            break
    fleet.s[i], fleet.d[i] = s, d
    return yaw


@njit(cache=True)
def _extend(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, horizon: float) -> None:
    at = -fleet.s[i]
    size = fleet.plan_size[i]
    for k in range(size):
        fleet.plan_at[i, k] = at
        at += road.length[fleet.plan[i, k]]
    while at < horizon and size < PLAN_LANES:
        nxt = choose_successor(
            road, scratch.lane_weight, fleet.plan[i, size - 1], fleet.rng, i, fleet.driven[i]
        )
        if nxt < 0:
            break
        fleet.plan[i, size] = nxt
        fleet.plan_at[i, size] = at
        at += road.length[nxt]
        size += 1
    fleet.plan_size[i] = size
    fleet.plan_at[i, size] = at


@njit(cache=True)
def trace_path(road: RoadArrays, fleet: Fleet, i: int, horizon: float) -> None:
    """Sample the path ahead of vehicle `i`, lateral shift included, up to `horizon` [m]."""
    n = min(PATH_POINTS, int(horizon / PATH_STEP) + 1)
    k, count = 0, 0
    shift = fleet.shift[i]
    x0, y0, x1, y1 = 1e18, 1e18, -1e18, -1e18
    # A lane change takes its way: the shift fades over the distance driven meanwhile.
    fade = max(abs(shift) * max(abs(fleet.speed[i]), 2.0) / SHIFT_RATE, 1e-3)
    lane = fleet.plan[i, 0]
    p = point_at(road, lane, fleet.s[i])
    for c in range(n):
        at = c * PATH_STEP
        while k < fleet.plan_size[i] - 1 and at >= fleet.plan_at[i, k + 1]:
            k += 1
            lane = fleet.plan[i, k]
            p = road.point_start[lane]
        s = at - fleet.plan_at[i, k]
        last = road.point_start[lane + 1] - 1
        if k == fleet.plan_size[i] - 1 and s > road.length[lane] + 1e-6 and c > 0:
            break
        while p < last - 1 and road.s[p + 1] <= s:
            p += 1
        yaw = road.yaw[p]
        x, y = road.x[p], road.y[p]
        if p < last:
            span = road.s[p + 1] - road.s[p]
            f = (s - road.s[p]) / span if span > 1e-6 else 0.0
            x += f * (road.x[p + 1] - x)
            y += f * (road.y[p + 1] - y)
            yaw += f * wrap(road.yaw[p + 1] - yaw)
        side = shift * max(0.0, 1.0 - at / fade)
        x -= side * math.sin(yaw)
        y += side * math.cos(yaw)
        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
        fleet.path_x[i, c], fleet.path_y[i, c] = x, y
        fleet.path_yaw[i, c] = yaw
        fleet.path_curvature[i, c] = road.curvature[p]
        count = c + 1
    fleet.path_size[i] = count
    fleet.path_box[i, 0], fleet.path_box[i, 1] = x0, y0
    fleet.path_box[i, 2], fleet.path_box[i, 3] = x1, y1


@njit(cache=True)
def near_path(box, i: int, x: float, y: float, reach: float) -> bool:
    """Whether a point is within `reach` [m] of the rectangle `box` (N, 4) around the path of `i`."""
    return (
        box[i, 0] - reach < x < box[i, 2] + reach and box[i, 1] - reach < y < box[i, 3] + reach
    )


@njit(cache=True)
def project_on_path(path_x, path_y, path_yaw, n: int, i: int, x: float, y: float):
    """Project a point on the path of vehicle `i`.

    Single arrays and no `Fleet`: this is the innermost loop, and a tuple of arrays costs more to
    hand over than the search itself. Coarse search first: paths are long and smooth.

    Args:
        path_x, path_y, path_yaw: (N, PATH_POINTS) of the fleet.
        n: samples that the path has.
        i: row.
        x, y: [m] the point.

    Returns:
        Distance along the path from the centre of `i` [m] (below zero behind it), d [m] left
        positive, yaw [rad] of the path there.
    """
    best, best_c = 1e18, 0
    for c in range(0, n, 4):
        dx, dy = x - path_x[i, c], y - path_y[i, c]
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_c = dist, c
    for c in range(max(best_c - 3, 0), min(best_c + 3, n - 1) + 1):
        dx, dy = x - path_x[i, c], y - path_y[i, c]
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_c = dist, c
    yaw = path_yaw[i, best_c]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = x - path_x[i, best_c], y - path_y[i, best_c]
    return best_c * PATH_STEP + dx * cos + dy * sin, -dx * sin + dy * cos, yaw


@njit(cache=True)
def list_plans(fleet: Fleet, scratch: Scratch) -> None:
    """Enter every vehicle's planned lanes in the lists by lane."""
    scratch.head[:] = -1
    for i in range(len(fleet.active)):
        if not fleet.active[i]:
            continue
        for k in range(fleet.plan_size[i]):
            lane, entry = fleet.plan[i, k], i * PLAN_LANES + k
            scratch.next[entry] = scratch.head[lane]
            scratch.head[lane] = entry
