# SPDX-License-Identifier: Apache-2.0
"""Meters of rate and latency; every clock is a function returning seconds, so that tests bring their own."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

ClockFunction = Callable[[], float]


@dataclass(frozen=True)
class TimingSummary:
    """Percentiles of durations in seconds; all zero where `count` is zero."""

    count: int = 0
    p50_s: float = 0.0
    p95_s: float = 0.0
    max_s: float = 0.0


def summarize(durations_s: Sequence[float]) -> TimingSummary:
    """Return median, 95th percentile (linear interpolation) and maximum of durations."""
    if len(durations_s) == 0:
        return TimingSummary()
    p50, p95, largest = np.percentile(durations_s, [50.0, 95.0, 100.0])
    return TimingSummary(len(durations_s), float(p50), float(p95), float(largest))


class LatencyMeter:
    """Summarises the newest `window` durations, counts all."""

    def __init__(self, window: int = 200, clock: ClockFunction = time.monotonic) -> None:
        self._clock = clock
        self._durations_s: deque[float] = deque(maxlen=window)
        self.count = 0

    def record(self, duration_s: float) -> None:
        """Add one duration in seconds."""
        self._durations_s.append(duration_s)
        self.count += 1

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Record how long the body of the `with` takes, also where it raises."""
        start = self._clock()
        try:
            yield
        finally:
            self.record(self._clock() - start)

    def summary(self) -> TimingSummary:
        """Return the percentiles over the window."""
        return summarize(list(self._durations_s))


class RateMeter:
    """Counts events and their rate over the last `window_s` seconds, or since the meter began where that is less."""

    def __init__(self, window_s: float = 5.0, clock: ClockFunction = time.monotonic) -> None:
        self._clock = clock
        self._window_s = window_s
        self._start_s = clock()
        self._times_s: deque[float] = deque()
        self.count = 0

    def tick(self) -> None:
        """Count one event, now."""
        now = self._clock()
        self.count += 1
        self._times_s.append(now)
        self._forget_before(now - self._window_s)

    @property
    def age_s(self) -> float:
        """Seconds since the last event, or since the meter began where there was none."""
        last = self._times_s[-1] if self._times_s else self._start_s
        return self._clock() - last

    @property
    def rate_hz(self) -> float:
        """Events a second; falls to zero when they cease."""
        now = self._clock()
        recent = sum(1 for moment in tuple(self._times_s) if moment > now - self._window_s)
        return recent / max(min(now - self._start_s, self._window_s), 1e-3) if recent else 0.0

    def _forget_before(self, moment_s: float) -> None:
        while len(self._times_s) > 1 and self._times_s[0] <= moment_s:
            self._times_s.popleft()


class RateLimit:
    """Lets through at most so many events a second, of a stream whose own rate and jitter it does not know."""

    _EARLY = 0.25  # of a period: of a stream as fast as the limit, jitter shall not cost every second event

    def __init__(self, clock: ClockFunction = time.monotonic) -> None:
        self._clock = clock
        self._due_s = -np.inf

    def allows(self, rate_hz: float) -> bool:
        """Tell whether an event of now may pass; one that may counts."""
        now, period_s = self._clock(), 1.0 / rate_hz
        if now < self._due_s - self._EARLY * period_s:
            return False
        # from when it was due: who comes early does not make the next one earlier still
        self._due_s = max(self._due_s, now) + period_s
        return True
