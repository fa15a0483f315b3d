"""The town `harbour`: a boulevard of four lanes each way, avenues, cycleways, a motorway.

The motorway passes in the north, with ramps to a link road and a service area; feeders join its
ends to the town. A ring of two lanes each way with a cycleway goes around; the boulevard crosses it
from west to east, its left lanes are for turning left where it meets the avenues. Streets with
parking lie in between, one of them one-way, and a winding road leads through the dunes.
"""

from __future__ import annotations

import math
from functools import lru_cache

from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.motorways import TAPER, Motorway
from carla_bridge.headless.towns.plan_view import Pose
from carla_bridge.headless.towns.streets import Control, Point, Profile, Streets

RING = Profile(60, 2, 2, cycleway=True, center="solid solid")
BOULEVARD = Profile(60, 4, 4, cycleway=True, center="solid solid")
AVENUE = Profile(50, 2, 2, cycleway=True, center="solid solid")
PARKED_AVENUE = Profile(50, 2, 2, parking=True, center="solid solid")
STREET = Profile(40, parking=True, cycleway=True)
QUIET = Profile(30, parking=True)
ONE_WAY = Profile(30, 1, 0, parking=True)
DUNES = Profile(50)
FEEDER = Profile(60, 2, 2, sidewalk=False, center="solid solid")
LINK = Profile(50, sidewalk=False)

WEST_X, EAST_X, LINK_X = -800.0, 930.0, 65.0  # [m] the motorway's ends and the link road
FEET_Y, TERMINAL_Y = 320.0, 440.0  # [m] where the motorway ends, and where ramps meet the link road
BEND = 200.0  # [m] radius of its bends
LENGTHS = (10.0, 405.0, 220.0, 405.0, 10.0)  # [m] of its straight pieces

NODES: dict[str, Point] = {
    "west": (-560.0, 0.0), "east": (690.0, 20.0), "dunes": (684.0, -160.0),
    "north 1": (-260.0, 330.0), "north 2": (LINK_X, 345.0), "north 3": (400.0, 320.0),
    "quay 1": (-260.0, -320.0), "quay 2": (60.0, -350.0), "quay 3": (410.0, -330.0),
    "middle 1": (-260.0, 0.0), "middle 2": (70.0, 10.0), "middle 3": (400.0, 0.0),
    "store 1": (-265.0, -170.0), "store 2": (65.0, -180.0), "store 3": (405.0, -165.0),
    "office 1": (-262.0, 170.0), "office 2": (70.0, 180.0),
    "feeder west": (WEST_X, FEET_Y - TAPER), "feeder east": (EAST_X, FEET_Y - TAPER),
    "link": (LINK_X, TERMINAL_Y),
}  # fmt: skip
CONTROLS = {
    "west": Control("lights"),
    "east": Control("lights"),
    "dunes": Control("stop", ("Duenenweg",)),
    "north 1": Control("lights"),
    "north 2": Control("lights"),
    "north 3": Control("lights"),
    "quay 1": Control("lights"),
    "quay 2": Control("stop", ("Lotsengasse",)),
    "quay 3": Control("yield", ("Leuchtturmallee",)),
    "middle 1": Control("lights"),
    "middle 2": Control("lights"),
    "middle 3": Control("lights"),
    "store 1": Control("stop", ("Speichergasse",)),
    "store 2": Control("stop", ("Speichergasse",)),
    "store 3": Control("yield", ("Speichergasse", "Duenenweg")),
    "office 1": Control("yield", ("Kontorgasse",)),
}
PLACES = (
    ("station", "Hafenbahnhof", -260.0, 380.0),
    ("station", "Faehrterminal", 230.0, -380.0),
    ("bus_stop", "Werfttor", -276.0, 90.0),
    ("bus_stop", "Boulevard Mitte", -100.0, -25.0),
    ("bus_stop", "Leuchtturm", 420.0, 160.0),
    ("bus_stop", "Alter Speicher", 235.0, -160.0),
    ("bus_stop", "Fischmarkt", -90.0, -355.0),
    ("bus_stop", "Duenen", 560.0, -140.0),
    ("shop", "Rastplatz Elbblick", 65.0, 680.0),
    ("shop", "Schiffsausruester Jansen", 90.0, 100.0),
    ("shop", "Kaffeeroesterei am Kontor", -90.0, 195.0),
    ("shop", "Fischhalle Sieben", 40.0, -260.0),
    ("shop", "Segelmacher Petersen", -285.0, -90.0),
)


@lru_cache(maxsize=1)
def harbour() -> str:
    """OpenDRIVE of the town `harbour`."""
    town = TownBuilder("harbour", (53.5, 9.9))
    motorway = Motorway(town, "A 26", 2)
    access = (Pose(LINK_X, TERMINAL_Y, -math.pi / 2), "Hafenzubringer", "Rastplatz Elbblick")
    start = Pose(WEST_X, FEET_Y, math.pi / 2)
    stretches, (ramps,) = motorway.lay(start, LENGTHS, BEND, [access])
    loose = ("feeder west", "feeder east", "link")
    streets = Streets(town, NODES, CONTROLS, loose=loose)
    streets.street(
        "Hafenring", RING,
        ["west", (-550.0, -310.0), "quay 1", "quay 2", "quay 3", (670.0, -320.0), "dunes", "east",
         (685.0, 330.0), "north 3", "north 2", "north 1", (-545.0, 315.0), "west"],
        bend=75.0,
    )  # fmt: skip
    streets.street("Boulevard", AVENUE, ["west", "middle 1"])
    streets.street("Boulevard", BOULEVARD, ["middle 1", "middle 2", "middle 3"])
    streets.street("Boulevard", AVENUE, ["middle 3", "east"])
    streets.street("Werftallee", AVENUE, ["north 1", "office 1", "middle 1", "store 1", "quay 1"])
    streets.street("Lotsengasse", STREET, ["north 2", "office 2", "middle 2", "store 2", "quay 2"])
    streets.street("Leuchtturmallee", PARKED_AVENUE, ["north 3", "middle 3", "store 3", "quay 3"])
    streets.street("Speichergasse", QUIET, ["store 1", "store 2", "store 3"])
    streets.street("Kontorgasse", ONE_WAY, ["office 2", (-60.0, 150.0), "office 1"])
    way = ["store 3", (510.0, -125.0), (590.0, -210.0), "dunes"]
    streets.street("Duenenweg", DUNES, way)
    streets.street("Westzubringer", FEEDER, ["west", (WEST_X, 10.0), "feeder west"], bend=100.0)
    streets.street("Ostzubringer", FEEDER, ["east", (EAST_X, 40.0), "feeder east"], bend=100.0)
    streets.street("Hafenzubringer", LINK, ["link", "north 2"])
    streets.build()
    motorway.gore(streets.ends["feeder west"][0], End(stretches[0], "start"))
    motorway.gore(End(stretches[-1], "end"), streets.ends["feeder east"][0])
    motorway.head(streets.ends["link"][0], *ramps)
    for place in PLACES:
        town.place(*place)
    return town.xml()
