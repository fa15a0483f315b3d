"""OpenSCENARIO 1.x: a file is one scenario that a bench drives like a route.

docs/scenarios.md says what is supported and where ScenarioRunner's reading is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from scenarios.suites.openscenario_action_spec import (
    Action,
)
from scenarios.suites.openscenario_actions import read_global, read_private
from scenarios.suites.openscenario_conditions import CRITERION, criteria_in, read_trigger
from scenarios.suites.openscenario_spec import (
    Act,
    Criterion,
    Entity,
    Event,
    Maneuver,
    ManeuverGroup,
    Story,
    StorySpec,
)
from scenarios.suites.openscenario_xml import Node, open_file
from scenarios.suites.spec import Suite, SuiteError

# Blueprints for who is named by none of the server's (ScenarioRunner's choice as to MiscObject).
BARRIERS = {
    "barrier": "static.prop.streetbarrier", "guardRail": "static.prop.chainbarrier",
}  # fmt: skip
VEHICLES = {
    "bicycle": "vehicle.diamondback.century", "motorbike": "vehicle.kawasaki.ninja",
    "bus": "vehicle.mitsubishi.fusorosa", "truck": "vehicle.carlamotors.carlacola",
}  # fmt: skip
CAR, WALKER = "vehicle.tesla.model3", "walker.pedestrian.0001"
REFERENCES = ("entity", "relative_to", "master")  # fields that name an entity
# Criteria of ScenarioRunner that are ours, and whether they take a number.
CRITERIA = {
    "CollisionTest": False, "RunningRedLightTest": False, "RunningStopTest": False,
    "WrongLaneTest": False, "OnSidewalkTest": False, "OffRoadTest": False, "KeepLaneTest": False,
    "DrivenDistanceTest": True, "MaxVelocityTest": True, "AverageVelocityTest": True,
}  # fmt: skip


def read_stories(path: Path) -> Suite:
    """Read an OpenSCENARIO file, or all `.xosc` files of a folder; catalogs are no scenarios.

    A file that cannot be used is left out, with its error.
    """
    files = sorted(path.glob("*.xosc")) if path.is_dir() else [path]
    stories: list[StorySpec] = []
    errors: list[SuiteError] = []
    for file in files:
        try:
            root = open_file(file)
            if len(files) == 1 or root.find("Catalog") is None:
                stories.append(_story_spec(root))
        except SuiteError as error:
            errors.append(error)
    return Suite(path.stem, tuple(stories), tuple(errors))


def _story_spec(root: Node) -> StorySpec:
    header = root.child("FileHeader")
    if header.whole("revMajor") != 1:
        raise header.error(f"expected 'revMajor' 1, got {header.word('revMajor')!r}")
    entities = {entity.name: entity for entity in _entities(root.child("Entities"))}
    board = root.child("Storyboard")
    init = tuple(_init(board.child("Init").child("Actions")))
    stories = tuple(_story(node) for node in board.children("Story"))
    stop = board.find("StopTrigger")
    triggers = [stop, *(act.find("StopTrigger") for s in board.children("Story")
                        for act in s.children("Act"))]  # fmt: skip
    spec = StorySpec(
        id=root.context.path.stem,
        town=_town(root.child("RoadNetwork")),
        ego=_ego(root.child("Entities"), entities),
        entities=entities,
        parameters=root.context.parameters,
        init=init,
        stories=stories,
        stop=read_trigger(stop),
        criteria=tuple(_criterion(n) for trigger in triggers for n in criteria_in(trigger)),
        source=header.source,
    )
    _check_references(root, entities, (init, stories, spec.stop))
    return spec


def _town(network: Node) -> str:
    path = network.child("LogicFile").word("filepath")
    return Path(path).stem if path.endswith(".xodr") else path.rsplit("/", 1)[-1]


def _entities(node: Node) -> Iterator[Entity]:
    for given in node.children("ScenarioObject"):
        body = given.entry("Vehicle", "Pedestrian", "MiscObject")
        performance = body.find("Performance")
        yield Entity(
            name=given.word("name"),
            blueprint=_blueprint(body),
            max_accel=performance.positive("maxAcceleration") if performance else 10.0,
            max_decel=performance.positive("maxDeceleration") if performance else 10.0,
            source=given.source,
        )


def _blueprint(body: Node) -> str:
    name = body.word("name", "")
    match body.tag:
        case "Vehicle":
            category = VEHICLES.get(body.word("vehicleCategory", ""), CAR)
            return name if name.startswith("vehicle.") else category
        case "Pedestrian":
            model = body.word("model", body.word("model3d", ""))
            return model if model.startswith("walker.") else WALKER
    return BARRIERS.get(body.word("miscObjectCategory", ""), name)


def _ego(node: Node, entities: dict[str, Entity]) -> str:
    """The entity of type `ego_vehicle`, else the one that is named like one."""
    found = []
    for given in node.children("ScenarioObject"):
        properties = given.entry("Vehicle", "Pedestrian", "MiscObject").find("Properties")
        for own in properties.children("Property") if properties else ():
            if own.word("name", "") == "type" and own.word("value", "") == "ego_vehicle":
                found.append(given.word("name"))
    found = found or [name for name in entities if name.lower() in ("hero", "ego")]
    if len(found) != 1:
        raise node.error(
            "expected one entity with <Property name='type' value='ego_vehicle'/>, or named 'hero'"
            f" or 'Ego', got {', '.join(found) or 'none'}"
        )
    return found[0]


def _init(node: Node) -> Iterator[tuple[str, Action]]:
    for given in node.children():
        if given.tag == "GlobalAction":
            yield "", read_global(given)
        elif given.tag == "Private":
            who = given.word("entityRef")
            for action in given.children("PrivateAction"):
                yield who, read_private(action)
        else:
            raise given.unsupported()


def _story(node: Node) -> Story:
    return Story(node.word("name", ""), tuple(_act(act) for act in node.children("Act")))


def _act(node: Node) -> Act:
    groups = tuple(_group(group) for group in node.children("ManeuverGroup"))
    start = read_trigger(node.child("StartTrigger"))
    return Act(node.word("name"), groups, start, read_trigger(node.find("StopTrigger")))


def _group(node: Node) -> ManeuverGroup:
    actors = node.child("Actors")
    if actors.flag("selectTriggeringEntities", False):
        raise actors.unsupported("selectTriggeringEntities")
    names = tuple(ref.word("entityRef") for ref in actors.children("EntityRef"))
    nodes = [n.referred() if n.tag == "CatalogReference" else n
             for n in node.children("Maneuver", "CatalogReference")]  # fmt: skip
    count = node.whole("maximumExecutionCount", 1)
    return ManeuverGroup(node.word("name"), names, count, tuple(map(_maneuver, nodes)))


def _maneuver(node: Node) -> Maneuver:
    return Maneuver(node.word("name"), tuple(_event(event) for event in node.children("Event")))


def _event(node: Node) -> Event:
    priorities = ("overwrite", "override", "parallel", "skip")
    skips = node.choice("priority", priorities, "parallel") == "skip"
    count = node.whole("maximumExecutionCount", 1)
    actions = tuple((n.word("name"), _action(n)) for n in node.children("Action"))
    start = node.find("StartTrigger")
    trigger = read_trigger(start) if start else ((),)  # without one it starts at once
    return Event(node.word("name"), skips, count, trigger, actions)


def _action(node: Node) -> Action | None:
    """None for an action without content, which does nothing."""
    found = next(node.children(), None)
    if found is None:
        return None
    if found.tag == "UserDefinedAction":
        raise found.unsupported()
    return read_global(found) if found.tag == "GlobalAction" else read_private(found)


def _criterion(node: Node) -> Criterion:
    name = node.word("name").removeprefix(CRITERION)
    if name not in CRITERIA:
        raise node.unsupported(f"the criterion {name!r}")
    given = node.child("ByValueCondition").child("ParameterCondition")
    return Criterion(name, given.number("value") if CRITERIA[name] else None)


def _check_references(root: Node, entities: dict[str, Entity], parts: Iterable[Any]) -> None:
    """Every entity that is referred to is declared.

    The data know no lines, so the element that names a foreign one is looked for in the file.
    """
    names = {name for part in parts for name in _references(part)}
    for element in root.element.iter():
        node = Node(element, root.context)
        for attribute in ("entityRef", "masterEntityRef"):
            text = node.word(attribute, "") if attribute in element.attrib else ""
            if text and text not in entities:
                raise node.error(f"{attribute!r} names {text!r}, which is no entity of the file")
    if foreign := sorted(names - set(entities) - {""}):
        raise root.error(f"{foreign[0]!r}, which a catalog names, is no entity of the file")


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, tuple):
        for item in part:
            yield from _references(item)
    elif is_dataclass(part):
        for own in fields(part):
            value = getattr(part, own.name)
            if own.name in REFERENCES and isinstance(value, str):
                yield value
            elif own.name in ("entities", "actors"):
                yield from value
            else:
                yield from _references(value)
