# SPDX-License-Identifier: Apache-2.0
"""Messages of things in space to Rerun: transforms, scans, clouds, paths, poses, boxes, grasps, the robot's shape."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import rerun as rr
from numpy.typing import NDArray

from axon_core.geometry import apply_transform, matrix_from_quat_xyzw, quat_xyzw_from_matrix, transform_from
from axon_core.scans import Scan
from axon_demo.view_entries import INK, Entry, frame_of, in_frame, name_color, stamp_s, topic_color
from axon_demo.view_pixels import names_and_labels

FloatArray = NDArray[np.float64]
_FIELD_CODES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # sensor_msgs/PointField
_SHOWN_IN = ("map", "odom")
"""Parents of the frames whose axes are shown: of all others there are too many."""
_AXES_M = 0.3
_FINGER_M, _PALM_M = 0.06, 0.05


def transforms(path: str, msg: Any) -> Iterator[Entry]:
    """Each transform of /tf or /tf_static at an entity of its child frame's own, as Rerun wants it."""
    fixed = path.endswith("tf_static")
    for one in msg.transforms:
        child, parent = str(one.child_frame_id).lstrip("/"), frame_of(one.header)
        shown = rr.Transform3D(
            translation=_xyz(one.transform.translation),
            quaternion=_quat_xyzw(one.transform.rotation),
            child_frame=child,
            parent_frame=parent,
        )
        parts = (shown, rr.TransformAxes3D(_AXES_M)) if parent in _SHOWN_IN else (shown,)
        yield Entry(f"tf/{child}", parts, None if fixed else stamp_s(one.header), static=fixed)


def scan(path: str, msg: Any) -> Iterator[Entry]:
    """What the rays of a lidar met, in its frame."""
    seen = Scan(msg.ranges, msg.angle_min, msg.angle_increment, msg.range_min, msg.range_max)
    xy = seen.points()
    shown = rr.Points3D(np.column_stack([xy, np.zeros(len(xy))]), colors=topic_color(path), radii=0.02)
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def cloud(path: str, msg: Any) -> Iterator[Entry]:
    """The points of a cloud without its holes, coloured by z of its frame: depth for a camera, height in a map."""
    xyz = _cloud_xyz(msg)
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    shown = rr.Points3D(xyz, colors=_turbo(xyz[:, 2]), radii=0.008)
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def way(path: str, msg: Any) -> Iterator[Entry]:
    """A path as a line."""
    xyz = np.array([_xyz(pose.pose.position) for pose in msg.poses]).reshape(-1, 3)
    strips = [xyz] if len(xyz) > 1 else []
    shown = rr.LineStrips3D(strips, colors=topic_color(path), radii=0.015 if path != "plan_raw" else 0.006)
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def pose(path: str, msg: Any) -> Iterator[Entry]:
    """A pose as an arrow along its x."""
    transform = pose_transform(msg.pose)
    shown = rr.Arrows3D(origins=transform[:3, 3], vectors=0.5 * transform[:3, 0], colors=topic_color(path), radii=0.03)
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def detections_3d(path: str, msg: Any) -> Iterator[Entry]:
    """Boxes in space with category and score."""
    boxes = [detection.bbox for detection in msg.detections]
    names, labels = names_and_labels(msg.detections)
    shown = rr.Boxes3D(
        centers=np.array([_xyz(box.center.position) for box in boxes]).reshape(-1, 3),
        sizes=np.array([_xyz(box.size) for box in boxes]).reshape(-1, 3),
        quaternions=np.array([_quat_xyzw(box.center.orientation) for box in boxes]).reshape(-1, 4),
        labels=labels,
        colors=[name_color(name) for name in names],
    )
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def grasps(path: str, msg: Any) -> Iterator[Entry]:
    """Each grasp as a gripper about to close, red for the worst and green for the best."""
    strips = [gripper_lines(grasp) for grasp in msg.grasps]
    colors = [(round(255 * (1.0 - q)), round(255 * q), 60) for q in (_clipped(grasp.quality) for grasp in msg.grasps)]
    shown = rr.LineStrips3D([line for lines in strips for line in lines], colors=np.repeat(colors, 2, axis=0))
    yield in_frame(frame_of(msg.header), path, msg.header, shown)


def gripper_lines(grasp: Any) -> list[FloatArray]:
    """The two lines of a gripper: finger tip, along the finger, across to the other tip; and the palm's stem.

    In the grasp's frame x is the approach and y the closing direction; its origin lies between the finger tips.
    """
    half = 0.5 * grasp.width_m
    fingers = np.array([[0.0, half, 0.0], [-_FINGER_M, half, 0.0], [-_FINGER_M, -half, 0.0], [0.0, -half, 0.0]])
    stem = np.array([[-_FINGER_M, 0.0, 0.0], [-_FINGER_M - _PALM_M, 0.0, 0.0]])
    transform = pose_transform(grasp.pose)
    return [apply_transform(transform, fingers), apply_transform(transform, stem)]


def robot(path: str, msg: Any) -> Iterator[Entry]:
    """The shapes of a URDF, each in the frame of its link. Meshes are left out: their files may be elsewhere."""
    tree = ElementTree.fromstring(msg.data)
    colors = {one.get("name"): _urdf_color(one) for one in tree.iter("material") if one.find("color") is not None}
    for link in tree.iter("link"):
        frame = str(link.get("name"))
        for number, visual in enumerate(link.iter("visual")):
            shown = _urdf_shape(visual, colors)
            if shown is not None:
                yield Entry(f"robot/{frame}/{number}", (rr.CoordinateFrame(frame), shown), static=True)


def pose_transform(msg: Any) -> FloatArray:
    """A geometry_msgs/Pose as a transform (4, 4); a quaternion of zeros, never set, is no turn, as in RViz."""
    turn = _quat_xyzw(msg.orientation)
    return transform_from(_xyz(msg.position), turn if any(turn) else [0.0, 0.0, 0.0, 1.0])


def _xyz(msg: Any) -> list[float]:
    return [msg.x, msg.y, msg.z]


def _quat_xyzw(msg: Any) -> list[float]:
    return [msg.x, msg.y, msg.z, msg.w]


def _clipped(quality: float) -> float:
    return min(max(float(quality), 0.0), 1.0)


def _cloud_xyz(msg: Any) -> NDArray[np.float32]:
    """x, y, z (N, 3) of a PointCloud2."""
    fields = {field.name: field for field in msg.fields}
    if not {"x", "y", "z"} <= fields.keys():
        raise ValueError(f"the cloud has no x, y, z: its fields are {', '.join(fields) or 'none'}")
    if msg.row_step < msg.point_step * msg.width or len(msg.data) != msg.row_step * msg.height:
        raise ValueError(f"the cloud of {msg.width} x {msg.height} points comes with {len(msg.data)} bytes")
    order = ">" if msg.is_bigendian else "<"
    dtype = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [order + _FIELD_CODES[fields[name].datatype] for name in "xyz"],
            "offsets": [fields[name].offset for name in "xyz"],
            "itemsize": msg.point_step,
        }
    )
    points = np.ndarray((msg.height, msg.width), dtype, msg.data, strides=(msg.row_step, msg.point_step))
    return np.stack([points[name].ravel().astype(np.float32) for name in "xyz"], axis=-1)


def _turbo(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours (N, 3) from blue at the 2nd to red at the 98th percentile."""
    if not len(values):
        return np.zeros((0, 3), np.uint8)
    low, high = np.percentile(values, [2.0, 98.0])
    steps = np.clip(255.0 * (values - low) / max(high - low, 1e-6), 0.0, 255.0).astype(np.uint8)
    return cv2.applyColorMap(steps, cv2.COLORMAP_TURBO).reshape(-1, 3)[:, ::-1]


def _urdf_shape(visual: Any, colors: dict[Any, Any]) -> Any:
    """The archetype of a visual's geometry in its link, None for a mesh."""
    origin = visual.find("origin")
    xyz, rpy = (_numbers(origin, key) if origin is not None else np.zeros(3) for key in ("xyz", "rpy"))
    material = visual.find("material")
    place = {
        "centers": [xyz],
        "quaternions": [_quat_of_rpy(rpy)],
        "colors": [colors.get(material.get("name"), INK) if material is not None else INK],
        "fill_mode": "solid",
    }
    for shape in visual.iter():
        if shape.tag == "box":
            return rr.Boxes3D(sizes=[_numbers(shape, "size")], **place)
        if shape.tag == "cylinder":
            return rr.Cylinders3D(lengths=[float(shape.get("length"))], radii=[float(shape.get("radius"))], **place)
        if shape.tag == "sphere":
            return rr.Ellipsoids3D(half_sizes=[[float(shape.get("radius"))] * 3], **place)
    return None


def _quat_of_rpy(rpy_rad: FloatArray) -> FloatArray:
    """The quaternion of URDF's roll, pitch, yaw: turns about the fixed x, then y, then z."""
    halves = zip(np.eye(3), 0.5 * rpy_rad, strict=True)
    roll, pitch, yaw = (matrix_from_quat_xyzw([*np.sin(half) * axis, np.cos(half)]) for axis, half in halves)
    return quat_xyzw_from_matrix(yaw @ pitch @ roll)


def _urdf_color(material: Any) -> list[int]:
    return [round(255 * value) for value in _numbers(material.find("color"), "rgba")]


def _numbers(element: Any, key: str) -> FloatArray:
    return np.array([float(word) for word in element.get(key, "0 0 0").split()])
