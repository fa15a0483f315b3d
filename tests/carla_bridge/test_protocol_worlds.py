"""The real `carla` client against the server: time that runs by itself, and changes of worlds."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import carla
import pytest

from carla_bridge.headless.towns import load_town
from tests.carla_bridge.clients import DT, asynchronous, blueprint, connect, synchronous

ROOT = Path(__file__).resolve().parents[2]


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
