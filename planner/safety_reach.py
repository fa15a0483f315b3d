"""Where the others can be while ego stops, and whom the backup manoeuvre would hit.

Responsibility-sensitive safety (Shalev-Shwartz, Shammah, Shashua 2017, "On a formal model of safe
and scalable self-driving cars"). Along the road, definition 1: a gap is safe when the rear car, if
it goes on for its response time and then brakes, does not hit the front car that brakes at once,

    d > way(rear) - way(front),   way(front) = v_f^2 / (2 b_max).

Across it, definition 6: two cars are safe when each may accelerate towards the other for a response
time, then brakes sideways, and a distance mu remains. A situation is dangerous only when both are
violated. Here both are one check: at every tick of ego's backup manoeuvre (`planner.safety_backup`,
which is way(rear), and ego's own part of definition 6) the box that the other may be in must not
touch ego's. Taken tick by tick and not only at rest, the check also holds for one who brakes less
hard than ego. Who crosses the road may hold his speed, or brake, at any time: he reaches all that
lies between.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from headway.frames import wrap_angle
from headway.road.frenet import interpolate, project_line
from headway.types import AgentKind, Agents, Array
from planner.safety_backup import TICK, Backup, Road

STILL, ALONG, AGAINST, ACROSS = 0, 1, 2, 3  # how an agent moves, seen from ego's road
STANDS = 0.5  # [m/s] below it a vehicle stands, a walker below a tenth of it
ALIGNED = 0.6  # [rad] to the road, within which one drives along it
BEND = 0.2  # [rad] of a road through a junction, beyond which who comes towards ego may leave it
BESIDE = 8.0  # [m] beside ego, beyond which ego's road is not the other's
WALKER, PROP = int(AgentKind.WALKER), int(AgentKind.PROP)
ALONGSIDE = 5.0  # [m] ahead of ego, up to which one is taken to be beside it
TURNS = 0.05  # [rad/s] above it one turns
CLOSER = 0.01  # [m] in a tick that the model may be wrong
HARDEST = 12.0  # [m/s^2] with which ego may brake, engine and all
STRETCH = 3.0  # [m] by which a box may be longer than ego to stand for a piece of its path
NEVER = 1 << 30


class Limits(NamedTuple):
    """What the others keep to; see `planner.safety.SafetyConfig`."""

    brake: float
    faster: float
    turn_time: float
    vehicle_time: float
    lateral_response: float
    lateral_accel: float
    lateral_brake: float
    rear_response: float
    rear_brake: float
    margin: float
    margin_ahead: float
    range_m: float


class Hits(NamedTuple):
    """Whom a backup manoeuvre hits first, -1 for nobody, and at which of its ticks.

    Attributes:
        ahead: row of an agent whose centre is before ego's (who crosses or stands: whose body is
            before ego's rear): ego has to answer for it.
        ahead_tick: of the hit.
        behind: row of an agent that is not: ego answers for it only if it moves into its way.
        behind_tick: of the hit.
        behind_beside: whether ego is not yet in that agent's way.
    """

    ahead: int
    ahead_tick: int
    behind: int
    behind_tick: int
    behind_beside: bool


def find_hits(backup: Backup, extent: Array, road: Road, agents: Agents, limits: Limits) -> Hits:
    """Whom ego would hit.

    Args:
        backup: how ego stops.
        extent: (2,) half length, half width of ego [m].
        road: ego's.
        agents: the others.
        limits: what they keep to.
    """
    if backup.way < 1e-3 or len(agents) == 0:  # who stands hits nobody
        return Hits(-1, NEVER, -1, NEVER, False)
    return Hits(
        *first_hits(
            backup.path, extent, road.xyz, road.yaw, road.s, road.d, road.alone_to, agents.pose,
            agents.velocity, agents.yaw_rate, agents.extent, agents.kind, backup.late, limits,
        )
    )  # fmt: skip


@njit(cache=True)
def boxes_touch(
    x0: float, y0: float, yaw0: float, l0: float, w0: float,
    x1: float, y1: float, yaw1: float, l1: float, w1: float,
) -> bool:  # fmt: skip
    """Whether two oriented boxes (centre, yaw, half length, half width) touch: separating axes."""
    dx, dy = x1 - x0, y1 - y0
    if dx * dx + dy * dy > (l0 + w0 + l1 + w1) ** 2:
        return False
    c0, s0, c1, s1 = math.cos(yaw0), math.sin(yaw0), math.cos(yaw1), math.sin(yaw1)
    c, s = abs(c0 * c1 + s0 * s1), abs(c0 * s1 - s0 * c1)
    if abs(dx * c0 + dy * s0) > l0 + l1 * c + w1 * s:
        return False
    if abs(dy * c0 - dx * s0) > w0 + l1 * s + w1 * c:
        return False
    if abs(dx * c1 + dy * s1) > l1 + l0 * c + w0 * s:
        return False
    return abs(dy * c1 - dx * s1) <= w1 + l0 * s + w0 * c


@njit(cache=True)
def travelled(t: float, speed: float, hold: float, brake: float) -> float:
    """Way [m] made in `t` [s] by who holds `speed` [m/s] for `hold` [s] and then brakes to rest."""
    if t <= hold:
        return speed * t
    braking = min(t - hold, speed / brake)
    return speed * hold + speed * braking - 0.5 * brake * braking * braking


@njit(cache=True)
def lateral_reach(t: float, speed: float, response: float, accel: float, brake: float) -> float:
    """Way [m] made sideways in `t` [s] by definition 6; not negative.

    Args:
        t: [s].
        speed: [m/s] towards ego.
        response: [s] for which one may accelerate towards ego.
        accel: [m/s^2] with which.
        brake: [m/s^2] with which one then brakes sideways.
    """
    first = min(t, response)
    way = speed * first + 0.5 * accel * first * first
    at_response = speed + accel * response
    if t > response and at_response > 0.0:
        way += travelled(t - response, at_response, 0.0, brake)
    return max(way, 0.0)


@njit(cache=True)
def motion_of(kind: int, speed: float, rel: float, beside: float, bend: float, alone: bool) -> int:
    """How an agent moves, seen from ego's road.

    Args:
        kind: `AgentKind`.
        speed: [m/s].
        rel: [rad] from the road's direction beside it to its course.
        beside: [m] from ego's line.
        bend: [rad] between the road's directions beside it and beside ego.
        alone: whether no junction lies between it and ego.
    """
    if kind == PROP or speed < (0.1 * STANDS if kind == WALKER else STANDS):
        return STILL
    if kind == WALKER or abs(beside) > BESIDE:
        return ACROSS
    if abs(rel) < ALIGNED:
        return ALONG
    # Through a junction's bend nobody can say where who comes towards us is bound for.
    if abs(rel) > math.pi - ALIGNED and (alone or abs(bend) < BEND):
        return AGAINST
    return ACROSS


@njit(cache=True)
def first_hits(
    path: Array,
    extent: Array,
    xyz: Array,
    yaw: Array,
    s: Array,
    d: float,
    alone_to: float,
    pose: Array,
    velocity: Array,
    yaw_rate: Array,
    other_extent: Array,
    kind: Array,
    late: int,
    limits: Limits,
) -> tuple[int, int, int, int, bool]:
    """Find whom a backup manoeuvre hits first, ahead and behind.

    Args:
        path: (n, 4) see `Backup`.
        extent: (2,) half sizes of ego [m].
        xyz: (M, 3) of the road, yaw and s (M,).
        yaw: see `xyz`.
        s: see `xyz`.
        d: [m] how far left of it ego is.
        alone_to: [m] where its next junction begins.
        pose: (A, 3), velocity (A, 2), yaw_rate (A,), other_extent (A, 2), kind (A,) of the agents.
        velocity: see `pose`.
        yaw_rate: see `pose`.
        other_extent: see `pose`.
        kind: see `pose`.
        late: see `Backup`.
        limits: what they keep to.

    Returns:
        The fields of `Hits`.
    """
    last = len(s) - 1
    best, best_k, side, side_k, side_free = -1, NEVER, -1, NEVER, False
    cos, sin = math.cos(path[0, 2]), math.sin(path[0, 2])
    road_yaw = project_line(xyz, yaw, s, 0, last, 0, last, path[0, 0], path[0, 1])[2]
    duration = TICK * (len(path) - 1)
    for a in range(len(pose)):
        dx, dy = pose[a, 0] - path[0, 0], pose[a, 1] - path[0, 1]
        speed = math.hypot(velocity[a, 0], velocity[a, 1])
        size = extent[0] + extent[1] + other_extent[a, 0] + other_extent[a, 1]
        reach = path[-1, 3] + limits.faster * speed * duration + size + 3.0
        if dx * dx + dy * dy > min(reach, limits.range_m) ** 2:
            continue
        at, beside, foot_yaw = project_line(xyz, yaw, s, 0, last, 0, last, pose[a, 0], pose[a, 1])
        course = math.atan2(velocity[a, 1], velocity[a, 0]) if speed > 0.1 else pose[a, 2]
        rel = wrap_angle(course - foot_yaw)
        bend = wrap_angle(foot_yaw - road_yaw)
        motion = motion_of(kind[a], speed, rel, beside - d, bend, at < alone_to)
        # Who crosses can still be run into, or run into ego's moving side, until ego has passed;
        # who stands can be swept by its rear in a bend.
        turn = pose[a, 2] - path[0, 2]
        half = abs(math.cos(turn)) * other_extent[a, 0] + abs(math.sin(turn)) * other_extent[a, 1]
        rear = -extent[0] - half if motion in (STILL, ACROSS) else 0.0
        ahead = dx * cos + dy * sin >= rear
        if not ahead and motion != ALONG:
            continue
        walks = kind[a] == WALKER
        found = NEVER
        for straight_after in (limits.turn_time, limits.vehicle_time):
            # Who turns may go on to turn, or not: as long as one of both misses ego, let him.
            tick = hit_tick(
                path, extent, xyz, yaw, s, d, pose[a], speed, course, yaw_rate[a],
                other_extent[a], NEVER if walks else int(limits.vehicle_time / TICK) + 1,
                0.0 if walks else straight_after, motion, ahead, at, beside, foot_yaw,
                best_k if ahead else side_k, late, walks, limits,
            )  # fmt: skip
            found = tick if found == NEVER else max(found, tick)
            if tick == NEVER or walks or motion != ACROSS or abs(yaw_rate[a]) < TURNS:
                break
        if ahead and found < best_k:
            best, best_k = a, found
        elif not ahead and found < side_k:
            side, side_k = a, found
            side_free = abs(beside - d) > extent[1] + other_extent[a, 1]
    return best, best_k, side, side_k, side_free


@njit(cache=True)
def clearance(ego: Array, extent: Array, pose: Array, other_extent: Array, most: float) -> float:
    """How much wider [m] to each side ego may be, up to `most`, without touching the other."""
    low, high = 0.0, most
    for step in range(8):
        wider = high if step == 0 else 0.5 * (low + high)
        if boxes_touch(
            ego[0], ego[1], ego[2], extent[0], extent[1] + wider,
            pose[0], pose[1], pose[2], other_extent[0], other_extent[1],
        ):  # fmt: skip
            high = wider
        else:
            low = wider
        if step == 0 and low == most:
            break
    return low


@njit(cache=True)
def span_at(
    t: float, motion: int, ahead: bool, alongside: bool, speed: float, forward: float,
    walks: bool, limits: Limits,
) -> tuple[float, float]:  # fmt: skip
    """Least and largest way [m] that an agent may have made in `t` [s] on its course.

    Args:
        t: [s].
        motion: see `motion_of`.
        ahead: whether it is before ego.
        alongside: whether it is beside ego or not far ahead.
        speed: [m/s].
        forward: [m/s] of that along the road.
        walks: on foot one stands at once.
        limits: what it keeps to.
    """
    if motion == STILL:
        return 0.0, 0.0
    if motion != ALONG:
        least = 0.0 if walks else travelled(t, speed, 0.0, limits.brake)
        return least, limits.faster * speed * t
    near = travelled(t, forward, 0.0, limits.brake)
    if not ahead:
        return near, travelled(t, forward, limits.rear_response, limits.rear_brake)
    # One beside ego may stay there or fall back; of one farther ahead only the rear counts.
    return near, (forward * t if alongside else near)


@njit(cache=True)
def ego_touches(
    path: Array, row: int, tail: float, extent: Array, nose: float, margin: float,
    x1: float, y1: float, yaw1: float, l1: float, w1: float,
) -> bool:  # fmt: skip
    """Whether ego, at `row` of its path or up to `tail` [m] behind on it, touches a box.

    What lies behind is taken in boxes no longer than `STRETCH` more than ego: one long box would
    stand out of a bend.
    """
    least, ahead = path[row, 3] - tail, nose
    while True:
        low = max(path[row, 3] - STRETCH, least)
        stretch = path[row, 3] - low
        c, n = math.cos(path[row, 2]), math.sin(path[row, 2])
        shift = 0.5 * (ahead - stretch)
        if boxes_touch(
            path[row, 0] + shift * c, path[row, 1] + shift * n, path[row, 2],
            extent[0] + 0.5 * (ahead + stretch), extent[1] + margin, x1, y1, yaw1, l1, w1,
        ):  # fmt: skip
            return True
        if low <= least or row == 0:
            return False
        row, ahead = row - 1, 0.0
        while row > 0 and path[row - 1, 3] >= low:
            row -= 1


@njit(cache=True)
def hit_tick(
    path, extent, xyz, yaw, s, d, pose, speed, course, yaw_rate, other_extent,
    believed, turn_time, motion, ahead, at, beside, foot_yaw, before, late, walks, limits,
):  # fmt: skip
    """First tick, less than `before`, at which ego touches where one agent may be, or `NEVER`."""
    last, num = len(s) - 1, len(path)
    margin, nose = limits.margin, limits.margin_ahead
    dx, dy = pose[0] - path[0, 0], pose[1] - path[0, 1]
    across = abs(dy * math.cos(path[0, 2]) - dx * math.sin(path[0, 2]))
    along = dx * math.cos(path[0, 2]) + dy * math.sin(path[0, 2])
    if motion != ACROSS and across > extent[1] + other_extent[1]:
        # Who is closer already than we would have him be must only not come much closer.
        kept = clearance(path[0], extent, pose, other_extent, margin + CLOSER)
        margin = min(margin, max(kept - CLOSER, 0.0))
        if along < extent[0] + other_extent[0]:
            nose = 0.0
    alongside = along - extent[0] - other_extent[0] < ALONGSIDE
    rel = course - foot_yaw
    sideways = speed * math.sin(rel) * (1.0 if d > beside else -1.0)
    forward = speed * abs(math.cos(rel))
    end = num + (late if motion == ACROSS else 0)
    if motion == ACROSS:
        end = min(end, believed)
    elif not ahead and motion == ALONG:
        end = num + int((limits.rear_response + forward / limits.rear_brake) / TICK) + 1
    for k in range(min(end, before)):
        t = TICK * k
        p = min(k, num - 1)
        near, far = span_at(t, motion, ahead, alongside, speed, forward, walks, limits)
        tail = 0.0
        if motion in (AGAINST, ACROSS):
            # Ego may brake harder than it relies upon and be in his way for longer.
            tail = max(path[p, 3] - travelled(t, path[1, 3] / TICK, 0.0, HARDEST), 0.0)
        drift = lateral_reach(
            t, sideways, limits.lateral_response, limits.lateral_accel, limits.lateral_brake
        )
        offset = beside + (0.5 * drift if d > beside else -0.5 * drift)
        width = other_extent[1] + (0.5 * drift if motion in (ALONG, AGAINST) else 0.0)
        pieces = 1 + int((far - near) / other_extent[0])
        for piece in range(pieces + (far > near)):
            way = near + (far - near) * piece / pieces
            x1, y1, yaw1 = pose[0], pose[1], pose[2]
            if motion in (ALONG, AGAINST):
                here = at + (way if motion == ALONG else -way)
                x1, y1, _, turned = interpolate(xyz, yaw, s, 0, last, here)
                x1 -= offset * math.sin(turned)
                y1 += offset * math.cos(turned)
                yaw1 += turned - foot_yaw
            elif motion == ACROSS:
                turn = yaw_rate * min(way / speed, turn_time)
                x1 += way * math.cos(course + 0.5 * turn)
                y1 += way * math.sin(course + 0.5 * turn)
                yaw1 += turn
            if ego_touches(
                path, p, tail, extent, nose, margin, x1, y1, yaw1, other_extent[0], width
            ):
                return k
    return NEVER
