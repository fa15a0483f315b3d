"""Who comes from where at a junction, and its lights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum

import carla
import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.route import Route
from scenarios.spots import Spot, bend, line_between
from scenarios.stage import Stage
from scenarios.suites.spec import ScenarioSpec

YELLOW = 3.0  # [s]
LATEST = 1000.0  # [m] ahead of a place, within which its next junction lies


class Side(Enum):
    """From where one comes, seen from ego's lane: [rad] of their heading against ego's."""

    LEFT = (-0.75 * math.pi, -math.pi / 6.0)
    RIGHT = (math.pi / 6.0, 0.75 * math.pi)
    OPPOSITE = (0.75 * math.pi, 1.25 * math.pi)


class Approach:
    """A lane on which one comes to a junction, at its end.

    Args:
        spot: before a junction.

    Attributes:
        graph: the town.
        lane: that leads into the junction.
        junction: its id.

    Raises:
        ValueError: no junction lies ahead.
    """

    def __init__(self, spot: Spot) -> None:
        end = spot.ahead(LATEST)
        into = [n for n in map(int, end.graph.successors(end.lane)) if end.graph.junction[n] >= 0]
        if not into:
            x, y = spot.beside(0.0).x, spot.beside(0.0).y
            raise ValueError(f"{spot.graph.name}: no junction ahead of x {x:.1f}, y {y:.1f}")
        self.graph, self.lane = end.graph, end.lane
        self.junction = int(end.graph.junction[into[0]])

    @property
    def end(self) -> Spot:
        """The lane's last place."""
        return Spot(self.graph, self.lane, float(self.graph.length[self.lane]))

    def others(self, side: Side) -> list[Approach]:
        """Who comes from a side, as many as there are lanes, by index.

        Raises:
            ValueError: nobody can.
        """
        low, high = side.value
        own = self.end.yaw
        found = []
        for lane in entries(self.graph, self.junction):
            turn = (Spot(self.graph, lane, float(self.graph.length[lane])).yaw - own) % math.tau
            if low % math.tau < turn <= high % math.tau:
                found.append(Approach(Spot(self.graph, lane, 0.0)))
        if not found:
            raise ValueError(
                f"{self.graph.name}: nobody can come from the {side.name.lower()} at junction "
                f"{self.junction}"
            )
        return found

    def line(self, before: float, behind: float, turn: int = 0) -> Route:
        """The line of who comes this way.

        Args:
            before: [m] before the junction at which it begins, at most to the last junction.
            behind: [m] behind the junction at which it ends.
            turn: 0 straight on, 1 by the leftmost way, -1 by the rightmost one.
        """
        ways = [n for n in map(int, self.graph.successors(self.lane)) if self._leads_on(n)]
        if turn == 0:
            way = min(ways, key=lambda n: abs(bend(self.graph, n)))
        else:
            way = max(ways, key=lambda n: turn * bend(self.graph, n))
        source = self.end.back(before)
        sink = Spot(self.graph, way, float(self.graph.length[way])).onward(behind)
        return line_between(source, sink)

    def signals(self) -> list[int]:
        """Rows of `LaneGraph.signal_id` of the lights before which one stops on this lane."""
        return _signals(self.graph, [self.lane])

    def all_signals(self) -> list[int]:
        """Those of everybody who comes to the junction.

        Raises:
            ValueError: it has none.
        """
        found = _signals(self.graph, entries(self.graph, self.junction))
        if not found:
            raise ValueError(f"{self.graph.name}: junction {self.junction} has no lights")
        return found

    def _leads_on(self, lane: int) -> bool:
        return self.graph.kind[lane] == LaneKind.DRIVING


def ego_approach(stage: Stage, spec: ScenarioSpec, lights: bool = False) -> Approach:
    """Where ego's route comes to the first junction behind a scenario's trigger.

    Args:
        stage: the world.
        spec: the scenario.
        lights: leave out junctions that have none.

    Raises:
        ValueError: there is none.
    """
    route, graph = stage.route, stage.graph
    inside = graph.junction[route.lane] >= 0
    begins = np.flatnonzero(inside[1:] & ~inside[:-1] & (route.s[1:] >= stage.trigger_s(spec)))
    for lane in map(int, route.lane[begins]):
        approach = Approach(Spot(graph, lane, 0.0))
        if not lights or approach.signals():
            return approach
    what = "junction with lights" if lights else "junction"
    raise ValueError(f"{spec.source}: no {what} lies behind the trigger of {spec.name}")


def entries(graph: LaneGraph, junction: int) -> list[int]:
    """The driving lanes that lead into a junction."""
    inside = np.flatnonzero((graph.junction == junction) & (graph.kind == LaneKind.DRIVING))
    before = {int(p) for lane in inside for p in graph.predecessors(int(lane))}
    return sorted(p for p in before if graph.junction[p] < 0 and graph.kind[p] == LaneKind.DRIVING)


class Lights:
    """The lights of a junction, held until `release`.

    Args:
        stage: the world.
        approach: ego's.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, stage: Stage, approach: Approach) -> None:
        self._stage = stage
        self._lights = stage.lights(approach.all_signals())
        for light in self._lights:
            light.freeze(True)

    async def show_green(self, *approaches: Approach) -> None:
        """Let these go and nobody else; who may not go any more sees yellow before."""
        signals = {signal for approach in approaches for signal in approach.signals()}
        names = {str(self._stage.graph.signal_id[signal]) for signal in signals}
        green = [light.get_opendrive_id() in names for light in self._lights]  # pyright: ignore
        state = carla.TrafficLightState
        left = [
            light for light, goes in zip(self._lights, green, strict=True)
            if not goes and light.get_state() == state.Green
        ]  # fmt: skip
        for light in left:
            light.set_state(state.Yellow)
        await self._stage.seconds(YELLOW if left else 0.0)
        for light, goes in zip(self._lights, green, strict=True):
            light.set_state(state.Green if goes else state.Red)

    def release(self) -> None:
        """Let them cycle again."""
        for light in self._lights:
            light.freeze(False)
        if self._lights:
            self._lights[0].reset_group()


def _signals(graph: LaneGraph, lanes: Iterable[int]) -> list[int]:
    """Rows of the lights whose stop lines lie on these lanes."""
    at = np.isin(graph.stop_lane, list(lanes)) & (graph.stop_signal >= 0)
    return sorted({int(signal) for signal in graph.stop_signal[at]})
