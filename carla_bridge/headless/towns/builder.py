"""Puts roads together: joins, crossings, lights and signs, with all links and ids written right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from carla_bridge.headless.towns import opendrive
from carla_bridge.headless.towns.opendrive import (
    Crosswalk,
    Junction,
    Lane,
    Link,
    Place,
    Road,
    Section,
    Signal,
)
from carla_bridge.headless.towns.plan_view import Elevation, PlanView, Pose
from headway.frames import wrap_angle

LIGHT, STOP, YIELD, SPEED = "1000001", "206", "205", "274"

STOP_LINE = 1.0  # [m] signals stand this far before the end of their road
POLE = 0.8  # [m] and this far outside of the pavement
STRAIGHT = math.radians(40.0)  # a movement that turns by less is going straight
U_TURN = math.radians(150.0)
_FIRST_JUNCTION, _FIRST_CONNECTION = 1000, 2000
_FIRST_SIGNAL, _FIRST_CONTROLLER, _FIRST_OBJECT, _FIRST_PLACE = 5000, 7000, 9000, 11000
_ASIDE = {"bus_stop": -0.8}  # [m] from the outer edge of the sidewalk
_ASIDE_BUILDING = 4.0
_FARTHEST = 60.0  # [m] from a road that something can stand beside it


@dataclass(frozen=True)
class End:
    """One end of a road, seen as an arm of a junction.

    Attributes:
        road: the road.
        at: "start" or "end".
    """

    road: Road
    at: str

    @property
    def out(self) -> Pose:
        """Pose on the reference line, looking out of the road."""
        return self.road.plan.end if self.at == "end" else self.road.plan.start.reversed()

    @property
    def section(self) -> Section:
        """The lane section at this end."""
        return self.road.sections[-1 if self.at == "end" else 0]

    @property
    def s(self) -> float:
        """Where the end is along the road [m]."""
        return self.road.length if self.at == "end" else 0.0

    def width(self, lane_id: int) -> float:
        """Width [m] of a lane at this end."""
        lane = self.section.lane(lane_id)
        return lane.width if self.at == "start" or lane.width_end is None else lane.width_end

    def t(self, lane_id: int, across: float = 0.5) -> float:
        """Lateral position [m, left of s positive] in a lane; across 0 inner edge, 1 outer."""
        side = 1 if lane_id > 0 else -1
        inner = sum(self.width(side * i) for i in range(1, abs(lane_id)))
        offset = self.road.offset_end if self.at == "end" else self.road.offset
        return offset + side * (inner + across * self.width(lane_id))

    def lanes(self, incoming: bool, kind: str = "driving") -> list[int]:
        """Ids of the lanes that leave the road here (or enter it), from left to right."""
        right = incoming == (self.at == "end")
        ids = [
            i for i in self.section.ids() if (i < 0) == right and self.section.lane(i).kind == kind
        ]
        return sorted(ids, key=abs)

    def lane_out(self, lane_id: int) -> Pose:
        """Pose of a lane's centre, looking out of the road."""
        t = self.t(lane_id)
        return self.out.ahead(0.0, t if self.at == "end" else -t)

    def height_out(self) -> tuple[float, float]:
        """Height [m] and slope, looking out of the road."""
        z, slope = self.road.elevation.at(self.s)
        return z, slope if self.at == "end" else -slope

    def inside(self, distance: float) -> float:
        """Where along the road [m] a point is that lies `distance` [m] before this end."""
        return self.s - distance if self.at == "end" else self.s + distance


class TownBuilder:
    """Collects roads and junctions and writes them.

    Args:
        name: of the town.
        geo: latitude, longitude [deg] of its origin.
    """

    def __init__(self, name: str, geo: tuple[float, float]) -> None:
        self.name, self.geo = name, geo
        self.roads: list[Road] = []
        self.junctions: list[Junction] = []
        self._num_roads = self._num_connections = 0
        self._num_signals = self._num_controllers = self._num_objects = self._num_places = 0

    def xml(self) -> str:
        """The town as OpenDRIVE."""
        return opendrive.write(self.name, self.roads, self.junctions, self.geo)

    def road(
        self, plan: PlanView, sections: Sequence[Section], speed_kmh: float, kind: str = "town",
        *, elevation: Elevation | None = None, offset: float = 0.0, name: str = "",
    ) -> Road:  # fmt: skip
        """Add an ordinary road; lanes of the same id follow each other through its sections."""
        self._num_roads += 1
        road = Road(
            self._num_roads, plan, list(sections), speed_kmh, kind, elevation or Elevation(),
            offset=offset, offset_end=offset, name=name,
        )  # fmt: skip
        for before, after in zip(road.sections, road.sections[1:], strict=False):
            for lane_id in set(before.ids()) & set(after.ids()):
                before.lane(lane_id).successor = lane_id
                after.lane(lane_id).predecessor = lane_id
        self.roads.append(road)
        return road

    def join(self, one: End, other: End) -> None:
        """Let two roads continue each other; lanes are the same ones, counted from the centre."""
        flip = -1 if one.at == other.at else 1
        for here, there in ((one, other), (other, one)):
            _set_link(here, Link("road", there.road.road_id, there.at))
            for lane_id in here.section.ids():
                if flip * lane_id in there.section.ids():
                    _set_lane_link(here, lane_id, flip * lane_id)

    def junction(self, ends: Sequence[End]) -> Junction:
        """Add a junction that these road ends touch, still without movements."""
        junction = Junction(_FIRST_JUNCTION + len(self.junctions))
        self.junctions.append(junction)
        for end in ends:
            _set_link(end, Link("junction", junction.junction_id))
        return junction

    def connect(
        self, junction: Junction, start: End, start_lane: int, goal: End, goal_lane: int,
        *, radius: float = 9.0, kind: str = "driving", smooth: bool = False,
    ) -> Road:  # fmt: skip
        """Add one movement: a road of one lane whose reference line is the lane's centre.

        Args:
            junction: it belongs to.
            start, start_lane: where it comes from.
            goal, goal_lane: where it goes.
            radius: [m] wished for, smaller if there is no room.
            kind: of lane.
            smooth: as a single cubic instead of line, arc, line.

        Returns:
            The connecting road.
        """
        plan = PlanView(start.lane_out(start_lane))
        target = goal.lane_out(goal_lane).reversed()
        plan = plan.cubic_to(target) if smooth else plan.fillet_to(target, radius)
        width, width_end = start.width(start_lane), goal.width(goal_lane)
        (z0, slope0), (z1, slope1) = start.height_out(), goal.height_out()
        lane = Lane(kind, width, width_end, predecessor=start_lane, successor=goal_lane)
        self._num_connections += 1
        road = Road(
            _FIRST_CONNECTION + self._num_connections, plan, [Section(0.0, [], [lane])],
            min(start.road.speed_kmh, goal.road.speed_kmh), start.road.kind,
            Elevation.through([(0.0, z0, slope0), (plan.length, z1, -slope1)]),
            junction.junction_id, width / 2, width_end / 2,
            Link("road", start.road.road_id, start.at), Link("road", goal.road.road_id, goal.at),
        )  # fmt: skip
        self.roads.append(road)
        junction.connections.append((start.road.road_id, road.road_id, start_lane, -1))
        return road

    def crossing(
        self, ends: Sequence[End], control: str = "none", minor: Sequence[End] = (),
        *, crosswalks: bool = True, radius: float = 9.0, protected: bool = False,
        pockets: bool = False,
    ) -> Junction:  # fmt: skip
        """Add a crossing or T-junction with every movement, sidewalks around its corners.

        Args:
            ends: its arms, counter-clockwise.
            control: "lights", "stop" or "yield" (for `minor`), "none" (right before left).
            minor: arms that have to wait where signs rule.
            crosswalks: one over each arm that has sidewalks.
            radius: [m] of right turns at the lane's centre, left turns take 1.5 times that.
            protected: every arm has a green of its own; else opposite arms share one.
            pockets: the left one of three or more lanes is for turning left alone.

        Returns:
            The junction.

        Raises:
            ValueError: a lane would end here or begin from nowhere.
        """
        junction = self.junction(ends)
        for start in ends:
            for goal in ends:
                if start is not goal:
                    self._movement(junction, start, goal, radius, pockets)
        self._check_lanes(junction, ends)
        for start, goal in zip(ends, [*ends[1:], ends[0]], strict=True):
            sidewalks = start.lanes(True, "sidewalk"), goal.lanes(False, "sidewalk")
            if sidewalks[0] and sidewalks[1]:
                self.connect(
                    junction,
                    start,
                    sidewalks[0][0],
                    goal,
                    sidewalks[1][0],
                    radius=4.5,
                    kind="sidewalk",
                )
        if crosswalks:
            for end in ends:
                self.crosswalk(end)
        if control == "lights":
            self._lights(junction, ends, protected)
        elif control in ("stop", "yield"):
            for end in minor:
                self.sign(end, STOP if control == "stop" else YIELD)
        return junction

    def _movement(
        self, junction: Junction, start: End, goal: End, radius: float, pockets: bool
    ) -> None:
        turn = wrap_angle(goal.out.heading + math.pi - start.out.heading)
        origins, targets = start.lanes(True), goal.lanes(False)
        if not origins or not targets or abs(turn) > U_TURN:
            return
        if turn < STRAIGHT:  # cyclists go straight on or turn right
            bikes = start.lanes(True, "biking"), goal.lanes(False, "biking")
            for origin, target in zip(*bikes, strict=False):
                smooth = turn > -STRAIGHT
                self.connect(junction, start, origin, goal, target, smooth=smooth, kind="biking")
        if abs(turn) < STRAIGHT:
            if pockets:
                origins, targets = origins[len(origins) > 2 :], targets[len(targets) > 2 :]
            for origin, target in zip(origins, targets, strict=False):
                self.connect(junction, start, origin, goal, target, smooth=True)
        elif turn > 0:
            self.connect(junction, start, origins[0], goal, targets[0], radius=1.5 * radius)
        else:
            self.connect(junction, start, origins[-1], goal, targets[-1], radius=radius)

    def _check_lanes(self, junction: Junction, ends: Sequence[End]) -> None:
        inside = [r for r in self.roads if r.junction == junction.junction_id]
        used = {(r.predecessor, r.sections[0].right[0].predecessor, True) for r in inside}
        used |= {(r.successor, r.sections[0].right[0].successor, False) for r in inside}
        for end in ends:
            touched = Link("road", end.road.road_id, end.at)
            for incoming in (True, False):
                for lane in end.lanes(incoming):
                    if (touched, lane, incoming) not in used:
                        fault = "ends in" if incoming else "begins from nowhere at"
                        raise ValueError(
                            f"town {self.name!r}: lane {lane} of road {end.road.road_id} "
                            f"{end.road.name!r} {fault} "
                            f"junction {junction.junction_id}; give it a way through"
                        )

    def _lights(self, junction: Junction, ends: Sequence[End], protected: bool) -> None:
        phases: list[tuple[float, list[int]]] = []
        for end in (end for end in ends if end.lanes(True)):
            heading = end.out.heading
            signal = self.sign(end, LIGHT, height=5.0)
            for axis, signals in phases:
                if not protected and abs(math.sin(axis - heading)) < math.sin(STRAIGHT):
                    signals.append(signal.signal_id)
                    break
            else:
                phases.append((heading, [signal.signal_id]))
        for _, signals in phases:
            self._num_controllers += 1
            junction.controllers.append((_FIRST_CONTROLLER + self._num_controllers, signals))

    def sign(
        self, end: End, kind: str, lanes: Sequence[int] = (), height: float = 2.2,
        distance: float = STOP_LINE,
    ) -> Signal:  # fmt: skip
        """Put a light, stop or yield sign where a road ends, for the lanes that leave it.

        Args:
            end: the road's end.
            kind: LIGHT, STOP or YIELD.
            lanes: ids that it is for; all driving lanes that leave the road by default.
            height: [m].
            distance: [m] before the end.
        """
        lanes = lanes or end.lanes(True)
        return self._signal(end, kind, end.inside(distance), lanes, height)

    def speed_sign(self, end: End, speed_kmh: int, distance: float = 25.0) -> Signal:
        """Put a speed limit [km/h] `distance` [m] behind a road's end, for lanes that enter it."""
        signal = self._signal(end, SPEED, end.inside(distance), end.lanes(False), 2.2)
        signal.subtype, signal.value = str(speed_kmh), float(speed_kmh)
        signal.name = f"Speed_{speed_kmh}"
        return signal

    def _signal(self, end: End, kind: str, s: float, lanes: Sequence[int], height: float) -> Signal:
        side = 1 if lanes[0] > 0 else -1
        outermost = max((i for i in end.section.ids() if i * side > 0), key=abs)
        self._num_signals += 1
        signal = Signal(
            _FIRST_SIGNAL + self._num_signals, kind, s, end.t(outermost, 1.0) + side * POLE,
            (min(lanes), max(lanes)), height=height,
        )  # fmt: skip
        end.road.signals.append(signal)
        return signal

    def crosswalk(self, end: End, near: float = 1.2, far: float = 4.2) -> Crosswalk | None:
        """Paint a crosswalk from sidewalk to sidewalk, `near` to `far` [m] beyond a road's end."""
        walks = end.lanes(True, "sidewalk") + end.lanes(False, "sidewalk")
        if len(walks) < 2:
            return None
        edges = sorted(end.t(lane, 0.6) for lane in walks)  # corners curve away from it
        sign = 1.0 if end.at == "end" else -1.0
        corners = [(sign * near, edges[0]), (sign * far, edges[0]),
                   (sign * far, edges[1]), (sign * near, edges[1])]  # fmt: skip
        self._num_objects += 1
        crosswalk = Crosswalk(_FIRST_OBJECT + self._num_objects, end.s, corners)
        end.road.crosswalks.append(crosswalk)
        return crosswalk

    def place(self, kind: str, name: str, x: float, y: float) -> Place:
        """Name something beside the nearest road, on the side where the point is.

        Args:
            kind: bus_stop, station or shop.
            name: as people call it.
            x, y: [m] about where.

        Raises:
            ValueError: no road is near.
        """
        distance, road, s = min(
            (
                (math.hypot(pose.x - x, pose.y - y), road, s)
                for road in self.roads if road.junction < 0
                for s in range(5, int(road.length) - 4, 3)
                for pose in (road.plan.at(s),)
            ),
            key=lambda found: found[0],
        )  # fmt: skip
        if distance > _FARTHEST:
            raise ValueError(f"town {self.name!r}: {name!r} is {distance:.0f} m from any road")
        end = End(road, "end")
        side = 1 if road.plan.at(s).local(Pose(x, y, 0.0))[1] > 0 else -1
        lanes = [i for i in end.section.ids() if i * side > 0]
        edge = end.t(max(lanes, key=abs), 1.0) if lanes else 0.0
        self._num_places += 1
        aside = side * _ASIDE.get(kind, _ASIDE_BUILDING)
        place = Place(_FIRST_PLACE + self._num_places, kind, name, float(s), edge + aside)
        road.places.append(place)
        return place


def _set_link(end: End, link: Link) -> None:
    if (end.road.successor if end.at == "end" else end.road.predecessor) is not None:
        raise ValueError(f"the {end.at} of road {end.road.road_id} is already linked")
    if end.at == "end":
        end.road.successor = link
    else:
        end.road.predecessor = link


def _set_lane_link(end: End, lane_id: int, other: int) -> None:
    if end.at == "end":
        end.section.lane(lane_id).successor = other
    else:
        end.section.lane(lane_id).predecessor = other
