"""ScenarioRunner's own classes: who follows, changes lane and comes towards ego, each by itself.

Distances, speeds and times are upstream's: docs/upstream_scenarios.md, section 12.
"""

from __future__ import annotations

import math

import numpy as np

from headway.road.route import Route
from scenarios.cast import Play
from scenarios.families.pedestrians import vehicle_turning_route
from scenarios.flows import flow, straight_line
from scenarios.movers import Mover
from scenarios.script import first, next_tick, until
from scenarios.spots import Spot, first_junction, line_between
from scenarios.stage import Stage
from scenarios.suites.spec import Other, Place, ScenarioSpec, SuiteError

LEAD, LEAD_SPEED = "vehicle.nissan.patrol", 10.0  # [m/s]
LEAD_AHEAD, BICYCLE_AHEAD = 25.0, 66.0  # [m]
FULL_BRAKE, FULL_THROTTLE = 8.0, 5.0  # [m/s^2]
BEFORE_JUNCTION, BEFORE_BICYCLE = 20.0, 15.0  # [m] at which the lead brakes
STANDS, STANDS_NEAR = 1.0, 20.0  # [s], [m] that ego stands behind the one that it was to stop for
STANDING = 0.1  # [m/s]
FAR = 1000.0  # [m]
CHANGE_BEFORE, CHANGE = 5.0, 25.0  # [m] of way before a change of lane, and that it takes


async def follow_leading_vehicle(stage: Stage, spec: ScenarioSpec) -> None:
    """The car before ego stops before the next junction."""
    line = Spot.near(stage.graph, spec.trigger).ahead(LEAD_AHEAD).line(FAR)
    with stage.closed(line):
        lead = stage.launch(LEAD, line, 0.0, heeds=False)
        await stage.triggered(spec)
        await _drive_until(lead, _to_junction(stage, line) - BEFORE_JUNCTION)
        await _ego_stands_near(stage, lead)
    stage.remove([lead.actor])


async def follow_leading_vehicle_with_obstacle(stage: Stage, spec: ScenarioSpec) -> None:
    """The car before ego stops for a bicycle that stands across the lane, then at the junction."""
    begin = Spot.near(stage.graph, spec.trigger)
    line = begin.ahead(LEAD_AHEAD).line(FAR)
    across = begin.ahead(BICYCLE_AHEAD).beside(0.0, -0.5 * math.pi)
    with stage.closed(line):
        lead = stage.launch(LEAD, line, 0.0, heeds=False)
        bicycle = stage.place("vehicle.diamondback.century", across)
        await stage.triggered(spec)
        await _drive_until(lead, BICYCLE_AHEAD - LEAD_AHEAD - BEFORE_BICYCLE)
        await stage.seconds(3.0)
        rider = stage.set_going(bicycle, straight_line(across, 10.0), 1.5, heeds=False)
        await until(lambda: rider.s > 4.0)
        rider.wanted = 0.0
        await _drive_until(lead, _to_junction(stage, line) - BEFORE_JUNCTION)
        await _ego_stands_near(stage, lead)
    stage.remove([lead.actor, bicycle])


async def other_leading_vehicle(stage: Stage, spec: ScenarioSpec) -> None:
    """The car before ego is slow, the one beside it is not."""
    begin = Spot.near(stage.graph, spec.trigger)
    lines = [begin.ahead(35.0).line(FAR), begin.ahead(36.0).next_lane(1).line(FAR)]
    with stage.closed(*lines):
        slow = stage.launch(LEAD, lines[0], 0.0)
        other = stage.launch("vehicle.audi.tt", lines[1], 0.0)
        await stage.triggered(spec)
        slow.wanted, other.wanted = 55.0 / 3.6, 45.0 / 3.6

        async def slow_down() -> None:
            await until(lambda: stage.gap_to(slow) < 55.0)
            slow.wanted /= 3.2
            await stage.forever()

        await first(stage.driven(140.0), slow_down())
    stage.remove([slow.actor, other.actor])


async def change_lane(stage: Stage, spec: ScenarioSpec) -> None:
    """The fast car before ego changes lane late, for a car that stands there."""
    fast, slow = _others(spec, 2)
    begin = Spot.near(stage.graph, spec.trigger)
    line, stands = begin.ahead(20.0).line(FAR), begin.ahead(100.0).beside(0.0)
    with stage.closed(line):
        car = stage.place(slow.model, stands)
        mover = stage.launch(fast.model, line, 0.0, heeds=False)
        mover.accel, mover.brake = FULL_THROTTLE, FULL_BRAKE
        await stage.triggered(spec)
        mover.wanted = 70.0

        async def change() -> None:
            await until(lambda: 80.0 - mover.s < 30.0)
            mover.wanted = 10.0
            await _into_lane(stage, mover, 1)
            await stage.forever()

        await first(_ego_stands_near(stage, stands), change())
    stage.remove([car, mover.actor])


async def cut_in(stage: Stage, spec: ScenarioSpec) -> None:
    """A car comes from behind, passes ego and cuts in; its name says from which side."""
    (other,) = _others(spec, 1)
    side = 1 if "left" in spec.name.lower() else -1
    line = Spot.near(stage.graph, other.at).line(2.0 * FAR)
    with stage.closed(line):
        mover = stage.launch(other.model, line, 0.0, heeds=False)
        mover.accel = FULL_THROTTLE
        await stage.triggered(spec)
        mover.wanted = 40.0
        await until(lambda: stage.gap_to(mover) < 30.0)

        async def catch_up() -> None:
            while stage.gap_to(mover) > 5.0:
                mover.wanted = stage.speed + 10.0
                await next_tick()
            mover.wanted = mover.speed

        begin = mover.s
        if await first(catch_up(), until(lambda: mover.s > begin + 500.0)) == 0:
            await _into_lane(stage, mover, -side)
            changed = mover.s
            await until(lambda: mover.s > changed + 500.0 or mover.left < 1.0 or mover.hit)
    stage.remove([mover.actor])


async def stationary_object_crossing(stage: Stage, spec: ScenarioSpec) -> None:
    """A container stands in the lane for a while."""
    spot = Spot.near(stage.graph, spec.trigger).ahead(40.0)
    where = spot.beside(-0.2 * spot.width, 0.5 * math.pi)
    box = stage.place("static.prop.container", where)
    with stage.closed(line_between(Spot.near(stage.graph, spec.trigger), spot)):
        await stage.triggered(spec)
        await stage.seconds(15.0)
    stage.remove([box])
    await stage.driven(40.0)


async def maneuver_opposite_direction(stage: Stage, spec: ScenarioSpec) -> None:
    """A barrier stands in ego's lane, and others come in the lane on its left."""
    begin = Spot.near(stage.graph, spec.trigger)
    spot, beyond = begin.ahead(50.0), begin.ahead(52.0)
    barriers = [
        stage.place("static.prop.streetbarrier", spot.beside(0.0, -0.5 * math.pi)),
        stage.place(
            "static.prop.streetbarrier", beyond.beside(-0.5 * beyond.width, -0.5 * math.pi)
        ),
    ]
    source = begin.ahead(110.0).left_lane()
    line = line_between(source, source.ahead(FAR))
    models = ("vehicle.audi.tt", "vehicle.tesla.model3", "vehicle.nissan.micra")
    with stage.closed(line, line_between(begin, beyond)), stage.overtaking():
        await stage.triggered(spec)
        stream = flow(stage, line, 5.56, (40.0, 40.0), heeds=True, models=models)
        await first(stage.driven(220.0), stream)
    stage.remove(barriers)


async def no_signal_junction_crossing(stage: Stage, spec: ScenarioSpec) -> None:
    """Somebody comes to a junction so that both are there at once."""
    (other,) = _others(spec, 1)
    line = Spot.near(stage.graph, other.at).line(200.0)
    meeting, theirs = _meeting(stage, spec, line)
    with stage.closed(line):
        mover = stage.launch(other.model, line, 0.0, heeds=False)
        await stage.triggered(spec)
        await stage.driven(10.0)
        while stage.ego_s < meeting - 15.0:
            time = (meeting - stage.ego_s) / max(stage.speed, 0.1)
            mover.wanted = max(theirs - mover.s, 0.0) / time
            await next_tick()
        mover.wanted = 15.0

        async def pass_by() -> None:
            await until(lambda: mover.s > min(theirs + 35.0, line.length - 15.0))
            mover.wanted, mover.brake = 0.0, FULL_BRAKE
            await stage.forever()

        await first(stage.driven(meeting + 20.0 - stage.ego_s), pass_by())
    stage.remove([mover.actor])


async def free_ride(stage: Stage, spec: ScenarioSpec) -> None:
    """Nothing."""
    del spec
    await stage.forever()


async def _drive_until(lead: Mover, s: float) -> None:
    """Drive on until there [m], then brake and stand."""
    lead.wanted, lead.brake = LEAD_SPEED, FULL_BRAKE
    await until(lambda: lead.s > s or lead.left < 1.0)
    lead.wanted = 0.0
    await until(lambda: lead.speed <= STANDING)


async def _ego_stands_near(stage: Stage, who: Mover | Place) -> None:
    """Wait until ego has stood for a while near somebody, or near a place."""
    since = stage.t
    while stage.t - since < STANDS:
        away = stage.gap_to(who) if isinstance(who, Mover) else stage.distance_to(who)
        if stage.speed > STANDING or away > STANDS_NEAR:
            since = stage.t
        await next_tick()


async def _into_lane(stage: Stage, mover: Mover, side: int) -> None:
    """Change into the lane on the left (1) or right (-1) along so much of its way."""
    to = Spot.near(stage.graph, mover.place).across(side)
    begin = mover.s + CHANGE_BEFORE
    # It steers for a point ahead, so that is the one to be moved over.
    while (part := (mover.s + mover.look - begin) / CHANGE) < 1.0 and not mover.hit:
        mover.offset = to * max(part, 0.0)
        await next_tick()
    mover.offset = to


def _to_junction(stage: Stage, line: Route) -> float:
    """[m] along a line to the next junction; its length where none comes."""
    junction = first_junction(stage.graph, line)
    return float(line.s[junction[0]]) if junction else line.length


def _others(spec: ScenarioSpec, count: int) -> tuple[Other, ...]:
    """The other actors that a file gives.

    Raises:
        SuiteError: there are too few.
    """
    if len(spec.others) < count:
        raise SuiteError(
            spec.source,
            f"{spec.type} needs {count} <other_actor>, and there are {len(spec.others)}",
        )
    return spec.others[:count]


def _meeting(stage: Stage, spec: ScenarioSpec, line: Route) -> tuple[float, float]:
    """Where [m] on ego's route and on another line both cross.

    Raises:
        SuiteError: they do not.
    """
    ahead = stage.route.s > stage.trigger_s(spec)
    xy, s = stage.route.xyz[ahead, :2], stage.route.s[ahead]
    away = np.hypot(*(xy[:, None, :] - line.xyz[None, :, :2]).transpose(2, 0, 1))
    near = np.flatnonzero(away.min(axis=1) < 1.0)
    if not len(near):
        raise SuiteError(spec.source, "the other actor's way does not cross ego's")
    return float(s[near[0]]), float(line.s[np.argmin(away[near[0]])])


PLAYS: dict[str, Play] = {
    "ChangeLane": change_lane,
    "CutIn": cut_in,
    "FollowLeadingVehicle": follow_leading_vehicle,
    "FollowLeadingVehicleWithObstacle": follow_leading_vehicle_with_obstacle,
    "FreeRide": free_ride,
    "ManeuverOppositeDirection": maneuver_opposite_direction,
    "NoSignalJunctionCrossing": no_signal_junction_crossing,
    "OtherLeadingVehicle": other_leading_vehicle,
    "StationaryObjectCrossing": stationary_object_crossing,
    "VehicleTurningLeft": vehicle_turning_route,
    "VehicleTurningRight": vehicle_turning_route,
}
