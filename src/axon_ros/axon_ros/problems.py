# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a node now: said once when it begins, shown in diagnostics while it lasts, said when it ends."""

import threading
import time
from dataclasses import dataclass

from axon_core.timing import ClockFunction
from axon_ros.speaker import Level, Speaker


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong since `since_s`."""

    level: Level
    text: str
    since_s: float


class Problems:
    """Problems by key; may be used from any thread."""

    def __init__(self, speaker: Speaker, clock: ClockFunction = time.monotonic) -> None:
        self._speaker = speaker
        self._clock = clock
        self._lock = threading.Lock()
        self._by_key: dict[str, Problem] = {}

    def raise_(self, key: str, level: Level, text: str) -> None:
        """Note a problem, and say it unless the key is already known at this level."""
        with self._lock:
            known = self._by_key.get(key)
            since = known.since_s if known else self._clock()
            self._by_key[key] = Problem(level, text, since)
        if known is None or known.level != level:
            self._speaker.say(level, text)

    def clear(self, key: str, text: str = "") -> None:
        """Forget a problem, and say that it has ended, or `text` where given."""
        with self._lock:
            known = self._by_key.pop(key, None)
        if known is not None:
            lasted = self._clock() - known.since_s
            self._speaker.say(Level.OK, f"{text or 'recovered: ' + known.text} (after {lasted:.1f} s)")

    def forget(self, prefix: str = "") -> None:
        """Drop all problems whose key begins with `prefix`, without a word."""
        with self._lock:
            for key in [key for key in self._by_key if key.startswith(prefix)]:
                del self._by_key[key]

    def summary(self) -> tuple[Level, str]:
        """Return the worst level and the texts of all problems, the worst first."""
        with self._lock:
            problems = sorted(self._by_key.values(), key=lambda problem: (-problem.level, problem.since_s))
        if not problems:
            return Level.OK, ""
        return problems[0].level, "; ".join(problem.text for problem in problems)
