"""A drive as the report replays it: who was where and what the driver did, at 10 Hz."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.trace import TickRecord, Trace
from headway.types import Array
from scenarios.episode import Episode
from scenarios.packing import FORMAT, Document, pack, write
from scenarios.recorded_ground import ground_document
from scenarios.video import route_progress

DRIVE, GROUND, TRACE = "drive.json.gz", "ground.json.gz", "trace.npz"
SAMPLE_S = 0.1  # [s] between what is kept
RANGE = 80.0  # [m] agents farther from ego are left out
# One step of a column: 1 cm, 1 mrad, 1 cm/s, 1 cm/s^2, 10 us.
STEP = {"place": 0.01, "yaw": 1e-3, "speed": 0.01, "accel": 0.01, "ms": 0.01}
COST_STEPS = 10_000  # that the largest value of a cost term is divided into


def keep_drive(folder: Path, episode: Episode, graph: LaneGraph, with_trace: bool) -> None:
    """Write into `folder` what replays need of a drive, and the whole Trace if wanted."""
    trace = episode.trace
    if trace.route is None:  # it was over before the driver's first tick
        return
    ground = ground_document(graph, trace.route)
    lights = {stop["signal"] for stop in ground["stops"]}
    write(ground, folder / GROUND)
    document = drive_document(trace, lights)
    document["infractions"] = [asdict(event) for event in episode.criteria.infractions]
    write(document, folder / DRIVE)
    if with_trace:
        trace.save(folder / TRACE)


def drive_document(trace: Trace, lights: Collection[str]) -> Document:
    """Return what the report needs of a drive, ready for JSON.

    Args:
        trace: of the driver, with at least one record and a route.
        lights: ids of the traffic lights that are kept.

    Raises:
        ValueError: the trace is empty.
    """
    if not len(trace) or trace.route is None:
        raise ValueError("drive_document.trace: expected at least one record, got an empty trace")
    t = trace.column("t")
    tick = float(np.median(np.diff(t))) if len(t) > 1 else SAMPLE_S
    stride = max(1, round(SAMPLE_S / tick))
    records = trace.records[::stride]
    return {
        "format": FORMAT,
        "t0": round(float(t[0]), 3),
        "dt": round(stride * tick, 4),
        "num": len(records),
        "ego": {
            **_track(np.array([r.ego_pose for r in records])),
            "half": [round(float(v), 2) for v in trace.header["ego_extent"]],
            "type": trace.header["ego_type"],
        },
        "agents": _agents(records, trace.agent_type),
        "signals": _signals(records, trace.header["signal_id"], lights),
        "series": _series(trace, records, stride),
        "cost": _costs(records),
        "interventions": spans(t, [_interventions(r) for r in trace.records]),
        "active": spans(t, [r.active[0] if r.active else "" for r in trace.records]),
    }


def spans(t: Array, words: Sequence[str]) -> list[list[Any]]:
    """Return [from, to, word] [s] for each stretch of the same word; empty words have none."""
    found: list[list[Any]] = []
    begin = 0
    for i in range(1, len(words) + 1):
        if i < len(words) and words[i] == words[begin]:
            continue
        if words[begin]:
            end = t[min(i, len(t) - 1)]
            found.append([round(float(t[begin]), 3), round(float(end), 3), words[begin]])
        begin = i
    return found


def _track(pose: Array) -> Document:
    """Pack (n, 3) x, y [m], yaw [rad]; yaw goes on over pi, so that its differences are small."""
    return {
        "x": pack(pose[:, 0], STEP["place"]),
        "y": pack(pose[:, 1], STEP["place"]),
        "yaw": pack(np.unwrap(pose[:, 2]), STEP["yaw"]),
    }


def _agents(records: Sequence[TickRecord], types: dict[int, str]) -> list[Document]:
    """Return one track for each stretch in which an agent was near ego without a gap."""
    rows: dict[int, list[tuple[int, Array, int]]] = {}
    for i, record in enumerate(records):
        away = np.hypot(*(record.agents[:, :2] - record.ego[:2]).T)
        for k in np.flatnonzero(away < RANGE):
            place = (i, record.agents[k], int(record.agent_kind[k]))
            rows.setdefault(int(record.agent_id[k]), []).append(place)
    tracks = []
    for agent, seen in rows.items():
        gaps = np.flatnonzero(np.diff([i for i, _, _ in seen]) > 1) + 1
        for part in np.split(np.arange(len(seen)), gaps):
            first, row, kind = seen[part[0]]
            tracks.append({
                "id": agent, "kind": kind, "type": types.get(agent, ""), "from": first,
                "half": [round(float(v), 2) for v in row[6:8]],
                **_track(np.array([seen[k][1][:3] for k in part])),
            })  # fmt: skip
    return tracks


def _signals(
    records: Sequence[TickRecord], names: Sequence[str], lights: Collection[str]
) -> dict[str, list[list[int]]]:
    """Return, by a light's id, [sample, state] whenever it changes."""
    changes: dict[str, list[list[int]]] = {}
    for column, name in enumerate(names):
        if name not in lights:
            continue
        states = [int(r.signal_state[column]) for r in records]
        changes[name] = [
            [i, state] for i, state in enumerate(states) if i == 0 or state != states[i - 1]
        ]
    return changes


def _series(trace: Trace, records: Sequence[TickRecord], stride: int) -> Document:
    """Pack what is plotted over time; of times that are measured the longest of a sample counts."""
    route = trace.route
    assert route is not None
    ego = np.array([r.ego for r in records])
    s = route_progress(route.xyz[:, :2], route.s, ego[:, :2])
    limit = np.interp(s, route.s, route.speed_limit)
    act = np.array([r.stage_s.get("act", np.nan) for r in trace.records])
    solve = np.array([r.solver[2] for r in trace.records])
    series = {
        "speed": pack(ego[:, 6], STEP["speed"]),
        "limit": pack(limit, STEP["speed"]),
        "accel": pack(ego[:, 7], STEP["accel"]),
        "lateral_accel": pack(ego[:, 8], STEP["accel"]),
        "act_ms": pack(_longest(1e3 * act, stride), STEP["ms"]),
    }
    if np.isfinite(solve).any():
        series["solve_ms"] = pack(_longest(1e3 * solve, stride), STEP["ms"])
    return series


def _longest(values: Array, stride: int) -> Array:
    """The largest of each `stride` values, nan where none is finite."""
    num = -(-len(values) // stride)
    padded = np.full(num * stride, -np.inf)
    padded[: len(values)] = np.where(np.isfinite(values), values, -np.inf)
    largest = padded.reshape(num, stride).max(axis=1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _costs(records: Sequence[TickRecord]) -> dict[str, Document]:
    """Pack the terms of the plans' cost, each in steps of its own largest value."""
    packed = {}
    for name in dict.fromkeys(name for r in records for name in r.cost):
        values = np.array([r.cost.get(name, np.nan) for r in records], dtype=float)
        values[~np.isfinite(values)] = np.nan
        largest = float(np.nanmax(np.abs(values), initial=0.0))
        packed[name] = pack(values, (largest or 1.0) / COST_STEPS)
    return packed


def _interventions(record: TickRecord) -> str:
    """What the safety layer gave as reasons."""
    return ", ".join(dict.fromkeys(i.reason for i in record.interventions))
