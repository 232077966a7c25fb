# SPDX-License-Identifier: Apache-2.0
"""detector_node on a real graph, its camera before squares that its network knows."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("onnx")
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from toys import picture
from vision_msgs.msg import Detection2DArray, Detection3DArray

from axon_core.cameras import PinholeCamera
from axon_core.geometry import transform_from
from axon_detector.node import DetectorNode
from axon_ros.conversions import (
    camera_to_msg,
    header,
    image_from_msg,
    image_to_msg,
    transform_from_pose,
    transform_to_msg,
)
from axon_ros.qos import LATCHED, RESULT
from axon_ros.testing import ros, spin_until

CAMERA = PinholeCamera(128, 96, 100.0, 100.0, 63.5, 47.5)
FRAME = "camera_color_optical_frame"
SQUARES = (("red", 32, 32, 8), ("green", 96, 0, 8), ("blue", 8, 80, 8))
BASE_T_CAMERA = transform_from([0.1, 0.0, 1.1], [-0.5, 0.5, -0.5, 0.5])  # x right, y down, z ahead


class Robot:
    """Sends what its camera sees ten times a second, keeps what is detected in it."""

    def __init__(self, node, depth=True) -> None:
        self.node, self.heard, self.status = node, {}, None
        self.sends = {"color": True, "depth": depth}
        self._color = node.create_publisher(Image, "camera/color/image_raw", RESULT)
        self._depth = node.create_publisher(Image, "camera/depth/image_raw", RESULT)
        self._info = node.create_publisher(CameraInfo, "camera/color/camera_info", RESULT)
        self._tf = node.create_publisher(TFMessage, "/tf_static", LATCHED)
        transform = transform_to_msg(BASE_T_CAMERA)
        stamped = TransformStamped(header=header(0.0, "base_link"), child_frame_id=FRAME, transform=transform)
        self._tf.publish(TFMessage(transforms=[stamped]))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RESULT)
        node.create_timer(0.1, self._send)

    def listen(self, **topics):
        for topic, kind in topics.items():
            self.heard[topic] = []
            self.node.create_subscription(kind, topic, self.heard[topic].append, RESULT)

    def wait_for(self, topic, count=1, fits=lambda msg: True, timeout_s=20.0):
        """The newest message of a topic once so many that fit have come."""
        heard = self.heard[topic]
        assert spin_until(self.node, lambda: sum(map(fits, heard)) >= count, timeout_s), (topic, self.status)
        return [msg for msg in heard if fits(msg)][-1]

    def _send(self) -> None:
        head = header(self.node.get_clock().now().to_msg(), FRAME)
        self._info.publish(camera_to_msg(CAMERA, head))
        if self.sends["color"]:
            self._color.publish(image_to_msg(picture(*SQUARES), "rgb8", head))
        if self.sends["depth"]:
            self._depth.publish(image_to_msg(np.full((96, 128), 1000, np.uint16), "16UC1", head))

    def _on_diagnostics(self, msg) -> None:
        self.status = next((status for status in msg.status if status.name == "detector"), self.status)

    def values(self):
        return {pair.key: pair.value for pair in self.status.values} if self.status else {}


@pytest.fixture
def node() -> Iterator[object]:
    with ros() as plain:
        yield plain


def start(node, toy, **parameters):
    values = {"model": str(toy), "score_threshold": 0.9, "max_rate_hz": 0.0, **parameters}
    detector = DetectorNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    node.executor.add_node(detector)
    assert spin_until(node, lambda: detector.state == "active", 30.0)
    return detector


def names(msg):
    return [one.results[0].hypothesis.class_id for one in msg.detections]


def test_it_tells_what_is_where_in_the_image_and_in_space(node, toy):
    robot = Robot(node)
    robot.listen(detections=Detection2DArray, detections_3d=Detection3DArray, annotated=Image)
    start(node, toy)
    boxes_3d = robot.wait_for("detections_3d", fits=lambda msg: len(msg.detections) == 3)
    stamp = boxes_3d.header.stamp
    boxes = robot.wait_for("detections", fits=lambda msg: msg.header.stamp == stamp)
    drawn = robot.wait_for("annotated", fits=lambda msg: msg.header.stamp == stamp)
    assert sorted(names(boxes)) == ["blue", "green", "red"] and names(boxes_3d) == names(boxes)
    assert boxes.header.frame_id == boxes_3d.header.frame_id == drawn.header.frame_id == FRAME
    assert [one.id for one in boxes.detections] == [one.id for one in boxes_3d.detections] == ["0", "1", "2"]
    red = boxes.detections[names(boxes).index("red")].bbox
    assert (red.center.position.x, red.center.position.y, red.size_x) == pytest.approx((36.0, 36.0, 8.0), abs=1e-3)
    place = boxes_3d.detections[names(boxes).index("red")].bbox.center.position
    assert (place.x, place.y, place.z) == pytest.approx((-0.28 * 1.04, -0.12 * 1.04, 1.04), abs=0.01)
    assert (image_from_msg(drawn) != picture(*SQUARES)).any()
    assert spin_until(node, lambda: "yolox layout" in robot.values().get("layout", ""))
    assert robot.values()["model"] == "toy" and robot.values()["detections"] == "3"


def test_boxes_in_space_come_in_the_frame_that_is_asked_for(node, toy):
    robot = Robot(node)
    robot.listen(detections_3d=Detection3DArray)
    start(node, toy, frame_3d="base_link", classes=["blue"])
    msg = robot.wait_for("detections_3d", fits=lambda msg: len(msg.detections) == 1)
    assert msg.header.frame_id == "base_link"
    base_T_box = transform_from_pose(msg.detections[0].bbox.center)
    in_camera = np.array([(12.0 - 64.0) / 100.0 * 1.04, (84.0 - 48.0) / 100.0 * 1.04, 1.04, 1.0])
    np.testing.assert_allclose(base_T_box[:3, 3], (BASE_T_CAMERA @ in_camera)[:3], atol=0.01)
    np.testing.assert_allclose(base_T_box[:3, :3], BASE_T_CAMERA[:3, :3], atol=1e-6)


def test_without_depth_it_detects_in_the_image_and_says_what_is_missing_for_space(node, toy):
    robot = Robot(node, depth=False)
    robot.listen(detections=Detection2DArray, detections_3d=Detection3DArray)
    start(node, toy)
    robot.wait_for("detections", 3)
    assert spin_until(node, lambda: robot.status and "detections_3d is read" in robot.status.message, 10.0)
    assert "camera/depth/image_raw" in robot.status.message and not robot.heard["detections_3d"]
    robot.sends["depth"] = True
    robot.wait_for("detections_3d")
    assert spin_until(node, lambda: "detections_3d is read" not in robot.status.message, 10.0)


def test_it_is_at_rest_while_nobody_reads(node, toy):
    robot = Robot(node)
    start(node, toy)
    assert spin_until(node, lambda: "10" in robot.values().get("in /camera/color/image_raw", ""), 10.0)
    assert ", 0 sent" in robot.values()["out /detections"]
    robot.listen(annotated=Image)
    robot.wait_for("annotated")


def test_parameters_change_at_run_time_or_are_refused(node, toy):
    robot = Robot(node)
    robot.listen(detections=Detection2DArray)
    detector = start(node, toy)
    robot.wait_for("detections")
    refused = detector.set_parameters([Parameter("classes", value=["bleu"])])[0]
    assert not refused.successful and "did you mean 'blue'" in refused.reason
    assert detector.set_parameters([Parameter("classes", value=["blue"])])[0].successful
    robot.wait_for("detections", fits=lambda msg: names(msg) == ["blue"])
    assert detector.set_parameters([Parameter("max_rate_hz", value=2.0)])[0].successful
    node.executor.spin_once(timeout_sec=0.5)
    begin = len(robot.heard["detections"])
    robot.wait_for("detections", begin + 3)
    stamps = [msg.header.stamp.sec + 1e-9 * msg.header.stamp.nanosec for msg in robot.heard["detections"][begin:]]
    assert np.diff(stamps).min() > 0.3


def test_a_network_that_is_not_there_fails_the_start_with_the_reason(node, tmp_path):
    robot = Robot(node)
    detector = DetectorNode(parameter_overrides=[Parameter("model", value=str(tmp_path / "none.onnx"))])
    node.executor.add_node(detector)
    assert spin_until(node, lambda: robot.status and "no such file" in robot.status.message, 20.0)
    assert detector.state == "unconfigured"
