"""Actors of every kind: spawning, moving, asking."""

from __future__ import annotations

from carla_bridge.headless.arguments import (
    ACTOR,
    ACTORS,
    DESCRIPTION,
    FLAG,
    INTEGER,
    TEXT,
    TRANSFORM,
    VECTOR,
)
from carla_bridge.headless.rpc import Answer, RpcError, Status, not_implemented, rpc
from carla_bridge.headless.server import Server

WireTransform = list[list[float]]


@rpc("get_actor_definitions")
def get_actor_definitions(server: Server) -> list[object]:
    """The blueprint library."""
    return server.world.blueprints


@rpc("get_spectator")
def get_spectator(server: Server) -> list[object]:
    """The actor that stands for the onlooker."""
    return server.world.spectator


@rpc("get_actors_by_id", ACTORS)
def get_actors_by_id(server: Server, ids: list[int]) -> list[object]:
    """Actors that exist, unknown ids left out."""
    found = (server.world.actor(actor_id) for actor_id in ids)
    return [actor for actor in found if actor is not None]


@rpc("spawn_actor", DESCRIPTION, TRANSFORM)
def spawn_actor(server: Server, description: list[object], place: WireTransform) -> list[object]:
    """Make an actor."""
    return server.world.spawn(description, place, None, 0, "")


@rpc("spawn_actor_with_parent", DESCRIPTION, TRANSFORM, ACTOR, INTEGER, TEXT, optional=2)
def spawn_actor_with_parent(
    server: Server,
    description: list[object],
    place: WireTransform,
    parent: int,
    attachment: int = 0,
    bone: str = "",
) -> list[object]:
    """Make an actor that hangs on another."""
    return server.world.spawn(description, place, parent, attachment, bone)


@rpc("destroy_actor", ACTOR)
def destroy_actor(server: Server, actor_id: int) -> bool:
    """Take an actor away."""
    if not server.world.destroy(actor_id):
        raise RpcError("unable to destroy actor: not found")
    return True


@rpc("get_actor_bounding_box", ACTOR, note="answered for destroyed and unknown actors too")
def get_actor_bounding_box(server: Server, actor_id: int) -> list[object]:
    """Bounding box; an error would end a client whose traffic manager asks."""
    return server.world.bounding_box(actor_id)


@rpc("set_actor_location", ACTOR, VECTOR, answer=Answer.VOID)
def set_actor_location(server: Server, actor_id: int, location: list[float]) -> None:
    """Move an actor at once."""
    server.world.set_location(actor_id, location)


@rpc("set_actor_transform", ACTOR, TRANSFORM, answer=Answer.VOID)
def set_actor_transform(server: Server, actor_id: int, place: WireTransform) -> None:
    """Move and turn an actor at once."""
    server.world.set_transform(actor_id, place)


@rpc("set_actor_target_velocity", ACTOR, VECTOR, answer=Answer.VOID)
def set_actor_target_velocity(server: Server, actor_id: int, velocity: list[float]) -> None:
    """Give an actor a velocity."""
    server.world.set_target_velocity(actor_id, velocity)


@rpc("set_actor_target_angular_velocity", ACTOR, VECTOR, answer=Answer.VOID)
def set_actor_target_angular_velocity(server: Server, actor_id: int, rate: list[float]) -> None:
    """Give an actor an angular velocity."""
    server.world.set_target_angular_velocity(actor_id, rate)


@rpc("enable_actor_constant_velocity", ACTOR, VECTOR, answer=Answer.VOID)
def enable_actor_constant_velocity(server: Server, actor_id: int, velocity: list[float]) -> None:
    """Hold a velocity in the actor's frame."""
    server.world.enable_constant_velocity(actor_id, velocity)


@rpc("disable_actor_constant_velocity", ACTOR, answer=Answer.VOID)
def disable_actor_constant_velocity(server: Server, actor_id: int) -> None:
    """Let physics have it back."""
    server.world.disable_constant_velocity(actor_id)


@rpc("add_actor_impulse", ACTOR, VECTOR, answer=Answer.VOID)
def add_actor_impulse(server: Server, actor_id: int, impulse: list[float]) -> None:
    """Hit an actor."""
    server.world.add_impulse(actor_id, impulse)


@rpc("add_actor_impulse_at_location", ACTOR, VECTOR, VECTOR, answer=Answer.VOID)
def add_actor_impulse_at_location(
    server: Server, actor_id: int, impulse: list[float], location: list[float]
) -> None:
    """Hit an actor somewhere."""
    server.world.add_impulse(actor_id, impulse, location)


@rpc("add_actor_force", ACTOR, VECTOR, answer=Answer.VOID)
def add_actor_force(server: Server, actor_id: int, force: list[float]) -> None:
    """Push an actor during the next step."""
    server.world.add_force(actor_id, force)


@rpc("add_actor_force_at_location", ACTOR, VECTOR, VECTOR, answer=Answer.VOID)
def add_actor_force_at_location(
    server: Server, actor_id: int, force: list[float], location: list[float]
) -> None:
    """Push an actor somewhere."""
    server.world.add_force(actor_id, force, location)


@rpc("add_actor_angular_impulse", ACTOR, VECTOR, answer=Answer.VOID)
def add_actor_angular_impulse(server: Server, actor_id: int, impulse: list[float]) -> None:
    """Spin an actor."""
    server.world.add_angular_impulse(actor_id, impulse)


@rpc("add_actor_torque", ACTOR, VECTOR, answer=Answer.VOID)
def add_actor_torque(server: Server, actor_id: int, torque: list[float]) -> None:
    """Turn an actor during the next step."""
    server.world.add_torque(actor_id, torque)


@rpc("set_actor_simulate_physics", ACTOR, FLAG, answer=Answer.VOID)
def set_actor_simulate_physics(server: Server, actor_id: int, enabled: bool) -> None:
    """Physics on or off."""
    server.world.set_simulate_physics(actor_id, enabled)


@rpc("set_actor_collisions", ACTOR, FLAG, answer=Answer.VOID)
def set_actor_collisions(server: Server, actor_id: int, enabled: bool) -> None:
    """Contacts on or off."""
    server.world.set_collisions(actor_id, enabled)


@rpc("set_actor_enable_gravity", ACTOR, FLAG, answer=Answer.VOID)
def set_actor_enable_gravity(server: Server, actor_id: int, enabled: bool) -> None:
    """Gravity on or off."""
    server.world.set_enable_gravity(actor_id, enabled)


@rpc("set_actor_dead", ACTOR, answer=Answer.VOID)
def set_actor_dead(server: Server, actor_id: int) -> None:
    """Say that a walker was run over."""
    server.world.set_dead(actor_id)


@rpc("get_actor_component_world_transform", ACTOR, TEXT, note="every component is at the origin")
def get_actor_component_world_transform(server: Server, actor_id: int, name: str) -> object:
    """Where a component is."""
    return server.world.transform_of(actor_id)


@rpc("get_actor_component_relative_transform", ACTOR, TEXT, note="the identity")
def get_actor_component_relative_transform(server: Server, actor_id: int, name: str) -> object:
    """Where a component is in its actor's frame."""
    server.world.require(actor_id)
    return [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def _no_parts(name: str) -> None:
    @rpc(name, ACTOR, status=Status.STATE, note="there are no meshes: empty")
    def handler(server: Server, actor_id: int) -> list[object]:
        """Parts of an actor's mesh."""
        server.world.require(actor_id)
        return []


for _name in (
    "get_actor_component_names",
    "get_actor_bone_names",
    "get_actor_bone_relative_transforms",
    "get_actor_bone_world_transforms",
    "get_actor_socket_names",
    "get_actor_socket_relative_transforms",
    "get_actor_socket_world_transforms",
):
    _no_parts(_name)

not_implemented(
    {"send": Answer.VOID, "set_ignored_vehicles": Answer.VOID},
    __name__,
    "belongs to V2X and similar sensors, which this server does not have",
)
