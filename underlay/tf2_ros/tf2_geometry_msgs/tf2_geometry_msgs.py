# SPDX-License-Identifier: Apache-2.0
"""``do_transform_*(thing, transform)``: the thing in the transform's header frame, with the transform's header.

None of them changes its input.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from geometry_msgs.msg import (
    Point,
    PointStamped,
    Pose,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    Vector3,
    Vector3Stamped,
)
from tf2_py.buffer_core import rigid_from_message
from tf2_py.rigid import compose
from tf2_ros.buffer_interface import TransformRegistration


def _moved(position: Point | Vector3, transform: TransformStamped, *, turn_only: bool = False) -> tuple[float, ...]:
    rigid = rigid_from_message(transform.transform)
    if turn_only:
        rigid = (0.0, 0.0, 0.0, *rigid[3:])
    return compose(rigid, (position.x, position.y, position.z, 0.0, 0.0, 0.0, 1.0))[:3]


def do_transform_point(point: PointStamped, transform: TransformStamped) -> PointStamped:
    """A point: turned and moved."""
    x, y, z = _moved(point.point, transform)
    return PointStamped(header=deepcopy(transform.header), point=Point(x=x, y=y, z=z))


def do_transform_vector3(vector3: Vector3Stamped, transform: TransformStamped) -> Vector3Stamped:
    """A free vector (velocity, force): turned only."""
    x, y, z = _moved(vector3.vector, transform, turn_only=True)
    return Vector3Stamped(header=deepcopy(transform.header), vector=Vector3(x=x, y=y, z=z))


def do_transform_pose(pose: Pose, transform: TransformStamped) -> Pose:
    """A pose without a header."""
    p, q = pose.position, pose.orientation
    rigid = compose(rigid_from_message(transform.transform), (p.x, p.y, p.z, q.x, q.y, q.z, q.w))
    result = Pose()
    p, q = result.position, result.orientation
    p.x, p.y, p.z, q.x, q.y, q.z, q.w = rigid
    return result


def do_transform_pose_stamped(pose: PoseStamped, transform: TransformStamped) -> PoseStamped:
    """A pose with its header."""
    return PoseStamped(header=deepcopy(transform.header), pose=do_transform_pose(pose.pose, transform))


def do_transform_pose_with_covariance_stamped(
    pose: PoseWithCovarianceStamped, transform: TransformStamped
) -> PoseWithCovarianceStamped:
    """A pose whose covariance (6x6: position, then rotation about fixed axes) is turned with it."""
    result = PoseWithCovarianceStamped(header=deepcopy(transform.header))
    result.pose.pose = do_transform_pose(pose.pose.pose, transform)
    axes = (Vector3(x=1.0), Vector3(y=1.0), Vector3(z=1.0))
    turn = np.kron(np.eye(2), np.array([_moved(axis, transform, turn_only=True) for axis in axes]).T)
    result.pose.covariance = (turn @ np.reshape(pose.pose.covariance, (6, 6)) @ turn.T).ravel()
    return result


for _type, _function in (
    (PointStamped, do_transform_point),
    (Vector3Stamped, do_transform_vector3),
    (PoseStamped, do_transform_pose_stamped),
    (PoseWithCovarianceStamped, do_transform_pose_with_covariance_stamped),
):
    TransformRegistration().add(_type, _function)
