"""What clients ask of actors of any kind: moving, pushing, switching physics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from carla_bridge.frames import pose_from_carla, vector_from_carla
from carla_bridge.headless.actors import Actor, ActorTable
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.wire import WireTransform, check_numbers, check_transform, finite
from headway.vehicle import VehicleState

MAX_SPEED = 1e3  # [m/s] beyond it a velocity is refused
MAX_IMPULSE = 1e9  # [kg m/s], and [N] for forces
MAX_WALKER_SPEED = 20.0  # [m/s] beyond it a wish is taken for an error and cut
_X, _Y, _YAW = int(VehicleState.X), int(VehicleState.Y), int(VehicleState.YAW)
_VX, _VY = int(VehicleState.VX), int(VehicleState.VY)


class UnknownActor(KeyError):
    """There is no actor of that id."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "unknown actor"


class SpawnError(RuntimeError):
    """An actor cannot be made; the message says why."""


class ActorCommands:
    """The part of a World that acts on single actors; vectors come in CARLA's frame."""

    table: ActorTable
    settings: list[Any]

    def require(self, actor_id: int) -> Actor:
        """That actor.

        Raises:
            UnknownActor: there is none.
        """
        actor = self.table.get(actor_id)
        if actor is None:
            raise UnknownActor(f"actor {actor_id} not found: it was destroyed or never existed")
        return actor

    def _row(self, actor_id: int) -> int:
        self.require(actor_id)
        return self.table.row(actor_id)

    def set_transform(self, actor_id: int, transform: WireTransform) -> None:
        """Put an actor somewhere at once; an attached one relative to its parent.

        Raises:
            UnknownActor: there is none.
            ValueError: a number is NaN or infinite.
        """
        row = self._row(actor_id)
        pose = pose_from_carla(check_transform("transform", transform))
        self._place(row, pose)

    def _place(self, row: int, pose: tuple[float, ...]) -> None:
        c = self.table.columns
        if c.parent[row] >= 0:
            c.offset[row] = pose
            return
        c.pose[row] = pose
        c.previous[row] = pose[:3]
        if c.kind[row] == ActorKind.VEHICLE:
            state = c.state[row]
            state[_X], state[_Y], state[_YAW] = pose[0], pose[1], pose[5]
            c.velocity[row, 2] = 0.0

    def set_location(self, actor_id: int, location: list[float]) -> None:
        """Move an actor at once, turned as it is."""
        row = self._row(actor_id)
        x, y, z = vector_from_carla(check_numbers("location", location, 3))
        c = self.table.columns
        source = c.offset if c.parent[row] >= 0 else c.pose
        self._place(row, (x, y, z, *(float(v) for v in source[row, 3:])))

    def set_target_velocity(self, actor_id: int, velocity: list[float]) -> None:
        """Give an actor a velocity [m/s], map frame, from which physics goes on."""
        row = self._row(actor_id)
        x, y, z = vector_from_carla(check_numbers("velocity", velocity, 3, MAX_SPEED))
        c = self.table.columns
        c.velocity[row] = x, y, z
        c.skid[row, :2] = 0.0
        if c.kind[row] == ActorKind.VEHICLE:
            yaw = float(c.state[row, _YAW])
            cos, sin = math.cos(yaw), math.sin(yaw)
            c.state[row, _VX] = x * cos + y * sin
            c.state[row, _VY] = -x * sin + y * cos
        elif c.kind[row] == ActorKind.WALKER:
            c.state[row, _VX], c.state[row, _VY] = x, y
        elif c.simulate[row]:
            c.skid[row, :2] = x, y

    def set_target_angular_velocity(self, actor_id: int, rate: list[float]) -> None:
        """Give an actor an angular velocity [deg/s]; only the turn about the vertical acts."""
        row = self._row(actor_id)
        values = check_numbers("angular velocity", rate, 3)
        c = self.table.columns
        yaw_rate = -math.radians(values[2])
        c.spin[row, 2] = yaw_rate
        c.skid[row, 2] = 0.0
        if c.kind[row] == ActorKind.VEHICLE:
            c.state[row, VehicleState.YAW_RATE] = yaw_rate
        elif c.simulate[row]:
            c.skid[row, 2] = yaw_rate

    def enable_constant_velocity(self, actor_id: int, velocity: list[float]) -> None:
        """Hold a vehicle at a velocity of its own frame [m/s]; it still steers."""
        row = self._row(actor_id)
        values = vector_from_carla(check_numbers("velocity", velocity, 3, MAX_SPEED))
        self.table.columns.held[row] = values

    def disable_constant_velocity(self, actor_id: int) -> None:
        """Let physics have it back."""
        self.table.columns.held[self._row(actor_id)] = math.nan

    def add_impulse(
        self, actor_id: int, impulse: list[float], location: list[float] | None = None
    ) -> None:
        """Hit an actor with an impulse [kg m/s], map frame, at a place [m] of the map."""
        row = self._row(actor_id)
        x, y, _ = vector_from_carla(check_numbers("impulse", impulse, 3, MAX_IMPULSE))
        c = self.table.columns
        if not c.simulate[row] or c.mass[row] <= 0.0:
            return
        c.push[row, 0] += x / c.mass[row]
        c.push[row, 1] += y / c.mass[row]
        if location is not None and c.inertia[row] > 0.0:
            px, py, _ = vector_from_carla(check_numbers("location", location, 3))
            arm_x, arm_y = px - c.pose[row, 0], py - c.pose[row, 1]
            c.twist[row] += (arm_x * y - arm_y * x) / c.inertia[row]

    def add_force(
        self, actor_id: int, force: list[float], location: list[float] | None = None
    ) -> None:
        """Push an actor with a force [N] for the length of the next step."""
        dt = self._step_length()
        self.add_impulse(
            actor_id, [v * dt for v in check_numbers("force", force, 3, MAX_IMPULSE)], location
        )

    def add_angular_impulse(self, actor_id: int, impulse: list[float]) -> None:
        """Spin an actor about the vertical by an angular impulse [kg m^2 deg/s]."""
        row = self._row(actor_id)
        values = check_numbers("angular impulse", impulse, 3, MAX_IMPULSE)
        c = self.table.columns
        if c.simulate[row] and c.inertia[row] > 0.0:
            c.twist[row] -= math.radians(values[2]) / c.inertia[row]

    def add_torque(self, actor_id: int, torque: list[float]) -> None:
        """Turn an actor about the vertical for the length of the next step."""
        dt = self._step_length()
        self.add_angular_impulse(
            actor_id, [v * dt for v in check_numbers("torque", torque, 3, MAX_IMPULSE)]
        )

    def _step_length(self) -> float:
        delta = self.settings[2]
        return float(delta[1]) if delta[0] and delta[1] > 0.0 else 0.05

    def set_simulate_physics(self, actor_id: int, enabled: bool) -> None:
        """Physics on or off; off, an actor stays where it is put."""
        row = self._row(actor_id)
        c = self.table.columns
        if bool(c.simulate[row]) == enabled:
            return
        c.simulate[row] = enabled
        c.active[row] = False
        for column in (c.velocity, c.spin, c.skid, c.accel):
            column[row] = 0.0
        if c.kind[row] == ActorKind.VEHICLE:
            state = c.state[row]
            state[:] = 0.0
            state[_X], state[_Y], state[_YAW] = c.pose[row, 0], c.pose[row, 1], c.pose[row, 5]

    def set_collisions(self, actor_id: int, enabled: bool) -> None:
        """Contacts on or off."""
        row = self._row(actor_id)
        solid = (ActorKind.VEHICLE, ActorKind.WALKER, ActorKind.PROP)
        self.table.columns.collides[row] = enabled and self.table.columns.kind[row] in solid

    def set_enable_gravity(self, actor_id: int, enabled: bool) -> None:
        """Gravity on or off: without it an actor keeps the height where it is."""
        self.table.columns.floats[self._row(actor_id)] = not enabled

    def set_dead(self, actor_id: int) -> None:
        """Say that a walker was run over: it walks no more."""
        actor = self.require(actor_id)
        actor.dead = True
        self.table.columns.wish[self.table.row(actor_id)] = 0.0

    def set_autopilot(self, actor_id: int, enabled: bool) -> None:
        """The flag; the client's traffic manager does the driving."""
        self.require(actor_id).autopilot = enabled

    def apply_walker_control(self, actor_id: int, control: list) -> None:
        """Direction, speed, jump of a walker; numbers that are not finite count as 0.

        Args:
            actor_id: a walker.
            control: [[x, y, z] CARLA's frame, speed [m/s], jump].

        Raises:
            UnknownActor: there is none.
            ValueError: it is no walker.
        """
        row = self._row(actor_id)
        c = self.table.columns
        if c.kind[row] != ActorKind.WALKER:
            raise ValueError(f"actor {actor_id} is no walker")
        if self.require(actor_id).dead:
            return
        (x, y, z), speed, jump = control
        wish = (finite(x), -finite(y), finite(z), min(max(finite(speed), 0.0), MAX_WALKER_SPEED))
        c.wish[row] = wish
        c.jump[row] = bool(jump)

    def set_walker_state(self, actor_id: int, transform: WireTransform, speed: float) -> None:
        """Put a walker where the client's crowd has it; its velocity is what that implies."""
        row = self._row(actor_id)
        pose = pose_from_carla(check_transform("walker state", transform))
        c = self.table.columns
        dt = self._step_length()
        moved = np.array(pose[:3]) - c.pose[row, :3]
        c.pose[row] = pose
        if np.hypot(moved[0], moved[1]) < 5.0:  # [m] a longer way is a teleport
            c.velocity[row] = moved / dt
        c.wish[row, 3] = finite(speed)
        c.state[row, _VX] = c.state[row, _VY] = 0.0
