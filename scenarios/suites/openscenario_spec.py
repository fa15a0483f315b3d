"""What an OpenSCENARIO file asks for, as data: entities, places, actions, conditions, storyboard.

Signs are those of the map frame: y north, yaw counter-clockwise, `t` and offsets left of the road's
or the lane's direction. The names are the standard's; docs/scenarios.md says where what
ScenarioRunner makes of them differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scenarios.suites.spec import Place, ScenarioSpec, Source


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


# Places.


@dataclass(frozen=True)
class Turn:
    """A heading [rad], relative to that of the place unless `absolute`."""

    yaw: float = 0.0
    absolute: bool = False


@dataclass(frozen=True)
class WorldPosition:
    """A pose of the map."""

    place: Place
    source: Source


@dataclass(frozen=True)
class RelativePosition:
    """So far [m] from an entity along the map's axes, or its own (`own_axes`)."""

    entity: str
    dx: float
    dy: float
    dz: float
    own_axes: bool
    turn: Turn
    source: Source


@dataclass(frozen=True)
class RoadPosition:
    """On a road, `s` [m] along it and `t` [m] left of its reference line."""

    road: int
    s: float
    t: float
    turn: Turn
    source: Source


@dataclass(frozen=True)
class RelativeRoadPosition:
    """`ds` [m] along the road from an entity and `dt` [m] left of it."""

    entity: str
    ds: float
    dt: float
    turn: Turn
    source: Source


@dataclass(frozen=True)
class LanePosition:
    """On a lane, `s` [m] along its road and `offset` [m] left of its centre."""

    road: int
    lane: int
    s: float
    offset: float
    turn: Turn
    source: Source


@dataclass(frozen=True)
class RelativeLanePosition:
    """`ds` [m] along the road from an entity, so many lane ids beside it (0 is no lane)."""

    entity: str
    lanes: int
    ds: float
    offset: float
    turn: Turn
    source: Source


Position = (
    WorldPosition
    | RelativePosition
    | RoadPosition
    | RelativeRoadPosition
    | LanePosition
    | RelativeLanePosition
)


# Actions.


@dataclass(frozen=True)
class Dynamics:
    """How something changes.

    Attributes:
        shape: `step`, `linear`, `sinusoidal` or `cubic`.
        dimension: of `value`: `time` [s], `distance` [m], `rate` [of what changes, per s].
        value: 0 or more.
    """

    shape: str
    dimension: str
    value: float


@dataclass(frozen=True)
class SpeedAction:
    """To a speed [m/s]: `value`, or that much more, or times that, than `relative_to` has."""

    value: float
    dynamics: Dynamics
    relative_to: str = ""
    factor: bool = False
    continuous: bool = False


@dataclass(frozen=True)
class LongitudinalDistanceAction:
    """To so far behind an entity: [m], or [s] at one's own speed where `time_gap`."""

    entity: str
    value: float
    time_gap: bool
    freespace: bool
    continuous: bool


@dataclass(frozen=True)
class LaneChangeAction:
    """To another lane.

    Attributes:
        value: lanes to the left of that of `relative_to`; the id where that is empty.
        relative_to: entity.
        offset: [m] left of the new lane's centre.
        dynamics: of the way across.
    """

    value: int
    relative_to: str
    offset: float
    dynamics: Dynamics


@dataclass(frozen=True)
class LaneOffsetAction:
    """To so far [m] left of the lane's centre, or of where `relative_to` is in it."""

    value: float
    relative_to: str
    shape: str
    max_lateral_accel: float
    continuous: bool


@dataclass(frozen=True)
class LateralDistanceAction:
    """To so far [m] left of an entity."""

    entity: str
    value: float
    freespace: bool
    continuous: bool


@dataclass(frozen=True)
class SynchronizeAction:
    """To be at `target` when `master` is at `target_master`.

    Attributes:
        master: entity.
        target_master, target: places.
        final_speed: [m/s] to have there, None: any; more than, or times, the master's where
            `relative` is `delta` or `factor`.
        relative: or empty.
    """

    master: str
    target_master: Position
    target: Position
    final_speed: float | None
    relative: str


@dataclass(frozen=True)
class TeleportAction:
    """Be there at once."""

    position: Position


@dataclass(frozen=True)
class RouteAction:
    """Go by these places along the lanes, or straight from each to the next."""

    positions: tuple[Position, ...]
    straight: bool


@dataclass(frozen=True)
class FollowTrajectoryAction:
    """Go straight from place to place, at the given times [s] since its beginning where known."""

    positions: tuple[Position, ...]
    times: tuple[float, ...]


@dataclass(frozen=True)
class ControllerAction:
    """Who drives from now on.

    Attributes:
        module: of ScenarioRunner, e.g. `npc_vehicle_control`.
    """

    module: str


@dataclass(frozen=True)
class ActivateControllerAction:
    """Drive by oneself, by the rules of the road, or no longer."""

    active: bool


@dataclass(frozen=True)
class EnvironmentAction:
    """Another weather, by the names of `carla.WeatherParameters`."""

    weather: Mapping[str, float]


@dataclass(frozen=True)
class AddEntityAction:
    """Bring an entity into the world."""

    entity: str
    position: Position


@dataclass(frozen=True)
class DeleteEntityAction:
    """Take an entity out of the world."""

    entity: str


@dataclass(frozen=True)
class ParameterAction:
    """Set a parameter, add to it or multiply it: `how` is `set`, `add` or `multiply`."""

    name: str
    how: str
    value: str


@dataclass(frozen=True)
class SignalAction:
    """Set a traffic light.

    Attributes:
        signal: OpenDRIVE id, `id=ACTOR` or `pos=X,Y` (CARLA's axes).
        state: `red`, `yellow`, `green` or `off`.
        source: where it stands.
    """

    signal: str
    state: str
    source: Source


Action = (
    SpeedAction
    | LongitudinalDistanceAction
    | LaneChangeAction
    | LaneOffsetAction
    | LateralDistanceAction
    | SynchronizeAction
    | TeleportAction
    | RouteAction
    | FollowTrajectoryAction
    | ControllerAction
    | ActivateControllerAction
    | EnvironmentAction
    | AddEntityAction
    | DeleteEntityAction
    | ParameterAction
    | SignalAction
)


# Conditions.


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
