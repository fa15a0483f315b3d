"""Ego as the planner's model of it sees it."""

from __future__ import annotations

import numpy as np

from headway.bicycle import NUM_BICYCLE_PARAMS, BicycleParam
from headway.types import Array, EgoState
from headway.vehicle import VehicleParam, vehicle_params

LEAST_LAG = 0.02  # [s] of the steering: the model divides by it


def car_params(ego: EgoState, understeer: float, accel_lag: float) -> Array:
    """(NUM_BICYCLE_PARAMS,) of ego for `headway.bicycle`.

    Args:
        ego: our car; its type tells the steering's lag.
        understeer: [s^2/m^2].
        accel_lag: [s] of engine and brakes.
    """
    out = np.empty(NUM_BICYCLE_PARAMS)
    out[BicycleParam.WHEELBASE] = ego.wheelbase
    out[BicycleParam.UNDERSTEER] = understeer
    out[BicycleParam.ACCEL_LAG] = accel_lag
    steer_lag = vehicle_params(ego.type_id)[VehicleParam.STEER_LAG]
    out[BicycleParam.STEER_LAG] = max(float(steer_lag), LEAST_LAG)
    return out
