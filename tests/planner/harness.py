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
from headway.interfaces import Language, Planner, WorldModel
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.road.shapes import overlaps
from headway.types import (
    ActorSnapshot,
    AgentKind,
    Command,
    Observation,
    SignalState,
)
from language.route import RouteLanguage
from perception.privileged import PrivilegedPerception
from planner.idm import IdmPlanner, rule_layer
from planner.safety import EmergencyBrake
from planner.tracker import PlanTracker
from scenarios.kernel_car import DT, EGO_TYPE, KernelCar
from world_model.constant_velocity import ConstantVelocity


def make_driver(
    planner: Planner | None = None, language: Language | None = None,
    world_model: WorldModel | None = None,
) -> Driver:  # fmt: skip
    return Driver(
        PrivilegedPerception(), language or RouteLanguage(), world_model or ConstantVelocity(),
        planner or IdmPlanner(rule_layer()), PlanTracker(), EmergencyBrake(),
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
        x, y, _, yaw = route_poses(self.route, np.array([self.start_s]), self.start_d)[0]
        car = KernelCar(float(x), float(y), float(yaw), 0.0, self.start_speed, self.type_id)
        self.car, self.state, self.params, self.info = car, car.state, car.params, car.info
        self.t, self.frame, self.min_gap = 0.0, 0, math.inf
        self.overlaps: list[tuple[float, int]] = []

    def observe(self) -> Observation:
        ego = self.car.ego()
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
        self.car.step(command)
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
