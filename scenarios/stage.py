"""What the scenarios of a route see of the world, and the hands with which they act."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import carla
import numpy as np

from carla_bridge.session import Session
from carla_bridge.simulator import NoTraffic, Traffic, carla_transform
from headway.frames import wrap_angles
from headway.road.frenet import project_on_route
from headway.road.route import Route
from headway.types import ActorSnapshot, EgoState
from scenarios.script import Branch, Script, first, until
from scenarios.spots import Spot
from scenarios.suites.spec import Place, ScenarioSpec

BUILD_RANGE = 500.0  # [m] to its trigger within which a scenario sets up its actors
REACHED = 2.0  # [m] before its trigger at which it goes off
TRIGGER_OFF, TRIGGER_TURN = 2.0, np.radians(10.0)  # [m], [rad] a trigger may be off the route
LIFT = {"vehicle": 0.2, "static": 0.02, "walker": 1.0}  # [m] above the ground where one appears


class Stage:
    """The world of one episode.

    Args:
        session: the connection; it destroys what is spawned here.
        route: ego's.
        seed: of every choice.

    Attributes:
        graph: the town.
        dt: [s] of a tick.
        t: [s] since ego was placed.
        ego: as of the last frame.
        ego_s: [m] along the route.
        timeouts: names of the scenarios that ego did not get through in time.
    """

    def __init__(self, session: Session, route: Route, seed: int) -> None:
        self._session, self.route, self.graph = session, route, session.lane_graph
        self.dt = session.dt
        self.rng = np.random.Generator(np.random.PCG64([seed, 11]))
        self.t = self.ego_s = 0.0
        self.ego: EgoState | None = None
        self.actors: ActorSnapshot | None = None
        self.timeouts: list[str] = []
        self._clocks = 0
        self._batch: list[Any] = []

    @property
    def clock_holds(self) -> bool:
        """Whether a scenario's own clock runs: standing is no reason to end the route then."""
        return self._clocks > 0

    def see(self, actors: ActorSnapshot | None, ego: EgoState, dt: float) -> None:
        """Take a frame in."""
        hint = self.ego_s if self.ego is not None else None
        self.actors, self.ego = actors, ego
        self.ego_s = float(project_on_route(self.route, ego.pose[None, :2], hint)[0][0])
        self.t += dt

    def take_commands(self) -> list[Any]:
        """Return what has to be sent with the next tick."""
        batch, self._batch = self._batch, []
        return batch

    # Who is there.

    def vehicles(self, **attributes: str) -> list[str]:
        """Blueprints of vehicles with these attributes, sorted: `base_type="car"`."""
        library = self._session.world.get_blueprint_library()
        return sorted(b.id for b in library.filter("vehicle.*") if _matches(b, attributes))

    def cars(self) -> list[str]:
        """Blueprints of cars of the second generation, which upstream's scenarios take; sorted."""
        return self.vehicles(base_type="car", generation="2")

    def walkers(self) -> list[str]:
        """Blueprints of walkers, sorted."""
        library = self._session.world.get_blueprint_library()
        return sorted(b.id for b in library.filter("walker.pedestrian.*"))

    def choose(self, among: Sequence[str]) -> str:
        """One of them, by the seed."""
        return among[int(self.rng.integers(len(among)))]

    def place(self, blueprint: str, where: Place, role: str = "scenario") -> int:
        """Spawn an actor and return its id; a vehicle stands with its hand brake on.

        Raises:
            ValueError: something stands there, or there is no such blueprint.
        """
        model = self._session.world.get_blueprint_library().find(blueprint)
        if model.has_attribute("role_name"):
            model.set_attribute("role_name", role)
        xyz = np.array([where.x, where.y, where.z + LIFT[blueprint.partition(".")[0]]])
        spawn = carla.command.SpawnActor(model, carla_transform(xyz, where.yaw or 0.0))
        answer = self._session.client.apply_batch_sync([spawn], False)[0]
        if answer.error:
            raise ValueError(f"{blueprint} at x {where.x:.1f}, y {where.y:.1f}: {answer.error}")
        self._session.own([answer.actor_id])
        if blueprint.startswith("vehicle."):
            hold = carla.VehicleControl(brake=1.0, hand_brake=True)
            self._batch.append(carla.command.ApplyVehicleControl(answer.actor_id, hold))
        return int(answer.actor_id)

    def half_length(self, actor: int) -> float:
        """[m] of an actor's bounding box."""
        return float(self._session.world.get_actor(actor).bounding_box.extent.x)  # pyright: ignore

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

    def remove(self, actors: Iterable[int]) -> None:
        """Take actors out of the world."""
        self._session.destroy(actors)

    # Moments of the drive.

    async def seconds(self, duration: float) -> None:
        """Wait so long [s]."""
        end = self.t + duration
        await until(lambda: self.t >= end - 1e-9)

    async def triggered(self, spec: ScenarioSpec) -> None:
        """Wait until ego comes to the scenario's trigger."""
        at = self.trigger_s(spec)
        await until(lambda: self.ego_s > at - REACHED)

    async def near(self, where: Place, distance: float) -> None:
        """Wait until ego's middle is within `distance` [m] of a place."""
        await until(lambda: self.distance_to(where) < distance)

    async def about_to_reach(self, where: Place, seconds: float, distance: float) -> None:
        """Wait until ego, going on as fast as it is, is so near to a place in time, or in way."""

        def soon() -> bool:
            assert self.ego is not None
            away, speed = self.distance_to(where), float(np.hypot(*self.ego.velocity))
            return away < distance or away < seconds * speed

        await until(soon)

    async def driven(self, way: float) -> None:
        """Wait until ego has come `way` [m] on along its route."""
        end = self.ego_s + way
        await until(lambda: self.ego_s >= end)

    async def passed(self, spot: Spot) -> None:
        """Wait until ego's middle is beyond the line across the lane at `spot`."""
        place, yaw = spot.beside(0.0), spot.yaw
        await until(lambda: self._along(place, yaw) > 0.0)

    async def in_time(self, name: str, moment: Branch, limit: float = 240.0) -> None:
        """Wait for `moment`, at most so long [s]; when it is too late, note that.

        While this clock runs, ego may stand for as long as it likes.
        """
        self._clocks += 1
        try:
            if await first(moment, self.seconds(limit)):
                self.timeouts.append(name)
        finally:
            self._clocks -= 1

    def distance_to(self, where: Place) -> float:
        """[m] from ego's middle."""
        assert self.ego is not None
        return float(np.hypot(self.ego.pose[0] - where.x, self.ego.pose[1] - where.y))

    def trigger_s(self, spec: ScenarioSpec) -> float:
        """Where [m] on the route a scenario's trigger lies.

        Raises:
            ValueError: the route does not lead through it.
        """
        at, route = spec.trigger, self.route
        off = np.hypot(route.xyz[:, 0] - at.x, route.xyz[:, 1] - at.y)
        turned = np.abs(wrap_angles(route.yaw - (at.yaw or 0.0)))
        fits = (off < TRIGGER_OFF) & (turned < TRIGGER_TURN)
        if not fits.any():
            raise ValueError(
                f"{spec.source}: the route does not lead through the trigger of {spec.name}"
            )
        return float(route.s[np.argmin(np.where(fits, off, math.inf))])

    def _along(self, place: Place, yaw: float) -> float:
        assert self.ego is not None
        dx, dy = self.ego.pose[0] - place.x, self.ego.pose[1] - place.y
        return float(dx * math.cos(yaw) + dy * math.sin(yaw))


Play = Callable[[Stage, ScenarioSpec], Branch]


class Cast:
    """A `Traffic`: the scenarios of a route, among the background traffic.

    Args:
        stage: the world.
        plays: the coroutines that play the types of scenarios.
        specs: the scenarios of the route.
        background: who else is on the road.
    """

    def __init__(
        self,
        stage: Stage,
        plays: Mapping[str, Play],
        specs: Sequence[ScenarioSpec],
        background: Traffic | None = None,
    ) -> None:
        self.stage, self.script = stage, Script()
        self._background = background or NoTraffic()
        for k, spec in enumerate(specs):
            self.script.start(f"{k} {spec.name}", self._play(plays[spec.type], spec))

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring the scenarios' actors into the world, and the background."""
        self.stage.see(None, ego, 0.0)
        self.script.step()
        self._background.spawn(ego, route)

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return the `carla.command`s of one tick."""
        self.stage.see(actors, ego, self.stage.dt)
        self.script.step()
        return self.stage.take_commands() + self._background.commands(actors, ego)

    async def _play(self, play: Play, spec: ScenarioSpec) -> None:
        """Play a scenario as soon as its trigger is in reach."""
        self.stage.trigger_s(spec)  # it is on the route, or fails now
        await self.stage.near(spec.trigger, BUILD_RANGE)
        await play(self.stage, spec)


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
