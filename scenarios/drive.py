"""One drive from route to results: judge it, and write the folder that shows it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headway.driver import Driver
from headway.interfaces import Simulator
from headway.road.lane_graph import LaneGraph
from headway.road.random_route import random_route
from scenarios.comfort import comfort
from scenarios.config import OutputConfig
from scenarios.episode import Episode, EpisodeConfig, Progress, run_episode


@dataclass(frozen=True)
class DriveResult:
    """What `headway drive --json` prints.

    Attributes:
        town: short name.
        seed: of route and traffic.
        route_completion: 0 to 1.
        collisions: how many.
        collisions_at_fault: for how many of them ego is to blame.
        red_lights: run.
        stop_signs: run.
        speeding_s: [s] above the limit.
        agents_within_50m: vehicles and walkers, mean over time.
        sim_s: [s] simulated.
        wall_s: [s] that the loop took, without video and logs.
        outputs: folder.
    """

    town: str
    seed: int
    route_completion: float
    collisions: int
    collisions_at_fault: int
    red_lights: int
    stop_signs: int
    speeding_s: float
    agents_within_50m: float
    sim_s: float
    wall_s: float
    outputs: str

    @staticmethod
    def of(episode: Episode, town: str, seed: int, folder: Path) -> DriveResult:
        """Sum an episode up."""
        criteria = episode.criteria
        collisions = criteria.collisions.infractions
        return DriveResult(
            town=town,
            seed=seed,
            route_completion=round(criteria.completion.share, 4),
            collisions=len(collisions),
            collisions_at_fault=sum(c.at_fault for c in collisions),
            red_lights=len(criteria.red_lights.infractions),
            stop_signs=len(criteria.stop_signs.infractions),
            speeding_s=round(criteria.speeding.seconds, 2),
            agents_within_50m=round(criteria.density.mean, 2),
            sim_s=round(episode.sim_s, 2),
            wall_s=round(episode.wall_s, 2),
            outputs=str(folder),
        )


@dataclass(frozen=True)
class Drive:
    """A drive that was made and written down.

    Attributes:
        result: the figures.
        episode: everything.
        extras_s: [s] wall time of plots, video and log, by name.
    """

    result: DriveResult
    episode: Episode
    extras_s: dict[str, float] = field(default_factory=dict)

    @property
    def interventions(self) -> float:
        """Share of ticks in which the safety layer changed the command."""
        return self.episode.trace.intervention_share()


def run_drive(
    simulator: Simulator,
    driver: Driver,
    graph: LaneGraph,
    town: str,
    seed: int,
    route_length: tuple[float, float],
    episode_config: EpisodeConfig,
    output: OutputConfig,
    config: dict[str, Any],
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda line: None,
) -> Drive:
    """Drive a seeded route and write result, Trace, plots, video and log.

    Args:
        simulator: where.
        driver: who.
        graph: the town's roads.
        town: its short name.
        seed: of route and traffic.
        route_length: [m] at least, at most.
        episode_config: when it ends early.
        output: what is written.
        config: the composed configuration, saved with the result.
        progress: hears about each tick.
        announce: hears what is being written.
    """
    shortest, longest = route_length
    route = random_route(graph, seed, min_length=shortest, max_length=longest)
    episode = run_episode(simulator, driver, route, seed, episode_config, progress)
    folder = make_folder(output.folder, town, seed)
    result = DriveResult.of(episode, town, seed, folder)
    drive = Drive(result, episode)
    _write_records(drive, folder, config, graph, route.length)
    for name, write in _extras(output).items():
        announce(f"writing {name}")
        begin = time.perf_counter()
        write(episode, graph, folder)
        drive.extras_s[name] = time.perf_counter() - begin
    return drive


def make_folder(folder: str, town: str, seed: int) -> Path:
    """Create the results' folder, a new one below `outputs` unless it is given."""
    if folder:
        path = Path(folder)
    else:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        base = path = Path("outputs") / f"drive-{town}-seed{seed}-{stamp}"
        number = 1
        while path.exists():  # two drives within a second
            number += 1
            path = base.with_name(f"{base.name}-{number}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def git_hash() -> str:
    """Return the commit of the code that runs, with `+` when it, not results, was changed since."""
    here = Path(__file__).resolve().parent
    try:
        code = ("--", ":/", ":(top,exclude)results")
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "-uno", *code) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _write_records(
    drive: Drive, folder: Path, config: dict[str, Any], graph: LaneGraph, route_length: float
) -> None:
    """Write result.json, config.json, the Trace and the roads it lies on."""
    episode = drive.episode
    document = {
        **asdict(drive.result),
        "ending": episode.ending,
        "route_length_m": round(route_length, 1),
        "intervention_share": episode.trace.intervention_share(),
        "comfort": comfort(episode.trace),
        "off_lane_m": round(episode.criteria.off_lane.metres, 2),
        "efficiency": round(episode.criteria.pace.efficiency, 2),
        "infractions": [asdict(i) for i in episode.criteria.infractions],
        "stages": episode.trace.stage_summary(),
    }
    (folder / "result.json").write_text(json.dumps(document, indent=2) + "\n")
    settings = {"git": git_hash(), "seed": drive.result.seed, "config": config}
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    episode.trace.save(folder / "trace.npz")
    graph.save(folder / "lane_graph.npz")


def _extras(output: OutputConfig) -> dict[str, Callable[[Episode, LaneGraph, Path], None]]:
    """What else is asked for; the heavy libraries behind it load only then."""
    wanted: dict[str, Callable[[Episode, LaneGraph, Path], None]] = {}
    if output.plots:
        wanted["plots"] = _plots
    if output.video:
        wanted["video"] = _video
    if output.rerun:
        wanted["rerun log"] = _rerun
    return wanted


def _plots(episode: Episode, graph: LaneGraph, folder: Path) -> None:
    from scenarios.report import plot_drive  # noqa: PLC0415 - matplotlib is slow to load

    del graph
    plot_drive(episode.trace, episode.criteria.infractions, folder / "plots.png")


def _video(episode: Episode, graph: LaneGraph, folder: Path) -> None:
    from scenarios.video import write_video  # noqa: PLC0415

    write_video(episode.trace, graph, folder / "drive.mp4", episode.criteria.infractions)


def _rerun(episode: Episode, graph: LaneGraph, folder: Path) -> None:
    from scenarios.rerun_log import write_rerun_log  # noqa: PLC0415

    write_rerun_log(episode.trace, graph, folder / "drive.rrd", episode.criteria.infractions)
