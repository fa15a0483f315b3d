"""The types that `test_types` does not play, at places that the suite `headway` draws from.

Where no planner gets through yet, scripted drivers show that one can: twins, of which the careless
one omits what the type is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pytest

from carla_bridge.bodies import DOOR
from carla_bridge.session import Session
from headway.road.frenet import route_index
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from scenarios.flows import oncoming_line
from scenarios.spots import Spot, line_between
from scenarios.suites.places import PLACES, Site
from scenarios.suites.spec import Place
from tests.scenarios.played import Blind, Lawless, drive, session_in, spec_of
from tests.scenarios.scripted import RAMP, Aside, Gate, Scripted, anyway, free, meeting, room

Twins = Callable[[LaneGraph, Site], tuple[Scripted, Scripted]]


@dataclass
class Trial:
    """How a type is played.

    Attributes:
        kind: type of the scenario.
        town: where.
        place: the so manieth place for the type there.
        given: its parameters.
        planner: that gets through, and does not when it is careless.
        twins: who drive in its place, the careful one first.
        fails: what happens to the careless one, by its own fault: an infraction, or `off_lane`.
        partner: how the blueprint begins with which it collides then.
        at_s: [m] on the route where it goes off; None: where the place has it.
        seed: of the scenario's choices.
        limit: [s] for the careful one.
        others: types of scenarios that are played at the same place, for the vehicles they bring.
        places: parameters that depend on the place.
    """

    kind: str
    town: str = "grid"
    place: int = 0
    given: Mapping[str, Any] = field(default_factory=dict)
    planner: str = "idm"
    twins: Twins | None = None
    fails: str = "collision"
    partner: str = ""
    at_s: float | None = None
    seed: int = 1
    limit: float = 90.0
    others: tuple[str, ...] = ()
    places: Callable[[LaneGraph, Site], Mapping[str, Any]] = lambda graph, site: {}

    @property
    def driver(self) -> str:
        """Who drives."""
        return "scripted" if self.twins else self.planner


PACE = 10.0  # [m/s]
OFF_LANE = 5.0  # [m] beside every lane that are no slip
CHANGE = 18.0  # [m] before the middle of a change of lane that ego still is in its lane
BERTH = 6.0  # [m] before and behind an obstacle at which ego is beside it


def overtakes(
    first: float, last: float, left: float, rest: float, ramp: float = RAMP, berth: float = BERTH
) -> Twins:
    """Who stops behind an obstacle and passes it on the oncoming lane when nobody comes.

    Args:
        first, last: [m] behind the trigger at which it begins and ends.
        left: [m] from the middle of ego's lane to pass it.
        rest: [s] that it stands there at any rate.
        ramp: [m] in which it moves aside.
        berth: [m] before and behind the obstacle at which it is beside it.
    """

    def twins(graph: LaneGraph, site: Site) -> tuple[Scripted, Scripted]:
        route, at = site.route, site.trigger_s
        aside = Aside(at + first - berth, at + last + berth, left, ramp)
        stop = aside.begin - aside.ramp
        line = oncoming_line(spot_on(graph, route, at + first))
        zone = meeting(line, route, stop, aside.end + aside.ramp, 5.0)
        nobody = free(line, zone, 4.0)
        careful, careless = Gate(stop, nobody, rest), Gate(stop, anyway, rest)
        return (
            Scripted(route, PACE, [careful], [aside]),
            Scripted(route, PACE, [careless], [aside], follows=False),
        )

    return twins


def keeps_right(graph: LaneGraph, site: Site) -> tuple[Scripted, Scripted]:
    """Who keeps right where others come over the line, and who drives on the line."""
    del graph
    right, left = (Aside(0.0, site.route.length, d) for d in (-0.35, 0.6))
    careful, careless = (
        Scripted(site.route, PACE, asides=[aside], follows=False) for aside in (right, left)
    )
    return careful, careless


def corrects(graph: LaneGraph, site: Site) -> tuple[Scripted, Scripted]:
    """Who steers against what it did not mean to do, and who turns its wheels as the road bends."""
    del graph
    return Scripted(site.route, PACE), Scripted(site.route, PACE, steers=False)


def looks_beside(graph: LaneGraph, site: Site) -> tuple[Scripted, Scripted]:
    """Who changes lane where there is room, and who does so wherever the route does."""
    route = site.route
    change = float(route.s[np.flatnonzero(np.diff(route.lane))[0]])
    line = line_between(*(Spot.near(graph, at) for at in middle_lane(graph, site).values()))
    careful = Scripted(route, PACE, [Gate(change - CHANGE, room(line, 4.0))])
    return careful, Scripted(route, PACE, follows=False)


def middle_lane(graph: LaneGraph, site: Site) -> dict[str, Place]:
    """Others drive on the lane that ego crosses when it changes from lane to lane."""
    lanes = list(dict.fromkeys(site.route.lane.tolist()))
    start = Spot(graph, lanes[1], 5.0)
    ends = (start.back(60.0), start.ahead(260.0))
    return {f"{n}_actor_flow": e.beside(0.0) for n, e in zip(("start", "end"), ends, strict=True)}


def spot_on(graph: LaneGraph, route: Route, s: float) -> Spot:
    """The place of a route at `s` [m]."""
    k = int(route_index(route, s))
    return Spot(graph, int(route.lane[k]), float(route.lane_s[k]))


# [m] between those who come towards ego; the narrowest gap is as long as it takes to pass.
AHEAD = {"distance": 50.0, "frequency": (150.0, 200.0)}
GAPS = {"flow_speed": 9.0, "source_dist_interval": (25.0, 90.0)}
DENSE = {"flow_speed": 9.0, "source_dist_interval": (20.0, 70.0)}

TRIALS = [
    Trial("AccidentTwoWays", given=AHEAD, twins=overtakes(50, 66, 2.6, 6)),
    Trial("ConstructionObstacleTwoWays", given=AHEAD, twins=overtakes(45, 58, 3.2, 7, 14)),
    Trial("ParkedObstacleTwoWays", given=AHEAD, twins=overtakes(50, 50, 2.6, 4)),
    Trial(
        "VehicleOpensDoorTwoWays",
        given=AHEAD,
        twins=overtakes(50, 62, 2.0, 6.5, 6, 0.5),
        partner="vehicle.",
    ),
    Trial("VehicleOpensDoorTwoWays", given={"distance": 50.0}, planner="mpc", partner=DOOR),
    Trial("InvadingTurn", "ring", 4, twins=keeps_right),
    Trial("ControlLoss", twins=corrects, fails="off_lane"),
    Trial("EnterActorFlow", place=12, seed=4),
    Trial("InterurbanAdvancedActorFlow", place=18, seed=2, limit=120.0),
    Trial("SignalizedJunctionLeftTurn"),
    Trial("SignalizedJunctionLeftTurnEnterFlow", place=6, seed=2),
    Trial("VehicleTurningRoutePedestrian", place=60),
    Trial(
        "HazardAtSideLaneTwoWays",
        given={**AHEAD, "bicycle_drive_distance": 10.0},
        twins=overtakes(60, 69, 2.6, 6),
    ),
    Trial("HazardAtSideLaneTwoWays", planner="pdm_closed"),
    Trial("PriorityAtJunction", place=42, at_s=104.0, fails="red_light"),
    Trial("VanillaSignalizedTurnEncounterGreenLight", at_s=5.0, fails="red_light"),
    Trial("T_Junction", given=GAPS, others=("NonSignalizedJunctionRightTurn",), seed=2),
    Trial(
        "VanillaNonSignalizedTurn",
        place=37,
        given=GAPS,
        others=("NonSignalizedJunctionRightTurn",),
        seed=2,
    ),
    Trial("ParkingExit"),
    Trial(
        "SequentialLaneChange",
        "interchange",
        at_s=4.0,
        given=DENSE,
        others=("MergerIntoSlowTraffic",),
        places=middle_lane,
        twins=looks_beside,
    ),
    Trial("StaticCutIn"),
    Trial("BlockedIntersection"),
]


def play(session: Session, trial: Trial, careful: bool):
    graph = session.lane_graph
    site = next(islice(PLACES[trial.kind](graph), trial.place, None))
    at_s = site.trigger_s if trial.at_s is None else trial.at_s
    given = {**site.given, **trial.given, **trial.places(graph, site)}
    spec, *others = (
        spec_of(kind, site.route, at_s, **given) for kind in (trial.kind, *trial.others)
    )
    ego = trial.twins(graph, site)[0 if careful else 1] if trial.twins else None
    sees = ego is not None or careful
    careless = Lawless if trial.fails in ("red_light", "stop_sign") else Blind
    return drive(session, site.route, spec, sees, trial.limit if careful else 60.0, trial.seed,
                 careless, planner=trial.planner, ego=ego, others=others)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("trial", [pytest.param(t, id=f"{t.kind}-{t.driver}") for t in TRIALS])
def test_the_careful_one_gets_through_and_the_careless_one_fails(sessions, trial):
    session = session_in(trial.town, sessions)
    episode, stage, _, _ = play(session, trial, True)
    assert episode.ending == "completed"
    assert episode.criteria.infractions == []
    assert stage.timeouts == stage.missed_yields == []
    assert trial.fails != "off_lane" or episode.criteria.off_lane.metres == 0.0
    episode, _, _, _ = play(session, trial, False)
    blame = {
        event.kind
        for event in episode.criteria.infractions
        if event.at_fault and event.partner_type.startswith(trial.partner)
    }
    if episode.criteria.off_lane.metres > OFF_LANE:
        blame.add("off_lane")
    assert trial.fails in blame
