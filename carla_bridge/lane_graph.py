"""CARLA's map to LaneGraph: every lane is read through the real `carla.Map`, once, and cached.

The XML is only asked which roads, sections and lanes there are, and for the speed limits, names and
named objects, which no call of the map returns; geometry, links, markings and landmarks are
LibCarla's own answers.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import carla
import numpy as np

from carla_bridge.frames import mirror_y, yaws_from_carla
from carla_bridge.road_names import landmarks, road_names
from carla_bridge.road_signals import Index, crosswalk_polygons, stop_lines
from headway.cache import cache_folder
from headway.road.assemble import RawLane, assemble
from headway.road.lane_graph import FORMAT, LaneGraph, LaneKind
from headway.types import Array

STEP = 1.0  # [m] between samples, at most
EDGE = 5e-4  # [m] from a section's ends, where LibCarla's answer is surely that section's
SHORTEST = 0.1  # [m] sections below are stepped over
NARROWEST = 0.3  # [m] lanes that never get wider do not exist
DEFAULT_LIMIT = 50.0 / 3.6  # [m/s] where neither road type nor sign says
LARGEST_GAP = 3.0  # [m] a link to a lane that begins farther away is an error of the map
UNITS = {"mph": 0.44704, "km/h": 1.0 / 3.6, "m/s": 1.0}

KINDS = {
    carla.LaneType.Driving: LaneKind.DRIVING,
    carla.LaneType.OnRamp: LaneKind.DRIVING,
    carla.LaneType.OffRamp: LaneKind.DRIVING,
    carla.LaneType.Entry: LaneKind.DRIVING,
    carla.LaneType.Exit: LaneKind.DRIVING,
    carla.LaneType.Sidewalk: LaneKind.SIDEWALK,
    carla.LaneType.Parking: LaneKind.PARKING,
    carla.LaneType.Shoulder: LaneKind.SHOULDER,
    carla.LaneType.Biking: LaneKind.BIKING,
}


@dataclass(frozen=True)
class Road:
    """What the XML says of a road.

    Attributes:
        road_id, junction: ids.
        sections: start and end [m] of each lane section, and the ids of its lanes.
        limits: (s [m], speed limit [m/s]) where it changes; empty where the XML is silent.
    """

    road_id: int
    junction: int
    sections: tuple[tuple[float, float, tuple[int, ...]], ...]
    limits: tuple[tuple[float, float], ...]


def lane_graph(name: str, xodr: str) -> LaneGraph:
    """Return the LaneGraph of a map, from the cache of this user where it has been made before.

    The cache is `$HEADWAY_CACHE`, else ~/.cache/headway; a folder that cannot be written to is
    no error, the graph is then made each time.

    Args:
        name: of the town.
        xodr: its OpenDRIVE text.
    """
    folder = cache_folder()
    digest = hashlib.sha256(f"{FORMAT} {name}\n{xodr}".encode()).hexdigest()[:24]
    path = folder / f"lanes-{digest}.npz"
    if path.exists():
        try:
            return LaneGraph.load(path)
        except (ValueError, OSError, KeyError, EOFError):
            path.unlink(missing_ok=True)  # half written or of another version: made anew below
    graph = lane_graph_from_xodr(name, xodr)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed: other processes see the whole file or none.
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".npz", delete=False) as file:
            graph.save(Path(file.name))
        os.replace(file.name, path)
    except OSError:
        pass
    return graph


def lane_graph_from_xodr(name: str, xodr: str) -> LaneGraph:
    """Extract the LaneGraph of an OpenDRIVE map with the wheel's `carla.Map`.

    Args:
        name: of the town.
        xodr: OpenDRIVE text.

    Raises:
        ValueError: the text is no OpenDRIVE map, or has no lanes.
    """
    roads = read_roads(name, xodr)
    world_map = carla.Map(name, xodr)
    lanes: list[RawLane] = []
    index: Index = {}
    for road in roads:
        for section_id, section in enumerate(road.sections):
            _read_section(world_map, road, section_id, section, lanes, index)
    ends = {(r.road_id, i): s[:2] for r in roads for i, s in enumerate(r.sections)}
    for key, i in index.items():
        lanes[i].successors = _successors(world_map, key, ends[key[:2]], lanes, index)
    _set_neighbours(lanes, index)
    _fill_limits(world_map, lanes, index)
    crosswalks = crosswalk_polygons(world_map)
    signal_ids, stops = stop_lines(world_map, lanes, index, crosswalks)
    root = ET.fromstring(xodr)
    names = road_names(root)
    for lane in lanes:
        lane.road_name = names[lane.road_id]
    named = landmarks(root, world_map, lanes, index)
    return assemble(name, lanes, stops, signal_ids, crosswalks, named)


def read_roads(name: str, xodr: str) -> list[Road]:
    """Read which roads, sections and lanes an OpenDRIVE text has.

    Raises:
        ValueError: it is not XML, or no OpenDRIVE.
    """
    try:
        root = ET.fromstring(xodr)
    except ET.ParseError as error:
        raise ValueError(f"{name}: the OpenDRIVE text is not XML: {error}") from error
    roads = []
    for road in root.iter("road"):
        length = float(road.get("length", "0"))
        found = road.findall("lanes/laneSection")
        starts = [float(section.get("s", "0")) for section in found]
        sections = tuple(
            (s0, s1, tuple(int(lane.get("id", "0")) for lane in section.iter("lane")))
            for section, s0, s1 in zip(found, starts, [*starts[1:], length], strict=True)
        )
        limits = [(float(kind.get("s", "0")), _limit(kind)) for kind in road.findall("type")]
        roads.append(
            Road(
                int(road.get("id", "-1")),
                int(road.get("junction", "-1")),
                sections,
                tuple(sorted((s, v) for s, v in limits if v is not None)),
            )
        )
    if not roads:
        raise ValueError(f"{name}: the OpenDRIVE text has no <road>")
    return roads


def _limit(kind: ET.Element) -> float | None:
    speed = kind.find("speed")
    try:
        return float(speed.get("max", "")) * UNITS[speed.get("unit", "m/s")]  # type: ignore[union-attr]
    except (AttributeError, KeyError, ValueError):  # absent, "no limit" or "undefined"
        return None


def _read_section(
    world_map: carla.Map,
    road: Road,
    section_id: int,
    section: tuple[float, float, tuple[int, ...]],
    lanes: list[RawLane],
    index: Index,
) -> None:
    s0, s1, lane_ids = section
    if s1 - s0 < SHORTEST:
        return
    at = np.linspace(s0 + EDGE, s1 - EDGE, max(2, int(np.ceil((s1 - s0) / STEP)) + 1))
    limit = next((v for s, v in reversed(road.limits) if s <= 0.5 * (s0 + s1)), 0.0)
    for lane_id in sorted(lane_ids):
        if lane_id == 0:
            continue
        ordered = at if lane_id < 0 else at[::-1]
        found = (world_map.get_waypoint_xodr(road.road_id, lane_id, float(s)) for s in ordered)
        points = [p for p in found if p is not None]
        if len(points) < len(at) or points[0].lane_type not in KINDS:
            continue
        width = np.array([p.lane_width for p in points])
        if width.max() < NARROWEST:
            continue
        poses = [p.transform for p in points]
        at_xyz = [(p.location.x, p.location.y, p.location.z) for p in poses]
        changes = [int(p.lane_change) for p in points]
        index[road.road_id, section_id, lane_id] = len(lanes)
        lanes.append(
            RawLane(
                road.road_id,
                section_id,
                lane_id,
                road.junction,
                KINDS[points[0].lane_type],
                limit,
                mirror_y(np.array(at_xyz)),
                yaws_from_carla(np.array([p.rotation.yaw for p in poses])),
                width,
                left_change=_mostly(changes, int(carla.LaneChange.Left)),
                right_change=_mostly(changes, int(carla.LaneChange.Right)),
            )
        )


def _mostly(changes: list[int], side: int) -> bool:
    return 2 * sum(1 for c in changes if c & side) > len(changes)


def _successors(
    world_map: carla.Map,
    key: tuple[int, int, int],
    ends: tuple[float, float],
    lanes: list[RawLane],
    index: Index,
) -> list[int]:
    end = ends[1] - EDGE if key[2] < 0 else ends[0] + EDGE
    last = world_map.get_waypoint_xodr(key[0], key[2], end)
    found: set[int] = set()
    ahead = list(last.next(2.0 * EDGE)) if last is not None else []
    for _ in range(int(LARGEST_GAP / SHORTEST)):  # over sections too short to be lanes of their own
        beyond: dict[tuple[int, int, int], carla.Waypoint] = {}
        for point in ahead:
            at = (point.road_id, point.section_id, point.lane_id)
            if at in index and at != key:
                found.add(index[at])
            else:
                beyond |= {
                    (p.road_id, p.section_id, p.lane_id): p for p in point.next(0.5 * SHORTEST)
                }
        if not beyond:
            break
        ahead = list(beyond.values())
    me = lanes[index[key]]
    return [
        j
        for j in sorted(found)
        if np.hypot(*(lanes[j].xyz[0, :2] - me.xyz[-1, :2])) < LARGEST_GAP
        and lanes[j].kind == me.kind
    ]


def _set_neighbours(lanes: list[RawLane], index: Index) -> None:
    for (road_id, section_id, lane_id), i in index.items():
        lane, inward = lanes[i], -1 if lane_id > 0 else 1
        # From the innermost lane the centre line is on the left.
        lane.left = index.get((road_id, section_id, lane_id + inward), -1)
        lane.right = index.get((road_id, section_id, lane_id - inward), -1)
        for side in ("left", "right"):
            other = getattr(lane, side)
            drivable = lane.kind == LaneKind.DRIVING and (
                other >= 0 and lanes[other].kind == LaneKind.DRIVING
            )
            setattr(lane, f"{side}_change", getattr(lane, f"{side}_change") and drivable)
        if lane_id == inward * -1 and lane.kind == LaneKind.DRIVING:
            other = index.get((road_id, section_id, -lane_id), -1)
            if other >= 0 and lanes[other].kind == LaneKind.DRIVING:
                lane.opposite = other


def _fill_limits(world_map: carla.Map, lanes: list[RawLane], index: Index) -> None:
    """Complete the speed limits: signs, then neighbours of connecting roads, then 50 km/h.

    No lane is faster than the fastest sign: Town04's road types say 90 mph where 90 km/h stands.
    """
    signs = [(m, _sign_limit(m)) for m in world_map.get_all_landmarks() if m.type == "274"]
    signs = sorted(((m, v) for m, v in signs if v > 0.0), key=lambda e: (e[0].road_id, e[0].s))
    for mark, limit in signs:
        for low, high in mark.get_lane_validities():
            for (road_id, _, lane_id), i in index.items():
                if road_id == mark.road_id and low <= lane_id <= high and not lanes[i].speed_limit:
                    lanes[i].speed_limit = limit
    before: list[list[int]] = [[] for _ in lanes]
    for i, lane in enumerate(lanes):
        for j in lane.successors:
            before[j].append(i)
    for _ in range(8):  # connecting roads are short chains
        known = [lane.speed_limit for lane in lanes]
        for i, lane in enumerate(lanes):
            near = [known[j] for j in before[i] + lane.successors if known[j] > 0.0]
            if not lane.speed_limit and lane.junction >= 0 and near:
                lane.speed_limit = min(near)
    fastest = max((limit for _, limit in signs), default=np.inf)
    for lane in lanes:
        lane.speed_limit = min(lane.speed_limit or DEFAULT_LIMIT, max(fastest, DEFAULT_LIMIT))


def _sign_limit(mark: carla.Landmark) -> float:
    # LibCarla calls objects named Speed_N mph; the server makes km/h of them, and so do we.
    unit = "km/h" if mark.name.lower().startswith("speed_") else mark.unit
    return float(mark.value) * UNITS.get(unit, UNITS["km/h"])


def lane_key(graph: LaneGraph, lane: int) -> tuple[int, int, int]:
    """Return CARLA's road id, section id and lane id of a lane."""
    return int(graph.road_id[lane]), int(graph.section_id[lane]), int(graph.lane_id[lane])


def nearest_carla_waypoint(world_map: carla.Map, xyz: Array) -> carla.Waypoint | None:
    """Return CARLA's waypoint on the driving lane nearest to a point (3,) [m] of our map frame."""
    at = mirror_y(np.asarray(xyz))
    return world_map.get_waypoint(carla.Location(float(at[0]), float(at[1]), float(at[2])))
