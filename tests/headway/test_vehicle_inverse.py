"""The inverse map: pedals and steer that give what was asked for, through the kernel itself."""

import numpy as np
import pytest

from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    inverse_accel,
    inverse_steer,
    launch_delay,
    step_vehicles,
    vehicle_params,
    vehicle_types,
)
from headway.vehicle import VehicleControlIndex as C
from headway.vehicle import VehicleParam as P
from headway.vehicle import VehicleState as S

CARS = [
    "vehicle.tesla.model3",
    "vehicle.lincoln.mkz_2020",
    "vehicle.audi.tt",
    "vehicle.mini.cooper_s",
]


def _drive(type_id: str, accel: float, start: float, seconds: float) -> np.ndarray:
    """Speeds under the inverse map's pedals, asked anew each tick, (T,)."""
    params = vehicle_params(type_id)[None]
    state = np.zeros((1, NUM_VEHICLE_STATES))
    control = np.zeros((1, NUM_VEHICLE_CONTROLS))
    grade, active = np.zeros((1, 2)), np.ones(1, dtype=bool)
    speeds = []
    settle = 40
    state[0, S.VX] = start
    for i in range(settle + round(seconds / 0.05)):
        if i <= settle:  # rolling in gear, the clutch settled, at the asked speed
            state[0, S.VX] = start
            if i == settle // 2:
                params[0, P.SHIFT_LATENCY] = 1e9  # no shift from here on
        throttle, brake = inverse_accel(params, state[:, S.VX], np.array([accel]))
        control[0, C.THROTTLE], control[0, C.BRAKE] = throttle[0], brake[0]
        step_vehicles(state, control, params, grade, active, 0.05)
        if i > settle:
            speeds.append(state[0, S.VX])
    return np.array(speeds)


@pytest.mark.parametrize("type_id", CARS)
@pytest.mark.parametrize(("accel", "start"), [(-4.0, 18.0), (-2.5, 14.0), (-1.0, 9.0)])
def test_round_trip_when_slowing(type_id, accel, start):
    speeds = _drive(type_id, accel, start, 1.0)
    got = (speeds[-1] - start) / 1.0
    assert got == pytest.approx(accel, abs=0.15 * abs(accel) + 0.35)


@pytest.mark.parametrize("start", [2.5, 5.0, 8.0, 12.0, 17.0])
@pytest.mark.parametrize("accel", [-3.0, -1.0, 0.0, 1.0, 2.0, 3.5])
def test_round_trip_of_the_gearless_car_is_close(start, accel):
    speeds = _drive("vehicle.tesla.model3", accel, start, 0.6)
    got = (speeds[-1] - speeds[3]) / (0.05 * (len(speeds) - 4))
    assert got == pytest.approx(accel, abs=0.25)


@pytest.mark.parametrize("type_id", CARS)
def test_pedals_rise_with_acceleration_and_exclude_each_other(type_id):
    params = np.tile(vehicle_params(type_id), (200, 1))
    for speed in (0.0, 1.3, 7.7, 23.0, 60.0):
        accel = np.linspace(-60.0, 14.0, 200)
        throttle, brake = inverse_accel(params, np.full(200, speed), accel)
        assert (np.diff(throttle - brake) >= 0.0).all()
        assert (throttle * brake == 0.0).all()
        assert throttle[-1] == 1.0
        assert throttle[0] == 0.0


@pytest.mark.parametrize("type_id", vehicle_types())
def test_steer_round_trip(type_id):
    params = np.tile(vehicle_params(type_id), (5, 1))
    state = np.zeros((5, NUM_VEHICLE_STATES))
    control = np.zeros((5, NUM_VEHICLE_CONTROLS))
    angle = np.array([-0.3, -0.05, 0.0, 0.1, 0.25])
    for speed in (1.0, 6.0):
        control[:, C.STEER] = inverse_steer(params, np.full(5, speed), angle)
        for _ in range(30):
            state[:, S.VX] = speed
            step_vehicles(state, control, params, np.zeros((5, 2)), np.ones(5, dtype=bool), 0.05)
        assert state[:, S.STEER] == pytest.approx(angle, abs=5e-3)


@pytest.mark.parametrize("throttle", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("type_id", CARS)
def test_launch_delay_is_the_time_to_first_motion(type_id, throttle):
    params = vehicle_params(type_id)[None]
    state = np.zeros((1, NUM_VEHICLE_STATES))
    control = np.zeros((1, NUM_VEHICLE_CONTROLS))
    control[0, C.THROTTLE] = throttle
    t = 0.0
    while state[0, S.VX] < 0.01:
        step_vehicles(state, control, params, np.zeros((1, 2)), np.ones(1, dtype=bool), 0.01)
        t += 0.01
        assert t < 3.0
    assert t == pytest.approx(launch_delay(params, throttle)[0], abs=0.05)
