"""Jerk-optimal polynomials between two states (Werling et al. 2010, section IV; Takahashi 1989)."""

from __future__ import annotations

import numpy as np
from numba import njit

from headway.types import Array


@njit(cache=True)
def quintic(x0: float, v0: float, a0: float, x1: float, v1: float, a1: float, t: float) -> Array:
    """Coefficients (6,) of the quintic from (x0, v0, a0) to (x1, v1, a1) in `t`, lowest first.

    It minimises the integral of the squared jerk among all ways between the two (eq. 4).
    """
    c = np.empty(6)
    c[0], c[1], c[2] = x0, v0, 0.5 * a0
    x = (x1 - x0 - v0 * t - 0.5 * a0 * t * t) / t**3
    v = (v1 - v0 - a0 * t) / t**2
    a = (a1 - a0) / t
    c[3] = 10.0 * x - 4.0 * v + 0.5 * a
    c[4] = (-15.0 * x + 7.0 * v - a) / t
    c[5] = (6.0 * x - 3.0 * v + 0.5 * a) / t**2
    return c


@njit(cache=True)
def quartic(x0: float, v0: float, a0: float, v1: float, a1: float, t: float) -> Array:
    """Coefficients (6,), lowest first, from (x0, v0, a0) to speed v1 and a1 in `t`, wherever.

    The optimal end position makes the fifth order vanish (section V-B), so c[5] is 0.
    """
    c = np.zeros(6)
    c[0], c[1], c[2] = x0, v0, 0.5 * a0
    v, a = v1 - v0 - a0 * t, a1 - a0
    c[3] = (3.0 * v - a * t) / (3.0 * t * t)
    c[4] = (a * t - 2.0 * v) / (4.0 * t**3)
    return c


@njit(cache=True)
def value(c: Array, t: float) -> tuple[float, float, float, float]:
    """Value and first three derivatives of the polynomial `c` (6,) at `t`."""
    x = c[0] + t * (c[1] + t * (c[2] + t * (c[3] + t * (c[4] + t * c[5]))))
    v = c[1] + t * (2.0 * c[2] + t * (3.0 * c[3] + t * (4.0 * c[4] + t * 5.0 * c[5])))
    a = 2.0 * c[2] + t * (6.0 * c[3] + t * (12.0 * c[4] + t * 20.0 * c[5]))
    return x, v, a, 6.0 * c[3] + t * (24.0 * c[4] + t * 60.0 * c[5])


@njit(cache=True)
def squared_jerk(c: Array, t: float) -> float:
    """Integral of the squared third derivative of `c` (6,) over [0, t]."""
    p, q, r = 6.0 * c[3], 24.0 * c[4], 60.0 * c[5]
    return t * (p * p + t * (p * q + t * ((q * q + 2.0 * p * r) / 3.0
                + t * (0.5 * q * r + t * 0.2 * r * r))))  # fmt: skip
