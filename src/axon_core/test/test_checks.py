# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from axon_core.checks import check_array, check_number, range_text


def test_what_fits_comes_back_as_an_array():
    assert check_array("x", [[1, 2]], shape=(None, 2)).dtype == np.float64


@pytest.mark.parametrize(
    ("value", "shape", "text"),
    [
        ([1.0, np.nan], (2,), r"x: expected finite numbers, got nan at index \(1,\)"),
        ([1.0], (2,), r"x: expected shape \(2,\), got \(1,\)"),
        ([[1.0]], (None, 2), r"x: expected shape \(N, 2\), got \(1, 1\)"),
        ("word", None, "x: expected an array of float64, got 'word'"),
        ([[1], [1, 2]], None, "x: expected an array of float64"),
    ],
)
def test_what_does_not_fit_is_named(value, shape, text):
    with pytest.raises(ValueError, match=text):
        check_array("x", value, shape=shape)


def test_numbers_are_bounded_and_finite():
    assert check_number("x", 1, 0.0, 1.0) == 1.0
    with pytest.raises(ValueError, match=r"x = 2.0: expected 0.0 .. 1.0"):
        check_number("x", 2, 0.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        check_number("x", float("inf"))


def test_ranges_read_well():
    assert range_text(0.0, 1.0, "m") == "0.0 .. 1.0 m"
    assert range_text(0.0, None, "m") == ">= 0.0 m"
    assert range_text(None, 1.0) == "<= 1.0"
    assert range_text(None, None) == "any number"
