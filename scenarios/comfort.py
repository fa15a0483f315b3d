"""Comfort of a drive: the share of its two-second segments within nuPlan's bounds.

Bench2Drive's smoothness metric: accelerations, jerks, yaw rate and yaw acceleration at 10 Hz,
smoothed by local polynomials (Savitzky and Golay 1964), in segments of 20 samples; a segment counts
when all six stay within the bounds that nuPlan took from human drivers.
"""

from __future__ import annotations

import numpy as np

from headway.trace import Trace
from headway.types import Array

SAMPLE_S = 0.1  # [s] that the metric assumes between samples
SEGMENT = 20  # samples
# Name: lowest, highest; m/s^2, m/s^3, rad/s, rad/s^2.
BOUNDS = {
    "accel": (-4.05, 2.40),
    "lateral_accel": (-4.89, 4.89),
    "jerk": (-8.37, 8.37),
    "longitudinal_jerk": (-4.13, 4.13),
    "yaw_accel": (-1.93, 1.93),
    "yaw_rate": (-0.95, 0.95),
}


def comfort(trace: Trace) -> float:
    """Share of the drive's segments that are comfortable, see `comfortable_share`."""
    names = ("t", "accel", "lateral_accel", "yaw_rate")
    return comfortable_share(*(trace.column(name) for name in names))


def comfortable_share(t: Array, accel: Array, lateral_accel: Array, yaw_rate: Array) -> float:
    """Share of the segments that are comfortable, 1.0 for a drive shorter than one.

    Args:
        t: (n,) [s].
        accel: (n,) [m/s^2] along the car; the others beside it.
        lateral_accel: [m/s^2].
        yaw_rate: [rad/s].
    """
    if len(t) < 2 or t[-1] - t[0] < SEGMENT * SAMPLE_S:
        return 1.0
    even = np.arange(t[0], t[-1], SAMPLE_S)
    series = motion(*(np.interp(even, t, values) for values in (accel, lateral_accel, yaw_rate)))
    good = np.ones(len(even), bool)
    for name, (low, high) in BOUNDS.items():
        good &= (series[name] >= low) & (series[name] <= high)
    whole = len(even) // SEGMENT * SEGMENT
    return float(good[:whole].reshape(-1, SEGMENT).all(axis=1).mean())


def motion(accel: Array, lateral_accel: Array, yaw_rate: Array) -> dict[str, Array]:
    """What `BOUNDS` bounds, by name, from samples (n,) at 10 Hz."""
    along, across = smooth(accel, 7, 2), smooth(lateral_accel, 7, 2)
    size = np.hypot(accel, lateral_accel)
    return {
        "accel": along,
        "lateral_accel": across,
        "jerk": smooth(size, 15, 3, derivative=1),
        "longitudinal_jerk": smooth(accel, 15, 3, derivative=1),
        "yaw_accel": smooth(yaw_rate, 15, 3, derivative=1),
        "yaw_rate": smooth(yaw_rate, 15, 2),
    }


def smooth(values: Array, window: int, order: int, derivative: int = 0) -> Array:
    """Fit a polynomial around each sample and return its value, or its slope, there.

    Args:
        values: (n,) at 10 Hz; beyond the ends the last value holds.
        window: samples, odd.
        order: of the polynomial.
        derivative: 0 for the value, 1 for the slope [1/s].
    """
    half = window // 2
    offsets = SAMPLE_S * np.arange(-half, half + 1)
    weights = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))[derivative]
    padded = np.pad(values, half, mode="edge")
    return np.convolve(padded, weights[::-1], mode="valid")
