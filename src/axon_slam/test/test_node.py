# SPDX-License-Identifier: Apache-2.0
"""slam_node on a real graph, its camera in the drawn room."""

from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.parameter import Parameter
from rooms import CAMERA, MOUNT, around, make_room
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from axon_ros.conversions import (
    camera_to_msg,
    grid_from_msg,
    header,
    image_to_msg,
    points_from_msg,
    transform_from_pose,
    transform_to_msg,
)
from axon_ros.qos import LATCHED, RESULT, SENSOR
from axon_ros.testing import ros, spin_until
from axon_slam.node import SlamNode
from axon_slam.se3 import inverse

FRAME = "camera_color_optical_frame"
ROOM = make_room(5)
WAY = around(90)


class Robot:
    """Sends what a robot on the circle sees and its tf, keeps what SLAM says."""

    def __init__(self, node) -> None:
        self.node, self.at, self.dark, self.moving, self.odometry_shift = node, 0, False, True, np.eye(4)
        self.heard: dict[str, list] = {"slam/odometry": [], "slam/path": [], "slam/points": [], "map": []}
        self.map_T_odom, self.status, self.sent = None, None, {}
        self._color = node.create_publisher(Image, "camera/color/image_raw", RESULT)
        self._depth = node.create_publisher(Image, "camera/depth/image_raw", RESULT)
        self._info = node.create_publisher(CameraInfo, "camera/color/camera_info", RESULT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        kinds = {"slam/odometry": Odometry, "slam/path": Path, "slam/points": PointCloud2, "map": OccupancyGrid}
        for topic, kind in kinds.items():
            qos = LATCHED if topic == "map" else SENSOR
            node.create_subscription(kind, topic, self.heard[topic].append, qos)
        node.create_subscription(TFMessage, "/tf", self._on_tf, RESULT)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, SENSOR)
        self._views = [ROOM.look(pose @ MOUNT) for pose in WAY[:30]]
        node.create_timer(0.1, self._send)

    def _send(self) -> None:
        stamp = self.node.get_clock().now().to_msg()
        self.at = min(self.at + self.moving, len(self._views) - 1)
        image, depth = self._views[self.at]
        if self.dark:
            image, depth = np.zeros_like(image), np.full_like(depth, np.nan)
        odom_T_base = self.odometry_shift @ WAY[self.at]
        self.sent[stamp.sec, stamp.nanosec] = WAY[self.at]
        self._tf.publish(
            TFMessage(
                transforms=[
                    TransformStamped(header=header(stamp, a), child_frame_id=b, transform=transform_to_msg(t))
                    for a, b, t in (("odom", "base_link", odom_T_base), ("base_link", FRAME, MOUNT))
                ]
            )
        )
        self._info.publish(camera_to_msg(CAMERA, header(stamp, FRAME)))
        self._color.publish(image_to_msg(np.repeat(image[..., None], 3, axis=2), "rgb8", header(stamp, FRAME)))
        self._depth.publish(image_to_msg(depth, "32FC1", header(stamp, FRAME)))

    def _on_tf(self, msg) -> None:
        for transform in msg.transforms:
            if transform.child_frame_id == "odom":
                self.map_T_odom = transform

    def _on_diagnostics(self, msg) -> None:
        self.status = next((status for status in msg.status if status.name == "slam"), self.status)

    def call(self, name):
        client = self.node.create_client(Trigger, f"slam/{name}")
        assert spin_until(self.node, client.service_is_ready)
        future = client.call_async(Trigger.Request())
        assert spin_until(self.node, future.done)
        return future.result()

    def poses(self, begin=0):
        """Pairs of the pose told and the true one."""
        told = self.heard["slam/odometry"][begin:]
        keys = [(msg.header.stamp.sec, msg.header.stamp.nanosec) for msg in told]
        return [(transform_from_pose(msg.pose.pose), self.sent[key]) for msg, key in zip(told, keys, strict=True)]


@pytest.fixture
def node() -> Iterator[object]:
    with ros() as plain:
        yield plain


def start(node, **parameters):
    slam = SlamNode(
        parameter_overrides=[
            Parameter(name, value=value) for name, value in {"feature_count": 400, **parameters}.items()
        ]
    )
    node.executor.add_node(slam)
    assert spin_until(node, lambda: slam.state == "active", 30.0)
    return slam


def test_it_tells_pose_map_path_points_and_tf_and_saves_and_loads(node, tmp_path):
    slam = start(node, map_dir=str(tmp_path / "map"))
    robot = Robot(node)
    assert spin_until(node, lambda: len(robot.heard["slam/odometry"]) > 20 and robot.heard["slam/path"], 20.0)
    for told, true in robot.poses():
        np.testing.assert_allclose(told[:3, 3], true[:3, 3], atol=0.05)
    assert spin_until(node, lambda: robot.heard["map"] and robot.heard["slam/points"], 5.0)
    grid = grid_from_msg(robot.heard["map"][-1])
    assert (grid.data == 100).sum() > 40 and (grid.data == 0).sum() > 500
    points = points_from_msg(robot.heard["slam/points"][-1])
    assert np.median(np.abs(np.abs(points[:, :2]).max(axis=1) - 3.0)) < 0.1 or len(points) > 200
    assert robot.map_T_odom.header.frame_id == "map"
    assert abs(robot.map_T_odom.transform.translation.x) < 0.06
    assert robot.call("save_map").success and (tmp_path / "map" / "keyframes.npz").is_file()
    assert robot.call("reset").success
    assert robot.call("load_map").success and slam.state == "active"
    begin = len(robot.heard["slam/odometry"])
    assert spin_until(node, lambda: len(robot.heard["slam/odometry"]) > begin + 5, 10.0)
    told, true = robot.poses(begin)[-1]
    np.testing.assert_allclose(told[:3, 3], true[:3, 3], atol=0.06)
    slam.destroy_node()


@pytest.mark.parametrize(("use_odometry", "level"), [(True, DiagnosticStatus.WARN), (False, DiagnosticStatus.ERROR)])
def test_darkness_is_said_within_a_second_and_goes_with_it(node, use_odometry, level):
    slam = start(node, lost_after_s=0.3, use_odometry=use_odometry)
    robot = Robot(node)
    assert spin_until(node, lambda: len(robot.heard["slam/odometry"]) > 5, 15.0)
    robot.moving, robot.dark, began = False, True, slam.now_s()
    assert spin_until(node, lambda: "lost" in slam.problems.summary()[1], 3.0)
    assert slam.now_s() - began < 1.5  # the node's own second, and a busy machine's half
    assert spin_until(
        node, lambda: robot.status and robot.status.level == level and "lost" in robot.status.message, 3.0
    )
    assert "covered" in robot.status.message
    robot.dark = False
    assert spin_until(node, lambda: robot.status.level == DiagnosticStatus.OK, 5.0), robot.status.message
    slam.destroy_node()


def test_drifting_odometry_moves_map_to_odom_and_can_be_left_to_others(node):
    slam = start(node)
    robot = Robot(node)
    robot.odometry_shift = np.array([[0.0, -1, 0, 2.0], [1, 0, 0, 1.0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert spin_until(node, lambda: len(robot.heard["slam/odometry"]) > 3 and robot.map_T_odom, 15.0)
    told, true = robot.poses()[-1]
    np.testing.assert_allclose(told, robot.odometry_shift @ true, atol=0.05)
    np.testing.assert_allclose(inverse(robot.odometry_shift) @ told, true, atol=0.05)
    slam.set_parameters([Parameter("publish_tf", value=False)])
    spin_until(node, lambda: False, 0.3)
    robot.map_T_odom = None
    spin_until(node, lambda: False, 0.4)
    assert robot.map_T_odom is None
    slam.destroy_node()


def test_a_service_that_cannot_do_its_work_says_why(node):
    slam = start(node)
    robot = Robot(node)
    answer = robot.call("save_map")
    assert not answer.success and "map_dir" in answer.message
    slam.set_parameters([Parameter("map_dir", value="/nowhere/at/all")])
    answer = robot.call("load_map")
    assert not answer.success and "nowhere" in answer.message
    slam.destroy_node()
