# SPDX-License-Identifier: Apache-2.0
"""No process of a launch outlives its runner, however the runner ends.

Each child carries a marker in its environment and so does whatever it starts, in whatever process group. A watchdog,
forked before any child, waits for the runner's end of a pipe to close and then ends everything with that marker: this
covers SIGKILL to the runner. Should the watchdog be killed too, the kernel still sends SIGTERM to the direct children
(PR_SET_PDEATHSIG, prctl(2)).
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

MARKER = "AXON_LAUNCH_ID"
_PR_SET_PDEATHSIG = 1
_GRACE_S = 3.0
_libc = ctypes.CDLL(None, use_errno=True)


def new_marker(environment: Mapping[str, str] = os.environ) -> str:
    """A marker that also holds those of the launches around this one."""
    outer = environment.get(MARKER, "")
    own = uuid.uuid4().hex
    return f"{outer}:{own}" if outer else own


def marked_processes(marker: str) -> list[int]:
    """The live processes (no zombies) of this machine that carry the marker and that we may look at."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _carries(entry, marker)]


def _carries(folder: Path, marker: str) -> bool:
    try:
        entries = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to another user
        return False
    return any(entry.startswith(f"{MARKER}={marker}".encode()) for entry in entries)


def end_marked(marker: str, grace_s: float = _GRACE_S) -> list[int]:
    """Ends every marked process: SIGTERM, then SIGKILL after the grace. Returns the ids that it found."""
    found = marked_processes(marker)
    _signal_all(found, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while (left := marked_processes(marker)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left:
        _signal_all(left, signal.SIGKILL)
        time.sleep(0.02)
        left = marked_processes(marker)
    return found


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):  # it has just ended, or has changed its user
            continue


class Watchdog:
    """A forked process that ends all marked processes when this one is gone."""

    def __init__(self, marker: str, keep_fds: Iterable[int] = ()) -> None:
        """`keep_fds` stay open in the watchdog too: locks that must last until the last child is gone."""
        read_end, self._write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _watch(marker, read_end, {*keep_fds, read_end})
        os.close(read_end)

    def close(self) -> None:
        """Says that all is over, and waits until the watchdog has seen it so."""
        os.close(self._write_end)
        os.waitpid(self._pid, 0)


def _watch(marker: str, read_end: int, keep: set[int]) -> None:
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _close_all_but(keep)
        while os.read(read_end, 1):
            pass
        end_marked(marker)
    finally:
        os._exit(0)


def _close_all_but(keep: set[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # the descriptor of the listing itself
                continue


def child_setup(parent_pid: int) -> Callable[[], None]:
    """What a child does between fork and exec: own signals, and death with its parent."""

    def setup() -> None:
        # A background shell starts its jobs with SIGINT ignored, and ignored signals survive exec: the child could not
        # be interrupted.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)

    return setup
