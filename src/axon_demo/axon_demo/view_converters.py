# SPDX-License-Identifier: Apache-2.0
"""The one table of message types and of what shows them, for a running robot and for a recording alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from axon_demo import view_markers, view_pixels, view_space, view_values
from axon_demo.view_entries import Entry

Converter = Callable[[str, Any], Iterator[Entry]]
"""From a topic (relative, without a namespace) and a message as rosbags reads it to entries.

Raises ValueError for a message that makes no sense.
"""

CONVERTERS: dict[str, Converter] = {
    "axon_msgs/msg/GraspArray": view_space.grasps,
    "diagnostic_msgs/msg/DiagnosticArray": view_values.diagnostics,
    "diagnostic_msgs/msg/DiagnosticStatus": view_values.status,
    "geometry_msgs/msg/PoseStamped": view_space.pose,
    "geometry_msgs/msg/Twist": view_values.twist,
    "geometry_msgs/msg/TwistStamped": view_values.twist,
    "nav_msgs/msg/OccupancyGrid": view_pixels.grid,
    "nav_msgs/msg/Odometry": view_values.odometry,
    "nav_msgs/msg/Path": view_space.way,
    "rcl_interfaces/msg/Log": view_values.log,
    "sensor_msgs/msg/CameraInfo": view_pixels.camera_info,
    "sensor_msgs/msg/CompressedImage": view_pixels.compressed_image,
    "sensor_msgs/msg/Image": view_pixels.image,
    "sensor_msgs/msg/JointState": view_values.joints,
    "sensor_msgs/msg/LaserScan": view_space.scan,
    "sensor_msgs/msg/PointCloud2": view_space.cloud,
    "std_msgs/msg/String": view_space.robot,
    "tf2_msgs/msg/TFMessage": view_space.transforms,
    "vision_msgs/msg/Detection2DArray": view_pixels.detections_2d,
    "vision_msgs/msg/Detection3DArray": view_space.detections_3d,
    "visualization_msgs/msg/Marker": view_markers.marker,
    "visualization_msgs/msg/MarkerArray": view_markers.markers,
}
HEAVY = {f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "PointCloud2")} | {
    "nav_msgs/msg/OccupancyGrid"
}
"""Types whose rate is limited where that is asked for."""
_TWICE = ("annotated",)
"""Shown already, by their parts; making them costs their node time."""


def is_shown(path: str, type_name: str) -> bool:
    """Whether a topic, relative and without its namespace, has something to show."""
    if type_name == "std_msgs/msg/String":
        return path == "robot_description"
    is_truth = path.startswith("sim/") and path != "sim/collisions"  # what no robot knows of itself
    return type_name in CONVERTERS and path not in _TWICE and not is_truth
