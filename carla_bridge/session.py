"""Session: one class for every server, embedded or remote; leaves each world as it found it."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from types import FrameType

import carla

from carla_bridge.embedded import EmbeddedServer, ServerFailed
from carla_bridge.lane_graph import lane_graph
from headway.road.lane_graph import LaneGraph

DT = 0.05  # [s] of a tick: 20 Hz, as the suites run
RPC_TIMEOUT_S = 20.0  # [s] a real server may take to load a town
CLEANUP_TIMEOUT_S = 5.0  # [s] per call while we leave: a dead server must not keep us
TERMINATING = (signal.SIGTERM, signal.SIGHUP)


class SessionError(RuntimeError):
    """The server cannot be used; the message says what to do."""


class Session:
    """A connection to a CARLA server in synchronous mode; a context manager.

    Without `host` and `port` it starts the embedded headless server and ends it again. On every way
    out (the end of the `with` block, exceptions, Ctrl-C, SIGTERM, SIGHUP) it destroys what was
    spawned through it, restores the world's settings and town.

    Args:
        host: of a running server; `127.0.0.1` when only `port` is given.
        port: of a running server; 2000 when only `host` is given.
        town: to drive in; None keeps the town that a running server has, and is `grid` otherwise.
        seed: of the embedded server.
        dt: [s] of a tick.
        timeout_s: [s] allowed for each call.
        start_timeout_s: [s] allowed for the embedded server to start.
        progress: gets lines about what takes long.

    Raises:
        SessionError: nobody answers, the versions differ, or the town is not there.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        town: str | None = None,
        seed: int = 0,
        dt: float = DT,
        timeout_s: float = RPC_TIMEOUT_S,
        start_timeout_s: float = 300.0,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.dt = dt
        self._spawned: dict[int, carla.Actor | None] = {}
        self._settings_before: carla.WorldSettings | None = None
        self._town_before: str | None = None
        self._handlers_before: dict[int, object] = {}
        self._manager: tuple[carla.TrafficManager, int] | None = None
        self._closed = False
        self.server: EmbeddedServer | None = None
        self._catch_signals()
        try:
            if host is None and port is None:
                self.server = _start(town or "grid", seed, start_timeout_s, progress)
                host, port = self.server.host, self.server.port
            self.host, self.port = host or "127.0.0.1", port or 2000
            self._connect(timeout_s)
            self._open_town(town)
            self._set_synchronous()
        except BaseException:
            self.close()
            raise

    @property
    def embedded(self) -> bool:
        """Whether the server is ours alone."""
        return self.server is not None

    @property
    def town(self) -> str:
        """Name of the town without its folders, e.g. `Town01`."""
        return short_town(self.map.name)

    def own(self, actors: Iterable[carla.Actor | int]) -> None:
        """Destroy `actors` (or actor ids) when the session ends; sensors are stopped first."""
        for actor in actors:
            if isinstance(actor, int):
                self._spawned.setdefault(actor, None)
            else:
                self._spawned[actor.id] = actor

    def destroy(self, ids: Iterable[int] | None = None) -> None:
        """Destroy those of `ids` (default: all) that this session owns."""
        chosen = list(self._spawned) if ids is None else [i for i in ids if i in self._spawned]
        for actor in (self._spawned[i] for i in chosen):
            if isinstance(actor, carla.Sensor) and actor.is_listening:
                actor.stop()
        # Youngest first: sensors before the car that carries them.
        commands = [carla.command.DestroyActor(i) for i in sorted(chosen, reverse=True)]
        if commands:
            self.client.apply_batch_sync(commands, False)
        for i in chosen:
            self._spawned.pop(i, None)

    def traffic_manager(self) -> tuple[carla.TrafficManager, int]:
        """Return this session's traffic manager, synchronous, and its port; it ends with us."""
        if self._manager is None:
            port = free_port()
            manager = self.client.get_trafficmanager(port)
            manager.set_random_device_seed(0)
            manager.set_synchronous_mode(True)
            self._manager = manager, port
        return self._manager

    def tick(self) -> carla.WorldSnapshot:
        """Let one tick pass and return exactly its snapshot.

        Raises:
            SessionError: the server does not answer, or another client ticks as well.
        """
        try:
            frame = self.world.tick()
        except RuntimeError as error:
            raise SessionError(self._lost(error)) from error
        snapshot = self.world.get_snapshot()
        if snapshot.frame != frame:
            raise SessionError(
                f"asked for frame {frame} and found {snapshot.frame}: another client ticks this "
                "world too; only one may in synchronous mode"
            )
        return snapshot

    def close(self) -> None:
        """Put the world back as it was and end the embedded server; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        with _undisturbed():
            if self._settings_before is not None and self._reachable():
                self.client.set_timeout(CLEANUP_TIMEOUT_S)
                for undo in (
                    self._end_manager, self.destroy, self._restore_settings, self._restore_town,
                ):  # fmt: skip
                    # One failing step must not keep the next from being tried.
                    with contextlib.suppress(RuntimeError):
                        undo()
            if self.server is not None:
                self.server.close()
        self._release_signals()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _connect(self, timeout_s: float) -> None:
        where = f"{self.host}:{self.port}"
        # The client's own time-out is as long as loading a town takes; this fails at once.
        try:
            socket.create_connection((self.host, self.port), 5.0).close()
        except OSError as error:
            raise SessionError(
                f"no server listens at {where} ({error}): start one with "
                f"`headway serve --port {self.port}`, or leave host and port away to embed one"
            ) from error
        self.client = carla.Client(self.host, self.port)
        self.client.set_timeout(timeout_s)
        try:
            server = self.client.get_server_version()
        except RuntimeError as error:
            raise SessionError(f"what listens at {where} is no CARLA server: {error}") from error
        client = self.client.get_client_version()
        if _release(server) != _release(client):
            raise SessionError(
                f"the server at {where} is CARLA {server}, the installed client {client}: "
                "they must be the same release"
            )

    def _open_town(self, town: str | None) -> None:
        self.world = self.client.get_world()
        self.map = self.world.get_map()
        if town is not None and short_town(town) != self.town:
            before = self.map.name
            try:
                self.world = self.client.load_world(town)
            except RuntimeError as error:
                raise SessionError(f"town {town!r} cannot be loaded: {error}") from error
            self._town_before = before
            self.map = self.world.get_map()
        self.lane_graph: LaneGraph = lane_graph(self.town, self.map.to_opendrive())

    def _set_synchronous(self) -> None:
        self._settings_before = self.world.get_settings()
        settings = self.world.get_settings()
        settings.synchronous_mode = True
        settings.fixed_delta_seconds = self.dt
        settings.substepping = True
        settings.max_substep_delta_time = 0.01
        settings.max_substeps = max(1, round(self.dt / 0.01))
        self.world.apply_settings(settings)

    def _end_manager(self) -> None:
        """End the traffic manager: one that outlives its server ends the whole process later."""
        if self._manager is not None:
            self._manager[0].shut_down()
            self._manager = None

    def _restore_settings(self) -> None:
        if self._settings_before is not None:
            self.world.apply_settings(self._settings_before)

    def _restore_town(self) -> None:
        if self._town_before is not None and not self.embedded:
            self.client.load_world(self._town_before)

    def _reachable(self) -> bool:
        if self.server is not None:
            return self.server.alive
        try:
            socket.create_connection((self.host, self.port), 1.0).close()
        except OSError:
            return False
        return True

    def _lost(self, error: Exception) -> str:
        message = f"the server at {self.host}:{self.port} stopped answering: {error}"
        if self.server is not None and not self.server.alive:
            message += f"\nit has ended; its last words:\n{self.server.output()}"
        return message

    def _catch_signals(self) -> None:
        """Turn SIGTERM and SIGHUP into SystemExit, so that `with` blocks end as they should."""
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers in the main thread alone
        for number in TERMINATING:
            self._handlers_before[number] = signal.signal(number, _exit)

    def _release_signals(self) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._handlers_before.clear()


def short_town(name: str) -> str:
    """`Town01` of `/Game/Carla/Maps/Town01` or `Carla/Maps/Town01`."""
    return name.rsplit("/", 1)[-1]


def free_port(count: int = 1) -> int:
    """A port of 127.0.0.1 that nobody listens on, for a traffic manager.

    Args:
        count: how many ports in a row are to be free, from this one on.
    """
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            port = 0
            for offset in range(count):
                probe = stack.enter_context(socket.socket())
                probe.bind(("127.0.0.1", port + offset if offset else 0))
                port = port or probe.getsockname()[1]
            return port


def _release(version: str) -> tuple[str, ...]:
    """`0.9.16` of `0.9.16-3-gabcdef`."""
    return tuple(version.split("-", maxsplit=1)[0].split(".")[:3])


def _start(
    town: str, seed: int, timeout_s: float, progress: Callable[[str], None] | None
) -> EmbeddedServer:
    try:
        return EmbeddedServer(town, seed, timeout_s, progress)
    except ServerFailed as error:
        raise SessionError(str(error)) from error


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _undisturbed():
    """A second Ctrl-C while we put the world back must not leave it half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, *TERMINATING)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
