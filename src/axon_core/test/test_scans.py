# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.scans import Scan, check_scan


def make_scan(ranges, **changes):
    scan = Scan(np.array(ranges, dtype=np.float32), -np.pi / 2, np.pi / 2, 0.1, 10.0)
    return dataclasses.replace(scan, **changes)


def test_right_front_and_left():
    np.testing.assert_allclose(make_scan([1.0, 2.0, 3.0]).points(), [[0, -1], [2, 0], [0, 3]], atol=1e-6)


def test_what_is_no_hit():
    scan = make_scan([np.nan, np.inf, -np.inf, 0.05, 10.5, 0.1, 10.0])
    assert scan.hits.tolist() == [False] * 5 + [True] * 2
    assert scan.points().shape == (2, 2)


@given(st.lists(st.floats(0.125, 10.0, width=32), min_size=1, max_size=50))
def test_points_have_the_measured_range_and_direction(ranges):
    scan = check_scan(make_scan(ranges))
    x, y = scan.points().T
    np.testing.assert_allclose(np.hypot(x, y), scan.ranges_m[scan.hits], rtol=1e-6)
    np.testing.assert_allclose(np.cos(np.arctan2(y, x) - scan.angles_rad[scan.hits]), 1.0)


@pytest.mark.parametrize(
    ("scan", "text"),
    [
        (make_scan([]), "empty"),
        (make_scan([np.nan, np.nan]), "all 2 ranges are NaN"),
        (make_scan([1.0], angle_min_rad=np.nan), "angle_min_rad"),
        (make_scan([1.0, 1.0], angle_increment_rad=0.0), "angle_increment_rad = 0.0"),
        (make_scan([1.0], range_max_m=0.05), "range_max_m = 0.05: expected more than range_min_m = 0.1"),
        (make_scan([[1.0]]), "shape"),
    ],
)
def test_a_scan_without_sense_is_refused(scan, text):
    with pytest.raises(ValueError, match=text):
        check_scan(scan)
