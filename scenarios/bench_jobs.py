"""What `headway bench` is asked for: its configuration, and the drives of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from carla_bridge.headless.towns import available_towns
from scenarios.families import PLAYS
from scenarios.scores import ScoreVersion
from scenarios.suites.leaderboard import read_routes, read_triggers
from scenarios.suites.openscenario import read_stories
from scenarios.suites.openscenario_spec import Drivable
from scenarios.suites.own import is_own, own_suite
from scenarios.suites.runner import is_scenario_file, read_scenarios
from scenarios.suites.spec import RouteSpec, Suite, SuiteError
from scenarios.suites.triggers import with_scenarios

# When a route ends (docs/upstream_formats.md, section 2). Leaderboard 2 gives 300 s and, for each
# metre, the time at a tenth of the limit: here that of 50 km/h.
LEADERBOARD_2 = ("episode.time_limit_base_s=300", "episode.time_limit_s_per_m=0.72")
LIMITS = {
    ScoreVersion.LEADERBOARD_1_0: ("episode.time_limit_base_s=5", "episode.time_limit_s_per_m=0.8"),
    ScoreVersion.LEADERBOARD_2_0: LEADERBOARD_2,
    ScoreVersion.LEADERBOARD_2_1: LEADERBOARD_2,
    ScoreVersion.BENCH2DRIVE: ("episode.time_limit_s=200", "episode.blocked_s=60"),
    # The time at 5 km/h, and 20 s.
    ScoreVersion.NOCRASH: (
        "episode.time_limit_base_s=20", "episode.time_limit_s_per_m=0.72",
        "episode.blocked_s=1000", "episode.ends_at_collision=true",
    ),
}  # fmt: skip

LAUNCHERS = ("processes", "ray")


@dataclass
class BenchConfig:
    """What is compared, and how; drives themselves are configured as those of `headway drive`.

    Attributes:
        suite: file of routes or of ScenarioRunner's classes (`.xml`), an OpenSCENARIO file
            (`.xosc`) or a folder of those, or one of ours: `smoke`, `headway`, `headway_dev`,
            `headway_eval`, `town_routes:TOWN`.
        triggers: Leaderboard 1's file of places for scenarios (JSON), for its files of routes.
        routes: to drive these only: ids, or types of scenarios; empty: all.
        planners: names of planners.
        seeds: traffic seeds of each route, from 1 on.
        workers: processes, with a server each; the rows do not depend on their number.
        launcher: of the workers: `processes` of this machine, or `ray` for those of a cluster.
        score: `1.0`, `2.0`, `2.1`, `bench2drive` or `nocrash`.
        folder: for rows and results; empty: `outputs/bench-SUITE`, with triggers
            `outputs/bench-SUITE-TRIGGERS`. One that has rows is resumed.
        keep_traces: the whole Trace of each drive, for `headway replay`: some megabytes a minute.
    """

    suite: str = ""
    triggers: str = ""
    routes: list[str] = field(default_factory=list)
    planners: list[str] = field(default_factory=lambda: ["mpc"])
    seeds: int = 1
    workers: int = 1
    launcher: str = "processes"
    score: str = ScoreVersion.LEADERBOARD_2_1.value
    folder: str = ""
    keep_traces: bool = False

    def __post_init__(self) -> None:
        if not self.suite:
            raise ValueError("BenchConfig.suite: expected a file of routes, got none")
        if self.triggers and _has_stories(self.suite):
            raise ValueError(f"BenchConfig.triggers: {self.suite} has no routes to match them with")
        versions = [version.value for version in ScoreVersion]
        if self.score not in versions:
            raise ValueError(
                f"BenchConfig.score: expected one of {', '.join(versions)}, got {self.score!r}"
            )
        if self.launcher not in LAUNCHERS:
            raise ValueError(
                f"BenchConfig.launcher: expected {' or '.join(LAUNCHERS)}, got {self.launcher!r}"
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
        """Of the suite, and of the file of triggers."""
        files = (self.suite.replace(":", "-"), self.triggers)
        return "-".join(Path(file).stem for file in files if file)


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
    """Read the suite and list its drives; a route that cannot be driven here is an error.

    Raises:
        ValueError: the suite has no such route, or its triggers cannot be read.
    """
    suite = _asked(suite_in(config.suite, config.triggers), config.routes)
    towns = set(available_towns())
    errors = {route.id: error for route in suite.routes if (error := _unfit(route, towns))}
    fit = [route for route in suite.routes if route.id not in errors]
    jobs = [
        Job(route.town, route.id, seed, planner)
        for route in fit for seed in range(1, config.seeds + 1) for planner in config.planners
    ]  # fmt: skip
    return replace(suite, routes=tuple(fit), errors=(*suite.errors, *errors.values())), sorted(jobs)


def _asked(suite: Suite, words: Sequence[str]) -> Suite:
    """Return the suite with the routes only that have one of `words` as id or type of scenario."""
    if not words:
        return suite
    names = {
        route.id: {route.id, *(entry.type for entry in route.scenarios)} for route in suite.routes
    }
    if unknown := set(words) - set().union(*names.values()):
        raise ValueError(
            f"BenchConfig.routes: {suite.name} has no route and no type of scenario "
            f"{', '.join(sorted(unknown))}"
        )
    routes = (route for route in suite.routes if names[route.id] & set(words))
    return replace(suite, routes=tuple(routes))


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
def suite_in(path: str, triggers: str = "") -> Suite:
    """Return the suite of a file, a folder or a name of ours, which is read once.

    Args:
        path: file, folder or name.
        triggers: file of places for scenarios, if the routes have none of their own.

    Raises:
        SuiteError: the triggers cannot be read.
    """
    if _has_stories(path):
        return read_stories(Path(path))
    if is_own(path):
        suite = own_suite(path)
    elif is_scenario_file(Path(path)):
        if triggers:
            raise ValueError(f"BenchConfig.triggers: {path} has scenarios of its own")
        return read_scenarios(Path(path))
    else:
        suite = read_routes(Path(path))
    return with_scenarios(suite, read_triggers(Path(triggers))) if triggers else suite


def _has_stories(path: str) -> bool:
    """Whether a suite consists of OpenSCENARIO files."""
    return not is_own(path) and (path.endswith(".xosc") or Path(path).is_dir())


def with_traffic(spec: Drivable, overrides: Sequence[str]) -> list[str]:
    """What a route asks of its background, before what the command line says, which wins."""
    if not isinstance(spec, RouteSpec) or any(item.startswith("traffic=") for item in overrides):
        return list(overrides)
    return [*(f"traffic.{name}={value:g}" for name, value in spec.traffic.items()), *overrides]


def spec_of(config: BenchConfig, route: str) -> Drivable:
    """Return a route of the suite."""
    suite = suite_in(config.suite, config.triggers)
    return next(spec for spec in suite.routes if spec.id == route)
