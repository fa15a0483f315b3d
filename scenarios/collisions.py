"""Collisions and whose fault they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from headway.road.lane_graph import LaneGraph, LaneKind, StopKind
from headway.types import CollisionEvent, EgoState, SignalState
from scenarios.stop_lines import StopLines, front_of
from scenarios.tick import (
    HARD_BRAKE,
    STANDING,
    STOP_ZONE,
    Infraction,
    Partner,
    Tick,
    agent_of,
    infraction_at,
    lights_passed,
)

SAME_COLLISION_S = 2.0  # [s] contacts with one partner closer in time are one collision
BRAKE_WINDOW_S = 3.0  # [s] before being struck in which hard braking counts
REACTION_S = 0.5  # [s] a required brake may outlast what required it: delays of the actuators
STOOD_S = 1.0  # [s]
VIOLATION_WINDOW_S = 10.0  # [s] before a collision in which the partner's violation counts


class Collisions:
    """Every collision, with its partner, place, fault and the reason for that verdict.

    Ego is at fault, except where (1) it was struck from behind in its own lane without having
    braked harder than 4 m/s^2 with no lead, walker, light, sign or stop point requiring it (the
    plan's own constraints count; a brake by the safety filter alone does not excuse), (2) it had
    been standing for 1 s, or (3) it was hit by a vehicle that ran a light or a stop sign.
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
        return infraction_at(
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
            passed = self._stops.passed(front_of(before.pose, before.half_length), front, agent.z)
            if any(not rested[line] for line in passed) and tick.t - past[0].t > STOOD_S:
                return "the partner ran a stop sign"
        return ""


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
    lateral = np.abs(offset[candidates, 1] * np.cos(yaw) - offset[candidates, 0] * np.sin(yaw))
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
