"""Streams: who listens to which, frames packed once and written to every listener."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from carla_bridge.headless.server import Server

WORLD_STREAM = 1
_LENGTH = struct.Struct("<I")
# A listener that does not read is cut off rather than kept in memory for ever.
MAX_BACKLOG_BYTES = 256 << 20
# What a free-running world may have in flight before it waits for its listeners.
BUSY_BACKLOG_BYTES = 1 << 20


class StreamHub:
    """Listeners by stream id.

    A connection whose stream ended stays open and silent: a client that is cut off connects
    again at once and for ever.
    """

    def __init__(self) -> None:
        self._listeners: dict[int, list[StreamConnection]] = {}
        self.ids: set[int] = set()

    def subscribe(self, stream_id: int, connection: StreamConnection) -> None:
        """Add a listener."""
        self._listeners.setdefault(stream_id, []).append(connection)
        self.ids.add(stream_id)

    def unsubscribe(self, stream_id: int, connection: StreamConnection) -> None:
        """Remove a listener that has gone."""
        listeners = self._listeners.get(stream_id, [])
        if connection in listeners:
            listeners.remove(connection)
        if not listeners:
            self._listeners.pop(stream_id, None)
            self.ids.discard(stream_id)

    def publish(self, stream_id: int, message: bytes) -> None:
        """Write one message to every listener of a stream."""
        listeners = self._listeners.get(stream_id)
        if not listeners:
            return
        data = _LENGTH.pack(len(message)) + message
        for connection in tuple(listeners) if len(listeners) > 1 else listeners:
            connection.write(data)

    def forget_sensors(self) -> None:
        """End every stream but the world's: their sensors went with the old world."""
        world = self._listeners.get(WORLD_STREAM)
        self._listeners.clear()
        self.ids.clear()
        if world:
            self._listeners[WORLD_STREAM] = world
            self.ids.add(WORLD_STREAM)

    @property
    def busy(self) -> bool:
        """Whether some listener of the world lags behind."""
        return any(c.backlog > BUSY_BACKLOG_BYTES for c in self._listeners.get(WORLD_STREAM, ()))


class StreamConnection(asyncio.Protocol):
    """The server's end of one stream: reads the id, then only writes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""
        self._stream_id: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.set_write_buffer_limits(high=MAX_BACKLOG_BYTES)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing."""
        self._transport = None
        if self._stream_id is not None:
            self._server.streams.unsubscribe(self._stream_id, self)

    def data_received(self, data: bytes) -> None:
        """Read the id of the stream; whatever follows is ignored."""
        if self._stream_id is not None:
            return
        self._received += data
        if len(self._received) < _LENGTH.size:
            return
        (stream_id,) = _LENGTH.unpack_from(self._received)
        self._stream_id = stream_id
        self._received = b""
        self._server.streams.subscribe(stream_id, self)
        if stream_id == WORLD_STREAM:
            message = self._server.episode_message()
            self.write(_LENGTH.pack(len(message)) + message)

    def pause_writing(self) -> None:
        """Cut off a listener that stopped reading."""
        self._server.log("closing a stream whose listener stopped reading")
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send a framed message."""
        if self._transport is not None:
            self._transport.write(data)

    @property
    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0
