"""Something stands in ego's lane, and ego changes lane beside traffic of its direction.

Distances and offsets are upstream's: docs/upstream_scenarios.md, section 3.
"""

from __future__ import annotations

import math

from scenarios.spots import Spot
from scenarios.stage import Play, Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec

BEYOND = 50.0  # [m] behind the last obstacle at which it is over


async def parked_obstacle(stage: Stage, spec: ScenarioSpec) -> None:
    """A car stands badly parked, mostly in ego's lane."""
    given = Parameters(spec)
    trigger, side = Spot.near(stage.graph, spec.trigger), given.side()
    spot = trigger.ahead(given.number("distance", 120.0))
    car = stage.choose(stage.cars())
    actors = [
        _sign(stage, "warningaccident", trigger, side),
        stage.place(car, spot.beside(side * 0.7 * 0.5 * spot.width), "scenario no lights"),
    ]
    await _until_passed(stage, spec, spot, actors)


async def accident(stage: Stage, spec: ScenarioSpec) -> None:
    """Two crashed cars and a police car before them stand in ego's lane."""
    given = Parameters(spec)
    trigger, side = Spot.near(stage.graph, spec.trigger), given.side()
    police = trigger.ahead(given.number("distance", 120.0))
    first_car = police.ahead(10.0)
    last_car = first_car.ahead(6.0)
    cars = stage.cars()
    crashed = [(spot, stage.choose(cars)) for spot in (first_car, last_car)]
    actors = [_sign(stage, "warningaccident", trigger, side)]
    for spot, model in [(police, "vehicle.dodge.charger_police_2020"), *crashed]:
        actors.append(stage.place(model, spot.beside(side * 0.6 * 0.5 * spot.width)))
    await _until_passed(stage, spec, last_car, actors)


async def construction_obstacle(stage: Stage, spec: ScenarioSpec) -> None:
    """Cones, a warning sign and debris close ego's lane."""
    given = Parameters(spec)
    trigger, side = Spot.near(stage.graph, spec.trigger), given.side()
    site = trigger.ahead(given.number("distance", 100.0))
    far_edge = -side * 0.85 * 0.5 * trigger.width
    cones = [site.beside(far_edge, along=along) for along in (2.0, 4.0, 6.0, 8.0)]
    cones += [site.beside(far_edge + side * across, along=8.0) for across in (1.0, 2.0, 3.0)]
    actors = [
        _sign(stage, "warningconstruction", trigger, side),
        stage.place("static.prop.trafficwarning", site.beside(0.0, 0.5 * math.pi, along=-5.0)),
        stage.place("static.prop.dirtdebris02", site.beside(0.0, -0.5 * math.pi, along=2.0)),
        *(stage.place("static.prop.constructioncone", cone) for cone in cones),
    ]
    await _until_passed(stage, spec, site, actors)


async def _until_passed(stage: Stage, spec: ScenarioSpec, last: Spot, actors: list[int]) -> None:
    """From the trigger on ego has its time to get past the last of them."""
    await stage.triggered(spec)
    await stage.in_time(spec.name, stage.passed(last.ahead(BEYOND)))
    stage.remove(actors)


def _sign(stage: Stage, name: str, trigger: Spot, side: int) -> int:
    """A warning sign beside the road at the trigger."""
    beside = trigger.edge(side) + side * 0.8 * trigger.width
    return stage.place(f"static.prop.{name}", trigger.beside(beside, -0.5 * math.pi))


PLAYS: dict[str, Play] = {
    "ParkedObstacle": parked_obstacle,
    "Accident": accident,
    "ConstructionObstacle": construction_obstacle,
}
