# SPDX-License-Identifier: Apache-2.0
"""The Lie group SE(3): exponential, logarithm, adjoint. Twists (6,) are [rotation, translation], as in GTSAM.

Equations by Sola, Deray, Atchuthan, "A micro Lie theory for state estimation in robotics", 2018.
"""

from __future__ import annotations

import numpy as np

from axon_core.arrays import FloatArray
from axon_core.geometry import quat_xyzw_from_matrix

_SMALL_RAD = 1e-6


def hat(vectors: FloatArray) -> FloatArray:
    """Return the skew matrices (..., 3, 3) of vectors (..., 3): hat(a) b = a x b."""
    v = np.asarray(vectors, dtype=np.float64)
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    zero = np.zeros_like(x)
    rows = [np.stack(row, axis=-1) for row in ([zero, -z, y], [z, zero, -x], [-y, x, zero])]
    return np.stack(rows, axis=-2)


def so3_exp(rotation: FloatArray) -> FloatArray:
    """Return the rotation matrix (3, 3) of a rotation vector (3,) (eq. 134)."""
    angle = float(np.linalg.norm(rotation))
    skew = hat(rotation)
    if angle < _SMALL_RAD:
        return np.eye(3) + skew + 0.5 * skew @ skew
    return np.eye(3) + np.sin(angle) / angle * skew + (1.0 - np.cos(angle)) / angle**2 * skew @ skew


def so3_log(rotation: FloatArray) -> FloatArray:
    """Return the rotation vector (3,) of a rotation matrix (3, 3), its length in 0 .. pi.

    By the unit quaternion, which keeps its precision near pi, where eq. 135 loses it.
    """
    quat = quat_xyzw_from_matrix(rotation)
    sin = float(np.linalg.norm(quat[:3]))
    if sin < _SMALL_RAD:
        return 2.0 * quat[:3]
    return 2.0 * np.arctan2(sin, quat[3]) / sin * quat[:3]


def se3_exp(twist: FloatArray) -> FloatArray:
    """Return the transform (4, 4) of a twist (6,) (eq. 172)."""
    transform = np.eye(4)
    transform[:3, :3] = so3_exp(twist[:3])
    transform[:3, 3] = _left_jacobian(twist[:3]) @ twist[3:]
    return transform


def se3_log(transform: FloatArray) -> FloatArray:
    """Return the twist (6,) of a transform (4, 4) (eq. 173)."""
    rotation = so3_log(transform[:3, :3])
    return np.concatenate([rotation, np.linalg.solve(_left_jacobian(rotation), transform[:3, 3])])


def adjoint(transform: FloatArray) -> FloatArray:
    """Return the matrix (6, 6) with T exp(x) = exp(Ad x) T (eq. 175, in the order of twists used here)."""
    rotation = transform[:3, :3]
    matrix = np.zeros((6, 6))
    matrix[:3, :3] = matrix[3:, 3:] = rotation
    matrix[3:, :3] = hat(transform[:3, 3]) @ rotation
    return matrix


def inverse(transform: FloatArray) -> FloatArray:
    """Return the inverse (4, 4) of a transform that is known to be one."""
    inverted = np.eye(4)
    inverted[:3, :3] = transform[:3, :3].T
    inverted[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return inverted


def move(transform: FloatArray, points: FloatArray) -> FloatArray:
    """Return points (N, 3) moved by a transform; NaN stay NaN."""
    return points @ transform[:3, :3].T + transform[:3, 3]


def orthonormal(transform: FloatArray) -> FloatArray:
    """Return the transform whose rotation is the nearest one, so that products do not leave the group."""
    left, _, right = np.linalg.svd(transform[:3, :3])
    cleaned = np.eye(4)
    cleaned[:3, :3] = left @ right
    cleaned[:3, 3] = transform[:3, 3]
    return cleaned


def _left_jacobian(rotation: FloatArray) -> FloatArray:
    """Eq. 145."""
    angle = float(np.linalg.norm(rotation))
    skew = hat(rotation)
    if angle < _SMALL_RAD:
        return np.eye(3) + 0.5 * skew + skew @ skew / 6.0
    first, second = (1.0 - np.cos(angle)) / angle**2, (angle - np.sin(angle)) / angle**3
    return np.eye(3) + first * skew + second * skew @ skew
