"""On the open road: who brakes hard, comes over the line, comes from behind; and lost control.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, sections 3, 5 and 9.
"""

from __future__ import annotations

from scenarios.cast import Play
from scenarios.flows import flow
from scenarios.script import first, next_tick, until
from scenarios.spots import Spot, line_between
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec

LEAD_AHEAD = 25.0  # [m] before ego's trigger that the lead waits
LEAD_STARTS = 40.0  # [m] from the lead at which it sets off before ego
LEAD_WAY = 40.0  # [m] that ego follows it
LEAD_STOPS = 10.0  # [s]
LEAD_BRAKE = 7.0  # [m/s^2]
DEBRIS = (14.0, 48.0, 74.0)  # [m] ahead, where ego loses control
ON_DEBRIS = 2.0  # [m]
LOST_WAY = 110.0  # [m]
EMERGENCY_FASTER = 25.0  # [m/s] than ego
EMERGENCY_NEAR, EMERGENCY_WAIT, EMERGENCY_GONE = 50.0, 10.0, 50.0  # [m], [s], [m]
INVADER_SPACING = 40.0  # [m]
BLOCKED_NEAR, BLOCKED_WAIT = 13.0, 10.0  # [m], [s]


async def hard_brake(stage: Stage, spec: ScenarioSpec) -> None:
    """The car before ego brakes hard, stands and goes on."""
    spot = Spot.near(stage.graph, spec.trigger).ahead(LEAD_AHEAD)
    line = spot.line(600.0)
    with stage.closed(line):
        lead = await stage.bring(stage.choose(stage.traffic_cars()), line, 0.0)
        lead.brake = LEAD_BRAKE
        await stage.near(spot.beside(0.0), LEAD_STARTS)
        lead.wanted = 0.8 * float(line.speed_limit[0])
        await stage.triggered(spec)
        await stage.driven(LEAD_WAY)
        lead.wanted = 0.0
        await stage.seconds(LEAD_STOPS)
        lead.wanted = float(line.speed_limit[0])
        await stage.driven(15.0)
    stage.remove([lead.actor])


async def invading_turn(stage: Stage, spec: ScenarioSpec) -> None:
    """In a bend those who come towards ego cut over the centre line, pushed by cones."""
    given = Parameters(spec)
    distance, offset = given.number("distance", 100.0), given.number("offset", 0.25)
    begin = Spot.near(stage.graph, spec.trigger)
    end = begin.ahead(distance + 30.0)
    source, sink = end.oncoming(), begin.oncoming()
    line = line_between(source, sink)
    over_the_line = offset + 0.5 * source.width - 0.7
    with stage.closed(line):
        await stage.triggered(spec)
        cones = [
            stage.place("static.prop.constructioncone", spot.beside(-0.8 * 0.5 * spot.width))
            for spot in (source.ahead(15.0 + 5.0 * k) for k in range(int(0.5 * distance / 5.0)))
        ]
        stream = flow(
            stage, line, float(line.speed_limit[0]), (INVADER_SPACING, INVADER_SPACING),
            heeds=True, offset=over_the_line,
        )  # fmt: skip
        await first(stage.in_time(spec.name, stage.passed(end)), stream)
    stage.remove(cones)


async def yield_to_emergency_vehicle(stage: Stage, spec: ScenarioSpec) -> None:
    """An emergency vehicle comes up behind ego, which has to leave its lane."""
    start = Spot.near(stage.graph, spec.trigger).back(Parameters(spec).number("distance", 140.0))
    line = start.line(1500.0)
    with stage.closed(line):
        await stage.triggered(spec)
        model = stage.choose(stage.vehicles(special_type="emergency"))
        mover = await stage.bring(model, line, stage.speed)

        async def hurry() -> None:
            while True:
                mover.wanted = stage.speed + EMERGENCY_FASTER
                await next_tick()

        async def in_vain() -> None:
            await until(lambda: stage.gap_to(mover) < EMERGENCY_NEAR)
            await stage.seconds(EMERGENCY_WAIT)

        async def gone() -> None:
            await stage.behind(mover)
            begin = mover.s
            await until(lambda: mover.s > begin + EMERGENCY_GONE)

        if await first(in_vain(), gone(), hurry()) == 0 and stage.lead_over(mover) > 0.0:
            stage.missed_yields.append(spec.name)
    stage.remove([mover.actor])


async def control_loss(stage: Stage, spec: ScenarioSpec) -> None:
    """On three patches of debris ego does not quite do what it was told."""
    begin = Spot.near(stage.graph, spec.trigger)
    spots = [begin.ahead(along) for along in DEBRIS]
    actors = [stage.place("static.prop.dirtdebris01", spot.beside(0.0), "prop") for spot in spots]
    await stage.triggered(spec)

    async def slip() -> None:
        for spot in spots:
            where = spot.beside(0.0)
            await stage.near(where, ON_DEBRIS)
            throttle, steer = stage.rng.choice((-1.0, 1.0), 2) * (0.03, 0.055)
            while stage.distance_to(where) < ON_DEBRIS:
                stage.disturb(stage.rng.normal(throttle, 0.01), stage.rng.normal(steer, 0.015))
                await next_tick()
        await stage.driven(LOST_WAY - DEBRIS[-1])

    await first(stage.driven(LOST_WAY), slip())
    stage.remove(actors)


async def blocked_intersection(stage: Stage, spec: ScenarioSpec) -> None:
    """Behind a turn with poor sight a car stands in the way for a while."""
    _, begin, end = stage.junction_ahead(spec)
    where = stage.spot_at(end).ahead(5.0).beside(0.0)
    with stage.closed(
        stage.spot_at(begin).line(max(end - begin, 5.0)), stage.spot_at(end).line(25.0)
    ):
        await stage.triggered(spec)
        car = stage.place(stage.choose(stage.traffic_cars()), where)

        async def over() -> None:
            await stage.near(where, BLOCKED_NEAR)
            await stage.seconds(BLOCKED_WAIT)

        await stage.in_time(spec.name, over())
        stage.remove([car])


async def parking_exit(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego stands parked between two cars and has to get into the traffic."""
    given = Parameters(spec)
    side, spot = given.side(), Spot.near(stage.graph, spec.trigger)
    front = given.number("front_vehicle_distance", 20.0)
    behind = given.number("behind_vehicle_distance", 10.0)
    assert stage.ego is not None
    stage.move_ego(spot.parked(side, float(stage.ego.extent[1]), 0.25))
    actors = [
        stage.park(stage.choose(stage.cars()), place, side, 0.25)
        for place in (spot.ahead(front), spot.back(behind))
    ]
    passer_by = await stage.bring(stage.choose(stage.cars()), spot.line(500.0), 0.0)
    await stage.triggered(spec)
    passer_by.wanted = float(spot.line(1.0).speed_limit[0])

    async def leave() -> None:
        await until(lambda: passer_by.s > 50.0)
        stage.remove([passer_by.actor])
        await stage.forever()

    await first(stage.in_time(spec.name, stage.driven(front + 15.0)), leave())
    stage.remove([*actors, passer_by.actor])


PLAYS: dict[str, Play] = {
    "BlockedIntersection": blocked_intersection,
    "ControlLoss": control_loss,
    "HardBreakRoute": hard_brake,
    "InvadingTurn": invading_turn,
    "ParkingExit": parking_exit,
    "YieldToEmergencyVehicle": yield_to_emergency_vehicle,
}
