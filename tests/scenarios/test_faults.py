"""The fault drill: servers and workers of a bench are killed while they drive; no route is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from headway.cli import app
from headway.road.lane_graph import LaneKind

ROUTES = 24
AFTER = {3: "server", 9: "worker", 15: "server"}  # so many rows somebody is killed: who


def write_suite(graph, path: Path) -> Path:
    """Short routes along the town's longest lanes."""
    fits = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0)
    lanes = np.argsort(np.where(fits, -graph.length, 0.0), kind="stable")[:ROUTES]
    text = ""
    for number, lane in enumerate(lanes):
        xyz = graph.xyz[graph.points(int(lane))][[2, 60]]
        at = "".join(f'<position x="{x}" y="{-y}" z="{z}"/>' for x, y, z in xyz)
        text += f'<route id="{number}" town="grid"><waypoints>{at}</waypoints><scenarios/></route>'
    path.write_text(f"<routes>{text}</routes>")
    return path


def bench(suite: Path, folder: Path) -> dict[str, dict]:
    """Drive the suite and return its rows by route, without what differs by right."""
    command = ["bench", f"suite={suite}", f"folder={folder}", "workers=2", "traffic.num_vehicles=5"]
    done = CliRunner().invoke(app, [*command, "planners=[idm]"])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == ROUTES
    return {row["route"]: {k: v for k, v in row.items() if k != "wall_s"} for row in rows}


def children(pid: int) -> list[int]:
    return [int(i) for i in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def strike(rows: Path, hit: list[str]) -> None:
    """Kill one after the other, each while its worker drives; no worker is struck twice."""
    struck: set[int] = set()  # one whose server died waits for it until its client gives up
    for count, who in AFTER.items():
        while not rows.is_file() or rows.read_text().count("\n") < count:
            time.sleep(0.02)
        busy: list[tuple[int, int]] = []
        while not busy:
            time.sleep(0.3)
            crew = {w.pid for w in multiprocessing.active_children() if w.pid} - struck
            busy = [(worker, server) for worker in crew for server in children(worker)]
        worker, server = busy[0]
        struck.add(worker)
        os.kill(server if who == "server" else worker, signal.SIGKILL)
        hit.append(who)


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_no_route_is_lost_when_servers_and_workers_are_killed(grid, tmp_path):
    suite, hit = write_suite(grid, tmp_path / "short.xml"), []
    calm = bench(suite, tmp_path / "calm")
    assert {row["tries"] for row in calm.values()} == {1}
    killer = threading.Thread(target=strike, args=(tmp_path / "struck" / "rows.jsonl", hit))
    killer.start()
    struck = bench(suite, tmp_path / "struck")
    killer.join()
    assert hit == list(AFTER.values())
    assert not [row for row in struck.values() if "error" in row]
    tries = [row.pop("tries") for row in struck.values()]
    assert sorted(tries)[-len(hit) :] == [2] * len(hit), "each was struck at work"
    for row in calm.values():
        del row["tries"]
    assert struck == calm, "driven again, a route comes out the same"
