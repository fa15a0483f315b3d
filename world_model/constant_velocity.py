"""Constant velocity: everybody goes on as they do, and we trust it less with time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.types import AgentKind, Array, Forecast, Goal, Proposals, Scene

NUM_KINDS = len(AgentKind)


@dataclass
class ConstantVelocityConfig:
    """How fast our trust fades; a random acceleration that persists, by kind of agent.

    Attributes:
        vehicle_accel_std: [m/s^2] along a vehicle's or two-wheeler's direction of travel.
        vehicle_lateral_std: [m/s^2] across it.
        walker_accel_std: [m/s^2] of a walker, in any direction.
        position_std: [m] at once, on top of what perception says.
    """

    vehicle_accel_std: float = 1.2
    vehicle_lateral_std: float = 0.35
    walker_accel_std: float = 0.5
    position_std: float = 0.05

    def __post_init__(self) -> None:
        for name in ("vehicle_accel_std", "vehicle_lateral_std", "walker_accel_std",
                     "position_std"):  # fmt: skip
            if not getattr(self, name) >= 0.0:
                raise ValueError(
                    f"ConstantVelocityConfig.{name}: expected >= 0, got {getattr(self, name)!r}"
                )


class ConstantVelocity:
    """A `WorldModel` with one mode that does not care what ego does.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: ConstantVelocityConfig | None = None) -> None:
        self.config = c = config or ConstantVelocityConfig()
        vehicle, walker = (c.vehicle_accel_std, c.vehicle_lateral_std), (c.walker_accel_std,) * 2
        self._accel_std = np.zeros((NUM_KINDS, 2))  # props stay where they are
        self._accel_std[AgentKind.VEHICLE] = vehicle
        self._accel_std[AgentKind.TWO_WHEELER] = vehicle
        self._accel_std[AgentKind.WALKER] = walker

    def reset(self) -> None:
        """Nothing is remembered."""

    def suggest(self, scene: Scene, goal: Goal) -> Proposals:
        """Return no proposals."""
        del scene, goal
        return Proposals.empty(0, 1.0)

    def imagine(self, scene: Scene, goal: Goal, proposals: Proposals) -> Forecast:
        """Return the same straight lines under each proposal, covariance growing with time.

        x(t) = x + v t;  P(t) = P + R(yaw) diag(std^2) R(yaw)^T t^4 / 4, the spread of a constant
        random acceleration, plus what an uncertain velocity adds.
        """
        del goal
        agents = scene.agents
        num, (p, steps) = len(agents), proposals.inputs.shape[:2]
        t = proposals.dt * np.arange(1, steps + 1)
        mean = np.empty((num, steps, 3))
        mean[..., :2] = agents.pose[:, None, :2] + agents.velocity[:, None, :] * t[:, None]
        mean[..., 2] = agents.pose[:, 2, None]
        covariance = self._covariance(scene, t)
        return Forecast(
            dt=proposals.dt,
            agent_id=agents.id,
            probability=np.ones((p, 1)),
            mean=np.broadcast_to(mean, (p, 1, *mean.shape)),
            covariance=np.broadcast_to(covariance, (p, 1, *covariance.shape)),
            uncertainty=np.zeros((p, steps)),
        )

    def _covariance(self, scene: Scene, t: Array) -> Array:
        """(A, T, 2, 2) of x, y at times `t` (T,) [s]."""
        agents = scene.agents
        yaw = agents.pose[:, 2]
        c, s = np.cos(yaw), np.sin(yaw)
        along, across = (self._accel_std[agents.kind] ** 2).T
        spread = np.empty((len(agents), 2, 2))
        spread[:, 0, 0] = c * c * along + s * s * across
        spread[:, 1, 1] = s * s * along + c * c * across
        spread[:, 0, 1] = spread[:, 1, 0] = c * s * (along - across)
        now = agents.covariance[:, :2, :2] + np.eye(2) * self.config.position_std**2
        speed_var = agents.covariance[:, 3, 3]
        heading = np.stack([c, s], -1)
        drift = speed_var[:, None, None] * heading[:, :, None] * heading[:, None, :]
        return (
            now[:, None]
            + drift[:, None] * (t**2)[:, None, None]
            + spread[:, None] * (t**4 / 4.0)[:, None, None]
        )
