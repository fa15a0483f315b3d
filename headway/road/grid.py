"""Which cells of a town's grid lie around a place."""

from __future__ import annotations

import math

from numba import njit

from headway.types import Array

FAR = 1e6  # [cells] from the grid's origin; what is farther has none


@njit(cache=True)
def is_far(origin: Array, cell: float, x: float, y: float) -> bool:
    """Whether a place has no cell whose number could be reckoned with, nan included.

    As an integer, nan is any cell of memory.
    """
    return not (abs(x - origin[0]) < FAR * cell and abs(y - origin[1]) < FAR * cell)


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
    if is_far(origin, cell, x, y):
        return 0, 0, 0, 0
    x0 = math.floor((x - reach - origin[0]) / cell)
    x1 = math.floor((x + reach - origin[0]) / cell)
    y0 = math.floor((y - reach - origin[1]) / cell)
    y1 = math.floor((y + reach - origin[1]) / cell)
    return max(x0, 0), min(x1 + 1, int(shape[0])), max(y0, 0), min(y1 + 1, int(shape[1]))
