# SPDX-License-Identifier: Apache-2.0
"""Pairs of functions between messages and core types: `x_from_msg(msg)` and `x_to_msg(x, ...)`.

What comes out of a message is checked, and is no part of it any more, except that large arrays are views of its
data. All raise BadInput for content that makes no sense.
"""

import array
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Transform, Twist, Vector3
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from numpy.typing import ArrayLike
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2, PointField
from std_msgs.msg import Header

from axon_core.arrays import AnyArray, Float32Array, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array
from axon_core.geometry import (
    check_transform,
    quat_xyzw_from_matrix,
    quat_xyzw_from_yaw,
    se2_from_matrix,
    transform_from,
)
from axon_core.grids import Grid
from axon_core.motion import Twist2, check_twist
from axon_core.scans import Scan, check_scan
from axon_ros.errors import BadInput
from axon_ros.stamps import stamp_of

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FIELD_TYPES = {
    PointField.INT8: "i1",
    PointField.UINT8: "u1",
    PointField.INT16: "i2",
    PointField.UINT16: "u2",
    PointField.INT32: "i4",
    PointField.UINT32: "u4",
    PointField.FLOAT32: "f4",
    PointField.FLOAT64: "f8",
}
DEPTH_ENCODINGS = ("32FC1", "16UC1")
_DISTORTION_MODELS = {"": 0, "plumb_bob": 5, "rational_polynomial": 8}


def _refuses(function: _Function) -> _Function:
    """Make what the core's checks raise a BadInput."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BadInput:
            raise
        except ValueError as error:
            raise BadInput(str(error)) from error

    return checked  # type: ignore[return-value]


def header(stamp: Any, frame_id: str) -> Header:
    """Return a header; `stamp` is a builtin_interfaces/Time, or seconds."""
    return Header(stamp=stamp_of(stamp) if isinstance(stamp, (int, float)) else stamp, frame_id=frame_id)


@_refuses
def scan_from_msg(msg: LaserScan) -> Scan:
    """Return a scan; single NaN are rays without a measurement, all NaN is refused."""
    ranges = np.frombuffer(msg.ranges, dtype=np.float32)
    return check_scan(Scan(ranges, msg.angle_min, msg.angle_increment, msg.range_min, msg.range_max))


def scan_to_msg(scan: Scan, header: Header, scan_time_s: float = 0.0) -> LaserScan:
    """Return the message of a scan."""
    count = len(scan.ranges_m)
    return LaserScan(
        header=header,
        angle_min=float(scan.angle_min_rad),
        angle_max=float(scan.angle_min_rad + scan.angle_increment_rad * (count - 1)),
        angle_increment=float(scan.angle_increment_rad),
        scan_time=float(scan_time_s),
        range_min=float(scan.range_min_m),
        range_max=float(scan.range_max_m),
        ranges=packed("f", scan.ranges_m, np.float32),
    )


@_refuses
def grid_from_msg(msg: OccupancyGrid) -> Grid:
    """Return the grid of int8 values; refused where it is turned or its size does not fit its data."""
    info = msg.info
    origin = pose_from_msg(info.origin)
    if abs(origin[2]) > 1e-6:
        raise BadInput(f"the grid is turned by {origin[2]:.3f} rad: only grids along the axes of their frame are read")
    if len(msg.data) != info.width * info.height or not msg.data:
        raise BadInput(f"the grid of {info.width} x {info.height} cells comes with {len(msg.data)} values")
    data = np.frombuffer(msg.data, dtype=np.int8).reshape(info.height, info.width)
    return Grid(data, info.resolution, origin[:2])


def grid_to_msg(grid: Grid, header: Header) -> OccupancyGrid:
    """Return the message of a grid of values -1 .. 100."""
    msg = OccupancyGrid(header=header, data=packed("b", grid.data, np.int8))
    msg.info.map_load_time = header.stamp
    msg.info.resolution = float(grid.resolution_m)
    msg.info.height, msg.info.width = grid.data.shape
    msg.info.origin = pose_to_msg([*grid.origin_m, 0.0])
    return msg


@_refuses
def transform_from_pose(msg: Pose) -> FloatArray:
    """Return a pose as a transform (4, 4)."""
    p, q = msg.position, msg.orientation
    return transform_from([p.x, p.y, p.z], [q.x, q.y, q.z, q.w])


def transform_to_pose(transform: ArrayLike) -> Pose:
    """Return a transform (4, 4) as a pose."""
    matrix = check_transform(transform)
    return Pose(position=_xyz(Point, matrix[:3, 3]), orientation=_quaternion(quat_xyzw_from_matrix(matrix)))


@_refuses
def transform_from_msg(msg: Transform) -> FloatArray:
    """Return the transform (4, 4)."""
    t, q = msg.translation, msg.rotation
    return transform_from([t.x, t.y, t.z], [q.x, q.y, q.z, q.w])


def transform_to_msg(transform: ArrayLike) -> Transform:
    """Return the message of a transform (4, 4)."""
    matrix = check_transform(transform)
    return Transform(translation=_xyz(Vector3, matrix[:3, 3]), rotation=_quaternion(quat_xyzw_from_matrix(matrix)))


@_refuses
def pose_from_msg(msg: Pose) -> FloatArray:
    """Return the planar pose (3,)."""
    return se2_from_matrix(transform_from_pose(msg))


def pose_to_msg(pose: ArrayLike) -> Pose:
    """Return the message of a planar pose (3,)."""
    x, y, yaw = check_array("pose", pose, shape=(3,)).tolist()
    return Pose(position=Point(x=x, y=y, z=0.0), orientation=_quaternion(quat_xyzw_from_yaw(yaw)))


@_refuses
def path_from_msg(msg: Path) -> FloatArray:
    """Return the poses (N, 3) of a path; N may be 0."""
    return np.array([pose_from_msg(stamped.pose) for stamped in msg.poses]).reshape(-1, 3)


def path_to_msg(poses: ArrayLike, header: Header) -> Path:
    """Return the message of poses (N, 3), all with the header of the path."""
    rows = check_array("poses", poses, shape=(None, 3))
    return Path(header=header, poses=[PoseStamped(header=header, pose=pose_to_msg(row)) for row in rows])


@_refuses
def twist_from_msg(msg: Twist) -> Twist2:
    """Return the planar part of a twist."""
    return check_twist(Twist2(msg.linear.x, msg.linear.y, msg.angular.z))


def twist_to_msg(twist: Twist2) -> Twist:
    """Return the message of a planar twist."""
    vx, vy, wz = check_twist(twist)
    return Twist(linear=Vector3(x=vx, y=vy, z=0.0), angular=Vector3(x=0.0, y=0.0, z=wz))


@_refuses
def odometry_from_msg(msg: Odometry) -> tuple[FloatArray, Twist2]:
    """Return the pose (3,) of the child frame in the header's frame, and the velocity in the child frame."""
    return pose_from_msg(msg.pose.pose), twist_from_msg(msg.twist.twist)


def odometry_to_msg(pose: ArrayLike, twist: Twist2, header: Header, child_frame_id: str) -> Odometry:
    """Return the message of a planar pose and velocity."""
    msg = Odometry(header=header, child_frame_id=child_frame_id)
    msg.pose.pose = pose_to_msg(pose)
    msg.twist.twist = twist_to_msg(twist)
    return msg


@_refuses
def camera_from_msg(msg: CameraInfo) -> PinholeCamera:
    """Return the camera of the raw image (K and D); refused where it is not calibrated or a fisheye."""
    if msg.distortion_model not in _DISTORTION_MODELS:
        known = ", ".join(name for name in _DISTORTION_MODELS if name)
        raise BadInput(f"distortion model '{msg.distortion_model}': expected {known}")
    distortion = tuple(msg.d) if any(msg.d) else ()
    return PinholeCamera(msg.width, msg.height, msg.k[0], msg.k[4], msg.k[2], msg.k[5], distortion)


def camera_to_msg(camera: PinholeCamera, header: Header) -> CameraInfo:
    """Return the message of a camera, its rectified image the same without distortion."""
    model = "rational_polynomial" if len(camera.distortion) == 8 else "plumb_bob"
    msg = CameraInfo(header=header, width=camera.width, height=camera.height, distortion_model=model)
    msg.d = [*camera.distortion] + [0.0] * (_DISTORTION_MODELS[model] - len(camera.distortion))
    msg.k = camera.matrix.ravel().tolist()
    msg.r = np.eye(3).ravel().tolist()
    msg.p = np.hstack([camera.matrix, np.zeros((3, 1))]).ravel().tolist()
    return msg


def image_from_msg(msg: Image, encoding: str = "passthrough") -> AnyArray:
    """Return the image (H, W) or (H, W, C) in an encoding of sensor_msgs; a view of the message where it can be."""
    from cv_bridge import CvBridge, CvBridgeError  # only nodes with a camera need it

    try:
        return np.asarray(CvBridge().imgmsg_to_cv2(msg, desired_encoding=encoding))
    except (CvBridgeError, ValueError, TypeError) as error:
        size = f"{msg.width} x {msg.height} {msg.encoding!r}, step {msg.step}, {len(msg.data)} bytes"
        raise BadInput(f"image of {size}: {error}") from error


def image_to_msg(image: AnyArray, encoding: str, header: Header) -> Image:
    """Return the message of an image (H, W) or (H, W, C) in an encoding of sensor_msgs."""
    from cv_bridge import CvBridge

    return CvBridge().cv2_to_imgmsg(image, encoding=encoding, header=header)


def depth_from_msg(msg: Image) -> Float32Array:
    """Return depth (H, W) in m of an image 32FC1 in m or 16UC1 in mm (REP-118); 0 or NaN is none."""
    if msg.encoding not in DEPTH_ENCODINGS:
        raise BadInput(f"depth comes as '{msg.encoding}': expected {' or '.join(DEPTH_ENCODINGS)}; remap it")
    depth = image_from_msg(msg)
    return depth.astype(np.float32) * np.float32(1e-3) if depth.dtype == np.uint16 else depth


@_refuses
def points_from_msg(msg: PointCloud2) -> Float32Array:
    """Return x, y, z (N, 3) of a cloud, rows of NaN where it has holes; N may be 0."""
    fields = {field.name: field for field in msg.fields}
    if not {"x", "y", "z"} <= fields.keys():
        raise BadInput(f"the cloud has no x, y, z: its fields are {', '.join(fields) or 'none'}")
    if len(msg.data) != msg.row_step * msg.height or msg.row_step < msg.point_step * msg.width:
        raise BadInput(f"the cloud of {msg.width} x {msg.height} points comes with {len(msg.data)} bytes")
    if msg.width * msg.height == 0:
        return np.zeros((0, 3), dtype=np.float32)
    order = ">" if msg.is_bigendian else "<"
    dtype = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [order + _field_type(fields[name]) for name in "xyz"],
            "offsets": [fields[name].offset for name in "xyz"],
            "itemsize": msg.point_step,
        }
    )
    strides = (msg.row_step, msg.point_step)
    cloud = np.ndarray((msg.height, msg.width), dtype, buffer=memoryview(msg.data), strides=strides)
    return np.stack([cloud[name].ravel().astype(np.float32) for name in "xyz"], axis=-1)


def points_to_msg(points: ArrayLike, header: Header) -> PointCloud2:
    """Return the cloud of points (N, 3)."""
    xyz = check_array("points", points, shape=(None, 3), finite=False, dtype=np.float32)
    return PointCloud2(
        header=header,
        height=1,
        width=len(xyz),
        fields=[PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")],
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(xyz),
        data=packed("B", xyz.astype("<f4"), np.dtype("<f4")),
        is_dense=bool(np.isfinite(xyz).all()),
    )


def packed(code: str, values: AnyArray, dtype: Any) -> "array.array[Any]":
    """Return values as an array.array of a type code, which messages take without a look at each element."""
    made = array.array(code)
    made.frombytes(np.ascontiguousarray(values, dtype=dtype).tobytes())
    return made


def _field_type(field: PointField) -> str:
    if field.datatype not in _FIELD_TYPES:
        raise BadInput(f"field '{field.name}' of the cloud has the unknown datatype {field.datatype}")
    return _FIELD_TYPES[field.datatype]


def _xyz(kind: type, values: AnyArray) -> Any:
    x, y, z = values.tolist()
    return kind(x=x, y=y, z=z)


def _quaternion(quat_xyzw: AnyArray) -> Quaternion:
    x, y, z, w = quat_xyzw.tolist()
    return Quaternion(x=x, y=y, z=z, w=w)
