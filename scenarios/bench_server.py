"""`make bench-server`: ticks per second of our server through the real client, beside a peer.

The peer is any other server that speaks CARLA's protocol and takes its port as first argument
(`--peer PATH`; by default the wire prototype, where a checkout of it lies beside this one). Ours
runs in the peer's world, for what the client itself has to do depends on the roads. Each case runs
in a fresh client process, ours and the peer's by turns, so that both meet the same machine; medians
over the rounds are printed, with p99 of a tick and the share of the tick that the client process
itself spends on the CPU, which no server can give back.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import carla
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from carla_bridge.session import free_port

DEFAULT_PEER = Path(__file__).resolve().parents[1].parent / "shared/reference/carla_wire/server.py"
WARM_UP_TICKS = 100
SERVER_PORTS = 3  # of the RPCs, the streams, and several servers


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        name: for people.
        mode: `tick`, `batch` (a new control for each car in one batch) or `traffic_manager`.
        num_cars: how many.
        num_ticks: how many are timed.
    """

    name: str
    mode: str
    num_cars: int
    num_ticks: int


CASES = (
    Case("tick only, 1 car", "tick", 1, 4000),
    Case("batch control, 1 car", "batch", 1, 3000),
    Case("batch control, 20 cars", "batch", 20, 2000),
    Case("batch control, 100 cars", "batch", 100, 1000),
    Case("traffic manager, 20 cars", "traffic_manager", 20, 1000),
    Case("traffic manager, 100 cars", "traffic_manager", 100, 400),
)


def run_client(port: int, case: Case, xodr: str) -> dict[str, Any]:
    """Measure one case against the server on `port`, in the world `xodr` unless that is empty."""
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(30.0)
    world = client.generate_opendrive_world(xodr) if xodr else client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode = True
    settings.fixed_delta_seconds = 0.05
    world.apply_settings(settings)
    points = [w.transform for w in world.get_map().generate_waypoints(20.0) if not w.is_junction]
    for point in points:
        point.location.z += 0.3
    random.Random(1).shuffle(points)
    blueprint = world.get_blueprint_library().find("vehicle.tesla.model3")
    spawn = [carla.command.SpawnActor(blueprint, point) for point in points[: case.num_cars]]
    if case.mode == "traffic_manager":
        tm_port = free_port()
        manager = client.get_trafficmanager(tm_port)
        manager.set_synchronous_mode(True)
        manager.set_random_device_seed(1)
        future: Any = carla.command.FutureActor  # the wheel's stub has it as a class
        autopilot = carla.command.SetAutopilot(future, True, tm_port)
        spawn = [command.then(autopilot) for command in spawn]
    ids = [r.actor_id for r in client.apply_batch_sync(spawn, True) if not r.error]
    if len(ids) < case.num_cars:
        raise RuntimeError(f"only {len(ids)} of {case.num_cars} cars could be spawned")

    control = carla.VehicleControl()

    def step(k: int) -> None:
        if case.mode == "batch":
            control.throttle = 0.3 + 0.001 * (k % 100)
            batch = [carla.command.ApplyVehicleControl(i, control) for i in ids]
            client.apply_batch_sync(batch, True)
        else:
            world.tick()

    for k in range(WARM_UP_TICKS):
        step(k)
    times = np.empty(case.num_ticks)
    cpu = time.process_time()
    for k in range(case.num_ticks):
        begin = time.perf_counter()
        step(k)
        times[k] = time.perf_counter() - begin
    cpu = time.process_time() - cpu
    places = [(p.x, p.y) for p in (a.get_location() for a in world.get_actors(ids))]
    client.apply_batch_sync([carla.command.DestroyActor(i) for i in ids], True)
    return {
        "ticks_per_s": case.num_ticks / float(times.sum()),
        "p99_ms": 1e3 * float(np.percentile(times, 99)),
        "client_cpu_us": 1e6 * cpu / case.num_ticks,
        "places": places,
    }


@contextmanager
def server(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends, ready when its port answers."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=Path(command[1]).parent
                               if command[1].endswith(".py") else None)  # fmt: skip
    try:
        deadline = time.monotonic() + 60.0
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start: {' '.join(command)}") from None
                time.sleep(0.01)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def our_command(port: int) -> list[str]:
    """Return the command line of our server."""
    return [sys.executable, "-m", "carla_bridge.headless", "--port", str(port), "--town", "grid"]


def peer_command(path: Path, port: int) -> list[str]:
    """Return the command line of the peer."""
    return [sys.executable, str(path), str(port), "--mode", "drive"]


def world_of(peer: Path, file: Path) -> Path:
    """Write the OpenDRIVE of the peer's world to `file`."""
    port = free_port(SERVER_PORTS)
    with server(peer_command(peer, port), port):
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(30.0)
        file.write_text(client.get_world().get_map().to_opendrive())
    return file


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time that `process` has used [s]."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(command: list[str], port: int, case: Case, xodr: Path | None = None) -> dict[str, Any]:
    """Run `case` in a fresh client against a fresh server, in the world of file `xodr`."""
    with server(command, port) as process:
        before = cpu_seconds(process)
        arguments = [sys.executable, "-m", "scenarios.bench_server", "--client", str(port)]
        arguments += ["--xodr", str(xodr)] if xodr else []
        out = subprocess.run(
            [*arguments, "--case", json.dumps(asdict(case))],
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if out.returncode:
            raise RuntimeError(f"{case.name}: the client failed\n{out.stderr[-2000:]}")
        row = json.loads(out.stdout.splitlines()[-1])
        ticks = case.num_ticks + WARM_UP_TICKS
        row["server_cpu_us"] = 1e6 * (cpu_seconds(process) - before) / ticks
        return row


def start_seconds() -> float:
    """Return the time from starting our server to the end of the first `get_world()` [s]."""
    port = free_port(SERVER_PORTS)
    begin = time.perf_counter()
    with server(our_command(port), port):
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(30.0)
        client.get_world()
        return time.perf_counter() - begin


def load_seconds(town: str) -> float | None:
    """Return the time of `load_world(town)` [s], None where that town is not installed."""
    port = free_port(SERVER_PORTS)
    with server(our_command(port), port):
        client = carla.Client("127.0.0.1", port)
        client.set_timeout(60.0)
        client.get_world()
        if not any(name.endswith(f"/{town}") for name in client.get_available_maps()):
            return None
        begin = time.perf_counter()
        client.load_world(town)
        return time.perf_counter() - begin


def repeatability() -> float:
    """Return how far apart [m] the same cars of two equal traffic-manager runs end at most."""
    case = Case("repeat", "traffic_manager", 20, 800 - WARM_UP_TICKS)
    places = []
    for _ in range(2):
        port = free_port(SERVER_PORTS)
        places.append(np.array(measure(our_command(port), port, case)["places"]))
    return float(np.hypot(*(places[0] - places[1]).T).max())


def median(rows: list[dict[str, Any]], key: str) -> float:
    """Return the median of `key` over the rounds."""
    return statistics.median(row[key] for row in rows)


def compare(peer: Path | None, rounds: int, folder: Path, console: Console) -> Table:
    """Run every case on ours and on the peer by turns and return the table."""
    xodr = None
    if peer is None:
        console.print("no peer (--peer PATH): ours alone, in grid")
    else:
        xodr = world_of(peer, folder / "world.xodr")
    table = Table(title=f"median of {rounds} rounds; client and server share the machine")
    for column in ("what", "ours ticks/s", "peer ticks/s", "ratio", "p99 ms (peer)",
                   "client CPU us", "server CPU us", "client alone ticks/s"):  # fmt: skip
        table.add_column(column, justify="left" if column == "what" else "right", no_wrap=True)
    for case in track(CASES, description="bench", console=console):
        ours: list[dict[str, Any]] = []
        theirs: list[dict[str, Any]] = []
        for _ in range(rounds):
            port = free_port(SERVER_PORTS)
            ours.append(measure(our_command(port), port, case, xodr))
            if peer is not None:
                port = free_port(SERVER_PORTS)
                theirs.append(measure(peer_command(peer, port), port, case))
        speed, cpu = median(ours, "ticks_per_s"), median(ours, "client_cpu_us")
        other = median(theirs, "ticks_per_s") if theirs else float("nan")
        late = f" ({median(theirs, 'p99_ms'):.2f})" if theirs else ""
        table.add_row(
            case.name, f"{speed:,.0f}", f"{other:,.0f}", f"{speed / other:.2f}",
            f"{median(ours, 'p99_ms'):.2f}{late}", f"{cpu:.0f}",
            f"{median(ours, 'server_cpu_us'):.0f}", f"{1e6 / cpu:,.0f}",
        )  # fmt: skip
    return table


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each case runs")
    parser.add_argument("--peer", type=Path, default=DEFAULT_PEER, help="server.py to run beside")
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--xodr", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        xodr = options.xodr.read_text() if options.xodr else ""
        print(json.dumps(run_client(options.client, Case(**json.loads(options.case)), xodr)))
        return

    peer = options.peer if options.peer.is_file() else None
    console = Console(width=140)
    with TemporaryDirectory() as folder:
        console.print(compare(peer, options.rounds, Path(folder), console))
    apart = ", ".join(f"{1e3 * repeatability():.1f}" for _ in range(options.rounds))
    console.print(
        f"traffic manager, same seed, 40 s, two fresh processes: {apart} mm apart at most"
    )
    starts = statistics.median(start_seconds() for _ in range(options.rounds))
    console.print(f"start to first get_world(), grid: {starts:.2f} s")
    load = load_seconds("Town04")
    words = "that town is not installed" if load is None else f"{load:.2f} s"
    console.print(f"load_world(Town04): {words}")


if __name__ == "__main__":
    main()
