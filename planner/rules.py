"""Rules of the road as the rule-based planner keeps them: margins, times and decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from headway.types import Agents, Array, SignalState

STANDING = 0.3  # [m/s] a slower car stands
CRAWLING = 7.0  # [m/s] as fast as a bicycle: a slower car crawls
SPEEDED_UP = 1.0  # [m/s] and one that got so much faster is about to drive
CREEPING = 2.0  # [m/s] and one slower than that has not set off yet,
CREPT = 5.0  # [m] before it has come so far


@dataclass
class Rules:
    """Margins and times towards others, and places to stop.

    Attributes:
        margin_vehicle: [m] to each side of ego that vehicles have to be clear of.
        margin_walker: [m] the same for walkers.
        margin_prop: [m] the same for things.
        forecast_vehicle: [s] that a vehicle's forecast is believed.
        forecast_two_wheeler: [s] that a bicycle's or a motorcycle's is.
        forecast_walker: [s] that a walker's is.
        line_gap: [m] between the front and a line when standing.
        give_way_gap: [m] between the front and a conflict in a junction when waiting for it.
        walker_gap: [m] to a walker's way.
        crossing_gap: [m] to a crossing vehicle's way.
        before: [s] that ego has to be gone before another comes.
        begun: [s] the same once ego has begun to cross.
        stopping: [s] more, for who crosses and is being stopped for.
        after: [s] that another has to be gone before ego comes.
        stood: [s] of standing after which another is taken to give way to ego, which waits.
        patience: [s] of waiting after which all who stand are.
        patience_lost: [s] beyond that over which smaller gaps come to be taken.
        full_stop: [s] of standing at a stop sign.
        yellow_brake: [m/s^2] beyond which a light that turned yellow is not stopped at.
        yellow_go: [s] after the change within which a line that is reached is passed all the same;
            lights are yellow for 3 s at least (MUTCD 2009, 4D.26), CARLA's for 3 s.
        red_brake: [m/s^2] beyond which one that turned red is not.
        queue_speed: [m/s] below which who stands behind a junction blocks its exit.
        goal_gap: [m] before the route's end where the centre comes to rest.
    """

    margin_vehicle: float = 0.35
    margin_walker: float = 0.8
    margin_prop: float = 0.25
    forecast_vehicle: float = 2.0
    forecast_two_wheeler: float = 3.0
    forecast_walker: float = 4.0
    line_gap: float = 1.0
    give_way_gap: float = 1.0
    walker_gap: float = 2.0
    crossing_gap: float = 2.0
    before: float = 1.5
    begun: float = 0.4
    stopping: float = 1.5
    after: float = 0.7
    stood: float = 2.0
    patience: float = 4.0
    patience_lost: float = 15.0
    full_stop: float = 0.6
    yellow_brake: float = 3.0
    yellow_go: float = 0.0
    red_brake: float = 6.0
    queue_speed: float = 1.5
    goal_gap: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0.0:
                raise ValueError(f"Rules.{name}: expected >= 0, got {value!r}")

    def margins(self) -> Array:
        """(4,) [m] to each side of ego, by `AgentKind`."""
        vehicle = self.margin_vehicle
        return np.array([vehicle, vehicle, self.margin_walker, self.margin_prop])

    def believed(self) -> Array:
        """(4,) [s] that a forecast is believed, by `AgentKind`."""
        times = (self.forecast_vehicle, self.forecast_two_wheeler, self.forecast_walker, 0.0)
        return np.array(times)


@dataclass
class Memory:
    """What the rule-based planner remembers from tick to tick.

    Attributes:
        hint: sample of the route near ego, -1 before the first tick.
        t: [s] of the last tick.
        accel: [m/s^2] wanted then.
        stopped: stop lines at which a full stop was made.
        stopping_since: [s] when ego came to rest at a stop sign, by line.
        turned: [s] since when the light of a line is no longer green, by line.
        running: lines whose light is passed, as it turned too late.
        halting: lines whose light ego stops at; what was begun is not given up for a little more
            braking than was thought.
        waiting_since: [s] when ego came to rest to wait; inf while it drives. Creeping on a little
            does not end the wait.
        waiting_s: [m] where that was.
        resting_since: [s] when others came to rest, by id.
        crawling_since: [s] when others came to be as slow as a bicycle and got no faster, by id.
        crawling_speed: [m/s] of the slowest that each has been since then, by id.
        giving_way: whether ego gave way in the last tick.
        stopping_for: ids of those who cross, for whom it stopped then.
        letting: ids of those who stand and are taken to let ego go.
    """

    hint: int = -1
    t: float = float("nan")
    accel: float = 0.0
    stopped: set[int] = field(default_factory=set)
    stopping_since: dict[int, float] = field(default_factory=dict)
    turned: dict[int, float] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)
    halting: set[int] = field(default_factory=set)
    waiting_since: float = float("inf")
    waiting_s: float = 0.0
    resting_since: dict[int, float] = field(default_factory=dict)
    crawling_since: dict[int, float] = field(default_factory=dict)
    crawling_speed: dict[int, float] = field(default_factory=dict)
    giving_way: bool = False
    stopping_for: frozenset[int] = frozenset()
    letting: set[int] = field(default_factory=set)

    def note_wait(self, s: float, speed: float) -> None:
        """Note since when ego waits, at s [m] of the route with `speed` [m/s]."""
        if speed > CREEPING or s > self.waiting_s + CREPT:
            self.waiting_since = float("inf")
        if speed < STANDING and self.waiting_since > self.t:
            self.waiting_since, self.waiting_s = self.t, s

    def note_others(self, agents: Agents) -> None:
        """Note since when others stand, or crawl."""
        self.resting_since = self._since(self.resting_since, agents, STANDING)
        self.crawling_since = self._since(self.crawling_since, agents, CRAWLING)
        slowest = self.crawling_speed
        self.crawling_speed = {}
        for i, speed in zip(agents.id.tolist(), agents.speed.tolist(), strict=True):
            if i not in self.crawling_since:
                continue
            self.crawling_speed[i] = min(slowest.get(i, speed), speed)
            if speed > self.crawling_speed[i] + SPEEDED_UP:  # it sets off: no crawler yet
                self.crawling_since[i], self.crawling_speed[i] = self.t, speed

    def _since(self, before: dict[int, float], agents: Agents, speed: float) -> dict[int, float]:
        """Since when [s] each is slower than `speed` [m/s], by id, going on from `before`."""
        return {i: before.get(i, self.t) for i in agents.id[agents.speed < speed].tolist()}

    def boldness(self, rules: Rules) -> float:
        """[0, 1], from when patience ends to when it is lost: who waits long takes smaller gaps."""
        waited = self.t - self.waiting_since
        return min(max((waited - rules.patience) / rules.patience_lost, 0.0), 1.0)

    def lets_go(self, ids: Array, rules: Rules) -> Array:
        """Whether others, should they stand, are taken to let ego go (A,) bool.

        Args:
            ids: (A,) of the others.
            rules: how long they have to have stood.
        """
        waited = self.t - self.waiting_since
        if waited >= rules.full_stop:
            rest = self.rested(ids, 0.0 if waited >= rules.patience else rules.stood)
            self.letting = set(ids[rest].tolist())
            return rest | (waited >= rules.patience)
        # Whoever let ego set off lets it drive on, as long as it stands.
        return np.array([i in self.letting and i in self.resting_since for i in ids.tolist()], bool)

    def rested(self, ids: Array, seconds: float) -> Array:
        """Whether others have stood for `seconds` [s] at least (A,) bool."""
        return self._for(self.resting_since, ids, seconds)

    def crawled(self, ids: Array, seconds: float) -> Array:
        """Whether others have crawled for `seconds` [s] at least (A,) bool."""
        return self._for(self.crawling_since, ids, seconds)

    def _for(self, since: dict[int, float], ids: Array, seconds: float) -> Array:
        latest = self.t - seconds
        return np.array([since.get(i, self.t) <= latest for i in ids.tolist()], bool)

    def light_holds(
        self, line: int, state: int, needed: float, reached: float, rules: Rules
    ) -> bool:
        """Whether ego stops at the light of `line`; decided once per change of the light.

        Args:
            line: of the itinerary.
            state: `SignalState`.
            needed: [m/s^2] braking that stopping takes now.
            reached: [s] until ego's front is at the line if it goes on as it does.
            rules: thresholds.
        """
        if state not in (SignalState.RED, SignalState.YELLOW):
            self.turned.pop(line, None)
            self.running.discard(line)
            self.halting.discard(line)
            return False
        since = self.t - self.turned.setdefault(line, self.t)
        passes = state == SignalState.YELLOW and since + reached < rules.yellow_go
        fresh = state == SignalState.YELLOW and line not in self.halting
        if needed > (rules.yellow_brake if fresh else rules.red_brake) or (fresh and passes):
            self.running.add(line)
            self.halting.discard(line)
        elif line in self.running and needed < 0.8 * rules.yellow_brake:
            self.running.discard(line)  # somebody held us up: now there is room again
        if line not in self.running:
            self.halting.add(line)
        return line not in self.running

    def stop_sign_holds(self, line: int, gap: float, speed: float, rules: Rules) -> bool:
        """Whether the full stop at the sign of `line` is still to be made.

        Args:
            line: of the itinerary.
            gap: [m] from the front to the line.
            speed: [m/s].
            rules: how long to stand.
        """
        if line in self.stopped:
            return False
        if speed < 0.1 and gap < rules.line_gap + 2.5:
            since = self.stopping_since.setdefault(line, self.t)
            if self.t - since >= rules.full_stop:
                self.stopped.add(line)
                return False
        else:
            self.stopping_since.pop(line, None)
        return True
