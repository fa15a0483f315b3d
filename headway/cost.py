"""The stage cost: one definition for MPC, the scoring of proposals, reward and V.

The cost is a rate [1/s], to be integrated over dt and discounted by `DISCOUNT` ** t, t in seconds:

    c(x, u) = w_p (v_p - v) / 10 + 1/2 sum_i w_i r_i(x, u)^2
              + sum_f (lambda_f v_f(x) + 1/2 mu_f v_f(x)^2)

The first term is progress: linear, and the same everywhere, so that no place is worth waiting at
because the road beyond it is faster; how fast one may be is a soft constraint. `r_i` are residuals
scaled so that 1 is as much as a passenger would put up with for long (`Term`); `v_f` is by how much
the worst row of a family of soft constraints is violated (`Family`). It knows the road, the rules
and the others, through `StageParam`, and never a proposal's own reference.

Like `headway.bicycle`, all of it takes its mathematics as `xp` (numpy, torch or casadi) and its
arguments as sequences of components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from typing import Any

import numpy as np

from headway.bicycle import (
    NUM_BICYCLE_PARAMS,
    NUM_RESIDUALS,
    BicycleParam,
    ModelState,
    curvature,
    lateral_accel,
)
from headway.types import Array

DISCOUNT = 0.95  # per second
MAX_OBSTACLES = 12
FAR = 1e3  # [m] where nothing is ahead
TERMINAL_S = 2.0  # [s] of the last stage's cost that stand for what follows, until there is a V
OPENS = 2.0  # [s] within which a lead that is faster makes up the gap that is missing
PROGRESS_SPEED = 40.0  # [m/s] at which progress costs nothing; nobody is faster


class Term(IntEnum):
    """Terms of the stage cost, those after the first with the scale at which a residual is 1."""

    PROGRESS = 0  # per 10 m/s that are missing to PROGRESS_SPEED
    LATERAL = 1  # off the centre of the lane that ego is in, 1 m
    HEADING = 2  # to the lane, 0.25 rad
    ACCEL = 3  # 2 m/s^2
    LATERAL_ACCEL = 4  # 2.5 m/s^2
    JERK = 5  # 3 m/s^3
    LATERAL_JERK = 6  # 3 m/s^3
    STEER_RATE = 7  # 0.5 rad/s


NUM_TERMS = len(Term)


class Family(IntEnum):
    """Families of soft constraints; the worst row of each counts."""

    COLLISION = 0  # overlap with an obstacle's inflated shape, in shares of its size
    CORRIDOR = 1  # [m] beyond the road that may be used
    LIMIT = 2  # speed limit, lateral acceleration, no reversing; each in its own scale
    STOP = 3  # stop lines and leads, in metres


NUM_FAMILIES = len(Family)


class StageParam(IntEnum):
    """What the cost of one stage knows; `OBSTACLES` begins a block of MAX_OBSTACLES Obstacle rows.

    The reference point is the foot of ego on the route.
    """

    REF_X = 0  # [m] map frame
    REF_Y = 1  # [m]
    REF_YAW = 2  # [rad]
    REF_CURVATURE = 3  # [1/m]
    REF_SPEED = 4  # [m/s] that limits, curves and the goal allow
    SPEED_LIMIT = 5  # [m/s]
    LANE_OFFSET = 6  # [m] centre of the lane that ego is in, left of the route
    RIGHT = 7  # [m] least offset of ego's centre from the route (left positive)
    LEFT = 8  # [m] largest
    STOP_AHEAD = 9  # [m] from the reference point to where ego's centre must stop
    LEAD_AHEAD = 10  # [m] to where ego's centre would touch the lead
    LEAD_SPEED = 11  # [m/s] along the route
    RESIDUALS = 12  # block of NUM_RESIDUALS of the world model
    OBSTACLES = 16


class Obstacle(IntEnum):
    """Columns of an obstacle in a stage."""

    X = 0  # [m] map frame
    Y = 1  # [m]
    YAW = 2  # [rad]
    LENGTH = 3  # [m] half axis along YAW (ego's): both bodies, margin and share of the covariance
    WIDTH = 4  # [m] half axis across it


NUM_OBSTACLE_COLUMNS = len(Obstacle)
NUM_STAGE_PARAMS = int(StageParam.OBSTACLES) + MAX_OBSTACLES * NUM_OBSTACLE_COLUMNS
assert int(StageParam.RESIDUALS) + NUM_RESIDUALS == int(StageParam.OBSTACLES)


class CostParam(IntEnum):
    """What all stages share; blocks name their first entry."""

    WEIGHT = 0  # w of each `Term`
    LINEAR = 8  # lambda of each `Family`
    QUADRATIC = 12  # mu of each `Family`
    LATERAL_ACCEL_MAX = 16  # [m/s^2]
    STOP_BRAKE = 17  # [m/s^2] with which ego comes to rest at lines and behind leads
    TIME_GAP = 18  # [s] to a lead
    STANDING_GAP = 19  # [m] to a lead that stands
    BICYCLE = 20  # block of NUM_BICYCLE_PARAMS


NUM_COST_PARAMS = int(CostParam.BICYCLE) + NUM_BICYCLE_PARAMS

Components = Sequence[Any]


@dataclass
class CostConfig:
    """Weights and limits of the stage cost.

    Attributes:
        weight: of each `Term`, by lower-case name.
        linear: lambda of each `Family`, by lower-case name.
        quadratic: mu of each `Family`.
        lateral_accel_max: [m/s^2].
        stop_brake: [m/s^2].
        standing_gap: [m].
    """

    weight: dict[str, float] = field(
        default_factory=lambda: {
            "progress": 1.5, "lateral": 0.6, "heading": 0.3, "accel": 1.0, "lateral_accel": 0.15,
            "jerk": 0.12, "lateral_jerk": 0.15, "steer_rate": 0.05,
        }
    )  # fmt: skip
    linear: dict[str, float] = field(
        default_factory=lambda: {"collision": 30.0, "corridor": 6.0, "limit": 2.0, "stop": 3.0}
    )
    quadratic: dict[str, float] = field(
        default_factory=lambda: {"collision": 60.0, "corridor": 12.0, "limit": 4.0, "stop": 3.0}
    )
    lateral_accel_max: float = 3.0
    stop_brake: float = 2.0
    standing_gap: float = 2.5

    def __post_init__(self) -> None:
        for name, keys in (("weight", Term), ("linear", Family), ("quadratic", Family)):
            given, wanted = set(getattr(self, name)), {key.name.lower() for key in keys}
            if given != wanted:
                raise ValueError(
                    f"CostConfig.{name}: expected the keys {', '.join(sorted(wanted))}, "
                    f"got {', '.join(sorted(given))}"
                )
            if not all(value >= 0.0 for value in getattr(self, name).values()):
                raise ValueError(f"CostConfig.{name}: expected values >= 0, got {given}")
        for name in ("lateral_accel_max", "stop_brake", "standing_gap"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"CostConfig.{name}: expected > 0, got {getattr(self, name)!r}")

    def params(self, time_gap: float, style: Mapping[str, float], bicycle: Array) -> Array:
        """(NUM_COST_PARAMS,) for one goal.

        Args:
            time_gap: [s] of the goal.
            style: factors by a term's name; those that are no term are left out.
            bicycle: (NUM_BICYCLE_PARAMS,) of the car.
        """
        out = np.empty(NUM_COST_PARAMS)
        for term in Term:
            name = term.name.lower()
            out[CostParam.WEIGHT + term] = self.weight[name] * style.get(name, 1.0)
        for family in Family:
            name = family.name.lower()
            out[CostParam.LINEAR + family] = self.linear[name]
            out[CostParam.QUADRATIC + family] = self.quadratic[name]
        out[CostParam.LATERAL_ACCEL_MAX] = self.lateral_accel_max
        out[CostParam.STOP_BRAKE] = self.stop_brake
        out[CostParam.TIME_GAP] = time_gap
        out[CostParam.STANDING_GAP] = self.standing_gap
        out[CostParam.BICYCLE :] = bicycle
        return out


def road_frame(state: Components, p: Components, xp: Any) -> tuple[Any, Any, Any]:
    """Where ego is relative to the reference point, on the circle that the route is there.

    Returns:
        along [m] past it, offset [m] left of the route, heading error [rad].
    """
    c, s = xp.cos(p[StageParam.REF_YAW]), xp.sin(p[StageParam.REF_YAW])
    dx = state[ModelState.X] - p[StageParam.REF_X]
    dy = state[ModelState.Y] - p[StageParam.REF_Y]
    along = c * dx + s * dy
    bend = p[StageParam.REF_CURVATURE]
    offset = c * dy - s * dx - 0.5 * bend * along * along
    heading = state[ModelState.YAW] - p[StageParam.REF_YAW] - bend * along
    return along, offset, heading


def residuals(
    state: Components, control: Components | None, p: Components, g: Components, xp: Any
) -> list[Any]:
    """Scaled residuals of the terms after `PROGRESS`, without inputs only those of the state.

    Args:
        state: components as in `ModelState`.
        control: jerk [m/s^3] and steering rate [rad/s], or None at the end.
        p: components as in `StageParam`.
        g: components as in `CostParam`.
        xp: numpy, torch or casadi.
    """
    car = g[int(CostParam.BICYCLE) :]
    _, offset, heading = road_frame(state, p, xp)
    speed = state[ModelState.SPEED]
    out = [
        offset - p[StageParam.LANE_OFFSET],
        xp.sin(heading) / 0.25,
        state[ModelState.ACCEL] / 2.0,
        lateral_accel(state, car, xp) / 2.5,
    ]
    if control is not None:
        jerk, steer_rate = control
        length = car[BicycleParam.WHEELBASE]
        out += [jerk / 3.0, speed * speed * steer_rate / length / 3.0, steer_rate / 0.5]
    return out


def progress_cost(state: Components, g: Components) -> Any:
    """What is missing of progress, a rate [1/s]."""
    missing = PROGRESS_SPEED - state[ModelState.SPEED]
    return g[CostParam.WEIGHT + Term.PROGRESS] * missing / 10.0


def rows(state: Components, p: Components, g: Components, xp: Any) -> list[tuple[Family, Any]]:
    """Soft constraints, each h >= 0 where it holds.

    Obstacles are balls of the 4-norm in the frame of `Obstacle.YAW`, which hug two boxes closer
    than ellipses do (docs/decisions/0007). A stop line holds where ego, braking with b from now on,
    would come to rest before it: s + v^2 / 2b <= s_stop. Behind a lead it would come down to the
    lead's speed before only standing and time gap are left:
    s + s_0 + v T + (v - v_l)^2 / 2b <= s_l. One that drives off faster needs less, as in IDM: ego
    has the gap in `OPENS` seconds without braking.
    """
    along, offset, _ = road_frame(state, p, xp)
    speed = state[ModelState.SPEED]
    out: list[tuple[Family, Any]] = []
    for j in range(MAX_OBSTACLES):
        o = p[int(StageParam.OBSTACLES) + NUM_OBSTACLE_COLUMNS * j :]
        c, s = xp.cos(o[Obstacle.YAW]), xp.sin(o[Obstacle.YAW])
        dx, dy = state[ModelState.X] - o[Obstacle.X], state[ModelState.Y] - o[Obstacle.Y]
        a = ((c * dx + s * dy) / o[Obstacle.LENGTH]) ** 2
        b = ((c * dy - s * dx) / o[Obstacle.WIDTH]) ** 2
        out.append((Family.COLLISION, xp.sqrt(xp.sqrt(a * a + b * b + 1e-8)) - 1.0))
    out += [
        (Family.CORRIDOR, p[StageParam.LEFT] - offset),
        (Family.CORRIDOR, offset - p[StageParam.RIGHT]),
    ]
    car = g[int(CostParam.BICYCLE) :]
    most = g[CostParam.LATERAL_ACCEL_MAX]
    sideways = speed * speed * curvature(speed, state[ModelState.STEER], car, xp)
    out += [
        (Family.LIMIT, (p[StageParam.SPEED_LIMIT] - speed) / 2.0),
        (Family.LIMIT, (p[StageParam.REF_SPEED] - speed) / 4.0),
        (Family.LIMIT, speed / 0.25),
        (Family.LIMIT, most - sideways),
        (Family.LIMIT, most + sideways),
    ]
    brake = 2.0 * g[CostParam.STOP_BRAKE]
    faster = speed - p[StageParam.LEAD_SPEED]
    closing = 0.5 * (faster + xp.sqrt(faster * faster + 0.25))
    opening = 0.5 * (xp.sqrt(faster * faster + 0.01) - faster)
    gap = g[CostParam.STANDING_GAP] + g[CostParam.TIME_GAP] * speed + closing * closing / brake
    gap = gap - OPENS * opening
    out += [
        (Family.STOP, p[StageParam.STOP_AHEAD] - along - speed * speed / brake),
        (Family.STOP, 0.5 * (p[StageParam.LEAD_AHEAD] - along - gap)),
    ]
    return out


ROW_FAMILY = (
    (Family.COLLISION,) * MAX_OBSTACLES
    + (Family.CORRIDOR,) * 2
    + (Family.LIMIT,) * 5
    + (Family.STOP,) * 2
)
NUM_ROWS = len(ROW_FAMILY)


def violations(state: Components, p: Components, g: Components, xp: Any) -> list[Any]:
    """By how much the worst row of each `Family` is violated, 0 where all hold."""
    found = rows(state, p, g, xp)
    return [
        xp.fmax(reduce(xp.fmax, [-h for f, h in found if f == family]), 0.0 * found[0][1])
        for family in Family
    ]


def stage_terms(
    state: Components, control: Components | None, p: Components, g: Components, xp: Any
) -> dict[str, Any]:
    """The stage cost [1/s] by the name of `Term` and `Family`; its sum is the stage cost."""
    out = {}
    if control is not None:
        # At the end the speed counts for nothing: it would pay to save the last metres before a
        # line for the end of the horizon, tick after tick.
        out["progress"] = progress_cost(state, g)
    for term, r in zip(list(Term)[1:], residuals(state, control, p, g, xp), strict=False):
        out[term.name.lower()] = 0.5 * g[CostParam.WEIGHT + term] * r * r
    for family, v in zip(Family, violations(state, p, g, xp), strict=True):
        linear, square = g[CostParam.LINEAR + family], g[CostParam.QUADRATIC + family]
        out[family.name.lower()] = linear * v + 0.5 * square * v * v
    return out


def stage_cost(
    state: Components, control: Components | None, p: Components, g: Components, xp: Any
) -> Any:
    """The stage cost c(x, u) [1/s]; see the module."""
    return sum(stage_terms(state, control, p, g, xp).values())


def stage_weights(dt: Array) -> Array:
    """(N+1,) what each stage's rate counts: dt discounted, and `TERMINAL_S` for the last.

    Args:
        dt: (N,) [s] of the grid.
    """
    t = np.concatenate([[0.0], np.cumsum(dt)])
    return DISCOUNT**t * np.concatenate([dt, [TERMINAL_S]])
