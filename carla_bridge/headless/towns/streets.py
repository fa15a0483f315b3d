"""Streets that meet at any angle: named polylines between named nodes, with their cross-sections.

A street is drawn through points; it bends at those that are plain coordinates and meets others at
those that are nodes, which become junctions. How far before a node its arms end follows from the
angles between them and from how broad they are.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.opendrive import Lane, Road, Section
from carla_bridge.headless.towns.plan_view import Elevation, PlanView, Pose

GUTTER, PARKING, CYCLEWAY, SIDEWALK = 0.4, 2.2, 1.8, 2.5  # widths [m]
CLEARANCE = 4.5  # [m] between the corner of two arms and where they end: the crosswalk
MOUTH = 24.0  # [m] without parking and lane changes before a junction
NEARLY_STRAIGHT = math.radians(150.0)  # arms that are farther apart do not cut each other short
TURN_RADIUS = 7.0  # [m] of right turns, at the lane's centre

Point = tuple[float, float]


@dataclass(frozen=True)
class Profile:
    """Cross-section of a street and what drives how fast on it.

    Attributes:
        speed_kmh: limit [km/h].
        forward, backward: driving lanes along the polyline and against it.
        parking: a parking lane on the right, and on the left where traffic goes both ways.
        cycleway: one beside each sidewalk.
        sidewalk: one on each side, else a verge.
        lane: width [m] of a driving lane.
        center: marking between the directions; broken may be crossed to overtake.
        kind: OpenDRIVE's road type.
    """

    speed_kmh: int
    forward: int = 1
    backward: int = 1
    parking: bool = False
    cycleway: bool = False
    sidewalk: bool = True
    lane: float = 3.5
    center: str = "broken"
    kind: str = "town"

    @property
    def offset(self) -> float:
        """Lane offset [m] that puts the driving lanes of a one-way street on its polyline."""
        return self.lane * (self.forward - self.backward) / 2

    def half(self, count: int, open_block: bool) -> list[Lane]:
        """Lanes of one side, from the centre outwards; near junctions nobody parks or changes."""
        lanes = []
        for i in range(count):
            inside, parked = i < count - 1, self.parking and open_block
            mark = "broken" if open_block and (inside or parked) else "solid"
            lanes.append(Lane("driving", self.lane, mark=mark, change=inside and open_block))
        if self.parking and count:
            lanes.append(Lane("parking" if open_block else "shoulder", PARKING))
        else:
            lanes.append(Lane("shoulder", GUTTER if self.sidewalk else 1.0))
        if self.cycleway and count:
            lanes.append(Lane("biking", CYCLEWAY, mark="solid"))
        if self.sidewalk:
            lanes.append(Lane("sidewalk", SIDEWALK))
        return lanes

    def sections(self, length: float) -> list[Section]:
        """Lane sections of a street of this length [m] between two junctions."""
        cuts = [0.0, MOUTH, length - MOUTH] if length > 3 * MOUTH else [0.0]
        color = "yellow" if self.backward else "white"
        result = []
        for i, s in enumerate(cuts):
            center = self.center if i == 1 or " " in self.center else "solid"
            left, right = self.half(self.backward, i == 1), self.half(self.forward, i == 1)
            result.append(Section(s, left, right, Lane("none", 0.0, mark=center, color=color)))
        return result

    def reach(self, side: int) -> float:
        """How far [m] it reaches from its polyline, to the right (-1) or to the left (1)."""
        lanes = self.half(self.forward if side < 0 else self.backward, False)
        return sum(lane.width for lane in lanes) + side * self.offset


@dataclass(frozen=True)
class Control:
    """Who goes first at a node.

    Attributes:
        kind: lights, stop, yield, or none for right before left.
        minor: names of the streets that wait at signs.
    """

    kind: str = "none"
    minor: tuple[str, ...] = ()


@dataclass
class _Arm:
    node: str
    heading: float
    right: float
    left: float


class Streets:
    """Collects streets, then lays the roads and junctions.

    Args:
        town: that they belong to.
        nodes: x, y [m] of each junction by name.
        controls: by node; "none" where none is given.
        heights: z [m] by node, 0 where none is given.
        loose: nodes that the caller joins to something else; streets end right there.
    """

    def __init__(
        self, town: TownBuilder, nodes: Mapping[str, Point],
        controls: Mapping[str, Control] | None = None, heights: Mapping[str, float] | None = None,
        loose: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.town, self.nodes = town, dict(nodes)
        self.controls, self.heights = dict(controls or {}), dict(heights or {})
        self.loose = frozenset(loose)
        self.ends: dict[str, list[End]] = {name: [] for name in nodes}
        self._arms: dict[str, list[_Arm]] = {name: [] for name in nodes}
        self._edges: list[tuple[str, Profile, list[Point], _Arm, _Arm, float]] = []

    def street(
        self, name: str, profile: Profile, way: Sequence[str | Point], bend: float = 40.0
    ) -> None:
        """Plan a street.

        Args:
            name: of the street.
            profile: its cross-section.
            way: names of nodes and x, y [m] of bends, beginning and ending with a node.
            bend: [m] radius of the bends.
        """
        stops = [i for i, point in enumerate(way) if isinstance(point, str)]
        for i, j in pairwise(stops):
            points = [self.nodes[p] if isinstance(p, str) else p for p in way[i : j + 1]]
            arms = []
            for node, (a, b), flip in (
                (way[i], points[:2], 1), (way[j], points[:-3:-1], -1),
            ):  # fmt: skip
                heading = math.atan2(b[1] - a[1], b[0] - a[0])
                arm = _Arm(str(node), heading, profile.reach(-flip), profile.reach(flip))
                self._arms[arm.node].append(arm)
                arms.append(arm)
            self._edges.append((name, profile, points, arms[0], arms[1], bend))

    def build(self) -> None:
        """Lay all roads, cut back to make room for the junctions, then the junctions."""
        for name, profile, points, first, last, bend in self._edges:
            plan = rounded(points, self._cut(first), self._cut(last), bend)
            road = self._road(name, profile, plan, first.node, last.node)
            for arm, at in ((first, "start"), (last, "end")):
                end = End(road, at)
                self.ends[arm.node].append(end)
                if end.lanes(False) and road.length > 60.0 and profile.speed_kmh >= 30:
                    self.town.speed_sign(end, profile.speed_kmh)
        for node, ends in self.ends.items():
            if node in self.loose:
                continue
            ends.sort(key=lambda end: end.out.reversed().heading % (2 * math.pi))
            control = self.controls.get(node, Control())
            minor = [end for end in ends if end.road.name in control.minor and end.lanes(True)]
            self.town.crossing(
                ends, control.kind, minor, radius=TURN_RADIUS,
                pockets=control.kind == "lights",
            )  # fmt: skip

    def _road(self, name: str, profile: Profile, plan: PlanView, start: str, goal: str) -> Road:
        low, high = self.heights.get(start, 0.0), self.heights.get(goal, 0.0)
        elevation = Elevation.through([(0.0, low, 0.0), (plan.length, high, 0.0)])
        return self.town.road(
            plan, profile.sections(plan.length), profile.speed_kmh, profile.kind,
            elevation=elevation, offset=profile.offset, name=name,
        )  # fmt: skip

    def _cut(self, arm: _Arm) -> float:
        """How far [m] before its node an arm ends: beyond its neighbours' edges."""
        if arm.node in self.loose:
            return 0.0
        longest = 0.0
        for other in self._arms[arm.node]:
            for sign in (1, -1):  # its neighbour to the left, to the right
                angle = sign * (other.heading - arm.heading) % (2 * math.pi)
                if other is arm or not 0.0 < angle < NEARLY_STRAIGHT:
                    continue
                own, its = (arm.left, other.right) if sign > 0 else (arm.right, other.left)
                longest = max(longest, (its + own * math.cos(angle)) / math.sin(angle))
        return longest + CLEARANCE


def rounded(points: Sequence[Point], at_start: float, at_end: float, radius: float) -> PlanView:
    """A polyline with rounded corners, cut short [m] at both ends.

    Raises:
        ValueError: there is no room for a corner.
    """
    headings = [math.atan2(b[1] - a[1], b[0] - a[0]) for a, b in pairwise(points)]
    lengths = [math.dist(a, b) for a, b in pairwise(points)]
    plan = PlanView(Pose(*points[0], headings[0]).ahead(at_start))
    turns = [(b - a + math.pi) % (2 * math.pi) - math.pi for a, b in pairwise(headings)]
    tangents = [0.0, *(radius * math.tan(abs(turn) / 2) for turn in turns), 0.0]
    for i, length in enumerate(lengths):
        straight = length - tangents[i] - tangents[i + 1]
        straight -= (at_start if i == 0 else 0.0) + (at_end if i == len(lengths) - 1 else 0.0)
        if straight < 0.0:
            raise ValueError(
                f"from {points[i]} to {points[i + 1]} there is no room for bends of {radius} m: "
                f"{-straight:.1f} m are missing"
            )
        plan.line(straight)
        if i < len(turns):
            plan.arc(radius, turns[i])
    return plan
