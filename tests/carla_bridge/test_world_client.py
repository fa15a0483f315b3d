"""The simulation seen through the unmodified client."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator
from typing import Any

import carla
import numpy as np
import pytest

from carla_bridge.embedded import EmbeddedServer


@pytest.fixture
def world(grid_server: EmbeddedServer) -> Iterator[carla.World]:
    """A fresh synchronous world of the shared server, at 20 Hz."""
    client = carla.Client("127.0.0.1", grid_server.port)
    client.set_timeout(20.0)
    world = client.load_world("grid")
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    world.apply_settings(settings)
    yield world
    settings.synchronous_mode, settings.fixed_delta_seconds = False, None
    world.apply_settings(settings)


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
        steer = -0.1 if 40 <= step < 48 else 0.1 if 48 <= step < 56 else 0.0
        car.apply_control(carla.VehicleControl(throttle=0.6, steer=steer))
        if step == 70:  # back into line with the truck
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


def drive(world: carla.World, ticks: int) -> str:
    """Fingerprint of what the client reads of twelve cars under batch control."""
    client_batch = carla.command.ApplyVehicleControl
    library, places = world.get_blueprint_library(), world.get_map().get_spawn_points()
    cars = [
        world.spawn_actor(library.find("vehicle.audi.tt"), places[15 * k]) for k in range(12)
    ]
    random = np.random.default_rng(1)
    digest = hashlib.sha256()
    for _ in range(ticks):
        commands = [
            client_batch(car, carla.VehicleControl(float(t), float(s)))
            for car, t, s in zip(
                cars, random.uniform(0, 1, 12), random.uniform(-0.3, 0.3, 12), strict=True
            )
        ]
        _client_of(world).apply_batch_sync(commands, False)
        world.tick()
        snapshot = world.get_snapshot()
        for car in cars:
            state = snapshot.find(car.id)
            place, velocity = state.get_transform(), state.get_velocity()
            numbers = (place.location.x, place.location.y, place.rotation.yaw, velocity.x)
            digest.update(np.array(numbers).tobytes())
    return digest.hexdigest()


_CLIENTS: dict[int, carla.Client] = {}


def _client_of(world: carla.World) -> carla.Client:
    return _CLIENTS[world.id]


def test_the_same_calls_give_the_same_bits_through_the_client(
    grid_server: EmbeddedServer,
) -> None:
    prints = []
    for _ in range(2):
        client = carla.Client("127.0.0.1", grid_server.port)
        client.set_timeout(20.0)
        world = client.load_world("grid")
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        _CLIENTS[world.id] = client
        prints.append(drive(world, 200))
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        world.apply_settings(settings)
    assert prints[0] == prints[1]
