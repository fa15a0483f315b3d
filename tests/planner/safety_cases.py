"""Random cases for the safety layer: ego by the vehicle kernel, at full throttle, on a plain road.

No planner is in here: what drives holds the throttle down and steers along the road with noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import (
    NUM_INPUTS,
    NUM_STATES,
    AgentKind,
    Agents,
    Command,
    Plan,
    Scene,
)
from headway.vehicle import (
    VehicleState,
    inverse_steer,
)
from planner.safety import EmergencyBrake
from planner.safety_reach import boxes_touch
from scenarios.kernel_car import DT, KernelCar

FAR = 1e5  # [m] from the town, so that none of its lines is in reach
# Columns that are all zero when a car stands and its gearbox will not set it going.
MOVES = [VehicleState.VX, VehicleState.GEAR, VehicleState.TARGET_GEAR]
STANDS = 0.1  # [m/s] who stands hits nobody
PLAN = Plan(np.zeros((2, NUM_STATES)), np.zeros((1, NUM_INPUTS)), np.full(1, DT), "full throttle")

# t -> s [m] of its centre along the road, d [m] left of it, heading [rad] against the road,
# speed [m/s].
Motion = Callable[[float], tuple[float, float, float, float]]


def road(curvature: float, length: float = 900.0) -> Route:
    """A road of constant curvature far from everything."""
    s = np.arange(0.0, length)
    yaw = curvature * s
    x = np.sin(yaw) / curvature if abs(curvature) > 1e-9 else s
    y = (1.0 - np.cos(yaw)) / curvature if abs(curvature) > 1e-9 else 0.0 * s
    zero = np.zeros(len(s))
    return Route(
        "plain", np.column_stack([FAR + x, FAR + y, zero]), s, yaw, zero + curvature,
        np.zeros(len(s), np.int32), s, zero + 40.0,
    )  # fmt: skip


@dataclass
class Ego:
    """Who drives, and how.

    Attributes:
        type_id: of the vehicle.
        speed: [m/s] at the start.
        curvature: [1/m] of the road.
        noise: of the steer.
        seed: of the noise.
    """

    type_id: str
    speed: float
    curvature: float = 0.0
    noise: float = 0.0
    seed: int = 0


@dataclass(repr=False)
class Case:
    """Ego on its road, and one other who may be there."""

    graph: LaneGraph
    ego: Ego
    kind: AgentKind = AgentKind.VEHICLE
    extent: tuple[float, float] = (2.3, 0.95)
    safety: EmergencyBrake = field(default_factory=EmergencyBrake)
    motion: Motion | None = None
    t: float = 0.0

    def __post_init__(self) -> None:
        self.route = road(self.ego.curvature)
        x, y = self.route.xyz[60, :2]
        self.car = KernelCar(
            x, y, self.route.yaw[60], speed=self.ego.speed, type_id=self.ego.type_id
        )
        self.half = np.array(self.car.info.extent[:2])
        self.rng = np.random.default_rng(self.ego.seed)
        self.s = 60.0
        self.interventions = 0

    @property
    def speed(self) -> float:
        return float(self.car.state[0, VehicleState.VX])

    @property
    def front(self) -> float:
        """[m] along the road."""
        return self.s + float(self.half[0])

    def pose(self) -> np.ndarray:
        return self.car.state[0, [VehicleState.X, VehicleState.Y, VehicleState.YAW]].copy()

    def other(self) -> tuple[np.ndarray, np.ndarray]:
        """Pose (3,) and velocity (2,) of the other."""
        assert self.motion is not None
        s, d, heading, speed = self.motion(self.t)
        x, y, _, yaw = route_poses(self.route, np.array([s]), d)[0]
        yaw += heading
        return np.array([x, y, yaw]), speed * np.array([math.cos(yaw), math.sin(yaw)])

    def scene(self) -> Scene:
        num = 0 if self.motion is None else 1
        pose, velocity = self.other() if num else (np.zeros(3), np.zeros(2))
        agents = Agents(
            np.arange(2, 2 + num), np.full(num, self.kind, np.int8), np.tile(pose, (num, 1)),
            np.zeros(num), np.tile(velocity, (num, 1)), np.zeros(num),
            np.tile(self.extent, (num, 1)), np.zeros((num, 5, 5)), np.zeros((num, 1, 4)),
            np.zeros((num, 1), bool),
        )  # fmt: skip
        return Scene(
            round(self.t / DT), self.t, self.car.ego(), np.zeros((0, 4)), np.zeros((0, 3)), agents,
            self.graph, np.zeros(len(self.graph.signal_id), np.int8), self.route,
        )  # fmt: skip

    def wanted(self) -> Command:
        """Full throttle, along the road."""
        _, d, yaw = project_on_route(self.route, self.pose()[None, :2], self.s)
        error = math.remainder(self.pose()[2] - float(yaw[0]), math.tau)
        curvature = self.ego.curvature - 0.3 * error - 0.02 * float(d[0])
        angle = math.atan(self.car.info.wheelbase * curvature)
        steer = float(inverse_steer(self.car.params, np.array([self.speed]), np.array([angle]))[0])
        steer += self.ego.noise * self.rng.normal() / (1.0 + self.speed)
        return Command(1.0, 0.0, min(max(steer, -1.0), 1.0))

    def step(self) -> None:
        """One tick under the safety layer."""
        command = self.safety.filter(self.wanted(), PLAN, self.scene())
        self.interventions += bool(self.safety.interventions)
        self.car.step(command)
        self.s = float(project_on_route(self.route, self.pose()[None, :2], self.s)[0][0])
        self.t += DT

    def stop_way(self) -> np.ndarray:
        """Way [m] at each tick when one tick of full throttle comes before the full brake."""
        state, before, way = self.car.state, self.car.state.copy(), [0.0]
        command = Command(1.0)
        while len(way) < 3 or (state[0, MOVES].any() and len(way) < 400):
            start = self.pose()[:2]
            self.car.step(command)
            way.append(way[-1] + float(np.hypot(*(self.pose()[:2] - start))))
            command = Command(brake=1.0)
        state[:] = before
        return np.array(way)

    def safe_gap(self, lead_speed: float, lead_brake: float) -> float:
        """[m] of definition 1, at every tick, with what ego's brakes really reach."""
        way = self.stop_way()
        t = np.minimum(DT * np.arange(len(way)), lead_speed / lead_brake)
        return float(np.max(way - (lead_speed * t - 0.5 * lead_brake * t * t)))

    def touches(self) -> bool:
        """Whether ego touches the other."""
        pose, _ = self.other()
        return boxes_touch(*self.pose(), *self.half, *pose, *self.extent)


def speeds(pieces: list[tuple[float, float]], start: float) -> Callable[[float], float]:
    """Way [m] made by who begins at `start` [m/s] and has (duration [s], accel [m/s^2]) pieces."""

    def way(t: float) -> float:
        made, speed = 0.0, start
        for duration, accel in [*pieces, (1e9, 0.0)]:
            span = min(duration, t)
            moving = min(span, speed / -accel) if accel < 0.0 else span
            made += speed * moving + 0.5 * accel * moving * moving
            speed = max(speed + accel * moving, 0.0)
            if accel < 0.0 and moving < span:
                speed = 0.0
            t -= span
            if t <= 0.0:
                break
        return made

    return way
