"""`headway bench`: planners over the routes of a suite, by worker processes with a server each.

A row of figures comes of each (planner, route, seed) and is appended to `rows.jsonl` at once, so an
interrupted bench goes on where it stopped. A worker that dies costs its route a second try, never
the run.
"""

from __future__ import annotations

import atexit
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from carla_bridge.headless.towns import available_towns
from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, Traffic
from headway.driver import Driver
from headway.road.routing import route_through
from scenarios.cast import Cast
from scenarios.comfort import comfort
from scenarios.config import DriveConfig
from scenarios.criteria import Pace
from scenarios.drive import git_hash
from scenarios.episode import Episode, run_episode
from scenarios.families import PLAYS
from scenarios.metric_info import write_metric_info
from scenarios.openscenario.play import STORY_OVER, play_story, story_figures
from scenarios.openscenario.world import StoryStage
from scenarios.parquet import write_parquet
from scenarios.results import save_name, write_results
from scenarios.scores import Outcome, ScoreVersion, driving_score, succeeded
from scenarios.stage import Stage
from scenarios.suites.leaderboard import read_routes
from scenarios.suites.openscenario import read_stories
from scenarios.suites.openscenario_spec import Drivable, StorySpec
from scenarios.suites.own import OWN_SUITES
from scenarios.suites.spec import RouteSpec, Suite, SuiteError
from scenarios.summary import Summary, summary

ROWS, ABOUT = "rows.jsonl", "bench.json"
ENDINGS = {
    "completed": "Completed", "off_route": "Failed - Agent deviated from the route",
    "blocked": "Failed - Agent got blocked", "time_limit": "Failed - Agent timed out",
    STORY_OVER: "Completed",
}  # fmt: skip

# When a route ends (docs/upstream_formats.md, section 2). Leaderboard 2 gives 300 s and, for each
# metre, the time at a tenth of the limit: here that of 50 km/h.
LEADERBOARD_2 = ("episode.time_limit_base_s=300", "episode.time_limit_s_per_m=0.72")
LIMITS = {
    ScoreVersion.LEADERBOARD_1_0: ("episode.time_limit_base_s=5", "episode.time_limit_s_per_m=0.8"),
    ScoreVersion.LEADERBOARD_2_0: LEADERBOARD_2,
    ScoreVersion.LEADERBOARD_2_1: LEADERBOARD_2,
    ScoreVersion.BENCH2DRIVE: ("episode.time_limit_s=200", "episode.blocked_s=60"),
}  # fmt: skip

Row = dict[str, Any]


@dataclass
class BenchConfig:
    """What is compared, and how; drives themselves are configured as those of `headway drive`.

    Attributes:
        suite: file of routes, an OpenSCENARIO file (`.xosc`) or a folder of those.
        planners: names of planners.
        seeds: traffic seeds of each route, from 1 on.
        workers: processes, with a server each; the rows do not depend on their number.
        score: `1.0`, `2.0`, `2.1` or `bench2drive`.
        folder: for rows and results; empty: `outputs/bench-SUITE`. One that has rows is resumed.
        keep_traces: the whole Trace of each drive, for `headway replay`: some megabytes a minute.
    """

    suite: str = ""
    planners: list[str] = field(default_factory=lambda: ["mpc"])
    seeds: int = 1
    workers: int = 1
    score: str = ScoreVersion.LEADERBOARD_2_1.value
    folder: str = ""
    keep_traces: bool = False

    def __post_init__(self) -> None:
        if not self.suite:
            raise ValueError("BenchConfig.suite: expected a file of routes, got none")
        versions = [version.value for version in ScoreVersion]
        if self.score not in versions:
            raise ValueError(
                f"BenchConfig.score: expected one of {', '.join(versions)}, got {self.score!r}"
            )
        for name in ("seeds", "workers"):
            if getattr(self, name) < 1:
                got = getattr(self, name)
                raise ValueError(f"BenchConfig.{name}: expected 1 or more, got {got}")

    @property
    def path(self) -> Path:
        """The folder of the rows."""
        return Path(self.folder) if self.folder else Path("outputs") / f"bench-{self.name}"

    @property
    def name(self) -> str:
        """Of the suite."""
        return Path(self.suite).stem


@dataclass(frozen=True, order=True)
class Job:
    """One drive. Sorted by town, so that a worker seldom changes its server's.

    Attributes:
        town: of the route.
        route: its id.
        seed: of the traffic.
        planner: name.
    """

    town: str
    route: str
    seed: int
    planner: str

    @property
    def key(self) -> str:
        """What its row is known by."""
        return f"{self.planner} {self.route} {self.seed}"

    @property
    def folder(self) -> str:
        """Where, in the bench's folder, its drive is kept."""
        return f"drives/{self.planner}/{self.route}-{self.seed}"

    @property
    def run(self) -> str:
        """Name of the drives of its planner with its seed, which have a results file."""
        return f"{self.planner}-{self.seed}"


def make_bench(overrides: Sequence[str]) -> tuple[BenchConfig, list[str]]:
    """Split the command line into what the bench is told and what its drives are.

    The score's rules say when a route ends, unless the command line does. An OpenSCENARIO file says
    who is on the road: no background traffic unless the command line wants some.

    Raises:
        ValueError: a value is not allowed.
    """
    ours = {entry.name for entry in fields(BenchConfig)}
    mine = [item for item in overrides if item.partition("=")[0] in ours]
    try:
        given = OmegaConf.from_dotlist(mine)
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(BenchConfig), given))
    except OmegaConfBaseException as error:
        raise ValueError(f"{' '.join(mine)}: {str(error).splitlines()[0]}") from error
    rest = [item for item in overrides if item not in mine]
    assert isinstance(config, BenchConfig)
    if _has_stories(config.suite) and not any(item.startswith("traffic=") for item in rest):
        rest = ["traffic=none", *rest]
    return config, [*LIMITS[ScoreVersion(config.score)], *rest]


def jobs_of(config: BenchConfig) -> tuple[Suite, list[Job]]:
    """Read the suite and list its drives; a route that cannot be driven here is an error."""
    suite, towns = suite_in(config.suite), set(available_towns())
    errors = {route.id: error for route in suite.routes if (error := _unfit(route, towns))}
    fit = [route for route in suite.routes if route.id not in errors]
    jobs = [
        Job(route.town, route.id, seed, planner)
        for route in fit for seed in range(1, config.seeds + 1) for planner in config.planners
    ]  # fmt: skip
    return replace(suite, routes=tuple(fit), errors=(*suite.errors, *errors.values())), sorted(jobs)


def _unfit(route: Drivable, towns: set[str]) -> SuiteError | None:
    """Why a route cannot be driven here."""
    if route.town not in towns:
        return SuiteError(
            route.source,
            f"the town {route.town!r} is not installed: `headway towns import PATH` brings it",
        )
    for scenario in route.scenarios:
        if scenario.type not in PLAYS:
            ours = ", ".join(sorted(PLAYS))
            return SuiteError(
                scenario.source, f"scenarios of type {scenario.type!r} are not ours yet, but {ours}"
            )
    return None


@cache
def suite_in(path: str) -> Suite:
    """Return the suite of a file, a folder or a name of ours, which is read once."""
    if _has_stories(path):
        return read_stories(Path(path))
    return read_routes(OWN_SUITES.get(path, Path(path)))


def _has_stories(path: str) -> bool:
    """Whether a suite consists of OpenSCENARIO files."""
    return path not in OWN_SUITES and (path.endswith(".xosc") or Path(path).is_dir())


def spec_of(suite: str, route: str) -> Drivable:
    """Return a route of a suite's file."""
    return next(spec for spec in suite_in(suite).routes if spec.id == route)


def session_in(town: str) -> Session:
    """Return this process's session, in `town`; a server of its own is started once a town."""
    for other, session in list(_sessions.items()):
        if other != town:
            session.close()
            del _sessions[other]
    if town not in _sessions:
        _sessions[town] = Session(town=town)
        atexit.register(_sessions[town].close)
    return _sessions[town]


_sessions: dict[str, Session] = {}


def play_route(
    spec: Drivable, session: Session, driver: Driver, config: DriveConfig,
    background: Traffic, seed: int,
) -> tuple[Episode, Stage]:  # fmt: skip
    """Drive one route of a suite among its scenarios.

    Args:
        spec: the route; its town is the session's.
        session: with the server.
        driver: who.
        config: what ego is and when the episode ends.
        background: who else is on the road.
        seed: of the scenarios' choices.

    Raises:
        ValueError: the town has no way through its keypoints, or a scenario cannot be played.
    """
    if isinstance(spec, StorySpec):
        return play_story(spec, session, driver, config, background, seed)
    route = route_through(session.lane_graph, spec.keypoints[:, :2])
    stage = Stage(session, route, seed)
    cast = Cast(stage, PLAYS, spec.scenarios, background)
    cast.script.start("weather", follow_weather(stage, spec))
    simulator = CarlaSimulator(session, config.simulator, lambda session, seed: cast)
    try:
        episode = run_episode(
            simulator, driver, route, seed, config.episode, leniency=lambda: stage.leniency
        )
    finally:
        cast.script.close()
        simulator.close()
    if cast.script.failures:
        reasons = (f"{name}: {error}" for name, error in cast.script.failures.items())
        raise ValueError("; ".join(reasons))
    return episode, stage


async def follow_weather(stage: Stage, spec: RouteSpec) -> None:
    """Set the weather along the way, once a second where it changes."""
    stage.set_weather(spec.weather_at(0.0))
    while len(spec.weathers) > 1:
        await stage.seconds(1.0)
        stage.set_weather(spec.weather_at(stage.ego_s / stage.route.length))


def row_of(spec: Drivable, episode: Episode, stage: Stage, score: str) -> Row:
    """Return the figures of one drive."""
    version, criteria = ScoreVersion(score), episode.criteria
    outcome, route = outcome_of(episode, stage, version), stage.route
    efficiency = criteria.pace.efficiency
    assert stage.ego is not None
    row = {
        "score": score,
        "scenarios": [scenario.type for scenario in spec.scenarios],
        "status": ENDINGS[episode.ending],
        "driving_score": round(driving_score(outcome, version), 4),
        "success": succeeded(outcome),
        "outcome": asdict(outcome),
        "off_lane_m": round(criteria.off_lane.metres, 3),
        "past_junction": _past_junction(outcome.completion, stage),
        "comfort": round(comfort(episode.trace), 4),
        "efficiency": None if math.isnan(efficiency) else round(efficiency, 4),
        "infractions": [asdict(event) for event in criteria.infractions],
        "length": round(float(np.linalg.norm(np.diff(route.xyz, axis=0), axis=1).sum()), 3),
        "end": [round(float(v), 3) for v in (*stage.ego.pose[:2], stage.ego.z)],
        "sim_s": round(episode.sim_s, 3),
        "wall_s": round(episode.wall_s, 3),
    }
    return row | story_figures(stage) if isinstance(stage, StoryStage) else row


def _past_junction(completion: float, stage: Stage) -> bool:
    """Whether ego came 8 m into the first junction of its route, as Bench2Drive counts it."""
    route = stage.route
    inside = np.flatnonzero(stage.graph.junction[route.lane] >= 0)
    return bool(len(inside)) and completion * route.length > float(route.s[inside[0]]) + 8.0


def outcome_of(episode: Episode, stage: Stage, version: ScoreVersion) -> Outcome:
    """What an episode counts in the scores."""
    criteria = episode.criteria
    partners = [event.partner_type for event in criteria.collisions.infractions]
    walkers = sum(name.startswith("walker.") for name in partners)
    vehicles = sum(name.startswith("vehicle.") for name in partners)
    return Outcome(
        completion=1.0 if episode.ending == STORY_OVER else criteria.completion.share,
        pedestrians=walkers,
        vehicles=vehicles,
        statics=len(partners) - walkers - vehicles,
        red_lights=len(criteria.red_lights.infractions),
        stop_signs=len(criteria.stop_signs.infractions),
        scenario_timeouts=len(stage.timeouts),
        missed_yields=len(stage.missed_yields),
        off_lane=criteria.off_lane.share,
        slowness=slowness_of(criteria.pace, version),
    )


def describe(config: BenchConfig, suite: Suite) -> Path:
    """Write what the bench's report says of it beside its rows; return the file."""
    config.path.mkdir(parents=True, exist_ok=True)
    about = {
        "suite": suite.name, "score": config.score, "planners": config.planners,
        "git": git_hash(), "left_out": [str(error) for error in suite.errors],
    }  # fmt: skip
    (path := config.path / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    return path


def slowness_of(pace: Pace, version: ScoreVersion) -> tuple[float, ...]:
    """The checks of the minimum speed that count, with the four digits that upstream gives."""
    if version is ScoreVersion.LEADERBOARD_1_0:
        return ()
    if version is ScoreVersion.BENCH2DRIVE:
        return tuple(round(share, 4) for share in pace.shares())
    shares = (round(share, 4) for share in pace.shares(4))
    return tuple(share for share in shares if share < 1.0)


def known_rows(folder: Path, score: str) -> dict[str, Row]:
    """Return the rows of an earlier run by their key.

    Those of errors and of other scores, which end routes otherwise, are driven again. A last line
    that was being written when the bench was killed is taken away.
    """
    path = folder / ROWS
    if not path.is_file():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole)
    rows = [json.loads(line) for line in whole.splitlines()]
    return {row["key"]: row for row in rows if "error" not in row and row["score"] == score}


def keep(folder: Path, job: Job, row: Row) -> Row:
    """Append a row to the folder's and return it whole."""
    row = {**asdict(job), "key": job.key, **row}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ROWS).open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def report(
    config: BenchConfig, suite: Suite, jobs: Sequence[Job], rows: Mapping[str, Row], job: Job
) -> None:
    """Write anew the results file that `job` belongs to: that of its planner and its seed."""
    mine = [other.key for other in jobs if (other.planner, other.seed) == (job.planner, job.seed)]
    known = [rows[key] for key in mine if key in rows]
    write_results(config.path / job.run, suite.routes, known, ScoreVersion(config.score))


def conclude(
    config: BenchConfig, suite: Suite, jobs: Sequence[Job], rows: Mapping[str, Row]
) -> dict[str, Summary]:
    """Write all results files and the table of rows; return what they say of the planners."""
    for job in {job.run: job for job in jobs}.values():
        report(config, suite, jobs, rows, job)
    asked = [rows[job.key] for job in jobs]
    if asked:
        write_parquet(config.path, asked)
    return summary(asked, config.planners, config.score)


def keep_metrics(config: BenchConfig, job: Job, spec: Drivable, episode: Episode) -> None:
    """Write what Bench2Drive's tools want to have of each drive, where its score counts."""
    if config.score == ScoreVersion.BENCH2DRIVE:
        write_metric_info(config.path / job.run / save_name(spec), episode.trace)
