"""The headless CARLA server: sockets, the tick, and the change of worlds."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgpack
import uvloop

from carla_bridge.headless.clock import FRAME_S, Clock
from carla_bridge.headless.connection import Connection
from carla_bridge.headless.control_batch import ControlBatch
from carla_bridge.headless.rpc import Call, load_handlers
from carla_bridge.headless.streams import WORLD_STREAM, StreamConnection, StreamHub
from carla_bridge.headless.towns import Town, load_town, town_from_xodr
from carla_bridge.headless.traffic_manager import TrafficManagerLink
from carla_bridge.headless.world import World, warm_world
from carla_bridge.headless.world_change import change_world, tidy_memory

VERSION = "0.9.16"
GENERATED_TOWN = "OpenDriveMap"  # the name under which clients load what they sent as OpenDRIVE
BUSY_S = 1e-3
PORT_TRIES = 50


# Stream, port, TCP, and no address: clients then take the one under which they reached us, which
# is right through containers and tunnels too.
_TOKEN = struct.Struct("<IHBB16x")


class PortTaken(RuntimeError):
    """The port, or the one after it for the streams, cannot be had."""


class Server:
    """One world and everybody who is connected to it.

    Attributes:
        world: the simulation.
        registry: RPCs by name.
        control_batch: the short way of batches that only control vehicles.
        connections: RPC connections that are open.
        streams: who listens to which stream.
        links: traffic managers in clients.
        traffic_managers: port to (host, port) as registered by clients.
        generated_town: what a client sent as OpenDRIVE, or None.
        ros_streams: streams that a client wants on ROS; kept, nothing more.
        unknown: how often which RPC was asked for that does not exist.
        port: of the RPCs; streams are on the next one.
        num_changes: of worlds that are under way: time stands still and nothing is published.
    """

    def __init__(
        self,
        town: Town,
        port: int,
        host: str = "127.0.0.1",
        max_realtime_factor: float | None = None,
        seed: int = 0,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.port = port
        self.host = host
        self.clock = Clock(max_realtime_factor)
        self.registry = load_handlers()
        self.connections: set[Connection] = set()
        self.streams = StreamHub()
        self.links: set[TrafficManagerLink] = set()
        self.traffic_managers: dict[int, tuple[str, int]] = {}
        self.generated_town: Town | None = None
        self.ros_streams: set[int] = set()
        self.unknown: Counter[str] = Counter()
        self.control_batch = ControlBatch()
        self._seed = seed
        self._log = log
        self._free_running = asyncio.Event()
        self.num_changes = 0
        self._changes: set[asyncio.Task[None]] = set()
        warm_up(town)
        self.world = World(town, seed)
        self.adopt(self.world)
        tidy_memory()

    def log(self, message: str) -> None:
        """Tell the person at the terminal."""
        if self._log is not None:
            self._log(f"headway server: {message}")

    def count_unknown(self, name: str) -> None:
        """Remember, and say once, that an RPC is missing."""
        self.unknown[name] += 1
        if self.unknown[name] == 1 and len(self.unknown) < 100:
            self.log(f"rpc {name[:80]!r} is not implemented")

    @property
    def synchronous(self) -> bool:
        """Whether the world waits for ticks."""
        return bool(self.world.settings[0])

    # Time.

    def request_tick(self, call: Call) -> None:
        """Step once for a client, as soon as the cap allows, and answer with the frame."""
        delay = self.clock.delay()
        if delay > 0.0 and self.synchronous:
            asyncio.get_running_loop().call_later(delay, self._tick, call)
        else:
            self._tick(call)

    def _tick(self, call: Call) -> None:
        if not call.connection.open:  # killed while it waited
            return
        if self.num_changes:
            # A client that loads a world ticks while it waits: not the new world, whose first
            # tick is the user's.
            call.answer(self.world.frame)
            return
        if self.synchronous:  # an asynchronous world goes on by itself
            self.step()
        self.answer_after_traffic_manager(call)

    def answer_after_traffic_manager(self, call: Call, may_idle: bool = False) -> None:
        """Answer with the frame, in the order that the client's traffic manager needs."""
        own = call.connection.link
        for link in self.links:
            if link is not own:
                link.leave_alone()
        if own is None:
            call.answer(self.world.frame)
        else:
            own.hold(call, self.world.frame, may_idle)

    def tick_within_batch(self) -> None:
        """Step because a batch asked for it."""
        if self.synchronous and not self.num_changes:
            self.step()
            for link in tuple(self.links):
                link.frame_published()

    def step(self) -> None:
        """Advance the world by one step and publish it."""
        delta = self.clock.step(self.fixed_delta)
        self.world.step(delta)
        self.publish(delta)

    def publish(self, delta: float) -> None:
        """Send the world's state and what its sensors saw to everyone who listens."""
        streams = self.streams
        for stream_id, message in self.world.sensor_messages():
            streams.publish(stream_id, message)
        if WORLD_STREAM in streams.ids:
            streams.publish(WORLD_STREAM, self.world.episode_message(delta))

    def publish_state(self) -> None:
        """Send the world's state out of turn, without what sensors saw."""
        if WORLD_STREAM in self.streams.ids and not self.num_changes:
            self.streams.publish(WORLD_STREAM, self.episode_message())

    def episode_message(self) -> bytes:
        """Return the world's current state, for who has just subscribed."""
        return self.world.episode_message(self.fixed_delta)

    @property
    def fixed_delta(self) -> float:
        """[s] of the settings, 0 for variable."""
        delta = self.world.settings[2]
        return float(delta[1]) if delta[0] else 0.0

    def apply_settings(self, settings: list[Any]) -> None:
        """Take new settings and publish a frame that carries them; nothing moves in it."""
        self.world.settings = settings
        self.world.frame += 1
        self.publish_state()
        self._follow_settings()

    def _follow_settings(self) -> None:
        if self.synchronous:
            self._free_running.clear()
        else:
            self._free_running.set()

    async def run_asynchronous(self) -> None:
        """Step the world whenever it is asynchronous: with the wall clock, or as fast as it can."""
        while True:
            await self._free_running.wait()
            if self.fixed_delta > 0.0:
                await asyncio.sleep(BUSY_S if self.streams.busy else self.clock.delay())
            else:
                await asyncio.sleep(FRAME_S)
            if not self.synchronous and not self.num_changes:
                self.step()
                for link in tuple(self.links):
                    link.frame_published()

    # Worlds.

    def prepare_world(self, name: str) -> World:
        """Build a world, without changing to it.

        Args:
            name: of a town, empty for the current one.

        Raises:
            ValueError: the town is not there or broken; says what to do.
        """
        base = name.rsplit("/", 1)[-1]
        if not base:
            town = self.world.town
        elif base == GENERATED_TOWN:
            if self.generated_town is None:
                raise ValueError(
                    f"{GENERATED_TOWN}: nothing was generated yet; "
                    "call client.generate_opendrive_world(...) first"
                )
            town = self.generated_town
        elif base == self.world.town.name:
            town = self.world.town
        else:
            town = load_town(name)
        # Ids go on from world to world, as CARLA's do: a client that asks for actors while the
        # world changes keeps what it is told by id, and would take new actors for old ones.
        return World(town, self._seed, self.world.next_id)

    def accept_opendrive(self, xodr: str) -> None:
        """Keep an OpenDRIVE file for a `load_new_episode` that follows.

        Raises:
            ValueError: it is broken; the current world stays.
        """
        self.generated_town = town_from_xodr(GENERATED_TOWN, xodr)

    def change_world(self, call: Call, world: World, reset_settings: bool) -> None:
        """Answer the caller and change to a prepared world, both shortly after."""
        change = change_world(self, call, world, reset_settings)
        task = asyncio.get_running_loop().create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    def adopt(self, world: World) -> None:
        """Make a world the one that is simulated."""
        self.world = world
        world.sensor_listeners = self.streams.ids
        self._follow_settings()

    def token(self, stream_id: int) -> bytes:
        """Return the 24 bytes with which a client finds a stream."""
        return _TOKEN.pack(stream_id, self.port + 1, 1, 0)


def warm_up(town: Town) -> None:
    """Compile, or load from the cache, what a step needs, before a client's time-out runs."""
    world = World(town)
    model = next(b for b in world.blueprints if b[1] == "vehicle.tesla.model3")
    x, y, z, pitch, yaw, roll = (float(v) for v in town.spawn_points[0])
    car = world.spawn([model[0], model[1], []], [[x, y, z], [pitch, yaw, roll]], None, 0, "")
    control = [0.5, 0.0, 0.0, False, False, False, 0]
    request = [0, 1, "apply_batch", [[False], [[[2, [car[0], control]]]], False]]
    packer = msgpack.Packer(use_single_float=True)
    if ControlBatch().apply(world, packer.pack(request)) is None:
        raise RuntimeError("the short way of vehicle controls does not know the wheel's bytes")
    warm_world(town)


def bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Bind the RPC port and the streams' port after it.

    Args:
        host: address to listen on.
        port: 0 for any free pair.

    Raises:
        PortTaken: says which port is taken and what to do.
    """
    for _ in range(PORT_TRIES):
        first = _bind(host, port)
        number = first.getsockname()[1]
        try:
            return first, _bind(host, number + 1)
        except PortTaken:
            first.close()
            if port:
                raise
    raise PortTaken(f"found no free pair of ports on {host}")


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise PortTaken(f"port {port}: expected 0 to 65534, the streams take the one after it")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(100)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} on {host} is taken; stop what listens there or choose another --port"
            ) from None
        raise PortTaken(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return sock


def serve(
    port: int,
    town: str | Town,
    host: str = "127.0.0.1",
    max_realtime_factor: float | None = None,
    seed: int = 0,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted.

    Args:
        port: of the RPCs, the streams take the next one; 0 for any free pair.
        town: name, or a town that is loaded already.
        host: address to listen on.
        max_realtime_factor: cap on simulated seconds per wall second, None for none.
        seed: of the world's randomness.
        announce: told once when the server is ready, and what goes wrong later.

    Raises:
        PortTaken: the port cannot be had.
        ValueError: the town is not there or broken.
    """
    rpc_socket, stream_socket = bind_pair(host, port)
    number = rpc_socket.getsockname()[1]
    with rpc_socket, stream_socket:
        place = load_town(town) if isinstance(town, str) else town

        async def run() -> None:
            server = Server(place, number, host, max_realtime_factor, seed, _log_to_stderr)
            await _run(server, rpc_socket, stream_socket, announce)

        uvloop.run(run())


async def _run(
    server: Server,
    rpc_socket: socket.socket,
    stream_socket: socket.socket,
    announce: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread may do so; elsewhere the caller ends us by other means.
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    await loop.create_server(lambda: Connection(server), sock=rpc_socket)
    await loop.create_server(lambda: StreamConnection(server), sock=stream_socket)
    gc.set_threshold(20_000, 20, 100)
    free_running = loop.create_task(server.run_asynchronous())
    announce(
        f"headway server: listening on {server.host}:{server.port} "
        f"(streams {server.port + 1}), town {server.world.town.name}"
    )
    sys.stdout.flush()
    waiting = loop.create_task(stop.wait())
    await asyncio.wait({waiting, free_running}, return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, free_running):
        task.cancel()
    if free_running.done() and not free_running.cancelled():
        free_running.result()


def _log_to_stderr(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
