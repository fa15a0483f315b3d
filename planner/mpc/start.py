"""Warm starts: the last plan shifted on in time, or a proposal brought to the MPC's grid."""

from __future__ import annotations

import numpy as np

from headway.types import Array, StateIndex


def shifted(inputs: Array, dt: Array, by: float) -> Array:
    """Inputs (N, NU) moved `by` [s] into the future, each the mean over its interval.

    Beyond the end the inputs are zero: the commands hold.

    Args:
        inputs: (N, NU), held over each interval of `dt` (N,) [s].
        dt: see `inputs`.
        by: [s], 0 or more.
    """
    t = np.concatenate([[0.0], np.cumsum(dt)])
    total = np.vstack([np.zeros(inputs.shape[1]), np.cumsum(inputs * dt[:, None], axis=0)])
    out = np.empty_like(inputs)
    for i in range(inputs.shape[1]):
        out[:, i] = np.diff(np.interp(t + by, t, total[:, i])) / dt
    return out


def following(
    states: Array, step: float, dt: Array, command: Array, accel_lag: float, steer_lag: float
) -> Array:
    """Inputs (N, NU) under which the model about follows a trajectory.

    The commands are the trajectory's change of speed (its own acceleration means nothing where it
    stands with the brake on) and its wheel angle, each a lag earlier.

    Args:
        states: (T+1, NUM_STATES) on a grid of `step` [s]; it is held beyond its end.
        step: [s].
        dt: (N,) [s] of the grid to bring it to.
        command: (2,) acceleration and wheel angle commanded now.
        accel_lag: [s].
        steer_lag: [s].
    """
    t = np.cumsum(dt)
    given = step * np.arange(len(states))
    accel = np.gradient(states[:, StateIndex.SPEED], step)
    accel = np.interp(t + accel_lag, given, accel)
    steer = np.interp(t + steer_lag, given, states[:, StateIndex.STEER])
    commands = np.vstack([command, np.column_stack([accel, steer])])
    return np.diff(commands, axis=0) / dt[:, None]
