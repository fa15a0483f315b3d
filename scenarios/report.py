"""Plots of a drive: speed and limit, acceleration, steering, with what happened when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from headway.trace import Trace
from scenarios.tick import Infraction
from scenarios.video import route_progress

EVENT_COLOR = {"collision": "#d62728", "red_light": "#ff7f0e", "stop_sign": "#9467bd"}
BINDING_COLOR = {"lead": "#29c7e8", "red_light": "#f0443e", "yellow_light": "#ffb020",
                 "stop_sign": "#9467bd", "walker": "#ff8a3d", "crossing": "#ffb020",
                 "give_way": "#c5b000", "exit_blocked": "#8c564b"}  # fmt: skip


def plot_drive(trace: Trace, infractions: Sequence[Infraction], path: Path) -> Path:
    """Write the plots of a drive to `path` (.png).

    Raises:
        ValueError: the trace is empty.
    """
    if not len(trace) or trace.route is None:
        raise ValueError("plot_drive.trace: expected at least one record, got an empty trace")
    figure = Figure(figsize=(12.0, 9.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    speed, accel, steer, pedals = figure.subplots(4, 1, sharex=True)
    t, route = trace.column("t"), trace.route
    places = np.column_stack([trace.column("x"), trace.column("y")])
    s = route_progress(route.xyz[:, :2], route.s, places)
    speed.plot(t, 3.6 * np.interp(s, route.s, route.speed_limit), color="#888", lw=1.2, ls="--",
               label="limit")  # fmt: skip
    speed.plot(t, 3.6 * trace.column("speed"), color="#0b84a5", lw=1.6, label="ego")
    speed.set_ylabel("speed [km/h]")
    speed.set_ylim(bottom=-1.0)
    accel.plot(t, trace.column("accel"), color="#0b84a5", lw=1.2, label="along")
    accel.plot(t, trace.column("lateral_accel"), color="#f6a600", lw=1.0, label="lateral, left +")
    accel.set_ylabel("acceleration [m/s²]")
    steer.plot(t, np.degrees(trace.column("steer")), color="#0b84a5", lw=1.2, label="front wheels")
    steer.set_ylabel("steering [deg], left +")
    pedals.plot(t, trace.column("throttle"), color="#2ca25f", lw=1.0, label="throttle")
    pedals.plot(t, trace.column("brake"), color="#d62728", lw=1.0, label="brake")
    pedals.set_ylabel("pedals")
    pedals.set_xlabel("time [s]")
    _shade_binding(speed, trace, t)
    for axes in (speed, accel, steer, pedals):
        _mark_events(axes, infractions)
        axes.grid(alpha=0.25)
        axes.legend(loc="upper right", fontsize=8, ncols=6)
    town = trace.header.get("town", "")
    figure.suptitle(f"{town}, {route.length:.0f} m, {t[-1]:.0f} s")
    figure.savefig(path)
    return path


def _shade_binding(axes: Axes, trace: Trace, t) -> None:
    """Shade the background by what bound the plan first."""
    heads = [r.active[0].partition(":")[0] if r.active else "" for r in trace.records]
    begin, named = 0, set()
    for i in range(1, len(heads) + 1):
        if i < len(heads) and heads[i] == heads[begin]:
            continue
        head = heads[begin]
        if head in BINDING_COLOR:
            axes.axvspan(t[begin], t[min(i, len(t) - 1)], color=BINDING_COLOR[head], alpha=0.16,
                         lw=0, label=None if head in named else head.replace("_", " "))  # fmt: skip
            named.add(head)
        begin = i


def _mark_events(axes: Axes, infractions: Sequence[Infraction]) -> None:
    """Draw a line at each infraction; dotted where ego is not to blame."""
    for event in infractions:
        style = "-" if event.at_fault else ":"
        axes.axvline(event.t, color=EVENT_COLOR[event.kind], lw=1.5, ls=style)
