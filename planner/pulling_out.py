"""Out of a place beside the road: ego waits where it stands for a gap, and then goes in one go.

Who creeps uses up the room behind the car that is parked in front, and stands across in the end.
"""

from __future__ import annotations

import math

import numpy as np

from headway.types import Array
from planner import corridor
from planner.bounds import EgoOnRoute
from planner.homotopies import (
    OFF_LANE,
    TIGHT,
    LaneChangeConfig,
    LaneOption,
    Path,
    RouteLanes,
    begins,
    lane_is_free,
    shifted_path,
)
from planner.passing import way_across
from planner.rules import STANDING

SHARPEST = 0.17  # [1/m] that the way out is curved at most, unless there is less room


class PullingOut:
    """Remembers where ego stood: a way that began anew in every tick would never get across."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the place."""
        self._from: tuple[float, float] | None = None  # [m] s and d where it stood
        self._length = 0.0  # [m] of the way out
        self.waits = False

    def way(
        self, config: LaneChangeConfig, lanes: RouteLanes, path: Path, hint: int, ego: EgoOnRoute,
        seen: Array, width: Array, insist: float,
    ) -> LaneOption | None:  # fmt: skip
        """Return the way into the route's lane, or None where ego does not stand beside it.

        Args:
            config: how lanes are changed.
            lanes: beside the route.
            path: the route.
            hint: sample near ego.
            ego: on it.
            seen: (A, NUM_SEEN) the others from the route.
            width: (A,) [m] beside its middle within which each is in the way of ego's.
            insist: how much harder than at first others may be made to brake.
        """
        in_lane = 0.0 < ego.d < float(lanes.half[hint] + lanes.oncoming[hint])
        in_lane |= bool((np.abs(lanes.offset[hint] - ego.d) < abs(ego.d)).any())
        if ego.speed < STANDING and abs(ego.d) > OFF_LANE and not in_lane:
            self._from = ego.s, ego.d
            stands = seen[:, corridor.SPEED] < STANDING
            before = stands & (np.abs(seen[:, corridor.D] - ego.d) < width)
            before &= seen[:, corridor.S] > ego.s
            room = float(seen[before, corridor.REAR].min(initial=math.inf)) - ego.front
            gentle = way_across(abs(ego.d), 1.0, SHARPEST)
            self._length = min(max(2.0 * room, TIGHT), gentle)
            there = (np.abs(seen[:, corridor.D]) < width) & ~stands
            self.waits = not lane_is_free(
                config, seen[there], ego.s, ego.speed, ego.half_length, insist
            )
        elif abs(ego.d) < 0.5 * OFF_LANE:
            self.reset()
        if self._from is None:
            return None
        s, d = self._from
        begin = max(begins(ego.s, ego.d, d, 0.0, self._length), s)
        way = shifted_path(path, hint, begin, d, 0.0, self._length)
        return LaneOption("keep", 0.0, d, way, math.inf)
