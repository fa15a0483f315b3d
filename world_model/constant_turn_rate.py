"""Constant turn rate and velocity: who turns goes on turning for a while; walkers go straight."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headway.types import AgentKind, Array, Forecast, Goal, Proposals, Scene
from world_model.constant_velocity import unreacting
from world_model.spread import SpreadConfig, times

# Gauss and Legendre's three points and weights on [0, 1].
POINTS = 0.5 + 0.5 * np.array([-math.sqrt(0.6), 0.0, math.sqrt(0.6)])
WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0
STANDING = 0.1  # [m/s] below it nobody turns


@dataclass
class ConstantTurnRateConfig(SpreadConfig):
    """How long a turn goes on, and how fast our trust fades.

    Attributes:
        hold_s: [s] for which the turn rate stays as it is.
        decay_s: [s] time constant with which it fades after that; 0 drops it at once, inf keeps it.
    """

    hold_s: float = 1.0
    decay_s: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hold_s", "decay_s"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(
                    f"ConstantTurnRateConfig.{name}: expected >= 0, got {getattr(self, name)!r}"
                )


class ConstantTurnRate:
    """A `WorldModel` with one mode that does not care what ego does.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: ConstantTurnRateConfig | None = None) -> None:
        self.config = config or ConstantTurnRateConfig()

    def reset(self) -> None:
        """Nothing is remembered."""

    def suggest(self, scene: Scene, goal: Goal) -> Proposals:
        """Return no proposals."""
        del scene, goal
        return Proposals.empty(0, 1.0)

    def imagine(self, scene: Scene, goal: Goal, proposals: Proposals) -> Forecast:
        """Return the same curves under each proposal, covariance growing with time.

        yaw' = w(t), v = R(yaw(t) - yaw(0)) v(0), with w(t) = w(0) for `hold_s` and
        w(0) exp(-(t - hold_s) / decay_s) after that. The position is the integral of v by Gauss and
        Legendre's rule with three points in each interval of the grid.
        """
        del goal
        agents, t = scene.agents, times(proposals)
        vehicle = (agents.kind == AgentKind.VEHICLE) | (agents.kind == AgentKind.TWO_WHEELER)
        rate = np.where(vehicle & (agents.speed > STANDING), agents.yaw_rate, 0.0)
        inside = (t[:, None] - proposals.dt + proposals.dt * POINTS).ravel()
        turn = rate[:, None] * self._turned(inside)
        cos, sin = np.cos(turn), np.sin(turn)
        vx, vy = agents.velocity[:, :1], agents.velocity[:, 1:]
        velocity = np.stack([vx * cos - vy * sin, vx * sin + vy * cos], -1)
        velocity = velocity.reshape(len(agents), len(t), len(POINTS), 2)
        steps = proposals.dt * np.einsum("q,atqi->ati", WEIGHTS, velocity)
        mean = np.empty((len(agents), len(t), 3))
        mean[..., :2] = agents.pose[:, None, :2] + np.cumsum(steps, axis=1)
        mean[..., 2] = agents.pose[:, 2, None] + rate[:, None] * self._turned(t)
        return unreacting(self.config, scene, proposals, mean)

    def _turned(self, t: Array) -> Array:
        """Seconds (...) for which the full turn rate would turn as far as it has by `t` [s]."""
        hold, decay = self.config.hold_s, self.config.decay_s
        over = np.maximum(t - hold, 0.0)
        if decay == 0.0:
            return np.minimum(t, hold)
        if math.isinf(decay):
            return t
        return np.minimum(t, hold) - decay * np.expm1(-over / decay)
