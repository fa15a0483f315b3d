"""Towns: our own two, generated here, and any OpenDRIVE file that is brought along."""

from carla_bridge.headless.towns.draw import draw_town
from carla_bridge.headless.towns.load import load_town, town_from_xodr
from carla_bridge.headless.towns.store import available_towns, import_towns
from carla_bridge.headless.towns.town import (
    BrokenTown,
    SignalSpec,
    Town,
    TownNotFound,
    TriggerBox,
)

__all__ = [
    "BrokenTown",
    "SignalSpec",
    "Town",
    "TownNotFound",
    "TriggerBox",
    "available_towns",
    "draw_town",
    "import_towns",
    "load_town",
    "town_from_xodr",
]
