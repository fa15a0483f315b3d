"""Scores of proposals: the stage cost along each, on the forecast's own grid."""

from __future__ import annotations

import numpy as np

from headway.bicycle import NUM_MODEL_STATES
from headway.cost import DISCOUNT, stage_terms
from headway.types import NUM_STATES, Array


def rates(states: Array, inputs: Array, stages: Array, shared: Array) -> Array:
    """The stage cost (P, T) [1/s] of each proposal at each step, not discounted.

    Args:
        states: (P, T+1, NUM_STATES).
        inputs: (P, T, NUM_INPUTS).
        stages: (P, T+1, NUM_STAGE_PARAMS) of the same steps.
        shared: (NUM_COST_PARAMS,).
    """
    x = np.zeros((NUM_MODEL_STATES, *states.shape[:1], states.shape[1] - 1))
    x[:NUM_STATES] = np.moveaxis(states[:, 1:], -1, 0)
    # A rollout that stands has the brake on; that is no deceleration.
    x[4] = np.where(x[3] < 0.1, 0.0, x[4])
    p = np.moveaxis(stages[:, 1:], -1, 0)
    terms = stage_terms(list(x), list(np.moveaxis(inputs, -1, 0)), list(p), list(shared), np)
    return np.sum([np.broadcast_to(value, x.shape[1:]) for value in terms.values()], axis=0)


def totals(rate: Array, dt: float, begin: int = 0) -> Array:
    """Integrated and discounted cost (P,) of `rate` (P, T) [1/s] from step `begin` on."""
    t = dt * np.arange(1, rate.shape[1] + 1)
    return (rate * DISCOUNT**t * dt)[:, begin:].sum(axis=1)
