"""Checks OpenDRIVE before LibCarla sees it: what is wrong there ends the process, here it is named.

Every check stands for something that crashes LibCarla 0.9.16, makes it throw without saying where,
or gives NaN. What it copes with is let through: CARLA's own towns are not pedantic.
"""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from carla_bridge.headless.towns.town import BrokenTown
from headway.cache import cache_folder

MAX_LENGTH = 1e6  # [m] of a road; LibCarla walks over it in metres
MAX_LANES = 100  # on either side
MAX_BYTES = 256 * 1024 * 1024
TRIAL_SECONDS = 30.0
_SHAPES = ("line", "arc", "spiral", "poly3", "paramPoly3")
_LANE_RECORDS = ("width", "border")

# what every user of a map does, so that a crash happens in a process that may crash
_TRIAL = """
import sys, math, carla
town = carla.Map("trial", sys.stdin.buffer.read().decode("utf-8"))
points = town.generate_waypoints(5.0)
if not points:
    raise ValueError("no driving lanes")
for a, b in town.get_topology():
    a.next(1.0), b.previous(1.0), a.get_junction()
for p in points:
    at, turn = p.transform.location, p.transform.rotation
    if not math.isfinite(at.x + at.y + at.z + turn.yaw + turn.pitch + p.lane_width):
        raise ValueError(f"road {p.road_id}, lane {p.lane_id}: NaN at s = {p.s:.1f}")
    if max(abs(at.x), abs(at.y), abs(at.z), p.lane_width) > 1e5:
        raise ValueError(f"road {p.road_id}, lane {p.lane_id}: {at} is out of this world")
for p in points[::7]:
    p.next(3.0), p.previous(3.0), p.get_left_lane(), p.get_right_lane(), p.get_landmarks(20.0)
for mark in town.get_all_landmarks():
    mark.transform, mark.get_lane_validities(), mark.waypoint
town.get_crosswalks()
town.get_waypoint(carla.Location())
"""


def check_xodr(name: str, xodr: str) -> Element:
    """Check OpenDRIVE text.

    Args:
        name: of the town, for the message.
        xodr: OpenDRIVE.

    Returns:
        Its root element.

    Raises:
        BrokenTown: with what is wrong and where.
    """
    try:
        root = _parse(xodr)
        roads, junctions = _index(root)
        for road_id, road in roads.items():
            _check_road(f"road {road_id}", road)
        for road_id, road in roads.items():
            _check_links(f"road {road_id}", road, roads, junctions)
        _check_junctions(junctions, roads)
        _check_signals(root, roads)
    except BrokenTown as error:
        raise BrokenTown(f"town {name!r}: {error}") from error
    return root


def _parse(xodr: str) -> Element:
    if not xodr.strip():
        raise BrokenTown("the OpenDRIVE is empty")
    if len(xodr) > MAX_BYTES:
        raise BrokenTown(f"the OpenDRIVE has {len(xodr)} characters, more than {MAX_BYTES}")
    if "<!ENTITY" in xodr:
        raise BrokenTown("XML entities are not allowed")
    try:
        root = ElementTree.fromstring(xodr.encode("utf-8"))
    except (ElementTree.ParseError, UnicodeEncodeError) as error:
        raise BrokenTown(f"not XML: {error}") from error
    if root.tag != "OpenDRIVE":
        raise BrokenTown(f"the root element is <{root.tag}>, expected <OpenDRIVE>")
    return root


def _number(where: str, element: Element, name: str, default: float | None = None) -> float:
    """A finite attribute."""
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BrokenTown(f"{where}: <{element.tag} {name}={text!r}> is not a finite number")
    return value


def _identity(element: Element, name: str = "id") -> int:
    text = element.get(name)
    try:
        return int(text or "")
    except ValueError:
        raise BrokenTown(f"<{element.tag} {name}={text!r}>: expected a whole number") from None


def _index(root: Element) -> tuple[dict[int, Element], dict[int, Element]]:
    """Roads and junctions by id."""
    found = []
    for kind in ("road", "junction"):
        elements = root.findall(kind)
        ids = [_identity(element) for element in elements]
        for number, times in Counter(ids).items():
            if times > 1:
                raise BrokenTown(f"{kind} {number} is there {times} times; ids must be unique")
        found.append(dict(zip(ids, elements, strict=True)))
    roads, junctions = found
    if not roads:
        raise BrokenTown("there are no roads in it")
    for number in roads.keys() & junctions.keys():
        raise BrokenTown(f"id {number} is both a road's and a junction's; LibCarla mixes them up")
    return roads, junctions


def _check_road(where: str, road: Element) -> None:
    """A road by itself: length, geometry, heights, lanes."""
    length = _number(where, road, "length")
    if not 0.0 < length <= MAX_LENGTH:
        raise BrokenTown(
            f"{where}: length is {length} m, expected more than 0, at most {MAX_LENGTH:g}"
        )
    geometries = road.findall("planView/geometry")
    if not geometries:
        raise BrokenTown(f"{where}: <planView> without <geometry>")
    for geometry in geometries:
        _check_geometry(where, geometry)
    for record in (
        *road.iterfind("elevationProfile/elevation"),
        *road.iterfind("lanes/laneOffset"),
    ):
        for name in "sabcd":
            _number(where, record, name)
    for path in ("planView/geometry", "elevationProfile/elevation", "lanes/laneOffset"):
        first = road.find(path)
        if first is not None and _number(where, first, "s") > 1e-3:
            raise BrokenTown(
                f"{where}: its first <{first.tag}> is at {first.get('s')} m, expected 0"
            )
    sections = road.findall("lanes/laneSection")
    if not sections:
        raise BrokenTown(f"{where}: no <laneSection>")
    starts = [_number(where, section, "s") for section in sections]
    if starts != sorted(starts) or starts[0] > 1e-3 or starts[-1] > length + 1e-3:
        raise BrokenTown(
            f"{where}: lane sections start at {starts} m, expected from 0 up to {length}"
        )
    for section, s in zip(sections, starts, strict=True):
        _check_section(f"{where}, lane section at {s:g} m", section)


def _check_geometry(where: str, geometry: Element) -> None:
    for name in ("s", "x", "y", "hdg", "length"):
        _number(where, geometry, name)
    length = float(geometry.get("length", "0"))
    if not 0.0 < length <= MAX_LENGTH:
        raise BrokenTown(f"{where}: a geometry has the length {length} m, expected more than 0")
    shapes = [child for child in geometry if child.tag in _SHAPES]
    if len(shapes) != 1:
        tags = [child.tag for child in geometry]
        raise BrokenTown(f"{where}: a geometry is made of {tags}, expected one of {_SHAPES}")
    shape = shapes[0]
    for name in shape.attrib:
        if name != "pRange":
            _number(where, shape, name)
    if shape.tag == "spiral":
        first = _number(where, shape, "curvStart")
        if first == _number(where, shape, "curvEnd"):
            raise BrokenTown(
                f"{where}: a spiral of constant curvature {first} gives NaN; write an arc or a line"
            )
    if shape.tag == "arc":
        _number(where, shape, "curvature")


def _check_section(where: str, section: Element) -> None:
    if section.find("center/lane") is None:
        raise BrokenTown(f"{where}: no centre lane")
    ids = [_identity(lane) for lane in section.iter("lane")]
    if max(abs(number) for number in ids) > MAX_LANES:
        raise BrokenTown(f"{where}: lane ids {sorted(ids)}, at most {MAX_LANES} are understood")
    if len(set(ids)) < len(ids):
        raise BrokenTown(f"{where}: lane ids {sorted(ids)} are not unique")
    for lane in section.iter("lane"):
        for record in lane:
            if record.tag in _LANE_RECORDS:
                for name in ("sOffset", "a", "b", "c", "d"):
                    _number(f"{where}, lane {lane.get('id')}", record, name, 0.0)


def _check_links(
    where: str, road: Element, roads: dict[int, Element], junctions: dict[int, Element]
) -> None:
    """What a road's ends and its lanes name has to be there."""
    junction = -1 if road.get("junction") is None else _identity(road, "junction")
    if junction != -1 and junction not in junctions:
        raise BrokenTown(f"{where}: it is part of junction {junction}, which is missing")
    touched: dict[str, set[int] | None] = {}
    for name in ("predecessor", "successor"):
        link = road.find(f"link/{name}")
        touched[name] = None
        if link is None:
            continue
        number, kind = _identity(link, "elementId"), link.get("elementType")
        if number not in (junctions if kind == "junction" else roads):
            raise BrokenTown(f"{where}: its {name} is {kind} {number}, which is missing")
        if kind == "road":
            contact = link.get("contactPoint", "")
            if contact not in ("start", "end"):
                raise BrokenTown(
                    f"{where}: its {name} has contactPoint {contact!r}, not start or end"
                )
            touched[name] = _lane_ids(roads[number], contact)
    sections = road.findall("lanes/laneSection")
    lanes = [{int(lane.get("id", "0")) for lane in section.iter("lane")} for section in sections]
    for i, section in enumerate(sections):
        before = lanes[i - 1] if i else touched["predecessor"]
        after = lanes[i + 1] if i + 1 < len(lanes) else touched["successor"]
        for lane in section.iter("lane"):
            for name, there in (("predecessor", before), ("successor", after)):
                link = lane.find(f"link/{name}")
                if link is not None and there is not None and _identity(link) not in there:
                    raise BrokenTown(
                        f"{where}: the {name} of lane {lane.get('id')} is lane {link.get('id')}, "
                        f"but there are only {sorted(there)}"
                    )


def _lane_ids(road: Element, contact: str) -> set[int]:
    sections = road.findall("lanes/laneSection")
    return {
        int(lane.get("id", "0")) for lane in sections[-1 if contact == "end" else 0].iter("lane")
    }


def _check_junctions(junctions: dict[int, Element], roads: dict[int, Element]) -> None:
    for number, junction in junctions.items():
        for connection in junction.findall("connection"):
            for name in ("incomingRoad", "connectingRoad"):
                if connection.get(name) is not None and _identity(connection, name) not in roads:
                    raise BrokenTown(
                        f"junction {number}: its {name} {connection.get(name)} is missing"
                    )


def _check_signals(root: Element, roads: dict[int, Element]) -> None:
    """Signals, and that all who name one find it."""
    signals = set()
    for road_id, road in roads.items():
        for signal in road.iterfind("signals/signal"):
            signals.add(signal.get("id"))
        for signal in (*road.iterfind("signals/signal"), *road.iterfind("signals/signalReference")):
            where = f"road {road_id}, {signal.tag} {signal.get('id')}"
            if _number(where, signal, "s") < 0.0:
                raise BrokenTown(f"{where}: s = {signal.get('s')} m lies before the road")
            _number(where, signal, "t")
    for road_id, road in roads.items():
        _require(f"road {road_id}: a signalReference", road.iterfind("signals/signalReference"),
                 "id", signals)  # fmt: skip
    for controller in root.findall("controller"):
        where = f"controller {controller.get('id')}"
        _require(where, controller.iterfind("control"), "signalId", signals)


def _require(where: str, elements: Iterable[Element], name: str, known: set[str | None]) -> None:
    for element in elements:
        if element.get(name) not in known:
            raise BrokenTown(f"{where} names signal {element.get(name)}, which is missing")


def try_in_child(name: str, xodr: str) -> None:
    """Let LibCarla use the map in a process of its own; what passed once is not tried again.

    Args:
        name: of the town, for the message.
        xodr: OpenDRIVE that passed `check_xodr`.

    Raises:
        BrokenTown: LibCarla crashed, threw, or took too long.
    """
    cache = cache_folder()
    passed = cache / "towns" / f"{hashlib.sha256((_TRIAL + xodr).encode()).hexdigest()}.passed"
    if passed.exists():
        return
    try:
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL], input=xodr.encode("utf-8"), capture_output=True,
            timeout=TRIAL_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BrokenTown(
            f"town {name!r}: LibCarla did not come to an end with it in {TRIAL_SECONDS:.0f} s"
        ) from None
    if trial.returncode < 0:
        raise BrokenTown(
            f"town {name!r}: LibCarla crashes on it (signal {-trial.returncode}), though no fault "
            "was found in ids, links, geometry and signals"
        )
    if trial.returncode:
        lines = trial.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise BrokenTown(f"town {name!r}: LibCarla cannot use it: {lines[-1]}")
    passed.parent.mkdir(parents=True, exist_ok=True)
    passed.touch()
