"""The traffic of one world: its arrays, one step, and who appears where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.traffic.arrays import (
    Table,
    WalkerMode,
    as_table,
    clear_memory,
    make_crowd,
    make_fleet,
    make_scratch,
    road_arrays,
)
from headway.traffic.fleet import step_fleet
from headway.traffic.paths import locate
from headway.traffic.placing import vehicle_is_gone, vehicle_spot, walker_is_gone, walker_spot
from headway.traffic.surroundings import look_ahead, weigh_lanes
from headway.traffic.walkers import step_crowd, way_point
from headway.traffic.walkways import build_walk_net
from headway.types import Array, EgoState

EGO = 0  # row of ego in the fleet
FUTURE_POINTS = 18  # samples of ego's way ahead, 10 m apart
WEIGH_PERIOD = 0.5  # [s]
CLOSED_REACH = 1.75  # [m] from a closed line that is its lane
AWAY, AWAY_ROOM = 60.0, 12.0  # [m] from ego, and around who is sent away from a closed line
RETRY = 2.0  # [s] until an agent for which no place was found is tried again


@dataclass
class TrafficConfig:
    """How much traffic there is.

    Attributes:
        num_vehicles: that traffic drives.
        num_walkers: that traffic moves.
        num_foreign: rows kept for vehicles that others drive, ego not counted.
        num_foreign_walkers: the same for walkers.
        recycle_per_step: at most so many vehicles and walkers are placed anew in one step.
        aggressive: share of the drivers who are fast, keep short gaps and brake late, [0, 1].
        jaywalkers: share of the walkers who cross anywhere and expect that cars brake, [0, 1].
    """

    num_vehicles: int = 40
    num_walkers: int = 20
    num_foreign: int = 16
    num_foreign_walkers: int = 8
    recycle_per_step: int = 1
    aggressive: float = 0.0
    jaywalkers: float = 0.0

    def __post_init__(self) -> None:
        for name in ("num_vehicles", "num_walkers", "num_foreign", "num_foreign_walkers"):
            if getattr(self, name) < 0:
                raise ValueError(f"TrafficConfig.{name}: expected 0 or more")
        for name in ("aggressive", "jaywalkers"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"TrafficConfig.{name}: expected a share from 0 to 1")


@dataclass(frozen=True)
class Placement:
    """An agent that was put somewhere.

    Attributes:
        row: in the fleet or the crowd.
        x, y, z: [m] map frame; z is the ground's.
        yaw: [rad].
        speed: [m/s] along yaw.
    """

    row: int
    x: float
    y: float
    z: float
    yaw: float
    speed: float


class TrafficModel:
    """Others on the roads of one world.

    Row 0 of the fleet is ego, then come the driven vehicles, then foreign ones. The caller writes
    poses and speeds of active rows before each `step` and reads accelerations and wheel angles
    after it.

    Attributes:
        fleet, crowd: the arrays, see `arrays.VEHICLE` and `arrays.WALKER`.
        vehicles, walkers: slices of the driven rows.
    """

    def __init__(self, graph: LaneGraph, config: TrafficConfig, seed: int) -> None:
        self.config = config
        self.road = road_arrays(graph)
        self.net = build_walk_net(graph, self.road, anywhere=config.jaywalkers > 0.0)
        num = 1 + config.num_vehicles + config.num_foreign
        self._fleet = make_fleet(num, seed, config.aggressive)
        num_people = config.num_walkers + config.num_foreign_walkers
        self._crowd = make_crowd(num_people, seed + 1, config.jaywalkers)
        self.fleet: Table = as_table(self._fleet)
        self.crowd: Table = as_table(self._crowd)
        draw = np.random.Generator(np.random.PCG64(seed + 2))
        self.vehicles = slice(1, 1 + config.num_vehicles)
        self.walkers = slice(0, config.num_walkers)
        self.scratch = make_scratch(self.road, num)
        self._rng = draw.integers(1, 2**63, 1, dtype=np.uint64)
        self._reach = np.zeros(graph.num_lanes)
        self._closed = np.zeros(len(self.road.point), np.bool_)
        self._closed_xy = np.zeros((0, 2))
        self._future = np.zeros((FUTURE_POINTS, 3))
        self._num_future = 0
        self._weighed = -1e9
        self._turn = 0
        self._retry_at = {
            "vehicles": np.zeros(num),
            "walkers": np.zeros(num_people),
        }

    def write_ego(self, ego: EgoState) -> None:
        """Write where ego is; nobody here drives it."""
        fleet = self.fleet
        fleet.active[EGO], fleet.driven[EGO] = True, False
        fleet.x[EGO], fleet.y[EGO], fleet.yaw[EGO] = ego.pose
        fleet.z[EGO], fleet.speed[EGO] = ego.z, ego.speed
        fleet.half_length[EGO], fleet.half_width[EGO] = ego.extent
        fleet.wheelbase[EGO] = ego.wheelbase

    def set_ego_route(self, lanes: Array) -> None:
        """Tell which lanes ego will drive; without it, ego is taken to go straight on."""
        self.scratch.route_lane[:] = False
        self.scratch.route_lane[np.asarray(lanes, dtype=np.int64)] = True
        self._weighed = -1e9

    def keep_off(self, xy: Array) -> None:
        """Close the places around these points (n, 2) [m]: vehicles there go, and none appear."""
        if len(xy) == len(self._closed_xy) and np.array_equal(xy, self._closed_xy):
            return
        self._closed_xy = xy
        self._closed[:] = False
        for x, y in xy:
            self._closed |= _near(x, y, self.road.point["x"], self.road.point["y"])

    def step(self, signal_state: Array, now: float, dt: float) -> None:
        """Decide for all driven agents.

        Args:
            signal_state: (S,) int8 `SignalState` in the order of `LaneGraph.signal_id`.
            now: [s] simulated time.
            dt: [s] since the last step.
        """
        step_fleet(self.road, self._fleet, self._crowd, self.scratch, signal_state, now, dt)
        step_crowd(self.net, self.road, self._fleet, self._crowd, dt)

    def look(self, now: float) -> None:
        """Take in where ego is going; `place` and `recycle` need it."""
        if now - self._weighed < WEIGH_PERIOD:
            return
        self._weighed = now
        if self.fleet.plan_size[EGO] == 0:
            locate(self.road, self._fleet, self.scratch, EGO, 200.0)
        self._num_future = look_ahead(self.road, self._fleet, EGO, self._future)
        weigh_lanes(
            self.road, self._fleet, self._crowd, self.scratch, EGO, self._future,
            self._num_future, self._reach,
        )  # fmt: skip

    def place_vehicle(self, row: int, first: bool = False) -> Placement | None:
        """Put vehicle `row` on the road, None where there is no room."""
        p, speed = vehicle_spot(
            self.road, self._fleet, self._crowd, self._reach, self._closed, row, EGO, first,
            self._rng,
        )  # fmt: skip
        return None if p < 0 else self._put(row, p, speed)

    def _send_away(self, row: int) -> Placement | None:
        """Put vehicle `row` on the free place that is farthest from ego."""
        fleet, point = self.fleet, self.road.point
        lane = self.road.lane[point["lane"]]
        free = lane["driving"] & (lane["junction"] < 0) & ~self._closed
        free &= (point["s"] > AWAY_ROOM) & (lane["length"] - point["s"] > AWAY_ROOM)
        for other in np.flatnonzero(fleet.active):
            free &= np.hypot(point["x"] - fleet.x[other], point["y"] - fleet.y[other]) > AWAY_ROOM
        far = np.hypot(point["x"] - fleet.x[EGO], point["y"] - fleet.y[EGO])
        p = int(np.argmax(np.where(free, far, -1.0)))
        return self._put(row, p, 0.0) if free[p] and far[p] > AWAY else None

    def _put(self, row: int, p: int, speed: float) -> Placement:
        """Put vehicle `row` on lane point `p` [m/s]."""
        clear_memory(self._fleet, row)
        at = self.road.point[p]
        spot = Placement(
            row, float(at["x"]), float(at["y"]), float(at["z"]), float(at["yaw"]), float(speed)
        )
        fleet = self.fleet
        fleet.x[row], fleet.y[row], fleet.z[row] = spot.x, spot.y, spot.z
        fleet.yaw[row], fleet.speed[row] = spot.yaw, spot.speed
        fleet.plan[row, 0], fleet.plan_size[row], fleet.s[row] = at["lane"], 1, at["s"]
        fleet.active[row] = fleet.driven[row] = True
        return spot

    def place_walker(self, row: int, first: bool = False) -> Placement | None:
        """Put walker `row` on a walkway, None where there is no room."""
        way, s = walker_spot(
            self.net, self._fleet, self._crowd, row, EGO, self._future, self._num_future, first,
            self._rng,
        )  # fmt: skip
        if way < 0:
            return None
        x, y, tx, ty = way_point(self.net, way, s)
        crowd = self.crowd
        to_ego = (self.fleet.x[EGO] - x) * tx + (self.fleet.y[EGO] - y) * ty
        direction = 1 if to_ego > 0.0 else -1
        side = -crowd.side[row] * direction
        crowd.way[row], crowd.s[row], crowd.direction[row] = way, s, direction
        crowd.mode[row], crowd.waited[row] = WalkerMode.WALK, 0.0
        crowd.crossing[row] = crowd.ignored[row] = -1
        crowd.x[row], crowd.y[row] = x - side * ty, y + side * tx
        crowd.vx[row] = crowd.vy[row] = 0.0
        crowd.active[row] = crowd.driven[row] = True
        lo, hi = self.net.point_start[way], self.net.point_start[way + 1]
        z = self.net.z[lo + min(int(np.searchsorted(self.net.s[lo:hi], s)), hi - lo - 1)]
        yaw = float(np.arctan2(ty * direction, tx * direction))
        crowd.z[row] = z
        return Placement(row, float(crowd.x[row]), float(crowd.y[row]), float(z), yaw, 0.0)

    def recycle(self, now: float) -> tuple[list[Placement], list[Placement]]:
        """Put agents that ego has left behind on its way ahead, out of its sight.

        Looks at a fifth of the agents each step; the new places are already in the arrays.

        Returns:
            Vehicles and walkers that have to be moved in the world.
        """
        self.look(now)
        self._turn = (self._turn + 1) % 5
        vehicles = self._recycle("vehicles", now, self._vehicle_gone, self._place_again)
        walkers = self._recycle("walkers", now, self._walker_gone, self.place_walker)
        return vehicles, walkers

    def _recycle(
        self,
        kind: str,
        now: float,
        gone: Callable[[int], bool],
        place: Callable[[int], Placement | None],
    ) -> list[Placement]:
        moved: list[Placement] = []
        retry_at = self._retry_at[kind]
        rows: slice = getattr(self, kind)
        for row in range(rows.start, rows.stop)[self._turn :: 5]:
            if len(moved) >= self.config.recycle_per_step:
                break
            if now < retry_at[row] or not gone(row):
                continue
            spot = place(row)
            if spot is None:
                # Looking for a place is the dearest part, and a slow vehicle that finds none on a
                # fast road must not keep the others from theirs.
                retry_at[row] = now + RETRY
                break
            moved.append(spot)
        return moved

    def _place_again(self, row: int) -> Placement | None:
        """Who stands on a closed line has to go even where ego's surroundings are full."""
        spot = self.place_vehicle(row)
        return self._send_away(row) if spot is None and self._on_closed_line(row) else spot

    def _on_closed_line(self, row: int) -> bool:
        x, y = self.fleet.x[row], self.fleet.y[row]
        return bool(_near(x, y, self._closed_xy[:, 0], self._closed_xy[:, 1]).any())

    def _vehicle_gone(self, row: int) -> bool:
        if not self.fleet.active[row]:
            return False
        return self._on_closed_line(row) or vehicle_is_gone(
            self.road, self._fleet, self._crowd, row, EGO, self._future, self._num_future
        )

    def _walker_gone(self, row: int) -> bool:
        return bool(self.crowd.active[row]) and walker_is_gone(
            self._crowd, row, self._fleet, EGO, self._future, self._num_future
        )


def _near(x: float, y: float, xs: Array, ys: Array) -> Array:
    """Which of the places xs, ys (n,) [m] lie within `CLOSED_REACH` of one."""
    return (np.abs(xs - x) < CLOSED_REACH) & (np.abs(ys - y) < CLOSED_REACH)
