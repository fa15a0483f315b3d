"""Ego on the vehicle kernel in process: what the server would do with it, without a server."""

from __future__ import annotations

import math

import numpy as np

from headway.types import Command, EgoState
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

DT = 0.05  # [s] of a tick
EGO_TYPE = "vehicle.tesla.model3"


class KernelCar:
    """One vehicle on level ground.

    Args:
        x, y: [m] map frame.
        yaw: [rad].
        z: [m] height that it says it has.
        speed: [m/s] with which it begins, in gear and with the clutch closed.
        type_id: blueprint.

    Attributes:
        state: (1, NUM_VEHICLE_STATES).
        params: (1, NUM_VEHICLE_PARAMS).
        info: of its type.
    """

    def __init__(
        self, x: float, y: float, yaw: float, z: float = 0.0, speed: float = 0.0,
        type_id: str = EGO_TYPE,
    ) -> None:  # fmt: skip
        self._type_id, self._z = type_id, z
        self.state = np.zeros((1, NUM_VEHICLE_STATES))
        self.params = vehicle_params(type_id)[None, :]
        self.info = vehicle_info(type_id)
        self._control = np.zeros((1, NUM_VEHICLE_CONTROLS))
        row, param = self.state[0], self.params[0]
        row[[VehicleState.X, VehicleState.Y, VehicleState.YAW]] = x, y, yaw
        if speed > 0.0:
            gear = cruise_gear(param, speed)
            row[[VehicleState.VX, VehicleState.GEAR]] = speed, gear
            wheel = speed / param[VehicleParam.WHEEL_RADIUS]
            row[VehicleState.ENGINE_SPEED] = wheel * gear_ratio(param, gear)
            row[VehicleState.SHIFT_AGE] = 1.0

    def ego(self) -> EgoState:
        """Return it as the driver sees it."""
        row = self.state[0]
        yaw, vx, vy = row[VehicleState.YAW], row[VehicleState.VX], row[VehicleState.VY]
        cos, sin = math.cos(yaw), math.sin(yaw)
        return EgoState(
            id=1,
            pose=np.array([*row[[VehicleState.X, VehicleState.Y]], math.remainder(yaw, math.tau)]),
            z=self._z,
            velocity=np.array([cos * vx - sin * vy, sin * vx + cos * vy]),
            speed=float(vx),
            accel=float(row[VehicleState.AX]),
            lateral_accel=float(row[VehicleState.AY]),
            yaw_rate=float(row[VehicleState.YAW_RATE]),
            steer=float(row[VehicleState.STEER]),
            extent=np.array(self.info.extent[:2]),
            wheelbase=self.info.wheelbase,
            type_id=self._type_id,
        )

    def step(self, command: Command) -> None:
        """Drive for one tick."""
        self._control[0, VehicleControlIndex.THROTTLE] = command.throttle
        self._control[0, VehicleControlIndex.BRAKE] = command.brake
        self._control[0, VehicleControlIndex.STEER] = command.steer_norm
        step_vehicles(
            self.state, self._control, self.params, np.zeros((1, 2)), np.ones(1, bool), DT
        )
