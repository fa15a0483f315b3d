"""The lanes of the same direction beside a route."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from headway.types import Array


class Side(IntEnum):
    """Columns of `Neighbours`."""

    LEFT = 0
    RIGHT = 1


@dataclass(frozen=True)
class Neighbours:
    """The driving lanes beside a route, outside junctions, `R` samples and columns by `Side`.

    Attributes:
        lane: (R, 2) int, -1 for none.
        offset: (R, 2) [m] of its centre from the centre of the route's lane, left positive.
        width: (R, 2) [m].
        free: (R, 2) bool, whether the marking may be crossed to it.
        back: (R, 2) bool, whether it may be crossed back.
    """

    lane: Array
    offset: Array
    width: Array
    free: Array
    back: Array


def neighbours(graph: LaneGraph, route: Route) -> Neighbours:
    """Look up the lanes beside each sample of `route`."""
    own = route.lane
    here = graph.samples_at(own, route.lane_s)
    yaw = graph.yaw[here]
    columns = []
    for lanes, change, back in (
        (graph.left, graph.left_change, graph.right_change),
        (graph.right, graph.right_change, graph.left_change),
    ):
        lane = lanes[own]
        there = (lane >= 0) & (graph.junction[own] < 0)
        there &= graph.kind[np.maximum(lane, 0)] == LaneKind.DRIVING
        lane = np.where(there, lane, -1)
        # Lanes of a section are sampled at the same places of the road.
        last = graph.point_start[lane + 1] - 1
        at = np.minimum(graph.point_start[lane] + here - graph.point_start[own], last)
        at = np.where(there, at, here)
        step = graph.xyz[at, :2] - graph.xyz[here, :2]
        offset = step[:, 1] * np.cos(yaw) - step[:, 0] * np.sin(yaw)
        columns.append((lane, offset, graph.width[at], there & change[own], there & back[lane]))
    return Neighbours(*(np.column_stack(pair) for pair in zip(*columns, strict=True)))
