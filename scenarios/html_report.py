"""`report.html` of a bench: one page that opens offline, with its figures and every drive in it.

The page's parts lie in `reportpage/`. Drives are put in as they were kept (gzipped, in base64),
each in a script element of its own that the page decodes once its route is looked at.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from scenarios.abilities import ABILITIES
from scenarios.bench import ABOUT, ROWS, Row
from scenarios.bench_jobs import Job
from scenarios.recording import DRIVE, GROUND
from scenarios.results import LATER_LABELS
from scenarios.summary import summary

PAGE = "report.html"
SCRIPTS = ("decode.js", "tables.js", "scene.js", "plots.js", "replay.js", "main.js")
SHOWN = ("status", "driving_score", "success", "outcome", "comfort", "efficiency", "infractions",
         "sim_s", "wall_s", "error")  # fmt: skip

Figures = dict[str, Any]


def write_report(folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write the page of a bench's folder and return its path.

    Args:
        folder: of `headway bench`.
        progress: hears how many drives of how many are in.

    Raises:
        ValueError: the folder has no rows.
    """
    rows = read_rows(folder)
    about = folder / ABOUT
    bench = json.loads(about.read_text()) if about.is_file() else {}
    planners = list(dict.fromkeys([*bench.get("planners", []), *(row["planner"] for row in rows)]))
    planners = [name for name in planners if any(row["planner"] == name for row in rows)]
    routes, blobs = _routes(folder, rows)
    score = bench.get("score") or next((row["score"] for row in rows if "score" in row), "2.1")
    document = {
        "suite": bench.get("suite", folder.name),
        "score": score,
        "git": bench.get("git", ""),
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "left_out": bench.get("left_out", []),
        "labels": LATER_LABELS,
        "planners": [
            {"name": name, **figures, "pace": _pace(rows, name)}
            for name, figures in summary(rows, planners, score).items()
        ],
        "abilities": list(ABILITIES),
        "difficulties": by_group(rows, planners, lambda row: [row.get("difficulty", "")]),
        "towns": by_group(rows, planners, lambda row: [row["town"]]),
        "types": by_group(rows, planners, lambda row: row["scenarios"]),
        "routes": routes,
    }
    path = folder / PAGE
    unfinished = path.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.writelines(_page(document, blobs, progress))
    unfinished.replace(path)
    return path


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of a bench, of each drive the last one.

    Raises:
        ValueError: there are none.
    """
    path = folder / ROWS
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = {row["key"]: row for row in map(json.loads, lines)}
    if not rows:
        raise ValueError(f"{path}: expected the rows of `headway bench`, found none")
    return list(rows.values())


def by_group(
    rows: Sequence[Row], planners: Sequence[str], groups: Callable[[Row], Sequence[str]]
) -> list[Figures]:
    """Return score and success of each planner by group; a group without drives has no line.

    Args:
        rows: of all drives.
        planners: by name.
        groups: names of the groups that a drive belongs to.
    """
    ok = [row for row in rows if "error" not in row]
    names = sorted({name for row in ok for name in groups(row)})
    return [
        _line(name, [row for row in ok if name in groups(row)], planners) for name in names if name
    ]


def _line(name: str, rows: Sequence[Row], planners: Sequence[str]) -> Figures:
    """Sum up a group's drives, planner by planner."""
    cells = []
    for planner in planners:
        mine = _of(rows, planner)
        cells.append({
            "drives": len(mine),
            "score": _mean(row["driving_score"] for row in mine),
            "success": _mean(float(row["success"]) for row in mine),
        } if mine else None)  # fmt: skip
    return {"name": name, "cells": cells}


def _pace(rows: Sequence[Row], planner: str) -> float | None:
    """Wall time for a simulated second of a planner's drives."""
    ok = [row for row in _of(rows, planner) if "error" not in row]
    return round(sum(r["wall_s"] for r in ok) / sum(r["sim_s"] for r in ok), 3) if ok else None


def _of(rows: Sequence[Row], planner: str) -> list[Row]:
    return [row for row in rows if row["planner"] == planner]


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _routes(folder: Path, rows: Sequence[Row]) -> tuple[list[Figures], dict[str, Path]]:
    """Return what is shown of each route and seed, and the files that the page holds, by id.

    Drives of one route have the same ground, which is put in once.
    """
    routes: dict[tuple[str, int], Figures] = {}
    blobs: dict[str, Path] = {}
    grounds: dict[bytes, str] = {}
    for row in sorted(rows, key=lambda row: (_number_first(row["route"]), row["seed"])):
        job = Job(row["town"], row["route"], row["seed"], row["planner"])
        route = routes.setdefault((job.route, job.seed), {
            "route": job.route, "seed": job.seed, "town": job.town, "scenarios": [], "drives": {},
        })  # fmt: skip
        route["scenarios"] = route["scenarios"] or row.get("scenarios", [])
        shown = {name: row[name] for name in SHOWN if name in row}
        kept = folder / job.folder
        if "error" not in row and (kept / DRIVE).is_file():
            content = (kept / GROUND).read_bytes()
            ground = grounds.setdefault(content, f"ground-{len(grounds)}")
            blobs.setdefault(ground, kept / GROUND)
            shown |= {"blob": f"drive-{len(blobs)}", "ground": ground}
            blobs[shown["blob"]] = kept / DRIVE
        route["drives"][job.planner] = shown
    return list(routes.values()), blobs


def _number_first(route: str) -> tuple[int, str]:
    """Sort 2 before 10."""
    return (int(route), "") if route.isdigit() else (1 << 62, route)


def _page(
    document: Figures, blobs: dict[str, Path], progress: Callable[[int, int], None] | None
) -> Iterable[str]:
    """Yield the page in pieces, so that a large one is never in memory whole."""
    parts = resources.files("scenarios") / "reportpage"
    page = (parts / "page.html").read_text()
    page = page.replace("/* style */", (parts / "style.css").read_text())
    script = "\n".join((parts / name).read_text() for name in SCRIPTS)
    before, middle, after = _cut(page, "<!-- data -->", "/* script */")
    yield before
    # No `<` in it, so that no text of a row can end the element.
    words = json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
    yield f'<script type="application/json" id="bench">{words}</script>\n'
    for number, (name, path) in enumerate(blobs.items(), 1):
        content = base64.b64encode(path.read_bytes()).decode()
        yield f'<script type="text/plain" id="{name}">{content}</script>\n'
        if progress is not None:
            progress(number, len(blobs))
    yield middle
    yield script
    yield after


def _cut(page: str, *marks: str) -> list[str]:
    """Cut a page at its marks, which it has in this order."""
    pieces = []
    for mark in marks:
        piece, _, page = page.partition(mark)
        pieces.append(piece)
    return [*pieces, page]
