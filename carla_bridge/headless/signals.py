"""Traffic lights in groups that cycle, and what lights and speed signs do to vehicles."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit

from carla_bridge.frames import pose_to_carla
from carla_bridge.headless.actors import ActorTable
from carla_bridge.headless.blueprints import ActorKind
from carla_bridge.headless.wire import bounding_box
from headway.road.shapes import boxes_share_axes
from headway.types import Array, SignalState

_VEHICLE = int(ActorKind.VEHICLE)
_RED, _YELLOW, _GREEN = int(SignalState.RED), int(SignalState.YELLOW), int(SignalState.GREEN)
LAMP = (0.3, 0.3, 0.8)  # [m] half sizes of a traffic light's head
LAMP_HEIGHT = 5.0  # [m] of the head above the ground


class LightColumn(IntEnum):
    """Columns of `Columns.light`."""

    GREEN_TIME = 0
    YELLOW_TIME = 1
    RED_TIME = 2
    ELAPSED = 3
    FROZEN = 4
    STATE = 5


@dataclass
class Trigger:
    """A volume in which a light or sign affects vehicles.

    Attributes:
        actor_id: the light or sign.
        x, y, z: [m] centre, our frame.
        yaw: [rad].
        extent: (3,) half sizes [m].
        limit: [km/h] of a speed limit sign, 0 for a light.
    """

    actor_id: int
    x: float
    y: float
    z: float
    yaw: float
    extent: tuple[float, float, float]
    limit: float = 0.0


@dataclass
class Group:
    """Lights of one junction; those of one stage turn green together, stage after stage.

    Attributes:
        stages: actor ids by stage.
        stage: whose turn it is.
        state: what that stage shows.
        since: [s] of the signals' own time when it began to show that.
        elapsed: [s] since then when it was last shown or frozen.
        frozen: time stands still.
    """

    stages: list[list[int]] = field(default_factory=list)
    stage: int = 0
    state: int = _GREEN
    since: float = 0.0
    elapsed: float = 0.0
    frozen: bool = False

    @property
    def lights(self) -> list[int]:
        """All its lights."""
        return [light for stage in self.stages for light in stage]


_TIME_OF = {
    _GREEN: LightColumn.GREEN_TIME,
    _YELLOW: LightColumn.YELLOW_TIME,
    _RED: LightColumn.RED_TIME,
}


class Signals:
    """All lights and signs of a town.

    As CARLA's rule: one stage of a group shows green, then yellow, then red, all others are red
    meanwhile; after its red the next stage begins.
    """

    def __init__(self, table: ActorTable) -> None:
        self._table = table
        self.groups: dict[int, Group] = {}
        self._group_of: dict[int, Group] = {}
        self.opendrive_id: dict[int, str] = {}
        self.triggers: list[Trigger] = []
        self._boxes = np.zeros((0, 9))
        self._rows = np.zeros(0, np.int64)
        self._lights = np.zeros(0, np.int64)
        self._live: list[Group] = []
        self._time = 0.0
        self._next_change = math.inf
        self._version = -1

    def add_light(self, actor_id: int, group: int, order: int) -> None:
        """Put a light into stage `order` of a group; call `reset_all` once all are there."""
        entry = self.groups.setdefault(group, Group())
        while len(entry.stages) <= order:
            entry.stages.append([])
        entry.stages[order].append(actor_id)
        self._group_of[actor_id] = entry

    def add_trigger(self, trigger: Trigger) -> None:
        """Let a volume act on vehicles."""
        self.triggers.append(trigger)
        self._version = -1

    def remove(self, actor_id: int) -> None:
        """Forget a light or sign that was destroyed."""
        group = self._group_of.pop(actor_id, None)
        if group is not None:
            for stage in group.stages:
                if actor_id in stage:
                    stage.remove(actor_id)
        self.triggers = [t for t in self.triggers if t.actor_id != actor_id]
        self.opendrive_id.pop(actor_id, None)
        self._version = -1
        self._schedule()

    def _light(self, actor_id: int) -> Array:
        actor = self._table.get(actor_id)
        if actor is None or actor.kind != ActorKind.LIGHT:
            raise ValueError(f"actor {actor_id} is no traffic light")
        return self._table.columns.light[self._table.row(actor_id)]

    def _show(self, group: Group) -> None:
        for number, stage in enumerate(group.stages):
            state = group.state if number == group.stage else _RED
            for light in stage:
                row = self._light(light)
                row[LightColumn.STATE] = state
                row[LightColumn.ELAPSED] = group.elapsed
                row[LightColumn.FROZEN] = group.frozen

    def _duration(self, group: Group) -> float:
        stage = group.stages[group.stage]
        return float(self._light(stage[0])[_TIME_OF[group.state]])

    def _next(self, group: Group) -> None:
        if group.state == _GREEN:
            group.state = _YELLOW
        elif group.state == _YELLOW:
            group.state = _RED
        else:
            group.state = _GREEN
            group.stage = (group.stage + 1) % len(group.stages)

    def step(self, dt: float) -> None:
        """Let the lights' time pass."""
        self._time += dt
        if self._version != self._table.version:
            self._compile()
        if self._lights.size:
            age_lights(self._table.columns.light, self._lights, dt)
        if self._time < self._next_change:
            return
        for group in self._live:
            if group.frozen:
                continue
            steps = 0
            while steps < 3 * len(group.stages):
                left = self._duration(group) - (self._time - group.since)
                if left > 1e-9:
                    break
                group.since += self._duration(group)
                self._next(group)
                steps += 1
            if steps:
                group.elapsed = max(0.0, self._time - group.since)
                self._show(group)
        self._schedule()

    def _schedule(self) -> None:
        """Note when the next group changes, so that most steps need not look."""
        self._live = [group for group in self.groups.values() if any(group.stages)]
        for group in self._live:
            group.stages = [stage for stage in group.stages if stage]
            group.stage %= len(group.stages)
        ends = [g.since + self._duration(g) for g in self._live if not g.frozen]
        self._next_change = min(ends, default=math.inf) - 1e-9

    def reset_all(self) -> None:
        """Start every group's cycle from its first stage's green."""
        for group in self.groups.values():
            self._reset(group)
        self._schedule()

    def _reset(self, group: Group) -> None:
        group.stages = [stage for stage in group.stages if stage]
        group.stage, group.state, group.elapsed = 0, _GREEN, 0.0
        group.since = self._time
        if group.stages:
            self._show(group)

    def group_of(self, actor_id: int) -> Group | None:
        """The group of a light, None for one that belongs to none.

        Raises:
            ValueError: it is no traffic light.
        """
        self._light(actor_id)
        return self._group_of.get(actor_id)

    def group(self, actor_id: int) -> list[int]:
        """Ids of the lights that cycle with a light, itself included."""
        group = self.group_of(actor_id)
        return sorted(group.lights) if group is not None else [actor_id]

    def state(self, actor_id: int) -> int:
        """What a light shows."""
        return int(self._light(actor_id)[LightColumn.STATE])

    def light_boxes(self, actor_id: int) -> list[Any]:
        """Boxes of a light's lamps, map frame of CARLA: one at the head of the pole."""
        self._light(actor_id)
        x, y, z, _, yaw, _ = pose_to_carla(self._table.columns.pose[self._table.row(actor_id)])
        return [bounding_box((x, y, z + LAMP_HEIGHT), LAMP, yaw, actor_id)]

    def reset_group(self, actor_id: int) -> None:
        """Start the cycle of that light's group afresh."""
        group = self.group_of(actor_id)
        if group is not None:
            self._reset(group)
            self._schedule()

    def set_state(self, actor_id: int, state: int) -> None:
        """Make one light show `state` until its group's next change.

        Raises:
            ValueError: it is no light, or `state` is none of CARLA's.
        """
        row = self._light(actor_id)
        if state not in (0, 1, 2, 3, 4):
            raise ValueError(f"traffic light state {state!r}: expected 0 (red) to 4 (unknown)")
        row[LightColumn.STATE], row[LightColumn.ELAPSED] = state, 0.0

    def _set_time(self, actor_id: int, column: LightColumn, seconds: float) -> None:
        group = self.group_of(actor_id)
        same = next((s for s in group.stages if actor_id in s), None) if group else None
        for light in same or [actor_id]:
            self._light(light)[column] = max(0.0, seconds)
        self._schedule()

    def set_green_time(self, actor_id: int, seconds: float) -> None:
        """Set how long a light's stage is green [s]."""
        self._set_time(actor_id, LightColumn.GREEN_TIME, seconds)

    def set_yellow_time(self, actor_id: int, seconds: float) -> None:
        """Set how long a light's stage is yellow [s]."""
        self._set_time(actor_id, LightColumn.YELLOW_TIME, seconds)

    def set_red_time(self, actor_id: int, seconds: float) -> None:
        """Set how long a light's stage stays red before the next stage begins [s]."""
        self._set_time(actor_id, LightColumn.RED_TIME, seconds)

    def freeze(self, actor_id: int, frozen: bool) -> None:
        """Stop or start the clock of that light's group, as CARLA does."""
        group = self.group_of(actor_id)
        if group is None:
            self._light(actor_id)[LightColumn.FROZEN] = frozen
        else:
            self._freeze(group, frozen)
            self._schedule()

    def freeze_all(self, frozen: bool) -> None:
        """Stop or start the clock of all groups."""
        for group in self.groups.values():
            self._freeze(group, frozen)
        self._schedule()

    def _freeze(self, group: Group, frozen: bool) -> None:
        if frozen and not group.frozen:
            group.elapsed = self._time - group.since
        elif group.frozen and not frozen:
            group.since = self._time - group.elapsed
        group.frozen = frozen
        for light in group.lights:
            self._light(light)[LightColumn.FROZEN] = frozen

    def touch(self) -> None:
        """Let the volumes act on the vehicles of the table."""
        if self._version != self._table.version:
            self._compile()
        c = self._table.columns
        touch_triggers(
            c.kind, c.pose, c.center, c.extent, c.at_light, c.speed_limit, self._boxes, self._rows
        )

    def _compile(self) -> None:
        self._boxes = np.array(
            [
                (t.x, t.y, t.z, math.cos(t.yaw), math.sin(t.yaw), *t.extent, t.limit)
                for t in self.triggers
            ]
        ).reshape(-1, 9)
        self._rows = np.array([self._table.row(t.actor_id) for t in self.triggers], np.int64)
        lights = [light for group in self.groups.values() for light in group.lights]
        self._lights = np.array([self._table.row(light) for light in lights], np.int64)
        self._version = self._table.version


@njit(cache=True)
def age_lights(light: Array, rows: Array, dt: float) -> None:
    """Add `dt` to the elapsed time of every light that is not frozen."""
    for k in range(rows.shape[0]):
        if light[rows[k], 4] == 0.0:
            light[rows[k], 3] += dt


@njit(cache=True)
def touch_triggers(
    kind: Array,
    pose: Array,
    center: Array,
    extent: Array,
    at_light: Array,
    speed_limit: Array,
    boxes: Array,
    rows: Array,
) -> None:
    """Note for each vehicle the light whose volume it is in, and the last limit it passed.

    Args:
        kind, pose, center, extent: of the table.
        at_light, speed_limit: of the table, written.
        boxes: (t, 9) centre x, y, z, cos and sin of the yaw, half sizes, limit [km/h].
        rows: (t,) row of the light or sign.
    """
    for i in range(kind.shape[0]):
        if kind[i] != _VEHICLE:
            continue
        at_light[i] = -1
        cos, sin = math.cos(pose[i, 5]), math.sin(pose[i, 5])
        x = pose[i, 0] + cos * center[i, 0] - sin * center[i, 1]
        y = pose[i, 1] + sin * center[i, 0] + cos * center[i, 1]
        reach = math.hypot(extent[i, 0], extent[i, 1])
        for t in range(boxes.shape[0]):
            dx, dy = x - boxes[t, 0], y - boxes[t, 1]
            far = reach + boxes[t, 5] + boxes[t, 6]
            if abs(dx) > far or abs(dy) > far or abs(pose[i, 2] - boxes[t, 2]) > 3.0:
                continue
            if not boxes_share_axes(
                dx, dy, boxes[t, 3], boxes[t, 4], boxes[t, 5], boxes[t, 6],
                cos, sin, extent[i, 0], extent[i, 1],
            ):  # fmt: skip
                continue
            if boxes[t, 8] > 0.0:
                speed_limit[i] = boxes[t, 8]
            elif at_light[i] < 0:
                at_light[i] = rows[t]
