"""The real `carla` client against the server: what users call, and what comes of it."""

from __future__ import annotations

import itertools
import mmap
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import carla
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_bridge.embedded import EmbeddedServer
from carla_bridge.headless import rpc_table
from carla_bridge.headless.commands import apply_batch
from carla_bridge.headless.control_batch import ControlBatch
from carla_bridge.headless.rpc import REGISTRY, load_handlers
from carla_bridge.headless.towns import Town, load_town
from carla_bridge.headless.world import World

ROOT = Path(__file__).resolve().parents[2]
DT = 0.05


def connect(server: EmbeddedServer) -> carla.Client:
    """A client of its own."""
    client = carla.Client(server.host, server.port)
    client.set_timeout(20.0)
    return client


def synchronous(world: carla.World, delta: float = DT) -> None:
    """Make the world wait for ticks."""
    options = world.get_settings()
    options.synchronous_mode = True
    options.fixed_delta_seconds = delta
    world.apply_settings(options)


def asynchronous(world: carla.World, delta: float | None = None) -> None:
    """Make the world go on by itself."""
    options = world.get_settings()
    options.synchronous_mode = False
    options.fixed_delta_seconds = delta
    world.apply_settings(options)


@pytest.fixture
def client(grid_server: EmbeddedServer) -> carla.Client:
    """A client of the shared server."""
    return connect(grid_server)


@pytest.fixture
def world(client: carla.Client) -> Iterator[carla.World]:
    """A synchronous world without the cars of the test before."""
    world = client.get_world()
    synchronous(world)
    yield world
    world = client.get_world()
    actors = world.get_actors()
    batch = [
        carla.command.DestroyActor(actor)
        for actor in actors
        if actor.type_id.split(".")[0] in ("vehicle", "walker", "sensor", "static")
    ]
    client.apply_batch_sync(batch, False)
    asynchronous(world)


def blueprint(world: carla.World, name: str = "vehicle.tesla.model3") -> carla.ActorBlueprint:
    return world.get_blueprint_library().find(name)


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


def test_asynchronous_variable_delta_follows_wall_time(world):
    asynchronous(world)
    begin, first = time.monotonic(), world.wait_for_tick(2.0)
    time.sleep(0.8)
    last = world.wait_for_tick(2.0)
    wall = time.monotonic() - begin
    simulated = last.timestamp.elapsed_seconds - first.timestamp.elapsed_seconds
    # never ahead of the wall clock; behind it only where the machine was held up
    assert 0.3 * wall < simulated < 1.05 * wall + 0.1


def test_asynchronous_fixed_delta_runs_ahead(world):
    asynchronous(world, 0.05)
    first = world.wait_for_tick(2.0)
    time.sleep(0.3)
    last = world.wait_for_tick(2.0)
    simulated = last.timestamp.elapsed_seconds - first.timestamp.elapsed_seconds
    assert simulated > 2.0  # more than real time
    assert last.timestamp.delta_seconds == pytest.approx(0.05)
    assert world.get_settings().fixed_delta_seconds == pytest.approx(0.05)  # and it still answers


def test_max_realtime_factor_caps_ticks():
    with EmbeddedServerWithCap(4.0) as port:
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(20.0)
        world = client.get_world()
        synchronous(world)
        world.tick()
        begin = time.monotonic()
        for _ in range(40):
            world.tick()
        wall = time.monotonic() - begin
    assert wall == pytest.approx(40 * DT / 4.0, rel=0.15)


class EmbeddedServerWithCap:
    """A server process of its own with `--max-realtime-factor`."""

    def __init__(self, factor: float) -> None:
        command = [sys.executable, "-m", "carla_bridge.headless", "--port", "0"]
        self._process = subprocess.Popen(
            [*command, "--max-realtime-factor", str(factor)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("headway server: listening on 127.0.0.1:")
        return int(line.split(":")[2].split()[0])

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        assert self._process.wait(10) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


def test_load_reload_and_generate(client, world):
    car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[0])
    world.tick()
    episode, frame = world.id, world.get_snapshot().frame
    world = client.load_world("ring")
    assert world.id != episode
    assert world.get_map().name == "Carla/Maps/ring"
    assert not world.get_settings().synchronous_mode
    assert world.get_actor(car.id) is None or not world.get_actors().filter("vehicle.*")
    assert world.wait_for_tick(2.0).frame > frame
    synchronous(world)
    world = client.reload_world(False)
    assert world.get_map().name == "Carla/Maps/ring"
    assert world.get_settings().synchronous_mode
    assert world.get_snapshot().timestamp.elapsed_seconds == 0.0
    world = client.generate_opendrive_world(load_town("grid").xodr)
    assert world.get_map().name == "Carla/Maps/OpenDriveMap"
    assert len(world.get_map().get_topology()) > 20
    world.wait_for_tick(2.0)
    with pytest.raises(RuntimeError, match="Atlantis"):
        client.load_world("Atlantis")
    with pytest.raises(RuntimeError):
        client.generate_opendrive_world("<OpenDRIVE>")
    assert client.get_world().get_map().name == "Carla/Maps/OpenDriveMap"
    world = client.load_world("/Game/Carla/Maps/grid")
    assert world.get_map().name == "Carla/Maps/grid"


def test_elapsed_seconds_start_at_zero_with_each_world(client, world):
    world.tick()
    starts = []
    for _ in range(5):
        world = client.reload_world(False)
        starts.append(world.get_snapshot().timestamp.elapsed_seconds)
        world.tick()
        assert world.get_snapshot().timestamp.elapsed_seconds == pytest.approx(starts[-1] + DT)
    # A starved client asks for a second tick 50 ms after its first (LibCarla's LoadEpisode): that
    # one is its own. Whoever gets the new world in time begins at zero.
    assert starts.count(0.0) >= 3
    assert set(starts) <= {0.0, DT}


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


TRAFFIC_MANAGER = """
import carla, sys
port, tm_port, cars, ticks = map(int, sys.argv[1:])
client = carla.Client("127.0.0.1", port); client.set_timeout(20.0)
world = client.get_world()
settings = world.get_settings()
settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
world.apply_settings(settings)
manager = client.get_trafficmanager(tm_port)
manager.set_synchronous_mode(True)
manager.set_random_device_seed(1)
spawn, future = carla.command.SpawnActor, carla.command.FutureActor
def drive():
    model = world.get_blueprint_library().find("vehicle.tesla.model3")
    points = world.get_map().get_spawn_points()
    batch = [spawn(model, p).then(carla.command.SetAutopilot(future, True, tm_port))
             for p in points[:cars]]
    ids = [r.actor_id for r in client.apply_batch_sync(batch, True) if not r.error]
    start = {a.id: a.get_location() for a in world.get_actors(ids)}
    far = dict.fromkeys(ids, 0.0)
    for _ in range(ticks):
        world.tick()
    for actor in world.get_actors(ids):
        far[actor.id] = actor.get_location().distance(start[actor.id])
    return len(ids), sum(distance > 5.0 for distance in far.values())
print(*drive(), flush=True)
world = client.reload_world(False)
manager = client.get_trafficmanager(tm_port)
manager.set_synchronous_mode(True)
print(*drive(), flush=True)
settings.synchronous_mode, settings.fixed_delta_seconds = False, None
client.reload_world(True)
"""


def test_traffic_manager_drives_through_a_reload(grid_server, free_port):
    """In a process of its own: the client's races end processes, and here must not."""
    out = subprocess.run(
        [sys.executable, "-c", TRAFFIC_MANAGER, str(grid_server.port), str(free_port), "10", "200"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr
    rounds = [tuple(map(int, line.split())) for line in out.stdout.splitlines()]
    assert len(rounds) == 2
    for spawned, moved in rounds:
        assert spawned == 10
        assert moved >= 5  # others wait at lights


def test_the_table_in_the_docs_is_current():
    assert rpc_table.DOC.read_text() == rpc_table.table(), "run `make docs`"


def test_the_names_are_those_of_the_wheel():
    """Long names stand in the wheel as they are; short ones only inside instructions."""
    (library,) = Path(carla.__file__).parent.glob("libcarla*.so")
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        unknown = [
            name
            for name in rpc_table.WHEEL_RPCS
            if len(name) > 16 and data.find(name.encode() + b"\0") < 0
        ]
    assert not unknown
    assert load_handlers().keys() == REGISTRY.keys() == rpc_table.WHEEL_RPCS


CONTROLS = st.tuples(
    st.floats(width=32), st.floats(width=32), st.floats(width=32),
    st.booleans(), st.booleans(), st.booleans(), st.integers(-300, 300),
)  # fmt: skip


@pytest.fixture(scope="module")
def twins(grid_town: Town) -> tuple[World, World, list[int]]:
    """Two equal worlds with the same cars."""
    worlds = World(grid_town, 0), World(grid_town, 0)
    for world in worlds:
        model = next(b for b in world.blueprints if b[1] == "vehicle.tesla.model3")
        for row in grid_town.spawn_points[:8]:
            x, y, z, pitch, yaw, roll = map(float, row)
            place = [[x, y, z], [pitch, yaw, roll]]
            ids = world.spawn([model[0], model[1], []], place, None, 0, "")[0]
    return *worlds, list(range(ids - 7, ids + 1))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_short_way_of_controls_is_the_general_way(twins, data):
    fast, general, ids = twins
    cars = data.draw(st.lists(st.sampled_from([*ids, 1, 40_000, 2**32 - 1]), min_size=1))
    commands = [[[2, [car, list(data.draw(CONTROLS))]]] for car in cars]
    request = [0, data.draw(st.integers(0, 2**32 - 1)), "apply_batch", [[False], commands, True]]
    message = msgpack.packb(request, use_single_float=True)
    expected = apply_batch(general, msgpack.unpackb(message)[3][1])
    outcome = ControlBatch().apply(fast, message + b"rest")
    if outcome is None:  # an actor that is no car: nothing may have changed yet
        assert not set(cars) <= set(ids)
        apply_batch(fast, msgpack.unpackb(message)[3][1])
    else:
        consumed, answer, do_tick = outcome
        assert (consumed, do_tick) == (len(message), True)
        assert msgpack.unpackb(answer) == [1, request[1], None, _listed(expected)]
    np.testing.assert_array_equal(fast.table.columns.control, general.table.columns.control)
    assert (
        ControlBatch().apply(fast, message[: data.draw(st.integers(0, len(message) - 1))]) is None
    )


def _listed(value):
    """Tuples as lists, as they come back from the wire."""
    return [_listed(v) for v in value] if isinstance(value, (list, tuple)) else value


def test_requests_may_be_cut_anywhere(raw, connect):
    """However the bytes arrive, every request is answered, in order."""
    control = [0.1, 0.2, 0.0, False, False, False, 1]
    requests = [
        [0, 1, "version", [[False]]],
        [0, 2, "apply_batch", [[False], [[[2, [4_000_000, control]]]], False]],
        [0, 3, "get_episode_settings", [[False]]],
        [0, 4, "apply_batch", [[False], [], False]],
        [0, 5, "version", [[True]]],
    ]
    data = b"".join(msgpack.packb(r, use_single_float=True) for r in requests)
    rng = random.Random(5)
    for _ in range(40):
        client = connect()
        cuts = sorted(rng.sample(range(1, len(data)), rng.randrange(6)))
        for begin, end in itertools.pairwise([0, *cuts, len(data)]):
            client.socket.sendall(data[begin:end])
            time.sleep(0.001)
        assert [client.receive()[1] for _ in requests] == [1, 2, 3, 4, 5]


def test_ids_are_never_given_twice_even_in_another_world(client, world):
    car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[0])
    before = {actor.id for actor in world.get_actors()} | {car.id}
    world = client.reload_world(False)
    world.tick()
    after = {actor.id for actor in world.get_actors()}
    assert after
    assert not before & after


def test_a_bystander_sees_who_comes_after_a_reload(client, world, grid_server):
    """As a second program does that waits for a scenario's hero while scenarios come and go."""
    bystander = connect(grid_server)
    for k in range(8):
        seen = {a.id for a in bystander.get_world().get_actors().filter("vehicle.*")}
        stop = threading.Event()

        def look(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                bystander.get_world().get_actors().filter("vehicle.*")

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            world = client.reload_world(False)
            car = world.spawn_actor(blueprint(world), world.get_map().get_spawn_points()[k])
            world.tick()
        finally:
            stop.set()
            watcher.join(20.0)
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            world.tick()
            ids = {a.id for a in bystander.get_world().get_actors().filter("vehicle.*")}
            if ids == {car.id}:
                break
        assert ids == {car.id}, (seen, ids)
