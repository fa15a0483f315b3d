"""Where traffic managers run: they live in clients and announce themselves here."""

from __future__ import annotations

from carla_bridge.headless.arguments import INTEGER, BadArgument, Kind
from carla_bridge.headless.rpc import Call, rpc
from carla_bridge.headless.server import Server
from carla_bridge.headless.traffic_manager import TrafficManagerLink


def _endpoint(value: object) -> list[object]:
    if (
        isinstance(value, list)
        and len(value) == 2
        and type(value[0]) is str
        and type(value[1]) is int
        and 0 < value[1] <= 65535
    ):
        return value
    raise BadArgument(f"expected [host, port], got {value!r:.80}")


ENDPOINT = Kind("endpoint", _endpoint)


@rpc("is_traffic_manager_running", INTEGER)
def is_traffic_manager_running(server: Server, port: int) -> bool:
    """Whether one is registered with that port."""
    return port in server.traffic_managers


@rpc("get_traffic_manager_running", INTEGER)
def get_traffic_manager_running(server: Server, port: int) -> list[object]:
    """Host and port of the one that is registered with that port."""
    return list(server.traffic_managers.get(port, ("", 0)))


@rpc("add_traffic_manager_running", ENDPOINT, deferred=True)
def add_traffic_manager_running(server: Server, call: Call, endpoint: list[object]) -> None:
    """Register one, which lives behind this very connection."""
    host, port = str(endpoint[0]), int(str(endpoint[1]))
    server.traffic_managers[port] = (host, port)
    connection = call.connection
    if connection.link is None:
        connection.link = TrafficManagerLink(server, connection)
    connection.link.ports.add(port)
    call.answer(True)


@rpc("destroy_traffic_manager", INTEGER, deferred=True)
def destroy_traffic_manager(server: Server, call: Call, port: int) -> None:
    """Take one off the register and stop waiting for it."""
    server.traffic_managers.pop(port, None)
    connection = call.connection
    if connection.link is not None and port in connection.link.ports:
        connection.link.remove(port)
        if not connection.link.ports:
            connection.link.close()
            connection.link = None
    call.answer(True)
