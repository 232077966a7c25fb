# SPDX-License-Identifier: Apache-2.0
"""rclpy's executors, mended where an error would deafen a node for ever."""

from collections.abc import Callable
from typing import Any

from rclpy.executors import Executor, MultiThreadedExecutor, SingleThreadedExecutor


class _TakesSafely(Executor):
    """Outlives an error in taking a message, a request or a timer's call from the middleware.

    rclpy marks the callback group as busy, takes, calls back, and marks it as free even where the callback raises, but
    not where the taking does: no callback of the group ever runs again, and the wait for one hears no signal either.
    """

    on_take_error: Callable[[Exception], None]

    def _make_handler(self, entity: Any, node: Any, take_from_wait_list: Callable[[Any], Any], *rest: Any) -> Any:
        def take(one: Any) -> Any:
            try:
                return take_from_wait_list(one)
            except Exception as error:
                self.on_take_error(error)
                return None  # nothing to do

        return super()._make_handler(entity, node, take, *rest)


class OneThread(_TakesSafely, SingleThreadedExecutor):
    """A SingleThreadedExecutor that outlives an error in taking."""


class ManyThreads(_TakesSafely, MultiThreadedExecutor):
    """A MultiThreadedExecutor that outlives an error in taking."""


def executor_of(node: Any) -> OneThread | ManyThreads:
    """Return an executor with as many threads as the node asks for and the node in it."""
    executor = ManyThreads(node.threads) if node.threads > 1 else OneThread()
    executor.on_take_error = node.report_exception
    executor.add_node(node)
    return executor
