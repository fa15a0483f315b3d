"""Making actors: those that clients ask for, and the lights and signs of a town."""

from __future__ import annotations

from typing import Any

import numpy as np

from carla_bridge.bodies import FLAT
from carla_bridge.frames import pose_from_carla, yaw_from_carla
from carla_bridge.headless import sensors_spec, wire
from carla_bridge.headless.actor_commands import SpawnError
from carla_bridge.headless.actors import Actor, ActorTable
from carla_bridge.headless.blueprints import ActorKind, Blueprint, BlueprintLibrary
from carla_bridge.headless.contacts import overlaps_any
from carla_bridge.headless.motion import place_attached
from carla_bridge.headless.sensors import Sensors, attribute_number
from carla_bridge.headless.signals import LightColumn, Signals, Trigger
from carla_bridge.headless.towns import Town
from carla_bridge.headless.walkers import MASS as WALKER_MASS
from headway.road.queries import nearest_lane
from headway.types import Array
from headway.vehicle import VehicleParam, VehicleState, vehicle_params

COLLISION_AT_SPAWN = "Spawn failed because of collision at spawn position"
DEFAULT_SPEED_LIMIT = 30.0  # [km/h] where no lane says otherwise, as CARLA
PROP_DENSITY = 60.0  # [kg/m^3] of a prop's box; props with physics are rare and mostly hollow


class Spawning:
    """The part of a World that makes actors."""

    town: Town
    table: ActorTable
    signals: Signals
    _sensors: Sensors
    _library: BlueprintLibrary
    _next_id: int
    _next_stream: int
    _light_states: list[Any] | None

    def spawn(
        self,
        description: list[Any],
        transform: wire.WireTransform,
        parent: int | None = None,
        attachment: int = 0,
        bone: str = "",
    ) -> list[Any]:
        """Make an actor.

        Args:
            description: [uid, id, attributes as [name, type, value]].
            transform: [[x, y, z], [pitch, yaw, roll]], CARLA's frame; relative to the parent
                where there is one.
            parent: actor that it hangs on, or None.
            attachment: how it hangs; all kinds are rigid here.
            bone: of the parent's skeleton; there are none, so the actor's origin it is.

        Returns:
            the wire Actor.

        Raises:
            SpawnError: it cannot be made; the message says why.
        """
        blueprint = self._library.find(description[1])
        if blueprint is None:
            raise SpawnError(f"unable to spawn actor: there is no blueprint {description[1]!r}")
        self._check_available(blueprint)
        pose = np.array(pose_from_carla(wire.check_transform("spawn", transform)))
        attributes = blueprint.defaults | {a[0]: a[2] for a in description[2]}
        parent_row = -1
        if parent is not None and parent != 0:
            if parent not in self.table:
                raise SpawnError(f"unable to attach actor: parent actor {parent} not found")
            parent_row = self.table.row(parent)
        extent = _extent(blueprint, attributes)
        # A walker's origin is its middle, everything else's is where it touches the ground.
        center = (0.0, 0.0, 0.0 if blueprint.kind == ActorKind.WALKER else extent[2])
        if parent_row < 0:
            self._check_free(blueprint, pose, center, extent)
        box = wire.bounding_box(center, extent)
        actor = self._add(description, blueprint.kind, box, parent or 0, attributes)
        row = self.table.row(actor.id)
        self._fill_row(row, blueprint, attributes, pose, center, extent)
        if parent_row >= 0:
            c = self.table.columns
            c.parent[row], c.offset[row] = parent_row, pose
            place_attached(c)
        if blueprint.kind == ActorKind.SENSOR:
            self._sensors.add(actor)
        elif blueprint.kind == ActorKind.VEHICLE:
            self._light_states = None
        return actor.wire

    @staticmethod
    def _check_available(blueprint: Blueprint) -> None:
        name = blueprint.id
        if blueprint.kind == ActorKind.SENSOR and name not in sensors_spec.IMPLEMENTED:
            ready = ", ".join(sorted(sensors_spec.IMPLEMENTED))
            raise SpawnError(
                f"unable to spawn {name}: this server cannot run it yet; it has {ready}"
            )
        if name == "controller.ai.walker":
            raise SpawnError(
                "unable to spawn controller.ai.walker: this server has no navigation mesh yet; "
                "walkers obey carla.WalkerControl"
            )

    def _check_free(self, blueprint: Blueprint, pose: Array, center: Any, extent: Any) -> None:
        solid = (ActorKind.VEHICLE, ActorKind.WALKER, ActorKind.PROP)
        if blueprint.kind not in solid:
            return
        c = self.table.columns
        hit = overlaps_any(
            c, pose[0], pose[1], pose[2], pose[5], np.array(center), np.array(extent),
            blueprint.kind == ActorKind.PROP,
        )  # fmt: skip
        if hit >= 0:
            raise SpawnError(COLLISION_AT_SPAWN)

    def _add(
        self,
        description: list[Any],
        kind: ActorKind,
        box: Any,
        parent: int = 0,
        attributes: dict[str, str] | None = None,
    ) -> Actor:
        actor_id = self._next_id
        self._next_id += 1
        if len(box) == 3:
            box = wire.bounding_box((0.0, 0.0, 0.0), box)
        box[3] = actor_id
        base_type = (attributes or {}).get("base_type", "car")
        tags = {
            ActorKind.VEHICLE: wire.TAG_BY_BASE_TYPE.get(base_type, 14),
            ActorKind.WALKER: wire.TAG_WALKER,
            ActorKind.PROP: wire.TAG_STATIC,
            ActorKind.LIGHT: wire.TAG_LIGHT,
            ActorKind.SIGN: wire.TAG_SIGN,
        }
        tag = bytes([tags[kind]]) if kind in tags else b""
        stream, token = 0, b""
        if kind == ActorKind.SENSOR:
            stream = self._next_stream
            self._next_stream += 1
            # host and port come with get_sensor_token, which the client asks for
            token = wire.token(stream, "127.0.0.1", 0)
        listed = [actor_id, parent, list(description[:3]), box, tag, token]
        actor = Actor(actor_id, description[1], kind, listed, parent, attributes or {}, stream)
        self.table.add(actor)
        return actor

    def _fill_row(
        self,
        row: int,
        blueprint: Blueprint,
        attributes: dict[str, str],
        pose: Array,
        center: Any,
        extent: Any,
    ) -> None:
        c = self.table.columns
        c.pose[row], c.center[row], c.extent[row] = pose, center, extent
        c.previous[row] = pose[:3]
        stands_out = blueprint.kind == ActorKind.PROP and extent[2] > FLAT
        c.collides[row] = blueprint.kind in (ActorKind.VEHICLE, ActorKind.WALKER) or stands_out
        size = 8.0 * extent[0] * extent[1] * extent[2]
        if blueprint.kind == ActorKind.VEHICLE:
            c.params[row] = vehicle_params(blueprint.id)
            c.mass[row] = c.params[row, VehicleParam.MASS]
            c.inertia[row] = c.params[row, VehicleParam.YAW_INERTIA]
            c.friction[row] = c.params[row, VehicleParam.FRICTION]
            c.simulate[row] = True
            c.state[row, [VehicleState.X, VehicleState.Y, VehicleState.YAW]] = pose[[0, 1, 5]]
            c.active[row] = False
            c.speed_limit[row] = self._lane_limit(pose)
        elif blueprint.kind == ActorKind.WALKER:
            c.mass[row] = WALKER_MASS
            c.simulate[row] = True
        elif blueprint.kind == ActorKind.PROP:
            mass = attribute_number(attributes, "mass")
            c.mass[row] = mass if mass > 0.0 else max(1.0, PROP_DENSITY * size)
            c.inertia[row] = c.mass[row] * (extent[0] ** 2 + extent[1] ** 2) / 3.0
        elif blueprint.kind == ActorKind.TRIGGER:
            c.friction[row] = attribute_number(attributes, "friction", 3.5)

    def _lane_limit(self, pose: Array) -> float:
        graph = self.town.lane_graph
        lane, _, _ = nearest_lane(graph, pose[0], pose[1], pose[5], z=pose[2])
        if lane < 0:
            return DEFAULT_SPEED_LIMIT
        limit = 3.6 * float(graph.speed_limit[lane])
        return limit if 0.0 < limit < 500.0 else DEFAULT_SPEED_LIMIT

    def _add_signals(self) -> None:
        lights = []
        for spec in self.town.signals:
            light = spec.type_id == "traffic.traffic_light"
            box = wire.bounding_box(spec.trigger_center, spec.trigger_extent, spec.trigger_yaw)
            kind = ActorKind.LIGHT if light else ActorKind.SIGN
            actor = self._add([0, spec.type_id, [["role_name", 4, ""]]], kind, box)
            row = self.table.row(actor.id)
            c = self.table.columns
            c.pose[row] = pose_from_carla(wire.transform(spec.transform))
            self.signals.opendrive_id[actor.id] = spec.opendrive_id
            records = self.table.views[2]
            records["sign_id"][row] = spec.opendrive_id.encode()[:31]
            if light:
                times = (spec.green_time, spec.yellow_time, spec.red_time)
                c.light[row, : LightColumn.ELAPSED] = times
                lights.append((spec.group, spec.order, actor.id))
            for place in spec.boxes if light or spec.value > 0.0 else ():
                x, y, z = place.center
                self.signals.add_trigger(
                    Trigger(
                        actor.id, x, -y, z, yaw_from_carla(place.yaw), place.extent,
                        max(0.0, spec.value),
                    )
                )  # fmt: skip
        for group, order, actor_id in lights:
            self.signals.add_light(actor_id, group, order)
        self.signals.reset_all()


def _extent(blueprint: Blueprint, attributes: dict[str, str]) -> tuple[float, float, float]:
    if blueprint.id == "static.prop.mesh":
        scale = min(max(attribute_number(attributes, "scale", 1.0), 0.01), 100.0)
        x, y, z = blueprint.extent
        return scale * x, scale * y, scale * z
    if blueprint.kind != ActorKind.TRIGGER:
        return blueprint.extent
    x, y, z = (max(0.0, attribute_number(attributes, f"extent_{a}", 1.0)) for a in "xyz")
    return x, y, z
