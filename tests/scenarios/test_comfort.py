"""Comfort on motions whose answer is known."""

import numpy as np
import pytest

from scenarios.comfort import SAMPLE_S, comfortable_share, motion, smooth


def test_smoothing_keeps_polynomials_and_their_slopes():
    t = SAMPLE_S * np.arange(60)
    values = 1.0 + 2.0 * t - 0.5 * t**2
    inside = slice(8, -8)
    assert smooth(values, 7, 2)[inside] == pytest.approx(values[inside])
    assert smooth(values, 15, 3, derivative=1)[inside] == pytest.approx((2.0 - t)[inside])


def test_a_ramp_of_acceleration_is_its_jerk():
    t = SAMPLE_S * np.arange(60)
    series = motion(accel=3.0 * t, lateral_accel=np.zeros(60), yaw_rate=0.2 * t)
    assert series["longitudinal_jerk"][10:-10] == pytest.approx(3.0)
    assert series["yaw_accel"][10:-10] == pytest.approx(0.2)


@pytest.mark.parametrize(("accel", "share"), [(2.0, 1.0), (2.6, 0.0), (-4.0, 1.0), (-4.2, 0.0)])
def test_a_steady_acceleration_is_comfortable_up_to_the_bound(accel, share):
    t = 0.05 * np.arange(1200)  # a minute at 20 Hz
    assert comfortable_share(t, 0.0 * t + accel, 0.0 * t, 0.0 * t) == share
