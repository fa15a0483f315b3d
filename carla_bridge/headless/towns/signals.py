"""What CARLA makes of a map's signals and road entries: actors, trigger volumes, spawn points.

The rules are those of CARLA 0.9.16 for worlds made from OpenDRIVE (its traffic light manager,
sign components and OpenDRIVE generator). Two deliberate differences: the volume of an actor is
aligned with the actor, not with the axes of the map (CARLA's is too large or too small on slanted
roads), and the volume of a light that stands for a lane inside a junction is always on the lane
before it, 3 m before its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

import carla
import numpy as np

from carla_bridge.headless.towns.town import SignalSpec, TriggerBox
from headway.types import Array

LIGHT_TYPES = frozenset(
    [f"10000{i:02d}" for i in (1, 2, *range(7, 21))] + ["F", "W", "A"]
)  # LibCarla's
STOP_TYPE, YIELD_TYPE, SPEED_TYPE = "206", "205", "274"
SPEED_SIGNS = frozenset(str(v) for v in range(30, 100, 10))  # km/h, those that CARLA has actors for

LIGHT_BOX, LIGHT_DISTANCE = (1.5, 1.0), 3.0  # half length and height; centre before the signal [m]
LIGHT_ACROSS, SIGN_SIZE, SPEED_SIZE = 0.25, 0.45, 0.35  # half sizes by the lane's width
LONELY_RED = 10.0  # [s] of a light without a controller
SPAWN_HEIGHT = 3.0  # [m] over the road
_EPSILON = 1e-3  # [m]; LibCarla knows no waypoint at the very end of a road


class _Roads:
    """Lengths and lane sections by road, from the XML: the map's API does not tell."""

    def __init__(self, root: Element) -> None:
        self.length = {int(r.get("id", "")): float(r.get("length", "")) for r in root.iter("road")}
        self.cuts = {
            int(road.get("id", "")): [
                *sorted(float(section.get("s", "")) for section in road.iter("laneSection")),
                float(road.get("length", "")),
            ]
            for road in root.iter("road")
        }

    def bounds(self, waypoint: carla.Waypoint) -> tuple[float, float]:
        """Where [m] the waypoint's lane section begins and ends."""
        cuts = self.cuts[waypoint.road_id]
        index = min(int(np.searchsorted(cuts, waypoint.s, side="right")), len(cuts) - 1)
        return cuts[index - 1], cuts[index]


def spawn_points(town_map: carla.Map, root: Element) -> Array:
    """Spawn points by CARLA's rule for OpenDRIVE worlds: where a driving lane enters its road.

    Several lanes that begin in one place (in a junction) make one point.

    Args:
        town_map: LibCarla's map.
        root: its parsed OpenDRIVE.

    Returns:
        (n, 6) x, y, z [m], pitch, yaw, roll [deg], CARLA's frame.
    """
    points: dict[tuple[float, ...], list[float]] = {}
    for road in root.iter("road"):
        road_id, sections = int(road.get("id", "")), road.findall("lanes/laneSection")
        far = float(road.get("length", "")) - _EPSILON
        for section, side, s in ((sections[0], -1, 0.0), (sections[-1], 1, far)):
            for lane in section.iter("lane"):
                lane_id = int(lane.get("id", "0"))
                if lane_id * side <= 0 or lane.get("type") != "driving":
                    continue
                waypoint = town_map.get_waypoint_xodr(road_id, lane_id, s)
                if waypoint is not None:
                    pose = _pose(waypoint.transform, SPAWN_HEIGHT)
                    points.setdefault(tuple(round(v, 1) for v in (*pose[:3], pose[4])), pose)
    return np.array(list(points.values()), dtype=np.float64).reshape(-1, 6)


def _pose(transform: carla.Transform, lift: float = 0.0) -> list[float]:
    location, rotation = transform.location, transform.rotation
    yaw = (rotation.yaw + 180.0) % 360.0 - 180.0
    pitch = (rotation.pitch + 180.0) % 360.0 - 180.0
    return [location.x, location.y, location.z + lift, pitch, yaw, rotation.roll]


def signal_specs(town_map: carla.Map, root: Element) -> tuple[SignalSpec, ...]:
    """The lights and signs that CARLA would spawn, with their volumes, groups and times.

    Args:
        town_map: LibCarla's map.
        root: its parsed OpenDRIVE.

    Returns:
        Lights in the order of their groups, then signs, both in the order of the file.
    """
    roads = _Roads(root)
    references: dict[str, list[carla.Landmark]] = {}
    for landmark in town_map.get_all_landmarks():
        references.setdefault(landmark.id, []).append(landmark)
    lights, signs = [], []
    groups = _light_groups(root)
    lonely = -1
    for element in root.iter("signal"):
        signal_id, kind = element.get("id", ""), element.get("type", "")
        landmarks = references.pop(signal_id, [])
        if not landmarks:
            continue  # valid for no lane, so LibCarla dropped it
        if kind in LIGHT_TYPES:
            boxes = tuple(_light_boxes(town_map, roads, landmarks))
            spec = _spec(landmarks[0], "traffic.traffic_light", boxes)
            if signal_id in groups:
                group, order = groups[signal_id]
                lights.append(replace(spec, group=group, order=order))
            else:
                lonely -= 1
                lights.append(replace(spec, group=lonely, red_time=LONELY_RED))
        elif (type_id := _sign_type(element)) is not None:
            size = SPEED_SIZE if kind == SPEED_TYPE else SIGN_SIZE
            boxes = tuple(_sign_boxes(town_map, roads, landmarks, size))
            spec = _spec(landmarks[0], type_id, boxes)
            signs.append(replace(spec, value=landmarks[0].value))
    lights.sort(key=lambda spec: (spec.group, spec.order))
    return (*lights, *signs)


def _sign_type(element: Element) -> str | None:
    """CARLA's blueprint of a sign, None where it spawns nothing."""
    kind, subtype = element.get("type", ""), element.get("subtype", "")
    if kind == STOP_TYPE and element.get("name") != "Stencil_STOP":
        return "traffic.stop"
    if kind == YIELD_TYPE:
        return "traffic.yield"
    if kind == SPEED_TYPE and subtype in SPEED_SIGNS:
        return f"traffic.speed_limit.{subtype}"
    return None


def _light_groups(root: Element) -> dict[str, tuple[int, int]]:
    """Junction and place in its cycle of every signal that a junction's controller has."""
    controlled = {
        controller.get("id"): [c.get("signalId", "") for c in controller.findall("control")]
        for controller in root.findall("controller")
    }
    groups = {}
    for junction in root.findall("junction"):
        for order, reference in enumerate(junction.findall("controller")):
            for signal_id in controlled.get(reference.get("id"), []):
                groups.setdefault(signal_id, (int(junction.get("id", "-1")), order))
    return groups


def _affected(
    town_map: carla.Map, roads: _Roads, landmarks: Iterable[carla.Landmark]
) -> Iterator[carla.Waypoint]:
    """Waypoints beside a signal on the driving lanes that it is valid for."""
    for landmark in landmarks:
        far = roads.length[landmark.road_id] - _EPSILON
        s = min(max(landmark.s, 0.0), far)
        for first, last in landmark.get_lane_validities():
            for lane_id in range(min(first, last), max(first, last) + 1):
                if lane_id == 0:
                    continue
                waypoint = town_map.get_waypoint_xodr(landmark.road_id, lane_id, s)
                if waypoint is not None and waypoint.lane_type == carla.LaneType.Driving:
                    yield waypoint


def _light_boxes(
    town_map: carla.Map, roads: _Roads, landmarks: Iterable[carla.Landmark]
) -> Iterator[TriggerBox]:
    seen = set()
    for waypoint in _affected(town_map, roads, landmarks):
        before = _lane_before(roads, waypoint) if waypoint.is_junction else None
        place = before or waypoint
        key = (place.road_id, place.lane_id, round(place.s))
        if key in seen:
            continue  # several movements of a junction begin on one lane
        seen.add(key)
        across = max(LIGHT_ACROSS * place.lane_width, 0.01)
        extent = (LIGHT_BOX[0], across, LIGHT_BOX[1])
        yield _box(town_map, roads, place, LIGHT_DISTANCE, extent)


def _sign_boxes(
    town_map: carla.Map, roads: _Roads, landmarks: Iterable[carla.Landmark], size: float
) -> Iterator[TriggerBox]:
    for waypoint in _affected(town_map, roads, landmarks):
        half = max(size * waypoint.lane_width, 0.01)
        yield _box(town_map, roads, waypoint, half, (half, half, half))


def _lane_before(roads: _Roads, waypoint: carla.Waypoint) -> carla.Waypoint | None:
    """The only lane that leads into a junction's lane, at its end."""
    along = waypoint.lane_id < 0
    travelled = waypoint.s if along else roads.length[waypoint.road_id] - waypoint.s
    before = waypoint.previous(max(travelled, 0.0) + 0.05)
    return before[0] if len(before) == 1 and not before[0].is_junction else None


def _box(
    town_map: carla.Map, roads: _Roads, waypoint: carla.Waypoint, distance: float,
    extent: tuple[float, float, float],
) -> TriggerBox:  # fmt: skip
    """A box on a lane, `distance` [m] against the traffic, but within the lane's section."""
    low, high = roads.bounds(waypoint)
    s = waypoint.s + (distance if waypoint.lane_id > 0 else -distance)
    s = min(max(s, low + _EPSILON), high - _EPSILON)
    moved = town_map.get_waypoint_xodr(waypoint.road_id, waypoint.lane_id, s) or waypoint
    x, y, z, _, yaw, _ = _pose(moved.transform)
    return TriggerBox(
        (x, y, z), extent, yaw, moved.road_id, moved.section_id, moved.lane_id, moved.s
    )  # fmt: skip


def _spec(landmark: carla.Landmark, type_id: str, boxes: tuple[TriggerBox, ...]) -> SignalSpec:
    """An actor where its signal stands; CARLA's models are turned by 90 degrees."""
    x, y, z, _, yaw, _ = _pose(landmark.transform)
    yaw = (yaw + 90.0 + 180.0) % 360.0 - 180.0
    spec = SignalSpec(landmark.id, type_id, (x, y, z, 0.0, yaw, 0.0), boxes=boxes)
    if not boxes:
        return spec
    corners = np.concatenate([_corners(box) for box in boxes]) - (x, y, z)
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    local = corners @ np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    low, high = local.min(axis=0), local.max(axis=0)
    center, extent = (low + high) / 2, (high - low) / 2
    return replace(
        spec,
        trigger_center=(float(center[0]), float(center[1]), float(center[2])),
        trigger_extent=(float(extent[0]), float(extent[1]), float(extent[2])),
    )


def _corners(box: TriggerBox) -> Array:
    """(8, 3) corners [m] of a box in the map, CARLA's frame."""
    cos, sin = math.cos(math.radians(box.yaw)), math.sin(math.radians(box.yaw))
    along, across, up = box.extent
    return np.array([
        [box.center[0] + i * along * cos - j * across * sin,
         box.center[1] + i * along * sin + j * across * cos,
         box.center[2] + k * up]
        for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)
    ])  # fmt: skip
