"""The real `carla` client against the server: what users call, and what comes of it."""

from __future__ import annotations

import queue
import threading
import time

import carla
import pytest

from tests.carla_bridge.clients import DT, blueprint, connect


def test_first_contact(client, world):
    assert client.get_server_version() == client.get_client_version() == "0.9.16"
    town = world.get_map()
    assert town.name == "Carla/Maps/grid"
    assert len(town.get_spawn_points()) > 20
    assert len(town.generate_waypoints(5.0)) > 100
    assert "/Game/Carla/Maps/grid" in client.get_available_maps()
    assert "/Game/Carla/Maps/ring" in client.get_available_maps()
    assert len(world.get_blueprint_library().filter("vehicle.*")) > 30


def test_ticks_count_frames_and_time(world):
    snapshot = world.get_snapshot()
    frames = [world.tick() for _ in range(20)]
    assert frames == list(range(frames[0], frames[0] + 20))
    after = world.get_snapshot()
    assert after.frame == frames[-1]
    elapsed = after.timestamp.elapsed_seconds - snapshot.timestamp.elapsed_seconds
    assert elapsed == pytest.approx(20 * DT, abs=1e-6)
    assert after.timestamp.delta_seconds == pytest.approx(DT)


def test_a_synchronous_world_waits(world):
    frame = world.tick()
    time.sleep(0.3)
    assert world.get_snapshot().frame == frame


def test_spawn_drive_destroy(world):
    car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[0])
    world.tick()
    start = car.get_location()
    car.apply_control(carla.VehicleControl(throttle=0.7))
    for _ in range(60):
        world.tick()
    assert car.get_velocity().length() > 3.0
    assert car.get_location().distance(start) > 3.0
    assert car.get_control().throttle == pytest.approx(0.7)
    forward, velocity = car.get_transform().get_forward_vector(), car.get_velocity()
    assert forward.x * velocity.x + forward.y * velocity.y > 0.95 * velocity.length()
    with pytest.raises(RuntimeError, match="collision"):
        world.spawn_actor(blueprint(world), car.get_transform())
    assert world.try_spawn_actor(blueprint(world), car.get_transform()) is None
    assert car.destroy()
    world.tick()
    assert not world.get_actors().filter("vehicle.*")


def test_every_command_that_python_has(client, world):
    """All but SetAutopilot, which would start a traffic manager in this very process."""
    command = carla.command
    points = world.get_map().get_spawn_points()
    car = world.spawn_actor(blueprint(world), points[0])
    walker = world.spawn_actor(
        world.get_blueprint_library().filter("walker.*")[0],
        carla.Transform(points[0].location + carla.Location(x=0.0, y=30.0, z=1.0)),
    )
    world.tick()
    batch = [
        command.ApplyVehicleControl(car, carla.VehicleControl(throttle=0.5)),
        command.ApplyVehicleAckermannControl(car, carla.VehicleAckermannControl(speed=2.0)),
        command.ApplyWalkerControl(walker, carla.WalkerControl(carla.Vector3D(1, 0, 0), 1.0)),
        command.ApplyVehiclePhysicsControl(car, car.get_physics_control()),
        command.ApplyTransform(car, points[1]),
        command.ApplyWalkerState(walker, walker.get_transform(), 1.0),
        command.ApplyTargetVelocity(car, carla.Vector3D(1, 0, 0)),
        command.ApplyTargetAngularVelocity(car, carla.Vector3D(0, 0, 1)),
        command.ApplyImpulse(car, carla.Vector3D(10, 0, 0)),
        command.ApplyForce(car, carla.Vector3D(10, 0, 0)),
        command.ApplyAngularImpulse(car, carla.Vector3D(0, 0, 10)),
        command.ApplyTorque(car, carla.Vector3D(0, 0, 10)),
        command.SetSimulatePhysics(car, True),
        command.SetEnableGravity(car, True),
        command.SetVehicleLightState(car, carla.VehicleLightState.LowBeam),
    ]
    failed = [r.error for r in client.apply_batch_sync(batch, False) if r.error]
    assert not failed
    answers = client.apply_batch_sync(
        [
            command.SpawnActor(blueprint(world), points[5]).then(
                command.ApplyVehicleControl(command.FutureActor, carla.VehicleControl(throttle=1.0))
            ),
            command.DestroyActor(999_999),
        ],
        True,
    )
    assert [r.has_error() for r in answers] == [False, True]
    for _ in range(80):  # CARLA's spawn points of generated towns are 3 m up: it falls first
        world.tick()
    chained = world.get_actor(answers[0].actor_id)
    assert chained.get_velocity().length() > 1.0
    assert car.get_location().distance(points[1].location) < 30.0
    # the wheel's command makes a boolean of the flags, so that any of them is the first
    assert car.get_light_state() == carla.VehicleLightState.Position
    (gone,) = client.apply_batch_sync([command.DestroyActor(chained.id)], True)
    assert not gone.has_error()
    assert chained.id not in [actor.id for actor in world.get_actors()]


def test_settings_are_kept_and_cost_one_tick(world):
    before = world.get_snapshot()
    options = world.get_settings()
    options.max_substeps = 7
    options.fixed_delta_seconds = 0.02
    world.apply_settings(options)
    again = world.get_settings()
    assert again.max_substeps == 7
    assert again.fixed_delta_seconds == pytest.approx(0.02)
    after = world.get_snapshot()
    elapsed = after.timestamp.elapsed_seconds - before.timestamp.elapsed_seconds
    assert elapsed == pytest.approx(0.02)  # the client ticks once by itself
    world.tick()
    assert world.get_snapshot().timestamp.delta_seconds == pytest.approx(0.02)


def test_weather_is_kept(world):
    world.set_weather(carla.WeatherParameters.HardRainNoon)
    assert world.get_weather() == carla.WeatherParameters.HardRainNoon


def test_two_clients_see_the_same_world(world, grid_server):
    other = connect(grid_server).get_world()
    car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[3])
    frame = world.tick()
    deadline = time.monotonic() + 10.0
    while other.get_snapshot().frame < frame and time.monotonic() < deadline:
        time.sleep(0.01)
    assert other.get_snapshot().frame == frame
    assert other.get_actor(car.id).type_id == "vehicle.tesla.model3"
    assert other.tick() == frame + 1
    other.get_actor(car.id).apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(60):
        other.tick()
    assert world.get_actor(car.id).get_velocity().length() > 1.0


def test_on_tick_and_wait_for_tick(world):
    frames: queue.Queue[int] = queue.Queue()
    callback = world.on_tick(lambda snapshot: frames.put(snapshot.frame))
    ticked = [world.tick() for _ in range(5)]
    assert [frames.get(timeout=2.0) for _ in ticked] == ticked
    world.remove_on_tick(callback)
    waited: list[int] = []
    thread = threading.Thread(target=lambda: waited.append(world.wait_for_tick(5.0).frame))
    thread.start()
    time.sleep(0.1)
    frame = world.tick()
    thread.join(5.0)
    assert waited == [frame]


def test_traffic_lights(world):
    lights = world.get_actors().filter("traffic.traffic_light")
    assert len(lights) > 3
    light = lights[0]
    group = light.get_group_traffic_lights()
    assert light.id in [member.id for member in group]
    light.set_state(carla.TrafficLightState.Green)
    light.freeze(True)
    light.set_green_time(7.0)
    for _ in range(3):
        world.tick()
    assert light.state == carla.TrafficLightState.Green
    assert light.is_frozen()
    assert light.get_green_time() == pytest.approx(7.0)
    light.freeze(False)
    world.reset_all_traffic_lights()
    world.tick()
    assert not light.is_frozen()


def test_calls_that_programs_make_in_passing(client, world):
    car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[0])
    world.tick()
    world.debug.draw_point(carla.Location())
    world.debug.draw_string(carla.Location(), "here")
    world.debug.draw_line(carla.Location(), carla.Location(1, 1, 1))
    assert world.get_environment_objects(carla.CityObjectLabel.Any) == []
    assert len(world.get_level_bbs(carla.CityObjectLabel.Any)) >= 0
    assert world.get_lightmanager() is not None
    assert world.get_vehicles_light_states() == {car.id: car.get_light_state()}
    assert world.ground_projection(carla.Location(0.0, 0.0, 5.0), 20.0) is not None
    spectator = world.get_spectator()
    spectator.set_transform(carla.Transform(carla.Location(1.0, 2.0, 3.0)))
    world.tick()
    assert spectator.get_location() == carla.Location(1.0, 2.0, 3.0)
    control = car.get_physics_control()
    assert len(control.wheels) == 4
    assert control.mass > 500.0
    assert car.bounding_box.extent.x > 2.0
    with pytest.raises(RuntimeError, match="recorder is not implemented"):
        client.start_recorder("drive.log")
    camera = blueprint(world, "sensor.camera.rgb")
    with pytest.raises(RuntimeError, match=r"sensor\.camera\.rgb"):
        world.spawn_actor(camera, carla.Transform(), attach_to=car)
