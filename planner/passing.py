"""Ways around what stands in ego's lane, over its edge and on the oncoming lane, and to the kerb.

Whoever has stood for a while and waits for nothing (no line, no junction, no walker) is gone around
as soon as the lane of the other direction is free for as long as that takes; until then ego waits
where it can still turn out.
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


@dataclass
class PassingConfig:
    """When something is gone around, and how.

    Attributes:
        stood: [s] after which a vehicle that stands is taken to stay; things do at once.
        walkers: [m] beside the route's middle, and twice that ahead of them, within which a walker
            is who they may be waiting for.
        look: [m] ahead within which something to go around is looked for.
        apart: [m] between two that are gone around in one go, at most.
        queue: [m] before a line or a junction within which who stands waits for it.
        clear: [m] that is kept to them beside the margins of the rules.
        hold: [m] behind them where ego waits: nearer it could not turn out any more.
        turn_out: [m] of way that turning out takes at least.
        speed: [m/s] with which they are passed, at most.
        accel: [m/s^2] with which ego gets there.
        spare: [s] that ego is back before who comes towards it is there.
        kerb: [m] between ego's side and the lane's edge when it has pulled over.
        brake: [m/s^2] with which it slows down for either.
        lateral_accel: [m/s^2] with which it turns out and back.
    """

    stood: float = 5.0
    walkers: float = 5.0
    look: float = 60.0
    apart: float = 12.0
    queue: float = 25.0
    clear: float = 0.4
    hold: float = 12.0
    turn_out: float = 8.0
    speed: float = 8.0
    accel: float = 1.2
    spare: float = 2.0
    kerb: float = 0.25
    brake: float = 1.5
    lateral_accel: float = 2.0


@dataclass(frozen=True)
class Hurdle:
    """What stands in ego's lane and is gone around in one go; offsets are from the route.

    Attributes:
        first_id: of the agent that is reached first.
        rear: [m] along the route where it begins.
        front: [m] where it ends.
        target: [m] offset of ego's centre that clears it.
    """

    first_id: int
    rear: float
    front: float
    target: float


def find_hurdle(
    config: PassingConfig, lanes: RouteLanes, itinerary: Itinerary, ego: EgoOnRoute,
    half_width: float, margins: Array, agents: Agents, seen: Array, stays: Array,
) -> Hurdle | None:  # fmt: skip
    """Find what stands in ego's lane, waits for nothing, and leaves room on its left.

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
    """
    rear = ego.s - ego.half_length
    rows = np.flatnonzero((seen[:, corridor.NOW] > 0.0) & (seen[:, corridor.FRONT] > rear))
    rows = rows[np.argsort(seen[rows, corridor.REAR])]
    group: list[int] = []
    begin = end = math.inf
    for a in map(int, rows):
        if group and seen[a, corridor.REAR] > end + config.apart:
            break
        if not stays[a] or agents.kind[a] == AgentKind.WALKER:
            return None  # somebody drives there, or will
        begin = min(begin, float(seen[a, corridor.REAR]))
        end = float(seen[a, corridor.FRONT]) if not group else max(end, seen[a, corridor.FRONT])
        group.append(a)
    begins = begin - 2.0 * ego.half_length
    if not group or begin > ego.front + config.look or begins > itinerary.s[-1]:
        return None  # nobody, or far ahead, or behind the goal
    waits_at = np.concatenate([itinerary.stop_s, itinerary.junction_s[:, 0]])
    if (np.abs(waits_at - end - 0.5 * config.queue) < 0.5 * config.queue).any():
        return None
    walks = (agents.kind == AgentKind.WALKER) & (np.abs(seen[:, corridor.D]) < config.walkers)
    walks &= (seen[:, corridor.S] > begin) & (seen[:, corridor.S] < end + 2.0 * config.walkers)
    if walks.any():
        return None
    edges = _edges(agents, seen)[1][group] + margins[agents.kind[group]]
    target = float(edges.max()) + half_width + config.clear
    first, last = np.searchsorted(itinerary.s, (begins, end))
    way = slice(first, last + 1)
    room = float((lanes.half[way] + lanes.oncoming[way]).min())
    fits = target + half_width + 0.2 < room
    return Hurdle(int(agents.id[group[0]]), begin, end, target) if fits else None


def overtake(
    config: PassingConfig, change: LaneChangeConfig, lanes: RouteLanes, path: Path, hint: int,
    ego: EgoOnRoute, half_width: float, hurdle: Hurdle, agents: Agents, seen: Array,
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
    """
    # It is out when its front comes to them, by the curve that leads through where it is.
    out_s = hurdle.rear - ego.half_length
    done = min(max(ego.d / hurdle.target, 0.0), 1.0)
    length = (out_s - ego.s) / max(1.0 - share_of_way(done), 0.05)
    is_out = done > 0.9
    if length < config.turn_out * (1.0 - 0.6 * done) and not is_out:
        return None  # too near to turn out; who has begun lags behind the curve a little
    most = max(change.time * ego.speed, 2.0 * config.turn_out)
    length = max(min(length, most) if done < BEGUN else length, config.turn_out)
    home = change.time * config.speed
    back = hurdle.front + ego.half_length + 0.5
    beside = out_s - ego.s < 1.0 and is_out  # no way but on
    zone = back + home
    if not beside and not _oncoming_is_free(config, lanes, hint, ego, half_width, hurdle.target,
                                            zone, agents, seen):  # fmt: skip
        return None
    way = shifted_path(path, hint, out_s - length, 0.0, hurdle.target, length, back, home)
    # Down to their side in time, and no faster until ego is back.
    before = np.maximum(hurdle.rear - ego.half_length - path.s, 0.0)
    slow = np.sqrt(config.speed**2 + 2.0 * config.brake * before)
    bend = np.sqrt(config.lateral_accel / np.maximum(np.abs(way.curvature), 1e-3))
    speed = np.where(path.s < zone, np.minimum.reduce([path.speed, slow, bend]), path.speed)
    return LaneOption(
        "overtake", hurdle.target, hurdle.target, way._replace(speed=speed), math.inf,
        (out_s, hurdle.front + ego.half_length),
    )  # fmt: skip


def _oncoming_is_free(
    config: PassingConfig, lanes: RouteLanes, hint: int, ego: EgoOnRoute, half_width: float,
    target: float, zone: float, agents: Agents, seen: Array,
) -> bool:  # fmt: skip
    """Whether ego is back from `target` at s = `zone` [m] before anybody comes the other way."""
    left = target + half_width + 0.3
    if left < lanes.half[hint]:
        return True  # it stays in its own lane
    comes = (_edges(agents, seen)[0] < left) & (seen[:, corridor.D] > 0.5 * lanes.half[hint])
    comes &= (seen[:, corridor.REAR] > ego.front) & (np.abs(seen[:, corridor.HEADING]) > 1.0)
    time = _time_to(zone - ego.s, ego.speed, config.speed, config.accel) + config.spare
    closing = np.maximum(-seen[:, corridor.SPEED], 0.0)
    there = seen[:, corridor.REAR] - closing * time < zone
    return not (comes & there).any()


def _time_to(way: float, speed: float, top: float, accel: float) -> float:
    """Time [s] for `way` [m] from `speed` on, gathering it with `accel` up to `top`."""
    top = max(top, speed)
    ramp = (top * top - speed * speed) / (2.0 * accel)
    if ramp >= way:
        return (math.sqrt(speed * speed + 2.0 * accel * way) - speed) / accel
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


def _edges(agents: Agents, seen: Array) -> tuple[Array, Array]:
    """Offsets (A,) [m] of the rightmost and leftmost point of each from the route."""
    turn = seen[:, corridor.HEADING]
    across = agents.extent[:, 0] * np.abs(np.sin(turn)) + agents.extent[:, 1] * np.abs(np.cos(turn))
    return seen[:, corridor.D] - across, seen[:, corridor.D] + across
