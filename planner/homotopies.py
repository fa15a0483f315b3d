"""Homotopies beside the route: which lanes there are, when they may be taken, and the way there.

A lane change keeps to the route's own arc length: its path is the route moved sideways, so that
stop lines, junctions and speeds stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.types import Array
from planner import corridor
from planner.itinerary import Itinerary
from planner.neighbours import Side, neighbours
from planner.rules import STANDING


class Path(NamedTuple):
    """A way to drive, `R` samples; see `Itinerary` for the units."""

    xy: Array
    s: Array
    yaw: Array
    curvature: Array
    speed: Array


SIDE_NAMES = ("change_left", "change_right")
BEGUN = 0.1  # share of the way across from which a change has begun
TIGHT = 6.0  # [m] of way that a shift takes at least, at walking pace
OFF_LANE = 1.2  # [m] beside its lane's middle ego is out of it
COMES = 6.0  # [s] until who comes the other way in a lane of ours is there, at least
ROOM_TO_RETURN = 60.0  # [m] a stretch at least as long is one to come back on


@dataclass
class LaneChangeConfig:
    """When lanes are changed, and how.

    Attributes:
        time: [s] that a change takes.
        least: [m] of way that it takes at least.
        gain: [m/s] by which the other lane has to be faster, as far ahead as one looks.
        room: [m] of the other lane ahead that are needed to begin, beside `room_time` of driving.
        room_time: [s] see `room`.
        front_gap: [m] to the lead in the other lane, beside half a second.
        rear_gap: [m] to the follower there, beside half a second.
        reaction: [s] of the follower, until it comes up more slowly.
        follower_brake: [m/s^2] that it may be made to brake (MOBIL's safe criterion),
        accel: [m/s^2] with which ego gathers speed meanwhile,
        insist: times as hard, reacting so much sooner and so much nearer, when ego has waited long,
        commit: or when it has begun: who broke off for every car that comes would never get over.
        look_time: [s] within which ego would come up to a lead that it leaves its lane for: beside
            traffic that flows a gap is easier to find before ego has slowed down.
    """

    time: float = 3.5
    least: float = 14.0
    gain: float = 1.5
    room: float = 40.0
    room_time: float = 6.0
    front_gap: float = 4.0
    rear_gap: float = 4.0
    reaction: float = 1.0
    follower_brake: float = 2.0
    accel: float = 2.5
    insist: float = 2.0
    commit: float = 3.0
    look_time: float = 8.0

    def insistence(self, bold: float) -> float:
        """How much harder than at first others may be made to brake by who is so `bold` [0, 1]."""
        return 1.0 + bold * (self.insist - 1.0)


@dataclass(frozen=True)
class RouteLanes:
    """The lanes beside a route, `R` samples and columns by `Side`.

    Attributes:
        offset: (R, 2) [m] of the neighbour's centre from the route, nan for none.
        clear: (R, 2) [m] of way on which its marking may be crossed.
        reach: (R, 2) [m] to the last place from where the route's lane can be come back to; inf
            where the neighbour goes on to the route's end, where one arrives in it as well.
        half: (R,) [m] half the width of the route's own lane.
        oncoming: (R,) [m] width of the lane of the other direction beyond its left edge, 0 for
            none, and where a lane of the same direction lies between them.
    """

    offset: Array
    clear: Array
    reach: Array
    half: Array
    oncoming: Array


@dataclass(frozen=True)
class LaneOption:
    """One lane to be in.

    Attributes:
        name: keep, late, change_left, change_right, overtake, aside, pull_over.
        target: [m] offset of its centre from the route.
        beside: [m] offset of the other lane that its corridor covers, `target` when it is alone.
        path: the way there.
        ends_s: [m] along the route where the way back has to begin, inf for the route's own lane.
        blocked: [m] along the route from, to: there all that is right of the target is.
        line: whether offsets count from its path, and not from the route.
    """

    name: str
    target: float
    beside: float
    path: Path
    ends_s: float
    blocked: tuple[float, float] = (math.inf, -math.inf)
    line: bool = False


def route_lanes(graph: LaneGraph, route: Route) -> RouteLanes:
    """Look up the lanes of the same direction beside each sample of `route`."""
    beside = neighbours(graph, route)
    there = beside.lane >= 0
    offset = np.where(there, beside.offset, np.nan)
    clear, reach = np.zeros_like(offset), np.zeros_like(offset)
    for side in Side:
        _go_on_through_junctions(
            graph, route, beside.lane[:, side], there[:, side], offset[:, side]
        )
        clear[:, side], reach[:, side] = _ways(beside.free[:, side], there[:, side], route.s)
    other = graph.opposite[route.lane]
    there = (other >= 0) & (graph.left[route.lane] < 0) & (graph.junction[route.lane] < 0)
    there &= graph.kind[np.maximum(other, 0)] == LaneKind.DRIVING
    width = graph.width[graph.point_start[np.maximum(other, 0)]]
    half = 0.5 * graph.width[graph.samples_at(route.lane, route.lane_s)].astype(np.float64)
    return RouteLanes(offset, clear, reach, half, np.where(there, width, 0.0))


def _go_on_through_junctions(
    graph: LaneGraph, route: Route, lane: Array, there: Array, offset: Array
) -> None:
    """Let the neighbour go on where a lane of the junction leads from it to the next neighbour.

    Args:
        graph: of the town.
        route: in it.
        lane: (R,) the neighbour.
        there: (R,) bool, whether there is one of the same direction; written.
        offset: (R,) [m] of its centre; written.
    """
    inside = graph.junction[route.lane] >= 0
    turns = np.diff(inside.astype(np.int8))
    befores, afters = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1) + 1
    for before, after in zip(befores, afters[1:] if inside[0] else afters, strict=False):
        if not (there[before] and there[after]):
            continue
        if any(lane[after] in graph.successors(j) for j in graph.successors(lane[before])):
            gap, ends = slice(before + 1, after), [before, after]
            there[gap] = True
            offset[gap] = np.interp(route.s[gap], route.s[ends], offset[ends])


def _ways(free: Array, there: Array, s: Array) -> tuple[Array, Array]:
    """From each sample the way on which lanes may be changed, and that to the last such place.

    Args:
        free: (R,) bool, whether the marking may be crossed.
        there: (R,) bool, whether the neighbour goes on.
        s: (R,) [m].
    """
    clear, reach = np.zeros(len(s)), np.zeros(len(s))
    begin = np.where(free, s, -np.inf)
    for i in range(1, len(s)):
        if free[i] and free[i - 1]:
            begin[i] = begin[i - 1]
    end = np.inf
    for i in range(len(s) - 1, -1, -1):
        if free[i] and i + 1 < len(s):
            clear[i] = clear[i + 1] + s[i + 1] - s[i]
        if not there[i]:
            end = -np.inf
        elif end < s[i] and free[i] and s[i] - begin[i] >= ROOM_TO_RETURN:
            end = s[i]
        reach[i] = max(end - s[i], 0.0)
    return clear, reach


def route_path(itinerary: Itinerary) -> Path:
    """The route itself."""
    it = itinerary
    return Path(it.xy, it.s, it.yaw, it.curvature, it.speed)


@njit(cache=True)
def _shift(
    xy: Array, s: Array, yaw: Array, first: int, last: int, s0: float, d0: float, target: float,
    length: float, back: float, back_length: float, out_xy: Array, out_yaw: Array,
    out_curvature: Array,
) -> None:  # fmt: skip
    for i in range(first, last + 1):
        out, out_slope = _quintic((s[i] - s0) / length)
        home, home_slope = _quintic((s[i] - back) / back_length)
        d = d0 + (target - d0) * out - target * home
        slope = (target - d0) * out_slope / length - target * home_slope / back_length
        out_xy[i, 0] = xy[i, 0] - d * math.sin(yaw[i])
        out_xy[i, 1] = xy[i, 1] + d * math.cos(yaw[i])
        out_yaw[i] = yaw[i] + math.atan(slope)
    for i in range(first + 2, last - 1):
        span = 0.0
        for j in range(i - 2, i + 2):
            span += math.hypot(out_xy[j + 1, 0] - out_xy[j, 0], out_xy[j + 1, 1] - out_xy[j, 1])
        out_curvature[i] = (out_yaw[i + 2] - out_yaw[i - 2]) / max(span, 1e-3)


@njit(cache=True)
def _quintic(share: float) -> tuple[float, float]:
    """Minimum jerk from 0 to 1, and its slope: 10 f^3 - 15 f^4 + 6 f^5."""
    f = min(max(share, 0.0), 1.0)
    return f * f * f * (10.0 + f * (6.0 * f - 15.0)), 30.0 * f * f * (1.0 - f) ** 2


WAY = np.linspace(0.0, 1.0, 201)
SHIFTED = np.array([_quintic(share)[0] for share in WAY.tolist()])


def shifted_path(
    path: Path, hint: int, s0: float, d0: float, target: float, length: float,
    back: float = math.inf, back_length: float = 1.0,
) -> Path:  # fmt: skip
    """Return `path` moved sideways from `d0` at s0 to `target` [m] within `length` [m].

    See `begins` for an s0 from which it leads through where ego is.

    Args:
        path: the route.
        hint: sample near s0; 25 samples before it to 300 after it are moved.
        s0: [m] where the change begins.
        d0: [m] offset there.
        target: [m] offset after it.
        length: [m] of way.
        back: [m] along the route where the way back begins, inf to stay.
        back_length: [m] of way that it takes.
    """
    xy, yaw, curvature = path.xy.copy(), path.yaw.copy(), path.curvature.copy()
    first, last = max(hint - 25, 0), min(hint + 300, len(path.s) - 1)
    _shift(
        path.xy, path.s, path.yaw, first, last, s0, d0, target, length, back, back_length,
        xy, yaw, curvature,
    )  # fmt: skip
    return Path(xy, path.s, yaw, curvature, path.speed)


def begins(s: float, d: float, d0: float, target: float, length: float) -> float:
    """Where [m] a shift from `d0` to `target` begins that is at `d` when it comes to `s`.

    A way that began anew in every tick would never get across.
    """
    if target == d0:
        return s
    done = min(max((d - d0) / (target - d0), 0.0), 1.0)
    return s - length * share_of_way(done)


def share_of_way(done: float) -> float:
    """Share of the way of a shift after which it is `done` [0, 1]."""
    return float(np.interp(done, SHIFTED, WAY))


def lane_options(
    config: LaneChangeConfig, path: Path, lanes: RouteLanes, hint: int, s: float, d: float,
    speed: float, half_length: float, seen: Array, width: Array, wish: float,
    bold: float = 0.0, going_to: float = 0.0, leave: bool = False, until: float = math.inf,
) -> list[LaneOption]:  # fmt: skip
    """Return the lanes that ego may be in now, the one it is in first.

    Args:
        config: when lanes are changed.
        path: the route.
        lanes: beside it.
        hint: sample near ego.
        s: [m] of ego.
        d: [m].
        speed: [m/s].
        half_length: [m] of ego.
        seen: (A, NUM_SEEN) the others from the route, see `planner.corridor.Seen`.
        width: (A,) [m] beside its middle within which each is in the way of ego's.
        wish: [m/s] that the road allows.
        bold: [0, 1] how long ego has waited, see `Memory.boldness`.
        going_to: [m] offset of the lane that the last plan goes to.
        leave: whether another lane is better anyway, and not only if it is faster.
        until: [m] along the route from where on it does not matter how fast another lane is.
    """
    insist = config.insistence(bold)
    before = (np.abs(seen[:, corridor.D] - d) < width) & (seen[:, corridor.S] > s)
    stands = before & (seen[:, corridor.SPEED] < STANDING)
    room = float(seen[stands, corridor.REAR].min(initial=math.inf)) - (s + half_length)
    least = min(max(room, TIGHT), config.least)
    length = max(least, config.time * speed)
    keep = LaneOption("keep", 0.0, 0.0, path, math.inf)
    up_to = np.maximum(15.0 + 4.0 * speed, config.look_time * (wish - seen[:, corridor.SPEED]))
    ahead = (seen[:, corridor.S] > s) & (seen[:, corridor.REAR] < s + half_length + up_to)
    pace, matters = _pace(seen[ahead & before]), ahead & (seen[:, corridor.REAR] < until)
    out: list[LaneOption] = []
    for side in Side:
        offset, clear, reach = (float(a[hint, side]) for a in
                                (lanes.offset, lanes.clear, lanes.reach))  # fmt: skip
        if math.isnan(offset):
            continue
        beside = np.abs(seen[:, corridor.D] - offset) < width
        there = seen[beside]
        inside = abs(d - offset) < abs(d)
        back = length + 5.0  # of way that the return takes
        if inside:
            out_s = begins(s, d, 0.0, offset, length)
            stay = shifted_path(path, hint, out_s, 0.0, offset, length)
            home_s = begins(s, d, offset, 0.0, length)
            home = LaneOption(
                "keep", 0.0, offset, shifted_path(path, hint, home_s, offset, 0.0, length), math.inf
            )
            free = lane_is_free(
                config, seen[np.abs(seen[:, corridor.D]) < width], s, speed, half_length, insist
            )
            here = LaneOption(SIDE_NAMES[side], offset, offset, stay, s + reach - config.least)
            if not free or (clear <= length and reach >= back):
                return [here]
            return [home] if reach < back else [here, home]
        way = min(reach, float(path.s[-1]) - s)
        going = abs(going_to - offset) < 1.0
        # What was begun is not given up for want of room.
        begun = max(d / offset, 0.0) if going else 0.0
        enough = way > config.room + config.room_time * speed + back or begun > BEGUN
        enough &= clear > length * (1.0 - begun)
        faster = (
            leave or begun > BEGUN or min(_pace(seen[matters & beside]), wish) > pace + config.gain
        )
        if not (faster and enough):
            continue
        press = config.commit if going else insist
        if not lane_is_free(config, there, s, speed, half_length, press):
            continue
        out_s = begins(s, d, 0.0, offset, length)
        over = shifted_path(path, hint, out_s, 0.0, offset, length)
        ends_s = s + reach - config.least
        out.append(LaneOption(SIDE_NAMES[side], offset, offset, over, ends_s))
    if abs(d) > OFF_LANE:  # off the route's lane, and no lane of ours beside it: back
        keep = LaneOption("keep", 0.0, d, shifted_path(path, hint, s, d, 0.0, length), math.inf)
    return [keep, *out]


def _pace(seen: Array) -> float:
    """Speed [m/s] of the slowest of those `seen`, 0 of who comes the other way, or inf."""
    return max(float(seen[:, corridor.SPEED].min(initial=math.inf)), 0.0)


def lane_is_free(
    config: LaneChangeConfig, seen: Array, s: float, speed: float, half_length: float,
    insist: float = 1.0,
) -> bool:  # fmt: skip
    """Whether there is a gap among those `seen` in a lane: nobody beside, ahead or coming up.

    Args:
        config: the gaps.
        seen: (A, NUM_SEEN) of them from the route.
        s: [m] of ego.
        speed: [m/s] of ego.
        half_length: [m] of ego.
        insist: see `LaneChangeConfig`.
    """
    front, rear, v = (seen[:, c] for c in (corridor.FRONT, corridor.REAR, corridor.SPEED))
    ahead = rear - (s + half_length)
    needed = config.front_gap + 0.5 * speed / insist + np.maximum(speed**2 - v**2, 0.0) / 5.0
    needed = needed + COMES * np.maximum(-v, 0.0)
    behind = (s - half_length) - front
    closing, slows = np.maximum(v - speed, 0.0), config.follower_brake * insist + config.accel
    theirs = config.rear_gap + 0.5 * np.maximum(v, 0.0) / insist
    theirs += config.reaction / insist * closing + closing**2 / (2.0 * slows)
    return bool(np.all((ahead > needed) | (behind > theirs)))
