"""Stop lines and crosswalks of CARLA's map: where lights and signs hold vehicles."""

from __future__ import annotations

import carla
import numpy as np

from headway.road.assemble import RawLane, RawStop
from headway.road.lane_graph import LaneKind, StopKind
from headway.types import Array

Index = dict[tuple[int, int, int], int]  # (road, section, lane id) -> lane

KINDS = {"1000001": StopKind.LIGHT, "206": StopKind.STOP, "205": StopKind.YIELD}
BEFORE_JUNCTION = 1.0  # [m] stop line to the junction's edge
BEFORE_CROSSWALK = 1.0  # [m] stop line to a crosswalk on the lane
CROSSWALK_REACH = 15.0  # [m] a crosswalk farther than this from the junction is not its own
LOOK_AHEAD = 60.0  # [m] from a sign to the junction that it guards


def crosswalk_polygons(world_map: carla.Map) -> list[Array]:
    """Return the map's crosswalks as open polygons (k, 2) [m], map frame."""
    polygons: list[Array] = []
    corners: list[tuple[float, float]] = []
    for point in world_map.get_crosswalks():  # each polygon ends with its first corner
        corner = (point.x, -point.y)
        if (
            len(corners) > 2
            and np.hypot(corner[0] - corners[0][0], corner[1] - corners[0][1]) < 0.01
        ):
            polygons.append(np.array(corners))
            corners = []
        else:
            corners.append(corner)
    return polygons


def stop_lines(
    world_map: carla.Map, lanes: list[RawLane], index: Index, crosswalks: list[Array]
) -> tuple[list[str], list[RawStop]]:
    """Find where lights, stop and yield signs hold vehicles.

    A signal that stands on an approach governs all lanes that follow; one that stands on a
    connecting road (as in CARLA's towns) governs that way through the junction only.

    Returns:
        Ids of the traffic lights, and the stop lines.
    """
    marks = [m for m in world_map.get_all_landmarks() if m.type in KINDS]
    marks.sort(key=lambda m: (m.id, m.road_id, m.s))
    signal_ids = sorted({m.id for m in marks if KINDS[m.type] == StopKind.LIGHT}, key=_natural)
    before: list[list[int]] = [[] for _ in lanes]
    for i, lane in enumerate(lanes):
        for j in lane.successors:
            before[j].append(i)
    found: dict[tuple[int, int, int], set[int]] = {}
    for mark in marks:
        kind = KINDS[mark.type]
        signal = signal_ids.index(mark.id) if kind == StopKind.LIGHT else -1
        for lane in _governed(mark, lanes, index):
            for entry, way in _entries(lane, lanes, before):
                found.setdefault((entry, int(kind), signal), set()).add(way)
    stops: list[RawStop] = []
    for (entry, kind, signal), ways in sorted(found.items()):
        place = _place(entry, lanes, before, crosswalks)
        follow = {j for j in lanes[entry].successors if lanes[j].junction >= 0}
        for way in [-1] if -1 in ways or ways >= follow else sorted(ways):
            stops += [RawStop(lane, s, kind, signal, way) for lane, s in place]
    return signal_ids, stops


def _natural(text: str) -> tuple[int, str]:
    return (int(text) if text.isdigit() else 1 << 62, text)


def _governed(mark: carla.Landmark, lanes: list[RawLane], index: Index) -> list[int]:
    """Driving lanes that the signal is valid for, in the section where it stands."""
    sections: dict[int, list[int]] = {}
    for road_id, section_id, lane_id in index:
        if road_id == mark.road_id:
            sections.setdefault(section_id, []).append(lane_id)
    if not sections:
        return []
    found = []
    for low, high in mark.get_lane_validities():
        for section_id, lane_ids in sections.items():
            for lane_id in lane_ids:
                lane = index[mark.road_id, section_id, lane_id]
                if low <= lane_id <= high and lanes[lane].kind == LaneKind.DRIVING:
                    found.append(lane)
    return found


def _entries(lane: int, lanes: list[RawLane], before: list[list[int]]) -> list[tuple[int, int]]:
    """Pairs of an approach lane that ends at the junction and the way (-1: all) that is guarded."""
    if lanes[lane].junction >= 0:
        way, seen = lane, {lane}
        while True:
            back = [j for j in before[way] if lanes[j].junction == lanes[lane].junction]
            if len(back) != 1 or back[0] in seen:
                break
            way = back[0]
            seen.add(way)
        return [(j, way) for j in before[way] if lanes[j].junction < 0]
    at, gone = lane, 0.0
    while gone < LOOK_AHEAD:
        follow = lanes[at].successors
        if any(lanes[j].junction >= 0 for j in follow):
            return [(at, -1)]
        if len(follow) != 1:
            return []
        at = follow[0]
        gone += float(np.hypot(*(lanes[at].xyz[-1, :2] - lanes[at].xyz[0, :2])))
    return []


def _place(
    entry: int, lanes: list[RawLane], before: list[list[int]], crosswalks: list[Array]
) -> list[tuple[int, float]]:
    """Where the stop line of an approach lies: before the junction and before its crosswalk."""
    back = BEFORE_JUNCTION
    xy = lanes[entry].xyz[:, :2]
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    for polygon in crosswalks:
        inside = _inside(polygon, xy) & (s[-1] - s < CROSSWALK_REACH)
        if inside.any():
            back = max(back, s[-1] - s[inside].min() + BEFORE_CROSSWALK)
    return _walk_back(entry, back, lanes, before)


def _walk_back(
    lane: int, distance: float, lanes: list[RawLane], before: list[list[int]]
) -> list[tuple[int, float]]:
    length = float(np.hypot(*np.diff(lanes[lane].xyz[:, :2], axis=0).T).sum())
    if length >= distance:
        return [(lane, length - distance)]
    earlier = [j for j in before[lane] if lanes[j].junction < 0]
    if not earlier:
        return [(lane, 0.0)]
    return [place for j in earlier for place in _walk_back(j, distance - length, lanes, before)]


def _inside(polygon: Array, xy: Array) -> Array:
    """Even-odd rule for points (n, 2)."""
    inside = np.zeros(len(xy), bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (a[1] > xy[:, 1]) != (b[1] > xy[:, 1])
        if crosses.any():
            at = a[0] + (xy[crosses, 1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            inside[crosses] ^= xy[crosses, 0] < at
    return inside
