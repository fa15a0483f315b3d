"""The roads near a route as outlines, for the report's replay: a document of packed columns."""

from __future__ import annotations

import numpy as np
import shapely

from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.types import Array
from scenarios.basemap import edge, markings, paved, stop_line
from scenarios.packing import FORMAT, Document, pack

REACH = 60.0  # [m] beside the route
TOLERANCE = 0.05  # [m] that outlines may be off after points are left out
STEP = 0.01  # [m]


def ground_document(graph: LaneGraph, route: Route) -> Document:
    """Return the route's line and the lanes, markings, crosswalks and stop lines near it.

    The same route gives the same document, whoever drives it.
    """
    line = shapely.LineString(_thinned(route.xyz[:, :2]))
    shapely.prepare(near := line.buffer(REACH))
    inside = shapely.contains_xy(near, graph.xyz[:, 0], graph.xyz[:, 1])
    lanes = [int(lane) for lane in np.unique(graph.point_lane[inside])]
    lanes = [lane for lane in lanes if graph.length[lane] > 0.0 and _points(graph, lane) > 1]
    stops = [i for i in range(len(graph.stop_lane)) if int(graph.stop_lane[i]) in set(lanes)]
    rings = [
        np.asarray(graph.crosswalk_xy[start:end])[:, :2]
        for start, end in zip(graph.crosswalk_start[:-1], graph.crosswalk_start[1:], strict=True)
    ]
    crossings = [ring for ring in rings if shapely.contains_xy(near, *ring[0])]
    return {
        "format": FORMAT,
        "town": graph.name,
        "length": round(float(route.length), 1),
        "route": {
            **{axis: pack(route.xyz[:, i], STEP) for i, axis in enumerate("xy")},
            "limit": pack(route.speed_limit, STEP),
        },
        "lanes": [
            {"kind": int(graph.kind[lane]),
             **_line(np.vstack([edge(graph, lane, 1.0), edge(graph, lane, -1.0)[::-1]]))}
            for lane in lanes
        ],
        "paved": [_line(ring) for ring in paved(graph, lanes)],
        "marks": [{"look": look, **_line(way)} for look, way in markings(graph, lanes)],
        "crossings": [_line(ring) for ring in crossings],
        "stops": [
            {"kind": StopKind(int(graph.stop_kind[i])).name.lower(),
             "signal": _signal(graph, i), **_line(stop_line(graph, i))}
            for i in stops
        ],
    }  # fmt: skip


def _points(graph: LaneGraph, lane: int) -> int:
    rows = graph.points(lane)
    return rows.stop - rows.start


def _signal(graph: LaneGraph, stop: int) -> str:
    """The id of the light at a stop line, empty where there is none."""
    signal = int(graph.stop_signal[stop])
    return str(graph.signal_id[signal]) if signal >= 0 else ""


def _thinned(xy: Array) -> Array:
    """(m, 2) The points of a line (n, 2) [m] that matter for its shape."""
    line = shapely.LineString(xy).simplify(TOLERANCE, preserve_topology=False)
    return np.asarray(line.coords)


def _line(xy: Array) -> Document:
    """Pack a line or ring (n, 2) [m]."""
    xy = _thinned(xy) if len(xy) > 2 else xy
    return {"x": pack(xy[:, 0], STEP), "y": pack(xy[:, 1], STEP)}
