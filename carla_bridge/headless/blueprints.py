"""CARLA 0.9.16's blueprints: ids, attributes and sizes, from data/bodies.json; and a door."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import Any

from carla_bridge.bodies import DOOR, DOOR_SIZE
from carla_bridge.headless import sensors_spec


class AttributeType(IntEnum):
    """CARLA's attribute types; the wheel counts Bool from 1."""

    BOOL = 1
    INT = 2
    FLOAT = 3
    STRING = 4
    COLOR = 5


class ActorKind(IntEnum):
    """What an actor is to the simulation."""

    OTHER = 0
    VEHICLE = 1
    WALKER = 2
    PROP = 3
    LIGHT = 4
    SIGN = 5
    SENSOR = 6
    TRIGGER = 7


@dataclass(frozen=True)
class Blueprint:
    """One entry of the library.

    Attributes:
        uid: its number on the wire.
        id: e.g. `vehicle.tesla.model3`.
        kind: what it becomes.
        extent: half length, width, height [m].
        base_type: car, truck, van, bus, motorcycle, bicycle; empty for what is no vehicle.
        wire: as the client receives it.
    """

    uid: int
    id: str
    kind: ActorKind
    extent: tuple[float, float, float]
    base_type: str
    wire: list[Any] = field(repr=False)

    @property
    def defaults(self) -> dict[str, str]:
        """Value by attribute id."""
        return {attribute[0]: attribute[2] for attribute in self.wire[3]}


def attribute(
    name: str, kind: AttributeType, value: Any, choices: tuple[Any, ...] = (), fixed: bool = False
) -> list[Any]:
    """An attribute on the wire: id, type, value, recommended values, modifiable, restricted."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return [name, int(kind), text, [str(c) for c in choices], not fixed, False]


_COLORS = ("0,0,0", "255,255,255", "180,180,180", "160,20,20", "20,40,120", "40,90,50")


def _vehicle(name: str, facts: dict[str, Any]) -> list[list[Any]]:
    t = AttributeType
    out = [
        attribute("role_name", t.STRING, "autopilot", ("autopilot", "scenario", "ego_vehicle")),
        attribute("color", t.COLOR, _COLORS[0], _COLORS),
        attribute("sticky_control", t.BOOL, True, ("true",)),
        attribute("terramechanics", t.BOOL, False, ("false",)),
        attribute("ros_name", t.STRING, name, fixed=False),
        attribute("object_type", t.STRING, "", fixed=True),
        attribute("base_type", t.STRING, facts["base_type"], fixed=True),
        attribute("special_type", t.STRING, facts["special_type"], fixed=True),
        attribute("number_of_wheels", t.INT, facts["wheels"], fixed=True),
        attribute("generation", t.INT, facts["generation"], fixed=True),
        attribute("has_dynamic_doors", t.BOOL, facts["has_dynamic_doors"], fixed=True),
        attribute("has_lights", t.BOOL, facts["has_lights"], fixed=True),
    ]
    if facts["wheels"] == 2:
        out.insert(2, attribute("driver_id", t.INT, 0, (0, 1, 2)))
    return out


def _walker(facts: dict[str, Any]) -> list[list[Any]]:
    t = AttributeType
    speeds = ("0.0", "1.4", "2.8") if facts["age"] == "adult" else ("0.0", "1.2", "2.4")
    return [
        attribute("role_name", t.STRING, "pedestrian", ("pedestrian",)),
        attribute("gender", t.STRING, "other", fixed=True),
        attribute("age", t.STRING, facts["age"], fixed=True),
        attribute("generation", t.INT, 2, fixed=True),
        attribute("speed", t.FLOAT, speeds[1], speeds),
        attribute("is_invincible", t.BOOL, True, ("true",)),
        attribute("can_use_wheelchair", t.BOOL, False, fixed=True),
        attribute("use_wheelchair", t.BOOL, False, ("false",)),
    ]


def _prop(size: tuple[float, float, float]) -> list[list[Any]]:
    longest = max(size)
    limits = ((0.3, "tiny"), (0.8, "small"), (1.6, "medium"), (4.0, "big"))
    name = next((label for limit, label in limits if longest < limit), "huge")
    return [
        attribute("role_name", AttributeType.STRING, "prop", ("prop",)),
        attribute("size", AttributeType.STRING, name, fixed=True),
    ]


class BlueprintLibrary:
    """All blueprints, found by id.

    Attributes:
        wire: as the client receives it.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Blueprint] = {}
        text = resources.files("carla_bridge.headless.data").joinpath("bodies.json").read_text()
        bodies = json.loads(text)
        for name, facts in bodies["vehicles"].items():
            self._add(
                name, ActorKind.VEHICLE, facts["size"], _vehicle(name, facts), facts["base_type"]
            )
        for name, facts in bodies["walkers"].items():
            self._add(name, ActorKind.WALKER, facts["size"], _walker(facts))
        for name, size in bodies["props"].items():
            self._add(name, ActorKind.PROP, size, _prop(size))
        role = attribute("role_name", AttributeType.STRING, "default", ("default",))
        mesh = [
            role,
            attribute("mesh_path", AttributeType.STRING, "", ("",)),
            attribute("scale", AttributeType.FLOAT, "1.0", ("1.0",)),
            attribute("mass", AttributeType.FLOAT, "0.0", ("0.0",)),
        ]
        self._add("static.prop.mesh", ActorKind.PROP, (1.0, 1.0, 1.0), mesh)
        friction = [role, attribute("friction", AttributeType.FLOAT, "3.5", ("3.5",))]
        friction += [
            attribute(f"extent_{axis}", AttributeType.FLOAT, "1.0", ("1.0",)) for axis in "xyz"
        ]
        self._add("static.trigger.friction", ActorKind.TRIGGER, (0.0, 0.0, 0.0), friction)
        self._add("controller.ai.walker", ActorKind.OTHER, (0.0, 0.0, 0.0), [role])
        for name, attributes in sensors_spec.SENSOR_ATTRIBUTES.items():
            wired = [
                attribute(key, AttributeType(kind), value, (value,))
                for key, kind, value in attributes
            ]
            roles = ("front", "back", "left", "right", "front_left", "front_right",
                     "back_left", "back_right")  # fmt: skip
            role_name = attribute("role_name", AttributeType.STRING, "front", roles)
            self._add(name, ActorKind.SENSOR, (0.0, 0.0, 0.0), [role_name, *wired])
        self._add(DOOR, ActorKind.PROP, DOOR_SIZE, _prop(DOOR_SIZE))
        self.wire = [blueprint.wire for blueprint in self._by_id.values()]

    def _add(
        self,
        name: str,
        kind: ActorKind,
        size: Any,
        attributes: list[list[Any]],
        base_type: str = "",
    ) -> None:
        uid = len(self._by_id) + 1
        extent = (size[0] / 2.0, size[1] / 2.0, size[2] / 2.0)
        wire = [uid, name, name.replace(".", ","), attributes]
        self._by_id[name] = Blueprint(uid, name, kind, extent, base_type, wire)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self):
        return iter(self._by_id.values())

    def find(self, name: str) -> Blueprint | None:
        """The blueprint of that id, or None."""
        return self._by_id.get(name)


@cache
def blueprint_library() -> BlueprintLibrary:
    """The one library of the process; it never changes."""
    return BlueprintLibrary()
