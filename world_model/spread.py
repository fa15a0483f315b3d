"""How trust in a forecast fades: the covariance that every hand-written world model shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from headway.types import AgentKind, Array, Proposals, Scene

NUM_KINDS = len(AgentKind)
UNBOUND = 1e9  # [m] of those whom no lane holds


@dataclass
class SpreadConfig:
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
                    f"{type(self).__name__}.{name}: expected >= 0, got {getattr(self, name)!r}"
                )

    def accel_std(self) -> Array:
        """Along and across the direction of travel (NUM_KINDS, 2) [m/s^2]; props stay."""
        std = np.zeros((NUM_KINDS, 2))
        std[[AgentKind.VEHICLE, AgentKind.TWO_WHEELER]] = (
            self.vehicle_accel_std, self.vehicle_lateral_std,
        )  # fmt: skip
        std[AgentKind.WALKER] = self.walker_accel_std
        return std


def times(proposals: Proposals) -> Array:
    """(T,) [s] of the forecast's grid, which is that of the proposals without now."""
    return proposals.dt * np.arange(1, proposals.inputs.shape[1] + 1)


def spread(
    config: SpreadConfig, scene: Scene, t: Array, yaw: Array, lane_std: Array | None = None
) -> Array:
    """Return the covariance of x and y of everybody.

    P(t) = P + R(yaw(t)) diag(v t^2 + a^2 t^4 / 4, q) R(yaw(t))^T: v is the variance of the speed, a
    the standard deviation of a constant random acceleration along the way; across it q is
    b^2 t^4 / 4, and q l^2 / (q + l^2) for those who keep within l of their lane.

    Args:
        config: a and b by kind.
        scene: whose agents it is about.
        t: (T,) [s].
        yaw: (N, A, T) [rad] directions of travel.
        lane_std: (A,) [m] l, `UNBOUND` or None where no lane holds.

    Returns:
        (N, A, T, 2, 2) [m^2].
    """
    agents = scene.agents
    if lane_std is None:
        lane_std = np.full(len(agents), UNBOUND)
    out = np.empty((*yaw.shape, 2, 2))
    _spread(
        agents.covariance, config.accel_std()[agents.kind], config.position_std**2, lane_std, t,
        np.ascontiguousarray(yaw), out,
    )  # fmt: skip
    return out


@njit(cache=True)
def _spread(
    now: Array, accel_std: Array, position_var: float, lane_std: Array, t: Array, yaw: Array,
    out: Array,
) -> None:  # fmt: skip
    num, agents, steps = yaw.shape
    along, across = np.empty(steps), np.empty(steps)
    for a in range(agents):
        held = lane_std[a] * lane_std[a]
        for k in range(steps):
            square = t[k] * t[k]
            along[k] = now[a, 3, 3] * square + accel_std[a, 0] ** 2 * square * square / 4.0
            free = accel_std[a, 1] ** 2 * square * square / 4.0
            across[k] = free if lane_std[a] >= UNBOUND else free * held / (free + held + 1e-12)
        for n in range(num):
            for k in range(steps):
                c, s = math.cos(yaw[n, a, k]), math.sin(yaw[n, a, k])
                mixed = now[a, 0, 1] + c * s * (along[k] - across[k])
                row = out[n, a, k]
                row[0, 0] = now[a, 0, 0] + position_var + c * c * along[k] + s * s * across[k]
                row[1, 1] = now[a, 1, 1] + position_var + s * s * along[k] + c * c * across[k]
                row[0, 1] = row[1, 0] = mixed
