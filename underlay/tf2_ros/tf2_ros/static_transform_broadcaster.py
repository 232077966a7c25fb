# SPDX-License-Identifier: Apache-2.0
"""Publishes transforms that never change on /tf_static."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Keeps all transforms it was given and latches them as one message (reliable, transient local, depth 1).

    A transform for a child frame that it has already replaces the old one; late listeners get everything.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._by_child: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Add or replace one transform or several, and publish all."""
        transforms = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._by_child.update((each.child_frame_id, each) for each in transforms)
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
