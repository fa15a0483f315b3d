"""What roads are called, and the stops, stations and shops beside them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import carla
import numpy as np

from carla_bridge.frames import mirror_y, yaws_from_carla
from carla_bridge.road_signals import Index
from headway.road.assemble import RawLandmark, RawLane
from headway.road.lane_graph import LaneKind

KINDS = ("bus_stop", "station", "shop")  # OpenDRIVE's subtype of an object
_NUMBERED = re.compile(r"road ?\d*", re.IGNORECASE)  # what editors call a road without a name


def road_names(root: ET.Element) -> dict[int, str]:
    """Return the name of each road by its id, "" where it has none."""
    names = {}
    for road in root.iter("road"):
        name = road.get("name", "").strip()
        names[int(road.get("id", "-1"))] = "" if _NUMBERED.fullmatch(name) else name
    return names


def landmarks(
    root: ET.Element, world_map: carla.Map, lanes: list[RawLane], index: Index
) -> list[RawLandmark]:
    """Return the named objects of the kinds above, each with the driving lane beside it."""
    found = []
    for road in root.iter("road"):
        for thing in road.iterfind("objects/object"):
            name, kind = thing.get("name", ""), thing.get("subtype", "")
            if not name or kind not in KINDS:
                continue
            s, t = float(thing.get("s", "0")), float(thing.get("t", "0"))
            place = _beside(road, s, t, world_map, lanes, index)
            if place is not None:
                found.append(RawLandmark(name, kind, *place))
    return found


def _beside(
    road: ET.Element, s: float, t: float, world_map: carla.Map, lanes: list[RawLane], index: Index
) -> tuple[tuple[float, float], int, float] | None:
    """Where (s, t) of a road is, and the lane beside it: outermost on its side, else innermost."""
    road_id = int(road.get("id", "-1"))
    starts = [float(section.get("s", "0")) for section in road.iterfind("lanes/laneSection")]
    section = max(int(np.searchsorted(starts, s, side="right")) - 1, 0)
    driving = [
        lane_id for (r, k, lane_id), i in index.items()
        if (r, k) == (road_id, section) and lanes[i].kind == LaneKind.DRIVING
    ]  # fmt: skip
    if not driving:
        return None
    side = 1 if t > 0.0 else -1
    lane_id = max(driving, key=lambda i: abs(i) if i * side > 0 else -abs(i))
    inward = 1 if lane_id > 0 else -1
    found = (world_map.get_waypoint_xodr(road_id, i, s)
             for i in range(inward, lane_id + inward, inward))  # fmt: skip
    beside = [waypoint for waypoint in found if waypoint is not None]
    if len(beside) < abs(lane_id):
        return None
    widths = [waypoint.lane_width for waypoint in beside]
    at_lane = _offset(road, s) + inward * (sum(widths) - widths[-1] / 2)
    pose = beside[-1].transform
    x, y, _ = mirror_y(np.array([[pose.location.x, pose.location.y, 0.0]]))[0]
    yaw = float(yaws_from_carla(np.array([pose.rotation.yaw]))[0])
    left = (t - at_lane) * -inward  # of the lane's direction of travel
    xy = (float(x - left * math.sin(yaw)), float(y + left * math.cos(yaw)))
    lane = index[road_id, section, lane_id]
    points = lanes[lane].xyz[:, :2]
    steps = np.hypot(*np.diff(points, axis=0).T)
    nearest = int(np.argmin(np.hypot(*(points - (x, y)).T)))
    return xy, lane, float(steps[:nearest].sum())


def _offset(road: ET.Element, s: float) -> float:
    """Lane offset [m] of a road at s."""
    offset = 0.0
    for record in road.iterfind("lanes/laneOffset"):
        begin, a, b, c, d = (float(record.get(key, "0")) for key in ("s", "a", "b", "c", "d"))
        if begin <= s:
            ds = s - begin
            offset = a + ds * (b + ds * (c + ds * d))
    return offset
