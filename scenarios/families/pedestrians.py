"""Somebody steps onto the road from behind what hides them.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, section 8.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from headway.frames import wrap_angle
from scenarios.cast import Play
from scenarios.flows import straight_line
from scenarios.junctions import ego_approach
from scenarios.script import all_of, until
from scenarios.spots import Spot
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import Place, ScenarioSpec

SPEED = 2.0  # [m/s] of who crosses
TURNING_SPEED = 1.8  # [m/s] of who crosses behind a turn
REACTION = 2.2  # [s] before ego arrives behind a turn that somebody steps out there
EARLY = 0.5  # [s] before who comes from the far side is in ego's lane that ego would be there
BEND = 2.0  # [m/s^2] beside, with which one drives through a bend
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


async def pedestrian_crossing(stage: Stage, spec: ScenarioSpec) -> None:
    """Three walkers cross where ego comes to a junction."""
    spot = ego_approach(stage, spec).end
    beside, middle = spot.pavement(-1), spot.beside(0.0)
    walkers = []
    for along, right in ((0.4, 1.5), (1.0, 2.5), (1.6, 0.5)):
        where = spot.beside(beside - right, 0.5 * math.pi, along)
        walkers.append((stage.place(stage.choose(stage.walkers()), where), where))

    async def cross(walker: int, where: Place) -> None:
        await stage.seconds(stage.rng.uniform(0.0, 1.5))
        way = 2.3 * math.dist((where.x, where.y), (middle.x, middle.y))
        await stage.walk(walker, where.yaw or 0.0, stage.rng.uniform(1.3, 2.0), way)
        stage.remove([walker])

    with stage.closed(*stage.entry(spec)):
        await stage.triggered(spec)
        await stage.about_to_reach(middle, 3.5, 12.0)
    await all_of(*(cross(walker, where) for walker, where in walkers))
    await stage.driven(AFTERWARDS)


async def vehicle_turning_route(stage: Stage, spec: ScenarioSpec) -> None:
    """Behind ego's turn a bicycle crosses from the right."""
    spot = stage.spot_at(stage.junction_ahead(spec)[2]).ahead(11.0)
    where = spot.beside(spot.pavement(-1), 0.5 * math.pi)
    way = 2.0 * abs(spot.pavement(-1))
    bicycle = stage.place("vehicle.diamondback.century", where)
    with stage.closed(*stage.entry(spec)):
        await stage.triggered(spec)
        await stage.about_to_reach(spot.beside(0.0), 1.8, NEAR)
    mover = stage.set_going(bicycle, straight_line(where, way), TURNING_SPEED, heeds=False)
    mover.speed = TURNING_SPEED  # at once
    await until(lambda: mover.left < 0.1 or mover.hit)
    stage.remove([bicycle])
    await stage.driven(AFTERWARDS)


async def vehicle_turning_route_pedestrian(stage: Stage, spec: ScenarioSpec) -> None:
    """Behind ego's turn a walker crosses, from the outer side of the turn."""
    _, begin, end = stage.junction_ahead(spec)
    spot = stage.spot_at(end).ahead(0.5)
    right, left = spot.beside(spot.pavement(-1)), _far_edge(spot)
    turns_left = wrap_angle(spot.yaw - stage.spot_at(begin).yaw) > 0.0
    start, goal = (right, left) if turns_left else (left, right)
    yaw, way = (
        math.atan2(goal.y - start.y, goal.x - start.x),
        math.dist((start.x, start.y), (goal.x, goal.y)),
    )
    walker = stage.place(stage.choose(stage.walkers()), replace(start, yaw=yaw))
    middle = spot.beside(0.0)
    needs = math.dist((start.x, start.y), (middle.x, middle.y)) / TURNING_SPEED - EARLY
    with stage.closed(*stage.entry(spec)):
        await stage.triggered(spec)
        if needs > REACTION:  # from the far side: in that time ego would be gone
            await until(lambda: _arrival(stage, end) < needs or stage.distance_to(middle) < NEAR)
        else:
            await stage.about_to_reach(middle, REACTION, NEAR)
    await stage.walk(walker, yaw, TURNING_SPEED, way)
    stage.remove([walker])
    await stage.driven(AFTERWARDS)


def _arrival(stage: Stage, s: float) -> float:
    """[s] until ego is at `s` [m] of its route, as fast as it is and as bends let it be."""
    route = stage.route
    ahead = (route.s > stage.ego_s) & (route.s <= s)
    step = np.diff(route.s, prepend=route.s[0])[ahead]
    bend = np.sqrt(BEND / np.maximum(np.abs(route.curvature[ahead]), 1e-3))
    return float(np.sum(step / np.minimum(bend, max(stage.speed, 1.0))))


def _far_edge(spot: Spot) -> Place:
    """The pavement on the other side of the road."""
    try:
        other = spot.oncoming()
    except ValueError:  # a one-way road
        return spot.beside(spot.pavement(1))
    return other.beside(other.pavement(-1))


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
    "PedestrianCrossing": pedestrian_crossing,
    "VehicleTurningRoute": vehicle_turning_route,
    "VehicleTurningRoutePedestrian": vehicle_turning_route_pedestrian,
    "DynamicObjectCrossing": dynamic_object_crossing,
    "ParkingCrossingPedestrian": parking_crossing_pedestrian,
}
