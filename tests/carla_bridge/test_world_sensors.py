"""What sensors measure, against physics and against the client's own map."""

from __future__ import annotations

import math
import struct
from typing import Any

import carla
import msgpack
import numpy as np
import pytest

from carla_bridge.headless.towns import Town
from carla_bridge.headless.world import SpawnError, World

CAR = "vehicle.tesla.model3"
HEADER = struct.Struct("<QQd6f")


def wire_attributes(**values: object) -> list[list[Any]]:
    return [[name, 4, str(value)] for name, value in values.items()]


def sensor(world: World, kind: str, parent: int, place: Any = None, **attributes: object) -> int:
    """Spawn and listen; returns the stream's id."""
    where = place or [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    description = [0, f"sensor.other.{kind}", wire_attributes(**attributes)]
    actor = world.spawn(description, where, parent)
    stream = struct.unpack_from("<I", actor[5])[0]
    world.sensor_listeners.add(stream)
    return stream


def readings(world: World, stream: int) -> list[tuple[tuple, Any]]:
    return [
        (HEADER.unpack_from(data), msgpack.unpackb(data[48:]))
        for number, data in world.sensor_messages()
        if number == stream
    ]


def car_at(world: World, x: float = 50.0, y: float = 5.0, yaw: float = 0.0) -> int:
    return world.spawn([0, CAR, []], [[x, y, 0.0], [0.0, yaw, 0.0]])[0]


def test_imu_at_rest_feels_gravity_and_knows_north(plain_town: Town) -> None:
    world = World(plain_town)
    for yaw, compass in (
        (0.0, 0.5 * math.pi),
        (-90.0, 0.0),
        (90.0, math.pi),
        (180.0, 1.5 * math.pi),
    ):
        car = car_at(world, y=5.0, x=50.0 + yaw / 10.0, yaw=yaw)
        stream = sensor(world, "imu", car)
        for _ in range(5):
            world.step(0.05)
        ((header, (accel, gyro, north)),) = readings(world, stream)
        assert header[0] == 5
        assert header[1:3] == (world.frame, pytest.approx(world.elapsed))
        assert accel == pytest.approx([0.0, 0.0, 9.81], abs=1e-6)
        assert gyro == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)
        assert north == pytest.approx(compass, abs=1e-6)


def test_imu_on_a_slope_feels_the_hill(hill_town: Town) -> None:
    world = World(hill_town)
    car = car_at(world, x=100.0)
    world.set_location(car, [100.0, 5.0, 5.0])
    world.apply_vehicle_control(car, [0.0, 0.0, 1.0, True, False, False, 0])
    stream = sensor(world, "imu", car)
    for _ in range(60):
        world.step(0.05)
    ((header, (accel, _, _)),) = readings(world, stream)
    angle = math.atan(0.05)
    assert header[6] == pytest.approx(math.degrees(angle), abs=0.05)  # pitch, nose up
    assert accel == pytest.approx([9.81 * math.sin(angle), 0.0, 9.81 * math.cos(angle)], abs=0.02)


def test_imu_in_a_bend_agrees_with_the_bend(plain_town: Town) -> None:
    world = World(plain_town)
    car = car_at(world)
    stream = sensor(world, "imu", car)
    world.step(0.05)
    world.set_target_velocity(car, [8.0, 0.0, 0.0])
    for _ in range(40):
        world.apply_vehicle_control(car, [0.4, 0.2, 0.0, False, False, False, 0])
        world.step(0.05)
    ((_, (accel, gyro, _)),) = readings(world, stream)
    row = world.table.row(car)
    speed = float(np.hypot(*world.table.columns.velocity[row, :2]))
    assert gyro[2] > 0.1  # CARLA's z: to the right
    assert accel[1] == pytest.approx(speed * gyro[2], rel=0.1)
    record = world_record(world, row)
    assert record["wz"] == pytest.approx(math.degrees(gyro[2]), rel=1e-5)


def world_record(world: World, row: int) -> Any:
    world.episode_message(0.05)
    return world.table.records[row]


def test_gnss_round_trip_through_the_clients_map(plain_town: Town) -> None:
    client_map = carla.Map(plain_town.name, plain_town.xodr)
    world = World(plain_town)
    car = car_at(world, x=321.0, y=-7.5, yaw=30.0)
    offset = [[1.0, 0.5, 1.4], [0.0, 0.0, 0.0]]
    stream = sensor(world, "gnss", car, offset)
    world.step(0.05)
    ((header, (latitude, longitude, altitude)),) = readings(world, stream)
    place = carla.Location(*header[3:6])
    expected = client_map.transform_to_geolocation(place)
    assert (latitude, longitude) == pytest.approx((expected.latitude, expected.longitude), abs=1e-9)
    assert altitude == pytest.approx(1.4, abs=1e-3)
    turn = math.radians(30.0)
    assert place.x == pytest.approx(321.0 + math.cos(turn) - 0.5 * math.sin(turn), abs=1e-3)
    assert place.y == pytest.approx(-7.5 + math.sin(turn) + 0.5 * math.cos(turn), abs=1e-3)
    assert 48.9 < latitude < 49.1


def test_sensor_tick_spaces_the_measurements(plain_town: Town) -> None:
    world = World(plain_town)
    car = car_at(world)
    fast = sensor(world, "imu", car)
    slow = sensor(world, "imu", car, sensor_tick=0.25)
    times: dict[int, list[float]] = {fast: [], slow: []}
    for _ in range(100):
        world.step(0.05)
        for stream, seen in times.items():
            seen += [header[2] for header, _ in readings(world, stream)]
    assert len(times[fast]) == 100
    assert np.diff(times[slow]) == pytest.approx(0.25)
    assert len(times[slow]) == 20


def noisy_run(town: Town, seed: int, listen: bool = True) -> list[Any]:
    world = World(town)
    car = car_at(world)
    stream = sensor(world, "imu", car, noise_seed=seed, noise_accel_stddev_x=0.5,
                    noise_gyro_bias_z=0.25)  # fmt: skip
    seen = []
    for step in range(400):
        if not listen:
            world.sensor_listeners.clear()
            if step >= 200:
                world.sensor_listeners.add(stream)
        world.step(0.05)
        seen += [values for _, values in readings(world, stream)]
    return seen


def test_noise_has_the_asked_spread_and_its_own_seed(plain_town: Town) -> None:
    first = noisy_run(plain_town, 5)
    assert first == noisy_run(plain_town, 5)
    assert first != noisy_run(plain_town, 6)
    assert first[200:] == noisy_run(plain_town, 5, listen=False)  # a late listener changes nothing
    accel = np.array([values[0] for values in first[10:]])
    assert accel[:, 0].std() == pytest.approx(0.5, rel=0.15)
    assert accel[:, 1].std() < 1e-6
    assert np.mean([values[1][2] for values in first[10:]]) == pytest.approx(0.25, abs=1e-6)


def test_collision_sensor_names_both_and_points_away(plain_town: Town) -> None:
    world = World(plain_town)
    car, other = car_at(world, 50.0), car_at(world, 60.0)
    mine, theirs = sensor(world, "collision", car), sensor(world, "collision", other)
    world.step(0.05)
    world.set_target_velocity(car, [12.0, 0.0, 0.0])
    first: dict[int, Any] = {}
    for _ in range(40):
        world.step(0.05)
        for stream in (mine, theirs):
            for _, event in readings(world, stream):
                first.setdefault(stream, event)
    own, partner, impulse = first[mine]
    assert (own[0], partner[0]) == (car, other)
    assert partner[2][1] == CAR
    assert impulse[0] < 0.0  # pushed back, to the west
    assert first[theirs][2] == pytest.approx([-v for v in impulse])
    mass = world.table.columns.mass[world.table.row(car)]
    assert -impulse[0] == pytest.approx(1.1 * 12.0 * mass / 2.0, rel=0.1)


def test_nobody_hears_a_collision_that_did_not_happen(plain_town: Town) -> None:
    world = World(plain_town)
    car = car_at(world, 50.0)
    stream = sensor(world, "collision", car)
    world.set_target_velocity(car, [12.0, 0.0, 0.0])
    for _ in range(60):
        world.step(0.05)
        assert not readings(world, stream)


@pytest.mark.parametrize(
    "what",
    ["sensor.camera.rgb", "sensor.lidar.ray_cast", "sensor.other.radar", "controller.ai.walker"],
)
def test_what_is_missing_says_so(plain_town: Town, what: str) -> None:
    world = World(plain_town)
    with pytest.raises(SpawnError, match=what.replace(".", r"\.")):
        world.spawn([0, what, []], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_sensors_survive_their_vehicle_and_fall_silent_when_destroyed(plain_town: Town) -> None:
    world = World(plain_town)
    car = car_at(world)
    stream = sensor(world, "imu", car)
    ids = world.actor_ids()
    world.step(0.05)
    assert readings(world, stream)
    assert world.destroy(car)
    world.step(0.05)
    assert readings(world, stream)
    assert world.destroy(ids[-1])
    world.step(0.05)
    assert not readings(world, stream)
    assert not world.destroy(ids[-1])


@pytest.mark.parametrize("seed", range(8))
def test_attached_poses_compose_as_the_client_composes_them(plain_town: Town, seed: int) -> None:
    random = np.random.default_rng(seed)
    parent = [*random.uniform(-20.0, 20.0, 3), *random.uniform(-40.0, 40.0, 3)]
    child = [*random.uniform(-3.0, 3.0, 3), *random.uniform(-70.0, 70.0, 3)]
    parent[4], child[4] = random.uniform(-180.0, 180.0, 2)

    def matrix(place: list[float]) -> np.ndarray:
        x, y, z, pitch, yaw, roll = (float(v) for v in place)
        rotation = carla.Rotation(pitch=pitch, yaw=yaw, roll=roll)
        return np.array(carla.Transform(carla.Location(x, y, z), rotation).get_matrix())

    world = World(plain_town)
    car = car_at(world)
    world.set_simulate_physics(car, False)
    world.set_transform(car, [parent[:3], parent[3:]])
    sensor(world, "imu", car, [child[:3], child[3:]])
    world.step(0.05)
    place, turn = world.transform_of(world.actor_ids()[-1])
    assert matrix([*place, *turn]) == pytest.approx(matrix(parent) @ matrix(child), abs=1e-4)
