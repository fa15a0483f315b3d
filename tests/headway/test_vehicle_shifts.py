"""Launch and gear changes: no tick gives more than the engine's torque through the gears can.

The bounds are computed here from the parameters, by hand.
"""

import numpy as np
import pytest

from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    step_vehicles,
    vehicle_params,
)
from headway.vehicle import VehicleControlIndex as C
from headway.vehicle import VehicleParam as P
from headway.vehicle import VehicleState as S

DT = 0.05
TYPES = [
    "vehicle.tesla.model3",
    "vehicle.lincoln.mkz_2020",
    "vehicle.carlamotors.firetruck",
    "vehicle.carlamotors.carlacola",
    "vehicle.kawasaki.ninja",
    "vehicle.bh.crossbike",
]


def drive(param: np.ndarray, throttle: np.ndarray) -> np.ndarray:
    """States (T, S) at rest and after each tick, under a throttle (T - 1,)."""
    state = np.zeros((1, NUM_VEHICLE_STATES))
    control = np.zeros((1, NUM_VEHICLE_CONTROLS))
    out = [state[0].copy()]
    for u in throttle:
        control[0, C.THROTTLE] = u
        step_vehicles(state, control, param[None], np.zeros((1, 2)), np.ones(1, bool), DT)
        out.append(state[0].copy())
    return np.array(out)


def through_gears(param: np.ndarray, states: np.ndarray) -> np.ndarray:
    """What the engine's peak torque and the tyres can give in each tick (T - 1,) [m/s^2]."""
    ratio = np.r_[0.0, param[P.GEAR_RATIO : P.GEAR_RATIO + int(param[P.NUM_GEARS])]]
    gear = states[:, S.GEAR].astype(int)
    used = np.maximum(ratio[gear[1:]], ratio[gear[:-1]])  # a tick may begin in one gear
    peak = param[P.TORQUE : P.TORQUE + int(param[P.NUM_TORQUE_POINTS])].max()
    force = peak * used * param[P.FINAL_RATIO] / param[P.WHEEL_RADIUS]
    return np.minimum(force / param[P.MASS], param[P.FRICTION] * 9.81)


def resistance(param: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Deceleration by air, rolling and the wheels' bearings in each tick (T - 1,) [m/s^2]."""
    speed = np.maximum(states[1:, S.VX], states[:-1, S.VX])
    bearings = param[P.WHEEL_DAMPING] / param[P.WHEEL_RADIUS] ** 2 * speed
    return (param[P.DRAG] * speed**2 + bearings) / param[P.MASS] + param[P.ROLLING] * 9.81


def steps_of(seed: int) -> np.ndarray:
    """A foot that changes its mind every second and a half, lifts and kicks down, for a minute."""
    rng = np.random.default_rng(seed)
    levels = rng.choice([0.0, 0.2, 0.4, 0.7, 1.0], 40)
    return np.repeat(np.r_[0.6, levels], 30)


RUNS = {
    "throttle 0.3": np.full(500, 0.3),
    "throttle 0.5": np.full(500, 0.5),
    "throttle 0.75": np.full(500, 0.75),
    "full throttle": np.full(500, 1.0),
    "changing": steps_of(3),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("type_id", TYPES)
def test_no_tick_gives_more_than_the_engine_through_the_gears(type_id, run):
    param = vehicle_params(type_id)
    states = drive(param, RUNS[run])
    bound = through_gears(param, states)
    accel = np.diff(states[:, S.VX]) / DT
    assert states[:, S.VX].max() > 1.0  # it drove
    assert (accel <= bound + 1e-6).all(), (accel - bound).max()
    # Backwards the clutch holds no more than forwards; out of gear there is only resistance.
    assert (accel >= -bound - resistance(param, states) - 1e-6).all()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("type_id", TYPES)
def test_the_clutch_closes_softly(type_id, run):
    """From one tick to the next the drive rises by no more than the closing clutch lets it."""
    param = vehicle_params(type_id)
    states = drive(param, RUNS[run])
    accel = np.diff(states[:, S.VX]) / DT
    bound = through_gears(param, states)
    gear = states[:, S.GEAR]
    engages = np.flatnonzero((gear[1:] > 0.0) & (gear[:-1] == 0.0))
    assert engages.size
    share = DT / param[P.CLUTCH_TIME]
    for i in engages:
        resisted = resistance(param, states)[i]
        rise = np.diff(accel[max(i - 1, 0) : i + 3]).max()
        assert rise <= share * bound[i] + resisted + 1e-6, (i * DT, rise)


@pytest.mark.parametrize("type_id", ["vehicle.lincoln.mkz_2020", "vehicle.carlamotors.firetruck"])
def test_the_engine_does_not_rev_up_in_an_automatic_shift(type_id):
    param = vehicle_params(type_id)
    states = drive(param, np.full(500, 1.0))
    between = (states[1:, S.GEAR] == 0.0) & (states[:-1, S.GEAR] == 0.0)
    shifting = between & (states[:-1, S.SHIFT_TIMER] > 0.0)
    if param[P.SHIFT_TIME] > 2 * DT:
        assert shifting.sum() > 10
    assert (np.diff(states[:, S.ENGINE_SPEED])[shifting] < 0.0).all()
    assert (states[1:, S.THROTTLE][shifting] == 0.0).all()
    assert states[:, S.GEAR].max() >= 4  # it did shift


def test_a_car_at_rest_takes_its_gear_when_the_engine_has_revved_up():
    param = vehicle_params("vehicle.tesla.model3")
    threshold = param[P.NEUTRAL_UP] * param[P.MAX_ENGINE_SPEED]
    delays = []
    for throttle in (0.1, 0.3, 1.0):
        states = drive(param, np.full(80, throttle))
        begin = int(np.argmax(states[:, S.SHIFT_TIMER] > 0.0))
        assert states[begin - 1, S.ENGINE_SPEED] < threshold + 15.0
        assert states[begin, S.ENGINE_SPEED] > 0.95 * threshold
        delays.append(int(np.argmax(states[:, S.VX] > 0.01)) * DT)
    assert delays[0] > delays[1] + 0.3 > delays[2] + 0.4
    assert delays[2] > param[P.SHIFT_TIME]
