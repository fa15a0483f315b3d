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
from carla_bridge.headless.towns.opendrive import Lane, Road, Section
from carla_bridge.headless.towns.plan_view import Elevation, PlanView, Pose

FAST, SLOW, INNER, OUTER, VERGE, WALK = 3.6, 3.5, 1.0, 2.5, 1.0, 2.0  # widths [m]
RAMP = 4.0  # [m] lane of a ramp
MOTORWAY, RAMP_SPEED, COUNTRY, SERVICE, VILLAGE, SLOWLY = 90, 60, 70, 30, 50, 40  # [km/h]
QUARTER = math.pi / 2
NORTH_Y, EAST_X = 330.0, 720.0
BEND = 260.0  # [m] radius of the motorway's bends
TAPER = 70.0  # [m] over which lanes open and close
RADIUS, RING_LANE = 22.0, 4.5  # [m] of the roundabout's circle, at the lane's centre
ARM, SPREAD = 38.0, math.radians(36.0)  # where arms end [m], and how far they reach around [rad]
HUB, HUB_HEIGHT = Pose(0.0, -230.0, 0.0), 3.0  # the roundabout's centre


def motorway(right: int = 2, left: int = 2) -> Section:
    """Two carriageways; lanes 1 and -1 are the inner shoulders."""

    def half(count: int) -> list[Lane]:
        lanes = [Lane("shoulder", INNER, mark="solid", color="yellow")]
        for i in range(count):
            inside = i < count - 1
            lanes.append(Lane("driving", FAST, mark="broken" if inside else "solid", change=inside))
        return [*lanes, Lane("shoulder", OUTER)]

    return Section(0.0, half(left), half(right), Lane("none", 0.0, mark="solid", color="yellow"))


def country(village: bool = False) -> Section:
    """One lane each way between verges, in the village with sidewalks."""
    center = Lane("none", 0.0, mark="solid" if village else "broken", color="yellow")

    def half() -> list[Lane]:
        lanes = [Lane("driving", SLOW, mark="solid"), Lane("shoulder", VERGE)]
        return [*lanes, Lane("sidewalk", WALK)] if village else lanes

    return Section(0.0, half(), half(), center)


def one_way(width: float, parking: bool = False) -> Section:
    """One lane, with parking beside it where wished."""
    side = Lane("parking", 2.5) if parking else Lane("shoulder", VERGE)
    return Section(0.0, [], [Lane("driving", width, mark="solid"), side])


class _Ring:
    """The town while it grows; each method adds one part and returns the ends that others need."""

    def __init__(self) -> None:
        self.town = TownBuilder("ring", (47.4, 10.9))

    # --- motorway ---------------------------------------------------------------------------

    def stretch(self, plan: PlanView, right: int = 2, left: int = 2) -> Road:
        """One piece of the motorway, `right` and `left` lanes wide."""
        return self.town.road(plan, [motorway(right, left)], MOTORWAY, "motorway")

    def gore(
        self, one: Road, other: Road, exits: Sequence[tuple[End, int]] = (),
        entries: Sequence[tuple[End, int]] = (),
    ) -> None:  # fmt: skip
        """Join two stretches by a junction in which lanes open, close, leave or enter.

        Args:
            one: stretch whose end touches it.
            other: stretch whose start touches it.
            exits: ramp that begins here, and the motorway lane that leads there.
            entries: ramp that ends here, and the motorway lane that takes it.
        """
        before, after = End(one, "end"), End(other, "start")
        ramps = [end for end, _ in (*exits, *entries)]
        junction = self.town.junction([before, after, *ramps])
        gone = {lane for _, lane in exits}
        for start, goal in ((before, after), (after, before)):
            origins = [i for i in start.lanes(True) if i not in gone]
            targets = goal.lanes(False)
            for i, origin in enumerate(origins):
                if i < len(targets):
                    self.town.connect(junction, start, origin, goal, targets[i], smooth=True)
                else:  # this lane ends: it has to merge
                    self.town.connect(junction, start, origin, goal, targets[-1], smooth=True)
                    self.town.sign(start, YIELD, [origin])
            for target in targets[len(origins) :] if len(origins) < len(targets) else ():
                if target not in {lane for _, lane in entries}:
                    self.town.connect(junction, start, origins[-1], goal, target, smooth=True)
        for ramp, lane in exits:
            start = before if lane in before.lanes(True) else after
            self.town.connect(junction, start, lane, ramp, ramp.lanes(False)[0], smooth=True)
        for ramp, lane in entries:
            goal = before if lane in before.lanes(False) else after
            self.town.connect(junction, ramp, ramp.lanes(True)[0], goal, lane, smooth=True)

    def build_motorway(self) -> tuple[End, End]:
        """All stretches and ramps; returns its west end and its east end."""
        west = Pose(-EAST_X, NORTH_Y - BEND - 100.0, QUARTER)
        lanes = [(2, 2), (3, 3), (2, 2), (3, 3), (2, 2)]
        # lengths of the straight pieces in the north; the ones with three lanes are where one
        # changes between motorway and ramp
        lengths = [10.0, 200.0, 220.0, 200.0, 10.0]
        assert sum(lengths) + 4 * TAPER == 2 * (EAST_X - BEND)
        stretches = []
        here = west
        for i, ((right, left), length) in enumerate(zip(lanes, lengths, strict=True)):
            plan = PlanView(here)
            if i == 0:
                plan.line(100.0).arc(BEND, -QUARTER)
            plan.line(length)
            if i == 4:
                plan.arc(BEND, -QUARTER).line(100.0)
            stretches.append(self.stretch(plan, right, left))
            here = plan.end.ahead(TAPER)
        inner_exit, inner_entry, outer_exit, outer_entry = self._ramps(stretches)
        first, second, third, fourth, fifth = stretches
        # eastbound (right lanes): exit lane opens, leaves; entry lane comes, closes
        # westbound (left lanes) the same from the other side
        self.gore(first, second)
        self.gore(second, third, [(inner_exit, -4)], [(outer_entry, 4)])
        self.gore(third, fourth, [(outer_exit, 4)], [(inner_entry, -4)])
        self.gore(fourth, fifth)
        for end in (End(first, "start"), End(fifth, "end"), End(third, "start"), End(third, "end")):
            self.town.speed_sign(end, MOTORWAY, 30.0)
        return End(first, "start"), End(fifth, "end")

    def _ramps(self, stretches: list[Road]) -> tuple[End, End, End, End]:
        """The roads of the four ramps; returns their ends that touch the motorway.

        Inner exit, inner entry, outer exit, outer entry.
        """
        second, fourth = stretches[1], stretches[3]
        gore_in, gore_out = second.plan.end, fourth.plan.start
        drop = 14.0  # [m] beside the auxiliary lane where a ramp begins
        lane = INNER + 2.5 * FAST

        terminal = Pose(HUB.x, 130.0, -QUARTER)  # where the link road begins, looking south
        begin = gore_in.ahead(TAPER, -lane - drop)
        exit_in = PlanView(Pose(begin.x, begin.y, -math.radians(14.0)))
        exit_in.line(15.0).cubic_to(terminal.ahead(-30.0, -5.0), 1.15)
        inner_exit = self._ramp(exit_in)

        goal = gore_out.ahead(-TAPER, -lane - drop)
        entry_in = PlanView(terminal.ahead(-30.0, 5.0).reversed())
        entry_in.cubic_to(Pose(goal.x, goal.y, math.radians(14.0)).ahead(-15.0), 1.15).line(15.0)
        inner_entry = self._ramp(entry_in)

        # service area: parallel to the motorway, westbound
        begin = gore_out.reversed().ahead(TAPER, -lane - drop)
        exit_out = PlanView(Pose(begin.x, begin.y, math.pi - math.radians(14.0)))
        exit_out.line(15.0)
        finish = gore_in.reversed().ahead(-TAPER, -lane - drop)
        outer = finish.y + 24.0
        exit_out.cubic_to(Pose(begin.x - 75.0, outer, math.pi))
        outer_exit = self._ramp(exit_out, SLOWLY)
        entry_out = PlanView(Pose(finish.x + 75.0, outer, math.pi))
        entry_out.cubic_to(Pose(finish.x, finish.y, math.pi + math.radians(14.0)).ahead(-15.0))
        entry_out.line(15.0)
        outer_entry = self._ramp(entry_out, SLOWLY)
        parking = PlanView(exit_out.end).line(exit_out.end.x - entry_out.start.x)
        service = self.town.road(parking, [one_way(RAMP, parking=True)], SERVICE, offset=RAMP / 2)
        self.town.join(End(outer_exit, "end"), End(service, "start"))
        self.town.join(End(service, "end"), End(outer_entry, "start"))
        self.town.speed_sign(End(service, "start"), SERVICE, 5.0)
        self.inner = (End(inner_exit, "end"), End(inner_entry, "start"))
        self.terminal = terminal
        return (End(inner_exit, "start"), End(inner_entry, "end"),
                End(outer_exit, "start"), End(outer_entry, "end"))  # fmt: skip

    def _ramp(self, plan: PlanView, speed: int = RAMP_SPEED) -> Road:
        road = self.town.road(plan, [one_way(RAMP)], speed, "motorway", offset=RAMP / 2)
        self.town.speed_sign(End(road, "start"), speed, 20.0)
        return road

    # --- country roads ----------------------------------------------------------------------

    def two_way(self, plan: PlanView, heights: Sequence[tuple[float, float, float]] = (),
                speed: int = COUNTRY) -> Road:  # fmt: skip
        """A road of one lane each way; heights as (share of its length, z [m], slope)."""
        nodes = [(share * plan.length, z, slope) for share, z, slope in heights]
        elevation = Elevation.through(nodes) if nodes else None
        road = self.town.road(
            plan, [country(speed <= VILLAGE)], speed, "rural", elevation=elevation
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
                self.town.road(plan, [section], SLOWLY, elevation=level, offset=RING_LANE / 2)
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
        western = self.two_way(plan, hill)
        self.narrowing(west, End(western, "start"))
        # east: from the roundabout to a T-junction, then up to the motorway
        tee = Pose(330.0, -300.0, 0.0)
        plan = PlanView(arm_east).line(60.0).cubic_to(tee.ahead(-80.0)).line(60.0)
        middle = self.two_way(
            plan, [(0.0, 3.0, 0.0), (0.5, -2.0, 0.0), (0.9, 4.0, 0.02), (1.0, 4.5, 0.0)], VILLAGE
        )
        plan = PlanView(tee.ahead(20.0)).line(80.0)
        gate = self.two_way(plan, [(0.0, 4.5, 0.0), (1.0, 5.5, 0.02)], VILLAGE)
        plan = PlanView(plan.end)
        goal = east.out.ahead(TAPER).reversed()
        plan.line(20.0).cubic_to(goal.ahead(-30.0), 1.2).line(30.0)
        eastern = self.two_way(
            plan, [(0.0, 5.5, 0.02), (0.3, 12.0, 0.03), (0.45, 13.0, -0.03), (1.0, 0.0, 0.0)]
        )  # fmt: skip
        self.town.join(End(gate, "end"), End(eastern, "start"))
        self.narrowing(east, End(eastern, "end"))
        # south: a loop from the roundabout to the T-junction
        plan = PlanView(arm_south).line(40.0).arc(110.0, QUARTER)
        rest = tee.ahead(0.0, -20.0)
        plan.cubic_to(Pose(rest.x, rest.y, QUARTER).ahead(-40.0), 1.2).line(40.0)
        southern = self.two_way(plan, [(0.0, 3.0, 0.0), (0.5, 8.0, 0.0), (1.0, 4.5, 0.0)], VILLAGE)
        arms = [End(gate, "start"), End(middle, "end"), End(southern, "end")]
        self.town.crossing(arms, "yield", [arms[2]], radius=10.0)
        # north: the link road from the ramps
        plan = PlanView(self.terminal).line(self.terminal.y - arm_north.y)
        link = self.two_way(plan, [(0.0, 0.0, 0.0), (0.5, 6.0, 0.01), (1.0, 3.0, 0.0)], VILLAGE)
        head, (off, on) = End(link, "start"), self.inner
        junction = self.town.junction([head, off, on])
        self.town.connect(
            junction, off, off.lanes(True)[0], head, head.lanes(False)[0], smooth=True
        )
        self.town.connect(junction, head, head.lanes(True)[0], on, on.lanes(False)[0], smooth=True)
        self.roundabout(
            [End(middle, "start"), End(link, "end"), End(western, "end"), End(southern, "start")]
        )
        return self.town.xml()


@lru_cache(maxsize=1)
def ring() -> str:
    """OpenDRIVE of the town `ring`."""
    return _Ring().build()
