# SPDX-License-Identifier: Apache-2.0
"""The transform tree behind ROS types: TransformStamped in and out, rclpy times, frame listings."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

from tf2_py.exceptions import TransformException
from tf2_py.rigid import Rigid
from tf2_py.tree import TransformTree

DEFAULT_CACHE_TIME = Duration(seconds=10)


def stamp_ns(time: Any) -> int:
    """Nanoseconds of an rclpy Time or a builtin_interfaces Time message."""
    nanoseconds = getattr(time, "nanoseconds", None)
    return time.sec * 1_000_000_000 + time.nanosec if nanoseconds is None else nanoseconds


def rigid_from_message(transform: Any) -> Rigid:
    """geometry_msgs/Transform to (x, y, z, qx, qy, qz, qw)."""
    t, q = transform.translation, transform.rotation
    return (t.x, t.y, t.z, q.x, q.y, q.z, q.w)


def message_from_rigid(target: str, source: str, stamp: int, transform: Rigid) -> TransformStamped:
    """target_T_source as a TransformStamped: header of the target, child frame the source."""
    msg = TransformStamped()
    msg.header.frame_id = target
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    msg.child_frame_id = source
    t, q = msg.transform.translation, msg.transform.rotation
    t.x, t.y, t.z, q.x, q.y, q.z, q.w = transform
    return msg


class BufferCore:
    """Stores transforms and answers at once, without waiting."""

    def __init__(self, cache_time: Duration = DEFAULT_CACHE_TIME) -> None:
        self._tree = TransformTree(cache_time.nanoseconds)

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds at its stamp.

        Raises:
            InvalidArgumentException: no names, equal names, numbers that are not finite, no unit quaternion.
        """
        self._insert(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds for all time; raises as ``set_transform``."""
        self._insert(transform, authority, static=True)

    def _insert(self, msg: TransformStamped, authority: str, static: bool) -> str:
        stamp = 0 if static else stamp_ns(msg.header.stamp)
        transform = rigid_from_message(msg.transform)
        return self._tree.insert(msg.header.frame_id, msg.child_frame_id, stamp, transform, static, authority)

    def lookup_transform_core(self, target_frame: str, source_frame: str, time: Any) -> TransformStamped:
        """target_T_source at ``time`` (0: latest); raises a TransformException."""
        stamp, transform = self._tree.lookup(target_frame, source_frame, stamp_ns(time))
        return message_from_rigid(target_frame, source_frame, stamp, transform)

    def lookup_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> TransformStamped:
        """``source`` at ``source_time`` seen from ``target`` at ``target_time`` through a frame that stands still."""
        stamp, transform = self._tree.lookup_full(
            target_frame, stamp_ns(target_time), source_frame, stamp_ns(source_time), fixed_frame
        )
        return message_from_rigid(target_frame, source_frame, stamp, transform)

    def can_transform_core(self, target_frame: str, source_frame: str, time: Any) -> tuple[bool, str]:
        """Whether the lookup would succeed, and why not."""
        return self._possible(self._tree.lookup, target_frame, source_frame, stamp_ns(time))

    def can_transform_full_core(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> tuple[bool, str]:
        """Whether the full lookup would succeed, and why not."""
        stamps = stamp_ns(target_time), stamp_ns(source_time)
        return self._possible(self._tree.lookup_full, target_frame, stamps[0], source_frame, stamps[1], fixed_frame)

    @staticmethod
    def _possible(lookup, *arguments: Any) -> tuple[bool, str]:
        try:
            lookup(*arguments)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def get_latest_common_time(self, target_frame: str, source_frame: str) -> Time:
        """The latest time at which the whole chain is known."""
        return Time(nanoseconds=self._tree.latest_common_stamp(target_frame, source_frame))

    def clear(self) -> None:
        """Forget everything but the static transforms."""
        self._tree.clear()

    def all_frames_as_yaml(self) -> str:
        """One YAML mapping: frame to parent, broadcaster, rate and times."""
        lines = []
        for child, facts in self._tree.describe().items():
            lines.append(f"{child}: ")
            for key, value in facts.items():
                lines.append(f"  {key}: " + (f"'{value}'" if isinstance(value, str) else f"{value:.6f}"))
        return "\n".join(lines) + "\n" if lines else "{}"

    def all_frames_as_string(self) -> str:
        """One sentence for each frame that has a parent."""
        frames = self._tree.describe().items()
        return "".join(f"Frame {child} exists with parent {facts['parent']}.\n" for child, facts in frames)
