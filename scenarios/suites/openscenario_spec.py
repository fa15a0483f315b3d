"""What an OpenSCENARIO file asks for, as data: entities, conditions, storyboard.

The names are the standard's; places and actions are in `openscenario_action_spec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scenarios.suites.openscenario_action_spec import Action, Position
from scenarios.suites.spec import RouteSpec, ScenarioSpec, Source


@dataclass(frozen=True)
class Entity:
    """Who or what takes part.

    Attributes:
        name: unique in the file.
        blueprint: id on the server.
        max_accel, max_decel: [m/s^2] that its `Performance` allows.
        source: where it stands.
    """

    name: str
    blueprint: str
    max_accel: float
    max_decel: float
    source: Source


@dataclass(frozen=True)
class Compared:
    """`rule` and the value that something is compared with."""

    rule: str
    value: float


@dataclass(frozen=True)
class MotionCondition:
    """An entity's own motion: `what` is `speed`, `acceleration`, `travelled` [m], `stood`,
    `off_road` or `end_of_road` [s].
    """  # fmt: skip

    what: str
    than: Compared


@dataclass(frozen=True)
class DistanceCondition:
    """Distance [m] to a place, or to an entity.

    Attributes:
        to: which.
        kind: `cartesian`, `longitudinal`, `lateral` (by the triggering entity's axes) or `route`.
        freespace: from box to box, not from centre to centre.
        than: compared with.
    """

    to: Position | str
    kind: str
    freespace: bool
    than: Compared


@dataclass(frozen=True)
class HeadwayCondition:
    """Seconds to an entity or place at one's own speed, or at that at which they close."""

    to: Position | str
    closing: bool
    freespace: bool
    than: Compared


@dataclass(frozen=True)
class RelativeSpeedCondition:
    """[m/s] by which the triggering entity is faster than another."""

    entity: str
    than: Compared


@dataclass(frozen=True)
class CollisionCondition:
    """Touches an entity, or one of a kind: `with_` is a name or `pedestrian`, `vehicle`, ..."""

    with_: str
    by_kind: bool


EntityTest = (
    MotionCondition
    | DistanceCondition
    | HeadwayCondition
    | RelativeSpeedCondition
    | CollisionCondition
)


@dataclass(frozen=True)
class ByEntity:
    """A test of one of the entities, or of `every` one."""

    entities: tuple[str, ...]
    every: bool
    test: EntityTest


@dataclass(frozen=True)
class TimeCondition:
    """[s] since the storyboard began."""

    than: Compared


@dataclass(frozen=True)
class ParameterCondition:
    """A parameter compared with a value, both as words."""

    name: str
    rule: str
    value: str


@dataclass(frozen=True)
class ElementStateCondition:
    """An element of the storyboard is in a state, or has just had a transition."""

    kind: str
    name: str
    state: str


@dataclass(frozen=True)
class SignalCondition:
    """A traffic light shows something; see `SignalAction`."""

    signal: str
    state: str
    source: Source


Test = ByEntity | TimeCondition | ParameterCondition | ElementStateCondition | SignalCondition


@dataclass(frozen=True)
class Condition:
    """Something to wait for.

    Attributes:
        test: what.
        edge: `rising`, `falling`, `risingOrFalling` or `none`.
        delay: [s] after which it counts.
    """

    test: Test
    edge: str
    delay: float


Trigger = tuple[tuple[Condition, ...], ...]  # any of the groups; all of a group


# The storyboard.


@dataclass(frozen=True)
class Event:
    """Actions with their names, and what sets them off, `count` times at most."""

    name: str
    skips: bool
    count: int
    start: Trigger
    actions: tuple[tuple[str, Action | None], ...]


@dataclass(frozen=True)
class Maneuver:
    """Events beside each other."""

    name: str
    events: tuple[Event, ...]


@dataclass(frozen=True)
class ManeuverGroup:
    """Maneuvers of some actors, `count` times one after the other."""

    name: str
    actors: tuple[str, ...]
    count: int
    maneuvers: tuple[Maneuver, ...]


@dataclass(frozen=True)
class Act:
    """Groups beside each other, from a trigger until another."""

    name: str
    groups: tuple[ManeuverGroup, ...]
    start: Trigger
    stop: Trigger


@dataclass(frozen=True)
class Story:
    """Acts beside each other."""

    name: str
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Criterion:
    """What ego's drive is judged by: ScenarioRunner's class of that name, and its number."""

    name: str
    value: float | None


@dataclass(frozen=True)
class StorySpec:
    """One OpenSCENARIO file, which a bench drives like a route.

    Attributes:
        id: the file's name without its ending.
        town: short name.
        ego: name of the entity that the planner drives.
        entities: by name, ego among them.
        parameters: by name.
        init: actor (empty for global actions) and action.
        stories: that make up the storyboard.
        stop: ends it.
        criteria: of success.
        source: where it stands.
        scenarios: none; a bench asks every route for them.
        difficulty: empty; the same.
    """

    id: str
    town: str
    ego: str
    entities: Mapping[str, Entity]
    parameters: Mapping[str, str]
    init: tuple[tuple[str, Action], ...]
    stories: tuple[Story, ...]
    stop: Trigger
    criteria: tuple[Criterion, ...]
    source: Source
    scenarios: tuple[ScenarioSpec, ...] = field(default=())
    difficulty: str = ""


Drivable = RouteSpec | StorySpec  # what a bench can drive
