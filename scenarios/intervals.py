"""How sure a ratio of two sums is, whose parts come in pairs."""

from __future__ import annotations

import numpy as np

from headway.types import Array

DRAWS = 10_000


def paired_ratio(pairs: Array, seed: int = 0) -> tuple[float, float, float]:
    """Ratio of two sums and its 95 % interval (paired bootstrap, percentiles).

    Args:
        pairs: (n, 2) what stands above and below, by what is drawn again.
        seed: of the draws.

    Returns:
        The ratio, and the ends of its interval.
    """
    picks = np.random.default_rng(seed).integers(len(pairs), size=(DRAWS, len(pairs)))
    drawn = pairs[picks].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    whole = pairs.sum(axis=0)
    return float(whole[0] / whole[1]), float(low), float(high)
