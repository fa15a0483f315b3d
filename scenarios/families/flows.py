"""Ego joins, crosses or leaves a stream of vehicles.

Flows and ends are upstream's: docs/upstream_scenarios.md, section 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.queries import nearest_lane
from headway.road.route import Route
from scenarios.cast import Play
from scenarios.flows import BICYCLES, flow
from scenarios.junctions import Lights, ego_approach
from scenarios.script import Branch, first
from scenarios.spots import Spot, first_junction, line_between
from scenarios.stage import Stage
from scenarios.suites.parameters import Parameters
from scenarios.suites.spec import ScenarioSpec, SuiteError

SPEED, SPACING = 10.0, (20.0, 50.0)  # [m/s], [m]
REACHED = 2.0  # [m] from the end of a flow, at which ego has joined it
CROSSED = 10.0  # [m] the same where it had to cross one first
BEHIND = 40.0  # [m] behind its junction that a bicycle lane is used
ALL_RED = 5.0  # [s]


async def enter_actor_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """At a junction ego enters a road on whose lanes others flow."""
    start, end = _ends(stage, spec)
    pairs = list(zip(start.siblings(), end.siblings(), strict=False))
    lines = [line_between(*pair) for pair in pairs]
    ends = [spot.beside(0.0) for _, spot in pairs]
    await _among(stage, spec, lines, stage.near_any(ends, REACHED), True, stage.entry(spec))


async def merge_into_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """From an entry of a motorway ego merges into slow traffic on one lane."""
    start, end = _ends(stage, spec)
    ends = [spot.beside(0.0) for spot in end.siblings()]
    line = line_between(start, end)
    await _among(stage, spec, [line], stage.near_any(ends, REACHED), True, stage.entry(spec))


async def leave_through_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego crosses a flow on the lane beside it to leave the motorway."""
    line = line_between(*_ends(stage, spec))
    await _among(stage, spec, [line], stage.through_junction(), True)


async def turn_across_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego leaves an interurban road by turning left across a flow."""
    line = line_between(*_ends(stage, spec))
    await _among(stage, spec, [line], stage.through_junction(), False, stage.entry(spec))


async def cross_and_join_flows(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego joins an interurban road by a left turn: crosses one flow and merges into another."""
    start, end = _ends(stage, spec)
    into = line_between(end.oncoming(), start.oncoming())
    lines = [line_between(start, end), into]
    over = stage.near(start.oncoming().beside(0.0), CROSSED)
    await _among(stage, spec, lines, over, False, stage.entry(spec))


async def crossing_bicycle_flow(stage: Stage, spec: ScenarioSpec) -> None:
    """Ego crosses a stream of bicycles on their own lane at a junction."""
    given = Parameters(spec)
    at = given.place("start_actor_flow")
    lane, s, _ = nearest_lane(stage.graph, at.x, at.y, kinds=(LaneKind.BIKING,), radius=10.0)
    if lane < 0:
        source = spec.parameters["start_actor_flow"].source
        raise SuiteError(source, "expected a lane for bicycles within 10 m, found none")
    line = _until_behind_junction(Spot(stage.graph, lane, s).line(400.0), stage.graph)
    approach = ego_approach(stage, spec)
    with stage.closed(line, *stage.entry(spec)):
        await stage.triggered(spec)
        lights = Lights(stage, approach) if approach.signals() else None

        async def over() -> None:
            if lights is not None:
                await lights.show_green()
                await stage.seconds(ALL_RED)
                await lights.show_green(approach)
            await stage.through_junction()

        riders = flow(
            stage, line, given.number("flow_speed", SPEED),
            given.interval("source_dist_interval", SPACING), filled=True, models=BICYCLES,
            in_junctions=False,
        )  # fmt: skip
        try:
            await first(stage.in_time(spec.name, over()), riders)
        finally:
            if lights is not None:
                lights.release()


def _ends(stage: Stage, spec: ScenarioSpec) -> tuple[Spot, Spot]:
    given = Parameters(spec)
    start, end = given.place("start_actor_flow"), given.place("end_actor_flow")
    return Spot.near(stage.graph, start), Spot.near(stage.graph, end)


async def _among(
    stage: Stage, spec: ScenarioSpec, lines: Sequence[Route], over: Branch, filled: bool,
    free: Sequence[Route] = (),
) -> None:  # fmt: skip
    """Let vehicles flow along the lines from the trigger until it is over, others keep `free`."""
    given = Parameters(spec)
    speed = given.number("flow_speed", SPEED)
    spacing = given.interval("source_dist_interval", SPACING)
    await stage.triggered(spec)
    with stage.closed(*lines, *free):
        streams = (flow(stage, line, speed, spacing, filled=filled) for line in lines)
        await first(stage.in_time(spec.name, over), *streams)


def _until_behind_junction(line: Route, graph: LaneGraph) -> Route:
    """As much of a line as leads through its first junction and a little on."""
    junction = first_junction(graph, line)
    if junction is None:
        return line
    kept = slice(0, int(np.searchsorted(line.s, line.s[junction[1]] + BEHIND)) + 1)
    return replace(line, **{f.name: getattr(line, f.name)[kept] for f in fields(line)[1:]})


PLAYS: dict[str, Play] = {
    "CrossingBicycleFlow": crossing_bicycle_flow,
    "EnterActorFlow": enter_actor_flow,
    "EnterActorFlowV2": merge_into_flow,
    "HighwayExit": leave_through_flow,
    "InterurbanActorFlow": turn_across_flow,
    "InterurbanAdvancedActorFlow": cross_and_join_flows,
    "MergerIntoSlowTraffic": merge_into_flow,
    "MergerIntoSlowTrafficV2": merge_into_flow,
}
