"""The route as goal: the language front end of a car that is told nothing."""

from __future__ import annotations

from headway.trace import TickRecord, Trace
from headway.types import Goal, Reply, Scene

STANDING_MPS = 0.3  # [m/s] below this the car stands
CAUSES = {
    "lead": "the vehicle ahead",
    "walker": "a walker in or near my way",
    "red_light": "a red light",
    "yellow_light": "a yellow light",
    "stop_sign": "a stop sign",
    "yield_sign": "a yield sign",
    "give_way": "traffic that has the right of way",
    "crossing": "somebody who crosses my way",
    "exit_blocked": "a junction whose exit is blocked",
    "curve": "a curve",
    "limit": "the speed limit",
    "speed_cap": "the speed that I was given",
    "goal": "the end of the route",
    "object": "an object on the road",
    "obstacle": "what I keep clear of",
    "lane_ends": "the end of the lane",
    "kerb": "the place where I pull over",
    "emergency_brake": "an emergency brake",
}


class RouteLanguage:
    """A `Language` that follows the route and stops at its end."""

    def reset(self) -> None:
        """Nothing is remembered."""

    def hear(self, instruction: str, scene: Scene) -> Reply:
        """Say that instructions are not understood yet; nothing changes."""
        del scene
        words = (
            f"I cannot take instructions in this version, so {instruction.strip()!r} changes "
            "nothing: I follow the route. Understanding words comes with a later version."
        )
        return Reply("unclear", words)

    def goal(self, scene: Scene) -> Goal:
        """Return the route, to its end."""
        return Goal(maneuver="follow_route", route=scene.route, stop_s=scene.route.length)

    def answer(self, question: str, trace: Trace) -> str:
        """Answer from the trace: why it stands, brakes or drives so, how fast, what safety did."""
        if not trace.records:
            return "Nothing was driven yet."
        asked = question.lower()
        if any(word in asked for word in ("safety", "interven", "emergency")):
            return _interventions(trace)
        if any(word in asked for word in ("fast", "speed", "slow")) and "why" not in asked:
            now = trace.records[-1]
            return f"At {now.t:.1f} s I drive {now.ego_speed * 3.6:.0f} km/h, {_because(now)}."
        if any(word in asked for word in ("stop", "brake", "wait", "stand")):
            return _last_stop(trace)
        if "why" in asked or "what" in asked:
            now = trace.records[-1]
            return f"At {now.t:.1f} s I {_doing(now)}, {_because(now)}."
        return (
            "I can say why I stand, brake or drive as I do, how fast I am, and what the safety "
            "layer did; more questions come with a later version."
        )


def _because(record: TickRecord) -> str:
    """What binds, in words; active constraints read `cause` or `cause:id`."""
    causes = []
    for name in record.active:
        cause, _, which = name.partition(":")
        words = CAUSES.get(cause, cause.replace("_", " "))
        causes.append(f"{words} ({which})" if which else words)
    return "bound by " + " and ".join(causes) if causes else "and nothing binds"


def _doing(record: TickRecord) -> str:
    if abs(record.ego_speed) < STANDING_MPS:
        return "stand"
    return f"do {record.plan_name.replace('_', ' ')} at {record.ego_speed * 3.6:.0f} km/h"


def _last_stop(trace: Trace) -> str:
    """The last time that the car stood or braked firmly."""
    for record in reversed(trace.records):
        if abs(record.ego_speed) < STANDING_MPS:
            return f"At {record.t:.1f} s I stood, {_because(record)}."
        if record.command[1] > 0.2:
            speed_kmh = record.ego_speed * 3.6
            return f"At {record.t:.1f} s I braked from {speed_kmh:.0f} km/h, {_because(record)}."
    return "I neither stood nor braked."


def _interventions(trace: Trace) -> str:
    """All that the safety layer changed."""
    changed = [(r.t, i) for r in trace.records for i in r.interventions]
    if not changed:
        return "The safety layer changed nothing."
    t, last = changed[-1]
    return (
        f"The safety layer changed {len(changed)} commands; the last at {t:.1f} s: "
        f"{last.reason.replace('_', ' ')}, margin {last.margin:.2f}."
    )
