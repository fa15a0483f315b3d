"""Speed along the path: the intelligent driver model, bends, and whatever is in the way.

Leads are found by geometry and not by lane: everything whose body reaches into the swept path is
followed, be it a car of the lane, one that cuts in, a walker or a bus that stands across.
"""

from __future__ import annotations

import math

from numba import njit

from headway.frames import wrap_angle
from headway.traffic.arrays import FAR, PATH_STEP, Crowd, Fleet, RoadArrays, WalkerMode
from headway.traffic.paths import near_path, project_on_path, same_level

CORRIDOR_MARGIN = 0.25  # [m] beside a vehicle that has to be free
WALKER_MARGIN = 0.7  # [m] the same beside walkers
WALKER_REACH = 8.0  # [m] beside the path within which walkers are watched
MAX_BRAKE = 8.0  # [m/s^2] that is asked for at most
PREVIEW = 3.0  # [s] reaction and comfort, beyond braking distance


@njit(cache=True)
def horizon_of(speed: float, comfort_brake: float) -> float:
    """Distance [m] that a vehicle at `speed` [m/s] has to see."""
    return 30.0 + PREVIEW * speed + speed * speed / (2.0 * comfort_brake)


@njit(cache=True)
def idm_accel(
    speed: float, desired: float, gap: float, lead_speed: float, time_gap: float, min_gap: float,
    max_accel: float, comfort_brake: float,
) -> float:  # fmt: skip
    """Acceleration of the intelligent driver model [m/s^2].

    Treiber, Hennecke, Helbing, "Congested traffic states in empirical observations and microscopic
    simulations", Phys. Rev. E 62 (2000), eqs. 3 and 4:
    a (1 - (v/v0)^4 - (s*/s)^2), s* = s0 + max(0, v T + v dv / (2 sqrt(a b))).
    Above the desired speed it brakes comfortably at most.

    Args:
        speed, desired, lead_speed: [m/s].
        gap: [m] between bumpers, FAR when there is no lead.
        time_gap: [s]; min_gap: [m]; max_accel, comfort_brake: [m/s^2].
    """
    ratio = speed / max(desired, 0.1)
    free = max_accel * (1.0 - ratio * ratio * ratio * ratio) if ratio < 4.0 else -comfort_brake
    free = max(free, -comfort_brake)
    if gap >= FAR:
        return free
    gap = max(gap, 0.05)
    closing = speed * (speed - lead_speed) / (2.0 * math.sqrt(max_accel * comfort_brake))
    wanted = min_gap + max(0.0, speed * time_gap + closing)
    accel = free - max_accel * (wanted / gap) ** 2
    return max(accel, -MAX_BRAKE)


@njit(cache=True)
def stopping_accel(speed: float, gap: float, max_accel: float, comfort_brake: float) -> float:
    """Acceleration [m/s^2] that brings a vehicle to stand `gap` [m] ahead.

    Free until comfort asks for braking; then the constant v^2 / (2 gap), which is smoother at a
    line than following a standing lead.
    """
    if gap <= 0.05:
        return -max(comfort_brake, 2.0 * speed)
    if gap < 0.8 and speed < 0.4:
        return -1.0  # close enough: stand
    needed = speed * speed / (2.0 * gap)
    if needed < 0.6 * comfort_brake:
        # Far away: no faster than what still allows to stop in comfort from here.
        return max_accel if needed < 0.3 * comfort_brake else 0.0
    return -min(needed * 1.05, MAX_BRAKE)


@njit(cache=True)
def road_speed(road: RoadArrays, fleet: Fleet, i: int) -> float:
    """Speed [m/s] that limits and bends on the path of `i` allow now, braking in comfort."""
    allowed = road.lane[fleet[i].plan[0]].speed_limit * fleet[i].speed_factor
    allowed = min(allowed, fleet[i].top_speed)
    brake = 0.7 * fleet[i].comfort_brake
    for k in range(1, fleet[i].plan_size):
        at = max(fleet[i].plan_at[k], 0.0)
        limit = road.lane[fleet[i].plan[k]].speed_limit * fleet[i].speed_factor
        allowed = min(allowed, math.sqrt(limit * limit + 2.0 * brake * at))
    for c in range(fleet[i].path_size):
        curvature = abs(fleet[i].path_curvature[c])
        if curvature > 1e-3:
            square = fleet[i].lateral_accel / curvature + 2.0 * brake * c * PATH_STEP
            if square < allowed * allowed:
                allowed = math.sqrt(square)
    return allowed


@njit(cache=True)
def find_lead(fleet: Fleet, i: int) -> None:
    """Set `lead`, `lead_gap` and `lead_speed` of vehicle `i` to the nearest vehicle in its path.

    A body is three circles along its axis. Traffic that crosses the path and will have left it a
    second before `i` arrives is no lead.
    """
    own = fleet[i]
    lead, lead_gap, lead_speed = -1, FAR, 0.0
    for j in range(len(fleet)):
        other = fleet[j]
        hl, hw = other.half_length, other.half_width
        if j == i or not other.active or not near_path(own, other.x, other.y, hl + 2.5):
            continue
        if not same_level(own, other):
            continue
        s, d, path_yaw = project_on_path(own, other.x, other.y)
        corridor = own.half_width + hw + CORRIDOR_MARGIN + _swing(own, s, d)
        if abs(d) > hl + corridor or s < -hl or s - hl - own.half_length > lead_gap:
            continue
        # What is beside or behind cannot be helped by braking.
        least = 0.3 * own.half_length
        nearest = FAR
        if abs(d) < corridor and s > least:
            nearest = s - hw - own.half_length
        cos, sin = math.cos(other.yaw), math.sin(other.yaw)
        for part in (-1.0, 1.0):
            r = part * (hl - hw)
            s, d, _ = project_on_path(own, other.x + r * cos, other.y + r * sin)
            if abs(d) < corridor and s > least:
                nearest = min(nearest, s - hw - own.half_length)
        if other.indicator != 0 and other.plan[0] == own.plan[0] and other.s > own.s + hl:
            # It indicates that it comes into this lane: let it in.
            nearest = min(nearest, other.s - own.s - hl - own.half_length)
        turn = wrap_angle(other.yaw - path_yaw)
        way = 2.0 * hl + corridor
        if nearest >= lead_gap or _clears(turn, nearest, own.speed, other.speed, way):
            continue
        lead, lead_gap, lead_speed = j, nearest, max(other.speed * math.cos(turn), 0.0)
    own.lead, own.lead_gap, own.lead_speed = lead, lead_gap, lead_speed


@njit(cache=True)
def _swing(own, s: float, d: float) -> float:
    """How far [m] the corners of `own` swing out of a bend of its path at `s`, on the side of `d`.

    With its middle on a circle of radius R, a body of half length h reaches h^2 / 2R further out.
    """
    c = min(max(int(s / PATH_STEP), 0), own.path_size - 1)
    outwards = -own.path_curvature[c] * math.copysign(1.0, d)
    return min(0.5 * own.half_length * own.half_length * max(outwards, 0.0), 0.6)


@njit(cache=True)
def _clears(turn: float, gap: float, speed: float, other_speed: float, way: float) -> bool:
    """Whether crossing traffic leaves the path in time: it has `way` [m] to go at most."""
    if abs(math.sin(turn)) < 0.6 or gap < 6.0 or abs(other_speed) < 2.0:
        return False
    return gap / max(speed, 1.0) > way / abs(other_speed) + 1.0


@njit(cache=True)
def walker_accel(fleet: Fleet, crowd: Crowd, i: int) -> float:
    """Acceleration [m/s^2] of vehicle `i` that walkers in or about to enter its path allow."""
    allowed = FAR
    own = fleet[i]
    for w in range(len(crowd)):
        if not crowd[w].active or not near_path(own, crowd[w].x, crowd[w].y, WALKER_REACH):
            continue
        if not same_level(own, crowd[w]):
            continue
        s, d, yaw = project_on_path(own, crowd[w].x, crowd[w].y)
        gap = s - own.half_length - crowd[w].radius
        if s < 0.0:
            continue
        corridor = own.half_width + crowd[w].radius + WALKER_MARGIN
        sideways = -crowd[w].vx * math.sin(yaw) + crowd[w].vy * math.cos(yaw)
        in_way = abs(d) < corridor
        if not in_way and crowd[w].mode != WalkerMode.WAIT and d * sideways < 0.0:
            enters = (abs(d) - corridor) / max(abs(sideways), 0.05)
            arrives = max(gap, 0.0) / max(own.speed, 1.0)
            in_way = abs(sideways) > 0.3 and enters < min(arrives + 2.0, 5.0)
        if in_way and gap > -1.0:
            stop_gap = gap - 1.5
            if own.speed**2 > 2.0 * MAX_BRAKE * max(gap, 0.01) and abs(d) > corridor:
                continue  # cannot stop any more: passing on is the better half
            along = crowd[w].vx * math.cos(yaw) + crowd[w].vy * math.sin(yaw)
            if along > 0.5 and abs(d) < corridor:
                accel = idm_accel(
                    own.speed, own.desired, gap, along, own.time_gap,
                    own.min_gap, own.max_accel, own.comfort_brake,
                )  # fmt: skip
            else:
                accel = stopping_accel(own.speed, stop_gap, own.max_accel, own.comfort_brake)
            allowed = min(allowed, accel)
            if gap < own.lead_gap:
                own.lead, own.lead_gap, own.lead_speed = -2, max(gap, 0.0), 0.0
    return allowed
