# SPDX-License-Identifier: Apache-2.0
"""Notices that simulated time is asked for and does not run."""

import time
from collections.abc import Callable

from axon_core.timing import ClockFunction
from axon_ros.problems import Problems
from axon_ros.speaker import Level

_DEAD_AFTER_S = 0.8


class ClockWatch:
    """Compares the node's clock with one that always runs."""

    def __init__(self, now_s: Callable[[], float], problems: Problems, steady: ClockFunction = time.monotonic) -> None:
        self._now_s, self._problems, self._steady = now_s, problems, steady
        self._last_now_s = now_s()
        self._moved_at_s = steady()

    def watch(self) -> None:
        """Raise a problem while the node's clock stands still."""
        now, steady = self._now_s(), self._steady()
        if now != self._last_now_s:
            self._last_now_s, self._moved_at_s = now, steady
            self._problems.clear("clock", "/clock runs")
        elif steady - self._moved_at_s > _DEAD_AFTER_S:
            state = "does not come" if now == 0.0 else f"stands still at {now:.3f} s"
            remedy = "start the simulator (or resume it), or set use_sim_time to false"
            self._problems.raise_("clock", Level.WARN, f"/clock {state}: {remedy}")
