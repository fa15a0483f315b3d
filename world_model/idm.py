"""Reacting traffic: vehicles keep to their lanes and follow each other, and ego, by IDM.

Each takes the likeliest way (straight on, unless its turn says otherwise), heeds limits, bends,
lights and stop signs, and brakes for whoever is ahead, be it a lead, a walker or, under each
proposal anew, ego. Nobody gives way to crossing vehicles here, and nobody changes lanes who has not
begun to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.types import AgentKind, Array, Forecast, Goal, Proposals, Scene
from world_model.following import Law, drive_on, place_ego, relate
from world_model.lane_paths import Roads, lay_paths, make_roads, new_paths
from world_model.spread import UNBOUND, SpreadConfig, spread, times

STANDING = 0.2  # [m/s]
REMEMBERED = 20  # samples of history before standing means anything
AHEAD = 40.0  # [m] that one looks beyond where one will be


@dataclass
class IdmWorldConfig(SpreadConfig):
    """How the others are taken to drive, and how fast our trust in that fades.

    Attributes:
        accel: [m/s^2] IDM's a.
        brake: [m/s^2] IDM's b, comfortable; also before bends and lower limits.
        time_gap: [s] IDM's T.
        min_gap: [m] IDM's s0.
        lateral_accel: [m/s^2] in bends.
        settle_s: [s] time constant with which one comes back to the middle of the lane.
        lane_std: [m] across the lane, in the long run, of those who follow one.
    """

    accel: float = 1.5
    brake: float = 2.0
    time_gap: float = 1.3
    min_gap: float = 2.0
    lateral_accel: float = 2.5
    settle_s: float = 1.5
    lane_std: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("accel", "brake", "time_gap", "min_gap", "lateral_accel", "settle_s",
                     "lane_std"):  # fmt: skip
            if not getattr(self, name) > 0.0:
                raise ValueError(f"IdmWorldConfig.{name}: expected > 0, got {getattr(self, name)}")


class IdmWorld:
    """A `WorldModel` with one mode, in which the others react to what ego does.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: IdmWorldConfig | None = None) -> None:
        self.config = c = config or IdmWorldConfig()
        self._law = Law(c.accel, c.brake, c.time_gap, c.min_gap)
        self._graph: LaneGraph | None = None
        self._roads: Roads | None = None

    def reset(self) -> None:
        """Nothing is remembered but the roads' layout."""

    def suggest(self, scene: Scene, goal: Goal) -> Proposals:
        """Return no proposals."""
        del scene, goal
        return Proposals.empty(0, 1.0)

    def imagine(self, scene: Scene, goal: Goal, proposals: Proposals) -> Forecast:
        """Return what everybody does under each proposal, covariance growing with time.

        IDM by headway.traffic.following.idm_accel in steps of the grid, positions with the mean of
        the old and the new speed. Walkers, things and vehicles beside the lanes go straight on.
        """
        del goal
        agents, t = scene.agents, times(proposals)
        num, (p, steps) = len(agents), proposals.inputs.shape[:2]
        horizon = proposals.dt * steps
        speed = agents.speed
        reach = (speed + 0.5 * self.config.accel * horizon) * horizon + AHEAD
        stood, starts = _stood(scene)
        paths = new_paths(num, float(reach.max()) if num else 0.0)
        lay_paths(
            self._layout(scene.lane_graph), agents.kind, agents.pose, agents.z, agents.velocity,
            agents.yaw_rate, agents.extent, starts, scene.signal_state, self.config.lateral_accel,
            self.config.brake, paths,
        )  # fmt: skip
        relations = relate(paths, agents.pose, agents.velocity, agents.extent, reach)
        ego_at, ego_speed = np.empty((p, steps, num)), np.zeros((p, steps, num))
        place_ego(paths, agents.pose, agents.extent, proposals.states, scene.ego.extent, reach,
                  ego_at, ego_speed)  # fmt: skip
        # A cycle's top speed is not the road's, and nothing tells a cycle from a motorcycle.
        cycle = agents.kind == AgentKind.TWO_WHEELER
        hold_speed = np.where(cycle, np.maximum(speed, 1.0), np.inf)
        settle_s = np.where(cycle, np.inf, self.config.settle_s)  # they keep to their side
        mean = np.empty((p, num, steps, 3))
        drive_on(
            self._law, paths, relations, agents.pose, agents.velocity, agents.extent, hold_speed,
            settle_s, stood & ~paths.go, ego_at, ego_speed, proposals.dt, mean,
        )  # fmt: skip
        lane_std = np.where(paths.num > 0, self.config.lane_std, UNBOUND)
        covariance = spread(self.config, scene, t, mean[..., 2], lane_std)
        return Forecast(
            dt=proposals.dt,
            agent_id=agents.id,
            probability=np.ones((p, 1)),
            mean=mean[:, None],
            covariance=covariance[:, None],
            uncertainty=np.zeros((p, steps)),
        )

    def _layout(self, graph: LaneGraph) -> Roads:
        if self._roads is None or graph is not self._graph:
            self._graph, self._roads = graph, make_roads(graph)
        return self._roads


def _stood(scene: Scene) -> tuple[Array, Array]:
    """Who stood for as long as anybody remembers, a second at least, and who has just started."""
    agents = scene.agents
    speed = agents.history[..., 3]
    fastest = np.where(agents.history_mask, speed, 0.0).max(axis=1, initial=0.0)
    slowest = np.where(agents.history_mask, speed, np.inf).min(axis=1, initial=np.inf)
    stands = agents.speed < STANDING
    stood = (agents.history_mask.sum(axis=1) >= REMEMBERED) & (fastest < STANDING) & stands
    return stood, (slowest < STANDING) & ~stands
