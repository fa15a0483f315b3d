"""`make bench-planner`: the MPC's times and how good its plans are, goals and figures side by side.

Problems are recorded where `planner=mpc` drives in process among replayed traffic, seed by seed.
All times are CPU time of the one thread that solves. Drives by IPOPT take half a minute each: their
rows go to `results/planner_bench.jsonl`, with the commit, so that an interrupted bench goes on
where it stopped. `--quick` takes a minute, writes nothing and decides nothing.
"""

from __future__ import annotations

import argparse
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from carla_bridge.headless.towns import available_towns, load_town
from headway.driver import Driver
from headway.interfaces import Planner
from headway.road.lane_graph import LaneGraph
from headway.road.random_route import random_route
from headway.road.route import Route
from headway.traffic import TrafficConfig
from headway.types import ActorSnapshot, Array
from language.route import RouteLanguage
from perception.privileged import PrivilegedPerception
from planner.idm import IdmPlanner
from planner.mpc.config import MpcConfig
from planner.mpc.exact import Problems
from planner.mpc.layer import bench_gradient
from planner.mpc.measure import (
    Instance,
    WatchedPlanner,
    as_good,
    make_reference,
    reference_ms,
    rti_ms,
)
from planner.mpc.solver import RtiSolver
from planner.mpc.value_net import random_value_net
from planner.safety import EmergencyBrake
from planner.tracker import PlanTracker
from scenarios.drive import git_hash
from scenarios.intervals import paired_ratio
from scenarios.street import DT, LiveTraffic, Replay, Step, Street
from world_model.constant_velocity import ConstantVelocity

ROWS = Path("results/planner_bench.jsonl")
TOWNS = ("grid", "Town01", "Town02")  # of the comparisons, by turns
WILD_TOWNS = ("grid", "ring", "Town01", "Town02", "Town04")
ROUTE_M = 600.0  # [m] at least: none is driven to its end
RESIDUAL = 1e-4  # of the KKT conditions, for comparisons at equal residual
BATCH = 64  # problems whose gradients are taken at once


@dataclass
class Size:
    """How much is measured: seeds, ticks of a drive, problems and ticks of random traffic."""

    seeds: int = 20
    ticks: int = 600
    problems: int = 1000
    compared: int = 200
    wild_ticks: int = 20_000


QUICK = Size(seeds=3, ticks=200, problems=60, compared=20, wild_ticks=1000)


@dataclass
class Report:
    """Rows of the table: what, goal, reached, whether it was met."""

    rows: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def times(self, what: str, ms: Array, median: float, p99: float) -> None:
        """Add a row of times against a median and a 99th percentile."""
        got = np.percentile(ms, [50, 99])
        self.rows.append((
            f"{what}: median / p99", f"{median:.1f} / {p99:.1f} ms", f"{got[0]:.2f} / {got[1]:.2f}",
            bool(got[0] <= median and got[1] <= p99),
        ))  # fmt: skip

    def add(self, what: str, goal: str, reached: str, met: bool) -> None:
        """Add a row."""
        self.rows.append((what, goal, reached, bool(met)))

    def table(self, title: str) -> Table:
        """Return all rows."""
        table = Table("what", "goal", "reached", "", title=title)
        for what, goal, reached, met in self.rows:
            word = "[green]met" if met else "[red]missed"
            table.add_row(what, goal, reached, "" if goal == "-" else word)
        return table


def driver_of(planner: Planner) -> Driver:
    """Return the whole driver around a planner."""
    return Driver(
        PrivilegedPerception(), RouteLanguage(), ConstantVelocity(), planner, PlanTracker(),
        EmergencyBrake(),
    )  # fmt: skip


@dataclass
class Stage:
    """A route and the others' motions on it, the same for whoever drives."""

    graph: LaneGraph
    route: Route
    frames: list[ActorSnapshot]

    def drive(
        self, planner: Planner, ticks: int, seen: Callable[[Step], None] = lambda step: None
    ) -> None:
        """Drive it."""
        Street(self.graph, self.route, driver_of(planner)).drive(Replay(self.frames), ticks, seen)


def make_stage(town: str, seed: int, ticks: int) -> Stage:
    """Record traffic that lives around the rule-based planner."""
    graph = load_town(town).lane_graph
    route = random_route(graph, seed, min_length=ROUTE_M)
    street = Street(graph, route, driver_of(IdmPlanner()))
    config = TrafficConfig(num_vehicles=40, num_walkers=20)
    frames = street.drive(LiveTraffic(graph, route, street.ego(), config, seed), ticks)
    return Stage(graph, route, frames)


def towns(names: tuple[str, ...]) -> list[str]:
    """Return those that are installed."""
    there = set(available_towns())
    return [name for name in names if name in there]


def known_rows(commit: str, ticks: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the drives by IPOPT that this commit has made already, by town and seed."""
    if not ROWS.is_file() or commit.endswith("+"):
        return {}
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    return {
        (row["town"], row["seed"]): row
        for row in rows
        if row["commit"] == commit and row["ticks"] == ticks
    }


@dataclass
class Recording:
    """What the real-time iteration's drives left behind.

    Attributes:
        problems: of 20 intervals.
        longer: of 40.
        cost: stage cost of each drive, by town and seed.
        steps: all ticks.
    """

    problems: list[Instance] = field(default_factory=list)
    longer: list[Instance] = field(default_factory=list)
    cost: dict[tuple[str, int], float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def record(size: Size, console: Console) -> Recording:
    """Drive every seed by real-time iteration."""
    config, long = MpcConfig(), MpcConfig(dt=MpcConfig().dt * 2)
    out, places = Recording(), towns(TOWNS)
    every = max(1, 2 * size.seeds * size.ticks // size.problems)
    seeds = range(1, size.seeds + 1)
    for seed in track(seeds, description="drives by real-time iteration", console=console):
        town = places[seed % len(places)]
        stage = make_stage(town, seed, size.ticks)
        planner = WatchedPlanner(config, every=every)
        stage.drive(planner, size.ticks, out.steps.append)
        out.problems += planner.recorder.kept
        out.cost[town, seed] = DT * float(np.sum(planner.costs))
        if len(out.longer) < size.problems // 4:
            planner = WatchedPlanner(long, every=every)
            stage.drive(planner, size.ticks // 2)
            out.longer += planner.recorder.kept
    return out


def act_time(steps: list[Step], report: Report) -> None:
    """The whole driver with about 30 agents around."""
    near = np.array([step.num_near for step in steps])
    busy = 1e3 * np.array([s.act_cpu_s for s in steps])[(near >= 25) & (near <= 35)]
    if len(busy) < 100:
        return
    p99 = float(np.percentile(busy, 99))
    report.add(
        f"Driver.act, 25 to 35 agents within 150 m ({len(busy)} ticks): p99", "8 ms",
        f"{p99:.2f} (median {np.median(busy):.2f})", p99 <= 8.0,
    )  # fmt: skip


def against_ipopt(
    size: Size, ours: dict[tuple[str, int], float], commit: str, report: Report, console: Console
) -> None:
    """What a route costs, driven by real-time iteration and by IPOPT to convergence."""
    known, config = known_rows(commit, size.ticks), MpcConfig()
    ipopt, pairs = make_reference(config, "ipopt"), []
    for town, seed in track(list(ours), description="drives by IPOPT", console=console):
        row = known.get((town, seed))
        if row is None:
            planner = WatchedPlanner(config, ipopt)
            make_stage(town, seed, size.ticks).drive(planner, size.ticks)
            row = {"town": town, "seed": seed, "ticks": size.ticks, "commit": commit,
                   "solver": "ipopt", "cost": DT * float(np.sum(planner.costs))}  # fmt: skip
            if size is not QUICK:
                ROWS.parent.mkdir(exist_ok=True)
                with ROWS.open("a") as file:
                    file.write(json.dumps(row) + "\n")
        pairs.append((ours[town, seed], row["cost"]))
    _compare_costs(np.array(pairs), report)


def _compare_costs(pairs: Array, report: Report) -> None:
    """Paired bootstrap over the seeds of the relative difference of summed stage costs."""
    ratio, low, high = (100.0 * (share - 1.0) for share in paired_ratio(pairs, seed=1))
    report.add(
        f"closed loop, stage cost of a route against IPOPT converged ({len(pairs)} seeds)",
        "interval ends at most 2 % worse", f"{ratio:+.2f} % [{low:+.2f}, {high:+.2f}]", high <= 2.0,
    )  # fmt: skip


def solver_times(problems: list[Instance], longer: list[Instance], report: Report) -> None:
    """The compiled solver alone."""
    config = MpcConfig()
    solver = RtiSolver(np.array(config.dt), config.limits)
    rti_ms(solver, problems[:20])
    report.times("solve, 20 intervals", rti_ms(solver, problems)[0], 0.8, 1.5)
    value = random_value_net(1, problems[0].x0)
    rti_ms(solver, problems[:20], value=value)
    report.times(
        "the same with a 3x256 V, its expansion inside", rti_ms(solver, problems, value=value)[0],
        1.2, 2.0,
    )  # fmt: skip
    solver = RtiSolver(np.tile(config.dt, 2), config.limits)
    rti_ms(solver, longer[:20])
    report.times("solve, 40 intervals", rti_ms(solver, longer)[0], 1.6, 3.0)


def gradients(problems: list[Instance], report: Report) -> None:
    """Gradients of converged solutions by all that is given; converging is not in their times."""
    batch, config = problems[:: max(1, len(problems) // BATCH)][:BATCH], MpcConfig()
    given = Problems(
        np.stack([p.x0 for p in batch]), np.stack([p.stages for p in batch]),
        np.stack([p.shared for p in batch]),
    )  # fmt: skip
    inputs = np.stack([p.inputs for p in batch])
    times = bench_gradient(given, inputs, np.array(config.dt), config.limits)
    report.add("gradient of one solution by all parameters", "0.6 ms",
               f"{times.single:.2f} ({times.single_torch:.2f} through torch)",
               times.single <= 0.6)  # fmt: skip
    report.add(f"gradients of a batch of {times.num_batch}", "10 ms",
               f"{times.batch:.2f} ({times.batch_torch:.2f} through torch)",
               times.batch <= 10.0)  # fmt: skip
    report.add("convergence before that, mean of one (in neither)", "-",
               f"{times.single_converge:.2f} ms, {times.num_converged} of {times.num_batch}",
               True)  # fmt: skip


def references(size: Size, problems: list[Instance], report: Report, console: Console) -> None:
    """The compiled solver beside CasADi's, in time and in what they find."""
    config = MpcConfig()
    solver = RtiSolver(np.array(config.dt), config.limits)
    few = problems[:: max(1, len(problems) // size.compared)]
    single = float(np.median(rti_ms(solver, few)[0]))
    equal, found = rti_ms(solver, few, iterations=50, tolerance=RESIDUAL)
    ours = float(np.median(equal))
    report.add(f"solve to residual {RESIDUAL:g}: median, solved to it", "-",
               f"{ours:.2f} ms, {100 * np.mean([s.residual < RESIDUAL for s in found]):.0f} %",
               True)  # fmt: skip
    for method, goal in (("ipopt", 10.0), ("fatrop", 5.0), ("sqpmethod", 3.0)):
        console.print(f"{method} on {len(few)} problems")
        one = reference_ms(make_reference(config, method), few)[0]
        ratio = float(np.median(one)) / single
        name = "sqpmethod + piqp, one iteration" if method == "sqpmethod" else f"{method} converged"
        report.add(f"one iteration against {name}", f"{goal:g}x faster",
                   f"{ratio:.1f}x ({np.median(one):.2f} ms)", ratio >= goal)  # fmt: skip
        rough = make_reference(config, method, RESIDUAL)
        times, found = reference_ms(rough, few, iterations=50, tolerance=RESIDUAL)
        reached = np.mean([s.residual <= 1.01 * RESIDUAL for s in found])
        ratio = float(np.median(times)) / ours
        report.add(
            f"both to residual {RESIDUAL:g} against {method}",
            f"{goal:g}x faster",
            f"{ratio:.1f}x ({np.median(times):.2f} ms, {100 * reached:.0f} % reach it)",
            ratio >= goal,
        )
    ipopt = make_reference(config, "ipopt")
    good: dict[int, list[tuple[bool, bool]]] = {1: [], 3: [], 5: []}
    for problem in track(problems, description="IPOPT on all problems", console=console):
        best = reference_ms(ipopt, [problem])[1][0]
        for iterations, flags in good.items():
            flags.append(as_good(rti_ms(solver, [problem], iterations)[1][0], best))
    for iterations, flags in good.items():
        share, cheap = float(np.mean(np.all(flags, axis=1))), float(np.mean([c for c, _ in flags]))
        report.add(
            f"within 2 % of IPOPT's cost, constraints no worse, iterations: {iterations}",
            "95 % of problems" if iterations == 3 else "-",
            f"{100 * share:.1f} % of {len(flags)} (cost alone {100 * cheap:.1f} %)",
            iterations != 3 or share >= 0.95,
        )


def wild(size: Size, report: Report, console: Console) -> None:
    """Random live traffic, of any density: nothing may break."""
    spent: list[float] = []
    bad = errors = 0
    places, number = towns(WILD_TOWNS), 0
    draw = np.random.Generator(np.random.PCG64(3))
    while len(spent) < size.wild_ticks:
        number += 1
        graph = load_town(places[number % len(places)]).lane_graph
        route = random_route(graph, 1000 + number, min_length=300.0)
        planner = WatchedPlanner()
        street = Street(graph, route, driver_of(planner))
        config = TrafficConfig(
            num_vehicles=int(draw.integers(0, 80)), num_walkers=int(draw.integers(0, 60))
        )
        others = LiveTraffic(graph, route, street.ego(), config, number)
        try:
            street.drive(others, min(1000, size.wild_ticks - len(spent)),
                         lambda step: spent.append(step.act_cpu_s))  # fmt: skip
        except Exception:
            # Whatever it is, it counts; the others of the row are still to be driven.
            errors += 1
            console.print(traceback.format_exc(), markup=False)
            if errors > 20:
                break
        bad += planner.num_bad
    p999 = 1e3 * float(np.percentile(spent, 99.9))
    report.add(f"{len(spent)} ticks of random traffic in {number} drives: not finite, exceptions",
               "0, 0", f"{bad}, {errors}", bad == errors == 0)  # fmt: skip
    report.add("the same, a tick: p99.9", "20 ms", f"{p999:.2f}", p999 <= 20.0)


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute's worth, writes nothing")
    parser.add_argument("--seeds", type=int, default=Size.seeds, help="of the closed loops")
    parser.add_argument("--ticks", type=int, default=Size.ticks, help="of each of their drives")
    options = parser.parse_args()
    size = QUICK if options.quick else Size(seeds=options.seeds, ticks=options.ticks)
    console, report, commit = Console(width=140), Report(), git_hash()
    make_stage("grid", 1, 5).drive(WatchedPlanner(), 5)  # loads the kernels
    recording = record(size, console)
    act_time(recording.steps, report)
    solver_times(recording.problems, recording.longer, report)
    gradients(recording.problems, report)
    references(size, recording.problems, report, console)
    wild(size, report, console)
    title = f"CPU times of one thread; commit {commit[:12]}{commit[40:]}"
    console.print(report.table(title))
    against_ipopt(size, recording.cost, commit, report, console)
    console.print(report.table(title))


if __name__ == "__main__":
    main()
