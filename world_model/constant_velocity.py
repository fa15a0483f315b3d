"""Constant velocity: everybody goes on as they do, and we trust it less with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.types import Array, Forecast, Goal, Proposals, Scene
from world_model.spread import SpreadConfig, spread, times


@dataclass
class ConstantVelocityConfig(SpreadConfig):
    """How fast our trust fades; there is nothing else to set."""


class ConstantVelocity:
    """A `WorldModel` with one mode that does not care what ego does.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: ConstantVelocityConfig | None = None) -> None:
        self.config = config or ConstantVelocityConfig()

    def reset(self) -> None:
        """Nothing is remembered."""

    def suggest(self, scene: Scene, goal: Goal) -> Proposals:
        """Return no proposals."""
        del scene, goal
        return Proposals.empty(0, 1.0)

    def imagine(self, scene: Scene, goal: Goal, proposals: Proposals) -> Forecast:
        """Return the same straight lines under each proposal, covariance growing with time.

        x(t) = x + v t.
        """
        del goal
        agents, t = scene.agents, times(proposals)
        mean = np.empty((len(agents), len(t), 3))
        mean[..., :2] = agents.pose[:, None, :2] + agents.velocity[:, None, :] * t[:, None]
        mean[..., 2] = agents.pose[:, 2, None]
        return unreacting(self.config, scene, proposals, mean)


def unreacting(config: SpreadConfig, scene: Scene, proposals: Proposals, mean: Array) -> Forecast:
    """Return a forecast with one mode that is the same under each proposal.

    Args:
        config: how trust fades.
        scene: whose agents it is about.
        proposals: whose number and grid are taken.
        mean: (A, T, 3) x, y [m], yaw [rad].
    """
    p, steps = proposals.inputs.shape[:2]
    covariance = spread(config, scene, times(proposals), mean[None, ..., 2])[0]
    return Forecast(
        dt=proposals.dt,
        agent_id=scene.agents.id,
        probability=np.ones((p, 1)),
        mean=np.broadcast_to(mean, (p, 1, *mean.shape)),
        covariance=np.broadcast_to(covariance, (p, 1, *covariance.shape)),
        uncertainty=np.zeros((p, steps)),
    )
