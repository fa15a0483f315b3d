"""Warm starts: the last plan shifted on in time, or a proposal brought to the MPC's grid."""

from __future__ import annotations

import numpy as np

from headway.bicycle import NUM_RESIDUALS, ModelState, step
from headway.cost import CostParam, StageParam
from headway.types import Array, StateIndex
from planner.mpc.problem import Limits


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


def rolled_out(
    x0: Array, inputs: Array, dt: Array, limits: Limits, stages: Array, shared: Array
) -> tuple[Array, Array]:
    """A warm start rolled out where nothing better is to be had, finite whatever is given.

    What is not finite in the arguments counts as zero; the states are those of the model
    where they can be had, and else of a car that stands.

    Args:
        x0: (NX,).
        inputs: (N, NU); brought within bounds.
        dt: (N,) [s].
        limits: of the actuators.
        stages: (N+1, NUM_STAGE_PARAMS).
        shared: (NUM_COST_PARAMS,).

    Returns:
        States (N+1, NX) and inputs (N, NU).
    """
    low, high = limits.inputs()
    command_low, command_high = limits.commands()
    first = int(ModelState.ACCEL_CMD)
    begin, end = int(StageParam.RESIDUALS), int(StageParam.RESIDUALS) + NUM_RESIDUALS
    states = np.zeros((len(dt) + 1, len(x0)))
    states[0] = np.nan_to_num(x0, posinf=0.0, neginf=0.0)
    held = np.nan_to_num(inputs, posinf=0.0, neginf=0.0)
    car, residuals = list(shared[int(CostParam.BICYCLE) :]), np.nan_to_num(stages[:, begin:end])
    with np.errstate(all="ignore"):
        for k, interval in enumerate(dt):
            command = states[k, first:]
            least, most = (command_low - command) / interval, (command_high - command) / interval
            held[k] = np.clip(np.clip(held[k], least, most), low, high)
            states[k + 1] = step(
                list(states[k]), list(held[k]), car, list(residuals[k]), interval, np
            )
    if not np.isfinite(states).all():
        states[:] = states[0]
        states[:, int(ModelState.SPEED)] = 0.0
        held[:] = 0.0
    return states, held
