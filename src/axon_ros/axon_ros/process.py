# SPDX-License-Identifier: Apache-2.0
"""A node as a process: starts, spins, and ends with code 0 when asked to."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from axon_ros.errors import ParameterError
from axon_ros.executors import executor_of

_SHUTDOWN_TIMEOUT_S = 1.0
_INSISTS_AFTER_S = 3.0
_LOAD_GRACE_S = 1.5
_EXIT_USAGE = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StartError(Exception):
    """The node cannot start; the text says why."""


class StopRequest:
    """SIGINT and SIGTERM, noted here and seen by the spin loop; during a long load they interrupt what runs.

    rclpy's own handlers would invalidate the context at once, and a node could no longer publish a last command.
    """

    def __init__(self) -> None:
        self.made = False
        self._first_s = 0.0
        self.may_interrupt: Callable[[], bool] = lambda: False
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        threading.Thread(target=self._end_deaf_load, name="signals", daemon=True).start()
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def ignore_others(self) -> None:
        """Let nothing disturb the clean-up."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _end_deaf_load(self) -> None:
        """Python hears no signal within one long call of C, which a load may well be; nothing is lost by ending it."""
        while os.read(self._woken, 1)[0] not in _SIGNALS:
            continue
        time.sleep(_LOAD_GRACE_S)
        if self.may_interrupt():
            os._exit(0)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # A terminal and a launcher both send SIGINT; only a later one means that the first was of no use.
        insists = self.made and now - self._first_s > _INSISTS_AFTER_S
        if not self.made:
            self.made, self._first_s = True, now
        if insists or self.may_interrupt():
            raise KeyboardInterrupt


def node_main(node_class: Callable[[], Any]) -> Callable[..., int]:
    """Return the `main` of a node's executable.

    It returns the exit code: 0 after a signal, the node's own where it has finished, 2 for arguments that do not fit.
    """

    def main(args: Sequence[str] | None = None) -> int:
        stop = StopRequest()
        node = None
        try:
            node = _start(node_class, list(sys.argv if args is None else args))
            stop.may_interrupt = lambda: node.loading
            _spin(node, stop)
        except KeyboardInterrupt:
            pass
        except StartError as error:
            print(f"{node_class.__name__}: {error}", file=sys.stderr)
            return _EXIT_USAGE
        finally:
            stop.ignore_others()
            if node is not None:
                node.destroy_node()
            rclpy.try_shutdown()
        return node.exit_code or 0 if node is not None else 0

    return main


def _start(node_class: Callable[[], Any], argv: list[str]) -> Any:
    try:
        extra = remove_ros_args(argv)[1:]
        if extra:
            raise StartError(f"unknown argument '{extra[0]}': parameters go after --ros-args, as -p name:=value")
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
        return node_class()
    except ParameterError as error:
        raise StartError(str(error)) from error
    except RuntimeError as error:  # what rcl says of its arguments and files
        raise StartError(" ".join(str(error).split())) from error


def _spin(node: Any, stop: StopRequest) -> None:
    executor = executor_of(node)
    while rclpy.ok() and not stop.made and node.exit_code is None:
        try:
            # rclpy's endless wait can miss a signal: the node's steady timer, five times a second, bounds it here.
            # A time-out would do the same, but makes and destroys a timer at every turn, a quarter of the cost.
            executor.spin_once()
        except ExternalShutdownException:
            break
        except Exception as error:  # whatever a callback raised: it is said, and the node lives on
            node.report_exception(error)
    node.destroy_node()
    executor.shutdown(timeout_sec=_SHUTDOWN_TIMEOUT_S)
