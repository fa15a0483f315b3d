"""Towns from their names or from OpenDRIVE text, checked before LibCarla sees them."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import carla

from carla_bridge.headless.towns.signals import signal_specs, spawn_points
from carla_bridge.headless.towns.store import OWN_TOWNS, read_town
from carla_bridge.headless.towns.town import BrokenTown, Town
from carla_bridge.headless.towns.validate import check_xodr, try_in_child
from carla_bridge.lane_graph import lane_graph

DEFAULT_GEO = (42.0, 2.0)  # LibCarla's, where the file names none


def load_town(name: str) -> Town:
    """A town by its name.

    Args:
        name: one of our own (`OWN_TOWNS`), or one that was imported or lies in `$CARLA_ROOT`;
            CARLA's long forms (/Game/Carla/Maps/Town01, Carla/Maps/Town01) too.

    Raises:
        TownNotFound: there is none of that name.
        BrokenTown: its file is broken.
    """
    plain, xodr = read_town(name)
    return town_from_xodr(plain, xodr, trusted=plain in OWN_TOWNS)


def town_from_xodr(name: str, xodr: str, trusted: bool = False) -> Town:
    """A town from OpenDRIVE text.

    Args:
        name: it gets.
        xodr: OpenDRIVE.
        trusted: skip the trial in a child process, for what we wrote ourselves.

    Raises:
        BrokenTown: LibCarla would crash on it or read it wrongly; the message says why.
    """
    root = check_xodr(name, xodr)
    if not trusted:
        try_in_child(name, xodr)
    try:
        town_map = carla.Map(name, xodr)
        return Town(
            name, xodr, lane_graph(name, xodr), spawn_points(town_map, root),
            signal_specs(town_map, root), geo_reference(root),
        )  # fmt: skip
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError) as error:
        # LibCarla takes it, but its lanes make no sense
        raise BrokenTown(f"town {name!r}: its lanes cannot be read: {error!r}") from error


def geo_reference(root: Element) -> tuple[float, float]:
    """Latitude and longitude [deg] of the origin, as LibCarla reads them."""
    text = root.findtext("header/geoReference") or ""
    values = []
    for key, default in zip(("lat_0", "lon_0"), DEFAULT_GEO, strict=True):
        found = re.search(rf"\+{key}=([-+0-9.eE]+)", text)
        try:
            values.append(float(found.group(1)) if found else default)
        except ValueError:
            values.append(default)
    return values[0], values[1]
