"""Physics of the vehicle kernel: what any car must do, whatever was fitted."""

import math

import numpy as np
import pytest

from headway.vehicle import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_STATES,
    params_from_physics,
    step_vehicles,
    vehicle_info,
    vehicle_params,
    vehicle_types,
)
from headway.vehicle import VehicleControlIndex as C
from headway.vehicle import VehicleParam as P
from headway.vehicle import VehicleState as S

MODEL3 = "vehicle.tesla.model3"
MKZ = "vehicle.lincoln.mkz_2020"
G = 9.81


class Cars:
    """A few cars in arrays, driven with constant controls."""

    def __init__(self, *types: str, grade: tuple[float, float] = (0.0, 0.0)):
        n = len(types)
        self.state = np.zeros((n, NUM_VEHICLE_STATES))
        self.control = np.zeros((n, NUM_VEHICLE_CONTROLS))
        self.params = np.array([vehicle_params(t) for t in types])
        self.grade = np.tile(np.array(grade), (n, 1))
        self.active = np.ones(n, dtype=bool)

    def run(self, seconds: float, dt: float = 0.05, **controls: float) -> np.ndarray:
        """Returns the states after each tick, (T, n, S)."""
        self.control[:] = 0.0
        for name, value in controls.items():
            self.control[:, C[name.upper()]] = value
        out = []
        for _ in range(round(seconds / dt)):
            step_vehicles(self.state, self.control, self.params, self.grade, self.active, dt)
            out.append(self.state.copy())
        return np.array(out)

    def roll(self, speed: float) -> None:
        """Set the cars rolling in gear at `speed`."""
        self.state[:, S.VX] = speed
        self.run(1.0)
        self.state[:, S.VX] = speed


@pytest.mark.parametrize("grade", [(0.0, 0.0), (0.12, 0.0), (-0.12, 0.0), (0.05, 0.08)])
@pytest.mark.parametrize("hold", [{"brake": 1.0}, {"hand_brake": 1.0}])
def test_stands_still_on_any_slope(grade, hold):
    cars = Cars(MODEL3, MKZ, "vehicle.carlamotors.firetruck", grade=grade)
    cars.state[:, S.BRAKE] = hold.get("brake", 0.0)  # it was on before
    states = cars.run(20.0, steer=0.7, **hold)
    assert (states[:, :, [S.X, S.Y, S.YAW, S.VX, S.VY, S.YAW_RATE]] == 0.0).all()


def test_no_creep_in_gear_or_out_of_it():
    cars = Cars(*vehicle_types())
    cars.run(3.0, throttle=0.5)
    cars.run(30.0, brake=1.0)
    before = cars.state.copy()
    states = cars.run(10.0)
    assert (states[:, :, S.VX] == 0.0).all()
    assert np.array_equal(before[:, [S.X, S.Y, S.YAW]], cars.state[:, [S.X, S.Y, S.YAW]])


def test_pulls_away_uphill_without_rolling_back():
    cars = Cars(MODEL3, MKZ, grade=(0.1, 0.0))
    cars.run(1.0, brake=1.0)
    start = cars.state[:, S.X].copy()
    states = cars.run(4.0, throttle=0.7)
    assert (states[:, :, S.X] >= start - 0.01).all()
    assert (states[-1, :, S.VX] > 2.0).all()


def test_rolls_down_a_slope_and_not_faster_than_gravity():
    cars = Cars(MODEL3, grade=(-0.1, 0.0))
    speed = cars.run(2.0)[-1, 0, S.VX]
    assert 0.3 < speed < 2.0 * G * 0.1


def test_stop_distance_is_that_of_its_speeds():
    cars = Cars(MODEL3, MKZ)
    cars.roll(15.0)
    start = cars.state[:, S.X].copy()
    states = cars.run(8.0, brake=1.0)
    distance = states[-1, :, S.X] - start
    integral = (states[:, :, S.VX].sum(axis=0)) * 0.05
    assert states[-1, :, S.VX] == pytest.approx(0.0, abs=0.0)
    assert distance == pytest.approx(integral, rel=0.05)
    assert (distance > 15.0**2 / 2 / 9.0).all()
    assert (distance < 15.0**2 / 2 / 5.0).all()


def test_braking_is_stronger_with_more_brake():
    cars = Cars(*[MODEL3] * 5)
    cars.roll(12.0)
    cars.control[:, C.BRAKE] = [0.0, 0.25, 0.5, 0.75, 1.0]
    for _ in range(20):
        step_vehicles(cars.state, cars.control, cars.params, cars.grade, cars.active, 0.05)
    assert (np.diff(cars.state[:, S.VX]) < -0.3).all()


@pytest.mark.parametrize("type_id", vehicle_types())
def test_energy_never_rises_without_throttle(type_id):
    cars = Cars(*[type_id] * 4)
    cars.roll(18.0)
    cars.state[:, S.VX] = 18.0
    steers = np.array([0.0, 0.05, -0.2, 0.6])
    cars.control[:] = 0.0
    cars.control[:, C.STEER] = steers
    p = cars.params
    last = None
    for _ in range(400):
        step_vehicles(cars.state, cars.control, cars.params, cars.grade, cars.active, 0.05)
        s = cars.state
        ratio = np.array([p[i, P.ENGINE_INERTIA] if s[i, S.GEAR] > 0 else 0.0 for i in range(4)])
        side = s[:, S.VY] + p[:, P.CG] * s[:, S.YAW_RATE]
        energy = 0.5 * p[:, P.MASS] * (s[:, S.VX] ** 2 + side**2)
        energy += 0.5 * p[:, P.YAW_INERTIA] * s[:, S.YAW_RATE] ** 2
        energy += 0.5 * (p[:, P.WHEEL_INERTIA] / p[:, P.WHEEL_RADIUS] ** 2) * s[:, S.VX] ** 2
        energy += 0.5 * ratio * s[:, S.ENGINE_SPEED] ** 2
        # A gear that engages brings its engine's energy in: only between such ticks.
        gears = s[:, S.GEAR].copy()
        if last is not None:
            same = gears == last[1]
            assert (energy[same] <= last[0][same] * 1.002 + 1.0).all()
        last = (energy, gears)
    assert (np.abs(cars.state[:, S.VX]) < 12.0).all()


def test_coast_down_falls_and_halves_in_plausible_time():
    cars = Cars(MODEL3)
    cars.roll(16.0)
    speed = cars.run(12.0)[:, 0, S.VX]
    assert (np.diff(speed) <= 1e-12).all()
    half = np.argmax(speed < 8.0) * 0.05
    assert 1.0 < half < 3.0  # engine braking: about 0.4 of the speed a second


@pytest.mark.parametrize("type_id", vehicle_types())
def test_top_speed_is_plausible(type_id):
    cars = Cars(type_id)
    speed = cars.run(120.0, throttle=1.0)[-1, 0, S.VX]
    light = type_id.split(".")[1] in {"bh", "diamondback", "gazelle", "vespa"}
    assert (5.0 if light else 20.0) < speed < 110.0


def test_constant_steer_traces_a_circle():
    cars = Cars(MODEL3)
    cars.run(3.0, throttle=0.25)
    states = cars.run(60.0, throttle=0.25, steer=0.3)[-600:, 0]
    radius = (states[:, S.VX] / states[:, S.YAW_RATE]).mean()
    xy = states[:, [S.X, S.Y]]
    a = np.c_[2 * xy, np.ones(len(xy))]
    cx, cy, c = np.linalg.lstsq(a, (xy**2).sum(axis=1), rcond=None)[0]
    fitted = math.sqrt(c + cx * cx + cy * cy)
    slip = math.hypot(1.0, (states[:, S.VY] / states[:, S.VX]).mean())
    assert fitted == pytest.approx(radius * slip, rel=2e-3)
    assert np.hypot(*(xy - [cx, cy]).T).std() < 0.02 * fitted


def test_low_speed_turn_is_kinematic():
    cars = Cars(MODEL3, MKZ)
    states = cars.run(20.0, throttle=0.07, steer=0.5)
    last = states[-1]
    assert (last[:, S.VX] > 0.1).all()
    assert (last[:, S.VX] < 1.5).all()
    rate = last[:, S.VX] * np.tan(last[:, S.STEER]) / cars.params[:, P.WHEELBASE]
    assert last[:, S.YAW_RATE] == pytest.approx(rate, rel=0.02)
    # The rear axle does not slide sideways.
    assert last[:, S.VY] == pytest.approx(last[:, S.YAW_RATE] * cars.params[:, P.REAR], rel=0.02)


def test_left_and_right_are_mirror_images():
    cars = Cars(MODEL3, MODEL3, MKZ, MKZ)
    cars.grade[:, 1] = [0.05, -0.05, 0.0, 0.0]
    rng = np.random.default_rng(4)
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    for _ in range(400):
        cars.control[:, C.THROTTLE] = rng.uniform(0.2, 1.0)
        cars.control[:, C.STEER] = rng.uniform(-0.6, 0.6) * sign
        step_vehicles(cars.state, cars.control, cars.params, cars.grade, cars.active, 0.05)
    odd = [S.Y, S.YAW, S.VY, S.YAW_RATE, S.STEER, S.AY]
    mirrored = cars.state.copy()
    mirrored[:, odd] *= -1.0
    assert mirrored[1::2] == pytest.approx(cars.state[::2], rel=1e-9, abs=1e-9)


def test_motion_does_not_depend_on_heading():
    cars = Cars(MKZ, MKZ)
    cars.state[1, S.YAW] = 1.1
    cars.state[1, [S.X, S.Y]] = 30.0, -7.0
    cars.run(4.0, throttle=0.6, steer=0.2)
    cars.run(4.0, throttle=0.3, steer=-0.3)
    cos, sin = math.cos(1.1), math.sin(1.1)
    x, y = cars.state[0, [S.X, S.Y]]
    expected = [30.0 + cos * x - sin * y, -7.0 + sin * x + cos * y]
    assert cars.state[1, [S.X, S.Y]] == pytest.approx(expected, abs=1e-6)


def test_friction_circle_is_respected():
    cars = Cars(MODEL3, MKZ, "vehicle.mini.cooper_s", "vehicle.kawasaki.ninja")
    cars.params[:, P.FRICTION] = 0.8
    rng = np.random.default_rng(7)
    worst = 0.0
    for i in range(600):
        if i % 10 == 0:
            brake = rng.uniform(0.0, 1.0) if rng.uniform() < 0.4 else 0.0
            cars.control[:, C.BRAKE] = brake
            cars.control[:, C.THROTTLE] = 0.0 if brake else rng.uniform(0.5, 1.0)
            cars.control[:, C.STEER] = rng.uniform(-1.0, 1.0)
        step_vehicles(cars.state, cars.control, cars.params, cars.grade, cars.active, 0.05)
        s, p = cars.state, cars.params
        fast = s[:, S.VX] > 6.0
        force = np.hypot(s[:, S.AX], s[:, S.AY])[fast]
        if force.size:
            # AX, AY are at the origin: the centre of mass differs by the turn about it.
            offset = (np.abs(p[:, P.CG]) * 12.0)[fast]
            worst = max(worst, float((force - offset).max()))
            assert (force <= 0.8 * G + offset + 0.8).all()
    assert worst > 0.3 * G  # it was tried


def test_friction_param_bounds_braking():
    slippery, normal = Cars(MODEL3), Cars(MODEL3)
    slippery.params[:, P.FRICTION] = 0.2
    for cars in (slippery, normal):
        cars.roll(15.0)
        cars.run(1.0, brake=1.0)
    assert slippery.state[0, S.VX] == pytest.approx(15.0 - 0.2 * G, abs=0.4)
    assert normal.state[0, S.VX] < 10.0


def test_reverse_goes_backwards_and_steers_the_other_way():
    cars = Cars(MODEL3, MKZ)
    states = cars.run(6.0, throttle=0.4, reverse=1.0, steer=0.3)
    assert (states[-1, :, S.VX] < -1.0).all()
    assert (states[-1, :, S.X] < 0.0).all()
    assert (states[-1, :, S.YAW_RATE] < 0.0).all()
    assert (states[-1, :, S.GEAR] == -1).all()


def test_throttle_forward_while_rolling_backwards_turns_the_motion_round():
    cars = Cars(MODEL3)
    cars.run(4.0, throttle=0.5, reverse=1.0)
    assert cars.state[0, S.VX] < -1.0
    cars.run(5.0, throttle=0.8)
    assert cars.state[0, S.VX] > 3.0


def test_manual_gear_is_kept():
    cars = Cars(MKZ)
    states = cars.run(10.0, throttle=1.0, manual=1.0, gear=2.0)
    assert set(states[:, 0, S.GEAR]) == {0.0, 2.0}
    neutral = Cars(MKZ)
    neutral.run(5.0, throttle=1.0, manual=1.0, gear=0.0)
    assert neutral.state[0, S.VX] == 0.0


def test_automatic_shifts_up_and_down():
    cars = Cars(MKZ)
    gears = cars.run(20.0, throttle=0.8)[:, 0, S.GEAR]
    assert gears.max() >= 4
    top = gears.max()
    gears = cars.run(20.0, brake=0.1)[:, 0, S.GEAR]
    assert gears[gears > 0].min() < top


def test_inactive_rows_and_zero_time_change_nothing():
    cars = Cars(MODEL3, MODEL3)
    cars.active[1] = False
    cars.run(2.0, throttle=1.0)
    assert (cars.state[1] == 0.0).all()
    before = cars.state.copy()
    step_vehicles(cars.state, cars.control, cars.params, cars.grade, cars.active, 0.0)
    assert np.array_equal(before, cars.state)


def _noise(seed: int, ticks: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros((ticks, n, NUM_VEHICLE_CONTROLS))
    out[:, :, C.THROTTLE] = rng.uniform(0.0, 1.0, (ticks, n))
    out[:, :, C.STEER] = rng.uniform(-1.0, 1.0, (ticks, n))
    out[:, :, C.BRAKE] = rng.uniform(0.0, 1.0, (ticks, n)) * (rng.uniform(size=(ticks, n)) < 0.2)
    return out


def test_many_rows_equal_single_rows_to_the_bit():
    types = vehicle_types()
    controls = _noise(1, 150, len(types))
    together = Cars(*types)
    for control in controls:
        step_vehicles(
            together.state, control, together.params, together.grade, together.active, 0.05
        )
    for i, type_id in enumerate(types):
        one = Cars(type_id)
        for control in controls:
            step_vehicles(one.state, control[i : i + 1], one.params, one.grade, one.active, 0.05)
        assert one.state[0].tobytes() == together.state[i].tobytes()


def test_forked_state_resumes_to_the_same_bits():
    cars = Cars(MKZ, MODEL3)
    controls = _noise(2, 200, 2)
    for control in controls[:100]:
        step_vehicles(cars.state, control, cars.params, cars.grade, cars.active, 0.05)
    fork = cars.state.copy()
    for control in controls[100:]:
        step_vehicles(cars.state, control, cars.params, cars.grade, cars.active, 0.05)
    for control in controls[100:]:
        step_vehicles(fork, control, cars.params, cars.grade, cars.active, 0.05)
    assert fork.tobytes() == cars.state.tobytes()


@pytest.mark.parametrize("type_id", [MODEL3, MKZ, "vehicle.bh.crossbike"])
def test_any_tick_length_gives_the_same_drive(type_id):
    ends = []
    for dt in (0.01, 0.02, 0.05, 0.1):
        cars = Cars(type_id)
        cars.run(5.0, dt, throttle=0.6)
        cars.run(3.0, dt, throttle=0.4, steer=0.05)
        ends.append(cars.state[0].copy())
    for end in ends[1:]:
        assert end[S.VX] == pytest.approx(ends[0][S.VX], rel=0.03)
        assert end[S.YAW_RATE] == pytest.approx(ends[0][S.YAW_RATE], rel=0.05)
        assert end[[S.X, S.Y]] == pytest.approx(ends[0][[S.X, S.Y]], rel=0.05, abs=0.5)


def test_wild_states_stay_finite():
    cars = Cars(*vehicle_types())
    rng = np.random.default_rng(3)
    cars.state[:, [S.VX, S.VY]] = rng.uniform(-40, 40, (len(cars.state), 2))
    cars.state[:, S.YAW_RATE] = rng.uniform(-8, 8, len(cars.state))
    for control in _noise(5, 200, len(cars.state)):
        step_vehicles(cars.state, control, cars.params, cars.grade, cars.active, 0.05)
    assert np.isfinite(cars.state).all()
    assert (np.abs(cars.state[:, [S.VX, S.VY]]) < 120.0).all()


def test_pushed_sideways_it_slides_as_friction_lets_it():
    cars = Cars(MODEL3)
    cars.state[0, S.VY] = 6.0
    states = cars.run(0.5, brake=1.0)
    assert states[0, 0, S.VY] > 6.0 - cars.params[0, P.FRICTION] * G * 0.05 - 1e-9
    assert states[-1, 0, S.VY] == pytest.approx(0.0, abs=1e-6)
    assert states[-1, 0, S.Y] > 0.3


def test_acceleration_columns_are_the_change_of_velocity():
    cars = Cars(MODEL3)
    cars.run(3.0, throttle=0.6)
    before = cars.state[0].copy()
    after = cars.run(0.05, throttle=0.6, steer=0.05)[-1, 0]

    def world(s):
        cos, sin = math.cos(s[S.YAW]), math.sin(s[S.YAW])
        return np.array([s[S.VX] * cos - s[S.VY] * sin, s[S.VX] * sin + s[S.VY] * cos])

    accel = (world(after) - world(before)) / 0.05
    yaw = 0.5 * (before[S.YAW] + after[S.YAW])
    cos, sin = math.cos(yaw), math.sin(yaw)
    body = [accel[0] * cos + accel[1] * sin, -accel[0] * sin + accel[1] * cos]
    assert after[[S.AX, S.AY]] == pytest.approx(body, abs=0.05)


def test_every_type_has_facts_and_says_whose():
    assert len(vehicle_types()) == 41
    for type_id in vehicle_types():
        info = vehicle_info(type_id)
        assert info.mass > 50.0
        assert "MIT" in info.source
        assert (info.similar_to is None) == (not info.source.startswith("similar to"))
    assert vehicle_info("vehicle.ford.crown").similar_to == "vehicle.chevrolet.impala"


def test_unknown_types_and_broken_physics_are_named():
    with pytest.raises(ValueError, match=r"no vehicle 'vehicle\.none'"):
        vehicle_params("vehicle.none")
    info = vehicle_info(MODEL3)
    with pytest.raises(ValueError, match="mass"):
        params_from_physics(info, {"mass": -1.0})
    with pytest.raises(ValueError, match="no field 'colour'"):
        params_from_physics(info, {"colour": 1})
    with pytest.raises(ValueError, match="not finite"):
        params_from_physics(info, {"drag_coefficient": float("nan")})


def test_changed_physics_changes_the_drive():
    info = vehicle_info(MODEL3)
    heavy = Cars(MODEL3)
    heavy.params[0] = params_from_physics(info, {"mass": 2.0 * info.mass})
    light = Cars(MODEL3)
    assert (
        heavy.run(5.0, throttle=1.0)[-1, 0, S.VX] < 0.75 * light.run(5.0, throttle=1.0)[-1, 0, S.VX]
    )
