"""The Driver: one tick from Observation to Command, every stage timed, everything in the Trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

from headway.interfaces import (
    Language,
    Perception,
    Planner,
    SafetyFilter,
    SelfDriving,
    Tracker,
    WorldModel,
)
from headway.trace import Trace
from headway.types import Command, Goal, Observation, Reply, Scene
from headway.unplanned import unplanned


class Stopwatch:
    """Seconds by stage; calling it ends the stage that ran since the last call."""

    def __init__(self) -> None:
        self.stage_s: dict[str, float] = {}
        self._start = self._last = perf_counter()

    def __call__(self, stage: str) -> None:
        """Book the time since the last call to `stage`."""
        now = perf_counter()
        self.stage_s[stage] = now - self._last
        self._last = now

    def total(self, stage: str) -> None:
        """Book the time since the beginning to `stage`."""
        self.stage_s[stage] = perf_counter() - self._start


@dataclass
class Driver:
    """The parts of a driver and the loop through them.

    Attributes:
        perception: Observation to Scene.
        language: words and Scene to Goal.
        world_model: what the others will do.
        planner: what we do; a rival that drives by itself takes the place of all that follows.
        tracker: Plan to Command.
        safety: the last word.
        trace: of everything since the last `reset`.
        scene: of the last tick, None before the first.
    """

    perception: Perception
    language: Language
    world_model: WorldModel
    planner: Planner | SelfDriving
    tracker: Tracker
    safety: SafetyFilter
    trace: Trace = field(default_factory=Trace)
    scene: Scene | None = None

    def act(self, observation: Observation) -> Command | None:
        """Return what to do now, or None where the server's own autopilot drives."""
        lap = Stopwatch()
        scene = self.perception.perceive(observation)
        lap("perceive")
        goal = self.language.goal(scene)
        lap("goal")
        if isinstance(self.planner, SelfDriving):
            return self._let_drive(self.planner, observation, scene, goal, lap)
        proposals = self.planner.propose(scene, goal)
        lap("propose")
        proposals += self.world_model.suggest(scene, goal)
        lap("suggest")
        forecast = self.world_model.imagine(scene, goal, proposals)
        lap("imagine")
        plan = self.planner.refine(scene, goal, proposals, forecast)
        lap("refine")
        command = self.tracker.track(plan, scene)
        lap("track")
        command = self.safety.filter(command, plan, scene)
        lap("safety")
        self.perception.acted(command)
        self.scene = scene
        self.trace.record(
            observation, scene, goal, proposals, forecast, plan, command,
            self.safety.interventions, lap.stage_s,
        )  # fmt: skip
        lap("record")
        lap.total("act")
        return command

    def _let_drive(
        self,
        rival: SelfDriving,
        observation: Observation,
        scene: Scene,
        goal: Goal,
        lap: Stopwatch,
    ) -> Command | None:
        """Return what a rival that drives by itself does; nobody filters it."""
        command = rival.act(observation)
        lap("rival")
        if command is not None:
            self.perception.acted(command)
        self.scene = scene
        self.trace.record(
            observation, scene, goal, *unplanned(scene, type(rival).__name__), command, (),
            lap.stage_s,
        )  # fmt: skip
        lap("record")
        lap.total("act")
        return command

    def hear(self, instruction: str) -> Reply:
        """Take an instruction, as of the last tick's Scene.

        Raises:
            ValueError: nothing was seen yet.
        """
        if self.scene is None:
            raise ValueError("Driver.hear: expected a tick before the first instruction, got none")
        return self.language.hear(instruction, self.scene)

    def answer(self, question: str) -> str:
        """Answer a question about what the car did."""
        return self.language.answer(question, self.trace)

    def reset(self) -> None:
        """Forget everything; a fresh Trace is begun, the old one stays with whoever holds it."""
        for part in (self.perception, self.language, self.world_model, self.planner,
                     self.tracker, self.safety):  # fmt: skip
            part.reset()
        self.trace = Trace()
        self.scene = None
