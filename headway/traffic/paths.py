"""Where each vehicle is on its planned lanes, and the path that lies ahead of it."""

from __future__ import annotations

import math

from numba import njit

from headway.frames import wrap_angle
from headway.road.grid import cells_near
from headway.traffic.arrays import PATH_POINTS, PATH_STEP, PLAN_LANES, Fleet, RoadArrays, Scratch
from headway.traffic.rng import chance

LOST_LATERAL = 4.0  # [m] from its lane: the plan is made anew
LOST_LATERAL_FOREIGN = 1.9  # [m] the same for vehicles that traffic does not drive
SHIFT_RATE = 1.3  # [m/s] at most, lateral speed of a lane change
LEVEL = 2.5  # [m] of height between two levels of road
SLOPE = 0.15  # of height per way that one level may have
SEARCH_RADIUS = 8.0  # [m] around a vehicle in which its lane is looked for


@njit(cache=True)
def point_at(road: RoadArrays, lane: int, s: float) -> int:
    """Index of the last sample of `lane` at or before `s`."""
    first, last = road.lane[lane].point_begin, road.lane[lane].point_end - 1
    length = road.lane[lane].length
    p = first
    if length > 0.0:
        p = first + int(max(s, 0.0) / length * (last - first))
    p = min(max(p, first), last)
    while p > first and road.point[p].s > s:
        p -= 1
    while p < last and road.point[p + 1].s <= s:
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
    first, last = road.lane[lane].point_begin, road.lane[lane].point_end - 1
    lo, hi = point_at(road, lane, hint - window), point_at(road, lane, hint + window)
    hi = min(hi + 1, last)
    best, best_p = 1e18, lo
    for p in range(lo, hi + 1):
        dx, dy = x - road.point[p].x, y - road.point[p].y
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_p = dist, p
    yaw = road.point[best_p].yaw
    dx, dy = x - road.point[best_p].x, y - road.point[best_p].y
    along = dx * math.cos(yaw) + dy * math.sin(yaw)
    d = -dx * math.sin(yaw) + dy * math.cos(yaw)
    s = road.point[best_p].s + along
    if first < best_p < last:
        # Bends: project on the chord of the two samples around, which is smooth in s.
        q = best_p + 1 if along >= 0.0 else best_p - 1
        ex, ey = road.point[q].x - road.point[best_p].x, road.point[q].y - road.point[best_p].y
        length = math.hypot(ex, ey)
        if length > 1e-6:
            part = (dx * ex + dy * ey) / length
            s = road.point[best_p].s + (part if q > best_p else -part)
    return s, d, yaw


@njit(cache=True)
def same_level(a, b) -> bool:
    """Whether two agents, records with x, y and z, are on one level, not on and under a bridge."""
    way = abs(a.x - b.x) + abs(a.y - b.y)
    return abs(a.z - b.z) < LEVEL + SLOPE * way


@njit(cache=True)
def nearest_lane(road: RoadArrays, vehicle, route_lane):
    """Find the driving lane that `vehicle`, a record of VEHICLE, is on.

    Distance counts, and so does heading (1 rad as 4 m); what traffic does not drive is taken to be
    on ego's route where that is possible.

    Returns:
        lane (-1 when none is near), s [m].
    """
    x, y = vehicle.x, vehicle.y
    x0, x1, y0, y1 = cells_near(
        road.grid_origin, road.grid_cell, road.grid_shape, x, y, SEARCH_RADIUS
    )
    best, best_p = 1e18, -1
    for ix in range(x0, x1):
        for iy in range(y0, y1):
            c = ix * road.grid_shape[1] + iy
            for k in range(road.grid_start[c], road.grid_start[c + 1]):
                p = road.grid_point[k]
                at = road.point[p]
                dist = math.hypot(x - at.x, y - at.y)
                if not road.lane[at.lane].driving or dist > SEARCH_RADIUS:
                    continue
                if abs(vehicle.z - at.z) > LEVEL:
                    continue
                cost = dist + 4.0 * abs(wrap_angle(vehicle.yaw - at.yaw))
                if route_lane[at.lane] and not vehicle.driven:
                    cost -= 1.5
                if cost < best:
                    best, best_p = cost, p
    if best_p < 0:
        return -1, 0.0
    return road.point[best_p].lane, road.point[best_p].s


@njit(cache=True)
def choose_successor(road: RoadArrays, scratch: Scratch, lane: int, vehicle) -> int:
    """Choose the lane after `lane` at random by weight; for ego its route, else straight on.

    Returns:
        The lane, or -1 at a dead end.
    """
    total, best, best_lane = 0.0, -9.0, -1
    for k in range(road.lane[lane].succ_begin, road.lane[lane].succ_end):
        nxt = road.succ[k]
        if not road.lane[nxt].driving:
            continue
        total += scratch.lane_weight[nxt]
        score = (1.0 if scratch.route_lane[nxt] else 0.0) - 0.3 * abs(road.lane[nxt].turn)
        if score > best:
            best, best_lane = score, nxt
    if best_lane < 0 or not vehicle.driven:
        return best_lane
    pick = chance(vehicle) * total
    for k in range(road.lane[lane].succ_begin, road.lane[lane].succ_end):
        nxt = road.succ[k]
        if not road.lane[nxt].driving:
            continue
        pick -= scratch.lane_weight[nxt]
        if pick <= 0.0:
            return nxt
    return best_lane


@njit(cache=True)
def locate(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, horizon: float) -> bool:
    """Bring vehicle `i`'s plan up to date with where it is; false when no lane is near."""
    limit = LOST_LATERAL if fleet[i].driven else LOST_LATERAL_FOREIGN
    for attempt in range(2):
        if fleet[i].plan_size == 0:
            lane, s = nearest_lane(road, fleet[i], scratch.route_lane)
            if lane < 0:
                return False
            fleet[i].plan[0], fleet[i].plan_size, fleet[i].s = lane, 1, s
            fleet[i].committed = -1
            if fleet[i].driven:
                _, fleet[i].shift, _ = project(road, lane, fleet[i].x, fleet[i].y, s, 6.0)
        yaw = _advance(road, fleet, scratch, i)
        lost = abs(fleet[i].d - (fleet[i].shift if fleet[i].driven else 0.0)) > limit
        lost = lost or abs(wrap_angle(fleet[i].yaw - yaw)) > 1.7
        lost = lost or fleet[i].s < -6.0 or fleet[i].s > road.lane[fleet[i].plan[0]].length + 6.0
        if not lost or attempt == 1:
            break
        fleet[i].plan_size = 0
    _extend(road, fleet, scratch, i, horizon)
    return True


@njit(cache=True)
def _advance(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int) -> float:
    s, d, yaw = project(road, fleet[i].plan[0], fleet[i].x, fleet[i].y, fleet[i].s, 8.0)
    while s > road.lane[fleet[i].plan[0]].length:
        if fleet[i].plan_size == 1:
            nxt = choose_successor(road, scratch, fleet[i].plan[0], fleet[i])
            if nxt < 0:
                break
            fleet[i].plan[1], fleet[i].plan_size = nxt, 2
        if fleet[i].committed == fleet[i].plan[0]:
            fleet[i].committed = -1
        hint = s - road.lane[fleet[i].plan[0]].length
        for k in range(1, fleet[i].plan_size):
            fleet[i].plan[k - 1] = fleet[i].plan[k]
        fleet[i].plan_size -= 1
        s, d, yaw = project(road, fleet[i].plan[0], fleet[i].x, fleet[i].y, hint, 8.0)
        if s <= 0.0:
            break
    fleet[i].s, fleet[i].d = s, d
    return yaw


@njit(cache=True)
def _extend(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, horizon: float) -> None:
    at = -fleet[i].s
    size = fleet[i].plan_size
    for k in range(size):
        fleet[i].plan_at[k] = at
        at += road.lane[fleet[i].plan[k]].length
    while at < horizon and size < PLAN_LANES:
        nxt = choose_successor(road, scratch, fleet[i].plan[size - 1], fleet[i])
        if nxt < 0:
            break
        fleet[i].plan[size] = nxt
        fleet[i].plan_at[size] = at
        at += road.lane[nxt].length
        size += 1
    fleet[i].plan_size = size
    fleet[i].plan_at[size] = at


@njit(cache=True)
def trace_path(road: RoadArrays, fleet: Fleet, i: int, horizon: float) -> None:
    """Sample the path ahead of vehicle `i`, lateral shift included, up to `horizon` [m]."""
    n = min(PATH_POINTS, int(horizon / PATH_STEP) + 1)
    k, count = 0, 0
    shift = fleet[i].shift
    x0, y0, x1, y1 = 1e18, 1e18, -1e18, -1e18
    # A lane change takes its way: the shift fades over the distance driven meanwhile.
    fade = max(abs(shift) * max(abs(fleet[i].speed), 2.0) / SHIFT_RATE, 1e-3)
    lane = fleet[i].plan[0]
    p = point_at(road, lane, fleet[i].s)
    for c in range(n):
        at = c * PATH_STEP
        while k < fleet[i].plan_size - 1 and at >= fleet[i].plan_at[k + 1]:
            k += 1
            lane = fleet[i].plan[k]
            p = road.lane[lane].point_begin
        s = at - fleet[i].plan_at[k]
        last = road.lane[lane].point_end - 1
        if k == fleet[i].plan_size - 1 and s > road.lane[lane].length + 1e-6 and c > 0:
            break
        while p < last - 1 and road.point[p + 1].s <= s:
            p += 1
        yaw = road.point[p].yaw
        x, y = road.point[p].x, road.point[p].y
        if p < last:
            span = road.point[p + 1].s - road.point[p].s
            f = (s - road.point[p].s) / span if span > 1e-6 else 0.0
            x += f * (road.point[p + 1].x - x)
            y += f * (road.point[p + 1].y - y)
            yaw += f * wrap_angle(road.point[p + 1].yaw - yaw)
        side = shift * max(0.0, 1.0 - at / fade)
        x -= side * math.sin(yaw)
        y += side * math.cos(yaw)
        x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
        fleet[i].path_x[c], fleet[i].path_y[c] = x, y
        fleet[i].path_yaw[c] = yaw
        fleet[i].path_curvature[c] = road.point[p].curvature
        count = c + 1
    fleet[i].path_size = count
    fleet[i].path_box[0], fleet[i].path_box[1] = x0, y0
    fleet[i].path_box[2], fleet[i].path_box[3] = x1, y1


@njit(cache=True)
def near_path(vehicle, x: float, y: float, reach: float) -> bool:
    """Whether a point is within `reach` [m] of the rectangle around the path of `vehicle`."""
    box = vehicle.path_box
    return box[0] - reach < x < box[2] + reach and box[1] - reach < y < box[3] + reach


@njit(cache=True)
def project_on_path(vehicle, x: float, y: float):
    """Project a point on the path of `vehicle`, a record of VEHICLE.

    Coarse search first: paths are long and smooth.

    Returns:
        Distance along the path from its centre [m] (below zero behind it), d [m] left positive,
        yaw [rad] of the path there.
    """
    path_x, path_y, n = vehicle.path_x, vehicle.path_y, vehicle.path_size
    best, best_c = 1e18, 0
    for c in range(0, n, 4):
        dx, dy = x - path_x[c], y - path_y[c]
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_c = dist, c
    for c in range(max(best_c - 3, 0), min(best_c + 3, n - 1) + 1):
        dx, dy = x - path_x[c], y - path_y[c]
        dist = dx * dx + dy * dy
        if dist < best:
            best, best_c = dist, c
    yaw = vehicle.path_yaw[best_c]
    cos, sin = math.cos(yaw), math.sin(yaw)
    dx, dy = x - path_x[best_c], y - path_y[best_c]
    return best_c * PATH_STEP + dx * cos + dy * sin, -dx * sin + dy * cos, yaw


@njit(cache=True)
def list_plans(fleet: Fleet, scratch: Scratch) -> None:
    """Enter every vehicle's planned lanes in the lists by lane."""
    scratch.head[:] = -1
    for i in range(len(fleet)):
        if not fleet[i].active:
            continue
        for k in range(fleet[i].plan_size):
            lane, entry = fleet[i].plan[k], i * PLAN_LANES + k
            scratch.next[entry] = scratch.head[lane]
            scratch.head[lane] = entry
