"""A real server and bare clients for the tests of the wire."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import carla
import msgpack
import pytest

from carla_bridge.embedded import EmbeddedServer
from carla_bridge.headless.towns import Town, load_town, town_from_xodr
from carla_bridge.session import free_port as any_free_port
from tests.carla_bridge.clients import asynchronous, synchronous
from tests.carla_bridge.clients import connect as connect_client

METADATA = [False]  # what every request of the wheel begins with


class RawClient:
    """Speaks msgpack-rpc without the wheel, so that it can say what the wheel never would."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), 10.0)
        self.socket.settimeout(20.0)
        self._unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 28)
        self._ids = itertools.count(1)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, name: Any, *arguments: Any) -> int:
        message_id = next(self._ids)
        self.socket.sendall(msgpack.packb([0, message_id, name, [METADATA, *arguments]]))
        return message_id

    def receive(self) -> list[Any]:
        while True:
            for message in self._unpacker:
                return message
            data = self.socket.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._unpacker.feed(data)

    def call(self, name: Any, *arguments: Any) -> Any:
        """The result, still wrapped."""
        message_id = self.send(name, *arguments)
        kind, answered, error, result = self.receive()
        assert (kind, answered, error) == (1, message_id, None)
        return result

    def value(self, name: str, *arguments: Any) -> Any:
        """The value of a `Response<T>`."""
        ((tag, value),) = self.call(name, *arguments)
        assert tag == 1, value
        return value

    def error(self, name: Any, *arguments: Any) -> str:
        """The words of an error, however it is wrapped."""
        ((tag, words),) = self.call(name, *arguments)
        assert tag is True or tag == 0, f"{name} should have failed"
        return words[0]

    def closed(self) -> bool:
        """Whether the server hangs up on us."""
        try:
            return self.socket.recv(1 << 16) == b""
        except ConnectionError:
            return True


@pytest.fixture(scope="session")
def grid_server() -> Iterator[EmbeddedServer]:
    """One server in the town `grid`, shared by the tests that leave it usable."""
    with EmbeddedServer("grid") as server:
        yield server


@pytest.fixture
def raw(grid_server: EmbeddedServer) -> Iterator[RawClient]:
    """A bare client of the shared server, which must have survived when the test ends."""
    with RawClient(grid_server.port) as client:
        yield client
    assert grid_server.alive, grid_server.output()
    with RawClient(grid_server.port) as witness:
        assert witness.value("version") == "0.9.16"


@pytest.fixture
def connect(grid_server: EmbeddedServer) -> Iterator[Callable[[], RawClient]]:
    """Makes more bare clients."""
    clients: list[RawClient] = []

    def make() -> RawClient:
        clients.append(RawClient(grid_server.port))
        return clients[-1]

    yield make
    for client in clients:
        client.socket.close()


@pytest.fixture
def free_port() -> int:
    """A port that nobody uses now."""
    return any_free_port()


@pytest.fixture
def client(grid_server: EmbeddedServer) -> carla.Client:
    """A client of the shared server."""
    return connect_client(grid_server)


@pytest.fixture
def world(client: carla.Client) -> Iterator[carla.World]:
    """A synchronous world without the cars of the test before."""
    world = client.get_world()
    synchronous(world)
    yield world
    world = client.get_world()
    actors = world.get_actors()
    batch = [
        carla.command.DestroyActor(actor)
        for actor in actors
        if actor.type_id.split(".")[0] in ("vehicle", "walker", "sensor", "static")
    ]
    client.apply_batch_sync(batch, False)
    asynchronous(world)


def plain_xodr(length: float = 600.0, lanes: int = 6, slope: float = 0.0, extra: str = "") -> str:
    """One straight road to the east with `lanes` lanes a side, rising by `slope`."""

    def side(numbers: Iterable[int]) -> str:
        return "".join(
            f'<lane id="{k}" type="driving" level="false">'
            '<width sOffset="0" a="3.5" b="0" c="0" d="0"/>'
            '<roadMark sOffset="0" type="broken" weight="standard" color="standard" width="0.15" '
            'laneChange="both"/></lane>'
            for k in numbers
        )

    return (
        '<?xml version="1.0"?><OpenDRIVE><header revMajor="1" revMinor="4" name="plain">'
        "<geoReference><![CDATA[+proj=tmerc +lat_0=49.0 +lon_0=8.0]]></geoReference></header>"
        f'<road name="a" length="{length}" id="1" junction="-1"><type s="0" type="town"/>'
        f'<planView><geometry s="0" x="0" y="0" hdg="0" length="{length}"><line/></geometry>'
        f'</planView><elevationProfile><elevation s="0" a="0" b="{slope}" c="0" d="0"/>'
        '</elevationProfile><lanes><laneSection s="0">'
        f'<left>{side(range(lanes, 0, -1))}</left><center><lane id="0" type="none" '
        'level="false"><roadMark sOffset="0" type="solid" weight="standard" color="standard" '
        'width="0.15" laneChange="none"/></lane></center>'
        f"<right>{side(range(-1, -lanes - 1, -1))}</right></laneSection></lanes>{extra}</road>"
        "</OpenDRIVE>"
    )


@pytest.fixture(scope="session")
def plain_town() -> Town:
    """A plain of asphalt, 600 m by 42 m, with nothing on it."""
    return town_from_xodr("plain", plain_xodr(), trusted=True)


@pytest.fixture(scope="session")
def hill_town() -> Town:
    """The plain, tilted: it rises by 5 % to the east."""
    return town_from_xodr("hill", plain_xodr(slope=0.05), trusted=True)


@pytest.fixture(scope="session")
def grid_town() -> Town:
    """Our own town with lights and signs."""
    return load_town("grid")
