"""One step of all walkers: along their walkway, waiting at the kerb, crossing."""

from __future__ import annotations

import math

from numba import njit

from headway.traffic.arrays import FAR, PATH_STEP, Crowd, Fleet, RoadArrays, WalkerMode
from headway.traffic.junctions import travel_time
from headway.traffic.rng import uniform
from headway.traffic.walkways import WalkNet

CROSS_CHANCE = 0.4  # of the crossings that are passed, taken
CROSS_PACE = 1.15  # walkers hurry a little on the road
GIVE_UP = 30.0  # [s] at the kerb
GAP_MARGIN = 1.5  # [s] between having crossed a lane and the vehicle's arrival
YIELD_BRAKE = 1.5  # [m/s^2] that a walker who has waited expects of a driver
YIELD_GAP = 6.0  # [m] at least
KEEP_RIGHT = 0.35  # [m] beside a crossing's middle
LOOK = 0.9  # [m] ahead of a walker that has to be free
ARRIVED = 0.6  # [m]


@njit(cache=True)
def step_crowd(
    net: WalkNet, road: RoadArrays, fleet: Fleet, crowd: Crowd, dt: float
) -> None:
    """Decide for every driven walker: writes `dir_x`, `dir_y` and `out_speed`.

    Call it after `step_fleet`, whose paths tell where vehicles will be.
    """
    for w in range(len(crowd.active)):
        if not crowd.active[w] or not crowd.driven[w]:
            continue
        crowd.out_speed[w] = 0.0
        if crowd.mode[w] == WalkerMode.CROSS:
            _cross(net, fleet, crowd, w, dt)
        elif crowd.mode[w] == WalkerMode.WAIT:
            _wait(net, road, fleet, crowd, w, dt)
        else:
            _walk(net, crowd, w)
        if crowd.out_speed[w] > 0.0 and _walker_ahead(crowd, w):
            crowd.out_speed[w] *= 0.25


@njit(cache=True)
def way_point(net: WalkNet, way: int, s: float):
    """Position [m] and unit direction of walkway `way` at `s`."""
    lo, hi = net.point_start[way], net.point_start[way + 1] - 1
    p = lo
    step = hi
    while step - p > 1:
        middle = (p + step) // 2
        if net.s[middle] <= s:
            p = middle
        else:
            step = middle
    dx, dy = net.x[p + 1] - net.x[p], net.y[p + 1] - net.y[p]
    span = max(math.hypot(dx, dy), 1e-6)
    f = min(max((s - net.s[p]) / span, 0.0), 1.0)
    return net.x[p] + f * dx, net.y[p] + f * dy, dx / span, dy / span


@njit(cache=True)
def _head_for(crowd: Crowd, w: int, x: float, y: float, speed: float) -> None:
    dx, dy = x - crowd.x[w], y - crowd.y[w]
    dist = math.hypot(dx, dy)
    if dist > 1e-3:
        crowd.dir_x[w], crowd.dir_y[w] = dx / dist, dy / dist
        crowd.out_speed[w] = speed


@njit(cache=True)
def _walk(net: WalkNet, crowd: Crowd, w: int) -> None:
    way, direction = crowd.way[w], crowd.direction[w]
    x, y, tx, ty = way_point(net, way, crowd.s[w])
    along = (crowd.x[w] - x) * tx + (crowd.y[w] - y) * ty
    before = crowd.s[w]
    crowd.s[w] = min(max(before + along, 0.0), net.length[way])
    s = crowd.s[w]
    for k in range(net.cross_start[way], net.cross_start[way + 1]):
        c = net.cross[k]
        near = (net.cross_s[c] - s) * direction
        if c != crowd.ignored[w] and -0.3 <= near < 0.5:
            if uniform(crowd.rng, w) < CROSS_CHANCE:
                crowd.mode[w], crowd.crossing[w], crowd.waited[w] = WalkerMode.WAIT, c, 0.0
                return
            crowd.ignored[w] = c
    left = net.length[way] - s if direction > 0 else s
    if left < 0.5:
        _leave(net, crowd, w)
        way, direction, s = crowd.way[w], crowd.direction[w], crowd.s[w]
    x, y, tx, ty = way_point(net, way, min(max(s + 1.0 * direction, 0.0), net.length[way]))
    # `side` is to the right of walking, so that those who meet pass each other.
    side = -crowd.side[w] * direction
    _head_for(crowd, w, x - side * ty, y + side * tx, crowd.pace[w])


@njit(cache=True)
def _leave(net: WalkNet, crowd: Crowd, w: int) -> None:
    end = 2 * crowd.way[w] + (1 if crowd.direction[w] > 0 else 0)
    lo, hi = net.join_start[end], net.join_start[end + 1]
    if hi == lo:
        crowd.direction[w] = -crowd.direction[w]
        return
    other = net.join[lo + min(int(uniform(crowd.rng, w) * (hi - lo)), hi - lo - 1)]
    crowd.way[w] = other // 2
    crowd.direction[w] = 1 if other % 2 == 0 else -1
    crowd.s[w] = 0.0 if other % 2 == 0 else net.length[crowd.way[w]]


@njit(cache=True)
def _wait(
    net: WalkNet, road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int, dt: float
) -> None:
    c = crowd.crossing[w]
    crowd.waited[w] += dt
    if crowd.waited[w] > GIVE_UP:
        crowd.mode[w], crowd.ignored[w], crowd.crossing[w] = WalkerMode.WALK, c, -1
        return
    dx = net.cross_xy[c, 2] - net.cross_xy[c, 0]
    dy = net.cross_xy[c, 3] - net.cross_xy[c, 1]
    length = max(math.hypot(dx, dy), 1e-6)
    right_x, right_y = KEEP_RIGHT * dy / length, -KEEP_RIGHT * dx / length
    crowd.to_x[w], crowd.to_y[w] = net.cross_xy[c, 2] + right_x, net.cross_xy[c, 3] + right_y
    crowd.from_x[w], crowd.from_y[w] = crowd.x[w], crowd.y[w]
    crowd.dir_x[w], crowd.dir_y[w] = dx / length, dy / length
    if crowd.waited[w] > 0.5 and crossing_free(road, fleet, crowd, w):
        crowd.mode[w], crowd.waited[w] = WalkerMode.CROSS, 0.0


@njit(cache=True)
def crossing_free(road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int) -> bool:
    """Whether walker `w` has time to cross before every vehicle that heads for its way."""
    x0, y0 = crowd.from_x[w], crowd.from_y[w]
    dx, dy = crowd.to_x[w] - x0, crowd.to_y[w] - y0
    length = math.hypot(dx, dy)
    if length < 1e-3:
        return True
    ux, uy = dx / length, dy / length
    pace = CROSS_PACE * crowd.pace[w]
    for j in range(len(fleet.active)):
        if not fleet.active[j]:
            continue
        ex, ey = fleet.x[j] - x0, fleet.y[j] - y0
        if ex * ex + ey * ey > 90.0 * 90.0:
            continue
        along, aside = ex * ux + ey * uy, abs(-ex * uy + ey * ux)
        body = fleet.half_length[j] + 1.0
        if -1.0 < along < length + 1.0 and aside < body:
            return False  # somebody is on it
        for c in range(fleet.path_size[j]):
            ex, ey = fleet.path_x[j, c] - x0, fleet.path_y[j, c] - y0
            along, aside = ex * ux + ey * uy, abs(-ex * uy + ey * ux)
            if not (-1.0 < along < length + 1.0 and aside < 0.5 * PATH_STEP + 0.3):
                continue
            gap = c * PATH_STEP - fleet.half_length[j] - 0.5 * PATH_STEP
            if not _lets_cross(road, fleet, crowd, w, j, gap, along, pace):
                return False
            break
    return True


@njit(cache=True)
def _lets_cross(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int, j: int, gap: float, along: float,
    pace: float,
) -> bool:  # fmt: skip
    speed = max(fleet.speed[j], 0.0)
    clear = (along + fleet.half_width[j] + 1.0) / pace
    limit = road.speed_limit[fleet.plan[j, 0]]
    if travel_time(gap, speed, 1.5, limit) > clear + GAP_MARGIN:
        return True
    if fleet.hold_gap[j] < gap and fleet.hold_gap[j] < FAR and speed < 1.0:
        return True  # it is held before the crossing
    if crowd.waited[w] < crowd.patience[w] or gap < YIELD_GAP:
        return False
    return speed * speed / (2.0 * (gap - 3.0)) < YIELD_BRAKE


@njit(cache=True)
def _cross(net: WalkNet, fleet: Fleet, crowd: Crowd, w: int, dt: float) -> None:
    dx, dy = crowd.to_x[w] - crowd.x[w], crowd.to_y[w] - crowd.y[w]
    if math.hypot(dx, dy) < ARRIVED:
        back = crowd.crossing[w] ^ 1
        crowd.way[w], crowd.s[w] = net.cross_way[back], net.cross_s[back]
        crowd.direction[w] = 1 if uniform(crowd.rng, w) < 0.5 else -1
        crowd.mode[w], crowd.ignored[w], crowd.crossing[w] = WalkerMode.WALK, back, -1
        crowd.waited[w] = 0.0
        return
    _head_for(crowd, w, crowd.to_x[w], crowd.to_y[w], CROSS_PACE * crowd.pace[w])
    blocker = _vehicle_ahead(fleet, crowd, w)
    if blocker < 0:
        crowd.waited[w] = 0.0
        return
    crowd.waited[w] += dt
    crowd.out_speed[w] = 0.0
    if crowd.waited[w] > 2.0 and abs(fleet.speed[blocker]) < 0.3:
        # Walk round the back of what stands in the way.
        crowd.dir_x[w] = -math.cos(fleet.yaw[blocker])
        crowd.dir_y[w] = -math.sin(fleet.yaw[blocker])
        crowd.out_speed[w] = crowd.pace[w]


@njit(cache=True)
def _vehicle_ahead(fleet: Fleet, crowd: Crowd, w: int) -> int:
    x, y = crowd.x[w] + LOOK * crowd.dir_x[w], crowd.y[w] + LOOK * crowd.dir_y[w]
    for j in range(len(fleet.active)):
        if not fleet.active[j]:
            continue
        dx, dy = x - fleet.x[j], y - fleet.y[j]
        reach = fleet.half_length[j] + 3.0
        if dx * dx + dy * dy > reach * reach:
            continue
        cos, sin = math.cos(fleet.yaw[j]), math.sin(fleet.yaw[j])
        ahead, aside = dx * cos + dy * sin, abs(-dx * sin + dy * cos)
        room = crowd.radius[w] + 0.2
        front = fleet.half_length[j] + room + max(fleet.speed[j], 0.0) * 0.5
        if -fleet.half_length[j] - room < ahead < front and aside < fleet.half_width[j] + room:
            return j
    return -1


@njit(cache=True)
def _walker_ahead(crowd: Crowd, w: int) -> bool:
    for v in range(len(crowd.active)):
        if v == w or not crowd.active[v]:
            continue
        dx, dy = crowd.x[v] - crowd.x[w], crowd.y[v] - crowd.y[w]
        if dx * dx + dy * dy > 1.0:
            continue
        ahead = dx * crowd.dir_x[w] + dy * crowd.dir_y[w]
        aside = abs(-dx * crowd.dir_y[w] + dy * crowd.dir_x[w])
        same = crowd.vx[v] * crowd.dir_x[w] + crowd.vy[v] * crowd.dir_y[w]
        # Of two that meet, the lower row passes; behind a slower one one slows.
        if ahead > 0.0 and aside < crowd.radius[v] + crowd.radius[w] and (same > 0.0 or v < w):
            return True
    return False
