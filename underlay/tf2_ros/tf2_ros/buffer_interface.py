# SPDX-License-Identifier: Apache-2.0
"""Transforming stamped things by their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration


class TypeException(Exception):
    """No transformation is registered for a type."""


class NotImplementedException(Exception):
    """A buffer does not offer the call."""


class TransformRegistration:
    """Which function transforms which type; one table for the whole process, as in tf2."""

    _functions: ClassVar[dict[type, Callable[[Any, TransformStamped], Any]]] = {}

    def add(self, key: type, callback: Callable[[Any, TransformStamped], Any]) -> None:
        """Register ``callback(thing, transform) -> thing`` for a type."""
        self._functions[key] = callback

    def get(self, key: type) -> Callable[[Any, TransformStamped], Any]:
        """The function for a type.

        Raises:
            TypeException: nothing is registered for it.
        """
        try:
            return self._functions[key]
        except KeyError:
            known = ", ".join(sorted(known.__name__ for known in self._functions)) or "none: import tf2_geometry_msgs"
            raise TypeException(f"cannot transform a {key.__name__}: registered are {known}") from None


class BufferInterface:
    """What every buffer can do with the two lookups that it brings."""

    def __init__(self) -> None:
        self.registration = TransformRegistration()

    def transform(self, object_stamped: Any, target_frame: str, timeout: Duration | None = None) -> Any:
        """The same thing with coordinates in ``target_frame``, at its own stamp (0: latest)."""
        header = object_stamped.header
        function = self.registration.get(type(object_stamped))
        return function(object_stamped, self.lookup_transform(target_frame, header.frame_id, header.stamp, timeout))

    def transform_full(
        self,
        object_stamped: Any,
        target_frame: str,
        target_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> Any:
        """The same, seen from ``target_frame`` at ``target_time`` through a frame that stands still."""
        header = object_stamped.header
        function = self.registration.get(type(object_stamped))
        return function(
            object_stamped,
            self.lookup_transform_full(target_frame, target_time, header.frame_id, header.stamp, fixed_frame, timeout),
        )

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration | None = None
    ) -> TransformStamped:
        """Brought by the buffer."""
        raise NotImplementedException(f"{type(self).__name__} has no lookup_transform")

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """Brought by the buffer."""
        raise NotImplementedException(f"{type(self).__name__} has no lookup_transform_full")
