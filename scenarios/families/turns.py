"""Ego turns at a junction, through a stream of others, among lights, or past who takes its way.

Flows, lights and ends are upstream's: docs/upstream_scenarios.md, sections 7 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenarios.cast import Play
from scenarios.flows import flow
from scenarios.junctions import Approach, Lights, Side, ego_approach
from scenarios.script import first
from scenarios.spots import Spot
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import Place, ScenarioSpec

FLOW_SPEED, SPACING = 20.0, (25.0, 50.0)  # [m/s], [m]
PHASE = 5.0  # [s] of lights that come before the one that lasts
BEHIND = 10.0  # [m] behind the junction at which it is over
ALL_THE_WAY = 200.0  # [m] that ego drives where the route itself is the task
ADVERSARY_SPEED = 60.0 / 3.6  # [m/s] of who takes ego's way
ADVERSARY_BEFORE, ADVERSARY_BEHIND = 30.0, 10.0  # [m] before and behind the junction
SIDES = {"left": Side.LEFT, "right": Side.RIGHT, "opposite": Side.OPPOSITE}


async def left_turn(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego turns left through who comes straight towards it."""
    await _turn_through(stage, spec, Side.OPPOSITE, (4.0, 2.5), turn=0, filled=False)


async def left_turn_enter_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego turns left into a road into which those who come towards it turn right."""
    await _turn_through(stage, spec, Side.OPPOSITE, (4.0, 2.5), turn=-1, filled=False)


async def right_turn(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego turns right into a road on which others come from the left."""
    await _turn_through(stage, spec, Side.LEFT, (5.0, 3.0), turn=0, filled=True)


async def _turn_through(
    stage: Stage, spec: ScenarioSpec, side: Side, times: tuple[float, float], turn: int,
    filled: bool,
) -> None:  # fmt: skip
    """A flow from one side; `times` [s] of its way before and behind the junction."""
    given = Parameters(spec)
    speed = given.number("flow_speed", FLOW_SPEED)
    spacing = given.interval("source_dist_interval", SPACING)
    ego = ego_approach(stage, spec, spec.type.startswith("Signalized"))
    others = ego.others(side)
    other = others[-1] if filled else others[int(stage.rng.integers(len(others)))]
    line = other.line(times[0] * speed, times[1] * speed, turn)

    await stage.triggered(spec)
    with stage.closed(line, *stage.entry(spec)):
        stream = flow(stage, line, speed, spacing, filled=filled, in_junctions=False)
        over = stage.in_time(spec.name, _out_of_junction(stage))
        if spec.type.startswith("Signalized"):
            phases = [(PHASE, [other]), (0.0, [ego, other])]
            await first(over, stream, show(stage, ego, phases))
        else:
            await first(over, stream)


async def takes_priority(stage: Stage, spec: ScenarioSpec) -> None:
    """An emergency vehicle crosses ego's way through a red light, or without right of way."""
    side = SIDES[Parameters(spec).choice("direction", tuple(SIDES), "right")]
    ego = ego_approach(stage, spec, spec.type == "OppositeVehicleRunningRedLight")
    other = ego.others(side)[0]
    line = other.line(ADVERSARY_BEFORE, ADVERSARY_BEHIND)
    model = stage.choose(stage.vehicles(special_type="emergency"))
    meeting = _crossing(ego.end, other.end)

    async def cross() -> None:
        await stage.about_to_reach(meeting, 2.2, 12.0)
        mover.wanted = mover.speed = ADVERSARY_SPEED
        await stage.seconds(line.length / ADVERSARY_SPEED)
        stage.remove([mover.actor])
        await stage.forever()

    with stage.closed(line, *stage.entry(spec)):
        await stage.triggered(spec)
        mover = await stage.bring(model, line, 0.0, heeds=False)
        stage.switch_siren_on(mover.actor)
        branches = [stage.through_junction(), cross()]
        if spec.type == "OppositeVehicleRunningRedLight":
            branches.append(show(stage, ego, [(0.0, [ego])]))
        await first(*branches)
    stage.remove([mover.actor])


async def priority_at_junction(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego's light is green."""
    ego = ego_approach(stage, spec, lights=True)
    await stage.triggered(spec)
    await first(stage.through_junction(), show(stage, ego, [(0.0, [ego])]))


async def meets_red_light(stage: Stage, spec: ScenarioSpec) -> None:
    """The lights are red, then ego's turns green."""
    ego = ego_approach(stage, spec, lights=True)
    await stage.triggered(spec)
    await first(_out_of_junction(stage), show(stage, ego, [(PHASE, []), (0.0, [ego])]))


async def meets_green_light(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego's light is green, but not for long."""
    ego = ego_approach(stage, spec, lights=True)
    await stage.triggered(spec)
    lights = show(stage, ego, [(PHASE, [ego]), (PHASE, [])], lasts=False)
    await first(_out_of_junction(stage), lights)


async def turns(stage: Stage, spec: ScenarioSpec) -> None:
    """Nothing but the junction."""
    with stage.closed(*stage.entry(spec)):
        await stage.triggered(spec)
        await _out_of_junction(stage)


async def crosses(stage: Stage, spec: ScenarioSpec) -> None:
    """Nothing but the junction, and whoever is there anyway."""
    with stage.closed(*stage.entry(spec)):
        await stage.triggered(spec)
        await stage.through_junction()
    await stage.driven(2.0 * BEHIND)


async def drives_on(stage: Stage, spec: ScenarioSpec) -> None:
    """Nothing but the route."""
    await stage.triggered(spec)
    await stage.in_time(spec.name, stage.driven(ALL_THE_WAY))


async def show(
    stage: Stage, ego: Approach, phases: Sequence[tuple[float, Sequence[Approach]]],
    lasts: bool = True,
) -> None:  # fmt: skip
    """Let these go at a junction for so long [s]; the last phase may last until broken off."""
    lights = Lights(stage, ego)
    try:
        for duration, green in phases:
            await lights.show_green(*green)
            await stage.seconds(duration)
        if lasts:
            await stage.forever()
    finally:
        lights.release()


async def _out_of_junction(stage: Stage) -> None:
    await stage.through_junction()
    await stage.driven(BEHIND)


def _crossing(a: Spot, b: Spot) -> Place:
    """Where the straight lines on from two lanes' ends cross."""
    p, q = a.beside(0.0), b.beside(0.0)
    along = np.array([[np.cos(a.yaw), -np.cos(b.yaw)], [np.sin(a.yaw), -np.sin(b.yaw)]])
    if abs(np.linalg.det(along)) < 0.2:  # who comes towards ego: halfway between both
        return Place(0.5 * (p.x + q.x), 0.5 * (p.y + q.y), p.z)
    way = float(np.linalg.solve(along, [q.x - p.x, q.y - p.y])[0])
    return Place(p.x + way * float(np.cos(a.yaw)), p.y + way * float(np.sin(a.yaw)), p.z)


PLAYS: dict[str, Play] = {
    "NoSignalJunctionCrossingRoute": crosses,
    "NonSignalizedJunctionLeftTurn": left_turn,
    "NonSignalizedJunctionLeftTurnEnterFlow": left_turn_enter_flow,
    "NonSignalizedJunctionRightTurn": right_turn,
    "OppositeVehicleRunningRedLight": takes_priority,
    "OppositeVehicleTakingPriority": takes_priority,
    "PriorityAtJunction": priority_at_junction,
    "SequentialLaneChange": drives_on,
    "SignalizedJunctionLeftTurn": left_turn,
    "SignalizedJunctionLeftTurnEnterFlow": left_turn_enter_flow,
    "SignalizedJunctionRightTurn": right_turn,
    "T_Junction": drives_on,
    "VanillaNonSignalizedTurn": turns,
    "VanillaNonSignalizedTurnEncounterStopsign": turns,
    "VanillaSignalizedTurnEncounterGreenLight": meets_green_light,
    "VanillaSignalizedTurnEncounterRedLight": meets_red_light,
}
