"""Vehicles of scenarios that follow a line at a wanted speed.

Their speed is set each tick, as upstream's constant-velocity agents have it, so that they are where
a scenario wants them whatever their gearbox does; they steer by their wheels.
"""

from __future__ import annotations

import math
from typing import Any

import carla
import numpy as np

from headway.frames import wrap_angle
from headway.road.frenet import project_on_route, route_poses
from headway.road.route import Route
from headway.types import ActorSnapshot, Array, EgoState
from headway.vehicle import inverse_steer, vehicle_info, vehicle_params
from scenarios.suites.spec import Place

LOOK_LEAST, LOOK_TIME = 3.0, 0.5  # [m], [s] ahead on its line that a mover steers for
GAP, GAP_TIME = 5.0, 1.0  # [m], [s] kept to who is ahead, as upstream's BasicAgent does
HEED_BRAKE = 4.0  # [m/s^2] with which a mover stops behind who is ahead
CLEARANCE = 0.3  # [m] beside its own body that it takes to be in its way
BEND_ACCEL, BEND_BRAKE = 3.0, 2.0  # [m/s^2] across in bends, and to slow down for them
BEND_WAY = 5.0  # [m] before and behind a place over which its bend is measured
LOST = 2.0  # [m/s] of its speed that a mover loses in a tick when it runs into something
CREEP = 0.1  # [m/s] below it a mover stands and holds its brake


def bend_speeds(line: Route) -> Array:
    """(R,) [m/s] with which a line's bends are driven in comfort, with room to brake for them."""
    step = max(round(BEND_WAY / max(line.length / len(line.s), 1e-3)), 1)
    yaw = np.unwrap(line.yaw)
    before, after = (np.clip(np.arange(len(yaw)) + k, 0, len(yaw) - 1) for k in (-step, step))
    bend = np.abs(yaw[after] - yaw[before]) / np.maximum(line.s[after] - line.s[before], 1e-3)
    square = BEND_ACCEL / np.maximum(bend, 1e-6) + 2.0 * BEND_BRAKE * line.s
    return np.sqrt(np.minimum.accumulate(square[::-1])[::-1] - 2.0 * BEND_BRAKE * line.s)


class Mover:
    """A vehicle on its line.

    Args:
        actor: its id.
        type_id: its blueprint.
        line: that it follows.
        s: [m] on it where its middle is.
        speed: [m/s] that it has and wants.
        offset: [m] left of the line that it keeps.
        heeds: whether it brakes for who is ahead.

    Attributes:
        actor: its id.
        wanted: [m/s] the speed to go to.
        offset: [m] left of the line to go to.
        line: followed, extended straight on beyond its end.
        s: [m] on the line as of the last frame.
        speed: [m/s] that it was told last.
        hit: whether it has run into something; from then on it stands.
        accel, brake: [m/s^2] with which the speed changes.
        stops: whether it stands at the end of its line.
        caps: (R,) [m/s] how fast it may be along its line, see `bend_speeds`; None for no bounds.
    """

    def __init__(
        self, actor: int, type_id: str, line: Route, s: float, speed: float, offset: float = 0.0,
        heeds: bool = True,
    ) -> None:  # fmt: skip
        self.actor, self.line, self.s = actor, line, s
        self.wanted = self.speed = speed
        self.offset, self.heeds = offset, heeds
        self.accel, self.brake = 3.0, 6.0
        self.stops = False
        self.caps: Array | None = None
        self.hit = False
        x, y, self.z, yaw = map(float, route_poses(line, np.array([s]), offset)[0])
        self.pose = np.array([x, y, yaw])
        self._params = vehicle_params(type_id)[None, :]
        self._wheelbase = vehicle_info(type_id).wheelbase
        self._half = np.array(vehicle_info(type_id).extent[:2])
        self._told = 0.0

    @property
    def half_length(self) -> float:
        """[m] of its body."""
        return float(self._half[0])

    @property
    def place(self) -> Place:
        """Where it is."""
        x, y, yaw = map(float, self.pose)
        return Place(x, y, self.z, yaw)

    @property
    def look(self) -> float:
        """[m] ahead of its rear axle that it steers for."""
        return LOOK_LEAST + LOOK_TIME * self.speed

    @property
    def left(self) -> float:
        """[m] of its line that are left."""
        return self.line.length - self.s

    def commands(self, actors: ActorSnapshot, ego: EgoState, dt: float) -> list[Any]:
        """Return the `carla.command`s of one tick."""
        self._look(actors)
        self._change_speed(actors, ego, dt)
        self._told = self.speed
        cos, sin = math.cos(self.pose[2]), math.sin(self.pose[2])
        velocity = carla.Vector3D(self.speed * cos, -self.speed * sin, 0.0)
        control = carla.VehicleControl(steer=-self._steer())
        if (self.speed < CREEP and self.wanted <= 0.0) or self.hit:
            control.brake, control.hand_brake = 1.0, True
            return [carla.command.ApplyVehicleControl(self.actor, control)]
        return [
            carla.command.ApplyVehicleControl(self.actor, control),
            carla.command.ApplyTargetVelocity(self.actor, velocity),
        ]

    def _look(self, actors: ActorSnapshot) -> None:
        """Where it is by now, and whether it was stopped by force."""
        rows = np.flatnonzero(actors.id == self.actor)
        if not len(rows):  # placed in this very tick
            return
        self.pose, self.z = actors.pose[rows[0]].copy(), float(actors.z[rows[0]])
        self.s = float(project_on_route(self.line, self.pose[None, :2], self.s)[0][0])
        speed = float(np.hypot(*actors.velocity[rows[0]]))
        self.hit |= speed < self._told - LOST

    def _change_speed(self, actors: ActorSnapshot, ego: EgoState, dt: float) -> None:
        wanted = 0.0 if self.hit else self.wanted
        if self.stops:
            wanted = min(wanted, math.sqrt(max(self.brake * self.left, 0.0)))
        if self.caps is not None:
            wanted = min(wanted, float(np.interp(self.s, self.line.s, self.caps)))
        if self.heeds:
            wanted = min(wanted, self._allowed(actors, ego))
        step = np.clip(wanted - self.speed, -self.brake * dt, self.accel * dt)
        self.speed = max(self.speed + float(step), 0.0)

    def _allowed(self, actors: ActorSnapshot, ego: EgoState) -> float:
        """[m/s] from which it can stop behind who is ahead on its line (Gipps, 1981)."""
        others = actors.id != self.actor
        pose = np.concatenate([actors.pose[others], ego.pose[None, :]])
        reach = GAP + self.speed * (GAP_TIME + 0.5 * self.speed / HEED_BRAKE) + 10.0
        rows = np.flatnonzero(np.hypot(*(pose[:, :2] - self.pose[:2]).T) < reach)
        if not len(rows):
            return math.inf
        extent = np.concatenate([actors.extent[others], ego.extent[None, :]])[rows]
        velocity = np.concatenate([actors.velocity[others], ego.velocity[None, :]])[rows]
        s, d, yaw = project_on_route(self.line, pose[rows, :2])
        cos, sin = np.abs(np.cos(pose[rows, 2] - yaw)), np.abs(np.sin(pose[rows, 2] - yaw))
        beside = np.abs(d - self.offset) - extent[:, 0] * sin - extent[:, 1] * cos
        ahead = (beside < self._half[1] + CLEARANCE) & (s > self.s)
        if not ahead.any():
            return math.inf
        gap = s - self.s - extent[:, 0] * cos - extent[:, 1] * sin - self._half[0] - GAP
        theirs = np.maximum(velocity[:, 0] * np.cos(yaw) + velocity[:, 1] * np.sin(yaw), 0.0)
        room = theirs**2 + 2.0 * HEED_BRAKE * np.maximum(gap, 0.0)
        lag = HEED_BRAKE * GAP_TIME
        return float(np.min((np.sqrt(lag**2 + room) - lag)[ahead]))

    def _steer(self) -> float:
        """Pure pursuit with the rear axle, left positive."""
        x, y, yaw = self.pose
        back = 0.5 * self._wheelbase
        x, y = x - back * math.cos(yaw), y - back * math.sin(yaw)
        target = self._point(self.s + self.look - back)
        bearing = wrap_angle(math.atan2(target[1] - y, target[0] - x) - yaw)
        reach = math.hypot(target[0] - x, target[1] - y)
        angle = math.atan(2.0 * self._wheelbase * math.sin(bearing) / max(reach, 1.0))
        return float(inverse_steer(self._params, np.array([self.speed]), np.array([angle]))[0])

    def _point(self, s: float) -> Array:
        """x, y [m] at `s` on its line, or straight on beyond it."""
        x, y, _, yaw = route_poses(self.line, np.array([min(s, self.line.length)]), self.offset)[0]
        beyond = max(s - self.line.length, 0.0)
        return np.array([x + beyond * math.cos(yaw), y + beyond * math.sin(yaw)])
