"""The table of parts: what may stand after `planner=`, `world_model=` and the like, a line each.

Modules are named, not imported, so that the table costs nothing and nobody looks up from here;
`headway.cli` alone imports what it needs of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Part:
    """One choice for one place of the driver or of the world.

    Attributes:
        group: key of the drive's configuration, e.g. `planner`.
        name: what is written after it, e.g. `idm`.
        config: `module:Class` of the dataclass with its settings; no two parts share one.
        made: `module:Class` of the part, called with its settings when it has any; empty where the
            command line makes it in another way.
        on_server: whether it is called with the Session as well.
    """

    group: str
    name: str
    config: str
    made: str = ""
    on_server: bool = False

    def config_class(self) -> type:
        """Import the dataclass of its settings."""
        return _load(self.config)

    def make(self, config: Any, session: Any = None) -> Any:
        """Import the part and make one.

        Args:
            config: its settings.
            session: with the server, for those that need one.

        Raises:
            ValueError: it needs a session and there is none.
        """
        made = _load(self.made)
        arguments = [config] if fields(config) else []
        if self.on_server:
            if session is None:
                raise ValueError(f"{self.group}={self.name}: expected a session, got none")
            arguments.append(session)
        return made(*arguments)


PARTS = (
    Part("perception", "privileged", "perception.privileged:PrivilegedConfig",
         "perception.privileged:PrivilegedPerception"),
    Part("language", "route", "scenarios.config:RouteLanguageConfig",
         "language.route:RouteLanguage"),
    Part("world_model", "constant_velocity", "world_model.constant_velocity:ConstantVelocityConfig",
         "world_model.constant_velocity:ConstantVelocity"),
    Part("world_model", "constant_turn_rate",
         "world_model.constant_turn_rate:ConstantTurnRateConfig",
         "world_model.constant_turn_rate:ConstantTurnRate"),
    Part("world_model", "idm", "world_model.idm:IdmWorldConfig", "world_model.idm:IdmWorld"),
    Part("planner", "idm", "planner.idm:IdmConfig", "planner.idm:IdmPlanner"),
    Part("planner", "frenet", "planner.frenet.config:FrenetConfig",
         "planner.frenet.planner:FrenetPlanner"),
    Part("planner", "pdm_closed", "planner.pdm_closed.planner:PdmClosedConfig",
         "planner.pdm_closed.planner:PdmClosedPlanner"),
    Part("planner", "mpc", "planner.mpc.config:MpcConfig", "planner.mpc.planner:MpcPlanner"),
    Part("planner", "idm_mobil", "planner.idm_mobil:IdmMobilConfig",
         "planner.idm_mobil:IdmMobilPlanner"),
    Part("planner", "traffic_manager", "carla_bridge.rivals:TrafficManagerPlannerConfig",
         "carla_bridge.rivals:TrafficManagerPlanner", on_server=True),
    Part("planner", "carla_basic", "carla_bridge.rivals:BasicAgentConfig",
         "carla_bridge.rivals:BasicAgentPlanner", on_server=True),
    Part("planner", "carla_behavior", "carla_bridge.rivals:BehaviorAgentConfig",
         "carla_bridge.rivals:BehaviorAgentPlanner", on_server=True),
    Part("tracker", "inverse_map", "planner.tracker:TrackerConfig", "planner.tracker:PlanTracker"),
    Part("safety", "emergency_brake", "planner.safety:SafetyConfig",
         "planner.safety:EmergencyBrake"),
    Part("safety", "none", "planner.safety:NoSafetyConfig", "planner.safety:NoSafety"),
    Part("traffic", "headway", "headway.traffic:TrafficConfig"),
    Part("traffic", "traffic_manager", "scenarios.config:TrafficManagerConfig"),
    Part("traffic", "none", "scenarios.config:NoTrafficConfig"),
)  # fmt: skip


def part_of(group: str, config: Any) -> Part:
    """Return the part of `group` that `config` belongs to, by its type.

    Raises:
        ValueError: there is none.
    """
    for part in PARTS:
        if part.group == group and part.config_class() is type(config):
            return part
    raise ValueError(f"{group}: no part has a configuration of type {type(config).__name__}")


def _load(path: str) -> type:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
