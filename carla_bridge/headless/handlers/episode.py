"""Versions, settings, ticks and the change of worlds."""

from __future__ import annotations

from carla_bridge.headless.arguments import FLAG, INTEGER, ITEMS, SETTINGS, TEXT
from carla_bridge.headless.commands import apply_batch as run_batch
from carla_bridge.headless.rpc import Answer, Call, Status, rpc
from carla_bridge.headless.server import VERSION, Server
from carla_bridge.headless.streams import WORLD_STREAM


@rpc("version")
def version(server: Server) -> str:
    """The protocol's version."""
    return VERSION


@rpc("get_episode_info")
def get_episode_info(server: Server) -> list[object]:
    """Id of the episode and the token of its stream."""
    return [server.world.episode_id, [server.token(WORLD_STREAM)]]


@rpc("get_episode_settings", note="answered when the traffic manager may go on")
def get_episode_settings(server: Server) -> list[object]:
    """The settings, as they were set."""
    return server.world.settings


@rpc(
    "set_episode_settings",
    SETTINGS,
    deferred=True,
    note="mode and delta act; rendering, culling and substepping are kept and given back",
)
def set_episode_settings(server: Server, call: Call, settings: list[object]) -> None:
    """Take settings; the frame that carries them moves nothing."""
    server.apply_settings(settings)
    server.answer_after_traffic_manager(call, may_idle=True)


@rpc("tick_cue", deferred=True, note="an asynchronous world answers with its current frame")
def tick_cue(server: Server, call: Call) -> None:
    """Step a synchronous world."""
    server.request_tick(call)


@rpc("apply_batch", ITEMS, FLAG, answer=Answer.RAW, deferred=True, note="all 22 commands")
def apply_batch(server: Server, call: Call, commands: list[object], do_tick: bool) -> None:
    """Run commands and, if asked, tick."""
    answers = run_batch(server.world, commands)
    if do_tick:
        server.tick_within_batch()
    call.answer(answers)


@rpc(
    "load_new_episode",
    TEXT,
    FLAG,
    INTEGER,
    optional=2,
    answer=Answer.VOID,
    deferred=True,
    note="a town that is missing or broken answers an error and the old world stays",
)
def load_new_episode(
    server: Server, call: Call, name: str, reset_settings: bool = True, layers: int = 0
) -> None:
    """Change the world, soon after this was answered."""
    server.change_world(call, server.prepare_world(name), reset_settings)


@rpc("copy_opendrive_to_file", TEXT, ITEMS, optional=1, answer=Answer.VOID)
def copy_opendrive_to_file(
    server: Server, xodr: str, parameters: list[object] | None = None
) -> None:
    """Keep an OpenDRIVE file for a `load_new_episode` that follows."""
    server.accept_opendrive(xodr)


@rpc("set_annotations_traverse_translucency", FLAG, answer=Answer.VOID, status=Status.STATE)
def set_annotations_traverse_translucency(server: Server, enabled: bool) -> None:
    """Only cameras would care."""
