"""Bounds on ego's motion along the route, each with its reason: what stands, and who moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.road.lane_graph import LaneGraph, StopKind
from headway.types import AgentKind, Agents, Array, Goal, Scene, SignalState
from planner import corridor
from planner.itinerary import Itinerary
from planner.right_of_way import FAR, conflict_times
from planner.rollout import NUM_BOUNDS
from planner.rules import STANDING, Memory, Rules

COMFORT = 2.5  # [m/s^2] braking in comfort
LOOK_JUNCTION = 80.0  # [m] of the route within which conflicts are looked at
SIGNAL_NAMES = {SignalState.RED: "red_light", SignalState.YELLOW: "yellow_light"}


@dataclass
class BoundList:
    """Rows for the rollout and a reason for each.

    Attributes:
        rows: see `planner.rollout.Bound`.
        reasons: for the Trace.
    """

    rows: list[tuple[float, float, float]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def stop(self, at: float, reason: str) -> None:
        """Ego's front stays behind s = `at` [m]."""
        self.rows.append((at, 0.0, 1.0))
        self.reasons.append(reason)

    def follow(self, rear: float, speed: float, reason: str) -> None:
        """Ego follows somebody whose rear is at s = `rear` [m] and moves with `speed` [m/s]."""
        self.rows.append((rear, speed, 0.0))
        self.reasons.append(reason)

    def array(self) -> Array:
        """(B, NUM_BOUNDS)."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, NUM_BOUNDS)

    def __add__(self, other: BoundList) -> BoundList:
        return BoundList(self.rows + other.rows, self.reasons + other.reasons)


@dataclass(frozen=True)
class EgoOnRoute:
    """Ego in the route's frame.

    Attributes:
        s: [m] of its centre.
        d: [m] left positive.
        speed: [m/s].
        half_length: [m].
        ahead: [m] within which things matter.
    """

    s: float
    d: float
    speed: float
    half_length: float
    ahead: float

    @property
    def front(self) -> float:
        """[m] s of the front."""
        return self.s + self.half_length

    @property
    def comes_to_rest(self) -> float:
        """[m] s where the front would be at rest, braking in comfort from now on."""
        return self.front + self.speed**2 / (2.0 * COMFORT)

    def needed(self, at: float) -> float:
        """Braking [m/s^2] that brings the front to rest at s = `at` [m]; a reaction included."""
        gap = at - self.front - 0.15 * self.speed
        return self.speed**2 / (2.0 * max(gap, 0.05))


@dataclass(frozen=True)
class Others:
    """The agents, seen from the route and on their lanes.

    Attributes:
        agents: as in the Scene.
        seen: (A, NUM_SEEN), see `planner.corridor.Seen`.
        lane: (A,) int, -1 for none.
        lane_s: (A,) [m].
        drifts: (A,) bool, whether they do not simply follow their lane.
        ahead: (R,) rows of those in the corridor ahead now, nearest first.
    """

    agents: Agents
    seen: Array
    lane: Array
    lane_s: Array
    drifts: Array
    ahead: Array


def standing_bounds(
    itinerary: Itinerary, ego: EgoOnRoute, goal: Goal, scene: Scene, memory: Memory, rules: Rules
) -> BoundList:
    """What does not move: lights, stop signs, the goal."""
    bounds = BoundList()
    if goal.stop_s is not None and goal.stop_s < ego.s + ego.ahead:
        bounds.stop(goal.stop_s - rules.goal_gap + ego.half_length, "goal")
    first = int(np.searchsorted(itinerary.stop_s, ego.front - 0.5))
    for q in range(first, len(itinerary.stop_s)):
        line = float(itinerary.stop_s[q])
        if line > ego.front + ego.ahead:
            break
        at, kind = line - rules.line_gap, itinerary.stop_kind[q]
        if kind == StopKind.LIGHT:
            state = SignalState(int(scene.signal_state[itinerary.stop_signal[q]]))
            reached = (line - ego.front) / max(ego.speed, 0.1)
            if memory.light_holds(q, state, ego.needed(line - 0.2), reached, rules):
                bounds.stop(at, f"{SIGNAL_NAMES[state]}:{itinerary.stop_signal[q]}")
        elif kind == StopKind.STOP and memory.stop_sign_holds(
            q, line - ego.front, ego.speed, rules
        ):
            bounds.stop(at, f"stop_sign:{q}")
    return bounds


def lead_bounds(ego: EgoOnRoute, others: Others, arrive: Arrivals, rules: Rules) -> BoundList:
    """Whoever is in the corridor ahead now."""
    bounds = BoundList()
    for a in others.ahead:
        row = others.seen[a]
        name = _name(others.agents, a)
        if abs(row[corridor.LATERAL]) > 0.5 and _passes_before(row, arrive, rules):
            continue  # they will be out of the way by the time we come
        if row[corridor.SPEED] < 0.5 * others.agents.speed[a]:  # across or towards us
            at = float(row[corridor.ENTER_S])
            if row[corridor.SPEED] < -0.7 * others.agents.speed[a]:  # towards us: leave them room
                at = min(at, float(row[corridor.REAR] + 4.0 * row[corridor.SPEED]))
            bounds.stop(at - rules.crossing_gap, name)
        else:
            bounds.follow(row[corridor.REAR], max(row[corridor.SPEED], 0.0), name)
    return bounds


def crossing_bounds(
    ego: EgoOnRoute, others: Others, arrive: Arrivals, memory: Memory, rules: Rules
) -> BoundList:
    """Whoever will be in the corridor when ego comes there.

    Who is being stopped for goes on being so as long as ego rolls, unless there is time to spare:
    walkers and bicycles are faster and slower in every step.
    """
    bounds = BoundList()
    seen = others.seen
    coming = (
        (seen[:, corridor.NOW] == 0.0)
        & (seen[:, corridor.ENTER] < FAR)
        & (seen[:, corridor.LEAVE_S] > ego.front)
        & others.drifts
    )
    for a in map(int, np.flatnonzero(coming)):
        row = seen[a]
        if _passes_before(row, arrive, rules):
            continue
        walker = others.agents.kind[a] == AgentKind.WALKER
        gone = arrive.at(row[corridor.LEAVE_S] + 0.5 + 2.0 * ego.half_length)
        spare = 1.0 if walker else 0.5 * rules.before
        if int(others.agents.id[a]) in memory.stopping_for and ego.speed > STANDING:
            spare += rules.stopping
        if gone + spare < row[corridor.ENTER]:
            continue
        name = "walker" if walker else "crossing"
        along = abs(row[corridor.HEADING]) < 0.8 and row[corridor.SPEED] > 1.0
        if along and not walker:
            if row[corridor.S] > ego.s + 1.0:
                rear = max(row[corridor.REAR], ego.front + 0.5)
                bounds.follow(rear, row[corridor.SPEED], _name(others.agents, a))
            continue
        at = row[corridor.ENTER_S] - (rules.walker_gap if walker else rules.crossing_gap)
        if row[corridor.ENTER_S] < ego.front - 0.5:
            continue  # we are in their way already: on, and out of it
        bounds.stop(at, f"{name}:{others.agents.id[a]}")
    return bounds


def junction_bounds(
    itinerary: Itinerary,
    ego: EgoOnRoute,
    others: Others,
    arrive: Arrivals,
    scene: Scene,
    memory: Memory,
    rules: Rules,
    creep: bool = False,
) -> BoundList:
    """Whoever has the right of way in the junctions ahead, or blocks their exits.

    With `creep` ego waits at the edge of the first that is crossed, where it sees and is seen.
    """
    bounds = exit_bounds(itinerary, ego, others, rules)
    near = (itinerary.conflict_s[:, 1] > ego.s - ego.half_length) & (
        itinerary.conflict_s[:, 0] < ego.front + LOOK_JUNCTION
    )
    if not near.any():
        return bounds
    ego_from = np.where(near, arrive.at(itinerary.conflict_s[:, 0]), FAR)
    ego_to = arrive.at(itinerary.conflict_s[:, 1] + 2.0 * ego.half_length)
    blocker = np.full(len(near), -1, np.int64)
    front = np.zeros(len(near))
    # Who has stood for long takes smaller gaps. The hysteresis is for those who still roll: who has
    # begun to cross does not stop in the middle because it got on a little slower than was thought.
    bold = memory.boldness(rules)
    before = rules.before * (1.0 - 0.5 * bold)
    inside = (itinerary.junction_s[:, 0] < ego.front) & (ego.front < itinerary.junction_s[:, 1])
    if memory.giving_way and ego.speed > 0.5:
        before += 0.5
    elif inside.any() and not memory.giving_way:
        before = min(before, rules.begun)
    conflict_times(
        itinerary.approach_start, itinerary.approach_conflict, itinerary.approach_offset,
        itinerary.conflict_other_s, itinerary.conflict_yields, itinerary.conflict_signal,
        itinerary.conflict_line, scene.signal_state, ego_from, ego_to,
        before, rules.after * (1.0 - 0.5 * bold),
        others.lane, others.lane_s, others.agents.speed, others.agents.extent[:, 0],
        memory.lets_go(others.agents.id, rules), blocker, front,
    )  # fmt: skip
    live = _live(itinerary, scene.signal_state)
    for c in map(int, np.flatnonzero(blocker >= 0)):
        a = int(blocker[c])
        if others.seen[a, corridor.NOW] > 0.0 and others.seen[a, corridor.S] > ego.s:
            continue  # a lead already
        name = f"give_way:{others.agents.id[a]}"
        rear = front[c] - 2.0 * others.agents.extent[a, 0]
        ahead = itinerary.conflict_s[c, 1] - itinerary.conflict_other_s[c, 1] + rear
        if itinerary.conflict_merges[c] and ahead > ego.front:
            bounds.follow(float(ahead), float(others.agents.speed[a]), name)
            continue
        at = waiting_place(itinerary, c, ego, rules, creep, live)
        if at is not None:
            bounds.stop(at, name)
    return bounds


def _live(itinerary: Itinerary, signal_state: Array) -> Array:
    """(C,) bool, in which conflicts ego gives way to others whom no red light holds."""
    live, lit = itinerary.conflict_yields.copy(), itinerary.conflict_signal >= 0
    live[lit] &= signal_state[itinerary.conflict_signal[lit]] != SignalState.RED
    return live


def waiting_place(
    itinerary: Itinerary, c: int, ego: EgoOnRoute, rules: Rules, creep: bool, live: Array
) -> float | None:
    """Where ego's front waits [m] to give way in conflict `c`, or None when it is in there.

    It waits in nobody's way, where it still can: with its body in no conflict of `live` (C,) bool.
    """
    j = itinerary.conflict_junction[c]
    begin = float(itinerary.conflict_s[c, 0])
    if ego.front > begin - 0.2:
        return None
    guard = itinerary.junction_stop[j]
    entry = itinerary.junction_s[j, 0] if guard < 0 else itinerary.stop_s[guard]
    at = float(entry) - rules.line_gap
    if creep:
        ahead = (itinerary.conflict_junction == j) & (itinerary.conflict_s[:, 0] > ego.front + 0.2)
        begin = float(itinerary.conflict_s[ahead, 0].min())
    lit = guard >= 0 and itinerary.stop_kind[guard] == StopKind.LIGHT
    if not (lit or creep or ego.front > at + 1.3):
        return min(at, begin - rules.give_way_gap)
    # With a light on our side we wait inside, as far as our own crossing.
    crossed = itinerary.conflict_s[live & (itinerary.conflict_junction == j)]
    place = inside = begin - rules.give_way_gap
    while place > at:
        over = crossed[(crossed[:, 0] < place) & (crossed[:, 1] > place - 2.0 * ego.half_length)]
        if not len(over):
            break
        begin = float(over[:, 0].min())
        place = begin - rules.give_way_gap
    return max(place if ego.front < begin - 0.2 else inside, at)  # or it is in their way already


def exit_bounds(itinerary: Itinerary, ego: EgoOnRoute, others: Others, rules: Rules) -> BoundList:
    """Stay out of a junction as long as there is no room behind it."""
    bounds = BoundList()
    walks = others.agents.kind == AgentKind.WALKER  # who crosses will be gone, who stands will not
    slow_speed = np.where(walks, 0.3, rules.queue_speed)
    slow = [a for a in others.ahead if others.agents.speed[a] < slow_speed[a]]
    if not slow:
        return bounds
    first = int(np.searchsorted(itinerary.junction_s[:, 0], ego.front + 0.2))
    for j in range(first, len(itinerary.junction_s)):
        begin, end = itinerary.junction_s[j]
        if begin > ego.front + LOOK_JUNCTION:
            break
        if not (itinerary.conflict_junction == j).any():
            continue
        if j > 0 and begin - itinerary.junction_s[j - 1, 1] < 2.0 * ego.half_length + 2.0:
            continue  # between two junctions of a roundabout one cannot wait
        room = end + 2.0 * ego.half_length + 1.0
        for a in slow:
            rear = others.seen[a, corridor.REAR]
            if begin - 1.0 < rear < room:
                guard = itinerary.junction_stop[j]
                entry = begin if guard < 0 else itinerary.stop_s[guard]
                if ego.front <= entry + 0.3:
                    at = float(entry) - rules.line_gap
                    bounds.stop(at, f"exit_blocked:{others.agents.id[a]}")
                break
    return bounds


@dataclass(frozen=True)
class Arrivals:
    """When ego's front is where, by a rollout without crossing traffic.

    Attributes:
        front: (N+1,) [m] s of the front.
        t: (N+1,) [s].
    """

    front: Array
    t: Array

    def at(self, s: Array | float) -> Array:
        """Time [s] when the front gets to `s` [m], 0 when it is there, FAR beyond the rollout."""
        t = np.interp(s, self.front, self.t)
        return np.where(np.asarray(s) <= self.front[0], 0.0,
                        np.where(np.asarray(s) > self.front[-1], FAR, t))  # fmt: skip


def _passes_before(row: Array, arrive: Arrivals, rules: Rules) -> bool:
    """Whether they have left the corridor, within their forecast, before ego comes."""
    return bool(row[corridor.LEAVE] + rules.after < arrive.at(row[corridor.ENTER_S] - 1.0))


def _name(agents: Agents, a: int) -> str:
    kind = agents.kind[a]
    if kind == AgentKind.WALKER:
        return f"walker:{agents.id[a]}"
    return f"{'object' if kind == AgentKind.PROP else 'lead'}:{agents.id[a]}"


def follows_lane(
    graph: LaneGraph, lane: Array, lane_s: Array, lane_d: Array, agents: Agents
) -> Array:
    """Whether agents simply follow the lane that they are on, outside junctions (A,) bool.

    Args:
        graph: the roads.
        lane: (A,) -1 for none.
        lane_s: (A,) [m] there.
        lane_d: (A,) [m] beside the lane's centre.
        agents: whose velocity is compared to the lane.
    """
    on = np.maximum(lane, 0)
    yaw = graph.yaw[np.maximum(graph.samples_at(on, lane_s), 0)]
    across = agents.velocity[:, 1] * np.cos(yaw) - agents.velocity[:, 0] * np.sin(yaw)
    return (lane >= 0) & (graph.junction[on] < 0) & (np.abs(across) < 0.5) & (np.abs(lane_d) < 1.2)
