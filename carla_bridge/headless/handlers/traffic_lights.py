"""Traffic lights: states, times, groups."""

from __future__ import annotations

from carla_bridge.headless.arguments import ACTOR, FLAG, INTEGER, NUMBER
from carla_bridge.headless.rpc import Answer, rpc
from carla_bridge.headless.server import Server


@rpc("set_traffic_light_state", ACTOR, INTEGER, answer=Answer.VOID)
def set_traffic_light_state(server: Server, actor_id: int, state: int) -> None:
    """Show a colour."""
    server.world.signals.set_state(actor_id, state)


@rpc("set_traffic_light_green_time", ACTOR, NUMBER, answer=Answer.VOID)
def set_traffic_light_green_time(server: Server, actor_id: int, seconds: float) -> None:
    """Length of green [s]."""
    server.world.signals.set_green_time(actor_id, seconds)


@rpc("set_traffic_light_yellow_time", ACTOR, NUMBER, answer=Answer.VOID)
def set_traffic_light_yellow_time(server: Server, actor_id: int, seconds: float) -> None:
    """Length of yellow [s]."""
    server.world.signals.set_yellow_time(actor_id, seconds)


@rpc("set_traffic_light_red_time", ACTOR, NUMBER, answer=Answer.VOID)
def set_traffic_light_red_time(server: Server, actor_id: int, seconds: float) -> None:
    """Length of red [s]."""
    server.world.signals.set_red_time(actor_id, seconds)


@rpc("freeze_traffic_light", ACTOR, FLAG, answer=Answer.VOID)
def freeze_traffic_light(server: Server, actor_id: int, frozen: bool) -> None:
    """Hold a light, and with it its group."""
    server.world.signals.freeze(actor_id, frozen)


@rpc("freeze_all_traffic_lights", FLAG, answer=Answer.VOID)
def freeze_all_traffic_lights(server: Server, frozen: bool) -> None:
    """Hold every light."""
    server.world.signals.freeze_all(frozen)


@rpc("reset_traffic_light_group", ACTOR, answer=Answer.VOID)
def reset_traffic_light_group(server: Server, actor_id: int) -> None:
    """Begin a group's cycle anew."""
    server.world.signals.reset_group(actor_id)


@rpc("reset_all_traffic_lights", answer=Answer.VOID)
def reset_all_traffic_lights(server: Server) -> None:
    """Begin every cycle anew."""
    server.world.signals.reset_all()


@rpc("get_group_traffic_lights", ACTOR)
def get_group_traffic_lights(server: Server, actor_id: int) -> list[int]:
    """Ids of the lights of the same junction."""
    return server.world.signals.group(actor_id)


@rpc("get_light_boxes", ACTOR)
def get_light_boxes(server: Server, actor_id: int) -> list[object]:
    """Boxes of a traffic light's lamps."""
    return server.world.signals.light_boxes(actor_id)
