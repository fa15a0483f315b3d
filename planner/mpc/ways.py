"""The ways that the MPC planner has: lanes and how to drive in them, and what each is worth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from headway.road.lane_graph import LaneGraph
from headway.road.route import Route
from headway.types import AgentKind, Array, Goal, Scene
from planner import corridor
from planner.bounds import BoundList, EgoOnRoute
from planner.caution import careful
from planner.homotopies import OFF_LANE, LaneOption, lane_options, route_lanes
from planner.idm import IdmPlanner
from planner.merging import find_merges, pace_into, way_over
from planner.mpc.config import MpcConfig
from planner.mpc.stages import Lateral
from planner.passing import (
    LOOK,
    Hurdle,
    aside,
    edges,
    find_hurdle,
    kerb_stop,
    overtake,
    pull_over,
)
from planner.pulling_out import PullingOut

PAST = ("overtake", "aside")  # ways past somebody, who would hold ego up
WITHIN = ("pull_over", "aside")  # the route's own lane
SAME_LANE = 1.75  # [m] beside each other
BEYOND = 15.0  # [m] that a lane goes on past who stands
LETS_BY = 30.0  # [m] behind ego: who is faster, in the lane that it makes way to
SIREN_BEHIND = 120.0  # [m] behind ego from where on it makes way for who has a siren on
BEFORE_END = 2.0  # [m/s^2] braking for the end of the lane that is left: who slows down gets no gap
SLOW_PACE = 0.6  # of the speed that the road allows, in the slower profiles


class Profile(NamedTuple):
    """One way to drive.

    Attributes:
        name: of the proposal.
        option: the lane that it is in.
        extra: bounds beside those of the lane.
        pace: share of the speed that the road allows.
    """

    name: str
    option: LaneOption
    extra: BoundList
    pace: float


class Ways:
    """Lists lanes x speed profiles in every tick.

    Args:
        config: of the planner.
        rules: its rule layer, which has looked at the scene.

    Attributes:
        behind: (A,) bool, who is behind ego in its lane and keeps its distance by itself.
        stays: (A,) bool, who is taken to stay where it is: things, and who has stood for a while.
        target: [m] offset of the lane that the last plan goes to.
    """

    behind: Array
    stays: Array
    target: float

    def __init__(self, config: MpcConfig, rules: IdmPlanner) -> None:
        self._config, self._rules = config, rules
        self.reset()

    def reset(self) -> None:
        """Forget what was going on."""
        self._hurdle: Hurdle | None = None
        self._out = PullingOut()
        self._kerb_s = 0.0
        self._gives_way = False
        self.target = 0.0

    def follow(self, graph: LaneGraph, route: Route) -> None:
        """Look up the lanes beside `route`."""
        self._lanes = route_lanes(graph, route)
        self._merges = find_merges(graph, route, self._rules.route_path)
        self._out.reset()
        self.target = 0.0

    def profiles(self, scene: Scene, goal: Goal) -> list[Profile]:
        """Name, lane, extra bounds and pace of each proposal; ego's own lane comes first."""
        config, rules = self._config, self._rules
        options, out = self._options(scene, goal), []
        for option in options:
            out.append(Profile(option.name, option, BoundList(), 1.0))
            if option.name not in PAST:
                out.append(Profile(f"{option.name}_slow", option, BoundList(), SLOW_PACE))
        memory, first = rules.memory, options[0]
        if self._gives_way and memory.boldness(rules.config.rules) > config.creep_from:
            pace = config.creep_speed / float(rules.itinerary.speed[memory.hint])
            out.append(Profile("creep", first, BoundList(), min(pace, 1.0)))
        variants = rules.variants()
        return out + [Profile(n, first, variants[n], 1.0) for n in ("yield", "stop")]

    def note(self, keep: BoundList) -> None:
        """Note what bounds ego in its own lane."""
        self._gives_way = any(r.startswith("give_way") for r in keep.reasons)

    def ends(self, option: LaneOption) -> BoundList:
        """Where `option` ends: its lane, the kerb, or where one can still turn out."""
        ego, hurdle, out = self._rules.ego, self._hurdle, BoundList()
        at = option.ends_s - ego.half_length
        if at < np.inf and (not option.line or ego.needed(at) > BEFORE_END):
            out.stop(at, "lane_ends")
        if option.name == "pull_over":
            out.stop(self._kerb_s, "kerb")
        if self._out.waits:
            out.stop(ego.front, "no_gap")
        if hurdle is not None and _is_behind(option, hurdle):
            # Way out of a whole lane takes more room.
            config = self._config
            at = hurdle.rear - (config.passing.hold if hurdle.over else config.lanes.least)
            if not hurdle.stands:
                halfway = 0.5 * (at + hurdle.rear)
                if halfway > ego.front:  # nearer than that it follows them as it does anybody
                    out.follow(halfway, hurdle.speed, f"obstacle:{hurdle.first_id}")
            else:
                out.stop(max(at, ego.comes_to_rest), f"obstacle:{hurdle.first_id}")
        return out

    def off_lane(self, option: LaneOption) -> float:
        """Cost [1/s] of being in a lane other than the route's, the more the sooner either ends."""
        config = self._config
        if option.target == 0.0:
            return 0.0
        ends_s = min(option.ends_s, float(option.path.s[-1]))
        near = 1.0 - (ends_s - self._rules.ego.s) / config.lane_end_from
        return config.off_lane + config.lane_end * min(max(near, 0.0), 1.0)

    def is_past(self, option: LaneOption) -> bool:
        """Whether `option` leads past who holds ego up."""
        hurdle = self._hurdle
        if hurdle is None:
            return option.name in PAST
        return not _is_behind(option, hurdle) and (hurdle.stands or option.name in PAST)

    def is_across(self, option: LaneOption) -> bool:
        """Whether ego gets from one lane to another by `option`, or is on the oncoming one."""
        changes = abs(option.target - self._rules.ego.d) > OFF_LANE and not option.line
        return changes or option.name == "overtake"

    def lateral(self, option: LaneOption, half_width: float) -> Lateral:
        """Where the corridor of `option` lies, for an ego so wide [m]."""
        d, within = self._rules.ego.d, option.name in WITHIN
        changes = option.beside != 0.0 and option.name != "overtake" and not within
        beside = 0.0 if within else option.beside
        return Lateral(
            option.beside,
            max(0.0, -beside, -d - 0.4), max(0.0, beside, d - 0.4),
            half_width + self._config.corridor_margin,
            option.target if changes else np.nan,
            *option.blocked,
            option.name == "aside",
        )  # fmt: skip

    def _options(self, scene: Scene, goal: Goal) -> list[LaneOption]:
        """The lanes that ego may be in, seen from where the others are now."""
        rules, ego, config, lanes = self._rules, self._rules.ego, self._config, self._lanes
        nothing = np.zeros((len(scene.agents), 0, 3))
        seen = rules.survey(scene, nothing, 1.0)
        same = np.abs(seen[:, corridor.HEADING]) < 0.8
        near = np.abs(seen[:, corridor.D] - ego.d) < SAME_LANE
        self.behind = same & near & (seen[:, corridor.FRONT] < ego.s)
        self.stays = self._rested(scene, config.passing.stood)
        hint, half_width = rules.memory.hint, float(scene.ego.extent[1])
        path = careful(rules.route_path, (ego.half_length, half_width), ego.s, scene.agents, seen)
        self._hurdle = None
        if goal.maneuver == "pull_over":
            self._kerb_s = self._kerb_s or kerb_stop(
                config.passing, config.lanes, rules.itinerary, ego
            )
            return [pull_over(config.passing, config.lanes, lanes, path, hint, ego, half_width)]
        self._kerb_s = 0.0
        wish = min(float(rules.itinerary.speed[hint]), goal.speed_cap)
        margins = rules.config.rules.margins()
        right, left = edges(scene.agents, seen)
        width = 0.5 * (left - right) + half_width + margins[scene.agents.kind]
        bold = rules.memory.boldness(rules.config.rules)
        for merge in self._merges:
            over = way_over(config.lanes, merge, path, hint, ego, scene)
            if over is not None:
                self._out.reset()
                self.behind |= over[1]
                return [over[0]]
        insist = config.lanes.insistence(bold)
        out = self._out.way(config.lanes, lanes, path, hint, ego, seen, width, insist)
        if out is not None:
            return [out]
        crawls = rules.memory.crawled(scene.agents.id, config.passing.stood)
        crawls &= same & (seen[:, corridor.SPEED] + config.passing.gain < wish)
        parked = self._rested(scene, config.passing.walkers_time)
        self._hurdle = hurdle = find_hurdle(
            config.passing, lanes, rules.itinerary, ego, half_width, margins,
            scene.agents, seen, self.stays, crawls, parked,
        )  # fmt: skip
        siren = _siren(scene, ego, seen)
        # Past who stands for good any lane that moves is the faster one, whatever is farther ahead.
        until = hurdle.front + BEYOND if hurdle is not None and hurdle.stands else math.inf
        options = lane_options(
            config.lanes, path, lanes, hint, ego.s, ego.d, ego.speed, ego.half_length,
            seen, width, wish, bold, self.target, not math.isnan(siren), until,
        )  # fmt: skip
        if not math.isnan(siren):
            options = self._make_way(options, siren, seen, width)
        room = None
        if options[0].target == 0.0:
            room = aside(
                config.passing, lanes, path, hint, ego, half_width,
                rules.config.rules.margin_vehicle, scene.agents, seen, self.stays,
            )  # fmt: skip
        if (
            hurdle is not None and hurdle.over and options[0].name == "keep"
            # There is no lane of ours to go to.
            and all(option.ends_s < hurdle.past for option in options[1:])
        ):  # fmt: skip
            way = overtake(
                config.passing, config.lanes, lanes, path, hint, ego, half_width, hurdle,
                scene.agents, rules.survey(scene, nothing, 1.0, LOOK),
                self.target > 0.5 * hurdle.target,
            )  # fmt: skip
            options += [way] if way is not None else []
        return options + ([room] if room is not None else [])

    def _rested(self, scene: Scene, seconds: float) -> Array:
        """(A,) bool, things, and who has stood for so long [s]."""
        rested = self._rules.memory.rested(scene.agents.id, seconds)
        return rested | (scene.agents.kind == AgentKind.PROP)

    def _make_way(
        self, options: list[LaneOption], siren: float, seen: Array, width: Array
    ) -> list[LaneOption]:
        """Leave the lane of who comes with a siren, `siren` [m] beside the route's middle.

        While there is no gap in the lane beside it, get behind whom ego will follow there.
        """
        others = [option for option in options if abs(option.target - siren) > SAME_LANE]
        if others:
            return others
        own, ego, hint = options[0], self._rules.ego, self._rules.memory.hint
        for offset, clear in zip(self._lanes.offset[hint], self._lanes.clear[hint], strict=True):
            if clear > 0.0 and abs(offset - siren) > SAME_LANE:
                there = np.abs(seen[:, corridor.D] - offset) < width
                pace = pace_into(seen[there], ego, own.path.s, LETS_BY)
                path = own.path._replace(speed=np.minimum(own.path.speed, pace))
                return [replace(own, path=path)]
        return options


def _is_behind(option: LaneOption, hurdle: Hurdle) -> bool:
    """Whether ego stays behind `hurdle` by `option`."""
    return option.name in ("keep", "aside") and option.target > hurdle.right


def _siren(scene: Scene, ego: EgoOnRoute, seen: Array) -> float:
    """Offset [m] of who comes with a siren from behind and is not past ego, nan for nobody."""
    if not scene.sirens:
        return math.nan
    rings = np.isin(scene.agents.id, list(scene.sirens))
    behind = ego.front - seen[:, corridor.REAR]
    comes = rings & (np.abs(seen[:, corridor.HEADING]) < 0.8) & (seen[:, corridor.SPEED] > 0.0)
    comes &= (behind > 0.0) & (behind < SIREN_BEHIND)
    return float(seen[comes, corridor.D][np.argmin(behind[comes])]) if comes.any() else math.nan
