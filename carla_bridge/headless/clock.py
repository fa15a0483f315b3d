"""Simulated time against wall time: the step's length, the cap, and the asynchronous world."""

from __future__ import annotations

import time

FRAME_S = 0.05  # [s] between frames of an asynchronous world with variable delta
MAX_VARIABLE_DELTA_S = 0.1  # a world that was held up does not leap
MIN_VARIABLE_DELTA_S = 1e-3


class Clock:
    """Says how long a step is and when it may happen.

    Args:
        max_realtime_factor: simulated seconds per wall second that are not exceeded; None for no
            cap.
    """

    def __init__(self, max_realtime_factor: float | None = None) -> None:
        if max_realtime_factor is not None and not max_realtime_factor > 0.0:
            raise ValueError(
                f"max_realtime_factor: expected a positive number, got {max_realtime_factor!r}"
            )
        self.max_realtime_factor = max_realtime_factor
        self._last_step = time.monotonic()
        self._earliest = self._last_step

    def delay(self) -> float:
        """Return how long the next step has to wait [s], 0 for not at all."""
        if self.max_realtime_factor is None:
            return 0.0
        return max(0.0, self._earliest - time.monotonic())

    def step(self, fixed_delta: float) -> float:
        """Account for a step that happens now.

        Args:
            fixed_delta: [s] of the settings, 0 for variable.

        Returns:
            Length of the step [s].
        """
        now = time.monotonic()
        factor = self.max_realtime_factor
        if fixed_delta > 0.0:
            delta = fixed_delta
        else:
            elapsed = (now - self._last_step) * min(1.0, factor or 1.0)
            delta = min(max(elapsed, MIN_VARIABLE_DELTA_S), MAX_VARIABLE_DELTA_S)
        self._last_step = now
        if factor is not None:
            # Time that was not used is not saved up for a sprint, lateness of one step is made up.
            self._earliest = max(self._earliest, now - delta / factor) + delta / factor
        return delta
