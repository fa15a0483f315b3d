"""Small OpenSCENARIO files, written from a few words each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from carla_bridge.simulator import NoTraffic
from headway.cli import build_driver, compose_drive
from headway.road.queries import pose_at
from headway.types import Array
from scenarios.openscenario.play import play_story
from scenarios.suites.openscenario import read_stories

CAR = "vehicle.tesla.model3"
NO_OVERRIDE = '<OverrideControllerValueAction><Throttle value="0" active="false"/>' \
    "</OverrideControllerValueAction>"  # fmt: skip


def entity(name: str, body: str = CAR) -> str:
    if body.startswith("walker."):
        return (
            f'<ScenarioObject name="{name}"><Pedestrian name="p" model="{body}"/></ScenarioObject>'
        )
    if body.startswith("static."):
        inner = f'<MiscObject name="{body}" miscObjectCategory="none"/>'
        return f'<ScenarioObject name="{name}">{inner}</ScenarioObject>'
    inner = f'<Vehicle name="{body}" vehicleCategory="car"/>'
    return f'<ScenarioObject name="{name}">{inner}</ScenarioObject>'


def world(x: float, y: float, yaw: float = 0.0) -> str:
    return f'<Position><WorldPosition x="{x:.6f}" y="{y:.6f}" h="{yaw:.6f}"/></Position>'


def private(name: str, *actions: str) -> str:
    inner = "".join(f"<PrivateAction>{action}</PrivateAction>" for action in actions)
    return f'<Private entityRef="{name}">{inner}</Private>'


def teleport(position: str) -> str:
    return f"<TeleportAction>{position}</TeleportAction>"


def speed(value: float, shape: str = "step", dimension: str = "time", over: float = 0.0) -> str:
    return (
        "<LongitudinalAction><SpeedAction>"
        f'<SpeedActionDynamics dynamicsShape="{shape}" dynamicsDimension="{dimension}"'
        f' value="{over}"/><SpeedActionTarget><AbsoluteTargetSpeed value="{value}"/>'
        "</SpeedActionTarget></SpeedAction></LongitudinalAction>"
    )


def condition(test: str, edge: str = "rising", delay: float = 0.0, name: str = "c") -> str:
    return f'<Condition name="{name}" delay="{delay}" conditionEdge="{edge}">{test}</Condition>'


def value(test: str) -> str:
    return f"<ByValueCondition>{test}</ByValueCondition>"


def by(names: str, test: str, rule: str = "any") -> str:
    refs = "".join(f'<EntityRef entityRef="{name}"/>' for name in names.split())
    return (
        f'<ByEntityCondition><TriggeringEntities triggeringEntitiesRule="{rule}">{refs}'
        f"</TriggeringEntities><EntityCondition>{test}</EntityCondition></ByEntityCondition>"
    )


def after(seconds: float) -> str:
    return value(f'<SimulationTimeCondition value="{seconds}" rule="greaterThan"/>')


def state(kind: str, name: str, what: str) -> str:
    return value(
        f'<StoryboardElementStateCondition storyboardElementType="{kind}"'
        f' storyboardElementRef="{name}" state="{what}"/>'
    )


def trigger(tag: str, *conditions: str) -> str:
    """All of them, each a whole <Condition> or its test."""
    whole = [c if c.startswith("<Condition") else condition(c) for c in conditions]
    return f"<{tag}><ConditionGroup>{''.join(whole)}</ConditionGroup></{tag}>"


def event(name: str, start: Sequence[str], *actions: str, **attributes: object) -> str:
    """An event and its actions `NAME-0`, `NAME-1`, ...; a <GlobalAction> or a private one."""
    whole = [a if a.startswith("<GlobalAction") else f"<PrivateAction>{a}</PrivateAction>"
             for a in actions]  # fmt: skip
    inner = "".join(f'<Action name="{name}-{k}">{a}</Action>' for k, a in enumerate(whole))
    words = "".join(f' {key}="{word}"' for key, word in attributes.items())
    priority = "" if "priority" in attributes else ' priority="overwrite"'
    return f'<Event name="{name}"{priority}{words}>{inner}{trigger("StartTrigger", *start)}</Event>'


def maneuver(actors: str, *events: str) -> str:
    """A group of one maneuver."""
    refs = "".join(f'<EntityRef entityRef="{name}"/>' for name in actors.split())
    return (
        '<ManeuverGroup name="group" maximumExecutionCount="1">'
        f'<Actors selectTriggeringEntities="false">{refs}</Actors>'
        f'<Maneuver name="maneuver">\n{"".join(events)}</Maneuver></ManeuverGroup>\n'
    )


def document(
    entities: Sequence[str], init: Sequence[str], groups: Sequence[str] = (), stop: str = "",
    act_stop: str = "", description: str = "test", town: str = "grid", before: str = "",
    parameters: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    declared = "".join(
        f'<ParameterDeclaration name="{name}" parameterType="double" value="{word}"/>'
        for name, word in (parameters or {}).items()
    )
    return (
        '<?xml version="1.0"?>\n<OpenSCENARIO>\n'
        f'<FileHeader revMajor="1" revMinor="0" description="{description}" author="" date=""/>\n'
        f"<ParameterDeclarations>{declared}</ParameterDeclarations>\n{before}"
        f'<RoadNetwork><LogicFile filepath="{town}"/></RoadNetwork>\n'
        f"<Entities>\n{''.join(e + chr(10) for e in entities)}</Entities>\n<Storyboard>\n"
        f"<Init><Actions>\n{''.join(i + chr(10) for i in init)}</Actions></Init>\n"
        f'<Story name="story"><Act name="act">\n{"".join(groups)}'
        f"{trigger('StartTrigger', after(0.0))}{act_stop}</Act></Story>\n"
        f"{stop or '<StopTrigger/>'}\n</Storyboard></OpenSCENARIO>\n"
    )


def criteria(*names: str, **numbers: float) -> str:
    """A <StopTrigger> of criteria."""
    test = '<ParameterCondition parameterRef="" value="{}" rule="lessThan"/>'
    given = {**dict.fromkeys(names, ""), **numbers}
    return trigger("StopTrigger", *(
        condition(value(test.format(word)), name=f"criteria_{name}") for name, word in given.items()
    ))  # fmt: skip


def on_lane(graph, lane: int, s: float, left: float = 0.0) -> tuple[float, float, float]:
    """x, y [m], yaw [rad] on a lane."""
    x, y, _, yaw = pose_at(graph, lane, s)
    return x - left * np.sin(yaw), y + left * np.cos(yaw), yaw


def play(session, text: str, folder: Path, planner: str = "idm"):
    """Play a file; returns its episode and stage."""
    path = folder / "played.xosc"
    path.write_text(text)
    suite = read_stories(path)
    assert not suite.errors, suite.errors
    overrides = [f"planner={planner}", "safety=none", "episode.time_limit_s=60"]
    config, _ = compose_drive(overrides)
    driver = build_driver(config, session)
    return play_story(suite.routes[0], session, driver, config, NoTraffic(), 1)  # pyright: ignore


def times(stage) -> dict[str, float]:
    """When [s] what happened first: `event brake startTransition`."""
    found: dict[str, float] = {}
    for h in stage.elements.log:
        found.setdefault(f"{h.kind} {h.name} {h.what}", h.time)
    return found


def path_of(episode) -> Array:
    """(n, 2) [m] where ego was."""
    return np.column_stack([episode.trace.column(name) for name in "xy"])
