"""The results file of CARLA's Leaderboard 1.0, 2.0 and 2.1 and of Bench2Drive, from a bench's rows.

Layout, names and messages are upstream's (docs/upstream_formats.md, sections 4 and 5), so that its
tools read the file. What differs: lights and signs have no id and stand where ego was; Bench2Drive
has no `weather_id` and no time in its `save_name` here: equal drives give equal files.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carla_bridge.frames import vector_from_carla
from scenarios.scores import Outcome, ScoreVersion, infraction_score
from scenarios.suites.openscenario_spec import Drivable, StorySpec

RESULTS = "results.json"
CRASHED = "Failed - Simulation crashed"
# Names of the lists of infractions, and what each is called in the end.
LABELS = {
    "collisions_pedestrian": "Collisions with pedestrians",
    "collisions_vehicle": "Collisions with vehicles",
    "collisions_layout": "Collisions with layout",
    "red_light": "Red lights infractions",
    "stop_infraction": "Stop sign infractions",
    "outside_route_lanes": "Off-road infractions",
    "route_dev": "Route deviations",
    "route_timeout": "Route timeouts",
    "vehicle_blocked": "Agent blocked",
}
LATER_LABELS = {
    **LABELS,
    "yield_emergency_vehicle_infractions": "Yield emergency vehicles infractions",
    "scenario_timeouts": "Scenario timeouts",
    "min_speed_infractions": "Min speed infractions",
}
SCORES = {
    "score_composed": "Avg. driving score",
    "score_route": "Avg. route completion",
    "score_penalty": "Avg. infraction penalty",
}

Row = Mapping[str, Any]
Record = dict[str, Any]


def write_results(
    folder: Path, routes: Sequence[Drivable], rows: Sequence[Row], version: ScoreVersion
) -> Path:
    """Write `results.json` of one planner and one seed; it is whole at any time.

    Args:
        folder: for the file.
        routes: all that are to be driven, in their order.
        rows: of those that were, in any order.
        version: whose layout.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(results_of(routes, rows, version), indent=4))
    os.replace(fresh, path)
    return path


def results_of(
    routes: Sequence[Drivable], rows: Sequence[Row], version: ScoreVersion
) -> dict[str, Any]:
    """Return what `write_results` writes; scores of all appear when all routes were driven."""
    row_of = {row["route"]: row for row in rows}
    driven = [spec for spec in routes if spec.id in row_of]
    records = [record_of(k, spec, row_of[spec.id], version) for k, spec in enumerate(driven)]
    first = version is ScoreVersion.LEADERBOARD_1_0
    status, overall, values, labels = "Started", {}, [], []
    if len(records) == len(routes):
        overall = (_global_1 if first else _global_2)(records)
        means = overall["scores" if first else "scores_mean"]
        named = LABELS if first else LATER_LABELS
        figures = [*(means[name] for name in SCORES), *(overall["infractions"][n] for n in named)]
        values = [f"{value:.3f}" if first else str(value) for value in figures]
        labels = [*SCORES.values(), *named.values()]
        status = _entry_status(records, first)
    return {
        "_checkpoint": {
            "global_record": overall, "progress": [len(records), len(routes)], "records": records
        },
        "entry_status": status, "eligible": status.startswith("Finished"), "sensors": [],
        "values": values, "labels": labels,
    }  # fmt: skip


def record_of(index: int, spec: Drivable, row: Row, version: ScoreVersion) -> Record:
    """Return the record of one route.

    Args:
        index: its place among the records.
        spec: the route.
        row: of its drive.
        version: whose layout.
    """
    first, lost = version is ScoreVersion.LEADERBOARD_1_0, "error" in row
    infractions = infractions_of(row, version)
    num = sum(map(len, infractions.values()))
    completion, penalty = (0.0, 0.0) if lost else _scores(row, version)
    record: Record = {
        "index": index,
        "route_id": f"RouteScenario_{spec.id}" + ("" if first else "_rep0"),
        "status": _status(row, num, version),
        "infractions": infractions,
        "scores": {
            "score_route": round(completion, 6), "score_penalty": round(penalty, 6),
            "score_composed": round(completion * penalty, 6),
        },
        "meta": {
            "route_length": _straight(spec) if first else row.get("length", 0.0),
            "duration_game": row.get("sim_s", 0.0), "duration_system": row.get("wall_s", 0.0),
        },
    }  # fmt: skip
    if not first:
        record["num_infractions"] = num
    if version is ScoreVersion.BENCH2DRIVE:
        record |= {
            "scenario_name": _scenario(spec), "weather_id": None, "save_name": save_name(spec),
            "town_name": spec.town,
        }  # fmt: skip
    return record


def save_name(spec: Drivable) -> str:
    """The name by which Bench2Drive's tools find what was recorded of a route."""
    return f"RouteScenario_{spec.id}_rep0_{spec.town}_{_scenario(spec)}_None"


def infractions_of(row: Row, version: ScoreVersion) -> dict[str, list[str]]:
    """Return upstream's messages by the names of its lists."""
    names = LABELS if version is ScoreVersion.LEADERBOARD_1_0 else LATER_LABELS
    found: dict[str, list[str]] = {name: [] for name in names}
    if "error" in row:
        return found
    for event in row["infractions"]:
        at = _position(event["x"], event["y"], event["z"])
        if event["kind"] == "red_light":
            found["red_light"].append(f"Agent ran a red light 0 at {at}")
        elif event["kind"] == "stop_sign":
            found["stop_infraction"].append(f"Agent ran a stop with id=0 at {at}")
        else:
            kind, number = event["partner_type"], event["partner"]
            found[_collision(kind)].append(
                f"Agent collided against object with type={kind} and id={number} at {at}"
            )
    outcome, end = row["outcome"], _position(*row["end"])
    if outcome["off_lane"] > 0.0:
        found["outside_route_lanes"].append(
            f"Agent went outside its route lanes for about {row['off_lane_m']:.3f} meters "
            f"({100.0 * outcome['off_lane']:.2f}% of the completed route)"
        )
    if version is not ScoreVersion.LEADERBOARD_1_0:
        found["min_speed_infractions"] = [
            f"Average speed is {round(100.0 * share, 2)}% of the surrounding traffic's one"
            for share in outcome["slowness"]
        ]
        found["yield_emergency_vehicle_infractions"] = [
            "Agent failed to yield to an emergency vehicle"
        ] * outcome["missed_yields"]
        found["scenario_timeouts"] = ["Agent timed out a scenario"] * outcome["scenario_timeouts"]
    if row["status"].endswith("deviated from the route"):
        found["route_dev"].append(f"Agent deviated from the route at {end}")
    elif row["status"].endswith("got blocked"):
        found["vehicle_blocked"].append(f"Agent got blocked at {end}")
    elif row["status"].endswith("timed out") and version is not ScoreVersion.BENCH2DRIVE:
        found["route_timeout"].append("Route timeout.")  # there the tick limit ends it, unlisted
    return found


def _collision(kind: str) -> str:
    """The list for a collision with who is of a blueprint."""
    if kind.startswith("walker."):
        return "collisions_pedestrian"
    return "collisions_vehicle" if kind.startswith("vehicle.") else "collisions_layout"


def _position(x: float, y: float, z: float) -> str:
    """A place of the map frame in CARLA's coordinates."""
    x, y, z = (round(v, 3) for v in vector_from_carla((x, y, z)))
    return f"(x={x}, y={y}, z={z})"


def _scores(row: Row, version: ScoreVersion) -> tuple[float, float]:
    """Completion [%] and what the infractions leave of it."""
    outcome = Outcome(**{**row["outcome"], "slowness": tuple(row["outcome"]["slowness"])})
    return 100.0 * outcome.completion, infraction_score(outcome, version)


def _status(row: Row, num_infractions: int, version: ScoreVersion) -> str:
    if "error" in row:
        return CRASHED
    if version is ScoreVersion.BENCH2DRIVE and row["status"].endswith("timed out"):
        return "Failed - TickRuntime"
    perfect = row["status"] == "Completed" and not num_infractions
    return "Perfect" if perfect and version is not ScoreVersion.LEADERBOARD_1_0 else row["status"]


def _scenario(spec: Drivable) -> str:
    return spec.scenarios[0].name if spec.scenarios else "None"


def _straight(spec: Drivable) -> float:
    """[m] from keypoint to keypoint; 0 where a file gives none."""
    if isinstance(spec, StorySpec):
        return 0.0
    return float(np.linalg.norm(np.diff(spec.keypoints, axis=0), axis=1).sum())


def _entry_status(records: Sequence[Record], first: bool) -> str:
    """Of a file that is complete."""
    if any(record["status"] == CRASHED for record in records):
        return "Crashed"
    if first and any("Agent" in record["status"] for record in records):
        return "Finished with agent errors"
    return "Finished"


def _driven_km(record: Record) -> float:
    return record["meta"]["route_length"] * record["scores"]["score_route"] / 1e5


def _meta(records: Sequence[Record]) -> dict[str, Any]:
    """Sums, and who failed."""
    sums = {
        total: sum(record["meta"][name] for record in records)
        for total, name in (
            ("total_length", "route_length"), ("duration_game", "duration_game"),
            ("duration_system", "duration_system"),
        )
    }  # fmt: skip
    failed = [[r["route_id"], r["index"], r["status"]] for r in records if "Failed" in r["status"]]
    return {**sums, "exceptions": failed}


def _column(records: Sequence[Record], score: str) -> list[float]:
    return [record["scores"][score] for record in records]


def _global_2(records: Sequence[Record]) -> Record:
    """Of Leaderboard 2 and Bench2Drive: events per driven kilometre, but kilometres off lane."""
    km = max(sum(map(_driven_km, records)), 0.001)
    counts = {n: sum(len(r["infractions"][n]) for r in records) / km for n in LATER_LABELS}
    off = [m for record in records for m in record["infractions"]["outside_route_lanes"]]
    counts["outside_route_lanes"] = sum(float(message.split(" ")[8]) for message in off) / 1e3
    states = {record["status"].partition(" ")[0] for record in records}
    worst = next((s for s in ("Failed", "Completed") if s in states), "Perfect")
    spread = len(records) > 1
    return {
        "index": -1, "route_id": -1, "status": worst,
        "infractions": {name: round(count, 3) for name, count in counts.items()},
        "scores_mean": {n: round(statistics.fmean(_column(records, n)), 6) for n in SCORES},
        "scores_std_dev": {
            n: round(statistics.stdev(_column(records, n)), 3) if spread else 0 for n in SCORES
        },
        "meta": _meta(records),
    }  # fmt: skip


def _global_1(records: Sequence[Record]) -> Record:
    """Of Leaderboard 1: each route's events per its own driven kilometre, summed."""
    moved = [record for record in records if record["scores"]["score_route"] > 0.0]
    meta = _meta(records)
    failed = bool(meta["exceptions"])
    if not failed:
        del meta["exceptions"]
    spread = len(records) > 1
    return {
        "index": -1, "route_id": -1, "status": "Failed" if failed else "Completed",
        "infractions": {
            n: sum(len(r["infractions"][n]) / _driven_km(r) for r in moved) for n in LABELS
        },
        "scores": {n: statistics.fmean(_column(records, n)) for n in SCORES},
        "scores_std_dev": {
            n: statistics.stdev(_column(records, n)) if spread else "NaN" for n in SCORES
        },
        "meta": meta,
    }  # fmt: skip
