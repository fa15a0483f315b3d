"""The registry of RPCs: handlers register themselves by name, with their arguments and status.

A handler is `def name(server, *arguments) -> value`, in a module of `handlers` by topic. What it
raises becomes the error that the client sees. A deferred handler gets a `Call` after the server
and answers through it, now or later.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import msgpack

from carla_bridge.headless.arguments import BadArgument, Kind

if TYPE_CHECKING:
    from carla_bridge.headless.connection import Connection

REQUEST, RESPONSE, NOTIFY = 0, 1, 2

_VOID_TAIL = b"\xc0\x91\x91\xc2"  # nil, [[false]]
_packer = msgpack.Packer(use_bin_type=True, autoreset=True, unicode_errors="surrogateescape")


def pack(value: Any) -> bytes:
    """Return `value` as message-pack."""
    return cast(bytes, _packer.pack(value))


class Status(StrEnum):
    """How far an RPC is implemented."""

    DONE = "done"
    STATE = "state only"  # kept and given back, without an effect on the simulation
    ERROR = "error"  # answers an error that says so


class Answer(StrEnum):
    """How a result is wrapped on the wire."""

    VALUE = "value"  # Response<T>: [[1, value]]
    VOID = "void"  # Response<void>: [[false]]
    RAW = "raw"  # unwrapped


class RpcError(RuntimeError):
    """What a handler raises to answer an error; the message is for the person at the client."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One entry of the registry.

    Attributes:
        name: on the wire.
        handler: the function.
        kinds: of its arguments, Metadata left out.
        num_required: how many of them must be there.
        answer: how its result is wrapped.
        status: how far it is implemented.
        note: what to know about it, for the docs.
        deferred: whether the handler answers by itself.
        topic: the module that it stands in.
    """

    name: str
    handler: Callable[..., Any]
    kinds: tuple[Kind, ...]
    num_required: int
    answer: Answer
    status: Status
    note: str
    deferred: bool
    topic: str

    def check(self, arguments: list[Any]) -> list[Any]:
        """Return the arguments checked, extra ones dropped.

        Raises:
            BadArgument: count or type is wrong; says which argument of which RPC.
        """
        kinds = self.kinds
        if len(arguments) != len(kinds):
            if not self.num_required <= len(arguments) <= len(kinds):
                wanted = ", ".join(kind.name for kind in kinds) or "none"
                raise BadArgument(
                    f"{self.name}: expected {self._count()} arguments ({wanted}), "
                    f"got {len(arguments)}"
                )
            kinds = kinds[: len(arguments)]
        index = 0
        try:
            for index, kind in enumerate(kinds):
                arguments[index] = kind.check(arguments[index])
        except BadArgument as error:
            raise BadArgument(f"{self.name}: argument {index + 1}: {error}") from None
        return arguments

    def _count(self) -> str:
        if self.num_required == len(self.kinds):
            return str(self.num_required)
        return f"{self.num_required} to {len(self.kinds)}"


REGISTRY: dict[str, Rpc] = {}


def rpc(
    name: str,
    *kinds: Kind,
    answer: Answer = Answer.VALUE,
    status: Status = Status.DONE,
    note: str = "",
    optional: int = 0,
    deferred: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the handler of an RPC.

    Args:
        name: on the wire.
        kinds: of its arguments.
        answer: how the result is wrapped.
        status: how far it is implemented.
        note: for the docs.
        optional: how many of the last arguments may be missing.
        deferred: whether the handler takes a `Call` and answers by itself.

    Raises:
        ValueError: the name is taken.
    """

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        if name in REGISTRY:
            raise ValueError(f"rpc {name!r} is registered twice")
        topic = handler.__module__.rsplit(".", 1)[-1]
        num_required = len(kinds) - optional
        REGISTRY[name] = Rpc(
            name, handler, kinds, num_required, answer, status, note, deferred, topic
        )
        return handler

    return register


def not_implemented(names: dict[str, Answer], kinds_of: str, reason: str) -> None:
    """Register names that answer an error.

    Args:
        names: name on the wire to the way its error is wrapped.
        kinds_of: module whose topic they belong to, `__name__`.
        reason: completes "<name>: ", says what is missing and what to use.
    """
    for name, answer in names.items():

        def refuse(server: Any, *_: Any, name: str = name) -> None:
            raise RpcError(f"{name}: {reason}")

        refuse.__module__ = kinds_of
        rpc(name, *(_ANYTHING,) * 8, optional=8, answer=answer, status=Status.ERROR, note=reason)(
            refuse
        )


_ANYTHING = Kind("any", lambda value: value)


def load_handlers() -> dict[str, Rpc]:
    """Import every module of `handlers` and return the registry."""
    package = importlib.import_module("carla_bridge.headless.handlers")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return REGISTRY


def pack_answer(message_id: int, answer: Answer, value: Any) -> bytes:
    """Return the bytes of a result."""
    if answer is Answer.VOID:
        return b"\x94\x01" + pack(message_id) + _VOID_TAIL
    if answer is Answer.VALUE:
        value = ((1, value),)
    return pack((RESPONSE, message_id, None, value))


def pack_error(message_id: int, answer: Answer, message: str) -> bytes:
    """Return the bytes of an error, in the wrapping that the caller expects of this RPC."""
    if answer is Answer.VOID:
        return pack((RESPONSE, message_id, None, ((True, (message,)),)))
    return pack((RESPONSE, message_id, None, ((0, (message,)),)))


class Call:
    """An RPC that is to be answered, once, by whoever holds this.

    Attributes:
        connection: whom to answer.
        message_id: of the request.
        rpc: what was called.
    """

    __slots__ = ("connection", "message_id", "rpc")

    def __init__(self, connection: Connection, message_id: int, entry: Rpc) -> None:
        self.connection = connection
        self.message_id = message_id
        self.rpc = entry

    def answer(self, value: Any = None) -> None:
        """Send the result."""
        self.connection.write(pack_answer(self.message_id, self.rpc.answer, value))

    def fail(self, message: str) -> None:
        """Send an error."""
        self.connection.write(pack_error(self.message_id, self.rpc.answer, message))
