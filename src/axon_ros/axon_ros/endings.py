# SPDX-License-Identifier: Apache-2.0
"""Action goals that go on for a while, without a thread each and without polling."""

from typing import Any


class Endings:
    """Ends goals when their result is known.

    An `async` execute callback that awaits a future makes rclpy's executor poll it without a pause: a whole core for
    a waiting goal. So a long goal is begun by the `accepted` callback and carried on by a timer, and rclpy executes it
    only at its end:

        endings = Endings()
        node.action(FollowPath, "follow_path", endings.execute, accepted=begin)
        ...
        endings.end(handle, "succeed", result)

    Until then the goal's status is ACCEPTED; feedback and cancel requests work as ever.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, Any]] = {}

    def end(self, handle: Any, state: str, result: Any) -> None:
        """End a goal as `state` ("succeed", "abort" or "canceled") with its result."""
        self._known[bytes(handle.goal_id.uuid)] = state, result
        handle.execute()

    def execute(self, handle: Any) -> Any:
        """Be the execute callback: hand rclpy the result of a goal that `end` has ended."""
        state, result = self._known.pop(bytes(handle.goal_id.uuid))
        if handle.is_active:
            getattr(handle, state)()
        return result
