"""The `headway` command: builds the parts, runs them, says how it went.

It alone may import every package. Heavy imports are inside the commands, so that `headway --help`
answers at once.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.terminal import console, errors, print_result, print_stages, progress, say, steps

if TYPE_CHECKING:
    from carla_bridge.session import Session
    from carla_bridge.simulator import Traffic
    from headway.driver import Driver
    from scenarios.bench_jobs import BenchConfig, Job
    from scenarios.config import DriveConfig
    from scenarios.drive import Drive

app = typer.Typer(
    help="headway drives through CARLA, closed loop, with or without a GPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
towns = typer.Typer(
    help="List towns, draw one, bring CARLA's own.\n\nExample: `headway towns show grid`",
    invoke_without_command=True,
)
app.add_typer(towns, name="towns")

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Hydra overrides.")
]
Json = Annotated[bool, typer.Option("--json", help="End with one line that is a JSON object.")]


@app.command()
def drive(overrides: Overrides = None, as_json: Json = False) -> None:
    """Drive a route through traffic and write what happened.

    Starts the embedded server unless `host=` or `port=` name a running one. Keys: town, seed,
    planner, perception, language, world_model, traffic, host, port, min_length,
    traffic.num_vehicles, traffic.num_walkers, output.folder, output.video, ...

    Example: `headway drive town=ring seed=3 output.video=false --json`
    """
    with errors():
        done = _drive(overrides or [])
    if as_json:
        print(json.dumps(asdict(done.result)))


@app.command()
def profile(overrides: Overrides = None, as_json: Json = False) -> None:
    """Drive as `drive` does, without film and logs, and print the time of each stage of the driver.

    Example: `headway profile town=grid seed=2 planner=idm --json`
    """
    quiet = ["output.plots=false", "output.video=false", "output.rerun=false"]
    with errors():
        done = _drive([*quiet, *(overrides or [])])
    # The first second warms caches up; it is no measure of what follows.
    stages = done.episode.trace.stage_summary(skip=min(20, len(done.episode.trace) // 2))
    print_stages(stages)
    if as_json:
        rounded = {n: {k: round(v, 4) for k, v in s.items()} for n, s in stages.items()}
        print(json.dumps({"stages": rounded}))


@app.command("bench")
def bench_command(overrides: Overrides = None, as_json: Json = False) -> None:
    """Drive the routes of a suite with several planners and compare them.

    Keys: suite (a route file of the Leaderboard or of Bench2Drive, a file of ScenarioRunner's own
    classes, an OpenSCENARIO file or a folder of those, or one of ours: `smoke`, `headway`,
    `headway_dev`, `headway_eval`, `town_routes:TOWN`), triggers (of Leaderboard 1), planners,
    seeds, workers, launcher (processes or ray), score (1.0, 2.0, 2.1, bench2drive or nocrash),
    folder (one that has rows is resumed), and those of `headway drive`.

    Example: `headway bench suite=routes.xml planners=[mpc,idm] seeds=2 workers=2`
    """
    with errors():
        summary = _bench(overrides or [])
    if as_json:
        print(json.dumps(summary, allow_nan=False))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Of a bench.")],
) -> None:
    """Write the report of a bench: one page that opens offline, with every drive in it.

    `headway bench` does so in the end; this is for one that was broken off.

    Example: `headway report outputs/bench-routes`
    """
    with errors():
        _report(folder)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(help="Of one drive.")],
    video: Annotated[Path | None, typer.Option(help="MP4 to write in place of a log.")] = None,
) -> None:
    """Open a drive in the Rerun viewer; without a screen write its log.

    FOLDER is that of `headway drive`, or of one drive of a bench. With keep_traces=true the bench
    keeps also what the driver proposed, foresaw and planned.

    Example: `headway replay outputs/bench-routes/drives/mpc/24224-1 --video drive.mp4`
    """
    from scenarios.replay import film  # noqa: PLC0415
    from scenarios.replay import replay as open_log  # noqa: PLC0415

    with errors():
        if video is None:
            print(open_log(folder, say))
            return
        with steps("filming") as show:
            print(film(folder, video, show))


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Of the RPCs; the next one is for streams.")] = 2000,
    town: Annotated[str, typer.Option(help="To begin with; `headway towns` lists them.")] = "grid",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    max_realtime_factor: Annotated[
        float | None, typer.Option(min=1e-3, help="At most so many simulated seconds per second.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of noise and walkers.")] = 0,
) -> None:
    """Serve CARLA 0.9.16's protocol, without a GPU, until Ctrl-C.

    Example: `headway serve --port 2000 --town Town01 --max-realtime-factor 1`
    """
    from carla_bridge.headless.server import serve as run_server  # noqa: PLC0415

    with errors():
        run_server(port, town, host, max_realtime_factor=max_realtime_factor, seed=seed)


@towns.callback()
def towns_main(context: typer.Context) -> None:
    """List towns, draw one, bring CARLA's own.

    Example: `headway towns show grid`
    """
    if context.invoked_subcommand is None:
        list_towns()


@towns.command("list")
def list_towns() -> None:
    """List the towns that can be loaded.

    Example: `headway towns list`
    """
    from carla_bridge.headless.towns import available_towns  # noqa: PLC0415

    for name in available_towns():
        print(name)


@towns.command("show")
def show_town(
    name: Annotated[str, typer.Argument(help="Of the town.")],
    out: Annotated[Path | None, typer.Option(help="PNG to write; NAME.png by default.")] = None,
) -> None:
    """Draw a town as PNG.

    Example: `headway towns show grid --out grid.png`
    """
    from carla_bridge.headless.towns import draw_town  # noqa: PLC0415

    path = out or Path(f"{name.rsplit('/', 1)[-1]}.png")
    with errors():
        draw_town(name, path)
    print(path)


@towns.command("import")
def import_towns_command(
    path: Annotated[Path, typer.Argument(help="A .xodr file, a folder, or a CARLA installation.")],
) -> None:
    """Make CARLA's towns, or any OpenDRIVE file, known by name.

    Example: `headway towns import ~/CARLA_0.9.16`
    """
    from carla_bridge.headless.towns import import_towns  # noqa: PLC0415

    with errors():
        names = import_towns(path)
    for name in names:
        print(name)


def main() -> None:
    """Entry point of the `headway` command."""
    app()


def _drive(overrides: list[str]) -> Drive:
    """Compose the configuration, build the parts and drive once."""
    from carla_bridge.session import Session  # noqa: PLC0415
    from carla_bridge.simulator import CarlaSimulator  # noqa: PLC0415
    from scenarios.drive import run_drive  # noqa: PLC0415

    config, composed = compose_drive(overrides)
    with console.status("starting the server and reading the roads"):
        session = Session(config.host, config.port, config.town, config.seed, progress=say)
    with session:
        driver = build_driver(config, session)
        simulator = CarlaSimulator(session, config.simulator, _traffic_maker(config))
        with progress(f"{session.town}, seed {config.seed}") as show:
            done = run_drive(
                simulator, driver, session.lane_graph, session.town, config.seed,
                config.route_length, config.episode, config.output, composed,
                show, say,
            )  # fmt: skip
    print_result(done)
    return done


def _bench(overrides: list[str]) -> dict[str, Any]:
    """Drive what is missing of a bench and print its table."""
    from functools import partial  # noqa: PLC0415

    from rich.progress import track  # noqa: PLC0415

    from scenarios import bench  # noqa: PLC0415
    from scenarios.bench_jobs import jobs_of, make_bench  # noqa: PLC0415
    from scenarios.ray_workers import find_ray, run_ray_jobs  # noqa: PLC0415
    from scenarios.suites.own import OWN_SUITES  # noqa: PLC0415
    from scenarios.summary import tables  # noqa: PLC0415
    from scenarios.workers import run_jobs  # noqa: PLC0415

    config, rest = make_bench(overrides)
    suite, jobs = jobs_of(config)
    for job in {job.planner: job for job in jobs}.values():
        compose_drive([f"planner={job.planner}", *rest])  # what is misspelt fails now
    for error in suite.errors:
        console.print("left out:", style="bold yellow", end=" ")
        say(str(error))
    if not jobs:
        ours = ", ".join(OWN_SUITES)
        raise ValueError(f"suite {config.suite!r}: no route can be driven; our own suites: {ours}")
    if config.launcher == "ray":
        find_ray()  # that it is not there is said now
    about = bench.describe(config, suite)
    if suite.notes:
        say(f"{len(suite.notes)} things are passed over: {about}")
    begin = time.monotonic()
    rows = bench.known_rows(config.path, config.score)
    missing = [job for job in jobs if job.key not in rows]
    launch = run_ray_jobs if config.launcher == "ray" else run_jobs
    done = launch(missing, partial(play_job, config, rest), config.workers)
    for job, figures in track(done, "driving", total=len(missing), console=console):
        rows[job.key] = row = bench.keep(config.path, job, figures)
        bench.report(config, suite, jobs, rows, job)
        if "error" in row:
            say(f"{job.key}: {row['error']}")
    found = bench.conclude(config, suite, jobs, rows)
    for table in tables(found, config.score):
        console.print(table)
    if rows:
        _report(config.path)
    wall_s = round(time.monotonic() - begin, 3)
    return {"planners": found, "wall_s": wall_s, "outputs": str(config.path)}


def _report(folder: Path) -> None:
    """Write the report of a bench and say where."""
    from scenarios.html_report import write_report  # noqa: PLC0415

    with steps("writing the report") as show:
        path = write_report(folder, show)
    say(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)")


def play_job(bench: BenchConfig, overrides: list[str], job: Job) -> dict[str, Any]:
    """Drive one route of a suite and keep the drive; runs in a worker of `headway bench`."""
    from scenarios.bench import keep_metrics, play_route, row_of, session_in  # noqa: PLC0415
    from scenarios.bench_jobs import spec_of, with_traffic  # noqa: PLC0415
    from scenarios.recording import keep_drive  # noqa: PLC0415

    spec = spec_of(bench, job.route)
    mine = [f"planner={job.planner}", f"town={job.town}", f"seed={job.seed}"]
    config, _ = compose_drive([*mine, *with_traffic(spec, overrides)])
    session = session_in(job.town)
    background = _traffic_maker(config)(session, job.seed)
    driver = build_driver(config, session)
    episode, stage = play_route(spec, session, driver, config, background, job.seed)
    keep_metrics(bench, job, spec, episode)
    keep_drive(bench.path / job.folder, episode, session.lane_graph, bench.keep_traces)
    return row_of(spec, episode, stage, bench.score)


def compose_drive(overrides: list[str]) -> tuple[DriveConfig, dict[str, Any]]:
    """Compose `headway/conf/drive.yaml` with overrides.

    Returns:
        The typed configuration, and the same as plain values to be saved.

    Raises:
        ValueError: an override names what is not there, or a value is not allowed.
    """
    from hydra import compose, initialize_config_module  # noqa: PLC0415
    from hydra.errors import HydraException  # noqa: PLC0415
    from omegaconf import OmegaConf  # noqa: PLC0415
    from omegaconf.errors import OmegaConfBaseException  # noqa: PLC0415

    _register()
    for item in overrides:
        if "=" not in item.lstrip("~"):
            raise ValueError(f"override {item!r}: expected KEY=VALUE, for example town=grid")
    try:
        with initialize_config_module("headway.conf", version_base="1.3"):
            composed = compose("drive", overrides=overrides)
        typed = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(_explain(error, overrides)) from error
    plain = OmegaConf.to_container(composed)
    return typed, plain  # pyright: ignore[reportReturnType]


def _register() -> None:
    """Tell Hydra about every part's configuration, with the defaults that stand beside the part."""
    from hydra.core.config_store import ConfigStore  # noqa: PLC0415

    from headway.parts import PARTS  # noqa: PLC0415
    from scenarios.config import DriveConfig  # noqa: PLC0415

    store = ConfigStore.instance()
    store.store(name="drive_schema", node=DriveConfig)
    for part in PARTS:
        store.store(group=part.group, name=part.name, node=part.config_class())


def build_driver(config: DriveConfig, session: Session | None = None) -> Driver:
    """Build the driver's parts from their configurations.

    Args:
        config: of the drive.
        session: with the server, for parts that need one.
    """
    from headway.driver import Driver  # noqa: PLC0415
    from headway.parts import part_of  # noqa: PLC0415

    groups = ("perception", "language", "world_model", "planner", "tracker", "safety")
    chosen = {group: getattr(config, group) for group in groups}
    return Driver(**{g: part_of(g, settings).make(settings, session)
                     for g, settings in chosen.items()})  # fmt: skip


def _traffic_maker(config: DriveConfig) -> Callable[[Session, int], Traffic]:
    """Return what makes the traffic that was asked for."""
    from carla_bridge.autopilot import TrafficManagerTraffic  # noqa: PLC0415
    from carla_bridge.simulator import NoTraffic  # noqa: PLC0415
    from headway.traffic import TrafficConfig  # noqa: PLC0415
    from scenarios.config import TrafficManagerConfig  # noqa: PLC0415

    traffic = config.traffic
    if isinstance(traffic, TrafficConfig):
        from carla_bridge.traffic import TrafficAdapter  # noqa: PLC0415

        return lambda session, seed: TrafficAdapter(session, session.lane_graph, seed, traffic)
    if isinstance(traffic, TrafficManagerConfig):
        return lambda session, seed: TrafficManagerTraffic(session, seed, traffic.num_vehicles)
    return lambda session, seed: NoTraffic()


def _explain(error: Exception, overrides: list[str]) -> str:
    """Say what is wrong with the overrides, and which key may have been meant."""
    from scenarios.config import known_keys  # noqa: PLC0415

    lines = (line.strip() for line in str(error).splitlines())
    internal = ("full_key", "object_type", "reference_type", "Config search path", "provider=")
    message = ", ".join(line for line in lines if line and not line.startswith(internal))
    known = known_keys()
    for item in overrides:
        key = item.lstrip("+~").split("=")[0]
        if key not in known and (close := difflib.get_close_matches(key, known, 3)):
            return f"override {item!r}: {message} Did you mean {' or '.join(close)}?"
    return f"overrides {' '.join(overrides)!r}: {message}"


if __name__ == "__main__":
    main()
