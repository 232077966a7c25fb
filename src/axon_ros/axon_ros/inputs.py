# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that count, refuse what cannot be used, and notice when nothing comes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from axon_core.timing import LatencyMeter, RateMeter
from axon_ros.errors import BadInput, NoTransform
from axon_ros.events import no_subscription_events
from axon_ros.problems import Problems
from axon_ros.speaker import Level, Speaker
from axon_ros.stamps import StampCheck, stamp_seconds

_DISCOVERY_S = 0.6


@dataclass(frozen=True)
class InputSpec:
    """What is subscribed, and after how many seconds its silence is a problem (None: it may be silent)."""

    msg_type: type
    topic: str
    qos: QoSProfile
    timeout_s: float | None
    required: bool

    @property
    def type_name(self) -> str:
        """The type as the graph names it, `sensor_msgs/msg/LaserScan`."""
        return "/".join([*self.msg_type.__module__.split(".")[:2], self.msg_type.__name__])


class Input:
    """One subscription of a node and what is known of it."""

    def __init__(
        self,
        node: Node,
        spec: InputSpec,
        callback: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        speaker: Speaker,
        problems: Problems,
        stamps: StampCheck,
    ) -> None:
        self._node, self._spec, self._callback, self._on_error = node, spec, callback, on_error
        self._speaker, self._problems, self._stamps = speaker, problems, stamps
        self.meter = RateMeter()
        self.latency = LatencyMeter()
        self.refused = 0
        self._subscription: Any = node.create_subscription(
            spec.msg_type, spec.topic, self._receive, spec.qos, event_callbacks=no_subscription_events()
        )
        self.topic: str = self._subscription.topic_name
        self.required = spec.required

    def refuse(self, reason: BaseException | str) -> None:
        """Count a message that could not be used, and say why, throttled."""
        self.refused += 1
        if not isinstance(reason, NoTransform):  # which is watched, and said, where transforms are looked up
            self._speaker.throttled(f"refuse {self.topic}", Level.WARN, f"{self.topic}: message refused: {reason}")

    def watch(self) -> None:
        """Raise or clear the problems of nothing coming in; asks the graph only while nothing does."""
        if self.meter.count and self.meter.age_s < _DISCOVERY_S:
            self._problems.clear(self._key("silent"), f"{self.topic}: messages come")
        elif self.meter.age_s > _DISCOVERY_S:
            self.watch_graph()

    def watch_graph(self) -> None:
        """Raise or clear the problems of a publisher whose type or QoS does not fit, and of silence."""
        publishers = list(self._node.get_publishers_info_by_topic(self.topic))
        misfits = [text for text in map(self._misfit, publishers) if text]
        if misfits:
            self._problems.raise_(self._key("misfit"), Level.ERROR, f"{self.topic}: {'; '.join(misfits)}")
        else:
            self._problems.clear(self._key("misfit"), f"{self.topic}: all publishers fit")
        if self.meter.age_s > _DISCOVERY_S and len(misfits) == 0:
            self._watch_silence(publishers)

    def close(self) -> None:
        """Destroy the subscription and forget its problems."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self._problems.forget(self._key(""))

    def _key(self, what: str) -> str:
        return f"input {self.topic} {what}"

    def _watch_silence(self, publishers: list[Any]) -> None:
        if not self._spec.required:
            return
        timeout_s = self._spec.timeout_s
        if not publishers:
            remedy = f"start its source, or remap '{self._spec.topic}' to where it is"
            self._problems.raise_(self._key("silent"), Level.WARN, f"{self.topic}: no publisher: {remedy}")
        elif timeout_s is None:
            self._problems.clear(self._key("silent"), f"{self.topic}: has a publisher")
        elif self.meter.age_s > timeout_s:
            who = ", ".join(_name(publisher) for publisher in publishers)
            self._problems.raise_(self._key("silent"), Level.WARN, f"{self.topic}: silent: check its source, {who}")

    def _receive(self, msg: Any) -> None:
        if self._subscription is None:
            return
        self.meter.tick()
        with self.latency.measure():
            try:
                if hasattr(msg, "header"):
                    self._stamps.check(stamp_seconds(msg.header.stamp))
                self._callback(msg)
            except BadInput as error:
                self.refuse(error)
            except Exception as error:
                self._on_error(error)

    def _misfit(self, publisher: Any) -> str:
        who = f"publisher {_name(publisher)}"
        if publisher.topic_type != self._spec.type_name:
            return f"{who} sends {publisher.topic_type}, this node reads {self._spec.type_name}: remap one of them"
        compatibility, reason = qos_check_compatible(publisher.qos_profile, self._spec.qos)
        if compatibility == QoSCompatibility.ERROR:
            why = reason.replace("ERROR: ", "").strip(" ;")
            return f"{who} has an incompatible QoS, none of its messages arrive ({why}): change one of them"
        return ""


def _name(publisher: Any) -> str:
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
