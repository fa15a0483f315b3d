"""Somebody steps onto the road from behind what hides them.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, section 8.
"""

from __future__ import annotations

import math

from scenarios.cast import Play
from scenarios.spots import Spot
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec

SPEED = 2.0  # [m/s] of who crosses
NEAR = 6.0  # [m] of ego, at which they set off however slow it is
AFTERWARDS = 40.0  # [m] that ego drives until it is over


async def dynamic_object_crossing(stage: Stage, spec: ScenarioSpec) -> None:
    """A walker comes out from behind a thing on the pavement."""
    given = Parameters(spec)
    side, angle = given.side(), given.number("crossing_angle", 0.0)
    spot = Spot.near(stage.graph, spec.trigger).ahead(given.number("distance", 12.0))
    beside = spot.pavement(side)
    model = given.word("blocker_model", "static.prop.vendingmachine")
    thing = stage.place(model, spot.beside(beside, -0.5 * math.pi * side), "scenario no lights")
    along = stage.half_length(thing) + 0.5
    walker, yaw = _walker(stage, spot, beside, along, side, angle)
    await stage.triggered(spec)
    await stage.about_to_reach(spot.beside(0.0), _ahead_of_time(2.1, angle), NEAR)
    await stage.walk(walker, yaw, SPEED, 2.0 * math.hypot(along, beside))
    stage.remove([thing, walker])
    await stage.driven(AFTERWARDS)


async def parking_crossing_pedestrian(stage: Stage, spec: ScenarioSpec) -> None:
    """A walker comes out from behind a parked car."""
    given = Parameters(spec)
    side, angle = given.side(), given.number("crossing_angle", 0.0)
    spot = Spot.near(stage.graph, spec.trigger).ahead(given.number("distance", 12.0))
    beside = side * spot.width
    car = stage.place(stage.choose(stage.cars()), spot.beside(beside))
    along = stage.half_length(car) + 0.5
    walker, yaw = _walker(stage, spot, beside, along, side, angle)
    await stage.triggered(spec)
    await stage.about_to_reach(spot.beside(0.0, along=along), _ahead_of_time(2.15, angle), NEAR)
    await stage.walk(walker, yaw, SPEED, 8.0)
    stage.remove([car, walker])
    await stage.driven(AFTERWARDS)


def _walker(
    stage: Stage, spot: Spot, beside: float, along: float, side: int, angle_deg: float
) -> tuple[int, float]:
    """Somebody who stands there, and their way across: turned by the angle towards ego's way."""
    turn = -side * (0.5 * math.pi - math.radians(angle_deg))
    where = spot.beside(beside, turn, along)
    assert where.yaw is not None
    return stage.place(stage.choose(stage.walkers()), where), where.yaw


def _ahead_of_time(seconds: float, angle_deg: float) -> float:
    """[s] before ego arrives at which they set off: a slanting way takes longer."""
    return seconds + 0.1 * math.floor(abs(angle_deg) / 5.0)


PLAYS: dict[str, Play] = {
    "DynamicObjectCrossing": dynamic_object_crossing,
    "ParkingCrossingPedestrian": parking_crossing_pedestrian,
}
