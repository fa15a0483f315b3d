"""One RPC connection: bytes in, requests dispatched, answers out."""

from __future__ import annotations

import asyncio
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any, cast

import msgpack

from carla_bridge.headless.actor_commands import SpawnError
from carla_bridge.headless.arguments import BadArgument
from carla_bridge.headless.rpc import NOTIFY, REQUEST, Answer, Call, RpcError, pack_answer
from carla_bridge.headless.rpc import pack_error as _pack_error

if TYPE_CHECKING:
    from carla_bridge.headless.server import Server
    from carla_bridge.headless.traffic_manager import TrafficManagerLink

# The largest request that a client has reason to send is a town's OpenDRIVE.
MAX_MESSAGE_BYTES = 256 << 20
MAX_ITEMS = 1 << 22


class Connection(asyncio.Protocol):
    """The server's end of a client's RPC connection.

    Attributes:
        link: of the traffic managers that live in this client, None while there are none.
        num_episodes: how often the client has asked for the world's stream.
        peer: address of the client.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._unpacker = msgpack.Unpacker(
            raw=False,
            strict_map_key=False,
            max_buffer_size=MAX_MESSAGE_BYTES,
            max_array_len=MAX_ITEMS,
            max_map_len=1 << 16,
            unicode_errors="surrogateescape",
        )
        self._answers: list[bytes] = []
        self._collecting = False  # whether answers wait for the end of `data_received`
        self._fed = 0  # bytes that the unpacker got
        self._pending = False  # whether it holds the beginning of a message
        self.link: TrafficManagerLink | None = None
        self.num_episodes = 0
        self.peer: tuple[str, int] = ("?", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self.peer = (transport.get_extra_info("peername") or ("?", 0))[:2]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client, and let nobody wait for its traffic managers."""
        self._transport = None
        self._server.connections.discard(self)
        if self.link is not None:
            for port in self.link.ports:
                self._server.traffic_managers.pop(port, None)
            self.link.close()
            self.link = None

    @property
    def open(self) -> bool:
        """Whether the client is still there."""
        return self._transport is not None

    def write(self, data: bytes) -> None:
        """Send bytes, unless the client has gone."""
        if self._collecting:
            self._answers.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Dispatch every request that is complete, and send what they answer at once."""
        self._collecting = True
        try:
            self._receive(data)
        finally:
            self._collecting = False
            answers = self._answers
            if answers:
                self.write(answers[0] if len(answers) == 1 else b"".join(answers))
                answers.clear()

    def _receive(self, data: bytes) -> None:
        server = self._server
        if not self._pending:
            fast = server.control_batch.apply(server.world, data)
            if fast is not None:
                consumed, answer, do_tick = fast
                if do_tick:
                    server.tick_within_batch()
                self.write(answer)
                data = data[consumed:]
                if not data:
                    return
        unpacker = self._unpacker
        self._fed += len(data)
        try:
            unpacker.feed(data)
            for message in unpacker:
                self._dispatch(message)
            self._pending = unpacker.tell() != self._fed
        except (msgpack.exceptions.UnpackException, ValueError, RecursionError) as error:
            self._refuse(f"not msgpack-rpc: {error or type(error).__name__}")

    def _dispatch(self, message: Any) -> None:
        if type(message) is not list or len(message) not in (3, 4):
            raise ValueError(f"expected a request of 4 items, got {_brief(message)}")
        if message[0] == NOTIFY and len(message) == 3:
            message = [REQUEST, None, *message[1:]]
        kind, message_id, name, arguments = message
        if (
            kind != REQUEST
            or type(name) is not str
            or type(arguments) is not list
            or (message_id is not None and type(message_id) is not int)
        ):
            raise ValueError(f"expected [0, id, name, arguments], got {_brief(message)}")
        self.call(message_id, name, arguments[1:])  # Metadata is always argument 0

    def call(self, message_id: int | None, name: str, arguments: list[Any]) -> None:
        """Run one RPC and answer it.

        Args:
            message_id: of the request, None for a notification, which nobody waits for.
            name: of the RPC.
            arguments: without Metadata.
        """
        server = self._server
        entry = server.registry.get(name)
        if entry is None:
            server.count_unknown(name)
            self._answer(message_id, _pack_error(message_id or 0, Answer.VALUE, _unknown(name)))
            return
        try:
            entry.check(arguments)
            if self.link is not None and self.link.observe(name, message_id, entry):
                return
            if entry.deferred:
                entry.handler(server, Call(self, message_id or 0, entry), *arguments)
                return
            data = pack_answer(message_id or 0, entry.answer, entry.handler(server, *arguments))
        except (RpcError, SpawnError, BadArgument, KeyError, ValueError) as error:
            data = _pack_error(message_id or 0, entry.answer, _words(error))
        except Exception as error:  # a bug of ours must not silence the client
            traceback.print_exc(file=sys.stderr)
            words = f"{name}: the server failed, {type(error).__name__}: {error}"
            data = _pack_error(message_id or 0, entry.answer, words)
        self._answer(message_id, data)

    def _answer(self, message_id: int | None, data: bytes) -> None:
        if message_id is not None:
            self.write(data)

    def _refuse(self, reason: str) -> None:
        self._server.log(f"closing {self.peer[0]}:{self.peer[1]}: {reason}")
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


def _unknown(name: str) -> str:
    return f"rpc {name[:80]!r} is not implemented by this server; docs/rpc.md lists what is"


def _words(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
