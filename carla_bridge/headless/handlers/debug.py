"""Debug drawing: accepted, and drawn nowhere."""

from __future__ import annotations

from carla_bridge.headless.arguments import ITEMS
from carla_bridge.headless.rpc import Answer, Status, rpc
from carla_bridge.headless.server import Server


@rpc("draw_debug_shape", ITEMS, answer=Answer.VOID, status=Status.STATE)
def draw_debug_shape(server: Server, shape: list[object]) -> None:
    """Draw a shape; programs draw whether or not somebody watches."""


@rpc("clear_debug_shape", answer=Answer.VOID, status=Status.STATE)
def clear_debug_shape(server: Server) -> None:
    """Clear the shapes."""


@rpc("clear_debug_string", answer=Answer.VOID, status=Status.STATE)
def clear_debug_string(server: Server) -> None:
    """Clear the strings."""
