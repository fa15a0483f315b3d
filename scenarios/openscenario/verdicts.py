"""Criteria of an OpenSCENARIO file, by the names of ScenarioRunner's classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.frames import wrap_angles
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.queries import nearest_lanes
from headway.types import Array
from scenarios.criteria import AGAINST, LANE_MARGIN
from scenarios.episode import Episode
from scenarios.suites.openscenario_spec import (
    Criterion,
)


def judge(criteria: Sequence[Criterion], episode: Episode, graph: LaneGraph) -> dict[str, bool]:
    """Whether ego met each criterion, by name."""
    x, y, yaw, speed = (episode.trace.column(name) for name in ("x", "y", "yaw", "speed"))
    way = float(np.hypot(np.diff(x), np.diff(y)).sum())
    found = episode.criteria
    roads = _Roads(graph, np.stack([x, y, np.full(len(x), np.nan)], axis=1), yaw)
    verdicts = {}
    for criterion in criteria:
        value = criterion.value if criterion.value is not None else 0.0
        verdicts[criterion.name] = {
            "CollisionTest": lambda: not found.collisions.infractions,
            "RunningRedLightTest": lambda: not found.red_lights.infractions,
            "RunningStopTest": lambda: not found.stop_signs.infractions,
            "WrongLaneTest": roads.never_against,
            "OnSidewalkTest": roads.never_on_sidewalk,
            "OffRoadTest": roads.never_off,
            "KeepLaneTest": roads.keeps_lane,
            "DrivenDistanceTest": lambda v=value: way >= v,
            "MaxVelocityTest": lambda v=value: float(speed.max(initial=0.0)) <= v,
            "AverageVelocityTest": lambda v=value: float(speed.mean()) >= v,
        }[criterion.name]()
    return verdicts


class _Roads:
    """Where ego's middle was, sample by sample."""

    def __init__(self, graph: LaneGraph, xyz: Array, yaw: Array) -> None:
        self._graph = graph
        nowhere = np.full(len(xyz), np.nan)
        self._lane, self._s, self._d = nearest_lanes(graph, xyz, nowhere, kinds=None)
        self._driving, s, _ = nearest_lanes(graph, xyz, nowhere)
        self._own, _, _ = nearest_lanes(graph, xyz, yaw)
        first = graph.point_start[self._driving]
        near = first + np.clip(np.round(s), 0, np.diff(graph.point_start)[self._driving] - 1)
        self._turned = np.abs(wrap_angles(yaw - graph.yaw[near.astype(int)]))

    def never_against(self) -> bool:
        """Outside junctions it drove in no lane of the other direction."""
        open_road = (self._driving >= 0) & (self._graph.junction[self._driving] < 0)
        return not bool((open_road & (self._turned > AGAINST)).any())

    def never_on_sidewalk(self) -> bool:
        """It was on no pavement."""
        kind = self._graph.kind[self._lane]
        return not bool(((self._lane >= 0) & (kind == LaneKind.SIDEWALK)).any())

    def never_off(self) -> bool:
        """It was on some lane."""
        lanes = self._graph
        row = lanes.point_start[self._lane]
        near = row + np.clip(np.round(self._s), 0, np.diff(lanes.point_start)[self._lane] - 1)
        edge = 0.5 * lanes.width[near.astype(int)] + LANE_MARGIN
        return not bool(((self._lane < 0) | (np.abs(self._d) > edge)).any())

    def keeps_lane(self) -> bool:
        """It went from no lane into one beside it."""
        graph, lane = self._graph, self._own
        before, after = lane[:-1], lane[1:]
        beside = (graph.left[before] == after) | (graph.right[before] == after)
        return not bool((beside & (before >= 0) & (after >= 0)).any())
