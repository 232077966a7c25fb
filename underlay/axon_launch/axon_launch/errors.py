# SPDX-License-Identifier: Apache-2.0
"""The one error of this package: it says where, what, and the nearest valid names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Where:
    """A place in a launch file; `line` counts from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LaunchError(Exception):
    """Something in a launch file or on the command line that cannot be run; nothing has been started."""

    def __init__(self, text: str, where: Where | None = None) -> None:
        super().__init__(f"{where}: {text}" if where else text)
        self.where = where


def suggest(name: str, valid: Iterable[str]) -> str:
    """A clause that names the nearest of `valid`, or all of them where they are few."""
    known = sorted(set(valid))
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"nearest: {', '.join(close)}"
    if not known:
        return "there are none"
    shown = ", ".join(known[:12])
    return f"known: {shown}{', ...' if len(known) > 12 else ''}"
