"""Slower past who stands at the road's edge and looks across: it may set off at any moment."""

from __future__ import annotations

import numpy as np

from headway.types import AgentKind, Agents, Array
from planner import corridor
from planner.homotopies import Path
from planner.rules import STANDING

EDGE = 4.5  # [m] beside ego's way, within which it matters
ACROSS = 0.7  # sine of the angle between its heading and the road, at least
PACE = 5.0  # [m/s] from which ego stops within what such a walker leaves it
BRAKE = 2.0  # [m/s^2] with which it gets down to that
BEFORE, BEHIND = 2.0, 1.0  # [m] before and behind them that it drives so


def careful(
    path: Path, half_size: tuple[float, float], s: float, agents: Agents, seen: Array
) -> Path:
    """Return `path` with its speed bounded before walkers and bicycles that may cross it.

    Args:
        path: to drive.
        half_size: [m] half length and half width of ego.
        s: [m] of ego's centre.
        agents: the others.
        seen: (A, NUM_SEEN) of them from the route, see `planner.corridor.Seen`.
    """
    d, turn = seen[:, corridor.D], np.sin(seen[:, corridor.HEADING])
    kinds = (agents.kind == AgentKind.WALKER) | (agents.kind == AgentKind.TWO_WHEELER)
    may = kinds & (agents.speed < STANDING) & (np.abs(turn) > ACROSS) & (d * turn < 0.0)
    may &= (np.abs(d) < half_size[1] + EDGE) & (seen[:, corridor.S] > s)
    if not may.any():
        return path
    cap = np.full(len(path.s), np.inf)
    for at in seen[may, corridor.S]:
        before = np.maximum(at - BEFORE - half_size[0] - path.s, 0.0)
        bound = np.sqrt(PACE**2 + 2.0 * BRAKE * before)
        cap = np.minimum(cap, np.where(path.s < at + BEHIND, bound, np.inf))
    return path._replace(speed=np.minimum(path.speed, cap))
