"""What a bench's rows say about its planners, and how sure that is.

Intervals are of 95 %, by drawing whole routes again: seeds of one route are no independent drives.
Planners are compared on the drives that both have, route by route.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from scenarios.abilities import ability_shares
from scenarios.intervals import paired_ratio
from scenarios.results import LATER_LABELS, infractions_of
from scenarios.scores import ScoreVersion

Row = dict[str, Any]
Summary = dict[str, Any]


def summary(rows: Sequence[Row], planners: Sequence[str], score: str) -> dict[str, Summary]:
    """Return what is known of each planner; null stands for what nothing is known of.

    Args:
        rows: of all drives, in any order.
        planners: by name; the others are compared with the first.
        score: version.
    """
    drives = {name: _drives(rows, name) for name in planners}
    found = {}
    for planner in planners:
        ok = list(drives[planner].values())
        found[planner] = {
            "drives": len(ok),
            "driving_score": _mean(row["driving_score"] for row in ok),
            "driving_score_ci": _interval(ok, _score),
            "success_rate": _mean(_success(row) for row in ok),
            "success_rate_ci": _interval(ok, _success),
            "completion": _mean(row["outcome"]["completion"] for row in ok),
            "efficiency": _mean(r["efficiency"] for r in ok if r["efficiency"] is not None),
            "comfort": _mean(row["comfort"] for row in ok),
            "abilities": {name: round(v, 4) for name, v in ability_shares(ok).items()},
            "difficulties": _by(ok, "difficulty"),
            "towns": _by(ok, "town"),
            "infractions": _counts(ok, score),
            "errors": sum(row["planner"] == planner and "error" in row for row in rows),
        }
        if planner != planners[0]:
            found[planner]["minus_first"] = _minus(drives[planner], drives[planners[0]])
    return found


def _drives(rows: Sequence[Row], planner: str) -> dict[tuple[str, int], Row]:
    """A planner's drives that came to an end, by route and seed."""
    mine = [row for row in rows if row["planner"] == planner and "error" not in row]
    return {(row["route"], row["seed"]): row for row in sorted(mine, key=lambda row: row["key"])}


def _score(row: Row) -> float:
    return row["driving_score"]


def _success(row: Row) -> float:
    return float(row["success"])


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(statistics.fmean(found), 4) if found else None


def _interval(rows: Sequence[Row], figure: Callable[[Row], float]) -> list[float] | None:
    return _drawn([(row["route"], figure(row)) for row in rows])


def _drawn(values: Sequence[tuple[str, float]]) -> list[float] | None:
    """The ends of a mean's interval; one route says nothing of others.

    Args:
        values: of each drive, with its route.
    """
    routes = {route: k for k, route in enumerate(dict.fromkeys(route for route, _ in values))}
    if len(routes) < 2:
        return None
    pairs = np.zeros((len(routes), 2))  # sum and number, by route
    for route, value in values:
        pairs[routes[route]] += value, 1.0
    return [round(end, 4) for end in paired_ratio(pairs)[1:]]


def _minus(ours: dict[tuple[str, int], Row], firsts: dict[tuple[str, int], Row]) -> Summary:
    """A planner's figures less the first one's, on the drives that both have."""
    both = [key for key in ours if key in firsts]
    found: Summary = {"drives": len(both)}
    for name, figure in (("driving_score", _score), ("success_rate", _success)):
        less = [(key[0], figure(ours[key]) - figure(firsts[key])) for key in both]
        found[name] = _mean(value for _, value in less)
        found[f"{name}_ci"] = _drawn(less)
    return found


def _by(rows: Sequence[Row], key: str) -> dict[str, float | None]:
    """Success rate in each group of rows that have the same value there."""
    groups = sorted({row[key] for row in rows if row.get(key)})
    return {
        group: _mean(_success(row) for row in rows if row.get(key) == group) for group in groups
    }


def _counts(rows: Sequence[Row], score: str) -> dict[str, int]:
    """How many infractions of each kind, by upstream's names."""
    counts: dict[str, int] = {}
    for row in rows:
        for name, messages in infractions_of(row, ScoreVersion(score)).items():
            counts[name] = counts.get(name, 0) + len(messages)
    return counts


def tables(found: dict[str, Summary], score: str) -> list[Table]:
    """Show a summary: one line a planner; infractions, differences, abilities where there are."""
    shown = Table("planner", "drives", "driving score", "success %", "driven %", "comfort %",
                  "errors", title=f"score {score}")  # fmt: skip
    for planner, figures in found.items():
        shown.add_row(
            planner, str(figures["drives"]), _with_interval(figures, "driving_score", 1.0),
            _with_interval(figures, "success_rate", 100.0), _text(figures["completion"], 100.0),
            _text(figures["comfort"], 100.0), str(figures["errors"]),
        )  # fmt: skip
    groups = (_shares(found, name) for name in ("difficulties", "towns", "abilities"))
    return [shown, *_differences(found), *_infractions(found), *(t for t in groups if t)]


def _infractions(found: dict[str, Summary]) -> list[Table]:
    """How many of each kind that there were."""
    kinds = [k for k in LATER_LABELS if any(f["infractions"].get(k) for f in found.values())]
    if not kinds:
        return []
    shown = Table("planner", *(LATER_LABELS[kind] for kind in kinds), title="how many")
    for planner, figures in found.items():
        shown.add_row(planner, *(str(figures["infractions"].get(kind, 0)) for kind in kinds))
    return [shown]


def _differences(found: dict[str, Summary]) -> list[Table]:
    first, *others = found
    if not others:
        return []
    shown = Table("planner", "drives of both", "driving score", "success %", title=f"less {first}")
    for planner in others:
        less = found[planner]["minus_first"]
        shown.add_row(
            planner, str(less["drives"]), _with_interval(less, "driving_score", 1.0, "+"),
            _with_interval(less, "success_rate", 100.0, "+"),
        )  # fmt: skip
    return [shown]


def _shares(found: dict[str, Summary], kind: str) -> Table | None:
    """Success rates by difficulty, town or ability."""
    names = list(dict.fromkeys(name for figures in found.values() for name in figures[kind]))
    if not names:
        return None
    title = f"{kind}, %"
    shown = Table("planner", *(name.replace("_", " ") for name in names), title=title)
    for planner, figures in found.items():
        shown.add_row(planner, *(_text(figures[kind].get(name), 100.0) for name in names))
    return shown


def _with_interval(figures: Summary, name: str, scale: float, sign: str = "") -> str:
    text, ends = _text(figures[name], scale, sign), figures[f"{name}_ci"]
    return f"{text} ({' to '.join(_text(end, scale, sign) for end in ends)})" if ends else text


def _text(value: float | None, scale: float, sign: str = "") -> str:
    return "-" if value is None else f"{scale * value:{sign}.1f}"
