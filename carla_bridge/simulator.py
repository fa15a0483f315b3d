"""CarlaSimulator: ego among traffic on any CARLA server, one synchronous frame per step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import carla

from carla_bridge.frames import yaw_to_carla
from carla_bridge.observation import (
    SensorPacket,
    SensorReader,
    SensorSpec,
    WorldReader,
    collision_events,
)
from carla_bridge.session import Session, SessionError
from headway.road.route import Route
from headway.types import ActorSnapshot, Array, Command, EgoState, Observation

SETTLE_S = 2.0  # [s] a car may take until it rests on its springs
REST_SPEED = 0.02  # [m/s]
DROP = 0.2  # [m] above the road where ego appears: real servers reject spawns that touch it


class Traffic(Protocol):
    """Who else is on the road."""

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring the others into the world, around ego."""
        ...

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return the `carla.command`s of one tick."""
        ...

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Leave these lines to somebody else, until told otherwise; vehicles on them go away."""
        ...


class NoTraffic:
    """An empty town."""

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring nobody."""

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return nothing."""
        del actors, ego
        return []

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Nobody is there."""


@dataclass
class SimulatorConfig:
    """What ego is.

    Attributes:
        ego: blueprint id.
        settle_s: [s] simulated before the episode begins, so that traffic flows.
    """

    ego: str = "vehicle.lincoln.mkz_2020"
    settle_s: float = 2.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.settle_s <= 60.0:
            raise ValueError(
                f"SimulatorConfig.settle_s: expected 0.5 to 60 s, got {self.settle_s!r}"
            )


@dataclass
class _Episode:
    """What lives from one reset to the next."""

    route: Route
    ego: carla.Vehicle
    reader: WorldReader
    traffic: Traffic
    collisions: SensorReader
    sensors: list[SensorReader] = field(default_factory=list)
    start_t: float = 0.0
    last: Observation | None = None


class CarlaSimulator:
    """A `Simulator` over a Session.

    Args:
        session: the connection; the caller closes it.
        config: what ego is.
        make_traffic: gets session and seed at each reset.
        sensors: that ego carries besides its collision sensor.

    Attributes:
        disturbed: what becomes of a command before ego gets it; asked after the others' commands.
    """

    def __init__(
        self,
        session: Session,
        config: SimulatorConfig | None = None,
        make_traffic: Callable[[Session, int], Traffic] | None = None,
        sensors: Sequence[SensorSpec] = (),
    ) -> None:
        self.session = session
        self.config = config or SimulatorConfig()
        self._make_traffic = make_traffic or (lambda session, seed: NoTraffic())
        self.disturbed: Callable[[Command], Command] = lambda command: command
        self._specs = tuple(sensors)
        self._episode: _Episode | None = None

    def reset(self, route: Route, seed: int) -> Observation:
        """Place ego at the start of `route` among fresh traffic and return the first frame.

        Raises:
            SessionError: ego cannot be placed there.
        """
        session = self.session
        self.close()
        session.world.reset_all_traffic_lights()
        ego = self._spawn_ego(route)
        collisions = self._attach(SensorSpec("collision", "sensor.other.collision"), ego, 0)
        sensors = [
            self._attach(s, ego, _period(float(s.attributes.get("sensor_tick", 0.0)), session.dt))
            for s in self._specs
        ]
        session.tick()
        reader = WorldReader(session.world, session.lane_graph, ego)
        traffic = self._make_traffic(session, seed)
        self._episode = _Episode(route, ego, reader, traffic, collisions, sensors)
        traffic.spawn(self._observe(session.tick(), 0.0).ego, route)
        reader.refresh()
        return self._settle()

    def step(self, command: Command | None) -> Observation:
        """Apply `command` for one tick and return the frame that follows.

        None applies nothing: an autopilot drives ego already.

        Raises:
            SessionError: the server is gone, or another client ticks as well.
            SensorTimeout: a sensor's packet did not come.
        """
        episode = self._running()
        batch: list[Any] = []
        last = episode.last
        if last is not None and last.actors is not None:
            batch += episode.traffic.commands(last.actors, last.ego)
        if command is not None:
            command = self.disturbed(command)
            batch.insert(0, carla.command.ApplyVehicleControl(episode.ego.id, _control(command)))
        self.session.client.apply_batch(batch)
        snapshot = self.session.tick()
        # What an autopilot did stands in the frame itself.
        steer_norm = -episode.ego.get_control().steer if command is None else command.steer_norm
        return self._observe(snapshot, steer_norm)

    def close(self) -> None:
        """Destroy what this episode spawned; safe to call twice."""
        self._episode = None
        self.session.destroy()

    def _settle(self) -> Observation:
        """Hold ego until it rests and traffic flows; the episode's time begins after that."""
        episode = self._running()
        steps = round(self.config.settle_s / self.session.dt)
        longest = steps + round(SETTLE_S / self.session.dt)
        hold = Command(brake=1.0)
        observation = self.step(hold)
        for i in range(1, longest):
            observation = self.step(hold)
            if i + 1 >= steps and abs(observation.ego.speed) < REST_SPEED:
                break
        episode.start_t += observation.t
        episode.collisions.drain()  # what touched ego before the episode is nobody's fault
        first = Observation(**{**vars(observation), "t": 0.0, "events": ()})
        episode.last = first
        return first

    def _observe(self, snapshot: carla.WorldSnapshot, steer_norm: float) -> Observation:
        """Read the frame of `snapshot`, all of it and nothing else."""
        episode = self._running()
        elapsed = snapshot.timestamp.elapsed_seconds
        if episode.last is None:
            episode.start_t = elapsed
        packets: dict[str, SensorPacket] = {}
        for sensor in episode.sensors:
            if (packet := sensor.read(snapshot.frame)) is not None:
                packets[sensor.name] = packet
        observation = Observation(
            frame=snapshot.frame,
            # Rounded: how many ticks went by before must not show in the last bit, or a drive is
            # not the same again.
            t=round(elapsed - episode.start_t, 6),
            ego=episode.reader.ego(snapshot, steer_norm, self.session.dt),
            actors=episode.reader.actors(snapshot),
            sensors=packets,
            events=collision_events(episode.collisions.drain()),
            lane_graph=self.session.lane_graph,
            route=episode.route,
        )
        episode.last = observation
        return observation

    def _spawn_ego(self, route: Route) -> carla.Vehicle:
        library = self.session.world.get_blueprint_library()
        try:
            blueprint = library.find(self.config.ego)
        except (IndexError, RuntimeError) as error:
            raise SessionError(f"the server has no vehicle {self.config.ego!r}") from error
        blueprint.set_attribute("role_name", "hero")
        x, y, z = (float(v) for v in route.xyz[0])
        transform = carla_transform(route.xyz[0] + (0.0, 0.0, DROP), float(route.yaw[0]))
        ego = self.session.world.try_spawn_actor(blueprint, transform)
        if ego is None:
            raise SessionError(
                f"ego cannot be placed at the start of the route, x {x:.1f}, y {y:.1f}, z {z:.1f} "
                "m: something stands there; try another seed"
            )
        self.session.own([ego])
        return ego  # pyright: ignore[reportReturnType]

    def _attach(self, spec: SensorSpec, ego: carla.Vehicle, period: int) -> SensorReader:
        world = self.session.world
        blueprint = world.get_blueprint_library().find(spec.blueprint)
        for name, value in spec.attributes.items():
            blueprint.set_attribute(name, value)
        x, y, z = spec.position
        place = carla.Transform(carla.Location(x=x, y=-y, z=z))
        try:
            sensor = world.spawn_actor(blueprint, place, attach_to=ego)
        except RuntimeError as error:
            raise SessionError(
                f"sensor {spec.name!r} ({spec.blueprint}) cannot be had: {error}"
            ) from error
        self.session.own([sensor])
        return SensorReader(spec.name, sensor, period)  # pyright: ignore

    def _running(self) -> _Episode:
        if self._episode is None:
            raise ValueError("CarlaSimulator: expected reset before step, got none")
        return self._episode


def _period(sensor_tick: float, dt: float) -> int:
    """Frames of `dt` [s] from one packet of a sensor to the next."""
    return max(1, math.ceil(sensor_tick / dt - 1e-6))


def _control(command: Command) -> carla.VehicleControl:
    """CARLA's form of a command."""
    return carla.VehicleControl(
        throttle=command.throttle,
        steer=-command.steer_norm,  # CARLA's is right positive
        brake=command.brake,
        hand_brake=command.hand_brake,
        reverse=command.reverse,
    )


def carla_transform(xyz: Array, yaw: float) -> carla.Transform:
    """CARLA's transform of a pose in our frame."""
    return carla.Transform(
        carla.Location(x=float(xyz[0]), y=-float(xyz[1]), z=float(xyz[2])),
        carla.Rotation(yaw=yaw_to_carla(yaw)),
    )
