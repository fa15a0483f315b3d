"""`headway bench` over a file of routes, in workers with real servers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from headway.cli import app, compose_drive
from headway.road.lane_graph import LaneKind
from scenarios.bench import known_rows
from scenarios.bench_jobs import BenchConfig, jobs_of, make_bench, with_traffic
from scenarios.config import NoTrafficConfig
from scenarios.suites.own import own_suite
from scenarios.suites.spec import RouteSpec
from tests.scenarios import xosc

SCENARIO = """<scenario name="{kind}_1" type="{kind}">
<trigger_point x="{x}" y="{y}" z="0" yaw="{yaw}"/><distance value="50"/></scenario>"""


@pytest.fixture
def suite(grid, tmp_path):
    """Routes along a lane beside another: an obstacle, none, a foreign town, a foreign type."""
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0) & grid.left_change
    points = grid.points(int(np.argmax(np.where(fits, grid.length, 0.0))))
    xyz, yaw = grid.xyz[points], float(grid.yaw[points][15])

    def route(number, town, end, kind=""):
        at = "".join(f'<position x="{x}" y="{-y}" z="{z}"/>' for x, y, z in (xyz[2], xyz[end]))
        trigger = {"x": xyz[15, 0], "y": -xyz[15, 1], "yaw": -np.degrees(yaw)}
        scenario = SCENARIO.format(kind=kind, **trigger) if kind else ""
        return (
            f'<route id="{number}" town="{town}"><waypoints>{at}</waypoints>'
            f"<scenarios>{scenario}</scenarios></route>\n"
        )

    path = tmp_path / "mine.xml"
    path.write_text(
        "<routes>\n"
        + route(0, "grid", 130, "ParkedObstacle") + route(1, "grid", 60)
        + route(2, "Atlantis", 60) + route(3, "grid", 60, "Flood") + "</routes>"
    )  # fmt: skip
    return path


def bench(suite, folder, *overrides):
    command = ["bench", f"suite={suite}", f"folder={folder}", "traffic=none", *overrides, "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return {row.pop("key"): {k: v for k, v in row.items() if k != "wall_s"} for row in rows}


def untimed(folder):
    """Every results file of a bench, without wall times."""
    found = {}
    for path in sorted(folder.glob("*/results.json")):
        results = json.loads(path.read_text())
        checkpoint = results["_checkpoint"]
        for record in (checkpoint["global_record"], *checkpoint["records"]):
            del record["meta"]["duration_system"]
        found[path.parent.name] = results
    return found


@pytest.mark.timeout(240)
def test_routes_are_driven_and_scored_and_what_is_known_is_not_driven_again(suite, tmp_path):
    told = ("workers=2", "score=bench2drive")
    summary, said = bench(suite, tmp_path / "two", *told)
    said = " ".join(said.split())
    assert "the town 'Atlantis' is not installed" in said
    assert "mine.xml:6: <scenario>: scenarios of type 'Flood' are not ours yet" in said
    mpc = summary["planners"]["mpc"]
    assert (mpc["drives"], mpc["errors"]) == (2, 0)
    assert (mpc["driving_score"], mpc["success_rate"]) == (100.0, 1.0)
    assert mpc["abilities"] == {"Overtaking": 1.0}
    rows = rows_of(tmp_path / "two")
    assert set(rows) == {"mpc 0 1", "mpc 1 1"}
    assert rows["mpc 0 1"]["scenarios"] == ["ParkedObstacle"]
    assert rows["mpc 0 1"]["status"] == "Completed"
    assert len(rows["mpc 0 1"]["outcome"]["slowness"]) == 20
    results = untimed(tmp_path / "two")["mpc-1"]
    assert results["entry_status"] == "Finished"
    assert results["_checkpoint"]["global_record"]["scores_mean"]["score_composed"] == 100.0
    table = parquet.read_table(tmp_path / "two" / "rows.parquet").to_pydict()
    assert table["route"] == ["0", "1"]
    assert table["driving_score"] == [100.0, 100.0]
    with (tmp_path / "two" / "rows.jsonl").open("a") as file:
        file.write('{"town": "gri')  # killed while writing
    again, _ = bench(suite, tmp_path / "two", *told)
    assert again["planners"] == summary["planners"]
    assert rows_of(tmp_path / "two") == rows
    for record in results["_checkpoint"]["records"]:
        _check_motion(tmp_path / "two" / "mpc-1" / record["save_name"] / "metric_info.json")


def _check_motion(path):
    """What the file says of places, directions and accelerations belongs together."""
    steps = json.loads(path.read_text())
    assert list(steps) == [str(k) for k in range(len(steps))]
    series = {name: np.array([step[name] for step in steps.values()]) for name in steps["0"]}
    velocity = np.diff(series["location"], axis=0) / 0.05
    ahead, right = series["forward_vector"][1:], series["right_vector"][1:]
    along = np.einsum("ij,ij->i", velocity, ahead)
    assert along.max() > 5.0
    assert np.abs(np.einsum("ij,ij->i", velocity, right)).max() < 0.3 * along.max()
    np.testing.assert_allclose(
        ahead[:, 0] * right[:, 1] - ahead[:, 1] * right[:, 0], 1.0, atol=1e-3
    )
    yaw = np.radians(series["rotation"][1:, 2])
    np.testing.assert_allclose(np.column_stack([np.cos(yaw), np.sin(yaw)]), ahead[:, :2], atol=1e-3)
    turned = np.diff(np.unwrap(yaw)) / 0.05
    rate = np.radians(series["angular_velocity"][2:, 2])
    assert np.abs(turned - rate).mean() < 0.02
    gained = along[-1] - along[0]
    accel = np.einsum("ij,ij->i", series["acceleration"][1:], ahead)
    assert 0.05 * accel[1:].sum() == pytest.approx(gained, abs=1.0)


def test_rows_of_errors_and_of_other_scores_are_driven_again(tmp_path):
    rows = [{"key": "a", "score": "2.1"}, {"key": "b", "score": "1.0"}, {"key": "c", "error": "no"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert set(known_rows(tmp_path, "2.1")) == {"a"}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_folder_of_openscenario_files_is_driven(grid, tmp_path):
    fits = (grid.kind == LaneKind.DRIVING) & (grid.junction < 0)
    lane = int(np.argmax(np.where(fits, grid.length, 0.0)))
    (tmp_path / "files").mkdir()
    good = xosc.document(
        [xosc.entity("hero"), xosc.entity("lead")],
        [
            xosc.private("hero", xosc.teleport(xosc.world(*xosc.on_lane(grid, lane, 5.0)))),
            xosc.private("lead", xosc.teleport(xosc.world(*xosc.on_lane(grid, lane, 60.0)))),
        ],
        [xosc.maneuver("lead", xosc.event("go", [xosc.after(1.0)], xosc.speed(5.0, over=3.0)))],
        stop=xosc.criteria("CollisionTest"),
    )
    (tmp_path / "files" / "good.xosc").write_text(good)
    (tmp_path / "files" / "bad.xosc").write_text(good.replace("SpeedAction>", "VisibilityAction>"))
    summary, said = bench(tmp_path / "files", tmp_path / "rows", "planners=[idm]")
    assert "bad.xosc:" in said
    assert summary["planners"]["idm"]["success_rate"] == 1.0
    row = rows_of(tmp_path / "rows")["idm good 1"]
    assert row["criteria"] == {"CollisionTest": True}
    assert [1.05, "event", "go", "startTransition"] in row["story"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rows_and_results_do_not_depend_on_how_many_drive(suite, tmp_path):
    for workers in (1, 2):
        told = (f"workers={workers}", "planners=[mpc,idm_mobil]", "seeds=2")
        bench(suite, tmp_path / str(workers), *told)
    assert rows_of(tmp_path / "1") == rows_of(tmp_path / "2")
    results = untimed(tmp_path / "1")
    assert sorted(results) == ["idm_mobil-1", "idm_mobil-2", "mpc-1", "mpc-2"]
    assert results == untimed(tmp_path / "2")


@pytest.mark.parametrize(
    ("score", "blocked", "limit"),
    [("1.0", 180.0, 805.0), ("2.0", 180.0, 1020.0), ("2.1", 180.0, 1020.0),
     ("bench2drive", 60.0, 200.0)],
)  # fmt: skip
def test_the_score_says_when_a_route_ends_unless_the_command_line_does(score, blocked, limit):
    route = SimpleNamespace(length=1000.0)
    _, rest = make_bench(["suite=any.xml", f"score={score}"])
    episode = compose_drive(rest)[0].episode
    assert episode.blocked_s == blocked
    assert episode.limit_s(route) == pytest.approx(limit)
    _, rest = make_bench(["suite=any.xml", f"score={score}", "episode.blocked_s=30"])
    assert compose_drive(rest)[0].episode.blocked_s == 30.0


def test_a_route_says_who_is_on_the_road_unless_the_command_line_does():
    route = own_suite("headway_dev").routes[0]
    assert isinstance(route, RouteSpec)

    def traffic(*words: str):
        return compose_drive(with_traffic(route, words))[0].traffic

    asked = {name: getattr(traffic(), name) for name in route.traffic}
    assert asked == dict(route.traffic)
    assert asked["num_vehicles"] in (12, 30, 50)
    assert traffic("traffic.num_vehicles=3").num_vehicles == 3
    assert traffic("traffic.num_vehicles=3").num_walkers == asked["num_walkers"]
    assert isinstance(traffic("traffic=none"), NoTrafficConfig)


def test_an_openscenario_file_has_no_background_traffic_unless_asked_for():
    assert "traffic=none" in make_bench(["suite=one.xosc"])[1]
    assert make_bench(["suite=one.xosc", "traffic=idm"])[1].count("traffic=none") == 0
    assert "traffic=none" not in make_bench(["suite=any.xml"])[1]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["suite=none.xml", "score=3"], "BenchConfig.score: expected one of 1.0, 2.0, 2.1"),
        ([], "BenchConfig.suite: expected a file of routes"),
        (["suite=none.xml", "workers=0"], "BenchConfig.workers: expected 1 or more, got 0"),
        (["suite=none.xml", "seeds=few"], "seeds"),
        (["suite=none.xml"], "suite 'none.xml': no route can be driven; our own suites: smoke"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(overrides, message):
    done = CliRunner().invoke(app, ["bench", *overrides])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


def test_some_routes_of_a_suite_are_asked_for_by_id_or_by_type():
    suite, jobs = jobs_of(BenchConfig(suite="smoke", routes=["5", "ParkedObstacle"]))
    assert [route.id for route in suite.routes] == ["0", "5"]
    assert {job.route for job in jobs} == {"0", "5"}
    with pytest.raises(ValueError, match="smoke has no route and no type of scenario Flood"):
        jobs_of(BenchConfig(suite="smoke", routes=["5", "Flood"]))
