"""A town as the server serves it: OpenDRIVE, lanes, spawn points, and what its signals become."""

from __future__ import annotations

from dataclasses import dataclass

from headway.road.lane_graph import LaneGraph
from headway.types import Array

Triple = tuple[float, float, float]


class TownNotFound(ValueError):
    """There is no town of that name here; the message says how to bring one."""


class BrokenTown(ValueError):
    """An OpenDRIVE file that LibCarla would stumble over; the message names what is wrong."""


@dataclass(frozen=True)
class TriggerBox:
    """The volume of one lane in which a signal affects vehicles, in CARLA's frame.

    Attributes:
        center: [m] in the map.
        extent: [m] half sizes along, across and up.
        yaw: [deg] of the lane's direction of travel.
        road_id, section_id, lane_id: the lane.
        s: [m] of the centre along the road.
    """

    center: Triple
    extent: Triple
    yaw: float
    road_id: int
    section_id: int
    lane_id: int
    s: float


@dataclass(frozen=True)
class SignalSpec:
    """A traffic light or sign, as the actor that CARLA makes of it, in CARLA's frame and degrees.

    Attributes:
        opendrive_id: as `TrafficSign.get_opendrive_id` would answer.
        type_id: traffic.traffic_light, traffic.stop, traffic.yield, traffic.speed_limit.N.
        transform: x, y, z [m], pitch, yaw, roll [deg].
        trigger_center: [m] in the actor's own frame, as in the bounding box of the actor.
        trigger_extent: [m] half sizes in that frame; its x runs across the road.
        trigger_yaw: [deg] of the box in that frame.
        boxes: the same volume lane by lane; empty for a light that affects no lane.
        group: number of the lights that cycle together, the junction's id where there is one,
            below -1 for a light on its own; -1 for signs.
        order: which in its group turns green when; lights of the same order do so together.
        green_time, yellow_time, red_time: [s] of its own stage; then the next in order.
        value: speed limits [km/h], else -1.
    """

    opendrive_id: str
    type_id: str
    transform: tuple[float, float, float, float, float, float]
    trigger_center: Triple = (0.0, 0.0, 0.0)
    trigger_extent: Triple = (0.0, 0.0, 0.0)
    trigger_yaw: float = 0.0
    boxes: tuple[TriggerBox, ...] = ()
    group: int = -1
    order: int = 0
    green_time: float = 10.0
    yellow_time: float = 3.0
    red_time: float = 2.0
    value: float = -1.0


@dataclass(frozen=True)
class Town:
    """A town, ready to be served.

    Attributes:
        name: as `carla.Map.name` ends.
        xodr: its OpenDRIVE, as sent to clients.
        lane_graph: its lanes (our frame).
        spawn_points: (n, 6) x, y, z [m], pitch, yaw, roll [deg], CARLA's frame.
        signals: lights and signs.
        geo_reference: latitude, longitude [deg] of the origin.
    """

    name: str
    xodr: str
    lane_graph: LaneGraph
    spawn_points: Array
    signals: tuple[SignalSpec, ...]
    geo_reference: tuple[float, float]
