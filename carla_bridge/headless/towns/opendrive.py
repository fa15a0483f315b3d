"""OpenDRIVE as data classes that write themselves as the XML which LibCarla understands.

Only what LibCarla reads is here: roads, lanes, junctions, signals, crosswalks, controllers; and the
names of roads and places, which our LaneGraph reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

from carla_bridge.headless.towns.plan_view import Element, Elevation, PlanView


def tag(name: str, /, *children: str, **attributes: object) -> str:
    """One XML element; floats are written with a precision of a tenth of a micrometre."""
    text = "".join(f" {k.rstrip('_')}={quoteattr(_format(v))}" for k, v in attributes.items())
    if not children:
        return f"<{name}{text}/>"
    return f"<{name}{text}>\n" + "\n".join(children) + f"\n</{name}>"


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.9g}" if abs(value) < 1e-3 else f"{value:.7f}".rstrip("0").rstrip(".")
    return str(value)


@dataclass
class Lane:
    """One lane of a section.

    Attributes:
        kind: OpenDRIVE's type: driving, sidewalk, parking, shoulder, none.
        width: [m] at the start of the section.
        width_end: [m] at its end; None for a constant width.
        mark: of the outer edge: none, solid, broken.
        change: may one change lanes over that mark.
        color: of that mark.
        predecessor: lane id that comes before in the direction of s, None to leave it out.
        successor: lane id that comes after in the direction of s.
    """

    kind: str
    width: float
    width_end: float | None = None
    mark: str = "none"
    change: bool = False
    color: str = "white"
    predecessor: int | None = None
    successor: int | None = None

    def xml(self, lane_id: int, length: float) -> str:
        """The element of a lane in a section of `length` [m]."""
        links = []
        if self.predecessor is not None:
            links.append(tag("predecessor", id=self.predecessor))
        if self.successor is not None:
            links.append(tag("successor", id=self.successor))
        body = [tag("link", *links)]
        if lane_id != 0:
            slope = 0.0 if self.width_end is None else (self.width_end - self.width) / length
            body.append(tag("width", sOffset=0.0, a=self.width, b=slope, c=0.0, d=0.0))
        body.append(
            tag("roadMark", sOffset=0.0, type=self.mark, weight="standard", color=self.color,
                material="standard", width=0.15, laneChange="both" if self.change else "none")
        )  # fmt: skip
        return tag("lane", *body, id=lane_id, type=self.kind, level="false")


@dataclass
class Section:
    """Lanes from `s` [m] on; `left` and `right` are listed from the centre outwards."""

    s: float
    left: list[Lane]
    right: list[Lane]
    center: Lane = field(default_factory=lambda: Lane("none", 0.0))

    def lane(self, lane_id: int) -> Lane:
        """The lane with OpenDRIVE's id."""
        return self.left[lane_id - 1] if lane_id > 0 else self.right[-lane_id - 1]

    def ids(self) -> list[int]:
        """Lane ids, right to left, without the centre."""
        return [*range(-len(self.right), 0), *range(1, len(self.left) + 1)]

    def xml(self, length: float) -> str:
        """The element of a section of `length` [m]."""
        groups = []
        if self.left:
            lanes = [lane.xml(i + 1, length) for i, lane in enumerate(self.left)]
            groups.append(tag("left", *reversed(lanes)))
        groups.append(tag("center", self.center.xml(0, length)))
        if self.right:
            groups.append(
                tag("right", *[lane.xml(-i - 1, length) for i, lane in enumerate(self.right)])
            )
        return tag("laneSection", *groups, s=self.s)


@dataclass
class Signal:
    """A traffic light or sign beside a road.

    Attributes:
        signal_id: unique in the town.
        kind: OpenDRIVE's type: 1000001 light, 206 stop, 205 yield, 274 speed.
        s, t: [m] where it stands, t left positive.
        lanes: first and last lane id that it is for.
        subtype, value: speed limits carry km/h in both.
        height: [m] over the road.
    """

    signal_id: int
    kind: str
    s: float
    t: float
    lanes: tuple[int, int]
    subtype: str = "-1"
    value: float = -1.0
    height: float = 0.0
    name: str = ""

    def xml(self) -> str:
        """The element."""
        along = self.lanes[0] < 0  # its traffic runs with s
        return tag(
            "signal",
            tag("validity", fromLane=min(self.lanes), toLane=max(self.lanes)),
            name=self.name or f"signal{self.signal_id}", id=self.signal_id, s=self.s, t=self.t,
            zOffset=self.height, hOffset=0.0 if along else 3.141592653589793, roll=0.0, pitch=0.0,
            orientation="+" if along else "-", dynamic="yes" if self.kind == "1000001" else "no",
            country="OpenDRIVE", type=self.kind, subtype=self.subtype, value=self.value,
            text="", height=0.6, width=0.6,
        )  # fmt: skip


@dataclass
class Crosswalk:
    """A crosswalk: `corners` (u forward, v left) [m] around the point (s, t) of a road."""

    object_id: int
    s: float
    corners: Sequence[tuple[float, float]]

    def xml(self) -> str:
        """The element; LibCarla wants a closed outline that is a direct child."""
        ring = [*self.corners, self.corners[0]]
        outline = tag(
            "outline", *[tag("cornerLocal", u=u, v=v, z=0.0, height=0.0) for u, v in ring]
        )
        return tag(
            "object", outline, id=self.object_id, name=f"crosswalk{self.object_id}", s=self.s,
            t=0.0, zOffset=0.0, hdg=0.0, roll=0.0, pitch=0.0, orientation="none", type="crosswalk",
            width=abs(ring[0][1] - ring[2][1]), length=abs(ring[0][0] - ring[2][0]),
        )  # fmt: skip


@dataclass
class Place:
    """Something with a name beside a road.

    Attributes:
        object_id: unique in the town.
        kind: what it is, OpenDRIVE's subtype: bus_stop, station, shop.
        name: as people call it.
        s, t: [m] where it stands, t left positive.
    """

    object_id: int
    kind: str
    name: str
    s: float
    t: float

    def xml(self) -> str:
        """The element."""
        return tag(
            "object", id=self.object_id, name=self.name, s=self.s, t=self.t, zOffset=0.0, hdg=0.0,
            roll=0.0, pitch=0.0, orientation="none", subtype=self.kind,
            type="pole" if self.kind == "bus_stop" else "building",
        )  # fmt: skip


@dataclass(frozen=True)
class Link:
    """What a road's end touches: `kind` road or junction, its id, and which end of a road."""

    kind: str
    element_id: int
    contact: str | None = None

    def xml(self, name: str) -> str:
        """The element."""
        contact = {"contactPoint": self.contact} if self.contact else {}
        return tag(name, elementType=self.kind, elementId=self.element_id, **contact)


@dataclass
class Road:
    """A road: reference line, heights, lane sections, links, signals, crosswalks, places.

    Attributes:
        road_id: unique among roads and junctions.
        plan: reference line.
        sections: in the order of s.
        speed_kmh: limit [km/h].
        kind: OpenDRIVE's road type: town, rural, motorway.
        elevation: heights along s.
        junction: id of the junction it is part of, -1 for none.
        offset, offset_end: [m] lane offset at the start and the end, linear between.
        predecessor, successor: what its start and its end touch.
    """

    road_id: int
    plan: PlanView
    sections: list[Section]
    speed_kmh: float
    kind: str = "town"
    elevation: Elevation = field(default_factory=Elevation)
    junction: int = -1
    offset: float = 0.0
    offset_end: float = 0.0
    predecessor: Link | None = None
    successor: Link | None = None
    signals: list[Signal] = field(default_factory=list)
    crosswalks: list[Crosswalk] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    name: str = ""

    @property
    def length(self) -> float:
        """Length [m]."""
        return self.plan.length

    def xml(self) -> str:
        """The element."""
        links = []
        if self.predecessor:
            links.append(self.predecessor.xml("predecessor"))
        if self.successor:
            links.append(self.successor.xml("successor"))
        speed = tag("speed", max=self.speed_kmh, unit="km/h")
        heights = [tag("elevation", s=s, a=a, b=b, c=c, d=d)
                   for s, a, b, c, d in self.elevation.pieces]  # fmt: skip
        ends = [section.s for section in self.sections[1:]] + [self.length]
        lanes = [section.xml(end - section.s)
                 for section, end in zip(self.sections, ends, strict=True)]  # fmt: skip
        slope = (self.offset_end - self.offset) / self.length
        offset = tag("laneOffset", s=0.0, a=self.offset, b=slope, c=0.0, d=0.0)
        body = [
            tag("link", *links),
            tag("type", speed, s=0.0, type=self.kind),
            tag("planView", *[_geometry(element) for element in self.plan.elements]),
            tag("elevationProfile", *heights),
            tag("lateralProfile"),
            tag("lanes", offset, *lanes),
        ]
        if self.crosswalks or self.places:
            objects = [*self.crosswalks, *self.places]
            body.append(tag("objects", *[thing.xml() for thing in objects]))
        body.append(tag("signals", *[signal.xml() for signal in self.signals]))
        return tag("road", *body, name=self.name or f"road{self.road_id}", length=self.length,
                   id=self.road_id, junction=self.junction)  # fmt: skip


def _geometry(element: Element) -> str:
    if element.cubic is not None:
        b_u, c_u, d_u, b_v, c_v, d_v = element.cubic
        shape = tag("paramPoly3", aU=0.0, bU=b_u, cU=c_u, dU=d_u, aV=0.0, bV=b_v, cV=c_v, dV=d_v,
                    pRange="normalized")  # fmt: skip
    elif element.curvature:
        shape = f'<arc curvature="{element.curvature:.12g}"/>'
    else:
        shape = tag("line")
    return tag("geometry", shape, s=element.s, x=element.start.x, y=element.start.y,
               hdg=f"{element.start.heading:.12g}", length=element.length)  # fmt: skip


@dataclass
class Junction:
    """A junction: which road leads where, and its light controllers in the order of the cycle.

    Attributes:
        junction_id: unique among roads and junctions.
        connections: (incoming road, connecting road, from lane, to lane), the connecting road
            touched at its start.
        controllers: (controller id, signal ids), one after the other turns green.
    """

    junction_id: int
    connections: list[tuple[int, int, int, int]] = field(default_factory=list)
    controllers: list[tuple[int, list[int]]] = field(default_factory=list)

    def xml(self) -> str:
        """The element, without its controllers' own elements."""
        body = [
            tag("connection", tag("laneLink", from_=lane_from, to=lane_to), id=i,
                incomingRoad=incoming, connectingRoad=connecting, contactPoint="start")
            for i, (incoming, connecting, lane_from, lane_to) in enumerate(self.connections)
        ]  # fmt: skip
        body += [tag("controller", id=number, type="0", sequence=i)
                 for i, (number, _) in enumerate(self.controllers)]  # fmt: skip
        return tag("junction", *body, id=self.junction_id, name=f"junction{self.junction_id}")

    def controllers_xml(self) -> list[str]:
        """The elements of its controllers, which OpenDRIVE keeps outside of the junction."""
        return [
            tag("controller", *[tag("control", signalId=signal, type="0") for signal in signals],
                name=f"controller{number}", id=number, sequence=i)
            for i, (number, signals) in enumerate(self.controllers)
        ]  # fmt: skip


def write(
    name: str, roads: Sequence[Road], junctions: Sequence[Junction], geo: tuple[float, float]
) -> str:
    """The whole document.

    Args:
        name: of the town.
        roads, junctions: its content.
        geo: latitude, longitude [deg] of the origin.

    Returns:
        OpenDRIVE 1.4 as text, the same for the same input.
    """
    reference = (
        f"<geoReference><![CDATA[+proj=tmerc +lat_0={geo[0]} +lon_0={geo[1]} +k=1 +x_0=0 +y_0=0 "
        "+datum=WGS84 +units=m +vunits=m +no_defs]]></geoReference>"
    )
    points = [pose for road in roads for pose in (road.plan.start, road.plan.end)]
    header = tag(
        "header", reference, revMajor=1, revMinor=4, name=name, version=1, vendor="headway",
        north=max(p.y for p in points), south=min(p.y for p in points),
        east=max(p.x for p in points), west=min(p.x for p in points),
    )  # fmt: skip
    controllers = [text for junction in junctions for text in junction.controllers_xml()]
    body = [header, *[road.xml() for road in roads], *controllers]
    body += [junction.xml() for junction in junctions]
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tag("OpenDRIVE", *body) + "\n"
