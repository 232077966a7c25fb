# SPDX-License-Identifier: Apache-2.0
"""Points of depth images."""

import numpy as np
import pytest

from axon_core.cameras import PinholeCamera
from axon_depth.clouds import points_of

STRAIGHT = PinholeCamera(40, 30, 35.0, 36.0, 19.0, 15.5)
BARREL = PinholeCamera(40, 30, 35.0, 36.0, 19.0, 15.5, (-0.2, 0.05, 0.001, -0.002, 0.0))


def depth_of(seed=0):
    return np.random.default_rng(seed).uniform(0.5, 6.0, (30, 40)).astype(np.float32)


@pytest.mark.parametrize("camera", [STRAIGHT, BARREL])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_points_project_to_the_pixels_that_they_come_from(camera, stride):
    depth_m = depth_of()
    points = points_of(depth_m, 0.01 * depth_m, camera, 0.1, stride)
    at = slice(stride // 2, None, stride)
    v, u = np.mgrid[:30, :40][:, at, at]
    np.testing.assert_allclose(camera.project(points), np.stack([u.ravel(), v.ravel()], axis=-1), atol=1e-3)
    np.testing.assert_allclose(points[:, 2], depth_m[at, at].ravel(), rtol=1e-6)


def test_holes_and_unsure_pixels_make_no_points():
    depth_m = depth_of(1)
    sigma_m = np.random.default_rng(2).uniform(0.0, 0.3, depth_m.shape).astype(np.float32) * depth_m
    depth_m[::3], sigma_m[::3] = np.nan, np.nan
    points = points_of(depth_m, sigma_m, STRAIGHT, 0.1)
    kept = np.isfinite(depth_m) & (sigma_m <= 0.1 * np.nan_to_num(depth_m))
    assert 0 < kept.sum() == len(points)
    assert np.isfinite(points).all()
    np.testing.assert_allclose(np.sort(points[:, 2]), np.sort(depth_m[kept]), rtol=1e-6)
    assert len(points_of(np.full_like(depth_m, np.nan), sigma_m, STRAIGHT, 0.1)) == 0


def test_a_lower_limit_keeps_a_part_of_what_a_higher_one_keeps():
    depth_m = depth_of(3)
    sigma_m = np.random.default_rng(4).uniform(0.0, 0.5, depth_m.shape).astype(np.float32)
    counts = [len(points_of(depth_m, sigma_m, STRAIGHT, limit)) for limit in (0.01, 0.05, 0.2, 10.0)]
    assert counts == sorted(counts) and counts[-1] == depth_m.size
