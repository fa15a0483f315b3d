"""The world of a route's scenarios: what they see of it, and the hands with which they act."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import carla
import numpy as np

from carla_bridge.bodies import DOOR, DOOR_SIZE, SIREN
from carla_bridge.session import Session
from carla_bridge.simulator import carla_transform
from headway.frames import points_to_map
from headway.road.frenet import route_poses
from headway.road.route import Route
from headway.types import Command
from headway.vehicle import vehicle_info
from scenarios.movers import Mover
from scenarios.script import next_tick
from scenarios.spots import Spot
from scenarios.suites.spec import Place
from scenarios.view import View

BUILD_RANGE = 500.0  # [m] to its trigger within which a scenario sets up its actors
REACHED = 2.0  # [m] before its trigger at which it goes off
TRIGGER_OFF, TRIGGER_TURN = 2.0, np.radians(10.0)  # [m], [rad] a trigger may be off the route
LIFT = {"vehicle": 0.2, "static": 0.02, "walker": 1.0}  # [m] above the ground where one appears
OCCUPIED = "collision at spawn position"  # in CARLA's answer
PATIENCE = 10.0  # [s] until somebody has to have gone from where one is to appear
HINGE = 0.3  # of a car's half length before its middle: where its front doors are hung
DOOR_OPEN = np.radians(70.0)  # [rad] of an open door, to the side of its car
DOOR_GAP = 0.05  # [m] between a car and the end of its open door

Actor = TypeVar("Actor")


class Occupied(ValueError):
    """Something stands where somebody was to appear."""


class Stage(View):
    """The world of one episode.

    Args:
        session: the connection; it destroys what is spawned here.
        route: ego's.
        seed: of every choice.

    Attributes:
        rng: for choices.
    """

    def __init__(self, session: Session, route: Route, seed: int) -> None:
        super().__init__(session.lane_graph, route, session.dt)
        self._session = session
        self.rng = np.random.Generator(np.random.PCG64([seed, 11]))
        self._batch: list[Any] = []
        self._movers: dict[int, Mover] = {}
        self._closed: list[Route] = []
        self._disturbance = 0.0, 0.0

    def take_commands(self) -> list[Any]:
        """Return what has to be sent with the next tick."""
        batch, self._batch = self._batch, []
        if self.actors is not None and self.ego is not None:
            for mover in self._movers.values():
                batch += mover.commands(self.actors, self.ego, self.dt)
        return batch

    # Who is there.

    def vehicles(self, **attributes: str) -> list[str]:
        """Blueprints of vehicles with these attributes, sorted: `base_type="car"`."""
        return sorted(b.id for b in self._library.filter("vehicle.*") if _matches(b, attributes))

    @cached_property
    def _library(self) -> carla.BlueprintLibrary:
        return self._session.world.get_blueprint_library()

    def cars(self) -> list[str]:
        """Blueprints of cars of the second generation, which upstream's scenarios take; sorted."""
        return self.vehicles(base_type="car", generation="2")

    def traffic_cars(self) -> list[str]:
        """Blueprints of cars with lights that are nothing special, of which flows are made."""
        return self.vehicles(base_type="car", has_lights="true", special_type="")

    def walkers(self) -> list[str]:
        """Blueprints of walkers, sorted."""
        return sorted(b.id for b in self._library.filter("walker.pedestrian.*"))

    def choose(self, among: Sequence[str]) -> str:
        """One of them, by the seed."""
        return among[int(self.rng.integers(len(among)))]

    def place(self, blueprint: str, where: Place, role: str = "scenario") -> int:
        """Spawn an actor and return its id; a vehicle stands with its hand brake on.

        Raises:
            ValueError: something stands there, or there is no such blueprint.
        """
        actor = self._spawn(blueprint, where, role)
        if blueprint.startswith("vehicle."):
            hold = carla.VehicleControl(brake=1.0, hand_brake=True)
            self._batch.append(carla.command.ApplyVehicleControl(actor, hold))
        return actor

    def launch(
        self, blueprint: str, line: Route, speed: float, s: float = 0.0, offset: float = 0.0,
        heeds: bool = True, role: str = "scenario",
    ) -> Mover:  # fmt: skip
        """Spawn a vehicle that follows a line; see `Mover`.

        Raises:
            ValueError: something stands there, or there is no such blueprint.
        """
        x, y, z, yaw = map(float, route_poses(line, np.array([s]), offset)[0])
        actor = self._spawn(blueprint, Place(x, y, z, yaw), role)
        mover = self._movers[actor] = Mover(actor, blueprint, line, s, speed, offset, heeds)
        return mover

    async def bring(self, blueprint: str, line: Route, speed: float, heeds: bool = True) -> Mover:
        """Launch one at the beginning of a line as soon as nobody of the background stands there.

        Raises:
            ValueError: somebody stands there for long, or there is no such blueprint.
        """
        return await self._once_free(lambda: self.launch(blueprint, line, speed, heeds=heeds))

    async def _once_free(self, appear: Callable[[], Actor]) -> Actor:
        """Let somebody appear as soon as nobody stands there."""
        for _ in range(round(PATIENCE / self.dt)):
            try:
                return appear()
            except Occupied:
                await next_tick()
        return appear()

    def set_going(
        self, actor: int, line: Route, speed: float, offset: float = 0.0, heeds: bool = True
    ) -> Mover:
        """Let a vehicle that stands follow a line from its beginning on; see `Mover`."""
        blueprint = self._session.world.get_actor(actor).type_id  # pyright: ignore
        mover = self._movers[actor] = Mover(actor, blueprint, line, 0.0, 0.0, offset, heeds)
        mover.wanted = speed
        return mover

    def _spawn(self, blueprint: str, where: Place, role: str) -> int:
        model = self._library.find(blueprint)
        if model.has_attribute("role_name"):
            model.set_attribute("role_name", role)
        xyz = np.array([where.x, where.y, where.z + LIFT[blueprint.partition(".")[0]]])
        spawn = carla.command.SpawnActor(model, carla_transform(xyz, where.yaw or 0.0))
        answer = self._session.client.apply_batch_sync([spawn], False)[0]
        if answer.error:
            kind = Occupied if OCCUPIED in answer.error else ValueError
            raise kind(f"{blueprint} at x {where.x:.1f}, y {where.y:.1f}: {answer.error}")
        self._session.own([answer.actor_id])
        return int(answer.actor_id)

    def half_length(self, actor: int) -> float:
        """[m] of an actor's bounding box."""
        return float(self._session.world.get_actor(actor).bounding_box.extent.x)  # pyright: ignore

    def park(self, model: str, spot: Spot, side: int, outwards: float) -> int:
        """Place a car in the lane beside a spot, see `Spot.parked`."""
        half_width = float(vehicle_info(model).extent[1])
        return self.place(model, spot.parked(side, half_width, outwards), "scenario no lights")

    async def walk(self, walker: int, yaw: float, speed: float, way: float) -> None:
        """Let a walker go straight on.

        Args:
            walker: its id.
            yaw: [rad] where to, map frame.
            speed: [m/s].
            way: [m] after which it stands.
        """
        direction = carla.Vector3D(math.cos(yaw), -math.sin(yaw), 0.0)
        for pace, duration in ((speed, way / speed), (0.0, 0.0)):
            control = carla.WalkerControl(direction, pace, False)
            self._batch.append(carla.command.ApplyWalkerControl(walker, control))  # pyright: ignore
            await self.seconds(duration)

    async def open_door(self, vehicle: int, side: int) -> list[int]:
        """Open the front door of a car that stands, as soon as nobody is in its way.

        Args:
            vehicle: the car's id.
            side: of the door: 1 left, -1 right.

        Returns:
            The id of what stands for the door, where the server's own doors are nobody's obstacle.

        Raises:
            ValueError: somebody is in its way for long.
        """
        door = carla.VehicleDoor.FL if side > 0 else carla.VehicleDoor.FR
        self._session.world.get_actor(vehicle).open_door(door)  # pyright: ignore
        if not self._library.filter(DOOR):
            return []
        where = self._door_of(vehicle, side)
        return [await self._once_free(lambda: self.place(DOOR, where))]

    def _door_of(self, vehicle: int, side: int) -> Place:
        """Where the middle of a car's open front door is."""
        assert self.actors is not None
        row = int(np.flatnonzero(self.actors.id == vehicle)[0])
        pose, (half_length, half_width) = self.actors.pose[row], self.actors.extent[row]
        turn = side * (math.pi - DOOR_OPEN)  # a closed door points backwards
        along = HINGE * half_length + 0.5 * DOOR_SIZE[0] * math.cos(turn)
        left = side * (half_width + DOOR_GAP) + 0.5 * DOOR_SIZE[0] * math.sin(turn)
        x, y = map(float, points_to_map(np.array([along, left]), pose))
        return Place(x, y, float(self.actors.z[row]), float(pose[2]) + turn)

    def switch_siren_on(self, vehicle: int) -> None:
        """Switch the blue lights of an emergency vehicle on."""
        state = carla.VehicleLightState(SIREN)
        self._session.world.get_actor(vehicle).set_light_state(state)  # pyright: ignore

    def set_weather(self, values: Mapping[str, float]) -> None:
        """Set what `carla.WeatherParameters` calls by these names."""
        self._session.world.set_weather(carla.WeatherParameters(**values))

    def move_ego(self, where: Place) -> None:
        """Put ego somewhere else, at once."""
        assert self.ego is not None
        xyz = np.array([where.x, where.y, where.z + LIFT["vehicle"]])
        move = carla.command.ApplyTransform(self.ego.id, carla_transform(xyz, where.yaw or 0.0))
        self._session.client.apply_batch_sync([move], False)

    def disturb(self, throttle: float, steer_norm: float) -> None:
        """Add so much to what ego is told in this tick."""
        self._disturbance = throttle, steer_norm

    def disturbed(self, command: Command) -> Command:
        """What becomes of a command of ego's in this tick; `CarlaSimulator.disturbed`."""
        (throttle, steer_norm), self._disturbance = self._disturbance, (0.0, 0.0)
        return replace(
            command,
            throttle=float(np.clip(command.throttle + throttle, 0.0, 1.0)),
            steer_norm=float(np.clip(command.steer_norm + steer_norm, -1.0, 1.0)),
        )

    async def shift(self, mover: Mover, to: float, duration: float) -> None:
        """Move a vehicle over to `to` [m] left of its line within so long [s]."""
        begin, start = mover.offset, self.t
        while (part := (self.t - start) / duration) < 1.0:
            mover.offset = begin + (to - begin) * max(part, 0.0)
            await next_tick()
        mover.offset = to

    def remove(self, actors: Iterable[int]) -> None:
        """Take actors out of the world."""
        gone = list(actors)
        for actor in gone:
            self._movers.pop(actor, None)
        self._session.destroy(gone)

    @property
    def closed_lines(self) -> Sequence[Route]:
        """Which the background's vehicles have to keep off."""
        return self._closed

    @contextmanager
    def closed(self, *lines: Route) -> Iterator[None]:
        """Keep the background's vehicles off these lines meanwhile."""
        self._closed += lines
        try:
            yield
        finally:
            gone = {id(line) for line in lines}
            self._closed = [line for line in self._closed if id(line) not in gone]

    def lights(self, signals: Iterable[int]) -> list[carla.TrafficLight]:
        """Traffic lights of these rows of `LaneGraph.signal_id`."""
        wanted = {str(self.graph.signal_id[k]) for k in signals}
        there = self._session.world.get_actors().filter("traffic.traffic_light*")
        found = [light for light in there if light.get_opendrive_id() in wanted]  # pyright: ignore
        return sorted(found, key=lambda light: light.id)  # pyright: ignore


def _matches(blueprint: carla.ActorBlueprint, attributes: dict[str, str]) -> bool:
    return all(
        blueprint.has_attribute(name) and _text(blueprint.get_attribute(name)) == value
        for name, value in attributes.items()
    )


def _text(attribute: carla.ActorAttribute) -> str:
    """An attribute's value as a word, whatever its type."""
    if attribute.type == carla.ActorAttributeType.Bool:
        return str(attribute.as_bool()).lower()
    return str(attribute.as_int() if attribute.type == carla.ActorAttributeType.Int
               else attribute.as_str())  # fmt: skip
