"""ScenarioRunner's own classes on a real server: who looks gets through, who does not hits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest

from carla_bridge.simulator import NoTraffic
from headway.cli import build_driver, compose_drive
from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph
from scenarios.bench import play_route, row_of
from scenarios.junctions import Approach, Side
from scenarios.spots import Spot
from scenarios.suites import sites
from scenarios.suites.runner import read_scenarios
from tests.scenarios.played import Blind, session_in
from tests.scenarios.scenario_files import ego, other, scenario, write

TESLA = "vehicle.tesla.model3"
Site = Callable[[LaneGraph], Spot]


def on(site: Callable, s: float = 5.0) -> Site:
    return lambda graph: Spot(graph, int(site(graph).lane[0]), s)


def before(
    turn: int, way: float, lights: bool | None = None,
    fits: Callable[[Approach], bool] = lambda approach: True, number: int = 0,
) -> Site:  # fmt: skip
    """So far [m] before the so manieth junction where one can turn like that."""

    def site(graph: LaneGraph) -> Spot:
        route = next(islice(sites.turns(graph, turn, lights, fits), number, None))
        return Approach(Spot(graph, int(route.lane[0]), 0.0)).end.back(way)

    return site


@dataclass
class Trial:
    """How a class is played.

    Attributes:
        kind: the class.
        site: where ego begins.
        others: the file's other actors there.
        hits: what who does not look runs into; empty: it comes too late for who does not brake.
        passes: whether who looks gets to an end in time; else it may wait.
        quick: whether it is played in `make test`.
        town: which.
        name: of the scenario.
    """

    kind: str
    site: Site
    others: Callable[[Spot], str] = lambda spot: ""
    hits: str = "vehicle."
    passes: bool = True
    quick: bool = False
    town: str = "grid"
    name: str = "one"


def two_behind_each_other(spot: Spot) -> str:
    return other(spot.ahead(20.0), TESLA) + other(spot.ahead(100.0), "vehicle.volkswagen.t2")


def from_the_right(spot: Spot) -> str:
    return other(Approach(spot).others(Side.RIGHT)[0].end.back(45.0), TESLA)


TRIALS = [
    Trial("FollowLeadingVehicle", on(sites.two_ways), hits="vehicle.nissan.patrol", quick=True),
    Trial("FollowLeadingVehicleWithObstacle", on(sites.two_ways), hits="vehicle.nissan.patrol"),
    Trial("OtherLeadingVehicle", on(sites.two_lanes), hits="vehicle.nissan.patrol"),
    Trial("ChangeLane", on(sites.two_lanes), two_behind_each_other, hits="vehicle.volkswagen.t2"),
    Trial("StationaryObjectCrossing", on(sites.two_ways), hits="static.prop.container", quick=True),
    Trial(
        "ManeuverOppositeDirection",
        on(sites.two_ways),
        hits="static.prop.streetbarrier",
        passes=False,
    ),
    Trial(
        "NoSignalJunctionCrossing",
        before(0, 90.0, False, sites.met_from(Side.RIGHT)),
        from_the_right,
        hits=TESLA,
    ),
    Trial("VehicleTurningRight", before(-1, 60.0, number=2), hits="vehicle.diamondback.century"),
    Trial("VehicleTurningLeft", before(1, 60.0, number=1), hits=""),
]
marks = {True: (), False: (pytest.mark.slow,)}


def play(sessions, trial: Trial, folder, careful: bool):
    """Drive a class by its file; returns spec, episode and stage."""
    session = session_in(trial.town, sessions)
    spot = trial.site(session.lane_graph)
    text = scenario(trial.name, trial.kind, ego(spot), trial.others(spot), trial.town)
    suite = read_scenarios(write(folder, text))
    assert suite.errors == ()
    config, _ = compose_drive(["planner=mpc"])
    driver = build_driver(config, session)
    if not careful:
        driver.perception = Blind()
    spec = suite.routes[0]
    return spec, *play_route(spec, session, driver, config, NoTraffic(), 1)


@pytest.mark.parametrize(
    "trial", [pytest.param(t, id=t.kind, marks=marks[t.quick]) for t in TRIALS]
)
def test_who_looks_gets_through_and_who_does_not_hits_it(sessions, tmp_path, trial):
    spec, episode, stage = play(sessions, trial, tmp_path, careful=True)
    row = row_of(spec, episode, stage, "2.1")
    assert row["infractions"] == []
    assert row["criteria"] == {"CollisionTest": True}
    if trial.passes:
        assert row["success"]
        assert episode.sim_s < spec.limit_s
    if trial.hits:
        spec, episode, stage = play(sessions, trial, tmp_path, careful=False)
        row = row_of(spec, episode, stage, "2.1")
        assert row["criteria"] == {"CollisionTest": False}
        assert not row["success"]
        assert episode.criteria.collisions.infractions[0].partner_type.startswith(trial.hits)


def test_the_lead_stops_before_the_junction_and_ego_behind_it(sessions, tmp_path):
    trial = TRIALS[0]
    spec, episode, stage = play(sessions, trial, tmp_path, careful=True)
    assert episode.ending == "story_over"
    _, junction, _ = stage.junction_ahead(spec.scenarios[0])
    # It brakes 20 m before the junction from 10 m/s with 8 m/s^2, and ego stands within 20 m.
    assert junction - 20.0 - 20.0 + 6.0 < stage.ego_s < junction - 20.0
    assert stage.speed < 0.1
    assert stage.t < 60.0


@pytest.mark.slow
@pytest.mark.parametrize("side", ["left", "right"])
def test_who_cuts_in_comes_from_the_side_that_its_name_says(sessions, tmp_path, side):
    """On the middle one of three lanes; after 8 s it is before ego, in its lane."""
    sign = 1 if side == "left" else -1

    def middle(graph: LaneGraph) -> Spot:
        fits = [lane for lane in range(graph.num_lanes) if sites.open_lanes(graph)[lane]
                and len(Spot(graph, lane, 0.0).siblings()) >= 3]  # fmt: skip
        longest = max(fits, key=lambda lane: graph.length[lane])
        return Spot(graph, longest, 0.0).siblings()[1].ahead(60.0)

    def behind(spot: Spot) -> str:
        return other(spot.back(40.0).next_lane(sign), TESLA)

    trial = Trial("CutIn", middle, behind, town="interchange", name=f"From_{side}_lane")
    spec, episode, stage = play(sessions, trial, tmp_path, careful=True)
    assert row_of(spec, episode, stage, "2.1")["success"]
    seen = np.array([
        [*record.ego[:2], *record.agents[0, :2]]
        for record in episode.trace.records if record.t < 8.0
    ])  # fmt: skip
    ego_s, _, _ = project_on_route(stage.route, seen[:, :2])
    s, d, _ = project_on_route(stage.route, seen[:, 2:])
    assert s[0] < ego_s[0] - 20.0, "it comes from behind"
    beside = np.abs(s - ego_s) < 3.0
    assert beside.any()
    assert np.all(np.sign(d[beside]) == sign), "it passes ego on that side"
    assert abs(d[-1]) < 0.5, "in ego's lane"
    assert s[-1] - ego_s[-1] > 20.0


def test_a_class_that_needs_others_says_so(sessions, tmp_path):
    trial = Trial("CutIn", on(sites.two_lanes))
    with pytest.raises(ValueError, match=r"own.xml:2: <scenario>: CutIn needs 1 <other_actor>"):
        play(sessions, trial, tmp_path, careful=True)
