"""Where agents appear: around ego, out of its sight, heading its way, never in anybody's face."""

from __future__ import annotations

import math

from numba import njit

from headway.road.grid import cells_near
from headway.traffic.arrays import FAR, Crowd, Fleet, Hold, RoadArrays
from headway.traffic.paths import same_level
from headway.traffic.rng import uniform
from headway.traffic.surroundings import (
    NEAR,
    REACH,
    WALKERS_NEAR,
    in_sight,
    is_fast,
    spare_room,
    walkers_near,
)
from headway.traffic.walkways import WalkNet

RING = 250.0  # [m] furthest distance at which agents appear
SPREAD = 80.0  # [m] of way to ego's lanes over which the chance of a place falls by e
FIRST_SPREAD = 120.0  # [m] of distance, the same at the very start
FAST_SPREAD = 35.0  # [m] the same on fast roads, where traffic has to be placed closer
FAST_RING = 115.0  # [m] on them nobody further away is kept while there is room
AWAY = 170.0  # [m] nearer than that nobody appears while enough are near ego
LEAVING = 140.0  # [m] while too many are, those leave from nearer than that whom nobody sees
CROWDED = 2  # vehicles within CROWD_RADIUS: no more are added, on fast roads thrice as many
CROWD_RADIUS = 35.0  # [m]
JAMMED = 20.0  # [s] who stands longer out of ego's sight, not at a light, is put elsewhere
HEADWAY = 2.5  # [s] and
HEADWAY_GAP = 10.0  # [m] between a vehicle that appears and those ahead and behind on its lane
WALKERS_MOST = 5  # walkers within WALKER_RADIUS: no more are added
WALKER_RADIUS = 50.0  # [m]
WALKERS_AWAY = 120.0  # [m] least distance of a walker that appears while WALKERS_NEAR are near
FIRST_RING = 300.0  # [m] the same at the very start
STOP_BRAKE = 1.6  # [m/s^2] with which a placed vehicle has to manage


@njit(cache=True)
def vehicle_is_gone(  # noqa: PLR0911
    road: RoadArrays, fleet: Fleet, crowd: Crowd, i: int, ego: int, future, num_future: int
) -> bool:
    """Whether driven vehicle `i` is out of ego's sight and of no use there any more."""
    x, y = fleet[i].x, fleet[i].y
    if in_sight(fleet[ego].x, fleet[ego].y, fleet[ego].yaw, x, y):
        return False
    dist = math.hypot(x - fleet[ego].x, y - fleet[ego].y)
    if dist > RING + 30.0 or (fleet[i].standing > JAMMED and fleet[i].hold != Hold.LIGHT):
        return True
    fast = is_fast(road, fleet[ego])
    spare = spare_room(fleet, crowd, ego, fast)
    if spare <= 0.0:
        # Too many are there: those that nobody sees leave, the others stay where they are.
        return spare < -1.0 and dist < LEAVING
    if fast and dist > FAST_RING:
        return True
    if dist < 60.0:
        return False
    # Going away from all of ego's way ahead.
    nearest, best_f = FAR, 0
    for f in range(num_future):
        gap = math.hypot(x - future[f, 0], y - future[f, 1])
        if gap < nearest:
            nearest, best_f = gap, f
    if num_future == 0 or nearest < 15.0:
        return False
    dx, dy = future[best_f, 0] - x, future[best_f, 1] - y
    heading = math.cos(fleet[i].yaw) * dx + math.sin(fleet[i].yaw) * dy
    return heading < 0.2 * nearest and (nearest > (35.0 if fast else 50.0) or dist > 100.0)


@njit(cache=True)
def walker_is_gone(crowd: Crowd, w: int, fleet: Fleet, ego: int, future, num_future: int) -> bool:
    """Whether driven walker `w` is out of ego's sight and off its way."""
    x, y = crowd[w].x, crowd[w].y
    if in_sight(fleet[ego].x, fleet[ego].y, fleet[ego].yaw, x, y):
        return False
    dx, dy = x - fleet[ego].x, y - fleet[ego].y
    dist = math.hypot(dx, dy)
    if dist > RING + 10.0:
        return True
    if dist < NEAR + 20.0 and walkers_near(crowd, fleet, ego) > WALKERS_NEAR:
        return True
    nearest = FAR
    for f in range(num_future):
        nearest = min(nearest, math.hypot(x - future[f, 0], y - future[f, 1]))
    return nearest > 40.0 and dist > 55.0


@njit(cache=True)
def _clear_speed(  # noqa: PLR0911, PLR0912
    road: RoadArrays, fleet: Fleet, crowd: Crowd, i: int, p: int, first: bool, most: int
) -> float:
    """Speed [m/s] with which vehicle `i` may appear at point `p`, negative when it may not."""
    x, y, yaw = road.point[p].x, road.point[p].y, road.point[p].yaw
    lane = road.point[p].lane
    cos, sin = math.cos(yaw), math.sin(yaw)
    room, crowd_size = FAR, 0
    for j in range(len(fleet)):
        if j == i or not fleet[j].active:
            continue
        dx, dy = fleet[j].x - x, fleet[j].y - y
        if abs(dx) > 100.0 or abs(dy) > 100.0 or not same_level(fleet[j], road.point[p]):
            continue
        dist = math.hypot(dx, dy)
        crowd_size += dist < CROWD_RADIUS
        bodies = fleet[i].half_length + fleet[j].half_length
        along, aside = dx * cos + dy * sin, abs(-dx * sin + dy * cos)
        parallel = math.cos(fleet[j].yaw - yaw)
        beside = fleet[i].half_width + fleet[j].half_width + 0.4
        if abs(parallel) < 0.8 and dist < bodies + 6.0 + 1.5 * abs(fleet[j].speed):
            return -1.0
        if aside < beside and along >= 0.0:
            room = min(room, along - bodies)
            if parallel < 0.0 and along < 60.0:
                return -1.0
        comes = aside < beside and along < 0.0 and parallel > 0.0
        if comes and -along - bodies < HEADWAY_GAP + HEADWAY * max(fleet[j].speed, 0.0):
            return -1.0
        if aside < beside and abs(along) < bodies + 3.0:
            return -1.0
    for w in range(len(crowd)):
        if crowd[w].active:
            dx, dy = crowd[w].x - x, crowd[w].y - y
            along, aside = dx * cos + dy * sin, abs(-dx * sin + dy * cos)
            if -5.0 < along < 25.0 and aside < 2.5:
                return -1.0
    if room < HEADWAY_GAP + 2.0 or crowd_size > most:
        return -1.0
    if first:
        return 0.0
    share = 0.95 if most > CROWDED else 0.8
    limit = min(share * road.lane[lane].speed_limit, fleet[i].top_speed)
    square = min(limit * limit, 2.0 * STOP_BRAKE * max(room - 6.0, 0.0))
    ahead = _way_to_stop(road, p) - fleet[i].half_length - 2.0
    square = min(square, 2.0 * STOP_BRAKE * max(ahead, 0.0))
    end = road.lane[road.point[p].lane].point_end
    for q in range(p, min(p + 40, end)):
        bend = abs(road.point[q].curvature)
        if bend > 1e-3:
            square = min(square, 1.5 / bend + 2.0 * STOP_BRAKE * (q - p))
    speed = math.sqrt(max(square, 0.0))
    return min(speed, max(room - HEADWAY_GAP, 0.0) / HEADWAY)


@njit(cache=True)
def _way_to_stop(road: RoadArrays, p: int) -> float:
    """Distance [m] from a point to the first stop line or junction ahead, FAR when none is near."""
    lane = road.point[p].lane
    at = -road.point[p].s
    for _ in range(5):
        for q in range(road.lane[lane].stop_begin, road.lane[lane].stop_end):
            if at + road.stop[q].s > 0.0:
                return at + road.stop[q].s
        at += road.lane[lane].length
        if road.lane[lane].succ_begin == road.lane[lane].succ_end:
            return at
        lane = road.succ[road.lane[lane].succ_begin]
        if road.lane[lane].junction >= 0:
            return at
        if at > 100.0:
            break
    return FAR


@njit(cache=True)
def vehicle_spot(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, reach, closed, i: int, ego: int, first: bool, rng
):
    """Choose where vehicle `i` appears.

    A weighted draw over all lane points around ego: those that lead to ego's way soon count most.

    Args:
        road: the roads.
        fleet: vehicles, ego among them.
        crowd: walkers.
        reach: (L,) [m] of `weigh_lanes`.
        closed: (P,) bool, points where nobody may appear.
        i: row to place; only its size is read.
        ego: row of ego.
        first: at the very start, when nobody has seen anything yet: anywhere, standing.
        rng: (1,) uint64.

    Returns:
        Index of the lane point, -1 when there is none, and the speed [m/s].
    """
    ex, ey, eyaw = fleet[ego].x, fleet[ego].y, fleet[ego].yaw
    fast = is_fast(road, fleet[ego])
    full = spare_room(fleet, crowd, ego, fast) <= 0.0
    most = 3 * CROWDED if fast else CROWDED
    spread = FAST_SPREAD if fast else (FIRST_SPREAD if first else SPREAD)
    ring = FIRST_RING if first else (FAST_RING if fast and not full else RING)
    x0, x1, y0, y1 = cells_near(road.grid_origin, road.grid_cell, road.grid_shape, ex, ey, ring)
    best, best_p, best_speed = -1e300, -1, 0.0
    for ix in range(x0, x1):
        for iy in range(y0, y1):
            c = ix * road.grid_shape[1] + iy
            for k in range(road.grid_start[c], road.grid_start[c + 1]):
                p = road.grid_point[k]
                if closed[p]:
                    continue
                weight = _spot_weight(
                    road, reach, fleet[i].half_length, p, ex, ey, eyaw, first, spread, full
                )
                if weight <= 0.0 or _too_fast(road, fleet[i], p):
                    continue
                # Efraimidis and Spirakis (2006): the largest log(u) / w is a draw by weight.
                key = math.log(max(uniform(rng, 0), 1e-12)) / weight
                if key > best:
                    speed = _clear_speed(road, fleet, crowd, i, p, first, most)
                    if speed >= 0.0:
                        best, best_p, best_speed = key, p, speed
    return best_p, best_speed


@njit(cache=True)
def _too_fast(road: RoadArrays, vehicle, p: int) -> bool:
    """Whether the road at point `p` is no place for a vehicle as slow as this one."""
    return road.lane[road.point[p].lane].speed_limit > 2.5 * vehicle.top_speed


@njit(cache=True)
def _spot_weight(  # noqa: PLR0911
    road: RoadArrays, reach, half_length: float, p: int, ex: float, ey: float, eyaw: float,
    first: bool, spread: float, full: bool,
) -> float:  # fmt: skip
    lane = road.point[p].lane
    if not road.lane[lane].driving or road.lane[lane].junction >= 0:
        return 0.0
    dx, dy = road.point[p].x - ex, road.point[p].y - ey
    dist = math.hypot(dx, dy)
    if dist > (FIRST_RING if first else RING) or (full and dist < AWAY):
        return 0.0
    if reach[lane] >= REACH and not first and not full:
        return 0.0
    left = road.lane[lane].length - road.point[p].s
    stop = _way_to_stop(road, p)
    if stop < half_length + 3.0:
        return 0.0
    if left < half_length + 3.0 or road.point[p].s < half_length:
        return 0.0
    if first and not full:
        return math.exp(-dist / spread) if dist > 14.0 else 0.0
    if full:
        away = dx * math.cos(road.point[p].yaw) + dy * math.sin(road.point[p].yaw)
        return 1.0 if away > 0.0 else 0.2
    if in_sight(ex, ey, eyaw, road.point[p].x, road.point[p].y):
        return 0.0
    way = 0.0 if reach[lane] == 0.0 else left + reach[lane]
    weight = math.exp(-(way + 0.5 * dist) / spread)
    # Coming towards ego, or at least not running away behind it.
    towards = -(dx * math.cos(road.point[p].yaw) + dy * math.sin(road.point[p].yaw)) / max(
        dist, 1.0
    )
    ahead = (dx * math.cos(eyaw) + dy * math.sin(eyaw)) / max(dist, 1.0)
    weight *= 1.0 + 2.0 * max(towards, 0.0)
    if ahead < 0.0 and towards < 0.0:
        weight *= 0.05
    elif ahead < -0.5:
        # On fast roads those who come up from behind stay longest.
        weight *= 2.0 if spread == FAST_SPREAD else 0.4
    return weight


@njit(cache=True)
def walker_spot(
    net: WalkNet, fleet: Fleet, crowd: Crowd, w: int, ego: int, future, num_future: int,
    first: bool, rng,
):  # fmt: skip
    """Choose where walker `w` appears: on the walkways along ego's way ahead.

    Returns:
        Walkway (-1 when there is none) and s [m] on it.
    """
    ex, ey, eyaw = fleet[ego].x, fleet[ego].y, fleet[ego].yaw
    best, best_way, best_s = -1e300, -1, 0.0
    least = WALKERS_AWAY if walkers_near(crowd, fleet, ego) >= WALKERS_NEAR else 8.0
    for way in range(len(net.length)):
        for p in range(net.point_start[way], net.point_start[way + 1], 2):
            dx, dy = net.x[p] - ex, net.y[p] - ey
            dist = math.hypot(dx, dy)
            if dist > (2.0 * FIRST_RING if first else RING) or dist < least:
                continue
            if not first and in_sight(ex, ey, eyaw, net.x[p], net.y[p]):
                continue
            nearest = FAR
            for f in range(num_future):
                nearest = min(nearest, math.hypot(net.x[p] - future[f, 0], net.y[p] - future[f, 1]))
            weight = math.exp(-nearest / 12.0 - dist / 50.0)
            if weight < 1e-6 and not first:
                continue
            key = math.log(max(uniform(rng, 0), 1e-12)) / max(weight, 1e-12)
            if key > best and _walker_room(fleet, crowd, w, net.x[p], net.y[p]):
                best, best_way, best_s = key, way, net.s[p]
    return best_way, best_s


@njit(cache=True)
def _walker_room(fleet: Fleet, crowd: Crowd, w: int, x: float, y: float) -> bool:
    others = 0
    for v in range(len(crowd)):
        if v != w and crowd[v].active:
            dist = math.hypot(crowd[v].x - x, crowd[v].y - y)
            others += dist < WALKER_RADIUS
            if dist < 2.5 or others >= WALKERS_MOST:
                return False
    for j in range(len(fleet)):
        reach = fleet[j].half_length + 1.5
        if fleet[j].active and math.hypot(fleet[j].x - x, fleet[j].y - y) < reach:
            return False
    return True
