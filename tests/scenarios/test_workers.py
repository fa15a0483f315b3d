"""Worker processes: every job gets its row, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from scenarios.workers import run_jobs


def play(folder: Path, job: int) -> dict:
    """5 dies the first time, 6 always, 7 raises always, 8 says what is wrong with it."""
    with (folder / str(job)).open("a") as file:
        file.write("x")
    tried = (folder / str(job)).stat().st_size
    if job == 6 or (job == 5 and tried == 1):
        os._exit(3)
    if job == 7:
        raise RuntimeError("no such road")
    if job == 8:
        raise ValueError("no such town")
    return {"square": job * job}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_is_reported_and_who_died_is_tried_again(tmp_path, workers):
    rows = dict(run_jobs(range(10), partial(play, tmp_path), workers))
    assert sorted(rows) == list(range(10))
    assert {job: rows[job]["square"] for job in (0, 1, 2, 3, 4, 5, 9)} == {
        job: job * job for job in (0, 1, 2, 3, 4, 5, 9)
    }
    assert rows[5]["tries"] == 2
    assert rows[6] == {"error": "its process died (exit code 3)", "tries": 2}
    assert "no such road" in rows[7]["error"]
    assert rows[7]["tries"] == 2
    assert rows[8] == {"error": "no such town", "tries": 1}


BROKEN: list[int] = []


def stumble(job: int) -> dict:
    """Job 0 breaks something that the process goes on holding."""
    BROKEN.extend([job] if job == 0 else [])
    if BROKEN:
        raise RuntimeError("the server is gone")
    return {"pid": os.getpid()}


def test_who_met_something_unforeseen_plays_no_other_job():
    rows = dict(run_jobs(range(4), stumble, 1))
    assert "the server is gone" in rows[0]["error"]
    assert all("error" not in rows[job] and rows[job]["tries"] == 1 for job in (1, 2, 3))


def test_who_dies_between_two_jobs_costs_none():
    rows = {}
    for job, row in run_jobs(range(1, 5), stumble, 1):
        rows[job] = row
        if job == 1:
            os.kill(row["pid"], signal.SIGKILL)
            while multiprocessing.active_children():  # reaps it
                time.sleep(0.01)
    assert sorted(rows) == [1, 2, 3, 4]
    assert not any("error" in row for row in rows.values())
    assert rows[1]["pid"] not in {rows[job]["pid"] for job in (2, 3, 4)}


def test_who_stops_early_leaves_no_process_behind(tmp_path):
    jobs = run_jobs(range(5), partial(play, tmp_path), 2)
    next(jobs)
    jobs.close()
    assert multiprocessing.active_children() == []
