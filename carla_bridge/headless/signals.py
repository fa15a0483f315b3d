"""Traffic lights in groups that cycle, and what lights and speed signs do to vehicles."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numba import njit

from carla_bridge.headless.actors import ActorTable, Columns
from carla_bridge.headless.blueprints import ActorKind
from headway.types import Array, SignalState

_VEHICLE = int(ActorKind.VEHICLE)
_RED, _YELLOW, _GREEN = int(SignalState.RED), int(SignalState.YELLOW), int(SignalState.GREEN)
MARGIN = 0.0  # [m] around trigger volumes


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
        elapsed: [s] since it shows that.
        frozen: time stands still.
    """

    stages: list[list[int]] = field(default_factory=list)
    stage: int = 0
    state: int = _GREEN
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
        self._owner = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
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

    def _light(self, actor_id: int) -> Array:
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
        if not stage:
            return 0.0
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
        lights = self._table.columns.light
        for group in self.groups.values():
            if group.frozen or not group.stages:
                continue
            group.elapsed += dt
            steps = 0
            while group.elapsed >= self._duration(group) - 1e-9 and steps < 3 * len(group.stages):
                group.elapsed = max(0.0, group.elapsed - self._duration(group))
                self._next(group)
                steps += 1
            if steps:
                self._show(group)
            else:
                for light in self._rows_of(group):
                    lights[light, LightColumn.ELAPSED] = group.elapsed

    def _rows_of(self, group: Group) -> list[int]:
        return [self._table.row(light) for light in group.lights]

    def reset_all(self) -> None:
        """Start every group's cycle from its first stage's green."""
        for group in self.groups.values():
            self._reset(group)

    def _reset(self, group: Group) -> None:
        group.stages = [stage for stage in group.stages if stage]
        group.stage, group.state, group.elapsed = 0, _GREEN, 0.0
        if group.stages:
            self._show(group)

    def group_of(self, actor_id: int) -> Group | None:
        """The group of a light, None for one that belongs to none."""
        return self._group_of.get(actor_id)

    def reset_group(self, actor_id: int) -> None:
        """Start the cycle of that light's group afresh."""
        group = self.group_of(actor_id)
        if group is not None:
            self._reset(group)

    def set_state(self, actor_id: int, state: int) -> None:
        """Make one light show `state` until its group's next change.

        Raises:
            ValueError: `state` is none of CARLA's.
        """
        if state not in (0, 1, 2, 3, 4):
            raise ValueError(f"traffic light state {state!r}: expected 0 (red) to 4 (unknown)")
        row = self._light(actor_id)
        row[LightColumn.STATE], row[LightColumn.ELAPSED] = state, 0.0

    def set_time(self, actor_id: int, column: LightColumn, seconds: float) -> None:
        """Set how long a light's stage is green, yellow or red."""
        group = self.group_of(actor_id)
        same = next((s for s in group.stages if actor_id in s), None) if group else None
        for light in same or [actor_id]:
            self._light(light)[column] = max(0.0, seconds)

    def freeze(self, actor_id: int, frozen: bool) -> None:
        """Stop or start the clock of that light's group."""
        group = self.group_of(actor_id)
        lights = [actor_id]
        if group is not None:
            group.frozen = frozen
            lights = group.lights
        for light in lights:
            self._light(light)[LightColumn.FROZEN] = frozen

    def freeze_all(self, frozen: bool) -> None:
        """Stop or start the clock of all groups."""
        for group in self.groups.values():
            group.frozen = frozen
            for light in group.lights:
                self._light(light)[LightColumn.FROZEN] = frozen

    def touch(self) -> None:
        """Let the volumes act on the vehicles of the table."""
        if self._version != self._table.version:
            self._compile()
        touch_triggers(self._table.columns, self._boxes, self._rows)

    def _compile(self) -> None:
        self._boxes = np.array(
            [
                (t.x, t.y, t.z, math.cos(t.yaw), math.sin(t.yaw), *t.extent, t.limit)
                for t in self.triggers
            ]
        ).reshape(-1, 9)
        self._rows = np.array([self._table.row(t.actor_id) for t in self.triggers], np.int64)
        self._version = self._table.version


@njit(cache=True)
def touch_triggers(c: Columns, boxes: Array, rows: Array) -> None:
    """Note for each vehicle the light whose volume it is in, and the last limit it passed.

    Args:
        c: the table.
        boxes: (t, 9) centre x, y, z, cos and sin of the yaw, half sizes, limit [km/h].
        rows: (t,) row of the light or sign.
    """
    for i in range(c.id.shape[0]):
        if c.kind[i] != _VEHICLE:
            continue
        c.at_light[i] = -1
        cos, sin = math.cos(c.pose[i, 5]), math.sin(c.pose[i, 5])
        x = c.pose[i, 0] + cos * c.center[i, 0] - sin * c.center[i, 1]
        y = c.pose[i, 1] + sin * c.center[i, 0] + cos * c.center[i, 1]
        reach = math.hypot(c.extent[i, 0], c.extent[i, 1])
        for t in range(boxes.shape[0]):
            dx, dy = x - boxes[t, 0], y - boxes[t, 1]
            far = reach + boxes[t, 5] + boxes[t, 6]
            if abs(dx) > far or abs(dy) > far or abs(c.pose[i, 2] - boxes[t, 2]) > 3.0:
                continue
            if not _boxes_touch(c, i, dx, dy, cos, sin, boxes[t]):
                continue
            if boxes[t, 8] > 0.0:
                c.speed_limit[i] = boxes[t, 8]
            elif c.at_light[i] < 0:
                c.at_light[i] = rows[t]


@njit(cache=True)
def _boxes_touch(
    c: Columns, i: int, dx: float, dy: float, cos: float, sin: float, box: Array
) -> bool:
    """Separating axes of row `i`'s box and a volume, (dx, dy) from the volume to the vehicle."""
    bc, bs, hx, hy = box[3], box[4], box[5], box[6]
    ex, ey = c.extent[i, 0], c.extent[i, 1]
    along, cross = abs(bc * cos + bs * sin), abs(bc * sin - bs * cos)
    if abs(dx * bc + dy * bs) > hx + ex * along + ey * cross:
        return False
    if abs(-dx * bs + dy * bc) > hy + ex * cross + ey * along:
        return False
    if abs(dx * cos + dy * sin) > ex + hx * along + hy * cross:
        return False
    return abs(-dx * sin + dy * cos) <= ey + hx * cross + hy * along
