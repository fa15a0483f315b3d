"""Hand-made drives: ego and others moved along real roads of our own town, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from carla_bridge.headless.towns import load_town
from carla_bridge.session import Session
from headway.road.frenet import route_poses
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.route import Route
from headway.road.routing import plan_route
from headway.types import (
    ActorSnapshot,
    AgentKind,
    CollisionEvent,
    EgoState,
    Observation,
    SignalState,
)
from scenarios.criteria import Criteria
from scenarios.tick import Intent
from tests.scenarios import xosc

DT = 0.05
BEFORE, AFTER = 35.0, 60.0  # [m] of road before and behind a stop line
HALF_LENGTH, HALF_WIDTH = 2.4, 0.95


@pytest.fixture(scope="session")
def grid() -> LaneGraph:
    return load_town("grid").lane_graph


@pytest.fixture(scope="session")
def ring() -> LaneGraph:
    return load_town("ring").lane_graph


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, Session]]:
    """Sessions by town; see `played.session_in`."""
    running: dict[str, Session] = {}
    yield running
    for session in running.values():
        session.close()


def route_over(graph: LaneGraph, kind: StopKind) -> tuple[Route, int, float]:
    """A route over the first stop line of `kind` that has road before and behind it.

    Returns:
        The route, the line's row, and where on the route it is [m].
    """
    for row in np.flatnonzero(graph.stop_kind == kind):
        lane, room = int(graph.stop_lane[row]), float(graph.stop_s[row])
        while room < BEFORE and len(graph.predecessors(lane)):
            lane = int(graph.predecessors(lane)[0])
            room += float(graph.length[lane])
        end, rest = int(graph.stop_lane[row]), -float(graph.stop_s[row])
        ways = [end]
        while rest + float(graph.length[end]) < AFTER and len(graph.successors(end)):
            rest += float(graph.length[end])
            end = int(graph.successors(end)[0])
            ways.append(end)
        guarded = int(graph.stop_junction_lane[row])
        if room < BEFORE or len(ways) < 3 or (guarded >= 0 and guarded not in ways):
            continue
        if rest + float(graph.length[end]) < AFTER or graph.junction[ways[1]] < 0:
            continue
        route = plan_route(graph, lane, room - BEFORE, end, AFTER - rest)
        if abs(route.length - BEFORE - AFTER) < 1.0:
            return route, int(row), BEFORE
    raise AssertionError(f"the town has no stop line of kind {kind!r} with room round it")


@dataclass
class Other:
    """Somebody else: id and, per frame, pose and speed."""

    id: int
    poses: np.ndarray  # (n, 3)
    kind: AgentKind = AgentKind.VEHICLE


@dataclass
class Film:
    """A hand-made drive along `route`: ego's s per frame, others, lights and contacts.

    Attributes:
        graph, route: where.
        s: (n,) [m] of ego's centre along the route.
        d: (n,) [m] left of it.
        others: whoever else there is.
        light: what every light shows, per frame.
        contacts: partner by frame.
        intents: of the driver by frame.
    """

    graph: LaneGraph
    route: Route
    s: np.ndarray
    d: np.ndarray | float = 0.0
    others: list[Other] = field(default_factory=list)
    light: SignalState = SignalState.GREEN
    contacts: dict[int, int] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)

    def observations(self) -> list[Observation]:
        num = len(self.s)
        poses = route_poses(self.route, self.s, np.broadcast_to(self.d, num).copy())
        xy, yaw = poses[:, :2], poses[:, -1]
        speed = np.gradient(self.s, DT) if num > 1 else np.zeros(1)
        accel = np.gradient(speed, DT) if num > 1 else np.zeros(1)
        return [self._observation(i, xy[i], yaw[i], speed[i], accel[i]) for i in range(num)]

    def judge(self) -> Criteria:
        criteria = Criteria(self.graph, self.route)
        for i, observation in enumerate(self.observations()):
            criteria.update(observation, self.intents.get(i, Intent()))
        return criteria

    def _observation(self, i: int, xy, yaw: float, speed: float, accel: float) -> Observation:
        direction = np.array([np.cos(yaw), np.sin(yaw)])
        ego = EgoState(
            id=1, pose=np.array([*xy, yaw]), z=0.0, velocity=speed * direction, speed=float(speed),
            accel=float(accel), lateral_accel=0.0, yaw_rate=0.0, steer=0.0,
            extent=np.array([HALF_LENGTH, HALF_WIDTH]), wheelbase=2.85,
            type_id="vehicle.lincoln.mkz_2020",
        )  # fmt: skip
        others = sorted(self.others, key=lambda o: o.id)
        pose = np.array([o.poses[i] for o in others]).reshape(-1, 3)
        before = np.array([o.poses[max(i - 1, 0)] for o in others]).reshape(-1, 3)
        actors = ActorSnapshot(
            id=np.array([o.id for o in others], dtype=np.int64),
            kind=np.array([o.kind for o in others], dtype=np.int8),
            pose=pose,
            z=np.zeros(len(others)),
            velocity=(pose[:, :2] - before[:, :2]) / DT,
            yaw_rate=np.zeros(len(others)),
            extent=np.tile([HALF_LENGTH, HALF_WIDTH], (len(others), 1)),
            type_id=tuple("vehicle.audi.tt" for _ in others),
            signal_state=np.full(len(self.graph.signal_id), self.light, dtype=np.int8),
        )
        events = ()
        if i in self.contacts:
            events = (CollisionEvent(100 + i, self.contacts[i], "vehicle.audi.tt", 500.0),)
        return Observation(
            100 + i, i * DT, ego, actors, {}, events, self.graph, self.route
        )  # fmt: skip


def along(route: Route, s: np.ndarray, d: float = 0.0) -> np.ndarray:
    """(n, 3) poses at `s` [m] along `route`, `d` [m] left of it."""
    poses = route_poses(route, s, np.full(len(s), d))
    return np.column_stack([poses[:, :2], poses[:, -1]])


def times(seconds: float) -> np.ndarray:
    """Times [s] of the frames of a film."""
    return np.arange(round(seconds / DT)) * DT


@pytest.fixture
def lane(session) -> int:
    """The longest lane of the session's town with one to its left."""
    graph = session.lane_graph
    fits = (graph.kind == LaneKind.DRIVING) & (graph.junction < 0) & (graph.left >= 0)
    return int(np.argmax(np.where(fits, graph.length, 0.0)))


@pytest.fixture
def at(session, lane):
    """A pose on that lane as words of a file."""
    return lambda s, left=0.0: xosc.world(*xosc.on_lane(session.lane_graph, lane, s, left))
