"""Ways beside the route: how far the road reaches there, and who bounds ego on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import AgentKind, Array, Forecast, Scene
from planner import corridor
from planner.bounds import Arrivals, BoundList, EgoOnRoute, Others, lead_bounds
from planner.corridor import NUM_SEEN, survey
from planner.itinerary import Itinerary
from planner.neighbours import Side, neighbours
from planner.rules import Rules

BLEND = 0.4  # [m] the route runs this far from its lane's centre only where it changes lanes
LEAST = 1.5  # [m] of road to each side of the route, where it does
BEHIND, BEYOND = 30.0, 20.0  # [m] of the route that a survey takes, beside `EgoOnRoute.ahead`


@dataclass(frozen=True)
class RoadBeside:
    """The road beside a route, `R` samples; offsets are from the route, left positive.

    Attributes:
        edges: (R, 2) [m] of its own lane, right and left.
        lanes: (R, 2) [m] the centres of the neighbours, right and left, nan where the LaneGraph
            has none or the marking forbids the change.
        widths: (R, 2) [m] of the neighbours, 0 for none.
        until: (R, 2) [m] s up to which each neighbour goes on beside the route.
    """

    edges: Array
    lanes: Array
    widths: Array
    until: Array


def road_beside(graph: LaneGraph, route: Route) -> RoadBeside:
    """Look up what lies beside `route`; done once per route."""
    num = len(route.s)
    half, off = lane_under(graph, route)
    edges = np.column_stack([np.minimum(-half - off, -LEAST), np.maximum(half - off, LEAST)])
    beside = neighbours(graph, route)
    there = beside.free & (np.abs(off) < BLEND)[:, None]
    until = np.zeros((num, 2))
    for side in Side:
        ends = np.append(~there[:, side], True)
        following = np.minimum.accumulate(np.where(ends, np.arange(num + 1), num)[::-1])[::-1]
        until[:, side] = route.s[np.clip(following[:num], 0, num - 1)]
    lanes = np.where(there, beside.offset - off[:, None], np.nan)
    widths = np.where(there, beside.width, 0.0)
    turn = [Side.RIGHT, Side.LEFT]  # edges and lanes go from right to left here
    return RoadBeside(edges, lanes[:, turn], widths[:, turn], until[:, turn])


def lane_under(graph: LaneGraph, route: Route) -> tuple[Array, Array]:
    """Half the width (R,) [m] of the route's lane, and how far left of its centre it runs (R,)."""
    point = graph.samples_at(route.lane, route.lane_s)
    gap, yaw = route.xyz[:, :2] - graph.xyz[point, :2], graph.yaw[point]
    return 0.5 * graph.width[point], gap[:, 1] * np.cos(yaw) - gap[:, 0] * np.sin(yaw)


def bounds_beside(
    itinerary: Itinerary, ego: EgoOnRoute, scene: Scene, forecast: Forecast, proposal: int,
    bounds: BoundList, offset: float, rules: Rules,
) -> BoundList:  # fmt: skip
    """Return the bounds on a way `offset` beside the route: its leads in place of the route's.

    Lights, signs, crossings and the right of way hold for every way.

    Args:
        itinerary: of the route.
        ego: on it.
        scene: with the agents.
        forecast: of the agents.
        proposal: under which it is taken.
        bounds: on the route.
        offset: [m] left positive.
        rules: margins.
    """
    if not len(scene.agents):
        return bounds
    on_route = _see(itinerary, ego, scene, forecast, proposal, 0.0, rules)
    led = {
        f"{kind}:{scene.agents.id[a]}"
        for a in corridor.ahead_of(on_route, ego.s)
        for kind in ("lead", "object")
    }
    kept = [b for b, reason in enumerate(bounds.reasons) if reason not in led]
    out = BoundList([bounds.rows[b] for b in kept], [bounds.reasons[b] for b in kept])
    seen = _see(itinerary, ego, scene, forecast, proposal, offset, rules)
    rows = [a for a in corridor.ahead_of(seen, ego.s) if scene.agents.kind[a] != AgentKind.WALKER]
    t = np.arange(0.0, 10.0)
    arrive = Arrivals(ego.front + max(ego.speed, 2.0) * t, t)
    nobody = np.zeros(0)
    others = Others(scene.agents, seen, nobody, nobody, nobody, np.array(rows, np.int64))
    return out + lead_bounds(ego, others, arrive, rules)


def goes_behind(itinerary: Itinerary, ego: EgoOnRoute, scene: Scene, half_width: float) -> Array:
    """(A,) bool, who drives behind ego in its lane: they keep their distance, not ego.

    Args:
        itinerary: of the route.
        ego: on it.
        scene: with the agents.
        half_width: [m] of ego.
    """
    agents = scene.agents
    seen = np.empty((len(agents), NUM_SEEN))
    _survey(itinerary, ego, scene, np.zeros((len(agents), 0, 3)), 1.0, 0.0, Rules(), seen)
    beside = np.abs(seen[:, corridor.D] - ego.d) - agents.extent[:, 1] < half_width
    same = np.abs(seen[:, corridor.HEADING]) < 0.8
    return beside & same & (seen[:, corridor.FRONT] < ego.s)


def _see(
    itinerary: Itinerary, ego: EgoOnRoute, scene: Scene, forecast: Forecast, proposal: int,
    offset: float, rules: Rules,
) -> Array:  # fmt: skip
    seen = np.empty((len(scene.agents), NUM_SEEN))
    mean, _ = forecast.likeliest(proposal)
    _survey(itinerary, ego, scene, mean, forecast.dt, offset, rules, seen)
    return seen


def _survey(
    itinerary: Itinerary, ego: EgoOnRoute, scene: Scene, mean: Array, dt: float, offset: float,
    rules: Rules, out: Array,
) -> None:  # fmt: skip
    """See the agents from the route moved sideways; s stays that of the route."""
    first = int(np.searchsorted(itinerary.s, ego.s - BEHIND))
    last = int(np.searchsorted(itinerary.s, ego.s + ego.ahead + BEYOND)) + 1
    first = max(min(first, len(itinerary.s) - 2), 0)
    yaw = itinerary.yaw[first:last]
    xy = itinerary.xy[first:last] + offset * np.column_stack([-np.sin(yaw), np.cos(yaw)])
    agents = scene.agents
    survey(
        xy, itinerary.s[first:last], yaw, ego.s, ego.ahead, float(scene.ego.extent[1]),
        rules.margins(), agents.kind, agents.pose, agents.velocity, agents.extent, mean, dt,
        rules.believed(), out,
    )  # fmt: skip
