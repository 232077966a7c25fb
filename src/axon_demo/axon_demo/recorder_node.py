# SPDX-License-Identifier: Apache-2.0
"""Records topics to `run.mcap`, as serialised; images are thinned out and compressed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from axon_core.timing import RateMeter
from axon_demo.config import RecorderConfig
from axon_demo.recording import Channel, Recording
from axon_ros import BadInput, SkillNode, node_main

_LOOK_FOR_TOPICS_S = 0.5
_COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"


class RecorderNode(SkillNode):
    """Subscribes to each topic as soon as somebody publishes it, with a QoS that fits its publishers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("recorder", RecorderConfig, **kwargs)

    def on_load(self, config: RecorderConfig) -> None:
        folder = Path(config.out_dir or ".")
        folder.mkdir(parents=True, exist_ok=True)
        prefixes = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
        self._recording = Recording(folder / "run.mcap", prefixes)
        self._readers: dict[str, Any] = {}
        self._due_ns: dict[str, int] = {}
        self._early: list[tuple[Channel, bytes]] = []
        self._bridge = CvBridge()
        self._rate = RateMeter()

    def on_start(self) -> None:
        self.timer(_LOOK_FOR_TOPICS_S, self._look_for_topics, steady=True)
        self._look_for_topics()

    def on_stop(self) -> None:
        for subscription in self._readers.values():
            self.destroy_subscription(subscription)
        self._readers.clear()

    def on_unload(self) -> None:
        self._recording.close()

    def status_values(self) -> dict[str, str]:
        if self.state == "unconfigured":
            return {}
        return {
            "rate_in_hz": f"{self._rate.rate_hz:.2f}",
            "recorded": str(self._rate.count),
            "topics": str(len(self._readers)),
        }

    def _look_for_topics(self) -> None:
        known = dict(self.get_topic_names_and_types())
        rates_hz = self.config.rates_hz()
        for name in self.config.topics:
            period_ns = int(1e9 / rates_hz[name]) if name in rates_hz else 0
            self._subscribe(name, known, partial(self._on_message, period_ns=period_ns))
        for name in self.config.image_topics:
            period_ns = int(1e9 / rates_hz.get(name, self.config.image_rate_hz))
            self._subscribe(name, known, partial(self._on_image, period_ns=period_ns))

    def _subscribe(self, name: str, known: dict[str, list[str]], handle: Callable[[Channel, bytes], None]) -> None:
        topic = self.resolve_topic_name(name)
        publishers = self.get_publishers_info_by_topic(topic) if topic in known else []
        if topic in self._readers or not publishers:
            return
        qos = _matching_qos([publisher.qos_profile for publisher in publishers])
        channel = Channel(topic, known[topic][0], _qos_yaml(qos))
        try:
            message_class = _message_class(channel.type_name)
        except (ImportError, AttributeError) as error:
            self.say_once(topic, f"{topic} is not recorded: type {channel.type_name} is not installed ({error})")
            return
        self._readers[topic] = self.create_subscription(
            message_class, topic, lambda data: self._guarded_handle(handle, channel, data), qos, raw=True
        )

    def _guarded_handle(self, handle: Callable[[Channel, bytes], None], channel: Channel, data: bytes) -> None:
        try:
            handle(channel, data)
        except (BadInput, CvBridgeError, ValueError) as error:
            self.say_once(f"refused {channel.topic}", f"{channel.topic}: not recorded: {error}")

    def _on_message(self, channel: Channel, data: bytes, period_ns: int) -> None:
        if self._due(channel.topic, period_ns):
            self._write(channel, data)

    def _on_image(self, channel: Channel, data: bytes, period_ns: int) -> None:
        if self._due(channel.topic, period_ns):
            self._write(*self._compressed(channel, data))

    def _compressed(self, channel: Channel, data: bytes) -> tuple[Channel, bytes]:
        if channel.type_name != "sensor_msgs/msg/Image":
            raise BadInput(f"expected sensor_msgs/msg/Image, got {channel.type_name}")
        image = deserialize_message(data, Image)
        if image.encoding == "32FC1":
            pixels = depth_colors(self._bridge.imgmsg_to_cv2(image), self.config.depth_max_m)
        else:
            pixels = self._bridge.imgmsg_to_cv2(image, desired_encoding="bgr8")
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, self.config.jpeg_quality])
        message = CompressedImage(
            header=image.header, format=f"{image.encoding}; jpeg compressed bgr8", data=jpeg.tobytes()
        )
        return Channel(f"{channel.topic}/compressed", _COMPRESSED_TYPE, channel.qos_yaml), serialize_message(message)

    def _due(self, topic: str, period_ns: int) -> bool:
        """Whether a message of a rate-limited topic is to be kept now; also right after the clock was set back."""
        now_ns, due_ns = self.get_clock().now().nanoseconds, self._due_ns.get(topic, 0)
        if due_ns - 2 * period_ns < now_ns < due_ns:
            return False
        self._due_ns[topic] = max(due_ns + period_ns, now_ns)
        return True

    def _write(self, channel: Channel, data: bytes) -> None:
        now_ns = self.get_clock().now().nanoseconds
        if now_ns <= 0:  # simulated time has not begun
            self._early.append((channel, data))
            return
        for early in self._early:
            self._recording.write(*early, now_ns)
        self._early.clear()
        self._rate.tick()
        self._recording.write(channel, data, now_ns)


def depth_colors(depth_m: np.ndarray, depth_max_m: float) -> np.ndarray:
    """Depth (H, W) in m as colours (H, W, 3) BGR: red is near, blue is `depth_max_m` and farther, black is unknown."""
    known = np.isfinite(depth_m) & (depth_m > 0.0)
    nearness = 1.0 - np.clip(np.where(known, depth_m, depth_max_m) / depth_max_m, 0.0, 1.0)
    colors = cv2.applyColorMap((255.0 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)
    colors[~known] = 0
    return colors


def _message_class(type_name: str) -> type:
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


def _matching_qos(offered: list[QoSProfile]) -> QoSProfile:
    """The most that all publishers offer; latched messages are asked for only where all latch."""
    reliable = all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offered)
    latched = all(qos.durability == DurabilityPolicy.TRANSIENT_LOCAL for qos in offered)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=50,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _qos_yaml(qos: QoSProfile) -> str:
    """The profile as rosbag2 keeps it, so that it plays latched topics latched."""
    return (
        f"- history: keep_last\n  depth: {qos.depth}\n  reliability: {qos.reliability.name.lower()}\n"
        f"  durability: {qos.durability.name.lower()}\n"
        "  deadline:\n    sec: 9223372036\n    nsec: 854775807\n  lifespan:\n    sec: 9223372036\n    nsec: 854775807\n"
        "  liveliness: automatic\n  liveliness_lease_duration:\n    sec: 9223372036\n    nsec: 854775807\n"
        "  avoid_ros_namespace_conventions: false"
    )


main = node_main(RecorderNode)
