"""`apply_batch`: the 22 commands of CARLA 0.9.16, by their index in the client's variant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

from carla_bridge.headless.arguments import (
    ACKERMANN_CONTROL,
    ACTOR,
    ANY,
    DESCRIPTION,
    FLAG,
    INTEGER,
    LIGHT_STATE,
    NUMBER,
    OPTIONAL_ACTOR,
    TEXT,
    TRANSFORM,
    VECTOR,
    VEHICLE_CONTROL,
    WALKER_CONTROL,
    BadArgument,
    Kind,
)
from carla_bridge.headless.rpc import RpcError
from carla_bridge.headless.world import SpawnError, UnknownActor, World

Handler = Callable[..., object]


class Command(IntEnum):
    """Index of each command in the client's variant."""

    SPAWN_ACTOR = 0
    DESTROY_ACTOR = 1
    APPLY_VEHICLE_CONTROL = 2
    APPLY_VEHICLE_ACKERMANN_CONTROL = 3
    APPLY_WALKER_CONTROL = 4
    APPLY_VEHICLE_PHYSICS_CONTROL = 5
    APPLY_TRANSFORM = 6
    APPLY_WALKER_STATE = 7
    APPLY_TARGET_VELOCITY = 8
    APPLY_TARGET_ANGULAR_VELOCITY = 9
    APPLY_IMPULSE = 10
    APPLY_FORCE = 11
    APPLY_ANGULAR_IMPULSE = 12
    APPLY_TORQUE = 13
    SET_SIMULATE_PHYSICS = 14
    SET_ENABLE_GRAVITY = 15
    SET_AUTOPILOT = 16
    SHOW_DEBUG_TELEMETRY = 17
    SET_VEHICLE_LIGHT_STATE = 18
    APPLY_LOCATION = 19
    CONSOLE_COMMAND = 20
    SET_TRAFFIC_LIGHT_STATE = 21


MAX_CHAIN = 64  # commands that hang on commands that hang on ...

# What follows the actor id in each command, and what does it.
ACTOR_COMMANDS: dict[int, tuple[tuple[Kind, ...], Handler]] = {
    Command.APPLY_VEHICLE_CONTROL: ((VEHICLE_CONTROL,), World.apply_vehicle_control),
    Command.APPLY_VEHICLE_ACKERMANN_CONTROL: (
        (ACKERMANN_CONTROL,), World.apply_ackermann_control,
    ),
    Command.APPLY_WALKER_CONTROL: ((WALKER_CONTROL,), World.apply_walker_control),
    Command.APPLY_VEHICLE_PHYSICS_CONTROL: ((ANY,), World.apply_physics_control),
    Command.APPLY_TRANSFORM: ((TRANSFORM,), World.set_transform),
    Command.APPLY_WALKER_STATE: ((TRANSFORM, NUMBER), World.set_walker_state),
    Command.APPLY_TARGET_VELOCITY: ((VECTOR,), World.set_target_velocity),
    Command.APPLY_TARGET_ANGULAR_VELOCITY: ((VECTOR,), World.set_target_angular_velocity),
    Command.APPLY_IMPULSE: ((VECTOR,), World.add_impulse),
    Command.APPLY_FORCE: ((VECTOR,), World.add_force),
    Command.APPLY_ANGULAR_IMPULSE: ((VECTOR,), World.add_angular_impulse),
    Command.APPLY_TORQUE: ((VECTOR,), World.add_torque),
    Command.SET_SIMULATE_PHYSICS: ((FLAG,), World.set_simulate_physics),
    Command.SET_ENABLE_GRAVITY: ((FLAG,), World.set_enable_gravity),
    Command.SET_AUTOPILOT: (
        (FLAG,), World.set_autopilot,
    ),
    Command.SHOW_DEBUG_TELEMETRY: ((FLAG,), lambda world, actor_id, on: world.require(actor_id)),
    Command.SET_VEHICLE_LIGHT_STATE: ((LIGHT_STATE,), World.set_vehicle_light_state),
    Command.APPLY_LOCATION: ((VECTOR,), World.set_location),
    Command.SET_TRAFFIC_LIGHT_STATE: (
        (INTEGER,), lambda world, actor_id, state: world.signals.set_state(actor_id, state),
    ),
}  # fmt: skip


def apply_batch(world: World, commands: list[Any]) -> list[Any]:
    """Run commands in order; each succeeds or fails by itself.

    Args:
        world: the simulation.
        commands: as decoded, `[[index, fields]]` each.

    Returns:
        `[[1, actor id]]` or `[[0, [message]]]` for each command.
    """
    answers = []
    append = answers.append
    control, check = world.apply_vehicle_control, VEHICLE_CONTROL.check
    for command in commands:
        try:
            # Nearly all commands of nearly all batches are controls: the short way for them.
            ((index, fields),) = command
            if index == 2:
                actor_id, values = fields
                control(actor_id, check(values))
            else:
                actor_id = run(world, command, None)
            append(((1, actor_id),))
        except (BadArgument, RpcError, SpawnError, KeyError, ValueError, TypeError) as error:
            append(((0, (_words(error, command),)),))
    return answers


def run(world: World, command: Any, spawned: int | None, depth: int = 0) -> int:
    """Run one command.

    Args:
        world: the simulation.
        command: `[[index, fields]]`.
        spawned: id that stands in for FutureActor (0), None outside a `.then(...)`.
        depth: of the chain that the command hangs in.

    Returns:
        Id of the actor that it was about, 0 for none.

    Raises:
        BadArgument: the command is malformed.
        UnknownActor: its actor does not exist.
        SpawnError: the actor cannot stand there.
    """
    index, fields = _parse(command)
    if index == Command.SPAWN_ACTOR:
        return _spawn(world, fields, depth)
    if index == Command.CONSOLE_COMMAND:
        TEXT.check(fields[0] if fields else None)
        raise RpcError("ConsoleCommand: this server has no Unreal console")
    if not fields:
        raise BadArgument(f"{Command(index).name}: expected an actor id, got nothing")
    actor_id = ACTOR.check(fields[0])
    if actor_id == 0 and spawned is not None:
        actor_id = spawned
    if index == Command.DESTROY_ACTOR:
        if not world.destroy(actor_id):
            raise UnknownActor("unable to destroy actor: not found")
        return actor_id
    kinds, handler = ACTOR_COMMANDS[index]
    if len(fields) != len(kinds) + 1:
        raise BadArgument(
            f"{Command(index).name}: expected {len(kinds) + 1} fields, got {len(fields)}"
        )
    values = [kind.check(value) for kind, value in zip(kinds, fields[1:], strict=True)]
    handler(world, actor_id, *values)
    return actor_id


def _parse(command: Any) -> tuple[int, list[Any]]:
    if type(command) is list and len(command) == 1:
        command = command[0]
    if (
        type(command) is not list
        or len(command) != 2
        or type(command[0]) is not int
        or type(command[1]) is not list
    ):
        raise BadArgument(f"expected a command [[index, fields]], got {command!r:.80}")
    index, fields = command
    if not 0 <= index < len(Command):
        raise BadArgument(f"command {index}: expected 0 to {len(Command) - 1}")
    return index, fields


def _spawn(world: World, fields: list[Any], depth: int) -> int:
    if len(fields) != 6:
        raise BadArgument(f"SPAWN_ACTOR: expected 6 fields, got {len(fields)}")
    if depth >= MAX_CHAIN:
        raise BadArgument(f"SPAWN_ACTOR: more than {MAX_CHAIN} commands chained")
    description, place, parent, attachment, bone, after = fields
    parent_id = OPTIONAL_ACTOR.check(parent)
    # Without a parent the client sends whatever lay in its memory as the attachment.
    actor = world.spawn(
        DESCRIPTION.check(description),
        TRANSFORM.check(place),
        parent_id,
        attachment if parent_id is not None else 0,
        bone if type(bone) is str else "",
    )
    actor_id = actor[0]
    if type(after) is not list:
        raise BadArgument("SPAWN_ACTOR: expected a list of commands to follow")
    for command in after:
        # The actor stands: as in CARLA its id is the answer, whatever becomes of the rest.
        with suppress(BadArgument, RpcError, SpawnError, KeyError, ValueError, TypeError):
            run(world, command, actor_id, depth + 1)
    return actor_id


def _words(error: Exception, command: Any) -> str:
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, (TypeError, ValueError)) and not isinstance(error, BadArgument):
        return f"bad command {command!r:.80}: {error}"
    return str(error)
