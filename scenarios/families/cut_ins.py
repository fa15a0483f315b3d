"""Somebody moves into ego's lane right before it.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, section 4.
"""

from __future__ import annotations

import math

from headway.vehicle import vehicle_info
from scenarios.cast import Play
from scenarios.script import first, next_tick, until
from scenarios.spots import Spot, first_junction, line_between
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec

ROW = 11.0  # [m] from one standing car to the next
AFTERWARDS = 70.0  # [m] that one drives on in ego's lane
FASTEST = 60.0 / 3.6  # [m/s] then
PULLS_OUT = 2.0  # [m/s^2]; with 3.5 and more nobody at 50 km/h would catch up with it
PATIENCE = 30.0  # [s] after which it is over anyway
PARKED_SPEED = 20.0 / 3.6  # [m/s] of who pulls out of a parking place
EXIT = 10.0  # [m] behind a junction


async def static_cut_in(stage: Stage, spec: ScenarioSpec) -> None:
    """Out of a row of standing cars in the lane beside ego's the third pulls out."""
    given = Parameters(spec)
    side, begin = given.side(), Spot.near(stage.graph, spec.trigger)
    start = begin.ahead(given.number("distance", 100.0))
    spots = [start.ahead(ROW * k) for k in range(6)]
    beside = spots[2].across(side)
    models = stage.vehicles(base_type="car", has_lights="true")
    lane = spots[0].next_lane(side)
    with stage.closed(line_between(begin, spots[-1]), lane.line(5.0 * ROW)):
        row = [stage.place(stage.choose(models), spot.beside(beside)) for spot in spots]
        await stage.triggered(spec)
        await stage.about_to_reach(spots[2].beside(0.0), 2.7, 15.0)
        mover = stage.set_going(row[2], spots[2].line(AFTERWARDS), stage.speed, beside, False)
        mover.accel = PULLS_OUT

        async def over() -> None:
            await stage.shift(mover, 0.0, 2.0)
            mover.wanted = FASTEST
            await until(lambda: mover.left < 1.0)

        await first(over(), stage.seconds(PATIENCE))
    stage.remove(row)


async def highway_cut_in(stage: Stage, spec: ScenarioSpec) -> None:
    """A car comes down the on-ramp, arrives at the merge with ego and cuts in from the right."""
    ramp = Spot.near(stage.graph, Parameters(spec).place("other_actor_location"))
    model = stage.choose(stage.vehicles(base_type="car", has_lights="true"))
    _, _, merge = stage.junction_ahead(spec)
    line, reach = ramp.line(400.0), _through_junction(ramp)
    with stage.closed(line):
        await stage.triggered(spec)
        mover = await stage.bring(model, line, stage.speed, heeds=False)
        mover.accel = mover.brake = 50.0  # it is where it has to be

        async def arrive() -> None:
            while mover.s < reach + EXIT - 5.0 and stage.ego_s < merge:
                time = max(merge - stage.ego_s, 0.1) / max(stage.speed, 0.1)
                mover.wanted = (reach + EXIT - mover.s) / time
                await next_tick()

        await arrive()
        mover.accel, mover.brake = 3.0, 6.0
        mover.wanted = 0.8 * stage.speed
        await stage.seconds(0.3)
        await stage.shift(mover, Spot.near(stage.graph, mover.place).across(1), 2.0)
        await stage.seconds(3.0)
    stage.remove([mover.actor])


async def parking_cut_in(stage: Stage, spec: ScenarioSpec) -> None:
    """A parked car, hidden behind another one, pulls out in front of ego."""
    side = Parameters(spec).side() if _names_a_side(spec) else -1
    begin = Spot.near(stage.graph, spec.trigger)
    spot, middle = begin.ahead(35.0), begin.ahead(35.0).beside(0.0)
    plain = [car for car in stage.cars() if car in stage.traffic_cars()]
    actors = [
        stage.park(stage.choose(stage.cars()), begin.ahead(28.0), side, 0.25),
        stage.park(model := stage.choose(plain), spot, side, 0.25),
    ]
    stands = spot.parked(side, float(vehicle_info(model).extent[1]), 0.25)
    beside = side * math.dist((stands.x, stands.y), (middle.x, middle.y))
    with stage.closed(line_between(begin, spot.ahead(5.0))):
        await stage.triggered(spec)
        await stage.about_to_reach(middle, 2.35, 10.0)
        mover = stage.set_going(actors[1], spot.line(30.0), PARKED_SPEED, beside, False)
        await stage.shift(mover, 0.0, 2.0)
        await until(lambda: mover.left < 1.0)
    stage.remove(actors)


def _names_a_side(spec: ScenarioSpec) -> bool:
    """Upstream's files have numbers there, which mean the right side."""
    given = spec.parameters.get("direction")
    return given is not None and given.words.get("value") in ("left", "right")


def _through_junction(spot: Spot) -> float:
    """[m] from a place to the end of the next junction, straight on."""
    line = spot.line(400.0)
    junction = first_junction(spot.graph, line)
    return float(line.s[junction[1]]) if junction else 0.0


PLAYS: dict[str, Play] = {
    "HighwayCutIn": highway_cut_in,
    "ParkingCutIn": parking_cut_in,
    "StaticCutIn": static_cut_in,
}
