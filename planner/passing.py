"""Ways around what stands in ego's lane, over its edge and on the oncoming lane, and to the kerb.

Whoever has stood or crawled for a while and waits for nothing (no line, no junction, no walker) is
gone around as soon as the lane of the other direction is free for as long as that takes; until then
ego waits, or follows, where it can still turn out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headway.types import AgentKind, Agents, Array
from planner import corridor
from planner.bounds import EgoOnRoute
from planner.homotopies import (
    BEGUN,
    LaneChangeConfig,
    LaneOption,
    Path,
    RouteLanes,
    begins,
    share_of_way,
    shifted_path,
)
from planner.itinerary import Itinerary

LOOK = 250.0  # [m] ahead that oncoming traffic is looked at
EDGE = 0.3  # [m] beside ego that who comes towards it has to be clear of
SHARPEST = 0.3  # [1/m] that the way out is curved at most
HARD_BRAKE = 4.0  # [m/s^2] with which ego breaks off
ALONG = 0.7  # [m/s] a walker who gets on faster along the road does not cross it
TOWARDS = 2.3  # [rad] between its heading and ego's, at least


@dataclass
class PassingConfig:
    """When something is gone around, and how.

    Attributes:
        stood: [s] after which a vehicle that stands is taken to stay, and one that crawls to crawl
            on; things do at once.
        gain: [m/s] by which the road allows more than who crawls drives.
        walkers: [m] beside the route's middle, and twice that ahead of them, within which a walker
            is who they may be waiting for,
        walkers_time: [s] at most: a walker may well be waiting for ego to go on.
        look: [m] ahead within which something to go around is looked for.
        apart: [m] between two that are gone around in one go, at most.
        queue: [m] before a line or a junction within which who stands waits for it.
        clear: [m] that is kept to them beside the margins of the rules.
        hold: [m] behind them where ego waits: nearer it could not turn out any more.
        turn_out: [m] of way that turning out takes at least.
        speed: [m/s] with which they are passed, at most, beside their own.
        accel: [m/s^2] with which ego gets there.
        spare: [s] that ego is back before who comes towards it is there.
        kerb: [m] between ego's side and the lane's edge when it has pulled over.
        brake: [m/s^2] with which it slows down for either.
        lateral_accel: [m/s^2] with which it turns out and back.
    """

    stood: float = 5.0
    gain: float = 5.0
    walkers: float = 5.0
    walkers_time: float = 20.0
    look: float = 60.0
    apart: float = 12.0
    queue: float = 25.0
    clear: float = 0.4
    hold: float = 10.0
    turn_out: float = 8.0
    speed: float = 10.0
    accel: float = 2.5
    spare: float = 1.0
    kerb: float = 0.25
    brake: float = 1.5
    lateral_accel: float = 3.0


@dataclass(frozen=True)
class Hurdle:
    """What stands or crawls in ego's lane and is gone around in one go; offsets are from the route.

    Attributes:
        first_id: of the agent that is reached first.
        rear: [m] along the route where it begins.
        front: [m] where it ends.
        speed: [m/s] with which it crawls on.
        target: [m] offset of ego's centre that clears it.
        right: [m] the largest that leaves it on ego's left.
        past: [m] along the route where ego's centre is when it is past it, were it to go now.
        home: [m] of way that coming back takes from there.
        over: whether there is room for that on the oncoming lane, and nobody else in the way.
    """

    first_id: int
    rear: float
    front: float
    speed: float
    target: float
    right: float
    past: float
    home: float
    over: bool

    @property
    def stands(self) -> bool:
        """Whether it does not move at all."""
        return self.speed == 0.0


def find_hurdle(
    config: PassingConfig, lanes: RouteLanes, itinerary: Itinerary, ego: EgoOnRoute,
    half_width: float, margins: Array, agents: Agents, seen: Array, stays: Array, crawls: Array,
    parked: Array,
) -> Hurdle | None:  # fmt: skip
    """Find what stands or crawls in ego's lane, waits for nothing, and leaves room on its left.

    Or beside a lane of ego's direction, to which it can be left.

    Args:
        config: see there.
        lanes: beside the route.
        itinerary: of the route.
        ego: on it.
        half_width: [m] of ego.
        margins: (4,) [m] to each side by `AgentKind`.
        agents: the others.
        seen: (A, NUM_SEEN) of them from the route.
        stays: (A,) bool, who is taken to stay where it is.
        crawls: (A,) bool, who is taken to go on as slowly as it does.
        parked: (A,) bool, who has stood too long to be waiting for a walker.
    """
    right, left = edges(agents, seen)
    right, left = right - margins[agents.kind], left + margins[agents.kind]
    group, target = _group(config, ego, seen, stays, right, left, half_width)
    if not group.any():
        return None
    first_row = np.argmin(np.where(group, seen[:, corridor.REAR], math.inf))
    blocks = (stays | crawls) & (agents.kind != AgentKind.WALKER) & group
    if not blocks[first_row]:
        return None  # it drives, or will
    begin, end = seen[blocks, corridor.REAR].min(), float(seen[blocks, corridor.FRONT].max())
    if begin > ego.front + config.look or begin - 2.0 * ego.half_length > itinerary.s[-1]:
        return None  # far ahead, or behind the goal
    # One that rolls back is as far ahead as it is now.
    speed = max(float(np.where(stays, 0.0, seen[:, corridor.SPEED])[blocks].max()), 0.0)
    by = _time_to(
        end + ego.half_length + 0.5 - ego.s, ego.speed - speed, config.speed, config.accel
    )
    past = end + ego.half_length + 0.5 + speed * by
    home = way_across(max(target, 0.0), speed + config.speed, config.lateral_accel)
    waits_at = np.concatenate([itinerary.stop_s, itinerary.junction_s[:, 0]])
    gone = end + speed * by
    if ((waits_at > end) & (waits_at < gone + config.queue)).any():
        return None
    first, last = np.searchsorted(itinerary.s, (begin, gone))
    way = slice(min(first, len(itinerary.s) - 1), last + 1)
    over = target + half_width + 0.2 < float((lanes.half[way] + lanes.oncoming[way]).min())
    if not over and np.isnan(lanes.offset[way]).any(axis=0).all():
        return None
    walkers = seen[agents.kind == AgentKind.WALKER]
    waits = not parked[blocks].all() and _walkers_cross(config, walkers, (begin, end))
    return Hurdle(
        int(agents.id[first_row]), float(begin), end, speed, target,
        float(right[blocks].min()) - half_width, past, home,
        over and not waits and bool(blocks[group].all()),
    )  # fmt: skip


def way_across(d: float, speed: float, lateral_accel: float) -> float:
    """Way [m] in which a minimum-jerk profile gets `d` [m] aside; it asks for 5.77 d / T^2."""
    return speed * math.sqrt(5.77 * d / lateral_accel)


def _walkers_cross(config: PassingConfig, walkers: Array, ends: tuple[float, float]) -> bool:
    """Whether any of the walkers, seen from the route, is on its way to the road or stands at it.

    Those who walk along it are nobody that one waits for.
    """
    s, d, turn, along = (
        walkers[:, c] for c in (corridor.S, corridor.D, corridor.HEADING, corridor.SPEED)
    )
    there = (s > ends[0]) & (s < ends[1] + 2.0 * config.walkers) & (np.abs(d) < config.walkers)
    leaves = d * np.sin(turn) > 0.0
    return bool((there & (np.abs(along) < ALONG) & ~leaves).any())


def _group(
    config: PassingConfig, ego: EgoOnRoute, seen: Array, stays: Array, right: Array, left: Array,
    half_width: float,
) -> tuple[Array, float]:  # fmt: skip
    """Find those in ego's lane that are passed in one go, and what stands beside them in the way.

    Args:
        config: see there.
        ego: on its route.
        seen: (A, NUM_SEEN) the others from the route.
        stays: (A,) bool, who is taken to stay where it is.
        right: (A,) [m] offset that ego's left side may have beside each, left (A,) of its right.
        left: see `right`.
        half_width: [m] of ego.

    Returns:
        (A,) bool, and the offset [m] of ego's centre that clears them.
    """
    group = np.zeros(len(seen), bool)
    on = seen[:, corridor.FRONT] > ego.s - ego.half_length
    rows = np.flatnonzero((seen[:, corridor.NOW] > 0.0) & on)
    end = math.inf
    for a in rows[np.argsort(seen[rows, corridor.REAR])]:
        if group.any() and seen[a, corridor.REAR] > end + config.apart:
            break
        end = max(end, seen[a, corridor.FRONT]) if group.any() else seen[a, corridor.FRONT]
        group[a] = True
    more, target = group, 0.0
    while more.any():
        group = group | more
        target = float(left[group].max()) + half_width + config.clear
        begin, end = seen[group, corridor.REAR].min(), seen[group, corridor.FRONT].max()
        more = stays & on & ~group & (left > -half_width) & (right < target + half_width)
        more &= (seen[:, corridor.FRONT] > begin) & (seen[:, corridor.REAR] < end + config.apart)
    return group, target


def overtake(
    config: PassingConfig, change: LaneChangeConfig, lanes: RouteLanes, path: Path, hint: int,
    ego: EgoOnRoute, half_width: float, hurdle: Hurdle, agents: Agents, seen: Array,
    begun: bool,
) -> LaneOption | None:  # fmt: skip
    """Return the way around `hurdle`, or None while there is none.

    Args:
        config: see there.
        change: how lanes are changed.
        lanes: beside the route.
        path: the route.
        hint: sample near ego.
        ego: on it.
        half_width: [m] of ego.
        hurdle: to go around.
        agents: the others.
        seen: (A, NUM_SEEN) of them from the route, `LOOK` ahead.
        begun: whether it is on its way around already.
    """
    # It is out when its front comes to them, by the curve that leads through where it is.
    target, out_s = hurdle.target, hurdle.rear - ego.half_length
    done = min(max(ego.d / target, 0.0), 1.0)
    length = (out_s - ego.s) / max(1.0 - share_of_way(done), 0.05)
    begun |= done > 0.8
    tight = min(way_across(target, 1.0, SHARPEST), config.turn_out)
    if length < tight * (1.0 - 0.6 * done) and not begun:
        return None  # too near to turn out; who has begun lags behind the curve a little
    most = max(change.time * ego.speed, 2.0 * config.turn_out)
    length = max(min(length, most) if done < BEGUN else length, config.turn_out)
    allowed = path.speed[(path.s >= ego.s) & (path.s <= hurdle.past)].max(initial=0.0)
    top = min(hurdle.speed + config.speed, float(allowed))
    # Whoever comes may pass as long as ego's side is within its own lane.
    own = min(max(float(lanes.half[hint]) - half_width - EDGE, 0.0) / target, 1.0)
    leaves = out_s - length * (1.0 - share_of_way(own))
    clear = hurdle.past + hurdle.home * share_of_way(1.0 - own)
    # Who stopped now could not turn out again later: on.
    rests = hurdle.rear - ego.front - ego.speed**2 / (2.0 * HARD_BRAKE)
    if own < 1.0 and not (begun and rests < tight):
        spare = 0.0 if begun else config.spare
        times = [_time_to(max(at - ego.s, 0.0), ego.speed, top, config.accel)
                 for at in (leaves, clear)]  # fmt: skip
        comes = edges(agents, seen)[0] < target + half_width + EDGE
        comes &= (seen[:, corridor.D] > 0.5 * lanes.half[hint]) & (
            np.abs(seen[:, corridor.HEADING]) > 1.0
        )
        if _meets(seen[comes], ego, (leaves, clear), (times[0], times[1] + spare)):
            return None
    way = shifted_path(path, hint, out_s - length, 0.0, target, length, hurdle.past, hurdle.home)
    # Down to their side in time, and no faster until ego is back.
    before = np.maximum(hurdle.rear - ego.half_length - path.s, 0.0)
    slow = np.sqrt(top**2 + 2.0 * config.brake * before)
    bend = np.sqrt(config.lateral_accel / np.maximum(np.abs(way.curvature), 1e-3))
    back = path.s > hurdle.past + hurdle.home
    speed = np.where(back, path.speed, np.minimum.reduce([path.speed, slow, bend]))
    return LaneOption(
        "overtake", target, target, way._replace(speed=speed), math.inf, (out_s, hurdle.past)
    )


def _meets(
    seen: Array, ego: EgoOnRoute, ways: tuple[float, float], times: tuple[float, float]
) -> bool:
    """Whether anybody comes the other way between where and when ego leaves its lane and is back.

    Args:
        seen: (A, NUM_SEEN) of those who come.
        ego: on its route.
        ways: [m] along the route where it leaves its lane, and is back.
        times: [s] when.
    """
    closing = np.maximum(-seen[:, corridor.SPEED], 0.0)
    not_passed = seen[:, corridor.FRONT] - closing * times[0] > max(ways[0], ego.s)
    there = seen[:, corridor.REAR] - closing * times[1] < ways[1] + ego.half_length
    return bool((not_passed & there).any())


def _time_to(way: float, speed: float, top: float, accel: float) -> float:
    """Time [s] for `way` [m] from `speed` on, gathering it with `accel` up to `top`."""
    top = max(top, speed)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if ramp >= way:
        return (math.sqrt(max(speed * speed + 2.0 * accel * way, 0.0)) - speed) / accel
    return (top - speed) / accel + (way - ramp) / top


def pull_over(
    config: PassingConfig, change: LaneChangeConfig, lanes: RouteLanes, path: Path, hint: int,
    ego: EgoOnRoute, half_width: float,
) -> LaneOption:  # fmt: skip
    """Return the way to the right edge of the lane."""
    target = -max(float(lanes.half[hint]) - half_width - config.kerb, 0.0)
    length = max(change.time * ego.speed, change.least)
    way = shifted_path(path, hint, begins(ego.s, ego.d, 0.0, target, length), 0.0, target, length)
    return LaneOption("pull_over", target, target, way, math.inf)


def aside(
    config: PassingConfig, lanes: RouteLanes, path: Path, hint: int, ego: EgoOnRoute,
    half_width: float, margin: float, agents: Agents, seen: Array, stays: Array,
) -> LaneOption | None:  # fmt: skip
    """Return the way past who comes or stands over the line, on the right of ego's lane, if any do.

    Args:
        config: see there.
        lanes: beside the route.
        path: the route.
        hint: sample near ego.
        ego: on it.
        half_width: [m] of ego.
        margin: [m] to each side of ego that they have to be clear of.
        agents: the others.
        seen: (A, NUM_SEEN) of them from the route.
        stays: (A,) bool, who is taken to stay where it is.
    """
    right = edges(agents, seen)[0]
    comes = (np.abs(seen[:, corridor.HEADING]) > TOWARDS) & (seen[:, corridor.S] > ego.s)
    comes |= (
        stays & (seen[:, corridor.FRONT] > ego.s - ego.half_length)
        & (seen[:, corridor.REAR] < ego.front + config.look)
    )  # fmt: skip
    comes &= (seen[:, corridor.D] > 0.0) & (right < half_width + margin + EDGE)
    room = float(lanes.half[hint]) - half_width - config.kerb
    if not comes.any() or room <= 0.0:
        return None
    target = -room
    length = max(way_across(room, ego.speed, config.lateral_accel), config.turn_out)
    way = shifted_path(path, hint, begins(ego.s, ego.d, 0.0, target, length), 0.0, target, length)
    return LaneOption("aside", target, target, way, math.inf)


def kerb_stop(
    config: PassingConfig, change: LaneChangeConfig, itinerary: Itinerary, ego: EgoOnRoute
) -> float:
    """Return s [m] where ego's front stops at the kerb: soon, but before no junction or line."""
    at = ego.front + max(ego.speed**2 / (2.0 * config.brake), change.least) + 5.0
    for line in itinerary.stop_s:
        if at - 2.0 * ego.half_length < line and line - 5.0 < at:
            at = float(line) + 10.0 + 2.0 * ego.half_length
    for begin, end in itinerary.junction_s:
        if begin - 5.0 < at and at - 2.0 * ego.half_length < end:
            at = float(end) + 5.0 + 2.0 * ego.half_length
    return at


def edges(agents: Agents, seen: Array) -> tuple[Array, Array]:
    """Offsets (A,) [m] of the rightmost and leftmost point of each from the route."""
    turn = seen[:, corridor.HEADING]
    across = agents.extent[:, 0] * np.abs(np.sin(turn)) + agents.extent[:, 1] * np.abs(np.cos(turn))
    return seen[:, corridor.D] - across, seen[:, corridor.D] + across
