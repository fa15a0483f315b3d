"""Right of way: who comes to a conflict in a junction, when, and whether ego may go before them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.types import Array, SignalState

FAR = 1e9
RED, YELLOW = int(SignalState.RED), int(SignalState.YELLOW)
STOP_SIGN = -2  # in place of a light: a stop sign holds them
PULL_AWAY = 1.5  # [m/s^2] with which somebody who waits nearby is assumed to start
PULL_AWAY_RANGE = 15.0  # [m] to the conflict within which they are
STANDING = 0.3  # [m/s]
HARD_BRAKE = 4.5  # [m/s^2] somebody who would need more will not stop for us


@njit(cache=True)
def arrival(dist: float, speed: float, may_start: bool) -> float:
    """Time [s] until somebody has gone `dist` [m]; FAR when they stand and stay."""
    if dist <= 0.0:
        return 0.0
    if may_start and speed < 3.0 and dist < PULL_AWAY_RANGE:
        return (math.sqrt(speed * speed + 2.0 * PULL_AWAY * dist) - speed) / PULL_AWAY
    return dist / speed if speed > 0.3 else FAR


@njit(cache=True)
def _waits(hold: int, gap: float, speed: float, signal_state: Array, rests: bool) -> bool:
    """Whether a light or a stop sign keeps somebody `gap` [m] before its line out of our way."""
    stops = speed * speed / (2.0 * max(gap, 0.5)) < HARD_BRAKE
    if hold >= 0:
        return gap > -1.0 and stops and signal_state[hold] in (RED, YELLOW)
    # At a sign they have to make their own full stop first: who already waits there is before them.
    return hold == STOP_SIGN and gap > -0.5 and stops and (speed > 0.5 or rests)


@njit(cache=True)
def _last_standing(
    approach_start: Array,
    approach_conflict: Array,
    approach_offset: Array,
    agent_lane: Array,
    agent_s: Array,
    agent_speed: Array,
    half_length: Array,
    rests: Array,
    stands: Array,
) -> None:
    """Write the front [m] of the foremost who rests shortly before each conflict (C,)."""
    for a in range(len(agent_lane)):
        lane = agent_lane[a]
        if lane < 0 or not rests[a] or agent_speed[a] > STANDING:
            continue
        for e in range(approach_start[lane], approach_start[lane + 1]):
            c = approach_conflict[e]
            front = agent_s[a] - approach_offset[e] + half_length[a]
            if -PULL_AWAY_RANGE - 10.0 < front < 0.5:
                stands[c] = max(stands[c], front)


@njit(cache=True)
def conflict_times(
    approach_start: Array,
    approach_conflict: Array,
    approach_offset: Array,
    other_s: Array,
    yields: Array,
    signal: Array,
    line: Array,
    signal_state: Array,
    ego_from: Array,
    ego_to: Array,
    before: float,
    after: float,
    agent_lane: Array,
    agent_s: Array,
    agent_speed: Array,
    half_length: Array,
    rests: Array,
    blocker: Array,
    blocker_front: Array,
) -> None:
    """Write which agent keeps ego out of each conflict.

    Args:
        approach_start: see `Itinerary`, as the others up to `line`.
        approach_conflict: see `Itinerary`.
        approach_offset: see `Itinerary`.
        other_s: see `Itinerary.conflict_other_s`.
        yields: see `Itinerary.conflict_yields`.
        signal: see `Itinerary.conflict_signal`.
        line: see `Itinerary.conflict_line`.
        signal_state: (S,) `SignalState`.
        ego_from: (C,) [s] when ego's front gets there, FAR when it does not.
        ego_to: (C,) [s] when its rear has left.
        before: [s] that ego has to be gone before the other comes.
        after: [s] that the other has to be gone before ego comes.
        agent_lane: (A,) int, -1 for none; agent_s (A,) [m] there, agent_speed (A,) [m/s].
        agent_s: [m].
        agent_speed: [m/s].
        half_length: (A,) [m].
        rests: (A,) bool, whether they, standing near, are taken to let ego go and not to start.
        blocker: (C,) int, row of the agent that comes first and has to pass, or -1; written.
        blocker_front: (C,) [m] s of its front on the conflicting lane; written.
    """
    first = np.full(len(blocker), FAR)
    blocker[:] = -1
    stands = np.full(len(blocker), -FAR)
    _last_standing(
        approach_start, approach_conflict, approach_offset, agent_lane, agent_s, agent_speed,
        half_length, rests, stands,
    )  # fmt: skip
    for a in range(len(agent_lane)):
        lane = agent_lane[a]
        if lane < 0:
            continue
        for e in range(approach_start[lane], approach_start[lane + 1]):
            c = approach_conflict[e]
            if ego_from[c] >= FAR:
                continue
            front = agent_s[a] - approach_offset[e] + half_length[a]
            if front < stands[c] - 1.0:
                continue  # behind somebody who lets us go
            speed = agent_speed[a]
            inside = front > 0.5
            if _waits(int(signal[c]), line[c] - front, speed, signal_state, rests[a]):
                continue
            enter = other_s[c, 0] - front
            leave = other_s[c, 1] + 2.0 * half_length[a] - front
            if leave < 0.0:
                continue
            if not yields[c]:
                # They give way, unless they are in there already or cannot stop any more.
                reach = max(-front, 0.1)
                if not (inside and speed > 0.5) and speed * speed / (2.0 * reach) < HARD_BRAKE:
                    continue
            begin = arrival(enter, speed, bool(yields[c]) and not rests[a])
            if begin >= first[c]:
                continue
            end = arrival(leave, max(speed, 2.0), False)
            if begin < ego_to[c] + before and max(end, begin) + after > ego_from[c]:
                first[c], blocker[c], blocker_front[c] = begin, a, front
