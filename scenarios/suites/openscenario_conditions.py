"""Triggers and conditions of an OpenSCENARIO file."""

from __future__ import annotations

from scenarios.suites.openscenario_action_spec import (
    Position,
)
from scenarios.suites.openscenario_places import read_position
from scenarios.suites.openscenario_spec import (
    ByEntity,
    CollisionCondition,
    Compared,
    Condition,
    DistanceCondition,
    ElementStateCondition,
    EntityTest,
    HeadwayCondition,
    MotionCondition,
    ParameterCondition,
    RelativeSpeedCondition,
    SignalCondition,
    Test,
    TimeCondition,
    Trigger,
)
from scenarios.suites.openscenario_xml import Node

RULES = ("greaterThan", "lessThan", "equalTo", "greaterOrEqual", "lessOrEqual", "notEqualTo")
EDGES = ("rising", "falling", "risingOrFalling", "none")
KINDS = {
    "cartesianDistance": "cartesian", "euclidianDistance": "cartesian",
    "longitudinal": "longitudinal", "lateral": "lateral",
}  # fmt: skip
# What of an entity's own motion, and the attribute that it is compared with.
MOTION = {
    "SpeedCondition": ("speed", "value"), "AccelerationCondition": ("acceleration", "value"),
    "TraveledDistanceCondition": ("travelled", "value"),
    "StandStillCondition": ("stood", "duration"), "OffroadCondition": ("off_road", "duration"),
    "EndOfRoadCondition": ("end_of_road", "duration"),
}  # fmt: skip
ELEMENTS = ("story", "act", "maneuverGroup", "maneuver", "event", "action")
STATES = (
    "standbyState", "runningState", "completeState", "startTransition", "endTransition",
    "stopTransition", "skipTransition",
)  # fmt: skip
CRITERION = "criteria_"  # at the head of a condition's name: it judges ego


def read_trigger(node: Node | None) -> Trigger:
    """Read a trigger; one that is not there never fires. Criteria are no conditions.

    Raises:
        SuiteError: a condition is not ours, or something in it is wrong.
    """
    groups = []
    for group in node.children("ConditionGroup") if node else ():
        nodes = [n for n in group.children() if not n.word("name", "").startswith(CRITERION)]
        if nodes:
            groups.append(tuple(_condition(n) for n in nodes))
    return tuple(groups)


def criteria_in(node: Node | None) -> list[Node]:
    """The conditions of a trigger that are criteria."""
    return [
        condition
        for group in (node.children("ConditionGroup") if node else ())
        for condition in group.children("Condition")
        if condition.word("name", "").startswith(CRITERION)
    ]


def _condition(node: Node) -> Condition:
    edge = node.choice("conditionEdge", EDGES, "none")
    delay = node.positive("delay", 0.0)
    kind = node.child("ByEntityCondition", "ByValueCondition")
    test = _by_entity(kind) if kind.tag == "ByEntityCondition" else _by_value(kind.only())
    return Condition(test, edge, delay)


def _by_entity(node: Node) -> ByEntity:
    given = node.child("TriggeringEntities")
    every = given.choice("triggeringEntitiesRule", ("any", "all"), "any") == "all"
    names = tuple(ref.word("entityRef") for ref in given.children("EntityRef"))
    if not names:
        raise given.error("expected an <EntityRef> in it, got none")
    return ByEntity(names, every, _entity_test(node.child("EntityCondition").only()))


def _entity_test(at: Node) -> EntityTest:
    if at.tag in MOTION:
        what, attribute = MOTION[at.tag]
        if what in ("speed", "acceleration"):
            return MotionCondition(what, _compared(at))
        return MotionCondition(what, Compared("greaterOrEqual", at.positive(attribute)))
    return _between(at)


def _between(at: Node) -> EntityTest:
    """A condition about an entity and another one, or a place."""
    test: EntityTest
    match at.tag:
        case "ReachPositionCondition":
            within = Compared("lessOrEqual", at.positive("tolerance"))
            test = DistanceCondition(read_position(at), "cartesian", False, within)
        case "DistanceCondition":
            kind = "route" if at.flag("alongRoute", False) else _kind(at, "cartesianDistance")
            test = DistanceCondition(read_position(at), kind, at.flag("freespace"), _compared(at))
        case "RelativeDistanceCondition":
            free = at.flag("freespace")
            test = DistanceCondition(at.word("entityRef"), _kind(at), free, _compared(at))
        case "TimeHeadwayCondition":
            who = at.word("entityRef")
            test = HeadwayCondition(who, False, at.flag("freespace"), _compared(at))
        case "TimeToCollisionCondition":
            goal = at.child("TimeToCollisionConditionTarget")
            ref = goal.find("EntityRef")
            to: Position | str = ref.word("entityRef") if ref else read_position(goal)
            test = HeadwayCondition(to, True, at.flag("freespace"), _compared(at))
        case "RelativeSpeedCondition":
            test = RelativeSpeedCondition(at.word("entityRef"), _compared(at))
        case "CollisionCondition":
            other = at.child("EntityRef", "ByType")
            by_kind = other.tag == "ByType"
            kinds = ("pedestrian", "vehicle", "miscellaneous")
            name = other.choice("type", kinds) if by_kind else other.word("entityRef")
            test = CollisionCondition(name, by_kind)
        case _:
            raise at.unsupported()
    return test


def _by_value(at: Node) -> Test:
    match at.tag:
        case "SimulationTimeCondition":
            return TimeCondition(_compared(at))
        case "ParameterCondition":
            rule, value = at.choice("rule", RULES), at.word("value", "")
            return ParameterCondition(at.word("parameterRef").lstrip("$"), rule, value)
        case "StoryboardElementStateCondition":
            kind = at.choice("storyboardElementType", ELEMENTS)
            name = at.word("storyboardElementRef").rsplit("::", 1)[-1]
            return ElementStateCondition(kind, name, at.choice("state", STATES))
        case "TrafficSignalCondition":
            state = at.choice("state", ("red", "yellow", "green", "off"))
            return SignalCondition(at.word("name"), state, at.source)
    raise at.unsupported()


def _compared(at: Node) -> Compared:
    return Compared(at.choice("rule", RULES), at.number("value"))


def _kind(at: Node, default: str | None = None) -> str:
    return KINDS[at.choice("relativeDistanceType", tuple(KINDS), default)]
