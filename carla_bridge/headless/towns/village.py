"""The town `village`: narrow streets up and down a hill, and a country road around the fields.

The main street has parking in its middle, where it crosses two lanes that climb to the upper gate
and fall to the mill; the country road passes the village on all sides.
"""

from __future__ import annotations

from functools import lru_cache

from carla_bridge.headless.towns.builder import TownBuilder
from carla_bridge.headless.towns.streets import Control, Point, Profile, Streets

COUNTRY = Profile(70, sidewalk=False, kind="rural")
MAIN = Profile(50, lane=3.3)
PARKED = Profile(40, parking=True, lane=3.3)
NARROW = Profile(30, lane=3.3)

NODES: dict[str, Point] = {
    "west": (-480.0, 0.0), "north": (0.0, 340.0), "east": (520.0, 30.0), "south": (40.0, -340.0),
    "square": (0.0, 0.0), "school": (-200.0, 20.0), "well": (210.0, -10.0),
    "church": (0.0, 190.0), "mill": (10.0, -160.0),
}  # fmt: skip
HEIGHTS = {
    "west": 0.0, "north": 16.0, "east": 3.0, "south": -4.0, "square": 6.0, "school": 4.0,
    "well": 8.0, "church": 10.5, "mill": 1.5,
}  # fmt: skip
CONTROLS = {
    "west": Control("yield", ("Hauptgasse",)),
    "north": Control("stop", ("Kirchgasse",)),
    "east": Control("stop", ("Hauptgasse",)),
    "south": Control("yield", ("Muehlweg",)),
    "square": Control("lights"),
    "school": Control("yield", ("Schulweg",)),
    "well": Control("stop", ("Brunnenweg",)),
    "church": Control("stop", ("Brunnenweg",)),
}
PLACES = (
    ("station", "Haltepunkt Talhof", -500.0, -60.0),
    ("bus_stop", "Dorfplatz", -60.0, 20.0),
    ("bus_stop", "Muehle", 30.0, -120.0),
    ("bus_stop", "Obertor", 60.0, 355.0),
    ("shop", "Dorfladen", 90.0, -25.0),
    ("shop", "Gasthof Linde", -70.0, -20.0),
    ("shop", "Baeckerei Huber", 25.0, 60.0),
)


@lru_cache(maxsize=1)
def village() -> str:
    """OpenDRIVE of the town `village`."""
    streets = Streets(TownBuilder("village", (47.6, 11.2)), NODES, CONTROLS, HEIGHTS)
    streets.street(
        "Talstrasse", COUNTRY,
        ["west", (-490.0, 240.0), (-270.0, 385.0), "north", (320.0, 360.0), (560.0, 240.0), "east",
         (530.0, -230.0), (300.0, -380.0), "south", (-280.0, -370.0), (-500.0, -230.0), "west"],
        bend=110.0,
    )  # fmt: skip
    streets.street("Hauptgasse", MAIN, ["west", (-330.0, -45.0), "school"], bend=70.0)
    streets.street("Hauptgasse", PARKED, ["school", "square", "well"])
    streets.street("Hauptgasse", MAIN, ["well", (340.0, 60.0), "east"], bend=70.0)
    streets.street("Kirchgasse", NARROW, ["north", "church", (20.0, 95.0), "square"])
    streets.street("Muehlweg", NARROW, ["square", (-30.0, -80.0), "mill", (70.0, -250.0), "south"])
    streets.street("Schulweg", NARROW, ["school", (-190.0, -120.0), "mill"])
    streets.street("Brunnenweg", NARROW, ["well", (240.0, 130.0), (110.0, 200.0), "church"])
    streets.build()
    for place in PLACES:
        streets.town.place(*place)
    return streets.town.xml()
