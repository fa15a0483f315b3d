"""Where the route itself changes lanes: ego goes over when it has a gap, and until then stays.

It drives as fast as the lane that it goes to, behind whom it will have before it there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.line import changes_of, from_lanes
from headway.road.queries import nearest_lanes
from headway.road.route import Route
from headway.types import Array, Scene
from planner import corridor
from planner.bounds import EgoOnRoute
from planner.corridor import NUM_SEEN, nearest_on
from planner.homotopies import (
    LaneChangeConfig,
    LaneOption,
    Path,
    begins,
    shifted_path,
)
from planner.itinerary import smooth_curvature

REACH = 150.0  # [m] of the other lane before and behind the change that are looked at
LOOK_TIME = 5.0  # [s] before the change from which ego drives as fast as the other lane
ON_LANE = 0.05  # [m] beside the middle of its lane the route is not changing any more
OVER = 1.0  # [m] beside the middle of the lane that it leaves ego is going over for good
GAP = 1.0  # [m] to others in the other lane, beside:
AHEAD = 0.3  # [s] of driving to whom ego follows there
RESPONSE, BRAKE = 0.5, 4.0  # [s], [m/s^2] how who follows stops: the safety layer takes the same
TAKES = 3.0  # [s] in which who is faster comes nearer while ego goes over
HARD_BRAKE = 7.0  # [m/s^2] with which ego may
CATCH_UP = 4.0  # [s] in which the distance to whom it will follow is made up
FASTER = 1.0  # [m/s] than ego
SLOWEST = 0.7  # of their speed: ego slows down no further to get behind them


@dataclass(frozen=True)
class Merge:
    """A lane change of the route.

    Attributes:
        begin: [m] along the route where its line leaves the lane.
        ends: [m] where the way over has to begin at latest, inf where one arrives in it as well.
        stay: the way in that lane, as far as it goes on, at the route's s.
        onto: the way in the other lane.
        along: what has to be added [m] to s of a lane for s of the route, by lane.
    """

    begin: float
    ends: float
    stay: Path
    onto: Path
    along: dict[int, float]


def find_merges(graph: LaneGraph, route: Route, path: Path) -> list[Merge]:
    """Find where `route` changes lanes.

    Args:
        graph: of the town.
        route: in it.
        path: the route itself.
    """
    changes, side = changes_of(graph, route)
    if not len(changes):
        return []
    # How far left of its first lane the route is, in lanes.
    place = np.zeros(len(route.s), np.int64)
    np.add.at(place, changes, side)
    place = place.cumsum()
    aside, _ = from_lanes(graph, route)
    on = np.abs(aside) < ON_LANE
    lines, ends = [], []
    for k in changes:
        back = np.where(np.arange(len(place)) >= k, place[k - 1] - place, 0)
        lane, beside = _lanes_beside(graph, route, back)
        first = int(np.flatnonzero(on[:k])[-1]) if on[:k].any() else 0
        offset = beside - aside
        offset[:first] = 0.0
        change = graph.left_change if place[k] > place[k - 1] else graph.right_change
        gone = k + np.flatnonzero((lane[k:] < 0) | ~change[lane[k:]])
        last = int(gone[0]) - 1 if len(gone) else len(place) - 1
        offset[last + 1 :] = offset[last]
        lines.append((float(route.s[first]), _beside(path, offset)))
        ends.append(float(route.s[last]) if len(gone) else math.inf)
    ways = [line for _, line in lines] + [path]
    return [
        Merge(begin, end, stay, onto, _along(graph, route, int(k)))
        for (begin, stay), end, onto, k in zip(lines, ends, ways[1:], changes, strict=True)
    ]


def _lanes_beside(graph: LaneGraph, route: Route, steps: Array) -> tuple[Array, Array]:
    """The lanes so many `steps` (R,) to the left of a route's, -1 for none, and their offsets [m].

    Lanes of a section are sampled at the same places of the road.
    """
    lane, here = route.lane.astype(np.int64), graph.samples_at(route.lane, route.lane_s)
    along = here - graph.point_start[lane]
    for count in range(1, int(np.abs(steps).max()) + 1):
        beside = np.where(steps > 0, graph.left[lane], graph.right[lane])
        lane = np.where((np.abs(steps) >= count) & (lane >= 0), beside, lane)
    point = np.minimum(graph.point_start[lane] + along, graph.point_start[lane + 1] - 1)
    step = graph.xyz[np.where(lane >= 0, point, here), :2] - graph.xyz[here, :2]
    yaw = graph.yaw[here]
    return lane, step[:, 1] * np.cos(yaw) - step[:, 0] * np.sin(yaw)


def _beside(path: Path, offset: Array) -> Path:
    """The line `offset` (R,) [m] to the left of a path, at the path's own s."""
    xy = path.xy + offset[:, None] * np.column_stack([-np.sin(path.yaw), np.cos(path.yaw)])
    yaw = path.yaw + np.arctan(np.gradient(offset, path.s))
    return path._replace(xy=xy, yaw=yaw, curvature=smooth_curvature(path.s, yaw))


def _along(graph: LaneGraph, route: Route, k: int) -> dict[int, float]:
    """The lanes that lead to sample `k` of the route, and on from there, with what to add to s."""
    lane, at = int(route.lane[k]), float(route.s[k])
    out = {lane: at - float(route.lane_s[k])}
    for back in (True, False):
        todo = [lane]
        while todo:
            here = todo.pop()
            end = out[here] + float(graph.length[here])
            for other in graph.predecessors(here) if back else graph.successors(here):
                begin = out[here] - float(graph.length[other]) if back else end
                far = at - end if back else begin - at
                if int(other) not in out and (here == lane or far < REACH):
                    out[int(other)] = begin
                    todo.append(int(other))
    return out


def way_over(
    config: LaneChangeConfig, merge: Merge, path: Path, hint: int, ego: EgoOnRoute, scene: Scene
) -> tuple[LaneOption, Array] | None:
    """Return the way to drive before and along a lane change of the route, or None elsewhere.

    Beside it (A,) bool, who comes from behind in the other lane and will keep its distance.

    Args:
        config: how lanes are changed.
        merge: the change.
        path: the route, with the speeds to drive.
        hint: sample near ego.
        ego: on the route.
        scene: with the others.
    """
    if not merge.begin - max(LOOK_TIME * ego.speed, 2.0 * config.room) < ego.s < merge.ends:
        return None
    at = float(scene.ego.pose[0]), float(scene.ego.pose[1])
    near = max(hint - 30, 0), min(hint + 30, len(path.s) - 1)
    stay, onto = (nearest_on(w.xy, w.s, *at, *near)[2] for w in (merge.stay, merge.onto))
    if abs(stay) > abs(onto) + OVER:
        return None
    seen = _from_lane(merge, scene)
    there = np.abs(seen[:, corridor.S] - ego.s) < REACH
    speed = np.minimum(path.speed, pace_into(seen[there], ego, path.s))
    if not _is_free(seen[there], ego) and abs(stay) < OVER:
        line = merge.stay._replace(speed=speed)
        return LaneOption("late", 0.0, 0.0, line, merge.ends, line=True), np.zeros_like(there)
    length = max(config.least, config.time * ego.speed)
    begin = begins(ego.s, onto, onto - stay, 0.0, length)
    line = shifted_path(merge.onto, hint, begin, onto - stay, 0.0, length)
    behind = there & (seen[:, corridor.FRONT] < ego.s - ego.half_length)
    line = line._replace(speed=speed)
    return LaneOption("keep", 0.0, 0.0, line, math.inf, line=True), behind


def _from_lane(merge: Merge, scene: Scene) -> Array:
    """(A, NUM_SEEN) those in the lane that the route changes to, along it; the others far away."""
    agents = scene.agents
    lane, lane_s, _ = nearest_lanes(
        scene.lane_graph, np.column_stack([agents.pose[:, :2], agents.z]), agents.pose[:, 2],
        radius=2.5,
    )  # fmt: skip
    add = np.array([merge.along.get(int(there), -corridor.FAR) for there in lane])
    seen = np.zeros((len(agents), NUM_SEEN))
    seen[:, corridor.S] = lane_s + add
    seen[:, corridor.REAR] = seen[:, corridor.S] - agents.extent[:, 0]
    seen[:, corridor.FRONT] = seen[:, corridor.S] + agents.extent[:, 0]
    seen[:, corridor.SPEED] = agents.speed
    return seen


def _before(speed: Array | float, lead_speed: Array | float) -> Array:
    """Gap [m] that ego, at `speed` [m/s], needs to whom it follows."""
    return GAP + AHEAD * speed + np.maximum(speed**2 - lead_speed**2, 0.0) / (2.0 * BRAKE)


def _behind(speed: Array | float, ego_speed: float) -> Array:
    """Gap [m] that who follows at `speed` [m/s] needs, should ego, once it is over, brake hard."""
    stops = RESPONSE * speed + speed**2 / (2.0 * BRAKE) - ego_speed**2 / (2.0 * HARD_BRAKE)
    return GAP + np.maximum(stops, 0.0) + TAKES * np.maximum(speed - ego_speed, 0.0)


def _is_free(seen: Array, ego: EgoOnRoute) -> bool:
    """Whether there is a gap among those `seen` (N, NUM_SEEN) where ego is."""
    front, rear, v = (seen[:, c] for c in (corridor.FRONT, corridor.REAR, corridor.SPEED))
    ahead = rear - ego.front > _before(ego.speed, v)
    return bool((ahead | (ego.s - ego.half_length - front > _behind(v, ego.speed))).all())


def pace_into(seen: Array, ego: EgoOnRoute, s: Array, lets_by: float = 0.0) -> Array:
    """Speed [m/s] at `s` (R,) [m] with which ego comes to be behind whom it will follow there.

    That is the next one ahead, or of those abreast and behind the first who leaves room behind it.

    Args:
        seen: (N, NUM_SEEN) those in the lane that it goes to.
        ego: on its route.
        s: along the route.
        lets_by: [m] behind ego within which it lets by who is faster.
    """
    lead, most = None, math.inf  # [m] to the lead that leaves room for who follows
    for row in seen[np.argsort(-seen[:, corridor.S])]:
        behind = ego.s - float(row[corridor.S])
        faster = row[corridor.SPEED] > ego.speed + FASTER
        if behind >= 0.0 and not (faster and behind < lets_by):
            if lead is None:
                break  # nobody is ahead of ego
            v = float(lead[corridor.SPEED])
            room = float(lead[corridor.REAR] - row[corridor.FRONT]) - 2.0 * ego.half_length
            most = room - float(_behind(row[corridor.SPEED], v))
            if most > _before(v, v):
                break
            most = math.inf
        lead = row
    if lead is None:
        return np.full(len(s), math.inf)
    speed = float(lead[corridor.SPEED])
    gap = float(lead[corridor.REAR]) - ego.front
    wanted = min(GAP + 0.5 * speed, 0.5 * (most + float(_before(speed, speed))))
    now = max(speed + (gap - wanted) / CATCH_UP, SLOWEST * speed)
    share = np.clip((s - ego.s) / max(now * CATCH_UP, 1.0) - 1.0, 0.0, 1.0)
    return now + share * max(speed - now, 0.0)
