"""Random numbers inside kernels: one SplitMix64 stream per agent, the same bits everywhere.

Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from headway.types import Array

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@njit(cache=True)
def mix(counter: np.uint64) -> float:
    """Number in [0, 1) of a stream's counter."""
    z = (counter ^ (counter >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z = z ^ (z >> _S31)
    return float(z >> _S11) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def uniform(state: Array, row: int) -> float:
    """Advance stream `row` of `state` (N,) uint64 and return a number in [0, 1)."""
    state[row] += _GAMMA
    return mix(state[row])


@njit(cache=True)
def chance(agent) -> float:
    """Advance the stream of `agent`, a record of VEHICLE or WALKER; a number in [0, 1)."""
    agent.rng += _GAMMA
    return mix(agent.rng)
