"""The change of worlds, in the order that keeps the clients' processes alive.

`load_world` in the client drops its episode, and with it the world's stream, as soon as
`load_new_episode` is answered; then it makes a new one (`version`, `get_episode_info`,
`get_sensor_token`, and a connection to the stream). Three things would end the process meanwhile:

1. A frame that the old episode still handles when it is dropped. The new one then cannot listen,
   because the stream is taken, and its half-made connection is used after it was freed; or it
   never sees a frame. So nothing is published for a while before the answer.
2. The frame of the new world, if it comes before the old episode is dropped: every traffic manager
   is then started anew by the wrong one. So it waits until the client has asked for its stream.
3. A traffic manager's worker that runs while there is no episode. So it is held from before the
   answer until the new world is out (see `traffic_manager`).
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from carla_bridge.headless.rpc import Call
from carla_bridge.headless.world import World

if TYPE_CHECKING:
    from carla_bridge.headless.connection import Connection
    from carla_bridge.headless.server import Server

QUIET_S = 0.05  # without a frame, for a client to be done with the last one
SWAP_S = 0.03  # from the answer, or the request for the stream, to the new world
RELEASE_S = 0.03  # from the new world to the workers' release
POLL_S = 0.01
EPISODE_S = 3.0  # for the client to have its new episode


async def change_world(server: Server, call: Call, world: World, reset_settings: bool) -> None:
    """Change to a prepared world and answer the caller on the way.

    Args:
        server: whose world it is.
        call: `load_new_episode`.
        world: the new one.
        reset_settings: whether it begins with its own settings rather than the old one's.
    """
    server.num_changes += 1
    links = tuple(server.links)
    for link in links:
        link.hold_for_load()
    try:
        tidy_memory()  # here, where the client still waits for its answer
        await asyncio.sleep(QUIET_S)
        connection = call.connection
        if connection.link is not None:
            await connection.link.at_rest()
        num_episodes = connection.num_episodes
        call.answer()
        if num_episodes:  # else it never listened to the world
            await _new_episode(connection, num_episodes)
        await asyncio.sleep(SWAP_S)
        _swap(server, world, reset_settings)
    finally:
        server.num_changes -= 1
    server.publish_state()
    await asyncio.sleep(RELEASE_S)
    for link in links:
        link.world_loaded()


async def _new_episode(connection: Connection, num_before: int) -> None:
    """Wait until the client has dropped its old episode and made a new one."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + EPISODE_S
    while connection.open and connection.num_episodes == num_before and loop.time() < deadline:
        await asyncio.sleep(POLL_S)


def _swap(server: Server, world: World, reset_settings: bool) -> None:
    old = server.world
    world.episode_id = old.episode_id + 1
    world.frame = old.frame + 1  # clients drop frames that seem to be old
    if not reset_settings:
        world.settings = old.settings
    server.streams.forget_sensors()
    server.adopt(world)


def tidy_memory() -> None:
    """Let collections skip what lives as long as a world, and take what the last one left."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
