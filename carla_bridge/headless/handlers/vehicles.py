"""Vehicles: controls, physics, lights, doors."""

from __future__ import annotations

from carla_bridge.headless.arguments import (
    ACKERMANN_CONTROL,
    ACKERMANN_SETTINGS,
    ACTOR,
    FLAG,
    INTEGER,
    ITEMS,
    LIGHT_STATE,
    NUMBER,
    VEHICLE_CONTROL,
)
from carla_bridge.headless.rpc import Answer, Status, not_implemented, rpc
from carla_bridge.headless.server import Server


@rpc("apply_control_to_vehicle", ACTOR, VEHICLE_CONTROL, answer=Answer.VOID)
def apply_control_to_vehicle(server: Server, actor_id: int, control: list[float]) -> None:
    """Pedals, wheel and gear."""
    server.world.apply_vehicle_control(actor_id, control)


@rpc("apply_ackermann_control_to_vehicle", ACTOR, ACKERMANN_CONTROL, answer=Answer.VOID)
def apply_ackermann_control_to_vehicle(server: Server, actor_id: int, control: list[float]) -> None:
    """Steering angle, speed, acceleration."""
    server.world.apply_ackermann_control(actor_id, control)


@rpc("get_ackermann_controller_settings", ACTOR)
def get_ackermann_controller_settings(server: Server, actor_id: int) -> list[float]:
    """Gains of the Ackermann controller."""
    return server.world.ackermann_settings(actor_id)


@rpc("apply_ackermann_controller_settings", ACTOR, ACKERMANN_SETTINGS, answer=Answer.VOID)
def apply_ackermann_controller_settings(
    server: Server, actor_id: int, settings: list[float]
) -> None:
    """Set the gains of the Ackermann controller."""
    server.world.apply_ackermann_settings(actor_id, settings)


@rpc("get_physics_control", ACTOR)
def get_physics_control(server: Server, actor_id: int) -> object:
    """Mass, engine, gears, wheels."""
    return server.world.physics_control(actor_id)


@rpc("apply_physics_control", ACTOR, ITEMS, answer=Answer.VOID)
def apply_physics_control(server: Server, actor_id: int, control: list[object]) -> None:
    """Change mass, engine, gears, wheels."""
    server.world.apply_physics_control(actor_id, control)


@rpc("set_actor_autopilot", ACTOR, FLAG, answer=Answer.VOID)
def set_actor_autopilot(server: Server, actor_id: int, enabled: bool) -> None:
    """The flag; the client's traffic manager does the driving."""
    server.world.set_autopilot(actor_id, enabled)


@rpc("get_vehicle_light_state", ACTOR)
def get_vehicle_light_state(server: Server, actor_id: int) -> list[int]:
    """Flags of one vehicle's lights."""
    return [server.world.vehicle_light_state(actor_id)]


@rpc("set_vehicle_light_state", ACTOR, LIGHT_STATE, answer=Answer.VOID)
def set_vehicle_light_state(server: Server, actor_id: int, flags: int) -> None:
    """Switch a vehicle's lights."""
    server.world.set_vehicle_light_state(actor_id, flags)


@rpc("get_vehicle_light_states")
def get_vehicle_light_states(server: Server) -> list[object]:
    """Flags of every vehicle's lights."""
    return server.world.vehicle_light_states()


@rpc("open_vehicle_door", ACTOR, INTEGER, answer=Answer.VOID, status=Status.STATE)
def open_vehicle_door(server: Server, actor_id: int, door: int) -> None:
    """Open a door."""
    server.world.set_door(actor_id, door, True)


@rpc("close_vehicle_door", ACTOR, INTEGER, answer=Answer.VOID, status=Status.STATE)
def close_vehicle_door(server: Server, actor_id: int, door: int) -> None:
    """Close a door."""
    server.world.set_door(actor_id, door, False)


@rpc("get_wheel_steer_angle", ACTOR, INTEGER)
def get_wheel_steer_angle(server: Server, actor_id: int, wheel: int) -> float:
    """Angle of a wheel [deg], right positive."""
    return server.world.wheel_steer_angle(actor_id, wheel)


@rpc(
    "set_wheel_steer_direction", ACTOR, INTEGER, NUMBER, answer=Answer.VOID, status=Status.STATE,
    note="of animation without physics only",
)  # fmt: skip
def set_wheel_steer_direction(server: Server, actor_id: int, wheel: int, angle: float) -> None:
    """Turn a wheel for show."""
    server.world.require(actor_id)


@rpc(
    "set_wheel_pitch_angle", ACTOR, INTEGER, NUMBER, answer=Answer.VOID, status=Status.STATE,
    note="of animation without physics only",
)  # fmt: skip
def set_wheel_pitch_angle(server: Server, actor_id: int, wheel: int, angle: float) -> None:
    """Roll a wheel for show."""
    server.world.require(actor_id)


@rpc("get_wheel_pitch_angle", ACTOR, INTEGER, status=Status.STATE, note="0: wheels are not drawn")
def get_wheel_pitch_angle(server: Server, actor_id: int, wheel: int) -> float:
    """How far a wheel has rolled."""
    server.world.require(actor_id)
    return 0.0


@rpc("show_vehicle_debug_telemetry", ACTOR, FLAG, answer=Answer.VOID, status=Status.STATE)
def show_vehicle_debug_telemetry(server: Server, actor_id: int, enabled: bool) -> None:
    """There is no screen to show it on."""
    server.world.require(actor_id)


not_implemented(
    {
        "enable_carsim": Answer.VOID,
        "use_carsim_road": Answer.VOID,
        "enable_chrono_physics": Answer.VOID,
        "restore_physx_physics": Answer.VOID,
    },
    __name__,
    "this server has one physics of its own (headway.vehicle)",
)
not_implemented(
    {"get_telemetry_data": Answer.VALUE, "get_vehicle_bone_world_transforms": Answer.VALUE},
    __name__,
    "not implemented; transforms, velocities and get_physics_control are",
)
