"""Frames: round trips, and wrapping that keeps the direction."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.frames import (
    boxes,
    points_to_local,
    points_to_map,
    rotate,
    to_local,
    to_map,
    wrap_angle,
    wrap_angles,
)

angles = st.floats(-50.0, 50.0)
coordinates = st.floats(-1e4, 1e4)


@settings(deadline=None)  # the first call compiles
@given(angles)
def test_wrapping_keeps_the_direction_and_the_range(angle):
    wrapped = wrap_angle(angle)
    assert -math.pi < wrapped <= math.pi
    assert math.isclose(math.cos(wrapped), math.cos(angle), abs_tol=1e-9)
    assert math.isclose(math.sin(wrapped), math.sin(angle), abs_tol=1e-9)
    assert wrap_angles(np.array([angle]))[0] == wrapped


@settings(deadline=None)
@given(coordinates, coordinates, coordinates, coordinates, angles)
def test_local_and_back(x, y, ox, oy, yaw):
    back = to_map(*to_local(x, y, ox, oy, yaw), ox, oy, yaw)
    np.testing.assert_allclose(back, (x, y), atol=1e-9 * (1 + abs(x) + abs(y) + abs(ox) + abs(oy)))
    pose = np.array([ox, oy, yaw])
    local = points_to_local(np.array([[x, y]]), pose)
    np.testing.assert_allclose(local[0], to_local(x, y, ox, oy, yaw), atol=1e-7)
    np.testing.assert_allclose(points_to_map(local, pose)[0], (x, y), atol=1e-7)


def test_a_quarter_turn_left_takes_east_to_north():
    np.testing.assert_allclose(rotate(1.0, 0.0, math.pi / 2), (0.0, 1.0), atol=1e-12)


def test_a_box_that_faces_north_is_long_from_south_to_north():
    corners = boxes(np.array([10.0, 20.0, math.pi / 2]), np.array([2.5, 1.0]))
    np.testing.assert_allclose(
        corners, [[9.0, 22.5], [9.0, 17.5], [11.0, 17.5], [11.0, 22.5]], atol=1e-12
    )
