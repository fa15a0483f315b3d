"""`headway replay`: a drive that was kept, in the Rerun viewer or as a film.

Where the bench kept no Trace one is made of what it recorded for the report: the same tracks at
10 Hz, without what the driver proposed, foresaw and planned.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carla_bridge.headless.towns import load_town
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.trace import AGENT_COLUMNS, EGO_COLUMNS, TickRecord, Trace
from headway.types import NUM_STATES, Array, Intervention, SignalState
from scenarios.packing import Document, read, unpack
from scenarios.recording import DRIVE, GROUND, TRACE
from scenarios.tick import Infraction

LOG = "drive.rrd"


@dataclass(frozen=True)
class Kept:
    """A drive that was kept.

    Attributes:
        trace: of the driver.
        graph: the town's roads.
        infractions: of the drive.
    """

    trace: Trace
    graph: LaneGraph
    infractions: tuple[Infraction, ...]


def read_kept(folder: Path) -> Kept:
    """Read the folder of `headway drive`, or of one drive of `headway bench`.

    Raises:
        ValueError: it is neither, or its town is not installed any more.
    """
    if (folder / DRIVE).is_file():
        drive, ground = read(folder / DRIVE), read(folder / GROUND)
        graph = load_town(ground["town"]).lane_graph
        whole = (folder / TRACE).is_file()
        trace = Trace.load(folder / TRACE) if whole else trace_of(drive, ground, graph)
        events = drive["infractions"]
    elif (folder / TRACE).is_file() and (folder / "lane_graph.npz").is_file():
        trace, graph = Trace.load(folder / TRACE), LaneGraph.load(folder / "lane_graph.npz")
        events = json.loads((folder / "result.json").read_text())["infractions"]
    else:
        known = sorted(folder.glob(f"drives/*/*/{DRIVE}"))
        example = f", for example {known[0].parent}" if known else ""
        raise ValueError(
            f"{folder}: expected the folder of one drive (of `headway drive`, or below the "
            f"`drives` of a bench){example}"
        )
    return Kept(trace, graph, tuple(Infraction(**event) for event in events))


def replay(folder: Path, announce: Callable[[str], None]) -> Path:
    """Write a drive's Rerun log where there is none, and open it where there is a screen."""
    from scenarios.rerun_log import write_rerun_log  # noqa: PLC0415 - rerun is slow to load

    path = folder / LOG
    if not path.is_file():
        kept = read_kept(folder)
        announce(f"writing {path}")
        write_rerun_log(kept.trace, kept.graph, path, kept.infractions)
    if has_screen():
        subprocess.Popen([sys.executable, "-m", "rerun", str(path)], start_new_session=True)
    else:
        announce(f"there is no screen here; where there is one: rerun {path}")
    return path


def film(folder: Path, path: Path, progress: Callable[[int, int], None]) -> Path:
    """Write the film of a drive to `path` (.mp4).

    Args:
        folder: of the drive.
        path: of the film.
        progress: hears how many frames of how many are done.
    """
    from scenarios.encoder import VideoConfig  # noqa: PLC0415 - libraries of video are slow to load
    from scenarios.video import write_video  # noqa: PLC0415

    kept = read_kept(folder)
    t = kept.trace.column("t")
    fps = round(1.0 / float(np.median(np.diff(t)))) if len(t) > 1 else VideoConfig().fps
    config = VideoConfig(fps=fps)
    return write_video(kept.trace, kept.graph, path, kept.infractions, config, progress)


def has_screen() -> bool:
    """Whether a window can be opened."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def trace_of(drive: Document, ground: Document, graph: LaneGraph) -> Trace:
    """Make a Trace of what was recorded of a drive (`scenarios.recording`).

    Args:
        drive, ground: the documents.
        graph: the town's roads.
    """
    num, t = drive["num"], drive["t0"] + drive["dt"] * np.arange(drive["num"])
    ego = np.zeros((num, len(EGO_COLUMNS)))
    for name, packed in {**_pose(drive["ego"]), **drive["series"]}.items():
        if name in EGO_COLUMNS:
            ego[:, EGO_COLUMNS.index(name)] = unpack(packed)
    costs = {name: unpack(packed) for name, packed in drive["cost"].items()}
    agents = _agents(drive, num)
    signals = _signals(drive, num, graph)
    records = []
    for i in range(num):
        ids, kinds, rows = agents[i]
        records.append(TickRecord(
            frame=i, t=float(t[i]), ego=ego[i], command=np.full(5, np.nan),
            agent_id=np.array(ids, np.int64), agent_kind=np.array(kinds, np.int8),
            agents=np.array(rows).reshape(-1, len(AGENT_COLUMNS)), signal_state=signals[i],
            proposals=np.zeros((0, 1, NUM_STATES)), proposals_dt=0.0, proposal_names=(),
            proposal_reasons=(), forecast=np.zeros((len(ids), 0, 2)),
            forecast_std=np.zeros((len(ids), 0)), uncertainty=0.0, plan=np.zeros((0, NUM_STATES)),
            plan_dt=np.zeros(0), plan_name="", plan_status="ok",
            cost={k: float(v[i]) for k, v in costs.items() if np.isfinite(v[i])},
            active=_at(drive["active"], t[i]), required_decel=0.0, solver=np.full(3, np.nan),
            maneuver="", goal=np.full(4, np.nan),
            interventions=tuple(
                Intervention(word, np.nan) for word in _at(drive["interventions"], t[i])
            ),
            stage_s={},
        ))  # fmt: skip
    header = {
        "town": ground["town"], "ego_extent": drive["ego"]["half"],
        "ego_type": drive["ego"]["type"], "signal_id": [str(i) for i in graph.signal_id],
    }  # fmt: skip
    types = {agent["id"]: agent["type"] for agent in drive["agents"]}
    return Trace(records, header, _route(ground), types)


def _pose(track: Document) -> Document:
    return {name: track[name] for name in ("x", "y", "yaw")}


def _at(spans: list[list], t: float) -> tuple[str, ...]:
    """The word of the span that covers `t`, if any."""
    return tuple(word for begin, end, word in spans if begin <= t < end)


def _agents(drive: Document, num: int) -> list[tuple[list[int], list[int], list[Array]]]:
    """Ids, kinds and rows (see `AGENT_COLUMNS`) of who is there, sample by sample."""
    there: list[tuple[list[int], list[int], list[Array]]] = [([], [], []) for _ in range(num)]
    for agent in drive["agents"]:
        x, y, yaw = (unpack(packed) for packed in _pose(agent).values())
        rate = np.zeros((2, len(x)))
        if len(x) > 1:
            rate = np.gradient(np.array([x, y]), drive["dt"], axis=1)
        half = np.tile(agent["half"], (len(x), 1))
        rows = np.column_stack([x, y, yaw, np.zeros(len(x)), *rate, half])
        for i, row in enumerate(rows, agent["from"]):
            ids, kinds, seen = there[i]
            ids.append(agent["id"])
            kinds.append(agent["kind"])
            seen.append(row)
    return there


def _signals(drive: Document, num: int, graph: LaneGraph) -> Array:
    """(num, S) What every light of the town shows; those far from the route are unknown."""
    states = np.full((num, len(graph.signal_id)), SignalState.UNKNOWN, dtype=np.int8)
    columns = {str(name): column for column, name in enumerate(graph.signal_id)}
    for name, changes in drive["signals"].items():
        for sample, state in changes:
            states[sample:, columns[name]] = state
    return states


def _route(ground: Document) -> Route:
    """The route's line and limits; which lanes it takes was not recorded."""
    x, y, limit = (unpack(ground["route"][name]) for name in ("x", "y", "limit"))
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    num = len(s)
    return Route(
        town=ground["town"], xyz=np.column_stack([x, y, np.zeros(num)]), s=s,
        yaw=np.arctan2(np.gradient(y), np.gradient(x)), curvature=np.zeros(num),
        lane=np.full(num, -1, np.int32), lane_s=np.zeros(num), speed_limit=limit,
    )  # fmt: skip
