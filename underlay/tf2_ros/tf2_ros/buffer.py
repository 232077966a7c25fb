# SPDX-License-Identifier: Apache-2.0
"""The buffer that nodes use: the transform tree, with waiting for what is yet to come and clearing at jumps of time."""

from __future__ import annotations

import time as wall
from collections.abc import Callable
from threading import Condition
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.task import Future
from tf2_py import BufferCore, InvalidArgumentException, TransformException
from tf2_py.buffer_core import DEFAULT_CACHE_TIME

from tf2_ros.buffer_interface import BufferInterface

# /clock never runs backward but for a reset or a looped recording.
JUMP_BACK = Duration(nanoseconds=-100_000_000)
_WARN_PERIOD_S = 5.0


class Buffer(BufferCore, BufferInterface):
    """Holds the transforms of the last ``cache_time`` (10 s) and answers lookups, from any thread.

    ``lookup_transform(target, source, time)`` gives target_T_source: it takes coordinates in ``source`` to ``target``.
    Time 0 is the latest time that the whole chain is known. Raises, all of them TransformException: LookupException
    (frame unknown), ConnectivityException (two trees), ExtrapolationException (time not in the buffer),
    InvalidArgumentException (a name that cannot be).

    A time-out makes the call wait for the data, which only another thread can bring: spin the node elsewhere, give the
    listener ``spin_thread=True``, or await ``wait_for_transform_async``.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        BufferCore.__init__(self, DEFAULT_CACHE_TIME if cache_time is None else cache_time)
        BufferInterface.__init__(self)
        self._changed = Condition()
        self._waiting: list[Callable[[], None]] = []
        self._warned_s: dict[str, float] = {}
        self.clock = Clock() if node is None else node.get_clock()
        threshold = JumpThreshold(min_forward=None, min_backward=JUMP_BACK, on_clock_change=True)
        self.jump_handle = self.clock.create_jump_callback(threshold, post_callback=self.time_jump_callback)

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Forget what belongs to another time; static transforms stay."""
        get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform; one that cannot be right is refused with a warning, as in tf2."""
        self._store(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds for all time; refuses as ``set_transform``."""
        self._store(transform, authority, static=True)

    def _store(self, transform: TransformStamped, authority: str, static: bool) -> None:
        try:
            reason = self._insert(transform, authority, static)
        except InvalidArgumentException as error:
            self._warn(transform, authority, str(error))
            return
        if reason:
            self._warn(transform, authority, reason)
            return
        with self._changed:
            self._changed.notify_all()
            waiting = list(self._waiting)
        for callback in waiting:
            callback()

    def _warn(self, transform: TransformStamped, authority: str, reason: str) -> None:
        """Say why a transform of a frame was ignored, at most every five seconds for each frame."""
        child = transform.child_frame_id
        if wall.monotonic() - self._warned_s.get(child, -_WARN_PERIOD_S) >= _WARN_PERIOD_S:
            self._warned_s[child] = wall.monotonic()
            get_logger("tf2_buffer").warning(f"Ignoring transform of '{child}' from '{authority}': {reason}")

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Any, timeout: Duration | None = None
    ) -> TransformStamped:
        """target_T_source at ``time``, waiting up to ``timeout`` for it."""
        return self._wait(self.lookup_transform_core, (target_frame, source_frame, time), timeout)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
    ) -> TransformStamped:
        """``source`` at ``source_time`` seen from ``target`` at ``target_time``; ``fixed_frame`` stands still."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._wait(self.lookup_transform_full_core, arguments, timeout)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Any,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether ``lookup_transform`` would succeed; with ``return_debug_tuple`` also why not."""
        result = self._can(self.lookup_transform_core, (target_frame, source_frame, time), timeout)
        return result if return_debug_tuple else result[0]

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Any,
        source_frame: str,
        source_time: Any,
        fixed_frame: str,
        timeout: Duration | None = None,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Whether ``lookup_transform_full`` would succeed; with ``return_debug_tuple`` also why not."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        result = self._can(self.lookup_transform_full_core, arguments, timeout)
        return result if return_debug_tuple else result[0]

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Any) -> Future:
        """A future that holds the transform as soon as it is possible."""
        return self._future(self.lookup_transform_core, (target_frame, source_frame, time))

    def wait_for_transform_full_async(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> Future:
        """A future that holds the full transform as soon as it is possible."""
        arguments = (target_frame, target_time, source_frame, source_time, fixed_frame)
        return self._future(self.lookup_transform_full_core, arguments)

    async def lookup_transform_async(self, target_frame: str, source_frame: str, time: Any) -> TransformStamped:
        """``lookup_transform`` that lets the executor go on while it waits."""
        return await self.wait_for_transform_async(target_frame, source_frame, time)

    async def lookup_transform_full_async(
        self, target_frame: str, target_time: Any, source_frame: str, source_time: Any, fixed_frame: str
    ) -> TransformStamped:
        """``lookup_transform_full`` that lets the executor go on while it waits."""
        return await self.wait_for_transform_full_async(
            target_frame, target_time, source_frame, source_time, fixed_frame
        )

    def _can(self, lookup: Callable[..., TransformStamped], arguments: tuple, timeout: Duration | None):
        try:
            self._wait(lookup, arguments, timeout)
        except TransformException as error:
            return False, str(error)
        return True, ""

    def _wait(
        self, lookup: Callable[..., TransformStamped], arguments: tuple, timeout: Duration | None
    ) -> TransformStamped:
        """Try the lookup, again after each new transform, until it succeeds or the (wall) time is up."""
        if timeout is None or timeout.nanoseconds <= 0:
            return lookup(*arguments)
        deadline_s = wall.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    return lookup(*arguments)
                except TransformException:
                    left_s = deadline_s - wall.monotonic()
                    if left_s <= 0:
                        raise
                self._changed.wait(left_s)

    def _future(self, lookup: Callable[..., TransformStamped], arguments: tuple) -> Future:
        future: Future = Future()

        def attempt() -> None:
            try:
                result = lookup(*arguments)
            except TransformException:
                return
            self._stop_waiting(attempt)
            if not future.done():
                future.set_result(result)

        with self._changed:
            self._waiting.append(attempt)
        attempt()
        future.add_done_callback(lambda _: self._stop_waiting(attempt))  # also when the caller cancels
        return future

    def _stop_waiting(self, attempt: Callable[[], None]) -> None:
        with self._changed:
            if attempt in self._waiting:
                self._waiting.remove(attempt)
