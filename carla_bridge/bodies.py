"""Which bodies count."""

from __future__ import annotations

FLAT = 0.2  # [m] half height of a prop up to which cars drive over it: dirt, litter, planks
