"""`make bench-rivals`: every planner on the same routes and seeds, the README's table.

Planners drive bare, without the safety layer, and `mpc` also with it, as it is shipped. Routes come
seed by seed, so that an interrupted bench has whole routes to compare; rows are those of
`bench_drive`, and resume as they do.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from scenarios.bench_drive import add_options, driven_row, known_rows, passed, towns_of
from scenarios.drive import git_hash
from scenarios.intervals import paired_ratio

BARE = ("planner={}", "world_model=idm", "safety=none")
RIVALS = ("idm", "idm_mobil", "frenet", "pdm_closed", "traffic_manager", "mpc")
GUARDED = ("planner=mpc", "world_model=idm")
BASE = "idm"  # whose times are 100 %
COLUMNS = ("planner", "routes", "passed %", "goal reached %", "collisions (at fault)", "red lights",
           "stop signs", "time, % of `idm`'s", "comfort %", "act ms: median, p99")  # fmt: skip

Row = dict[str, Any]


def entries() -> dict[str, list[str]]:
    """Return the Hydra overrides of each line of the table."""
    bare = {name: [part.format(name) for part in BARE] for name in RIVALS}
    return {**bare, "mpc, guarded": [*GUARDED]}


def share(times: int, of: int) -> str:
    """Percentage and its 95 % interval (Wilson 1927, which holds where nothing or all passed)."""
    p, z2 = times / of, 1.96**2 / of
    middle, half = (p + z2 / 2.0) / (1.0 + z2), math.sqrt(z2 * (p * (1.0 - p) + z2 / 4.0))
    low, high = middle - half / (1.0 + z2), middle + half / (1.0 + z2)
    return f"{100.0 * p:.0f} [{100.0 * low:.0f}, {100.0 * high:.0f}]"


def relative_time(rows: Sequence[Row], base: Sequence[Row]) -> str:
    """Time of `rows` in percent of `base`'s over the routes that both drove to the goal.

    With its 95 % interval: routes are drawn again (paired bootstrap, percentiles).
    """
    ours, theirs = (
        {(row["town"], row["seed"]): row["sim_s"] for row in of if row["route_completion"] >= 1.0}
        for of in (rows, base)
    )
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        return "-"
    pairs = np.array([(ours[key], theirs[key]) for key in both])
    ratio, low, high = (100.0 * share for share in paired_ratio(pairs))
    return f"{ratio:.0f} [{low:.0f}, {high:.0f}]"


def line(name: str, rows: Sequence[Row], base: Sequence[Row]) -> list[str]:
    """Return the cells of one planner, over the rows without a crash of the program."""
    ok = [row for row in rows if "error" not in row]
    if not ok:
        return [name, "0", *["-"] * (len(COLUMNS) - 2)]

    def total(key: str) -> str:
        return str(sum(int(row[key]) for row in ok))

    act = [statistics.median(row[f"act_{key}_ms"] for row in ok) for key in ("median", "p99")]
    return [
        name, str(len(rows)), share(sum(map(passed, rows)), len(rows)),
        f"{100.0 * statistics.mean(row['route_completion'] >= 1.0 for row in ok):.0f}",
        f"{total('collisions')} ({total('collisions_at_fault')})", total("red_lights"),
        total("stop_signs"), relative_time(ok, base),
        f"{100.0 * statistics.mean(row['comfort'] for row in ok):.1f}",
        f"{act[0]:.1f}, {act[1]:.1f}",
    ]  # fmt: skip


def markdown(rows: dict[str, list[Row]]) -> str:
    """Return the table over the routes that every planner has driven."""
    done = [{(row["town"], row["seed"]) for row in mine} for mine in rows.values()]
    shared = set.intersection(*done)
    same = {
        name: [row for row in mine if (row["town"], row["seed"]) in shared]
        for name, mine in rows.items()
    }
    base = [row for row in same.get(BASE, []) if "error" not in row]
    lines = [COLUMNS, ["---"] * len(COLUMNS)]
    lines += [line(f"`{n}`" if n in RIVALS else n, mine, base) for n, mine in same.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Drive what is missing and print the table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(1, 5), metavar=("FIRST", "LAST"))
    parser.add_argument("--planners", nargs="+", default=list(entries()), choices=list(entries()))
    add_options(parser)
    options = parser.parse_args()
    console = Console(width=140)
    towns = towns_of(options, console)
    first, last = options.seeds
    seeds = range(first, last + 1)
    jobs = [(seed, town, name) for seed in seeds for town in towns for name in options.planners]
    commit = git_hash()
    commits = [commit, *options.like]
    known = {name: known_rows(commits, overrides) for name, overrides in entries().items()}
    rows: dict[str, list[Row]] = {name: [] for name in options.planners}
    for seed, town, name in track(jobs, description="driving", console=console):
        row = known[name].get((town, seed)) or driven_row(town, seed, entries()[name], commit)
        rows[name].append(row)
        if "error" in row:
            console.print(f"{name}, {town} seed {seed}: {row['error']}", markup=False)
    print(markdown(rows))


if __name__ == "__main__":
    main()
