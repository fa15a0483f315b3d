"""Contacts between boxes: nothing passes through anything, and blows exchange momentum.

Vehicles, walkers and props are upright oriented boxes. Broad phase: sweep along x over the boxes'
swept bounds. Narrow phase: the separating axis test of two boxes over the whole step, so that the
axis on which they met first is known even where the step carried one far into or past the other.
Resolution, a few passes over all pairs: push apart along that axis by inverse mass, and an
impulse at the contact point with restitution and friction.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from carla_bridge.headless.actors import Columns
from carla_bridge.headless.blueprints import ActorKind
from headway.types import Array
from headway.vehicle import VehicleState

PASSES = 8
SLOP = 1e-3  # [m] gap that is left between bodies
RESTITUTION = 0.1
FRICTION = 0.3  # of sheet metal on sheet metal, walkers, props
DEPENETRATION = 0.3  # [m] by which an overlap that was there before the step shrinks per step
MAX_SPIN = 8.0  # [rad/s] that blows may give: rubber and rider take the rest
EDGE = 0.02  # [m] corners this near to the foremost one belong to the touching edge
STANDING = 0.1  # [m/s] a vehicle slower than this does not give way to a walker

_VEHICLE, _WALKER = int(ActorKind.VEHICLE), int(ActorKind.WALKER)
_PROP = int(ActorKind.PROP)
_VX = int(VehicleState.VX)
_X, _Y = int(VehicleState.X), int(VehicleState.Y)


class Moving(NamedTuple):
    """The columns that a blow reads and changes: handing on a few arrays is cheap, all are not."""

    kind: Array
    pose: Array
    velocity: Array
    spin: Array
    state: Array
    skid: Array


class ContactScratch(NamedTuple):
    """Work space of `resolve_contacts`, for up to n bodies.

    Attributes:
        order: (n,) rows by their lower x.
        box: (n, 14) per row: centre x, y before and now, half sizes x, y, cos and sin of the yaw,
            inverse mass, inverse inertia, bounds of x and y of the swept box.
        pairs: (p, 2) rows whose swept bounds overlap.
        impulse: (p, 3) sum of the impulse on the second of the pair: x, y [N s], and length.
    """

    order: Array
    box: Array
    pairs: Array
    impulse: Array


def contact_scratch(n: int) -> ContactScratch:
    """Work space for `n` rows."""
    p = 16 * n + 64
    return ContactScratch(
        np.zeros(n, np.int64), np.zeros((n, 14)), np.zeros((p, 2), np.int64), np.zeros((p, 3))
    )


@njit(cache=True)
def is_body(kinds: Array, collides: Array, parent: Array, extent: Array, i: int) -> bool:
    """Whether row `i` takes part in contacts."""
    solid = _VEHICLE <= kinds[i] <= _PROP  # vehicles, walkers, props
    return solid and collides[i] and parent[i] < 0 and extent[i, 0] > 0.0


@njit(cache=True)
def _fill_box(pose: Array, previous: Array, center: Array, extent: Array, b: Array) -> None:
    """Fill one row of `ContactScratch.box` but for its masses from one row of each."""
    cos, sin = math.cos(pose[5]), math.sin(pose[5])
    off_x = cos * center[0] - sin * center[1]
    off_y = sin * center[0] + cos * center[1]
    b[0], b[1] = previous[0] + off_x, previous[1] + off_y
    b[2], b[3] = pose[0] + off_x, pose[1] + off_y
    b[4], b[5], b[6], b[7] = extent[0], extent[1], cos, sin
    rx = abs(cos) * b[4] + abs(sin) * b[5]
    ry = abs(sin) * b[4] + abs(cos) * b[5]
    b[10], b[11] = min(b[0], b[2]) - rx, max(b[0], b[2]) + rx
    b[12], b[13] = min(b[1], b[3]) - ry, max(b[1], b[3]) + ry


@njit(cache=True)
def _find_pairs(c: Columns, w: ContactScratch) -> int:
    """Rows whose swept bounds overlap, in the order of the sweep; returns how many pairs."""
    b, order, m = w.box, w.order, 0
    for i in range(c.id.shape[0]):
        kind = c.kind[i]
        if kind < _VEHICLE or kind > _PROP:  # most rows of an empty town are lights and signs
            continue
        if not is_body(c.kind, c.collides, c.parent, c.extent, i):
            continue
        _fill_box(c.pose[i], c.previous[i], c.center[i], c.extent[i], b[i])
        light = c.simulate[i] and c.mass[i] > 0.0
        b[i, 8] = 1.0 / c.mass[i] if light else 0.0
        b[i, 9] = 1.0 / c.inertia[i] if light and c.inertia[i] > 0.0 else 0.0
        k = m
        while k > 0 and b[order[k - 1], 10] > b[i, 10]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = i
        m += 1
    count = 0
    for k in range(m):
        i = order[k]
        for q in range(k + 1, m):
            j = order[q]
            if b[j, 10] > b[i, 11]:
                break
            if b[j, 12] > b[i, 13] or b[i, 12] > b[j, 13]:
                continue
            if b[i, 8] == 0.0 and b[j, 8] == 0.0:
                continue
            rise = (c.pose[j, 2] + c.center[j, 2]) - (c.pose[i, 2] + c.center[i, 2])
            if abs(rise) > c.extent[i, 2] + c.extent[j, 2]:
                continue
            if count < w.pairs.shape[0]:
                w.pairs[count, 0], w.pairs[count, 1] = min(i, j), max(i, j)
                for a in range(3):
                    w.impulse[count, a] = 0.0
                count += 1
    return count


@njit(cache=True)
def _reach(b: Array, i: int, nx: float, ny: float) -> float:
    """Half size of box `i` along a unit vector."""
    return b[i, 4] * abs(nx * b[i, 6] + ny * b[i, 7]) + b[i, 5] * abs(ny * b[i, 6] - nx * b[i, 7])


@njit(cache=True)
def first_touch(b: Array, i: int, j: int):  # noqa: PLR0912 - one test, four axes
    """Where two boxes touch in the step.

    Args:
        b: `ContactScratch.box`.
        i, j: rows.

    Returns:
        depth [m] to undo along the normal (negative: no contact), normal x, y from i to j.
    """
    enter, leave = -math.inf, math.inf
    nx, ny, depth = 0.0, 0.0, -1.0
    start_depth, sx, sy, sdepth = math.inf, 0.0, 0.0, -1.0
    apart_at_end = False
    for axis in range(4):
        row = i if axis < 2 else j
        ux, uy = b[row, 6], b[row, 7]
        if axis % 2 == 1:
            ux, uy = -uy, ux
        radius = _reach(b, i, ux, uy) + _reach(b, j, ux, uy)
        gap0 = (b[j, 0] - b[i, 0]) * ux + (b[j, 1] - b[i, 1]) * uy
        gap1 = (b[j, 2] - b[i, 2]) * ux + (b[j, 3] - b[i, 3]) * uy
        if gap0 < 0.0 or (gap0 == 0.0 and gap1 < 0.0):
            ux, uy, gap0, gap1 = -ux, -uy, -gap0, -gap1
        overlap = radius - gap0
        if overlap < start_depth:
            start_depth, sx, sy, sdepth = overlap, ux, uy, radius - gap1
        if abs(gap1) >= radius:
            apart_at_end = True
        speed = gap0 - gap1  # closing, metres per step
        if overlap <= 0.0 and speed <= 0.0:
            return -1.0, 0.0, 0.0
        if overlap <= 0.0:
            time = -overlap / speed
            if time > enter:
                enter, nx, ny, depth = time, ux, uy, radius - gap1
            leave = min(leave, (gap0 + radius) / speed)
        elif speed > 0.0:
            leave = min(leave, (gap0 + radius) / speed)
        elif speed < 0.0:
            leave = min(leave, overlap / -speed)
    if enter == -math.inf:  # they overlapped before the step
        if apart_at_end:
            return -1.0, 0.0, 0.0
        return sdepth - max(0.0, start_depth - DEPENETRATION), sx, sy
    if enter > leave or enter > 1.0:
        return -1.0, 0.0, 0.0
    return depth, nx, ny


@njit(cache=True)
def _edge(b: Array, i: int, nx: float, ny: float):
    """The corners of box `i` foremost along n: along n, and from where to where across it."""
    far, low, high = -math.inf, math.inf, -math.inf
    for turn in range(2):  # first how far, then which corners
        for k in range(4):
            u = b[i, 4] if k < 2 else -b[i, 4]
            v = b[i, 5] if k % 2 == 0 else -b[i, 5]
            x = b[i, 2] + u * b[i, 6] - v * b[i, 7]
            y = b[i, 3] + u * b[i, 7] + v * b[i, 6]
            along, across = x * nx + y * ny, -x * ny + y * nx
            if turn == 0:
                far = max(far, along)
            elif along > far - EDGE:
                low, high = min(low, across), max(high, across)
    return far, low, high


@njit(cache=True)
def contact_point(b: Array, i: int, j: int, nx: float, ny: float):
    """The middle of where the edges of two touching boxes overlap, x, y [m]."""
    far, low_i, high_i = _edge(b, i, nx, ny)
    _, low_j, high_j = _edge(b, j, -nx, -ny)
    across = 0.5 * (max(low_i, -high_j) + min(high_i, -low_j))
    return far * nx - across * ny, far * ny + across * nx


@njit(cache=True)
def _kick(c: Moving, b: Array, i: int, jx: float, jy: float, px: float, py: float) -> None:
    """Give row `i` the impulse (jx, jy) at (px, py)."""
    turn = ((px - b[i, 2]) * jy - (py - b[i, 3]) * jx) * b[i, 9]
    turn = min(max(turn, -MAX_SPIN - c.spin[i, 2]), MAX_SPIN - c.spin[i, 2])
    rx, ry = b[i, 2] - c.pose[i, 0], b[i, 3] - c.pose[i, 1]
    dx, dy = jx * b[i, 8] + turn * ry, jy * b[i, 8] - turn * rx
    c.velocity[i, 0] += dx
    c.velocity[i, 1] += dy
    c.spin[i, 2] += turn
    if c.kind[i] == _VEHICLE:
        along = dx * b[i, 6] + dy * b[i, 7]
        c.state[i, _VX] += along
        dx -= along * b[i, 6]
        dy -= along * b[i, 7]
    c.skid[i, 0] += dx
    c.skid[i, 1] += dy
    c.skid[i, 2] += turn


@njit(cache=True)
def _point_velocity(c: Moving, i: int, px: float, py: float):
    rx, ry = px - c.pose[i, 0], py - c.pose[i, 1]
    return c.velocity[i, 0] - c.spin[i, 2] * ry, c.velocity[i, 1] + c.spin[i, 2] * rx


@njit(cache=True)
def _shift(c: Moving, b: Array, i: int, x: float, y: float) -> None:
    c.pose[i, 0] += x
    c.pose[i, 1] += y
    b[i, 2] += x
    b[i, 3] += y
    if c.kind[i] == _VEHICLE:
        c.state[i, _X], c.state[i, _Y] = c.pose[i, 0], c.pose[i, 1]


@njit(cache=True)
def _blow(c: Moving, b: Array, i: int, j: int, nx: float, ny: float, total: Array) -> None:
    """Exchange momentum where the pair closes in on itself; adds what j received to `total`."""
    px, py = contact_point(b, i, j, nx, ny)
    ax, ay = _point_velocity(c, i, px, py)
    bx, by = _point_velocity(c, j, px, py)
    vx, vy = bx - ax, by - ay
    closing = vx * nx + vy * ny
    if closing > -1e-9:
        return
    arm_i = (px - b[i, 2]) * ny - (py - b[i, 3]) * nx
    arm_j = (px - b[j, 2]) * ny - (py - b[j, 3]) * nx
    give = b[i, 8] + b[j, 8] + arm_i * arm_i * b[i, 9] + arm_j * arm_j * b[j, 9]
    if give <= 0.0:
        return
    normal = -(1.0 + RESTITUTION) * closing / give
    tx, ty = -ny, nx
    arm_i = (px - b[i, 2]) * ty - (py - b[i, 3]) * tx
    arm_j = (px - b[j, 2]) * ty - (py - b[j, 3]) * tx
    give = b[i, 8] + b[j, 8] + arm_i * arm_i * b[i, 9] + arm_j * arm_j * b[j, 9]
    side = -(vx * tx + vy * ty) / give
    side = min(max(side, -FRICTION * normal), FRICTION * normal)
    jx, jy = normal * nx + side * tx, normal * ny + side * ty
    _kick(c, b, i, -jx, -jy, px, py)
    _kick(c, b, j, jx, jy, px, py)
    total[0] += jx
    total[1] += jy
    total[2] += normal


@njit(cache=True)
def _part(
    c: Moving, b: Array, i: int, j: int, depth: float, nx: float, ny: float, total: Array
) -> None:
    """Push one pair apart and exchange momentum."""
    mass_i, mass_j = b[i, 8], b[j, 8]
    turn_i, turn_j = b[i, 9], b[j, 9]
    walker_i, walker_j = c.kind[i] == _WALKER, c.kind[j] == _WALKER
    share_i, share_j = mass_i, mass_j
    if walker_i and not walker_j and mass_i > 0.0:
        share_j = 0.0
        if -(c.velocity[j, 0] * nx + c.velocity[j, 1] * ny) < STANDING:
            b[j, 8] = b[j, 9] = 0.0
    elif walker_j and not walker_i and mass_j > 0.0:
        share_i = 0.0
        if c.velocity[i, 0] * nx + c.velocity[i, 1] * ny < STANDING:
            b[i, 8] = b[i, 9] = 0.0
    shares = share_i + share_j
    if shares > 0.0:
        depth += SLOP
        _shift(c, b, i, -nx * depth * share_i / shares, -ny * depth * share_i / shares)
        _shift(c, b, j, nx * depth * share_j / shares, ny * depth * share_j / shares)
        _blow(c, b, i, j, nx, ny, total)
    b[i, 8], b[j, 8], b[i, 9], b[j, 9] = mass_i, mass_j, turn_i, turn_j


@njit(cache=True)
def resolve_contacts(c: Columns, w: ContactScratch) -> int:
    """Resolve all contacts of the step.

    Args:
        c: the table after `move_bodies`; poses and velocities are corrected in place.
        w: work space; `pairs` and `impulse` hold the outcome.

    Returns:
        how many rows of `pairs` were looked at; those that exchanged momentum have an impulse.
    """
    count = _find_pairs(c, w)
    moving = Moving(c.kind, c.pose, c.velocity, c.spin, c.state, c.skid)
    for _ in range(PASSES):
        touched = False
        for k in range(count):
            i, j = w.pairs[k, 0], w.pairs[k, 1]
            depth, nx, ny = first_touch(w.box, i, j)
            if depth > 0.0:
                _part(moving, w.box, i, j, depth, nx, ny, w.impulse[k])
                touched = True
        if not touched:
            break
    return count


@njit(cache=True)
def overlaps_any(
    c: Columns,
    x: float,
    y: float,
    z: float,
    yaw: float,
    center: Array,
    extent: Array,
    pass_props: bool,
) -> int:
    """The first row whose box overlaps one at the given pose, -1 for none.

    Args:
        c: the table.
        x, y, z, yaw: pose of the actor to be [m], [rad], our frame.
        center, extent: (3,) its box in its own frame [m].
        pass_props: props do not count.
    """
    b = np.zeros((2, 14))
    for i in range(c.id.shape[0]):
        if not is_body(c.kind, c.collides, c.parent, c.extent, i) or (
            pass_props and c.kind[i] == _PROP
        ):
            continue
        if abs(z + center[2] - c.pose[i, 2] - c.center[i, 2]) > extent[2] + c.extent[i, 2]:
            continue
        reach = math.hypot(extent[0], extent[1]) + math.hypot(c.extent[i, 0], c.extent[i, 1])
        reach += math.hypot(center[0], center[1]) + math.hypot(c.center[i, 0], c.center[i, 1])
        if math.hypot(c.pose[i, 0] - x, c.pose[i, 1] - y) > reach:
            continue
        for k in range(2):
            cos, sin = math.cos(yaw), math.sin(yaw)
            px, py, ox, oy = x, y, center[0], center[1]
            hx, hy = extent[0], extent[1]
            if k == 1:
                cos, sin = math.cos(c.pose[i, 5]), math.sin(c.pose[i, 5])
                px, py, ox, oy = c.pose[i, 0], c.pose[i, 1], c.center[i, 0], c.center[i, 1]
                hx, hy = c.extent[i, 0], c.extent[i, 1]
            b[k, 0] = b[k, 2] = px + cos * ox - sin * oy
            b[k, 1] = b[k, 3] = py + sin * ox + cos * oy
            b[k, 4], b[k, 5], b[k, 6], b[k, 7] = hx, hy, cos, sin
        apart = False
        for axis in range(4):
            row = axis // 2
            ux, uy = b[row, 6], b[row, 7]
            if axis % 2 == 1:
                ux, uy = -uy, ux
            gap = abs((b[1, 0] - b[0, 0]) * ux + (b[1, 1] - b[0, 1]) * uy)
            apart |= gap >= _reach(b, 0, ux, uy) + _reach(b, 1, ux, uy)
        if not apart:
            return i
    return -1
