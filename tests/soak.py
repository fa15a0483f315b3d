"""`make soak`: 50,000 ticks with 20 traffic-manager vehicles and 20 `load_world` calls.

The client runs in a process of its own, because the races that are soaked for end processes; this
one watches it (no tick for a while is a hang), and the server's memory, and prints both.

Shorter: `python tests/soak.py --ticks 2000 --loads 3`. What does not wait for ticks, in many short
runs whose crashes are counted: `--asynchronous world` (world and traffic manager) or
`--asynchronous manager` (the traffic manager alone), with `--runs 30 --loads 10 --ticks 220`.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import carla

from carla_bridge.embedded import EmbeddedServer
from carla_bridge.session import free_port

DT = 0.05
FLAT_MIB = 30.0  # memory may grow by this between the first load and the end
REPORT_S = 5.0
MOVED_TICKS = 200  # in fewer, few cars get far
TOWNS = ("grid", "ring")


def resident_mib(pid: int) -> float:
    """Resident memory of a process [MiB]."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    return float("nan")


def say(**items: object) -> None:
    """Tell the watching process."""
    print(json.dumps(items), flush=True)


def spawn(client: carla.Client, world: carla.World, tm_port: int, cars: int) -> list[int]:
    """Put cars on autopilot and return their ids."""
    points = world.get_map().get_spawn_points()
    random.Random(cars).shuffle(points)
    model = world.get_blueprint_library().find("vehicle.tesla.model3")
    autopilot = carla.command.SetAutopilot(carla.command.FutureActor, True, tm_port)
    batch = [carla.command.SpawnActor(model, point).then(autopilot) for point in points[:cars]]
    return [r.actor_id for r in client.apply_batch_sync(batch, True) if not r.error]


def drive(port: int, tm_port: int, options: argparse.Namespace) -> None:
    """The client: ticks, and loads a world now and then."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(20.0)
    world = client.get_world()
    tick, slowest = 0, 0.0
    ticked = options.asynchronous != "world"
    for load in range(options.loads + 1):
        if load:
            world = client.load_world(TOWNS[load % len(TOWNS)])
        if ticked:
            settings = world.get_settings()
            settings.synchronous_mode, settings.fixed_delta_seconds = True, DT
            world.apply_settings(settings)
        manager = client.get_trafficmanager(tm_port)
        manager.set_synchronous_mode(options.asynchronous is None)
        manager.set_random_device_seed(load)
        ids = spawn(client, world, tm_port, options.cars)
        start = {actor.id: actor.get_location() for actor in world.get_actors(ids)}
        first, last = tick, options.ticks * (load + 1) // (options.loads + 1)
        while tick < last:
            begin = time.perf_counter()
            if ticked:
                world.tick()
            else:
                world.wait_for_tick()
            slowest = max(slowest, time.perf_counter() - begin)
            tick += 1
            if tick % (50 if ticked else 10) == 0:
                say(tick=tick, load=load)
        if last - first < MOVED_TICKS:
            continue
        moved = sum(a.get_location().distance(start[a.id]) > 5.0 for a in world.get_actors(ids))
        say(tick=tick, load=load, cars=len(ids), moved=moved, slowest_ms=round(1e3 * slowest))
        slowest = 0.0
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = False, None
    world.apply_settings(settings)
    say(end=True, tick=tick)


class Watch:
    """Reads what the client says and notes when it last did."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        self.tick = 0
        self.load = 0
        self.ended = False
        self.idle_loads: list[int] = []
        self.spoke = time.monotonic()
        self._client = client
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        assert self._client.stdout is not None
        for line in self._client.stdout:
            self.spoke = time.monotonic()
            try:
                items = json.loads(line)
            except ValueError:  # the wheel's own warnings
                print(line.rstrip())
                continue
            self.tick, self.load = items.get("tick", self.tick), items.get("load", self.load)
            self.ended = self.ended or "end" in items
            if "moved" in items:
                if items["moved"] < items["cars"] // 4:
                    self.idle_loads.append(self.load)
                print(
                    f"world {self.load}: {items['cars']} cars, {items['moved']} moved, "
                    f"slowest tick {items['slowest_ms']} ms"
                )


def run(server: EmbeddedServer, options: argparse.Namespace) -> str:
    """Run one client and return what went wrong, empty if nothing did."""
    command = [sys.executable, __file__, "--client", str(server.port), str(free_port())]
    command += ["--ticks", str(options.ticks), "--loads", str(options.loads)]
    command += ["--cars", str(options.cars)]
    if options.asynchronous:
        command += ["--asynchronous", options.asynchronous]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watch = Watch(client)
    begin = reported = time.monotonic()
    early: float | None = None  # memory once every town had been loaded
    try:
        while client.poll() is None:
            time.sleep(0.2)
            now = time.monotonic()
            if now - watch.spoke > options.patience:
                client.send_signal(signal.SIGABRT)
                return f"hang: no tick for {options.patience:g} s after tick {watch.tick}"
            if early is None and watch.load > len(TOWNS):
                early = resident_mib(server.pid)
            if now - reported > REPORT_S:
                reported = now
                print(
                    f"tick {watch.tick}/{options.ticks}, world {watch.load}/{options.loads}, "
                    f"{watch.tick / (now - begin):.0f} ticks/s, server "
                    f"{resident_mib(server.pid):.0f} MiB, client "
                    f"{resident_mib(client.pid):.0f} MiB",
                    flush=True,
                )
        watch.thread.join(5.0)
        late = resident_mib(server.pid)
    finally:
        client.kill()
        client.wait()
    print(f"{watch.tick} ticks in {time.monotonic() - begin:.0f} s; server {late:.0f} MiB")
    if client.returncode or not watch.ended:
        return (
            f"the client ended with {client.returncode} in world {watch.load} "
            f"after tick {watch.tick}"
        )
    if watch.idle_loads:
        return f"the traffic manager hardly moved its cars in worlds {watch.idle_loads}"
    if early is not None and late - early > FLAT_MIB:
        return f"the server's memory grew from {early:.0f} to {late:.0f} MiB"
    return ""


def soak(options: argparse.Namespace) -> int:
    """Run the soak as often as asked; how many runs failed."""
    num_failed = 0
    with EmbeddedServer("grid") as server:
        for number in range(1, options.runs + 1):
            failure = run(server, options)
            num_failed += bool(failure)
            print(
                f"run {number}: {f'FAILED: {failure}' if failure else 'clean'}; "
                f"{num_failed} of {number} failed",
                flush=True,
            )
    return num_failed


def main() -> int:
    """Parse the command line and soak; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=50_000, help="of each run")
    parser.add_argument("--loads", type=int, default=20, help="load_world calls on the way")
    parser.add_argument("--cars", type=int, default=20, help="on the traffic manager")
    parser.add_argument("--runs", type=int, default=1, help="clients, one after the other")
    parser.add_argument(
        "--asynchronous", choices=("world", "manager"), help="what does not wait for ticks"
    )
    parser.add_argument("--patience", type=float, default=30.0, help="[s] without a tick: a hang")
    parser.add_argument("--client", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        drive(*options.client, options)
        return 0
    return 1 if soak(options) else 0


if __name__ == "__main__":
    sys.exit(main())
