"""Draws a town from above: lanes, markings, arrows, crosswalks, signals, spawn points, places."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from shapely import Polygon
from shapely.ops import unary_union

from carla_bridge.headless.towns.town import SignalSpec, Town
from headway.road.lane_graph import LaneGraph, LaneKind
from headway.types import Array

GROUND = "#e9ecdf"
CROSSWALK, MARKING, DIVIDER = "#f7f7f2", "#fbfbf5", "#f2c14e"
FILL = {
    LaneKind.DRIVING: "#5b626b",
    LaneKind.SIDEWALK: "#cfc8ba",
    LaneKind.PARKING: "#7a828c",
    LaneKind.SHOULDER: "#6a717a",
    LaneKind.BIKING: "#8a6f5c",
}
SIGNS = {
    "traffic.traffic_light": ("o", "#2ca25f", "traffic light"),
    "traffic.stop": ("H", "#d7301f", "stop sign"),
    "traffic.yield": ("v", "#f16913", "yield sign"),
    "traffic.speed_limit": ("s", "#3182bd", "speed limit"),
}
INCHES_PER_KM = 22.0
ARROW_EVERY = 45.0  # [m]


def draw(
    town: Town, path_png: str | Path, around: tuple[float, float, float] | None = None
) -> None:
    """Draw a town, or `around` x, y, radius [m] of it, into a PNG."""
    graph = town.lane_graph
    low, high = graph.xyz[:, :2].min(axis=0) - (25.0, 70.0), graph.xyz[:, :2].max(axis=0) + 40.0
    if around is not None:
        center = np.array(around[:2])
        low, high = center - around[2], center + around[2]
    size = (high - low) / 1000.0 * INCHES_PER_KM
    size *= float(np.clip(1.0, 12.0 / size.max(), 32.0 / size.max()))
    figure = Figure(figsize=(size[0], size[1]), facecolor=GROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_facecolor(GROUND)
    scale = 72.0 * size[0] / (high[0] - low[0])  # points a metre
    _lanes(axes, graph)
    _junctions(axes, graph)
    _markings(axes, graph, scale)
    _crosswalks(axes, graph)
    _arrows(axes, graph)
    _signals(axes, town.signals, scale)
    _places(axes, graph, low, high)
    spawn = town.spawn_points
    axes.scatter(spawn[:, 0], -spawn[:, 1], s=max(3.0, (0.6 * scale) ** 2), c="#b2abd2",
                 linewidths=0, zorder=6)  # fmt: skip
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.set_axis_off()
    _furniture(axes, town, low, high)
    figure.savefig(path_png, dpi=110, facecolor=GROUND)


def _strip(graph: LaneGraph, lane: int, left: float, right: float) -> Array:
    """Polygon (n, 2) of a lane between two lateral positions in half widths."""
    rows = graph.points(lane)
    xy, yaw, half = graph.xyz[rows, :2], graph.yaw[rows], graph.width[rows, None] / 2
    normal = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    return np.concatenate([xy + normal * half * left, (xy + normal * half * right)[::-1]])


def _lanes(axes: Axes, graph: LaneGraph) -> None:
    order = (LaneKind.SIDEWALK, LaneKind.SHOULDER, LaneKind.PARKING, LaneKind.BIKING,
             LaneKind.DRIVING)  # fmt: skip
    for zorder, kind in enumerate(order):
        polygons = [_strip(graph, int(i), 1.0, -1.0) for i in np.flatnonzero(graph.kind == kind)]
        axes.add_collection(
            PolyCollection(polygons, facecolors=FILL[kind], edgecolors=FILL[kind], linewidths=0.6,
                           zorder=1 + 0.1 * zorder)
        )  # fmt: skip


def _junctions(axes: Axes, graph: LaneGraph) -> None:
    """Pavement between the lanes of a junction."""
    polygons = []
    for junction in set(graph.junction[graph.junction >= 0].tolist()):
        lanes = np.flatnonzero(graph.junction == junction)
        strips = [Polygon(_strip(graph, int(lane), 1.0, -1.0)).buffer(0.0) for lane in lanes]
        area = unary_union(strips)
        closed = area.buffer(2.0).buffer(-2.0)
        for part in getattr(closed, "geoms", [closed]):
            # holes between pavement and sidewalk are filled, the middle of a roundabout is not
            small = [hole for hole in part.interiors if Polygon(hole).area < 300.0]
            polygons += [np.asarray(ring.coords) for ring in small]
            if not part.interiors or small:
                polygons.append(np.asarray(part.exterior.coords))
    axes.add_collection(
        PolyCollection(polygons, facecolors=FILL[LaneKind.DRIVING], linewidths=0, zorder=0.9)
    )


def _markings(axes: Axes, graph: LaneGraph, scale: float) -> None:
    """Edge lines: yellow to the oncoming side, dashed where one may change lanes."""
    groups: dict[tuple[str, bool], list[Array]] = {}
    for lane in np.flatnonzero((graph.kind == LaneKind.DRIVING) & (graph.junction < 0)):
        rows = graph.points(int(lane))
        for side, neighbour in ((1.0, graph.left[lane]), (-1.0, graph.right[lane])):
            edge = _strip(graph, int(lane), side, side)[: rows.stop - rows.start]
            change = graph.left_change[lane] if side > 0 else graph.right_change[lane]
            dashed = bool(neighbour >= 0 and change)
            oncoming = side > 0 and graph.opposite[lane] >= 0 and neighbour < 0
            groups.setdefault((DIVIDER if oncoming else MARKING, dashed), []).append(edge)
    width = max(0.3, 0.15 * scale)
    for (color, dashed), lines in groups.items():
        style = (0, (3.0 * scale / width, 5.0 * scale / width)) if dashed else "solid"
        axes.add_collection(
            LineCollection(lines, colors=color, linewidths=width, linestyles=[style], zorder=3)
        )


def _crosswalks(axes: Axes, graph: LaneGraph) -> None:
    """Zebra stripes across the shorter way."""
    stripes = []
    for first, last in zip(graph.crosswalk_start, graph.crosswalk_start[1:], strict=False):
        corners = graph.crosswalk_xy[first:last][:4]
        if len(corners) < 4:
            continue
        a, b, c, d = corners
        if np.linalg.norm(b - a) < np.linalg.norm(d - a):
            b, d = d, b  # a to b is the long side now
        count = max(2, int(np.linalg.norm(b - a) / 0.5))
        for i in range(0, count, 2):
            u, v = i / count, min((i + 1) / count, 1.0)
            stripes.append([a + (b - a) * u, a + (b - a) * v, d + (c - d) * v, d + (c - d) * u])
    axes.add_collection(PolyCollection(stripes, facecolors=CROSSWALK, linewidths=0, zorder=4))


def _arrows(axes: Axes, graph: LaneGraph) -> None:
    """Arrows on the lanes outside of junctions, in the direction of travel."""
    shape = np.array([[-2.2, 0.12], [0.4, 0.12], [0.4, 0.5], [2.0, 0.0],
                      [0.4, -0.5], [0.4, -0.12], [-2.2, -0.12]])  # fmt: skip
    arrows = []
    for lane in np.flatnonzero((graph.kind == LaneKind.DRIVING) & (graph.junction < 0)):
        rows = graph.points(int(lane))
        for s in np.arange(min(12.0, graph.length[lane] / 2), graph.length[lane], ARROW_EVERY):
            i = rows.start + int(np.searchsorted(graph.s[rows], s))
            cos, sin = math.cos(graph.yaw[i]), math.sin(graph.yaw[i])
            arrows.append(shape @ np.array([[cos, sin], [-sin, cos]]) + graph.xyz[i, :2])
    axes.add_collection(PolyCollection(arrows, facecolors="#dfe3e6", linewidths=0, zorder=3.5))


def _places(axes: Axes, graph: LaneGraph, low: Array, high: Array) -> None:
    """Names of stops, stations, shops, and of streets, each once near its longest lane's middle."""
    lanes = np.flatnonzero((graph.kind == LaneKind.DRIVING) & (graph.junction < 0))
    style: dict[str, Any] = {"fontsize": 7, "ha": "center", "zorder": 9, "clip_on": True}
    for name in sorted(set(graph.road_name[lanes].tolist()) - {""}):
        lane = max(lanes[graph.road_name[lanes] == name], key=lambda i: graph.length[i])
        row = (graph.point_start[lane] + graph.point_start[lane + 1]) // 2
        angle = (math.degrees(graph.yaw[row]) + 90.0) % 180.0 - 90.0
        x, y = graph.xyz[row, :2]
        axes.text(x, y, name, color="white", rotation=angle, va="center",
                  rotation_mode="anchor", **style)  # fmt: skip
    for name, kind, xy in zip(
        graph.landmark_name, graph.landmark_kind, graph.landmark_xy, strict=True
    ):
        if (low < xy).all() and (xy < high).all():
            axes.plot(*xy, marker="P" if kind == "bus_stop" else "p", color="#54278f", markersize=6,
                      markeredgecolor="white", zorder=8)  # fmt: skip
            axes.annotate(name, xy, (0, 5), textcoords="offset points", color="#3f007d", **style)


def _signals(axes: Axes, signals: tuple[SignalSpec, ...], scale: float) -> None:
    """Posts as symbols, and the boxes on the lanes where they take effect."""
    for prefix, (marker, color, _) in SIGNS.items():
        chosen = [spec for spec in signals if spec.type_id.startswith(prefix)]
        if not chosen:
            continue
        xy = np.array([spec.transform[:2] for spec in chosen]) * (1.0, -1.0)
        axes.scatter(xy[:, 0], xy[:, 1], s=float(np.clip((2.2 * scale) ** 2, 36, 160)), c=color,
                     marker=marker, edgecolors="white", linewidths=0.7, zorder=8)  # fmt: skip
        boxes = []
        for box in (box for spec in chosen for box in spec.boxes):
            yaw = math.radians(-box.yaw)
            cos, sin = math.cos(yaw), math.sin(yaw)
            local = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * box.extent[:2]
            boxes.append(
                local @ np.array([[cos, sin], [-sin, cos]]) + (box.center[0], -box.center[1])
            )
        axes.add_collection(
            PolyCollection(boxes, facecolors=color, alpha=0.55, linewidths=0, zorder=5)
        )


def _furniture(axes: Axes, town: Town, low: Array, high: Array) -> None:
    """Title, legend and a scale bar."""
    graph = town.lane_graph
    km = graph.length[graph.kind == LaneKind.DRIVING].sum() / 1000.0
    junctions = len(set(graph.junction[graph.junction >= 0].tolist()))
    title = f"{town.name}: {km:.1f} km of lanes, {junctions} junctions"
    axes.text(0.5, 0.985, title, transform=axes.transAxes, ha="center", va="top", fontsize=16,
              color="#333333", zorder=10,
              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8})  # fmt: skip
    handles = [
        Line2D([], [], marker=marker, color="none", markerfacecolor=color, markersize=9,
               markeredgecolor="white", label=label)
        for prefix, (marker, color, label) in SIGNS.items()
        if any(spec.type_id.startswith(prefix) for spec in town.signals)
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="o", color="none", markerfacecolor="#b2abd2",
                          markeredgecolor="none", markersize=6, label="spawn point"))  # fmt: skip
    handles += [
        Line2D([], [], marker="s", color="none", markerfacecolor=FILL[kind], markersize=9,
               markeredgecolor="none", label=f"{kind.name.lower()} lane")
        for kind in LaneKind if (graph.kind == kind).any()
    ]  # fmt: skip
    legend = axes.legend(handles=handles, loc="lower left", ncols=3, frameon=True, fontsize=10,
                         facecolor="white", edgecolor="none", framealpha=0.85)  # fmt: skip
    legend.set_zorder(10)
    extent = high[0] - low[0]
    bar = next(b for b in (500, 200, 100, 50, 20, 10, 5, 1) if b < extent / 5 or b == 1)
    x, y = high[0] - 0.02 * extent - bar, low[1] + 0.02 * (high[1] - low[1])
    axes.plot([x, x + bar], [y, y], color="#333333", linewidth=3, zorder=10)
    axes.text(x + bar / 2, y, f"{bar} m\n", ha="center", va="bottom", fontsize=10, color="#333333",
              zorder=10)  # fmt: skip
