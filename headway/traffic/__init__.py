"""How others drive and walk: IDM, MOBIL, gap acceptance, lights, signs, walkers."""

from headway.traffic.arrays import Crowd, Fleet, Hold, RoadArrays, WalkerMode
from headway.traffic.model import EGO, Placement, TrafficConfig, TrafficModel

__all__ = [
    "EGO",
    "Crowd",
    "Fleet",
    "Hold",
    "Placement",
    "RoadArrays",
    "TrafficConfig",
    "TrafficModel",
    "WalkerMode",
]
