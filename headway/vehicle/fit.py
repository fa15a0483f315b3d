"""The few figures that were fitted to recordings of real CARLA servers; all are global.

The facts of a vehicle (vehicles.json) pass through these on their way into a parameter row. Which
recording fixes which figure, and how well, is in docs/fidelity.md.
"""

TORQUE_SCALE = 1.65  # of the engine's torque curve
DAMPING_ZERO_SCALE = 1.2  # of the engine's damping at closed throttle
DAMPING_FULL_SCALE = 2.2  # of the engine's damping at full throttle
BRAKE_SCALE = 0.37  # of the brakes' nominal torque
BRAKE_LAG = 0.06  # [s]
STEER_LAG = 0.06  # [s]
LAUNCH_EXTRA = 0.30  # [s] beyond the nominal shift time, when leaving neutral
SHIFT_EXTRA = 0.0  # [s] the same, between two gears
SHIFT_LATENCY = 2.0  # [s] PhysX's default between two automatic shifts
STIFF_FRONT = 16.2  # [1/rad] cornering stiffness per newton of load; PhysX's default is 17
STIFF_REAR = 18.0  # [1/rad] above the front's: the cars understeer a little
