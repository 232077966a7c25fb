# SPDX-License-Identifier: Apache-2.0
"""Prefixed lines of many processes on one terminal."""

from __future__ import annotations

import os
import sys

_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
_LONGEST_LINE = 1 << 16


class Console:
    """Writes whole lines to stdout; `broken` is set when nobody reads them any more."""

    def __init__(self) -> None:
        self.broken = False
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, label: str, text: str, index: int = -1) -> None:
        """One line of process `index` (counted from 0), or of the runner itself (-1)."""
        prefix = f"[{label}]"
        if self.coloured:
            colour = _COLOURS[index % len(_COLOURS)] if index >= 0 else 1
            prefix = f"\033[{colour}m{prefix}\033[0m"
        self._write(f"{prefix} {text}\n")

    def say(self, text: str) -> None:
        self.line("launch", text)

    def _write(self, text: str) -> None:
        if self.broken:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.broken = True
            # The interpreter flushes stdout once more at exit, which must not raise again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LineSplitter:
    """Bytes in, whole decoded lines out; a line without an end is given out at `limit` bytes."""

    def __init__(self, limit: int = _LONGEST_LINE) -> None:
        self._rest = b""
        self._limit = limit

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._limit:
            lines.append(self._rest)
            self._rest = b""
        return [_decode(line) for line in lines]

    def close(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [_decode(rest)] if rest else []


def _decode(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", errors="replace")
