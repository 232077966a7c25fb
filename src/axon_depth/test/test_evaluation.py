# SPDX-License-Identifier: Apache-2.0
"""Measures of depth on cases whose numbers are known."""

import numpy as np
import pytest

from axon_depth.evaluation import (
    WITHIN_SIGMA_OF_LAPLACE,
    ause,
    depth_metrics,
    mean_of,
    median_scaled,
    within_sigma,
)


def true_depth(seed=0):
    return np.random.default_rng(seed).uniform(0.5, 6.0, (60, 80))


def test_the_truth_is_perfect():
    assert depth_metrics(true_depth(), true_depth()) == {"delta1": 1.0, "abs_rel": 0.0, "rmse_m": 0.0}


@pytest.mark.parametrize(("factor", "delta1"), [(1.24, 1.0), (1 / 1.24, 1.0), (1.26, 0.0), (1 / 1.26, 0.0)])
def test_a_factor_is_near_or_not(factor, delta1):
    numbers = depth_metrics(factor * true_depth(), true_depth())
    assert numbers["delta1"] == delta1
    assert numbers["abs_rel"] == pytest.approx(abs(factor - 1.0))


def test_a_hole_is_wrong_and_unknown_truth_does_not_count():
    true_m = true_depth()
    told_m = true_m.copy()
    told_m[:15] = np.nan
    true_m[30:] = 0.0
    assert depth_metrics(told_m, true_m)["delta1"] == pytest.approx(0.5)
    assert depth_metrics(told_m, true_m)["rmse_m"] == 0.0
    with pytest.raises(ValueError, match="no depth to compare"):
        depth_metrics(told_m[30:], true_m[30:])


def test_scaling_by_the_median_forgets_the_scale():
    told_m = true_depth() * np.random.default_rng(1).uniform(0.9, 1.1, (60, 80))
    scaled = [median_scaled(factor * told_m, true_depth()) for factor in (0.1, 1.0, 7.0)]
    np.testing.assert_allclose(scaled[0], scaled[1])
    np.testing.assert_allclose(scaled[2], scaled[1])
    assert np.median(scaled[0]) == pytest.approx(np.median(true_depth()))


def test_sigma_of_laplacian_errors_holds_as_often_as_it_should():
    rng, true_m = np.random.default_rng(2), np.full((300, 300), 3.0)
    sigma_m = rng.uniform(0.01, 0.3, true_m.shape)
    told_m = true_m + rng.laplace(0.0, sigma_m / np.sqrt(2.0))
    assert within_sigma(told_m, sigma_m, true_m) == pytest.approx(WITHIN_SIGMA_OF_LAPLACE, abs=0.01)


def test_ause_is_nought_for_the_best_order_one_by_chance_and_more_for_the_worst():
    rng, true_m = np.random.default_rng(3), true_depth()
    told_m = true_m * (1.0 + rng.uniform(-0.3, 0.3, true_m.shape))
    error = np.abs(told_m - true_m) / true_m
    assert ause(told_m, error * told_m, true_m) == pytest.approx(0.0, abs=1e-9)
    assert ause(told_m, rng.random(true_m.shape), true_m) == pytest.approx(1.0, abs=0.1)
    assert ause(told_m, told_m / error, true_m) > 1.5


def test_means_are_of_each_measure():
    assert mean_of([{"a": 1.0, "b": 0.0}, {"a": 3.0, "b": 1.0}]) == {"a": 2.0, "b": 0.5}
