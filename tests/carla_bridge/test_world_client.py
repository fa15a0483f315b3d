"""The simulation seen through the unmodified client."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import carla
import numpy as np
import pytest

from carla_bridge.embedded import EmbeddedServer


@contextmanager
def synchronous(server: EmbeddedServer) -> Iterator[tuple[carla.Client, carla.World]]:
    """A fresh synchronous world of the shared server, at 20 Hz."""
    client = carla.Client("127.0.0.1", server.port)
    client.set_timeout(20.0)
    world = client.load_world("grid")
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    yield client, world
    settings.synchronous_mode, settings.fixed_delta_seconds = False, None
    world.apply_settings(settings)


@pytest.fixture
def world(grid_server: EmbeddedServer) -> Iterator[carla.World]:
    with synchronous(grid_server) as (_, fresh):
        yield fresh


def spawn(world: carla.World, what: str, place: carla.Transform, parent: Any = None) -> Any:
    return world.spawn_actor(world.get_blueprint_library().find(what), place, attach_to=parent)


def test_lane_invasion_and_collision_reach_the_client(world: carla.World) -> None:
    start = world.get_map().get_spawn_points()[0]
    ahead = start.get_forward_vector()
    car = spawn(world, "vehicle.tesla.model3", start)
    wall = carla.Transform(
        start.location + carla.Location(60.0 * ahead.x, 60.0 * ahead.y, -start.location.z),
        carla.Rotation(yaw=start.rotation.yaw),
    )
    truck = spawn(world, "vehicle.carlamotors.firetruck", wall)
    events: queue.Queue[Any] = queue.Queue()
    sensors = [
        spawn(world, f"sensor.other.{kind}", carla.Transform(), car)
        for kind in ("lane_invasion", "collision")
    ]
    for sensor in sensors:
        sensor.listen(events.put)
    for step in range(160):
        steer = 0.2 if 50 <= step < 100 else 0.0  # off its lane to the right
        car.apply_control(carla.VehicleControl(throttle=0.6, steer=steer))
        if step == 100:  # back into line with the truck
            car.set_transform(carla.Transform(
                wall.location - carla.Location(12.0 * ahead.x, 12.0 * ahead.y, 0.0),
                start.rotation,
            ))  # fmt: skip
            car.set_target_velocity(8.0 * ahead)
        world.tick()
    seen = []
    while len({type(e) for e in seen}) < 2:
        seen.append(events.get(timeout=5.0))
    hit = next(e for e in seen if isinstance(e, carla.CollisionEvent))
    assert hit.other_actor.id == truck.id
    assert hit.actor.id == car.id
    push = hit.normal_impulse.dot(ahead)
    assert -2.0 * 8.0 * 1845.0 < push < -1000.0  # backwards, no more than the blow could give
    crossed = next(e for e in seen if isinstance(e, carla.LaneInvasionEvent))
    assert crossed.crossed_lane_markings
    for sensor in sensors:
        sensor.stop()


def drive(client: carla.Client, world: carla.World, ticks: int) -> str:
    """Fingerprint of what the client reads of twelve cars under batch control."""
    library, places = world.get_blueprint_library(), world.get_map().get_spawn_points()
    cars = [world.spawn_actor(library.find("vehicle.audi.tt"), places[15 * k]) for k in range(12)]
    random = np.random.default_rng(1)
    digest = hashlib.sha256()
    for _ in range(ticks):
        controls = zip(random.uniform(0, 1, 12), random.uniform(-0.3, 0.3, 12), strict=True)
        commands = [
            carla.command.ApplyVehicleControl(car, carla.VehicleControl(float(t), float(s)))
            for car, (t, s) in zip(cars, controls, strict=True)
        ]
        client.apply_batch_sync(commands, False)
        world.tick()
        snapshot = world.get_snapshot()
        for car in cars:
            state = snapshot.find(car.id)
            place, velocity = state.get_transform(), state.get_velocity()
            numbers = (place.location.x, place.location.y, place.rotation.yaw, velocity.x)
            digest.update(np.array(numbers).tobytes())
    return digest.hexdigest()


def test_the_same_calls_give_the_same_bits_through_the_client(
    grid_server: EmbeddedServer,
) -> None:
    prints = []
    for _ in range(2):
        with synchronous(grid_server) as (client, world):
            prints.append(drive(client, world, 200))
    assert prints[0] == prints[1]
