"""Places and actions of an OpenSCENARIO file, as data.

Signs are those of the map frame: y north, yaw counter-clockwise, `t` and offsets left of the road's
or the lane's direction. The names are the standard's; docs/scenarios.md says where what
ScenarioRunner makes of them differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scenarios.suites.spec import Place, Source


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
