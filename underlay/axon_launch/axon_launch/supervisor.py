# SPDX-License-Identifier: Apache-2.0
"""Runs the processes of a plan until they have ended, and ends them in order when one of many reasons says so."""

from __future__ import annotations

import heapq
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from axon_launch.child import Child
from axon_launch.console import Console
from axon_launch.guard import Watchdog, end_marked, new_marker
from axon_launch.plan import ProcessPlan

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STAGES = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_BROKEN_PIPE_CODE = 128 + signal.SIGPIPE
_CANNOT_START_CODE = 126
# What a process exits with when it takes the signal that we sent to end it as the reason of its end.
_ENDED_BY_US = {0, *(128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL))}


class Supervisor:
    """Starts every process of `plans` and looks after them in one thread.

    `folder` takes log and params files; `keep_fds` are held open until the last process is gone.
    """

    def __init__(self, plans: list[ProcessPlan], folder: Path, keep_fds: tuple[int, ...] = ()) -> None:
        self._console = Console()
        self._marker = new_marker()
        self._children = [Child(i, plan, self._marker, self._console, folder) for i, plan in enumerate(plans)]
        self._keep_fds = keep_fds
        self._exit_code = 0
        self._stopping = False
        self._signals: list[int] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_count = 0

    def run(self) -> int:
        """Returns the exit code: of the first process that failed, 128 + signal if a signal ended the launch, or 0."""
        watchdog = Watchdog(self._marker, self._keep_fds)
        wake_read, restore = self._install_signals()
        try:
            for child in self._children:
                self._start(child)
            while any(child.running for child in self._children) or (self._timers and not self._stopping):
                self._step(wake_read)
        finally:
            end_marked(self._marker)
            watchdog.close()
            restore()
            for child in self._children:
                child.close()
        return self._exit_code

    def _install_signals(self) -> tuple[int, Callable[[], None]]:
        """Makes signals wake the loop through a pipe. Returns its reading end and what puts all back."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        old_fd = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        old = {number: signal.signal(number, self._on_signal) for number in (*_ENDING, signal.SIGCHLD)}

        def restore() -> None:
            signal.set_wakeup_fd(old_fd)
            for number, handler in old.items():
                signal.signal(number, handler)
            os.close(read_end)
            os.close(write_end)

        return read_end, restore

    def _on_signal(self, number: int, _frame: object) -> None:
        if number in _ENDING:
            self._signals.append(number)

    def _step(self, wake_read: int) -> None:
        """Waits for output, a signal or a timer, and deals with it."""
        self._wait_for_input(wake_read)
        while self._signals:
            self._on_ending_signal(self._signals.pop(0))
        for child in self._children:
            code = child.reap()
            if code is not None:
                self._on_exit(child, code)
        if self._console.broken:
            self._stop(_BROKEN_PIPE_CODE, "nobody reads the output")
        self._run_timers()

    def _wait_for_input(self, wake_read: int) -> None:
        owners = {descriptor: child for child in self._children for descriptor in child.streams()}
        poll = select.poll()
        for descriptor in (wake_read, *owners):
            poll.register(descriptor, select.POLLIN)
        if not self._console.broken:
            poll.register(sys.stdout.fileno(), 0)  # POLLERR comes unasked when the reader of a pipe has gone
        for descriptor, events in poll.poll(self._timeout_ms()):
            if descriptor in owners:
                owners[descriptor].read(descriptor)
            elif descriptor == wake_read:
                _empty(wake_read)
            elif events & select.POLLERR:
                self._console.broken = True

    def _timeout_ms(self) -> float | None:
        return max(0.0, self._timers[0][0] - time.monotonic()) * 1000.0 + 1.0 if self._timers else None

    def _after(self, delay_s: float, action: Callable[[], None]) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (time.monotonic() + delay_s, self._timer_count, action))

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _start(self, child: Child) -> None:
        if self._stopping:
            return
        refusal = child.start()
        if refusal is not None:
            self._console.say(f"ERROR: {child.plan.where}: {refusal}")
            self._stop(_CANNOT_START_CODE, f"{child.label} could not be started")

    def _on_exit(self, child: Child, code: int) -> None:
        self._console.say(f"{child.label} {_describe_exit(code)}")
        if self._stopping:
            self._note_failure(0 if code in _ENDED_BY_US else code)
        elif child.plan.shutdown_on_exit:
            self._stop(code, f"{child.label} has ended and the launch ends with it")
        elif child.plan.respawn and self._may_retry(child):
            child.retries += 1
            self._console.say(f"starting {child.label} again in {child.plan.respawn_delay_s:g} s")
            self._after(child.plan.respawn_delay_s, lambda: self._start(child))
        else:
            self._note_failure(code)

    def _may_retry(self, child: Child) -> bool:
        most = child.plan.respawn_max_retries
        if 0 <= most <= child.retries:
            self._console.say(f"ERROR: {child.label} has been started again {most} times already: no more")
            return False
        return True

    def _note_failure(self, code: int) -> None:
        self._exit_code = self._exit_code or code

    def _on_ending_signal(self, number: int) -> None:
        """The first signal asks all to end; each further one presses harder."""
        if not self._stopping:
            self._stop(128 + number, f"{signal.Signals(number).name}: ending all processes")
        else:
            for child in self._children:
                self._escalate(child, child.escalation)

    def _stop(self, code: int, reason: str) -> None:
        if self._stopping:
            return
        self._stopping = True
        self._note_failure(code)
        self._console.say(reason)
        for child in self._children:
            self._escalate(child, 0)

    def _escalate(self, child: Child, stage: int) -> None:
        """Sends stage 0 SIGINT, 1 SIGTERM, 2 SIGKILL, and sets the timer of the next, unless that stage is past."""
        if not child.running or child.escalation != stage or stage >= len(_STAGES):
            return
        child.escalation += 1
        child.signal_group(_STAGES[stage])
        if stage > 0:
            self._console.say(f"{child.label} is still running: sent {_STAGES[stage].name}")
        if stage == 0:
            self._after(child.plan.sigterm_timeout_s, lambda: self._escalate(child, 1))
        elif stage == 1:
            self._after(child.plan.sigkill_timeout_s, lambda: self._escalate(child, 2))


def _describe_exit(code: int) -> str:
    if code == 0:
        return "has finished"
    names = {128 + number: number.name for number in signal.Signals}
    return f"was ended by {names[code]}" if code in names else f"ERROR: failed with exit code {code}"


def _empty(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1024):
            pass
    except BlockingIOError:
        return
