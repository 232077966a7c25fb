# SPDX-License-Identifier: Apache-2.0
"""Trajectory errors: invariances, and a published number."""

from pathlib import Path

import numpy as np
import pytest
from rooms import around

from axon_slam.evaluation import align, ate_m, drift, rmse
from axon_slam.se3 import move, se3_exp

KITTI = Path(__file__).parents[4] / "shared" / "data" / "evo_kitti00"


def test_a_moved_trajectory_has_no_error_and_a_mirrored_one_is_not_turned_into_it():
    rng = np.random.default_rng(0)
    truth = rng.uniform(-5, 5, (50, 3))
    world = se3_exp(np.array([1.0, -0.5, 2.0, 10.0, 20.0, -5.0]))
    np.testing.assert_allclose(align(truth, move(world, truth)), world, atol=1e-9)
    assert rmse(ate_m(truth, move(world, truth))) < 1e-9
    assert np.linalg.det(align(truth * (1, 1, -1), truth)[:3, :3]) == pytest.approx(1.0)
    assert rmse(ate_m(truth * (1, 1, -1), truth)) > 1.0


def test_moving_the_world_leaves_the_error():
    rng = np.random.default_rng(1)
    truth = rng.uniform(-5, 5, (50, 3))
    estimated = truth + 0.1 * rng.standard_normal(truth.shape)
    world = se3_exp(np.array([0.4, 0.0, -2.0, 3.0, 1.0, 7.0]))
    assert rmse(ate_m(move(world, estimated), truth)) == pytest.approx(rmse(ate_m(estimated, truth)))


def test_drift_of_a_straight_line_that_is_too_long_by_a_tenth():
    truth = np.array([se3_exp(np.array([0, 0, 0, 0.1 * i, 0, 0])) for i in range(20)])
    estimated = np.array([se3_exp(np.array([0, 0, 0, 0.11 * i, 0, 0])) for i in range(20)])
    moved_m, turned_rad = drift(estimated, truth, 10)
    assert moved_m == pytest.approx(0.1) and turned_rad == pytest.approx(0.0, abs=1e-6)
    assert drift(around(30), around(30), 5)[0] == pytest.approx(0.0, abs=1e-9)


def test_too_few_positions_are_refused():
    with pytest.raises(ValueError, match="at least 3"):
        align(np.zeros((2, 3)), np.zeros((2, 3)))


def test_the_published_error_of_orb_slam_on_kitti():
    if not KITTI.is_dir():
        pytest.skip(f"no data at {KITTI}")
    truth, estimated = (np.loadtxt(KITTI / f"KITTI_00_{name}.txt")[:, [3, 7, 11]] for name in ("gt", "ORB"))
    assert rmse(ate_m(estimated, truth)) == pytest.approx(1.30345, abs=1e-4)  # as evo 1.x prints it
