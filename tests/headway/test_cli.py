"""The command line: composition of configurations, errors, and one real drive."""

import json
import subprocess
import sys

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from headway.cli import app, compose_drive
from headway.road.lane_graph import LaneGraph
from headway.trace import Trace
from headway.traffic import TrafficConfig
from planner.mpc.config import MpcConfig
from scenarios.config import NoTrafficConfig, TrafficManagerConfig

DRIVE_KEYS = {
    "town", "seed", "route_completion", "collisions", "collisions_at_fault", "red_lights",
    "stop_signs", "speeding_s", "agents_within_50m", "sim_s", "wall_s", "outputs",
}  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_the_default_composes_to_typed_parts():
    config, plain = compose_drive([])
    assert config.town == "grid"
    assert config.route_length == (1000.0, 1500.0)
    assert isinstance(config.planner, MpcConfig)
    assert config.planner.cost == MpcConfig().cost
    assert config.planner.rules == MpcConfig().rules
    assert config.traffic == TrafficConfig()
    assert (config.traffic.num_vehicles, config.traffic.num_walkers) == (40, 20)
    json.dumps(plain)


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("headway", TrafficConfig), ("traffic_manager", TrafficManagerConfig),
     ("none", NoTrafficConfig)],
)  # fmt: skip
def test_every_choice_of_traffic_composes(choice, kind):
    config, _ = compose_drive([f"traffic={choice}", "port=2000", "town=null", "seed=7"])
    assert isinstance(config.traffic, kind)
    assert (config.port, config.town, config.seed) == (2000, None, 7)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("sede=3", "Did you mean seed"),
        ("output.vidoe=false", "Did you mean output.video"),
        ("planner=idn", "idm"),
        ("seed=many", "seed"),
        ("traffic.num_vehicles=-1", "num_vehicles"),
        ("min_length=-5", "min_length"),
        ("town", "expected KEY=VALUE"),
    ],
)
def test_wrong_overrides_fail_and_say_what_is_wrong(override, words):
    with pytest.raises(ValueError, match=words):
        compose_drive([override])
    assert run("drive", override).exit_code == 2


@pytest.mark.parametrize("command", ["serve", "drive", "profile", "towns", "towns show"])
def test_help_has_an_example(command):
    result = run(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"headway {command.split()[0]}" in result.output
    assert "Example" in result.output


def test_towns_are_listed_and_drawn(tmp_path):
    assert {"grid", "ring"} <= set(run("towns").output.split())
    result = run("towns", "show", "ring", "--out", str(tmp_path / "ring.png"))
    assert result.exit_code == 0
    assert (tmp_path / "ring.png").stat().st_size > 10_000
    assert run("towns", "show", "Atlantis").exit_code == 2


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """One short drive among a few others, with everything it writes, by the real command."""
    folder = tmp_path_factory.mktemp("drive")
    command = [sys.executable, "-m", "headway.cli", "drive", "--json", "seed=3", "min_length=300",
               "traffic.num_vehicles=12", "traffic.num_walkers=6", "episode.time_limit_s=12",
               f"output.folder={folder}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_drive_ends_with_the_promised_json(drive):
    folder, result, words = drive
    assert set(result) == DRIVE_KEYS
    assert (result["town"], result["seed"], result["outputs"]) == ("grid", 3, str(folder))
    assert result["sim_s"] == pytest.approx(12.0, abs=0.06)
    assert 0.02 < result["route_completion"] < 1.0
    assert result["agents_within_50m"] > 0.0
    assert "driving grid, seed 3" in words


def test_the_folder_holds_result_config_trace_plots_film_and_log(drive):
    folder, result, _ = drive
    saved = json.loads((folder / "result.json").read_text())
    assert {k: saved[k] for k in DRIVE_KEYS} == result
    assert saved["ending"] == "time_limit"
    config = json.loads((folder / "config.json").read_text())
    assert config["seed"] == 3
    assert config["config"]["traffic"]["num_vehicles"] == 12
    assert len(config["git"]) >= 7
    for name, least in (("plots.png", 20_000), ("drive.rrd", 20_000)):
        assert (folder / name).stat().st_size > least
    trace = Trace.load(folder / "trace.npz")
    assert len(trace) == round(result["sim_s"] / 0.05)
    assert LaneGraph.load(folder / "lane_graph.npz").name == "grid"


def test_the_film_has_a_frame_per_tick_and_shows_ego(drive):
    folder, _, _ = drive
    trace = Trace.load(folder / "trace.npz")
    with av.open(str(folder / "drive.mp4")) as film:
        assert film.streams.video[0].average_rate == 20
        frames = [f.to_ndarray(format="rgb24") for f in film.decode(video=0)]
    assert len(frames) == len(trace)
    height, width, _ = frames[0].shape
    for image in frames[::60]:
        # Ego is cyan and stands at the same place of the image; the ground there never is.
        spot = image[
            round(0.66 * height) - 3 : round(0.66 * height) + 4, width // 2 - 2 : width // 2 + 3
        ]
        red, green, blue = spot.reshape(-1, 3).astype(float).mean(axis=0)
        assert blue > red + 60
        assert green > red + 60
    moved = np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean()
    assert moved > 1.0


def test_profile_prints_each_stage(tmp_path):
    command = [sys.executable, "-m", "headway.cli", "profile", "--json", "traffic=none",
               "episode.time_limit_s=4", f"output.folder={tmp_path}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    stages = json.loads(done.stdout.splitlines()[-1])["stages"]
    assert {"perceive", "propose", "imagine", "refine", "track", "safety", "act"} <= set(stages)
    for times in stages.values():
        assert set(times) == {"median_ms", "p99_ms"}
        assert 0.0 <= times["median_ms"] <= times["p99_ms"]
    parts = sum(s["median_ms"] for name, s in stages.items() if name != "act")
    assert stages["act"]["median_ms"] == pytest.approx(parts, rel=0.5)


def test_a_server_that_is_not_there_is_one_message_and_exit_code_2():
    result = run("drive", "port=1", "traffic=none")
    assert result.exit_code == 2
    assert "no server listens at 127.0.0.1:1" in " ".join(result.output.split())
