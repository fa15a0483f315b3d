"""The entities of a storyboard on the stage: where they are, how they move, who moves them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import carla
import numpy as np

from carla_bridge.session import Session
from carla_bridge.simulator import carla_transform
from headway.frames import wrap_angle
from headway.road.frenet import project_on_route, route_poses
from headway.road.lane_graph import LaneKind
from headway.road.queries import lane_width, nearest_lane
from headway.road.route import Route
from headway.types import ActorSnapshot, AgentKind, Array, EgoState
from scenarios.movers import Mover
from scenarios.openscenario.elements import Elements
from scenarios.openscenario.lines import lane_line, straight_line, walk
from scenarios.openscenario.places import Places
from scenarios.stage import Stage
from scenarios.suites.openscenario_spec import (
    Entity,
    StorySpec,
)
from scenarios.suites.spec import Place, SuiteError

ACCEL, BRAKE = 5.0, 8.0  # [m/s^2] what tyres and engines do, whatever a file's Performance allows
STANDS = 0.1  # [m/s] below which somebody stands still
ALONG = (LaneKind.DRIVING, LaneKind.PARKING)
END_ROOM = 2.0  # [m] to the end of a line, from which on it is laid further


class Walker:
    """A walker who goes straight on, or along a line."""

    def __init__(self, actor: int, yaw: float) -> None:
        self.actor, self.yaw, self.wanted = actor, yaw, 0.0
        self.line: Route | None = None
        self.s = 0.0
        self._told: tuple[float, float] | None = None

    def commands(self, pose: Array) -> list[Any]:
        """Return the `carla.command`s of one tick, from x, y, yaw."""
        if self.line is not None:
            self.s = float(project_on_route(self.line, pose[None, :2], self.s)[0][0])
            x, y, _, _ = route_poses(self.line, np.array([min(self.s + 1.0, self.line.length)]))[0]
            self.yaw = math.atan2(y - pose[1], x - pose[0])
        if self._told == (self.wanted, self.yaw):
            return []
        self._told = self.wanted, self.yaw
        direction = carla.Vector3D(math.cos(self.yaw), -math.sin(self.yaw), 0.0)
        control = carla.WalkerControl(direction, self.wanted, False)
        return [carla.command.ApplyWalkerControl(self.actor, control)]  # pyright: ignore


class Player:
    """An entity in the world.

    Attributes:
        entity: what the file says of it.
        actor: its id.
        kind: `AgentKind`.
        pose: (3,) x, y [m], yaw [rad], of its middle; z [m].
        velocity: (2,) [m/s].
        accel: [m/s^2] by which its speed changes.
        extent: (2,) half length, half width [m].
        travelled: [m] since the storyboard began.
        stood, off_road, end_of_road: [s] for which it does so without a break.
        mover: of a vehicle that is not ego.
        walker: of a walker.
        straight: whether it goes straight on and not along its lane.
        cruises: whether it drives at the limit and heeds who is ahead.
        holds: what commands it, by `along` and `across`.
    """

    def __init__(self, entity: Entity, actor: int, place: Place) -> None:
        self.entity, self.actor = entity, actor
        self.kind = AgentKind.PROP
        self.pose, self.z = np.array([place.x, place.y, place.yaw or 0.0]), place.z
        self.velocity, self.extent = np.zeros(2), np.ones(2)
        self.accel = self.travelled = self.stood = self.off_road = self.end_of_road = 0.0
        self.mover: Mover | None = None
        self.walker: Walker | None = None
        self.straight = self.cruises = False
        self.holds: dict[str, object] = {}

    @property
    def speed(self) -> float:
        """[m/s]."""
        return float(np.linalg.norm(self.velocity))

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(float(self.pose[0]), float(self.pose[1]), self.z, float(self.pose[2]))

    def want(self, speed: float) -> None:
        """Go to a speed [m/s], as fast as it may."""
        if self.walker is not None:
            self.walker.wanted = max(speed, 0.0)
        if self.mover is not None:
            self.mover.wanted = max(speed, 0.0)

    def follow(self, line: Route) -> None:
        """Go along a line, as far beside it as now."""
        if self.walker is not None:
            self.walker.line, self.walker.s = line, 0.0
        if self.mover is not None:
            s, d, _ = project_on_route(line, self.pose[None, :2])
            self.mover.line, self.mover.s, self.mover.offset = line, float(s[0]), float(d[0])
            self.mover.stops = False


class StoryStage(Stage):
    """A `Stage` with the entities of a file on it.

    Args:
        session: the connection.
        spec: the file.
        route: ego's.
        seed: of every choice.
        begin: where entities are in the beginning, by name.

    Attributes:
        spec: the file.
        places: finds positions.
        players: who is in the world, by name.
        parameters: by name, as they are by now.
        time: [s] since the storyboard began.
        elements: of the storyboard, and what has happened.
        verdicts: of the criteria, by name, once it is over.
    """

    def __init__(
        self, session: Session, spec: StorySpec, route: Route, seed: int, begin: Mapping[str, Place]
    ) -> None:
        super().__init__(session, route, seed)
        self.spec, self._begin, self._world = spec, begin, session.world
        self.places = Places(session.map, session.lane_graph, self.where)
        self.players: dict[str, Player] = {}
        self.parameters = dict(spec.parameters)
        self.time = 0.0
        self.elements = Elements()
        self.verdicts: dict[str, bool] = {}

    def where(self, name: str) -> Place | None:
        """The pose of an entity, None while it is nowhere."""
        return self.players[name].place if name in self.players else None

    def populate(self, ego: EgoState) -> None:
        """Bring everybody into the world who is there in the beginning."""
        for name, place in self._begin.items():
            entity = self.spec.entities[name]
            if name == self.spec.ego:
                self.players[name] = Player(entity, ego.id, place)
                self.players[name].kind = AgentKind.VEHICLE
            else:
                self.add(entity, place)

    def add(self, entity: Entity, place: Place) -> None:
        """Bring an entity into the world; one that is there already is put there.

        Raises:
            SuiteError: something stands there, or the server has no such blueprint.
        """
        if entity.name in self.players:
            self.teleport(self.players[entity.name], place)
            return
        try:
            actor = self.place(entity.blueprint, place, entity.name)
        except (ValueError, IndexError, RuntimeError) as error:
            raise SuiteError(entity.source, str(error)) from error
        player = self.players[entity.name] = Player(entity, actor, place)
        if entity.blueprint.startswith("vehicle."):
            player.kind = AgentKind.VEHICLE
            mover = self.set_going(actor, self.line_of(player), 0.0, heeds=False)
            mover.accel, mover.brake = min(entity.max_accel, ACCEL), min(entity.max_decel, BRAKE)
            player.mover = mover
            player.follow(mover.line)
        elif entity.blueprint.startswith("walker."):
            player.kind, player.straight = AgentKind.WALKER, True
            player.walker = Walker(actor, float(player.pose[2]))

    def drop(self, name: str) -> None:
        """Take an entity out of the world, if it is there; ego stays."""
        if name in self.players and name != self.spec.ego:
            self.remove([self.players.pop(name).actor])

    def teleport(self, player: Player, place: Place) -> None:
        """Put somebody somewhere at once; they go on as fast as before."""
        yaw = player.pose[2] if place.yaw is None else place.yaw
        player.pose, player.z = np.array([place.x, place.y, yaw]), place.z
        at = carla_transform(np.array([place.x, place.y, place.z + 0.1]), float(yaw))
        self._batch.append(carla.command.ApplyTransform(player.actor, at))
        if player.walker is not None:
            player.walker.yaw = float(yaw)
        if player.mover is not None:
            player.follow(self.line_of(player))

    def line_of(self, player: Player) -> Route:
        """Its line onward: straight on, or along the lane that it is in."""
        lane, s, _ = self.lane_of(player)
        if player.straight or lane < 0:
            return straight_line(self.graph, player.pose)
        return lane_line(self.graph, lane, s)

    def start_at(self, player: Player, speed: float) -> None:
        """Let somebody have a speed [m/s] from now on."""
        player.want(speed)
        yaw = float(player.pose[2])
        player.velocity = speed * np.array([math.cos(yaw), math.sin(yaw)])
        if player.mover is not None:
            player.mover.speed = speed
        elif player.kind == AgentKind.VEHICLE:
            velocity = carla.Vector3D(player.velocity[0], -player.velocity[1], 0.0)
            self._batch.append(carla.command.ApplyTargetVelocity(player.actor, velocity))

    def lane_of(self, player: Player) -> tuple[int, float, float]:
        """Lane (-1: none), s and d [m] where somebody is."""
        x, y, yaw = map(float, player.pose)
        return nearest_lane(self.graph, x, y, yaw, z=player.z)

    def take_commands(self) -> list[Any]:
        """Return what has to be sent with the next tick."""
        walking = []
        for player in self.players.values():
            if player.mover is not None:
                self._guide(player, player.mover)
            elif player.walker is not None:
                walking += player.walker.commands(player.pose)
        return super().take_commands() + walking

    def _guide(self, player: Player, mover: Mover) -> None:
        """Lay a line further that ends, and let who cruises have the limit."""
        mover.heeds = player.cruises
        lane, s = int(mover.line.lane[-1]), float(mover.line.lane_s[-1])
        if mover.left < END_ROOM and lane < 0:  # a trajectory
            player.follow(self.line_of(player))
        elif mover.left < END_ROOM:
            try:
                onward = walk(self.graph, lane, s, END_ROOM)
                player.follow(lane_line(self.graph, *onward))
            except ValueError:  # the road ends
                mover.stops = True
        if player.cruises:
            k = min(int(np.searchsorted(mover.line.s, mover.s)), len(mover.line.s) - 1)
            mover.wanted = float(mover.line.speed_limit[k])

    def observe(self, actors: ActorSnapshot, ego: EgoState, dt: float) -> None:
        """Take a frame in; `dt` [s] is 0 in the first one of the storyboard."""
        self.time = round(self.time + dt, 6)  # or 20 ticks of 0.05 s were more than 1 s
        row = {int(actor): k for k, actor in enumerate(actors.id)}
        for player in self.players.values():
            k = row.get(player.actor, -1)
            if player.actor == ego.id:
                pose, velocity, player.extent, z = ego.pose, ego.velocity, ego.extent, ego.z
            elif k >= 0:
                pose, velocity = actors.pose[k].copy(), actors.velocity[k].copy()
                player.extent, z = actors.extent[k], float(actors.z[k])
            else:  # placed in this very tick
                continue
            self._track(player, pose, velocity, z, dt)

    def _track(self, player: Player, pose: Array, velocity: Array, z: float, dt: float) -> None:
        if dt > 0.0:
            player.travelled += float(np.hypot(*(pose[:2] - player.pose[:2])))
            player.accel = float(np.hypot(*(velocity - player.velocity))) / dt
        player.pose, player.velocity, player.z = pose, velocity, z
        off, ends = self._is_off(player)
        player.stood = player.stood + dt if player.speed < STANDS else 0.0
        player.off_road = player.off_road + dt if off else 0.0
        player.end_of_road = player.end_of_road + dt if ends else 0.0

    def _is_off(self, player: Player) -> tuple[bool, bool]:
        """Whether somebody's middle is beside all lanes for driving, and at the end of a road."""
        x, y = map(float, player.pose[:2])
        lane, s, d = nearest_lane(self.graph, x, y, kinds=ALONG, z=player.z)
        if lane < 0:
            return True, False
        beside = abs(d) > 0.5 * lane_width(self.graph.arrays(), lane, s)
        at_end = s + float(player.extent[0]) > self.graph.length[lane]
        return beside, at_end and not len(self.graph.successors(lane))

    def light(self, name: str) -> carla.TrafficLight | None:
        """The traffic light that a file names by OpenDRIVE id, `id=ACTOR` or `pos=X,Y`."""
        how, _, words = name.partition("=")
        for light in self._world.get_actors().filter("traffic.traffic_light*"):
            at = light.get_location()
            if how == "pos" and words:
                x, y = map(float, words.split(","))
                found = math.hypot(at.x - x, at.y - y) < 2.0
            else:
                found = str(light.id) == words if words else light.get_opendrive_id() == name  # pyright: ignore
            if found:
                return light  # pyright: ignore
        return None


def along_and_across(player: Player, x: float, y: float) -> tuple[float, float]:
    """Way [m] to a point ahead of somebody, and to their left."""
    dx, dy, yaw = x - player.pose[0], y - player.pose[1], float(player.pose[2])
    cos, sin = math.cos(yaw), math.sin(yaw)
    return float(dx * cos + dy * sin), float(dy * cos - dx * sin)


def faces(player: Player, other: Player) -> bool:
    """Whether two go about the same way."""
    return abs(wrap_angle(float(player.pose[2] - other.pose[2]))) < 0.5 * math.pi
