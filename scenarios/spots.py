"""Places on lanes, from which scenarios say where somebody stands: so far ahead, so far beside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from headway.frames import wrap_angle
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.line import LanePiece, lay_route, same_place
from headway.road.queries import lane_width, nearest_lane, pose_at, project
from headway.road.route import Route
from headway.road.routing import plan_route
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
        return Spot.within(graph, lane, s)

    @staticmethod
    def within(graph: LaneGraph, lane: int, s: float) -> Spot:
        """The place at `s` [m]; projections may lie a little beyond a lane's end."""
        return Spot(graph, lane, min(s, float(graph.length[lane])))

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

    def onward(self, distance: float) -> Spot:
        """So far on along the lanes, straight on at each fork, through junctions as well."""
        spot, left = self, distance
        while spot.s + left > (length := float(self.graph.length[spot.lane])):
            lane = straight_on(self.graph, spot.lane)
            if lane < 0:
                return Spot(self.graph, spot.lane, length)
            left -= length - spot.s
            spot = Spot(self.graph, lane, 0.0)
        return Spot(self.graph, spot.lane, spot.s + left)

    def back(self, distance: float) -> Spot:
        """So far back along the lanes, but not into a junction."""
        lane, s = self.lane, self.s - distance
        while s < 0.0:
            before = [p for p in map(int, self.graph.predecessors(lane)) if self._drives(p)]
            if not before or self.graph.junction[before[0]] >= 0:
                return Spot(self.graph, lane, 0.0)
            lane = before[0]
            s += float(self.graph.length[lane])
        return Spot(self.graph, lane, s)

    def line(self, length: float) -> Route:
        """The line from here on along the lanes, straight on at each fork."""
        pieces, spot, left = [], self, length
        while left > 0.0 and spot.lane >= 0:
            end = min(spot.s + left, float(self.graph.length[spot.lane]))
            pieces.append(LanePiece(spot.lane, spot.s, end))
            left -= end - spot.s
            spot = Spot(self.graph, straight_on(self.graph, spot.lane), 0.0)
        return lay_route(self.graph, pieces)

    def next_lane(self, side: int) -> Spot:
        """The place abreast in the driving lane of this direction beside this one.

        Args:
            side: 1 for the left one, -1 for the right one.

        Raises:
            ValueError: there is none.
        """
        lane = int((self.graph.left if side > 0 else self.graph.right)[self.lane])
        if lane < 0 or not self._drives(lane):
            where = "left" if side > 0 else "right"
            raise ValueError(f"{self._words} has no driving lane on its {where}")
        return Spot.within(self.graph, lane, same_place(self.graph, self.lane, self.s, lane))

    def across(self, side: int) -> float:
        """How far left [m] the middle of the lane beside this one lies.

        Args:
            side: 1 for the left one, -1 for the right one.

        Raises:
            ValueError: there is none.
        """
        return side * 0.5 * (self.width + self.next_lane(side).width)

    def oncoming(self) -> Spot:
        """The place abreast in the innermost lane of the other direction.

        Raises:
            ValueError: it is a one-way road.
        """
        lane = self.lane
        while (left := int(self.graph.left[lane])) >= 0:
            lane = left
        other = int(self.graph.opposite[lane])
        if other < 0 or not self._drives(other):
            raise ValueError(f"{self._words} has no oncoming lane")
        x, y, _, _ = pose_at(self.graph, self.lane, self.s)
        return Spot.within(self.graph, other, project(self.graph, other, x, y)[0])

    def left_lane(self) -> Spot:
        """The place abreast in the lane on the left, whichever way that one goes.

        Raises:
            ValueError: there is none.
        """
        left = int(self.graph.left[self.lane])
        return self.next_lane(1) if left >= 0 and self._drives(left) else self.oncoming()

    def siblings(self) -> list[Spot]:
        """The places abreast in the driving lanes of this direction, leftmost first."""
        spot, found = self, []
        while (left := int(self.graph.left[spot.lane])) >= 0 and self._drives(left):
            spot = spot.next_lane(1)
        found.append(spot)
        while (right := int(self.graph.right[spot.lane])) >= 0 and self._drives(right):
            found.append(spot := spot.next_lane(-1))
        return found

    def beside(self, left: float, turn: float = 0.0, along: float = 0.0) -> Place:
        """A pose `left` [m] of the centre line, turned by `turn` [rad], `along` [m] on."""
        x, y, z, yaw = pose_at(self.graph, self.lane, self.s)
        cos, sin = math.cos(yaw), math.sin(yaw)
        return Place(x + along * cos - left * sin, y + along * sin + left * cos, z, yaw + turn)

    def parked(self, side: int, half_width: float, outwards: float) -> Place:
        """Where a car stands in the lane beside this one, whatever lane that is.

        Args:
            side: 1 for the left one, -1 for the right one.
            half_width: [m] of the car.
            outwards: share of the lane's spare width by which it is moved from its middle, away
                from this lane.

        Raises:
            ValueError: no lane is there.
        """
        beside = next(self._outwards(side), None)
        if beside is None:
            raise ValueError(f"{self._words} has no lane beside it to park on")
        spare = beside[1] - half_width
        return self.beside(side * (0.5 * self.width + 0.5 * beside[1] + outwards * spare))

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

    @property
    def _words(self) -> str:
        x, y, _, _ = pose_at(self.graph, self.lane, self.s)
        return f"{self.graph.name}: the lane at x {x:.1f}, y {y:.1f}"

    def _drives(self, lane: int) -> bool:
        return self.graph.kind[lane] == LaneKind.DRIVING


def line_between(source: Spot, sink: Spot) -> Route:
    """The line from one place to another, lane changes included."""
    return plan_route(source.graph, source.lane, source.s, sink.lane, sink.s)


def first_junction(graph: LaneGraph, line: Route, row: int = 0) -> tuple[int, int] | None:
    """The first junction on a line from a row on, None where it leads through none.

    Returns:
        The junction's first row and the first one behind it, the line's last where it ends there.
    """
    inside = graph.junction[line.lane[row:]] >= 0
    if not inside.any():
        return None
    begin = int(inside.argmax())
    behind = ~inside[begin:]
    end = begin + int(behind.argmax()) if behind.any() else len(inside) - 1
    return row + begin, row + end


def straight_on(graph: LaneGraph, lane: int) -> int:
    """The lane of its kind that follows with the least bend, -1 where none follows."""
    follow = [n for n in map(int, graph.successors(lane)) if graph.kind[n] == graph.kind[lane]]
    return min(follow, key=lambda n: abs(bend(graph, n)), default=-1)


def bend(graph: LaneGraph, lane: int) -> float:
    """[rad] by which a lane turns from its beginning to its end, left positive."""
    first, last = graph.point_start[lane], graph.point_start[lane + 1] - 1
    return wrap_angle(float(graph.yaw[last] - graph.yaw[first]))
