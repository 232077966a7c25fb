# SPDX-License-Identifier: Apache-2.0
"""Feeds a buffer from /tf and /tf_static."""

from __future__ import annotations

from threading import Event, Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

DEFAULT_TF_TOPIC = "/tf"
DEFAULT_STATIC_TF_TOPIC = "/tf_static"
_AUTHORITY = "default_authority"


class TransformListener:
    """Subscribes to the transforms (reliable, depth 100; static ones transient local) and stores them in ``buffer``.

    With ``spin_thread`` the subscriptions live on a node of their own that a thread of its own spins, so that lookups
    with a time-out work from any callback; ``node`` itself stays with the executor that its owner chose.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = DEFAULT_TF_TOPIC,
        tf_static_topic: str = DEFAULT_STATIC_TF_TOPIC,
        static_only: bool = False,
    ) -> None:
        self.buffer = buffer
        self._stop = Event()
        self._thread: Thread | None = None
        topics = node.resolve_topic_name(tf_topic), node.resolve_topic_name(tf_static_topic)
        self.node = _helper_node(node) if spin_thread else node
        # The default group is mutually exclusive: a callback that waits for a transform would shut its data out.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = None
        if not static_only:
            self.tf_sub = self.node.create_subscription(
                TFMessage,
                topics[0],
                self.callback,
                QoSProfile(depth=100) if qos is None else qos,
                callback_group=self.group,
            )
        if static_qos is None:
            static_qos = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf_static_sub = self.node.create_subscription(
            TFMessage, topics[1], self.static_callback, static_qos, callback_group=self.group
        )
        if spin_thread:
            self._thread = Thread(target=self._spin, name="tf_listener", daemon=True)
            self._thread.start()

    def callback(self, data: TFMessage) -> None:
        """Store moving transforms."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, _AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        """Store static transforms."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, _AUTHORITY)

    def unregister(self) -> None:
        """Stop listening, and end the thread if there is one. Safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.node.destroy_node()
        elif self.tf_static_sub is not None:
            self.node.destroy_subscription(self.tf_static_sub)
            if self.tf_sub is not None:
                self.node.destroy_subscription(self.tf_sub)
        self.tf_sub = self.tf_static_sub = None

    def _spin(self) -> None:
        # A wait with a time-out: one without can miss the shutdown of the context.
        executor = SingleThreadedExecutor(context=self.node.context)
        executor.add_node(self.node)
        try:
            while not self._stop.is_set() and self.node.context.ok():
                executor.spin_once(timeout_sec=0.2)
        except (ExternalShutdownException, ShutdownException):
            return
        finally:
            executor.shutdown(timeout_sec=0)


def _helper_node(node: Node) -> Node:
    """A node beside ``node``, free of its remappings (topics come resolved) and of services and parameters."""
    return Node(
        f"{node.get_name()}_tf_listener",
        namespace=node.get_namespace(),
        context=node.context,
        use_global_arguments=False,
        enable_rosout=False,
        start_parameter_services=False,
    )
