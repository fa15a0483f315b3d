"""The town `old_town`: five gates, five streets to the star in its middle, one-way lanes between.

A ring road of two lanes and a cycleway each way follows the old wall. Five streets run from its
gates to a junction of five arms; a one-way ring crosses them half way, and narrow one-way lanes
lead from it to the wall and back. No two arms meet at the same angle.
"""

from __future__ import annotations

import math
from functools import lru_cache

from carla_bridge.headless.towns.builder import TownBuilder
from carla_bridge.headless.towns.streets import Control, Point, Profile, Streets

WALL = Profile(50, 2, 2, cycleway=True, center="solid solid")
AXIS = Profile(40, 2, 2, center="solid solid")
STREET = Profile(40, parking=True)
INNER = Profile(30, 2, 0, parking=True, lane=3.25)
LANE = Profile(30, 1, 0, parking=True, lane=3.25)

ANGLES = (0.0, 62.0, 125.0, 182.0, 250.0)  # [deg] of the five streets
INNER_RADII = (160.0, 175.0, 165.0, 170.0, 160.0)  # [m] where the one-way ring crosses them
WALL_RADII = (430.0, 480.0, 450.0, 440.0, 465.0)  # [m] where they meet the ring road
STREETS = ("Marktgasse", "Domgasse", "Spitalgasse", "Rathausgasse", "Muehlgasse")
LANES = ("Rosengasse", "Badergasse", "Gerbergasse", "Seilergasse", "Klostergasse")
INWARD = (True, False, True, False, True)  # whether one drives these lanes towards the middle

CONTROLS = {
    "star": Control("lights"),
    "inner 0": Control("lights"),
    "inner 1": Control("stop", ("Innerer Ring",)),
    "inner 2": Control("yield", ("Spitalgasse",)),
    "inner 3": Control("lights"),
    "inner 4": Control("stop", ("Muehlgasse",)),
    "gate 0": Control("lights"),
    "gate 1": Control("stop", ("Domgasse",)),
    "gate 2": Control("lights"),
    "gate 3": Control("lights"),
    "gate 4": Control("yield", ("Muehlgasse",)),
}
PLACES = (
    ("station", "Stadttor", 470.0, 40.0),
    ("station", "Westbahnhof", -480.0, -40.0),
    ("bus_stop", "Am Stern", 60.0, -12.0),
    ("bus_stop", "Domplatz", 130.0, 235.0),
    ("bus_stop", "Spital", -165.0, 262.0),
    ("bus_stop", "Rathaus", -110.0, 10.0),
    ("bus_stop", "Muehlentor", -120.0, -300.0),
    ("shop", "Baeckerei am Markt", 90.0, 25.0),
    ("shop", "Buchhandlung am Dom", 55.0, 70.0),
    ("shop", "Apotheke zum Spital", -75.0, 75.0),
    ("shop", "Gasthaus Zur Muehle", -60.0, -90.0),
)


def _polar(radius: float, angle_deg: float) -> Point:
    angle = math.radians(angle_deg)
    return radius * math.cos(angle), radius * math.sin(angle)


@lru_cache(maxsize=1)
def old_town() -> str:
    """OpenDRIVE of the town `old_town`."""
    nodes: dict[str, Point] = {"star": (0.0, 0.0)}
    controls = dict(CONTROLS)
    sectors = []  # of the five: its first angle, its width [deg], and the radii at both ends
    for i, angle in enumerate(ANGLES):
        j = (i + 1) % 5
        width = (ANGLES[j] - angle) % 360.0
        sectors.append((angle, width, i, j))
        nodes[f"inner {i}"] = _polar(INNER_RADII[i], angle)
        nodes[f"gate {i}"] = _polar(WALL_RADII[i], angle)
        middle = angle + width / 2
        # farther out than on a circle, so that the rings cross the streets at fair angles
        nodes[f"lane {i}"] = _polar(1.1 * (INNER_RADII[i] + INNER_RADII[j]) / 2, middle)
        nodes[f"wall {i}"] = _polar((WALL_RADII[i] + WALL_RADII[j]) / 2, middle)
        controls[f"lane {i}"] = Control("yield", (LANES[i],))
        controls[f"wall {i}"] = Control("stop", (LANES[i],))
    streets = Streets(TownBuilder("old_town", (48.4, 10.0)), nodes, controls)
    for i, name in enumerate(STREETS):
        profile = AXIS if i in (0, 3) else STREET
        streets.street(name, profile, ["star", f"inner {i}", f"gate {i}"])
    for angle, width, i, j in sectors:
        quarters = []
        for share in (0.25, 0.75):
            radius = WALL_RADII[i] + share * (WALL_RADII[j] - WALL_RADII[i])
            beyond = radius / math.cos(math.radians(width / 4)) ** 0.5
            quarters.append(_polar(beyond, angle + share * width))
        streets.street(
            "Wallring", WALL, [f"gate {i}", quarters[0], f"wall {i}", quarters[1], f"gate {j}"],
            bend=90.0,
        )  # fmt: skip
        bends = [_polar(1.12 * INNER_RADII[k], angle + share * width)
                 for k, share in ((i, 0.24), (j, 0.76))]  # fmt: skip
        streets.street(
            "Innerer Ring", INNER, [f"inner {i}", bends[0], f"lane {i}", bends[1], f"inner {j}"],
            bend=25.0,
        )  # fmt: skip
        way = [f"wall {i}", f"lane {i}"]
        streets.street(LANES[i], LANE, way if INWARD[i] else way[::-1])
    streets.build()
    for place in PLACES:
        streets.town.place(*place)
    return streets.town.xml()
