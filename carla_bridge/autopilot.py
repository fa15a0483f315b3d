"""The other choice of traffic: CARLA's own traffic manager, which lives in the client."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import carla

from carla_bridge.session import Session
from headway.road.route import Route
from headway.types import ActorSnapshot, EgoState

CLEARANCE = 12.0  # [m] around ego where nobody appears


class TrafficManagerTraffic:
    """Vehicles that CARLA's traffic manager drives.

    Args:
        session: the connection.
        seed: of the spawn points, the models and the traffic manager.
        num_vehicles: how many, as far as there are spawn points.
    """

    def __init__(self, session: Session, seed: int, num_vehicles: int) -> None:
        self._session = session
        self._num = num_vehicles
        self._random = random.Random(seed)
        manager, self._port = session.traffic_manager()
        manager.set_random_device_seed(seed)

    def spawn(self, ego: EgoState, route: Route) -> None:
        """Put the vehicles on the spawn points nearest to ego."""
        del route
        library = self._session.world.get_blueprint_library().filter("vehicle.*")
        cars = sorted((b for b in library if _is_car(b)), key=lambda b: b.id)
        points = sorted(self._session.map.get_spawn_points(), key=lambda p: _distance(p, ego))
        free = [p for p in points if _distance(p, ego) > CLEARANCE][: self._num]
        future: Any = carla.command.FutureActor
        batch = [
            carla.command.SpawnActor(self._random.choice(cars), point).then(
                carla.command.SetAutopilot(future, True, self._port)
            )
            for point in free
        ]
        answers = self._session.client.apply_batch_sync(batch, False)
        self._session.own(a.actor_id for a in answers if not a.error)
        self._session.tick()

    def commands(self, actors: ActorSnapshot, ego: EgoState) -> list[Any]:
        """Return nothing: the traffic manager sends its own."""
        del actors, ego
        return []

    def keep_off(self, lines: Sequence[Route]) -> None:
        """Nothing can be done: the traffic manager has no such wish."""


def _is_car(blueprint: carla.ActorBlueprint) -> bool:
    """Whether it has four wheels and is no truck or bus."""
    wheels = blueprint.get_attribute("number_of_wheels").as_int()
    return wheels == 4 and blueprint.get_attribute("base_type").as_str() in {"car", "van", ""}


def _distance(point: carla.Transform, ego: EgoState) -> float:
    """[m] between a spawn point and ego."""
    return math.hypot(point.location.x - ego.pose[0], -point.location.y - ego.pose[1])
