# SPDX-License-Identifier: Apache-2.0
"""The group's laws, and an independent matrix exponential."""

import numpy as np
import pytest
from scipy.linalg import expm

from axon_slam.se3 import adjoint, hat, inverse, orthonormal, se3_exp, se3_log, so3_exp, so3_log


def twists(count=30, seed=0):
    rng = np.random.default_rng(seed)
    found = list(rng.uniform(-1.0, 1.0, (count, 6)) * [1.8, 1.8, 1.8, 3.0, 3.0, 3.0])
    return [*found, np.zeros(6), 1e-9 * np.ones(6), np.array([np.pi - 1e-7, 0, 0, 1, 2, 3])]


def as_matrix(twist):
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = hat(twist[:3]), twist[3:]
    return matrix


@pytest.mark.parametrize("twist", twists())
def test_exponential_is_that_of_the_matrix_and_the_logarithm_undoes_it(twist):
    transform = se3_exp(twist)
    np.testing.assert_allclose(transform, expm(as_matrix(twist)), atol=1e-9)
    np.testing.assert_allclose(se3_log(transform), twist, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_adjoint_carries_a_twist_to_the_other_side(seed):
    first, second = twists(2, seed)[:2]
    transform = se3_exp(first)
    np.testing.assert_allclose(transform @ se3_exp(second), se3_exp(adjoint(transform) @ second) @ transform, atol=1e-9)


def test_a_rotation_by_nearly_half_a_turn_keeps_its_axis():
    axis = np.array([0.6, 0.0, 0.8])
    np.testing.assert_allclose(so3_log(so3_exp((np.pi - 1e-9) * axis)), np.pi * axis, atol=1e-6)


def test_inverse_and_the_nearest_rotation():
    transform = se3_exp(twists()[0])
    np.testing.assert_allclose(transform @ inverse(transform), np.eye(4), atol=1e-12)
    worn = transform.copy()
    worn[:3, :3] *= 1.001
    np.testing.assert_allclose(orthonormal(worn), transform, atol=1e-9)


def test_gtsam_agrees():
    gtsam = pytest.importorskip("gtsam", reason="no wheel for this Python")
    for twist in twists(5):
        np.testing.assert_allclose(gtsam.Pose3.Expmap(twist).matrix(), se3_exp(twist), atol=1e-9)
