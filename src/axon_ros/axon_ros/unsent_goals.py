# SPDX-License-Identifier: Apache-2.0
"""Goals for action servers that are not found yet: discovery takes a while, and may lose sight of one for a moment."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from axon_core.timing import ClockFunction

SERVER_PATIENCE_S = 10.0


@dataclass(frozen=True)
class _Unsent:
    client: Any
    send: Callable[[], Any]
    give_up: Callable[[], Any]
    until_s: float


class UnsentGoals:
    """Holds back what is to be sent until its server is there, for SERVER_PATIENCE_S (steady clock) at most."""

    def __init__(self, clock: ClockFunction = time.monotonic) -> None:
        self._clock = clock
        self._waiting: list[_Unsent] = []

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, client: Any, send: Callable[[], Any], give_up: Callable[[], Any]) -> None:
        """Call `send` as soon as the server of an ActionClient is there, or `give_up` where it does not come."""
        self._waiting.append(_Unsent(client, send, give_up, self._clock() + SERVER_PATIENCE_S))
        self.settle()

    def settle(self) -> None:
        """Send what can be sent, give up what has waited too long; for a timer."""
        waiting, self._waiting = self._waiting, []
        for goal in waiting:
            if goal.client.server_is_ready():
                goal.send()
            elif self._clock() > goal.until_s:
                goal.give_up()
            else:
                self._waiting.append(goal)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
