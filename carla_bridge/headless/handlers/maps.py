"""The town: its OpenDRIVE, spawn points, files, layers."""

from __future__ import annotations

from carla_bridge.headless.arguments import FLAG, INTEGER, NUMBER, TEXT, VECTOR
from carla_bridge.headless.rpc import Answer, Status, rpc
from carla_bridge.headless.server import Server
from carla_bridge.headless.towns import available_towns
from carla_bridge.headless.wire import transform


@rpc("get_map_info")
def get_map_info(server: Server) -> list[object]:
    """Name and spawn points."""
    town = server.world.town
    return [f"Carla/Maps/{town.name}", [transform(row) for row in town.spawn_points]]


@rpc("get_map_data")
def get_map_data(server: Server) -> str:
    """The OpenDRIVE file."""
    return server.world.town.xodr


@rpc("get_available_maps")
def get_available_maps(server: Server) -> list[str]:
    """Names that `load_world` takes."""
    return [f"/Game/Carla/Maps/{name}" for name in available_towns()]


@rpc(
    "get_required_files", TEXT, FLAG, optional=2,
    note="an empty list: there is no navigation mesh yet, and none is harmless to the client",
)  # fmt: skip
def get_required_files(server: Server, folder: str = "", download: bool = False) -> list[str]:
    """Files that the client should have."""
    return []


@rpc("request_file", TEXT, note="empty: an error here would fail get_world")
def request_file(server: Server, name: str) -> bytes:
    """No file is offered."""
    return b""


@rpc("get_navigation_mesh", note="empty: walkers' navigation is not there yet")
def get_navigation_mesh(server: Server) -> bytes:
    """The mesh of AI walkers."""
    return b""


@rpc("load_map_layer", INTEGER, answer=Answer.VOID, status=Status.STATE)
def load_map_layer(server: Server, layer: int) -> None:
    """Layers are scenery."""


@rpc("unload_map_layer", INTEGER, answer=Answer.VOID, status=Status.STATE)
def unload_map_layer(server: Server, layer: int) -> None:
    """Layers are scenery."""


@rpc("project_point", VECTOR, VECTOR, NUMBER)
def project_point(
    server: Server, origin: list[float], direction: list[float], distance: float
) -> list[object]:
    """First thing on a straight line."""
    return server.world.project_point(origin, direction, distance)


@rpc("cast_ray", VECTOR, VECTOR)
def cast_ray(server: Server, start: list[float], end: list[float]) -> list[object]:
    """Everything that a straight line crosses."""
    return server.world.cast_ray(start, end)


@rpc("get_all_level_BBs", INTEGER, note="of map-derived actors and of vehicles and walkers")
def get_all_level_boxes(server: Server, tag: int) -> list[object]:
    """Bounding boxes of a kind."""
    return server.world.level_boxes(tag)


@rpc("get_environment_objects", INTEGER, status=Status.STATE, note="there is no scenery: empty")
def get_environment_objects(server: Server, tag: int) -> list[object]:
    """Scenery by kind."""
    return []


@rpc("get_names_of_all_objects", status=Status.STATE, note="there is no scenery: empty")
def get_names_of_all_objects(server: Server) -> list[str]:
    """Names of the scenery."""
    return []
