"""A log of a drive for the Rerun viewer, made from the Trace: boxes, ways, time series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rerun as rr

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.trace import TickRecord, Trace
from headway.types import AgentKind, Array
from scenarios.basemap import edge
from scenarios.tick import Infraction

KIND_COLOR = {
    AgentKind.VEHICLE: (200, 205, 212),
    AgentKind.TWO_WHEELER: (180, 139, 242),
    AgentKind.WALKER: (255, 138, 61),
    AgentKind.PROP: (216, 201, 163),
}
HALF_HEIGHT = {AgentKind.VEHICLE: 0.75, AgentKind.TWO_WHEELER: 0.7, AgentKind.WALKER: 0.9,
               AgentKind.PROP: 0.5}  # fmt: skip
SERIES = ("speed", "accel", "lateral_accel", "steer", "throttle", "brake", "required_decel")
STRIDE = 2  # boxes and plans are logged every other tick: 10 Hz is smooth, and half the size


def write_rerun_log(
    trace: Trace, graph: LaneGraph, path: Path, infractions: Sequence[Infraction] = ()
) -> Path:
    """Write `path` (.rrd), to be opened by `rerun PATH`.

    Raises:
        ValueError: the trace is empty.
    """
    if not len(trace) or trace.route is None:
        raise ValueError("write_rerun_log.trace: expected at least one record, got an empty trace")
    stream = rr.RecordingStream("headway")
    stream.save(str(path))
    _log_map(stream, trace, graph)
    t = trace.column("t")
    for name in SERIES:
        stream.send_columns(
            f"series/{name}",
            indexes=[rr.TimeColumn("t", duration=t)],
            columns=rr.Scalars.columns(scalars=trace.column(name)),
        )
    previous: tuple[str, ...] = ()
    for record in trace.records[::STRIDE]:
        stream.set_time("t", duration=record.t)
        _log_tick(stream, trace, record)
        if record.active != previous:
            words = ", ".join(record.active) or "free"
            stream.log("events", rr.TextLog(words, level="INFO"))
            previous = record.active
    for event in infractions:
        stream.set_time("t", duration=event.t)
        level = "ERROR" if event.at_fault else "WARN"
        stream.log("events", rr.TextLog(f"{event.kind}: {event.reason}", level=level))
    stream.flush()
    stream.disconnect()
    return path


def _log_map(stream: rr.RecordingStream, trace: Trace, graph: LaneGraph) -> None:
    """Log what stands still: lanes, route, the way that was driven."""
    stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    driving = np.flatnonzero(graph.kind == LaneKind.DRIVING)
    edges = [_raise(edge(graph, int(i), side)) for i in driving for side in (-1.0, 1.0)]
    stream.log(
        "world/lanes", rr.LineStrips3D(edges, colors=(110, 116, 124), radii=0.05), static=True
    )
    route = trace.route
    if route is not None:
        stream.log(
            "world/route",
            rr.LineStrips3D([route.xyz], colors=(98, 211, 238, 120), radii=0.4),
            static=True,
        )
    way = np.column_stack([trace.column(name) for name in ("x", "y", "z")])
    stream.log(
        "world/driven", rr.LineStrips3D([way], colors=(18, 181, 220), radii=0.1), static=True
    )


def _log_tick(stream: rr.RecordingStream, trace: Trace, record: TickRecord) -> None:
    """Log what moves."""
    half = trace.header.get("ego_extent", (2.45, 0.95))
    x, y, yaw, z = record.ego[:4]
    stream.log(
        "world/ego",
        rr.Boxes3D(
            centers=[[x, y, z + 0.75]],
            half_sizes=[[*half, 0.75]],
            rotation_axis_angles=[rr.RotationAxisAngle(axis=(0, 0, 1), radians=float(yaw))],
            colors=[(18, 181, 220)],
        ),
    )
    stream.log(
        "world/proposals",
        rr.LineStrips3D(
            [_raise(way[:, :2], z + 0.2) for way in record.proposals],
            colors=(155, 231, 176, 140), radii=0.06, labels=list(record.proposal_names),
        ),
    )  # fmt: skip
    ways = record.agents[:, None, :2] + record.forecast.astype(np.float32)
    stream.log(
        "world/forecast",
        rr.LineStrips3D(
            [_raise(way, z + 0.25) for way in ways], colors=(255, 255, 255, 150), radii=0.06
        ),
    )
    for name, value in record.cost.items():
        stream.log(f"cost/{name}", rr.Scalars(value))
    stream.log(
        "world/plan",
        rr.LineStrips3D([_raise(record.plan[:, :2], z + 0.3)], colors=(41, 199, 232), radii=0.2),
    )
    kinds = [AgentKind(int(k)) for k in record.agent_kind]
    heights = np.array([HALF_HEIGHT[k] for k in kinds])
    centers = np.column_stack([record.agents[:, :2], record.agents[:, 3] + heights])
    stream.log(
        "world/agents",
        rr.Boxes3D(
            centers=centers,
            half_sizes=np.column_stack([record.agents[:, 6:8], heights]),
            rotation_axis_angles=[
                rr.RotationAxisAngle(axis=(0, 0, 1), radians=float(a)) for a in record.agents[:, 2]
            ],
            colors=[KIND_COLOR[k] for k in kinds],
        ),
    )


def _raise(xy: Array, z: float = 0.0) -> Array:
    """(n, 3) of (n, 2) at height `z`."""
    return np.column_stack([xy, np.full(len(xy), z)])
