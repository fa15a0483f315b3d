"""What a solution says of itself: its cost by terms, and the constraints that bind it."""

from __future__ import annotations

import numpy as np

from headway.cost import (
    MAX_OBSTACLES,
    NUM_ROWS,
    ROW_FAMILY,
    Family,
    rows,
    stage_terms,
    stage_weights,
)
from headway.types import Array
from planner.bounds import BoundList
from planner.mpc.solver import Solution
from planner.mpc.stages import Sources

# [in each row's own scale] how near to its limit a constraint counts as binding.
NEAR = {Family.COLLISION: 0.02, Family.CORRIDOR: 0.02, Family.LIMIT: 0.03, Family.STOP: 0.15}
LIMIT_NAMES = ("limit", "curve", "standing", "lateral_accel", "lateral_accel")


def cost_terms(solution: Solution, stages: Array, shared: Array, dt: Array) -> dict[str, float]:
    """The plan's cost by terms, without its last stage."""
    q = stage_weights(dt)[:-1]
    terms = stage_terms(
        list(solution.states[:-1].T), list(solution.inputs.T), list(stages[:-1].T), list(shared), np
    )
    return {term: float(q @ value) for term, value in terms.items()}


def binding(
    solution: Solution, stages: Array, shared: Array, sources: Sources, bounds: BoundList,
    agent_id: Array,
) -> tuple[tuple[str, ...], list[int]]:  # fmt: skip
    """Names of the constraints that bind somewhere in the plan, the earliest first.

    Args:
        solution: of the solver.
        stages: (N+1, NUM_STAGE_PARAMS) that it was solved with.
        shared: (NUM_COST_PARAMS,) the same.
        sources: of the stages.
        bounds: that their stops and leads come from.
        agent_id: (A,) ids.

    Returns:
        The names, and the indices of the `bounds` among them.
    """
    found = rows(list(solution.states.T), list(stages.T), list(shared), np)
    h = np.stack([np.broadcast_to(value, len(stages)) for _, value in found])
    near = h < np.array([NEAR[family] for family in ROW_FAMILY])[:, None]
    near[:, 0] = near[:, 1]  # what is now cannot be changed
    first = np.where(near.any(axis=1), near.argmax(axis=1), len(stages))
    names: dict[str, None] = {}
    which: list[int] = []
    for row in np.argsort(first, kind="stable"):
        k = int(first[row])
        if k == len(stages):
            break
        if row < MAX_OBSTACLES:
            if (agent := sources.obstacles[row]) >= 0:
                names[f"obstacle:{agent_id[agent]}"] = None
        elif ROW_FAMILY[row] == Family.CORRIDOR:
            names["corridor"] = None
        elif ROW_FAMILY[row] == Family.LIMIT:
            name = LIMIT_NAMES[row - MAX_OBSTACLES - 2]
            if name != "standing":
                names[name] = None
        else:
            b = int((sources.leads if row == NUM_ROWS - 1 else sources.stops)[k])
            if b >= 0:
                which.append(b)
                names[bounds.reasons[b]] = None
    return tuple(names), which
