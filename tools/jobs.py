# SPDX-License-Identifier: Apache-2.0
"""Run commands side by side: output to log files, one line of progress, and no process left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GRACE_S = 5.0  # what a job gets to end by itself after SIGINT, before SIGKILL


class JobFailed(Exception):
    """A command ended with another exit code than 0; says which one, and the end of its log."""

    def __init__(self, name: str, code: int, log: Path):
        tail = "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-15:])
        super().__init__(f"{name} failed with exit code {code}; the end of {log}:\n{tail}")
        self.code = code


@dataclass
class Job:
    """Commands that run one after another under one name, in `environ`, logging to `log`."""

    name: str
    commands: Sequence[Sequence[str]]
    log: Path
    environ: Mapping[str, str]
    on_line: Callable[[str], str | None] = lambda line: line  # a line of output -> progress to show, None: as before
    progress: str = field(default="", init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)
    cancelled: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> None:
        """Run all commands; keep what went wrong in `error`."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("wb") as log:
                for command in self.commands:
                    self._run_one(command, log)
        except Exception as error:
            self.error = error

    def _run_one(self, command: Sequence[str], log) -> None:
        with self._lock:
            if self.cancelled:
                return
            # A session of its own: Ctrl-C reaches us alone, and a signal to the group reaches all that it started.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=dict(self.environ), start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            log.write(line)
            log.flush()
            self.progress = self.on_line(line.decode(errors="replace").strip()) or self.progress
        code = self.process.wait()
        if code != 0 and not self.cancelled:
            raise JobFailed(self.name, code, self.log)

    def cancel(self) -> None:
        """End the running command and all that it started; start no other."""
        with self._lock:
            self.cancelled = True
        if self.process is not None and self.process.poll() is None:
            end_group(self.process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGINT to the process's group, SIGKILL to what is left of it after `GRACE_S`."""
    group = process.pid
    deadline = time.monotonic() + GRACE_S
    _signal_group(group, signal.SIGINT)
    while time.monotonic() < deadline and _group_alive(process, group):
        time.sleep(0.05)
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _group_alive(process: subprocess.Popen[bytes], group: int) -> bool:
    process.poll()
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; `code` is the exit code to end with."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that ask a program to end into `Interrupted`, once: a second one cannot break the clean-up."""

    def interrupt(number: int, _frame: object) -> None:
        for other in signals:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(number)

    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


class Console:
    """A heading a step with its time; on a terminal one live line below it."""

    def __init__(self, steps: int, live: bool | None = None):
        self.steps = steps
        self.step = 0
        self.start_s = time.monotonic()
        self.live = sys.stdout.isatty() if live is None else live

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"{self._clear()}{text}", flush=True)

    @contextlib.contextmanager
    def heading(self, title: str) -> Iterator[None]:
        """Announce a step; say how long it took when it is done."""
        self.step += 1
        start_s = time.monotonic()
        if not self.live:
            self.say(f"[{self.step}/{self.steps}] {title}")
        else:
            self.status(title)
        yield
        took_s = time.monotonic() - start_s
        self.say(f"[{self.step}/{self.steps}] {title}: {took_s:.1f} s" if self.live else f"      {took_s:.1f} s")

    def status(self, text: str) -> None:
        """Show `text` on the live line."""
        if self.live:
            width = max(20, _terminal_columns() - 1)
            line = f"[{self.step}/{self.steps}] {time.monotonic() - self.start_s:4.0f} s  {text}"
            print(f"{self._clear()}{line[:width]}", end="", flush=True)

    def _clear(self) -> str:
        return "\r\x1b[2K" if self.live else ""


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


def run_jobs(jobs: Sequence[Job], console: Console) -> None:
    """Run `jobs` side by side to the end; when one fails, or a signal comes, end the others and raise."""
    threads = [threading.Thread(target=job.run, daemon=True) for job in jobs]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and not any(job.error for job in jobs):
            console.status("   ".join(f"{job.name}: {job.progress}" for job in jobs if job.process))
            time.sleep(0.1)
    finally:
        for job in jobs:
            job.cancel()
        for thread in threads:
            thread.join(timeout=GRACE_S)
    for job in jobs:
        if job.error:
            raise job.error
