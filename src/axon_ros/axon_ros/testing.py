# SPDX-License-Identifier: Apache-2.0
"""Helps for tests of nodes: a ROS domain of one's own, waiting with a time-out, processes that always end.

Import the fixtures into a conftest.py or a test module: `from axon_ros.testing import domain, processes`.
"""

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

DOMAINS = range(1, 101)  # above 101 some systems' ephemeral ports begin


@contextmanager
def isolated_domain() -> Iterator[int]:
    """Hold a ROS domain on this machine that no other holder has, and set it in the environment.

    The lock is a file's, so that it ends with its process, however that ends.
    """
    folder = Path(tempfile.gettempdir()) / f"axon-ros-domains-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with _longest_free(folder) as domain:
        saved = {name: os.environ.get(name) for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")}
        os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
        try:
            yield domain
        finally:
            for name, value in saved.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextmanager
def ros(args: Sequence[str] = ()) -> Iterator[Any]:
    """Initialise rclpy in a domain of its own; yields a plain node in an executor that is `node.executor`."""
    with isolated_domain():
        rclpy.init(args=["test", *args])
        node = rclpy.create_node(f"test_{os.getpid()}")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            yield node
        finally:
            executor.shutdown(timeout_sec=1.0)
            rclpy.try_shutdown()


def spin_until(node: Any, predicate: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Spin the node's executor until the predicate is true; returns its last value, false after the time-out."""
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()) and time.monotonic() < deadline:
        node.executor.spin_once(timeout_sec=0.05)
    return value


class Process:
    """An executable in a process group of its own, its output in files."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | Path | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="axon-process-")
        self._out, self._err = Path(self._folder.name) / "out", Path(self._folder.name) / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.popen = subprocess.Popen(
                list(command),
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, **(env or {})},
                cwd=cwd,
            )

    @property
    def output(self) -> str:
        """All that it has written to stdout and stderr so far."""
        return self._out.read_text(errors="replace") + self._err.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.popen.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the process (not to its group)."""
        self.popen.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Return the exit code; raises subprocess.TimeoutExpired."""
        return self.popen.wait(timeout_s)

    def stop(self, number: int = signal.SIGINT, timeout_s: float = 8.0) -> int:
        """Send a signal and return the exit code; raises subprocess.TimeoutExpired where it does not end."""
        self.send(number)
        return self.wait(timeout_s)

    def end(self) -> None:
        """End the whole group, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self._folder.cleanup()


@contextmanager
def process(
    command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | Path | None = None
) -> Iterator[Process]:
    """Run an executable for the body of the `with`."""
    started = Process(command, env, cwd)
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def domain() -> Iterator[int]:
    """A ROS domain of the test's own."""
    with isolated_domain() as number:
        yield number


@pytest.fixture
def ros_node() -> Iterator[Any]:
    """A plain node in a domain of the test's own, to spin with `spin_until`."""
    with ros() as node:
        yield node


@pytest.fixture
def processes(domain: int) -> Iterator[Callable[..., Process]]:
    """A function that starts executables in the test's domain; all of them end with the test."""
    started: list[Process] = []

    def start(command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        started.append(Process(command, env))
        return started[-1]

    yield start
    for one in started:
        one.end()


@contextmanager
def _longest_free(folder: Path) -> Iterator[int]:
    """Hold the free domain that was left the longest ago.

    A participant that has just ended is heard of for a while, and half of a service of its that is still listed makes
    the next one's count as not there: request readers and response writers have to be equal in number.
    """

    def left_s(domain: int) -> float:
        file = folder / str(domain)
        return file.stat().st_mtime if file.exists() else 0.0

    for domain in sorted(DOMAINS, key=left_s):
        with (folder / str(domain)).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.utime(lock.fileno())
            try:
                yield domain
            finally:
                os.utime(lock.fileno())
            return
    raise RuntimeError(f"all {len(DOMAINS)} ROS domains are held: see {folder}")
