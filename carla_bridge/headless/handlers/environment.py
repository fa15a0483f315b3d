"""Weather, street lights, textures."""

from __future__ import annotations

from carla_bridge.headless.arguments import FLAG, ITEMS, TEXT, WEATHER
from carla_bridge.headless.rpc import Answer, Status, not_implemented, rpc
from carla_bridge.headless.server import Server


@rpc("get_weather_parameters", note="marks a step of the traffic manager")
def get_weather_parameters(server: Server) -> list[float]:
    """The weather, as it was set."""
    return server.world.weather


@rpc("set_weather_parameters", WEATHER, answer=Answer.VOID, status=Status.STATE)
def set_weather_parameters(server: Server, weather: list[float]) -> None:
    """Keep the weather."""
    server.world.weather = weather


@rpc("query_lights_state", TEXT, status=Status.STATE, note="there are no street lights: empty")
def query_lights_state(server: Server, client: str) -> list[object]:
    """State of the street lights."""
    return []


@rpc("update_lights_state", TEXT, ITEMS, FLAG, answer=Answer.VOID, status=Status.STATE)
def update_lights_state(server: Server, client: str, lights: list[object], discard: bool) -> None:
    """Switch street lights."""


@rpc("update_day_night_cycle", TEXT, FLAG, answer=Answer.VOID, status=Status.STATE)
def update_day_night_cycle(server: Server, client: str, active: bool) -> None:
    """Street lights that follow the sun."""


@rpc("enable_environment_objects", ITEMS, FLAG, answer=Answer.VOID, status=Status.STATE)
def enable_environment_objects(server: Server, ids: list[int], enabled: bool) -> None:
    """Scenery on and off."""


not_implemented(
    {
        "apply_color_texture_to_objects": Answer.VOID,
        "apply_float_color_texture_to_objects": Answer.VOID,
    },
    __name__,
    "nothing is rendered here",
)
