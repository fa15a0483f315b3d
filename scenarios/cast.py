"""The scenarios of a route, played among the background traffic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from carla_bridge.simulator import NoTraffic, Traffic
from headway.road.route import Route
from headway.types import ActorSnapshot, EgoState
from scenarios.script import Branch, Script
from scenarios.stage import Stage
from scenarios.suites.spec import ScenarioSpec

BUILD_RANGE = 500.0  # [m] to its trigger within which a scenario sets up its actors

Play = Callable[[Stage, ScenarioSpec], Branch]


class Cast:
    """A `Traffic`: the scenarios of a route, among the background traffic.

    Args:
        stage: the world.
        plays: the coroutines that play the types of scenarios.
        specs: the scenarios of the route.
        background: who else is on the road.
    """

    def __init__(
        self,
        stage: Stage,
        plays: Mapping[str, Play],
        specs: Sequence[ScenarioSpec],
        background: Traffic | None = None,
    ) -> None:
        self.stage, self.script = stage, Script()
        self._background = background or NoTraffic()
        self._names = [f"{k} {spec.name}" for k, spec in enumerate(specs)]
        for name, spec in zip(self._names, specs, strict=True):
            self.script.start(name, self._play(plays[spec.type], spec))

    @property
    def over(self) -> bool:
        """Whether no scenario is played any more, or will be."""
        return not any(map(self.script.runs, self._names))

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring the scenarios' actors into the world, and the background."""
        self.stage.see(None, ego, 0.0)
        self.script.step()
        self._background.spawn(ego, route)

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return the `carla.command`s of one tick."""
        self.stage.see(actors, ego, self.stage.dt)
        self.script.step()
        self.keep_off(())
        return self.stage.take_commands() + self._background.commands(actors, ego)

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Leave lines to others: so does the background."""
        self._background.keep_off([*self.stage.closed_lines, *lines])

    async def _play(self, play: Play, spec: ScenarioSpec) -> None:
        """Play a scenario as soon as its trigger is in reach."""
        self.stage.trigger_s(spec)  # it is on the route, or fails now
        await self.stage.near(spec.trigger, BUILD_RANGE)
        await play(self.stage, spec)
