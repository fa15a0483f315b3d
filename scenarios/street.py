"""Closed loops in process, without a server: ego on the vehicle kernel among traffic.

The others drive live (`headway.traffic` on simple kinematic vehicles) or replay what was recorded
of a live run, so that two planners can be compared among the very same motions. A thousand ticks
take seconds; contacts are not simulated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from headway.driver import Driver
from headway.road.frenet import route_poses
from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.traffic import EGO, TrafficConfig, TrafficModel
from headway.types import (
    ActorSnapshot,
    AgentKind,
    Array,
    Command,
    EgoState,
    Observation,
    SignalState,
)
from scenarios.kernel_car import DT, KernelCar

ACCEL_LAG = 0.2  # [s] of the others
STEER_RATE = 0.8  # [rad/s] of the others
PHASE, GREEN, YELLOW = 13.0, 8.0, 3.0  # [s] of a traffic light, per approach
WALKER_EXTENT = 0.35  # [m]


class Others(Protocol):
    """Those around ego."""

    def snapshot(self) -> ActorSnapshot:
        """Return who is where now."""
        ...

    def step(self, ego: EgoState) -> None:
        """Move on by one tick."""
        ...


class LightPlan:
    """Traffic lights as in CARLA: one approach of a junction after the other is green."""

    def __init__(self, graph: LaneGraph) -> None:
        self._num = len(graph.signal_id)
        phases: dict[int, list[int]] = {}
        for stop in np.flatnonzero(graph.stop_kind == StopKind.LIGHT):
            after = [j for j in graph.successors(graph.stop_lane[stop]) if graph.junction[j] >= 0]
            signals = phases.setdefault(int(graph.junction[after[0]]) if after else -2, [])
            if graph.stop_signal[stop] not in signals:
                signals.append(int(graph.stop_signal[stop]))
        self._phases = list(phases.values())

    def at(self, now: float) -> Array:
        """(S,) int8 `SignalState` at `now` [s]."""
        state = np.full(self._num, SignalState.RED, np.int8)
        for signals in self._phases:
            turn, within = divmod(now, PHASE)
            signal = signals[int(turn) % len(signals)]
            if within < GREEN:
                state[signal] = SignalState.GREEN
            elif within < GREEN + YELLOW:
                state[signal] = SignalState.YELLOW
        return state


class LiveTraffic:
    """`Others` that drive, and give way to ego.

    Args:
        graph: the roads.
        route: ego's.
        ego: where it starts.
        config: how many.
        seed: of places and tempers.
    """

    def __init__(
        self, graph: LaneGraph, route: Route, ego: EgoState, config: TrafficConfig, seed: int
    ) -> None:
        self._graph, self._lights, self._now = graph, LightPlan(graph), 0.0
        self._model = model = TrafficModel(graph, config, seed)
        fleet, draw = model.fleet, np.random.Generator(np.random.PCG64([seed, 7]))
        num = len(fleet.x)
        fleet.half_length[:] = draw.uniform(1.8, 2.6, num)
        fleet.half_width[:] = draw.uniform(0.85, 1.05, num)
        fleet.wheelbase[:] = 1.2 * fleet.half_length
        self._accel, self._angle, self._yaw_rate = np.zeros((3, num))
        model.write_ego(ego)
        model.set_ego_route(np.unique(route.lane[route.lane >= 0]))
        model.look(0.0)
        for row in range(model.vehicles.start, model.vehicles.stop):
            model.place_vehicle(row, first=True)
        for row in range(config.num_walkers):
            model.place_walker(row, first=True)

    def snapshot(self) -> ActorSnapshot:
        """Return who is where now."""
        fleet, crowd = self._model.fleet, self._model.crowd
        cars = np.flatnonzero(fleet.active)
        cars = cars[cars != EGO]
        people = np.flatnonzero(crowd.active)
        pose = np.empty((len(cars) + len(people), 3))
        pose[: len(cars)] = np.stack([fleet.x[cars], fleet.y[cars], fleet.yaw[cars]], axis=1)
        course = np.arctan2(crowd.dir_y[people], crowd.dir_x[people])
        pose[len(cars) :] = np.stack([crowd.x[people], crowd.y[people], course], axis=1)
        speed = fleet.speed[cars]
        ahead = np.stack([np.cos(fleet.yaw[cars]), np.sin(fleet.yaw[cars])], axis=1)
        walking = np.stack([crowd.vx[people], crowd.vy[people]], axis=1)
        body = np.stack([fleet.half_length[cars], fleet.half_width[cars]], axis=1)
        return ActorSnapshot(
            id=np.concatenate([100 + cars, 10_000 + people]),
            kind=np.concatenate([np.full(len(cars), AgentKind.VEHICLE, np.int8),
                                 np.full(len(people), AgentKind.WALKER, np.int8)]),
            pose=pose,
            z=np.concatenate([fleet.z[cars], crowd.z[people]]),
            velocity=np.concatenate([speed[:, None] * ahead, walking]),
            yaw_rate=np.concatenate([self._yaw_rate[cars], np.zeros(len(people))]),
            extent=np.concatenate([body, np.full((len(people), 2), WALKER_EXTENT)]),
            type_id=("scripted",) * len(pose),
            signal_state=self._lights.at(self._now),
        )  # fmt: skip

    def step(self, ego: EgoState) -> None:
        """Move on by one tick."""
        model = self._model
        fleet, crowd = model.fleet, model.crowd
        model.write_ego(ego)
        model.step(self._lights.at(self._now), self._now, DT)
        driven = fleet.active & fleet.driven
        self._accel += np.where(driven, fleet.accel - self._accel, 0.0) * DT / ACCEL_LAG
        turn = np.clip(fleet.wheel_angle - self._angle, -STEER_RATE * DT, STEER_RATE * DT)
        self._angle += turn
        speed = np.maximum(fleet.speed + self._accel * DT, 0.0)
        self._yaw_rate[:] = speed * np.tan(self._angle) / fleet.wheelbase
        half = 0.5 * fleet.wheelbase
        yaw = fleet.yaw + self._yaw_rate * DT
        x = fleet.x + (speed * DT - half) * np.cos(fleet.yaw) + half * np.cos(yaw)
        y = fleet.y + (speed * DT - half) * np.sin(fleet.yaw) + half * np.sin(yaw)
        for name, value in (("x", x), ("y", y), ("yaw", yaw), ("speed", speed)):
            getattr(fleet, name)[driven] = value[driven]
        crowd.vx[:], crowd.vy[:] = crowd.dir_x * crowd.out_speed, crowd.dir_y * crowd.out_speed
        crowd.x[:] += crowd.vx * DT
        crowd.y[:] += crowd.vy * DT
        self._now += DT
        vehicles, _ = model.recycle(self._now)
        for spot in vehicles:
            self._accel[spot.row] = self._angle[spot.row] = self._yaw_rate[spot.row] = 0.0


class Replay:
    """`Others` that do again what was recorded, whatever ego does.

    Args:
        frames: of a recording, one a tick; the last is held.
    """

    def __init__(self, frames: list[ActorSnapshot]) -> None:
        self._frames, self._at = frames, 0

    def snapshot(self) -> ActorSnapshot:
        """Return who is where now."""
        return self._frames[min(self._at, len(self._frames) - 1)]

    def step(self, ego: EgoState) -> None:
        """Move on by one tick."""
        del ego
        self._at += 1


@dataclass
class Step:
    """What one tick was.

    Attributes:
        ego: at its beginning.
        command: that was given.
        act_cpu_s: [s] CPU time of `Driver.act`.
        num_near: agents within 150 m of ego.
    """

    ego: EgoState
    command: Command
    act_cpu_s: float
    num_near: int


class Street:
    """Ego on a route among others.

    Args:
        graph: the roads.
        route: to drive, from its beginning, at rest.
        driver: who drives.
    """

    def __init__(self, graph: LaneGraph, route: Route, driver: Driver) -> None:
        self.graph, self.route, self.driver = graph, route, driver
        x, y, z, yaw = map(float, route_poses(route, np.zeros(1), 0.0)[0])
        self._car = KernelCar(x, y, yaw, z)
        self._frame = 0

    def ego(self) -> EgoState:
        """Return ego as it is now."""
        return self._car.ego()

    def drive(
        self, others: Others, ticks: int, seen: Callable[[Step], None] = lambda step: None
    ) -> list[ActorSnapshot]:
        """Drive; return the others of each tick, for a `Replay`.

        Args:
            others: around ego.
            ticks: at most; it ends before where ego stands at the end of its route.
            seen: hears of each tick.
        """
        frames = []
        for _ in range(ticks):
            ego, actors = self.ego(), others.snapshot()
            frames.append(actors)
            observation = Observation(
                self._frame, self._frame * DT, ego, actors, {}, (), self.graph, self.route
            )
            begin = time.thread_time()
            command = self.driver.act(observation)
            assert command is not None, "a planner that drives by itself has no server here"
            spent = time.thread_time() - begin
            gap = np.hypot(*(actors.pose[:, :2] - ego.pose[:2]).T)
            seen(Step(ego, command, spent, int((gap < 150.0).sum())))
            self._car.step(command)
            self._frame += 1
            others.step(self.ego())
            record = self.driver.trace.records[-1]
            if record.active[:1] == ("goal",) and abs(ego.speed) < 0.05 and self._frame > 100:
                break
        return frames
