"""The few figures that were fitted to recordings of real CARLA servers; all are global.

The facts of a vehicle (vehicles.json) pass through these on their way into a parameter row. What
was identified of single vehicles stands beside their facts, in vehicles.json under `identified`.
Which recording fixes which figure, and how well, is in docs/fidelity.md.
"""

TORQUE_SCALE = 1.48  # of the engine's torque curve, for vehicles that nobody recorded
DAMPING_FULL_SCALE = 2.0  # of the engine's damping at full throttle
BRAKE_SCALE = 0.48  # of the brakes' nominal torque
CLUTCH_LIMIT = 1.0  # times the engine's peak torque
CLUTCH_TIME = 0.1  # [s] in which the clutch closes after a shift
MIN_BRAKE = 3.0  # [m/s^2] of full brake alone; trucks' nominal torques would give 0.5
MAX_BRAKE = 8.0  # [m/s^2] the same; two-wheelers' nominal torques would give 90
BRAKE_LAG = 0.06  # [s]
STEER_LAG = 0.06  # [s]
NEUTRAL_UP = 0.05  # share of the engine's maximum speed at which the gearbox leaves neutral
SHIFT_LATENCY = 2.0  # [s] between two automatic shifts, PhysX's default
STIFF_FRONT = 17.0  # [1/rad] cornering stiffness per newton of load, PhysX's default
STIFF_REAR = 18.9  # [1/rad] a little above the front's: the cars understeer
