# SPDX-License-Identifier: Apache-2.0
"""Messages that a node must outlive, and the good ones between them, for every type of the contract."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Twist, TwistStamped, Vector3
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState, LaserScan, PointCloud2, PointField
from std_msgs.msg import Header

FRAMES = ("map", "odom", "base_link", "laser_link", "imu_link", "camera_link", "camera_color_optical_frame")
"""The frames of the good messages; a tester provides them, all at one place."""

_FAR_AHEAD_S = 1000


@dataclass(frozen=True)
class Specimen:
    """A message, what is the matter with it, and whether a node must refuse it (else it must only live on)."""

    what: str
    msg: Any
    refused: bool = True


def good(msg_type: type, stamp: Any) -> Any:
    """Return a message that makes sense, None where no such is known for the type."""
    maker = _GOOD.get(msg_type)
    return None if maker is None else maker(stamp)


def bad(msg_type: type, stamp: Any) -> list[Specimen]:
    """Return messages of the type that make no sense; for every type one without content is among them."""
    specimens = [Specimen("without content", msg_type(), refused=False)]
    for what, change in _BAD.get(msg_type, {}).items():
        msg = _GOOD[msg_type](stamp)
        change(msg)
        specimens.append(Specimen(what, msg))
    if msg_type in _STREAMS:
        msg = _GOOD[msg_type](Time(sec=stamp.sec + _FAR_AHEAD_S))
        specimens.append(Specimen("from the future", msg))
    return specimens


def _header(stamp: Any, frame: str) -> Header:
    return Header(stamp=stamp, frame_id=frame)


def _scan(stamp: Any) -> LaserScan:
    return LaserScan(
        header=_header(stamp, "laser_link"),
        angle_min=-2.0,
        angle_max=2.0,
        angle_increment=0.01,
        range_min=0.1,
        range_max=20.0,
        ranges=[5.0] * 401,
    )


def _odometry(stamp: Any) -> Odometry:
    return Odometry(header=_header(stamp, "odom"), child_frame_id="base_link")


def _grid(stamp: Any) -> OccupancyGrid:
    msg = OccupancyGrid(header=_header(stamp, "map"), data=[0] * 2500)
    msg.info.width = msg.info.height = 50
    msg.info.resolution = 0.1
    msg.info.origin.position = Point(x=-2.5, y=-2.5, z=0.0)
    return msg


def _goal(stamp: Any) -> PoseStamped:
    return PoseStamped(header=_header(stamp, "odom"), pose=Pose(position=Point(x=1.0)))


def _path(stamp: Any) -> Path:
    return Path(header=_header(stamp, "odom"), poses=[_goal(stamp)])


def _image(stamp: Any) -> Image:
    header = _header(stamp, "camera_color_optical_frame")
    return Image(header=header, height=48, width=64, encoding="rgb8", step=192, data=bytes(48 * 192))


def _camera(stamp: Any) -> CameraInfo:
    msg = CameraInfo(header=_header(stamp, "camera_color_optical_frame"), height=48, width=64)
    msg.distortion_model, msg.d = "plumb_bob", [0.0] * 5
    msg.k = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]
    msg.p = [50.0, 0.0, 31.5, 0.0, 0.0, 50.0, 23.5, 0.0, 0.0, 0.0, 1.0, 0.0]
    return msg


def _cloud(stamp: Any) -> PointCloud2:
    fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
    header = _header(stamp, "camera_color_optical_frame")
    return PointCloud2(
        header=header, height=1, width=10, fields=fields, point_step=12, row_step=120, data=bytes(120), is_dense=True
    )


def _imu(stamp: Any) -> Imu:
    return Imu(header=_header(stamp, "imu_link"), linear_acceleration=Vector3(z=9.81))


def _joints(stamp: Any) -> JointState:
    return JointState(header=_header(stamp, ""), name=["joint"], position=[0.0], velocity=[0.0])


_GOOD: dict[type, Callable[[Any], Any]] = {
    LaserScan: _scan,
    Odometry: _odometry,
    OccupancyGrid: _grid,
    PoseStamped: _goal,
    Path: _path,
    Image: _image,
    CameraInfo: _camera,
    PointCloud2: _cloud,
    Imu: _imu,
    JointState: _joints,
    Twist: lambda stamp: Twist(linear=Vector3(x=0.1)),
    TwistStamped: lambda stamp: TwistStamped(header=_header(stamp, "base_link"), twist=Twist(linear=Vector3(x=0.1))),
}
_STREAMS = (LaserScan, Odometry, Image, CameraInfo, PointCloud2, Imu, JointState)


def _set(path: str, value: Any) -> Callable[[Any], None]:
    """Return a function that sets an attribute of a message, `pose.position.x` for instance."""
    *parents, last = path.split(".")

    def change(msg: Any) -> None:
        for name in parents:
            msg = getattr(msg, name)
        setattr(msg, last, value)

    return change


_BAD: dict[type, dict[str, Callable[[Any], None]]] = {
    LaserScan: {
        "with NaN only": _set("ranges", [nan] * 401),
        "without a ray": _set("ranges", []),
        "without an angle": _set("angle_increment", 0.0),
        "with a range of NaN": _set("range_max", nan),
    },
    Odometry: {
        "with NaN": _set("twist.twist.linear.x", nan),
        "with a quaternion of zeros": _set("pose.pose.orientation", Quaternion(w=0.0)),
    },
    OccupancyGrid: {
        "with too few cells": _set("data", [0] * 7),
        "without resolution": _set("info.resolution", 0.0),
    },
    PoseStamped: {
        "with NaN": _set("pose.position.x", nan),
        "with a quaternion of zeros": _set("pose.orientation", Quaternion(w=0.0)),
        "in a frame that is nowhere": _set("header.frame_id", "nowhere"),
    },
    Path: {"that is empty": _set("poses", [])},
    Image: {
        "of the wrong size": _set("height", 4800),
        "of no known encoding": _set("encoding", "nonsense"),
        "of no pixels": lambda msg: [_set(name, 0)(msg) for name in ("height", "width", "step")] and None,
    },
    CameraInfo: {"without focal length": _set("k", [0.0] * 9)},
    PointCloud2: {"cut off": _set("data", bytes(100)), "without fields": _set("fields", [])},
    Imu: {"with NaN": _set("angular_velocity.z", nan)},
    JointState: {"with more names than positions": _set("name", ["a", "b", "c"])},
    Twist: {"with NaN": _set("linear.x", nan), "with infinity": _set("angular.z", inf)},
    TwistStamped: {"with NaN": _set("twist.linear.x", nan), "with infinity": _set("twist.angular.z", inf)},
}
