"""What Bench2Drive's tool judges smoothness by: the hero's motion by ticks, in CARLA's axes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from carla_bridge.frames import angular_rate_to_carla, mirror_y, yaws_to_carla
from headway.trace import Trace


def write_metric_info(folder: Path, trace: Trace) -> Path:
    """Write `metric_info.json` of a drive.

    One entry a tick, by its number: acceleration [m/s^2], angular velocity [deg/s], unit vectors
    ahead and to the right, place [m] and rotation (roll, pitch, yaw) [deg]; as on level ground.

    Args:
        folder: for the file.
        trace: of the drive.
    """
    yaw, turn = trace.column("yaw"), trace.column("yaw_rate")
    zero = np.zeros(len(yaw))
    ahead = np.column_stack([np.cos(yaw), np.sin(yaw), zero])
    left = np.column_stack([-np.sin(yaw), np.cos(yaw), zero])
    accel = trace.column("accel")[:, None] * ahead + trace.column("lateral_accel")[:, None] * left
    place = np.column_stack([trace.column(name) for name in "xyz"])
    series = {
        "acceleration": mirror_y(accel),
        "angular_velocity": np.column_stack([zero, zero, [angular_rate_to_carla(w) for w in turn]]),
        "forward_vector": mirror_y(ahead),
        "right_vector": mirror_y(-left),
        "location": mirror_y(place),
        "rotation": np.column_stack([zero, zero, yaws_to_carla(yaw)]),
    }
    rounded = {name: np.round(values, 4).tolist() for name, values in series.items()}
    steps = {str(k): {n: rows[k] for n, rows in rounded.items()} for k in range(len(yaw))}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metric_info.json"
    path.write_text(json.dumps(steps, separators=(",", ":")))
    return path
