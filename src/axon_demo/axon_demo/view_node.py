# SPDX-License-Identifier: Apache-2.0
"""Listens to a running graph for the viewer: whatever has something to show, as soon as somebody publishes it."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from axon_demo.recorder_node import _matching_qos, _message_class
from axon_demo.view_scene import Scene

_LOOK_FOR_TOPICS_S = 0.5
_LOOKS_FOR_A_CLOCK = 2
_TURN_S = 0.1


class ViewNode(Node):
    """Passes all messages on as they come, serialized; its clock is the simulator's where there is one."""

    def __init__(self, scene: Scene) -> None:
        super().__init__("axon_view", enable_rosout=False)
        self._scene = scene
        self._is_simulated, self._looks = False, 0
        self._readers: dict[str, Any] = {}
        self.create_timer(_LOOK_FOR_TOPICS_S, self.look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.look()

    @property
    def topics(self) -> list[str]:
        """What is listened to."""
        return sorted(self._readers)

    def look(self) -> None:
        """Subscribes to what is new on the graph, and arranges the views for what has come."""
        wanted = [pair for pair in self.get_topic_names_and_types() if self._scene.wants(pair[0], pair[1][0])]
        self._looks += bool(wanted)
        self._take_time_from_simulator()
        # The first topics may be found before /clock is, or told the time: theirs would be of another clock.
        for topic, types in wanted if self._looks > _LOOKS_FOR_A_CLOCK and self._now_s() > 0.0 else []:
            if topic not in self._readers:
                self._subscribe(topic, types[0])
        self._scene.lay_out(at_once=False)

    def _take_time_from_simulator(self) -> None:
        if not self._is_simulated and self.count_publishers("/clock"):
            self._is_simulated = True
            self.set_parameters([Parameter("use_sim_time", Parameter.Type.BOOL, True)])

    def _now_s(self) -> float:
        return 1e-9 * self.get_clock().now().nanoseconds

    def _subscribe(self, topic: str, type_name: str) -> None:
        publishers = self.get_publishers_info_by_topic(topic)
        if not publishers:
            return
        qos = _matching_qos([publisher.qos_profile for publisher in publishers])

        def take(cdr: bytes) -> None:
            self._scene.take(topic, type_name, self._now_s(), cdr)

        self._readers[topic] = self.create_subscription(_message_class(type_name), topic, take, qos, raw=True)


def watch(scene: Scene, duration_s: float | None = None) -> list[str]:
    """Shows the graph until Ctrl-C or for a time; returns the topics that were there."""
    rclpy.init(args=[])
    node, executor = ViewNode(scene), SingleThreadedExecutor()
    executor.add_node(node)
    end_s = time.monotonic() + (duration_s or float("inf"))
    try:
        while time.monotonic() < end_s:
            executor.spin_once(timeout_sec=_TURN_S)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.shutdown(timeout_sec=1.0)
        rclpy.try_shutdown()
    scene.lay_out()
    return node.topics
