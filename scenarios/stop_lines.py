"""A town's stop lines as segments, and who passes them."""

from __future__ import annotations

import numpy as np

from headway.road.lane_graph import LaneGraph, StopKind
from headway.types import Array

LEVEL = 3.0  # [m] of height within which one is on the same road: bridges are higher


class StopLines:
    """All stop lines of one kind.

    Args:
        graph: the town.
        kind: which lines.

    Attributes:
        xyz: (Q, 3) [m] middle of each line.
        yaw: (Q,) [rad] direction of travel across it.
        half_width: (Q,) [m].
        signal: (Q,) index into `LaneGraph.signal_id`, -1 for signs.
        guards: (Q,) the junction lane that the line is for, -1 for all.
        row: (Q,) index among the LaneGraph's stop lines.
    """

    def __init__(self, graph: LaneGraph, kind: StopKind) -> None:
        self.row = np.flatnonzero(graph.stop_kind == kind)
        num = len(self.row)
        self.xyz, self.yaw, self.half_width = np.zeros((num, 3)), np.zeros(num), np.zeros(num)
        for i, q in enumerate(self.row):
            points, s = graph.points(int(graph.stop_lane[q])), float(graph.stop_s[q])
            for axis in range(3):
                self.xyz[i, axis] = np.interp(s, graph.s[points], graph.xyz[points, axis])
            nearest = points.start + int(np.argmin(np.abs(graph.s[points] - s)))
            self.yaw[i] = graph.yaw[nearest]
            self.half_width[i] = 0.5 * graph.width[nearest]
        self.signal = graph.stop_signal[self.row]
        self.guards = graph.stop_junction_lane[self.row]
        self._along = np.column_stack([np.cos(self.yaw), np.sin(self.yaw)])
        self._left = np.column_stack([-self._along[:, 1], self._along[:, 0]])

    def __len__(self) -> int:
        return len(self.row)

    def relative(self, xy: Array) -> tuple[Array, Array]:
        """Return how far beyond (+) each line and how far left of its middle `xy` (2,) is [m]."""
        offset = xy - self.xyz[:, :2]
        along, left = self._along, self._left
        return (
            offset[:, 0] * along[:, 0] + offset[:, 1] * along[:, 1],
            offset[:, 0] * left[:, 0] + offset[:, 1] * left[:, 1],
        )

    def passed(self, before: Array, after: Array, z: float) -> Array:
        """Return the lines that a point passed forward from `before` to `after` (2,) [m]."""
        beyond_before, _ = self.relative(before)
        beyond_after, left = self.relative(after)
        return np.flatnonzero(
            (beyond_before < 0.0)
            & (beyond_after >= 0.0)
            & (np.abs(left) <= self.half_width)
            & (np.abs(self.xyz[:, 2] - z) < LEVEL)
        )


def front_of(pose: Array, half_length: float) -> Array:
    """Return (2,) [m], the middle of the front bumper of a car at `pose` (3,)."""
    return pose[:2] + half_length * np.array([np.cos(pose[2]), np.sin(pose[2])])
