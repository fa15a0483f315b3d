"""The safety layer: has the last word, shares no code with the planner, only makes safer.

It asks one question of each agent: if ego went on with this steer for a reaction time and then
braked as hard as it can, would it still hit? Those ahead in ego's direction are taken to brake
hard themselves (Shalev-Shwartz, Shammah, Shashua 2017, definition 1: responsibility-sensitive
distance), all others to go on as they do and turn as they turn. When the answer is yes, it brakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numba import njit

from headway.frames import wrap_angle, wrap_angles
from headway.road.lane_graph import LaneGraph, StopKind
from headway.types import Array, Command, Intervention, Plan, Scene, SignalState, StateIndex
from headway.vehicle import inverse_steer, vehicle_params

NO_HIT = 1e9
TURN_S = 0.7  # [s] that a turn is taken to go on
CROSSING_S = 1.5  # [s] that those who do not go ego's way are extrapolated


@dataclass
class SafetyConfig:
    """What is hard.

    Attributes:
        reaction: [s] that ego goes on before it brakes.
        brake: [m/s^2] that ego's emergency brake is sure to reach.
        lead_brake: [m/s^2] with which a lead may brake.
        margin: [m] around ego.
        near: [s] within which the arc of the commanded steer alone decides; later contacts count
            only where the plan's own path meets them too, as a constant arc is a guess by then.
        range_m: [m] agents farther away are left out.
        lateral_accel: [m/s^2] that steering may ask for.
        steer_step: [-] change of steer_norm per second that is let through.
        red_brake: [m/s^2] at which stopping for a red light cannot wait.
        red_brake_max: [m/s^2] beyond which it is too late, and standing in the junction worse.
    """

    reaction: float = 0.15
    brake: float = 6.0
    lead_brake: float = 8.0
    margin: float = 0.1
    near: float = 0.8
    range_m: float = 80.0
    lateral_accel: float = 6.0
    steer_step: float = 8.0
    red_brake: float = 5.0
    red_brake_max: float = 8.0

    def __post_init__(self) -> None:
        for item in fields(self):
            if not getattr(self, item.name) > 0.0:
                raise ValueError(
                    f"SafetyConfig.{item.name}: expected > 0, got {getattr(self, item.name)!r}"
                )


class EmergencyBrake:
    """A `SafetyFilter`: limits, emergency brake, red lights.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: SafetyConfig | None = None) -> None:
        self.config = config or SafetyConfig()
        self.reset()

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What the last `filter` changed, and why."""
        return self._interventions

    def reset(self) -> None:
        """Forget everything."""
        self._interventions: tuple[Intervention, ...] = ()
        self._type = ""
        self._graph: LaneGraph | None = None
        self._steer_norm = float("nan")
        self._t = float("nan")

    def filter(self, command: Command, plan: Plan, scene: Scene) -> Command:
        """Return `command`, or a safer one."""
        if scene.ego.type_id != self._type:
            self._type = scene.ego.type_id
            self._params = vehicle_params(scene.ego.type_id)[None, :]
        changed: list[Intervention] = []
        steer_norm = self._limit_steer(command.steer_norm, scene, changed)
        throttle, brake = command.throttle, command.brake
        if throttle > 0.0 and brake > 0.0:
            changed.append(Intervention("limit:pedals", -throttle))
            throttle = 0.0
        alarm = self._collision(steer_norm, plan, scene) or self._red_light(scene)
        if alarm is not None and (brake < 1.0 or throttle > 0.0):
            changed.append(alarm)
            throttle, brake = 0.0, 1.0
        self._interventions = tuple(changed)
        self._steer_norm, self._t = steer_norm, scene.t
        if not changed:
            return command
        return Command(throttle, brake, steer_norm, command.hand_brake, command.reverse)

    def _limit_steer(self, steer_norm: float, scene: Scene, changed: list[Intervention]) -> float:
        """Keep lateral acceleration and steering rate within what the car can do."""
        config, speed = self.config, abs(scene.ego.speed)
        dt = scene.t - self._t
        if 0.0 < dt < 0.5:
            low, high = (self._steer_norm + sign * config.steer_step * dt for sign in (-1.0, 1.0))
            if not low <= steer_norm <= high:
                over = max(low - steer_norm, steer_norm - high)
                changed.append(Intervention("limit:steer_rate", -over))
                steer_norm = min(max(steer_norm, low), high)
        curvature = config.lateral_accel / max(speed, 1.0) ** 2
        angle = np.array([math.atan(scene.ego.wheelbase * curvature)])
        largest = float(inverse_steer(self._params, np.array([speed]), angle)[0])
        if abs(steer_norm) > largest + 1e-9:
            changed.append(Intervention("limit:lateral_accel", largest - abs(steer_norm)))
            steer_norm = math.copysign(largest, steer_norm)
        return steer_norm

    def _collision(self, steer_norm: float, plan: Plan, scene: Scene) -> Intervention | None:
        """Alarm when braking after a reaction time would be too late."""
        ego, agents, config = scene.ego, scene.agents, self.config
        if ego.speed < 0.3 or len(agents) == 0:
            return None
        full = np.array([0.1])
        scale = float(inverse_steer(self._params, np.array([ego.speed]), full)[0])
        steer = 0.1 * steer_norm / scale if scale > 1e-6 else 0.0
        duration = config.reaction + ego.speed / config.brake
        which, t = first_hit(
            ego.pose, ego.speed, math.tan(steer) / ego.wheelbase, ego.extent + config.margin,
            config.reaction, config.brake, config.lead_brake, config.near, duration,
            np.ascontiguousarray(plan.states[:, :3]),
            np.concatenate([[0.0], np.cumsum(plan.dt * _mean_speed(plan))]),
            agents.pose, agents.velocity, agents.yaw_rate, agents.extent, config.range_m,
        )  # fmt: skip
        if which < 0:
            return None
        return Intervention(f"emergency_brake:{agents.id[which]}", t - duration)

    def _red_light(self, scene: Scene) -> Intervention | None:
        """Alarm when a red line ahead can only just be stopped at."""
        ego, graph, config = scene.ego, scene.lane_graph, self.config
        if graph is not self._graph:
            self._graph = graph
            self._lines, self._line_signal = _light_lines(graph)
        if len(self._lines) == 0 or ego.speed < 0.5:
            return None
        x, y, yaw = ego.pose
        dx, dy = self._lines[:, 0] - x, self._lines[:, 1] - y
        along = dx * math.cos(yaw) + dy * math.sin(yaw) - ego.extent[0]
        across = dy * math.cos(yaw) - dx * math.sin(yaw)
        ahead = (
            (scene.signal_state[self._line_signal] == SignalState.RED)
            & (along > 0.0)
            & (along < 60.0)
            & (np.abs(across) < 1.6)
            & (np.abs(wrap_angles(self._lines[:, 2] - yaw)) < 0.6)
        )
        if not ahead.any():
            return None
        gap = float(along[ahead].min())
        signal = int(self._line_signal[ahead][np.argmin(along[ahead])])
        needed = ego.speed**2 / (2.0 * max(gap - ego.speed * config.reaction, 0.05))
        if not config.red_brake < needed < config.red_brake_max:
            return None
        return Intervention(f"red_light:{signal}", gap - ego.speed**2 / (2.0 * config.brake))


def _mean_speed(plan: Plan) -> Array:
    speed = plan.states[:, StateIndex.SPEED]
    return 0.5 * (speed[1:] + speed[:-1])


def _light_lines(graph: LaneGraph) -> tuple[Array, Array]:
    """Poses (n, 3) of the stop lines of lights, and their lights (n,)."""
    rows = np.flatnonzero(graph.stop_kind == StopKind.LIGHT)
    poses = np.zeros((len(rows), 3))
    for i, q in enumerate(rows):
        span = graph.points(int(graph.stop_lane[q]))
        s, at = graph.s[span], graph.stop_s[q]
        poses[i, 0] = np.interp(at, s, graph.xyz[span, 0])
        poses[i, 1] = np.interp(at, s, graph.xyz[span, 1])
        poses[i, 2] = graph.yaw[span][int(np.argmin(np.abs(s - at)))]
    return poses, graph.stop_signal[rows].astype(np.int64)


@njit(cache=True)
def boxes_touch(
    x0: float, y0: float, yaw0: float, l0: float, w0: float,
    x1: float, y1: float, yaw1: float, l1: float, w1: float,
) -> bool:  # fmt: skip
    """Whether two oriented boxes (centre, yaw, half length, half width) touch: separating axes."""
    dx, dy = x1 - x0, y1 - y0
    c0, s0, c1, s1 = math.cos(yaw0), math.sin(yaw0), math.cos(yaw1), math.sin(yaw1)
    c, s = abs(c0 * c1 + s0 * s1), abs(c0 * s1 - s0 * c1)
    if abs(dx * c0 + dy * s0) > l0 + l1 * c + w1 * s:
        return False
    if abs(dy * c0 - dx * s0) > w0 + l1 * s + w1 * c:
        return False
    if abs(dx * c1 + dy * s1) > l1 + l0 * c + w0 * s:
        return False
    return abs(dy * c1 - dx * s1) <= w1 + l0 * s + w0 * c


@njit(cache=True)
def travelled(t: float, speed: float, hold: float, brake: float) -> float:
    """Way [m] made in `t` [s] by who holds `speed` [m/s] for `hold` [s] and then brakes to rest."""
    if t <= hold:
        return speed * t
    braking = min(t - hold, speed / brake)
    return speed * hold + speed * braking - 0.5 * brake * braking * braking


@njit(cache=True)
def first_hit(
    ego: Array,
    speed: float,
    curvature: float,
    extent: Array,
    reaction: float,
    brake: float,
    lead_brake: float,
    near: float,
    duration: float,
    path: Array,
    path_s: Array,
    pose: Array,
    velocity: Array,
    yaw_rate: Array,
    other_extent: Array,
    range_m: float,
) -> tuple[int, float]:
    """Find the first agent that ego hits although it brakes after its reaction time.

    Args:
        ego: (3,) pose, map frame.
        speed: [m/s].
        curvature: [1/m] of the arc that the commanded steer makes.
        extent: (2,) half sizes of ego with margin [m].
        reaction: [s].
        brake: [m/s^2] of ego.
        lead_brake: [m/s^2] of leads.
        near: [s] see `SafetyConfig`.
        duration: [s] until ego stands.
        path: (N+1, 3) of the plan, path_s (N+1,) [m] along it.
        path_s: see `path`.
        pose: (A, 3), velocity (A, 2), yaw_rate (A,), other_extent (A, 2) of the agents.
        velocity: see `pose`.
        yaw_rate: see `pose`.
        other_extent: see `pose`.
        range_m: [m].

    Returns:
        Row of the agent, -1 for none, and the time [s].
    """
    best, best_t = -1, NO_HIT
    for a in range(len(pose)):
        dx, dy = pose[a, 0] - ego[0], pose[a, 1] - ego[1]
        other_speed = math.hypot(velocity[a, 0], velocity[a, 1])
        reach = (speed + other_speed) * duration + other_extent[a, 0] + extent[0] + 2.0
        if dx * dx + dy * dy > min(range_m, reach) ** 2:
            continue
        ahead = dx * math.cos(ego[2]) + dy * math.sin(ego[2])
        if ahead < 0.0:
            continue  # who comes from behind is not helped by a brake
        course = math.atan2(velocity[a, 1], velocity[a, 0]) if other_speed > 0.1 else pose[a, 2]
        lead = abs(wrap_angle(course - ego[2])) < 0.8 and ahead > extent[0]
        t = 0.0
        believed = duration if lead or other_speed < 1.0 else min(duration, CROSSING_S)
        while t <= believed and t < best_t:
            way = travelled(t, speed, reaction, brake)
            other_way = travelled(t, other_speed, 0.0, lead_brake) if lead else other_speed * t
            # Nobody turns on for long: who comes out of a turn is straight within a second.
            turn = yaw_rate[a] * min(t, TURN_S) if other_speed > 0.5 else 0.0
            mean = course + 0.5 * turn
            x1 = pose[a, 0] + other_way * math.cos(mean)
            y1 = pose[a, 1] + other_way * math.sin(mean)
            yaw1 = pose[a, 2] + turn
            bend = curvature * way
            x0 = ego[0] + way * math.cos(ego[2] + 0.5 * bend)
            y0 = ego[1] + way * math.sin(ego[2] + 0.5 * bend)
            if boxes_touch(
                x0, y0, ego[2] + bend, extent[0], extent[1],
                x1, y1, yaw1, other_extent[a, 0], other_extent[a, 1],
            ):  # fmt: skip
                p = np.searchsorted(path_s, way)
                p = min(max(p, 1), len(path_s) - 1)
                span = max(path_s[p] - path_s[p - 1], 1e-6)
                f = min(max((way - path_s[p - 1]) / span, 0.0), 1.0)
                if t <= near or boxes_touch(
                    path[p - 1, 0] + f * (path[p, 0] - path[p - 1, 0]),
                    path[p - 1, 1] + f * (path[p, 1] - path[p - 1, 1]),
                    path[p, 2], extent[0], extent[1],
                    x1, y1, yaw1, other_extent[a, 0], other_extent[a, 1],
                ):  # fmt: skip
                    best, best_t = a, t
                    break
            t += 0.05
    return best, best_t
