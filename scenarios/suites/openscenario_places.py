"""Positions of an OpenSCENARIO file."""

from __future__ import annotations

from scenarios.suites.openscenario_action_spec import (
    LanePosition,
    Position,
    RelativeLanePosition,
    RelativePosition,
    RelativeRoadPosition,
    RoadPosition,
    Turn,
    WorldPosition,
)
from scenarios.suites.openscenario_xml import Node
from scenarios.suites.spec import Place


def read_position(node: Node) -> Position:
    """Read the <Position> in an element, or an element that stands for one.

    Raises:
        SuiteError: there is none, it is of a kind that is not ours, or something in it is wrong.
    """
    return _position((node.find("Position") or node).only())


def _position(at: Node) -> Position:
    match at.tag:
        case "WorldPosition":
            x, z = at.number("x"), at.number("z", 0.0)
            return WorldPosition(Place(x, at.side("y"), z, at.side("h", 0.0)), at.source)
        case "RelativeWorldPosition" | "RelativeObjectPosition":
            dx, dy, dz = at.number("dx", 0.0), at.side("dy", 0.0), at.number("dz", 0.0)
            own = at.tag == "RelativeObjectPosition"
            return RelativePosition(
                at.word("entityRef"), dx, dy, dz, own, _turn(at), at.source
            )  # fmt: skip
        case "RoadPosition":
            road, t = at.whole("roadId"), at.side("t", 0.0)
            return RoadPosition(road, at.number("s"), t, _turn(at), at.source)
        case "RelativeRoadPosition":
            who, dt = at.word("entityRef"), at.side("dt", 0.0)
            return RelativeRoadPosition(who, at.number("ds"), dt, _turn(at), at.source)
        case "LanePosition":
            road, lane = at.whole("roadId"), at.whole("laneId")
            offset = at.side("offset", 0.0)
            return LanePosition(road, lane, at.number("s"), offset, _turn(at), at.source)
        case "RelativeLanePosition":
            who, lanes = at.word("entityRef"), at.whole("dLane")
            offset = at.side("offset", 0.0)
            return RelativeLanePosition(
                who, lanes, at.number("ds", 0.0), offset, _turn(at), at.source
            )  # fmt: skip
    raise at.unsupported()


def _turn(at: Node) -> Turn:
    given = at.find("Orientation")
    if given is None:
        return Turn()
    kind = given.choice("type", ("absolute", "relative"), "relative")
    return Turn(given.side("h", 0.0), kind == "absolute")
