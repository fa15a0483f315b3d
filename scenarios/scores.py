"""Driving scores of CARLA's Leaderboard 1.0, 2.0 and 2.1 and of Bench2Drive.

A route's driving score is its completion times what its infractions leave of it:

    1.0, 2.0, Bench2Drive   (1 - p_off) * product of c_k^n_k,
    2.1                     (1 - p_off) / (1 + sum of c_k n_k),

with n_k events of kind k that cost c_k, and the share p_off of the driven way that was off its
lanes. Driving slower than the others costs 0.3 (2.0) or 0.4 (2.1) times what the ego's speed
lacks, at every check. Figures: docs/upstream_formats.md, section 4.

NoCrash (Codevilla et al., ICCV 2019, section 4) asks whether the goal is reached in time without a
collision, and nothing else: a collision leaves nothing of the completion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ScoreVersion(StrEnum):
    """Whose rules count; what stands after `score=`."""

    LEADERBOARD_1_0 = "1.0"
    LEADERBOARD_2_0 = "2.0"
    LEADERBOARD_2_1 = "2.1"
    BENCH2DRIVE = "bench2drive"
    NOCRASH = "nocrash"


@dataclass(frozen=True)
class Outcome:
    """What came of a route.

    Attributes:
        completion: share of the route that was driven, [0, 1].
        pedestrians, vehicles, statics: collisions with each, how many.
        red_lights, stop_signs: run, how many.
        scenario_timeouts: scenarios that ego did not get through in time.
        missed_yields: emergency vehicles that ego did not let pass.
        off_lane: share of the driven way outside ego's lanes, [0, 1].
        slowness: at each check of the minimum speed that counts, ego's speed as a share of that of
            the others, 0 or more: one that failed, in Bench2Drive every one.
    """

    completion: float
    pedestrians: int = 0
    vehicles: int = 0
    statics: int = 0
    red_lights: int = 0
    stop_signs: int = 0
    scenario_timeouts: int = 0
    missed_yields: int = 0
    off_lane: float = 0.0
    slowness: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("completion", "off_lane"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Outcome.{name}: expected 0 to 1, got {getattr(self, name)!r}")
        if not all(share >= 0.0 for share in self.slowness):
            raise ValueError(f"Outcome.slowness: expected 0 or more, got {self.slowness!r}")
        for name in COUNTED:
            if getattr(self, name) < 0:
                raise ValueError(f"Outcome.{name}: expected 0 or more, got {getattr(self, name)!r}")


FACTORS: Mapping[str, float] = MappingProxyType(
    {"pedestrians": 0.5, "vehicles": 0.6, "statics": 0.65, "red_lights": 0.7, "stop_signs": 0.8}
)
LATER_FACTORS: Mapping[str, float] = MappingProxyType(
    {**FACTORS, "scenario_timeouts": 0.7, "missed_yields": 0.7}
)
SUMMANDS: Mapping[str, float] = MappingProxyType({
    "pedestrians": 1.0, "vehicles": 0.7, "statics": 0.6, "red_lights": 0.4, "stop_signs": 0.25,
    "scenario_timeouts": 0.4, "missed_yields": 0.4,
})  # fmt: skip
COUNTED = tuple(LATER_FACTORS)
SLOW_FACTOR = 0.3  # 2.0
SLOW_SUMMAND = 0.4  # 2.1


def infraction_score(outcome: Outcome, version: ScoreVersion) -> float:
    """What the infractions leave of the completion, [0, 1]."""
    if version is ScoreVersion.NOCRASH:
        return float(not _collided(outcome))
    on_lane = 1.0 - outcome.off_lane
    lacks = [max(1.0 - share, 0.0) for share in outcome.slowness]
    if version is ScoreVersion.LEADERBOARD_2_1:
        counted = sum(cost * getattr(outcome, kind) for kind, cost in SUMMANDS.items())
        return on_lane / (1.0 + counted + SLOW_SUMMAND * sum(lacks))
    factors = FACTORS if version is ScoreVersion.LEADERBOARD_1_0 else LATER_FACTORS
    left = on_lane * math.prod(cost ** getattr(outcome, kind) for kind, cost in factors.items())
    if version is ScoreVersion.LEADERBOARD_2_0:  # Bench2Drive lists slowness, and leaves it at that
        left *= math.prod(1.0 - SLOW_FACTOR * lack for lack in lacks)
    return left


def driving_score(outcome: Outcome, version: ScoreVersion) -> float:
    """A route's driving score, 0 to 100."""
    return 100.0 * outcome.completion * infraction_score(outcome, version)


def _collided(outcome: Outcome) -> bool:
    return outcome.pedestrians + outcome.vehicles + outcome.statics > 0


def succeeded(outcome: Outcome, version: ScoreVersion = ScoreVersion.BENCH2DRIVE) -> bool:
    """Whether it was completed with no infraction but slowness, as Bench2Drive has it.

    In NoCrash collisions alone count.
    """
    if version is ScoreVersion.NOCRASH:
        return outcome.completion >= 1.0 and not _collided(outcome)
    clean = outcome.off_lane == 0.0 and not any(getattr(outcome, kind) for kind in COUNTED)
    return outcome.completion >= 1.0 and clean
