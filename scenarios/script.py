"""Scenarios are coroutines, stepped once a tick: what one awaits is a moment of the drive.

async def stands_in_the_way(stage: Stage, spec: ScenarioSpec) -> None:
    spot = Spot.near(stage.graph, spec.trigger).ahead(50.0)
    car = stage.place("vehicle.audi.tt", spot.beside(0.0))
    await stage.triggered(spec)
    await stage.in_time(spec.name, stage.passed(spot))
    stage.remove([car])
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

Branch = Coroutine[Any, None, None]


@types.coroutine
def next_tick() -> Generator[None, None, None]:
    """Wait for the next tick."""
    yield


async def until(condition: Callable[[], bool]) -> None:
    """Wait for the first tick, this one included, in which `condition` holds."""
    while not condition():
        await next_tick()


async def first(*branches: Branch) -> int:
    """Run all at once until one has ended; the others are broken off.

    Returns:
        Which one ended, the lower of two that end in the same tick.
    """
    try:
        while True:
            for k, branch in enumerate(branches):
                if ended(branch):
                    return k
            await next_tick()
    finally:
        for branch in branches:
            branch.close()


async def all_of(*branches: Branch) -> None:
    """Run all at once until every one has ended."""
    left = list(branches)
    try:
        while left := [branch for branch in left if not ended(branch)]:
            await next_tick()
    finally:
        for branch in branches:
            branch.close()


def ended(branch: Branch) -> bool:
    """Step a coroutine once; whether that was its end."""
    try:
        branch.send(None)
    except StopIteration:
        return True
    return False


class Script:
    """The coroutines that run in an episode; one that fails ends alone."""

    def __init__(self) -> None:
        self._running: dict[str, Branch] = {}
        self.failures: dict[str, Exception] = {}

    def start(self, name: str, branch: Branch) -> None:
        """Run `branch` from the next step on."""
        self._running[name] = branch

    def runs(self, name: str) -> bool:
        """Whether it has not ended yet."""
        return name in self._running

    def step(self) -> None:
        """Let one tick pass for all, in the order in which they were started."""
        for name, branch in list(self._running.items()):
            try:
                over = ended(branch)
            except Exception as error:  # whatever it is, the drive and the others go on
                self.failures[name] = error
                over = True
            if over:
                del self._running[name]

    def close(self) -> None:
        """Break all off that still run; what they hold (lights, vehicles) they let go."""
        running, self._running = self._running, {}
        for branch in running.values():
            branch.close()
