"""What draws and times the film: geometry of camera, canvas and ground."""

import numpy as np
import pytest

from headway.road.lane_graph import LaneKind
from headway.trace import Trace
from scenarios.basemap import DASH, dashes, draw_ground, zebra
from scenarios.canvas import box, line, sample
from scenarios.hud import reason_words, rgb
from scenarios.video import Camera, Painter, route_progress, smooth_yaw

WHITE = rgb("#ffffff")


def channels(image):
    return image.view(np.uint8).reshape(*image.shape, 4)


def test_a_box_covers_its_area_whatever_its_angle():
    for angle in (0.0, 0.3, 1.2, -2.0):
        image = np.full((120, 120), 0xFF000000, dtype=np.uint32)
        box(image, 60.3, 59.6, angle, 30.0, 12.0, 0.0, 1.0, WHITE, 1.0)
        area = channels(image)[..., 0].sum() / 255.0
        assert area == pytest.approx(4 * 30.0 * 12.0, rel=0.02)


def test_a_line_that_folds_back_is_not_drawn_twice():
    image = np.full((60, 100), 0xFF000000, dtype=np.uint32)
    mask = np.zeros((60, 100), dtype=np.float32)
    there_and_back = np.array([[10.0, 30.0], [80.0, 30.0], [10.0, 30.0]])
    line(image, mask, there_and_back, 4.0, WHITE, 0.5, 0.5)
    assert abs(int(channels(image)[30, 40, 0]) - 128) <= 2
    assert not mask.any()


def test_sampling_turns_and_shifts_a_picture():
    base = np.full((200, 200), 0xFF000000, dtype=np.uint32)
    base[100:110, 120:140] = 0xFFFFFFFF
    out = np.zeros((80, 80), dtype=np.uint32)
    # A quarter turn: one pixel to the right is one row down in the base.
    sample(base, out, 140.0, 60.0, np.array([0.0, 1.0]), np.array([-1.0, 0.0]))
    white = np.argwhere(channels(out)[..., 1] > 200)
    assert white[:, 0].min() == 1
    assert white[:, 0].max() == 20
    assert white[:, 1].min() == 40
    assert white[:, 1].max() == 49


def test_the_camera_puts_ahead_up_and_left_left():
    camera = Camera(10.0, 5.0, 0.5 * np.pi, 8.0, 640.0, 480.0)
    assert camera.pixels(np.array([10.0, 5.0])) == pytest.approx([640.0, 480.0])
    assert camera.pixels(np.array([10.0, 15.0])) == pytest.approx([640.0, 400.0])  # north is up
    assert camera.pixels(np.array([9.0, 5.0])) == pytest.approx([632.0, 480.0])
    # Something that heads as the camera does points up: clockwise from the right, -90 degrees.
    assert camera.angle(0.5 * np.pi) == pytest.approx(-0.5 * np.pi)


def test_the_ground_shows_roads_where_they_are(grid):
    rows = np.flatnonzero(grid.kind[grid.point_lane] == LaneKind.DRIVING)[::500]
    x, y = grid.xyz[:, 0], grid.xyz[:, 1]
    bounds = (float(x.min()) - 20, float(y.min()) - 20, float(x.max()) + 20, float(y.max()) + 20)
    ground = draw_ground(grid, bounds, 4.0)
    pixels = channels(ground.image)
    dark = 0
    for row in rows:
        column, line_ = (
            (x[row] - ground.west) * ground.scale,
            (ground.north - y[row]) * ground.scale,
        )
        red, green, blue = pixels[int(line_), int(column), :3].astype(int)
        dark += abs(red - green) < 20 and abs(green - blue) < 25 and red < 130
    assert dark > 0.85 * len(rows)  # the rest lies under crosswalks and stop lines
    red, green, blue = pixels[2, 2, :3].astype(int)
    assert green > red > blue  # grass


def test_zebra_and_dashes_have_the_sizes_they_should():
    ring = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 3.0], [0.0, 3.0], [0.0, 0.0]])
    stripes = zebra(ring)
    assert len(stripes) == 8
    for stripe in stripes:
        assert np.ptp(stripe, axis=0) == pytest.approx([0.5, 3.0], abs=1e-6)
    way = np.column_stack([np.linspace(0, 75, 76), np.zeros(76)])
    pieces = dashes(way)
    assert len(pieces) == 10
    assert np.ptp(pieces[0][:, 0]) == pytest.approx(DASH[0])


def test_headings_are_smoothed_without_lag_and_across_the_seam():
    turn = np.concatenate([np.full(100, 3.0), np.full(100, -3.0)])  # over pi: a turn of 0.28 rad
    smooth = smooth_yaw(turn, 10)
    assert smooth[0] == pytest.approx(3.0)
    assert smooth[-1] == pytest.approx(2 * np.pi - 3.0)
    assert np.all(np.diff(smooth) >= -1e-12)
    assert smooth[99:101].mean() == pytest.approx(np.pi, abs=1e-6)


def test_progress_never_goes_back_and_follows_a_route_that_crosses_itself():
    angle = np.linspace(0.0, 2 * np.pi, 400)
    eight = np.column_stack([60 * np.sin(angle), 60 * np.sin(angle) * np.cos(angle)])
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(eight, axis=0).T))])
    places = eight[::2] + 0.3
    progress = route_progress(eight, s, places)
    assert np.all(np.diff(progress) >= 0.0)
    assert progress == pytest.approx(s[::2], abs=3.0)


def test_reasons_are_words():
    assert reason_words(("lead:17", "limit"))[0] == "following 17"
    assert reason_words(("red_light:3",))[0] == "red light"
    assert reason_words(())[0] == "free"
    assert reason_words(("something_new:4",))[0] == "something new"


def test_an_empty_trace_is_refused(grid):
    with pytest.raises(ValueError, match="empty trace"):
        Painter(Trace(), grid)
