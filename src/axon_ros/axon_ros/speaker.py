# SPDX-License-Identifier: Apache-2.0
"""A node's voice: every message once, or throttled with the count of what was held back."""

import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from axon_core.timing import ClockFunction


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass
class _Throttle:
    said_s: float
    held_back: int = 0


class Speaker:
    """Logs through a ROS logger."""

    def __init__(self, logger: Any, clock: ClockFunction = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._said: set[str] = set()
        self._throttles: dict[str, _Throttle] = {}

    def say(self, level: Level, text: str) -> None:
        """Log one line at the level. rclpy ties a call's place to one severity, hence three places."""
        if level == Level.OK:
            self._logger.info(text)
        elif level == Level.WARN:
            self._logger.warning(text)
        else:
            self._logger.error(text)

    def debug(self, text: str) -> None:
        """Log for who looks for the cause."""
        self._logger.debug(text)

    def once(self, key: str, level: Level, text: str) -> None:
        """Log the first text of a key, and none after it until `forget`."""
        if key not in self._said:
            self._said.add(key)
            self.say(level, text)

    def throttled(self, key: str, level: Level, text: str, period_s: float = 5.0) -> None:
        """Log at most one text of a key a period, with the number held back since the last."""
        now = self._clock()
        throttle = self._throttles.get(key)
        if throttle is not None and now - throttle.said_s < period_s:
            throttle.held_back += 1
            return
        more = f" (and {throttle.held_back} more like it)" if throttle and throttle.held_back else ""
        self._throttles[key] = _Throttle(now)
        self.say(level, text + more)

    def forget(self) -> None:
        """Let everything be said anew."""
        self._said.clear()
        self._throttles.clear()
