"""Trace: why the car did what it did, one compact record a tick; loads without carla.

On disk it is two files beside each other: `NAME.npz` with all numbers (ragged rows in CSR form) and
`NAME.json` with all words. What plots, the top-down video, the Rerun log, `profile` and answers
need is here, and nothing else is asked for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headway.road.route import Route
from headway.types import (
    Array,
    Command,
    Forecast,
    Goal,
    Intervention,
    Observation,
    Plan,
    Proposals,
    Scene,
)

FORMAT = 1  # raise it when records change
ROUTE_FIELDS = ("xyz", "s", "yaw", "curvature", "lane", "lane_s", "speed_limit")
# Columns of `TickRecord.ego`.
EGO_COLUMNS = ("x", "y", "yaw", "z", "vx", "vy", "speed", "accel", "lateral_accel", "yaw_rate",
               "steer")  # fmt: skip
# Columns of `TickRecord.agents`.
AGENT_COLUMNS = ("x", "y", "yaw", "z", "vx", "vy", "half_length", "half_width")


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One tick of the driver.

    Attributes:
        frame: the server's.
        t: [s].
        ego: (11,) see `EGO_COLUMNS`, map frame, SI.
        command: (5,) throttle, brake, steer_norm, hand brake, reverse; nan where the driver left
            them to the server's autopilot.
        agent_id: (A,) int64.
        agent_kind: (A,) int8 `AgentKind`.
        agents: (A, 8) see `AGENT_COLUMNS`, map frame, SI.
        signal_state: (S,) int8 `SignalState`.
        proposals: (P, T+1, NUM_STATES).
        proposals_dt: [s].
        proposal_names: (P,).
        proposal_reasons: (P,) or empty.
        forecast: (A, T, 2) x, y [m] of the most probable mode under the chosen proposal,
            relative to where each agent is now.
        forecast_std: (A, T) [m] root of the larger eigenvalue of its covariance.
        uncertainty: epistemic, the chosen proposal's mean.
        plan: (N+1, NUM_STATES).
        plan_dt: (N,) [s].
        plan_name: of the chosen proposal.
        plan_status: `ok`, or what went wrong.
        cost: terms of the plan's cost by name.
        active: constraints that bind, e.g. `lead:17`.
        required_decel: [m/s^2] the hardest braking that `active` asks for.
        solver: (3,) iterations, residual, seconds (nan where there is no solver).
        maneuver: of the goal.
        goal: (4,) speed cap [m/s], stop s [m], time gap [s], referent id; nan for none.
        interventions: of the safety layer.
        stage_s: [s] by stage, in the order they ran; `act` is the whole.
    """

    frame: int
    t: float
    ego: Array
    command: Array
    agent_id: Array
    agent_kind: Array
    agents: Array
    signal_state: Array
    proposals: Array
    proposals_dt: float
    proposal_names: tuple[str, ...]
    proposal_reasons: tuple[str, ...]
    forecast: Array
    forecast_std: Array
    uncertainty: float
    plan: Array
    plan_dt: Array
    plan_name: str
    plan_status: str
    cost: Mapping[str, float]
    active: tuple[str, ...]
    required_decel: float
    solver: Array
    maneuver: str
    goal: Array
    interventions: tuple[Intervention, ...]
    stage_s: Mapping[str, float]

    @property
    def ego_pose(self) -> Array:
        """(3,) x, y [m], yaw [rad]."""
        return self.ego[:3]

    @property
    def ego_speed(self) -> float:
        """[m/s] along the car's own axis."""
        return float(self.ego[6])


# Per record: fields that are numbers, rows of fixed width, and ragged rows (in CSR form on disk).
SCALARS = ("frame", "t", "proposals_dt", "uncertainty", "required_decel")
FIXED = ("ego", "command", "solver", "goal")
RAGGED = {
    "agent_id": np.int64, "agent_kind": np.int8, "agents": np.float32, "signal_state": np.int8,
    "proposals": np.float32, "forecast": np.float16, "forecast_std": np.float16,
    "plan": np.float32, "plan_dt": np.float32,
}  # fmt: skip
WORDS = ("proposal_names", "proposal_reasons", "plan_name", "plan_status", "active", "maneuver")


@dataclass
class Trace:
    """What the driver saw, believed, wanted and did.

    Attributes:
        records: one a tick.
        header: what does not change: town, ego's id, type, extent and wheelbase, signal ids.
        route: that the episode asked for, None before the first tick.
        agent_type: blueprint ids by actor id.
    """

    records: list[TickRecord] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)
    route: Route | None = None
    agent_type: dict[int, str] = field(default_factory=dict)
    _last_ids: Array = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)

    def __len__(self) -> int:
        return len(self.records)

    def clear(self) -> None:
        """Forget all."""
        self.__init__()

    def record(
        self,
        observation: Observation,
        scene: Scene,
        goal: Goal,
        proposals: Proposals,
        forecast: Forecast,
        plan: Plan,
        command: Command | None,
        interventions: tuple[Intervention, ...],
        stage_s: Mapping[str, float],
    ) -> None:
        """Append one tick; `stage_s` is kept by reference, so later stages may still add to it."""
        if self.route is None:
            self._open(scene)
        self._name_agents(observation)
        agents = scene.agents
        chosen = proposals.names.index(plan.name) if plan.name in proposals.names else 0
        mean, std, uncertainty = _forecast_of(forecast, chosen)
        now = agents.pose[:, None, :2]
        self.records.append(
            TickRecord(
                frame=scene.frame,
                t=scene.t,
                ego=_ego_row(scene),
                command=_command_row(command),
                agent_id=agents.id,
                agent_kind=agents.kind,
                agents=np.column_stack([agents.pose, agents.z, agents.velocity, agents.extent]),
                signal_state=scene.signal_state,
                proposals=proposals.states,
                proposals_dt=proposals.dt,
                proposal_names=proposals.names,
                proposal_reasons=proposals.reason,
                forecast=(mean - now).astype(np.float16),
                forecast_std=std.astype(np.float16),
                uncertainty=uncertainty,
                plan=plan.states,
                plan_dt=plan.dt,
                plan_name=plan.name,
                plan_status=plan.status,
                cost=plan.cost,
                active=plan.active,
                required_decel=plan.required_decel,
                solver=np.array([plan.iterations, plan.residual, plan.solve_s]),
                maneuver=goal.maneuver,
                goal=_goal_row(goal),
                interventions=interventions,
                stage_s=stage_s,
            )
        )

    def column(self, name: str) -> Array:
        """(n,) of an ego column (`EGO_COLUMNS`), `t`, `frame`, `throttle`, `brake`, `steer_norm`,
        `required_decel` or `uncertainty`.

        Raises:
            ValueError: there is no such column.
        """
        commands = ("throttle", "brake", "steer_norm")
        if name in EGO_COLUMNS:
            i = EGO_COLUMNS.index(name)
            return np.array([r.ego[i] for r in self.records])
        if name in commands:
            i = commands.index(name)
            return np.array([r.command[i] for r in self.records])
        if name in SCALARS:
            return np.array([getattr(r, name) for r in self.records])
        raise ValueError(
            f"Trace.column: {name!r} is none of {', '.join((*EGO_COLUMNS, *commands, *SCALARS))}"
        )

    def stage_ms(self) -> dict[str, Array]:
        """(n,) [ms] by stage, nan in ticks where a stage did not run."""
        names = dict.fromkeys(name for r in self.records for name in r.stage_s)
        return {
            name: 1e3 * np.array([r.stage_s.get(name, np.nan) for r in self.records])
            for name in names
        }

    def stage_summary(self, skip: int = 0) -> dict[str, dict[str, float]]:
        """Median and 99th percentile [ms] by stage, without the first `skip` ticks.

        A plan that came from a solver adds the stage `solve`.
        """
        stages = self.stage_ms()
        solve = 1e3 * np.array([r.solver[2] for r in self.records])
        if np.isfinite(solve).any():
            stages["solve"] = solve
        summary = {}
        for name, ms in stages.items():
            counted = ms[skip:][np.isfinite(ms[skip:])]
            if len(counted):
                median, p99 = np.percentile(counted, [50.0, 99.0])
                summary[name] = {"median_ms": float(median), "p99_ms": float(p99)}
        return summary

    def intervention_share(self) -> float:
        """Share of ticks in which the safety layer changed the command."""
        return sum(bool(r.interventions) for r in self.records) / max(1, len(self.records))

    def save(self, path: Path | str) -> Path:
        """Write `path` with the endings .npz and .json; return the former."""
        npz, words = _paths(path)
        arrays: dict[str, Array] = {"format": np.array(FORMAT)}
        for name in SCALARS:
            arrays[name] = np.array([getattr(r, name) for r in self.records])
        for name in FIXED:
            rows = [getattr(r, name) for r in self.records]
            arrays[name] = np.array(rows, dtype=np.float64)
        for name, dtype in RAGGED.items():
            rows = [np.asarray(getattr(r, name), dtype=dtype) for r in self.records]
            arrays[f"{name}_shape"] = np.array([a.shape for a in rows], dtype=np.int32)
            arrays[name] = np.concatenate([a.ravel() for a in rows]) if rows else np.zeros(0)
        if self.route is not None:
            for name in ROUTE_FIELDS:
                arrays[f"route_{name}"] = getattr(self.route, name)
        for name, ms in self.stage_ms().items():
            arrays[f"stage_{name}"] = ms / 1e3
        npz.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(npz, **arrays)  # pyright: ignore[reportArgumentType]
        words.write_text(json.dumps(self._words(), separators=(",", ":")))
        return npz

    def _words(self) -> dict[str, Any]:
        """What the .json holds; equal entries are written once and numbered."""
        table: dict[str, int] = {}
        ticks = []
        for r in self.records:
            entry = {name: getattr(r, name) for name in WORDS}
            entry["cost"] = {k: float(v) for k, v in r.cost.items()}
            entry["interventions"] = [[i.reason, float(i.margin)] for i in r.interventions]
            ticks.append(table.setdefault(json.dumps(entry), len(table)))
        return {
            "format": FORMAT,
            "header": self.header,
            "agent_type": self.agent_type,
            "entries": [json.loads(entry) for entry in table],
            "ticks": ticks,
        }

    @staticmethod
    def load(path: Path | str) -> Trace:
        """Read what `save` wrote.

        Raises:
            ValueError: the file was written by another version of headway.
        """
        npz, words_path = _paths(path)
        words = json.loads(words_path.read_text())
        with np.load(npz) as data:
            arrays = dict(data)
        if int(arrays["format"]) != FORMAT:
            raise ValueError(f"{npz}: trace format {int(arrays['format'])}, expected {FORMAT}")
        route = None
        if "route_s" in arrays:
            columns = {name: arrays[f"route_{name}"] for name in ROUTE_FIELDS}
            route = Route(town=words["header"].get("town", ""), **columns)
        types = {int(i): name for i, name in words["agent_type"].items()}
        return Trace(_records(arrays, words), words["header"], route, types)

    def _open(self, scene: Scene) -> None:
        """Keep what does not change."""
        self.route = scene.route
        ego = scene.ego
        self.header = {
            "town": scene.lane_graph.name,
            "ego_id": ego.id,
            "ego_type": ego.type_id,
            "ego_extent": [float(v) for v in ego.extent],
            "wheelbase": float(ego.wheelbase),
            "signal_id": [str(i) for i in scene.lane_graph.signal_id],
        }

    def _name_agents(self, observation: Observation) -> None:
        """Keep the blueprint ids of agents; looks only when the set changed."""
        actors = observation.actors
        if actors is not None and not np.array_equal(actors.id, self._last_ids):
            self.agent_type.update(zip(actors.id.tolist(), actors.type_id, strict=True))
            self._last_ids = actors.id


def _ego_row(scene: Scene) -> Array:
    ego = scene.ego
    return np.array([*ego.pose, ego.z, *ego.velocity, ego.speed, ego.accel, ego.lateral_accel,
                     ego.yaw_rate, ego.steer])  # fmt: skip


def _command_row(command: Command | None) -> Array:
    c = command
    if c is None:
        return np.full(5, np.nan)
    return np.array([c.throttle, c.brake, c.steer_norm, c.hand_brake, c.reverse])


def _goal_row(goal: Goal) -> Array:
    stop_s = np.nan if goal.stop_s is None else goal.stop_s
    referent = np.nan if goal.referent_id is None else goal.referent_id
    return np.array([goal.speed_cap, stop_s, goal.time_gap, referent])


def _forecast_of(forecast: Forecast, chosen: int) -> tuple[Array, Array, float]:
    """Most probable mode's x, y (A, T, 2), its std (A, T) [m] and the uncertainty."""
    if len(forecast.probability) == 0:
        empty = np.zeros((len(forecast.agent_id), 0, 2))
        return empty, empty[..., 0], 0.0
    mean, p = forecast.likeliest(chosen)
    # Larger eigenvalue of a symmetric 2 x 2 matrix, in closed form.
    half_trace = 0.5 * (p[..., 0, 0] + p[..., 1, 1])
    half_gap = 0.5 * (p[..., 0, 0] - p[..., 1, 1])
    std = np.sqrt(half_trace + np.hypot(half_gap, p[..., 0, 1]))
    return (
        mean[..., :2],
        std,
        float(forecast.uncertainty[chosen].mean()) if forecast.uncertainty.shape[1] else 0.0,
    )


def _paths(path: Path | str) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix not in {".npz", ".json"}:
        path = path.with_name(path.name + ".npz")
    return path.with_suffix(".npz"), path.with_suffix(".json")


def _records(arrays: dict[str, Array], words: dict[str, Any]) -> list[TickRecord]:
    """Rebuild the records from what was saved."""
    num = len(words["ticks"])
    offset = dict.fromkeys(RAGGED, 0)
    stages = {k.removeprefix("stage_"): v for k, v in arrays.items() if k.startswith("stage_")}
    records = []
    for i in range(num):
        entry = words["entries"][words["ticks"][i]]
        values: dict[str, Any] = {name: tuple(entry[name]) if isinstance(entry[name], list)
                                  else entry[name] for name in WORDS}  # fmt: skip
        for name in SCALARS:
            values[name] = arrays[name][i].item()
        for name in FIXED:
            values[name] = arrays[name][i]
        for name in RAGGED:
            shape = tuple(int(n) for n in arrays[f"{name}_shape"][i])
            start, size = offset[name], int(np.prod(shape))
            values[name] = arrays[name][start : start + size].reshape(shape)
            offset[name] = start + size
        values["cost"] = entry["cost"]
        values["interventions"] = tuple(Intervention(*pair) for pair in entry["interventions"])
        values["stage_s"] = {k: float(v[i]) for k, v in stages.items() if np.isfinite(v[i])}
        records.append(TickRecord(**values))
    return records
