"""Route: the way from start to goal as lanes and one dense polyline."""

from __future__ import annotations

from dataclasses import dataclass

from headway.types import Array, check_shape


@dataclass(frozen=True)
class Route:
    """The way to go, `R` samples about one metre apart, right-handed map frame.

    Attributes:
        town: name of the town it lies in.
        xyz: (R, 3) [m]; where lanes are changed the line blends from one lane to the next.
        s: (R,) [m] arc length from the start.
        yaw: (R,) [rad].
        curvature: (R,) [1/m], left positive.
        lane: (R,) int32 index into the LaneGraph.
        lane_s: (R,) [m] where on that lane.
        speed_limit: (R,) [m/s].
    """

    town: str
    xyz: Array
    s: Array
    yaw: Array
    curvature: Array
    lane: Array
    lane_s: Array
    speed_limit: Array

    def __post_init__(self) -> None:
        n = len(self.s)
        check_shape("Route", "xyz", self.xyz, (n, 3))
        for name in ("yaw", "curvature", "lane", "lane_s", "speed_limit"):
            check_shape("Route", name, getattr(self, name), (n,))

    @property
    def length(self) -> float:
        """[m]."""
        return float(self.s[-1])
