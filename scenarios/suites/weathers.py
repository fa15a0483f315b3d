"""CARLA's own weathers, by name."""

from __future__ import annotations

import carla

from scenarios.suites.leaderboard import WEATHER
from scenarios.suites.spec import Weather

NAMES = tuple(
    name for name in dir(carla.WeatherParameters) if name.endswith(("Noon", "Sunset", "Night"))
)


def named(name: str, share: float = 0.0) -> Weather:
    """One of `NAMES`, from so much of the route on."""
    preset = getattr(carla.WeatherParameters, name)
    return Weather(share, {field: round(float(getattr(preset, field)), 4) for field in WEATHER})
