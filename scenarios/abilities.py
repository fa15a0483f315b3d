"""Bench2Drive's five abilities: the scenario types of each (docs/upstream_scenarios.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TURNS_WITH_FLOW = (
    "NonSignalizedJunctionLeftTurn", "NonSignalizedJunctionLeftTurnEnterFlow",
    "NonSignalizedJunctionRightTurn", "SignalizedJunctionLeftTurn",
    "SignalizedJunctionLeftTurnEnterFlow", "SignalizedJunctionRightTurn",
)  # fmt: skip
OPPOSITE = ("OppositeVehicleRunningRedLight", "OppositeVehicleTakingPriority")
TURNING = ("VehicleTurningRoute", "VehicleTurningRoutePedestrian")

ABILITIES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "Overtaking": (
        "Accident", "AccidentTwoWays", "ConstructionObstacle", "ConstructionObstacleTwoWays",
        "HazardAtSideLane", "HazardAtSideLaneTwoWays", "ParkedObstacle", "ParkedObstacleTwoWays",
        "VehicleOpensDoorTwoWays",
    ),
    "Merging": (
        "CrossingBicycleFlow", "EnterActorFlow", "HighwayExit", "HighwayCutIn",
        "InterurbanActorFlow", "InterurbanAdvancedActorFlow", "MergerIntoSlowTraffic",
        "MergerIntoSlowTrafficV2", *TURNS_WITH_FLOW, "ParkingExit", "SequentialLaneChange",
    ),
    "Emergency_Brake": (
        "BlockedIntersection", "DynamicObjectCrossing", "HardBreakRoute", *OPPOSITE,
        "ParkingCutIn", "PedestrianCrossing", "ParkingCrossingPedestrian", "StaticCutIn",
        *TURNING, "ControlLoss",
    ),
    "Give_Way": ("InvadingTurn", "YieldToEmergencyVehicle"),
    "Traffic_Signs": (
        "BlockedIntersection", *OPPOSITE, "PedestrianCrossing", *TURNING, "EnterActorFlow",
        "CrossingBicycleFlow", *TURNS_WITH_FLOW, "T_Junction", "VanillaNonSignalizedTurn",
        "VanillaNonSignalizedTurnEncounterStopsign", "VanillaSignalizedTurnEncounterGreenLight",
        "VanillaSignalizedTurnEncounterRedLight",
    ),
})  # fmt: skip
