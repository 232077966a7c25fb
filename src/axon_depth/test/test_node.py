# SPDX-License-Identifier: Apache-2.0
"""depth_node on a real graph, with the network that reads depth off its image's colours."""

from collections.abc import Iterator

import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from networks import picture
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from axon_core.cameras import PinholeCamera
from axon_depth.canonical import place
from axon_depth.node import DepthNode
from axon_ros.conversions import (
    camera_to_msg,
    header,
    image_from_msg,
    image_to_msg,
    points_from_msg,
    transform_to_msg,
)
from axon_ros.qos import LATCHED, RESULT, SENSOR
from axon_ros.testing import ros, spin_until

FRAME = "camera_color_optical_frame"
CAMERA = PinholeCamera(160, 120, 115.0, 115.0, 79.5, 59.5)
KINDS = {"depth/image": Image, "depth/uncertainty": Image, "depth/points": PointCloud2}
WAIT_S = 20.0


class Robot:
    """A camera that looks at a wall, near on the left and far on the right, and a reader of chosen outputs."""

    def __init__(self, node, *topics: str) -> None:
        self.node, self.sent, self.broken = node, [], False
        v, u = np.mgrid[:120, :160]
        self.log_depth = np.where(u < 80, 0.4, 1.6) + 0.0 * v
        self.image = picture(self.log_depth, np.where(v < 60, -2.0, -0.4))
        self.heard = {topic: [] for topic in topics}
        for topic in topics:
            node.create_subscription(KINDS[topic], topic, self.heard[topic].append, SENSOR)
        self._image = node.create_publisher(Image, "camera/color/image_raw", RESULT)
        self._info = node.create_publisher(CameraInfo, "camera/color/camera_info", RESULT)
        node.create_timer(0.05, self._send)

    def _send(self) -> None:
        head = header(self.node.get_clock().now().to_msg(), FRAME)
        self.sent.append((head.stamp.sec, head.stamp.nanosec))
        self._info.publish(camera_to_msg(CAMERA, head))
        image = np.zeros((60, 80, 3), np.uint8) if self.broken else self.image
        self._image.publish(image_to_msg(image, "rgb8", head))


@pytest.fixture
def plain() -> Iterator[object]:
    with ros() as node:
        yield node


def start(plain, network, **parameters):
    values = {"model": str(network), "max_rate_hz": 60.0, "floor_frame": "", **parameters}
    depth = DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    plain.executor.add_node(depth)
    assert spin_until(plain, lambda: depth.state == "active", 30.0)
    return depth


def test_depth_uncertainty_and_points_come_with_the_stamp_of_their_image(plain, network):
    depth = start(plain, network, max_relative_sigma=0.5, cloud_stride_px=1)
    robot = Robot(plain, *KINDS)
    assert spin_until(plain, lambda: all(robot.heard.values()), WAIT_S)
    for messages in robot.heard.values():
        stamp = messages[0].header.stamp
        assert (stamp.sec, stamp.nanosec) in robot.sent and messages[0].header.frame_id == FRAME
    assert {robot.heard[topic][0].encoding for topic in ("depth/image", "depth/uncertainty")} == {"32FC1"}
    told = image_from_msg(robot.heard["depth/image"][0])
    true_m = np.exp(robot.log_depth) * place(CAMERA).depth_scale
    edge = np.abs(np.arange(160) - 79.5) < 6
    np.testing.assert_allclose(told[:, ~edge], true_m[:, ~edge], rtol=0.02)
    sigma = image_from_msg(robot.heard["depth/uncertainty"][0])
    assert (sigma[:55] < 0.5 * told[:55]).all() and (sigma[65:] > 0.5 * told[65:]).all()
    points = points_from_msg(robot.heard["depth/points"][0])
    assert 0.45 < len(points) / told.size < 0.55  # the sure half, which is the upper one
    assert (points[:, 1] < 0.05).all() and depth.model.sha256 != "-"
    depth.destroy_node()


def test_it_is_idle_until_somebody_reads_or_it_always_shall(plain, network):
    depth = start(plain, network)
    robot = Robot(plain)
    spin_until(plain, lambda: len(robot.sent) > 12, WAIT_S)
    assert depth.status_values() == {"watched": "no, idle"}
    depth.set_parameters([Parameter("always", value=True)])
    assert spin_until(plain, lambda: "median_relative_sigma" in depth.status_values(), WAIT_S)
    depth.destroy_node()


def test_farther_than_the_limit_is_a_hole_from_the_next_image_on(plain, network):
    depth = start(plain, network)
    robot = Robot(plain, "depth/image")
    assert spin_until(plain, lambda: robot.heard["depth/image"], WAIT_S)
    assert np.isfinite(image_from_msg(robot.heard["depth/image"][-1])).all()
    depth.set_parameters([Parameter("max_depth_m", value=3.0)])

    def right_half_is_hole():
        seen = np.isfinite(image_from_msg(robot.heard["depth/image"][-1]))
        return seen[:, :70].all() and not seen[:, 90:].any()

    assert spin_until(plain, right_half_is_hole, WAIT_S)
    depth.destroy_node()


def test_it_looks_at_no_more_images_than_it_may(plain, network):
    depth = start(plain, network, max_rate_hz=2.0)
    robot = Robot(plain, "depth/image")
    assert spin_until(plain, lambda: len(robot.heard["depth/image"]) >= 4, WAIT_S)
    stamps = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in robot.heard["depth/image"]]
    assert (stamps[-1] - stamps[0]) / (len(stamps) - 1) > 0.35
    depth.destroy_node()


def test_image_of_another_size_than_its_camera_is_refused_and_the_next_one_answered(plain, network):
    depth = start(plain, network)
    robot = Robot(plain, "depth/image")
    robot.broken = True
    spin_until(plain, lambda: len(robot.sent) > 10, WAIT_S)
    assert not robot.heard["depth/image"] and depth.unexpected_errors == 0
    robot.broken = False
    assert spin_until(plain, lambda: robot.heard["depth/image"], WAIT_S)
    depth.destroy_node()


def test_without_the_mast_in_tf_nothing_is_told_and_what_is_missing_said(plain, network):
    depth = start(plain, network, floor_frame="base_link")
    robot = Robot(plain, "depth/image")
    assert spin_until(plain, lambda: "base_link" in depth.problems.summary()[1], WAIT_S)
    assert not robot.heard["depth/image"] and depth.unexpected_errors == 0
    frames = plain.create_publisher(TFMessage, "/tf_static", LATCHED)
    mount = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.1], [0.0, 0.0, 0.0, 1.0]])
    transform = TransformStamped(header=header(0.0, "base_link"), child_frame_id=FRAME)
    transform.transform = transform_to_msg(mount)
    frames.publish(TFMessage(transforms=[transform]))
    assert spin_until(plain, lambda: robot.heard["depth/image"], WAIT_S)
    depth.destroy_node()


def test_a_model_that_is_not_there_fails_the_configuration_and_is_said(plain):
    values = {"model": "no_such_network.onnx"}
    depth = DepthNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    plain.executor.add_node(depth)
    assert spin_until(plain, lambda: "no_such_network" in depth.problems.summary()[1], WAIT_S)
    assert depth.state == "unconfigured"
    depth.destroy_node()
