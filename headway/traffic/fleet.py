"""One step of all vehicles: where they are, what holds them, how they accelerate and steer."""

from __future__ import annotations

import math

from numba import njit

from headway.traffic.arrays import FAR, PATH_STEP, Crowd, Fleet, Hold, RoadArrays, Scratch
from headway.traffic.following import (
    MAX_BRAKE,
    find_lead,
    horizon_of,
    idm_accel,
    road_speed,
    stopping_accel,
    walker_accel,
)
from headway.traffic.junctions import hold_entry, hold_lines, next_entry, watch_line
from headway.traffic.lane_change import consider_change
from headway.traffic.paths import SHIFT_RATE, list_plans, locate, trace_path

LOOK_AHEAD = 2.6  # [m] pure pursuit, standing
LOOK_AHEAD_TIME = 0.42  # [s] more of it with speed
MAX_WHEEL_ANGLE = 0.9  # [rad]
STANDS = 0.2  # [m/s] a slower vehicle stands
SQUEEZE_AFTER = 6.0  # [s] two that stand in each other's way: one of them moves
SQUEEZE_SPEED = 1.5  # [m/s]
DEAD_END_GAP = 3.0  # [m] kept to the end of a road


@njit(cache=True)
def step_fleet(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, scratch: Scratch, signal_state,
    now: float, dt: float,
) -> None:  # fmt: skip
    """Decide for every driven vehicle: writes `accel` and `wheel_angle`.

    Args:
        road: the roads.
        fleet: vehicles; the caller has written active, driven, x, y, yaw and speed.
        crowd: walkers; the caller has written active, x, y, vx, vy.
        scratch: working arrays.
        signal_state: (S,) int8 `SignalState`.
        now: [s] simulated time.
        dt: [s] since the last step.
    """
    n = len(fleet)
    for i in range(n):
        fleet[i].accel, fleet[i].wheel_angle = 0.0, 0.0
        fleet[i].was_held = fleet[i].hold
        fleet[i].hold, fleet[i].hold_gap = Hold.NONE, FAR
        fleet[i].path_size = 0
        if not fleet[i].active:
            continue
        horizon = min(horizon_of(fleet[i].speed, fleet[i].comfort_brake), 125.0)
        if not locate(road, fleet, scratch, i, horizon + 40.0):
            fleet[i].plan_size = 0
            fleet[i].accel = -2.0
            continue
        trace_path(road, fleet, i, horizon)
        fleet[i].desired = road_speed(road, fleet, i)
        fleet[i].standing = fleet[i].standing + dt if abs(fleet[i].speed) < STANDS else 0.0
    list_plans(fleet, scratch)
    for i in range(n):
        if fleet[i].active and fleet[i].plan_size > 0:
            find_lead(fleet, i)
            hold_lines(road, fleet, signal_state, i, now)
            if not fleet[i].driven:
                watch_line(road, fleet, i, now, dt)
    for i in range(n):
        if fleet[i].active and fleet[i].driven and fleet[i].plan_size > 0:
            _decide(road, fleet, crowd, scratch, i, now, dt)
            _steer(fleet, i)
            fade = SHIFT_RATE * dt * min(abs(fleet[i].speed) / 2.0, 1.0)
            shift = fleet[i].shift
            fleet[i].shift = math.copysign(max(abs(shift) - fade, 0.0), shift)


@njit(cache=True)
def _decide(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, scratch: Scratch, i: int, now: float, dt: float
) -> None:
    horizon = fleet[i].path_size * PATH_STEP
    entry = next_entry(road, fleet, i)
    if entry > 0:
        hold_entry(road, fleet, scratch, i, now, dt, entry)
    elif road.lane[fleet[i].plan[0]].junction < 0:
        fleet[i].committed = -1
    if fleet[i].speed > 2.0:
        fleet[i].arrival, fleet[i].waited = FAR, 0.0
    lead_gap, lead_speed = fleet[i].lead_gap, fleet[i].lead_speed
    accel = idm_accel(
        fleet[i].speed, fleet[i].desired, lead_gap, lead_speed, fleet[i].time_gap,
        fleet[i].min_gap, fleet[i].max_accel, fleet[i].comfort_brake,
    )  # fmt: skip
    if lead_gap < FAR and _may_squeeze(fleet, i):
        accel = 1.0 if fleet[i].speed < SQUEEZE_SPEED else 0.0
    end = fleet[i].plan_at[fleet[i].plan_size] - fleet[i].half_length - DEAD_END_GAP
    if end < horizon - PATH_STEP and end < fleet[i].hold_gap:
        fleet[i].hold, fleet[i].hold_gap = Hold.DEAD_END, end
    if fleet[i].hold != Hold.NONE:
        accel = min(accel, stopping_accel(
            fleet[i].speed, fleet[i].hold_gap, fleet[i].max_accel, fleet[i].comfort_brake
        ))  # fmt: skip
    accel = min(accel, walker_accel(fleet, crowd, i))
    fleet[i].accel = max(accel, -MAX_BRAKE)
    consider_change(road, fleet, scratch, i, dt, entry)


@njit(cache=True)
def _may_squeeze(fleet: Fleet, i: int) -> bool:
    """Whether `i` solves a deadlock: it and its lead stand in each other's way, and it is first."""
    j = fleet[i].lead
    if j < 0 or (fleet[i].standing < SQUEEZE_AFTER and fleet[i].speed > SQUEEZE_SPEED):
        return False
    steps = 0
    while steps < 6:
        # Follow who waits for whom; a ring that comes back to us is broken by its lowest row.
        if fleet[j].lead == i:
            break
        if fleet[j].lead < 0 or fleet[j].lead < i or fleet[j].standing < 1.0:
            return False
        j = fleet[j].lead
        steps += 1
    if fleet[j].lead != i or j < i or fleet[j].standing < SQUEEZE_AFTER:
        return False
    return fleet[i].standing > SQUEEZE_AFTER or fleet[i].lead_gap > 0.3


@njit(cache=True)
def _steer(fleet: Fleet, i: int) -> None:
    """Pure pursuit of the path with the rear axle."""
    n = fleet[i].path_size
    half = 0.5 * fleet[i].wheelbase
    cos, sin = math.cos(fleet[i].yaw), math.sin(fleet[i].yaw)
    rear_x, rear_y = fleet[i].x - half * cos, fleet[i].y - half * sin
    reach = min(LOOK_AHEAD + LOOK_AHEAD_TIME * abs(fleet[i].speed), 18.0)
    at = reach / PATH_STEP
    c = min(int(at), n - 1)
    f = at - c
    if c < n - 1:
        x = fleet[i].path_x[c] + f * (fleet[i].path_x[c + 1] - fleet[i].path_x[c])
        y = fleet[i].path_y[c] + f * (fleet[i].path_y[c + 1] - fleet[i].path_y[c])
    else:
        x = fleet[i].path_x[c] + f * PATH_STEP * math.cos(fleet[i].path_yaw[c])
        y = fleet[i].path_y[c] + f * PATH_STEP * math.sin(fleet[i].path_yaw[c])
    dx, dy = x - rear_x, y - rear_y
    ahead, left = dx * cos + dy * sin, -dx * sin + dy * cos
    square = ahead * ahead + left * left
    angle = math.atan(fleet[i].wheelbase * 2.0 * left / max(square, 1.0))
    fleet[i].wheel_angle = min(max(angle, -MAX_WHEEL_ANGLE), MAX_WHEEL_ANGLE)
