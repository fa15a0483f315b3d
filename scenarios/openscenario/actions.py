"""What the actions of a storyboard do: a coroutine each, that ends when the action has ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

import carla
import numpy as np

from headway.road.frenet import project_on_route
from headway.road.line import same_place
from headway.road.queries import project
from headway.road.routing import route_through
from headway.types import AgentKind
from scenarios.openscenario.lines import lane_line, polyline
from scenarios.openscenario.world import Player, StoryStage, along_and_across, faces
from scenarios.script import Branch, first, next_tick, until
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
from scenarios.suites.spec import SuiteError

ALONG, ACROSS = "along", "across"
LATERAL_SPEED = 1.0  # [m/s] at which a distance beside somebody is taken up
LATERAL_ACCEL = 1.0  # [m/s^2] of a lane offset whose dynamics give none
NEAR = 1.0  # [m] from the target at which two are synchronised
ARRIVED = 3.0  # [m] from the last place of a route, after which one goes on along the lanes
GAP_GAIN = 0.5  # [1/s] of the distance that is missing, in the speed
GLOBAL = (EnvironmentAction, AddEntityAction, DeleteEntityAction, ParameterAction, SignalAction)
STRAIGHT = ("vehicle_longitudinal_control", "vehicle_velocity_control", "pedestrian_control",
            "vehicle_teleport_control")  # fmt: skip
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "cubic": lambda x: x * x * (3.0 - 2.0 * x),
    "sinusoidal": lambda x: 0.5 - 0.5 * math.cos(math.pi * x),
    "step": lambda x: 1.0,
}


async def act(stage: StoryStage, action: Action) -> None:
    """Do what needs no actor."""
    match action:
        case EnvironmentAction(weather=weather):
            stage.set_weather(weather)
        case AddEntityAction(entity=name, position=position):
            stage.add(stage.spec.entities[name], stage.places.find(position))
        case DeleteEntityAction(entity=name):
            stage.drop(name)
        case ParameterAction(name=name, how=how, value=value):
            before = stage.parameters.get(name, "")
            stage.parameters[name] = value if how == "set" else _computed(before, how, value)
        case SignalAction(signal=signal, state=state, source=source):
            light = stage.light(signal)
            if light is None:
                raise SuiteError(source, f"the town has no traffic light {signal!r}")
            light.set_state(getattr(carla.TrafficLightState, state.capitalize()))
        case _:
            raise TypeError(f"{type(action).__name__} needs an actor")


async def perform(stage: StoryStage, player: Player, action: Action) -> None:
    """Let somebody do something; whoever is commanded anew drops what was commanded before.

    The planner drives ego: of the actions only a teleport and, in the beginning, a speed move it.
    """
    match action:
        case TeleportAction(position=position):
            stage.teleport(player, stage.places.find(position))
        case ControllerAction(module=module):
            player.straight = module in STRAIGHT or player.kind == AgentKind.WALKER
            player.cruises = module == "carla_autopilot"
            player.follow(stage.line_of(player))
        case ActivateControllerAction(active=active):
            player.cruises = active
            player.holds[ALONG] = object()
        case _ if player.entity.name == stage.spec.ego or player.kind == AgentKind.PROP:
            return
        case _:
            domains, play = PLAYS[type(action)]
            await _held(stage, player, domains, lambda: play(stage, player, action))


async def _held(
    stage: StoryStage, player: Player, domains: tuple[str, ...], play: Callable[[], Branch]
) -> None:
    """Run until it has ended, a newer command of the same kind has come, or the actor is gone."""
    token, name = object(), player.entity.name
    player.holds |= dict.fromkeys(domains, token)
    if ALONG in domains:
        player.cruises = False

    def lost() -> bool:
        there = stage.players.get(name) is player
        return not there or any(player.holds[d] is not token for d in domains)

    await first(until(lost), play())  # in this order: who has lost command does nothing more


async def speed(stage: StoryStage, player: Player, action: SpeedAction) -> None:
    """Come to a speed; a step lasts for as long as its value says, as ScenarioRunner has it."""
    begin, dynamics = player.speed, action.dynamics
    goal = _goal_speed(stage, action)
    if dynamics.shape == "step":
        player.want(goal)
        await _lasts(stage, player, dynamics)
    else:
        share, change = SHAPES[dynamics.shape], goal - begin
        seconds = _duration(dynamics, begin, goal, 0.5 * (begin + goal))
        await _blend(stage, seconds, lambda x: player.want(begin + share(x) * change))
    while action.continuous and action.relative_to:
        player.want(_goal_speed(stage, action))
        await next_tick()


async def longitudinal_distance(
    stage: StoryStage, player: Player, action: LongitudinalDistanceAction
) -> None:
    """Come to a distance behind somebody, and keep it where continuous."""
    while (other := stage.players.get(action.entity)) is not None:
        ahead, _ = along_and_across(player, other.pose[0], other.pose[1])
        if action.freespace:
            ahead -= float(player.extent[0] + other.extent[0])
        wanted = action.value * (player.speed if action.time_gap else 1.0)
        player.want(other.speed + GAP_GAIN * (ahead - wanted))
        if not action.continuous and abs(ahead - wanted) < NEAR:
            return
        await next_tick()


async def lane_change(stage: StoryStage, player: Player, action: LaneChangeAction) -> None:
    """Go over to another lane of the same direction."""
    lane, s, _ = stage.lane_of(player)
    goal, goal_s = _goal_lane(stage, player, action, lane, s)
    player.follow(lane_line(stage.graph, goal, goal_s))
    await _shift(stage, player, action.offset, action.dynamics)


async def lane_offset(stage: StoryStage, player: Player, action: LaneOffsetAction) -> None:
    """Take up a place beside the lane's centre, and keep it where continuous."""
    mover = player.mover
    if mover is None:
        return
    base = 0.0
    if other := stage.players.get(action.relative_to):
        base = stage.lane_of(other)[2]
    goal = base + action.value
    accel = action.max_lateral_accel or LATERAL_ACCEL
    # A cubic from rest to rest reaches 6 d / T^2.
    seconds = math.sqrt(6.0 * abs(goal - mover.offset) / accel)
    dynamics = Dynamics("cubic" if action.shape == "step" else action.shape, "time", seconds)
    await _shift(stage, player, goal, dynamics)
    if action.continuous:
        await until(lambda: False)


async def lateral_distance(
    stage: StoryStage, player: Player, action: LateralDistanceAction
) -> None:
    """Come to a distance beside somebody, and keep it where continuous."""
    mover = player.mover
    while mover is not None and (other := stage.players.get(action.entity)) is not None:
        theirs = float(project_on_route(mover.line, other.pose[None, :2])[1][0])
        free = float(player.extent[1] + other.extent[1]) if action.freespace else 0.0
        goal = theirs + action.value + math.copysign(free, action.value)
        step = LATERAL_SPEED * stage.dt
        mover.offset += float(np.clip(goal - mover.offset, -step, step))
        if not action.continuous and abs(goal - mover.offset) < step:
            return
        await next_tick()


async def synchronize(stage: StoryStage, player: Player, action: SynchronizeAction) -> None:
    """Be at a place when another is at theirs: by speed, over straight distances."""
    ours, theirs = stage.places.find(action.target), stage.places.find(action.target_master)
    least = least_left = math.inf
    while (master := stage.players.get(action.master)) is not None:
        away = math.hypot(player.pose[0] - ours.x, player.pose[1] - ours.y)
        left = math.hypot(master.pose[0] - theirs.x, master.pose[1] - theirs.y)
        least, least_left = min(least, away), min(least_left, left)
        if away < NEAR or away > least + NEAR or left > least_left + NEAR:  # there, or past it
            break
        player.want(away * master.speed / max(left, NEAR))
        await next_tick()
    if action.final_speed is not None:
        own = {"delta": lambda v, d: v + d, "factor": lambda v, f: v * f}.get(action.relative)
        base = master.speed if master is not None else 0.0
        player.want(own(base, action.final_speed) if own else action.final_speed)


async def take_route(stage: StoryStage, player: Player, action: RouteAction) -> None:
    """Go by some places; it ends at the last one, as ScenarioRunner has it."""
    places = [player.place, *(stage.places.find(position) for position in action.positions)]
    xyz = np.array([(p.x, p.y, p.z) for p in places])
    if action.straight or player.kind == AgentKind.WALKER:
        line = polyline(stage.graph, xyz)
    else:
        line = route_through(stage.graph, xyz[:, :2])
    player.follow(line)
    if player.mover is not None:
        player.mover.offset = 0.0
    end = line.xyz[-1, :2]
    await until(lambda: float(np.linalg.norm(player.pose[:2] - end)) < ARRIVED)


async def follow_trajectory(
    stage: StoryStage, player: Player, action: FollowTrajectoryAction
) -> None:
    """Go along a polyline; where its vertices have times, at the speeds that these give."""
    places = [stage.places.find(position) for position in action.positions]
    xyz = np.array([(p.x, p.y, p.z) for p in places])
    line = polyline(stage.graph, xyz)
    corners = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xyz[:, :2], axis=0).T))])
    player.follow(line)
    if player.mover is not None:
        player.mover.offset = 0.0
    while True:
        s = float(project_on_route(line, player.pose[None, :2])[0][0])
        if s > line.length - NEAR:
            return
        if action.times:
            k = int(np.clip(np.searchsorted(corners, s, side="right"), 1, len(corners) - 1))
            seconds = action.times[k] - action.times[k - 1]
            player.want((corners[k] - corners[k - 1]) / max(seconds, stage.dt))
        await next_tick()


def _goal_lane(
    stage: StoryStage, player: Player, action: LaneChangeAction, lane: int, s: float
) -> tuple[int, float]:
    """The lane that a change leads to, and where on it somebody is."""
    graph, value = stage.graph, action.value
    if not action.relative_to:
        same = (graph.road_id == graph.road_id[lane]) & (graph.lane_id == value)
        found = np.flatnonzero(same & (graph.section_id == graph.section_id[lane]))
        if not len(found):
            raise ValueError(f"road {int(graph.road_id[lane])} has no lane {value} here")
        return int(found[0]), project(graph, int(found[0]), *player.pose[:2])[0]
    other = stage.players.get(action.relative_to)
    goal, goal_s = lane, s
    if other is not None and other is not player:
        goal = stage.lane_of(other)[0]
        value = value if faces(player, other) else -value
    for _ in range(abs(value)):
        beside = int((graph.left if value > 0 else graph.right)[goal])
        if beside < 0:
            side = "left" if value > 0 else "right"
            raise ValueError(f"{player.entity.name!r} has no lane of its direction to its {side}")
        goal_s = same_place(graph, goal, goal_s, beside) if goal == lane else goal_s
        goal = beside
    return goal, project(graph, goal, *player.pose[:2])[0]


def _goal_speed(stage: StoryStage, action: SpeedAction) -> float:
    if not action.relative_to:
        return action.value
    other = stage.players.get(action.relative_to)
    base = other.speed if other is not None else 0.0
    return base * action.value if action.factor else base + action.value


async def _lasts(stage: StoryStage, player: Player, dynamics: Dynamics) -> None:
    if dynamics.dimension == "distance":
        end = player.travelled + dynamics.value
        await until(lambda: player.travelled >= end)
    elif dynamics.dimension == "time":
        await stage.seconds(dynamics.value)


async def _shift(stage: StoryStage, player: Player, goal: float, dynamics: Dynamics) -> None:
    """Move sideways on one's line to an offset [m]."""
    mover = player.mover
    if mover is None:
        return
    begin = mover.offset

    def move(x: float) -> None:
        mover.offset = begin + SHAPES[dynamics.shape](x) * (goal - begin)

    if dynamics.dimension == "distance" and dynamics.shape != "step":
        start, length = player.travelled, max(dynamics.value, stage.dt)
        while (x := (player.travelled - start) / length) < 1.0:
            move(x)
            await next_tick()
        move(1.0)
    else:
        await _blend(stage, _duration(dynamics, begin, goal, 0.0), move)


def _duration(dynamics: Dynamics, begin: float, goal: float, mean_speed: float) -> float:
    """[s] of a change."""
    if dynamics.shape == "step":
        return 0.0
    if dynamics.dimension == "rate":
        return abs(goal - begin) / dynamics.value if dynamics.value > 0.0 else 0.0
    if dynamics.dimension == "distance":
        return dynamics.value / mean_speed if mean_speed > 0.0 else 0.0
    return dynamics.value


async def _blend(stage: StoryStage, seconds: float, set_to: Callable[[float], None]) -> None:
    """Call `set_to` with the share of so many seconds that is over, until it is 1."""
    begin = stage.time
    while seconds > 0.0 and (x := (stage.time - begin) / seconds) < 1.0:
        set_to(x)
        await next_tick()
    set_to(1.0)


def _computed(before: str, how: str, value: str) -> str:
    number = float(before or 0.0)
    return str(number + float(value) if how == "add" else number * float(value))


Play = Callable[[StoryStage, Player, Any], Coroutine[Any, None, None]]
PLAYS: dict[type, tuple[tuple[str, ...], Play]] = {
    SpeedAction: ((ALONG,), speed),
    LongitudinalDistanceAction: ((ALONG,), longitudinal_distance),
    SynchronizeAction: ((ALONG,), synchronize),
    LaneChangeAction: ((ACROSS,), lane_change),
    LaneOffsetAction: ((ACROSS,), lane_offset),
    LateralDistanceAction: ((ACROSS,), lateral_distance),
    RouteAction: ((ACROSS,), take_route),
    FollowTrajectoryAction: ((ALONG, ACROSS), follow_trajectory),
}
