"""Problems for the MPC's solver, made up: an arc of a road, and what binds ego on it."""

from dataclasses import dataclass

import numpy as np

from headway.bicycle import NUM_BICYCLE_PARAMS, BicycleParam, ModelState
from headway.cost import FAR, NUM_OBSTACLE_COLUMNS, CostConfig, StageParam
from headway.types import NUM_INPUTS
from planner.mpc.exact import Problems
from planner.mpc.problem import Limits
from planner.mpc.solver import TerminalExpansion
from planner.mpc.stages import new_stages

KINDS = ("free", "obstacle", "stop", "lead", "corridor", "brake")
DT = np.full(20, 0.2)
LIMITS = Limits(jerk_max=4.0, accel_min=-2.5)  # low, so that they bind


@dataclass
class Case:
    x0: np.ndarray
    stages: np.ndarray
    shared: np.ndarray
    terminal: TerminalExpansion
    inputs: np.ndarray


def make(kind: str, seed: int) -> Case:
    """One problem; `kind` says what surely binds, the rest is random."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    n, t = len(DT), np.concatenate([[0.0], np.cumsum(DT)])
    bend, speed = rng.uniform(-0.02, 0.02), rng.uniform(4.0, 12.0)
    start, yaw0 = rng.uniform(-100.0, 100.0, 2), rng.uniform(-3.0, 3.0)
    s = speed * t

    def place(along: np.ndarray, left: float) -> np.ndarray:
        """x, y, yaw of a place on the arc."""
        yaw = yaw0 + bend * along
        half = 0.5 * bend * along
        chord = along * np.sinc(half / np.pi)
        x = start[0] + chord * np.cos(yaw0 + half) - left * np.sin(yaw)
        y = start[1] + chord * np.sin(yaw0 + half) + left * np.cos(yaw)
        return np.column_stack([x, y, yaw])

    car = np.empty(NUM_BICYCLE_PARAMS)
    car[BicycleParam.WHEELBASE], car[BicycleParam.UNDERSTEER] = 2.9, 0.001
    car[BicycleParam.ACCEL_LAG], car[BicycleParam.STEER_LAG] = 0.15, 0.1
    shared = CostConfig().params(rng.uniform(1.0, 1.6), {}, car)

    stages = new_stages(n)
    stages[:, [StageParam.REF_X, StageParam.REF_Y, StageParam.REF_YAW]] = place(s, 0.0)
    stages[:, StageParam.REF_CURVATURE] = bend
    wish = speed + rng.uniform(-2.0, 3.0)
    stages[:, StageParam.REF_SPEED] = wish
    stages[:, StageParam.SPEED_LIMIT] = wish + rng.uniform(0.0, 2.0)
    stages[:, StageParam.RIGHT], stages[:, StageParam.LEFT] = -rng.uniform(0.5, 1.2, 2) * [1, -1]
    ahead = speed * rng.uniform(2.0, 3.5) + 4.0
    stages[:, StageParam.STOP_AHEAD] = (ahead if kind == "stop" else FAR) - s
    lead = rng.uniform(0.3, 0.8) * speed
    stages[:, StageParam.LEAD_SPEED] = lead
    gap = rng.uniform(1.2, 2.0) * speed + 4.0
    stages[:, StageParam.LEAD_AHEAD] = (gap + lead * t if kind == "lead" else FAR) - s
    if kind == "corridor":
        stages[8:16, StageParam.RIGHT] = rng.uniform(0.2, 0.6)
        stages[8:16, StageParam.LEFT] = 2.0
    stages[:, int(StageParam.RESIDUALS) : int(StageParam.OBSTACLES)] = rng.normal(0.0, 0.05, 4)
    obstacles = stages[:, int(StageParam.OBSTACLES) :].reshape(n + 1, -1, NUM_OBSTACLE_COLUMNS)
    obstacles[:] = [0.0, 0.0, 0.0, 1.0, 1.0]
    obstacles[:, :, 0] = stages[:, :1] + FAR
    if kind == "obstacle":
        for j in range(int(rng.integers(1, 4))):
            pace = rng.uniform(0.0, 0.4) * speed
            side = rng.choice([-1.0, 1.0]) * rng.uniform(1.8, 2.6)
            obstacles[:, j, :3] = place(rng.uniform(1.5, 4.0) * speed + pace * t, side)
            obstacles[:, j, 3:] = rng.uniform(4.0, 6.0), rng.uniform(2.0, 2.4)

    x0 = np.zeros(len(ModelState))
    x0[:3] = place(np.zeros(1), rng.uniform(-0.4, 0.4))[0]
    x0[ModelState.YAW] += rng.uniform(-0.06, 0.06)
    x0[ModelState.SPEED] = speed + (4.0 if kind == "brake" else 0.0)
    steer = 2.9 * bend + rng.uniform(-0.01, 0.01)
    accel = rng.uniform(-1.0, 1.0)
    x0[int(ModelState.ACCEL) :] = accel, steer, accel, steer
    hessian = rng.normal(0.0, 0.1, (len(ModelState), len(ModelState)))
    end = np.concatenate([place(s[-1:], 0.0)[0], x0[3:]])
    terminal = TerminalExpansion(
        end + rng.normal(0.0, 0.1, len(end)),
        rng.normal(0.0, 0.2, len(end)),
        hessian @ hessian.T,
    )
    return Case(x0, stages, shared, terminal, np.zeros((n, NUM_INPUTS)))


def batch(cases: list[Case], with_terminal: bool = True) -> tuple[Problems, np.ndarray]:
    """The problems together, and their warm starts."""

    def stack(name: str) -> np.ndarray:
        return np.stack([getattr(case, name) for case in cases])

    terminal = TerminalExpansion(
        *(np.stack([getattr(case.terminal, name) for case in cases])
          for name in ("point", "gradient", "hessian"))
    )  # fmt: skip
    problems = Problems(
        stack("x0"), stack("stages"), stack("shared"), terminal if with_terminal else None
    )
    return problems, stack("inputs")
