# SPDX-License-Identifier: Apache-2.0
"""Transforms from tf, whose absence is noticed and said."""

import time
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from axon_core.arrays import FloatArray
from axon_core.geometry import transform_from
from axon_core.timing import ClockFunction
from axon_ros.errors import NoTransform
from axon_ros.problems import Problems
from axon_ros.speaker import Level

_MISSING_AFTER_S = 0.5
_FORGOTTEN_AFTER_S = 3.0


class Transforms:
    """A tf buffer and its listener. A lookup that fails for half a second is a problem until one succeeds."""

    def __init__(self, node: Node, problems: Problems, clock: ClockFunction = time.monotonic) -> None:
        self._problems, self._clock = problems, clock
        self._failing: dict[str, tuple[float, float]] = {}  # since, last tried
        self.buffer = Buffer()
        self._listener: Any = TransformListener(self.buffer, node, spin_thread=False)

    def lookup(self, target: str, source: str, stamp: Any = None, wait_s: float = 0.0) -> FloatArray:
        """Return `target_T_source` (4, 4) at a builtin_interfaces/Time, or the newest; NoTransform where unknown.

        `wait_s` (steady clock) is how long it is waited for.
        """
        key = f"tf {target} <- {source}"
        at = Time() if stamp is None else Time.from_msg(stamp)
        try:
            found = self.buffer.lookup_transform(target, source, at, Duration(seconds=wait_s))
        except TransformException as error:
            self._note_failure(key, str(error))
            raise NoTransform(f"no transform {target} <- {source}: {error}") from error
        if self._failing.pop(key, None):
            self._problems.clear(key, f"{key}: known")
        move, turn = found.transform.translation, found.transform.rotation
        return transform_from([move.x, move.y, move.z], [turn.x, turn.y, turn.z, turn.w])

    def watch(self) -> None:
        """Drop the problem of a transform that nobody asks for any more."""
        now = self._clock()
        for key, (_, last_tried) in list(self._failing.items()):
            if now - last_tried > _FORGOTTEN_AFTER_S:
                del self._failing[key]
                self._problems.forget(key)

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
        for key in self._failing:
            self._problems.forget(key)

    def _note_failure(self, key: str, reason: str) -> None:
        now = self._clock()
        since, _ = self._failing.get(key, (now, now))
        self._failing[key] = (since, now)
        if now - since > _MISSING_AFTER_S:
            remedy = "start who publishes it, or correct the frame's name"
            self._problems.raise_(key, Level.WARN, f"{key}: missing: {reason}: {remedy}")
