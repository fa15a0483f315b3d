"""Fits the shared figures and the identified factors to the recordings.

`python -m scenarios.fidelity_fit` searches from what headway/vehicle/fit.py and vehicles.json hold
and prints what it finds; it writes nothing, since a figure is only taken over with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headway.vehicle import data, fit
from scenarios.fidelity import summary
from scenarios.fidelity_experiments import (
    DELAY_GOAL,
    STEADY_GOAL,
    Row,
    brake_rows,
    identified_rows,
    launch_rows,
    recordings,
    throttle_rows,
)

FINEST = 0.02  # of the first step: the search ends below it


@dataclass
class Figure:
    """One figure that is searched.

    Attributes:
        name: in fit.py, or among a vehicle's identified factors.
        low: bound.
        high: bound.
        step: first step of the search.
        vehicle: whose factor it is; empty for a shared figure.
    """

    name: str
    low: float
    high: float
    step: float
    vehicle: str = ""

    @property
    def value(self) -> float:
        """The figure as the vehicles are made with it now."""
        if not self.vehicle:
            return getattr(fit, self.name)
        return data.vehicle_facts()["identified"][self.vehicle].get(self.name, 1.0)

    def put(self, value: float) -> None:
        """Make the vehicles anew with `value`, within the bounds."""
        value = min(max(value, self.low), self.high)
        if self.vehicle:
            data.vehicle_facts()["identified"][self.vehicle][self.name] = value
        else:
            setattr(fit, self.name, value)
        data.forget()


FIGURES = (
    Figure("DAMPING_FULL_SCALE", 0.5, 6.0, 0.4),
    Figure("TORQUE_SCALE", 0.8, 2.5, 0.1),
    Figure("NEUTRAL_UP", 0.01, 0.15, 0.01),
    Figure("CLUTCH_TIME", 0.1, 0.4, 0.05),
    Figure("BRAKE_SCALE", 0.3, 0.8, 0.03),
    Figure("torque_scale", 0.8, 2.5, 0.1, "vehicle.tesla.model3"),
    Figure("final_scale", 0.9, 1.3, 0.03, "vehicle.tesla.model3"),
    Figure("torque_scale", 0.8, 2.5, 0.1, "vehicle.lincoln.mkz_2020"),
    Figure("brake_scale", 0.8, 1.4, 0.05, "vehicle.lincoln.mkz_2020"),
)


def longitudinal_rows() -> list[Row]:
    """The rows of the table that throttle and brakes decide."""
    record = recordings()
    parts = (launch_rows, throttle_rows, brake_rows, identified_rows)
    return [row for part in parts for row in part(record)]


def cost(rows: Sequence[Row]) -> float:
    """Mean over rows of log(1 + (error / goal)^2), so that contradictory rows do not rule."""
    total = 0.0
    for row in rows:
        goal = DELAY_GOAL if row.kind == "delay" else STEADY_GOAL
        total += math.log1p((row.error / goal) ** 2)
    return total / len(rows)


def search(figures: Sequence[Figure]) -> float:
    """Coordinate search: step each figure while that helps, then halve the steps.

    Returns:
        The cost that was reached; the figures are left at what reached it.
    """
    best = cost(longitudinal_rows())
    share = 1.0
    while share >= FINEST:
        improved = False
        for figure in figures:
            for sign in (1.0, -1.0):
                before = figure.value
                figure.put(before + sign * share * figure.step)
                now = cost(longitudinal_rows())
                if now < best - 1e-6:
                    best, improved = now, True
                    break
                figure.put(before)
        if not improved:
            share *= 0.5
    return best


def main() -> None:
    """Search, and print the figures and what they reach."""
    print(f"before: cost {cost(longitudinal_rows()):.4f}")
    reached = search(FIGURES)
    print(f"after: cost {reached:.4f}, {summary(longitudinal_rows())}")
    for figure in FIGURES:
        print(f"{figure.vehicle or 'shared'} {figure.name} {figure.value:.4g}")


if __name__ == "__main__":
    main()
