"""Walkers under control."""

from __future__ import annotations

from carla_bridge.headless.arguments import ACTOR, WALKER_CONTROL
from carla_bridge.headless.rpc import Answer, not_implemented, rpc
from carla_bridge.headless.server import Server


@rpc("apply_control_to_walker", ACTOR, WALKER_CONTROL, answer=Answer.VOID)
def apply_control_to_walker(server: Server, actor_id: int, control: list[object]) -> None:
    """Direction, speed, jump."""
    server.world.apply_walker_control(actor_id, control)


not_implemented(
    {
        "get_bones_transform": Answer.VALUE,
        "set_bones_transform": Answer.VOID,
        "blend_pose": Answer.VOID,
        "get_pose_from_animation": Answer.VOID,
    },
    __name__,
    "walkers have no skeleton here",
)
