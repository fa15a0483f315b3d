"""The ground of the top-down video: roads, markings, sidewalks, crosswalks, drawn once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from shapely.geometry import MultiPoint, Polygon
from shapely.ops import unary_union

from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.types import Array

MAX_PIXELS = 40e6  # of the ground's image; larger areas are drawn coarser
DPI = 100.0
GRASS = "#a9bf97"
FILL = {
    LaneKind.SIDEWALK: "#cfcac0",
    LaneKind.SHOULDER: "#73777c",
    LaneKind.PARKING: "#6b6f76",
    LaneKind.BIKING: "#8d5f57",
    LaneKind.DRIVING: "#565b63",
}
KERB = "#8f8b82"
WHITE, YELLOW, FAINT = "#f2f2ee", "#f0c23c", "#d9dad6"
# Colour and width [m] of lines on the road.
MARKINGS = {"solid": (WHITE, 0.14), "middle": (YELLOW, 0.12), "border": (FAINT, 0.10),
            "dashed": (WHITE, 0.14)}  # fmt: skip
ISLAND = 3.0  # [m] gaps in junctions up to twice as wide are paved
DASH = (3.0, 4.5)  # [m] painted, free


@dataclass(frozen=True)
class Ground:
    """An image of the ground.

    Attributes:
        image: (H, W) uint32, packed as `scenarios.canvas` says, north up.
        west, north: [m] map coordinates of its first pixel.
        scale: [px/m].
    """

    image: Array
    west: float
    north: float
    scale: float


def draw_ground(
    graph: LaneGraph, bounds: tuple[float, float, float, float], scale: float
) -> Ground:
    """Draw the part of a town within `bounds`.

    Args:
        graph: the town.
        bounds: [m] west, south, east, north.
        scale: [px/m] wanted.
    """
    west, south, east, north = bounds
    scale = min(scale, float(np.sqrt(MAX_PIXELS / ((east - west) * (north - south)))))
    width, height = int((east - west) * scale) + 1, int((north - south) * scale) + 1
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(west, west + width / scale)
    axes.set_ylim(north - height / scale, north)
    axes.set_axis_off()
    figure.set_facecolor(GRASS)
    points = scale * 72.0 / DPI  # a metre in the unit of line widths
    inside = _inside(graph, bounds)
    _fill_lanes(axes, graph, inside, points)
    _paint_crosswalks(axes, graph)
    _paint_markings(axes, graph, inside, points)
    _paint_stop_lines(axes, graph, points)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    image = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
    return Ground(image, west, north, scale)


def _inside(graph: LaneGraph, bounds: tuple[float, float, float, float]) -> list[int]:
    """Lanes that touch the bounds."""
    west, south, east, north = bounds
    x, y = graph.xyz[:, 0], graph.xyz[:, 1]
    seen = (x > west - 10) & (x < east + 10) & (y > south - 10) & (y < north + 10)
    return [int(lane) for lane in np.unique(graph.point_lane[seen])]


def edge(graph: LaneGraph, lane: int, side: float, inset: float = 0.0) -> Array:
    """Return (n, 2) [m], a lane's left (`side` 1) or right (-1) edge, `inset` inwards."""
    rows = graph.points(lane)
    yaw = graph.yaw[rows]
    shift = side * (0.5 * graph.width[rows] - inset)
    return graph.xyz[rows, :2] + shift[:, None] * np.column_stack([-np.sin(yaw), np.cos(yaw)])


def paved(graph: LaneGraph, lanes: Iterable[int]) -> list[Array]:
    """Outlines (n, 2) [m] of the junctions of `lanes`: lanes alone leave islands of grass."""
    areas: dict[int, list[Polygon]] = {}
    for lane in lanes:
        junction = int(graph.junction[lane])
        if junction >= 0 and graph.kind[lane] == LaneKind.DRIVING:
            ring = np.vstack([edge(graph, lane, 1.0), edge(graph, lane, -1.0)[::-1]])
            areas.setdefault(junction, []).append(Polygon(ring).buffer(0.05))
    outlines = []
    for polygons in areas.values():
        # Closing: grown and shrunk again, gaps narrower than twice the reach are filled.
        whole = unary_union(polygons).buffer(ISLAND, 4).buffer(-ISLAND, 4)
        parts = getattr(whole, "geoms", [whole])
        outlines += [np.asarray(part.exterior.coords) for part in parts if not part.is_empty]
    return outlines


def _fill_lanes(axes, graph: LaneGraph, lanes: Iterable[int], points: float) -> None:
    """Fill every lane's area, kinds in order of height, with a kerb round the roads."""
    lanes = list(lanes)
    height = graph.xyz[:, 2]
    for kind, color in FILL.items():
        chosen = [i for i in lanes if graph.kind[i] == kind and len(graph.xyz[graph.points(i)]) > 1]
        # Higher roads last, so that bridges cover what they cross.
        chosen.sort(key=lambda i: float(height[graph.points(i)].mean()))
        polygons = [np.vstack([edge(graph, i, 1.0), edge(graph, i, -1.0)[::-1]]) for i in chosen]
        if kind is LaneKind.DRIVING:
            kerb = PolyCollection(polygons, facecolors=KERB, edgecolors=KERB)
            kerb.set_linewidth(0.36 * points)
            axes.add_collection(kerb)
            junctions = paved(graph, lanes)
            axes.add_collection(PolyCollection(junctions, facecolors=FILL[LaneKind.DRIVING]))
        area = PolyCollection(polygons, facecolors=color, edgecolors=color)
        area.set_linewidth(0.08 * points)  # closes the seams between neighbours
        axes.add_collection(area)


def _paint_markings(axes, graph: LaneGraph, lanes: Iterable[int], points: float) -> None:
    """Paint the lines between lanes of roads."""
    ways: dict[str, list[Array]] = {look: [] for look in MARKINGS}
    for look, way in markings(graph, lanes):
        ways[look] += dashes(way) if look == "dashed" else [way]
    for look, (color, width) in MARKINGS.items():
        axes.add_collection(LineCollection(ways[look], colors=color, linewidths=width * points))


def markings(graph: LaneGraph, lanes: Iterable[int]) -> Iterator[tuple[str, Array]]:
    """Yield the look (see `MARKINGS`) and way (n, 2) [m] of lines; junctions have none."""
    for lane in lanes:
        if graph.kind[lane] != LaneKind.DRIVING or graph.junction[lane] >= 0:
            continue
        left, right = int(graph.left[lane]), int(graph.right[lane])
        if left >= 0 and graph.kind[left] == LaneKind.DRIVING:
            yield "dashed" if graph.left_change[lane] else "solid", edge(graph, lane, 1.0)
        elif graph.opposite[lane] >= 0:
            yield "middle", edge(graph, lane, 1.0, 0.12)
        else:
            yield "border", edge(graph, lane, 1.0, 0.15)
        if right < 0 or graph.kind[right] != LaneKind.DRIVING:
            yield "border", edge(graph, lane, -1.0, 0.15)


def dashes(way: Array) -> list[Array]:
    """Cut a polyline (n, 2) [m] into painted pieces."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
    painted, free = DASH
    pieces = []
    for start in np.arange(0.5 * free, s[-1], painted + free):
        at = np.linspace(start, min(start + painted, s[-1]), 4)
        pieces.append(np.column_stack([np.interp(at, s, way[:, 0]), np.interp(at, s, way[:, 1])]))
    return pieces


def _paint_crosswalks(axes, graph: LaneGraph) -> None:
    """Paint zebra stripes along the traffic, one after another across the road."""
    stripes = []
    for i in range(len(graph.crosswalk_start) - 1):
        ring = graph.crosswalk_xy[graph.crosswalk_start[i] : graph.crosswalk_start[i + 1]]
        stripes += zebra(np.asarray(ring)[:, :2])
    axes.add_collection(PolyCollection(stripes, facecolors=WHITE, edgecolors="none", alpha=0.85))


def zebra(ring: Array) -> list[Array]:
    """Return the stripes, (4, 2) [m] each, of a crosswalk with outline `ring` (n, 2) [m]."""
    if len(ring) < 3:
        return []
    rectangle = MultiPoint([tuple(p) for p in ring]).minimum_rotated_rectangle
    if rectangle.geom_type != "Polygon":
        return []
    corner = np.asarray(rectangle.exterior.coords)[:4]  # pyright: ignore
    a, b = corner[1] - corner[0], corner[3] - corner[0]
    across, along = (a, b) if np.hypot(*a) >= np.hypot(*b) else (b, a)
    length = float(np.hypot(*across))
    stripes = []
    for start in np.arange(0.25, length - 0.45, 1.0):
        p, q = corner[0] + across * start / length, corner[0] + across * (start + 0.5) / length
        stripes.append(np.array([p, q, q + along, p + along]))
    return stripes


def _paint_stop_lines(axes, graph: LaneGraph, points: float) -> None:
    """Paint every stop line, and a sign beside those of stop and yield signs."""
    lines = {kind: [] for kind in StopKind}
    signs = {StopKind.STOP: [], StopKind.YIELD: []}
    for i in range(len(graph.stop_lane)):
        ends = stop_line(graph, i)
        kind = StopKind(int(graph.stop_kind[i]))
        lines[kind].append(ends)
        if kind in signs:
            outward = ends[1] - ends[0]
            signs[kind].append(ends[1] + 1.1 * outward / max(float(np.hypot(*outward)), 1e-6))
    for kind, ends in lines.items():
        style = (0.0, (1.0, 0.8)) if kind is StopKind.YIELD else "solid"
        axes.add_collection(
            LineCollection(ends, colors=WHITE, linewidths=0.45 * points, linestyles=style)
        )
    # An octagon, and a triangle that points down; areas of marks are in points squared.
    looks = {StopKind.STOP: ("8", "#c8202c"), StopKind.YIELD: ("v", "#ffffff")}
    for kind, places in signs.items():
        if places:
            mark, color = looks[kind]
            border = "#ffffff" if kind is StopKind.STOP else "#c8202c"
            axes.scatter(*np.array(places).T, s=(1.5 * points) ** 2, marker=mark, c=color,
                         edgecolors=border, linewidths=0.18 * points, zorder=5)  # fmt: skip


def stop_line(graph: LaneGraph, index: int) -> Array:
    """Return (2, 2) [m], the left and right end of stop line `index`."""
    lane, s = int(graph.stop_lane[index]), float(graph.stop_s[index])
    rows = graph.points(lane)
    at = np.array([np.interp(s, graph.s[rows], graph.xyz[rows, axis]) for axis in (0, 1)])
    nearest = rows.start + int(np.argmin(np.abs(graph.s[rows] - s)))
    yaw, half = float(graph.yaw[nearest]), 0.46 * float(graph.width[nearest])
    left = np.array([-np.sin(yaw), np.cos(yaw)])
    return np.array([at + half * left, at - half * left])
