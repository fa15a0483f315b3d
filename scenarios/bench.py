"""`headway bench`: planners over the routes of a suite, by worker processes with a server each.

A row of figures comes of each (planner, route, seed) and is appended to `rows.jsonl` at once, so an
interrupted bench goes on where it stopped. A worker that dies costs its route a second try, never
the run.
"""

from __future__ import annotations

import atexit
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import carla
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from carla_bridge.headless.towns import available_towns
from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, Traffic
from headway.driver import Driver
from headway.road.routing import route_through
from scenarios.cast import Cast
from scenarios.comfort import comfort
from scenarios.config import DriveConfig
from scenarios.episode import Episode, run_episode
from scenarios.families import PLAYS
from scenarios.openscenario.play import STORY_OVER, play_story, story_figures
from scenarios.openscenario.world import StoryStage
from scenarios.scores import Outcome, ScoreVersion, driving_score, succeeded
from scenarios.stage import Stage
from scenarios.suites.leaderboard import read_routes
from scenarios.suites.openscenario import read_stories
from scenarios.suites.openscenario_spec import (
    StorySpec,
)
from scenarios.suites.spec import RouteSpec, Suite, SuiteError

ROWS = "rows.jsonl"
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
        folder: for the rows; empty: `outputs/bench-SUITE`. One that has rows is resumed.
    """

    suite: str = ""
    planners: list[str] = field(default_factory=lambda: ["mpc"])
    seeds: int = 1
    workers: int = 1
    score: str = ScoreVersion.LEADERBOARD_2_1.value
    folder: str = ""

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


def _unfit(route: RouteSpec | StorySpec, towns: set[str]) -> SuiteError | None:
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
    """Return the suite of a file or folder, which is read once."""
    return read_stories(Path(path)) if _has_stories(path) else read_routes(Path(path))


def _has_stories(path: str) -> bool:
    """Whether a suite consists of OpenSCENARIO files."""
    return path.endswith(".xosc") or Path(path).is_dir()


def spec_of(suite: str, route: str) -> RouteSpec | StorySpec:
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
    spec: RouteSpec | StorySpec, session: Session, driver: Driver, config: DriveConfig,
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
    session.world.set_weather(carla.WeatherParameters(**spec.weather_at(0.0)))
    simulator = CarlaSimulator(session, config.simulator, lambda session, seed: cast)
    try:
        episode = run_episode(
            simulator, driver, route, seed, config.episode, leniency=lambda: stage.leniency
        )
    finally:
        simulator.close()
    if cast.script.failures:
        reasons = (f"{name}: {error}" for name, error in cast.script.failures.items())
        raise ValueError("; ".join(reasons))
    return episode, stage


def row_of(spec: RouteSpec | StorySpec, episode: Episode, stage: Stage, score: str) -> Row:
    """Return the figures of one drive."""
    outcome = outcome_of(episode, stage)
    row = {
        "scenarios": [scenario.type for scenario in spec.scenarios],
        "status": ENDINGS[episode.ending],
        "driving_score": round(driving_score(outcome, ScoreVersion(score)), 4),
        "success": succeeded(outcome),
        "outcome": asdict(outcome),
        "comfort": round(comfort(episode.trace), 4),
        "efficiency": round(episode.criteria.pace.efficiency, 2),
        "infractions": [asdict(event) for event in episode.criteria.infractions],
        "sim_s": round(episode.sim_s, 2),
        "wall_s": round(episode.wall_s, 2),
    }
    return row | story_figures(stage) if isinstance(stage, StoryStage) else row


def outcome_of(episode: Episode, stage: Stage) -> Outcome:
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
    )


def known_rows(folder: Path) -> dict[str, Row]:
    """Return the rows of an earlier run by their key; those of errors are driven again."""
    path = folder / ROWS
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["key"]: row for row in rows if "error" not in row}


def keep(folder: Path, job: Job, row: Row) -> Row:
    """Append a row to the folder's and return it whole."""
    row = {**asdict(job), "key": job.key, **row}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ROWS).open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


def summary(rows: Sequence[Row], config: BenchConfig) -> dict[str, Any]:
    """What `--json` prints."""
    planners = {}
    for planner in config.planners:
        ok = [row for row in rows if row["planner"] == planner and "error" not in row]
        planners[planner] = {
            "drives": len(ok),
            "driving_score": round(_mean(row["driving_score"] for row in ok), 3),
            "success_rate": round(_mean(float(row["success"]) for row in ok), 4),
            "errors": sum(row["planner"] == planner and "error" in row for row in rows),
        }
    return {"planners": planners, "outputs": str(config.path)}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.mean(found) if found else float("nan")


def table(rows: Sequence[Row], score: str) -> Table:
    """Return one line a planner."""
    columns = ("planner", "drives", "driving score", "success %", "completion %", "collisions",
               "red lights", "stop signs", "timeouts", "comfort %", "errors")  # fmt: skip
    shown = Table(*columns, title=f"score {score}")
    for planner in dict.fromkeys(row["planner"] for row in rows):
        mine = [row for row in rows if row["planner"] == planner]
        ok = [row for row in mine if "error" not in row]

        def mean(values: Iterable[float]) -> str:
            return f"{_mean(values):.1f}"

        def total(*kinds: str, ok: list[Row] = ok) -> str:
            return str(sum(row["outcome"][kind] for row in ok for kind in kinds))

        shown.add_row(
            planner, str(len(mine)), mean(row["driving_score"] for row in ok),
            mean(100.0 * row["success"] for row in ok),
            mean(100.0 * row["outcome"]["completion"] for row in ok),
            total("pedestrians", "vehicles", "statics"), total("red_lights"),
            total("stop_signs"), total("scenario_timeouts"),
            mean(100.0 * row["comfort"] for row in ok), str(len(mine) - len(ok)),
        )  # fmt: skip
    return shown
