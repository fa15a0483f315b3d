"""What a Trace holds of a driver that shows no plan: nothing proposed and nothing forecast."""

from __future__ import annotations

import numpy as np

from headway.types import (
    NUM_INPUTS,
    NUM_STATES,
    Forecast,
    Plan,
    Proposals,
    Scene,
    StateIndex,
)

DT = 1.0  # [s] of the grid; there is no interval on it


def unplanned(scene: Scene, name: str) -> tuple[Proposals, Forecast, Plan]:
    """Return no proposals, the forecast under none of them, and a plan of no interval.

    Args:
        scene: of the tick.
        name: of who drives.
    """
    num, ego = len(scene.agents), scene.ego
    forecast = Forecast(
        dt=DT,
        agent_id=scene.agents.id,
        probability=np.zeros((0, 1)),
        mean=np.zeros((0, 1, num, 0, 3)),
        covariance=np.zeros((0, 1, num, 0, 2, 2)),
        uncertainty=np.zeros((0, 0)),
    )
    states = np.zeros((1, NUM_STATES))
    states[0, [StateIndex.X, StateIndex.Y, StateIndex.YAW]] = ego.pose
    states[0, StateIndex.SPEED], states[0, StateIndex.ACCEL] = ego.speed, ego.accel
    states[0, StateIndex.STEER] = ego.steer
    plan = Plan(states, np.zeros((0, NUM_INPUTS)), np.zeros(0), name=name)
    return Proposals.empty(0, DT), forecast, plan
