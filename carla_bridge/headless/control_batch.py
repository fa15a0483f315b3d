"""The hottest message of all, read without Python: a batch that only controls vehicles.

A client that drives a hundred cars sends one `apply_batch` of a hundred `ApplyVehicleControl`
every tick. Decoded by message-pack and walked in Python that costs more than the physics; here two
kernels read the bytes, set the controls and write the answer. Whatever does not fit to the last
byte (another command among them, an unknown actor, a message that is not complete) is left, with
nothing changed, to the general way, whose answer is the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from carla_bridge.headless.commands import Command
from carla_bridge.headless.rpc import pack
from carla_bridge.headless.world import World
from headway.types import Array

CAPACITY = 4096  # commands
_ITEM_BYTES = 8  # [[1, id]] with the id as u32
_PREFIX = b"\xab" + b"apply_batch" + b"\x93\x91"
NAME = np.frombuffer(_PREFIX, np.uint8)  # name, 3 arguments, the first of them [asynchronous]
BEGIN = b"\x94\x00"
_CONTROL = int(Command.APPLY_VEHICLE_CONTROL)

# First bytes of message-pack's encodings.
_ARRAY_16, _ARRAY_32 = 0xDC, 0xDD
_UINT_8, _UINT_16, _UINT_32 = 0xCC, 0xCD, 0xCE
_INT_8, _INT_16, _INT_32 = 0xD0, 0xD1, 0xD2
_FLOAT_32 = 0xCA
_FALSE, _TRUE = 0xC2, 0xC3


@njit(cache=True)
def _big_endian(data: Array, at: int, size: int) -> int:
    value = 0
    for k in range(size):
        value = (value << 8) | data[at + k]
    return value


@njit(cache=True)
def _read_integer(data: Array, at: int):
    """(value, position behind it); the position is -1 where no integer stands."""
    if at >= data.shape[0]:
        return 0, -1
    first = data[at]
    if first < 0x80:
        return int(first), at + 1
    if first >= 0xE0:
        return int(first) - 256, at + 1
    size, signed = 0, False
    if _UINT_8 <= first <= _UINT_32:
        size = 1 << (first - _UINT_8)
    elif _INT_8 <= first <= _INT_32:
        size, signed = 1 << (first - _INT_8), True
    if size == 0 or at + 1 + size > data.shape[0]:
        return 0, -1
    value = _big_endian(data, at + 1, size)
    if signed and value >= 1 << (8 * size - 1):
        value -= 1 << (8 * size)
    return value, at + 1 + size


@njit(cache=True)
def _read_count(data: Array, at: int):
    """(items of an array, position behind its header), as above."""
    if at >= data.shape[0]:
        return 0, -1
    first = data[at]
    if 0x90 <= first <= 0x9F:
        return int(first) - 0x90, at + 1
    size = 2 if first == _ARRAY_16 else 4 if first == _ARRAY_32 else 0
    if size == 0 or at + 1 + size > data.shape[0]:
        return 0, -1
    return _big_endian(data, at + 1, size), at + 1 + size


@njit(cache=True)
def _is_flag(data: Array, at: int) -> bool:
    return 0 <= at < data.shape[0] and (data[at] == _FALSE or data[at] == _TRUE)


@njit(cache=True)
def _read_head(data: Array, at: int, name: Array):
    """(number of commands, position behind the head), as above."""
    if at < 0 or at + name.shape[0] > data.shape[0]:
        return 0, -1
    for k in range(name.shape[0]):
        if data[at + k] != name[k]:
            return 0, -1
    at += name.shape[0]
    return _read_count(data, at + 1) if _is_flag(data, at) else (0, -1)


@njit(cache=True)
def _read_control(data: Array, at: int, out: Array, bits: Array, number: Array) -> int:
    """Read the seven fields of a control; the position behind them or -1.

    Args:
        data: the message.
        at: where their array begins, -1 for nowhere.
        out: (7,) throttle, steer, brake, hand brake, reverse, manual, gear.
        bits, number: one word of work space, as uint32 and as float32.
    """
    if at < 0 or at + 20 > data.shape[0] or data[at] != 0x97:
        return -1
    at += 1
    for k in range(3):
        if data[at] != _FLOAT_32:
            return -1
        bits[0] = _big_endian(data, at + 1, 4)
        out[k] = number[0]
        at += 5
    for k in range(3, 6):
        if data[at] != _FALSE and data[at] != _TRUE:
            return -1
        out[k] = data[at] == _TRUE
        at += 1
    gear, at = _read_integer(data, at)
    out[6] = gear
    return at


@njit(cache=True)
def read_batch(data: Array, name: Array, ids: Array, controls: Array, bits: Array, number: Array):
    """Read a batch of vehicle controls.

    Args:
        data: (n,) uint8, from the beginning of a message on.
        name: `NAME`.
        ids: (CAPACITY,) int64, receives the actors.
        controls: (CAPACITY, 7), receives their controls as they came.
        bits, number: work space.

    Returns:
        bytes that the message has (-1: it is something else, or not complete), its id, the number
        of commands, and whether a tick is asked for.
    """
    message_id, at = _read_integer(data, 2)
    count, at = _read_head(data, at, name)
    if at < 0 or count == 0 or count > ids.shape[0]:
        return -1, 0, 0, False
    for i in range(count):
        # [[2, [actor, [control]]]]
        if at + 4 > data.shape[0] or data[at] != 0x91 or data[at + 1] != 0x92:
            return -1, 0, 0, False
        if data[at + 2] != _CONTROL or data[at + 3] != 0x92:
            return -1, 0, 0, False
        ids[i], at = _read_integer(data, at + 4)
        at = _read_control(data, at, controls[i], bits, number)
        if at < 0:
            return -1, 0, 0, False
    if not _is_flag(data, at):
        return -1, 0, 0, False
    return at + 1, message_id, count, data[at] == _TRUE


@njit(cache=True)
def write_answers(ids: Array, count: int, out: Array) -> None:
    """Write [[1, id]] for each command.

    Args:
        ids: actors.
        count: how many of them.
        out: uint8, receives 8 bytes for each.
    """
    for i in range(count):
        at = 8 * i
        out[at], out[at + 1], out[at + 2], out[at + 3] = 0x91, 0x92, 0x01, _UINT_32
        for k in range(4):
            out[at + 4 + k] = (ids[i] >> (24 - 8 * k)) & 0xFF


class ControlBatch:
    """Reads batches of vehicle controls straight into a world."""

    def __init__(self) -> None:
        self._ids = np.zeros(CAPACITY, np.int64)
        self._controls = np.zeros((CAPACITY, 7))
        self._bits = np.zeros(1, np.uint32)
        self._number = self._bits.view(np.float32)
        self._items = np.zeros(CAPACITY * _ITEM_BYTES, np.uint8)

    def apply(self, world: World, data: bytes) -> tuple[int, bytes, bool] | None:
        """Apply one message.

        Args:
            world: whose vehicles it drives.
            data: begins with a message.

        Returns:
            bytes that were consumed, the answer, whether a tick is asked for; or None with nothing
            changed where the message is not of this kind.
        """
        if not data.startswith(BEGIN):
            return None
        ids, controls = self._ids, self._controls
        consumed, message_id, count, do_tick = read_batch(
            np.frombuffer(data, np.uint8), NAME, ids, controls, self._bits, self._number
        )
        if consumed < 0 or not world.apply_vehicle_controls(ids, controls, count):
            return None
        write_answers(ids, count, self._items)
        head = b"\x94\x01" + pack(message_id) + b"\xc0\xdd" + count.to_bytes(4, "big")
        return consumed, head + self._items[: count * _ITEM_BYTES].tobytes(), do_tick
