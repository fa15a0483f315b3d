"""The five abilities into which Bench2Drive sorts the types of scenarios.

An ability is the share of its routes that succeeded; a route is sorted by its first scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

_OBSTACLES = ("Accident", "ConstructionObstacle", "HazardAtSideLane", "ParkedObstacle")
_FLOWS = (
    "SignalizedJunctionLeftTurn", "SignalizedJunctionLeftTurnEnterFlow",
    "SignalizedJunctionRightTurn", "NonSignalizedJunctionLeftTurn",
    "NonSignalizedJunctionLeftTurnEnterFlow", "NonSignalizedJunctionRightTurn",
)  # fmt: skip
_CROSSED = (
    "BlockedIntersection", "OppositeVehicleRunningRedLight", "OppositeVehicleTakingPriority",
    "PedestrianCrossing", "VehicleTurningRoute", "VehicleTurningRoutePedestrian",
)  # fmt: skip
ABILITIES: Mapping[str, frozenset[str]] = MappingProxyType({
    "Overtaking": frozenset(
        (*_OBSTACLES, *(f"{name}TwoWays" for name in _OBSTACLES), "VehicleOpensDoorTwoWays")
    ),
    "Merging": frozenset((
        *_FLOWS, "CrossingBicycleFlow", "EnterActorFlow", "HighwayCutIn", "HighwayExit",
        "InterurbanActorFlow", "InterurbanAdvancedActorFlow", "MergerIntoSlowTraffic",
        "MergerIntoSlowTrafficV2", "ParkingExit", "SequentialLaneChange",
    )),
    "Emergency_Brake": frozenset((
        *_CROSSED, "ControlLoss", "DynamicObjectCrossing", "HardBreakRoute",
        "ParkingCrossingPedestrian", "ParkingCutIn", "StaticCutIn",
    )),
    "Give_Way": frozenset(("InvadingTurn", "YieldToEmergencyVehicle")),
    "Traffic_Signs": frozenset((
        *_CROSSED, *_FLOWS, "CrossingBicycleFlow", "EnterActorFlow", "T_Junction",
        "VanillaNonSignalizedTurn", "VanillaNonSignalizedTurnEncounterStopsign",
        "VanillaSignalizedTurnEncounterGreenLight", "VanillaSignalizedTurnEncounterRedLight",
    )),
})  # fmt: skip


def ability_shares(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Share of the rows that show an ability, by its name; without those that no row asks for.

    Signs and lights are heeded, too, by who fails after the junction without having run any.
    """
    shown: dict[str, list[bool]] = {name: [] for name in ABILITIES}
    for row in rows:
        kind = next(iter(row["scenarios"]), "")
        for name, kinds in ABILITIES.items():
            if kind in kinds:
                shown[name].append(row["success"] or (name == "Traffic_Signs" and _heeded(row)))
    return {name: sum(those) / len(those) for name, those in shown.items() if those}


def _heeded(row: Mapping[str, Any]) -> bool:
    ran = row["outcome"]["red_lights"] + row["outcome"]["stop_signs"]
    return row["past_junction"] and not ran
