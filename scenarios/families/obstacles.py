"""Something stands or creeps in ego's lane, and ego has to get past it.

It changes lane beside traffic of its direction or, in the types called TwoWays, overtakes on the
oncoming lane. Distances and offsets are upstream's: docs/upstream_scenarios.md, section 3.
"""

from __future__ import annotations

import math

from headway.road.route import Route
from scenarios.cast import Play
from scenarios.flows import BICYCLES, flow, oncoming_line
from scenarios.script import Branch, first
from scenarios.spots import Spot, line_between
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec

BEYOND = 50.0  # [m] behind the last obstacle at which it is over
NEAR, WAIT = 50.0, 5.0  # [m] from the first obstacle, [s] after which ego may overtake
SITE_NEAR = 30.0  # [m] the same for a construction site
SPACING = (20.0, 100.0)  # [m] between those who come towards ego
RIDERS_SPACING = (100.0, 100.0)  # [m] the same beside bicycles


async def parked_obstacle(stage: Stage, spec: ScenarioSpec) -> None:
    """A car stands badly parked, mostly in ego's lane."""
    trigger, side, distance = _given(stage, spec, 120.0)
    spot = trigger.ahead(distance)
    car = stage.choose(stage.cars())
    actors = [
        _sign(stage, "warningaccident", trigger, side),
        stage.place(car, spot.beside(side * 0.7 * 0.5 * spot.width), "scenario no lights"),
    ]
    await _until_passed(stage, spec, spot, spot, actors)


async def accident(stage: Stage, spec: ScenarioSpec) -> None:
    """Two crashed cars and a police car before them stand in ego's lane."""
    trigger, side, distance = _given(stage, spec, 120.0)
    police = trigger.ahead(distance)
    first_car = police.ahead(10.0)
    last_car = first_car.ahead(6.0)
    cars = stage.cars()
    crashed = [(spot, stage.choose(cars)) for spot in (first_car, last_car)]
    actors = [_sign(stage, "warningaccident", trigger, side)]
    for spot, model in [(police, "vehicle.dodge.charger_police_2020"), *crashed]:
        actors.append(stage.place(model, spot.beside(side * 0.6 * 0.5 * spot.width)))
    await _until_passed(stage, spec, first_car, last_car, actors)


async def construction_obstacle(stage: Stage, spec: ScenarioSpec) -> None:
    """Cones, a warning sign and debris close ego's lane."""
    trigger, side, distance = _given(stage, spec, 100.0)
    site = trigger.ahead(distance)
    far_edge = -side * 0.85 * 0.5 * trigger.width
    cones = [site.beside(far_edge, along=along) for along in (2.0, 4.0, 6.0, 8.0)]
    cones += [site.beside(far_edge + side * across, along=8.0) for across in (1.0, 2.0, 3.0)]
    actors = [
        _sign(stage, "warningconstruction", trigger, side),
        stage.place("static.prop.trafficwarning", site.beside(0.0, 0.5 * math.pi, along=-5.0)),
        stage.place("static.prop.dirtdebris02", site.beside(0.0, -0.5 * math.pi, along=2.0)),
        *(stage.place("static.prop.constructioncone", cone) for cone in cones),
    ]
    await _until_passed(stage, spec, site, site, actors, SITE_NEAR)


async def hazard_at_side_lane(stage: Stage, spec: ScenarioSpec) -> None:
    """Two bicycles ride slowly on the right of ego's lane."""
    given = Parameters(spec)
    spots = [Spot.near(stage.graph, spec.trigger).ahead(given.number("distance", 100.0))]
    spots.append(spots[0].ahead(9.0))
    way = given.number("bicycle_drive_distance", 50.0)
    speed = given.number("bicycle_speed", 10.0) / 3.6
    offset = -0.55 * 0.5 * spots[0].width
    bicycles = [stage.place(stage.choose(BICYCLES), spot.beside(offset)) for spot in spots]
    with stage.closed(spots[0].line(way + 9.0)):
        await stage.triggered(spec)
        riders = [
            stage.set_going(bicycle, spot.line(way), speed, offset)
            for bicycle, spot in zip(bicycles, spots, strict=True)
        ]
        for rider in riders:
            rider.stops = True

        async def past() -> None:
            await stage.ahead_of(riders[1])
            await stage.driven(BEYOND)

        async def over() -> None:
            await stage.near(spots[0].beside(0.0), NEAR)
            await stage.seconds(WAIT)
            line = oncoming_line(spots[0], way + 9.0)
            await _overtaking(stage, spec, line, past(), RIDERS_SPACING)

        two_ways = spec.type.endswith("TwoWays")
        await stage.in_time(spec.name, over() if two_ways else past())
    stage.remove(bicycles)


async def vehicle_opens_door(stage: Stage, spec: ScenarioSpec) -> None:
    """A parked car opens its door towards the road when ego comes."""
    trigger, side, distance = _given(stage, spec, 50.0)
    spot = trigger.ahead(distance)
    model = stage.choose(stage.vehicles(base_type="car", has_dynamic_doors="true"))
    actors = [stage.park(model, spot, side, -0.25)]
    with stage.closed(line_between(trigger, spot.ahead(5.0))):
        await stage.triggered(spec)

        async def over() -> None:
            await stage.about_to_reach(spot.beside(0.0), 3.0, 10.0)
            actors.extend(await stage.open_door(actors[0], -side))
            await stage.seconds(WAIT)
            await _overtaking(stage, spec, oncoming_line(spot), stage.passed(spot.ahead(BEYOND)))

        await stage.in_time(spec.name, over())
    stage.remove(actors)


def _given(stage: Stage, spec: ScenarioSpec, distance: float) -> tuple[Spot, int, float]:
    """Where it goes off, the side of the road on which things stand, and how far ahead [m]."""
    given = Parameters(spec)
    return Spot.near(stage.graph, spec.trigger), given.side(), given.number("distance", distance)


async def _until_passed(
    stage: Stage, spec: ScenarioSpec, begin: Spot, end: Spot, actors: list[int], near: float = NEAR
) -> None:
    """From the trigger on ego has its time to get past the last of them."""
    trigger = Spot.near(stage.graph, spec.trigger)
    with stage.closed(line_between(trigger, end.ahead(5.0))):
        await stage.triggered(spec)

        async def over() -> None:
            await stage.near(begin.beside(0.0), near)
            await stage.seconds(WAIT)
            await _overtaking(stage, spec, oncoming_line(begin), stage.passed(end.ahead(BEYOND)))

        two_ways = spec.type.endswith("TwoWays")
        await stage.in_time(spec.name, over() if two_ways else stage.passed(end.ahead(BEYOND)))
    stage.remove(actors)


async def _overtaking(
    stage: Stage,
    spec: ScenarioSpec,
    line: Route,
    past: Branch,
    spacing: tuple[float, float] = SPACING,
) -> None:
    """Ego may use the oncoming lane, on which others come, until it is past.

    Args:
        stage, spec: of the scenario.
        line: of those who come.
        past: when ego is.
        spacing: [m] between them where the file does not say.
    """
    spacing, speed = Parameters(spec).interval("frequency", spacing), float(line.speed_limit[0])
    with stage.overtaking(), stage.closed(line):
        await first(past, flow(stage, line, speed, spacing, heeds=True))


def _sign(stage: Stage, name: str, trigger: Spot, side: int) -> int:
    """A warning sign beside the road at the trigger."""
    beside = trigger.edge(side) + side * 0.8 * trigger.width
    return stage.place(f"static.prop.{name}", trigger.beside(beside, -0.5 * math.pi))


PLAYS: dict[str, Play] = {
    "Accident": accident,
    "AccidentTwoWays": accident,
    "ConstructionObstacle": construction_obstacle,
    "ConstructionObstacleTwoWays": construction_obstacle,
    "HazardAtSideLane": hazard_at_side_lane,
    "HazardAtSideLaneTwoWays": hazard_at_side_lane,
    "ParkedObstacle": parked_obstacle,
    "ParkedObstacleTwoWays": parked_obstacle,
    "VehicleOpensDoorTwoWays": vehicle_opens_door,
}
