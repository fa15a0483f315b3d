"""The vehicle-dynamics kernel: dynamic single track, saturating tyres, engine, clutch, gearbox.

Structure after the drive model of PhysX, which CARLA's vehicles use: an engine with inertia and
speed-proportional damping that falls with throttle, a clutch that is viscous up to the torque that
it can carry, an automatic gearbox that shuts the throttle and leaves the engine free while it
changes gear. Laterally a single-track model with brush tyres (Fiala), blended to the
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
HILL_HOLD = 0.3  # of the weight: holds a car at rest until its gear is in, as PhysX's tyres stick
DOWN_MARGIN = 0.8  # of the up ratio: a shift down ends below it

X, Y, YAW, VX, VY, YAW_RATE = int(S.X), int(S.Y), int(S.YAW), int(S.VX), int(S.VY), int(S.YAW_RATE)
STEER, GEAR, TARGET, TIMER = int(S.STEER), int(S.GEAR), int(S.TARGET_GEAR), int(S.SHIFT_TIMER)
AGE, ENGINE, THROTTLE, BRAKE = int(S.SHIFT_AGE), int(S.ENGINE_SPEED), int(S.THROTTLE), int(S.BRAKE)
AX, AY = int(S.AX), int(S.AY)
C_THROTTLE, C_STEER, C_BRAKE, C_HAND = (
    int(C.THROTTLE),
    int(C.STEER),
    int(C.BRAKE),
    int(C.HAND_BRAKE),
)
C_REVERSE, C_MANUAL, C_GEAR = int(C.REVERSE), int(C.MANUAL), int(C.GEAR)
MASS, INERTIA, WHEELBASE, REAR = int(P.MASS), int(P.YAW_INERTIA), int(P.WHEELBASE), int(P.REAR)
CG, STIFF_F, STIFF_R, FRICTION = int(P.CG), int(P.STIFF_FRONT), int(P.STIFF_REAR), int(P.FRICTION)
RADIUS, WHEEL_INERTIA, WHEEL_DAMPING = (
    int(P.WHEEL_RADIUS),
    int(P.WHEEL_INERTIA),
    int(P.WHEEL_DAMPING),
)
MAX_STEER, STEER_LAG = int(P.MAX_STEER), int(P.STEER_LAG)
BRAKE_FORCE, BRAKE_LAG, HAND_FORCE = int(P.BRAKE_FORCE), int(P.BRAKE_LAG), int(P.HAND_BRAKE_FORCE)
CLUTCH_LIMIT, CLUTCH_TIME = int(P.CLUTCH_LIMIT), int(P.CLUTCH_TIME)
ENGINE_INERTIA, CLUTCH, MAX_ENGINE = int(P.ENGINE_INERTIA), int(P.CLUTCH), int(P.MAX_ENGINE_SPEED)
D_FULL, D_ZERO, D_FREE = int(P.DAMPING_FULL), int(P.DAMPING_ZERO), int(P.DAMPING_FREE)
FINAL, REVERSE_RATIO, NUM_GEARS = int(P.FINAL_RATIO), int(P.REVERSE_RATIO), int(P.NUM_GEARS)
SHIFT_TIME, LATENCY, NEUTRAL_UP = int(P.SHIFT_TIME), int(P.SHIFT_LATENCY), int(P.NEUTRAL_UP)
DRAG, ROLLING, AUTOBOX = int(P.DRAG), int(P.ROLLING), int(P.AUTOBOX)
N_TORQUE, N_STEER = int(P.NUM_TORQUE_POINTS), int(P.NUM_STEER_POINTS)
RATIO0, UP0, DOWN0 = int(P.GEAR_RATIO), int(P.UP_RATIO), int(P.DOWN_RATIO)
TORQUE_X0, TORQUE_Y0 = int(P.TORQUE_SPEED), int(P.TORQUE)
STEER_X0, STEER_Y0 = int(P.STEER_SPEED), int(P.STEER_SCALE)


@njit(cache=True, error_model="numpy")
def interpolate(row: Array, x0: int, y0: int, count: int, x: float) -> float:
    """Piecewise linear curve stored in `row`: abscissae from `x0`, values from `y0`; ends hold."""
    if x <= row[x0]:
        return row[y0]
    for i in range(1, count):
        if x < row[x0 + i]:
            share = (x - row[x0 + i - 1]) / (row[x0 + i] - row[x0 + i - 1])
            return row[y0 + i - 1] + share * (row[y0 + i] - row[y0 + i - 1])
    return row[y0 + count - 1]


@njit(cache=True, error_model="numpy")
def wheel_angle(param: Array, speed: float, steer_norm: float) -> float:
    """Front-wheel angle [rad] that `steer_norm` asks for at `speed` [m/s]."""
    scale = interpolate(param, STEER_X0, STEER_Y0, int(param[N_STEER]), abs(speed))
    return param[MAX_STEER] * scale * steer_norm


@njit(cache=True, error_model="numpy")
def gear_ratio(param: Array, gear: int) -> float:
    """Engine turns per wheel turn; negative in reverse, 0 in neutral."""
    if gear == 0:
        return 0.0
    if gear < 0:
        return -param[REVERSE_RATIO] * param[FINAL]
    return param[RATIO0 + min(gear, int(param[NUM_GEARS])) - 1] * param[FINAL]


@njit(cache=True, error_model="numpy")
def cruise_gear(param: Array, speed: float) -> int:
    """The forward gear that the gearbox has reached on the way up to `speed` [m/s]."""
    gear = 1
    while gear < int(param[NUM_GEARS]):
        engine = speed / param[RADIUS] * gear_ratio(param, gear)
        if engine <= param[UP0 + gear - 1] * param[MAX_ENGINE]:
            break
        gear += 1
    return gear


@njit(cache=True, error_model="numpy")
def begin_shift(state: Array, param: Array, gear: int) -> None:
    """Open the clutch and head for `gear`, which engages when the shift is over."""
    state[GEAR] = 0.0
    state[TARGET] = gear
    state[TIMER] = param[SHIFT_TIME]
    state[AGE] = -param[SHIFT_TIME]
    if state[TIMER] <= 0.0:
        state[GEAR] = gear


@njit(cache=True, error_model="numpy")
def wanted_gear(state: Array, control: Array, param: Array) -> int:
    """The gear that the lever or the automatic gearbox wants now."""
    gear = int(state[GEAR])
    if control[C_MANUAL] > 0.5:
        return max(-1, min(int(control[C_GEAR]), int(param[NUM_GEARS])))
    # At rest the gearbox takes its gear when the engine, still free, has revved up.
    waits = gear == 0 and state[ENGINE] < param[NEUTRAL_UP] * param[MAX_ENGINE]
    if abs(state[VX]) < STOPPED_SPEED and (control[C_THROTTLE] <= 0.0 or waits):
        return 0
    if control[C_REVERSE] > 0.5:
        return -1
    if gear < 1:
        return cruise_gear(param, state[VX])
    if param[AUTOBOX] < 0.5 or state[AGE] < param[LATENCY]:
        return gear
    return shifted_gear(state, param, gear)


@njit(cache=True, error_model="numpy")
def shifted_gear(state: Array, param: Array, gear: int) -> int:
    """The forward gear that the engine's speed asks for, one up, one down or the same."""
    share = state[ENGINE] / param[MAX_ENGINE]
    if share > param[UP0 + gear - 1] and gear < int(param[NUM_GEARS]):
        return gear + 1
    if gear > 1 and share < param[DOWN0 + gear - 1]:
        # Not into a gear that it would have to leave again at once.
        lower = share * gear_ratio(param, gear - 1) / gear_ratio(param, gear)
        if lower < DOWN_MARGIN * param[UP0 + gear - 2] or param[UP0 + gear - 2] <= 0.0:
            return gear - 1
    return gear


@njit(cache=True, error_model="numpy")
def step_gearbox(state: Array, control: Array, param: Array, dt: float) -> None:
    """Let a running shift go on, or begin one."""
    state[AGE] += dt
    if state[TIMER] > 0.0:
        lever = state[TARGET]
        reverse = control[C_REVERSE] > 0.5
        if control[C_MANUAL] < 0.5 and lever != 0.0 and (lever < 0.0) != reverse:
            begin_shift(state, param, -1 if reverse else 1)
            return
        state[TIMER] -= dt
        if state[TIMER] <= 1e-9:
            state[TIMER] = 0.0
            state[GEAR] = state[TARGET]
        return
    gear = int(state[GEAR])
    wanted = wanted_gear(state, control, param)
    if wanted == gear:
        return
    if wanted == 0:
        state[GEAR] = 0.0
        state[TARGET] = 0.0
        return
    begin_shift(state, param, wanted)


@njit(cache=True, error_model="numpy")
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
    slip = speed - n * state[VX]
    clutch, dragged = 0.0, 0.0
    if gear != 0:
        clutch = param[CLUTCH]
        limit = param[CLUTCH_LIMIT] * min(max(state[AGE] / param[CLUTCH_TIME], 0.0), 1.0)
        if abs(clutch * slip) > limit:  # it slides, with dry friction
            dragged = math.copysign(limit, slip)
            clutch = 0.0
    inertia = param[ENGINE_INERTIA] / dt
    a11 = inertia + damping + clutch
    a12 = -clutch * n
    a22 = mass / dt + rim + n * n * clutch
    b1 = inertia * speed + torque - dragged
    b2 = mass / dt * state[VX] + external + n * dragged
    det = a11 * a22 - a12 * a12
    engine = (b1 * a22 - a12 * b2) / det
    velocity = (a11 * b2 - a12 * b1) / det
    if engine < 0.0 or engine > param[MAX_ENGINE]:
        engine = min(max(engine, 0.0), param[MAX_ENGINE])
        velocity = (b2 - a12 * engine) / a22
    state[ENGINE] = engine
    return velocity


@njit(cache=True, error_model="numpy")
def tyre_force(stiffness: float, along: float, across: float, limit: float) -> float:
    """Side force [N] of an axle by the brush model (Fiala), within `limit` [N].

    With K = C |across / along| / limit: |F| = limit (K - K^2/3 + K^3/27) for K < 3, else limit;
    against the sliding. `along`, `across` [m/s]: the contact's velocity in the wheel's frame.
    """
    if limit <= 0.0:
        return 0.0
    k = stiffness * abs(across) / (limit * max(abs(along), 0.1))
    force = limit
    if k < 3.0:
        force = limit * k * (1.0 - k / 3.0 + k * k / 27.0)
    return -math.copysign(force, across)


@njit(cache=True, error_model="numpy")
def toward(value: float, target: float, step: float) -> float:
    """`value` moved towards `target` by `step` at most."""
    return min(max(target, value - step), value + step)


@njit(cache=True, error_model="numpy")
def step_lateral(
    state: Array, param: Array, force_x: float, grade_y: float, follow: float, dt: float
) -> None:
    """Advance side velocity and yaw rate by `dt`; `force_x` [N] uses up part of the friction.

    At the centre of mass, a and b from the axles:
    m (vy' + vx r) = Ff cos d + Fr - m g slope,  I r' = a Ff cos d - b Fr,
    m (vx' - vy r) = ... - Ff sin d.
    """
    vx, vy, r = state[VX], state[VY], state[YAW_RATE]
    length, mass = param[WHEELBASE], param[MASS]
    tan = math.tan(state[STEER])
    grip = param[FRICTION] * GRAVITY * dt
    # Rolling without slip, as far as friction can bring it about.
    kin_r = toward(r, r + follow * (vx * tan / length - r), grip * 4.0 / length)
    kin_vy = toward(vy, kin_r * param[REAR], grip)
    blend = (abs(vx) - KINEMATIC_SPEED) / (DYNAMIC_SPEED - KINEMATIC_SPEED)
    blend = min(max(blend, 0.0), 1.0)
    vy += param[CG] * r
    gyration = param[INERTIA] / mass
    energy = vx * vx + vy * vy + gyration * r * r  # twice the kinetic energy per mass
    state[YAW_RATE], state[VY] = kin_r, kin_vy
    if blend > 0.0:
        b = param[REAR] + param[CG]
        a = length - b
        cos = 1.0 / math.sqrt(1.0 + tan * tan)
        sin = tan * cos
        used = force_x / (param[FRICTION] * mass * GRAVITY)
        left = math.sqrt(max(0.0, 1.0 - used * used)) * param[FRICTION]
        load_f, load_r = mass * GRAVITY * b / length, mass * GRAVITY * a / length
        front = vy + a * r
        force_f = tyre_force(
            param[STIFF_F] * load_f, vx * cos + front * sin, front * cos - vx * sin, left * load_f
        )
        force_r = tyre_force(param[STIFF_R] * load_r, vx, vy - b * r, left * load_r)
        slope = GRAVITY * grade_y / math.sqrt(1.0 + grade_y * grade_y)
        dyn_vy = vy + dt * ((force_f * cos + force_r) / mass - vx * r - slope)
        dyn_r = r + dt * (a * force_f * cos - b * force_r) / param[INERTIA]
        state[VX] += blend * dt * (dyn_vy * dyn_r - force_f * sin / mass)
        energy += 2.0 * dt * abs(slope * vy)
        dyn_vy -= param[CG] * dyn_r
        state[YAW_RATE] += blend * (dyn_r - kin_r)
        state[VY] += blend * (dyn_vy - kin_vy)
    # Turning costs forward motion: tyres that only roll or slide sideways do no work on the car.
    r = state[YAW_RATE]
    vy = state[VY] + param[CG] * r
    turning = vy * vy + gyration * r * r
    if turning + state[VX] * state[VX] > energy:
        if turning > energy:
            state[VY] *= math.sqrt(energy / turning)
            state[YAW_RATE] *= math.sqrt(energy / turning)
            turning = energy
        state[VX] = math.copysign(math.sqrt(energy - turning), vx)


@njit(cache=True, error_model="numpy")
def step_longitudinal(
    state: Array, control: Array, param: Array, grade_x: float, dt: float
) -> float:
    """Advance the forward speed by `dt`; returns the tyres' longitudinal force [N]."""
    vx, weight = state[VX], param[MASS] * GRAVITY
    climb = -weight * grade_x / math.sqrt(1.0 + grade_x * grade_x)
    external = climb - param[DRAG] * vx * abs(vx)
    velocity = drive_speed(state, param, external, dt)
    resist = param[BRAKE_FORCE] * state[BRAKE] + param[ROLLING] * weight
    if control[C_HAND] > 0.5:
        resist += param[HAND_FORCE]
    launching = state[TIMER] > 0.0 or (state[GEAR] == 0.0 and state[THROTTLE] > 0.0)
    if launching and control[C_MANUAL] < 0.5 and abs(vx) < STOPPED_SPEED:
        resist += HILL_HOLD * weight
    limit = param[FRICTION] * weight
    # Dry friction stops a car and then holds it: it never turns the motion round.
    change = min(resist, limit) * dt / param[MASS]
    velocity = 0.0 if abs(velocity) <= change else velocity - math.copysign(change, velocity)
    force = (velocity - vx) / dt * param[MASS] - external
    if abs(force) > limit:
        force = math.copysign(limit, force)
        velocity = vx + (force + external) * dt / param[MASS]
    state[VX] = velocity
    return force


@njit(cache=True, error_model="numpy")
def lag(dt: float, time_constant: float) -> float:
    """Share of the way to its target that a first-order lag goes in `dt`."""
    return 1.0 - math.exp(-dt / time_constant)


@njit(cache=True, error_model="numpy")
def substep(
    state: Array,
    control: Array,
    param: Array,
    steer: float,
    grade: tuple[float, float],
    lags: tuple[float, float, float],
    dt: float,
) -> None:
    """Advance one vehicle by `dt` (a hundredth of a second or less).

    `steer` is the wheel angle [rad] that the steering heads for, `lags` come from `all_lags`.
    """
    step_gearbox(state, control, param, dt)
    automatic = control[C_MANUAL] < 0.5 and param[AUTOBOX] > 0.5
    state[THROTTLE] = 0.0 if automatic and state[TIMER] > 0.0 else control[C_THROTTLE]
    state[BRAKE] += lags[0] * (control[C_BRAKE] - state[BRAKE])
    state[STEER] += lags[1] * (steer - state[STEER])
    force = step_longitudinal(state, control, param, grade[0], dt)
    step_lateral(state, param, force, grade[1], lags[2], dt)
    yaw = state[YAW] + 0.5 * dt * state[YAW_RATE]
    cos, sin = math.cos(yaw), math.sin(yaw)
    state[X] += dt * (state[VX] * cos - state[VY] * sin)
    state[Y] += dt * (state[VX] * sin + state[VY] * cos)
    state[YAW] += dt * state[YAW_RATE]


@njit(cache=True, error_model="numpy")
def all_lags(param: Array, dt: float) -> tuple[float, float, float]:
    """Shares for brake, steering and rolling in `dt`, see `lag`."""
    return lag(dt, param[BRAKE_LAG]), lag(dt, param[STEER_LAG]), lag(dt, SLIP_LAG)


@njit(cache=True, error_model="numpy")
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
    count = max(1, math.ceil(dt / max_substep - 1e-9))
    h = dt / count
    for i in range(state.shape[0]):
        if not active[i]:
            continue
        row = state[i]
        vx, vy, rate = row[VX], row[VY], row[YAW_RATE]
        lags = all_lags(params[i], h)
        slope = (grade[i, 0], grade[i, 1])
        steer = wheel_angle(params[i], vx, control[i, C_STEER])
        for _ in range(count):
            substep(row, control[i], params[i], steer, slope, lags, h)
        rate = 0.5 * (rate + row[YAW_RATE])
        row[AX] = (row[VX] - vx) / dt - rate * 0.5 * (row[VY] + vy)
        row[AY] = (row[VY] - vy) / dt + rate * 0.5 * (row[VX] + vx)
        row[YAW] = math.pi - (math.pi - row[YAW]) % (2.0 * math.pi)
