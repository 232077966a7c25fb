# SPDX-License-Identifier: Apache-2.0
"""What every node that drives needs: scans placed in a frame, and where the base is and how it moves now."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.time import Time

from axon_core.arrays import FloatArray
from axon_core.geometry import se2_compose
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_ros.conversions import odometry_from_msg, scan_from_msg
from axon_ros.errors import BadInput, NoTransform
from axon_ros.stamps import stamp_seconds


class PlacedScans:
    """Hands every scan to `use(stamp_s, scan, frame_T_laser)` once the transform of its stamp is known.

    A transform may come a little later than its scan: the newest scan waits for it until the next `settle`.
    """

    def __init__(self, node: Any, frame: str, use: Callable[[float, Scan, FloatArray], Any]) -> None:
        self._node, self._frame, self._use = node, frame, use
        self._waiting: tuple[Any, Scan, str] | None = None

    def take(self, msg: Any) -> None:
        """Be the callback of a LaserScan input."""
        scan = scan_from_msg(msg)
        self.settle()  # the one before, whose transform may have come by now
        self._waiting = (msg.header.stamp, scan, msg.header.frame_id)
        self.settle()

    def settle(self) -> None:
        """Hand on the scan that waits, if its transform has come."""
        if self._waiting is None:
            return
        stamp, scan, frame = self._waiting
        try:
            pose = self._node.lookup_se2(self._frame, frame, stamp)
        except NoTransform:
            return
        self._waiting = None
        self._use(stamp_seconds(stamp), scan, pose)


class BaseMotion:
    """Where the base is now and how fast, from tf and odometry."""

    def __init__(self, node: Any, global_frame: str, base_frame: str) -> None:
        self._node, self._frames = node, (global_frame, base_frame)
        self._velocity = Twist2()
        self.stamp_s: float | None = None
        """Stamp of the newest odometry, None before the first."""

    def take(self, msg: Any) -> None:
        """Be the callback of an Odometry input."""
        self._velocity = odometry_from_msg(msg)[1]
        self.stamp_s = stamp_seconds(msg.header.stamp)

    def now(self, now_s: float, oldest_tf_s: float) -> tuple[FloatArray, Twist2, float]:
        """Return pose (3,) in the global frame, velocity, and the age of that velocity.

        The pose is that of the newest transform, carried on to now at the measured velocity. BadInput before the first
        odometry, NoTransform where the transform is missing or older than `oldest_tf_s`.
        """
        if self.stamp_s is None:
            raise BadInput("newest odometry is not there yet: check the base and its topic")
        pose = self._node.lookup_se2(*self._frames)
        age_s = now_s - stamp_seconds(self._node.tf.lookup_transform(*self._frames, Time()).header.stamp)
        if abs(age_s) > oldest_tf_s:
            parent, child = self._frames
            raise NoTransform(f"transform {parent} <- {child} is {age_s:.2f} s old: check who publishes it")
        moved = np.array([self._velocity.vx_mps * age_s, 0.0, self._velocity.wz_radps * age_s])
        return se2_compose(pose, moved), self._velocity, abs(now_s - self.stamp_s)


def pose_of_frame(node: Any, global_frame: str, frame: str) -> FloatArray:
    """Return global_T_frame (3,) of the frame of a goal. Raises NoTransform, also for a goal without a frame."""
    if not frame:
        raise NoTransform("the goal has no frame_id: set it, to 'map' or 'odom' for instance")
    return np.zeros(3) if frame == global_frame else node.lookup_se2(global_frame, frame)
