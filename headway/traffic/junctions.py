"""Lights, signs and giving way: whether a vehicle may enter the junction ahead.

A vehicle decides in row order, and `committed` is written at once, so two never take the same gap:
whoever committed first goes, and all that conflict with it wait. Those that give way look at when
the others reach the shared piece of road and when they leave it.
"""

from __future__ import annotations

import math

from numba import njit

from headway.road.lane_graph import StopKind
from headway.traffic.arrays import FAR, PLAN_LANES, Fleet, Hold, RoadArrays, Scratch
from headway.types import SignalState

LINE_GAP = 0.6  # [m] between the front and the line when standing
PASSED = 1.2  # [m] beyond the line with the front: there is no stopping any more
YELLOW_TIME = 2.2  # [s] a line further away than that is stopped at when yellow begins
RED_BRAKE = 7.0  # [m/s^2] that is spent on a red light
MARGIN = 1.2  # [s] between leaving a conflict and the other's arrival
AHEAD = 60.0  # [m] within which a junction is decided about
EXIT_SPEED = 2.5  # [m/s] a slower lead behind the junction blocks the exit
OWN_ACCEL = 1.5  # [m/s^2] with which vehicles are assumed to pick up speed


@njit(cache=True)
def travel_time(dist: float, speed: float, accel: float, top: float) -> float:
    """Time [s] to cover `dist` [m] from `speed`, picking up `accel` until `top` speed."""
    if dist <= 0.0:
        return 0.0
    top = max(top, speed, 0.5)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if dist <= ramp:
        return (math.sqrt(speed * speed + 2.0 * accel * dist) - speed) / accel
    return (top - speed) / accel + (dist - ramp) / top


@njit(cache=True)
def next_entry(road: RoadArrays, fleet: Fleet, i: int) -> int:
    """Index in the plan of `i` of the next junction lane that it has not entered, -1 for none."""
    for k in range(1, fleet.plan_size[i]):
        own = road.junction[fleet.plan[i, k]]
        if own >= 0 and road.junction[fleet.plan[i, k - 1]] != own:
            if fleet.plan_at[i, k] - fleet.half_length[i] < -PASSED:
                continue
            return k
    return -1


@njit(cache=True)
def hold_lines(
    road: RoadArrays, fleet: Fleet, signal_state, i: int, now: float
) -> None:
    """Set `hold` and `hold_gap` of `i` for the lights and stop signs on its plan."""
    for k in range(fleet.plan_size[i]):
        if fleet.plan_at[i, k] > AHEAD + 40.0 or fleet.hold[i] != Hold.NONE:
            break  # lines further on are for later
        lane = fleet.plan[i, k]
        for q in range(road.stop_start[lane], road.stop_start[lane + 1]):
            guarded = road.stop_junction_lane[q]
            if guarded >= 0 and (k + 1 >= fleet.plan_size[i] or fleet.plan[i, k + 1] != guarded):
                continue
            gap = fleet.plan_at[i, k] + road.stop_s[q] - fleet.half_length[i] - LINE_GAP
            if gap < -PASSED:
                continue
            reason = Hold.NONE
            if road.stop_kind[q] == StopKind.LIGHT:
                if _light_holds(fleet, signal_state[road.stop_signal[q]], q, i, gap):
                    reason = Hold.LIGHT
            elif road.stop_kind[q] == StopKind.STOP and fleet.stopped_at[i] != q:
                reason = Hold.STOP_SIGN
                if gap < 1.8 and fleet.speed[i] < 0.15:
                    fleet.stopped_at[i] = q
                    fleet.arrival[i] = min(fleet.arrival[i], now)
                    reason = Hold.NONE
            if reason != Hold.NONE and gap < fleet.hold_gap[i]:
                fleet.hold[i], fleet.hold_gap[i] = reason, gap


@njit(cache=True)
def _light_holds(fleet: Fleet, state: int, q: int, i: int, gap: float) -> bool:
    speed = fleet.speed[i]
    if state == SignalState.RED:
        return (gap > -0.3 and speed * speed < 2.0 * RED_BRAKE * (gap + LINE_GAP)) or speed < 1.0
    if state == SignalState.YELLOW:
        # Decided once, when it turns yellow. Who follows a slower lead will not be faster than it.
        pace = speed
        if fleet.lead_gap[i] < gap:
            pace = min(pace, fleet.lead_speed[i])
        if gap > YELLOW_TIME * pace or speed < 1.0:
            fleet.yellow_at[i] = q
        return fleet.yellow_at[i] == q
    if fleet.yellow_at[i] == q:
        fleet.yellow_at[i] = -1
    return False


@njit(cache=True)
def hold_entry(
    road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, now: float, dt: float, entry: int
) -> None:
    """Commit `i` to the junction at `entry` of its plan, or hold it before."""
    gap = fleet.plan_at[i, entry] - fleet.half_length[i] - LINE_GAP
    lane = fleet.plan[i, entry]
    decide = max(18.0, fleet.speed[i] ** 2 / (2.0 * 1.6) + 6.0)
    if gap > min(decide, AHEAD):
        fleet.committed[i] = -1
        return
    line_gap = min(gap, fleet.hold_gap[i] if fleet.hold[i] == Hold.LIGHT else FAR)
    for q in range(road.stop_start[fleet.plan[i, entry - 1]],
                   road.stop_start[fleet.plan[i, entry - 1] + 1]):  # fmt: skip
        guarded = road.stop_junction_lane[q]
        if guarded < 0 or guarded == lane:
            at = fleet.plan_at[i, entry - 1] + road.stop_s[q] - fleet.half_length[i] - LINE_GAP
            if at > -PASSED:
                line_gap = min(line_gap, at)
    if fleet.hold[i] in (Hold.LIGHT, Hold.STOP_SIGN) and fleet.hold_gap[i] <= gap + 0.1:
        fleet.committed[i] = -1
        return
    reason = Hold.NONE
    if fleet.lead_gap[i] < gap and fleet.lead_speed[i] < 3.0 and fleet.lead[i] != -2:
        # Somebody is first in line.
        fleet.committed[i] = -1
        return
    if _exit_blocked(road, fleet, i, entry):
        reason = Hold.EXIT_BLOCKED
    elif not _gap_free(road, fleet, scratch, i, entry):
        reason = Hold.GIVE_WAY
    if reason == Hold.NONE:
        fleet.committed[i] = lane
        return
    if fleet.committed[i] == lane and fleet.speed[i] ** 2 > 2.0 * 4.0 * max(line_gap, 0.05):
        return  # committed and too late to stop
    fleet.committed[i] = -1
    if fleet.speed[i] < 0.3 and line_gap < 3.0:
        fleet.arrival[i] = min(fleet.arrival[i], now)
        fleet.waited[i] += dt
    if line_gap < fleet.hold_gap[i]:
        fleet.hold[i], fleet.hold_gap[i] = reason, line_gap


@njit(cache=True)
def _exit_of(road: RoadArrays, fleet: Fleet, i: int, entry: int) -> int:
    k = entry
    junction = road.junction[fleet.plan[i, entry]]
    while k < fleet.plan_size[i] and road.junction[fleet.plan[i, k]] == junction:
        k += 1
    return k


@njit(cache=True)
def _exit_blocked(road: RoadArrays, fleet: Fleet, i: int, entry: int) -> bool:
    if fleet.lead[i] == -1:
        return False
    lead_at = fleet.half_length[i] + fleet.lead_gap[i]
    if lead_at < fleet.plan_at[i, entry]:
        return False
    exit_at = fleet.plan_at[i, _exit_of(road, fleet, i, entry)]
    room = lead_at + fleet.lead_speed[i] ** 2 / 4.0 - exit_at
    return fleet.lead_speed[i] < EXIT_SPEED and room < 2.0 * fleet.half_length[i] + 2.5


@njit(cache=True)
def _gap_free(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, entry: int) -> bool:
    junction = road.junction[fleet.plan[i, entry]]
    for k in range(entry, fleet.plan_size[i]):
        lane = fleet.plan[i, k]
        if road.junction[lane] != junction:
            break
        for c in range(road.conflict_start[lane], road.conflict_start[lane + 1]):
            e = scratch.head[road.conflict[c]]
            while e >= 0:
                j = e // PLAN_LANES
                if j != i and not _passes(road, fleet, i, k, c, j, e % PLAN_LANES):
                    return False
                e = scratch.next[e]
    return True


@njit(cache=True)
def _passes(road: RoadArrays, fleet: Fleet, i: int, k: int, c: int, j: int, kj: int) -> bool:
    """Whether `i` may go in spite of `j`, which plans to use the conflicting lane."""
    begin = fleet.plan_at[j, kj]
    enter_j = begin + road.conflict_s[c, 2] - fleet.half_length[j]
    leave_j = begin + road.conflict_s[c, 3] + fleet.half_length[j]
    if leave_j < 0.0:
        return True
    lane_j = fleet.plan[j, kj]
    inside = begin - fleet.half_length[j] < -PASSED
    bound = inside or fleet.committed[j] == lane_j
    if not bound:
        if not road.conflict_yields[c] or _stays(road, fleet, i, j, begin):
            return True
    begin_i = fleet.plan_at[i, k]
    enter_i = begin_i + road.conflict_s[c, 0] - fleet.half_length[i]
    leave_i = begin_i + road.conflict_s[c, 1] + fleet.half_length[i]
    top_i = max(min(fleet.desired[i], road.speed_limit[fleet.plan[i, k]]), 3.0)
    top_j = max(road.speed_limit[lane_j], fleet.speed[j])
    # The other may speed up, and may dawdle; both have to leave room.
    first_j = travel_time(enter_j, max(fleet.speed[j], 0.0), OWN_ACCEL, top_j)
    last_j = leave_j / max(fleet.speed[j], 1.5)
    first_i = travel_time(enter_i, max(fleet.speed[i], 0.0), OWN_ACCEL, top_i)
    last_i = travel_time(leave_i, max(fleet.speed[i], 0.0), OWN_ACCEL, min(top_i, 7.0)) + 0.6
    if last_i + MARGIN < first_j:
        return True
    return last_j + 0.3 < first_i and (fleet.speed[j] > 1.0 or leave_j < 0.0)


@njit(cache=True)
def _stays(road: RoadArrays, fleet: Fleet, i: int, j: int, begin: float) -> bool:
    """Whether `j`, not yet in the junction, will let `i` go first."""
    hold = fleet.hold[j]
    held = hold != Hold.NONE and fleet.hold_gap[j] < begin + 1.0
    if held and (hold in (Hold.LIGHT, Hold.EXIT_BLOCKED, Hold.DEAD_END)):
        return True
    if not fleet.driven[j]:
        # Ego tells nobody what it intends: standing for long at its line it lets others go.
        return fleet.standing[j] > 2.0 and begin < 25.0 or fleet.standing[j] > 6.0
    if fleet.lead_gap[j] < begin - fleet.half_length[j] and fleet.lead_speed[j] < 0.5:
        return fleet.standing[j] > 1.0  # stuck in a queue
    if held:
        # First come, first served; who has waited for long takes what is free.
        if fleet.speed[j] > 0.5:
            return fleet.standing[i] > 0.5
        older = fleet.arrival[j] < fleet.arrival[i] or (
            fleet.arrival[j] == fleet.arrival[i] and j < i
        )
        return not older or fleet.waited[i] > fleet.patience[i]
    return False
