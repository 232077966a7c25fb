# SPDX-License-Identifier: Apache-2.0
"""Poses from points: exact ones are found, outliers refused, derivatives are those of differences."""

import numpy as np
import pytest
from rooms import CAMERA, MOUNT

from axon_slam import pose_estimation
from axon_slam.pose_estimation import Matches, PosePrior, locate, planar_residual, refine_pose
from axon_slam.se3 import inverse, move, se3_exp

POSE = se3_exp(np.array([0.02, -0.01, 0.7, 1.0, 2.0, 0.1]))


def seen(count=80, outliers=0, noise_px=0.0, seed=0):
    """Points before the camera at POSE, and where it sees them."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform((10, 10), (310, 230), (count, 2))
    depths = rng.uniform(1.0, 5.0, count)
    points = move(POSE @ MOUNT, CAMERA.back_project(pixels, depths))
    pixels = pixels + noise_px * rng.standard_normal(pixels.shape)
    pixels[:outliers] = rng.uniform((0, 0), (320, 240), (outliers, 2))
    depths[: count // 4] = np.nan
    return Matches(points, pixels, depths, np.ones(count), 0.003 + 0.005 * np.nan_to_num(depths) ** 2)


def test_the_exact_pose_is_found_from_a_guess_and_without():
    matches = seen()
    guess = POSE @ se3_exp(np.array([0.05, 0.05, -0.05, 0.1, -0.1, 0.1]))
    for estimate in (refine_pose(guess, matches, CAMERA, MOUNT), locate(matches, CAMERA, MOUNT)):
        np.testing.assert_allclose(estimate.map_T_base, POSE, atol=1e-5)
        assert estimate.count == len(matches)


def test_outliers_are_named_and_do_no_harm():
    matches = seen(count=100, outliers=30, noise_px=0.3)
    estimate = locate(matches, CAMERA, MOUNT)
    np.testing.assert_allclose(estimate.map_T_base, POSE, atol=0.02)
    assert estimate.inliers[:30].sum() <= 2
    assert estimate.inliers[30:].sum() >= 65


def test_moving_the_world_moves_the_pose():
    matches = seen(noise_px=0.5)
    world = se3_exp(np.array([0.1, 0.2, -2.0, 4.0, 5.0, 6.0]))
    moved = Matches(move(world, matches.points), *(getattr(matches, n) for n in list(matches.__dict__)[1:]))
    first = refine_pose(POSE, matches, CAMERA, MOUNT).map_T_base
    np.testing.assert_allclose(refine_pose(world @ POSE, moved, CAMERA, MOUNT).map_T_base, world @ first, atol=1e-6)


def test_derivatives_are_those_of_differences():
    matches = seen(20)
    offset = POSE @ se3_exp(0.02 * np.arange(6))
    residuals, jacobians = pose_estimation._residuals(offset, matches, CAMERA, MOUNT)
    _, by_twist = planar_residual(offset)
    for axis in range(6):
        step = 1e-6 * np.eye(6)[axis]
        ahead, _ = pose_estimation._residuals(offset @ se3_exp(step), matches, CAMERA, MOUNT)
        behind, _ = pose_estimation._residuals(offset @ se3_exp(-step), matches, CAMERA, MOUNT)
        np.testing.assert_allclose((ahead - behind) / 2e-6, jacobians[:, :, axis], rtol=1e-4, atol=1e-3)
        numeric = (planar_residual(offset @ se3_exp(step))[0] - planar_residual(offset @ se3_exp(-step))[0]) / 2e-6
        np.testing.assert_allclose(numeric, by_twist[:, axis], atol=1e-4)
    assert np.isfinite(residuals).all()


def test_a_prior_decides_where_nothing_is_seen():
    nothing = seen(0)
    prior = PosePrior(POSE, np.full(6, 0.01))
    estimate = refine_pose(POSE @ se3_exp(0.05 * np.ones(6)), nothing, CAMERA, MOUNT, prior)
    np.testing.assert_allclose(estimate.map_T_base, POSE, atol=1e-4)


def test_information_is_what_the_scatter_of_estimates_shows():
    exact = seen(60)
    guesses = [refine_pose(POSE, seen_again(exact, seed), CAMERA, MOUNT) for seed in range(150)]
    errors = np.array([inverse(POSE) @ g.map_T_base for g in guesses])[:, :3, 3]
    told = np.sqrt(np.diag(np.linalg.inv(guesses[0].information)))[3:]
    assert errors.std(axis=0) == pytest.approx(told, rel=0.5)


def seen_again(exact, seed):
    rng = np.random.default_rng(seed)
    pixels = exact.pixels + exact.sigmas_px[:, None] * rng.standard_normal(exact.pixels.shape)
    depths = exact.depths_m + exact.sigmas_m * rng.standard_normal(len(exact))
    return Matches(exact.points, pixels, depths, exact.sigmas_px, exact.sigmas_m)


def test_too_few_points_locate_nothing():
    assert locate(seen(4), CAMERA, MOUNT) is None
