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
from headway.traffic.junctions import hold_entry, hold_lines, next_entry
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
    """Decide for every driven vehicle: writes `fleet.accel` and `fleet.wheel_angle`.

    Args:
        road: the roads.
        fleet: vehicles; the caller has written active, driven, x, y, yaw and speed.
        crowd: walkers; the caller has written active, x, y, vx, vy.
        scratch: working arrays.
        signal_state: (S,) int8 `SignalState`.
        now: [s] simulated time.
        dt: [s] since the last step.
    """
    n = len(fleet.active)
    for i in range(n):
        fleet.accel[i], fleet.wheel_angle[i] = 0.0, 0.0
        fleet.hold[i], fleet.hold_gap[i] = Hold.NONE, FAR
        fleet.path_size[i] = 0
        if not fleet.active[i]:
            continue
        horizon = min(horizon_of(fleet.speed[i], fleet.comfort_brake[i]), 125.0)
        if not locate(road, fleet, scratch, i, horizon + 40.0):
            fleet.plan_size[i] = 0
            fleet.accel[i] = -2.0
            continue
        trace_path(road, fleet, i, horizon)
        fleet.desired[i] = road_speed(road, fleet, i)
        fleet.standing[i] = fleet.standing[i] + dt if abs(fleet.speed[i]) < STANDS else 0.0
    list_plans(fleet, scratch)
    for i in range(n):
        if fleet.active[i] and fleet.plan_size[i] > 0:
            find_lead(fleet, i)
            hold_lines(road, fleet, signal_state, i, now)
    for i in range(n):
        if fleet.active[i] and fleet.driven[i] and fleet.plan_size[i] > 0:
            _decide(road, fleet, crowd, scratch, i, now, dt)
            _steer(fleet, i)
            fade = SHIFT_RATE * dt * min(abs(fleet.speed[i]) / 2.0, 1.0)
            shift = fleet.shift[i]
            fleet.shift[i] = math.copysign(max(abs(shift) - fade, 0.0), shift)


@njit(cache=True)
def _decide(
    road: RoadArrays, fleet: Fleet, crowd: Crowd, scratch: Scratch, i: int, now: float, dt: float
) -> None:
    horizon = fleet.path_size[i] * PATH_STEP
    entry = next_entry(road, fleet, i)
    if entry > 0:
        hold_entry(road, fleet, scratch, i, now, dt, entry)
    elif road.junction[fleet.plan[i, 0]] < 0:
        fleet.committed[i] = -1
    if fleet.speed[i] > 2.0:
        fleet.arrival[i], fleet.waited[i] = FAR, 0.0
    lead_gap, lead_speed = fleet.lead_gap[i], fleet.lead_speed[i]
    accel = idm_accel(
        fleet.speed[i], fleet.desired[i], lead_gap, lead_speed, fleet.time_gap[i],
        fleet.min_gap[i], fleet.max_accel[i], fleet.comfort_brake[i],
    )  # fmt: skip
    if lead_gap < FAR and _may_squeeze(fleet, i):
        accel = 1.0 if fleet.speed[i] < SQUEEZE_SPEED else 0.0
    end = fleet.plan_at[i, fleet.plan_size[i]] - fleet.half_length[i] - DEAD_END_GAP
    if end < horizon - PATH_STEP and end < fleet.hold_gap[i]:
        fleet.hold[i], fleet.hold_gap[i] = Hold.DEAD_END, end
    if fleet.hold[i] != Hold.NONE:
        accel = min(accel, stopping_accel(
            fleet.speed[i], fleet.hold_gap[i], fleet.max_accel[i], fleet.comfort_brake[i]
        ))  # fmt: skip
    accel = min(accel, walker_accel(fleet, crowd, i))
    fleet.accel[i] = max(accel, -MAX_BRAKE)
    consider_change(road, fleet, scratch, i, dt, entry)


@njit(cache=True)
def _may_squeeze(fleet: Fleet, i: int) -> bool:
    """Whether `i` solves a deadlock: it and its lead stand in each other's way, and it is first."""
    j = fleet.lead[i]
    if j < 0 or fleet.standing[i] < SQUEEZE_AFTER and fleet.speed[i] > SQUEEZE_SPEED:
        return False
    steps = 0
    while steps < 6:
        # Follow who waits for whom; a ring that comes back to us is broken by its lowest row.
        if fleet.lead[j] == i:
            break
        if fleet.lead[j] < 0 or fleet.lead[j] < i or fleet.standing[j] < 1.0:
            return False
        j = fleet.lead[j]
        steps += 1
    if fleet.lead[j] != i or j < i or fleet.standing[j] < SQUEEZE_AFTER:
        return False
    return fleet.standing[i] > SQUEEZE_AFTER or fleet.lead_gap[i] > 0.3


@njit(cache=True)
def _steer(fleet: Fleet, i: int) -> None:
    """Pure pursuit of the path with the rear axle."""
    n = fleet.path_size[i]
    half = 0.5 * fleet.wheelbase[i]
    cos, sin = math.cos(fleet.yaw[i]), math.sin(fleet.yaw[i])
    rear_x, rear_y = fleet.x[i] - half * cos, fleet.y[i] - half * sin
    reach = min(LOOK_AHEAD + LOOK_AHEAD_TIME * abs(fleet.speed[i]), 18.0)
    at = reach / PATH_STEP
    c = min(int(at), n - 1)
    f = at - c
    if c < n - 1:
        x = fleet.path_x[i, c] + f * (fleet.path_x[i, c + 1] - fleet.path_x[i, c])
        y = fleet.path_y[i, c] + f * (fleet.path_y[i, c + 1] - fleet.path_y[i, c])
    else:
        x = fleet.path_x[i, c] + f * PATH_STEP * math.cos(fleet.path_yaw[i, c])
        y = fleet.path_y[i, c] + f * PATH_STEP * math.sin(fleet.path_yaw[i, c])
    dx, dy = x - rear_x, y - rear_y
    ahead, left = dx * cos + dy * sin, -dx * sin + dy * cos
    square = ahead * ahead + left * left
    angle = math.atan(fleet.wheelbase[i] * 2.0 * left / max(square, 1.0))
    fleet.wheel_angle[i] = min(max(angle, -MAX_WHEEL_ANGLE), MAX_WHEEL_ANGLE)
