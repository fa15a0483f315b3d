"""What clients ask of vehicles: controls, physics, lights, doors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from carla_bridge.frames import vector_from_carla
from carla_bridge.headless.actor_commands import ActorCommands
from carla_bridge.headless.actors import Actor
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.wire import finite
from headway.types import Array
from headway.vehicle import (
    VehicleControlIndex,
    VehicleInfo,
    VehicleParam,
    VehicleState,
    Wheel,
    inverse_accel,
    inverse_steer,
    params_from_physics,
    vehicle_info,
)

NUM_DOORS = 7  # of carla.VehicleDoor; the last is all of them
_ACKERMANN = [0.15, 0.0, 0.25, 0.01, 0.0, 0.01]  # CARLA's defaults
# What `get_physics_control` says of a wheel and no kernel reads: stiffnesses of PhysX's tyre.
_TYRE = (2.0, 17.0, 1000.0)


class VehicleCommands(ActorCommands):
    """The part of a World that acts on vehicles."""

    _light_states: list[Any] | None
    _ackermann: dict[int, list[float]]  # targets by vehicle
    _loose: set[int]  # vehicles whose control lasts for one step only (`sticky_control` false)

    def _vehicle(self, actor_id: int) -> tuple[Actor, int]:
        actor = self.require(actor_id)
        if actor.kind != ActorKind.VEHICLE:
            raise ValueError(f"actor {actor_id} ({actor.type_id}) is no vehicle")
        return actor, self.table.row(actor_id)

    def _forget_commands(self, actor_id: int) -> None:
        self._ackermann.pop(actor_id, None)
        self._loose.discard(actor_id)

    def apply_vehicle_control(self, actor_id: int, control: list[Any]) -> None:
        """Pedals, wheel and gear; numbers that are not finite count as 0, others are clamped.

        Args:
            actor_id: a vehicle.
            control: throttle, steer (right positive), brake, hand brake, reverse, manual, gear.

        Raises:
            UnknownActor: there is none.
            ValueError: it is no vehicle.
        """
        try:
            row = self.table.row(actor_id)
        except KeyError:
            row = self._row(actor_id)  # says it in words
        c = self.table.columns
        if c.kind[row] != 1:  # ActorKind.VEHICLE, spared the look-up on the hottest path of all
            self._vehicle(actor_id)
        throttle, steer, brake, hand_brake, reverse, manual, gear = control
        # `0 <= NaN` is false, so NaN ends as 0 without a look-up
        throttle = throttle if 0.0 <= throttle <= 1.0 else float(throttle > 1.0)
        brake = brake if 0.0 <= brake <= 1.0 else float(brake > 1.0)
        steer = steer if -1.0 <= steer <= 1.0 else float(steer > 1.0) - float(steer < -1.0)
        if manual and gear < 0:
            reverse = True
        gear = min(max(gear, -1), 20)
        c.control[row] = (throttle, -steer, brake, hand_brake, reverse, manual, gear)
        if self._ackermann:
            self._ackermann.pop(actor_id, None)
        actor = self.table.get(actor_id)
        if actor is not None and actor.attributes.get("sticky_control") == "false":
            self._loose.add(actor_id)

    def apply_vehicle_controls(self, ids: Array, controls: Array, count: int) -> bool:
        """Many controls at once, all or none.

        Args:
            ids: (n,) int64 actors.
            controls: (n, 7) as `apply_vehicle_control` takes them.
            count: how many of them.

        Returns:
            False, with nothing changed, where one of them asks for the way of single controls: an
            unknown actor, one that is no vehicle, an Ackermann target, controls that do not stick.
        """
        if self._ackermann or self._has_loose():
            return False
        c = self.table.columns
        return set_controls(c.id, c.kind, c.control, ids, controls, count)

    def _has_loose(self) -> bool:
        version, loose = self.__dict__.get("_loose_version", (-1, False))
        if version != self.table.version:
            loose = any(a.attributes.get("sticky_control") == "false" for a in self.table)
            self.__dict__["_loose_version"] = (self.table.version, loose)
        return loose

    def _before_step(self, dt: float) -> None:
        """Turn Ackermann targets into pedals; let controls that do not stick go."""
        for actor_id, target in self._ackermann.items():
            self._drive_ackermann(self.table.row(actor_id), target, dt)

    def _after_step(self) -> None:
        c = self.table.columns
        for actor_id in self._loose:
            c.control[self.table.row(actor_id)] = 0.0
        self._loose.clear()

    def apply_ackermann_control(self, actor_id: int, control: list[float]) -> None:
        """Follow a steering angle and a speed.

        Args:
            actor_id: a vehicle.
            control: steer [rad, right positive], steer speed [rad/s], speed [m/s], acceleration
                [m/s^2], jerk [m/s^3]; 0 for a rate means no limit.
        """
        self._vehicle(actor_id)
        self._ackermann[actor_id] = [finite(v) for v in control]

    def _drive_ackermann(self, row: int, target: list[float], dt: float) -> None:
        c = self.table.columns
        steer, steer_speed, speed, accel, _ = target
        state = c.state[row]
        now = float(state[VehicleState.STEER])
        wanted = -steer
        if steer_speed > 0.0:
            wanted = now + min(max(wanted - now, -steer_speed * dt), steer_speed * dt)
        limit = abs(accel) if accel else 4.0  # [m/s^2] where the client names none
        velocity = float(state[VehicleState.VX])
        ask = min(max((speed - velocity) / max(4.0 * dt, 0.2), -limit), limit)
        reverse = speed < 0.0
        sign = -1.0 if reverse else 1.0
        params = c.params[row : row + 1]
        throttle, brake = inverse_accel(params, np.array([sign * velocity]), np.array([sign * ask]))
        norm = inverse_steer(params, np.array([abs(velocity)]), np.array([wanted]))
        i = VehicleControlIndex
        c.control[row] = 0.0
        c.control[row, i.THROTTLE], c.control[row, i.BRAKE] = throttle[0], brake[0]
        c.control[row, i.STEER] = min(max(float(norm[0]), -1.0), 1.0)
        c.control[row, i.REVERSE] = reverse
        if speed == 0.0 and abs(velocity) < 0.1:
            c.control[row, i.THROTTLE], c.control[row, i.BRAKE] = 0.0, 1.0

    def ackermann_settings(self, actor_id: int) -> list[float]:
        """Gains that were set, or CARLA's defaults; kept, the control here has its own."""
        actor, _ = self._vehicle(actor_id)
        return actor.ackermann or list(_ACKERMANN)

    def apply_ackermann_settings(self, actor_id: int, settings: list[float]) -> None:
        """Keep gains."""
        self._vehicle(actor_id)[0].ackermann = [finite(v) for v in settings]

    # Physics.

    def physics_control(self, actor_id: int) -> list[Any]:
        """VehiclePhysicsControl as on the wire."""
        actor, row = self._vehicle(actor_id)
        info = actor.physics or vehicle_info(actor.type_id)
        c = self.table.columns
        yaw = float(c.pose[row, 5])
        cos, sin = math.cos(yaw), math.sin(yaw)
        rear = float(c.params[row, VehicleParam.REAR])
        wheels = []
        for number, wheel in enumerate(info.wheels):
            along = info.wheelbase - rear if number < 2 else -rear
            across = 0.5 * info.track * (1.0 if number % 2 == 0 else -1.0)
            x = float(c.pose[row, 0]) + along * cos - across * sin
            y = float(c.pose[row, 1]) + along * sin + across * cos
            place = vector_from_carla((x, y, float(c.pose[row, 2]) + wheel.radius))
            wheels.append([
                wheel.friction, wheel.damping, math.degrees(wheel.max_steer),
                100.0 * wheel.radius, wheel.brake_torque, wheel.hand_brake_torque, *_TYRE,
                [100.0 * v for v in place],
            ])  # fmt: skip
        return [
            [[float(a), float(b)] for a, b in info.torque_curve], float(info.max_rpm),
            float(info.engine_inertia), *(float(v) for v in info.damping),
            bool(info.use_gear_autobox), float(info.gear_switch_time),
            float(info.clutch_strength), float(info.final_ratio),
            [[float(ratio), float(down), float(up)] for ratio, up, down in info.gears],
            float(info.mass), float(info.drag_coefficient),
            [float(v) for v in vector_from_carla(info.center_of_mass)],
            [[float(a), float(b)] for a, b in info.steering_curve], wheels, True,
        ]  # fmt: skip

    def apply_physics_control(self, actor_id: int, control: list[Any]) -> None:
        """Change a vehicle's physics.

        Raises:
            UnknownActor, ValueError: there is no such vehicle, or a value is out of range.
        """
        actor, row = self._vehicle(actor_id)
        info = actor.physics or vehicle_info(actor.type_id)
        changes = _changes(control)
        params = params_from_physics(info, changes)
        actor.physics = _changed(info, changes)
        c = self.table.columns
        c.params[row] = params
        c.mass[row] = params[VehicleParam.MASS]
        c.inertia[row] = params[VehicleParam.YAW_INERTIA]
        c.friction[row] = params[VehicleParam.FRICTION]

    def wheel_steer_angle(self, actor_id: int, wheel: int) -> float:
        """Angle of a front wheel [deg], right positive; 0 for the others."""
        _, row = self._vehicle(actor_id)
        if wheel not in (0, 1):
            return 0.0
        return -math.degrees(float(self.table.columns.state[row, VehicleState.STEER]))

    # Lights and doors.

    def vehicle_light_state(self, actor_id: int) -> int:
        """Bits of carla.VehicleLightState."""
        return self._vehicle(actor_id)[0].light_state

    def set_vehicle_light_state(self, actor_id: int, flags: int) -> None:
        """Switch a vehicle's lights."""
        self._vehicle(actor_id)[0].light_state = int(flags) & 0xFFFFFFFF
        self._light_states = None

    def vehicle_light_states(self) -> list[Any]:
        """[id, bits] of every vehicle."""
        if self._light_states is None:
            self._light_states = [
                [a.id, a.light_state] for a in self.table if a.kind == ActorKind.VEHICLE
            ]
        return self._light_states

    def set_door(self, actor_id: int, door: int, is_open: bool) -> None:
        """Open or close a door, 6 for all of them.

        Raises:
            ValueError: there is no such door.
        """
        if not 0 <= door < NUM_DOORS:
            raise ValueError(f"door {door}: expected 0 to {NUM_DOORS - 1}")
        doors = self._vehicle(actor_id)[0].doors
        which = set(range(NUM_DOORS - 1)) if door == NUM_DOORS - 1 else {door}
        if is_open:
            doors |= which
        else:
            doors -= which


@njit(cache=True)
def set_controls(
    actor_ids: Array, kinds: Array, table: Array, ids: Array, controls: Array, count: int
) -> bool:
    """Set rows of the control table, all or none; the arithmetic of `apply_vehicle_control`.

    Args:
        actor_ids: (m,) ascending ids of the rows.
        kinds: (m,) `ActorKind` of the rows.
        table: (m, 7) in `VehicleControlIndex`'s columns, our signs.
        ids: (n,) whom to control.
        controls: (n, 7) as on the wire.
        count: how many of them.
    """
    rows = np.searchsorted(actor_ids, ids[:count])
    for i in range(count):
        row = rows[i]
        if row >= actor_ids.shape[0] or actor_ids[row] != ids[i] or kinds[row] != 1:
            return False
    for i in range(count):
        throttle, steer, brake = controls[i, 0], controls[i, 1], controls[i, 2]
        out = table[rows[i]]
        # comparisons with NaN are false, so that NaN ends as 0
        out[0] = throttle if 0.0 <= throttle <= 1.0 else (1.0 if throttle > 1.0 else 0.0)
        if not -1.0 <= steer <= 1.0:
            steer = 1.0 if steer > 1.0 else (-1.0 if steer < -1.0 else 0.0)
        out[1] = -steer
        out[2] = brake if 0.0 <= brake <= 1.0 else (1.0 if brake > 1.0 else 0.0)
        out[3] = controls[i, 3]
        out[4] = 1.0 if controls[i, 5] != 0.0 and controls[i, 6] < 0.0 else controls[i, 4]
        out[5] = controls[i, 5]
        out[6] = min(max(controls[i, 6], -1.0), 20.0)
    return True


def _changes(control: list[Any]) -> dict[str, Any]:
    """A wire VehiclePhysicsControl as fields of `VehicleInfo`."""
    if not isinstance(control, list) or len(control) != 17:
        raise ValueError(f"physics control: expected 17 fields, got {control!r:.80}")
    (curve, max_rpm, inertia, full, closed, opened, autobox, switch, clutch, final, gears, mass,
     drag, center, steering, wheels, _) = control  # fmt: skip
    changes: dict[str, Any] = {
        "max_rpm": max_rpm, "engine_inertia": inertia, "damping": (full, closed, opened),
        "use_gear_autobox": bool(autobox), "gear_switch_time": switch,
        "clutch_strength": clutch, "final_ratio": final, "mass": mass,
        "drag_coefficient": drag, "center_of_mass": vector_from_carla(center),
    }  # fmt: skip
    if curve:
        changes["torque_curve"] = tuple((a, b) for a, b in curve)
    if gears:
        changes["gears"] = tuple((ratio, up, down) for ratio, down, up in gears)
    if steering:
        changes["steering_curve"] = tuple((a, b) for a, b in steering)
    if wheels:
        changes["wheels"] = tuple(
            Wheel(w[0], w[1], math.radians(w[2]), w[3] / 100.0, w[4], w[5]) for w in wheels
        )
        changes["max_steer"] = max(wheel.max_steer for wheel in changes["wheels"])
    return changes


def _changed(info: VehicleInfo, changes: dict[str, Any]) -> VehicleInfo:
    facts = {name: getattr(info, name) for name in info.__dataclass_fields__}
    return VehicleInfo(**(facts | changes))
