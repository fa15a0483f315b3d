"""Straight lines through the world, for `project_point` and `cast_ray`: ground and boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from carla_bridge.frames import pose_to_carla, vector_from_carla
from carla_bridge.headless.actors import ActorTable, Columns
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.contacts import is_body
from carla_bridge.headless.wire import bounding_box, check_numbers
from headway.road.ground import GroundArrays, ground_height
from headway.types import Array

GROUND_LABEL = 1  # CARLA's number for roads
MARCH = 0.5  # [m] between samples of the ground along a ray
MAX_RANGE = 1e4  # [m] a longer ray is cut
ANY = 0xFF  # CARLA's label for all kinds


class RayQueries:
    """The part of a World that answers geometric questions; CARLA's frame at its edge."""

    table: ActorTable
    _ground: GroundArrays

    def project_point(
        self, origin: list[float], direction: list[float], distance: float
    ) -> list[Any]:
        """The first thing on a ray.

        Args:
            origin: x, y, z [m].
            direction: need not be of length 1.
            distance: [m] to look.

        Returns:
            [found, [[x, y, z], label]].
        """
        start = np.array(vector_from_carla(check_numbers("origin", origin, 3)))
        way = np.array(vector_from_carla(check_numbers("direction", direction, 3)))
        length = float(np.linalg.norm(way))
        if length < 1e-9:
            return [False, [[0.0, 0.0, 0.0], 0]]
        hits = self._hits(start, way / length, distance)
        return [True, hits[0]] if hits else [False, [[0.0, 0.0, 0.0], 0]]

    def cast_ray(self, start: list[float], end: list[float]) -> list[Any]:
        """Everything between two points, nearest first: [[x, y, z], label] each."""
        a = np.array(vector_from_carla(check_numbers("start", start, 3)))
        b = np.array(vector_from_carla(check_numbers("end", end, 3)))
        length = float(np.linalg.norm(b - a))
        return self._hits(a, (b - a) / length, length) if length > 1e-9 else []

    def _hits(self, start: Array, way: Array, distance: float) -> list[Any]:
        c = self.table.columns
        found = np.full(len(self.table) + 1, math.inf)
        cast(c, self._ground, start, way, min(abs(distance), MAX_RANGE), found)
        out = []
        for k in np.argsort(found, kind="stable"):
            if not math.isfinite(found[k]):
                break
            label = GROUND_LABEL
            if k < len(self.table):
                actor = self.table.get(int(c.id[k]))
                assert actor is not None
                label = actor.wire[4][0]
            point = start + found[k] * way
            out.append([list(vector_from_carla([float(v) for v in point])), label])
        return out

    def level_boxes(self, tag: int) -> list[Any]:
        """Boxes of lights, signs, vehicles, walkers and props with that label, map frame."""
        out = []
        for actor in self.table:
            if not actor.wire[4] or tag not in (ANY, 0, actor.wire[4][0]):
                continue
            row = self.table.row(actor.id)
            x, y, z, _, yaw, _ = pose_to_carla(self.table.columns.pose[row])
            (cx, cy, cz), extent, (_, turn, _), _ = actor.wire[3]
            angle = math.radians(yaw)
            center = (
                x + cx * math.cos(angle) - cy * math.sin(angle),
                y + cx * math.sin(angle) + cy * math.cos(angle),
                z + cz,
            )
            if actor.kind != ActorKind.OTHER:
                out.append(bounding_box(center, extent, yaw + turn, actor.id))
        return out


@njit(cache=True)
def cast(
    c: Columns, g: GroundArrays, start: Array, way: Array, distance: float, found: Array
) -> None:
    """Where a ray enters the actors' boxes and the ground.

    Args:
        c: the table.
        g: the ground.
        start: (3,) [m].
        way: (3,) of length 1.
        distance: [m] to look.
        found: (n + 1,) receives the distance [m] of each row's box and, last, of the ground; inf
            where there is none.
    """
    n = c.id.shape[0]
    for i in range(n):
        found[i] = math.inf
        if not is_body(c.kind, c.collides, c.parent, c.extent, i):
            continue
        cos, sin = math.cos(c.pose[i, 5]), math.sin(c.pose[i, 5])
        dx = start[0] - c.pose[i, 0] - cos * c.center[i, 0] + sin * c.center[i, 1]
        dy = start[1] - c.pose[i, 1] - sin * c.center[i, 0] - cos * c.center[i, 1]
        place = (dx * cos + dy * sin, -dx * sin + dy * cos,
                 start[2] - c.pose[i, 2] - c.center[i, 2])  # fmt: skip
        go = (way[0] * cos + way[1] * sin, -way[0] * sin + way[1] * cos, way[2])
        enter, leave = 0.0, distance
        for k in range(3):
            half = c.extent[i, k]
            if abs(go[k]) < 1e-12:
                if abs(place[k]) > half:
                    leave = -1.0
                continue
            a, b = (-half - place[k]) / go[k], (half - place[k]) / go[k]
            enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
        if enter <= leave:
            found[i] = enter
    found[n] = math.inf
    steps = max(1, math.ceil(distance / MARCH))
    if way[0] == 0.0 and way[1] == 0.0:
        steps = 1  # straight down or up: the ground is met once
    last = 0.0
    height, _, _ = ground_height(g, start[0], start[1], start[2])
    above = start[2] - height
    for k in range(1, steps + 1):
        t = distance * k / steps
        height, _, _ = ground_height(g, start[0] + t * way[0], start[1] + t * way[1], height)
        gap = start[2] + t * way[2] - height
        if above >= 0.0 and gap <= 0.0:
            share = above / (above - gap) if above > gap else 0.0
            found[n] = last + share * (t - last)
            return
        last, above = t, gap
