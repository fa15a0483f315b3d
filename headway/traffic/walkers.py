"""One step of all walkers: along their walkway, waiting at the kerb, crossing."""

from __future__ import annotations

import math

from numba import njit

from headway.traffic.arrays import FAR, PATH_STEP, Crowd, Fleet, RoadArrays, WalkerMode
from headway.traffic.junctions import travel_time
from headway.traffic.paths import same_level
from headway.traffic.rng import chance
from headway.traffic.walkways import WalkNet

CROSS_CHANCE = 0.4  # of the crossings that are passed, taken
JAYWALK_CHANCE = 0.15  # the same of the places between, for those who cross anywhere
CROSS_PACE = 1.15  # walkers hurry a little on the road
GIVE_UP = 30.0  # [s] at the kerb
GAP_MARGIN = 1.5  # [s] between having crossed a lane and the vehicle's arrival
YIELD_BRAKE = 1.5  # [m/s^2] that a walker who has waited expects of a driver
JAYWALK_BRAKE = 3.0  # [m/s^2] the same of one who does not wait
YIELD_GAP = 6.0  # [m] at least
KEEP_RIGHT = 0.35  # [m] beside a crossing's middle
LOOK = 0.9  # [m] ahead of a walker that has to be free
PASS_ANGLE = 1.1  # [rad] to the right, past walkers that are met
ARRIVED = 0.6  # [m]


@njit(cache=True)
def step_crowd(net: WalkNet, road: RoadArrays, fleet: Fleet, crowd: Crowd, dt: float) -> None:
    """Decide for every driven walker: writes `dir_x`, `dir_y` and `out_speed`.

    Call it after `step_fleet`, whose paths tell where vehicles will be.
    """
    for w in range(len(crowd)):
        if not crowd[w].active or not crowd[w].driven:
            continue
        crowd[w].out_speed = 0.0
        if crowd[w].mode == WalkerMode.CROSS:
            _cross(net, fleet, crowd, w, dt)
        elif crowd[w].mode == WalkerMode.WAIT:
            _wait(net, road, fleet, crowd, w, dt)
        else:
            _walk(net, crowd, w)
        if crowd[w].out_speed > 0.0:
            _make_way(crowd, w)


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
    dx, dy = x - crowd[w].x, y - crowd[w].y
    dist = math.hypot(dx, dy)
    if dist > 1e-3:
        crowd[w].dir_x, crowd[w].dir_y = dx / dist, dy / dist
        crowd[w].out_speed = speed


@njit(cache=True)
def _walk(net: WalkNet, crowd: Crowd, w: int) -> None:
    way, direction = crowd[w].way, crowd[w].direction
    x, y, tx, ty = way_point(net, way, crowd[w].s)
    along = (crowd[w].x - x) * tx + (crowd[w].y - y) * ty
    before = crowd[w].s
    crowd[w].s = min(max(before + along, 0.0), net.length[way])
    s = crowd[w].s
    for k in range(net.cross_start[way], net.cross_start[way + 1]):
        c = net.cross[k]
        near = (net.cross_s[c] - s) * direction
        if net.cross_anywhere[c] and not crowd[w].jaywalks:
            continue
        if c != crowd[w].ignored and -0.3 <= near < 0.5:
            if chance(crowd[w]) < (JAYWALK_CHANCE if net.cross_anywhere[c] else CROSS_CHANCE):
                crowd[w].mode, crowd[w].crossing, crowd[w].waited = WalkerMode.WAIT, c, 0.0
                return
            crowd[w].ignored = c
    left = net.length[way] - s if direction > 0 else s
    if left < 0.5:
        _leave(net, crowd, w)
        way, direction, s = crowd[w].way, crowd[w].direction, crowd[w].s
    x, y, tx, ty = way_point(net, way, min(max(s + 1.0 * direction, 0.0), net.length[way]))
    # `side` is to the right of walking, so that those who meet pass each other.
    side = -crowd[w].side * direction
    _head_for(crowd, w, x - side * ty, y + side * tx, crowd[w].pace)


@njit(cache=True)
def _leave(net: WalkNet, crowd: Crowd, w: int) -> None:
    end = 2 * crowd[w].way + (1 if crowd[w].direction > 0 else 0)
    lo, hi = net.join_start[end], net.join_start[end + 1]
    if hi == lo:
        crowd[w].direction = -crowd[w].direction
        return
    other = net.join[lo + min(int(chance(crowd[w]) * (hi - lo)), hi - lo - 1)]
    crowd[w].way = other // 2
    crowd[w].direction = 1 if other % 2 == 0 else -1
    crowd[w].s = 0.0 if other % 2 == 0 else net.length[crowd[w].way]


@njit(cache=True)
def _wait(net: WalkNet, road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int, dt: float) -> None:
    c = crowd[w].crossing
    crowd[w].waited += dt
    if crowd[w].waited > GIVE_UP:
        crowd[w].mode, crowd[w].ignored, crowd[w].crossing = WalkerMode.WALK, c, -1
        return
    dx = net.cross_xy[c, 2] - net.cross_xy[c, 0]
    dy = net.cross_xy[c, 3] - net.cross_xy[c, 1]
    length = max(math.hypot(dx, dy), 1e-6)
    right_x, right_y = KEEP_RIGHT * dy / length, -KEEP_RIGHT * dx / length
    crowd[w].to_x, crowd[w].to_y = net.cross_xy[c, 2] + right_x, net.cross_xy[c, 3] + right_y
    crowd[w].from_x, crowd[w].from_y = crowd[w].x, crowd[w].y
    crowd[w].dir_x, crowd[w].dir_y = dx / length, dy / length
    if crowd[w].waited > 0.5 and crossing_free(road, fleet, crowd, w):
        crowd[w].mode, crowd[w].waited = WalkerMode.CROSS, 0.0


@njit(cache=True)
def crossing_free(road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int) -> bool:
    """Whether walker `w` has time to cross before every vehicle that heads for its way."""
    x0, y0 = crowd[w].from_x, crowd[w].from_y
    dx, dy = crowd[w].to_x - x0, crowd[w].to_y - y0
    length = math.hypot(dx, dy)
    if length < 1e-3:
        return True
    ux, uy = dx / length, dy / length
    pace = CROSS_PACE * crowd[w].pace
    for j in range(len(fleet)):
        if not fleet[j].active:
            continue
        if not same_level(fleet[j], crowd[w]):
            continue
        ex, ey = fleet[j].x - x0, fleet[j].y - y0
        if ex * ex + ey * ey > 90.0 * 90.0:
            continue
        along, aside = ex * ux + ey * uy, abs(-ex * uy + ey * ux)
        body = fleet[j].half_length + 1.0
        if -1.0 < along < length + 1.0 and aside < body:
            return False  # somebody is on it
        for c in range(fleet[j].path_size):
            ex, ey = fleet[j].path_x[c] - x0, fleet[j].path_y[c] - y0
            along, aside = ex * ux + ey * uy, abs(-ex * uy + ey * ux)
            if not (-1.0 < along < length + 1.0 and aside < 0.5 * PATH_STEP + 0.3):
                continue
            gap = c * PATH_STEP - fleet[j].half_length - 0.5 * PATH_STEP
            if not _lets_cross(road, fleet, crowd, w, j, gap, along, pace):
                return False
            break
    return True


@njit(cache=True)
def _lets_cross(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, w: int, j: int, gap: float, along: float,
    pace: float,
) -> bool:  # fmt: skip
    speed = max(fleet[j].speed, 0.0)
    clear = (along + fleet[j].half_width + 1.0) / pace
    limit = road.lane[fleet[j].plan[0]].speed_limit
    if travel_time(gap, speed, 1.5, limit) > clear + GAP_MARGIN:
        return True
    if fleet[j].hold_gap < gap and fleet[j].hold_gap < FAR and speed < 1.0:
        return True  # it is held before the crossing
    jaywalks = crowd[w].jaywalks
    if (crowd[w].waited < crowd[w].patience and not jaywalks) or gap < YIELD_GAP:
        return False
    return speed * speed / (2.0 * (gap - 3.0)) < (JAYWALK_BRAKE if jaywalks else YIELD_BRAKE)


@njit(cache=True)
def _cross(net: WalkNet, fleet: Fleet, crowd: Crowd, w: int, dt: float) -> None:
    dx, dy = crowd[w].to_x - crowd[w].x, crowd[w].to_y - crowd[w].y
    if math.hypot(dx, dy) < ARRIVED:
        back = crowd[w].crossing ^ 1
        crowd[w].way, crowd[w].s = net.cross_way[back], net.cross_s[back]
        crowd[w].direction = 1 if chance(crowd[w]) < 0.5 else -1
        crowd[w].mode, crowd[w].ignored, crowd[w].crossing = WalkerMode.WALK, back, -1
        crowd[w].waited = 0.0
        return
    _head_for(crowd, w, crowd[w].to_x, crowd[w].to_y, CROSS_PACE * crowd[w].pace)
    blocker = _vehicle_ahead(fleet, crowd, w)
    if blocker < 0:
        crowd[w].waited = 0.0
        return
    crowd[w].waited += dt
    crowd[w].out_speed = 0.0
    if crowd[w].waited > 2.0 and abs(fleet[blocker].speed) < 0.3:
        _walk_round(fleet[blocker], crowd, w)


@njit(cache=True)
def _walk_round(vehicle, crowd: Crowd, w: int) -> None:
    """Walk round the end of a standing vehicle: its front when that is where we are."""
    cos, sin = math.cos(vehicle.yaw), math.sin(vehicle.yaw)
    along = (crowd[w].x - vehicle.x) * cos + (crowd[w].y - vehicle.y) * sin
    if along > vehicle.half_length:  # straight on, and a little away from it
        x, y = crowd[w].dir_x + 0.5 * cos, crowd[w].dir_y + 0.5 * sin
    else:
        x, y = -cos, -sin
    size = max(math.hypot(x, y), 1e-3)
    crowd[w].dir_x, crowd[w].dir_y = x / size, y / size
    crowd[w].out_speed = crowd[w].pace


@njit(cache=True)
def _vehicle_ahead(fleet: Fleet, crowd: Crowd, w: int) -> int:
    x, y = crowd[w].x + LOOK * crowd[w].dir_x, crowd[w].y + LOOK * crowd[w].dir_y
    for j in range(len(fleet)):
        if not fleet[j].active or not same_level(fleet[j], crowd[w]):
            continue
        dx, dy = x - fleet[j].x, y - fleet[j].y
        reach = fleet[j].half_length + 3.0
        if dx * dx + dy * dy > reach * reach:
            continue
        cos, sin = math.cos(fleet[j].yaw), math.sin(fleet[j].yaw)
        ahead, aside = dx * cos + dy * sin, abs(-dx * sin + dy * cos)
        room = crowd[w].radius + 0.2
        front = fleet[j].half_length + room + max(fleet[j].speed, 0.0) * 0.5
        if -fleet[j].half_length - room < ahead < front and aside < fleet[j].half_width + room:
            return j
    return -1


@njit(cache=True)
def _make_way(crowd: Crowd, w: int) -> None:
    """Pass whom walker `w` meets on the right, slow down behind whom it follows."""
    walker = crowd[w]
    for v in range(len(crowd)):
        if v == w or not crowd[v].active:
            continue
        dx, dy = crowd[v].x - walker.x, crowd[v].y - walker.y
        if dx * dx + dy * dy > 1.2:
            continue
        ahead = dx * walker.dir_x + dy * walker.dir_y
        aside = abs(-dx * walker.dir_y + dy * walker.dir_x)
        if ahead < 0.0 or aside > crowd[v].radius + walker.radius + 0.1:
            continue
        along = crowd[v].vx * walker.dir_x + crowd[v].vy * walker.dir_y
        if along > 0.2:
            walker.out_speed = min(walker.out_speed, 0.8 * along)
            continue
        cos, sin = math.cos(PASS_ANGLE), math.sin(PASS_ANGLE)
        dir_x = walker.dir_x * cos + walker.dir_y * sin
        walker.dir_y = -walker.dir_x * sin + walker.dir_y * cos
        walker.dir_x = dir_x
        walker.out_speed *= 0.7
        return
