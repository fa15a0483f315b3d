"""Anti-aliased drawing on a packed image, in numba: what the video needs and no more.

An image is (h, w) uint32, red in the lowest byte (its uint8 view is RGBA). Shapes are drawn by
their signed distance in pixels: coverage is 1 inside, 0 outside and linear over the edge's pixel.
Colours are (3,) uint8.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.types import Array


@njit(cache=True)
def mix(pixel, red, green, blue, alpha):
    """Return packed `pixel` with a colour laid over it, `alpha` in [0, 1]."""
    a = np.int64(alpha * 256.0 + 0.5)
    r, g, b = pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255
    r += ((red - r) * a) >> 8
    g += ((green - g) * a) >> 8
    b += ((blue - b) * a) >> 8
    return np.uint32(r | (g << 8) | (b << 16) | 0xFF000000)


@njit(cache=True, nogil=True)
def sample(base: Array, out: Array, u0: float, v0: float, right: Array, down: Array) -> None:
    """Fill `out` from `base` through an affine map, bilinear.

    Args:
        base: (H, W) the map; what lies beyond it repeats its edge.
        out: (h, w) the image.
        u0, v0: column and row of `base` under the image's first pixel.
        right, down: (2,) change of column and row per pixel to the right and down.
    """
    rows, columns = base.shape
    step_u, step_v = np.int64(right[0] * 65536), np.int64(right[1] * 65536)
    max_u, max_v = np.int64(columns - 2) << 16, np.int64(rows - 2) << 16
    for y in range(out.shape[0]):
        u = np.int64((u0 + y * down[0]) * 65536)
        v = np.int64((v0 + y * down[1]) * 65536)
        for x in range(out.shape[1]):
            cu, cv = min(max(u, 0), max_u), min(max(v, 0), max_v)
            column, row = cu >> 16, cv >> 16
            fx, fy = (cu >> 8) & 255, (cv >> 8) & 255
            a, b = np.int64(base[row, column]), np.int64(base[row, column + 1])
            c, d = np.int64(base[row + 1, column]), np.int64(base[row + 1, column + 1])
            wd = (fx * fy) >> 8
            wb, wc = fx - wd, fy - wd
            wa = 256 - wb - wc - wd
            # Two channels at once: red and blue share a word, green has the other.
            even, odd = 0xFF00FF, 0x00FF00
            rb = ((a & even) * wa + (b & even) * wb + (c & even) * wc + (d & even) * wd) >> 8
            g = ((a & odd) * wa + (b & odd) * wb + (c & odd) * wc + (d & odd) * wd) >> 8
            out[y, x] = np.uint32((rb & even) | (g & odd) | 0xFF000000)
            u += step_u
            v += step_v


@njit(cache=True, nogil=True)
def box(
    image: Array, x: float, y: float, angle: float, half_length: float, half_width: float,
    radius: float, soft: float, color: Array, alpha: float,
) -> None:  # fmt: skip
    """Draw a rounded box.

    Args:
        image: (h, w).
        x, y: [px] centre.
        angle: [rad] of its length, clockwise on the screen from the right.
        half_length, half_width: [px].
        radius: [px] of its corners.
        soft: [px] over which its edge fades; 1 is crisp, more makes a shadow.
        color: (3,).
        alpha: in [0, 1].
    """
    height, width = image.shape
    c, s = math.cos(angle), math.sin(angle)
    reach_x = abs(c) * half_length + abs(s) * half_width + soft
    reach_y = abs(s) * half_length + abs(c) * half_width + soft
    inner_l, inner_w = max(half_length - radius, 0.0), max(half_width - radius, 0.0)
    for row in range(max(0, int(y - reach_y)), min(height, int(y + reach_y) + 2)):
        for column in range(max(0, int(x - reach_x)), min(width, int(x + reach_x) + 2)):
            dx, dy = column - x, row - y
            along = abs(dx * c + dy * s) - inner_l
            across = abs(dy * c - dx * s) - inner_w
            if along > 0.0 and across > 0.0:
                distance = math.sqrt(along * along + across * across) - radius
            else:
                distance = max(along, across) - radius
            cover = 0.5 - distance / soft
            if cover > 0.0:
                image[row, column] = mix(
                    image[row, column], color[0], color[1], color[2], min(cover, 1.0) * alpha
                )


@njit(cache=True, nogil=True)
def line(
    image: Array, mask: Array, xy: Array, half_width: float, color: Array,
    alpha_from: float, alpha_to: float,
) -> None:  # fmt: skip
    """Draw a polyline whose opacity runs from its first point to its last.

    Args:
        image: (h, w).
        mask: (h, w) float32 of zeros, and zeros again afterwards.
        xy: (n, 2) [px].
        half_width: [px].
        color: (3,).
        alpha_from, alpha_to: in [0, 1].
    """
    height, width = image.shape
    n = len(xy)
    left, right, top, bottom = width, -1, height, -1
    reach = half_width + 1.0
    for i in range(n - 1):
        ax, ay, bx, by = xy[i, 0], xy[i, 1], xy[i + 1, 0], xy[i + 1, 1]
        x0, x1 = max(0, int(min(ax, bx) - reach)), min(width, int(max(ax, bx) + reach) + 2)
        y0, y1 = max(0, int(min(ay, by) - reach)), min(height, int(max(ay, by) + reach) + 2)
        if x0 >= x1 or y0 >= y1:
            continue
        left, right, top, bottom = min(left, x0), max(right, x1), min(top, y0), max(bottom, y1)
        ex, ey = bx - ax, by - ay
        square = max(ex * ex + ey * ey, 1e-9)
        for row in range(y0, y1):
            for column in range(x0, x1):
                t = ((column - ax) * ex + (row - ay) * ey) / square
                t = min(max(t, 0.0), 1.0)
                dx, dy = column - ax - t * ex, row - ay - t * ey
                distance = math.sqrt(dx * dx + dy * dy)
                cover = min(half_width + 0.5 - distance, 1.0)
                if cover > 0.0:
                    share = (i + t) / (n - 1)
                    value = cover * (alpha_from + (alpha_to - alpha_from) * share)
                    mask[row, column] = max(mask[row, column], value)
    for row in range(top, bottom):
        for column in range(left, right):
            value = mask[row, column]
            if value > 0.0:
                image[row, column] = mix(image[row, column], color[0], color[1], color[2], value)
                mask[row, column] = 0.0


@njit(cache=True, nogil=True)
def stamp(image: Array, shape: Array, x: int, y: int, color: Array, alpha: float) -> None:
    """Draw `shape` (h, w) uint8 opacity, a text for instance, its corner at column `x`, row `y`."""
    for row in range(max(0, -y), min(shape.shape[0], image.shape[0] - y)):
        for column in range(max(0, -x), min(shape.shape[1], image.shape[1] - x)):
            value = shape[row, column]
            if value:
                image[y + row, x + column] = mix(
                    image[y + row, x + column], color[0], color[1], color[2], alpha * value / 255.0
                )


@njit(cache=True, nogil=True)
def ring(
    image: Array, x: float, y: float, radius: float, half_width: float, color: Array, alpha: float
) -> None:
    """Draw a circle's outline of `radius` and `half_width` [px]."""
    reach = radius + half_width + 1.0
    height, width = image.shape
    for row in range(max(0, int(y - reach)), min(height, int(y + reach) + 2)):
        for column in range(max(0, int(x - reach)), min(width, int(x + reach) + 2)):
            dx, dy = column - x, row - y
            off = abs(math.sqrt(dx * dx + dy * dy) - radius)
            cover = min(half_width + 0.5 - off, 1.0)
            if cover > 0.0:
                image[row, column] = mix(
                    image[row, column], color[0], color[1], color[2], cover * alpha
                )
