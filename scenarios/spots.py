"""Places on lanes, from which scenarios say where somebody stands: so far ahead, so far beside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import same_place
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
        at = 0.5 * self.width
        for kind, width in self._outwards(side):
            if kind not in (LaneKind.DRIVING, LaneKind.PARKING):
                break
            at += width
        return side * at

    def pavement(self, side: int) -> float:
        """How far left [m] the middle of the pavement lies; 1.5 m beyond the last lane without one.

        Args:
            side: 1 for the left one, -1 for the right one.
        """
        at = 0.5 * self.width
        for kind, width in self._outwards(side):
            if kind == LaneKind.SIDEWALK:
                return side * (at + 0.5 * width)
            at += width
        return side * (at + 1.5)

    def _outwards(self, side: int) -> Iterator[tuple[LaneKind, float]]:
        """Kinds and widths [m] of the lanes beside this one, the nearest first."""
        graph, beside = self.graph, self.graph.left if side > 0 else self.graph.right
        lane = int(beside[self.lane])
        while lane >= 0:
            s = same_place(graph, self.lane, self.s, lane)
            yield LaneKind(graph.kind[lane]), float(lane_width(graph.arrays(), lane, s))
            lane = int(beside[lane])

    def _drives(self, lane: int) -> bool:
        return self.graph.kind[lane] == LaneKind.DRIVING
