"""What criteria see of one tick, what they report, and who was where in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headway.types import AgentKind, Array, Observation
from scenarios.stop_lines import StopLines, front_of

STANDING = 0.1  # [m/s] below it one stands, as in CARLA's own stop criterion
STOP_ZONE = 5.0  # [m] before a stop sign's line in which the front bumper has to come to rest
HARD_BRAKE = 4.0  # [m/s^2]
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
class Leniency:
    """What scenarios let ego do for now.

    Attributes:
        standing: to stand for as long as it likes.
        oncoming_lane: to drive in the lanes of the other direction.
    """

    standing: bool = False
    oncoming_lane: bool = False


@dataclass(frozen=True)
class Tick:
    """What criteria see of one tick.

    Attributes:
        observation: the frame.
        before: the frame before it, None at the first.
        intent: of the driver between the two.
        s, d: [m] where ego is along and beside the route.
        dt: [s] since the frame before.
        leniency: of the scenarios.
    """

    observation: Observation
    before: Observation | None
    intent: Intent
    s: float
    d: float
    dt: float
    leniency: Leniency = Leniency()

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


def infraction_at(
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
