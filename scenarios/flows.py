"""Streams of vehicles through a scenario: in at the one end of a line, out at the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.road.frenet import route_index
from headway.road.route import Route
from scenarios.movers import Mover, bend_speeds
from scenarios.script import next_tick
from scenarios.spots import Spot, line_between
from scenarios.stage import Stage
from scenarios.suites.spec import Place

BICYCLES = ("vehicle.bh.crossbike", "vehicle.diamondback.century", "vehicle.gazelle.omafiets")
OUT = 2.0  # [m] before the end of the line where one leaves
LIMIT_TIME, LIMIT_WAY = 1.5, 30.0  # oncoming traffic comes from 1.5 m for each km/h and 30 m away


async def flow(
    stage: Stage,
    line: Route,
    speed: float,
    spacing: tuple[float, float],
    *,
    filled: bool = False,
    heeds: bool = False,
    offset: float = 0.0,
    models: Sequence[str] | None = None,
    in_junctions: bool = True,
) -> None:
    """Let vehicles drive along a line until broken off.

    Args:
        stage: the world.
        line: from source to sink.
        speed: [m/s] of all, where the line's bends allow it.
        spacing: [m] least and largest distance between the middles of two, drawn anew each time.
        filled: whether the line is full of them at the beginning.
        heeds: whether they brake for who is ahead; once one has run into something, all do.
        offset: [m] left of the line that they keep.
        models: blueprints; ordinary cars when None.
        in_junctions: whether one may be in a junction at the beginning.
    """
    among = stage.traffic_cars() if models is None else models
    movers: list[Mover] = []
    caps = bend_speeds(line)

    def enter(s: float) -> float:
        """Bring one in, where there is room; return the distance to the next."""
        try:
            mover = stage.launch(
                stage.choose(among), line, speed, s, offset, heeds, "scenario no lights"
            )
        except ValueError:  # somebody stands there: later
            return 0.0
        mover.caps = caps
        mover.speed = min(speed, float(np.interp(s, line.s, caps)))
        movers.append(mover)
        return float(stage.rng.uniform(*spacing))

    s, gap = line.length - OUT, 0.0
    while filled and s > 0.0:
        free = in_junctions or stage.graph.junction[line.lane[route_index(line, s)]] < 0
        gap = (enter(s) if free else 0.0) or float(stage.rng.uniform(*spacing))
        s -= gap
    try:
        while True:
            gone = [mover for mover in movers if mover.left < OUT]
            stage.remove(mover.actor for mover in gone)
            movers = [mover for mover in movers if mover not in gone]
            if not movers or movers[-1].s > gap:
                gap = enter(0.0)
            if any(mover.hit for mover in movers):
                heeds = True
                for mover in movers:
                    mover.heeds = True
            await next_tick()
    finally:
        stage.remove(mover.actor for mover in movers)


def straight_line(where: Place, length: float) -> Route:
    """The line straight on from a place, whatever lanes there are."""
    s = np.linspace(0.0, length, max(int(np.ceil(length)), 1) + 1)
    yaw = np.full(len(s), where.yaw or 0.0)
    xyz = np.stack([where.x + s * np.cos(yaw), where.y + s * np.sin(yaw), 0.0 * s + where.z], 1)
    nowhere = np.full(len(s), -1, np.int32)
    return Route("", xyz, s, yaw, 0.0 * s, nowhere, 0.0 * s, 0.0 * s)


def oncoming_line(spot: Spot, way: float = 0.0) -> Route:
    """The line of the traffic that comes towards ego at `spot`, in the oncoming lane.

    Args:
        spot: where ego meets it.
        way: [m] from there on along which ego meets it as well.
    """
    other = spot.oncoming()
    limit_kmh = 3.6 * float(other.graph.speed_limit[other.lane])
    reach = LIMIT_TIME * limit_kmh + LIMIT_WAY
    return line_between(spot.ahead(way).oncoming().back(reach), other.ahead(reach))
