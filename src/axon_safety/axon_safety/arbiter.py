# SPDX-License-Identifier: Apache-2.0
"""Who drives: the most important source that has spoken lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from axon_core.motion import Twist2, check_twist


class Arbiter:
    """Keeps the newest command of each source; a silent one gives way to the next, then to nobody."""

    def __init__(self, sources: Sequence[str], timeout_s: float) -> None:
        self.sources = tuple(sources)
        self.timeout_s = timeout_s
        self.refused: Counter[str] = Counter()
        """Commands refused so far, by source."""
        self._newest: dict[str, tuple[float, Twist2]] = {}

    def submit(self, source: str, t_s: float, command: Twist2) -> None:
        """Take a command; ValueError (and a count) where it is not finite or nobody knows the source.

        A refused command also withdraws the source's last one: who sends nonsense does not drive.
        """
        if source not in self.sources:
            raise ValueError(f"source '{source}': expected one of {', '.join(self.sources)}")
        try:
            self._newest[source] = (t_s, check_twist(command, f"command of {source}"))
        except ValueError:
            self.refused[source] += 1
            self._newest.pop(source, None)
            raise

    def choose(self, t_s: float) -> tuple[str, Twist2]:
        """The driving source and its command; ("", zero) where all are silent.

        A stamp ahead of t_s (the clock was set back) counts as silence when it is ahead by more than the time-out.
        """
        for source in self.sources:
            if source in self._newest:
                stamp_s, command = self._newest[source]
                if abs(t_s - stamp_s) <= self.timeout_s:
                    return source, command
        return "", Twist2()
