"""Columns of the arrays that the vehicle kernel works on, and the figures that were fitted.

One row a vehicle, float64, SI, right-handed frame (x forward, y left, yaw counter-clockwise).
"""

from __future__ import annotations

from enum import IntEnum

MAX_GEARS = 10  # forward gears a row has room for
MAX_TORQUE_POINTS = 8  # of the torque curve, the number that PhysX keeps
MAX_STEER_POINTS = 6  # of the steering curve
NUM_INVERSE_SPEEDS = 20  # of the inverse table's grid
NUM_INVERSE_PEDALS = 12  # of the inverse table's grid, see `INVERSE_PEDALS`

# Pedal of the inverse table, -1 full brake ... +1 full throttle.
INVERSE_PEDALS = (-1.0, -0.5, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.85, 1.0)
# [m/s] speeds of the inverse table.
INVERSE_SPEEDS = (
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0,
    10.0, 12.0, 14.0, 16.0, 19.0, 22.0, 26.0, 31.0, 38.0, 46.0,
)  # fmt: skip


class VehicleState(IntEnum):
    """Columns of a state row; all zeros is a car at rest at the origin."""

    X = 0  # [m] CARLA's actor origin, map frame
    Y = 1  # [m]
    YAW = 2  # [rad]
    VX = 3  # [m/s] at the actor origin, body frame
    VY = 4  # [m/s]
    YAW_RATE = 5  # [rad/s]
    STEER = 6  # [rad] front-wheel angle, left positive
    GEAR = 7  # -1 reverse, 0 neutral, 1 ... forward
    TARGET_GEAR = 8  # the gear that a running shift ends in
    SHIFT_TIMER = 9  # [s] left of a running shift, 0 when none
    SHIFT_AGE = 10  # [s] since the last shift ended, negative while one runs
    ENGINE_SPEED = 11  # [rad/s]
    THROTTLE = 12  # [0, 1] as it acts
    BRAKE = 13  # [0, 1] as it acts
    AX = 14  # [m/s^2] body frame, of the last step, centripetal part included
    AY = 15  # [m/s^2]


NUM_VEHICLE_STATES = len(VehicleState)


class VehicleControlIndex(IntEnum):
    """Columns of a control row."""

    THROTTLE = 0  # [0, 1]
    STEER = 1  # [-1, 1], left positive
    BRAKE = 2  # [0, 1]
    HAND_BRAKE = 3  # 0 or 1
    REVERSE = 4  # 0 or 1
    MANUAL = 5  # 1: `GEAR` rules, no automatic shifting
    GEAR = 6  # the wanted gear under `MANUAL`


NUM_VEHICLE_CONTROLS = len(VehicleControlIndex)


class VehicleParam(IntEnum):
    """Columns of a parameter row; blocks name their first column."""

    MASS = 0  # [kg]
    YAW_INERTIA = 1  # [kg m^2]
    WHEELBASE = 2  # [m]
    REAR = 3  # [m] from the rear axle to the actor origin
    CG = 4  # [m] from the actor origin forward to the centre of mass
    TRACK = 5  # [m]
    STIFF_FRONT = 6  # [1/rad] cornering stiffness per newton of load
    STIFF_REAR = 7  # [1/rad]
    FRICTION = 8  # of tyre and road
    WHEEL_RADIUS = 9  # [m] of the driven wheels
    WHEEL_INERTIA = 10  # [kg m^2] all wheels together
    WHEEL_DAMPING = 11  # [Nms] all wheels together
    MAX_STEER = 12  # [rad] wheel angle at steer 1 and standstill
    STEER_LAG = 13  # [s] time constant
    BRAKE_FORCE = 14  # [N] at brake 1
    BRAKE_LAG = 15  # [s] time constant
    HAND_BRAKE_FORCE = 16  # [N]
    ENGINE_INERTIA = 17  # [kg m^2]
    DAMPING_FULL = 18  # [Nms] of the engine at throttle 1
    DAMPING_ZERO = 19  # [Nms] at throttle 0, clutch closed
    DAMPING_FREE = 20  # [Nms] at throttle 0, in neutral
    MAX_ENGINE_SPEED = 21  # [rad/s]
    CLUTCH = 22  # [Nms] torque per slip
    CLUTCH_LIMIT = 23  # [Nm] above it the clutch slides
    FINAL_RATIO = 24
    REVERSE_RATIO = 25  # magnitude
    NUM_GEARS = 26
    SHIFT_TIME = 27  # [s] the engine turns free
    NEUTRAL_UP = 28  # share of the engine's maximum speed at which a car at rest takes its gear
    SHIFT_LATENCY = 29  # [s] between two automatic shifts
    DRAG = 30  # [N s^2/m^2] half rho times coefficient times area
    ROLLING = 31  # rolling resistance per newton of load
    NUM_TORQUE_POINTS = 32
    NUM_STEER_POINTS = 33
    AUTOBOX = 34  # 1: shifts by itself
    CLUTCH_TIME = 35  # [s] in which the clutch comes to carry its limit, after a shift
    GEAR_RATIO = 36  # block of MAX_GEARS
    UP_RATIO = 46  # block of MAX_GEARS, share of the engine's maximum speed
    DOWN_RATIO = 56  # block of MAX_GEARS
    TORQUE_SPEED = 66  # [rad/s] block of MAX_TORQUE_POINTS
    TORQUE = 74  # [Nm] block of MAX_TORQUE_POINTS
    STEER_SPEED = 82  # [m/s] block of MAX_STEER_POINTS
    STEER_SCALE = 88  # block of MAX_STEER_POINTS
    INVERSE = 94  # block of NUM_INVERSE_SPEEDS * NUM_INVERSE_PEDALS accelerations [m/s^2]


NUM_VEHICLE_PARAMS = int(VehicleParam.INVERSE) + NUM_INVERSE_SPEEDS * NUM_INVERSE_PEDALS
