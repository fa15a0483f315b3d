"""Facts about CARLA's vehicles and the parameter rows made from them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from headway.types import Array
from headway.vehicle import fit
from headway.vehicle.inverse import fill_inverse
from headway.vehicle.layout import (
    MAX_GEARS,
    MAX_STEER_POINTS,
    MAX_TORQUE_POINTS,
    NUM_VEHICLE_PARAMS,
)
from headway.vehicle.layout import VehicleParam as P

RPM = math.pi / 30.0  # [rad/s] per turn a minute
AIR_DENSITY = 1.25  # [kg/m^3]
ROLLING_RESISTANCE = 0.002  # only what stops a car in neutral for good
WHEEL_MASS = 20.0  # [kg] PhysX's default
REVERSE_RATIO = 4.0  # PhysX's default; not in the recorded facts


@dataclass(frozen=True)
class Wheel:
    """One wheel's facts, as `get_physics_control` reports them.

    Attributes:
        friction: tyre friction.
        damping: [Nms].
        max_steer: [rad], 0 for a wheel that does not steer.
        radius: [m].
        brake_torque: [Nm].
        hand_brake_torque: [Nm].
    """

    friction: float
    damping: float
    max_steer: float
    radius: float
    brake_torque: float
    hand_brake_torque: float


@dataclass(frozen=True)
class VehicleInfo:
    """A vehicle's physical facts, raw: what `get_physics_control` answers.

    Attributes:
        type_id: the blueprint's id.
        source: where the facts come from; `similar to ...` where they are another vehicle's.
        similar_to: id whose facts these are, or None when they are the vehicle's own.
        mass: [kg].
        wheelbase: [m].
        track: [m].
        max_steer: [rad] wheel angle at full steer and standstill.
        extent: (3,) half length, width, height [m].
        center_of_mass: (3,) forward, left, up of the actor's origin [m].
        torque_curve: (speed [rpm], torque [Nm]) pairs.
        max_rpm: of the engine.
        engine_inertia: [kg m^2].
        damping: (3,) [Nms] at full throttle; zero throttle, clutch closed; zero throttle, open.
        gears: (ratio, up, down) per forward gear.
        final_ratio: of the differential.
        gear_switch_time: [s].
        use_gear_autobox: whether it shifts by itself.
        clutch_strength: [Nms].
        drag_coefficient: of the body.
        steering_curve: (speed [km/h], scale) pairs.
        wheels: front left, front right, rear left, rear right.
        steer_gain: identified ratio of the real wheel angle to the nominal one.
        torque_scale: identified ratio of the real engine torque to the recorded curve.
        final_scale: identified ratio of the real final drive to the recorded one.
        brake_scale: identified ratio of the real brake torque to that of other vehicles.
    """

    type_id: str
    source: str
    similar_to: str | None
    mass: float
    wheelbase: float
    track: float
    max_steer: float
    extent: tuple[float, float, float]
    center_of_mass: tuple[float, float, float]
    torque_curve: tuple[tuple[float, float], ...]
    max_rpm: float
    engine_inertia: float
    damping: tuple[float, float, float]
    gears: tuple[tuple[float, float, float], ...]
    final_ratio: float
    gear_switch_time: float
    use_gear_autobox: bool
    clutch_strength: float
    drag_coefficient: float
    steering_curve: tuple[tuple[float, float], ...]
    wheels: tuple[Wheel, ...] = field(default=())
    steer_gain: float = 1.0
    torque_scale: float = fit.TORQUE_SCALE
    final_scale: float = 1.0
    brake_scale: float = 1.0


@cache
def vehicle_facts() -> dict[str, Any]:
    """The data file: source, licence, facts by vehicle id, similar vehicles, identified factors."""
    text = resources.files("headway.data").joinpath("vehicles.json").read_text(encoding="utf-8")
    return json.loads(text)


def vehicle_types() -> tuple[str, ...]:
    """All vehicle ids of CARLA 0.9.16 that have parameters, sorted."""
    document = vehicle_facts()
    return tuple(sorted({*document["vehicles"], *document["similar"]}))


@cache
def vehicle_info(type_id: str) -> VehicleInfo:
    """The facts of a vehicle, or those of a similar one, said so in `source`.

    Raises:
        ValueError: the id is none of CARLA 0.9.16's vehicles.
    """
    document = vehicle_facts()
    similar = document["similar"].get(type_id)
    facts = document["vehicles"].get(similar or type_id)
    if facts is None:
        raise ValueError(
            f"vehicle_info: no vehicle {type_id!r}; known: {', '.join(vehicle_types())}"
        )
    source = f"{document['source']}, {document['licence']}"
    if similar:
        source = f"similar to {similar}: {source}"
    wheels = tuple(
        Wheel(
            w["friction"], w["damping"], math.radians(w["max_steer_deg"]), w["radius_m"],
            w["brake_nm"], w["handbrake_nm"],
        )
        for w in facts["wheels"]
    )  # fmt: skip
    identified = document["identified"].get(type_id, {})
    return VehicleInfo(
        type_id=type_id,
        source=source,
        similar_to=similar,
        mass=facts["mass_kg"],
        wheelbase=facts["wheelbase_m"],
        track=facts["track_m"],
        max_steer=max(w.max_steer for w in wheels),
        extent=tuple(facts["extent_m"]),
        center_of_mass=tuple(facts["center_of_mass_m"]),
        torque_curve=tuple((a, b) for a, b in facts["torque_rpm_nm"]),
        max_rpm=facts["max_rpm"],
        engine_inertia=facts["moi"],
        damping=tuple(facts["damping"]),
        gears=tuple((a, b, c) for a, b, c in facts["gears"]),
        final_ratio=facts["final_ratio"],
        gear_switch_time=facts["gear_switch_s"],
        use_gear_autobox=facts["autobox"],
        clutch_strength=facts["clutch_strength"],
        drag_coefficient=facts["drag_coefficient"],
        steering_curve=tuple((a, b) for a, b in facts["steering_curve_kmh"]),
        wheels=wheels,
        steer_gain=identified.get("steer_gain", 1.0),
        torque_scale=identified.get("torque_scale", fit.TORQUE_SCALE),
        final_scale=identified.get("final_scale", 1.0),
        brake_scale=identified.get("brake_scale", 1.0),
    )


@cache
def _row(type_id: str) -> Array:
    return params_from_physics(vehicle_info(type_id))


def forget() -> None:
    """Make all rows anew when next asked for: the figures that they are made with have changed."""
    vehicle_info.cache_clear()
    _row.cache_clear()


def vehicle_params(type_id: str) -> Array:
    """A fresh parameter row (NUM_VEHICLE_PARAMS,) of a CARLA 0.9.16 vehicle.

    Raises:
        ValueError: the id is none of CARLA 0.9.16's vehicles.
    """
    return _row(type_id).copy()


def params_from_physics(info: VehicleInfo, changes: Mapping[str, Any] | None = None) -> Array:
    """Turn physical facts into a parameter row.

    Args:
        info: the facts.
        changes: fields of `VehicleInfo` that replace those of `info` (what
            `apply_physics_control` sets).

    Returns:
        (NUM_VEHICLE_PARAMS,) with the inverse table filled in.

    Raises:
        ValueError: a field is unknown, or a number is not finite or out of its range.
    """
    facts = {name: getattr(info, name) for name in info.__dataclass_fields__}
    for name, value in (changes or {}).items():
        if name not in facts:
            raise ValueError(f"params_from_physics: no field {name!r} in VehicleInfo")
        facts[name] = value
    info = VehicleInfo(**facts)
    _check(info)
    row = np.zeros(NUM_VEHICLE_PARAMS)
    _fill_body(row, info)
    _fill_drive(row, info)
    if not np.isfinite(row).all():
        column = int(np.flatnonzero(~np.isfinite(row))[0])
        raise ValueError(f"params_from_physics: {info.type_id}: column {column} is not finite")
    fill_inverse(row)
    return row


def _check(info: VehicleInfo) -> None:
    for name in ("mass", "wheelbase", "track", "max_rpm", "engine_inertia", "final_ratio"):
        value = getattr(info, name)
        if not (math.isfinite(value) and value > 0.0):
            raise ValueError(f"VehicleInfo.{name}: expected a positive number, got {value!r}")
    for name, low in (("wheels", 2), ("gears", 1), ("torque_curve", 1), ("steering_curve", 1)):
        if len(getattr(info, name)) < low:
            raise ValueError(f"VehicleInfo.{name}: expected at least {low} entries")


def _fill_body(row: Array, info: VehicleInfo) -> None:
    length, wheels = info.wheelbase, info.wheels
    radius = sum(w.radius for w in wheels) / len(wheels)
    length_m, width_m = 2.0 * info.extent[0], 2.0 * max(info.extent[1], 0.2)
    row[P.MASS] = info.mass
    row[P.YAW_INERTIA] = info.mass * (length_m**2 + width_m**2) / 12.0
    row[P.WHEELBASE] = length
    row[P.REAR] = 0.5 * length  # the origin is midway between the axles
    row[P.CG] = min(max(info.center_of_mass[0], -0.25 * length), 0.25 * length)
    row[P.TRACK] = info.track
    row[P.STIFF_FRONT] = fit.STIFF_FRONT
    row[P.STIFF_REAR] = fit.STIFF_REAR
    row[P.FRICTION] = sum(w.friction for w in wheels) / len(wheels)
    row[P.WHEEL_RADIUS] = radius
    row[P.WHEEL_INERTIA] = len(wheels) * 0.5 * WHEEL_MASS * radius**2
    if info.mass < 500.0:  # two-wheelers: their wheels weigh less
        row[P.WHEEL_INERTIA] *= 0.1
    row[P.WHEEL_DAMPING] = sum(w.damping for w in wheels)
    row[P.MAX_STEER] = info.max_steer * info.steer_gain
    row[P.STEER_LAG] = fit.STEER_LAG
    row[P.BRAKE_FORCE] = _brake_force(
        info.mass, [info.brake_scale * w.brake_torque / w.radius for w in wheels]
    )
    row[P.BRAKE_LAG] = fit.BRAKE_LAG
    row[P.HAND_BRAKE_FORCE] = _brake_force(
        info.mass, [w.hand_brake_torque / w.radius for w in wheels]
    )
    area = 4.0 * info.extent[1] * info.extent[2] if info.extent[1] > 0.1 else 0.5
    row[P.DRAG] = 0.5 * AIR_DENSITY * info.drag_coefficient * area
    row[P.ROLLING] = ROLLING_RESISTANCE
    _fill_curve(
        row, (P.STEER_SPEED, P.STEER_SCALE, P.NUM_STEER_POINTS), MAX_STEER_POINTS,
        [(v / 3.6, s) for v, s in info.steering_curve],
    )  # fmt: skip


def _brake_force(mass: float, nominal: Sequence[float]) -> float:
    force = fit.BRAKE_SCALE * sum(nominal)
    if force <= 0.0:
        return 0.0
    return min(max(force, fit.MIN_BRAKE * mass), fit.MAX_BRAKE * mass)


def _fill_drive(row: Array, info: VehicleInfo) -> None:
    row[P.ENGINE_INERTIA] = info.engine_inertia
    row[P.DAMPING_FULL] = fit.DAMPING_FULL_SCALE * info.damping[0]
    row[P.DAMPING_ZERO] = info.damping[1]
    row[P.DAMPING_FREE] = info.damping[2]
    row[P.MAX_ENGINE_SPEED] = info.max_rpm * RPM
    row[P.CLUTCH] = info.clutch_strength
    peak = info.torque_scale * max(torque for _, torque in info.torque_curve)
    row[P.CLUTCH_LIMIT] = fit.CLUTCH_LIMIT * peak
    row[P.CLUTCH_TIME] = fit.CLUTCH_TIME
    row[P.FINAL_RATIO] = info.final_ratio * info.final_scale
    row[P.REVERSE_RATIO] = min(REVERSE_RATIO, info.gears[0][0])
    gears = info.gears[:MAX_GEARS]
    row[P.NUM_GEARS] = len(gears)
    row[P.SHIFT_TIME] = info.gear_switch_time
    row[P.NEUTRAL_UP] = fit.NEUTRAL_UP
    row[P.SHIFT_LATENCY] = fit.SHIFT_LATENCY
    row[P.AUTOBOX] = float(info.use_gear_autobox)
    for i, (ratio, up, down) in enumerate(gears):
        row[P.GEAR_RATIO + i] = ratio
        row[P.UP_RATIO + i] = up
        row[P.DOWN_RATIO + i] = down
    _fill_curve(
        row, (P.TORQUE_SPEED, P.TORQUE, P.NUM_TORQUE_POINTS), MAX_TORQUE_POINTS,
        [(rpm * RPM, info.torque_scale * t) for rpm, t in info.torque_curve],
    )  # fmt: skip


def _fill_curve(
    row: Array, columns: tuple[int, int, int], limit: int, points: Sequence[tuple[float, float]]
) -> None:
    x0, y0, count = columns
    points = sorted(points)[:limit]
    row[count] = len(points)
    for i, (x, y) in enumerate(points):
        row[x0 + i] = x
        row[y0 + i] = y
