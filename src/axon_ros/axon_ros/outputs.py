# SPDX-License-Identifier: Apache-2.0
"""Publishers that never bring the node down."""

import threading
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from axon_core.timing import RateMeter
from axon_ros.events import no_publisher_events
from axon_ros.speaker import Level, Speaker


class Output:
    """A publisher that is counted and guarded; once closed it publishes nothing, from whatever thread."""

    def __init__(self, node: Node, speaker: Speaker, msg_type: type, topic: str, qos: QoSProfile) -> None:
        self._node = node
        self._speaker = speaker
        self._lock = threading.Lock()
        self._publisher: Any = node.create_publisher(msg_type, topic, qos, event_callbacks=no_publisher_events())
        self.topic: str = self._publisher.topic_name
        self.meter = RateMeter()
        self.failed = 0

    def publish(self, msg: Any) -> None:
        """Publish. A reader far behind can make rmw refuse (RCLError): counted and said, throttled."""
        with self._lock:
            if self._publisher is None:
                return
            try:
                self._publisher.publish(msg)
            except RuntimeError as error:
                self.failed += 1
                self._speaker.throttled(f"publish {self.topic}", Level.WARN, f"{self.topic}: not published: {error}")
                return
        self.meter.tick()

    @property
    def readers(self) -> int:
        """Number of matched subscriptions."""
        publisher = self._publisher
        return publisher.get_subscription_count() if publisher is not None else 0

    @property
    def watched(self) -> bool:
        """Whether somebody subscribes."""
        return self.readers > 0

    def close(self) -> None:
        """Destroy the publisher."""
        with self._lock:
            if self._publisher is not None:
                self._node.destroy_publisher(self._publisher)
                self._publisher = None
