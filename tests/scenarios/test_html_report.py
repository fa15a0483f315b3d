"""What a bench keeps of its drives, and the page made of it, in a real browser."""

from __future__ import annotations

import os
import re
import shutil

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from headway.cli import app
from headway.trace import Trace
from scenarios.html_report import PAGE, read_rows
from scenarios.packing import pack, read, unpack
from scenarios.recording import RANGE, SAMPLE_S, STEP
from scenarios.replay import read_kept
from tests.scenarios.kept import ERROR, INFRACTION, PLANNERS, drive_bench

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
POSE = re.compile(r"x (−?[\d.]+) y (−?[\d.]+) m, (−?[\d.]+) m/s")
SLACK = 1e-9  # of whole steps as floating-point numbers


@pytest.fixture(scope="module")
def folder(grid, tmp_path_factory):
    path = drive_bench(grid, tmp_path_factory.mktemp("kept"))
    done = CliRunner().invoke(app, ["report", str(path)])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        own = running.chromium.executable_path
        paths = [path for name in BROWSERS if (path := shutil.which(name))]
        found = own if os.path.exists(own) else next(iter(paths), None)
        if found is None:
            pytest.skip("needs Chromium: `make browser` installs it")
        # Without a sandbox: it refuses to run as root with one, and the page is ours.
        browser = running.chromium.launch(executable_path=found, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, folder):
    """The report, opened from disk; whatever it says on the console fails the test."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: request.url.startswith(("file:", "data:", "blob:"))
            or said.append(request.url))  # fmt: skip
    page.goto((folder / PAGE).as_uri())
    page.wait_for_selector("#plots svg", state="attached")
    yield page
    page.close()
    assert said == []


def test_columns_come_back_within_half_a_step():
    rng = np.random.default_rng(3)
    for step in (0.01, 1e-3, 0.37):
        values = np.cumsum(rng.normal(0.0, 3.0, 500)) - 400.0
        values[rng.random(500) < 0.1] = np.nan
        back = unpack(pack(values, step))
        assert np.array_equal(np.isnan(back), np.isnan(values))
        known = ~np.isnan(values)
        assert np.abs(back - values)[known].max() <= 0.5 * step + SLACK


@pytest.mark.parametrize("planner", PLANNERS)
def test_a_drive_is_kept_as_the_driver_saw_it_and_small(folder, planner):
    kept = folder / f"drives/{planner}/7-1"
    trace, drive = Trace.load(kept / "trace.npz"), read(kept / "drive.json.gz")
    stride = round(SAMPLE_S / 0.05)
    records = trace.records[::stride]
    assert drive["num"] == len(records)
    assert drive["dt"] == pytest.approx(SAMPLE_S)
    for name, column in (("x", "place"), ("y", "place")):
        real = np.array([r.ego["xy".index(name)] for r in records])
        assert np.abs(unpack(drive["ego"][name]) - real).max() <= 0.5 * STEP[column] + SLACK
    for name, column in (("speed", 6), ("accel", 7)):
        real = np.array([r.ego[column] for r in records])
        assert np.abs(unpack(drive["series"][name]) - real).max() <= 0.5 * STEP[name] + SLACK
    seen = {(a["id"], a["from"] + i): (x, y) for a in drive["agents"] for i, (x, y) in
            enumerate(zip(unpack(a["x"]), unpack(a["y"]), strict=True))}  # fmt: skip
    expected = 0
    for i, record in enumerate(records):
        for agent, row in zip(record.agent_id, record.agents, strict=True):
            if np.hypot(*(row[:2] - record.ego[:2])) < RANGE:
                expected += 1
                assert seen[int(agent), i] == pytest.approx(row[:2], abs=0.006)
    assert len(seen) == expected > 0
    seconds = len(records) * SAMPLE_S
    kilobytes = (kept / "drive.json.gz").stat().st_size / 1e3
    # A thousand drives of two minutes in base64, among thirty agents, are to fit in 200 MB.
    assert kilobytes < 3.0 + 0.4 * seconds
    assert ("solve_ms" in drive["series"]) == (planner == "mpc") == bool(drive["cost"])


def test_what_was_recorded_will_do_for_a_log_and_a_film(folder, tmp_path, monkeypatch):
    kept = shutil.copytree(folder / "drives/mpc/7-1", tmp_path / "drive")
    whole = read_kept(kept).trace
    (kept / "trace.npz").unlink()
    made = read_kept(kept).trace
    for name, within in (("x", 0.006), ("y", 0.006), ("speed", 0.006)):
        assert made.column(name) == pytest.approx(whole.column(name)[::2], abs=within)
    assert made.agent_type.items() <= whole.agent_type.items()
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["replay", str(kept)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(kept / "drive.rrd")
    assert "no screen" in done.stderr
    assert (kept / "drive.rrd").stat().st_size > 10_000
    done = CliRunner().invoke(app, ["replay", str(kept), "--video", str(tmp_path / "drive.mp4")])
    assert done.exit_code == 0, done.output
    with av.open(str(tmp_path / "drive.mp4")) as film:
        seconds = film.streams.video[0].frames / film.streams.video[0].average_rate
    assert float(seconds) == pytest.approx(len(made) * SAMPLE_S, abs=0.2)
    done = CliRunner().invoke(app, ["replay", str(folder)])
    assert done.exit_code == 2
    assert "expected the folder of one drive" in " ".join(done.stderr.split())


def test_a_folder_without_rows_has_no_report(tmp_path):
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "expected the rows of `headway bench`" in " ".join(done.stderr.split())


def test_the_ranking_shows_the_rows(page, folder):
    rows = read_rows(folder)
    for planner, errors in zip(PLANNERS, (0, 1), strict=True):
        mine = [row for row in rows if row["planner"] == planner and "error" not in row]
        score = np.mean([row["driving_score"] for row in mine])
        shown = page.inner_text(f"#ranking-table tr[data-planner={planner}]").split()
        assert shown[:2] == [planner, f"{score:.1f}"]
        assert shown[-2:] == [str(len(mine)), str(errors)]
    assert "Atlantis" in page.inner_text("#left-out")
    assert "Emergency Brake" in page.inner_text("#abilities-table")
    shown = page.inner_text("#differences-table")
    assert "mpc" in page.inner_text("#differences-head")
    assert "idm" in shown


def read_pose(page, planner):
    """x, y [m] and speed [m/s] that the page shows of a planner's car."""
    words = page.inner_text(f".readout [data-planner={planner}]")
    found = POSE.search(words)
    assert found is not None, words
    return [float(word.replace("−", "-")) for word in found.groups()]


def test_the_replay_has_ego_where_the_trace_has_it(page, folder):
    trace = Trace.load(folder / "drives/mpc/7-1/trace.npz")
    for t in (2.0, 5.0, 7.5):
        page.locator("#scrub").fill(str(t))
        x, y, speed = (float(np.interp(t, trace.column("t"), trace.column(name)))
                       for name in ("x", "y", "speed"))  # fmt: skip
        *place, shown = read_pose(page, "mpc")
        assert place == pytest.approx([x, y], abs=0.03)
        assert shown == pytest.approx(speed, abs=0.25)  # of the nearest sample
    # Following the car, its colour stands in the middle of the map.
    assert middle_pixel(page) == (0x00, 0x72, 0xB2)
    page.keyboard.press("1")  # without mpc the map follows idm
    assert page.locator(".readout [data-planner=mpc]").count() == 0
    assert middle_pixel(page) == (0xD5, 0x5E, 0x00)


def middle_pixel(page):
    """Colour a little behind the middle of the map, where no windscreen is."""
    script = """() => { const map = document.querySelector('.view canvas');
        const pixel = map.getContext('2d').getImageData(map.width / 2, map.height / 2, 1, 1).data;
        return Array.from(pixel.slice(0, 3)); }"""
    return tuple(page.evaluate(script))


def test_a_click_on_an_infraction_jumps_there(page, folder):
    trace = Trace.load(folder / "drives/idm/7-1/trace.npz")
    there = [float(np.interp(INFRACTION["t"], trace.column("t"), trace.column(name)))
             for name in ("x", "y", "speed")]  # fmt: skip
    for button in ("#events button.event", "#infractions button"):  # on the time line, in words
        page.keyboard.press("ArrowRight")
        page.click(button)
        assert page.inner_text("#clock").startswith(f"{INFRACTION['t']:.2f} s")
        assert read_pose(page, "idm") == pytest.approx(there, abs=0.25)
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#clock").startswith(f"{INFRACTION['t'] + 1:.2f} s")
    assert INFRACTION["reason"] in page.inner_text("#infractions")


def test_playing_passes_time_and_what_could_not_be_driven_says_why(page):
    page.keyboard.press("Space")
    page.wait_for_function("parseFloat(document.getElementById('clock').textContent) > 0.3")
    page.keyboard.press("Space")
    stopped = page.inner_text("#clock")
    page.wait_for_timeout(120)
    assert page.inner_text("#clock") == stopped
    page.click(".route[data-key='9-1']")
    page.wait_for_selector("#drives .reason")
    assert ERROR in page.inner_text("#drives")
    assert not page.is_visible("#stage")
