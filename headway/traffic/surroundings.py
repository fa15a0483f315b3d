"""What is around ego: what it sees, its way ahead, the lanes that lead there, how many are near."""

from __future__ import annotations

import math

from numba import njit

from headway.frames import wrap_angle
from headway.road.grid import cells_near
from headway.traffic.arrays import FAR, Crowd, Fleet, RoadArrays, Scratch
from headway.traffic.paths import LEVEL, point_at

SIGHT = 90.0  # [m] ahead of ego, within SIGHT_ANGLE of its heading, nothing appears or vanishes
SIGHT_ANGLE = 1.05  # [rad]
SIGHT_SIDE = 70.0  # [m] beside it
SIGHT_BEHIND = 50.0  # [m] behind it, beyond BEHIND_ANGLE of its heading
BEHIND_ANGLE = 2.1  # [rad]
FAST = 16.0  # [m/s] where ego may drive faster than that is a fast road
NEAR = 90.0  # [m] around ego within which others are counted
NEAR_MOST = 10  # vehicles: when so many are near, the others go elsewhere
FAST_MOST = 24  # the same on fast roads, which have room for more
FOR_WALKER = 1.4  # vehicles more for every walker fewer than WALKERS_NEAR
WALKERS_NEAR = 8  # walkers: when so many are near, the others go elsewhere
FUTURE_STEP = 10.0  # [m] between the samples of ego's way ahead
BESIDE = 35.0  # [m] lanes so near to ego's way that run along it belong to it
REACH = 300.0  # [m] lanes from which ego's way is further than that do not lead to it
ATTRACTION = 1.0  # of lanes that lead to ego's way, where others count 1
REPULSION = 0.9  # taken off instead when enough are near


@njit(cache=True)
def in_sight(ego_x: float, ego_y: float, ego_yaw: float, x: float, y: float) -> bool:
    """Whether something at x, y [m] would be seen by ego to appear or vanish."""
    dx, dy = x - ego_x, y - ego_y
    dist = math.hypot(dx, dy)
    angle = abs(wrap_angle(math.atan2(dy, dx) - ego_yaw))
    if angle < SIGHT_ANGLE:
        return dist < SIGHT
    return dist < (SIGHT_BEHIND if angle > BEHIND_ANGLE else SIGHT_SIDE)


@njit(cache=True)
def look_ahead(road: RoadArrays, fleet: Fleet, ego: int, future) -> int:
    """Sample ego's planned way every FUTURE_STEP into `future` (F, 3) [m]; returns how many."""
    count, k = 0, 0
    for f in range(future.shape[0]):
        at = f * FUTURE_STEP
        while k < fleet[ego].plan_size and at >= fleet[ego].plan_at[k + 1]:
            k += 1
        if k >= fleet[ego].plan_size:
            break
        lane = fleet[ego].plan[k]
        p = point_at(road, lane, at - fleet[ego].plan_at[k])
        future[f, 0], future[f, 1], future[f, 2] = (
            road.point[p].x, road.point[p].y, road.point[p].z
        )  # fmt: skip
        count += 1
    return count


@njit(cache=True)
def spare_room(fleet: Fleet, crowd: Crowd, ego: int, fast: bool) -> float:
    """How many vehicles more there should be near ego, below zero when there are too many.

    Args:
        fleet: vehicles.
        crowd: walkers; few of them leave room for vehicles.
        ego: row of ego.
        fast: whether it is on a fast road, see `is_fast`.
    """
    count = 0
    for j in range(len(fleet)):
        if j != ego and fleet[j].active:
            dx, dy = fleet[j].x - fleet[ego].x, fleet[j].y - fleet[ego].y
            count += dx * dx + dy * dy < NEAR * NEAR
    if fast:
        return float(FAST_MOST - count)
    missing = max(WALKERS_NEAR - walkers_near(crowd, fleet, ego), 0)
    return NEAR_MOST + FOR_WALKER * missing - count


@njit(cache=True)
def walkers_near(crowd: Crowd, fleet: Fleet, ego: int) -> int:
    """How many walkers there are within NEAR of ego."""
    count = 0
    for v in range(len(crowd)):
        dx, dy = crowd[v].x - fleet[ego].x, crowd[v].y - fleet[ego].y
        count += crowd[v].active and dx * dx + dy * dy < NEAR * NEAR
    return count


@njit(cache=True)
def weigh_lanes(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, scratch: Scratch, ego: int, future,
    num_future: int, reach,
) -> None:  # fmt: skip
    """Make lanes that lead to ego's way attractive, or repellent while enough are near it.

    Args:
        road: the roads.
        fleet: vehicles; the plan of row `ego` is read.
        crowd: walkers.
        scratch: `lane_weight` is written.
        ego: row of ego.
        future: (F, 3) [m] ego's way ahead, of `look_ahead`.
        num_future: so many of them.
        reach: (L,) [m] out, from the lane's end to the nearest lane that ego will drive or that
            runs along ego's way, either direction.
    """
    pull = (
        -REPULSION
        if spare_room(fleet, crowd, ego, is_fast(road, fleet[ego])) <= 0.0
        else ATTRACTION
    )
    reach[:] = FAR
    for k in range(fleet[ego].plan_size):
        if fleet[ego].plan_at[k] > 160.0:
            break
        lane = fleet[ego].plan[k]
        reach[lane] = 0.0
    for f in range(1, num_future):
        _mark_beside(road, future[f - 1], future[f], reach)
    for _ in range(40):
        changed = False
        for lane in range(len(reach)):
            if reach[lane] == 0.0 or not road.lane[lane].driving:
                continue
            best = reach[lane]
            for n in range(road.lane[lane].succ_begin, road.lane[lane].succ_end):
                nxt = road.succ[n]
                way = 0.0 if reach[nxt] == 0.0 else reach[nxt] + road.lane[nxt].length
                best = min(best, max(way, 1.0))
            if best < reach[lane] - 1e-9 and best < REACH:
                reach[lane] = best
                changed = True
        if not changed:
            break
    for lane in range(len(reach)):
        near = math.exp(-min(reach[lane], REACH) / 60.0)
        scratch.lane_weight[lane] = 1.0 + pull * near


@njit(cache=True)
def _mark_beside(road: RoadArrays, start, end, reach) -> None:
    """Let `reach` be 0 for the lanes that run along the piece of ego's way from start to end."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    x0, x1, y0, y1 = cells_near(
        road.grid_origin, road.grid_cell, road.grid_shape, end[0], end[1], BESIDE
    )
    for ix in range(x0, x1):
        for iy in range(y0, y1):
            c = ix * road.grid_shape[1] + iy
            for k in range(road.grid_start[c], road.grid_start[c + 1]):
                point = road.point[road.grid_point[k]]
                along = math.cos(point.yaw) * dx + math.sin(point.yaw) * dy
                aside = math.hypot(point.x - end[0], point.y - end[1])
                if aside < BESIDE and abs(along) > 0.9 * length and abs(point.z - end[2]) < LEVEL:
                    reach[point.lane] = 0.0


@njit(cache=True)
def is_fast(road: RoadArrays, ego) -> bool:
    """Whether ego, a record of VEHICLE, is on a fast road."""
    return ego.plan_size > 0 and road.lane[ego.plan[0]].speed_limit > FAST
