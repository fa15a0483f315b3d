"""From wanted acceleration and wheel angle to pedals and steer: inverse map and correction."""

from __future__ import annotations

import numpy as np

from headway.traffic.arrays import Fleet
from headway.types import Array
from headway.vehicle import (
    LAUNCH_THROTTLE,
    NUM_VEHICLE_PARAMS,
    inverse_accel,
    inverse_steer,
    launch_delay,
    vehicle_params,
)

GAIN = 0.6  # [1/s] of the acceleration's integral correction
LARGEST = 0.8  # [m/s^2] correction
FAR_OFF = 1.0  # [m/s^2] a car that is further off is in another gear than the map takes it to be,
FAR_GAIN = 3.0  # [1/s] and what it is off beyond that is corrected so much faster,
HARDER = 10.0  # [m/s^2] by so much at most towards braking
CREDIBLE = 6.0  # [m/s^2] what it is off beyond that was a push
HOLD_BRAKE = 0.6  # brake of a vehicle that shall stand
LAUNCH_ACCEL = 0.8  # [m/s^2] asked for at least when starting, so that it gets over its delay
STANDS = 0.15  # [m/s]


class PedalMap:
    """Pedals and steer of a fleet; keeps how far each vehicle's acceleration was off.

    Args:
        num: rows of the fleet.
    """

    def __init__(self, num: int) -> None:
        self._params = np.zeros((num, NUM_VEHICLE_PARAMS))
        self._delay = np.zeros(num)
        self._offset = np.zeros(num)
        self._asked = np.zeros(num)
        self._speed = np.full(num, np.nan)
        self._launch = np.zeros(num)

    def set_type(self, row: int, type_id: str) -> None:
        """Tell which vehicle `row` is."""
        self._params[row] = vehicle_params(type_id)
        self._delay[row] = float(launch_delay(self._params[row]))

    def forget(self, row: int) -> None:
        """Forget the past of `row`, as after a teleport."""
        self._offset[row] = self._asked[row] = self._launch[row] = 0.0
        self._speed[row] = np.nan

    def controls(self, fleet: Fleet, rows: slice, dt: float) -> Array:
        """Return (n, 3) throttle [0, 1], steer [-1, 1] left positive, brake [0, 1] of `rows`.

        Args:
            fleet: with `accel` and `wheel_angle` decided.
            rows: of the fleet.
            dt: [s] since the last call.
        """
        speed, accel = fleet["speed"][rows], fleet["accel"][rows].copy()
        stands = np.abs(speed) < STANDS
        starts = accel > 0.05
        launch = self._launch[rows]
        launch[:] = np.where(stands & starts, launch + dt, 0.0)
        measured = (speed - self._speed[rows]) / dt
        # While a car gathers itself to start, and while it stands, there is nothing to correct.
        steady = (speed > STANDS) & np.isfinite(measured) & (self._asked[rows] > -4.0)
        wrong = np.where(steady, self._asked[rows] - np.nan_to_num(measured), 0.0)
        wrong = np.clip(wrong, -CREDIBLE, CREDIBLE)
        offset = self._offset[rows]
        beyond = np.sign(wrong) * np.maximum(np.abs(wrong) - FAR_OFF, 0.0)
        offset[:] = np.clip(offset + dt * (GAIN * wrong + FAR_GAIN * beyond), -HARDER, LARGEST)
        offset[stands] = 0.0
        self._asked[rows], self._speed[rows] = accel, speed
        wanted = accel + offset
        late = launch > self._delay[rows] + 0.3
        wanted = np.where(stands & starts, np.maximum(wanted, LAUNCH_ACCEL), wanted)
        wanted = np.where(late, wanted + 2.0 * (launch - self._delay[rows] - 0.3), wanted)
        throttle, brake = inverse_accel(self._params[rows], np.maximum(speed, 0.0), wanted)
        throttle[stands & starts] = np.maximum(throttle[stands & starts], LAUNCH_THROTTLE)
        hold = stands & ~starts
        throttle[hold], brake[hold] = 0.0, HOLD_BRAKE
        back = speed < -STANDS  # pushed back, or rolling back on a slope
        throttle[back], brake[back] = 0.0, 1.0
        steer = inverse_steer(self._params[rows], np.abs(speed), fleet["wheel_angle"][rows])
        return np.stack([throttle, steer, brake], axis=1)
