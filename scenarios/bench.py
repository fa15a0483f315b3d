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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from carla_bridge.session import Session
from carla_bridge.simulator import CarlaSimulator, Traffic
from headway.driver import Driver
from headway.road.routing import route_through
from scenarios.bench_jobs import BenchConfig, Job
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
from scenarios.spots import first_junction
from scenarios.stage import Stage
from scenarios.suites.openscenario_spec import Drivable, StorySpec
from scenarios.suites.spec import RouteSpec, Suite
from scenarios.summary import Summary, summary

ROWS, ABOUT = "rows.jsonl", "bench.json"
ENDINGS = {
    "completed": "Completed", "off_route": "Failed - Agent deviated from the route",
    "blocked": "Failed - Agent got blocked", "time_limit": "Failed - Agent timed out",
    "collision": "Failed - Agent collided",
    STORY_OVER: "Completed",
}  # fmt: skip

Row = dict[str, Any]


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
    simulator.disturbed = stage.disturbed
    limits = replace(config.episode, time_limit_s=spec.limit_s or config.episode.time_limit_s)

    def over() -> str:
        return STORY_OVER if spec.limit_s and cast.over else ""

    try:
        episode = run_episode(
            simulator, driver, route, seed, limits, leniency=lambda: stage.leniency, over=over
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
        "difficulty": spec.difficulty,
        "status": ENDINGS[episode.ending],
        "driving_score": round(driving_score(outcome, version), 4),
        "success": succeeded(outcome, version),
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
    if isinstance(stage, StoryStage):
        return row | story_figures(stage)
    if isinstance(spec, RouteSpec) and spec.limit_s:  # ScenarioRunner asks for no more
        row["criteria"] = {"CollisionTest": not criteria.collisions.infractions}
        row["success"] = row["criteria"]["CollisionTest"] and row["status"] == "Completed"
    return row


def _past_junction(completion: float, stage: Stage) -> bool:
    """Whether ego came 8 m into the first junction of its route, as Bench2Drive counts it."""
    route = stage.route
    junction = first_junction(stage.graph, route)
    return bool(junction and completion * route.length > float(route.s[junction[0]]) + 8.0)


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
        "notes": list(suite.notes),
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
