"""`headway bench` over a file of routes, in workers with real servers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from headway.cli import app, compose_drive
from headway.road.lane_graph import LaneKind
from scenarios.bench import make_bench
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


@pytest.mark.timeout(240)
def test_routes_are_driven_and_scored_and_what_is_known_is_not_driven_again(suite, tmp_path):
    summary, said = bench(suite, tmp_path / "two", "workers=2")
    said = " ".join(said.split())
    assert "the town 'Atlantis' is not installed" in said
    assert "mine.xml:6: <scenario>: scenarios of type 'Flood' are not ours yet" in said
    mpc = summary["planners"]["mpc"]
    assert mpc == {"drives": 2, "driving_score": 100.0, "success_rate": 1.0, "errors": 0}
    rows = rows_of(tmp_path / "two")
    assert set(rows) == {"mpc 0 1", "mpc 1 1"}
    assert rows["mpc 0 1"]["scenarios"] == ["ParkedObstacle"]
    assert rows["mpc 0 1"]["status"] == "Completed"
    again, _ = bench(suite, tmp_path / "two", "workers=2")
    assert again == summary
    assert rows_of(tmp_path / "two") == rows


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
def test_rows_do_not_depend_on_how_many_drive(suite, tmp_path):
    for workers in (1, 2):
        bench(suite, tmp_path / str(workers), f"workers={workers}", "planners=[mpc,idm_mobil]")
    assert rows_of(tmp_path / "1") == rows_of(tmp_path / "2")


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
    ],
)
def test_what_is_wrong_with_the_command_is_said(overrides, message):
    done = CliRunner().invoke(app, ["bench", *overrides])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
