"""From wanted acceleration and wheel angle back to pedals and steer, by a table of the kernel.

Each parameter row carries its own table: the acceleration that the kernel settles at, over speeds
and pedal positions, in the gear that the automatic gearbox is in when it has come up, or down, to
that speed. Which gear that is depends on the past, so behind a real gearbox the map is off by the
difference of two neighbouring gears for a while; a tracker closes that by feedback.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.types import Array
from headway.vehicle import kernel as k
from headway.vehicle.layout import (
    INVERSE_PEDALS,
    INVERSE_SPEEDS,
    NUM_INVERSE_PEDALS,
    NUM_INVERSE_SPEEDS,
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
)
from headway.vehicle.layout import VehicleParam as P

TABLE = int(P.INVERSE)
SETTLE = 40  # steps of 10 ms at a held speed, until the clutch's slip has settled
FREE = 30  # steps of 10 ms let go, so that the engine's inertia counts
SKIP = 10  # of those, left out of the mean
CAME_FROM = 1.2  # times the present speed, when slowing
LAUNCH_THROTTLE = 0.3  # that takes a car at rest out of neutral soon, whatever it shall do then
_SPEEDS = np.array(INVERSE_SPEEDS)
_PEDALS = np.array(INVERSE_PEDALS)


@njit(cache=True)
def settled_accel(param: Array, speed: float, pedal: float, state: Array, control: Array) -> float:
    """Acceleration [m/s^2] around `speed` after the drivetrain has settled; buffers are scratch."""
    accel = 0.0
    lags = k.all_lags(param, 0.01)
    for _ in range(2):  # the second time centred on `speed`
        start = max(speed - accel * 0.005 * (FREE + SKIP), 0.3)
        state[:] = 0.0
        control[:] = 0.0
        control[k.C_THROTTLE] = max(pedal, 0.0)
        control[k.C_BRAKE] = max(-pedal, 0.0)
        # A car that slows is still in the gear of the higher speed that it comes from.
        state[k.GEAR] = k.cruise_gear(param, speed if pedal > 0.0 else CAME_FROM * speed)
        state[k.AGE] = 1e9  # the clutch has closed long ago
        control[k.C_MANUAL] = 1.0  # no shift in here
        control[k.C_GEAR] = state[k.GEAR]
        state[k.BRAKE] = control[k.C_BRAKE]
        state[k.ENGINE] = start / param[k.RADIUS] * k.gear_ratio(param, int(state[k.GEAR]))
        for _ in range(SETTLE):
            state[k.VX] = start
            k.substep(state, control, param, 0.0, (0.0, 0.0), lags, 0.01)
        state[k.VX] = start
        before = after = start
        count = 0  # steps until it stands, or all
        for step in range(FREE):
            k.substep(state, control, param, 0.0, (0.0, 0.0), lags, 0.01)
            if state[k.VX] <= 0.0:
                break
            count = step + 1
            after = state[k.VX]
            if count == SKIP:
                before = after
        if count > SKIP:
            accel = (after - before) / (0.01 * (count - SKIP))
        else:  # it stood before the mean began
            accel = -start / (0.01 * (count + 1))
    return accel


@njit(cache=True)
def _fill(param: Array, speeds: Array, pedals: Array, state: Array, control: Array) -> None:
    for i in range(speeds.size):
        best = -1e9
        for j in range(pedals.size):
            accel = settled_accel(param, speeds[i], pedals[j], state, control)
            best = max(best + 1e-6, accel)  # strictly rising, so that it can be inverted
            param[TABLE + i * pedals.size + j] = best


def fill_inverse(row: Array) -> None:
    """Compute a parameter row's inverse table, in place.

    Args:
        row: (NUM_VEHICLE_PARAMS,), complete but for the table.
    """
    _fill(row, _SPEEDS, _PEDALS, np.zeros(NUM_VEHICLE_STATES), np.zeros(NUM_VEHICLE_CONTROLS))


@njit(cache=True)
def pedal_for(param: Array, speed: float, accel: float) -> float:
    """Pedal in [-1 brake, 1 throttle] that gives `accel` [m/s^2] at `speed` [m/s]."""
    v = abs(speed)
    i = 0
    while i < NUM_INVERSE_SPEEDS - 2 and v >= _SPEEDS[i + 1]:
        i += 1
    share = min((v - _SPEEDS[i]) / (_SPEEDS[i + 1] - _SPEEDS[i]), 1.0)
    row = TABLE + i * NUM_INVERSE_PEDALS
    low = param[row] + share * (param[row + NUM_INVERSE_PEDALS] - param[row])
    if accel <= low:
        return -1.0
    for j in range(1, NUM_INVERSE_PEDALS):
        high = param[row + j] + share * (param[row + NUM_INVERSE_PEDALS + j] - param[row + j])
        if accel < high:
            part = (accel - low) / (high - low)
            return _PEDALS[j - 1] + part * (_PEDALS[j] - _PEDALS[j - 1])
        low = high
    return 1.0


@njit(cache=True)
def inverse_accel(params: Array, speed: Array, accel: Array) -> tuple[Array, Array]:
    """Throttle and brake that give the wanted accelerations, forward gears, level ground.

    Args:
        params: (N, NUM_VEHICLE_PARAMS).
        speed: (N,) [m/s].
        accel: (N,) [m/s^2] along the car.

    Returns:
        throttle (N,), brake (N,), both in [0, 1], one of each pair 0.
    """
    throttle = np.zeros(speed.size)
    brake = np.zeros(speed.size)
    for i in range(speed.size):
        pedal = pedal_for(params[i], speed[i], accel[i])
        throttle[i] = max(pedal, 0.0)
        brake[i] = max(-pedal, 0.0)
    return throttle, brake


@njit(cache=True)
def inverse_steer(params: Array, speed: Array, wheel_angle: Array) -> Array:
    """Steer in [-1, 1], left positive, that turns the front wheels to `wheel_angle`.

    Args:
        params: (N, NUM_VEHICLE_PARAMS).
        speed: (N,) [m/s].
        wheel_angle: (N,) [rad].
    """
    out = np.zeros(speed.size)
    for i in range(speed.size):
        full = k.wheel_angle(params[i], speed[i], 1.0)
        if full > 0.0:
            out[i] = min(max(wheel_angle[i] / full, -1.0), 1.0)
    return out


def launch_delay(params: Array, throttle: float = LAUNCH_THROTTLE) -> Array:
    """Time [s] from throttle to first motion of a car at rest on the level.

    The free engine revs up to where the gearbox leaves neutral, then the gear changes.

    Args:
        params: (..., NUM_VEHICLE_PARAMS).
        throttle: (0, 1] held all the time.

    Returns:
        (...,); inf where the engine does not rev up with so little throttle.
    """
    rows = params.reshape(-1, params.shape[-1])
    delay = np.empty(len(rows))
    for i, row in enumerate(rows):
        speed = 0.5 * row[P.NEUTRAL_UP] * row[P.MAX_ENGINE_SPEED]  # half way
        torque = k.interpolate(row, k.TORQUE_X0, k.TORQUE_Y0, int(row[P.NUM_TORQUE_POINTS]), speed)
        free = row[P.DAMPING_FREE]
        damping = free + (row[P.DAMPING_FULL] - free) * throttle
        surplus = throttle * torque - damping * speed
        revs = row[P.ENGINE_INERTIA] * 2.0 * speed / surplus if surplus > 0.0 else math.inf
        delay[i] = revs + row[P.SHIFT_TIME]
    return delay.reshape(params.shape[:-1])
