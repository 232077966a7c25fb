# SPDX-License-Identifier: Apache-2.0
"""The promises of SkillNode, in one process: the node and its tester share an executor."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import LaserScan, Range
from std_msgs.msg import Empty

from axon_core.config import check_config, param
from axon_ros import BadInput, Level, NoTransform, SkillNode
from axon_ros.conversions import header, scan_from_msg
from axon_ros.errors import ParameterError
from axon_ros.qos import RESULT
from axon_ros.testing import spin_until


@dataclass(frozen=True)
class ProbeConfig:
    scale: float = param(1.0, "Factor", unit="m/m", minimum=0.1, maximum=10.0)
    count: int = param(3, "Count", minimum=1)
    mode: str = param("a", "Mode", choices=("a", "b"))
    frame: str = param("laser", "Frame", read_only=True)
    weights: tuple[float, ...] = param((), "Weights", minimum=0.0)

    def __post_init__(self):
        check_config(self)
        if self.count == 7 and self.mode == "b":
            raise ValueError("count = 7: not in mode b")


class ProbeNode(SkillNode):
    def __init__(self, **kwargs):
        self.calls = []
        self.load_error = self.start_error = None
        super().__init__("probe", ProbeConfig, **kwargs)

    def on_load(self, config):
        self.calls.append("load")
        if self.load_error:
            raise self.load_error

    def on_start(self):
        self.calls.append("start")
        if self.start_error:
            raise self.start_error
        self.out = self.output(Range, "nearest")
        self.scans = self.input(LaserScan, "scan", self.on_scan)

    def on_stop(self):
        self.calls.append("stop")
        self.out.publish(Range(range=-1.0))

    def on_unload(self):
        self.calls.append("unload")

    def on_config_change(self, config):
        if config.count == 5:
            raise ValueError("count = 5: not while it runs")
        if config.count == 6:
            raise RuntimeError("six")
        self.calls.append(config)

    def on_scan(self, msg):
        if msg.header.frame_id == "boom":
            raise KeyError("boom")
        if msg.header.frame_id == "far":
            self.lookup_se2("base", "far")
        scan = scan_from_msg(msg)
        self.out.publish(Range(header=msg.header, range=float(scan.ranges_m[0])))


@pytest.fixture
def make(ros_node):
    made = []

    def start(node_class=ProbeNode, **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(parameter_overrides=overrides)
        ros_node.executor.add_node(node)
        made.append(node)
        return node

    yield start
    for node in made:
        node.destroy_node()


@pytest.fixture
def active(make, ros_node):
    node = make()
    assert spin_until(ros_node, lambda: node.state == "active")
    return node


@pytest.fixture
def results(ros_node):
    received = []
    ros_node.create_subscription(Range, "nearest", received.append, RESULT)
    return received


@pytest.fixture
def scan_pub(ros_node):
    return ros_node.create_publisher(LaserScan, "scan", RESULT)


def scan(node, **changes):
    msg = LaserScan(header=header(node.now_s(), "laser"), angle_increment=0.1, range_max=10.0, ranges=[2.0, 3.0])
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


def send(ros_node, node, publisher, **changes):
    """Publish a scan once there is a reader, and spin until the node has taken it."""
    assert spin_until(ros_node, lambda: publisher.get_subscription_count() > 0)
    before = node.scans.meter.count
    for _ in range(20):  # best effort: a reader that is matched on one side only misses the first
        publisher.publish(scan(node, **changes))
        if spin_until(ros_node, lambda: node.scans.meter.count > before, timeout_s=0.5):
            return
    raise AssertionError("no scan arrived")


def worst(node):
    return node.problems.summary()


# Lifecycle


def test_it_starts_by_itself_and_goes_through_all_states(active, results, ros_node):
    assert active.calls == ["load", "start"]
    assert spin_until(ros_node, lambda: active.out.watched)
    active.trigger_deactivate()
    assert spin_until(ros_node, lambda: results) and results[0].range == -1.0, "on_stop can still publish"
    assert active.state == "inactive"
    active.trigger_cleanup()
    assert active.state == "unconfigured" and active.calls[2:] == ["stop", "unload"]
    active.trigger_configure()
    active.trigger_activate()
    assert active.state == "active" and active.calls[4:] == ["load", "start"]
    active.trigger_shutdown()
    assert active.state == "finalized" and active.calls[6:] == ["stop", "unload"]


def test_without_autostart_it_waits(make, ros_node):
    node = make(autostart=False)
    spin_until(ros_node, lambda: node.calls, timeout_s=0.3)
    assert node.state == "unconfigured" and node.calls == []


def test_a_load_that_fails_is_said_and_can_be_tried_again(make, ros_node):
    node = make(autostart=False)
    node.load_error = OSError("model.onnx: no such file")
    node.trigger_configure()
    assert node.state == "unconfigured"
    assert worst(node) == (Level.ERROR, "configure failed: model.onnx: no such file")
    node.load_error = None
    node.trigger_configure()
    assert node.state == "inactive" and worst(node)[0] == Level.OK


def test_a_start_that_fails_leaves_it_inactive(make):
    node = make(autostart=False)
    node.start_error = KeyError("x")
    node.trigger_configure()
    node.trigger_activate()
    assert node.state == "inactive"
    assert "activate failed: KeyError: 'x' (" in worst(node)[1]
    node.start_error = None
    node.trigger_activate()
    assert node.state == "active"


def test_nothing_arrives_and_nothing_leaves_after_deactivation(active, scan_pub, ros_node):
    send(ros_node, active, scan_pub)
    active.trigger_deactivate()
    assert spin_until(ros_node, lambda: scan_pub.get_subscription_count() == 0)
    active.out.publish(Range())  # a late worker's, say
    assert active.out.meter.count == 2  # one answer, and one from on_stop


# Parameters


def test_descriptors_say_all(make):
    node = make(autostart=False)
    scale, count, mode, frame, weights = node.describe_parameters(["scale", "count", "mode", "frame", "weights"])
    assert scale.description == "Factor [m/m]"
    assert (scale.floating_point_range[0].from_value, scale.floating_point_range[0].to_value) == (0.1, 10.0)
    assert count.integer_range[0].from_value == 1 and frame.read_only
    assert mode.additional_constraints == "one of a, b"
    assert weights.floating_point_range[0].from_value == 0.0


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"scal": 1.0}, r"unknown parameter 'scal': did you mean 'scale'\?"),
        ({"scale": 11.0}, r"scale = 11\.0: expected 0\.1 \.\. 10\.0 m/m"),
        ({"scale": "x"}, "scale = 'x': expected a finite number"),
        ({"count": 7, "mode": "b"}, "count = 7: not in mode b"),
        ({"use_sim_time": 3}, "use_sim_time = 3: expected type bool"),
        ({"autostart": 1}, "autostart = 1: expected type bool"),
    ],
)
def test_what_does_not_fit_ends_the_start(make, parameters, text):
    with pytest.raises(ParameterError, match=text):
        make(**parameters)


def test_an_integer_in_a_file_is_a_number_too(make):
    node = make(autostart=False, scale=2, weights=[1, 2])
    assert node.config == ProbeConfig(scale=2.0, weights=(1.0, 2.0))
    assert node.get_parameter("scale").value == 2.0


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("scale", 99.0, "out of range"),
        ("scale", "x", "Wrong parameter type"),
        ("mode", "c", "mode = 'c': expected one of a, b"),
        ("weights", [-1.0], "expected >= 0.0"),
        ("frame", "other", "read-only"),
        ("autostart", False, "read-only"),
        ("count", 5, "count = 5: not while it runs"),
        ("count", 6, "RuntimeError: six"),
    ],
)
def test_a_change_is_refused_with_the_reason(active, name, value, reason):
    before = active.config
    result = active.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and reason in result.reason
    assert active.config == before


def test_a_change_takes_effect(active):
    assert active.set_parameters([Parameter("scale", value=2.5), Parameter("weights", value=[1.0])])[1].successful
    assert active.config == ProbeConfig(scale=2.5, weights=(1.0,)) and active.calls[-1] == active.config
    assert active.set_parameters([Parameter("weights", Parameter.Type.DOUBLE_ARRAY, [])])[0].successful


def test_parameters_that_hang_together_change_together(active):
    result = active.set_parameters_atomically([Parameter("mode", value="b"), Parameter("count", value=7)])
    assert not result.successful and "not in mode b" in result.reason and active.config.mode == "a"


# Inputs


def test_a_good_message_is_answered(active, scan_pub, results, ros_node):
    send(ros_node, active, scan_pub)
    assert spin_until(ros_node, lambda: results) and results[0].range == 2.0


@pytest.mark.parametrize(
    "bad",
    [
        {"ranges": []},
        {"ranges": [float("nan")] * 2},
        {"angle_increment": 0.0},
        {"header": header(4e9 / 2, "laser")},
        {"header": header(1.0, "laser")},
        {"header": header(0.0, "boom")},
        {"header": header(0.0, "far")},
    ],
    ids=["empty", "nan", "no angle", "future", "backwards", "exception", "no transform"],
)
def test_a_bad_message_is_counted_and_the_next_good_one_answered(active, scan_pub, results, ros_node, bad):
    send(ros_node, active, scan_pub)
    assert spin_until(ros_node, lambda: len(results) == 1)
    send(ros_node, active, scan_pub, **bad)
    send(ros_node, active, scan_pub)
    assert spin_until(ros_node, lambda: len(results) == 2)
    assert active.scans.refused + active.unexpected_errors == 1


def test_an_unexpected_exception_is_an_error_with_its_place(active, scan_pub, ros_node):
    send(ros_node, active, scan_pub, header=header(0.0, "boom"))
    level, text = worst(active)
    assert level == Level.ERROR and "unexpected KeyError: 'boom' (" in text and "in on_scan)" in text


def test_a_missing_publisher_and_silence_are_said_and_so_is_the_end(active, ros_node):
    begin = time.monotonic()
    assert spin_until(ros_node, lambda: "no publisher" in worst(active)[1], timeout_s=3.0)
    assert time.monotonic() - begin < 1.2
    publisher = ros_node.create_publisher(LaserScan, "scan", RESULT)
    send(ros_node, active, publisher)
    assert spin_until(ros_node, lambda: worst(active)[0] == Level.OK, timeout_s=3.0)
    begin = time.monotonic()
    assert spin_until(ros_node, lambda: "/scan: silent" in worst(active)[1], timeout_s=3.0)
    assert 0.7 < time.monotonic() - begin < 1.6
    send(ros_node, active, publisher)
    assert spin_until(ros_node, lambda: worst(active)[0] == Level.OK, timeout_s=3.0)


class ReliableNode(ProbeNode):
    def on_start(self):
        self.out = self.output(Range, "nearest")
        self.input(LaserScan, "scan", self.on_scan, qos=RESULT)


def test_a_publisher_that_does_not_fit_is_named(make, ros_node):
    node = make(ReliableNode)
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = ros_node.create_publisher(LaserScan, "scan", best_effort)
    assert spin_until(ros_node, lambda: "incompatible QoS" in worst(node)[1], timeout_s=3.0)
    assert worst(node)[0] == Level.ERROR and f"/test_{os.getpid()}" in worst(node)[1]
    ros_node.destroy_publisher(publisher)
    context = rclpy.Context()
    rclpy.init(context=context)
    other = rclpy.create_node("other", context=context)
    other.create_publisher(Empty, "scan", RESULT)
    assert spin_until(ros_node, lambda: "sends std_msgs/msg/Empty" in worst(node)[1], timeout_s=3.0)
    other.destroy_node()
    rclpy.shutdown(context=context)
    assert spin_until(ros_node, lambda: worst(node)[0] < Level.ERROR, timeout_s=3.0)


# The rest


def test_a_missing_transform_is_said_once_it_lasts_and_so_is_its_end(active, ros_node):
    tf2_ros = pytest.importorskip("tf2_ros")
    deadline = time.monotonic() + 3.0
    while "tf base <- camera: missing" not in worst(active)[1] and time.monotonic() < deadline:
        with pytest.raises(NoTransform, match="base <- camera"):
            active.lookup_se2("base", "camera")
        ros_node.executor.spin_once(timeout_sec=0.05)
    assert "tf base <- camera: missing" in worst(active)[1]
    transform = TransformStamped(header=header(0.0, "base"), child_frame_id="camera")
    transform.transform.translation.x = 1.5
    broadcaster = tf2_ros.StaticTransformBroadcaster(ros_node)
    broadcaster.sendTransform(transform)
    assert spin_until(ros_node, lambda: active.tf.can_transform("base", "camera", Time()))
    assert active.lookup_se2("base", "camera") == pytest.approx([1.5, 0.0, 0.0])
    assert "tf" not in worst(active)[1]


def test_a_frame_in_itself_needs_no_publisher(active):
    assert active.lookup_transform("base", "base", Time(seconds=5).to_msg()) == pytest.approx(np.eye(4))
    assert active.await_transform("camera", "camera", Time(seconds=5).to_msg()) == pytest.approx(np.eye(4))


def test_a_worker_waits_for_a_transform_that_comes_a_little_late(active):
    active.listen_to_tf()
    stamp = Time(seconds=5).to_msg()
    transform = TransformStamped(header=header(stamp, "base"), child_frame_id="camera")
    transform.transform.translation.x, transform.transform.rotation.w = 1.5, 1.0
    with pytest.raises(NoTransform, match="base <- camera"):
        active.lookup_transform("base", "camera", stamp)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(active.await_transform, "base", "camera", stamp)
        active.tf.set_transform(transform, "a publisher")
        assert waiting.result()[:3, 3] == pytest.approx([1.5, 0.0, 0.0])
    with pytest.raises(NoTransform, match="base <- nowhere"):  # and not for ever
        active.await_transform("base", "nowhere", stamp)


def test_a_clock_that_does_not_run_is_said(make, ros_node):
    node = make(use_sim_time=True)
    assert spin_until(ros_node, lambda: "/clock does not come" in worst(node)[1], timeout_s=3.0)


def test_publishing_nonsense_never_kills(active):
    class Refusing:
        def publish(self, msg):
            raise RuntimeError("queue full")

    publisher, active.out._publisher = active.out._publisher, Refusing()
    active.out.publish(Range())
    active.out._publisher = publisher
    assert active.out.failed == 1 and active.out.meter.count == 0


class BusyNode(ProbeNode):
    def on_start(self):
        self.out = self.output(Range, "nearest")
        self.worker = self.work(self.on_work)
        self.ticks = []
        self.timer(0.02, lambda: self.ticks.append(time.monotonic()))
        self.scans = self.input(LaserScan, "scan", self.worker.submit)

    def on_work(self, msg):
        time.sleep(0.2)
        if msg.header.frame_id == "bad":
            raise BadInput("bad")


def test_work_goes_on_beside_the_executor(make, ros_node, scan_pub):
    node = make(BusyNode)
    assert spin_until(ros_node, lambda: node.state == "active" and scan_pub.get_subscription_count())
    for _ in range(5):
        scan_pub.publish(scan(node))
    node.ticks.clear()
    assert spin_until(
        ros_node, lambda: node.worker.latency.count and node.worker.drops + node.worker.latency.count == 5
    )
    assert node.worker.drops >= 3 and node.worker.latency.summary().p50_s > 0.2
    assert len(node.ticks) > 5, "the executor was not held up"
    send(ros_node, node, scan_pub, header=header(0.0, "bad"))
    assert spin_until(ros_node, lambda: node.scans.refused == 1)
