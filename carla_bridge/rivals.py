"""Rivals that drive by themselves: CARLA's traffic manager, and the agents of its PythonAPI.

They stand where a planner would (`headway.interfaces.SelfDriving`) and get the same route. CARLA's
`agents` package is no part of the wheel and none of ours: it is taken from the user's own CARLA
installation.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import carla
import numpy as np

from carla_bridge.session import Session, SessionError
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import Array, Command, Observation

PATH_STEP = 10.0  # [m] between the points that the traffic manager is given
PAST_JUNCTION = 8.0  # [m] behind a junction where its way on is given
AGENT_STEP = 2.0  # [m] between the waypoints that the agents are given; their own default
# [m] to the right. The agents do not see who is exactly ahead, at an angle of 0, which does not
# happen where real springs and tyres shake a car, and does on our server's straight roads.
AGENT_OFFSET = 0.03
BEHAVIORS = ("cautious", "normal", "aggressive")


@dataclass
class TrafficManagerPlannerConfig:
    """How CARLA's traffic manager drives ego.

    Attributes:
        speed_difference_percent: [%] below the limit, negative above it.
        lead_distance: [m] kept to the vehicle ahead.
    """

    speed_difference_percent: float = 20.0
    lead_distance: float = 2.5

    def __post_init__(self) -> None:
        if not self.lead_distance >= 0.0:
            raise ValueError(
                "TrafficManagerPlannerConfig.lead_distance: expected >= 0 m, got "
                f"{self.lead_distance!r}"
            )


class TrafficManagerPlanner:
    """CARLA's own autopilot on ego, along the route; of its own accord it changes no lane.

    Args:
        config: how it drives.
        session: the connection.
    """

    def __init__(self, config: TrafficManagerPlannerConfig, session: Session) -> None:
        self._config = config
        self._session = session
        self._ego = 0

    def reset(self) -> None:
        """The next observation brings a new ego."""
        self._ego = 0

    def act(self, observation: Observation) -> Command | None:
        """Return None: once ego is on it, the autopilot drives."""
        if observation.ego.id != self._ego:
            self._ego = observation.ego.id
            self._take_over(_vehicle(self._session, self._ego), observation.route)
        return None

    def _take_over(self, ego: carla.Vehicle, route: Route) -> None:
        manager, port = self._session.traffic_manager()
        ego.set_autopilot(True, port)
        manager.vehicle_percentage_speed_difference(ego, self._config.speed_difference_percent)
        manager.distance_to_leading_vehicle(ego, self._config.lead_distance)
        manager.auto_lane_change(ego, False)
        manager.set_path(ego, path_points(self._session.lane_graph, route))


def path_points(graph: LaneGraph, route: Route) -> list[carla.Location]:
    """Return the points that lead the traffic manager along `route`.

    None lies inside a junction: there it chooses among the ways by the road of the point behind
    it, so the first point behind one must not be so near that it is taken for the junction's.
    """
    outside = graph.junction[route.lane] < 0
    change = np.flatnonzero(np.diff(outside, prepend=False, append=False))
    points: list[Array] = []
    for first, last in change.reshape(-1, 2):
        begin, end = float(route.s[first]), float(route.s[last - 1])
        s = np.arange(begin + min(PAST_JUNCTION, 0.5 * (end - begin)), end + 1e-6, PATH_STEP)
        # Rounding may carry the last beyond the route's end.
        points += list(route.xyz[np.minimum(np.searchsorted(route.s, s), last - 1)])
    return [_location(xyz) for xyz in points]


@dataclass
class BasicAgentConfig:
    """How CARLA's BasicAgent drives ego.

    Attributes:
        target_speed: [m/s]; 0 takes the limits.
    """

    target_speed: float = 0.0

    def __post_init__(self) -> None:
        if not self.target_speed >= 0.0:
            raise ValueError(
                f"BasicAgentConfig.target_speed: expected >= 0 m/s, got {self.target_speed!r}"
            )


@dataclass
class BehaviorAgentConfig:
    """How CARLA's BehaviorAgent drives ego.

    Attributes:
        behavior: `cautious`, `normal` or `aggressive`.
    """

    behavior: str = "normal"

    def __post_init__(self) -> None:
        if self.behavior not in BEHAVIORS:
            raise ValueError(
                f"BehaviorAgentConfig.behavior: expected one of {', '.join(BEHAVIORS)}, got "
                f"{self.behavior!r}"
            )


class _CarlaAgent(ABC):
    """What both agents share: the route they are given, and their control as a Command."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._roads: Any = None  # their own routing graph; takes long to make, the town stays
        self._agent: Any = None
        self._ego = 0

    def reset(self) -> None:
        """The next observation brings a new ego."""
        self._agent, self._ego = None, 0

    def act(self, observation: Observation) -> Command | None:
        """Return what the agent does now."""
        if observation.ego.id != self._ego:
            self._ego = observation.ego.id
            ego = _vehicle(self._session, self._ego)
            options = {
                "map_inst": self._session.map,
                "grp_inst": self._roads,
                "opt_dict": {"offset": AGENT_OFFSET},  # a fresh one: they write into it
            }
            self._agent = self._make(ego, options)
            self._roads = self._agent.get_global_planner()
            plan = agent_plan(self._session, observation.route)
            self._agent.set_global_plan(plan)
        return command_of(self._agent.run_step())

    @abstractmethod
    def _make(self, ego: carla.Vehicle, options: dict[str, Any]) -> Any:
        """Return CARLA's agent for `ego`, with the options that both take."""


class BasicAgentPlanner(_CarlaAgent):
    """CARLA's BasicAgent: lights and vehicles in its way, no stop signs, no walkers.

    Args:
        config: how it drives.
        session: the connection.

    Raises:
        SessionError: the `agents` package is not there.
    """

    def __init__(self, config: BasicAgentConfig, session: Session) -> None:
        super().__init__(session)
        self._config = config
        self._class = agents_module("basic_agent").BasicAgent

    def _make(self, ego: carla.Vehicle, options: dict[str, Any]) -> Any:
        agent = self._class(ego, target_speed=3.6 * (self._config.target_speed or 1.0), **options)
        if self._config.target_speed == 0.0:
            agent.follow_speed_limits(True)
        return agent


class BehaviorAgentPlanner(_CarlaAgent):
    """CARLA's BehaviorAgent: following, walkers, tailgaters; at most 50 km/h by its own settings.

    Args:
        config: how it drives.
        session: the connection.

    Raises:
        SessionError: the `agents` package is not there.
    """

    def __init__(self, config: BehaviorAgentConfig, session: Session) -> None:
        super().__init__(session)
        self._config = config
        self._class = agents_module("behavior_agent").BehaviorAgent

    def _make(self, ego: carla.Vehicle, options: dict[str, Any]) -> Any:
        return self._class(ego, behavior=self._config.behavior, **options)


def agents_module(name: str) -> Any:
    """Import a module of CARLA's `agents.navigation` from the installation at $CARLA_ROOT.

    Raises:
        SessionError: it is not there, or lacks a package that it needs; the message says which.
    """
    root = os.environ.get("CARLA_ROOT", "")
    folder = Path(root) / "PythonAPI" / "carla"
    if not root or not (folder / "agents" / "navigation").is_dir():
        found = f"there is none below CARLA_ROOT={root}" if root else "CARLA_ROOT is not set"
        raise SessionError(
            f"CARLA's agents package was not found: {found}; set CARLA_ROOT to a CARLA 0.9.16 "
            "installation, which has it in PythonAPI/carla/agents"
        )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: nothing of ours may be hidden by it
    try:
        return import_module(f"agents.navigation.{name}")
    except ImportError as error:
        raise SessionError(
            f"CARLA's agents package in {folder} cannot be imported: {error}; it needs networkx "
            "and shapely"
        ) from error


def agent_plan(session: Session, route: Route) -> list[tuple[Any, Any]]:
    """Return `route` as the agents want it: waypoints, each with what is done there."""
    option = agents_module("local_planner").RoadOption
    graph = session.lane_graph
    rows = np.searchsorted(route.s, np.arange(0.0, route.length, AGENT_STEP))
    meant = road_options(graph, route.lane)
    return [
        (session.map.get_waypoint(_location(route.xyz[i])), getattr(option, meant[i]))
        for i in map(int, rows)
    ]


def road_options(graph: LaneGraph, lane: Array) -> list[str]:
    """Return the names of CARLA's RoadOption for each sample of a route with lanes `lane` (R,)."""
    turns = {-1: "RIGHT", 0: "STRAIGHT", 1: "LEFT"}
    out = []
    for i, here in enumerate(map(int, lane)):
        ahead = {int(n) for n in lane[i : i + 20]}
        if graph.junction[here] >= 0:
            out.append(turns[int(graph.turn[here])])
        elif graph.left[here] >= 0 and int(graph.left[here]) in ahead:
            out.append("CHANGELANELEFT")
        elif graph.right[here] >= 0 and int(graph.right[here]) in ahead:
            out.append("CHANGELANERIGHT")
        else:
            out.append("LANEFOLLOW")
    return out


def command_of(control: carla.VehicleControl) -> Command:
    """CARLA's control as a Command."""
    return Command(
        throttle=float(np.clip(control.throttle, 0.0, 1.0)),
        brake=float(np.clip(control.brake, 0.0, 1.0)),
        steer_norm=float(np.clip(-control.steer, -1.0, 1.0)),  # CARLA's is right positive
        hand_brake=control.hand_brake,
        reverse=control.reverse,
    )


def _vehicle(session: Session, ego: int) -> carla.Vehicle:
    actor = session.world.get_actor(ego)
    if actor is None:
        raise SessionError(f"ego (actor {ego}) is not on the server")
    return actor  # pyright: ignore[reportReturnType]


def _location(xyz: Array) -> carla.Location:
    """CARLA's location of a point (3,) [m] in our frame."""
    return carla.Location(x=float(xyz[0]), y=-float(xyz[1]), z=float(xyz[2]))
