"""The MPC planner's settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from headway.cost import CostConfig
from planner.homotopies import LaneChangeConfig
from planner.idm import IdmConfig
from planner.mpc.problem import Limits
from planner.passing import PassingConfig
from planner.rules import Rules


def _rules() -> IdmConfig:
    """The rule layer's driver: the limit is its wish, and it accelerates as the MPC may."""
    return IdmConfig(
        accel=1.6, speed_margin=0.1, lateral_accel=2.8, curve_brake=1.8, stop_brake=2.0,
        rules=Rules(yellow_go=2.0),
    )  # fmt: skip


@dataclass
class MpcConfig:
    """How the MPC planner drives.

    Attributes:
        dt: [s] of the grid, an interval each; uneven grids are allowed.
        iterations: of the SQP in each tick and from each start.
        first_iterations: the same where there is no last plan to go on from.
        cost: weights and limits of the stage cost.
        limits: of the actuators.
        rules: of the rule layer, whose bounds the MPC keeps and whose rollouts are its proposals.
        lanes: when lanes are changed.
        passing: when what stands in the lane is gone around.
        creep_from: [0, 1] of `Memory.boldness` from which ego creeps from its line to the edge of
            what it gives way to: from there smaller gaps do, but it comes to them at rest.
        creep_speed: [m/s] with which it does.
        score_s: [s] over which proposals are scored, at most the rules' horizon.
        off_lane: [1/s] cost of being in another lane than the route's.
        lane_end: [1/s] what it costs more at the place where that lane has to be left,
        lane_end_from: [m] growing from so far before it: there is not a gap at every moment.
        switch: cost of going for another lane than in the last tick.
        hold: cost of giving way or stopping where the rules let one go: within the seconds of a
            score, waiting is nearly as good as going.
        stuck: cost of staying behind what stands there for good and could be gone around, and of
            staying in the middle of the lane before who comes over its line: forecasts let it go
            back to its own.
        corridor_margin: [m] between ego's side and its lane's edge.
        margin_along: [m] to others along their direction, beside their forecast's spread.
        margin_across: [m] across it.
        walker_margin: [m] to walkers, all around.
        quantile: of the normal distribution at the chance level (1.0: 84 % for each axis).
        cap_along: [m] that a forecast's spread widens an obstacle at most.
        cap_across: [m].
        accel_lag: [s] of engine and brakes.
        understeer: [s^2/m^2].
    """

    dt: tuple[float, ...] = (0.2,) * 20
    iterations: int = 1
    first_iterations: int = 5
    cost: CostConfig = field(default_factory=CostConfig)
    limits: Limits = field(default_factory=Limits)
    rules: IdmConfig = field(default_factory=_rules)
    lanes: LaneChangeConfig = field(default_factory=LaneChangeConfig)
    passing: PassingConfig = field(default_factory=PassingConfig)
    creep_from: float = 0.25
    creep_speed: float = 2.0
    score_s: float = 8.0
    off_lane: float = 0.02
    lane_end: float = 0.5
    lane_end_from: float = 200.0
    switch: float = 0.4
    hold: float = 1.0
    stuck: float = 3.0
    corridor_margin: float = 0.1
    margin_along: float = 0.8
    margin_across: float = 0.3
    walker_margin: float = 0.6
    quantile: float = 1.0
    cap_along: float = 2.0
    cap_across: float = 0.4
    accel_lag: float = 0.15
    understeer: float = 0.001

    def __post_init__(self) -> None:
        if not self.dt or not all(0.0 < value <= 1.0 for value in self.dt):
            raise ValueError(f"MpcConfig.dt: expected intervals in (0, 1] s, got {self.dt!r}")
        if not 0.0 < self.score_s <= self.rules.horizon:
            raise ValueError(
                f"MpcConfig.score_s: expected (0, {self.rules.horizon}] s, got {self.score_s!r}"
            )
        for name in ("iterations", "first_iterations", "accel_lag"):
            if not getattr(self, name) > 0:
                raise ValueError(f"MpcConfig.{name}: expected > 0, got {getattr(self, name)!r}")
