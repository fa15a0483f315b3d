"""Privileged perception: the server's truth becomes a Scene, with two seconds of history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.types import (
    ActorSnapshot,
    Agents,
    Array,
    Command,
    EgoState,
    Observation,
    Scene,
)


@dataclass
class PrivilegedConfig:
    """How far and how long we remember.

    Attributes:
        range_m: [m] agents farther than this from ego are left out of the Scene.
        dt: [s] of a tick; the spacing of the history.
        agent_history_s: [s] remembered of the others.
        ego_history_s: [s] remembered of ego and of its commands.
    """

    range_m: float = 150.0
    dt: float = 0.05
    agent_history_s: float = 2.0
    ego_history_s: float = 1.0

    def __post_init__(self) -> None:
        for name in ("range_m", "dt", "agent_history_s", "ego_history_s"):
            if not getattr(self, name) > 0.0:
                raise ValueError(
                    f"PrivilegedConfig.{name}: expected > 0, got {getattr(self, name)!r}"
                )


class PrivilegedPerception:
    """A `Perception` that reads the actor snapshot.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: PrivilegedConfig | None = None) -> None:
        self.config = config or PrivilegedConfig()
        self._num_agent = max(1, round(self.config.agent_history_s / self.config.dt))
        self._num_ego = max(1, round(self.config.ego_history_s / self.config.dt))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._id = np.zeros(0, dtype=np.int64)
        self._history = np.zeros((0, self._num_agent, 4))
        self._mask = np.zeros((0, self._num_agent), dtype=bool)
        self._ego_history: Array | None = None
        self._command_history = np.zeros((self._num_ego, 3))

    def perceive(self, observation: Observation) -> Scene:
        """Return what is around us.

        Raises:
            ValueError: the observation carries no actor snapshot.
        """
        actors = observation.actors
        if actors is None:
            raise ValueError(
                "Observation.actors: expected the actor snapshot, got None; privileged perception "
                "needs a simulator that grants it"
            )
        self._remember(actors)
        ego = observation.ego
        near = np.flatnonzero(
            np.hypot(actors.pose[:, 0] - ego.pose[0], actors.pose[:, 1] - ego.pose[1])
            <= self.config.range_m
        )
        return Scene(
            frame=observation.frame,
            t=observation.t,
            ego=ego,
            ego_history=self._remember_ego(ego),
            command_history=self._command_history,
            agents=self._agents(actors, near),
            lane_graph=observation.lane_graph,
            signal_state=actors.signal_state,
            route=observation.route,
            sirens=actors.sirens,
        )

    def acted(self, command: Command) -> None:
        """Remember the command that was sent."""
        history = np.empty_like(self._command_history)  # Scenes keep the old one
        history[:-1] = self._command_history[1:]
        history[-1] = command.throttle, command.brake, command.steer_norm
        self._command_history = history

    def _agents(self, actors: ActorSnapshot, rows: Array) -> Agents:
        """The rows of the snapshot that are near, with their history; truth has no covariance."""
        return Agents(
            id=actors.id[rows],
            kind=actors.kind[rows],
            pose=actors.pose[rows],
            z=actors.z[rows],
            velocity=actors.velocity[rows],
            yaw_rate=actors.yaw_rate[rows],
            extent=actors.extent[rows],
            covariance=np.zeros((len(rows), 5, 5)),
            history=self._history[rows],
            history_mask=self._mask[rows],
        )

    def _remember(self, actors: ActorSnapshot) -> None:
        """Shift everyone's history by a tick; rows follow the snapshot's order."""
        num = len(actors.id)
        history = np.zeros((num, self._num_agent, 4))
        mask = np.zeros((num, self._num_agent), dtype=bool)
        if len(self._id) and num:
            order = np.argsort(self._id)
            before = order[np.minimum(np.searchsorted(self._id[order], actors.id), len(order) - 1)]
            known = self._id[before] == actors.id
            history[known, :-1] = self._history[before[known], 1:]
            mask[known, :-1] = self._mask[before[known], 1:]
        history[:, -1, :3] = actors.pose
        history[:, -1, 3] = np.hypot(actors.velocity[:, 0], actors.velocity[:, 1])
        mask[:, -1] = True
        self._id, self._history, self._mask = actors.id, history, mask

    def _remember_ego(self, ego: EgoState) -> Array:
        """Shift ego's history by a tick; before the first it stood where it was first seen."""
        now = np.array([*ego.pose, ego.speed])
        if self._ego_history is None:
            self._ego_history = np.tile(now, (self._num_ego, 1))
        else:
            self._ego_history = np.vstack([self._ego_history[1:], now])
        return self._ego_history
