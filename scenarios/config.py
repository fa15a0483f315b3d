"""The configuration of a drive; each part's own stands beside the part."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from omegaconf import MISSING

from carla_bridge.simulator import SimulatorConfig
from scenarios.episode import EpisodeConfig


@dataclass
class OutputConfig:
    """What a drive leaves behind.

    Attributes:
        folder: where; empty makes a new one below `outputs`.
        plots: speed, acceleration and steering as PNG.
        video: top-down MP4.
        rerun: a log for the Rerun viewer.
    """

    folder: str = ""
    plots: bool = True
    video: bool = True
    rerun: bool = True


@dataclass
class RouteLanguageConfig:
    """Follow the route; there is nothing to set."""


@dataclass
class NoTrafficConfig:
    """An empty town; there is nothing to set."""


@dataclass
class TrafficManagerConfig:
    """Vehicles on CARLA's own traffic manager.

    Attributes:
        num_vehicles: how many, as far as the town has spawn points.
    """

    num_vehicles: int = 40

    def __post_init__(self) -> None:
        if self.num_vehicles < 0:
            raise ValueError(
                f"TrafficManagerConfig.num_vehicles: expected 0 or more, got {self.num_vehicles}"
            )


@dataclass
class DriveConfig:
    """One drive.

    Attributes:
        town: to drive in; None keeps the one that a running server has.
        seed: of route and traffic.
        host, port: of a running server; without both the embedded one is started.
        min_length: [m] of the route.
        max_length: [m] of the route; half as much again as `min_length` when it is None.
        simulator: what ego is.
        episode: when it ends early.
        output: what it leaves behind.
        perception, language, world_model, planner, tracker, safety, traffic: the parts.
    """

    town: str | None = "grid"
    seed: int = 1
    host: str | None = None
    port: int | None = None
    min_length: float = 1000.0
    max_length: float | None = None
    simulator: SimulatorConfig = field(default_factory=SimulatorConfig)
    episode: EpisodeConfig = field(default_factory=EpisodeConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    perception: Any = MISSING
    language: Any = MISSING
    world_model: Any = MISSING
    planner: Any = MISSING
    tracker: Any = MISSING
    safety: Any = MISSING
    traffic: Any = MISSING

    def __post_init__(self) -> None:
        shortest, longest = self.route_length
        if not 0.0 < shortest <= longest:
            raise ValueError(
                "DriveConfig.min_length and max_length: expected 0 < min_length <= max_length, got "
                f"{self.min_length} and {self.max_length}"
            )

    @property
    def route_length(self) -> tuple[float, float]:
        """[m] at least, at most."""
        return self.min_length, self.max_length or 1.5 * self.min_length


def known_keys(schema: Any = DriveConfig, prefix: str = "") -> list[str]:
    """Return every key of a drive's configuration, those of its nested parts with dots."""
    keys = []
    for entry in fields(schema):
        keys.append(prefix + entry.name)
        factory = entry.default_factory
        if is_dataclass(factory):
            keys += known_keys(factory, f"{prefix}{entry.name}.")
    return keys
