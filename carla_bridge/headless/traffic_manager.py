"""The traffic manager that lives inside a client, and the order that keeps it from sleeping.

CARLA's traffic manager (TM) runs a worker thread in the client's process. Its loop reads
`get_episode_settings`, waits (when synchronous) for the user's next tick on a condition variable
without a time-out, steps (`get_vehicle_light_states`, `get_weather_parameters`, `apply_batch`) and
notifies the thread that ticks, which waits in the same way. Either notification can be lost, and
then both sleep for ever. This server makes that impossible by an order of answers:

1. `tick_cue` steps the world and publishes the frame, but is not answered yet. The worker, whose
   `get_episode_settings` was left unanswered ("parked"), is released.
2. The worker steps and comes back with its next `get_episode_settings`, which is parked. Only now
   is `tick_cue` answered: neither thread ever waits on its condition variable, and the TM's
   commands land before the next tick.
3. A `get_episode_settings` while every worker is parked is the user's: answered at once.
4. A worker that stays silent is asleep already (it has no permission to step yet): it gets a kick
   over the TM's own RPC port, synchronous mode off and on, which is what wakes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgpack

from carla_bridge.headless.rpc import Call, Rpc, pack

if TYPE_CHECKING:
    from carla_bridge.headless.connection import Connection
    from carla_bridge.headless.server import Server

SILENCE_S = 0.25  # before a kick; needed about once per start, load or change of mode
SILENCE_AFTER_SLIP_S = 0.02  # the worker is known to sleep
PARK_SYNCHRONOUS_S = 1.0  # what the client's own time-outs bear
PARK_UNKNOWN_S = 0.02  # an asynchronous TM polls: hold it only shortly
RETRY_S = 2e-4
POLLING_S = 0.1  # a worker that polls so long without a step made it just before its release
IMMEDIATE_RETRIES = 5
MAX_KICKS = 20
RECONNECT_S = 1.0  # for the TM's port to answer
GUARD_S = 1e-3  # delay of each answer where that port cannot be reached
ASLEEP_S = 0.3  # for a worker to come back before a world is loaded


class Mode(Enum):
    """What is known of a traffic manager's mode."""

    UNKNOWN = 0
    SYNCHRONOUS = 1
    ASYNCHRONOUS = 2


class Release(Enum):
    """Why the workers were let go."""

    NONE = 0
    TICK = 1
    PARKED_LONG = 2
    FRAME = 3
    LOAD = 4


class TrafficManagerLink:
    """What the server knows of the traffic managers behind one connection.

    Attributes:
        ports: on which their own RPC servers listen, one per traffic manager.
        counts: what happened how often, for the curious and the tests.
    """

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.ports: set[int] = set()
        self.counts: Counter[str] = Counter()
        self._reachable = True
        self._closed = False
        self._loading = 0
        self._all_came = asyncio.Event()  # set while every worker is parked
        self._mode = Mode.UNKNOWN
        self._may_step = False  # whether the last tick gave the worker its permission
        self._parked: list[Call] = []
        self._released = Release.NONE
        self._num_steps = 0  # since the release
        self._fresh = False  # whether every worker was released, or asleep, after the held frame
        self._held: tuple[Call, Any] | None = None
        self._held_may_idle = False
        self._held_since = 0.0  # [s] of the loop's clock
        self._num_ticks = 0
        self._num_retries = 0
        self._num_kicks = 0
        self._timer: asyncio.TimerHandle | None = None
        self._kicking: asyncio.Task[None] | None = None
        self._sockets: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        server.links.add(self)

    # What the connection and the handlers report.

    def observe(self, name: str, message_id: int | None, entry: Rpc) -> bool:
        """See an RPC of this client go by; true if it is taken and will be answered later."""
        if name == "get_weather_parameters":
            self._num_steps += 1
        elif name == "get_episode_settings" and message_id is not None:
            return self._park(Call(self._connection, message_id, entry))
        return False

    def hold(self, call: Call, value: Any, may_idle: bool = False) -> None:
        """Answer a tick once the workers have stepped.

        Args:
            call: the tick, whose frame is published already.
            value: its answer.
            may_idle: whether a worker may come back without a step (a change of settings).
        """
        if not self._reachable:
            self._loop.call_later(GUARD_S, call.answer, value)
            return
        if self._loading or self._held is not None or self._closed:
            call.answer(value)
            return
        self._held = (call, value)
        self._held_may_idle = may_idle
        self._held_since = self._loop.time()
        self._num_ticks += 1
        self._num_retries = self._num_kicks = 0
        if not self._server.synchronous and not may_idle:
            self._answer_held()
            return
        self._released = Release.TICK
        self._fresh = False
        self._let_step()

    def frame_published(self) -> None:
        """Let the workers go on with a frame that nobody of this client waits for."""
        if self._held is None and not self._loading and self._parked:
            self._released = Release.FRAME
            self._release()

    def leave_alone(self) -> None:
        """Another client has ticked a synchronous world: only polling workers want the frame."""
        if self._mode is not Mode.SYNCHRONOUS:
            self.frame_published()

    def hold_for_load(self) -> None:
        """Release no worker until `world_loaded`: their client will be without an episode."""
        self._loading += 1
        self._disarm()
        if self._held is not None:
            call, value = self._held
            self._held = None
            call.answer(value)

    async def at_rest(self) -> None:
        """Wait until every worker is parked; only then may its client's episode be taken away."""
        if self._all_parked or self._closed:
            return
        try:
            async with asyncio.timeout(ASLEEP_S):
                await self._all_came.wait()
        except TimeoutError:  # one that sleeps does not come, and does no harm
            self.counts["asleep_at_load"] += 1

    def world_loaded(self) -> None:
        """Let the workers go, now that the new world is out."""
        self._loading -= 1
        if self._loading or self._closed:
            return
        self._mode = Mode.UNKNOWN
        self._may_step = False
        self._released = Release.LOAD
        self._release()

    def remove(self, port: int) -> None:
        """One of several traffic managers of this client has ended."""
        self.ports.discard(port)
        if port in self._sockets:
            self._sockets.pop(port)[1].close()
        if self.ports and self._held is not None and self._all_parked:
            self._came_back_in_tick()

    def close(self) -> None:
        """The client, or its last traffic manager, has gone: nobody is left to wait for."""
        self._closed = True
        self._disarm()
        self._release()
        self._server.links.discard(self)
        if self._held is not None:
            call, value = self._held
            self._held = None
            call.answer(value)
        if self._kicking is not None:
            self._kicking.cancel()
        for _, writer in self._sockets.values():
            writer.close()
        self._sockets.clear()

    # Parking.

    @property
    def _all_parked(self) -> bool:
        return len(self._parked) >= len(self.ports)

    def _park(self, call: Call) -> bool:
        if self._closed or self._all_parked or not (self._reachable or self._loading):
            return False
        self._parked.append(call)
        if not self._all_parked:
            return True
        self._all_came.set()
        if self._loading:
            return True
        if self._held is not None:
            self._came_back_in_tick()
        else:
            if self._released is Release.PARKED_LONG:
                if self._num_steps:
                    self.counts["slips"] += 1
                    self._mode = Mode.SYNCHRONOUS
                    self._may_step = False
                else:
                    self._mode = Mode.ASYNCHRONOUS
            self._rest()
        return True

    def _came_back_in_tick(self) -> None:
        polls = self._loop.time() - self._held_since > POLLING_S
        if self._fresh and (self._num_steps or self._held_may_idle or polls):
            self._answer_held()
        elif self._kicking is None:
            # It left before the frame was out, or polls and has not received it yet: once more.
            self.counts["frame_not_seen"] += 1
            self._num_retries += 1
            if self._mode is Mode.UNKNOWN and self._released is Release.TICK:
                self._mode = Mode.ASYNCHRONOUS
            delay = 0.0 if self._num_retries < IMMEDIATE_RETRIES else RETRY_S
            self._loop.call_later(delay, self._let_step)

    def _release(self) -> None:
        if not self._parked:
            return
        parked, self._parked = self._parked, []
        self._all_came.clear()
        self._num_steps = 0
        settings = self._server.world.settings
        for call in parked:
            call.answer(settings)

    def _rest(self) -> None:
        long = self._mode is Mode.SYNCHRONOUS
        self._arm(PARK_SYNCHRONOUS_S if long else PARK_UNKNOWN_S, self._parked_long)

    def _parked_long(self) -> None:
        """Nobody ticks; let go before the client's time-out ends the worker."""
        self._timer = None
        self._released = Release.PARKED_LONG
        could_step = self._mode is Mode.SYNCHRONOUS and self._may_step
        if self._mode is Mode.SYNCHRONOUS:
            self._may_step = False
        self._release()
        if could_step:
            self._loop.call_later(SILENCE_S, self._wake_unless_stepped, self._num_ticks)

    def _wake_unless_stepped(self, tick: int) -> None:
        """A second thread of the user may have been taken for the worker: then it sleeps."""
        idle = self._held is None and not self._num_steps and self._num_ticks == tick
        idle = idle and not self._loading
        if idle and not self._closed and not self._parked and self._kicking is None:
            self.counts["backstop"] += 1
            self._kicking = self._loop.create_task(self._kick_all())

    # The tick that is held.

    def _let_step(self) -> None:
        if self._held is None:
            return
        if self._all_parked:
            self._fresh = True
        self._release()
        known_asleep = self._mode is Mode.SYNCHRONOUS and not self._may_step
        self._arm(SILENCE_AFTER_SLIP_S if known_asleep else SILENCE_S, self._silent)

    def _silent(self) -> None:
        self._timer = None
        if self._held is None or self._kicking is not None:
            return
        self._num_kicks += 1
        self.counts["kicks"] += 1
        if not self._all_parked:
            self._fresh = True
        if self._num_kicks > MAX_KICKS:
            self.counts["gave_up"] += 1
            self._server.log(f"traffic manager of {self._connection.peer[0]} does not step")
            self._answer_held()
            return
        self._kicking = self._loop.create_task(self._kick_all())

    def _answer_held(self) -> None:
        if self._held is None:
            return
        call, value = self._held
        self._held = None
        self._may_step = True
        call.answer(value)
        if self._all_parked:
            self._rest()
        else:
            self._arm(PARK_SYNCHRONOUS_S, self._parked_long)

    # Kicks.

    async def _kick_all(self) -> None:
        for port in tuple(self.ports):
            if not await self._kick(port):
                self._reachable = False
                self.counts["unreachable"] += 1
                self._server.log(
                    f"traffic manager at {self._connection.peer[0]}:{port} cannot be reached: "
                    f"its ticks are answered {GUARD_S * 1e3:g} ms late instead"
                )
        self._kicking = None
        self._mode = Mode.SYNCHRONOUS
        if not self._reachable and not self._loading:
            self._release()
        if self._held is None:
            return
        done = self._all_parked and self._fresh and (self._num_steps or self._held_may_idle)
        if done or not self._reachable:
            self._answer_held()
        else:
            self._let_step()

    async def _kick(self, port: int) -> bool:
        """Switch one traffic manager's synchronous mode off and on; false if it is out of reach."""
        requests = b"".join(
            pack([0, message_id, "set_synchronous_mode", [mode]])
            for message_id, mode in ((1, False), (2, True))
        )
        try:
            async with asyncio.timeout(RECONNECT_S):
                if port not in self._sockets:
                    # The address that the client registered may be one of its own network.
                    host = self._connection.peer[0]
                    self._sockets[port] = await asyncio.open_connection(host, port)
                reader, writer = self._sockets[port]
                writer.write(requests)  # in one write: the worker must not see "off" for long
                unpacker, num_answers = msgpack.Unpacker(), 0
                while num_answers < 2:
                    data = await reader.read(4096)
                    if not data:
                        raise ConnectionError("closed")
                    unpacker.feed(data)
                    num_answers += sum(1 for _ in unpacker)
            return True
        except (OSError, TimeoutError, ValueError, msgpack.exceptions.UnpackException):
            with contextlib.suppress(KeyError):
                self._sockets.pop(port)[1].close()
            return False

    def _arm(self, delay: float, action: Any) -> None:
        self._disarm()
        self._timer = self._loop.call_later(delay, action)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
