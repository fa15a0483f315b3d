"""Lane changes by MOBIL, where the marking allows them.

Kesting, Treiber, Helbing, "General lane-changing model MOBIL for car-following models",
Transportation Research Record 1999 (2007): change when the follower's new braking stays above
-b_safe and a_new - a_old + p (gains of both followers) exceeds a threshold.
"""

from __future__ import annotations

import math

from numba import njit

from headway.traffic.arrays import FAR, PLAN_LANES, Fleet, RoadArrays, Scratch
from headway.traffic.following import idm_accel
from headway.traffic.paths import project, same_level
from headway.traffic.rng import chance

SAFE_BRAKE = 2.0  # [m/s^2] that a change may cost the new follower
THRESHOLD = 0.25  # [m/s^2] that it has to gain
PERIOD = 1.5  # [s] between two considerations, with as much again at random
CLEAR_OF_JUNCTION = 35.0  # [m] before a junction lanes are kept
DEAD_END_AHEAD = 150.0  # [m] within which a lane that ends has to be left
BEHIND = 60.0  # [m] a follower further back does not care
SIDE_GAP = 0.6  # [m] beside whomever is next to the new lane's middle
FLANK_GAP = 2.0  # [m] before and behind the body that has to be free there
FLANK_TIME = 1.0  # [s] of closing in, the same
GIVE_BACK = 0.9  # [m] from the new lane's middle or more, a change may still be given up


@njit(cache=True)
def consider_change(
    road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, dt: float, entry: int
) -> None:
    """Put vehicle `i` on a neighbour lane if that is safe and worth it."""
    if abs(fleet[i].shift) < 0.3:
        fleet[i].indicator = 0
    elif fleet[i].indicator != 0 and _give_up(road, fleet, i):
        return
    fleet[i].change_timer -= dt
    if fleet[i].change_timer > 0.0:
        return
    fleet[i].change_timer = PERIOD * (1.0 + chance(fleet[i]))
    lane = fleet[i].plan[0]
    if road.lane[lane].junction >= 0 or fleet[i].indicator != 0 or fleet[i].speed < 2.0:
        return
    end = fleet[i].plan_at[fleet[i].plan_size]
    last = fleet[i].plan[fleet[i].plan_size - 1]
    ends = end < DEAD_END_AHEAD and not _goes_on(road, last)
    if entry > 0 and fleet[i].plan_at[entry] < CLEAR_OF_JUNCTION and not ends:
        return
    best, best_lane, best_side = THRESHOLD, -1, 0
    for side in (1, -1):
        allowed = road.lane[lane].left_change if side > 0 else road.lane[lane].right_change
        other = road.lane[lane].left if side > 0 else road.lane[lane].right
        if not allowed or other < 0 or not road.lane[other].driving:
            continue
        if road.lane[other].length - fleet[i].s < 15.0 and not _goes_on(road, other):
            continue
        _, d, _ = project(road, other, fleet[i].x, fleet[i].y, fleet[i].s, 25.0)
        if _flank_taken(fleet, i, d):
            continue
        gain = _gain(road, fleet, scratch, i, other)
        if ends and gain > -FAR and _goes_on(road, other):
            gain += 4.0
        if gain > best:
            best, best_lane, best_side = gain, other, side
    if best_lane >= 0:
        _change(road, fleet, i, best_lane, best_side)


@njit(cache=True)
def _goes_on(road: RoadArrays, lane: int) -> bool:
    for k in range(road.lane[lane].succ_begin, road.lane[lane].succ_end):
        if road.lane[road.succ[k]].driving:
            return True
    return False


@njit(cache=True)
def _change(road: RoadArrays, fleet: Fleet, i: int, lane: int, side: int) -> None:
    s, d, _ = project(road, lane, fleet[i].x, fleet[i].y, fleet[i].s, 25.0)
    fleet[i].plan[0], fleet[i].plan_size = lane, 1
    fleet[i].s, fleet[i].d, fleet[i].shift = s, d, d
    fleet[i].indicator = side
    fleet[i].committed = -1
    fleet[i].change_timer += 4.0


@njit(cache=True)
def _flank_taken(fleet: Fleet, i: int, d: float) -> bool:
    """Whether any body is, or will soon be, where `i` moves sideways.

    Args:
        fleet: vehicles.
        i: who changes.
        d: [m] of `i` left of the middle that it moves to.
    """
    yaw = fleet[i].path_yaw[0]
    cos, sin = math.cos(yaw), math.sin(yaw)
    for j in range(len(fleet)):
        if j == i or not fleet[j].active or not same_level(fleet[i], fleet[j]):
            continue
        dx, dy = fleet[j].x - fleet[i].x, fleet[j].y - fleet[i].y
        along, aside = dx * cos + dy * sin, -dx * sin + dy * cos
        if abs(along) > 60.0 or abs(aside) > 12.0:
            continue
        turn = fleet[j].yaw - yaw
        c, s = abs(math.cos(turn)), abs(math.sin(turn))
        reach = c * fleet[j].half_length + s * fleet[j].half_width + fleet[i].half_length
        room = s * fleet[j].half_length + c * fleet[j].half_width + fleet[i].half_width + SIDE_GAP
        # Sideways it passes from here to -d; the one that stands straight ahead is its lead.
        if not min(-d, 0.0) - room < aside < max(-d, 0.0) + room:
            continue
        if abs(aside) < 0.5 * room and abs(along) > reach:
            continue
        closing = fleet[j].speed * math.cos(turn) - fleet[i].speed
        closing = closing if along < 0.0 else -closing
        if abs(along) < reach + FLANK_GAP + FLANK_TIME * max(closing, 0.0):
            return True
    return False


@njit(cache=True)
def _give_up(road: RoadArrays, fleet: Fleet, i: int) -> bool:
    """Go back to the old lane when somebody has come to the flank meanwhile."""
    side = fleet[i].indicator
    # Coming from the right of the new middle, one moves to the left, and the other way round.
    if -fleet[i].shift * side < GIVE_BACK or not _flank_taken(fleet, i, fleet[i].d):
        return False
    lane = fleet[i].plan[0]
    old = road.lane[lane].right if side > 0 else road.lane[lane].left
    if old < 0 or not road.lane[old].driving:
        return False
    _, d, _ = project(road, old, fleet[i].x, fleet[i].y, fleet[i].s, 25.0)
    if _flank_taken(fleet, i, d):
        return False
    _change(road, fleet, i, old, -side)
    return True


@njit(cache=True)
def _idm(fleet: Fleet, i: int, gap: float, lead_speed: float) -> float:
    return idm_accel(
        fleet[i].speed, fleet[i].desired, gap, lead_speed, fleet[i].time_gap, fleet[i].min_gap,
        fleet[i].max_accel, fleet[i].comfort_brake,
    )  # fmt: skip


@njit(cache=True)
def _gain(road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, lane: int) -> float:
    """MOBIL's incentive of changing to `lane`, -FAR when it is not safe."""
    s, _, _ = project(road, lane, fleet[i].x, fleet[i].y, fleet[i].s, 25.0)
    ahead, ahead_speed, follower, behind = _neighbours(road, fleet, scratch, i, lane, s)
    if ahead < fleet[i].min_gap + 2.0 + 0.3 * max(fleet[i].speed - ahead_speed, 0.0):
        return -FAR
    new = _idm(fleet, i, ahead, ahead_speed)
    if new < -SAFE_BRAKE:
        return -FAR
    old = _idm(fleet, i, fleet[i].lead_gap, fleet[i].lead_speed)
    gain = new - old
    if follower >= 0:
        if behind < 3.0 + 0.5 * max(fleet[follower].speed - fleet[i].speed, 0.0):
            return -FAR
        after = _idm(fleet, follower, behind, fleet[i].speed)
        if after < -SAFE_BRAKE:
            return -FAR
        before = _idm(fleet, follower, fleet[follower].lead_gap, fleet[follower].lead_speed)
        gain += fleet[i].politeness * (after - before)
    return gain


@njit(cache=True)
def _neighbours(
    road: RoadArrays, fleet: Fleet, scratch: Scratch, i: int, lane: int, s: float
) -> tuple[float, float, int, float]:  # fmt: skip
    """Gap to and speed of the vehicle ahead on `lane`, the row behind and the gap to it."""
    ahead, ahead_speed, behind, follower = FAR, 0.0, FAR, -1
    for step in range(-1, 2):
        # The lane itself, then one before and one after it.
        if step == -1:
            lo, hi = road.lane[lane].pred_begin, road.lane[lane].pred_end
        elif step == 1:
            lo, hi = road.lane[lane].succ_begin, road.lane[lane].succ_end
        else:
            lo, hi = 0, 1
        for n in range(lo, hi):
            other = lane if step == 0 else (road.pred[n] if step == -1 else road.succ[n])
            offset = 0.0
            if step == -1:
                offset = -road.lane[other].length
            elif step == 1:
                offset = road.lane[lane].length
            e: int = scratch.head[other]
            while e >= 0:
                j = e // PLAN_LANES
                if j != i and e % PLAN_LANES == 0:
                    gap = fleet[j].s + offset - s
                    bumper = abs(gap) - fleet[i].half_length - fleet[j].half_length
                    if gap >= 0.0 and bumper < ahead:
                        ahead, ahead_speed = bumper, fleet[j].speed
                    elif gap < 0.0 and bumper < behind and bumper < BEHIND:
                        behind, follower = bumper, j
                e = scratch.next[e]
    return ahead, ahead_speed, follower, behind
