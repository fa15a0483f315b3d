"""Processes that play one job after the other; one that dies costs its job a second try."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

TRIES = 2  # of a job

Row = dict[str, Any]
Job = TypeVar("Job")
Play = Callable[[Any], Row]


class Worker(Protocol):
    """Somebody who plays one job after the other.

    Attributes:
        task: the job that it has, and which try that is; None when idle.
    """

    task: tuple[Any, int] | None

    def give(self, job: Any, tried: int) -> None:
        """Hand a job over."""
        ...

    def take(self) -> Row:
        """Return the row of its job; one with `error` and `again` when it has died."""
        ...

    def dismiss(self) -> None:
        """End it, at once where it is at work."""
        ...


SomeWorker = TypeVar("SomeWorker", bound=Worker)


def run_jobs(
    jobs: Sequence[Job], play: Callable[[Job], Row], workers: int
) -> Iterator[tuple[Job, Row]]:
    """Play jobs in worker processes and yield their rows as they come; see `distribute`.

    Args:
        jobs: to play, of any picklable type.
        play: importable by name; called in the worker.
        workers: how many processes.
    """
    context = multiprocessing.get_context("spawn")

    def ready(busy: Sequence[_Worker]) -> Sequence[_Worker]:
        answers = wait([worker.connection for worker in busy])
        return [worker for worker in busy if worker.connection in answers]

    return distribute(jobs, lambda: _Worker(context, play), ready, workers)


def distribute(
    jobs: Sequence[Job],
    hire: Callable[[], SomeWorker],
    ready: Callable[[Sequence[SomeWorker]], Sequence[SomeWorker]],
    workers: int,
) -> Iterator[tuple[Job, Row]]:
    """Let workers play jobs and yield their rows as they come.

    One whose worker died, or that raised something unforeseen, is played once more, by a new
    worker: the old one's server may be what is broken. One that raised ValueError has said what is
    wrong with it. Its row has an `error` in the end. Who finds nothing left to do goes.

    Args:
        jobs: to play.
        hire: brings a worker.
        ready: waits until some of these have an answer, and returns them.
        workers: how many there are at most.
    """
    pending = deque((job, 1) for job in jobs)
    crew: list[SomeWorker] = []
    try:
        while pending or any(worker.task for worker in crew):
            while pending and len(crew) < workers:
                crew.append(hire())
            for worker in list(crew):
                if worker.task is None and pending:
                    worker.give(*pending.popleft())
                elif worker.task is None:
                    crew.remove(worker)
                    worker.dismiss()
            for worker in ready(crew):
                assert worker.task is not None
                job, tried = worker.task
                row = worker.take()
                again = row.pop("again", False)
                if again:
                    crew.remove(worker)
                    worker.dismiss()
                if again and tried < TRIES:
                    pending.append((job, tried + 1))
                else:
                    yield job, row | {"tries": tried}
    finally:
        for worker in crew:
            worker.dismiss()


def attempt(play: Play, job: Any) -> Row:
    """Play a job; what it raises becomes the `error` of its row."""
    try:
        return play(job)
    except ValueError as error:
        return {"error": str(error)}
    except Exception:
        return {"error": traceback.format_exc(limit=-3), "again": True}


class _Worker:
    """A process that plays one job after the other."""

    def __init__(self, context: Any, play: Play) -> None:
        self.connection, theirs = context.Pipe()
        self.task: tuple[Any, int] | None = None
        self.process = context.Process(target=_work, args=(theirs, play), daemon=False)
        self.process.start()
        theirs.close()

    def give(self, job: Any, tried: int) -> None:
        """Hand a job over; that it is gone by now is found when the row is taken."""
        self.task = job, tried
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(job)

    def take(self) -> Row:
        """Return the row of the job; one with an `error` when it has died."""
        self.task = None
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            return {"error": f"its process died (exit code {code})", "again": True}

    def dismiss(self) -> None:
        """End the process, at once where it is at work; its session leaves its world in order."""
        self.connection.close()
        if self.task is not None:
            self.process.terminate()
        self.process.join(10.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(connection: Connection, play: Play) -> None:
    """Play jobs until nobody sends any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who dismisses us
    while True:
        try:
            job = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        connection.send(attempt(play, job))
