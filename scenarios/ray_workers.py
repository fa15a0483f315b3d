"""Workers of a Ray cluster, which play jobs as those of `scenarios.workers` do.

Ray is an extra: `pip install 'headway[ray]'`. Every node needs headway and, under the same path,
the folder in which the bench was started: there are its files, and there drives are kept.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scenarios.workers import Job, Row, attempt, distribute

GRACE_S = 10.0  # [s] that one who is dismissed has to end its server


def find_ray() -> Any:
    """Return the module.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ValueError("launcher=ray needs Ray: pip install 'headway[ray]'") from error


def run_ray_jobs(
    jobs: Sequence[Job], play: Callable[[Job], Row], workers: int
) -> Iterator[tuple[Job, Row]]:
    """Play jobs on a Ray cluster and yield their rows as they come; see `distribute`.

    The cluster is the one that `RAY_ADDRESS` names or that runs on this machine, else one of this
    machine alone, which ends with the jobs. One that has fewer free CPUs than `workers` plays as
    many at once as it has.

    Args:
        jobs: to play, of any picklable type.
        play: importable by name; called in the worker.
        workers: how many at once, with a CPU each.

    Raises:
        ValueError: Ray is not installed.
    """
    if not jobs:
        return
    ray = find_ray()
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    player = ray.remote(num_cpus=1, max_restarts=0)(_Player)
    about = str(Path.cwd()), sys.path, ray.cloudpickle.dumps(play)

    def ready(busy: Sequence[_RayWorker]) -> Sequence[_RayWorker]:
        answers, _ = ray.wait([worker.answer for worker in busy])
        return [worker for worker in busy if worker.answer in answers]

    try:
        yield from distribute(jobs, lambda: _RayWorker(ray, player.remote(*about)), ready, workers)
    finally:
        if ours:
            ray.shutdown()


class _Player:
    """Lives on a node and plays jobs.

    Args:
        folder: in which the bench was started.
        path: of its modules.
        play: pickled, as it can be read from there alone.
    """

    def __init__(self, folder: str, path: list[str], play: bytes) -> None:
        os.chdir(folder)
        sys.path += [place for place in path if place not in sys.path]
        self._play = find_ray().cloudpickle.loads(play)

    def play(self, job: Any) -> Row:
        """Return the row of a job."""
        return attempt(self._play, job)


class _RayWorker:
    """The handle of a `_Player`."""

    def __init__(self, ray: Any, player: Any) -> None:
        self._ray, self._player = ray, player
        self.answer: Any = None
        self.task: tuple[Any, int] | None = None

    def give(self, job: Any, tried: int) -> None:
        """Hand a job over."""
        self.task, self.answer = (job, tried), self._player.play.remote(job)

    def take(self) -> Row:
        """Return the row of the job; one with an `error` when its worker or its node has died."""
        self.task = None
        try:
            return self._ray.get(self.answer)
        except self._ray.exceptions.RayError as error:
            why = str(error).strip().splitlines() or [type(error).__name__]
            return {"error": f"its worker died: {why[0]}", "again": True}

    def dismiss(self) -> None:
        """End it: in order where it is idle, at once where it is at work."""
        if self.task is None:
            self._ray.wait([self._player.__ray_terminate__.remote()], timeout=GRACE_S)
        self._ray.kill(self._player)
