"""What arrives in an RPC's arguments: one small check per wire type, each naming what is wrong.

A check takes the decoded msgpack value and returns it, or raises `BadArgument`. The world behind
may then rely on shapes and types; values that are of the right type and still unphysical (NaN,
infinite) never pass here either, except in controls, whose sanitising is the world's (the traffic
manager does send NaN brakes and must not be refused).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

MAX_ID = 0xFFFFFFFF


class BadArgument(ValueError):
    """An argument of an RPC has the wrong type, shape or value; the message says which."""


@dataclass(frozen=True)
class Kind:
    """A wire type.

    Attributes:
        name: for messages and the table in the docs.
        check: returns the value or raises `BadArgument`.
    """

    name: str
    check: Callable[[Any], Any]


def _actor(value: Any) -> int:
    if type(value) is int and 0 <= value <= MAX_ID:
        return value
    raise BadArgument(f"expected an actor id (u32), got {_show(value)}")


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    raise BadArgument(f"expected an integer, got {_show(value)}")


def _flag(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise BadArgument(f"expected a boolean, got {_show(value)}")


def _number(value: Any) -> float:
    if type(value) in (int, float) and isfinite(value):
        return float(value)
    raise BadArgument(f"expected a finite number, got {_show(value)}")


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise BadArgument(f"expected a string, got {_show(value)}")


def _items(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    raise BadArgument(f"expected a list, got {_show(value)}")


def _vector(value: Any) -> list[float]:
    if type(value) is list and len(value) == 3:
        x, y, z = value
        if _is_number(x) and _is_number(y) and _is_number(z):
            return [float(x), float(y), float(z)]
    raise BadArgument(f"expected [x, y, z] of finite numbers, got {_show(value)}")


def _transform(value: Any) -> list[list[float]]:
    if type(value) is list and len(value) == 2:
        return [_vector(value[0]), _vector(value[1])]
    raise BadArgument(f"expected a transform [[x, y, z], [pitch, yaw, roll]], got {_show(value)}")


def _optional_actor(value: Any) -> int | None:
    if type(value) is list and value and value[0] is False:
        return None
    if type(value) is list and len(value) == 2 and value[0] is True:
        return _actor(value[1])
    raise BadArgument(f"expected an optional actor id, [false] or [true, id], got {_show(value)}")


def _actor_list(value: Any) -> list[int]:
    return [_actor(item) for item in _items(value)]


def _description(value: Any) -> list[Any]:
    """ActorDescription: [uid, id, [[name, type, value], ...]]."""
    if type(value) is list and len(value) >= 3 and type(value[1]) is str:
        for attribute in _items(value[2]):
            if type(attribute) is not list or len(attribute) != 3:
                raise BadArgument(
                    f"{value[1]}: expected attributes [name, type, value], got {_show(attribute)}"
                )
            _text(attribute[0])
            _text(attribute[2])
        return value
    raise BadArgument(f"expected a blueprint [uid, id, attributes], got {_show(value)}")


def _vehicle_control(value: Any) -> list[Any]:
    """[throttle, steer, brake, hand_brake, reverse, manual_gear_shift, gear]; NaN may pass."""
    if type(value) is list and len(value) == 7:
        throttle, steer, brake, hand_brake, reverse, manual, gear = value
        if (
            type(throttle) in NUMBERS
            and type(steer) in NUMBERS
            and type(brake) in NUMBERS
            and type(hand_brake) is bool
            and type(reverse) is bool
            and type(manual) is bool
            and type(gear) is int
        ):
            return value
    raise BadArgument(
        "expected a vehicle control [throttle, steer, brake, hand_brake, reverse, manual, gear], "
        f"got {_show(value)}"
    )


def _walker_control(value: Any) -> list[Any]:
    """[[x, y, z] direction, speed, jump]; NaN may pass."""
    if (
        type(value) is list
        and len(value) == 3
        and type(value[0]) is list
        and len(value[0]) == 3
        and all(type(item) in NUMBERS for item in value[0])
        and type(value[1]) in NUMBERS
        and type(value[2]) is bool
    ):
        return value
    raise BadArgument(f"expected a walker control [direction, speed, jump], got {_show(value)}")


def _numbers(count: int, what: str) -> Callable[[Any], list[float]]:
    def check(value: Any) -> list[float]:
        if type(value) is list and len(value) == count and all(_is_number(v) for v in value):
            return [float(v) for v in value]
        raise BadArgument(f"expected {what}, {count} finite numbers, got {_show(value)}")

    return check


def _settings(value: Any) -> list[Any]:
    """EpisodeSettings, 11 fields; the third is an optional delta."""
    if type(value) is not list or len(value) != 11:
        raise BadArgument(f"expected the 11 fields of the episode settings, got {_show(value)}")
    for index in (0, 1, 3, 7, 10):
        _flag(value[index])
    for index in (4, 6, 8, 9):
        _number(value[index])
    _integer(value[5])
    delta = value[2]
    if type(delta) is list and delta and delta[0] is False:
        return value
    if type(delta) is list and len(delta) == 2 and delta[0] is True:
        if not 0.0 <= _number(delta[1]) <= 10.0:
            raise BadArgument(f"fixed_delta_seconds: expected 0 to 10 s, got {delta[1]!r}")
        return value
    raise BadArgument(f"fixed_delta_seconds: expected an optional number, got {_show(delta)}")


def _light_state(value: Any) -> int:
    """VehicleLightState arrives wrapped, [flags], or bare."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    return _actor(value)


NUMBERS = (int, float)


def _is_number(value: Any) -> bool:
    return type(value) in NUMBERS and isfinite(value)


def _show(value: Any, width: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}... ({type(value).__name__})"


ACTOR = Kind("actor", _actor)
INTEGER = Kind("int", _integer)
FLAG = Kind("bool", _flag)
NUMBER = Kind("number", _number)
TEXT = Kind("string", _text)
ITEMS = Kind("list", _items)
VECTOR = Kind("vector", _vector)
TRANSFORM = Kind("transform", _transform)
OPTIONAL_ACTOR = Kind("optional actor", _optional_actor)
ACTORS = Kind("actors", _actor_list)
DESCRIPTION = Kind("blueprint", _description)
VEHICLE_CONTROL = Kind("vehicle control", _vehicle_control)
WALKER_CONTROL = Kind("walker control", _walker_control)
ACKERMANN_CONTROL = Kind("ackermann control", _numbers(5, "an Ackermann control"))
ACKERMANN_SETTINGS = Kind("ackermann settings", _numbers(6, "Ackermann controller settings"))
WEATHER = Kind("weather", _numbers(14, "weather parameters"))
SETTINGS = Kind("episode settings", _settings)
LIGHT_STATE = Kind("light flags", _light_state)
ANY = Kind("any", lambda value: value)
