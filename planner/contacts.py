"""Contacts of sampled trajectories with the others' forecast, box against box."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from headway.frames import wrap_angle
from headway.road.shapes import boxes_overlap
from headway.types import AgentKind, Array, Forecast, Scene
from planner.rules import Rules

NONE = 1e9  # [s] no contact
STAYS = 1.5  # [m] who is forecast to go no further stays where it is


@njit(cache=True)
def poses_at(pose: Array, mean: Array, dt: float, t: Array) -> Array:
    """Poses (A, N, 3) at times `t` (N,) [s], between those of a forecast and held beyond it.

    Args:
        pose: (A, 3) now.
        mean: (A, T, 3) at dt, 2 dt, ...
        dt: [s].
        t: see above.
    """
    steps = mean.shape[1]
    out = np.empty((len(pose), len(t), 3))
    for a in range(len(pose)):
        for k in range(len(t)):
            f = min(t[k] / dt, float(steps))
            j = min(math.floor(f), max(steps - 1, 0))
            before = pose[a] if j == 0 else mean[a, j - 1]
            after = mean[a, j] if steps > 0 else pose[a]
            share = f - j
            for c in range(2):
                out[a, k, c] = before[c] + share * (after[c] - before[c])
            out[a, k, 2] = before[2] + share * wrap_angle(after[2] - before[2])
    return out


@njit(cache=True)
def first_contact(
    states: Array, t: Array, half_size: Array, margin: Array, poses: Array, extent: Array,
    until: Array,
) -> tuple[float, int]:  # fmt: skip
    """Time [s] of the first contact of a trajectory (NONE for none), and with whom (-1).

    Whoever is within the margin already counts only when the boxes themselves touch.

    Args:
        states: (N, >= 3) x, y [m], yaw [rad] of the box's centre.
        t: (N,) [s].
        half_size: (2,) [m] of ego.
        margin: (2,) [m] along and across that is kept free around ego.
        poses: (A, N, 3) of the others.
        extent: (A, 2) [m] half sizes.
        until: (A,) [s] that each one's forecast is believed; negative to leave it out.
    """
    best, who = NONE, -1
    for a in range(len(extent)):
        if until[a] < 0.0:
            continue
        length, width = half_size[0] + margin[0], half_size[1] + margin[1]
        for k in range(len(t)):
            if t[k] > until[a] or t[k] >= best:
                break
            touch = boxes_overlap(
                states[k, 0], states[k, 1], states[k, 2], length, width,
                poses[a, k, 0], poses[a, k, 1], poses[a, k, 2], extent[a, 0], extent[a, 1],
            )  # fmt: skip
            if not touch:
                continue
            if k == 0:
                length, width = half_size[0], half_size[1]
                continue
            best, who = t[k], a
            break
    return best, who


@njit(cache=True)
def stays_safe(
    states: Array, speed: Array, t: Array, until: float, half_size: Array, poses: Array,
    extent: Array, other_speed: Array, reaction: float, brake: float, lead_brake: float,
) -> bool:  # fmt: skip
    """Whether ego could still stop behind everybody whom it drives up to, were they to brake hard.

    d >= v rho + v^2 / 2b - v_lead^2 / 2b_lead (Shalev-Shwartz, Shammah, Shashua 2017, definition
    1, without the acceleration during the reaction), as long as ego is not clear of them sideways.

    Args:
        states: (N, >= 3) x, y [m], yaw [rad] of ego's box; speed (N,) [m/s].
        speed: see `states`.
        t: (N,) [s].
        until: [s] up to which it is asked.
        half_size: (2,) [m] of ego.
        poses: (A, N, 3) of the others.
        extent: (A, 2) [m].
        other_speed: (A,) [m/s].
        reaction: [s] rho.
        brake: [m/s^2] b.
        lead_brake: [m/s^2] b_lead.
    """
    for a in range(len(extent)):
        for k in range(len(t)):
            if t[k] > until:
                break
            dx, dy = poses[a, k, 0] - states[k, 0], poses[a, k, 1] - states[k, 1]
            c, n = math.cos(states[k, 2]), math.sin(states[k, 2])
            if abs(wrap_angle(poses[a, k, 2] - states[k, 2])) > 0.8:
                continue
            gap = dx * c + dy * n - half_size[0] - extent[a, 0]
            if gap < -2.0 * half_size[0] or abs(dy * c - dx * n) > half_size[1] + extent[a, 1]:
                continue
            way = speed[k] ** 2 / (2.0 * brake) - other_speed[a] ** 2 / (2.0 * lead_brake)
            if gap > -half_size[0] and gap < reaction * speed[k] + max(way, 0.0):
                return False
    return True


def others_until(scene: Scene, mean: Array, behind: Array, horizon: float, rules: Rules) -> Array:
    """(A,) [s] how long each one's forecast counts for contacts, negative for never.

    Who goes ego's way or stays put is believed for the whole horizon; who crosses, no longer than
    the rule layer believes (it decides the right of way, and a forecast knows nothing of it).

    Args:
        scene: with the agents.
        mean: (A, T, 3) their forecast.
        behind: (A,) bool, who keeps the distance to ego by itself.
        horizon: [s].
        rules: how long crossing ways are believed.
    """
    agents = scene.agents
    turn = agents.pose[:, 2] - scene.ego.pose[2]
    turned = np.abs(np.arctan2(np.sin(turn), np.cos(turn)))
    walks = agents.kind == AgentKind.WALKER
    crossing = np.where(walks, rules.forecast_walker, rules.forecast_vehicle)
    # Who stands, waiting to cross, may well be forecast to set off.
    stays = np.abs(mean[:, :, :2] - agents.pose[:, None, :2]).max(axis=(1, 2), initial=0.0) < STAYS
    plain = (~walks & (turned < 0.8)) | stays
    return np.where(behind, -1.0, np.where(plain, horizon, np.minimum(crossing, horizon)))


def forecast_poses(scene: Scene, forecast: Forecast, proposal: int, t: Array) -> Array:
    """Poses (A, N, 3) of the others at times `t` [s] in the likeliest mode under `proposal`."""
    mean, _ = forecast.likeliest(proposal)
    return poses_at(np.ascontiguousarray(scene.agents.pose), mean, forecast.dt, t)
