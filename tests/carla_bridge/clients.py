"""What tests do with the real `carla` client all the time."""

from __future__ import annotations

import carla

from carla_bridge.embedded import EmbeddedServer

DT = 0.05  # [s]


def connect(server: EmbeddedServer) -> carla.Client:
    """A client of its own."""
    client = carla.Client(server.host, server.port)
    client.set_timeout(20.0)
    return client


def synchronous(world: carla.World, delta: float = DT) -> None:
    """Make the world wait for ticks."""
    options = world.get_settings()
    options.synchronous_mode = True
    options.fixed_delta_seconds = delta
    world.apply_settings(options)


def asynchronous(world: carla.World, delta: float | None = None) -> None:
    """Make the world go on by itself."""
    options = world.get_settings()
    options.synchronous_mode = False
    options.fixed_delta_seconds = delta
    world.apply_settings(options)


def blueprint(world: carla.World, name: str = "vehicle.tesla.model3") -> carla.ActorBlueprint:
    return world.get_blueprint_library().find(name)
