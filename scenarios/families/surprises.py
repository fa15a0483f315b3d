"""On the open road: who brakes hard, comes over the line, comes from behind; and lost control.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, sections 3, 5 and 9.
"""

from __future__ import annotations

import math

from scenarios.cast import Play
from scenarios.flows import flow
from scenarios.junctions import ego_approach
from scenarios.movers import Mover
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
PASSERS, PASSERS_FROM = 3, 40.0  # who follow the first one, [m] behind ego's place where they come
BLOCKED_NEAR, BLOCKED_WAIT = 13.0, 10.0  # [m], [s]
BLOCKED_BEFORE, BLOCKED_STANDS = 12.0, 0.3  # [m] before the junction, [m/s]: ego waits there
BLOCKED_PATIENCE = 3.0  # [s]


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
    with stage.closed(line, line_between(begin, end)):
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
        stage.switch_siren_on(mover.actor)

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
    lights = ego_approach(stage, spec).signals()
    inside = stage.spot_at(begin).line(max(end - begin, 5.0))
    with stage.closed(*stage.entry(spec), inside, stage.spot_at(end).line(25.0)):
        await stage.triggered(spec)
        car = stage.place(stage.choose(stage.traffic_cars()), where)

        async def waits_before() -> None:
            """Who cannot leave a junction does not enter it, though its light lets it."""
            stood = 0.0
            while stood < BLOCKED_PATIENCE:
                before = begin - BLOCKED_BEFORE < stage.ego_s < begin
                stands = before and stage.speed < BLOCKED_STANDS and stage.may_go(lights)
                stood = stood + stage.dt if stands else 0.0
                await next_tick()

        async def over() -> None:
            await first(stage.near(where, BLOCKED_NEAR), waits_before())
            await stage.seconds(BLOCKED_WAIT)

        await stage.in_time(spec.name, over())
        stage.remove([car])


async def parking_exit(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego stands parked between two cars and has to get into the traffic, which passes by."""
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
    lane = spot.line(500.0)
    passers = [await stage.bring(stage.choose(stage.cars()), lane, 0.0)]
    await stage.triggered(spec)
    passers[0].wanted = float(lane.speed_limit[0])
    streams = _pass_by(stage, spot, passers, given.number("flow_distance", 25.0))
    await first(stage.in_time(spec.name, stage.driven(front + 15.0)), streams)
    stage.remove([*actors, *(passer.actor for passer in passers)])


async def _pass_by(stage: Stage, spot: Spot, passers: list[Mover], spacing: float) -> None:
    """More come up behind the first one, each so far [m] behind the one before, and are gone."""
    begin = spot.back(max(spacing, PASSERS_FROM))
    line, start = begin.line(500.0), begin.beside(0.0)
    for _ in range(PASSERS):
        last = passers[-1]
        await until(lambda last=last: math.dist(last.pose[:2], (start.x, start.y)) > spacing)
        model = stage.choose(stage.traffic_cars())
        passers.append(await stage.bring(model, line, float(line.speed_limit[0])))
    await stage.forever()


PLAYS: dict[str, Play] = {
    "BlockedIntersection": blocked_intersection,
    "ControlLoss": control_loss,
    "HardBreakRoute": hard_brake,
    "InvadingTurn": invading_turn,
    "ParkingExit": parking_exit,
    "YieldToEmergencyVehicle": yield_to_emergency_vehicle,
}
