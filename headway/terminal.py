"""What the `headway` command shows at the terminal: progress, tables, errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from scenarios.drive import Drive
    from scenarios.episode import Progress

console = Console(stderr=True)  # stdout is for results


def say(words: str) -> None:
    """Tell the person at the terminal, verbatim."""
    console.print(words, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a bar for the route and how fast simulated time passes."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(40), TaskProgressColumn(),
               TextColumn("{task.fields[clock]}"))  # fmt: skip
    with Bar(*columns, console=console, refresh_per_second=5) as bar:
        task = bar.add_task(f"driving {title}", total=1.0, clock="")

        def show(share: float, sim_s: float, wall_s: float) -> None:
            speed = sim_s / wall_s if wall_s > 0 else 0.0
            bar.update(task, completed=share, clock=f"{sim_s:.0f} s, {speed:.1f} x real time")

        yield show


@contextmanager
def steps(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for so many steps of so many."""
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=console) as bar:
        task = bar.add_task(title)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_result(done: Drive) -> None:
    """Print a table of the figures."""
    table = Table("what", "figure", title=f"drive: {done.episode.ending}")
    for name, value in asdict(done.result).items():
        table.add_row(name, str(value))
    ratio = done.result.wall_s / max(done.result.sim_s, 1e-9)
    table.add_row("wall s per simulated s", f"{ratio:.3f}")
    table.add_row("ticks with safety interventions", f"{done.interventions:.2%}")
    for name, seconds in done.extras_s.items():
        table.add_row(f"{name}, wall s", f"{seconds:.1f}")
    console.print(table)
    for event in done.episode.criteria.infractions:
        fault = "at fault" if event.at_fault else "not at fault"
        who = f" with {event.partner_type} {event.partner}" if event.partner else ""
        say(f"{event.t:7.2f} s  {event.kind}{who} at x {event.x:.1f}, y {event.y:.1f}: "
             f"{fault}, {event.reason}")  # fmt: skip


def print_stages(stages: dict[str, dict[str, float]]) -> None:
    """Print a table of the stages' times."""
    table = Table("stage", "median ms", "p99 ms")
    for name, row in stages.items():
        table.add_row(name, f"{row['median_ms']:.3f}", f"{row['p99_ms']:.3f}")
    console.print(table)


@contextmanager
def errors() -> Iterator[None]:
    """Turn what a person can mend into one message and exit code 2."""
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        if os.environ.get("HEADWAY_TRACEBACK"):
            raise
        console.print("error:", style="bold red", end=" ")
        say(str(error))
        raise typer.Exit(2) from error
