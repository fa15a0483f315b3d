"""Parts of motorways: stretches, gores where lanes open, close, leave and enter, and ramps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from carla_bridge.headless.towns.builder import YIELD, End, TownBuilder
from carla_bridge.headless.towns.opendrive import Lane, Road, Section
from carla_bridge.headless.towns.plan_view import PlanView, Pose

FAST, INNER, OUTER, VERGE = 3.6, 1.0, 2.5, 1.0  # widths [m]
RAMP = 4.0  # [m] lane of a ramp
MOTORWAY, RAMP_SPEED, SERVICE, SLOWLY = 90, 60, 30, 40  # [km/h]
TAPER = 70.0  # [m] over which lanes open and close
DROP = 14.0  # [m] beside the auxiliary lane where a ramp begins
_ANGLE = math.radians(14.0)  # between a ramp's first metres and the motorway


def motorway(right: int = 2, left: int = 2) -> Section:
    """Two carriageways; lanes 1 and -1 are the inner shoulders."""

    def half(count: int) -> list[Lane]:
        lanes = [Lane("shoulder", INNER, mark="solid", color="yellow")]
        for i in range(count):
            inside = i < count - 1
            lanes.append(Lane("driving", FAST, mark="broken" if inside else "solid", change=inside))
        return [*lanes, Lane("shoulder", OUTER)]

    return Section(0.0, half(left), half(right), Lane("none", 0.0, mark="solid", color="yellow"))


def one_way(width: float, parking: bool = False) -> Section:
    """One lane, with parking beside it where wished."""
    side = Lane("parking", 2.5) if parking else Lane("shoulder", VERGE)
    return Section(0.0, [], [Lane("driving", width, mark="solid"), side])


class Motorway:
    """A motorway with `lanes` lanes each way while it grows.

    Args:
        town: that it belongs to.
        name: of the motorway.
        lanes: in each direction, without auxiliary lanes.
    """

    def __init__(self, town: TownBuilder, name: str, lanes: int) -> None:
        self.town, self.name, self.lanes = town, name, lanes
        self.aux = lanes + 2  # id of an auxiliary lane, beyond the inner shoulder and the lanes
        self.ramp_offset = INNER + (lanes + 0.5) * FAST + DROP

    def lay(
        self, start: Pose, lengths: Sequence[float], bend: float,
        accesses: Sequence[tuple[Pose, str, str]],
    ) -> tuple[list[Road], list[list[Road]]]:  # fmt: skip
        """Lay the motorway: stretches, ramps, and the gores between.

        Args:
            start, lengths, bend: as for `stretches`.
            accesses: one at the third stretch, the fifth and so on: where a road begins that leads
                away on the right, its name, and the name of the service area on the left.

        Returns:
            Its stretches, and the exit and the entry of each access.
        """
        stretches = self.stretches(start, lengths, bend)
        gores = [(End(a, "end"), End(b, "start")) for a, b in pairwise(stretches)]
        exits: list[list[tuple[End, int]]] = [[] for _ in gores]
        entries: list[list[tuple[End, int]]] = [[] for _ in gores]
        links = []
        for i, (terminal, link, area) in enumerate(accesses):
            first, second = 2 * i + 1, 2 * i + 2
            poses = gores[first][0].road.plan.end, gores[second][1].road.plan.start
            ramps = self.link_ramps(*poses, terminal, link)
            leave, enter = self.service_area(*poses, area)
            exits[first].append((End(ramps[0], "start"), -self.aux))
            entries[first].append((End(enter, "end"), self.aux))
            exits[second].append((End(leave, "start"), self.aux))
            entries[second].append((End(ramps[1], "end"), -self.aux))
            links.append(ramps)
        for (before, after), leaving, entering in zip(gores, exits, entries, strict=True):
            self.gore(before, after, leaving, entering)
        ends = [End(road, at) for road in stretches[2:-1:2] for at in ("start", "end")]
        for end in (End(stretches[0], "start"), End(stretches[-1], "end"), *ends):
            self.town.speed_sign(end, MOTORWAY, 30.0)
        return stretches, links

    def stretches(self, start: Pose, lengths: Sequence[float], bend: float) -> list[Road]:
        """The motorway's pieces between its gores: every second one has auxiliary lanes.

        A bend of 90 degrees to the right begins the first one and ends the last.

        Args:
            start: first pose.
            lengths: [m] of the straight pieces.
            bend: [m] radius.
        """
        result: list[Road] = []
        here = start
        for i, length in enumerate(lengths):
            plan = PlanView(here)
            if i == 0:
                plan.line(100.0).arc(bend, -math.pi / 2)
            plan.line(length)
            if i == len(lengths) - 1:
                plan.arc(bend, -math.pi / 2).line(100.0)
            count = self.lanes + i % 2
            result.append(
                self.town.road(plan, [motorway(count, count)], MOTORWAY, "motorway", name=self.name)
            )
            here = plan.end.ahead(TAPER)
        return result

    def gore(
        self, before: End, after: End, exits: Sequence[tuple[End, int]] = (),
        entries: Sequence[tuple[End, int]] = (),
    ) -> None:  # fmt: skip
        """Join two stretches by a junction in which lanes open, close, leave or enter.

        Args:
            before: end of the first stretch.
            after: start of the second.
            exits: ramp that begins here, and the motorway lane that leads there.
            entries: ramp that ends here, and the motorway lane that takes it.
        """
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

    def link_ramps(self, gore_in: Pose, gore_out: Pose, terminal: Pose, name: str) -> list[Road]:
        """Exit and entry on the right of the motorway, to and from a road that leads away.

        Args:
            gore_in, gore_out: where the stretches end and begin between which they lie.
            terminal: where the road begins, looking away from the motorway.
            name: of that road.
        """
        begin = gore_in.ahead(TAPER, -self.ramp_offset)
        leave = PlanView(Pose(begin.x, begin.y, -_ANGLE))
        leave.line(15.0).cubic_to(terminal.ahead(-30.0, -5.0), 1.15)
        goal = gore_out.ahead(-TAPER, -self.ramp_offset)
        enter = PlanView(terminal.ahead(-30.0, 5.0).reversed())
        enter.cubic_to(Pose(goal.x, goal.y, _ANGLE).ahead(-15.0), 1.15).line(15.0)
        return [self.ramp(leave, f"{name} Exit"), self.ramp(enter, f"{name} Entry")]

    def service_area(self, gore_in: Pose, gore_out: Pose, name: str) -> list[Road]:
        """Exit and entry on the left of the motorway, and a road with parking between them."""
        begin = gore_out.reversed().ahead(TAPER, -self.ramp_offset)
        leave = PlanView(Pose(begin.x, begin.y, math.pi - _ANGLE))
        leave.line(15.0)
        finish = gore_in.reversed().ahead(-TAPER, -self.ramp_offset)
        outer = finish.y + 24.0
        leave.cubic_to(Pose(begin.x - 75.0, outer, math.pi))
        ramps = [self.ramp(leave, f"{name} Exit", SLOWLY)]
        enter = PlanView(Pose(finish.x + 75.0, outer, math.pi))
        enter.cubic_to(Pose(finish.x, finish.y, math.pi + _ANGLE).ahead(-15.0))
        enter.line(15.0)
        ramps.append(self.ramp(enter, f"{name} Entry", SLOWLY))
        parking = PlanView(leave.end).line(leave.end.x - enter.start.x)
        service = self.town.road(
            parking, [one_way(RAMP, parking=True)], SERVICE, offset=RAMP / 2, name=name
        )
        self.town.join(End(ramps[0], "end"), End(service, "start"))
        self.town.join(End(service, "end"), End(ramps[1], "start"))
        self.town.speed_sign(End(service, "start"), SERVICE, 5.0)
        return ramps

    def ramp(self, plan: PlanView, name: str, speed: int = RAMP_SPEED) -> Road:
        """One ramp of one lane."""
        road = self.town.road(plan, [one_way(RAMP)], speed, "motorway", offset=RAMP / 2, name=name)
        self.town.speed_sign(End(road, "start"), speed, 20.0)
        return road

    def head(self, road: End, leave: Road, enter: Road) -> None:
        """Join an exit and an entry to the road between them."""
        off, on = End(leave, "end"), End(enter, "start")
        junction = self.town.junction([road, off, on])
        self.town.connect(
            junction, off, off.lanes(True)[0], road, road.lanes(False)[0], smooth=True
        )
        self.town.connect(junction, road, road.lanes(True)[0], on, on.lanes(False)[0], smooth=True)
