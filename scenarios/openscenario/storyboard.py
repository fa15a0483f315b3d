"""Plays a storyboard: stories, acts, groups, maneuvers and events as coroutines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from scenarios.openscenario.actions import GLOBAL, act, perform
from scenarios.openscenario.conditions import triggered
from scenarios.openscenario.world import StoryStage
from scenarios.script import all_of, first, next_tick, until
from scenarios.suites.openscenario_action_spec import (
    Action,
    AddEntityAction,
    DeleteEntityAction,
    SpeedAction,
    TeleportAction,
)
from scenarios.suites.openscenario_spec import (
    Act,
    Event,
    Maneuver,
    ManeuverGroup,
    Story,
)

SEEN_TO = (TeleportAction, AddEntityAction, DeleteEntityAction)  # of Init, before the beginning


class Storyboard:
    """Plays what a file tells.

    Attributes:
        over: whether its stop trigger has fired, or all its stories are told.
    """

    def __init__(self, stage: StoryStage) -> None:
        self._stage, self._elements = stage, stage.elements
        self.over = False

    async def play(self) -> None:
        """From the beginning to the end."""
        spec = self._stage.spec
        await first(
            self._init(),
            all_of(*(self._story(story) for story in spec.stories)),
            triggered(self._stage, spec.stop),
        )
        self.over = True

    async def _init(self) -> None:
        """What is so from the beginning; it does not end the storyboard."""
        stage, doing = self._stage, []
        for name, action in stage.spec.init:
            if isinstance(action, SEEN_TO):
                continue
            if isinstance(action, GLOBAL):
                await act(stage, action)
            elif name in stage.players:
                if isinstance(action, SpeedAction) and not action.relative_to:
                    stage.start_at(stage.players[name], action.value)
                else:
                    doing.append(perform(stage, stage.players[name], action))
        await all_of(*doing)
        await until(lambda: False)

    async def _story(self, story: Story) -> None:
        await self._run(
            "story", story.name, lambda: all_of(*(self._act(act) for act in story.acts))
        )

    async def _act(self, act: Act) -> None:
        self._elements.enter("act", act.name, "standbyState")
        await triggered(self._stage, act.start)
        await self._run("act", act.name, lambda: self._until_stopped(act))

    async def _until_stopped(self, act: Act) -> bool:
        """Whether its stop trigger ended it."""
        groups = all_of(*(self._group(group) for group in act.groups))
        return await first(groups, triggered(self._stage, act.stop)) == 1

    async def _group(self, group: ManeuverGroup) -> None:
        for k in range(group.count):
            if k:
                await next_tick()
            maneuvers = [self._maneuver(m, group.actors) for m in group.maneuvers]
            await self._run("maneuverGroup", group.name, lambda m=maneuvers: all_of(*m))

    async def _maneuver(self, maneuver: Maneuver, actors: Sequence[str]) -> None:
        running: set[str] = set()
        events = [self._event(event, actors, running) for event in maneuver.events]
        await self._run("maneuver", maneuver.name, lambda: all_of(*events))

    async def _event(self, event: Event, actors: Sequence[str], running: set[str]) -> None:
        """Wait for its trigger and do its actions, as often as it may."""
        for k in range(event.count):
            self._elements.enter("event", event.name, "standbyState")
            await triggered(self._stage, event.start)
            if event.skips and running:
                now = self._stage.time
                self._elements.happens(now, "event", event.name, "skipTransition")
            else:
                running.add(event.name)
                actions = [self._action(name, a, actors) for name, a in event.actions]
                await self._run("event", event.name, lambda a=actions: all_of(*a))
                running.discard(event.name)
            if k + 1 < event.count:
                await next_tick()
        self._elements.enter("event", event.name, "completeState")

    async def _action(self, name: str, action: Action | None, actors: Sequence[str]) -> None:
        await self._run("action", name, lambda: self._do(action, actors))

    async def _do(self, action: Action | None, actors: Sequence[str]) -> None:
        if isinstance(action, GLOBAL):
            await act(self._stage, action)
        elif action is not None:
            there = [self._stage.players[name] for name in actors if name in self._stage.players]
            await all_of(*(perform(self._stage, player, action) for player in there))

    async def _run(
        self, kind: str, name: str, body: Callable[[], Coroutine[Any, None, object]]
    ) -> None:
        """Note how an element begins and ends; a body that returns True was stopped."""
        how, elements = "stopTransition", self._elements
        elements.enter(kind, name, "runningState")
        elements.happens(self._stage.time, kind, name, "startTransition")
        try:
            if await body() is not True:
                how = "endTransition"
        finally:
            elements.enter(kind, name, "completeState")
            elements.happens(self._stage.time, kind, name, how)
