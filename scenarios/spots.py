"""Places on lanes, from which scenarios say where somebody stands: so far ahead, so far beside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.queries import lane_width, nearest_lane, pose_at
from scenarios.suites.spec import Place


@dataclass(frozen=True)
class Spot:
    """A place on a lane's centre line.

    Attributes:
        graph: the town.
        lane: index.
        s: [m] on it.
    """

    graph: LaneGraph
    lane: int
    s: float

    @staticmethod
    def near(graph: LaneGraph, place: Place) -> Spot:
        """The place of the driving lane that a pose of the map belongs to.

        Raises:
            ValueError: no driving lane is near.
        """
        lane, s, _ = nearest_lane(graph, place.x, place.y, place.yaw, z=place.z)
        if lane < 0:
            raise ValueError(f"{graph.name}: no driving lane near x {place.x:.1f}, y {place.y:.1f}")
        return Spot(graph, lane, s)

    @property
    def width(self) -> float:
        """[m] of the lane here."""
        return float(lane_width(self.graph.arrays(), self.lane, self.s))

    @property
    def yaw(self) -> float:
        """[rad] of the lane here, map frame."""
        return pose_at(self.graph, self.lane, self.s)[3]

    def ahead(self, distance: float) -> Spot:
        """So far on along the lanes, the first way at each fork, but not into a junction."""
        lane, s = self.lane, self.s + distance
        while s > self.graph.length[lane]:
            onward = [n for n in map(int, self.graph.successors(lane)) if self._drives(n)]
            if not onward or self.graph.junction[onward[0]] >= 0:
                return Spot(self.graph, lane, float(self.graph.length[lane]))
            s -= float(self.graph.length[lane])
            lane = onward[0]
        return Spot(self.graph, lane, max(s, 0.0))

    def beside(self, left: float, turn: float = 0.0, along: float = 0.0) -> Place:
        """A pose `left` [m] of the centre line, turned by `turn` [rad], `along` [m] on."""
        x, y, z, yaw = pose_at(self.graph, self.lane, self.s)
        cos, sin = math.cos(yaw), math.sin(yaw)
        return Place(x + along * cos - left * sin, y + along * sin + left * cos, z, yaw + turn)

    def edge(self, side: int) -> float:
        """How far left [m] the outer edge of the lanes of this direction lies, parking included.

        Args:
            side: 1 for the left edge, -1 for the right one.
        """
        graph, at = self.graph, side * 0.5 * self.width
        lane = self.lane
        while True:
            lane = int((graph.left if side > 0 else graph.right)[lane])
            if lane < 0 or graph.kind[lane] not in (LaneKind.DRIVING, LaneKind.PARKING):
                return at
            share = np.clip(self.s / graph.length[self.lane], 0.0, 1.0)
            at += side * float(lane_width(graph.arrays(), lane, share * graph.length[lane]))

    def pavement(self, side: int) -> float:
        """How far left [m] the middle of the pavement lies; 1.5 m beyond the last lane without one.

        Args:
            side: 1 for the left one, -1 for the right one.
        """
        graph, at, lane = self.graph, side * 0.5 * self.width, self.lane
        share = np.clip(self.s / graph.length[lane], 0.0, 1.0)
        while True:
            lane = int((graph.left if side > 0 else graph.right)[lane])
            if lane < 0:
                return at + side * 1.5
            width = float(lane_width(graph.arrays(), lane, share * graph.length[lane]))
            if graph.kind[lane] == LaneKind.SIDEWALK:
                return at + side * 0.5 * width
            at += side * width

    def _drives(self, lane: int) -> bool:
        return self.graph.kind[lane] == LaneKind.DRIVING
