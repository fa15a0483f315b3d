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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from carla_bridge.headless.towns import available_towns
from scenarios.drive import git_hash

ROWS = Path("results/drive.jsonl")
TOWNS = ("grid", "ring", "Town01", "Town02", "Town04")
QUIET = ("output.plots=false", "output.video=false", "output.rerun=false")
# What a row keeps of result.json beside the figures of `headway drive --json`.
KEPT = ("ending", "route_length_m", "intervention_share", "infractions")


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


def known_rows(commit: str, overrides: list[str]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the rows that this commit has driven already, by town and seed."""
    if not ROWS.is_file() or commit.endswith("+"):
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {
        (row["town"], row["seed"]): row
        for row in rows
        if row["commit"] == commit and row["overrides"] == overrides and "error" not in row
    }


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
               "stop signs", "speeding s", "agents < 50 m", "safety %", "wall s / sim s",
               "act ms")  # fmt: skip
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
            f"{statistics.mean(row['wall_s'] / row['sim_s'] for row in ok):.3f}",
            f"{mean('act_median_ms'):.2f}",
        )  # fmt: skip
    return table


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--towns", nargs="+", default=list(TOWNS))
    parser.add_argument("overrides", nargs="*", help="Hydra overrides of the drives")
    options = parser.parse_args()
    console = Console(width=140)
    there = set(available_towns())
    for town in options.towns:
        if town not in there:
            console.print(f"{town} is left out: not installed (`headway towns import PATH`)")
    jobs = [(t, s) for t in options.towns if t in there for s in range(1, options.seeds + 1)]

    commit = git_hash()
    known = known_rows(commit, options.overrides)
    rows = []
    ROWS.parent.mkdir(exist_ok=True)
    for town, seed in track(jobs, description="driving", console=console):
        row = known.get((town, seed))
        if row is None:
            row = drive(town, seed, options.overrides)
            row |= {"commit": commit, "overrides": options.overrides}
            with ROWS.open("a") as file:
                file.write(json.dumps(row) + "\n")
        rows.append(row)
        if not passed(row):
            console.print(f"{town} seed {seed}: {row.get('error') or row['ending']}", markup=False)
            for event in row.get("infractions", []):
                console.print("   ", event["kind"], event["reason"], f"at {event['t']:.1f} s")
    console.print(summary(rows))


if __name__ == "__main__":
    main()
