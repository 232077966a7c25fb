# SPDX-License-Identifier: Apache-2.0
"""Durations on a machine that others use too: the least of some runs is nearest to what the work itself takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any


def best_of(repeat: int, function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least of `repeat` durations in s, and the last answer."""
    best, answer = math.inf, None
    for _ in range(repeat):
        began = time.perf_counter()
        answer = function()
        best = min(best, time.perf_counter() - began)
    return best, answer
