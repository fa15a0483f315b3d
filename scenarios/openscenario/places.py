"""Where a position of an OpenSCENARIO file lies on the map."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import carla
import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.queries import ground_at, nearest_lane, pose_at, project
from scenarios.openscenario.lines import walk
from scenarios.suites.openscenario_action_spec import (
    LanePosition,
    Position,
    RelativeLanePosition,
    RelativePosition,
    RelativeRoadPosition,
    RoadPosition,
    Turn,
    WorldPosition,
)
from scenarios.suites.spec import Place, SuiteError


class Places:
    """Finds places.

    Args:
        town: CARLA's map, which knows how far along its road a place is.
        graph: the same town.
        where: the pose of an entity by name, None while it is nowhere.
    """

    def __init__(
        self, town: carla.Map, graph: LaneGraph, where: Callable[[str], Place | None]
    ) -> None:
        self._town, self._graph, self._where = town, graph, where

    def find(self, position: Position) -> Place:
        """Return a pose on the ground.

        Raises:
            SuiteError: the town has no such place, or the entity it is relative to is nowhere.
        """
        try:
            at = self._find(position)
        except ValueError as error:
            raise SuiteError(position.source, str(error)) from error
        return replace(at, z=ground_at(self._graph, at.x, at.y, at.z)[0])

    def _find(self, at: Position) -> Place:
        match at:
            case WorldPosition(place=place):
                return place
            case RelativePosition():
                return self._relative(at)
            case RoadPosition(road=road, s=s, t=t, turn=turn):
                return _turned(_left(self._waypoint(road, 0, s), t), turn)
            case LanePosition(road=road, lane=lane, s=s, offset=offset, turn=turn):
                # Offsets count along the road's t axis, our yaw is the direction of travel.
                side = -offset if lane > 0 else offset
                return _turned(_left(self._waypoint(road, lane, s), side), turn)
            case RelativeRoadPosition(entity=entity, ds=ds, dt=dt, turn=turn):
                lane, s, d, sense = self._lane_of(entity)
                lane, s = walk(self._graph, lane, s, sense * ds)
                return _turned(_left(self._on(lane, s), d + sense * dt), turn)
            case RelativeLanePosition(entity=entity, lanes=lanes, ds=ds, turn=turn):
                lane, s, _, sense = self._lane_of(entity)
                lane, s = walk(self._graph, lane, s, sense * ds)
                other = self._beside(lane, lanes)
                x, y, _, _ = pose_at(self._graph, lane, s)
                s = project(self._graph, other, x, y)[0]
                side = at.offset if self._graph.lane_id[other] < 0 else -at.offset
                return _turned(_left(self._on(other, s), side), turn)

    def _relative(self, at: RelativePosition) -> Place:
        base = self._entity(at.entity)
        yaw = base.yaw or 0.0
        axes = yaw if at.own_axes else 0.0
        cos, sin = math.cos(axes), math.sin(axes)
        x, y = base.x + at.dx * cos - at.dy * sin, base.y + at.dx * sin + at.dy * cos
        return _turned(Place(x, y, base.z + at.dz, yaw), at.turn)

    def _entity(self, name: str) -> Place:
        found = self._where(name)
        if found is None:
            raise ValueError(f"{name!r} is not in the world")
        return found

    def _lane_of(self, entity: str) -> tuple[int, float, float, float]:
        """Lane, s and d of an entity, and 1 where its lane runs as its road, else -1."""
        at = self._entity(entity)
        lane, s, d = nearest_lane(self._graph, at.x, at.y, at.yaw, z=at.z)
        if lane < 0:
            raise ValueError(f"{entity!r} is on no driving lane")
        return lane, s, d, 1.0 if self._graph.lane_id[lane] < 0 else -1.0

    def _beside(self, lane: int, lanes: int) -> int:
        graph = self._graph
        ours = int(graph.lane_id[lane])
        wanted = ours + lanes
        if ours * wanted <= 0 and lanes:  # there is no lane 0 to stand on
            wanted += 1 if lanes > 0 else -1
        same = (graph.road_id == graph.road_id[lane]) & (graph.section_id == graph.section_id[lane])
        found = np.flatnonzero(same & (graph.lane_id == wanted))
        if not len(found):
            raise ValueError(f"road {int(graph.road_id[lane])} has no lane {wanted} here")
        return int(found[0])

    def _on(self, lane: int, s: float) -> Place:
        return Place(*pose_at(self._graph, lane, s))

    def _waypoint(self, road: int, lane: int, s: float) -> Place:
        found = self._town.get_waypoint_xodr(road, lane, s)
        if found is None:
            raise ValueError(f"{self._graph.name} has no road {road} with lane {lane} at s {s:g}")
        at, turned = found.transform.location, found.transform.rotation
        return Place.from_carla(at.x, at.y, at.z, turned.yaw)


def _left(at: Place, way: float) -> Place:
    yaw = at.yaw or 0.0
    return replace(at, x=at.x - way * math.sin(yaw), y=at.y + way * math.cos(yaw))


def _turned(at: Place, turn: Turn) -> Place:
    return replace(at, yaw=turn.yaw if turn.absolute else (at.yaw or 0.0) + turn.yaw)
