"""`make bench-tuning`: as many settings of each planner on `headway_dev`: all are tuned alike.

Each planner has its defaults and two other settings of what it is most likely to gain by, on one
route of each type. The rows are appended to `results/tuning.jsonl`; those that a clean commit has
driven are not driven again by it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from scenarios.drive import git_hash
from scenarios.suites.own import SEEDS, own_suite

ROWS = Path("results/tuning.jsonl")
SUITE, SCORE = "headway_dev", "bench2drive"
# Which of the three routes of each type: neither the first nor the last that is drawn.
ROUTES = tuple(route.id for route in own_suite(SUITE).routes)[1::3]
BOLD = ("rules.before=1.0", "rules.after=0.4")  # smaller gaps at junctions
SETTINGS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "mpc": ((), tuple(f"rules.{item}" for item in BOLD), ("passing.spare=0.5", "stuck=6.0")),
    "pdm_closed": ((), ("offsets=[0.0,-0.5,0.5]",), ("tie=0.02", "hit_within=1.0")),
    "frenet": ((), ("lead_deficit=1.0", "change_room=30.0"), ("offset=1.0", "deviation=0.1")),
    "idm_mobil": ((), ("politeness=0.2", "threshold=0.3"), ("safe_brake=4.0",)),
    "idm": ((), BOLD, ("accel=1.8", "stop_brake=1.8")),
    "traffic_manager": ((), ("lead_distance=5.0",), ("speed_difference_percent=0.0",)),
}


def drive(planner: str, setting: Sequence[str], workers: int) -> list[dict[str, Any]]:
    """Return a row a route; its progress is that of `headway bench`."""
    with TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "headway.cli", "bench", f"suite={SUITE}",
            f"routes=[{','.join(ROUTES)}]", f"planners=[{planner}]", f"score={SCORE}",
            f"seeds={len(SEEDS)}", f"workers={workers}", f"folder={folder}",
            *(f"planner.{item}" for item in setting),
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        text = (Path(folder) / "rows.jsonl").read_text()
    known = {"planner": planner, "setting": list(setting), "commit": git_hash()}
    kept = ("route", "success", "driving_score", "error")
    rows = [json.loads(line) for line in text.splitlines()]
    return [known | {key: row[key] for key in kept if key in row} for row in rows]


def known_rows(commits: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows that these commits have driven."""
    clean = tuple(commit for commit in commits if not commit.endswith("+"))
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []
    return [row for row in rows if row["commit"].startswith(clean)]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Successes and mean driving score of each setting."""
    out = Table("planner", "setting", "commit", "success", "driving score")
    of_setting: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        words = ", ".join(row["setting"]) or "defaults"
        of_setting.setdefault((row["planner"], words, row["commit"][:7]), []).append(row)
    for (planner, words, commit), mine in of_setting.items():
        passed = sum(row.get("success", False) for row in mine)
        score = statistics.fmean(row.get("driving_score", 0.0) for row in mine)
        out.add_row(planner, words, commit, f"{passed} of {len(mine)}", f"{score:.1f}")
    return out


def main() -> None:
    """Drive what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planners", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--commits", nargs="*", help="whose rows count, too", default=[])
    args = parser.parse_args()
    console = Console()
    rows = known_rows([git_hash(), *args.commits])
    done = {(row["planner"], tuple(row["setting"])) for row in rows}
    for planner in args.planners:
        for setting in SETTINGS[planner]:
            if (planner, setting) not in done:
                console.print(f"{planner} {' '.join(setting)}")
                new = drive(planner, setting, args.workers)
                ROWS.parent.mkdir(exist_ok=True)
                with ROWS.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in new)
                rows += new
    console.print(table(rows))


if __name__ == "__main__":
    main()
