"""A small closed loop in process: ego by the vehicle kernel, the others by scripts, no server.

It is not a simulator for the product: no contact, no traffic logic. What it gives is the whole
Driver on a real LaneGraph, a thousand ticks a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from headway.driver import Driver
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.road.shapes import overlaps
from headway.types import (
    ActorSnapshot,
    AgentKind,
    Command,
    EgoState,
    Observation,
    SignalState,
)
from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    VehicleControlIndex,
    VehicleParam,
    VehicleState,
    step_vehicles,
    vehicle_info,
    vehicle_params,
)
from headway.vehicle.kernel import cruise_gear, gear_ratio
from language.route import RouteLanguage
from perception.privileged import PrivilegedPerception
from planner.idm import IdmPlanner
from planner.safety import EmergencyBrake
from planner.tracker import PlanTracker
from world_model.constant_velocity import ConstantVelocity

DT = 0.05
EGO_TYPE = "vehicle.tesla.model3"


def make_driver() -> Driver:
    return Driver(
        PrivilegedPerception(), RouteLanguage(), ConstantVelocity(), IdmPlanner(), PlanTracker(),
        EmergencyBrake(),
    )  # fmt: skip


@dataclass
class Scripted:
    """An agent whose pose and speed are a function of time: t -> (x, y, yaw, speed)."""

    motion: Callable[[float], tuple[float, float, float, float]]
    kind: AgentKind = AgentKind.VEHICLE
    extent: tuple[float, float] = (2.3, 0.95)


def along(route: Route, s: Callable[[float], float], d: float = 0.0) -> Callable:
    """Motion on a route: `s(t)` along it, speed by differences."""

    def motion(t: float) -> tuple[float, float, float, float]:
        x, y, _, yaw = route_poses(route, np.array([s(t)]), d)[0]
        return x, y, yaw, (s(t + 1e-3) - s(t - 1e-3)) / 2e-3

    return motion


def straight(x: float, y: float, yaw: float, way: Callable[[float], float]) -> Callable:
    """Motion on a straight line from (x, y): `way(t)` metres along `yaw`."""

    def motion(t: float) -> tuple[float, float, float, float]:
        w, speed = way(t), (way(t + 1e-3) - way(t - 1e-3)) / 2e-3
        return x + w * math.cos(yaw), y + w * math.sin(yaw), yaw, speed

    return motion


@dataclass(repr=False)
class World:
    """Ego and the scripts on one route."""

    graph: LaneGraph
    route: Route
    scripts: Sequence[Scripted] = ()
    signals: Callable[[float], np.ndarray] | None = None
    type_id: str = EGO_TYPE
    start_s: float = 0.0
    start_d: float = 0.0
    start_speed: float = 0.0
    driver: Driver = field(default_factory=make_driver)

    def __post_init__(self) -> None:
        self.state = np.zeros((1, NUM_VEHICLE_STATES))
        x, y, _, yaw = route_poses(self.route, np.array([self.start_s]), self.start_d)[0]
        self.state[0, [VehicleState.X, VehicleState.Y, VehicleState.YAW]] = x, y, yaw
        self.control = np.zeros((1, NUM_VEHICLE_CONTROLS))
        self.params = vehicle_params(self.type_id)[None, :]
        if self.start_speed > 0.0:  # in gear, the clutch closed
            row, param, speed = self.state[0], self.params[0], self.start_speed
            gear = cruise_gear(param, speed)
            row[[VehicleState.VX, VehicleState.GEAR]] = speed, gear
            wheel = speed / param[VehicleParam.WHEEL_RADIUS]
            row[VehicleState.ENGINE_SPEED] = wheel * gear_ratio(param, gear)
            row[VehicleState.SHIFT_AGE] = 1.0
        self.info = vehicle_info(self.type_id)
        self.t, self.frame, self.min_gap = 0.0, 0, math.inf
        self.overlaps: list[tuple[float, int]] = []

    def observe(self) -> Observation:
        row = self.state[0]
        yaw, vx, vy = row[VehicleState.YAW], row[VehicleState.VX], row[VehicleState.VY]
        c, s = math.cos(yaw), math.sin(yaw)
        ego = EgoState(
            id=1,
            pose=np.array([*row[[VehicleState.X, VehicleState.Y]], math.remainder(yaw, math.tau)]),
            z=0.0,
            velocity=np.array([c * vx - s * vy, s * vx + c * vy]),
            speed=float(vx),
            accel=float(row[VehicleState.AX]),
            lateral_accel=float(row[VehicleState.AY]),
            yaw_rate=float(row[VehicleState.YAW_RATE]),
            steer=float(row[VehicleState.STEER]),
            extent=np.array(self.info.extent[:2]),
            wheelbase=self.info.wheelbase,
            type_id=self.type_id,
        )
        num = len(self.scripts)
        pose = np.array([a.motion(self.t) for a in self.scripts]).reshape(num, 4)
        speed = pose[:, 3]
        signal = (
            np.full(len(self.graph.signal_id), SignalState.GREEN, np.int8)
            if self.signals is None
            else self.signals(self.t)
        )
        before = np.array([a.motion(self.t - DT) for a in self.scripts]).reshape(num, 4)
        actors = ActorSnapshot(
            id=np.arange(2, 2 + num),
            kind=np.array([a.kind for a in self.scripts], np.int8),
            pose=pose[:, :3].copy(),
            z=np.zeros(num),
            velocity=np.column_stack([speed * np.cos(pose[:, 2]), speed * np.sin(pose[:, 2])]),
            yaw_rate=np.remainder(pose[:, 2] - before[:, 2] + np.pi, 2 * np.pi) / DT - np.pi / DT,
            extent=np.array([a.extent for a in self.scripts]).reshape(num, 2),
            type_id=("scripted",) * num,
            signal_state=signal,
        )
        return Observation(self.frame, self.t, ego, actors, {}, (), self.graph, self.route)

    def step(self, command: Command) -> None:
        self.control[0, VehicleControlIndex.THROTTLE] = command.throttle
        self.control[0, VehicleControlIndex.BRAKE] = command.brake
        self.control[0, VehicleControlIndex.STEER] = command.steer_norm
        step_vehicles(self.state, self.control, self.params, np.zeros((1, 2)), np.ones(1, bool), DT)
        self.t += DT
        self.frame += 1

    def drive(self, seconds: float, until: Callable[[World], bool] | None = None) -> World:
        """Run the driver; keep who overlaps ego, and when."""
        for _ in range(round(seconds / DT)):
            observation = self.observe()
            actors = observation.actors
            assert actors is not None
            touching = np.zeros(len(actors.id), bool)
            overlaps(observation.ego.pose, observation.ego.extent, actors.pose, actors.extent,
                     touching)  # fmt: skip
            self.overlaps += [(self.t, int(i)) for i in actors.id[touching]]
            self.step(self.driver.act(observation))
            if until is not None and until(self):
                break
        return self

    def s_d(self) -> tuple[np.ndarray, np.ndarray]:
        """Route coordinates of ego over the trace."""
        xy = np.column_stack([self.driver.trace.column("x"), self.driver.trace.column("y")])
        s, d = np.empty(len(xy)), np.empty(len(xy))
        hint = None
        for i in range(len(xy)):
            si, di, _ = project_on_route(self.route, xy[i : i + 1], hint)
            s[i], d[i], hint = si[0], di[0], si[0]
        return s, d
