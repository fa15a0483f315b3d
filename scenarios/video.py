"""A top-down film of a drive, made from its Trace: one frame a tick, ego's way up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headway.road.lane_graph import LaneGraph, StopKind
from headway.trace import TickRecord, Trace
from headway.types import AgentKind, Array, SignalState
from scenarios.basemap import Ground, draw_ground, stop_line
from scenarios.canvas import box, line, sample
from scenarios.encoder import VideoConfig, VideoEncoder
from scenarios.hud import ACCENT, AMBER, BLACK, GREEN, RED, WHITE, Hud, rgb
from scenarios.tick import Infraction

ALERT_S = 2.5  # [s] that an infraction is announced
TURN_S = 0.9  # [s] over which the camera's turning is smoothed
FORECAST_S = 2.0  # [s] of the others' forecast that is drawn
KIND_COLOR = {
    AgentKind.VEHICLE: rgb("#e9ebee"),
    AgentKind.TWO_WHEELER: rgb("#b48bf2"),
    AgentKind.WALKER: rgb("#ff8a3d"),
    AgentKind.PROP: rgb("#d8c9a3"),
}
EGO_COLOR = rgb("#12b5dc")
GLASS, HEADLIGHT, HAIR = rgb("#2a3038"), rgb("#fff6cf"), rgb("#5b3a29")
ROUTE_COLOR = rgb("#62d3ee")
PROPOSAL_COLOR = rgb("#9be7b0")
SIGNAL_COLOR = {
    SignalState.RED: RED,
    SignalState.YELLOW: rgb("#ffd02e"),
    SignalState.GREEN: GREEN,
    SignalState.OFF: rgb("#5a6068"),
    SignalState.UNKNOWN: rgb("#5a6068"),
}


@dataclass(frozen=True)
class Camera:
    """Where the film looks at in one frame: map to pixels.

    Attributes:
        x, y: [m] map position under (`column`, `row`).
        yaw: [rad] that is up.
        scale: [px/m].
        column, row: [px] where ego stands.
    """

    x: float
    y: float
    yaw: float
    scale: float
    column: float
    row: float

    def pixels(self, xy: Array) -> Array:
        """Return (..., 2) column and row [px] of map points (..., 2) [m]."""
        dx, dy = xy[..., 0] - self.x, xy[..., 1] - self.y
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        right, up = dx * sin - dy * cos, dx * cos + dy * sin
        return np.stack([self.column + self.scale * right, self.row - self.scale * up], axis=-1)

    def angle(self, yaw: float) -> float:
        """[rad] on the screen, clockwise from the right, of a heading in the map."""
        return self.yaw - yaw - 0.5 * np.pi


class Painter:
    """Draws the frames of one drive.

    Args:
        trace: of the drive.
        graph: the town.
        infractions: that are announced.
        config: looks.

    Raises:
        ValueError: the trace is empty.
    """

    def __init__(
        self,
        trace: Trace,
        graph: LaneGraph,
        infractions: Sequence[Infraction] = (),
        config: VideoConfig | None = None,
    ) -> None:
        if not len(trace) or trace.route is None:
            raise ValueError("Painter.trace: expected at least one record, got an empty trace")
        self.config = c = config or VideoConfig()
        self._trace = trace
        self._route = trace.route
        self._infractions = tuple(infractions)
        self._poses = np.array([r.ego_pose for r in trace.records])
        self._camera_yaw = smooth_yaw(self._poses[:, 2], round(TURN_S * c.fps))
        reach = float(np.hypot(c.width, c.height)) / c.scale  # what a turning view may show
        low, high = self._poses[:, :2].min(axis=0) - reach, self._poses[:, :2].max(axis=0) + reach
        self._ground = draw_ground(graph, (low[0], low[1], high[0], high[1]), c.scale)
        lights = np.flatnonzero(graph.stop_kind == StopKind.LIGHT)
        self._light_ends = np.array([stop_line(graph, int(i)) for i in lights]).reshape(-1, 2, 2)
        self._light_signal = graph.stop_signal[lights]
        self._hud = Hud(f"headway   {graph.name}   {trace.header.get('ego_type', '')}", trace.route)
        self._mask = np.zeros((c.height, c.width), dtype=np.float32)
        self._background = np.zeros((c.height, c.width), dtype=np.uint32)
        self._last_view: tuple[float, float, float] | None = None
        self._s = route_progress(self._route.xyz[:, :2], self._route.s, self._poses[:, :2])

    def __len__(self) -> int:
        return len(self._trace)

    def paint(self, index: int, image: Array) -> None:
        """Draw tick `index` into `image` (h, w) uint32."""
        record, c = self._trace.records[index], self.config
        x, y = self._poses[index, :2]
        camera = Camera(
            float(x), float(y), float(self._camera_yaw[index]), c.scale, 0.5 * c.width,
            0.66 * c.height,
        )  # fmt: skip
        self._lay_ground(camera, image)
        self._draw_route(camera, image, float(self._s[index]))
        self._draw_lights(camera, image, record)
        self._draw_forecasts(camera, image, record)
        self._draw_proposals(camera, image, record)
        self._draw_plan(camera, image, record)
        self._draw_agents(camera, image, index)
        self._draw_ego(camera, image, record)
        self._hud.draw(image, record, float(self._s[index]), self._alert(record.t))

    def _lay_ground(self, camera: Camera, image: Array) -> None:
        """Fill the image with the ground; a view that stands still is not drawn again."""
        view = (camera.x, camera.y, camera.yaw)
        if self._last_view is None or max(
            abs(a - b) for a, b in zip(view, self._last_view, strict=True)
        ) > 2e-3:  # fmt: skip
            ground: Ground = self._ground
            ratio = ground.scale / camera.scale
            cos, sin = np.cos(camera.yaw), np.sin(camera.yaw)
            right = ratio * np.array([sin, cos])
            down = ratio * np.array([-cos, sin])
            u = (camera.x - ground.west) * ground.scale
            v = (ground.north - camera.y) * ground.scale
            u0 = u - camera.column * right[0] - camera.row * down[0]
            v0 = v - camera.column * right[1] - camera.row * down[1]
            sample(ground.image, self._background, u0, v0, right, down)
            self._last_view = view
        np.copyto(image, self._background)

    def _draw_route(self, camera: Camera, image: Array, s: float) -> None:
        """Draw the way to go as a broad translucent band."""
        ahead = (self._route.s >= s) & (self._route.s <= s + 110.0)
        way = self._route.xyz[ahead, :2]
        if len(way) > 1:
            line(
                image, self._mask, camera.pixels(way), 0.75 * camera.scale, ROUTE_COLOR, 0.32, 0.12
            )

    def _draw_lights(self, camera: Camera, image: Array, record: TickRecord) -> None:
        """Draw each light as a bar on its stop line, with a glow."""
        if not len(self._light_ends):
            return
        ends = camera.pixels(self._light_ends)
        for pair, signal in zip(ends, self._light_signal, strict=True):
            middle = pair.mean(axis=0)
            if not self._visible(middle):
                continue
            state = int(record.signal_state[signal]) if signal >= 0 else SignalState.UNKNOWN
            color = SIGNAL_COLOR[SignalState(state)]
            across = pair[1] - pair[0]
            angle, half = float(np.arctan2(across[1], across[0])), 0.5 * float(np.hypot(*across))
            glow = 1.4 * camera.scale
            box(image, middle[0], middle[1], angle, half, 0.2 * glow, 2.0, glow, color, 0.45)
            box(image, middle[0], middle[1], angle, half, 0.24 * camera.scale, 1.5, 1.0, color, 1.0)

    def _draw_forecasts(self, camera: Camera, image: Array, record: TickRecord) -> None:
        """Draw where the driver believes that moving agents will be."""
        steps = round(FORECAST_S / max(record.proposals_dt, 1e-3))
        if record.forecast.shape[1] == 0 or steps < 1:
            return
        moving = np.hypot(record.agents[:, 4], record.agents[:, 5]) > 0.3
        for i in np.flatnonzero(moving):
            start = record.agents[i, :2].astype(np.float64)
            way = np.vstack([[0.0, 0.0], record.forecast[i, :steps].astype(np.float64)]) + start
            points = camera.pixels(way)
            if self._visible(points[0]):
                line(image, self._mask, points, 1.4, WHITE, 0.6, 0.0)

    def _draw_proposals(self, camera: Camera, image: Array, record: TickRecord) -> None:
        """Draw what the driver might have done, thin, as far as it differs from the plan."""
        for name, states in zip(record.proposal_names, record.proposals, strict=True):
            points = camera.pixels(states[:, :2].astype(np.float64))
            if name != record.plan_name and np.hypot(*(points[-1] - points[0])) > 2.0:
                line(image, self._mask, points, 1.6, PROPOSAL_COLOR, 0.5, 0.1)

    def _draw_plan(self, camera: Camera, image: Array, record: TickRecord) -> None:
        """Draw what the driver means to do: a bright line that fades with time."""
        points = camera.pixels(record.plan[:, :2].astype(np.float64))
        if len(points) > 1 and np.hypot(*(points[-1] - points[0])) > 2.0:
            line(image, self._mask, points, 0.3 * camera.scale, BLACK, 0.25, 0.0)
            line(image, self._mask, points, 0.22 * camera.scale, ACCENT, 1.0, 0.15)

    def _draw_agents(self, camera: Camera, image: Array, index: int) -> None:
        """Draw everybody else; who binds the plan gets an amber frame."""
        record = self._trace.records[index]
        braking = self._braking(index)
        named = {name.partition(":")[2] for name in record.active}
        pixels = camera.pixels(record.agents[:, :2].astype(np.float64))
        for i in range(len(record.agent_id)):
            if not self._visible(pixels[i]):
                continue
            x, y = float(pixels[i, 0]), float(pixels[i, 1])
            kind = AgentKind(int(record.agent_kind[i]))
            angle = camera.angle(float(record.agents[i, 2]))
            half_length, half_width = (float(v) * camera.scale for v in record.agents[i, 6:8])
            if str(int(record.agent_id[i])) in named:
                around = max(half_length, 6.0) + 4.0, max(half_width, 6.0) + 4.0
                box(image, x, y, angle, *around, 8.0, 10.0, AMBER, 0.6)
                box(image, x, y, angle, *around, 7.0, 1.0, AMBER, 1.0)
            if kind is AgentKind.WALKER:
                draw_walker(image, x, y, angle, camera.scale)
            else:
                draw_vehicle(image, x, y, angle, half_length, half_width, KIND_COLOR[kind],
                             bool(braking[i]), kind is AgentKind.VEHICLE)  # fmt: skip

    def _draw_ego(self, camera: Camera, image: Array, record: TickRecord) -> None:
        """Draw our car."""
        x, y = camera.pixels(record.ego_pose[:2])
        half_length, half_width = (
            v * camera.scale for v in self._trace.header.get("ego_extent", (2.45, 0.95))
        )
        angle = camera.angle(float(record.ego_pose[2]))
        draw_vehicle(image, float(x), float(y), angle, half_length, half_width, EGO_COLOR,
                     bool(record.command[1] > 0.05), True)  # fmt: skip

    def _braking(self, index: int) -> Array:
        """(A,) whether each agent brakes by more than 0.8 m/s^2 over the last quarter second."""
        record = self._trace.records[index]
        earlier = self._trace.records[max(0, index - 5)]
        lost = np.zeros(len(record.agent_id), dtype=bool)
        span = record.t - earlier.t
        if span <= 0.0 or not len(earlier.agent_id):
            return lost
        where = np.searchsorted(earlier.agent_id, record.agent_id)
        where = np.minimum(where, len(earlier.agent_id) - 1)
        known = earlier.agent_id[where] == record.agent_id
        now = np.hypot(record.agents[:, 4], record.agents[:, 5])
        then = np.hypot(earlier.agents[where, 4], earlier.agents[where, 5])
        return known & ((then - now > 0.8 * span) | (now < 0.05))

    def _visible(self, pixel: Array) -> bool:
        """Whether something at `pixel` may reach into the image."""
        c = self.config
        return bool(-60 < pixel[0] < c.width + 60 and -60 < pixel[1] < c.height + 60)

    def _alert(self, t: float) -> str:
        """What happened just now, or nothing."""
        for event in self._infractions:
            if 0.0 <= t - event.t < ALERT_S:
                return event.kind.replace("_", " ") + ("" if event.at_fault else " (not at fault)")
        return ""


def draw_vehicle(
    image: Array, x: float, y: float, angle: float, half_length: float, half_width: float,
    color: Array, braking: bool, glass: bool,
) -> None:  # fmt: skip
    """Draw a vehicle with shadow, windows and brake lights; all in pixels."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))

    def place(forward: float, right: float) -> tuple[float, float]:
        return x + forward * cos - right * sin, y + forward * sin + right * cos

    radius = min(0.45 * half_width, 5.0)
    box(image, x + 1.5, y + 2.0, angle, half_length + 1.0, half_width + 1.0, radius + 1.0, 6.0,
        BLACK, 0.45)  # fmt: skip
    box(image, x, y, angle, half_length, half_width, radius, 1.0, (color * 0.62).astype(np.uint8),
        1.0)  # fmt: skip
    box(image, x, y, angle, half_length - 1.0, half_width - 1.0, radius, 1.0, color, 1.0)
    if glass:
        for forward, length, width in ((0.30, 0.13, 0.74), (-0.62, 0.10, 0.68)):
            px, py = place(forward * half_length, 0.0)
            box(
                image, px, py, angle, length * half_length, width * half_width, 2.0, 1.0, GLASS, 0.9
            )
    for side in (-0.62, 0.62):
        if braking:
            px, py = place(-0.93 * half_length, side * half_width)
            box(image, px, py, angle, 1.6, 0.26 * half_width, 1.0, 5.0, RED, 0.8)
            box(image, px, py, angle, 1.3, 0.24 * half_width, 1.0, 1.0, RED, 1.0)
        px, py = place(0.93 * half_length, side * half_width)
        box(image, px, py, angle, 1.2, 0.2 * half_width, 1.0, 1.0, HEADLIGHT, 0.9)


def draw_walker(image: Array, x: float, y: float, angle: float, scale: float) -> None:
    """Draw a walker seen from above: shoulders across, a head, a shadow."""
    color = KIND_COLOR[AgentKind.WALKER]
    box(image, x + 1.0, y + 1.5, angle, 0.3 * scale, 0.5 * scale, 0.3 * scale, 5.0, BLACK, 0.4)
    box(image, x, y, angle, 0.26 * scale, 0.48 * scale, 0.26 * scale, 1.0, color, 1.0)
    head = 0.2 * scale
    x, y = x + 0.1 * scale * float(np.cos(angle)), y + 0.1 * scale * float(np.sin(angle))
    box(image, x, y, angle,
        head, head, head, 1.0, HAIR, 1.0)  # fmt: skip


def smooth_yaw(yaw: Array, sigma: int) -> Array:
    """Return headings (n,) [rad] smoothed over time, the future included.

    Args:
        yaw: (n,) [rad].
        sigma: [ticks] of the Gaussian.
    """
    unwrapped = np.unwrap(yaw)
    reach = 3 * sigma
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(unwrapped, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def route_progress(way: Array, s: Array, places: Array) -> Array:
    """Return (n,) [m], how far along `way` (R, 2) with arc lengths `s` each place is."""
    out, at = np.zeros(len(places)), 0
    for i, place in enumerate(places):
        near = slice(max(0, at - 10), at + 60)
        at = near.start + int(np.argmin(np.hypot(*(way[near] - place).T)))
        out[i] = s[at]
    return np.maximum.accumulate(out)


def write_video(
    trace: Trace,
    graph: LaneGraph,
    path: Path,
    infractions: Sequence[Infraction] = (),
    config: VideoConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the film of a drive.

    Args:
        trace: of the drive.
        graph: the town.
        path: of the MP4.
        infractions: that are announced.
        config: looks.
        progress: hears how many frames of how many are done.

    Raises:
        ValueError: the trace is empty.
    """
    painter = Painter(trace, graph, infractions, config)
    c = painter.config
    with VideoEncoder(path, c) as encoder:
        for index in range(len(painter)):
            image = encoder.buffer()
            painter.paint(index, image)
            encoder.put(image)
            if progress is not None:
                progress(index + 1, len(painter))
    return path
