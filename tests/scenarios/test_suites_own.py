"""Our own suites: their files are what the code writes, and every route can be driven."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from carla_bridge.headless.towns.store import OWN_TOWNS
from headway.road.routing import route_through
from scenarios.abilities import ABILITIES
from scenarios.families import PLAYS
from scenarios.suites import headway
from scenarios.suites.leaderboard import read_routes
from scenarios.suites.own import OWN_SUITES, eval_fingerprint, own_suite, smoke
from scenarios.suites.places import PLACES
from scenarios.suites.write import write_routes
from scenarios.view import View

BENCH2DRIVE = frozenset().union(*ABILITIES.values())


def test_what_is_written_is_read_again(tmp_path):
    specs = smoke()
    write_routes(tmp_path / "routes.xml", specs)
    suite = read_routes(tmp_path / "routes.xml")
    assert suite.errors == ()
    for given, read in zip(specs, suite.routes, strict=True):
        assert (given.id, given.town) == (read.id, read.town)
        np.testing.assert_allclose(read.keypoints, given.keypoints, atol=0.006)
        assert read.weather_at(0.5).items() >= dict(given.weathers[0].values).items()
        wanted, got = given.scenarios[0], read.scenarios[0]
        assert (got.name, got.type) == (wanted.name, wanted.type)
        assert got.trigger.yaw is not None
        assert wanted.trigger.yaw is not None
        assert abs(math.remainder(got.trigger.yaw - wanted.trigger.yaw, math.tau)) < 1e-3
        words = {name: dict(parameter.words) for name, parameter in wanted.parameters.items()}
        assert {name: dict(p.words) for name, p in got.parameters.items()} == words


def test_the_shipped_file_is_what_the_code_writes(tmp_path):
    write_routes(tmp_path / "smoke.xml", smoke())
    assert OWN_SUITES["smoke"][0].read_bytes() == (tmp_path / "smoke.xml").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("part", headway.PARTS)
def test_the_files_of_headway_are_what_the_code_draws(part, tmp_path):
    write_routes(tmp_path / "part.xml", headway.headway_part(part))
    assert OWN_SUITES[f"headway_{part}"][0].read_bytes() == (tmp_path / "part.xml").read_bytes()


def test_eval_and_the_rivals_are_those_that_the_docs_say():
    """Whoever changes a route, a seed or a rival says so there, and runs the table anew."""
    docs = Path(__file__).parents[2] / "docs" / "scenarios.md"
    assert eval_fingerprint() in docs.read_text()


def test_headway_has_each_type_five_times_and_holds_two_towns_out():
    dev, held_out = (own_suite(f"headway_{part}").routes for part in ("dev", "eval"))
    assert {r.town for r in held_out} == {"harbour", "village"}
    assert not {r.town for r in dev} & {r.town for r in held_out}
    kinds = Counter(r.scenarios[0].type for r in (*dev, *held_out))
    assert kinds.keys() == PLACES.keys() >= BENCH2DRIVE
    assert min(kinds.values()) >= 5
    for routes in (dev, held_out):
        levels = Counter(r.difficulty for r in routes)
        assert set(levels) == set(headway.DIFFICULTIES)
        assert max(levels.values()) - min(levels.values()) <= 1
    assert len({tuple(r.weathers[0].values.items()) for r in dev}) > 15
    assert {r.id for r in dev} | {r.id for r in held_out} == {
        r.id for r in own_suite("headway").routes
    }


def test_every_route_of_ours_leads_through_its_triggers():
    graphs = {name: load_town(name).lane_graph for name in OWN_TOWNS}
    for name in OWN_SUITES:
        for spec in own_suite(name).routes:
            graph = graphs[spec.town]
            view = View(graph, route_through(graph, spec.keypoints[:, :2]), 0.05)
            for scenario in spec.scenarios:
                assert scenario.type in PLAYS
                assert 0.0 < view.trigger_s(scenario) < view.route.length
