"""What the video writes over the scene: speed, limit, what binds, pedals, time, the way done."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headway.road.route import Route
from headway.trace import TickRecord
from headway.types import Array
from scenarios.canvas import box, ring, stamp


def rgb(code: str) -> Array:
    """Return (3,) uint8 of `#rrggbb`."""
    return np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


PANEL, INK, DIM = rgb("#14181d"), rgb("#f4f6f8"), rgb("#9aa5b1")
ACCENT, GREEN, RED, AMBER = rgb("#29c7e8"), rgb("#3ecf6e"), rgb("#f0443e"), rgb("#ffb020")
WHITE, BLACK = rgb("#ffffff"), rgb("#15181c")
MARGIN = 22  # [px]
# First word of a binding constraint, what we say and in which colour.
REASONS = {
    "lead": ("following", ACCENT),
    "object": ("obstacle", AMBER),
    "crossing": ("letting pass", AMBER),
    "give_way": ("giving way to", AMBER),
    "exit_blocked": ("exit blocked by", AMBER),
    "walker": ("walker", AMBER),
    "red_light": ("red light", RED),
    "yellow_light": ("yellow light", AMBER),
    "stop_sign": ("stop sign", RED),
    "goal": ("goal", GREEN),
    "limit": ("speed limit", DIM),
    "speed_cap": ("speed cap", DIM),
    "curve": ("bend", DIM),
    "lateral_accel": ("bend", DIM),
    "corridor": ("lane edge", DIM),
    "obstacle": ("keeping clear of", AMBER),
    "junction": ("junction", AMBER),
    "stop": ("stopping", AMBER),
    "lane_ends": ("lane ends", AMBER),
    "kerb": ("pulling over", GREEN),
}
NUMBERED = ("lead", "object", "crossing", "give_way", "exit_blocked", "walker", "obstacle")


@lru_cache(maxsize=4096)
def text(words: str, size: int) -> Array:
    """Return `words` as (h, w) uint8 opacity; equal words are drawn once."""
    font = _font(size)
    left, top, right, bottom = font.getbbox(words)
    image = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
    ImageDraw.Draw(image).text((1 - left, 1 - top), words, fill=255, font=font)
    return np.asarray(image)


@lru_cache(maxsize=64)
def _font(size: int):
    return ImageFont.load_default(size)


def reason_words(active: tuple[str, ...]) -> tuple[str, Array]:
    """Return in words what binds the plan first, and its colour."""
    if not active:
        return "free", DIM
    head, _, number = active[0].partition(":")
    words, color = REASONS.get(head, (head.replace("_", " "), DIM))
    return (f"{words} {number}" if number and head in NUMBERED else words), color


class Hud:
    """Draws over frames of one drive.

    Args:
        title: top left.
        route: whose length and limits are shown.
    """

    def __init__(self, title: str, route: Route) -> None:
        self._title = title
        self._route = route

    def draw(self, image: Array, record: TickRecord, s: float, alert: str) -> None:
        """Draw over `image` (h, w) what `record` says, `s` [m] along the route."""
        height, width = image.shape
        self._way_done(image, width, s)
        self._panel(image, height, record, s)
        stamp(image, text(self._title, 20), MARGIN, MARGIN + 4, BLACK, 0.85)
        clock = text(f"{record.t:6.1f} s", 20)
        stamp(image, clock, width - MARGIN - clock.shape[1], MARGIN + 4, BLACK, 0.85)
        if alert:
            words = text(alert, 26)
            middle, half = width // 2, words.shape[1] // 2
            box(image, middle, 74.0, 0.0, half + 24.0, 24.0, 12.0, 1.0, RED, 0.92)
            stamp(image, words, middle - half, 74 - words.shape[0] // 2, WHITE, 1.0)

    def _way_done(self, image: Array, width: int, s: float) -> None:
        half = 0.5 * width - MARGIN
        share = min(max(s / max(self._route.length, 1.0), 0.0), 1.0)
        box(image, 0.5 * width, 12.0, 0.0, half, 3.0, 3.0, 1.0, PANEL, 0.35)
        box(image, MARGIN + half * share, 12.0, 0.0, half * share, 3.0, 3.0, 1.0, ACCENT, 1.0)

    def _panel(self, image: Array, height: int, record: TickRecord, s: float) -> None:
        left, bottom = MARGIN, height - MARGIN
        box(image, left + 190.0, bottom - 58.0, 0.0, 190.0, 58.0, 16.0, 18.0, BLACK, 0.25)
        box(image, left + 190.0, bottom - 58.0, 0.0, 190.0, 58.0, 16.0, 1.0, PANEL, 0.88)
        speed = text(f"{abs(record.ego_speed) * 3.6:.0f}", 58)
        stamp(image, speed, left + 96 - speed.shape[1], bottom - 86, INK, 1.0)
        stamp(image, text("km/h", 17), left + 56, bottom - 30, DIM, 1.0)
        self._limit(image, left + 146.0, bottom - 62.0, s)
        words, color = reason_words(record.active)
        box(image, left + 206.0, bottom - 82.0, 0.0, 6.0, 6.0, 6.0, 1.0, color, 1.0)
        label = text(words, 20)
        stamp(image, label, left + 222, bottom - 82 - label.shape[0] // 2, INK, 1.0)
        if record.interventions:
            label = text("safety", 15)
            stamp(image, label, left + 370 - label.shape[1], bottom - 108, RED, 1.0)
        pedals = (("throttle", record.command[0], GREEN), ("brake", record.command[1], RED))
        for row, (name, value, color) in enumerate(pedals):
            y = bottom - 46.0 + 22.0 * row
            stamp(image, text(name, 15), left + 200, int(y) - 6, DIM, 1.0)
            box(image, left + 316.0, y, 0.0, 46.0, 4.0, 4.0, 1.0, DIM, 0.3)
            if value > 0.02:
                half = max(46.0 * float(value), 4.0)
                box(image, left + 270.0 + half, y, 0.0, half, 4.0, 4.0, 1.0, color, 1.0)

    def _limit(self, image: Array, x: float, y: float, s: float) -> None:
        """Draw the round sign of the limit at `s`."""
        row = min(int(np.searchsorted(self._route.s, s)), len(self._route.s) - 1)
        box(image, x, y, 0.0, 27.0, 27.0, 27.0, 1.0, WHITE, 1.0)
        ring(image, x, y, 24.0, 3.0, RED, 1.0)
        number = text(f"{self._route.speed_limit[row] * 3.6:.0f}", 22)
        stamp(image, number, int(x - number.shape[1] / 2), int(y - number.shape[0] / 2), BLACK, 1.0)
