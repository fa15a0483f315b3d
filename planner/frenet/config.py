"""Settings of the Frenet planner: what is sampled, what holds, and the weights of the cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.frenet.sampling import MOST
from planner.idm import IdmConfig, rule_layer


@dataclass
class FrenetConfig:
    """What is sampled, what is allowed, and what it costs.

    Attributes:
        nudges: [m] offsets within the lane, beside 0.
        durations: [s] T of the longitudinal polynomials.
        lateral_durations: [s] T of the lateral ones.
        shares: of the speed allowed, that are aimed at.
        horizon: [s] of the plan and of all checks.
        dt: [s].
        jerk: [s^5/m^2] k_j of the longitudinal cost.
        duration: [1/s] k_t of it.
        deviation: [s^2/m^2] k_v of it.
        lateral_jerk: [s^5/m^2] k_lat k_j.
        lateral_duration: [1/s] k_lat k_t.
        offset: [1/m^2] k_lat k_d.
        lead_deficit: [s^2/m^2] on the square of the speed that a way's lead lacks.
        lead_look: [s] within which a lead counts for that, beside `lead_room`.
        lead_room: [m] see `lead_look`.
        change_room: [m] that a neighbour lane has to go on beyond the horizon.
        max_accel: [m/s^2].
        max_brake: [m/s^2].
        brake: [m/s^2] with which who keeps a speed could stop still.
        firm_brake: [m/s^2] the same for who ends at the place, unless it takes more already.
        speed_slack: [m/s] above what limits and curves allow.
        lateral_accel: [m/s^2] at most.
        low_speed: [m/s] below which ways across are functions of the arc length.
        least_arc: [m] of such a way.
        edge: [m] between ego's side and the lane's edge.
        margin_along: [m] kept free before and behind ego against contacts.
        margin_across: [m] the same to its sides.
        reaction: [s] in which ego would not yet brake for a lead that it changes lanes behind.
        lead_brake: [m/s^2] with which that lead may brake.
        clear_within: [s] of a change that this is asked for.
        fallback_brake: [m/s^2] without anything that holds.
        near: [s] within which a contact makes that `max_brake`.
        rules: of the rule layer.
    """

    nudges: tuple[float, ...] = (-0.7, -0.35, 0.35, 0.7)
    durations: tuple[float, ...] = (2.0, 3.0, 4.5, 6.0, 8.0)
    lateral_durations: tuple[float, ...] = (1.5, 2.5, 4.0)
    shares: tuple[float, ...] = (1.0, 0.85, 0.65, 0.45, 0.25, 0.0)
    horizon: float = 5.0
    dt: float = 0.2
    jerk: float = 0.1
    duration: float = 0.4
    deviation: float = 0.3
    lateral_jerk: float = 0.05
    lateral_duration: float = 0.1
    offset: float = 2.0
    lead_deficit: float = 0.35
    lead_look: float = 4.0
    lead_room: float = 10.0
    change_room: float = 50.0
    max_accel: float = 2.8
    max_brake: float = 6.0
    brake: float = 1.8
    firm_brake: float = 2.4
    speed_slack: float = 0.3
    lateral_accel: float = 4.0
    low_speed: float = 4.0
    least_arc: float = 6.0
    edge: float = 0.1
    margin_along: float = 0.3
    margin_across: float = 0.2
    reaction: float = 0.6
    lead_brake: float = 8.0
    clear_within: float = 3.0
    fallback_brake: float = 4.0
    near: float = 1.5
    rules: IdmConfig = field(default_factory=rule_layer)

    def __post_init__(self) -> None:
        for name in ("durations", "lateral_durations"):
            if not getattr(self, name) or not all(value > 0.0 for value in getattr(self, name)):
                raise ValueError(f"FrenetConfig.{name}: expected times > 0 s")
        for name in ("horizon", "dt", "max_accel", "max_brake", "brake", "firm_brake",
                     "lateral_accel", "least_arc", "low_speed", "fallback_brake"):  # fmt: skip
            if not getattr(self, name) > 0.0:
                raise ValueError(f"FrenetConfig.{name}: expected > 0, got {getattr(self, name)!r}")
        # `profiles` has room for so many beside those that end at a bound.
        if len(self.durations) * (len(self.shares) + 1) > MOST // 2:
            raise ValueError(f"FrenetConfig.shares: expected fewer, got {len(self.shares)}")
