"""Towns: our own, generated here, and any OpenDRIVE file that is brought along."""

from pathlib import Path

from carla_bridge.headless.towns.load import load_town, town_from_xodr
from carla_bridge.headless.towns.store import available_towns, import_towns
from carla_bridge.headless.towns.town import (
    BrokenTown,
    SignalSpec,
    Town,
    TownNotFound,
    TriggerBox,
)


def draw_town(name: str, path_png: str | Path) -> None:
    """Draw a town into a PNG.

    Args:
        name: of the town, as for `load_town`.
        path_png: file to write.

    Raises:
        TownNotFound: there is none of that name.
        BrokenTown: its file is broken.
    """
    # a server does not draw, and matplotlib takes its time to import
    from carla_bridge.headless.towns.draw import draw  # noqa: PLC0415

    draw(load_town(name), path_png)


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
