"""The town `interchange`: a motorway of three lanes with weaving, and a dual carriageway.

The motorway goes around the north. Eastbound an exit and an entry lead to a link road in the west,
and the same again in the east; between them entering and leaving traffic share a fourth lane.
Westbound there are two service areas with the same between them. In the south the motorway becomes
a dual carriageway, which meets the link roads and two country roads at T-junctions and lights.
"""

from __future__ import annotations

import math
from functools import lru_cache

from carla_bridge.headless.towns.builder import End, TownBuilder
from carla_bridge.headless.towns.motorways import TAPER, Motorway
from carla_bridge.headless.towns.plan_view import Pose
from carla_bridge.headless.towns.streets import Control, Point, Profile, Streets

DUAL = Profile(70, 2, 2, sidewalk=False, center="solid solid", kind="rural")
COUNTRY = Profile(70, sidewalk=False, kind="rural")
CYCLED = Profile(70, cycleway=True, sidewalk=False, kind="rural")

EAST_X, NORTH_Y = 1070.0, 300.0  # [m] the motorway's outermost lines
BEND = 260.0  # [m] radius of its bends
LENGTHS = (10.0, 220.0, 220.0, 300.0, 220.0, 220.0, 10.0)  # [m] in the north; 300 m for weaving
LINKS = (-330.0, 330.0)  # [m] x of the link roads
TERMINAL_Y = 100.0  # [m] where ramps and link roads meet
WEST_END = Pose(-EAST_X, NORTH_Y - BEND - 100.0, math.pi / 2)

NODES: dict[str, Point] = {
    "west": (-EAST_X, WEST_END.y - TAPER), "east": (EAST_X, WEST_END.y - TAPER),
    "link 1": (LINKS[0], TERMINAL_Y), "link 2": (LINKS[1], TERMINAL_Y),
    "tee 1": (-330.0, -290.0), "lake": (0.0, -300.0), "tee 2": (330.0, -310.0),
    "wood": (700.0, -295.0), "fork": (340.0, -500.0),
}  # fmt: skip
LOOSE = ("west", "east", "link 1", "link 2")
CONTROLS = {
    "tee 1": Control("yield", ("Western Link",)),
    "lake": Control("stop", ("Lake Road",)),
    "tee 2": Control("lights"),
    "wood": Control("stop", ("Wood Road",)),
    "fork": Control("yield", ("Lake Road",)),
}
PLACES = (
    ("station", "Interchange Park and Ride", -350.0, -100.0),
    ("bus_stop", "Western Link", -325.0, -220.0),
    ("bus_stop", "Lake", 20.0, -480.0),
    ("bus_stop", "Wood", 560.0, -530.0),
    ("shop", "Service Area Heath", -330.0, 360.0),
    ("shop", "Service Area Meadow", 330.0, 360.0),
    ("shop", "Farm Shop", 350.0, -420.0),
)


@lru_cache(maxsize=1)
def interchange() -> str:
    """OpenDRIVE of the town `interchange`."""
    town = TownBuilder("interchange", (50.1, 8.6))
    motorway = Motorway(town, "A 14", 3)
    accesses = [
        (Pose(x, TERMINAL_Y, -math.pi / 2), f"{side} Link", f"Service Area {area}")
        for x, side, area in zip(LINKS, ("Western", "Eastern"), ("Heath", "Meadow"), strict=True)
    ]
    stretches, links = motorway.lay(WEST_END, LENGTHS, BEND, accesses)
    streets = Streets(town, NODES, CONTROLS, loose=LOOSE)
    streets.street(
        "Southern Highway", DUAL,
        ["west", (-EAST_X, -330.0), (-700.0, -300.0), "tee 1", "lake", "tee 2", "wood",
         (EAST_X, -330.0), "east"],
        bend=120.0,
    )  # fmt: skip
    streets.street("Western Link", COUNTRY, ["link 1", "tee 1"])
    streets.street("Eastern Link", CYCLED, ["link 2", "tee 2"])
    streets.street("Farm Road", CYCLED, ["tee 2", "fork"])
    way = ["fork", (310.0, -660.0), (50.0, -650.0), (0.0, -460.0), "lake"]
    streets.street("Lake Road", COUNTRY, way, bend=80.0)
    streets.street("Wood Road", COUNTRY, ["fork", (540.0, -560.0), (710.0, -480.0), "wood"], 80.0)
    streets.build()
    motorway.gore(streets.ends["west"][0], End(stretches[0], "start"))
    motorway.gore(End(stretches[-1], "end"), streets.ends["east"][0])
    for i, (leave, enter) in enumerate(links):
        motorway.head(streets.ends[f"link {i + 1}"][0], leave, enter)
    for place in PLACES:
        town.place(*place)
    return town.xml()
