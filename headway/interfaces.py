"""The Protocols: every part of the driver is one of these, and its baselines stay as rivals."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headway.road.route import Route
from headway.trace import Trace
from headway.types import (
    Array,
    Command,
    Forecast,
    Goal,
    Intervention,
    Observation,
    Plan,
    Proposals,
    Reply,
    Scene,
)


class Simulator(Protocol):
    """Where the driver drives; synchronous, one frame per step."""

    def reset(self, route: Route, seed: int) -> Observation:
        """Place ego at the start of `route` in a fresh world and return the first frame."""
        ...

    def step(self, command: Command | None) -> Observation:
        """Apply `command` for one tick and return the frame that follows.

        None applies nothing: the server's own autopilot drives.
        """
        ...

    def close(self) -> None:
        """Put the world back as it was; safe to call twice."""
        ...


class Perception(Protocol):
    """Observation in, Scene out; keeps its own memory."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def perceive(self, observation: Observation) -> Scene:
        """Return what is around us."""
        ...

    def acted(self, command: Command) -> None:
        """Remember the command that was sent, for `Scene.command_history`."""
        ...


class Language(Protocol):
    """Words and Scene in, Goal out."""

    def reset(self) -> None:
        """Forget the agenda."""
        ...

    def hear(self, instruction: str, scene: Scene) -> Reply:
        """Take an instruction into the agenda, or say why not."""
        ...

    def goal(self, scene: Scene) -> Goal:
        """Return the current step of the agenda; without one, the route."""
        ...

    def answer(self, question: str, trace: Trace) -> str:
        """Answer a question about what the car did."""
        ...


class WorldModel(Protocol):
    """What the others will do."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def suggest(self, scene: Scene, goal: Goal) -> Proposals:
        """Return proposals of its own; may be empty."""
        ...

    def imagine(self, scene: Scene, goal: Goal, proposals: Proposals) -> Forecast:
        """Return what the others do under each proposal, and V where it ends."""
        ...


class Planner(Protocol):
    """What we do."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def propose(self, scene: Scene, goal: Goal) -> Proposals:
        """Return what we might do."""
        ...

    def refine(self, scene: Scene, goal: Goal, proposals: Proposals, forecast: Forecast) -> Plan:
        """Choose among the proposals and make a plan of the best."""
        ...


@runtime_checkable
class SelfDriving(Protocol):
    """A rival that drives by itself and stands where a Planner would."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def act(self, observation: Observation) -> Command | None:
        """Return what to do now, or None where the server's own autopilot drives already."""
        ...


class Tracker(Protocol):
    """Plan in, Command out."""

    def reset(self) -> None:
        """Forget everything."""
        ...

    def track(self, plan: Plan, scene: Scene) -> Command:
        """Return the command that follows `plan`, with the actuators' delay compensated."""
        ...


class SafetyFilter(Protocol):
    """Has the last word; only ever makes a command safer."""

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What the last `filter` changed, and why."""
        ...

    def reset(self) -> None:
        """Forget everything."""
        ...

    def filter(self, command: Command, plan: Plan, scene: Scene) -> Command:
        """Return `command`, or a safer one."""
        ...


class TerminalCost(Protocol):
    """V at the end of the horizon, the expectation over the forecast's modes."""

    def expand(self, x: Array, t: Array, proposal: Array) -> tuple[Array, Array, Array]:
        """Expand V at `x`.

        Args:
            x: (B, nx) terminal ego states.
            t: (B,) [s] time of each.
            proposal: (B,) index of the proposal each belongs to.

        Returns:
            value (B,), gradient (B, nx), PSD Hessian (B, nx, nx).
        """
        ...
