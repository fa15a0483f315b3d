"""Whether the conditions of a trigger hold."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable

import numpy as np

from headway.road.queries import nearest_lane
from headway.road.routing import find_paths
from headway.road.shapes import box_polygons
from headway.types import AgentKind
from scenarios.openscenario.world import Player, StoryStage, along_and_across
from scenarios.script import until
from scenarios.suites.openscenario_spec import (
    ByEntity,
    CollisionCondition,
    Compared,
    Condition,
    DistanceCondition,
    ElementStateCondition,
    EntityTest,
    HeadwayCondition,
    MotionCondition,
    ParameterCondition,
    RelativeSpeedCondition,
    SignalCondition,
    TimeCondition,
    Trigger,
)
from scenarios.suites.spec import Place, SuiteError

TOUCH = 0.1  # [m] between two boxes that is a collision: contacts keep them about that far apart
EXACT = 1e-6  # within which two numbers are equal
RULES: dict[str, Callable[[float, float], bool]] = {
    "greaterThan": operator.gt, "lessThan": operator.lt,
    "greaterOrEqual": operator.ge, "lessOrEqual": operator.le,
    "equalTo": lambda a, b: abs(a - b) < EXACT, "notEqualTo": lambda a, b: abs(a - b) >= EXACT,
}  # fmt: skip
KINDS = {
    "pedestrian": AgentKind.WALKER, "vehicle": AgentKind.VEHICLE, "miscellaneous": AgentKind.PROP,
}  # fmt: skip


async def triggered(stage: StoryStage, trigger: Trigger) -> None:
    """Wait until all conditions of one of the trigger's groups are met."""
    groups = [[_Watch(stage, c) for c in group] for group in trigger]

    def met() -> bool:
        # Every condition looks in every tick, or it would miss its edge.
        looked = [[watch.met() for watch in group] for group in groups]
        return any(all(group) for group in looked)

    await until(met)


class _Watch:
    """A condition that is being watched.

    An edge that has been seen stays seen: those of one group need not fall into one tick. What is
    true at the first look has risen. Without an edge it is the present that counts.
    """

    def __init__(self, stage: StoryStage, condition: Condition) -> None:
        self._stage, self._condition = stage, condition
        self._before = False
        self._seen: float | None = None  # [s] when its edge was seen
        self._held: deque[tuple[float, bool]] = deque()
        self._read = len(stage.elements.log)

    def met(self) -> bool:
        """Look once."""
        holds, now, delay = self._holds(), self._stage.time, self._condition.delay
        if self._condition.edge == "none":
            self._held.append((now, holds))
            while len(self._held) > 1 and self._held[1][0] <= now - delay + EXACT:
                self._held.popleft()
            return self._held[0][1] and self._held[0][0] <= now - delay + EXACT
        rose = holds and not self._before
        fell = self._before and not holds
        edge = {"rising": rose, "falling": fell, "risingOrFalling": rose or fell}
        if self._seen is None and edge[self._condition.edge]:
            self._seen = now
        self._before = holds
        return self._seen is not None and now >= self._seen + delay - EXACT

    def _holds(self) -> bool:
        stage = self._stage
        match self._condition.test:
            case ByEntity(entities=names, every=every, test=test):
                players = [stage.players.get(name) for name in names]
                found = [p is not None and _meets(stage, p, test) for p in players]
                return all(found) if every else any(found)
            case TimeCondition(than=than):
                return _compare(stage.time, than)
            case ParameterCondition(name=name, rule=rule, value=value):
                return _compare_words(stage.parameters.get(name, ""), rule, value)
            case SignalCondition(signal=signal, state=state, source=source):
                light = stage.light(signal)
                if light is None:
                    raise SuiteError(source, f"the town has no traffic light {signal!r}")
                return str(light.get_state()).lower() == state
            case ElementStateCondition(kind=kind, name=name, state=state):
                new, self._read = stage.elements.log[self._read :], len(stage.elements.log)
                happened = any((h.kind, h.name, h.what) == (kind, name, state) for h in new)
                return happened or stage.elements.state(kind, name) == state


def _meets(stage: StoryStage, player: Player, test: EntityTest) -> bool:
    """Whether an entity meets a condition now."""
    match test:
        case MotionCondition(what=what, than=than):
            own = {
                "speed": player.speed, "acceleration": player.accel, "stood": player.stood,
                "travelled": player.travelled, "off_road": player.off_road,
                "end_of_road": player.end_of_road,
            }  # fmt: skip
            return _compare(own[what], than)
        case RelativeSpeedCondition(entity=entity, than=than):
            other = stage.players.get(entity)
            return other is not None and _compare(player.speed - other.speed, than)
        case CollisionCondition(with_=with_, by_kind=by_kind):
            return any(
                other is not player and _free_distance(player, other) < TOUCH
                for name, other in stage.players.items()
                if (other.kind == KINDS[with_] if by_kind else name == with_)
            )
        case DistanceCondition() | HeadwayCondition():
            return _is_near(stage, player, test)


def _is_near(stage: StoryStage, player: Player, test: DistanceCondition | HeadwayCondition) -> bool:
    """Whether an entity is as near to another, or a place, as a condition says."""
    other = stage.players.get(test.to) if isinstance(test.to, str) else None
    if isinstance(test.to, str):
        place = other.place if other is not None else None
    else:
        place = stage.places.find(test.to)
    if place is None:  # the other one is not in the world
        return False
    if isinstance(test, DistanceCondition):
        away = _distance(stage, player, other, place, test.kind, test.freespace)
        return _compare(away, test.than)
    away = _distance(stage, player, other, place, "cartesian", test.freespace)
    speed = _closing_speed(player, other, place) if test.closing else player.speed
    return _compare(away / speed if speed > 0.0 else math.inf, test.than)


def _distance(
    stage: StoryStage, player: Player, other: Player | None, place: Place, kind: str, free: bool
) -> float:
    """[m] from somebody to an entity that is at a place, or to a place alone."""
    along, across = along_and_across(player, place.x, place.y)
    if kind == "cartesian":
        if free and other is not None:
            return _free_distance(player, other)
        return math.hypot(along, across)
    if kind == "route":
        return _way(stage, player, place)
    side = 0 if kind == "longitudinal" else 1
    away = abs(along if side == 0 else across)
    if free:
        away -= float(player.extent[side]) + (float(other.extent[side]) if other else 0.0)
    return max(away, 0.0)


def _way(stage: StoryStage, player: Player, place: Place) -> float:
    """[m] along the lanes from somebody to a place; infinite where no way leads there."""
    lane, s, _ = stage.lane_of(player)
    goal, goal_s, _ = nearest_lane(stage.graph, place.x, place.y, place.yaw, z=place.z)
    if lane < 0 or goal < 0:
        return math.inf
    lengths = stage.graph.length
    s, goal_s = np.clip(s, 0.0, lengths[lane]), np.clip(goal_s, 0.0, lengths[goal])
    path = find_paths(stage.graph, lane, float(s), {goal: float(goal_s)}).get(goal)
    return sum(piece.s_to - piece.s_from for piece in path.pieces) if path else math.inf


def _free_distance(player: Player, other: Player) -> float:
    """[m] between two boxes."""
    ours, theirs = box_polygons(
        np.stack([player.pose, other.pose]), np.stack([player.extent, other.extent])
    )
    return float(ours.distance(theirs))


def _closing_speed(player: Player, other: Player | None, place: Place) -> float:
    """[m/s] at which somebody comes nearer to an entity that is at a place, or to a place alone."""
    way = np.array([place.x, place.y]) - player.pose[:2]
    theirs = other.velocity if other is not None else np.zeros(2)
    return float((player.velocity - theirs) @ way / max(np.hypot(*way), EXACT))


def _compare(value: float, than: Compared) -> bool:
    return RULES[than.rule](value, than.value)


def _compare_words(word: str, rule: str, value: str) -> bool:
    """Numbers as such; other words can only be equal or not."""
    try:
        return RULES[rule](float(word), float(value))
    except ValueError:
        return rule == ("equalTo" if word == value else "notEqualTo")
