"""The town `ring`: a motorway, a country road over hills and a roundabout, joined into a ring.

The motorway (two lanes each way) comes from the country road in the west, goes around the north
and becomes the country road again in the east. In its north an exit and an entry lead inwards to a
link road that ends at the roundabout; outside lies a service area, with an exit and an entry of
its own. In the south the country road climbs and falls, and meets the roundabout; a side road
leaves the roundabout southwards and comes back to the country road with a yield sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from carla_bridge.headless.towns.builder import YIELD, End, TownBuilder
from carla_bridge.headless.towns.motorways import SLOWLY, TAPER, VERGE, Motorway
from carla_bridge.headless.towns.opendrive import Lane, Road, Section
from carla_bridge.headless.towns.plan_view import Elevation, PlanView, Pose

SLOW, WALK = 3.5, 2.0  # widths [m]
COUNTRY, VILLAGE = 70, 50  # [km/h]
QUARTER = math.pi / 2
NORTH_Y, EAST_X = 330.0, 720.0
BEND = 260.0  # [m] radius of the motorway's bends
RADIUS, RING_LANE = 22.0, 4.5  # [m] of the roundabout's circle, at the lane's centre
ARM, SPREAD = 38.0, math.radians(36.0)  # where arms end [m], and how far they reach around [rad]
HUB, HUB_HEIGHT = Pose(0.0, -230.0, 0.0), 3.0  # the roundabout's centre


def country(village: bool = False) -> Section:
    """One lane each way between verges, in the village with sidewalks."""
    center = Lane("none", 0.0, mark="solid" if village else "broken", color="yellow")

    def half() -> list[Lane]:
        lanes = [Lane("driving", SLOW, mark="solid"), Lane("shoulder", VERGE)]
        return [*lanes, Lane("sidewalk", WALK)] if village else lanes

    return Section(0.0, half(), half(), center)


PLACES = (
    ("station", "Hill Halt", -330.0, -370.0),
    ("bus_stop", "Roundabout East", 100.0, -240.0),
    ("bus_stop", "Valley Loop", 150.0, -390.0),
    ("bus_stop", "Link Road", -8.0, 0.0),
    ("shop", "Service Area North", 0.0, 410.0),
    ("shop", "Village Store", 230.0, -290.0),
)


class _Ring:
    """The town while it grows; each method adds one part and returns the ends that others need."""

    def __init__(self) -> None:
        self.town = TownBuilder("ring", (47.4, 10.9))
        self.motorway = Motorway(self.town, "Ring Motorway", 2)

    # --- motorway ---------------------------------------------------------------------------

    def build_motorway(self) -> tuple[End, End]:
        """All stretches and ramps; returns its west end and its east end."""
        # lengths of the straight pieces in the north; the ones with three lanes are where one
        # changes between motorway and ramp
        lengths = [10.0, 200.0, 220.0, 200.0, 10.0]
        assert sum(lengths) + 4 * TAPER == 2 * (EAST_X - BEND)
        west = Pose(-EAST_X, NORTH_Y - BEND - 100.0, QUARTER)
        self.terminal = Pose(HUB.x, 130.0, -QUARTER)  # where the link road begins, looking south
        access = (self.terminal, "Link Road", "Service Area North")
        stretches, (self.inner,) = self.motorway.lay(west, lengths, BEND, [access])
        return End(stretches[0], "start"), End(stretches[-1], "end")

    # --- country roads ----------------------------------------------------------------------

    def two_way(self, name: str, plan: PlanView,
                heights: Sequence[tuple[float, float, float]] = (),
                speed: int = COUNTRY) -> Road:  # fmt: skip
        """A road of one lane each way; heights as (share of its length, z [m], slope)."""
        nodes = [(share * plan.length, z, slope) for share, z, slope in heights]
        elevation = Elevation.through(nodes) if nodes else None
        road = self.town.road(
            plan, [country(speed <= VILLAGE)], speed, "rural", elevation=elevation, name=name
        )
        for at in ("start", "end"):
            self.town.speed_sign(End(road, at), speed, 30.0)
        return road

    def narrowing(self, wide: End, narrow: End) -> None:
        """Join the motorway's end to the country road: two lanes become one, one becomes two."""
        junction = self.town.junction([wide, narrow])
        (coming,), (going,) = narrow.lanes(True), narrow.lanes(False)
        for lane in wide.lanes(False):
            self.town.connect(junction, narrow, coming, wide, lane, smooth=True)
        fast, slow = wide.lanes(True)
        self.town.connect(junction, wide, fast, narrow, going, smooth=True)
        self.town.connect(junction, wide, slow, narrow, going, smooth=True)
        self.town.sign(wide, YIELD, [slow])

    def roundabout(self, arms: Sequence[End]) -> None:
        """A circle around `HUB`, counter-clockwise, with these arms in that order.

        Every arm has a small junction of its own; between them lie pieces of the circle.
        """
        angles = [math.atan2(e.out.y - HUB.y, e.out.x - HUB.x) for e in arms]
        pieces = []
        for angle, following in zip(angles, [*angles[1:], angles[0]], strict=True):
            start = angle + SPREAD
            span = (following - SPREAD - start) % (2 * math.pi)
            x, y = HUB.x + RADIUS * math.cos(start), HUB.y + RADIUS * math.sin(start)
            plan = PlanView(Pose(x, y, start + QUARTER)).arc(RADIUS, span)
            section = Section(0.0, [], [Lane("driving", RING_LANE, mark="solid")])
            level = Elevation(((0.0, HUB_HEIGHT, 0.0, 0.0, 0.0),))
            pieces.append(
                self.town.road(
                    plan,
                    [section],
                    SLOWLY,
                    elevation=level,
                    offset=RING_LANE / 2,
                    name="Roundabout",
                )
            )
        for i, arm in enumerate(arms):
            before, after = End(pieces[i - 1], "end"), End(pieces[i], "start")
            junction = self.town.junction([before, after, arm])
            self.town.connect(junction, before, -1, after, -1, radius=RADIUS)
            self.town.connect(junction, before, -1, arm, arm.lanes(False)[0], radius=25.0)
            self.town.connect(junction, arm, arm.lanes(True)[0], after, -1, radius=25.0)
            self.town.sign(arm, YIELD)
            self.town.crosswalk(arm, -9.0, -6.0)

    def build(self) -> str:
        """Draw everything."""
        west, east = self.build_motorway()
        arm_east, arm_north, arm_west, arm_south = (
            Pose(HUB.x + ARM * math.cos(a), HUB.y + ARM * math.sin(a), a)
            for a in (0.0, QUARTER, math.pi, -QUARTER)
        )
        # west: from the motorway down to the roundabout, over a hill
        start = west.out.ahead(TAPER)
        plan = PlanView(start).line(30.0).arc(150.0, QUARTER)
        plan.cubic_to(Pose(-330.0, -330.0, 0.0)).line(40.0)
        plan.cubic_to(arm_west.reversed().ahead(-60.0)).line(60.0)
        hill = [
            (0.0, 0.0, 0.0),
            (0.3, 9.0, 0.05),
            (0.5, 14.0, 0.0),
            (0.75, 6.5, -0.04),
            (1.0, 3.0, 0.0),
        ]
        western = self.two_way("Hill Road", plan, hill)
        self.narrowing(west, End(western, "start"))
        # east: from the roundabout to a T-junction, then up to the motorway
        tee = Pose(330.0, -300.0, 0.0)
        plan = PlanView(arm_east).line(60.0).cubic_to(tee.ahead(-80.0)).line(60.0)
        middle = self.two_way(
            "Village Street",
            plan,
            [(0.0, 3.0, 0.0), (0.5, -2.0, 0.0), (0.9, 4.0, 0.02), (1.0, 4.5, 0.0)],
            VILLAGE,
        )
        plan = PlanView(tee.ahead(20.0)).line(80.0)
        gate = self.two_way("Gate Street", plan, [(0.0, 4.5, 0.0), (1.0, 5.5, 0.02)], VILLAGE)
        plan = PlanView(plan.end)
        goal = east.out.ahead(TAPER).reversed()
        plan.line(20.0).cubic_to(goal.ahead(-30.0), 1.2).line(30.0)
        eastern = self.two_way(
            "Eastern Road", plan,
            [(0.0, 5.5, 0.02), (0.3, 12.0, 0.03), (0.45, 13.0, -0.03), (1.0, 0.0, 0.0)],
        )  # fmt: skip
        self.town.join(End(gate, "end"), End(eastern, "start"))
        self.narrowing(east, End(eastern, "end"))
        # south: a loop from the roundabout to the T-junction
        plan = PlanView(arm_south).line(40.0).arc(110.0, QUARTER)
        rest = tee.ahead(0.0, -20.0)
        plan.cubic_to(Pose(rest.x, rest.y, QUARTER).ahead(-40.0), 1.2).line(40.0)
        southern = self.two_way(
            "Valley Loop", plan, [(0.0, 3.0, 0.0), (0.5, 8.0, 0.0), (1.0, 4.5, 0.0)], VILLAGE
        )
        arms = [End(gate, "start"), End(middle, "end"), End(southern, "end")]
        self.town.crossing(arms, "yield", [arms[2]], radius=10.0)
        # north: the link road from the ramps
        plan = PlanView(self.terminal).line(self.terminal.y - arm_north.y)
        link = self.two_way(
            "Link Road", plan, [(0.0, 0.0, 0.0), (0.5, 6.0, 0.01), (1.0, 3.0, 0.0)], VILLAGE
        )
        self.motorway.head(End(link, "start"), *self.inner)
        self.roundabout(
            [End(middle, "start"), End(link, "end"), End(western, "end"), End(southern, "start")]
        )
        for place in PLACES:
            self.town.place(*place)
        return self.town.xml()


@lru_cache(maxsize=1)
def ring() -> str:
    """OpenDRIVE of the town `ring`."""
    return _Ring().build()
