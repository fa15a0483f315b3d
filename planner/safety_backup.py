"""The backup manoeuvre of the safety layer: one more tick of a command, then the full brake.

A command may pass when ego, after one tick of it, can still brake to a stop without hitting
anybody. How it would stop is simulated with the vehicle kernel, since a car with a clutch does not
stop at a constant rate: an engine that was spun up while the first gear came in throws the car
forward by two or three metres per second although the brake is pressed. The gear and the engine's
speed, which no sensor tells, are followed by an observer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.frenet import interpolate, project_on_route
from headway.road.lane_graph import LaneGraph
from headway.road.line import changes_of, from_lanes
from headway.road.route import Route
from headway.types import Array, Command, EgoState, Scene
from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    VehicleControlIndex,
    VehicleParam,
    VehicleState,
    step_vehicles,
    vehicle_params,
)
from headway.vehicle.kernel import GRAVITY, cruise_gear, gear_ratio, wheel_angle

TICK = 0.05  # [s] that a command acts before the next one can
SUBSTEP = 0.025  # [s] of the simulated backup
FINE_SUBSTEP = 0.01  # [s] below `LAUNCHED`: a gear that goes in a little later falls out again
MAX_STEPS = 260  # of a backup: the weakest brakes take 11 s from 33 m/s
BEHIND = 40.0  # [m] of road kept behind ego
LOOK_TIME, LOOK_LEAST = 0.3, 2.0  # [s], [m] ahead at which ego means to run as the road does
LAUNCHED = 3.0  # [m/s] below it nobody knows how far the gearbox is with the first gear
JERK = 0.1  # [m/s] in a tick that tell a clutch which grabs from one that does not
SOON = 0.01  # [s] left of a shift
CLOSED = 1.0  # [s] after a shift: the clutch has closed, the next shift is not due yet
BEND_BASE = 3.0  # [m] before and behind a place, between which the road's bend is taken there
OFF_ROAD = 6.0  # [m] beside the route, from where on it says nothing about ego's road
OFF_YAW = 0.8  # [rad] against the route, the same

X, Y, YAW, VX, VY = (
    int(VehicleState.X), int(VehicleState.Y), int(VehicleState.YAW),
    int(VehicleState.VX), int(VehicleState.VY),
)  # fmt: skip
YAW_RATE, STEER, GEAR = (
    int(VehicleState.YAW_RATE), int(VehicleState.STEER), int(VehicleState.GEAR),
)  # fmt: skip
TARGET, ENGINE, TIMER, AGE, BRAKE = (
    int(VehicleState.TARGET_GEAR), int(VehicleState.ENGINE_SPEED), int(VehicleState.SHIFT_TIMER),
    int(VehicleState.SHIFT_AGE), int(VehicleState.BRAKE),
)  # fmt: skip
C_THROTTLE, C_STEER, C_BRAKE = (
    int(VehicleControlIndex.THROTTLE), int(VehicleControlIndex.STEER),
    int(VehicleControlIndex.BRAKE),
)  # fmt: skip
C_HAND = int(VehicleControlIndex.HAND_BRAKE)
WHEELBASE, RADIUS = int(VehicleParam.WHEELBASE), int(VehicleParam.WHEEL_RADIUS)
BRAKE_FORCE = int(VehicleParam.BRAKE_FORCE)
MASS, NUM_GEARS = int(VehicleParam.MASS), int(VehicleParam.NUM_GEARS)


class Road(NamedTuple):
    """The line that ego's road follows, from behind ego to beyond its stop.

    Attributes:
        xyz: (M, 3) [m].
        yaw: (M,) [rad].
        s: (M,) [m].
        at: [m] where on it ego is.
        d: [m] how far left of it ego is.
        grade: slope under ego in the direction of the road.
        alone_to: [m] where on it the next junction begins: up to there nobody can leave it.
    """

    xyz: Array
    yaw: Array
    s: Array
    at: float
    d: float
    grade: float
    alone_to: float


class Backup(NamedTuple):
    """How ego would stop.

    Attributes:
        path: (n, 4) x, y [m], yaw [rad], way made [m] at ticks of `TICK`; row 0 is now.
        late: ticks by which it may come later, as nobody knows when the first gear is in.
    """

    path: Array
    late: int

    @property
    def way(self) -> float:
        """[m] until it stands."""
        return float(self.path[-1, 3])


class RoadAhead:
    """Finds ego's road: along the route, or straight on where ego has left it.

    Where the route changes lanes the road goes straight on: to keep to it is not to move over.
    """

    def __init__(self) -> None:
        self._route: Route | None = None
        self._yaw = self._shift = np.zeros(0)
        self._hint = float("nan")

    def find(self, scene: Scene, reach: float) -> Road:
        """Return the road from `BEHIND` behind ego to `reach` [m] ahead."""
        route, ego = scene.route, scene.ego
        if route is not self._route:
            self._route, self._hint = route, float("nan")
            self._yaw, self._shift = _without_changes(scene.lane_graph, route)
        s, d, yaw = (float(a[0]) for a in project_on_route(route, ego.pose[None, :2], self._hint))
        if abs(d) > OFF_ROAD or abs(wrap_angle(yaw - ego.pose[2])) > OFF_YAW:
            self._hint = float("nan")
            return _straight_on(ego, reach)
        self._hint = s
        low, high = np.searchsorted(route.s, (s - BEHIND, s + reach))
        rows = slice(max(int(low) - 1, 0), max(int(high) + 1, 2))
        rows = slice(min(rows.start, len(route.s) - 2), rows.stop)
        xyz = route.xyz[rows].astype(np.float64)
        along = np.ascontiguousarray(route.s[rows], dtype=np.float64)
        height = np.interp((s - 2.0, s + 2.0), along, xyz[:, 2])
        yaw, shift = self._yaw[rows], self._shift[rows] - np.interp(s, route.s, self._shift)
        xyz[:, 0] += shift * np.sin(yaw)
        xyz[:, 1] -= shift * np.cos(yaw)
        return Road(
            xyz, np.ascontiguousarray(yaw), along, s, d,
            float(height[1] - height[0]) / 4.0, self._alone_to(scene, s, rows),
        )  # fmt: skip

    def _alone_to(self, scene: Scene, at: float, rows: slice) -> float:
        """Where [m] from `at` on the route's next junction begins, within its `rows`."""
        route = scene.route
        lane, ahead = route.lane[rows], route.s[rows] >= at - 1.0
        shared = ahead & ((lane < 0) | (scene.lane_graph.junction[lane] >= 0))
        return float(route.s[rows][np.argmax(shared)] if shared.any() else route.s[rows][-1])


def _without_changes(graph: LaneGraph, route: Route) -> tuple[Array, Array]:
    """Yaw [rad] (R,) of the road along a route, and how far left lane changes lead it (R,) [m]."""
    changes, _ = changes_of(graph, route)
    if not len(changes):
        return route.yaw.astype(np.float64), np.zeros(len(route.s))
    aside, yaw = from_lanes(graph, route)
    shift = aside.copy()
    for k in changes:  # the middle of the new lane, seen from that of the old one
        slope = aside[k - 1] - aside[max(k - 2, 0)]
        shift[k:] += aside[k - 1] + slope - aside[k]
    return yaw, shift


def _straight_on(ego: EgoState, reach: float) -> Road:
    s = np.array([-BEHIND, reach])
    x, y, yaw = ego.pose
    xyz = np.column_stack([x + s * math.cos(yaw), y + s * math.sin(yaw), np.full(2, ego.z)])
    return Road(xyz, np.full(2, yaw), s, 0.0, 0.0, 0.0, 0.0)


class EgoModel:
    """An observer of ego's vehicle, and its backup manoeuvres.

    Args:
        type_id: of the vehicle.
        lateral_accel: [m/s^2] that the backup's steering asks for at most.
        brake_share: of the vehicle's brakes, on which the backup relies.
    """

    def __init__(self, type_id: str, lateral_accel: float, brake_share: float) -> None:
        self.type_id = type_id
        self.params = vehicle_params(type_id)[None, :]
        self._weak = self.params.copy()
        self._weak[0, BRAKE_FORCE] *= brake_share
        self._lateral_accel = lateral_accel
        self._state = np.zeros((1, NUM_VEHICLE_STATES))
        self._control = np.zeros((1, NUM_VEHICLE_CONTROLS))
        self._path = np.zeros((MAX_STEPS, 4))
        self._known = False

    def observe(self, ego: EgoState, sent: Command, dt: float, grade: float) -> None:
        """Go on by what was `sent` for `dt` [s] (not in (0, 0.5): begin anew), then correct."""
        row = self._state[0]
        if abs(dt - TICK) < 1e-6:
            dt = TICK  # else rounding lets the model shift a step earlier or later
        if self._known and 0.0 < dt < 0.5:
            self._go_on(ego.speed, sent, dt, grade)
        else:
            gear = cruise_gear(self.params[0], ego.speed) if ego.speed > 0.3 else 0
            ratio = gear_ratio(self.params[0], gear)
            row[:] = 0.0
            row[GEAR] = row[TARGET] = gear
            row[ENGINE] = max(ego.speed, 0.0) / self.params[0, RADIUS] * ratio
            row[AGE] = CLOSED  # the worst: a clutch that is still closing holds the engine back
            row[STEER] = ego.steer
            self._known = True
        x, y, yaw = ego.pose
        row[X], row[Y], row[YAW], row[VX], row[YAW_RATE] = x, y, yaw, ego.speed, ego.yaw_rate
        row[VY] = ego.velocity[1] * math.cos(yaw) - ego.velocity[0] * math.sin(yaw)

    def _go_on(self, speed: float, sent: Command, dt: float, grade: float) -> None:
        """Step, and see from the `speed` [m/s] that came of it whether the first gear is in."""
        row, before = self._state[0], self._state.copy()
        params, slope = self.params, np.array([[grade, 0.0]])
        active = np.ones(1, np.bool_)
        _set(self._control, sent)
        step_vehicles(self._state, self._control, params, slope, active, dt)
        if speed > LAUNCHED:
            return
        if sent.throttle > 0.0 and row[GEAR] > 0.0 and row[VX] > speed + JERK:
            # It is not in gear, or not yet: the engine goes on free.
            before[0, TARGET] = max(before[0, GEAR], before[0, TARGET], 1.0)
            before[0, GEAR], before[0, TIMER], before[0, AGE] = 0.0, dt + SOON, -dt - SOON
            self._state[:] = before
            step_vehicles(self._state, self._control, params, slope, active, dt)
        elif row[GEAR] == 0.0 and speed > row[VX] + JERK:
            row[GEAR] = row[TARGET] = 1.0
            row[TIMER], row[AGE] = 0.0, max(row[AGE], dt)

    def keep_steer(self, road: Road) -> float:
        """Steer in [-1, 1] that makes ego run as the road does, where it is."""
        return keep_steer(
            self._state[0], self.params[0], road.xyz, road.yaw, road.s, road.at,
            self._lateral_accel,
        )  # fmt: skip

    def backup(self, command: Command, road: Road) -> Backup:
        """Simulate one tick of `command` and then the full brake, steering along the road."""
        _set(self._control, command)
        state, late = self._state.copy(), 0
        if state[0, VX] < LAUNCHED and state[0, GEAR] == 0.0 and state[0, TARGET] > 0.0:
            late = math.ceil(state[0, TIMER] / TICK)
            state[0, TIMER] = min(state[0, TIMER], SOON)  # the worst: the clutch grabs now
            state[0, AGE] = -state[0, TIMER]
        num = roll_out(
            state, self._control, self._weak, road.xyz, road.yaw, road.s, road.at,
            np.array([[road.grade, 0.0]]), self._lateral_accel, self._path,
        )  # fmt: skip
        return Backup(self._path[:num].copy(), late)


@njit(cache=True)
def road_accel(path: Array, xyz: Array, yaw: Array, s: Array, at: float) -> float:
    """The most that the road asks for across it [m/s^2] on the way to rest.

    Args:
        path: (n, 4) see `Backup`.
        xyz: (M, 3) of the road, yaw and s (M,).
        yaw: see `xyz`.
        s: see `xyz`.
        at: [m] where on the road ego is.
    """
    last, most = len(s) - 1, 0.0
    for k in range(1, len(path)):
        here, speed = at + path[k, 3], (path[k, 3] - path[k - 1, 3]) / TICK
        ahead = interpolate(xyz, yaw, s, 0, last, here + BEND_BASE)[3]
        behind = interpolate(xyz, yaw, s, 0, last, here - BEND_BASE)[3]
        curvature = abs(wrap_angle(ahead - behind)) / (2.0 * BEND_BASE)
        most = max(most, speed * speed * curvature)
    return most


def _set(control: Array, command: Command) -> None:
    control[0, C_THROTTLE] = command.throttle
    control[0, C_BRAKE] = command.brake
    control[0, C_STEER] = command.steer_norm
    control[0, C_HAND] = float(command.hand_brake)


@njit(cache=True)
def keep_steer(
    state: Array, param: Array, xyz: Array, yaw: Array, s: Array, at: float, lateral_accel: float
) -> float:
    """Steer in [-1, 1] after which ego will run parallel to its road, see `EgoModel`."""
    speed = max(state[VX], 0.0)
    look = max(LOOK_LEAST, LOOK_TIME * speed)
    road_yaw = interpolate(xyz, yaw, s, 0, len(s) - 1, at + look)[3]
    curvature = wrap_angle(road_yaw - state[YAW]) / look
    largest = lateral_accel / max(speed, 1.0) ** 2
    curvature = min(max(curvature, -largest), largest)
    full = wheel_angle(param, speed, 1.0)
    if full <= 0.0:
        return 0.0
    angle = math.atan(param[WHEELBASE] * curvature)
    return min(max(angle / full, -1.0), 1.0)


@njit(cache=True)
def roll_out(
    state: Array,
    control: Array,
    params: Array,
    xyz: Array,
    yaw: Array,
    s: Array,
    at: float,
    grade: Array,
    lateral_accel: float,
    path: Array,
) -> int:
    """Simulate a backup manoeuvre.

    Args:
        state: (1, NUM_VEHICLE_STATES) now; written.
        control: (1, NUM_VEHICLE_CONTROLS) of the first tick; written.
        params: (1, NUM_VEHICLE_PARAMS).
        xyz: (M, 3) of the road, yaw and s (M,).
        yaw: see `xyz`.
        s: see `xyz`.
        at: [m] where on the road ego is.
        grade: (1, 2) slope.
        lateral_accel: [m/s^2] see `EgoModel`.
        path: (*, 4) see `Backup`; written.

    Returns:
        How many rows were written.
    """
    active = np.ones(1, np.bool_)
    row = state[0]
    path[0, 0], path[0, 1], path[0, 2], path[0, 3] = row[X], row[Y], row[YAW], 0.0
    for k in range(1, len(path)):
        if k > 1:
            control[0, C_THROTTLE], control[0, C_BRAKE] = 0.0, 1.0
            control[0, C_STEER] = keep_steer(row, params[0], xyz, yaw, s, at, lateral_accel)
        speed, brake = row[VX], row[BRAKE]
        fine = speed < LAUNCHED
        step_vehicles(
            state, control, params, grade, active, TICK, FINE_SUBSTEP if fine else SUBSTEP
        )
        if params[0, NUM_GEARS] > 1.0:
            # The engine helps to brake, but not while a gearbox shifts: it is not relied upon.
            sure = 0.5 * (brake + row[BRAKE]) * params[0, BRAKE_FORCE] / params[0, MASS]
            sure = max(sure + GRAVITY * grade[0, 0], 0.0)
            faster = max(speed - sure * TICK - row[VX], 0.0)
            row[VX] += faster
            row[X] += 0.5 * TICK * faster * math.cos(row[YAW])
            row[Y] += 0.5 * TICK * faster * math.sin(row[YAW])
        dx, dy = row[X] - path[k - 1, 0], row[Y] - path[k - 1, 1]
        step = math.hypot(dx, dy)
        at += step
        path[k, 0], path[k, 1], path[k, 2] = row[X], row[Y], row[YAW]
        path[k, 3] = path[k - 1, 3] + step
        if k > 1 and row[VX] < 0.02 and row[GEAR] == 0.0 and row[TARGET] == 0.0:
            return k + 1
    return len(path)
