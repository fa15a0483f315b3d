"""Red lights and stop signs: lines that ego must not drive over while it can be helped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headway.frames import wrap_angles
from headway.road.frenet import project_line
from headway.road.lane_graph import LaneGraph, StopKind
from headway.types import Array, Intervention, Scene, SignalState
from planner.safety_backup import Road

BEYOND = 30.0  # [m] farther from ego's stop, lines are left out
BESIDE = 1.6  # [m] beside ego, within which a line is across its own lane
TURNED = 0.6  # [rad] between ego's road and the line's direction of travel
LEVEL = 3.0  # [m] of height: a line on a bridge is none for who drives below
STOOD = 0.1  # [m/s] below it one stands
STOP_ZONE = 5.0  # [m] before a stop sign's line in which to stand
OVERRUN = 1.0  # [m] over the line that are better than to drive on through red


class LineGuard:
    """Remembers at which lines ego owes a stop.

    A red light is owed from the moment on at which ego sees it and can still stop; a stop sign the
    same, until ego has stood before it. Who cannot stop any more drives on: to stand in the middle
    of a junction is worse.
    """

    def __init__(self) -> None:
        self._graph: LaneGraph | None = None
        self._owed: set[int] = set()
        self._stood: set[int] = set()

    def check(
        self, scene: Scene, road: Road, way: float, brake_way: Callable[[], float], margin: float
    ) -> Intervention | None:
        """Tell whether a command takes ego over a line.

        Args:
            scene: the lights.
            road: ego's.
            way: [m] until ego stands when it brakes one tick after the command.
            brake_way: gives [m] until ego stands when it brakes now.
            margin: [m] before the line.
        """
        if scene.lane_graph is not self._graph:
            self._graph = scene.lane_graph
            self._pose, self._kind, self._signal = held_lines(scene.lane_graph)
            self._owed, self._stood = set(), set()
        worst: Intervention | None = None
        near = self._ahead(scene, road, way + BEYOND)
        self._owed &= near.keys()
        self._stood &= near.keys()
        for line, gap in near.items():
            light = self._kind[line] == StopKind.LIGHT
            if scene.ego.speed < STOOD and gap < STOP_ZONE and not light:
                self._stood.add(line)
            if light and scene.signal_state[self._signal[line]] != SignalState.RED:
                self._owed.discard(line)
                continue
            if line in self._stood:
                continue
            if line not in self._owed and (way <= gap or brake_way() <= gap + OVERRUN):
                self._owed.add(line)
            left = gap - margin - way
            if line in self._owed and left < 0.0 and (worst is None or left < worst.margin):
                name = f"red_light:{self._signal[line]}" if light else f"stop_sign:{line}"
                worst = Intervention(name, left)
        return worst

    def _ahead(self, scene: Scene, road: Road, reach: float) -> dict[int, float]:
        """Lines across ego's own lane within `reach` [m], and how far its front is from them."""
        ego, found = scene.ego, {}
        offset = self._pose[:, :2] - ego.pose[:2]
        close = np.hypot(offset[:, 0], offset[:, 1]) < reach
        close &= np.abs(self._pose[:, 2] - ego.z) < LEVEL + 0.1 * reach
        last = len(road.s) - 1
        for line in np.flatnonzero(close):
            x, y, z, yaw = self._pose[line]
            s, d, road_yaw = project_line(road.xyz, road.yaw, road.s, 0, last, 0, last, x, y)
            gap = s - road.at - ego.extent[0]
            height = np.interp(s, road.s, road.xyz[:, 2])
            if (
                gap + OVERRUN > 0.0
                and abs(d - road.d) < BESIDE
                and abs(wrap_angles(yaw - road_yaw)) < TURNED
                and abs(z - height) < LEVEL
            ):
                found[int(line)] = gap
        return found


def held_lines(graph: LaneGraph) -> tuple[Array, Array, Array]:
    """Look up the lines of lights and stop signs.

    Returns:
        Poses (n, 4) x, y, z [m], yaw [rad]; kinds (n,) `StopKind`; lights (n,), -1 for signs.
    """
    rows = np.flatnonzero(graph.stop_kind != StopKind.YIELD)
    poses = np.zeros((len(rows), 4))
    for i, q in enumerate(rows):
        span = graph.points(int(graph.stop_lane[q]))
        s, at = graph.s[span], graph.stop_s[q]
        for axis in range(3):
            poses[i, axis] = np.interp(at, s, graph.xyz[span, axis])
        poses[i, 3] = graph.yaw[span][int(np.argmin(np.abs(s - at)))]
    return poses, graph.stop_kind[rows], graph.stop_signal[rows].astype(np.int64)
