# SPDX-License-Identifier: Apache-2.0
"""Finding every process that a launch has started, by the marker in its environment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from axon_launch.guard import MARKER


def new_tag() -> str:
    """A marker for a launch of a test's own: put it into the environment as MARKER."""
    return f"test{os.getpid()}x{time.monotonic_ns()}"


def children_of(tag: str) -> list[int]:
    """What the launch has started and still runs: everything with its marker but the runner and its watchdog."""
    return [pid for pid, marker in _markers() if marker.startswith(f"{tag}:")]


def wait_until_gone(tag: str, timeout_s: float = 10.0) -> None:
    """Fails where something of the launch still runs after the time-out."""
    deadline = time.monotonic() + timeout_s
    while left := children_of(tag):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def _markers() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            for entry in (folder / "environ").read_bytes().split(b"\0") if folder.name.isdigit() else ():
                if entry.startswith(f"{MARKER}=".encode()):
                    yield int(folder.name), entry.decode().split("=", 1)[1]
