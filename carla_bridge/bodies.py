"""Which bodies count, and the one that our server has and CARLA's does not."""

from __future__ import annotations

FLAT = 0.2  # [m] half height of a prop up to which cars drive over it: dirt, litter, planks
# On a real CARLA server an open door is part of its car; on ours, where a car is one box, it is a
# prop that whoever opens a door may put there.
DOOR, DOOR_SIZE = "static.prop.cardoor", (1.0, 0.15, 1.2)  # blueprint; length, width, height [m]
# carla.VehicleLightState's Special1 and Special2: the blue lights of who is on duty, as upstream's
# scenarios switch them on.
SIREN = 0x200 | 0x400
