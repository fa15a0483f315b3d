"""Actions of an OpenSCENARIO file."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scenarios.suites.leaderboard import WEATHER
from scenarios.suites.openscenario_action_spec import (
    Action,
    ActivateControllerAction,
    AddEntityAction,
    ControllerAction,
    DeleteEntityAction,
    Dynamics,
    EnvironmentAction,
    FollowTrajectoryAction,
    LaneChangeAction,
    LaneOffsetAction,
    LateralDistanceAction,
    LongitudinalDistanceAction,
    ParameterAction,
    RouteAction,
    SignalAction,
    SpeedAction,
    SynchronizeAction,
    TeleportAction,
)
from scenarios.suites.openscenario_places import read_position
from scenarios.suites.openscenario_xml import Node

SHAPES = ("step", "linear", "sinusoidal", "cubic")
DIMENSIONS = ("time", "distance", "rate")
FOG = 1000.0  # [m] of sight below which there is fog
MODULES = (
    "npc_vehicle_control", "simple_vehicle_control", "vehicle_longitudinal_control",
    "vehicle_velocity_control", "vehicle_teleport_control", "pedestrian_control",
    "carla_autopilot", "external_control",
)  # fmt: skip


def read_global(node: Node) -> Action:
    """Read a <GlobalAction>.

    Raises:
        SuiteError: it is not ours, or something in it is wrong.
    """
    at = node.only()
    match at.tag:
        case "EnvironmentAction":
            return EnvironmentAction(_weather(at.entry("Environment")))
        case "EntityAction":
            who = at.word("entityRef")
            if at.only().tag == "AddEntityAction":
                return AddEntityAction(who, read_position(at.only()))
            at.child("DeleteEntityAction")
            return DeleteEntityAction(who)
        case "ParameterAction":
            return _parameter(at)
        case "InfrastructureAction":
            signal = at.child("TrafficSignalAction").only()
            if signal.tag == "TrafficSignalStateAction":
                state = signal.choice("state", ("red", "yellow", "green", "off"))
                return SignalAction(signal.word("name"), state, signal.source)
            raise signal.unsupported()
    raise at.unsupported()


def read_private(node: Node) -> Action:
    """Read a <PrivateAction>.

    Raises:
        SuiteError: it is not ours, or something in it is wrong.
    """
    at = node.only()
    if at.tag in ("LongitudinalAction", "LateralAction", "RoutingAction"):
        return {"Lo": _longitudinal, "La": _lateral, "Ro": _routing}[at.tag[:2]](at.only())
    match at.tag:
        case "SynchronizeAction":
            return _synchronize(at)
        case "TeleportAction":
            return TeleportAction(read_position(at))
        case "ActivateControllerAction":
            return _activate(at)
        case "ControllerAction":
            return _controller(at)
    raise at.unsupported()


def _longitudinal(at: Node) -> Action:
    if at.tag == "LongitudinalDistanceAction":
        gap = "timeGap" in at.element.attrib
        value = at.positive("timeGap" if gap else "distance")
        continuous, free = at.flag("continuous", False), at.flag("freespace", False)
        return LongitudinalDistanceAction(at.word("entityRef"), value, gap, free, continuous)
    if at.tag != "SpeedAction":
        raise at.unsupported()
    dynamics = _dynamics(at.child("SpeedActionDynamics"))
    goal = at.child("SpeedActionTarget").only()
    if goal.tag == "AbsoluteTargetSpeed":
        return SpeedAction(goal.number("value"), dynamics)
    factor = goal.choice("speedTargetValueType", ("delta", "factor")) == "factor"
    continuous = goal.flag("continuous", False)
    return SpeedAction(goal.number("value"), dynamics, goal.word("entityRef"), factor, continuous)


def _lateral(at: Node) -> Action:
    match at.tag:
        case "LaneChangeAction":
            goal = at.child("LaneChangeTarget").only()
            offset = at.side("targetLaneOffset", 0.0)
            dynamics = _dynamics(at.child("LaneChangeActionDynamics"))
            relative = goal.tag == "RelativeTargetLane"
            who = goal.word("entityRef") if relative else ""
            return LaneChangeAction(goal.whole("value"), who, offset, dynamics)
        case "LaneOffsetAction":
            goal, how = at.child("LaneOffsetTarget").only(), at.find("LaneOffsetActionDynamics")
            shape = how.choice("dynamicsShape", SHAPES) if how else "step"
            limit = how.positive("maxLateralAcc", 0.0) if how else 0.0
            who = goal.word("entityRef") if goal.tag == "RelativeTargetLaneOffset" else ""
            return LaneOffsetAction(
                goal.side("value"), who, shape, limit, at.flag("continuous", False)
            )
        case "LateralDistanceAction":
            return LateralDistanceAction(
                at.word("entityRef"), at.side("distance"), at.flag("freespace", False),
                at.flag("continuous", False),
            )  # fmt: skip
    raise at.unsupported()


def _synchronize(at: Node) -> SynchronizeAction:
    final, relative = at.find("FinalSpeed"), ""
    speed = None
    if final is not None:
        goal = final.only()
        speed = goal.number("value")
        if goal.tag == "RelativeSpeedToMaster":
            relative = goal.choice("speedTargetValueType", ("delta", "factor"))
    ours, theirs = at.child("TargetPosition"), at.child("TargetPositionMaster")
    master_at, at_last = read_position(theirs), read_position(ours)
    return SynchronizeAction(at.word("masterEntityRef"), master_at, at_last, speed, relative)


def _routing(at: Node) -> Action:
    match at.tag:
        case "AssignRouteAction":
            route = at.entry("Route")
            points = list(route.children("Waypoint"))
            if not points:
                raise route.error("expected a <Waypoint> in it, got none")
            straight = all(p.word("routeStrategy", "") == "shortest" for p in points)
            return RouteAction(tuple(map(read_position, points)), straight)
        case "AcquirePositionAction":
            return RouteAction((read_position(at),), False)
        case "FollowTrajectoryAction":
            holder = at.find("TrajectoryRef") or at
            trajectory = holder.entry("Trajectory")
            shape = trajectory.child("Shape").only()
            if shape.tag != "Polyline":
                raise shape.unsupported()
            points = list(shape.children("Vertex"))
            if len(points) < 2:
                raise shape.error(f"expected at least 2 <Vertex> in it, got {len(points)}")
            timing = at.find("TimeReference")
            timed = timing is not None and timing.find("Timing") is not None
            times = tuple(p.number("time") for p in points) if timed else ()
            return FollowTrajectoryAction(tuple(map(read_position, points)), times)
    raise at.unsupported()


def _activate(at: Node) -> ActivateControllerAction:
    return ActivateControllerAction(at.flag("longitudinal", at.flag("lateral", False)))


def _controller(at: Node) -> Action:
    active = at.find("ActivateControllerAction")
    if active is not None:
        return _activate(active)
    overriding = at.find("OverrideControllerValueAction")
    for value in overriding.children() if overriding else ():
        if value.flag("active", False):
            raise value.unsupported("to override a controller's value")
    controller = at.child("AssignControllerAction").entry("Controller")
    properties = controller.find("Properties")
    for given in properties.children("Property") if properties else ():
        if given.word("name", "") == "module":
            return ControllerAction(given.choice("value", MODULES))
    raise controller.error("expected a <Property> named 'module' in it, got none")


def _parameter(at: Node) -> ParameterAction:
    name, how = at.word("parameterRef").lstrip("$"), at.only()
    if how.tag == "SetAction":
        return ParameterAction(name, "set", how.word("value", ""))
    rule = how.child("Rule").only()
    kind = {"AddValue": "add", "MultiplyByValue": "multiply"}.get(rule.tag)
    if kind is None:
        raise rule.unsupported()
    return ParameterAction(name, kind, str(rule.number("value")))


def _dynamics(at: Node) -> Dynamics:
    shape, dimension = (
        at.choice("dynamicsShape", SHAPES),
        at.choice("dynamicsDimension", DIMENSIONS),
    )
    return Dynamics(shape, dimension, at.positive("value"))


def _weather(environment: Node) -> Mapping[str, float]:
    """CARLA's weather as ScenarioRunner makes it of an <Environment>."""
    values = dict(WEATHER)
    weather = environment.child("Weather")
    if sun := weather.find("Sun"):
        values["sun_azimuth_angle"] = math.degrees(sun.number("azimuth", 0.0))
        values["sun_altitude_angle"] = math.degrees(sun.number("elevation", 0.0))
        values["cloudiness"] = 100.0 - 100.0 * min(sun.positive("intensity", 1.0), 1.0)
    if fog := weather.find("Fog"):
        values["fog_distance"] = fog.positive("visualRange")
        values["fog_density"] = 100.0 if values["fog_distance"] < FOG else 0.0
    values["wind_intensity"] = 30.0
    if (rain := weather.find("Precipitation")) and rain.word("precipitationType", "") == "rain":
        intensity = 100.0 * min(rain.positive("intensity", 0.0), 1.0)
        values |= {
            "precipitation": intensity,
            "wetness": intensity,
            "precipitation_deposits": 100.0,
        }
    return values
