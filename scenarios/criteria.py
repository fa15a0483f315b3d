"""What a drive is judged by: one small class per criterion, fed tick by tick.

Each has `update(tick)` and, where something happened, a list of what, when and where. Fault is the
rule of the project: ego is at fault in every collision, save the three exceptions of `Collisions`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headway.road.frenet import project_on_route
from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.road.route import Route
from headway.types import (
    AgentKind,
    Array,
    CollisionEvent,
    EgoState,
    Observation,
    SignalState,
)
from scenarios.stop_lines import StopLines, front_of

GOAL_TOLERANCE = 3.0  # [m] before the end of the route that counts as there
STANDING = 0.1  # [m/s] below it one stands, as in CARLA's own stop criterion
STOP_ZONE = 5.0  # [m] before a stop sign's line in which the front bumper has to come to rest
SPEEDING_MARGIN = 0.5  # [m/s] above the limit that is not counted: a speedometer's width
NEARBY = 50.0  # [m]
SAME_COLLISION_S = 2.0  # [s] contacts with one partner closer in time are one collision
HARD_BRAKE = 4.0  # [m/s^2]
BRAKE_WINDOW_S = 3.0  # [s] before being struck in which hard braking counts
REACTION_S = 0.5  # [s] a required brake may outlast what required it: delays of the actuators
STOOD_S = 1.0  # [s]
VIOLATION_WINDOW_S = 10.0  # [s] before a collision in which the partner's violation counts
# Heads of `Plan.active` that may require hard braking; a limit or a bend may not.
REQUIRING = ("lead", "object", "walker", "crossing", "give_way", "exit_blocked", "red_light",
             "yellow_light", "stop_sign", "goal")  # fmt: skip


@dataclass(frozen=True)
class Intent:
    """What the driver gave as reasons for the tick that led to an observation.

    Attributes:
        active: constraints that bound the plan, e.g. `lead:17`.
        required_decel: [m/s^2] the hardest braking that they ask for.
    """

    active: tuple[str, ...] = ()
    required_decel: float = 0.0

    @property
    def requires_hard_brake(self) -> bool:
        """Whether a lead, walker, light, sign or stop point asks for more than `HARD_BRAKE`."""
        named = any(name.split(":")[0] in REQUIRING for name in self.active)
        return named and self.required_decel > HARD_BRAKE


@dataclass(frozen=True)
class Tick:
    """What criteria see of one tick.

    Attributes:
        observation: the frame.
        before: the frame before it, None at the first.
        intent: of the driver between the two.
        s, d: [m] where ego is along and beside the route.
        dt: [s] since the frame before.
    """

    observation: Observation
    before: Observation | None
    intent: Intent
    s: float
    d: float
    dt: float

    @property
    def t(self) -> float:
        """[s] since the episode began."""
        return self.observation.t


@dataclass(frozen=True)
class Infraction:
    """Something that should not have happened.

    Attributes:
        kind: `collision`, `red_light` or `stop_sign`.
        t: [s].
        frame: the server's.
        x, y: [m] where ego was.
        s: [m] along the route.
        at_fault: whether ego is to blame.
        reason: in words.
        partner: actor id, 0 for none.
        partner_type: its blueprint id.
        impulse: [N s].
    """

    kind: str
    t: float
    frame: int
    x: float
    y: float
    s: float
    at_fault: bool
    reason: str
    partner: int = 0
    partner_type: str = ""
    impulse: float = 0.0


class Completion:
    """How far along the route ego has come."""

    def __init__(self, route: Route) -> None:
        self._length = route.length
        self._furthest = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        self._furthest = max(self._furthest, tick.s)

    @property
    def share(self) -> float:
        """0 to 1; 1 once ego is within `GOAL_TOLERANCE` of the end."""
        if self._furthest >= self._length - GOAL_TOLERANCE:
            return 1.0
        return max(0.0, self._furthest / self._length)


class RedLights:
    """The front bumper passes the stop line of ego's way while its light shows red."""

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self._lines = StopLines(graph, StopKind.LIGHT)
        self._lanes = np.unique(route.lane)
        self.infractions: list[Infraction] = []

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        for line, state in lights_passed(self._lines, tick, tick.observation.ego.id):
            guards = int(self._lines.guards[line])
            if state == SignalState.RED and (guards < 0 or guards in self._lanes):
                self.infractions.append(
                    _infraction("red_light", tick, f"passed stop line {self._lines.row[line]}")
                )
                return  # several lines of one light are one infraction


class StopSigns:
    """The front bumper passes a stop sign's line without having come to rest before it."""

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self._lines = StopLines(graph, StopKind.STOP)
        self._lanes = np.unique(route.lane)
        self._rested = np.zeros(len(self._lines), dtype=bool)
        self.infractions: list[Infraction] = []

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        if tick.before is None or not len(self._lines):
            return
        ego = tick.observation.ego
        front = front_of(ego.pose, float(ego.extent[0]))
        if abs(ego.speed) < STANDING:
            beyond, left = self._lines.relative(front)
            at_line = (beyond > -STOP_ZONE) & (beyond < 0.0) & (np.abs(left) < 2.0)
            self._rested |= at_line
        before = front_of(tick.before.ego.pose, float(ego.extent[0]))
        for line in self._lines.passed(before, front, ego.z):
            guards = int(self._lines.guards[line])
            if not self._rested[line] and (guards < 0 or guards in self._lanes):
                self.infractions.append(
                    _infraction("stop_sign", tick, f"did not stop at line {self._lines.row[line]}")
                )
            self._rested[line] = False


class Speeding:
    """Seconds above the limit of ego's place on the route, by more than `SPEEDING_MARGIN`."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self.seconds = 0.0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        index = min(int(np.searchsorted(self._route.s, tick.s)), len(self._route.s) - 1)
        if tick.observation.ego.speed > self._route.speed_limit[index] + SPEEDING_MARGIN:
            self.seconds += tick.dt


class Density:
    """How many vehicles and walkers are within `NEARBY` of ego, on average over time."""

    def __init__(self) -> None:
        self._sum = 0
        self._ticks = 0

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        actors = tick.observation.actors
        if actors is None:
            return
        offset = actors.pose[:, :2] - tick.observation.ego.pose[:2]
        near = np.einsum("ij,ij->i", offset, offset) <= NEARBY**2
        self._sum += int(np.count_nonzero(near & (actors.kind != AgentKind.PROP)))
        self._ticks += 1

    @property
    def mean(self) -> float:
        """Agents, nan before the first tick."""
        return self._sum / self._ticks if self._ticks else float("nan")


class Collisions:
    """Every collision, with its partner, place, fault and the reason for that verdict.

    Ego is at fault, except where (1) it was struck from behind in its own lane without having braked
    harder than 4 m/s^2 with no lead, walker, light, sign or stop point requiring it (the plan's own
    constraints count; a brake by the safety filter alone does not excuse), (2) it had been standing
    for 1 s, or (3) it was hit by a vehicle that ran a light or a stop sign.
    """

    def __init__(self, graph: LaneGraph) -> None:
        self._graph = graph
        self._lights = StopLines(graph, StopKind.LIGHT)
        self._stops = StopLines(graph, StopKind.STOP)
        self._history: deque[Tick] = deque()
        self._last_contact: dict[int, float] = {}
        self.infractions: list[Infraction] = []

    def update(self, tick: Tick) -> None:
        """Take one tick in."""
        self._history.append(tick)
        while tick.t - self._history[0].t > VIOLATION_WINDOW_S:
            self._history.popleft()
        for event in tick.observation.events:
            last = self._last_contact.get(event.other_id, -np.inf)
            self._last_contact[event.other_id] = tick.t
            if tick.t - last > SAME_COLLISION_S:
                self.infractions.append(self._judge(event))

    def _judge(self, event: CollisionEvent) -> Infraction:
        """Decide on one collision from what came before it."""
        earlier = [h for h in self._history if h.observation.frame < event.frame]
        past = earlier or [self._history[0]]
        at_fault, reason = self._verdict(event, past)
        tick = past[-1]
        return _infraction(
            "collision", tick, reason, at_fault, event.other_id, event.other_type_id, event.impulse
        )

    def _verdict(self, event: CollisionEvent, past: Sequence[Tick]) -> tuple[bool, str]:
        impact = past[-1]
        ego = impact.observation.ego
        recent = [h for h in past if impact.t - h.t <= STOOD_S + 1e-6]
        stood = recent[-1].t - recent[0].t >= STOOD_S - 1e-6
        if stood and all(abs(h.observation.ego.speed) < STANDING for h in recent):
            return False, "ego had been standing for 1 s"
        partner = agent_of(impact.observation, event.other_id)
        if partner is None:
            return True, "ran into something that does not move"
        if violation := self._violation(event.other_id, past):
            return False, violation
        if struck_from_behind(ego, partner) and in_own_lane(self._graph, ego):
            if braked_for_nothing(past):
                return True, "struck from behind after braking hard with nothing requiring it"
            return False, "struck from behind in its own lane"
        return True, "no exception applies"

    def _violation(self, partner: int, past: Sequence[Tick]) -> str:
        """Say which rule the partner broke on its way into the collision, or nothing."""
        rested = np.zeros(len(self._stops), dtype=bool)
        for tick in past:
            if any(s == SignalState.RED for _, s in lights_passed(self._lights, tick, partner)):
                return "the partner ran a red light"
            agent = agent_of(tick.observation, partner)
            before = agent_of(tick.before, partner) if tick.before is not None else None
            if agent is None or before is None or not len(self._stops):
                continue
            front = front_of(agent.pose, agent.half_length)
            if agent.speed < STANDING:
                beyond, _ = self._stops.relative(front)
                rested |= (beyond > -STOP_ZONE) & (beyond < 0.0)
            passed = self._stops.passed(
                front_of(before.pose, before.half_length), front, agent.z
            )
            if any(not rested[line] for line in passed) and tick.t - past[0].t > STOOD_S:
                return "the partner ran a stop sign"
        return ""


@dataclass(frozen=True)
class Partner:
    """One agent of one frame: pose (3,), z [m], velocity (2,) [m/s] and half sizes [m]."""

    pose: Array
    z: float
    velocity: Array
    half_length: float
    half_width: float

    @property
    def speed(self) -> float:
        """[m/s]."""
        return float(np.hypot(*self.velocity))


def agent_of(observation: Observation, agent_id: int) -> Partner | None:
    """Return agent `agent_id` (ego's id gives ego) as it was in `observation`, or None."""
    ego, actors = observation.ego, observation.actors
    if agent_id == ego.id:
        return Partner(ego.pose, ego.z, ego.velocity, float(ego.extent[0]), float(ego.extent[1]))
    if actors is None:
        return None
    rows = np.flatnonzero(actors.id == agent_id)
    if not len(rows) or actors.kind[rows[0]] == AgentKind.PROP:
        return None
    i = int(rows[0])
    return Partner(
        actors.pose[i],
        float(actors.z[i]),
        actors.velocity[i],
        float(actors.extent[i, 0]),
        float(actors.extent[i, 1]),
    )


def lights_passed(lines: StopLines, tick: Tick, agent_id: int) -> list[tuple[int, int]]:
    """Return the lines that agent `agent_id` passed in this tick and what their lights showed.

    A light that changed in this very tick still counts as what it was before.
    """
    actors = tick.observation.actors
    if tick.before is None or tick.before.actors is None or actors is None or not len(lines):
        return []
    now, before = agent_of(tick.observation, agent_id), agent_of(tick.before, agent_id)
    if now is None or before is None:
        return []
    passed = lines.passed(
        front_of(before.pose, before.half_length), front_of(now.pose, now.half_length), now.z
    )
    states = tick.before.actors.signal_state
    return [(int(i), int(states[lines.signal[i]])) for i in passed]


def struck_from_behind(ego: EgoState, partner: Partner) -> bool:
    """Tell whether the partner came at ego's rear: behind it, in its track, and faster."""
    cos, sin = np.cos(ego.pose[2]), np.sin(ego.pose[2])
    dx, dy = partner.pose[:2] - ego.pose[:2]
    ahead, left = dx * cos + dy * sin, dy * cos - dx * sin
    closing = partner.velocity[0] * cos + partner.velocity[1] * sin > ego.speed
    in_track = abs(left) < ego.extent[1] + partner.half_width
    return bool(ahead < -ego.extent[0] and in_track and closing)


def in_own_lane(graph: LaneGraph, ego: EgoState) -> bool:
    """Tell whether ego lies within one lane that runs its way (0.2 m over the line is forgiven)."""
    offset = graph.xyz[:, :2] - ego.pose[:2]
    aligned = np.cos(graph.yaw - ego.pose[2]) > 0.8
    candidates = np.flatnonzero(
        aligned
        & (graph.kind[graph.point_lane] == LaneKind.DRIVING)
        & (np.einsum("ij,ij->i", offset, offset) < 5.0**2)
        & (np.abs(graph.xyz[:, 2] - ego.z) < 3.0)
    )
    if not len(candidates):
        return False
    yaw = graph.yaw[candidates]
    lateral = np.abs(
        offset[candidates, 1] * np.cos(yaw) - offset[candidates, 0] * np.sin(yaw)
    )
    room = 0.5 * graph.width[candidates] - ego.extent[1] + 0.2
    return bool(np.any(lateral <= room))


def braked_for_nothing(past: Sequence[Tick]) -> bool:
    """Tell whether ego braked harder than `HARD_BRAKE` lately while its plan did not have to."""
    impact = past[-1].t
    required_until = -np.inf
    for tick in past:
        if tick.intent.requires_hard_brake:
            required_until = tick.t + REACTION_S
        hard = tick.observation.ego.accel < -HARD_BRAKE and tick.observation.ego.speed > STANDING
        if hard and impact - tick.t <= BRAKE_WINDOW_S and tick.t > required_until:
            return True
    return False


class Criteria:
    """All criteria of a drive together.

    Args:
        graph: the town.
        route: the way to go.
    """

    def __init__(self, graph: LaneGraph, route: Route) -> None:
        self.completion = Completion(route)
        self.collisions = Collisions(graph)
        self.red_lights = RedLights(graph, route)
        self.stop_signs = StopSigns(graph, route)
        self.speeding = Speeding(route)
        self.density = Density()
        self._route = route
        self._before: Observation | None = None
        self._s = 0.0

    def update(self, observation: Observation, intent: Intent) -> Tick:
        """Take one frame in; return it with ego's place on the route."""
        s, d, _ = project_on_route(self._route, observation.ego.pose[None, :2], self._s)
        self._s = float(s[0])
        dt = 0.0 if self._before is None else observation.t - self._before.t
        tick = Tick(observation, self._before, intent, self._s, float(d[0]), dt)
        for criterion in (self.completion, self.collisions, self.red_lights, self.stop_signs,
                          self.speeding, self.density):  # fmt: skip
            criterion.update(tick)
        self._before = observation
        return tick

    @property
    def infractions(self) -> list[Infraction]:
        """Collisions, red lights and stop signs in the order of time."""
        found = (self.collisions, self.red_lights, self.stop_signs)
        return sorted((i for c in found for i in c.infractions), key=lambda i: i.t)


def _infraction(
    kind: str,
    tick: Tick,
    reason: str,
    at_fault: bool = True,
    partner: int = 0,
    partner_type: str = "",
    impulse: float = 0.0,
) -> Infraction:
    """Return an infraction at the place and time of `tick`."""
    x, y = (float(v) for v in tick.observation.ego.pose[:2])
    return Infraction(
        kind, tick.t, tick.observation.frame, x, y, tick.s, at_fault, reason, partner,
        partner_type, impulse,
    )  # fmt: skip
