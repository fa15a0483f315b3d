"""Workers of a local Ray: the same rows, whoever dies, and nothing is left behind."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import pytest

from scenarios import ray_workers
from scenarios.ray_workers import run_ray_jobs
from scenarios.suites.own import OWN_SUITES
from tests.scenarios.test_workers import play

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'headway[ray]'"
)
MARK = "HEADWAY_TEST_RUN"  # in the environment of a bench and of all that it starts


@pytest.mark.slow
@needs_ray
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_every_job_is_reported_and_who_died_is_tried_again(tmp_path):
    """More workers than this machine may have CPUs: those who wait for one take over in the end."""
    rows = dict(run_ray_jobs(range(10), partial(play, tmp_path), 3))
    assert sorted(rows) == list(range(10))
    assert all(rows[job]["square"] == job * job for job in (0, 1, 2, 3, 4, 5, 9))
    assert rows[5]["tries"] == 2
    assert rows[6]["error"].startswith("its worker died: ")
    assert rows[6]["tries"] == 2
    assert "no such road" in rows[7]["error"]
    assert rows[7]["tries"] == 2
    assert rows[8] == {"error": "no such town", "tries": 1}


def routes(folder: Path) -> Path:
    """Two short routes of our own."""
    text = OWN_SUITES["smoke"][0].read_text()
    kept = [f"<route{part.split('</route>')[0]}</route>" for part in text.split("<route ")[1:3]]
    path = folder / "two.xml"
    path.write_text("<routes>" + "".join(r.replace("<route", "<route ", 1) for r in kept)
                    + "</routes>")  # fmt: skip
    return path


def command(suite: Path, folder: Path, *overrides: str) -> list[str]:
    told = [f"suite={suite}", f"folder={folder}", "planners=[idm]", "traffic=none", *overrides]
    return [sys.executable, "-m", "headway.cli", "bench", *told]


def rows_of(folder: Path) -> dict[str, dict]:
    lines = (folder / "rows.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["key"]: {k: v for k, v in row.items() if k != "wall_s"} for row in rows}


@pytest.mark.slow
@needs_ray
@pytest.mark.timeout(300)
def test_rows_are_those_of_processes_and_a_bench_is_resumed(tmp_path):
    suite = routes(tmp_path)
    for launcher in ("processes", "ray"):
        subprocess.run(command(suite, tmp_path / launcher, f"launcher={launcher}"), check=True)
    expected = rows_of(tmp_path / "processes")
    assert len(expected) == 2
    assert rows_of(tmp_path / "ray") == expected
    assert (tmp_path / "ray" / "drives" / "idm").is_dir()
    lines = (tmp_path / "ray" / "rows.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ray" / "rows.jsonl").write_text(lines[0] + '{"town": "gri')  # killed by then
    subprocess.run(command(suite, tmp_path / "ray", "launcher=ray"), check=True)
    again = (tmp_path / "ray" / "rows.jsonl").read_text().splitlines(keepends=True)
    assert again[0] == lines[0], "driven once"
    assert len(again) == 2
    assert rows_of(tmp_path / "ray") == expected


@pytest.mark.slow
@needs_ray
@pytest.mark.timeout(240)
def test_ctrl_c_leaves_nothing_running(tmp_path):
    mark = uuid.uuid4().hex
    bench = subprocess.Popen(
        command(routes(tmp_path), tmp_path / "rows", "launcher=ray", "workers=2"),
        env={**os.environ, MARK: mark}, start_new_session=True,
    )  # fmt: skip
    until(lambda: any("carla_bridge.embedded" in line for line in marked(mark)), 120.0)
    os.killpg(bench.pid, signal.SIGINT)
    assert bench.wait(60.0) != 0
    until(lambda: not marked(mark), 30.0)


def marked(mark: str) -> list[str]:
    """Command lines of the processes that a bench has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def until(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"launcher=ray needs Ray: pip install 'headway\[ray\]'"):
        ray_workers.find_ray()
