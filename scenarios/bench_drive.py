"""`make bench-drive`: seeds x towns of `headway drive`, a table of what the driver is worth.

Each drive is a process of its own, as a user would start it. Its row is appended to
`results/drive.jsonl` at once, with the commit that drove it, so that an interrupted bench goes on
where it stopped and a later one at the same commit costs nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from carla_bridge.headless.towns import available_towns, load_town
from headway.traffic import EGO, TrafficConfig, TrafficModel
from headway.types import SignalState
from scenarios.drive import git_hash

DT = 0.05  # [s]
ROWS = Path("results/drive.jsonl")
TOWNS = ("grid", "ring", "Town01", "Town02", "Town04")
QUIET = ("output.plots=false", "output.video=false", "output.rerun=false")
# What a row keeps of result.json beside the figures of `headway drive --json`.
KEPT = ("ending", "route_length_m", "intervention_share", "comfort", "infractions")


def drive(town: str, seed: int, overrides: list[str]) -> dict[str, Any]:
    """Drive once in a process of its own and return its row."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "headway.cli", "drive", f"town={town}", f"seed={seed}"]
        command += [*QUIET, f"output.folder={folder}", *overrides, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"town": town, "seed": seed, "error": done.stderr[-1000:]}
        row = json.loads(done.stdout.splitlines()[-1])
        document = json.loads((Path(folder) / "result.json").read_text())
    row |= {key: document[key] for key in KEPT}
    row["act_median_ms"] = document["stages"]["act"]["median_ms"]
    row["act_p99_ms"] = document["stages"]["act"]["p99_ms"]
    del row["outputs"]
    return row


def driven_row(town: str, seed: int, overrides: list[str], commit: str) -> dict[str, Any]:
    """Drive once, keep the row and return it."""
    row = drive(town, seed, overrides) | {"commit": commit, "overrides": overrides}
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def known_rows(commits: list[str], overrides: list[str]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows that one of these commits has driven already, by town and seed."""
    commits = [commit for commit in commits if not commit.endswith("+")]
    if not ROWS.is_file() or not commits:
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {
        (row["town"], row["seed"]): row
        for row in rows
        if row["commit"].startswith(tuple(commits))
        and row["overrides"] == overrides
        and "error" not in row
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this bench and that of the rivals share."""
    parser.add_argument("--towns", nargs="+", default=list(TOWNS))
    parser.add_argument(
        "--like", nargs="+", default=[], metavar="COMMIT",
        help="rows of these commits count too: you vouch that they drive as this one does",
    )  # fmt: skip


def towns_of(options: argparse.Namespace, console: Console) -> list[str]:
    """Return those of the towns asked for that are installed, and say which are not."""
    there = set(available_towns())
    for town in options.towns:
        if town not in there:
            console.print(f"{town} is left out: not installed (`headway towns import PATH`)")
    return [town for town in options.towns if town in there]


def passed(row: dict[str, Any]) -> bool:
    """Whether the goal was reached with no fault of ours."""
    return (
        "error" not in row
        and row["route_completion"] >= 1.0
        and row["collisions_at_fault"] == 0
        and row["red_lights"] == 0
        and row["stop_signs"] == 0
    )


def summary(rows: list[dict[str, Any]]) -> Table:
    """Return one line a town."""
    columns = ("town", "seeds", "passed", "completion", "collisions", "at fault", "red lights",
               "stop signs", "speeding s", "agents < 50 m", "safety %", "sim s", "comfort %",
               "wall s / sim s", "act ms")  # fmt: skip
    table = Table(*columns, title="sums over seeds; completion, agents and times are means")
    for town in dict.fromkeys(row["town"] for row in rows):
        here = [row for row in rows if row["town"] == town]
        ok = [row for row in here if "error" not in row]
        if not ok:
            table.add_row(town, str(len(here)), "0", *["-"] * (len(columns) - 3))
            continue

        def mean(key: str, ok: list[dict[str, Any]] = ok) -> float:
            return statistics.mean(row[key] for row in ok)

        def total(key: str, ok: list[dict[str, Any]] = ok) -> str:
            return f"{sum(row[key] for row in ok):g}"

        table.add_row(
            town, str(len(here)), str(sum(map(passed, here))), f"{mean('route_completion'):.3f}",
            total("collisions"), total("collisions_at_fault"), total("red_lights"),
            total("stop_signs"), f"{sum(row['speeding_s'] for row in ok):.1f}",
            f"{mean('agents_within_50m'):.1f}", f"{100 * mean('intervention_share'):.2f}",
            f"{mean('sim_s'):.1f}",
            f"{100 * statistics.mean(row.get('comfort', float('nan')) for row in ok):.1f}",
            f"{statistics.mean(row['wall_s'] / row['sim_s'] for row in ok):.3f}",
            f"{mean('act_median_ms'):.2f}",
        )  # fmt: skip
    return table


def traffic_step_ms(num_steps: int = 400) -> float:
    """Return the median CPU time of traffic's step with 40 vehicles and 20 walkers [ms].

    They go as they decide, all lights being green, around an ego vehicle that stands.
    """
    graph = load_town("grid").lane_graph
    model = TrafficModel(graph, TrafficConfig(40, 20, 0, 0), seed=1)
    fleet, crowd = model.fleet, model.crowd
    fleet.half_length[:], fleet.half_width[:], fleet.wheelbase[:] = 2.3, 0.95, 2.8
    lane = np.flatnonzero((graph.kind == 0) & (graph.junction < 0) & (graph.length > 40.0))[0]
    row = graph.points(int(lane)).start + 15
    fleet.x[EGO], fleet.y[EGO], fleet.z[EGO] = graph.xyz[row]
    fleet.yaw[EGO] = graph.yaw[row]
    fleet.active[EGO] = True
    model.look(0.0)
    for i in range(model.vehicles.start, model.vehicles.stop):
        model.place_vehicle(i, first=True)
    for i in range(model.walkers.start, model.walkers.stop):
        model.place_walker(i, first=True)
    green = np.full(len(graph.signal_id), SignalState.GREEN, np.int8)
    times = []
    for k in range(num_steps):
        begin = time.thread_time()
        model.step(green, k * DT, DT)
        times.append(time.thread_time() - begin)
        fleet.speed[1:] = np.maximum(fleet.speed[1:] + fleet.accel[1:] * DT, 0.0)
        fleet.x[:] += fleet.speed * np.cos(fleet.yaw) * DT
        fleet.y[:] += fleet.speed * np.sin(fleet.yaw) * DT
        fleet.yaw[:] += fleet.speed * np.tan(fleet.wheel_angle) / fleet.wheelbase * DT
        crowd.x[:] += crowd.dir_x * crowd.out_speed * DT
        crowd.y[:] += crowd.dir_y * crowd.out_speed * DT
    return 1e3 * statistics.median(times)


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    add_options(parser)
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of the drives")
    options = parser.parse_args()
    console = Console(width=140)
    towns = towns_of(options, console)
    jobs = [(town, seed) for town in towns for seed in range(1, options.seeds + 1)]
    commit = git_hash()
    known = known_rows([commit, *options.like], options.overrides)
    rows = []
    for town, seed in track(jobs, description="driving", console=console):
        row = known.get((town, seed)) or driven_row(town, seed, options.overrides, commit)
        rows.append(row)
        if not passed(row):
            console.print(f"{town} seed {seed}: {row.get('error') or row['ending']}", markup=False)
            for event in row.get("infractions", []):
                console.print("   ", event["kind"], event["reason"], f"at {event['t']:.1f} s")
    console.print(summary(rows))
    console.print(f"traffic's step, 40 vehicles and 20 walkers: {traffic_step_ms():.3f} ms")


if __name__ == "__main__":
    main()
