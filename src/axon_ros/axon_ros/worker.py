# SPDX-License-Identifier: Apache-2.0
"""Work beside the executor, on the newest item only."""

import threading
import time
from collections.abc import Callable
from typing import Any

from axon_core.timing import LatencyMeter


class Worker:
    """One thread that calls `callback` with the newest item submitted; older ones waiting are dropped and counted.

    `latency` runs from submit to the end of the callback. An exception goes to `on_error`, and the thread lives on.
    """

    def __init__(self, callback: Callable[[Any], None], on_error: Callable[[Exception], None], name: str) -> None:
        self._callback = callback
        self._on_error = on_error
        self._change = threading.Condition()
        self._waiting: tuple[Any, float] | None = None
        self._closing = False
        self.drops = 0
        self.latency = LatencyMeter()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Any) -> None:
        """Hand over an item; one that still waits is dropped for it. Never blocks on the work."""
        with self._change:
            self.drops += self._waiting is not None
            self._waiting = (item, time.monotonic())
            self._change.notify()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Let the present item end, start no other; False where it has not ended within the time-out."""
        with self._change:
            self._closing = True
            self._waiting = None
            self._change.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            item, submitted_s = taken
            try:
                self._callback(item)
            except Exception as error:
                self._on_error(error)
            self.latency.record(time.monotonic() - submitted_s)

    def _take(self) -> tuple[Any, float] | None:
        with self._change:
            self._change.wait_for(lambda: self._closing or self._waiting is not None)
            taken, self._waiting = self._waiting, None
            return taken
