# SPDX-License-Identifier: Apache-2.0
"""Rigid motions in the plane and in space.

`a_T_b` is the pose of frame b in frame a, and takes coordinates in b to coordinates in a: `a_p = a_T_b b_p`.
SE(2): float64 `[x_m, y_m, yaw_rad]`. SE(3): homogeneous (4, 4). Quaternions: unit, order x, y, z, w.
"""

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import FloatArray
from axon_core.checks import check_array, check_number

_ROTATION_TOLERANCE = 1e-6
_QUATERNION_TOLERANCE = 1e-3
_SLERP_LINEAR_ABOVE = 1.0 - 1e-9


def wrap_angle(rad: ArrayLike) -> FloatArray:
    """Return the angle or angles in [-pi, pi)."""
    wrapped = np.mod(np.asarray(rad, dtype=np.float64) + np.pi, 2.0 * np.pi) - np.pi
    return np.asarray(wrapped)[()]


def check_se2(pose: ArrayLike, name: str = "pose") -> FloatArray:
    """Return a pose as a new (3,) array with its yaw in [-pi, pi)."""
    checked = check_array(name, pose, shape=(3,)).copy()
    checked[2] = wrap_angle(checked[2])
    return checked


def se2_compose(a_T_b: ArrayLike, b_T_c: ArrayLike) -> FloatArray:
    """Return `a_T_c`, shape (..., 3); the two broadcast against each other."""
    first, second = np.asarray(a_T_b, dtype=np.float64), np.asarray(b_T_c, dtype=np.float64)
    cos, sin = np.cos(first[..., 2]), np.sin(first[..., 2])
    x = first[..., 0] + cos * second[..., 0] - sin * second[..., 1]
    y = first[..., 1] + sin * second[..., 0] + cos * second[..., 1]
    return np.stack([x, y, wrap_angle(first[..., 2] + second[..., 2])], axis=-1)


def se2_inverse(a_T_b: ArrayLike) -> FloatArray:
    """Return `b_T_a`, shape (..., 3)."""
    pose = np.asarray(a_T_b, dtype=np.float64)
    cos, sin = np.cos(pose[..., 2]), np.sin(pose[..., 2])
    x = -cos * pose[..., 0] - sin * pose[..., 1]
    y = sin * pose[..., 0] - cos * pose[..., 1]
    return np.stack([x, y, wrap_angle(-pose[..., 2])], axis=-1)


def se2_apply(a_T_b: ArrayLike, b_points: ArrayLike) -> FloatArray:
    """Return points (N, 2) given in b in coordinates of a."""
    x, y, yaw = check_array("a_T_b", a_T_b, shape=(3,))
    points = np.asarray(b_points, dtype=np.float64)
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]) + (x, y), dtype=np.float64)


def se2_to_matrix(a_T_b: ArrayLike) -> FloatArray:
    """Return the (4, 4) motion in the plane z = 0."""
    x, y, yaw = check_array("a_T_b", a_T_b, shape=(3,))
    return transform_from([x, y, 0.0], quat_xyzw_from_yaw(yaw))


def se2_from_matrix(a_T_b: ArrayLike) -> FloatArray:
    """Return the planar part `[x, y, yaw]` of a (4, 4) motion; height, roll and pitch are dropped."""
    matrix = check_transform(a_T_b)
    return np.array([matrix[0, 3], matrix[1, 3], np.arctan2(matrix[1, 0], matrix[0, 0])])


def check_transform(transform: ArrayLike, name: str = "transform") -> FloatArray:
    """Return a (4, 4) rigid transform; ValueError where it is not one (scale, reflection, last row)."""
    matrix = check_array(name, transform, shape=(4, 4))
    rotation = matrix[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0.0:
        raise ValueError(f"{name}: its 3x3 part is no rotation (|R R^T - I| = {error:.2g}): {rotation.tolist()}")
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise ValueError(f"{name}: expected the last row 0 0 0 1, got {matrix[3].tolist()}")
    return matrix


def check_quat(quat_xyzw: ArrayLike, name: str = "quat_xyzw") -> FloatArray:
    """Return a quaternion (4,) at unit length; ValueError where its length is off by more than 1e-3."""
    quat = check_array(name, quat_xyzw, shape=(4,))
    norm = float(np.linalg.norm(quat))
    if abs(norm - 1.0) > _QUATERNION_TOLERANCE:
        raise ValueError(f"{name} = {quat.tolist()}: expected a unit quaternion, its length is {norm:.4g}")
    return np.asarray(quat / norm)


def quat_xyzw_from_yaw(yaw_rad: float) -> FloatArray:
    """Return the quaternion (4,) of a turn about z."""
    return np.array([0.0, 0.0, np.sin(0.5 * yaw_rad), np.cos(0.5 * yaw_rad)])


def yaw_from_quat_xyzw(quat_xyzw: ArrayLike) -> float:
    """Return the yaw of a unit quaternion (ZYX Euler angles), in (-pi, pi]."""
    x, y, z, w = check_quat(quat_xyzw)
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def matrix_from_quat_xyzw(quat_xyzw: ArrayLike) -> FloatArray:
    """Return the (3, 3) rotation matrix of a unit quaternion; q and -q give the same."""
    x, y, z, w = check_quat(quat_xyzw)
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def quat_xyzw_from_matrix(rotation: ArrayLike) -> FloatArray:
    """Return the unit quaternion (4,) with w >= 0 of a (3, 3) rotation, or of the rotation of a (4, 4) transform.

    Of the four algebraically equal forms the one with the largest pivot is taken (Shepperd, 1978), so that no
    rotation is near a division by zero.
    """
    r = check_array("rotation", rotation)
    if r.shape not in ((3, 3), (4, 4)):
        raise ValueError(f"rotation: expected shape (3, 3) or (4, 4), got {r.shape}")
    xx, yy, zz = r[0, 0], r[1, 1], r[2, 2]
    # 4 q q^T, whose column of the largest diagonal entry is the quaternion up to scale
    outer = np.array(
        [
            [1.0 + xx - yy - zz, r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[0, 1] + r[1, 0], 1.0 - xx + yy - zz, r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], 1.0 - xx - yy + zz, r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], 1.0 + xx + yy + zz],
        ]
    )
    quat = outer[int(np.argmax(np.diag(outer)))]
    quat = quat / np.linalg.norm(quat)
    return np.asarray(-quat if quat[3] < 0.0 else quat)


def transform_from(translation_m: ArrayLike, quat_xyzw: ArrayLike) -> FloatArray:
    """Return the (4, 4) transform with that translation (3,) and rotation."""
    transform = np.eye(4)
    transform[:3, :3] = matrix_from_quat_xyzw(quat_xyzw)
    transform[:3, 3] = check_array("translation_m", translation_m, shape=(3,))
    return transform


def invert_transform(a_T_b: ArrayLike) -> FloatArray:
    """Return `b_T_a` (4, 4)."""
    matrix = check_transform(a_T_b)
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def apply_transform(a_T_b: ArrayLike, b_points: ArrayLike) -> FloatArray:
    """Return points (N, 3) given in b in coordinates of a."""
    matrix = check_transform(a_T_b)
    return np.asarray(check_array("b_points", b_points, shape=(None, 3)) @ matrix[:3, :3].T + matrix[:3, 3])


def slerp(start_xyzw: ArrayLike, end_xyzw: ArrayLike, fraction: float) -> FloatArray:
    """Return the quaternion at `fraction` of the shorter arc from start to end (Shoemake, 1985)."""
    start, end = check_quat(start_xyzw), check_quat(end_xyzw)
    cos = float(start @ end)
    if cos < 0.0:
        end, cos = -end, -cos
    if cos > _SLERP_LINEAR_ABOVE:  # sin(angle) vanishes, and the chord is the arc
        mixed = (1.0 - fraction) * start + fraction * end
    else:
        angle = np.arccos(cos)
        mixed = (np.sin((1.0 - fraction) * angle) * start + np.sin(fraction * angle) * end) / np.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed))


def interpolate_transform(a: ArrayLike, b: ArrayLike, fraction: float) -> FloatArray:
    """Return the transform at `fraction` (0 .. 1) between a and b: straight in position, slerp in rotation."""
    start, end = check_transform(a, "a"), check_transform(b, "b")
    part = check_number("fraction", fraction, 0.0, 1.0)
    quat = slerp(quat_xyzw_from_matrix(start), quat_xyzw_from_matrix(end), part)
    return transform_from((1.0 - part) * start[:3, 3] + part * end[:3, 3], quat)
