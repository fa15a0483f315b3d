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
MERGE_BRAKE = 1.5  # [m/s^2] that merging may cost whom one merges before
HASTE_TIME = 15.0  # [s] after its patience a driver is in full haste
COURTESY = 7.0  # [s] after so long first at its line others let a driver go
COURTESY_LASTS = 6.0  # [s] that they stand for ego,
COURTESY_DRIVEN = 3.0  # [s] and for one that traffic drives, which sees at once that they do
STUCK = 8.0  # [s] ego stands in a junction: others no longer wait for it to drive on
AT_LINE = 5.0  # [m] who stands nearer to its line is first at it
COURTESY_BRAKE = 2.5  # [m/s^2] that it may cost them to begin with,
COURTESY_KEPT = 4.5  # [m/s^2] and once they have begun
ROOM_TO_WAIT = 40.0  # [m] of road between two junctions on which nobody is let go
SET_OFF = 3.5  # [m/s] up to which who was let go is still taken to stand at its line
SEEN_BRAKE = 3.5  # [m/s^2] that others can brake with when somebody has set off
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
    for k in range(1, fleet[i].plan_size):
        own = road.lane[fleet[i].plan[k]].junction
        if own >= 0 and road.lane[fleet[i].plan[k - 1]].junction != own:
            if fleet[i].plan_at[k] - fleet[i].half_length < -PASSED:
                continue
            return k
    return -1


@njit(cache=True)
def hold_lines(road: RoadArrays, fleet: Fleet, signal_state, i: int, now: float) -> None:
    """Set `hold` and `hold_gap` of `i` for the lights and stop signs on its plan."""
    for k in range(fleet[i].plan_size):
        if fleet[i].plan_at[k] > AHEAD + 40.0 or fleet[i].hold != Hold.NONE:
            break  # lines further on are for later
        lane = fleet[i].plan[k]
        for q in range(road.lane[lane].stop_begin, road.lane[lane].stop_end):
            guarded = road.stop[q].junction_lane
            if guarded >= 0 and (k + 1 >= fleet[i].plan_size or fleet[i].plan[k + 1] != guarded):
                continue
            gap = fleet[i].plan_at[k] + road.stop[q].s - fleet[i].half_length - LINE_GAP
            if gap < -PASSED:
                continue
            reason = Hold.NONE
            if road.stop[q].kind == StopKind.LIGHT:
                if _light_holds(fleet, signal_state[road.stop[q].signal], q, i, gap):
                    reason = Hold.LIGHT
            elif road.stop[q].kind == StopKind.STOP and fleet[i].stopped_at != q:
                reason = Hold.STOP_SIGN
                if gap < 1.8 and fleet[i].speed < 0.15:
                    fleet[i].stopped_at = q
                    fleet[i].arrival = min(fleet[i].arrival, now)
                    reason = Hold.NONE
            if reason != Hold.NONE and gap < fleet[i].hold_gap:
                fleet[i].hold, fleet[i].hold_gap = reason, gap


@njit(cache=True)
def _light_holds(fleet: Fleet, state: int, q: int, i: int, gap: float) -> bool:
    speed = fleet[i].speed
    if state == SignalState.RED:
        return (gap > -0.3 and speed * speed < 2.0 * RED_BRAKE * (gap + LINE_GAP)) or speed < 1.0
    if state == SignalState.YELLOW:
        # Decided once, when it turns yellow. Who follows a slower lead will not be faster than it.
        pace = speed
        if fleet[i].lead_gap < gap:
            pace = min(pace, fleet[i].lead_speed)
        if gap > YELLOW_TIME * pace or speed < 1.0:
            fleet[i].yellow_at = q
        return fleet[i].yellow_at == q
    if fleet[i].yellow_at == q:
        fleet[i].yellow_at = -1
    return False


@njit(cache=True)
def hold_entry(
    road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, now: float, dt: float, entry: int
) -> None:
    """Commit `i` to the junction at `entry` of its plan, or hold it before."""
    gap = fleet[i].plan_at[entry] - fleet[i].half_length - LINE_GAP
    lane = fleet[i].plan[entry]
    decide = max(18.0, fleet[i].speed ** 2 / (2.0 * 1.6) + 6.0)
    if gap > min(decide, AHEAD):
        fleet[i].committed = -1
        return
    line_gap = min(gap, fleet[i].hold_gap if fleet[i].hold == Hold.LIGHT else FAR)
    before = fleet[i].plan[entry - 1]
    for q in range(road.lane[before].stop_begin, road.lane[before].stop_end):
        guarded = road.stop[q].junction_lane
        if guarded < 0 or guarded == lane:
            at = fleet[i].plan_at[entry - 1] + road.stop[q].s - fleet[i].half_length - LINE_GAP
            if at > -PASSED:
                line_gap = min(line_gap, at)
    if fleet[i].hold in (Hold.LIGHT, Hold.STOP_SIGN) and fleet[i].hold_gap <= gap + 0.1:
        fleet[i].committed = -1
        return
    reason = Hold.NONE
    if fleet[i].lead_gap < gap and fleet[i].lead_speed < 3.0 and fleet[i].lead != -2:
        # Somebody is first in line.
        fleet[i].committed = -1
        return
    if _room_to_stand(road, fleet, i, entry) and _exit_blocked(road, fleet, i, entry):
        reason = Hold.EXIT_BLOCKED
    elif not _gap_free(road, fleet, scratch, i, entry):
        reason = Hold.GIVE_WAY
    if reason == Hold.NONE:
        fleet[i].committed = lane
        return
    if fleet[i].committed == lane and fleet[i].speed ** 2 > 2.0 * 4.0 * max(line_gap, 0.05):
        return  # committed and too late to stop
    fleet[i].committed = -1
    if fleet[i].speed < 0.3 and line_gap < 3.0:
        fleet[i].arrival = min(fleet[i].arrival, now)
        fleet[i].waited += dt
    if line_gap < fleet[i].hold_gap:
        fleet[i].hold, fleet[i].hold_gap = reason, line_gap


@njit(cache=True)
def watch_line(road: RoadArrays, fleet: Fleet, i: int, now: float, dt: float) -> None:
    """Note since when `i`, which traffic does not drive, stands first at a junction's line."""
    if fleet[i].speed > SET_OFF:
        fleet[i].arrival, fleet[i].waited = FAR, 0.0
        return
    entry = next_entry(road, fleet, i)
    if entry < 0 or fleet[i].hold == Hold.LIGHT or fleet[i].standing == 0.0:
        return
    line = fleet[i].plan_at[entry]
    before = fleet[i].plan[entry - 1]
    for q in range(road.lane[before].stop_begin, road.lane[before].stop_end):
        at = fleet[i].plan_at[entry - 1] + road.stop[q].s
        if at - fleet[i].half_length > -PASSED:
            line = min(line, at)
    if line - fleet[i].half_length < AT_LINE and not fleet[i].lead_gap < line - 1.0:
        fleet[i].arrival = min(fleet[i].arrival, now)
        fleet[i].waited += dt


@njit(cache=True)
def _exit_of(road: RoadArrays, fleet: Fleet, i: int, entry: int) -> int:
    k = entry
    junction = road.lane[fleet[i].plan[entry]].junction
    while k < fleet[i].plan_size and road.lane[fleet[i].plan[k]].junction == junction:
        k += 1
    return k


@njit(cache=True)
def _room_to_stand(road: RoadArrays, fleet: Fleet, i: int, entry: int) -> bool:
    """Whether `i` can wait before the junction at `entry` without standing in the one behind it.

    Between two junctions of a roundabout it cannot: who waited there for a free exit would close
    the circle, for ever when all do.
    """
    before = fleet[i].plan[entry - 1]
    return road.lane[before].length > 2.0 * fleet[i].half_length + LINE_GAP + 2.0


@njit(cache=True)
def _exit_blocked(road: RoadArrays, fleet: Fleet, i: int, entry: int) -> bool:
    if fleet[i].lead == -1:
        return False
    lead_at = fleet[i].half_length + fleet[i].lead_gap
    if lead_at < fleet[i].plan_at[entry]:
        return False
    exit_at = fleet[i].plan_at[_exit_of(road, fleet, i, entry)]
    room = lead_at + fleet[i].lead_speed ** 2 / 4.0 - exit_at
    return fleet[i].lead_speed < EXIT_SPEED and room < 2.0 * fleet[i].half_length + 2.5


@njit(cache=True)
def _gap_free(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, entry: int) -> bool:
    junction = road.lane[fleet[i].plan[entry]].junction
    for k in range(entry, fleet[i].plan_size):
        lane = fleet[i].plan[k]
        if road.lane[lane].junction != junction:
            break
        for c in range(road.lane[lane].conflict_begin, road.lane[lane].conflict_end):
            e = scratch.head[road.conflict[c].lane]
            while e >= 0:
                j = e // PLAN_LANES
                if j != i and not _passes(road, fleet, i, k, c, j, e % PLAN_LANES):
                    return False
                e = scratch.next[e]
    return True


@njit(cache=True)
def _passes(  # noqa: PLR0911
    road: RoadArrays, fleet: Fleet, i: int, k: int, c: int, j: int, kj: int
) -> bool:
    """Whether `i` may go in spite of `j`, which plans to use the conflicting lane."""
    begin = fleet[j].plan_at[kj]
    enter_j = begin + road.conflict[c].other_from - fleet[j].half_length
    leave_j = begin + road.conflict[c].other_to + fleet[j].half_length
    if leave_j < 0.0:
        return True
    lane_j = fleet[j].plan[kj]
    inside = begin - fleet[j].half_length < -PASSED
    if inside and not fleet[j].driven and fleet[j].standing > STUCK:
        return True  # ego stays where it is: who has room passes it
    bound = inside or fleet[j].committed == lane_j
    if not bound:
        if not road.conflict[c].yields:
            return _leaves_junction(road, fleet, i, k) or not _courtesy(
                fleet, i, j, fleet[i].plan_at[k]
            )
        if _stays(road, fleet, i, j, begin) or _under_way(fleet, i, k, j, enter_j):
            return True
    begin_i = fleet[i].plan_at[k]
    enter_i = begin_i + road.conflict[c].own_from - fleet[i].half_length
    leave_i = begin_i + road.conflict[c].own_to + fleet[i].half_length
    top_i = max(min(fleet[i].desired, road.lane[fleet[i].plan[k]].speed_limit), 3.0)
    top_j = max(road.lane[lane_j].speed_limit, fleet[j].speed)
    haste = min(max((fleet[i].waited - fleet[i].patience) / HASTE_TIME, 0.0), 1.0)
    if not bound and _merges(road, fleet[i].plan[k], lane_j, c):
        v = max(fleet[i].speed, 0.0)
        length = 2.0 * fleet[i].half_length
        if _room_to_merge(enter_i, v, top_i, length, enter_j, fleet[j].speed, haste):
            return True
    # The other may speed up, and may dawdle; both have to leave room.
    first_j = travel_time(enter_j, max(fleet[j].speed, 0.0), OWN_ACCEL, top_j)
    last_j = leave_j / max(fleet[j].speed, 1.5)
    first_i = travel_time(enter_i, max(fleet[i].speed, 0.0), OWN_ACCEL, top_i)
    last_i = travel_time(leave_i, max(fleet[i].speed, 0.0), OWN_ACCEL, min(top_i, 7.0)) + 0.6
    if last_i + MARGIN * (1.0 - 0.6 * haste) < first_j:
        return True
    return last_j + 0.3 < first_i and (fleet[j].speed > 1.0 or leave_j < 0.0)


@njit(cache=True)
def _merges(road: RoadArrays, lane: int, other: int, c: int) -> bool:
    """Whether conflict `c` of `lane` with `other` lasts to the end of both: they become one."""
    left = road.lane[lane].length - road.conflict[c].own_to
    return left < 1.5 and road.lane[other].length - road.conflict[c].other_to < 1.5


@njit(cache=True)
def _room_to_merge(
    dist: float, speed: float, top: float, length: float, other_dist: float, other_speed: float,
    haste: float,
) -> bool:  # fmt: skip
    """Whether the other can follow a vehicle that merges before it without braking hard.

    Args:
        dist: [m] to where the lanes meet; speed: [m/s]; top: [m/s] of the merging vehicle.
        length: [m] of it.
        other_dist: [m] of the other's front to the same place; other_speed: [m/s].
        haste: 0 for one that just came to 1 for one that has lost its patience.
    """
    accel = OWN_ACCEL * (1.0 + 0.2 * haste)
    time = travel_time(dist, speed, accel, top)
    reached = min(top, math.sqrt(speed * speed + 2.0 * accel * max(dist, 0.0)))
    brake = MERGE_BRAKE * (1.0 + haste)
    closing = max(other_speed - reached, 0.0)
    # The other brakes while the first one is on its way, and keeps half a second to a second.
    gap = other_dist - other_speed * time - length + 0.5 * haste * brake * time * time
    return gap > 3.0 + (1.0 - 0.5 * haste) * other_speed + closing * closing / (2.0 * brake)


@njit(cache=True)
def _leaves_junction(road: RoadArrays, fleet: Fleet, i: int, k: int) -> bool:
    """Whether `i` would block a junction behind it, as in a roundabout, were it to wait for `k`."""
    lane = fleet[i].plan[max(k - 1, 0)]
    if road.lane[lane].junction >= 0 or road.lane[lane].length > ROOM_TO_WAIT:
        return False
    for n in range(road.lane[lane].pred_begin, road.lane[lane].pred_end):
        if road.lane[road.pred[n]].junction >= 0:
            return True
    return False


@njit(cache=True)
def _courtesy(fleet: Fleet, i: int, j: int, begin: float) -> bool:
    """Whether `i`, which has priority, lets `j` go that has waited for too long at its line."""
    begun = fleet[i].was_held == Hold.GIVE_WAY
    if fleet[j].waited < COURTESY or (fleet[j].standing < 1.0 and not begun):
        return False
    if fleet[j].driven and fleet[j].hold != Hold.GIVE_WAY and fleet[j].was_held != Hold.GIVE_WAY:
        return False
    gap = begin - fleet[i].half_length - LINE_GAP
    brake = COURTESY_KEPT if begun else COURTESY_BRAKE
    if gap < -0.5 or fleet[i].speed ** 2 > 2.0 * brake * max(gap, 0.1):
        return False
    if fleet[i].waited < (COURTESY_DRIVEN if fleet[j].driven else COURTESY_LASTS):
        return True
    if not fleet[j].driven:
        fleet[j].waited = 0.0  # it had its chance: those who follow do not wait as well
    return False


@njit(cache=True)
def _under_way(fleet: Fleet, i: int, k: int, j: int, enter: float) -> bool:
    """Whether `i` has set off into the junction and `j` is far enough away to see that."""
    if fleet[i].committed != fleet[i].plan[k]:
        return False
    gap = fleet[i].plan_at[k] - fleet[i].half_length - LINE_GAP
    return gap < 3.0 and enter > 2.0 + fleet[j].speed ** 2 / (2.0 * SEEN_BRAKE)


@njit(cache=True)
def _stays(  # noqa: PLR0911
    road: RoadArrays, fleet: Fleet, i: int, j: int, begin: float
) -> bool:
    """Whether `j`, not yet in the junction, will let `i` go first."""
    hold = fleet[j].hold
    held = hold != Hold.NONE and fleet[j].hold_gap < begin + 1.0
    if hold == Hold.NONE and fleet[j].was_held in (Hold.GIVE_WAY, Hold.EXIT_BLOCKED):
        hold, held = fleet[j].was_held, fleet[j].speed < 3.0 and begin < 12.0
    if held and (hold in (Hold.LIGHT, Hold.EXIT_BLOCKED, Hold.DEAD_END)):
        return True
    if not fleet[j].driven:
        # Ego tells nobody what it intends. First come, first served; who has waited for that
        # long enough, or sees it stand somewhere else, goes.
        if fleet[j].arrival < FAR:
            mine = fleet[i].arrival <= fleet[j].arrival or fleet[i].waited > COURTESY_LASTS
            return fleet[j].standing > 2.0 and mine
        return (fleet[j].standing > 2.0 and begin < 25.0) or fleet[j].standing > 6.0
    if fleet[j].lead_gap < begin - fleet[j].half_length and fleet[j].lead_speed < 0.5:
        # Stuck in a queue, or rolling up to its end.
        ahead = fleet[j].lead
        if fleet[j].standing > 1.0:
            return True
        rolls_up = ahead >= 0 and fleet[ahead].standing > 1.0
        return rolls_up and not _leaves_junction(road, fleet, j, 1)
    if held:
        # First come, first served; who has waited for long takes what is free.
        if fleet[j].speed > 0.5:
            return fleet[i].standing > 0.5
        older = fleet[j].arrival < fleet[i].arrival or (
            fleet[j].arrival == fleet[i].arrival and j < i
        )
        return not older or fleet[i].waited > fleet[i].patience
    return False
