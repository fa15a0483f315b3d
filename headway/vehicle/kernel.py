"""The vehicle-dynamics kernel: dynamic single track, saturating tyres, engine, clutch, gearbox.

Structure after the drive model of PhysX, which CARLA's vehicles use: an engine with inertia and
speed-proportional damping that falls with throttle, a viscous clutch, gears that leave the engine
free while they change. Laterally a single-track model with brush tyres (Fiala), blended to the
kinematic one at low speed, where slip angles are ill-conditioned.
"""

from __future__ import annotations

import math

from numba import njit

from headway.types import Array
from headway.vehicle.layout import VehicleControlIndex as C
from headway.vehicle.layout import VehicleParam as P
from headway.vehicle.layout import VehicleState as S

GRAVITY = 9.81  # [m/s^2]
KINEMATIC_SPEED = 1.5  # [m/s] below it the kinematic model alone
DYNAMIC_SPEED = 4.0  # [m/s] above it the dynamic model alone
SLIP_LAG = 0.04  # [s] with which the kinematic model's yaw rate follows the wheel angle
STOPPED_SPEED = 0.05  # [m/s] below it, with closed throttle, the gearbox falls into neutral
REVERSE_SPEED = 0.5  # [m/s] a change of direction waits for less than this

X, Y, YAW, VX, VY, YAW_RATE = int(S.X), int(S.Y), int(S.YAW), int(S.VX), int(S.VY), int(S.YAW_RATE)
STEER, GEAR, TARGET, TIMER = int(S.STEER), int(S.GEAR), int(S.TARGET_GEAR), int(S.SHIFT_TIMER)
AGE, ENGINE, THROTTLE, BRAKE = int(S.SHIFT_AGE), int(S.ENGINE_SPEED), int(S.THROTTLE), int(S.BRAKE)
AX, AY = int(S.AX), int(S.AY)
C_THROTTLE, C_STEER, C_BRAKE, C_HAND = int(C.THROTTLE), int(C.STEER), int(C.BRAKE), int(C.HAND_BRAKE)
C_REVERSE, C_MANUAL, C_GEAR = int(C.REVERSE), int(C.MANUAL), int(C.GEAR)
MASS, INERTIA, WHEELBASE, REAR = int(P.MASS), int(P.YAW_INERTIA), int(P.WHEELBASE), int(P.REAR)
CG, STIFF_F, STIFF_R, FRICTION = int(P.CG), int(P.STIFF_FRONT), int(P.STIFF_REAR), int(P.FRICTION)
RADIUS, WHEEL_INERTIA, WHEEL_DAMPING = int(P.WHEEL_RADIUS), int(P.WHEEL_INERTIA), int(P.WHEEL_DAMPING)
MAX_STEER, STEER_LAG = int(P.MAX_STEER), int(P.STEER_LAG)
BRAKE_FORCE, BRAKE_LAG, HAND_FORCE = int(P.BRAKE_FORCE), int(P.BRAKE_LAG), int(P.HAND_BRAKE_FORCE)
ENGINE_INERTIA, CLUTCH, MAX_ENGINE = int(P.ENGINE_INERTIA), int(P.CLUTCH), int(P.MAX_ENGINE_SPEED)
D_FULL, D_ZERO, D_FREE = int(P.DAMPING_FULL), int(P.DAMPING_ZERO), int(P.DAMPING_FREE)
FINAL, REVERSE_RATIO, NUM_GEARS = int(P.FINAL_RATIO), int(P.REVERSE_RATIO), int(P.NUM_GEARS)
SHIFT_TIME, LAUNCH_TIME, LATENCY = int(P.SHIFT_TIME), int(P.LAUNCH_TIME), int(P.SHIFT_LATENCY)
DRAG, ROLLING, AUTOBOX = int(P.DRAG), int(P.ROLLING), int(P.AUTOBOX)
N_TORQUE, N_STEER = int(P.NUM_TORQUE_POINTS), int(P.NUM_STEER_POINTS)
RATIO0, UP0, DOWN0 = int(P.GEAR_RATIO), int(P.UP_RATIO), int(P.DOWN_RATIO)
TORQUE_X0, TORQUE_Y0 = int(P.TORQUE_SPEED), int(P.TORQUE)
STEER_X0, STEER_Y0 = int(P.STEER_SPEED), int(P.STEER_SCALE)


@njit(cache=True)
def interpolate(row: Array, x0: int, y0: int, count: int, x: float) -> float:
    """Piecewise linear curve stored in `row`: abscissae from `x0`, values from `y0`; ends hold."""
    if x <= row[x0]:
        return row[y0]
    for i in range(1, count):
        if x < row[x0 + i]:
            share = (x - row[x0 + i - 1]) / (row[x0 + i] - row[x0 + i - 1])
            return row[y0 + i - 1] + share * (row[y0 + i] - row[y0 + i - 1])
    return row[y0 + count - 1]


@njit(cache=True)
def wheel_angle(param: Array, speed: float, steer_norm: float) -> float:
    """Front-wheel angle [rad] that `steer_norm` asks for at `speed` [m/s]."""
    scale = interpolate(param, STEER_X0, STEER_Y0, int(param[N_STEER]), abs(speed))
    return param[MAX_STEER] * scale * steer_norm


@njit(cache=True)
def gear_ratio(param: Array, gear: int) -> float:
    """Engine turns per wheel turn; negative in reverse, 0 in neutral."""
    if gear == 0:
        return 0.0
    if gear < 0:
        return -param[REVERSE_RATIO] * param[FINAL]
    return param[RATIO0 + min(gear, int(param[NUM_GEARS])) - 1] * param[FINAL]


@njit(cache=True)
def begin_shift(state: Array, param: Array, gear: int, delay: float) -> None:
    """Open the clutch and head for `gear`, which engages after `delay` [s]."""
    state[GEAR] = 0.0
    state[TARGET] = gear
    state[TIMER] = delay
    if delay <= 0.0:
        state[GEAR] = gear
        state[AGE] = 0.0


@njit(cache=True)
def wanted_gear(state: Array, control: Array, param: Array) -> int:
    """The gear that the lever or the automatic gearbox wants now."""
    gear = int(state[GEAR])
    if control[C_MANUAL] > 0.5:
        return max(-1, min(int(control[C_GEAR]), int(param[NUM_GEARS])))
    reverse = control[C_REVERSE] > 0.5
    stopped = abs(state[VX]) < STOPPED_SPEED and control[C_THROTTLE] <= 0.0
    if reverse:
        return 0 if stopped else -1
    if stopped:
        return 0
    if gear < 1:
        return 1
    if param[AUTOBOX] < 0.5 or state[AGE] < param[LATENCY]:
        return gear
    share = state[ENGINE] / param[MAX_ENGINE]
    if share > param[UP0 + gear - 1] and gear < int(param[NUM_GEARS]):
        return gear + 1
    if gear > 1 and share < param[DOWN0 + gear - 1]:
        return gear - 1
    return gear


@njit(cache=True)
def step_gearbox(state: Array, control: Array, param: Array, dt: float) -> None:
    """Let a running shift go on, or begin one."""
    if state[TIMER] > 0.0:
        lever = state[TARGET]
        reverse = control[C_REVERSE] > 0.5
        if control[C_MANUAL] < 0.5 and lever != 0.0 and (lever < 0.0) != reverse:
            begin_shift(state, param, -1 if reverse else 1, param[LAUNCH_TIME])
            return
        state[TIMER] -= dt
        if state[TIMER] <= 1e-9:
            state[TIMER] = 0.0
            state[GEAR] = state[TARGET]
            state[AGE] = 0.0
        return
    state[AGE] += dt
    gear = int(state[GEAR])
    wanted = wanted_gear(state, control, param)
    if wanted == gear:
        return
    if wanted == 0:
        state[GEAR] = 0.0
        state[TARGET] = 0.0
    elif gear == 0 or (gear < 0) != (wanted < 0):
        # A change of direction waits until the car is nearly at rest.
        if gear != 0 and abs(state[VX]) > REVERSE_SPEED:
            return
        begin_shift(state, param, wanted, param[LAUNCH_TIME])
    else:
        begin_shift(state, param, wanted, param[SHIFT_TIME])


@njit(cache=True)
def drive_speed(state: Array, param: Array, external: float, dt: float) -> float:
    """Advance engine and car by `dt` under `external` [N]; implicit, since a clutch is stiff.

    J w' = u T(w) - d(u) w - K (w - n v),   m v' = n K (w - n v) + F,   n = ratio / wheel radius.

    Returns:
        The car's new speed [m/s]; the engine's speed is written in place.
    """
    throttle, speed = state[THROTTLE], state[ENGINE]
    gear = int(state[GEAR])
    free = param[D_ZERO] if gear != 0 else param[D_FREE]
    damping = free + (param[D_FULL] - free) * throttle
    torque = throttle * interpolate(param, TORQUE_X0, TORQUE_Y0, int(param[N_TORQUE]), speed)
    radius = param[RADIUS]
    mass = param[MASS] + param[WHEEL_INERTIA] / (radius * radius)
    rim = param[WHEEL_DAMPING] / (radius * radius)
    n = gear_ratio(param, gear) / radius
    clutch = param[CLUTCH] if gear != 0 else 0.0
    inertia = param[ENGINE_INERTIA] / dt
    a11 = inertia + damping + clutch
    a12 = -clutch * n
    a22 = mass / dt + rim + n * n * clutch
    b1 = inertia * speed + torque
    b2 = mass / dt * state[VX] + external
    det = a11 * a22 - a12 * a12
    engine = (b1 * a22 - a12 * b2) / det
    velocity = (a11 * b2 - a12 * b1) / det
    if engine < 0.0 or engine > param[MAX_ENGINE]:
        engine = min(max(engine, 0.0), param[MAX_ENGINE])
        velocity = (b2 - a12 * engine) / a22
    state[ENGINE] = engine
    return velocity


@njit(cache=True)
def tyre_force(stiffness: float, slip: float, limit: float) -> float:
    """Lateral force [N] of an axle by the brush model (Fiala), within `limit` [N].

    With K = C tan(slip) / limit: F = -limit (K - K|K|/3 + K^3/27) for |K| < 3, else -limit.
    """
    if limit <= 0.0:
        return 0.0
    k = stiffness * math.tan(slip) / limit
    if k >= 3.0:
        return -limit
    if k <= -3.0:
        return limit
    return -limit * (k - k * abs(k) / 3.0 + k * k * k / 27.0)


@njit(cache=True)
def step_lateral(state: Array, param: Array, force_x: float, grade_y: float, dt: float) -> None:
    """Advance lateral velocity and yaw rate by `dt`; `force_x` [N] uses up part of the friction."""
    vx, r, delta = state[VX], state[YAW_RATE], state[STEER]
    length, mass = param[WHEELBASE], param[MASS]
    rate = vx * math.tan(delta) / length
    speed = abs(vx)
    blend = (speed - KINEMATIC_SPEED) / (DYNAMIC_SPEED - KINEMATIC_SPEED)
    blend = min(max(blend, 0.0), 1.0)
    follow = 1.0 - math.exp(-dt / SLIP_LAG)
    kin_r = r + follow * (rate - r)
    if speed < 1e-9:
        kin_r = 0.0
    kin_vy = kin_r * param[REAR]
    if blend <= 0.0:
        state[YAW_RATE], state[VY] = kin_r, kin_vy
        return
    # Centre of mass: a to the front axle, b to the rear one.
    b = param[REAR] + param[CG]
    a = length - b
    vy = state[VY] + param[CG] * r
    load_f, load_r = mass * GRAVITY * b / length, mass * GRAVITY * a / length
    used = force_x / (param[FRICTION] * mass * GRAVITY)
    left = math.sqrt(max(0.0, 1.0 - used * used)) * param[FRICTION]
    # In reverse the slip angle is that of the wheel's own motion, hence the sign and |vx|.
    sign = 1.0 if vx >= 0.0 else -1.0
    slip_f = math.atan2(vy + a * r, speed) - sign * delta
    slip_r = math.atan2(vy - b * r, speed)
    fy_f = tyre_force(param[STIFF_F] * load_f, slip_f, left * load_f)
    fy_r = tyre_force(param[STIFF_R] * load_r, slip_r, left * load_r)
    fy_f *= math.cos(delta)
    slope = GRAVITY * grade_y / math.sqrt(1.0 + grade_y * grade_y)
    new_vy = vy + dt * ((fy_f + fy_r) / mass - vx * r - slope)
    new_r = r + dt * (a * fy_f - b * fy_r) / param[INERTIA]
    new_vy -= param[CG] * new_r
    state[YAW_RATE] = kin_r + blend * (new_r - kin_r)
    state[VY] = kin_vy + blend * (new_vy - kin_vy)


@njit(cache=True)
def substep(
    state: Array, control: Array, param: Array, grade_x: float, grade_y: float, dt: float
) -> None:
    """Advance one vehicle by `dt` (a hundredth of a second or less)."""
    step_gearbox(state, control, param, dt)
    state[THROTTLE] = control[C_THROTTLE]
    follow = 1.0 - math.exp(-dt / param[BRAKE_LAG])
    state[BRAKE] += follow * (control[C_BRAKE] - state[BRAKE])
    follow = 1.0 - math.exp(-dt / param[STEER_LAG])
    state[STEER] += follow * (wheel_angle(param, state[VX], control[C_STEER]) - state[STEER])
    vx = state[VX]
    weight = param[MASS] * GRAVITY
    external = -weight * grade_x / math.sqrt(1.0 + grade_x * grade_x) - param[DRAG] * vx * abs(vx)
    # The front wheels' side force has a part against the motion: m vy r is what turning costs.
    external += param[MASS] * state[VY] * state[YAW_RATE]
    velocity = drive_speed(state, param, external, dt)
    resist = param[BRAKE_FORCE] * state[BRAKE] + param[ROLLING] * weight
    if control[C_HAND] > 0.5:
        resist += param[HAND_FORCE]
    resist = min(resist, param[FRICTION] * weight)
    # Dry friction stops a car and then holds it: it never turns the motion round.
    change = resist * dt / param[MASS]
    if abs(velocity) <= change:
        velocity = 0.0
    else:
        velocity -= math.copysign(change, velocity)
    force = (velocity - vx) / dt * param[MASS]
    limit = param[FRICTION] * weight
    if abs(force) > limit:
        velocity = vx + math.copysign(limit, force) * dt / param[MASS]
        force = math.copysign(limit, force)
    state[VX] = velocity
    step_lateral(state, param, force, grade_y, dt)
    yaw = state[YAW] + 0.5 * dt * state[YAW_RATE]
    cos, sin = math.cos(yaw), math.sin(yaw)
    state[X] += dt * (state[VX] * cos - state[VY] * sin)
    state[Y] += dt * (state[VX] * sin + state[VY] * cos)
    state[YAW] += dt * state[YAW_RATE]


@njit(cache=True)
def step_vehicles(
    state: Array,
    control: Array,
    params: Array,
    grade: Array,
    active: Array,
    dt: float,
    max_substep: float = 0.01,
) -> None:
    """Advance all active vehicles by `dt`, in place; allocates nothing.

    Args:
        state: (N, NUM_VEHICLE_STATES), see `VehicleState`; written.
        control: (N, NUM_VEHICLE_CONTROLS), see `VehicleControlIndex`; finite, within bounds.
        params: (N, NUM_VEHICLE_PARAMS), rows of `vehicle_params`.
        grade: (N, 2) slope of the ground along body x and body y (rise over run, uphill positive).
        active: (N,) bool, rows that move; the others are left alone.
        dt: [s].
        max_substep: [s] the longest inner step.
    """
    if dt <= 0.0:
        return
    count = max(1, int(math.ceil(dt / max_substep - 1e-9)))
    h = dt / count
    for i in range(state.shape[0]):
        if not active[i]:
            continue
        row = state[i]
        vx, vy = row[VX], row[VY]
        for _ in range(count):
            substep(row, control[i], params[i], grade[i, 0], grade[i, 1], h)
        rate = row[YAW_RATE]
        row[AX] = (row[VX] - vx) / dt - rate * 0.5 * (row[VY] + vy)
        row[AY] = (row[VY] - vy) / dt + rate * 0.5 * (row[VX] + vx)
        row[YAW] = math.pi - (math.pi - row[YAW]) % (2.0 * math.pi)
