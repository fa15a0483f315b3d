"""Scenes made by hand on real roads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind
from headway.road.queries import pose_at
from headway.road.route import Route
from headway.types import (
    NUM_INPUTS,
    NUM_STATES,
    AgentKind,
    Agents,
    Array,
    EgoState,
    Proposals,
    Scene,
    SignalState,
    StateIndex,
)

DT, STEPS = 0.4, 20


@dataclass
class Agent:
    """One agent: x, y, yaw, speed along the yaw; it has been so for two seconds."""

    x: float
    y: float
    yaw: float
    speed: float
    kind: AgentKind = AgentKind.VEHICLE
    yaw_rate: float = 0.0
    drift: float = 0.0
    extent: tuple[float, float] = (2.3, 0.95)


def on_lane(graph: LaneGraph, lane: int, s: float, speed: float, d: float = 0.0, **rest) -> Agent:
    """An agent `d` metres to the left of a lane's middle."""
    x, y, _, yaw = pose_at(graph, lane, s)
    return Agent(x - d * np.sin(yaw), y + d * np.cos(yaw), yaw, speed, **rest)


def agents_of(listed: Sequence[Agent]) -> Agents:
    n = len(listed)
    yaw = np.array([a.yaw for a in listed])
    speed = np.array([a.speed for a in listed])
    drift = np.array([a.drift for a in listed])
    pose = np.array([(a.x, a.y, a.yaw) for a in listed]).reshape(n, 3)
    cos, sin = np.cos(yaw), np.sin(yaw)
    history = np.zeros((n, 40, 4))
    history[:, :, :3], history[:, :, 3] = pose[:, None], np.hypot(speed, drift)[:, None]
    return Agents(
        id=np.arange(10, 10 + n), kind=np.array([a.kind for a in listed], np.int8), pose=pose,
        z=np.zeros(n),
        velocity=np.column_stack([speed * cos - drift * sin, speed * sin + drift * cos]),
        yaw_rate=np.array([a.yaw_rate for a in listed]),
        extent=np.array([a.extent for a in listed]).reshape(n, 2),
        covariance=np.zeros((n, 5, 5)), history=history, history_mask=np.ones((n, 40), bool),
    )  # fmt: skip


def scene_of(
    graph: LaneGraph,
    listed: Sequence[Agent],
    ego: Agent | None = None,
    signals: Array | None = None,
) -> Scene:
    """A Scene with `ego` (far away when None) and all lights green unless `signals` says else."""
    e = ego or Agent(1e5, 1e5, 0.0, 0.0)
    row = np.array([e.x, e.y, e.yaw])
    state = EgoState(
        id=1, pose=row, z=0.0,
        velocity=np.array([e.speed * np.cos(e.yaw), e.speed * np.sin(e.yaw)]), speed=e.speed,
        accel=0.0, lateral_accel=0.0, yaw_rate=e.yaw_rate, steer=0.0, extent=np.array(e.extent),
        wheelbase=2.9, type_id="vehicle.tesla.model3",
    )  # fmt: skip
    line = np.zeros(2)
    route = Route(graph.name, np.zeros((2, 3)), np.array([0.0, 1.0]), line, line,
                  np.zeros(2, np.int32), line, np.full(2, 10.0))  # fmt: skip
    if signals is None:
        signals = np.full(len(graph.signal_id), SignalState.GREEN, np.int8)
    return Scene(
        frame=1, t=10.0, ego=state, ego_history=np.tile([*row, e.speed], (20, 1)),
        command_history=np.zeros((20, 3)), agents=agents_of(listed), lane_graph=graph,
        signal_state=signals, route=route,
    )  # fmt: skip


def proposals_of(ego: Agent, accels: Sequence[float], steps: int = STEPS) -> Proposals:
    """Straight ahead with each constant acceleration, down to rest."""
    t = DT * np.arange(steps + 1)
    states = np.zeros((len(accels), steps + 1, NUM_STATES))
    for p, accel in enumerate(accels):
        speed = np.maximum(ego.speed + accel * t, 0.0)
        way = np.concatenate([[0.0], np.cumsum(0.5 * DT * (speed[1:] + speed[:-1]))])
        states[p, :, StateIndex.X] = ego.x + way * np.cos(ego.yaw)
        states[p, :, StateIndex.Y] = ego.y + way * np.sin(ego.yaw)
        states[p, :, StateIndex.YAW], states[p, :, StateIndex.SPEED] = ego.yaw, speed
    names = tuple(f"accel {a:g}" for a in accels)
    return Proposals(states, np.zeros((len(accels), steps, NUM_INPUTS)), DT, names)


NOWHERE = proposals_of(Agent(1e5, 1e5, 0.0, 0.0), [0.0])


def straight_lane(graph: LaneGraph, least: float) -> int:
    """The first two-way driving lane outside junctions, straight and at least so long [m]."""
    two_way = (graph.junction < 0) & (graph.opposite >= 0)
    for lane in np.flatnonzero((graph.kind == LaneKind.DRIVING) & two_way):
        if graph.length[lane] >= least and np.ptp(np.unwrap(graph.yaw[graph.points(lane)])) < 0.01:
            return int(lane)
    raise LookupError(f"{graph.name}: no straight lane of {least} m")
