# SPDX-License-Identifier: Apache-2.0
"""Buffer, listener and broadcasters over real rclpy topics, and the transforms of geometry messages."""

import os
import threading
import time

import numpy as np
import pytest
import rclpy
import tf2_geometry_msgs
import tf2_ros
import yaml
from geometry_msgs.msg import PointStamped, PoseStamped, PoseWithCovarianceStamped, TransformStamped, Vector3Stamped
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
from tf2_msgs.msg import TFMessage

from axon_launch.domains import claim_domain

TIMEOUT_S = 15.0


def transform(parent: str, child: str, stamp_s: float, x: float, yaw: float = 0.0) -> TransformStamped:
    msg = TransformStamped(child_frame_id=child)
    msg.header.frame_id = parent
    msg.header.stamp = Time(nanoseconds=int(stamp_s * 1e9)).to_msg()
    msg.transform.translation.x = float(x)
    msg.transform.rotation.z, msg.transform.rotation.w = float(np.sin(yaw / 2)), float(np.cos(yaw / 2))
    return msg


def at(seconds: float) -> Time:
    return Time(nanoseconds=int(seconds * 1e9))


def filled() -> tf2_ros.Buffer:
    """odom -> base turns 90 degrees in one second while it moves 2 m; a laser 0.5 m before the base."""
    buffer = tf2_ros.Buffer()
    buffer.set_transform(transform("odom", "base", 1.0, 0.0), "test")
    buffer.set_transform(transform("odom", "base", 2.0, 2.0, np.pi / 2), "test")
    buffer.set_transform_static(transform("base", "laser", 0.0, 0.5), "test")
    return buffer


@pytest.fixture
def node():
    domain, lock = claim_domain()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("tf2_test", context=context)
    yield node
    rclpy.try_shutdown(context=context)
    os.close(lock)


def make_executor(*nodes) -> SingleThreadedExecutor:
    executor = SingleThreadedExecutor(context=nodes[0].context)
    for each in nodes:
        executor.add_node(each)
    return executor


def spin_until(executor, predicate) -> bool:
    end = time.monotonic() + TIMEOUT_S
    while not predicate() and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    return predicate()


def test_lookup_gives_a_stamped_message():
    msg = filled().lookup_transform("odom", "laser", at(1.5))
    assert (msg.header.frame_id, msg.child_frame_id) == ("odom", "laser")
    assert (msg.header.stamp.sec, msg.header.stamp.nanosec) == (1, 500_000_000)
    assert msg.transform.translation.x == pytest.approx(1.0 + 0.5 * np.cos(np.pi / 4))
    assert msg.transform.translation.y == pytest.approx(0.5 * np.sin(np.pi / 4))
    assert msg.transform.rotation.z == pytest.approx(np.sin(np.pi / 8))
    latest = filled().lookup_transform("odom", "laser", Time())
    assert latest.header.stamp == at(2.0).to_msg()
    assert filled().lookup_transform("odom", "laser", at(2.0).to_msg()) == latest


def test_core_calls_tell_why():
    buffer = filled()
    assert buffer.can_transform("odom", "laser", at(1.5)) is True
    assert buffer.can_transform("odom", "laser", at(9.0)) is False
    possible, why = buffer.can_transform("odom", "laser", at(9.0), return_debug_tuple=True)
    assert not possible and "extrapolation into the future" in why
    assert buffer.can_transform_full("base", at(2.0), "base", at(1.0), "odom")
    assert not buffer.can_transform_full("base", at(2.0), "base", at(1.0), "nowhere")
    moved = buffer.lookup_transform_full("base", at(2.0), "base", at(1.0), "odom").transform
    assert (moved.translation.x, moved.translation.y) == pytest.approx((0.0, 2.0))
    assert buffer.get_latest_common_time("laser", "odom") == at(2.0)


def test_listing_of_frames_is_yaml():
    listing = yaml.safe_load(filled().all_frames_as_yaml())
    assert listing["base"]["parent"] == "odom" and listing["base"]["rate"] == pytest.approx(1.0)
    assert listing["laser"]["parent"] == "base" and listing["laser"]["broadcaster"] == "test"
    assert yaml.safe_load(tf2_ros.Buffer().all_frames_as_yaml()) == {}
    assert "Frame laser exists with parent base." in filled().all_frames_as_string()


def test_transforms_that_cannot_be_are_refused_and_the_buffer_lives_on(capfd):
    buffer = filled()
    bad = transform("odom", "base", 3.0, 0.0)
    bad.transform.rotation.w = 0.0
    buffer.set_transform(bad, "broken")
    bad.transform.translation.x = float("nan")
    buffer.set_transform(bad, "broken")
    assert "has norm 0, expected 1" in capfd.readouterr().err
    with pytest.raises(tf2_ros.InvalidArgumentException, match="norm 0"):
        tf2_ros.BufferCore().set_transform(transform_without_rotation(), "broken")
    buffer.set_transform(transform("odom", "base", 3.0, 3.0), "test")
    assert buffer.lookup_transform("odom", "base", Time()).transform.translation.x == 3.0


def transform_without_rotation() -> TransformStamped:
    msg = transform("odom", "base", 3.0, 0.0)
    msg.transform.rotation.w = 0.0
    return msg


def test_a_lookup_waits_for_its_data_and_gives_up_in_time():
    buffer = filled()
    late = threading.Timer(0.2, buffer.set_transform, (transform("odom", "base", 3.0, 3.0), "test"))
    late.start()
    assert buffer.lookup_transform("odom", "base", at(3.0), Duration(seconds=10)).transform.translation.x == 3.0
    start = time.monotonic()
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("odom", "base", at(9.0), Duration(seconds=0.2))
    assert 0.2 <= time.monotonic() - start < 2.0
    assert not buffer.can_transform("odom", "nowhere", Time(), timeout=Duration(seconds=0.05))


def test_futures_hold_the_transform_once_it_is_there():
    buffer = filled()
    ready = buffer.wait_for_transform_async("odom", "base", at(1.5))
    assert ready.done() and ready.result().transform.translation.x == pytest.approx(1.0)
    later = buffer.wait_for_transform_async("odom", "base", at(2.5))
    full = buffer.wait_for_transform_full_async("base", at(2.5), "base", at(1.0), "odom")
    cancelled = buffer.wait_for_transform_async("odom", "base", at(2.5))
    cancelled.cancel()
    assert not later.done() and not full.done()
    buffer.set_transform(transform("odom", "base", 3.0, 4.0, np.pi / 2), "test")
    assert later.result().transform.translation.x == pytest.approx(3.0)
    assert full.done() and cancelled.cancelled()


def test_stamped_things_are_transformed_by_type():
    assert tf2_geometry_msgs.do_transform_point is not None
    buffer = filled()
    point = PointStamped()
    point.header.frame_id, point.header.stamp, point.point.x = "laser", at(2.0).to_msg(), 1.0
    seen = buffer.transform(point, "odom")
    assert (seen.header.frame_id, seen.header.stamp) == ("odom", at(2.0).to_msg())
    assert (seen.point.x, seen.point.y) == pytest.approx((2.0, 1.5))
    assert (point.header.frame_id, point.point.x) == ("laser", 1.0)

    arrow = Vector3Stamped(header=point.header)
    arrow.vector.x = 1.0
    turned = buffer.transform(arrow, "odom").vector
    assert (turned.x, turned.y) == pytest.approx((0.0, 1.0))

    pose = PoseStamped(header=point.header)
    pose.pose.position.x, pose.pose.orientation.w = 1.0, 1.0
    moved = buffer.transform(pose, "odom", Duration(seconds=0.1)).pose
    assert (moved.position.x, moved.position.y, moved.orientation.z) == pytest.approx((2.0, 1.5, np.sin(np.pi / 4)))

    guess = PoseWithCovarianceStamped(header=point.header)
    guess.pose.pose = pose.pose
    guess.pose.covariance = np.diag([4.0, 1.0, 0.0, 0.0, 0.0, 9.0]).ravel()
    turned = np.reshape(buffer.transform(guess, "odom").pose.covariance, (6, 6))
    np.testing.assert_allclose(turned, np.diag([1.0, 4.0, 0.0, 0.0, 0.0, 9.0]), atol=1e-12)

    at_start = buffer.transform_full(point, "base", at(1.0), "odom")
    assert (at_start.point.x, at_start.point.y) == pytest.approx((2.0, 1.5))
    with pytest.raises(tf2_ros.TypeException, match=r"LaserScan.*PoseStamped"):
        buffer.transform(LaserScan(), "odom")


def test_transforms_travel_over_topics(node):
    buffer = tf2_ros.Buffer(node=node)
    listener = tf2_ros.TransformListener(buffer, node)
    broadcaster = tf2_ros.TransformBroadcaster(node)
    executor = make_executor(node)
    assert spin_until(executor, lambda: broadcaster.pub_tf.get_subscription_count() == 1)
    broadcaster.sendTransform(transform("odom", "base", 1.0, 1.0))
    broadcaster.sendTransform([transform("odom", "base", 2.0, 3.0), transform("map", "odom", 2.0, 10.0)])
    assert spin_until(executor, lambda: buffer.can_transform("map", "base", Time()))
    assert buffer.lookup_transform("odom", "base", at(1.5)).transform.translation.x == pytest.approx(2.0)
    assert buffer.lookup_transform("map", "base", at(2.0)).transform.translation.x == pytest.approx(13.0)
    listener.unregister()
    assert spin_until(executor, lambda: broadcaster.pub_tf.get_subscription_count() == 0)
    listener.unregister()


def test_topics_have_the_qos_of_tf2(node):
    tf2_ros.TransformBroadcaster(node)
    tf2_ros.StaticTransformBroadcaster(node)
    listener = tf2_ros.TransformListener(tf2_ros.Buffer(), node)
    assert listener.tf_sub.qos_profile.depth == 100
    for topic, durability in (("/tf", DurabilityPolicy.VOLATILE), ("/tf_static", DurabilityPolicy.TRANSIENT_LOCAL)):
        found = node.get_publishers_info_by_topic(topic) + node.get_subscriptions_info_by_topic(topic)
        assert len(found) == 2
        assert all(end.qos_profile.durability == durability for end in found)
        assert all(end.qos_profile.reliability == ReliabilityPolicy.RELIABLE for end in found)


def test_static_transforms_reach_late_listeners_all_and_newest(node):
    static = tf2_ros.StaticTransformBroadcaster(node)
    static.sendTransform(transform("base", "laser", 0.0, 1.0))
    static.sendTransform([transform("base", "camera", 0.0, 2.0), transform("base", "laser", 0.0, 5.0)])
    late = rclpy.create_node("late", context=node.context)
    buffer = tf2_ros.Buffer()
    tf2_ros.TransformListener(buffer, late)
    messages = []
    qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    late.create_subscription(TFMessage, "/tf_static", messages.append, qos)
    assert spin_until(make_executor(node, late), lambda: messages and buffer.can_transform("laser", "camera", at(77.0)))
    assert buffer.lookup_transform("laser", "camera", at(77.0)).transform.translation.x == -3.0
    assert len(messages) == 1 and len(messages[0].transforms) == 2


def test_a_listener_with_its_own_thread_serves_a_blocking_lookup(node):
    buffer = tf2_ros.Buffer(node=node)
    listener = tf2_ros.TransformListener(buffer, node, spin_thread=True)
    broadcaster = tf2_ros.TransformBroadcaster(node)
    end = time.monotonic() + TIMEOUT_S
    while broadcaster.pub_tf.get_subscription_count() == 0 and time.monotonic() < end:
        time.sleep(0.02)
    threading.Timer(0.1, broadcaster.sendTransform, (transform("odom", "base", 1.0, 1.0),)).start()
    found = buffer.lookup_transform("odom", "base", Time(), Duration(seconds=TIMEOUT_S))
    assert found.transform.translation.x == 1.0
    listener.unregister()
    assert not [thread for thread in threading.enumerate() if thread.name == "tf_listener"]


def test_the_listener_thread_ends_with_the_context(node):
    tf2_ros.TransformListener(tf2_ros.Buffer(), node, spin_thread=True)
    rclpy.shutdown(context=node.context)
    end = time.monotonic() + TIMEOUT_S
    while [t for t in threading.enumerate() if t.name == "tf_listener"] and time.monotonic() < end:
        time.sleep(0.02)
    assert not [t for t in threading.enumerate() if t.name == "tf_listener"]


def test_time_that_jumps_back_clears_the_buffer_but_not_static_transforms(node):
    simulated = rclpy.create_node(
        "simulated", context=node.context, parameter_overrides=[Parameter("use_sim_time", value=True)]
    )
    buffer = tf2_ros.Buffer(node=simulated)
    clock = node.create_publisher(Clock, "/clock", 10)
    executor = make_executor(node, simulated)

    def simulate(seconds: float) -> bool:
        clock.publish(Clock(clock=at(seconds).to_msg()))
        return spin_until(executor, lambda: simulated.get_clock().now().nanoseconds == at(seconds).nanoseconds)

    assert spin_until(executor, lambda: clock.get_subscription_count() == 1)
    assert simulate(100.0)
    buffer.set_transform(transform("odom", "base", 100.0, 1.0), "test")
    buffer.set_transform_static(transform("base", "laser", 0.0, 1.0), "test")
    assert simulate(101.0)
    assert buffer.can_transform("odom", "base", Time())
    assert simulate(1.0)
    assert not buffer.can_transform("odom", "base", Time())
    assert buffer.can_transform("base", "laser", Time())
    buffer.set_transform(transform("odom", "base", 1.0, 7.0), "test")
    assert buffer.lookup_transform("odom", "base", Time()).transform.translation.x == 7.0
