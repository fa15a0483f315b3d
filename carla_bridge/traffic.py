"""`headway.traffic` on a CARLA server: spawns the others, drives them, recycles them around ego."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import carla
import numpy as np

from carla_bridge.autopilot import TrafficManagerTraffic
from carla_bridge.frames import yaw_to_carla
from carla_bridge.observation import Body
from carla_bridge.session import Session
from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.traffic import EGO, Placement, TrafficConfig, TrafficModel
from headway.traffic.control import PedalMap
from headway.types import ActorSnapshot, AgentKind, Array, EgoState
from headway.vehicle import vehicle_info

__all__ = ["TrafficAdapter", "TrafficManagerTraffic"]

LIFT = 0.1  # [m] above the ground where agents appear: real servers reject what touches it
BICYCLE_SPEED = 6.0  # [m/s]
STEER_STEP = 0.004  # a smaller change of steer is not sent
PEDAL_STEP = 0.02  # the same for throttle and brake
DIRECTION_STEP = 0.02  # the same for a walker's direction
SPEED_STEP = 0.05  # [m/s] the same for its speed
LONGEST = 7.5  # [m] longer vehicles cut across the lanes beside theirs when they turn: none appear
LEAST_WIDTH = 0.35  # [m] half of it: CARLA gives some two-wheelers a box without any
TRUCKS = ("firetruck", "ambulance", "carlacola", "european_hgv", "fusorosa", "sprinter", "t2")
BICYCLES = ("bh.crossbike", "gazelle.omafiets", "diamondback.century")
SHARES = {"car": 1.0, "truck": 0.15, "motorcycle": 0.5, "bicycle": 0.35}  # weight of one model


class TrafficAdapter:
    """Others on the roads of a session's world.

    Args:
        session: the connection; it destroys what is spawned here.
        lane_graph: of its town.
        seed: of models, places and tempers.
        config: how many.
    """

    def __init__(
        self, session: Session, lane_graph: LaneGraph, seed: int, config: TrafficConfig
    ) -> None:
        self._session = session
        self._model = TrafficModel(lane_graph, config, seed)
        self._draw = np.random.Generator(np.random.PCG64([seed, 7]))
        self._pedals = PedalMap(len(self._model.fleet))
        self._vehicle_id = np.full(config.num_vehicles, -1, np.int64)
        self._walker_id = np.full(config.num_walkers, -1, np.int64)
        self._vehicle_body: list[Body | None] = [None] * config.num_vehicles
        self._walker_body: list[Body | None] = [None] * config.num_walkers
        self._sent = np.full((config.num_vehicles, 3), np.nan)
        self._sent_walk = np.full((config.num_walkers, 3), np.nan)
        self._now = 0.0

    @property
    def model(self) -> TrafficModel:
        """The traffic itself."""
        return self._model

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Bring the others into the world, around ego; those that find no room stay away."""
        model = self._model
        model.write_ego(ego)
        model.set_ego_route(np.unique(route.lane[route.lane >= 0]))
        model.look(self._now)
        vehicles, walkers = self._spawn_commands()
        answers = self._session.client.apply_batch_sync([c for _, c in vehicles + walkers], False)
        ids = [0 if a.error else a.actor_id for a in answers]
        self._session.own(i for i in ids if i)
        for (row, _), actor_id in zip(vehicles, ids[: len(vehicles)], strict=True):
            model.fleet.active[row] = actor_id > 0
            self._vehicle_id[row - model.vehicles.start] = actor_id or -1
        for (row, _), actor_id in zip(walkers, ids[len(vehicles) :], strict=True):
            model.crowd.active[row] = actor_id > 0
            self._walker_id[row] = actor_id or -1
        self._session.tick()
        self._measure(ids)

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return the `carla.command`s of one tick: controls that changed, and who is moved."""
        model, dt = self._model, self._session.dt
        model.write_ego(ego)
        self._read(actors)
        signals = actors.signal_state
        if len(signals) == 0:
            signals = np.zeros(1, np.int8)
        model.step(np.ascontiguousarray(signals, np.int8), self._now, dt)
        self._now += dt
        batch: list[Any] = []
        moved, moved_walkers = model.recycle(self._now)
        for spot in moved:
            batch += self._move_vehicle(spot)
        for spot in moved_walkers:
            batch += self._move_walker(spot)
        self._control_vehicles(batch)
        self._control_walkers(batch)
        return batch

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Leave these lines to somebody else, until told otherwise; vehicles on them go away."""
        points = [line.xyz[:, :2] for line in lines]
        self._model.keep_off(np.concatenate(points) if points else np.zeros((0, 2)))

    def _spawn_commands(self) -> tuple[list[tuple[int, Any]], list[tuple[int, Any]]]:
        model = self._model
        library = self._session.world.get_blueprint_library()
        cars = sorted(
            (b for b in library.filter("vehicle.*") if 2.0 * _half_length(b.id) <= LONGEST),
            key=lambda b: b.id,
        )
        shares = np.array([SHARES[_sort(b.id)] for b in cars])
        people = sorted(library.filter("walker.pedestrian.*"), key=lambda b: b.id)
        vehicles, walkers = [], []
        for row in range(model.vehicles.start, model.vehicles.stop):
            blueprint = cars[int(self._draw.choice(len(cars), p=shares / shares.sum()))]
            self._set_vehicle(row, blueprint)
            spot = model.place_vehicle(row, first=True)
            if spot is not None:
                vehicles.append((row, carla.command.SpawnActor(blueprint, _transform(spot, LIFT))))
        for row in range(model.walkers.stop):
            blueprint = people[int(self._draw.integers(len(people)))]
            if blueprint.has_attribute("is_invincible"):
                blueprint.set_attribute("is_invincible", "false")
            spot = model.place_walker(row, first=True)
            if spot is not None:
                walkers.append((row, carla.command.SpawnActor(blueprint, _transform(spot, 1.0))))
        return vehicles, walkers

    def _set_vehicle(self, row: int, blueprint: carla.ActorBlueprint) -> None:
        info, fleet = vehicle_info(blueprint.id), self._model.fleet
        fleet.half_length[row] = info.extent[0]
        fleet.half_width[row] = max(info.extent[1], LEAST_WIDTH)
        fleet.wheelbase[row] = info.wheelbase
        sort = _sort(blueprint.id)
        if sort == "bicycle":
            fleet.top_speed[row] = BICYCLE_SPEED
            fleet.max_accel[row] = min(fleet.max_accel[row], 1.2)
        elif sort == "truck":
            fleet.max_accel[row] *= 0.7
            fleet.lateral_accel[row] *= 0.7
        self._pedals.set_type(row, blueprint.id)
        if blueprint.has_attribute("color"):
            colors = blueprint.get_attribute("color").recommended_values
            if colors:
                blueprint.set_attribute("color", colors[int(self._draw.integers(len(colors)))])
        blueprint.set_attribute("role_name", "traffic")

    def _measure(self, ids: Sequence[int]) -> None:
        """Ask the server for the bounding boxes of what was spawned."""
        model = self._model
        found = {a.id: a for a in self._session.world.get_actors([i for i in ids if i])}
        for k, actor_id in enumerate(self._vehicle_id):
            if (actor := found.get(int(actor_id))) is not None:
                body = self._vehicle_body[k] = Body.of(actor)
                row = model.vehicles.start + k
                model.fleet.half_length[row] = body.extent[0]
                model.fleet.half_width[row] = max(body.extent[1], LEAST_WIDTH)
        for k, actor_id in enumerate(self._walker_id):
            if (actor := found.get(int(actor_id))) is not None:
                body = self._walker_body[k] = Body.of(actor)
                model.crowd.radius[k] = max(body.extent)

    def _read(self, actors: ActorSnapshot) -> None:
        """Write what the frame says into the arrays."""
        model = self._model
        fleet, crowd = model.fleet, model.crowd
        at, here = _find(actors.id, self._vehicle_id)
        first = model.vehicles.start
        fleet.active[model.vehicles] = here
        rows = np.flatnonzero(here) + first
        _write_vehicles(fleet, rows, actors, at[here])
        walker_at, walker_here = _find(actors.id, self._walker_id)
        crowd.active[model.walkers] = walker_here
        _write_walkers(crowd, np.flatnonzero(walker_here), actors, walker_at[walker_here])
        mine = np.zeros(len(actors.id), bool)
        mine[at[here]] = mine[walker_at[walker_here]] = True
        self._read_foreign(actors, np.flatnonzero(~mine))

    def _read_foreign(self, actors: ActorSnapshot, rows: Array) -> None:
        """Whom others move: nearest to ego first, as many as there is room for."""
        model = self._model
        fleet, crowd = model.fleet, model.crowd
        gap = np.hypot(actors.pose[rows, 0] - fleet.x[EGO], actors.pose[rows, 1] - fleet.y[EGO])
        rows = rows[np.argsort(gap, kind="stable")]
        walks = actors.kind[rows] == AgentKind.WALKER
        room = slice(model.vehicles.stop, len(fleet))
        others = np.sort(rows[~walks][: len(fleet) - room.start])
        fleet.active[room] = np.arange(len(fleet) - room.start) < len(others)
        fleet.driven[room] = False
        _write_vehicles(fleet, room.start + np.arange(len(others)), actors, others)
        first = model.walkers.stop
        people = np.sort(rows[walks][: len(crowd) - first])
        crowd.active[first:] = np.arange(len(crowd) - first) < len(people)
        crowd.driven[first:] = False
        _write_walkers(crowd, first + np.arange(len(people)), actors, people)

    def _move_vehicle(self, spot: Placement) -> list[Any]:
        k = spot.row - self._model.vehicles.start
        self._pedals.forget(spot.row)
        self._sent[k] = np.nan
        actor_id = int(self._vehicle_id[k])
        velocity = carla.Vector3D(
            x=spot.speed * math.cos(spot.yaw), y=-spot.speed * math.sin(spot.yaw)
        )
        return [
            carla.command.ApplyTransform(actor_id, _transform(spot, LIFT, self._vehicle_body[k])),
            carla.command.ApplyTargetVelocity(actor_id, velocity),
            carla.command.ApplyTargetAngularVelocity(actor_id, carla.Vector3D()),
        ]

    def _move_walker(self, spot: Placement) -> list[Any]:
        self._sent_walk[spot.row] = np.nan
        actor_id = int(self._walker_id[spot.row])
        place = _transform(spot, LIFT, self._walker_body[spot.row])
        return [carla.command.ApplyTransform(actor_id, place)]

    def _control_vehicles(self, batch: list[Any]) -> None:
        model = self._model
        wanted = self._pedals.controls(model.fleet, model.vehicles, self._session.dt)
        change = np.abs(wanted - self._sent)
        limits = (PEDAL_STEP, STEER_STEP, PEDAL_STEP)
        changed = ~np.all(change <= limits, axis=1)
        # Letting go of a pedal is always told.
        changed |= np.any((wanted == 0.0) & (self._sent > 0.0), axis=1)
        changed &= model.fleet.active[model.vehicles]
        for k in np.flatnonzero(changed):
            throttle, steer, brake = (float(v) for v in wanted[k])
            control = carla.VehicleControl(throttle=throttle, steer=-steer, brake=brake)
            batch.append(carla.command.ApplyVehicleControl(int(self._vehicle_id[k]), control))
            self._sent[k] = wanted[k]

    def _control_walkers(self, batch: list[Any]) -> None:
        crowd, rows = self._model.crowd, self._model.walkers
        wanted = np.stack([crowd.dir_x[rows], crowd.dir_y[rows], crowd.out_speed[rows]], axis=1)
        limits = (DIRECTION_STEP, DIRECTION_STEP, SPEED_STEP)
        changed = ~np.all(np.abs(wanted - self._sent_walk) <= limits, axis=1)
        changed |= (wanted[:, 2] == 0.0) & (self._sent_walk[:, 2] > 0.0)
        changed &= crowd.active[rows]
        for k in np.flatnonzero(changed):
            x, y, speed = (float(v) for v in wanted[k])
            control = carla.WalkerControl(carla.Vector3D(x=x, y=-y), speed, False)
            actor_id = int(self._walker_id[k])
            batch.append(carla.command.ApplyWalkerControl(actor_id, control))  # pyright: ignore[reportArgumentType]
            self._sent_walk[k] = wanted[k]


def _sort(type_id: str) -> str:
    """What sort of vehicle a blueprint is: car, truck, motorcycle or bicycle."""
    if type_id.endswith(BICYCLES):
        return "bicycle"
    if any(name in type_id for name in ("harley", "kawasaki", "yamaha", "vespa")):
        return "motorcycle"
    return "truck" if any(name in type_id for name in TRUCKS) else "car"


def _half_length(type_id: str) -> float:
    return float(vehicle_info(type_id).extent[0])


def _transform(spot: Placement, lift: float, body: Body | None = None) -> carla.Transform:
    """CARLA's transform of an actor whose box stands at `spot`, `lift` [m] above the ground."""
    forward, left = body.offset if body is not None else (0.0, 0.0)
    cos, sin = math.cos(spot.yaw), math.sin(spot.yaw)
    x = spot.x - forward * cos + left * sin
    y = spot.y - forward * sin - left * cos
    z = spot.z + lift - (body.bottom if body is not None else 0.0)
    return carla.Transform(
        carla.Location(x=x, y=-y, z=z), carla.Rotation(yaw=yaw_to_carla(spot.yaw))
    )


def _find(ids: Array, wanted: Array) -> tuple[Array, Array]:
    """Rows of `wanted` in the sorted `ids`, and which of them are there."""
    if len(ids) == 0:
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return at, ids[at] == wanted


def _write_vehicles(fleet: Any, rows: Array, actors: ActorSnapshot, at: Array) -> None:
    pose, velocity = actors.pose[at], actors.velocity[at]
    fleet.x[rows], fleet.y[rows], fleet.yaw[rows] = pose[:, 0], pose[:, 1], pose[:, 2]
    fleet.z[rows] = actors.z[at]
    cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
    fleet.speed[rows] = velocity[:, 0] * cos + velocity[:, 1] * sin
    fleet.half_length[rows] = actors.extent[at, 0]
    fleet.half_width[rows] = np.maximum(actors.extent[at, 1], LEAST_WIDTH)


def _write_walkers(crowd: Any, rows: Array, actors: ActorSnapshot, at: Array) -> None:
    crowd.x[rows], crowd.y[rows] = actors.pose[at, 0], actors.pose[at, 1]
    crowd.z[rows] = actors.z[at]
    crowd.vx[rows], crowd.vy[rows] = actors.velocity[at, 0], actors.velocity[at, 1]
