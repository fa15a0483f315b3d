"""The one vehicle-dynamics kernel, its data and its inverse; arrays of vehicles, see `layout`."""

from headway.vehicle.data import (
    VehicleInfo,
    Wheel,
    params_from_physics,
    vehicle_info,
    vehicle_params,
    vehicle_types,
)
from headway.vehicle.inverse import (
    LAUNCH_THROTTLE,
    inverse_accel,
    inverse_steer,
    launch_delay,
)
from headway.vehicle.kernel import step_vehicles
from headway.vehicle.layout import (
    NUM_VEHICLE_CONTROLS,
    NUM_VEHICLE_PARAMS,
    NUM_VEHICLE_STATES,
    VehicleControlIndex,
    VehicleParam,
    VehicleState,
)

__all__ = [
    "LAUNCH_THROTTLE",
    "NUM_VEHICLE_CONTROLS",
    "NUM_VEHICLE_PARAMS",
    "NUM_VEHICLE_STATES",
    "VehicleControlIndex",
    "VehicleInfo",
    "VehicleParam",
    "VehicleState",
    "Wheel",
    "inverse_accel",
    "inverse_steer",
    "launch_delay",
    "params_from_physics",
    "step_vehicles",
    "vehicle_info",
    "vehicle_params",
    "vehicle_types",
]
