"""Which cells of a town's grid lie around a place."""

from __future__ import annotations

import math

from numba import njit

from headway.types import Array

FAR = 1e6  # [cells] from the grid's origin; what is farther has none


@njit(cache=True)
def cells_near(
    origin: Array, cell: float, shape: Array, x: float, y: float, reach: float
) -> tuple[int, int, int, int]:
    """Find the cells that a square around a place touches.

    Args:
        origin: (2,) [m] corner of the grid.
        cell: [m] size of a cell.
        shape: (2,) number of cells.
        x, y: [m] the place; where it is not finite no cell is near.
        reach: [m] from the place to the square's sides.

    Returns:
        first and one past the last cell in x, and in y.
    """
    gx, gy, r = (x - origin[0]) / cell, (y - origin[1]) / cell, reach / cell
    if not (abs(gx) < FAR and abs(gy) < FAR):  # as an integer, nan is any cell of memory
        return 0, 0, 0, 0
    return (
        max(math.floor(gx - r), 0), min(math.floor(gx + r) + 1, int(shape[0])),
        max(math.floor(gy - r), 0), min(math.floor(gy + r) + 1, int(shape[1])),
    )  # fmt: skip
