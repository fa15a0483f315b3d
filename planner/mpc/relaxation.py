"""The time gap to a lead that has just come: shorter at first, and made up without hard braking.

Drivers accept short gaps while lanes change, and let them grow over 15 to 30 s: the relaxation of
Schakel, Knoop and van Arem 2012, "Integrated Lane Change Model with Relaxation and
Synchronization", Transportation Research Record 2316, equations 10 and 11.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.bounds import BoundList, EgoOnRoute

LEAST = 0.56  # [s] that is accepted (the paper's T_min)
RELAXES = 25.0  # [s] the paper's tau


@dataclass
class Relaxation:
    """What is kept to whom.

    Attributes:
        lead: reason of the bound, empty for nobody.
        gap: [s] to it.
        t: [s] of the last tick.
    """

    lead: str = ""
    gap: float = 0.0
    t: float = 0.0

    def time_gap(
        self, wish: float, standing_gap: float, bounds: BoundList, ego: EgoOnRoute, t: float
    ) -> float:
        """Return the time gap [s] to keep now.

        Args:
            wish: [s] in the long run.
            standing_gap: [m] that is kept beside it.
            bounds: of ego's lane.
            ego: on its route.
            t: [s] now.
        """
        leads = [
            (row[0], reason)
            for row, reason in zip(bounds.rows, bounds.reasons, strict=True)
            if reason.startswith("lead:")
        ]
        since, self.t = t - self.t, t
        if not leads:
            self.lead = ""
            return wish
        rear, lead = min(leads)
        has = (rear - ego.front - standing_gap) / max(ego.speed, 1.0)
        if lead != self.lead:
            self.lead, self.gap = lead, max(has, LEAST)
        self.gap += (wish - self.gap) * min(since / RELAXES, 1.0)
        self.gap = min(max(self.gap, has), wish)
        return self.gap
