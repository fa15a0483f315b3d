"""The tracker: a plan becomes throttle, brake and steer, with the car's delays looked ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from headway.types import Array, Command, Plan, Scene, StateIndex
from headway.vehicle import (
    LAUNCH_THROTTLE,
    VehicleParam,
    inverse_accel,
    inverse_steer,
    launch_delay,
    vehicle_params,
)

SHIFT_SLACK = 0.3  # [s] beyond its nominal time that a shift may take
SHIFT_LATENCY = 2.0  # [s] at least between the beginnings of two shifts, PhysX's default


@dataclass
class TrackerConfig:
    """Delays to look past, and how fast errors of the inverse map are learnt.

    Attributes:
        tick: [s] between the observation and the tick that its command acts in.
        drive_lag: [s] of engine and brakes.
        launch_look: [s] beyond the launch delay when pulling away.
        accel_gain: [1/s] integral on acceleration: slope, mass, an inverse map that is off.
        accel_limit: [m/s^2] that it may add.
        steer_gain: [1/s] integral on curvature: understeer.
        steer_limit: [rad] that it may add.
        steer_from: [m/s] below which curvature is not measured.
        hold_speed: [m/s] below which a plan that stands is held with the brake.
        hold_brake: [0, 1] to hold with.
        shift_throttle: [0, 1] at most while the gearbox shifts.
        rest_speed: [m/s] below which a car that pulls away has not moved yet.
        launch_throttle: [0, 1] until then: enough for its engine to rev up soon, and no more, which
            would come all at once when the clutch closes.
    """

    tick: float = 0.05
    drive_lag: float = 0.1
    launch_look: float = 0.3
    accel_gain: float = 0.5
    accel_limit: float = 1.0
    steer_gain: float = 0.3
    steer_limit: float = 0.05
    steer_from: float = 3.0
    hold_speed: float = 0.3
    hold_brake: float = 0.5
    shift_throttle: float = 0.2
    rest_speed: float = 0.05
    launch_throttle: float = LAUNCH_THROTTLE

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0.0:
                raise ValueError(f"TrackerConfig.{name}: expected >= 0, got {value!r}")


class PlanTracker:
    """A `Tracker` by the inverse vehicle map: feed-forward from the plan, a small integral on top.

    Feedback on position comes with each new plan, which begins where the car is; what is left here
    is what the plan does not know, delays and errors of the map.

    Args:
        config: defaults when None.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self.reset()

    def reset(self) -> None:
        """Forget what was learnt."""
        self._type = ""
        self._accel_bias = self._steer_bias = 0.0
        self._wanted_accel: list[float] = []
        self._wanted_curvature: list[float] = []
        self._throttle = self._steer_norm = 0.0
        self._shift_began = self._lifted = float("nan")
        self._t = float("nan")

    def track(self, plan: Plan, scene: Scene) -> Command:
        """Return the command that follows `plan`; the full brake for one that is no number."""
        config, ego = self.config, scene.ego
        if not (np.isfinite(plan.states).all() and np.isfinite(plan.dt).all()):
            return Command(brake=1.0, steer_norm=self._steer_norm)
        if ego.type_id != self._type:
            self._type = ego.type_id
            self._params = vehicle_params(ego.type_id)[None, :]
            self._shift_s = float(self._params[0, VehicleParam.SHIFT_TIME]) + SHIFT_SLACK
            self._steer_lag = float(self._params[0, VehicleParam.STEER_LAG])
            self._launch = float(launch_delay(self._params, self.config.launch_throttle)[0])
        t = np.concatenate([[0.0], np.cumsum(plan.dt)])
        self._learn(scene)
        self._steer_norm = steer_norm = self._steer(plan, scene, t)
        if _stands(plan, t, ego.speed, config):
            self._accel_bias *= 0.9
            self._wanted_accel.clear()
            self._throttle = 0.0
            return Command(0.0, config.hold_brake, steer_norm)
        look = config.tick + config.drive_lag
        launch = look + self._launch + config.launch_look
        accels = plan.states[:, StateIndex.ACCEL]
        accel = float(np.interp(look, t, accels))
        pulls_away = (
            abs(ego.speed) < 0.5 and np.interp(launch, t, plan.states[:, StateIndex.SPEED]) > 0.8
        )
        if pulls_away:
            # Nothing moves before the launch delay is over, so ask for it now. A short hop, which
            # brakes again by then, is begun as it begins, else the car would never leave.
            look, accel = launch, max(accel, float(np.interp(launch, t, accels)))
        self._push(self._wanted_accel, accel, look)
        # The front axle's angle drags on the car: the inverse map is for straight driving.
        wanted = np.array([accel + self._accel_bias])
        throttle, brake = inverse_accel(self._params, np.array([ego.speed]), wanted)
        acting = self._wanted_accel[0] + self._accel_bias
        self._throttle = min(float(throttle[0]), self._most_throttle(ego.speed, ego.accel, acting))
        if pulls_away and abs(ego.speed) < config.rest_speed:
            self._throttle = config.launch_throttle
        return Command(self._throttle, float(brake[0]), steer_norm)

    def _most_throttle(self, speed: float, accel: float, wanted: float) -> float:
        """Throttle at most, given that `wanted` [m/s^2] should act by now and `accel` is measured.

        Between two gears the throttle drives nothing; what is asked for meanwhile comes all at
        once when the clutch closes.
        """
        config, rolls = self.config, speed > 2.0 and -0.4 < accel < 0.1
        if self._throttle <= config.shift_throttle:
            self._lifted = self._t
        # What was pressed just now has not acted yet: that it does nothing yet is no shift.
        acts = self._t - self._lifted > config.tick + config.drive_lag
        since = self._t - self._shift_began
        if rolls and acts and accel < wanted - 0.6 and not since < SHIFT_LATENCY:
            self._shift_began = self._t
        # What rolls for longer than a shift takes is no shift: at low throttle it would for ever.
        shifting = rolls and self._t - self._shift_began < self._shift_s
        if self._throttle > 0.0 and wanted < -0.3 and accel > wanted + 0.6:
            return 0.0
        return config.shift_throttle if shifting else 1.0

    def _steer(self, plan: Plan, scene: Scene, t: Array) -> float:
        config, ego = self.config, scene.ego
        look = config.tick + self._steer_lag
        angle = float(np.interp(look, t, plan.states[:, StateIndex.STEER]))
        # What the kinematic car would do with that angle: tan(steer) = L kappa / cos(slip).
        slip = math.atan(0.5 * math.tan(angle))
        self._push(self._wanted_curvature, math.sin(slip) / (0.5 * ego.wheelbase), look)
        wanted = np.array([angle + self._steer_bias])
        return float(inverse_steer(self._params, np.array([ego.speed]), wanted)[0])

    def _learn(self, scene: Scene) -> None:
        """Integrate what was wanted, a delay ago, less what came of it."""
        config, ego = self.config, scene.ego
        dt = scene.t - self._t
        self._t = scene.t
        if not 0.0 < dt < 0.5:
            return
        moving = ego.speed > 1.0
        if moving and self._wanted_accel:
            error = self._wanted_accel[0] - ego.accel
            if abs(error) < 0.8:  # a gear shift or a crash is nothing to learn from
                bias = self._accel_bias + config.accel_gain * dt * error
                self._accel_bias = min(max(bias, -config.accel_limit), config.accel_limit)
        if ego.speed > config.steer_from and self._wanted_curvature:
            measured = ego.yaw_rate / ego.speed
            error = ego.wheelbase * (self._wanted_curvature[0] - measured)
            # Only a steady turn tells understeer from delay.
            if abs(self._wanted_curvature[-1] - self._wanted_curvature[0]) > 0.004:
                error = 0.0
            bias = self._steer_bias + config.steer_gain * dt * error
            self._steer_bias = min(max(bias, -config.steer_limit), config.steer_limit)
        elif ego.speed <= config.steer_from:
            self._steer_bias *= 0.98

    def _push(self, queue: list[float], value: float, delay: float) -> None:
        """Keep `value` until it has acted; the head of the queue is what acts now."""
        queue.append(value)
        keep = max(1, round(delay / self.config.tick))
        del queue[:-keep]


def _stands(plan: Plan, t: Array, speed: float, config: TrackerConfig) -> bool:
    """Whether the car is to be held: slow, and the plan does not move off soon."""
    if abs(speed) > config.hold_speed:
        return False
    soon = plan.states[t <= 0.8, StateIndex.SPEED]
    return bool(soon[-1] < 0.15) and float(plan.states[1, StateIndex.ACCEL]) <= 0.3
