"""The town `grid`: avenues, streets with parking, lights, stop and yield signs, crosswalks.

A perimeter avenue of 1.24 km x 0.82 km, two avenues across it, streets between them. Nothing
ends: whoever leaves a street meets the perimeter and comes back.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.opendrive import Lane, Section
from carla_bridge.headless.towns.plan_view import PlanView, Pose

LANE, PARKING, GUTTER, SIDEWALK = 3.5, 2.2, 0.4, 2.5  # widths [m]
CORNER = 80.0  # [m] radius of the perimeter's corners
CLEARANCE = 4.5  # [m] between a crossing road's sidewalk and the end of an arm: the crosswalk
MOUTH = 24.0  # [m] without parking and lane changes before a crossing
EAST, NORTH, WEST, SOUTH = 0.0, math.pi / 2, math.pi, -math.pi / 2
Node = tuple[float, float]
HALF_WIDTH = {
    "avenue": 2 * LANE + GUTTER + SIDEWALK,
    "street": LANE + PARKING + SIDEWALK,
}

XS, YS = (-620.0, -390.0, -130.0, 140.0, 400.0, 620.0), (-410.0, -150.0, 130.0, 410.0)
AVENUE_X, AVENUE_Y = 140.0, 130.0
MIDDLE = (5.0, 270.0)  # a short street between two others, and where it crosses a third
ALONG_X = {-410.0: "Southern Avenue", -150.0: "Mill Street", 130.0: "Market Avenue",
           270.0: "Baker Street", 410.0: "Northern Avenue"}  # fmt: skip
ALONG_Y = {-620.0: "Western Avenue", -390.0: "School Street", -130.0: "Church Street",
           140.0: "Station Avenue", 400.0: "Garden Street", 620.0: "Eastern Avenue"}  # fmt: skip
PLACES = (
    ("station", "Grid Central Station", 170.0, 300.0),
    ("bus_stop", "Market Square", 40.0, 120.0),
    ("bus_stop", "Old Mill", -250.0, -160.0),
    ("bus_stop", "School", -380.0, 0.0),
    ("bus_stop", "Garden Street South", 410.0, -280.0),
    ("shop", "Corner Bakery", 0.0, 285.0),
    ("shop", "Mill Street Books", 270.0, -140.0),
    ("shop", "Church Street Pharmacy", -145.0, -20.0),
)

# node -> (control, arms that wait: the headings in which one drives out of the crossing)
CONTROL = {
    (140.0, 130.0): ("lights", ()),
    (-130.0, 130.0): ("lights", ()),
    (400.0, 130.0): ("lights", ()),
    (-390.0, 130.0): ("yield", (NORTH, SOUTH)),
    (140.0, -150.0): ("lights", ()),
    (-130.0, -150.0): ("stop", (NORTH, SOUTH)),
    (-390.0, -150.0): ("none", ()),
    (400.0, -150.0): ("stop", (EAST, WEST)),
    (-620.0, 130.0): ("lights", ()),
    (620.0, 130.0): ("lights", ()),
    (140.0, 410.0): ("lights", ()),
    (140.0, -410.0): ("lights", ()),
    (-130.0, 270.0): ("yield", (EAST,)),
    (140.0, 270.0): ("stop", (WEST,)),
}


def profile(kind: str, length: float) -> list[Section]:
    """Lane sections of an avenue (two lanes each way) or a street (one, and parking)."""

    def half(open_block: bool) -> list[Lane]:
        if kind == "avenue":
            divider = "broken" if open_block else "solid"
            return [
                Lane("driving", LANE, mark=divider, change=open_block),
                Lane("driving", LANE, mark="solid"),
                Lane("shoulder", GUTTER),
                Lane("sidewalk", SIDEWALK),
            ]
        edge = Lane("parking" if open_block else "shoulder", PARKING, mark="none")
        return [Lane("driving", LANE, mark="broken" if open_block else "solid"), edge,
                Lane("sidewalk", SIDEWALK)]  # fmt: skip

    center = "solid solid" if kind == "avenue" else "broken"
    cuts = [0.0, MOUTH, length - MOUTH] if length > 3 * MOUTH else [0.0]
    return [
        Section(s, half(i == 1), half(i == 1), Lane("none", 0.0, mark=center, color="yellow"))
        for i, s in enumerate(cuts)
    ]


class _Grid:
    """Draws the roads between named points and remembers which arms meet where."""

    def __init__(self) -> None:
        self.town = TownBuilder("grid", (48.1, 11.5))
        self.arms: dict[Node, dict[float, End]] = {}
        self.kinds: dict[Node, dict[float, str]] = {}
        self.edges: list[tuple[PlanView, str, Node, Node, int]] = []

    def edge(
        self, kind: str, start: Node, heading: float, goal: Node, speed: int, *, bend: float = 0.0
    ) -> None:
        """Plan a road from point to point; `bend` [m] pushes its middle aside to the left."""
        self._note(start, heading, kind)
        arrival = PlanView(Pose(*start, heading))
        distance = math.hypot(goal[0] - start[0], goal[1] - start[1])
        if bend:
            arrival.line(distance * 0.2)
            for side in (bend, -bend):
                arrival.cubic_to(arrival.end.ahead(distance * 0.3, side))
        arrival.line(distance - Pose(*start, heading).local(arrival.end)[0])
        self._note(goal, arrival.end.reversed().heading, kind)
        self.edges.append((arrival, kind, start, goal, speed))

    def around(self, start: Node, heading: float, goal: Node, speed: int) -> None:
        """Plan a perimeter road that turns left around a corner."""
        self._note(start, heading, "avenue")
        forward, left = Pose(*start, heading).local(Pose(*goal, 0.0))
        plan = PlanView(Pose(*start, heading)).line(forward - CORNER)
        plan.arc(CORNER, math.pi / 2).line(left - CORNER)
        self._note(goal, plan.end.reversed().heading, "avenue")
        self.edges.append((plan, "avenue", start, goal, speed))

    def _note(self, node: Node, heading: float, kind: str) -> None:
        self.kinds.setdefault(node, {})[_compass(heading)] = kind

    def build(self) -> str:
        """Draw all roads, cut back to make room for the crossings, then the crossings."""
        for plan, kind, start, goal, speed in self.edges:
            cut = [self._cut(start, plan.start.heading),
                   self._cut(goal, plan.end.reversed().heading)]  # fmt: skip
            short = trimmed(plan, *cut)
            along_x = abs(math.cos(plan.start.heading)) > 0.5
            name = ALONG_X[start[1]] if along_x else ALONG_Y[start[0]]
            road = self.town.road(short, profile(kind, short.length), speed, name=name)
            for node, at in ((start, "start"), (goal, "end")):
                end = End(road, at)
                self.arms.setdefault(node, {})[_compass(end.out.reversed().heading)] = end
                self.town.speed_sign(end, speed)
        for node in sorted(self.arms):
            arms = self.arms[node]
            ends = [arms[heading] for heading in sorted(arms)]
            default = ("yield", tuple(h for h in arms if _compass(h + math.pi) not in arms))
            control, waiting = CONTROL.get(node, default)
            minor = [arms[_compass(h)] for h in waiting]
            self.town.crossing(ends, control, minor, radius=7.0)
        for place in PLACES:
            self.town.place(*place)
        return self.town.xml()

    def _cut(self, node: Node, heading: float) -> float:
        """How far [m] before a node an arm ends: beyond the roads that cross it there."""
        across = [HALF_WIDTH[kind] for other, kind in self.kinds[node].items()
                  if abs(math.sin(other - heading)) > 0.5]  # fmt: skip
        return max(across) + CLEARANCE


def _compass(heading: float) -> float:
    """Heading [rad] rounded to one of the four directions, in [0, 2 pi)."""
    return round(heading / (math.pi / 2)) % 4 * (math.pi / 2)


def trimmed(plan: PlanView, at_start: float, at_end: float) -> PlanView:
    """A copy of `plan` shortened [m] at both ends, which have to be lines."""
    first, last = plan.elements[0], plan.elements[-1]
    if first.cubic or first.curvature or last.cubic or last.curvature:
        raise ValueError("plan: only lines can be trimmed")
    result = PlanView(plan.start.ahead(at_start))
    for element in plan.elements:
        if element is first or element is last:
            cut = (at_start if element is first else 0.0) + (at_end if element is last else 0.0)
            result.line(element.length - cut)
        elif element.cubic:
            result.cubic_to(element.at(element.length))
        else:
            result.arc(1.0 / abs(element.curvature), element.curvature * element.length)
    return result


@lru_cache(maxsize=1)
def grid() -> str:
    """OpenDRIVE of the town `grid`."""
    plan = _Grid()
    west, east, south, north = XS[0], XS[-1], YS[0], YS[-1]
    for y, heading, xs in ((south, EAST, XS[1:-1]), (north, WEST, XS[-2:0:-1])):
        for x, following in pairwise(xs):
            plan.edge("avenue", (x, y), heading, (following, y), 60)
    for x, heading, ys in ((east, NORTH, YS[1:-1]), (west, SOUTH, YS[-2:0:-1])):
        for y, following in pairwise(ys):
            plan.edge("avenue", (x, y), heading, (x, following), 60)
    plan.around((XS[-2], south), EAST, (east, YS[1]), 60)
    plan.around((east, YS[-2]), NORTH, (XS[-2], north), 60)
    plan.around((XS[1], north), WEST, (west, YS[-2]), 60)
    plan.around((west, YS[1]), SOUTH, (XS[1], south), 60)
    for y in YS[1:-1]:
        kind, speed = ("avenue", 50) if y == AVENUE_Y else ("street", 40)
        for x, following in pairwise(XS):
            plan.edge(kind, (x, y), EAST, (following, y), speed)
    for x in XS[1:-1]:
        kind, speed = ("avenue", 50) if x == AVENUE_X else ("street", 30)
        stops = [y for y in (*YS[:3], MIDDLE[1], YS[3]) if y != MIDDLE[1] or x in XS[2:4]]
        for y, following in pairwise(stops):
            bend = {(-390.0, -150.0): 22.0, (400.0, 130.0): -22.0}.get((x, y), 0.0)
            plan.edge(kind, (x, y), NORTH, (x, following), speed, bend=bend)
    plan.edge("street", (XS[2], MIDDLE[1]), EAST, (XS[3], MIDDLE[1]), 30)
    return plan.build()
