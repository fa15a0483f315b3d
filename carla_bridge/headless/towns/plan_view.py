"""Reference lines of OpenDRIVE roads: lines, arcs and cubics joined without kinks.

Map frame of OpenDRIVE: x east, y north, heading counter-clockwise in radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from headway.frames import wrap_angle

_TINY = 1e-9
_STEPS = 200  # even, for Simpson's rule on [0, 1]
_SIMPSON_POINTS = np.linspace(0.0, 1.0, _STEPS + 1)
_SIMPSON_WEIGHTS = np.where(np.arange(_STEPS + 1) % 2, 4.0, 2.0) / (3.0 * _STEPS)
_SIMPSON_WEIGHTS[[0, -1]] /= 2.0


@dataclass(frozen=True)
class Pose:
    """A point with a direction: x, y [m], heading [rad, counter-clockwise]."""

    x: float
    y: float
    heading: float

    def ahead(self, forward: float, left: float = 0.0) -> Pose:
        """The pose moved by `forward` and `left` [m] in its own frame."""
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return Pose(
            self.x + forward * cos - left * sin, self.y + forward * sin + left * cos, self.heading
        )

    def reversed(self) -> Pose:
        """The same point looked at from the other side."""
        return Pose(self.x, self.y, wrap_angle(self.heading + math.pi))

    def local(self, other: Pose) -> tuple[float, float]:
        """Position of `other` [m] in this pose's frame: forward, left."""
        dx, dy = other.x - self.x, other.y - self.y
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return dx * cos + dy * sin, dy * cos - dx * sin


@dataclass(frozen=True)
class Element:
    """One piece of a reference line: a line, an arc, or a cubic in its own frame.

    Attributes:
        s: [m] where it starts along the road.
        start: pose there.
        length: [m].
        curvature: [1/m], left positive, 0 for a line.
        cubic: Hermite-like coefficients (bU, cU, dU, bV, cV, dV) on p in [0, 1], or None.
    """

    s: float
    start: Pose
    length: float
    curvature: float = 0.0
    cubic: tuple[float, float, float, float, float, float] | None = None

    def at(self, ds: float) -> Pose:
        """Pose at `ds` [m] along this element."""
        if self.cubic is not None:
            return self._cubic_at(ds)
        turn = self.curvature * ds
        if abs(turn) < _TINY:
            return self.start.ahead(ds)
        forward, left = math.sin(turn), 1.0 - math.cos(turn)
        moved = self.start.ahead(forward / self.curvature, left / self.curvature)
        return Pose(moved.x, moved.y, wrap_angle(moved.heading + turn))

    def _cubic_at(self, ds: float) -> Pose:
        assert self.cubic is not None
        b_u, c_u, d_u, b_v, c_v, d_v = self.cubic
        p = min(max(ds / self.length, 0.0), 1.0)
        for _ in range(8 if 0.0 < p < 1.0 else 0):  # Newton: the derivative of length is speed
            speed = math.hypot(b_u + p * (2 * c_u + 3 * p * d_u), b_v + p * (2 * c_v + 3 * p * d_v))
            p = min(max(p - (_cubic_length(self.cubic, p) - ds) / speed, 0.0), 1.0)
        moved = self.start.ahead(p * (b_u + p * (c_u + p * d_u)), p * (b_v + p * (c_v + p * d_v)))
        heading = math.atan2(b_v + p * (2 * c_v + 3 * p * d_v), b_u + p * (2 * c_u + 3 * p * d_u))
        return Pose(moved.x, moved.y, wrap_angle(self.start.heading + heading))


def _cubic_length(cubic: tuple[float, ...], p_end: float) -> float:
    """Arc length [m] of a cubic from p = 0 to `p_end`, by Simpson's rule."""
    b_u, c_u, d_u, b_v, c_v, d_v = cubic
    p = p_end * _SIMPSON_POINTS
    speed = np.hypot(b_u + p * (2 * c_u + 3 * p * d_u), b_v + p * (2 * c_v + 3 * p * d_v))
    return float(p_end * (_SIMPSON_WEIGHTS @ speed))


@dataclass
class PlanView:
    """A reference line drawn like a turtle does; every piece starts where the last one ended.

    Attributes:
        start: its first pose.
        elements: its pieces.
    """

    start: Pose
    elements: list[Element] = field(default_factory=list)

    @property
    def length(self) -> float:
        """Length [m]."""
        return self.elements[-1].s + self.elements[-1].length if self.elements else 0.0

    @property
    def end(self) -> Pose:
        """Last pose."""
        return self.elements[-1].at(self.elements[-1].length) if self.elements else self.start

    def at(self, s: float) -> Pose:
        """Pose at `s` [m]."""
        for element in reversed(self.elements):
            if s >= element.s:
                return element.at(min(s - element.s, element.length))
        return self.start

    def line(self, length: float) -> PlanView:
        """Go straight on for `length` [m]; nothing happens for a length of nearly zero."""
        if length > 1e-6:
            self.elements.append(Element(self.length, self.end, length))
        return self

    def arc(self, radius: float, angle: float) -> PlanView:
        """Turn by `angle` [rad, left positive] with `radius` [m]."""
        if abs(angle) > 1e-9:
            curvature = math.copysign(1.0 / radius, angle)
            self.elements.append(Element(self.length, self.end, radius * abs(angle), curvature))
        return self

    def cubic_to(self, goal: Pose, tension: float = 1.0) -> PlanView:
        """Go to `goal` on a cubic that leaves and arrives tangentially.

        Args:
            goal: pose to arrive at.
            tension: length of the end tangents relative to the chord.
        """
        here = self.end
        forward, left = here.local(goal)
        chord = tension * math.hypot(forward, left)
        turn = goal.heading - here.heading
        end_u, end_v = chord * math.cos(turn), chord * math.sin(turn)
        cubic = (
            chord, 3 * forward - 2 * chord - end_u, chord + end_u - 2 * forward,
            0.0, 3 * left - end_v, end_v - 2 * left,
        )  # fmt: skip
        length = _cubic_length(cubic, 1.0)
        self.elements.append(Element(self.length, here, length, 0.0, cubic))
        return self

    def fillet_to(self, goal: Pose, radius: float) -> PlanView:
        """Go to `goal` by line, arc and line; by a cubic where no such curve exists.

        Args:
            goal: pose to arrive at.
            radius: [m] of the arc if there is room for it, else the largest that fits.
        """
        here = self.end
        turn = wrap_angle(goal.heading - here.heading)
        forward, left = here.local(goal)
        if abs(turn) < 1e-6 and abs(left) < 1e-6 and forward > 0:
            return self.line(forward)
        if abs(turn) < 0.05 or abs(turn) > 2.8:
            return self.cubic_to(goal)
        after = left / math.sin(turn)
        before = forward - after * math.cos(turn)
        if min(before, after) <= 0.5:
            return self.cubic_to(goal)
        tangent = min(before, after, radius * math.tan(abs(turn) / 2))
        radius = tangent / math.tan(abs(turn) / 2)
        return self.line(before - tangent).arc(radius, turn).line(after - tangent)


@dataclass(frozen=True)
class Elevation:
    """Height over a road as cubic pieces.

    Attributes:
        pieces: of (s [m], a, b, c, d) with z = a + b ds + c ds^2 + d ds^3.
    """

    pieces: tuple[tuple[float, float, float, float, float], ...] = ((0.0, 0.0, 0.0, 0.0, 0.0),)

    @staticmethod
    def through(nodes: list[tuple[float, float, float]]) -> Elevation:
        """Smooth heights through `nodes` of (s [m], z [m], slope [m/m])."""
        pieces = []
        for (s0, z0, m0), (s1, z1, m1) in pairwise(nodes):
            h = s1 - s0
            c = (3 * (z1 - z0) / h - 2 * m0 - m1) / h
            d = (m0 + m1 - 2 * (z1 - z0) / h) / (h * h)
            pieces.append((s0, z0, m0, c, d))
        return Elevation(tuple(pieces))

    def at(self, s: float) -> tuple[float, float]:
        """Height [m] and slope at `s` [m]."""
        piece = [p for p in self.pieces if p[0] <= s + 1e-9][-1]
        ds = s - piece[0]
        _, a, b, c, d = piece
        return a + ds * (b + ds * (c + ds * d)), b + ds * (2 * c + 3 * ds * d)
