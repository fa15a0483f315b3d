"""Every type on a real server: who looks gets through, who does not fails at what it is about.

One type of each family is played in `make test`, all of them in `make test-scenarios`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest

from headway.road.lane_graph import LaneGraph, StopKind
from headway.road.route import Route
from headway.road.routing import plan_route
from scenarios.junctions import Approach, Side
from scenarios.suites import sites
from tests.scenarios.played import TRIGGER, Blind, Deaf, Lawless, drive, session_in, spec_of

Site = Callable[[LaneGraph], Route]


@dataclass
class Trial:
    """How a type is played.

    Attributes:
        kind: type of the scenario.
        site: where.
        given: its parameters.
        places: those that depend on the town.
        fails: what happens to who does not look; who runs lights and signs does not see those.
        at_s: [m] on the route where it goes off.
        quick: whether it is played in `make test`.
        limit: [s] for who looks.
        seed: of the scenario's choices.
        town: which.
    """

    kind: str
    site: Site
    given: dict[str, Any] = field(default_factory=dict)
    places: Callable[[LaneGraph], dict[str, Any]] = lambda graph: {}
    fails: str = "collision"
    at_s: float = TRIGGER
    quick: bool = False
    limit: float = 90.0
    seed: int = 1
    town: str = "grid"


def anybody(approach: Approach) -> bool:
    del approach
    return True


def turn(
    turn: int, lights: bool | None, fits: Callable[[Approach], bool] = anybody, number: int = 0
) -> Site:
    """The so manieth way through a junction that turns like that."""

    def site(graph: LaneGraph) -> Route:
        return next(islice(sites.turns(graph, turn, lights, fits), number, None))

    return site


def stop_sign(graph: LaneGraph) -> Route:
    """Ego has to stop before it turns right."""
    has_sign = set(graph.stop_lane[graph.stop_kind == StopKind.STOP].tolist())
    return next(sites.turns(graph, -1, False, lambda approach: approach.lane in has_sign))


opposite, from_left, from_right = map(sites.met_from, (Side.OPPOSITE, Side.LEFT, Side.RIGHT))
GAPS = {"flow_speed": 9.0, "source_dist_interval": (25.0, 90.0)}
SLOW = {"flow_speed": 10.0, "source_dist_interval": (25.0, 70.0)}

TRIALS = [
    Trial("Accident", sites.two_lanes, {"distance": 50.0}),
    Trial("HazardAtSideLane", sites.two_lanes, {"distance": 40.0}, quick=True),
    *(
        Trial(f"{kind}TwoWays", sites.two_ways, {"distance": 60.0}, limit=120.0)
        for kind in ("Accident", "ConstructionObstacle", "HazardAtSideLane", "ParkedObstacle")
    ),
    Trial("ParkingCutIn", sites.parking_lane, quick=True),
    Trial("HardBreakRoute", sites.two_ways, quick=True),
    Trial("PedestrianCrossing", turn(0, None, number=1)),
    Trial("VehicleTurningRoute", turn(-1, None, number=2)),
    Trial("NonSignalizedJunctionLeftTurn", turn(1, False, opposite), GAPS),
    Trial("NonSignalizedJunctionRightTurn", turn(-1, False, from_left), GAPS, quick=True),
    Trial("SignalizedJunctionRightTurn", turn(-1, True, from_left), GAPS, seed=3),
    Trial("NonSignalizedJunctionLeftTurnEnterFlow", turn(1, False, opposite), GAPS, seed=4),
    Trial("OppositeVehicleTakingPriority", turn(0, False, from_right, 1), quick=True),
    Trial("OppositeVehicleRunningRedLight", turn(0, True, from_right, 1)),
    *(
        Trial(kind, sites.merge, SLOW, sites.merge_flow, town="interchange")
        for kind in ("EnterActorFlowV2", "MergerIntoSlowTraffic", "MergerIntoSlowTrafficV2")
    ),
    Trial("HighwayExit", sites.leave, SLOW, sites.leave_flow, town="interchange"),
    Trial("HighwayCutIn", sites.past_entry, {}, sites.on_ramp, quick=True, town="interchange"),
    Trial(
        "InterurbanActorFlow",
        turn(1, False, opposite),
        SLOW | {"source_dist_interval": (25, 90)},
        sites.flow_from(Side.OPPOSITE, 1),
        seed=2,
        town="interchange",
    ),
    Trial(
        "CrossingBicycleFlow",
        sites.beside_cycleway,
        {"flow_speed": 4.0, "source_dist_interval": (8.0, 30.0)},
        sites.cycleway,
        town="old_town",
    ),
    Trial("VanillaSignalizedTurnEncounterRedLight", turn(1, True), at_s=70.0, fails="red_light"),
    Trial("VanillaNonSignalizedTurnEncounterStopsign", stop_sign, fails="stop_sign"),
]
marks = {True: (), False: (pytest.mark.slow,)}


@pytest.mark.parametrize(
    "trial", [pytest.param(t, id=t.kind, marks=marks[t.quick]) for t in TRIALS]
)
def test_who_looks_gets_through_and_who_does_not_fails(sessions, trial):
    session = session_in(trial.town, sessions)
    route = trial.site(session.lane_graph)
    spec = spec_of(trial.kind, route, trial.at_s, **trial.given, **trial.places(session.lane_graph))
    episode, stage, _, _ = drive(session, route, spec, True, trial.limit, trial.seed)
    assert episode.ending == "completed"
    assert episode.criteria.infractions == []
    assert stage.timeouts == stage.missed_yields == []
    careless = Blind if trial.fails == "collision" else Lawless
    episode, _, _, _ = drive(session, route, spec, False, 60.0, trial.seed, careless)
    assert trial.fails in {event.kind for event in episode.criteria.infractions}


@pytest.mark.slow
def test_who_hears_a_siren_makes_way_and_who_does_not_is_in_its_way(sessions):
    session = session_in("grid", sessions)
    graph = session.lane_graph
    lane = int(sites.right_lane_beside(graph).lane[0])
    route = plan_route(graph, lane, 130.0, lane, float(graph.length[lane]) - 5.0)
    spec = spec_of("YieldToEmergencyVehicle", route, distance=110.0)
    missed = []
    for hears in (True, False):
        episode, stage, _, _ = drive(session, route, spec, hears, careless=Deaf)
        assert episode.ending == "completed"
        assert episode.criteria.infractions == []
        missed.append(stage.missed_yields)
    assert missed == [[], ["YieldToEmergencyVehicle_1"]]
