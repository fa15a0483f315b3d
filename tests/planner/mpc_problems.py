"""Problems for the MPC's tests: a straight road, and what may stand on it."""

from __future__ import annotations

import numpy as np

from headway.cost import (
    FAR,
    MAX_OBSTACLES,
    NUM_OBSTACLE_COLUMNS,
    NUM_STAGE_PARAMS,
    CostConfig,
    StageParam,
)
from headway.types import Array
from planner.mpc.problem import NU, NX

P = StageParam
CAR = np.array([2.9, 0.001, 0.15, 0.05])
DT = np.full(20, 0.2)
CALM = np.zeros((20, NU))


def shared(**changes: float) -> Array:
    """The defaults' (NUM_COST_PARAMS,)."""
    return CostConfig(**changes).params(1.5, {}, CAR)


def initial(speed: float, y: float = 0.0) -> Array:
    """Ego on the x axis."""
    x0 = np.zeros(NX)
    x0[1], x0[3] = y, speed
    return x0


def straight_road(speed: float, dt: Array = DT, wanted: float = 12.0) -> Array:
    """Stages on the x axis for a warm start at constant speed; nothing ahead, a wide corridor."""
    stages = np.zeros((len(dt) + 1, NUM_STAGE_PARAMS))
    stages[:, P.REF_X] = speed * np.concatenate([[0.0], np.cumsum(dt)])
    stages[:, P.REF_SPEED], stages[:, P.SPEED_LIMIT] = wanted, 13.9
    stages[:, P.RIGHT], stages[:, P.LEFT] = -2.0, 2.0
    stages[:, P.STOP_AHEAD] = stages[:, P.LEAD_AHEAD] = FAR
    for j in range(MAX_OBSTACLES):
        put_obstacle(stages, j, FAR, 0.0, 1.0, 1.0)
    return stages


def put_obstacle(
    stages: Array, j: int, x: float, y: float, length: float, width: float, speed: float = 0.0,
    dt: Array = DT,
) -> None:  # fmt: skip
    """Write an obstacle that moves along x."""
    o = int(P.OBSTACLES) + NUM_OBSTACLE_COLUMNS * j
    t = np.concatenate([[0.0], np.cumsum(dt)])[: len(stages)]
    stages[:, o] = x + speed * t
    stages[:, o + 1 : o + 5] = y, 0.0, length, width


def stop_at(stages: Array, x: float) -> None:
    """Put a line where ego's centre must stop."""
    stages[:, P.STOP_AHEAD] = x - stages[:, P.REF_X]


def put_lead(stages: Array, x: float, speed: float, dt: Array = DT) -> None:
    """Put a lead whose rear is at x now, from where ego's centre would touch it."""
    t = np.concatenate([[0.0], np.cumsum(dt)])
    stages[:, P.LEAD_AHEAD] = x + speed * t - stages[:, P.REF_X]
    stages[:, P.LEAD_SPEED] = speed


def dozen() -> dict[str, tuple[Array, Array]]:
    """Initial states and stages, by what they are about."""
    out: dict[str, tuple[Array, Array]] = {}
    for speed in (4.0, 10.0):
        out[f"free at {speed:g}"] = initial(speed), straight_road(speed)
        stages = straight_road(speed)
        put_obstacle(stages, 0, 3.0 * speed, 1.9, 4.9, 2.0)
        out[f"obstacle beside the way at {speed:g}"] = initial(speed), stages
        stages = straight_road(speed)
        stop_at(stages, 0.3 * speed**2 + 5.0)
        out[f"stop line at {speed:g}"] = initial(speed), stages
        stages = straight_road(speed)
        put_lead(stages, 2.5 * speed, 0.6 * speed)
        out[f"slow lead at {speed:g}"] = initial(speed), stages
        stages = straight_road(speed)
        stages[8:, P.RIGHT] = 0.4
        out[f"corridor that shifts to the left at {speed:g}"] = initial(speed), stages
        out[f"off the lane at {speed:g}"] = initial(speed, y=-1.2), straight_road(speed)
    return out
