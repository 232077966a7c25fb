# SPDX-License-Identifier: Apache-2.0
"""One supervised process: start, output, end of its whole process group."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import yaml

from axon_launch.console import Console, LineSplitter
from axon_launch.guard import MARKER, child_setup
from axon_launch.plan import ParamsFile, ProcessPlan, ros_arguments


class Child:
    """A process of the launch. `index` is its place in the launch file, `folder` is for its files of this run."""

    def __init__(self, index: int, plan: ProcessPlan, marker: str, console: Console, folder: Path) -> None:
        self.plan = plan
        self.label = f"{plan.label}-{index + 1}"
        self.retries = 0
        self.escalation = 0
        self._index = index
        self._marker = marker
        self._console = console
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._splitters: dict[int, tuple[IO[bytes], LineSplitter, bool]] = {}
        self._log: IO[str] | None = None
        if plan.output in ("log", "both"):
            self._log = open(folder / f"{self.label}.log", "a", encoding="utf-8")  # noqa: SIM115, closed in close()

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> str | None:
        """Starts the process; the reason where the system refuses."""
        try:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.plan.cwd,
                env={"PYTHONUNBUFFERED": "1", **self.plan.environment, MARKER: self._marker},
                start_new_session=True,
                preexec_fn=child_setup(os.getpid()),
            )
        except OSError as error:
            return f"cannot start {self.plan.command[0]}: {error.strerror}"
        for stream, on_screen in ((self._process.stdout, self.plan.output != "log"), (self._process.stderr, True)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._splitters[stream.fileno()] = (stream, LineSplitter(), on_screen)
        self._console.line(self.label, f"started, process {self._process.pid}", self._index)
        return None

    def _command(self) -> list[str]:
        words = list(self.plan.command)
        if self.plan.node:
            words += ros_arguments(self.plan.node, list(self._params_files()))
        return words

    def _params_files(self) -> Iterator[str]:
        """The node's params files; inline parameters are written as one under the node's full name.

        Under '/**' they would lose against a file's section for that node, whatever the order.
        """
        node = self.plan.node
        assert node is not None
        for number, entry in enumerate(node.parameters):
            if isinstance(entry, ParamsFile):
                yield str(entry.path)
            else:
                path = self._folder / f"{self.label}.{number}.params.yaml"
                path.write_text(yaml.safe_dump({node.full_name or "/**": {"ros__parameters": entry}}))
                yield str(path)

    def streams(self) -> list[int]:
        """The descriptors to read from."""
        return list(self._splitters)

    def read(self, descriptor: int) -> None:
        """Passes on what a stream holds; closes it at its end."""
        stream, splitter, on_screen = self._splitters[descriptor]
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return
        self._emit(splitter.feed(data) if data else splitter.close(), on_screen)
        if not data:
            del self._splitters[descriptor]
            stream.close()

    def _emit(self, lines: list[str], on_screen: bool) -> None:
        for line in lines:
            if on_screen:
                self._console.line(self.label, line, self._index)
            if self._log:
                self._log.write(f"{line}\n")

    def reap(self) -> int | None:
        """The exit code once the process has ended (128 + signal for a signal), else None.

        What the process leaves in its group ends with it. That is done before its id is given back to the system, so
        that the group's id cannot yet belong to somebody else.
        """
        process = self._process
        if process is None or not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return None
        self.signal_group(signal.SIGKILL)
        code = process.wait()
        self._drain()
        self._process = None
        return code if code >= 0 else 128 - code

    def _drain(self) -> None:
        for descriptor in self.streams():
            self.read(descriptor)
        for descriptor in self.streams():
            stream, splitter, on_screen = self._splitters.pop(descriptor)
            self._emit(splitter.close(), on_screen)
            stream.close()

    def signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):  # nobody is left in it, or only a process of another user
                return

    def close(self) -> None:
        if self._log:
            self._log.close()
