"""The safety layer: has the last word, shares no code with the planner, only makes safer.

At every tick it asks: if ego did this for one tick more and then braked, could it still stop
without hitting anybody who keeps to his own limits, and before each line that it owes a stop? When
the answer is no, it brakes. As the manoeuvre that it would fall back on was found safe a tick
before, who was safe stays safe, whatever the planner wants (`planner.safety_backup` simulates that
manoeuvre, `planner.safety_reach` says where the others can be, `planner.safety_lines` knows lights
and signs). It looks forward only: reverse is refused.

What it guarantees of a command that comes out, whatever went in:

- throttle is not higher, brake is not lower, the hand brake is as it was, reverse is never set;
- throttle and brake are not both above zero;
- steer lies between the steer that came in and one of three others: straight ahead (limit of
  lateral acceleration), the steer of the tick before (limit of steering rate), and the steer that
  makes ego run parallel to its road (definition 6); it is never moved past them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from headway.types import Command, EgoState, Intervention, Plan, Scene
from headway.vehicle import inverse_steer
from planner.safety_backup import Backup, EgoModel, Road, RoadAhead, road_accel
from planner.safety_lines import LineGuard
from planner.safety_reach import NEVER, Hits, Limits, find_hits

STRAIGHT = 0.005  # of steer that makes no difference
GONE = 0.5  # [s] after which the last tick says nothing about this one


@dataclass
class SafetyConfig:
    """What is hard, and what the others are taken to keep to.

    Attributes:
        lateral_accel: [m/s^2] that steering may ask for.
        backup_lateral_accel: [m/s^2] that the backup manoeuvre's steering asks for, at most.
        brake_share: of ego's brakes, on which the backup manoeuvre relies.
        steer_step: [-] change of steer_norm per second that is let through.
        margin: [m] beside ego (mu of definition 6).
        margin_ahead: [m] before ego, and before stop lines.
        range_m: [m] agents farther away are left out.
        lead_brake: [m/s^2] with which others may brake (b_max of definition 1).
        faster: [-] times his speed that who crosses may go.
        turn_time: [s] that a turn is taken to go on at least; at most `vehicle_time`.
        vehicle_time: [s] that vehicles which do not go ego's way are extrapolated.
        lateral_response: [s] for which others may accelerate towards ego's lane.
        lateral_response_accel: [m/s^2] with which.
        lateral_brake: [m/s^2] with which they then come out of it.
        rear_response: [s] after which who follows brakes when ego comes into his lane.
        rear_brake: [m/s^2] with which.
    """

    lateral_accel: float = 6.0
    backup_lateral_accel: float = 4.0
    brake_share: float = 0.9
    steer_step: float = 8.0
    margin: float = 0.1
    margin_ahead: float = 0.3
    range_m: float = 150.0
    lead_brake: float = 8.0
    faster: float = 1.1
    turn_time: float = 0.7
    vehicle_time: float = 1.5
    lateral_response: float = 0.3
    lateral_response_accel: float = 0.5
    lateral_brake: float = 2.0
    rear_response: float = 0.5
    rear_brake: float = 4.0

    def __post_init__(self) -> None:
        for item in fields(self):
            if not getattr(self, item.name) > 0.0:
                raise ValueError(
                    f"SafetyConfig.{item.name}: expected > 0, got {getattr(self, item.name)!r}"
                )
        if self.backup_lateral_accel > self.lateral_accel:
            raise ValueError(
                "SafetyConfig.backup_lateral_accel: expected at most lateral_accel, got "
                f"{self.backup_lateral_accel!r}"
            )


@dataclass
class NoSafetyConfig:
    """Nothing is guarded; there is nothing to set."""


class NoSafety:
    """A `SafetyFilter` that lets everything pass: for figures of what a planner does by itself."""

    interventions: tuple[Intervention, ...] = ()

    def reset(self) -> None:
        """Nothing is kept."""

    def filter(self, command: Command, plan: Plan, scene: Scene) -> Command:
        """Return `command`."""
        del plan, scene
        return command


class EmergencyBrake:
    """A `SafetyFilter`: limits, collisions, lights and signs; see the module.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: SafetyConfig | None = None) -> None:
        self.config = config or SafetyConfig()
        c = self.config
        self._limits = Limits(
            c.lead_brake, c.faster, c.turn_time, c.vehicle_time, c.lateral_response,
            c.lateral_response_accel, c.lateral_brake, c.rear_response, c.rear_brake, c.margin,
            c.margin_ahead, c.range_m,
        )  # fmt: skip
        self.reset()

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What the last `filter` changed, and why."""
        return self._interventions

    def reset(self) -> None:
        """Forget everything."""
        self._interventions: tuple[Intervention, ...] = ()
        self._ego: EgoModel | None = None
        self._roads = RoadAhead()
        self._lines = LineGuard()
        self._sent = Command()
        self._t = float("nan")

    def filter(self, command: Command, plan: Plan, scene: Scene) -> Command:
        """Return `command`, or a safer one."""
        changed: list[Intervention] = []
        out = self._pedals(command, changed)
        if broken := _not_finite(plan, scene):
            self._ego = None
            changed.append(Intervention(broken, 0.0))
            out = replace(out, throttle=0.0, brake=1.0)
        else:
            out = self._guard(out, scene, changed)
        self._interventions = tuple(changed)
        self._sent, self._t = out, scene.t
        return out if changed else command

    def _pedals(self, command: Command, changed: list[Intervention]) -> Command:
        if command.reverse:
            changed.append(Intervention("limit:reverse", -command.throttle))
            return replace(command, throttle=0.0, brake=1.0, reverse=False)
        if command.throttle > 0.0 and command.brake > 0.0:
            changed.append(Intervention("limit:pedals", -command.throttle))
            return replace(command, throttle=0.0)
        return command

    def _guard(self, command: Command, scene: Scene, changed: list[Intervention]) -> Command:
        ego, config = scene.ego, self.config
        if self._ego is None or self._ego.type_id != ego.type_id:
            self._ego = EgoModel(ego.type_id, config.backup_lateral_accel, config.brake_share)
        model, dt = self._ego, scene.t - self._t
        road = self._roads.find(scene, config.range_m)
        model.observe(ego, self._sent, dt, road.grade)
        command = self._limit_steer(command, ego, model, dt, changed)
        backup = model.backup(command, road)
        hits = self._hits(backup, scene, road)
        alarm: Intervention | None = None
        if hits.ahead >= 0 or hits.behind >= 0:
            command, backup, alarm = self._evade(command, backup, hits, scene, road, changed)
        if alarm is None:
            alarm = self._too_fast(backup, road)
        if alarm is None:
            alarm = self._lines.check(
                scene, road, backup.way,
                lambda: model.backup(_braked(command), road).way, config.margin_ahead,
            )  # fmt: skip
        if alarm is not None and command != _braked(command):
            changed.append(alarm)
            command = _braked(command)
        return command

    def _too_fast(self, backup: Backup, road: Road) -> Intervention | None:
        """Why to brake when a tick later the road would bend more than the backup can follow."""
        asked = road_accel(backup.path, road.xyz, road.yaw, road.s, road.at)
        spare = self.config.backup_lateral_accel - asked
        return Intervention("bend", spare) if spare < 0.0 else None

    def _hits(self, backup: Backup, scene: Scene, road: Road) -> Hits:
        return find_hits(backup, scene.ego.extent, road, scene.agents, self._limits)

    def _evade(
        self,
        command: Command,
        backup: Backup,
        hits: Hits,
        scene: Scene,
        road: Road,
        changed: list[Intervention],
    ) -> tuple[Command, Backup, Intervention | None]:
        """Answer a hit: by steering along the road where that helps, else by the brake.

        Returns:
            The command with its steer, its backup manoeuvre, and why to brake (None: need not).
        """
        model = self._ego
        assert model is not None
        ids = scene.agents.id
        kept = replace(command, steer_norm=model.keep_steer(road))
        over = -abs(kept.steer_norm - command.steer_norm)
        if steers := over < -STRAIGHT:
            straight = model.backup(kept, road)
            kept_hits = self._hits(straight, scene, road)
            # Before who comes from behind ego does not move in, not even when it is late already.
            later = hits.behind_beside and kept_hits.behind_tick >= hits.behind_tick
            for row, helps in (
                (hits.ahead, kept_hits.ahead < 0),
                (hits.behind, kept_hits.behind < 0 or later),
            ):
                if row >= 0 and helps:
                    changed.append(Intervention(f"lateral:{ids[row]}", over))
                    command, backup, hits, steers = kept, straight, kept_hits, False
                    break
        if hits.ahead < 0:
            return command, backup, None
        hit = min(hits.ahead_tick, len(backup.path) - 1)
        late = float(backup.path[hit, 3]) - backup.way
        alarm = Intervention(f"emergency_brake:{ids[hits.ahead]}", late)
        if steers:  # it hits either way: does the command's steer put it off, once braked?
            tick = self._hits(model.backup(_braked(command), road), scene, road).ahead_tick
            if tick < NEVER:
                other = self._hits(model.backup(_braked(kept), road), scene, road).ahead_tick
                if other >= tick:
                    changed.append(Intervention(f"lateral:{ids[hits.ahead]}", over))
                    command = kept
        return command, backup, alarm

    def _limit_steer(
        self, command: Command, ego: EgoState, model: EgoModel, dt: float,
        changed: list[Intervention],
    ) -> Command:  # fmt: skip
        """Keep lateral acceleration and steering rate within what the car can do."""
        config, speed, steer_norm = self.config, abs(ego.speed), command.steer_norm
        if 0.0 < dt < GONE:
            last = self._sent.steer_norm
            low, high = (last + sign * config.steer_step * dt for sign in (-1.0, 1.0))
            if not low <= steer_norm <= high:
                over = max(low - steer_norm, steer_norm - high)
                changed.append(Intervention("limit:steer_rate", -over))
                steer_norm = min(max(steer_norm, low), high)
        curvature = config.lateral_accel / max(speed, 1.0) ** 2
        angle = np.array([math.atan(ego.wheelbase * curvature)])
        largest = float(inverse_steer(model.params, np.array([speed]), angle)[0])
        if abs(steer_norm) > largest + 1e-9:
            changed.append(Intervention("limit:lateral_accel", largest - abs(steer_norm)))
            steer_norm = math.copysign(largest, steer_norm)
        if steer_norm == command.steer_norm:
            return command
        return replace(command, steer_norm=steer_norm)


def _braked(command: Command) -> Command:
    return replace(command, throttle=0.0, brake=1.0)


def _not_finite(plan: Plan, scene: Scene) -> str:
    """Reason to brake when the plan, or what is seen, is no number; else nothing."""
    ego, agents = scene.ego, scene.agents
    seen = (ego.pose, ego.velocity, agents.pose, agents.velocity, agents.yaw_rate, agents.extent)
    if not (
        math.isfinite(ego.speed + ego.yaw_rate + ego.steer)
        and all(np.isfinite(values).all() for values in seen)
    ):
        return "scene:not_finite"
    if not (np.isfinite(plan.states).all() and np.isfinite(plan.dt).all()):
        return "plan:not_finite"
    return ""
