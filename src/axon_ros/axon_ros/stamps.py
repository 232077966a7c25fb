# SPDX-License-Identifier: Apache-2.0
"""Times of messages: seconds from a stamp or a duration and back, and a check of a stream's stamps."""

from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Duration, Time

from axon_ros.errors import BadInput

FUTURE_TOLERANCE_S = 0.5
_NEW_TIME_BASE_AFTER = 5


def stamp_seconds(stamp: Any) -> float:
    """Return a builtin_interfaces/Time or Duration in seconds."""
    return float(stamp.sec + 1e-9 * stamp.nanosec)


def stamp_of(time_s: float) -> Time:
    """Return seconds as a builtin_interfaces/Time, rounded to a nanosecond."""
    sec, nanosec = divmod(round(time_s * 1e9), 10**9)
    return Time(sec=sec, nanosec=nanosec)


def duration_of(seconds: float) -> Duration:
    """Return seconds as a builtin_interfaces/Duration, rounded to a nanosecond; a negative one has nanosec >= 0 too."""
    sec, nanosec = divmod(round(seconds * 1e9), 10**9)
    return Duration(sec=sec, nanosec=nanosec)


class StampCheck:
    """Refuses the stamps of one stream that lie in the future or run backwards.

    A stamp of zero says nothing and passes. When the clock itself jumps back (a simulator's reset), or the stream
    goes on in order from an earlier time (a driver's restart), that is the new base.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._last_now_s = 0.0
        self._last_s = 0.0
        self._last_backward_s = 0.0
        self._backward = 0

    def check(self, stamp_s: float) -> None:
        """Raise BadInput for a stamp that cannot be right."""
        if stamp_s == 0.0:
            return
        now = self._now_s()
        if now < self._last_now_s:
            self._last_s = 0.0
        self._last_now_s = now
        if stamp_s > now + FUTURE_TOLERANCE_S:
            raise BadInput(
                f"its stamp {stamp_s:.3f} lies {stamp_s - now:.3f} s in the future of this node's clock {now:.3f}: "
                "synchronise the clocks, or set use_sim_time the same everywhere"
            )
        if stamp_s < self._last_s and not self._is_new_base(stamp_s):
            raise BadInput(f"its stamp {stamp_s:.3f} runs backwards, {self._last_s - stamp_s:.3f} s before the last")
        self._last_s = stamp_s
        self._backward = 0

    def _is_new_base(self, stamp_s: float) -> bool:
        in_order = self._backward > 0 and stamp_s >= self._last_backward_s
        self._backward = self._backward + 1 if in_order else 1
        self._last_backward_s = stamp_s
        return self._backward > _NEW_TIME_BASE_AFTER
