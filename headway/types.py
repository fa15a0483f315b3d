"""The vocabulary: what flows between the stages of the driver, one frozen dataclass per concept.

Frame: right-handed, x east, y north, yaw counter-clockwise in radians, metres, seconds, SI units
(CARLA's left-handed degrees never get past `carla_bridge.frames`). Positions of vehicles, walkers
and props are those of their bounding box's centre, projected on the ground. `A` agents,
`S` signals, `H` history samples, `P` proposals, `K` modes, `T` forecast steps, `N` plan intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from headway.interfaces import TerminalCost
    from headway.road.lane_graph import LaneGraph
    from headway.road.route import Route

Array = np.ndarray


class AgentKind(IntEnum):
    """What an agent is."""

    VEHICLE = 0
    TWO_WHEELER = 1
    WALKER = 2
    PROP = 3


class SignalState(IntEnum):
    """What a traffic light shows; the first four are CARLA's numbers."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3
    UNKNOWN = 4


class StateIndex(IntEnum):
    """Columns of an ego state in `Proposals` and `Plan`."""

    X = 0  # [m] map frame
    Y = 1  # [m]
    YAW = 2  # [rad]
    SPEED = 3  # [m/s]
    ACCEL = 4  # [m/s^2] longitudinal
    STEER = 5  # [rad] front-wheel angle, left positive


NUM_STATES = len(StateIndex)


class InputIndex(IntEnum):
    """Columns of an ego input in `Proposals` and `Plan`."""

    JERK = 0  # [m/s^3]
    STEER_RATE = 1  # [rad/s]


NUM_INPUTS = len(InputIndex)


def check_shape(owner: str, name: str, value: Array, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError naming the field unless `value` has `shape` (None matches any length)."""
    got = np.shape(value)
    if len(got) != len(shape) or any(
        w is not None and w != g for w, g in zip(shape, got, strict=True)
    ):
        raise ValueError(f"{owner}.{name}: expected shape {shape}, got {got}")


@dataclass(frozen=True)
class EgoState:
    """The car we drive.

    Attributes:
        id: actor id on the server.
        pose: (3,) x, y [m], yaw [rad], map frame, bounding-box centre.
        z: [m] height of the ground under it.
        velocity: (2,) [m/s], map frame.
        speed: [m/s] along the car's own axis, negative in reverse.
        accel: [m/s^2] along the car's own axis.
        lateral_accel: [m/s^2], left positive.
        yaw_rate: [rad/s].
        steer: [rad] front-wheel angle, left positive, as estimated from the last commands.
        extent: (2,) half length, half width [m].
        wheelbase: [m].
        type_id: blueprint id, e.g. `vehicle.tesla.model3`.
    """

    id: int
    pose: Array
    z: float
    velocity: Array
    speed: float
    accel: float
    lateral_accel: float
    yaw_rate: float
    steer: float
    extent: Array
    wheelbase: float
    type_id: str

    def __post_init__(self) -> None:
        check_shape("EgoState", "pose", self.pose, (3,))
        check_shape("EgoState", "velocity", self.velocity, (2,))
        check_shape("EgoState", "extent", self.extent, (2,))


@dataclass(frozen=True)
class Agents:
    """The others, one row each, ordered by id.

    Attributes:
        id: (A,) int64 actor ids.
        kind: (A,) int8 `AgentKind`.
        pose: (A, 3) x, y [m], yaw [rad], map frame, bounding-box centre.
        z: (A,) [m] height of the ground under each.
        velocity: (A, 2) [m/s], map frame.
        yaw_rate: (A,) [rad/s].
        extent: (A, 2) half length, half width [m].
        covariance: (A, 5, 5) over x, y, yaw, speed, yaw rate.
        history: (A, H, 4) x, y, yaw, speed over the last 2 s, oldest first.
        history_mask: (A, H) bool, true where the agent was seen.
    """

    id: Array
    kind: Array
    pose: Array
    z: Array
    velocity: Array
    yaw_rate: Array
    extent: Array
    covariance: Array
    history: Array
    history_mask: Array

    def __post_init__(self) -> None:
        n = len(self.id)
        for name, shape in {
            "kind": (n,), "pose": (n, 3), "z": (n,), "velocity": (n, 2), "yaw_rate": (n,),
            "extent": (n, 2), "covariance": (n, 5, 5), "history": (n, None, 4),
            "history_mask": (n, None),
        }.items():  # fmt: skip
            check_shape("Agents", name, getattr(self, name), shape)

    def __len__(self) -> int:
        return len(self.id)

    @property
    def speed(self) -> Array:
        """(A,) [m/s], length of the velocity."""
        return np.hypot(self.velocity[:, 0], self.velocity[:, 1])


@dataclass(frozen=True)
class ActorSnapshot:
    """Privileged truth of one frame: every vehicle, walker and prop but ego, ordered by id.

    Attributes:
        id: (A,) int64.
        kind: (A,) int8 `AgentKind`.
        pose: (A, 3) x, y [m], yaw [rad], map frame, bounding-box centre.
        z: (A,) [m].
        velocity: (A, 2) [m/s], map frame.
        yaw_rate: (A,) [rad/s].
        extent: (A, 2) half length, half width [m].
        type_id: (A,) blueprint ids.
        signal_state: (S,) int8 `SignalState`, in the order of `LaneGraph.signal_id`.
        sirens: ids of the emergency vehicles on duty, with blue lights on.
    """

    id: Array
    kind: Array
    pose: Array
    z: Array
    velocity: Array
    yaw_rate: Array
    extent: Array
    type_id: tuple[str, ...]
    signal_state: Array
    sirens: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Observation:
    """One synchronous frame of the simulator, in our frame and units.

    Attributes:
        frame: the server's frame number; everything in here is of this frame.
        t: [s] simulated time since the episode began.
        ego: our car.
        actors: privileged truth, or None when the driver may not see it.
        sensors: raw packets by sensor name, payloads as the server sent them.
        events: what the criteria read: collision events of this frame (see `scenarios.criteria`).
        lane_graph: the town's roads.
        route: where the episode wants us to go.
    """

    frame: int
    t: float
    ego: EgoState
    actors: ActorSnapshot | None
    sensors: Mapping[str, Any]
    events: tuple[CollisionEvent, ...]
    lane_graph: LaneGraph
    route: Route


@dataclass(frozen=True)
class CollisionEvent:
    """Ego touched something in this frame.

    Attributes:
        frame: the server's frame.
        other_id: actor id of the partner, 0 for the world itself.
        other_type_id: its blueprint id.
        impulse: [N s] length of the normal impulse.
    """

    frame: int
    other_id: int
    other_type_id: str
    impulse: float


@dataclass(frozen=True)
class Scene:
    """What is around us, as perception believes it.

    Attributes:
        frame: frame of the observation it came from.
        t: [s].
        ego: our car.
        ego_history: (H, 4) x, y, yaw, speed of the last second, oldest first.
        command_history: (H, 3) throttle, brake, steer_norm of the last second, oldest first.
        agents: the others.
        lane_graph: the roads.
        signal_state: (S,) int8 `SignalState` in the order of `LaneGraph.signal_id`.
        route: where the episode wants us to go.
        image: a camera image (h, w, 3) uint8, or None.
        projection: (3, 4) from map frame to pixels, or None.
        sirens: ids of the emergency vehicles on duty.
    """

    frame: int
    t: float
    ego: EgoState
    ego_history: Array
    command_history: Array
    agents: Agents
    lane_graph: LaneGraph
    signal_state: Array
    route: Route
    image: Array | None = None
    projection: Array | None = None
    sirens: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Goal:
    """What we were asked for.

    Attributes:
        maneuver: `follow_route` when nobody said anything.
        route: as edited by the instruction.
        speed_cap: [m/s] upper bound beside the limits, inf when there is none.
        target_lane: index into the LaneGraph, or None.
        stop_s: [m] along the route where to stop, or None.
        referent_id: id of the agent that was meant, or None.
        time_gap: [s] to the lead.
        style: weights by name that scale the stage cost's terms.
    """

    maneuver: str
    route: Route
    speed_cap: float = float("inf")
    target_lane: int | None = None
    stop_s: float | None = None
    referent_id: int | None = None
    time_gap: float = 1.5
    style: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What the language front end says to an instruction.

    Attributes:
        status: accepted, refused, unclear or not_driving.
        words: for the person.
    """

    status: str
    words: str


@dataclass(frozen=True)
class Proposals:
    """What we might do: ego states and inputs on a common grid.

    Attributes:
        states: (P, T+1, NUM_STATES), see `StateIndex`.
        inputs: (P, T, NUM_INPUTS), see `InputIndex`.
        dt: [s] of the grid.
        names: (P,) keep, overtake, yield, ...
        reason: (P,) what bounds each proposal's speed, for the Trace (route, lead, light, ...).
    """

    states: Array
    inputs: Array
    dt: float
    names: tuple[str, ...]
    reason: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        p = len(self.names)
        check_shape("Proposals", "states", self.states, (p, None, NUM_STATES))
        check_shape("Proposals", "inputs", self.inputs, (p, self.states.shape[1] - 1, NUM_INPUTS))

    def __len__(self) -> int:
        return len(self.names)

    def __add__(self, other: Proposals) -> Proposals:
        """Both sets, ours first; an empty set may have any grid."""
        if len(other) == 0:
            return self
        if len(self) == 0:
            return other
        if self.dt != other.dt or self.states.shape[1] != other.states.shape[1]:
            raise ValueError(
                f"Proposals: grids differ, {self.states.shape[1] - 1} x {self.dt} s "
                f"and {other.states.shape[1] - 1} x {other.dt} s"
            )
        return Proposals(
            np.concatenate([self.states, other.states]),
            np.concatenate([self.inputs, other.inputs]),
            self.dt,
            self.names + other.names,
            self.reason + other.reason,
        )

    @staticmethod
    def empty(num_steps: int, dt: float) -> Proposals:
        """No proposal on a grid of `num_steps` intervals."""
        return Proposals(
            np.zeros((0, num_steps + 1, NUM_STATES)), np.zeros((0, num_steps, NUM_INPUTS)), dt, ()
        )


@dataclass(frozen=True)
class Forecast:
    """What may happen under each proposal.

    Attributes:
        dt: [s] of the grid, that of the proposals.
        agent_id: (A,) ids, in the order of `Scene.agents`.
        probability: (P, K).
        mean: (P, K, A, T, 3) x, y, yaw.
        covariance: (P, K, A, T, 2, 2) of x, y.
        uncertainty: (P, T) epistemic.
        terminal_cost: V where the forecast ends, or None.
    """

    dt: float
    agent_id: Array
    probability: Array
    mean: Array
    covariance: Array
    uncertainty: Array
    terminal_cost: TerminalCost | None = None

    def __post_init__(self) -> None:
        p, k = np.shape(self.probability)
        a, t = len(self.agent_id), np.shape(self.mean)[3]
        check_shape("Forecast", "mean", self.mean, (p, k, a, t, 3))
        check_shape("Forecast", "covariance", self.covariance, (p, k, a, t, 2, 2))
        check_shape("Forecast", "uncertainty", self.uncertainty, (p, t))

    def likeliest(self, proposal: int) -> tuple[Array, Array]:
        """Means (A, T, 3) and covariances (A, T, 2, 2) of the likeliest mode under a proposal."""
        mode = int(np.argmax(self.probability[proposal]))
        return self.mean[proposal, mode], self.covariance[proposal, mode]


@dataclass(frozen=True)
class Plan:
    """What we intend.

    Attributes:
        states: (N+1, NUM_STATES), see `StateIndex`; row 0 is now.
        inputs: (N, NUM_INPUTS), see `InputIndex`.
        dt: (N,) [s].
        name: of the proposal that was refined.
        cost: terms of the cost by name.
        active: names of the constraints that bind (lead:17, red_light:3, stop_sign:5, limit, ...).
        status: `ok`, or what went wrong.
        residual: of the solver.
        iterations: of the solver.
        solve_s: [s] of the solver alone, nan where there is none.
        required_decel: [m/s^2] the hardest braking that `active` asks for now; criteria read it.
    """

    states: Array
    inputs: Array
    dt: Array
    name: str
    cost: Mapping[str, float] = field(default_factory=dict)
    active: tuple[str, ...] = ()
    status: str = "ok"
    residual: float = 0.0
    iterations: int = 0
    solve_s: float = float("nan")
    required_decel: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.dt)
        check_shape("Plan", "states", self.states, (n + 1, NUM_STATES))
        check_shape("Plan", "inputs", self.inputs, (n, NUM_INPUTS))


@dataclass(frozen=True)
class Intervention:
    """The safety layer changed the command.

    Attributes:
        reason: e.g. `emergency_brake:17` or `limit:steer`.
        margin: [m] or [s] that was left, negative when it was violated.
    """

    reason: str
    margin: float


@dataclass(frozen=True)
class Command:
    """What the car gets.

    Attributes:
        throttle: [0, 1].
        brake: [0, 1].
        steer_norm: [-1, 1], left positive (the bridge flips it).
        hand_brake: bool.
        reverse: bool.
    """

    throttle: float = 0.0
    brake: float = 0.0
    steer_norm: float = 0.0
    hand_brake: bool = False
    reverse: bool = False

    def __post_init__(self) -> None:
        for name, low in (("throttle", 0.0), ("brake", 0.0), ("steer_norm", -1.0)):
            value = getattr(self, name)
            if not low <= value <= 1.0:  # also catches NaN
                raise ValueError(f"Command.{name}: expected [{low:g}, 1], got {value!r}")
