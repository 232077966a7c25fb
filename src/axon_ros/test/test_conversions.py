# SPDX-License-Identifier: Apache-2.0
"""Each pair by round trip, and by one absolute fact, since a round trip is blind to an error made both ways."""

import array

import numpy as np
import pytest
from geometry_msgs.msg import Pose, Quaternion, Twist
from nav_msgs.msg import OccupancyGrid, Path
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2

from axon_core.cameras import PinholeCamera
from axon_core.geometry import transform_from
from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_ros import conversions as c
from axon_ros.errors import BadInput

HEADER = c.header(12.25, "odom")


def test_header_of_seconds():
    assert (HEADER.stamp.sec, HEADER.stamp.nanosec, HEADER.frame_id) == (12, 250_000_000, "odom")
    assert c.header(HEADER.stamp, "map").stamp == HEADER.stamp


def test_scan():
    scan = Scan(np.array([1.0, np.nan, np.inf], dtype=np.float32), -0.5, 0.25, 0.1, 20.0)
    msg = c.scan_to_msg(scan, HEADER, 0.1)
    assert msg.angle_max == pytest.approx(0.0) and msg.ranges[0] == 1.0 and msg.header == HEADER
    back = c.scan_from_msg(msg)
    np.testing.assert_array_equal(back.ranges_m, scan.ranges_m)
    assert back.angles_rad == pytest.approx(scan.angles_rad) and back.range_max_m == 20.0


def test_grid():
    grid = Grid(np.array([[0, 100, -1], [50, 0, 0]], dtype=np.int8), 0.5, np.array([-1.0, 2.0]))
    msg = c.grid_to_msg(grid, HEADER)
    assert (msg.info.width, msg.info.height, list(msg.data)) == (3, 2, [0, 100, -1, 50, 0, 0])  # row-major, x first
    back = c.grid_from_msg(msg)
    np.testing.assert_array_equal(back.data, grid.data)
    np.testing.assert_allclose(back.origin_m, grid.origin_m)


def test_poses():
    pose = [1.0, -2.0, 0.5]
    msg = c.pose_to_msg(pose)
    assert msg.orientation.z == pytest.approx(np.sin(0.25)) and msg.orientation.w == pytest.approx(np.cos(0.25))
    np.testing.assert_allclose(c.pose_from_msg(msg), pose)


def test_transforms():
    transform = transform_from([1.0, 2.0, 3.0], np.array([1.0, 2.0, 3.0, 4.0]) / np.sqrt(30.0))
    msg = c.transform_to_msg(transform)
    assert (msg.translation.z, msg.rotation.w) == pytest.approx((3.0, 4.0 / np.sqrt(30.0)))
    np.testing.assert_allclose(c.transform_from_msg(msg), transform)
    np.testing.assert_allclose(c.transform_from_pose(c.transform_to_pose(transform)), transform)


def test_path():
    poses = np.array([[0.0, 0.0, 0.0], [1.0, 0.5, 1.5]])
    msg = c.path_to_msg(poses, HEADER)
    assert msg.poses[1].pose.position.y == 0.5 and msg.poses[1].header == HEADER
    np.testing.assert_allclose(c.path_from_msg(msg), poses)
    assert c.path_from_msg(Path()).shape == (0, 3)


def test_twist_and_odometry():
    twist = Twist2(1.0, 0.25, -0.5)
    assert c.twist_to_msg(twist).angular.z == -0.5
    assert c.twist_from_msg(c.twist_to_msg(twist)) == twist
    msg = c.odometry_to_msg([1.0, 2.0, 3.0], twist, HEADER, "base_link")
    assert (msg.pose.pose.position.y, msg.child_frame_id) == (2.0, "base_link")
    pose, velocity = c.odometry_from_msg(msg)
    np.testing.assert_allclose(pose, [1.0, 2.0, 3.0])
    assert velocity == twist


@pytest.mark.parametrize("lens", [(), (-0.3, 0.1, 0.001, -0.002, -0.01), (0.5, 0.1, 0.0, 0.0, 0.01, 0.8, 0.2, 0.02)])
def test_camera(lens):
    camera = PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5, lens)
    msg = c.camera_to_msg(camera, HEADER)
    assert list(msg.k) == [500.0, 0.0, 319.5, 0.0, 510.0, 239.5, 0.0, 0.0, 1.0] and msg.p[11] == 0.0
    assert c.camera_from_msg(msg) == camera


def test_image():
    pytest.importorskip("cv_bridge")
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    msg = c.image_to_msg(image, "rgb8", HEADER)
    assert (msg.width, msg.height, msg.step, bytes(msg.data)) == (4, 2, 12, image.tobytes())
    np.testing.assert_array_equal(c.image_from_msg(msg), image)
    np.testing.assert_array_equal(c.image_from_msg(msg, "bgr8"), image[..., ::-1])


def test_depth_is_in_metres_whatever_it_comes_in():
    pytest.importorskip("cv2")
    depth_mm = np.array([[0, 1500], [65535, 1]], dtype=np.uint16)
    expected = np.array([[0.0, 1.5], [65.535, 0.001]], dtype=np.float32)
    np.testing.assert_allclose(c.depth_from_msg(c.image_to_msg(depth_mm, "16UC1", HEADER)), expected, rtol=1e-6)
    np.testing.assert_array_equal(c.depth_from_msg(c.image_to_msg(expected, "32FC1", HEADER)), expected)
    with pytest.raises(BadInput, match="rgb8"):
        c.depth_from_msg(c.image_to_msg(np.zeros((2, 2, 3), np.uint8), "rgb8", HEADER))


def test_points():
    points = np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]], dtype=np.float32)
    msg = c.points_to_msg(points, HEADER)
    assert (msg.width, msg.point_step, msg.is_dense) == (2, 12, False)
    assert np.frombuffer(bytes(msg.data), "<f4")[2] == 3.0
    np.testing.assert_array_equal(c.points_from_msg(msg), points)
    assert c.points_from_msg(c.points_to_msg(np.zeros((0, 3)), HEADER)).shape == (0, 3)


def test_points_of_another_layout():
    dtype = np.dtype([("intensity", ">f4"), ("z", ">f8"), ("y", ">f8"), ("x", ">f8"), ("pad", "V4")])
    cloud = np.zeros((2, 3), dtype)
    cloud["x"], cloud["y"], cloud["z"] = np.arange(6).reshape(2, 3), 10.0, 20.0
    fields = [c.PointField(name=n, offset=o, datatype=8, count=1) for n, o in (("z", 4), ("y", 12), ("x", 20))]
    rows = [row.tobytes() + b"\xff" * 8 for row in cloud]  # padded, which must not shift the second row
    msg = PointCloud2(
        height=2,
        width=3,
        fields=fields,
        is_bigendian=True,
        point_step=32,
        row_step=104,
        data=array.array("B", b"".join(rows)),
    )
    np.testing.assert_array_equal(c.points_from_msg(msg), [[x, 10.0, 20.0] for x in range(6)])


@pytest.mark.parametrize(
    ("convert", "msg", "text"),
    [
        (c.scan_from_msg, LaserScan(), "the scan is empty"),
        (c.scan_from_msg, LaserScan(ranges=[float("nan")], range_max=1.0, angle_increment=0.1), "all 1 ranges are NaN"),
        (c.grid_from_msg, OccupancyGrid(), "0 x 0 cells comes with 0 values"),
        (c.grid_from_msg, OccupancyGrid(data=[0] * 5), "with 5 values"),
        (c.pose_from_msg, Pose(orientation=Quaternion(w=0.0)), "unit quaternion"),
        (c.twist_from_msg, Twist(linear=c.Vector3(x=float("nan"))), "finite"),
        (c.camera_from_msg, CameraInfo(width=640, height=480), "fx = 0.0: expected a focal length"),
        (c.camera_from_msg, CameraInfo(distortion_model="equidistant"), "distortion model 'equidistant'"),
        (c.points_from_msg, PointCloud2(), "no x, y, z: its fields are none"),
        (
            c.image_from_msg,
            Image(width=10, height=10, encoding="rgb8", step=30, data=[0] * 7),
            "10 x 10 'rgb8', step 30, 7 bytes",
        ),
        (c.image_from_msg, Image(width=1, height=1, encoding="nonsense", step=1, data=[0]), "'nonsense'"),
    ],
)
def test_what_makes_no_sense_is_bad_input(convert, msg, text):
    if convert is c.image_from_msg:
        pytest.importorskip("cv_bridge")
    with pytest.raises(BadInput, match=text.replace(".", r"\.")):
        convert(msg)


def test_a_cloud_cut_off_is_bad_input():
    msg = c.points_to_msg(np.zeros((4, 3)), HEADER)
    msg.data = msg.data[:-5]
    with pytest.raises(BadInput, match="4 x 1 points comes with 43 bytes"):
        c.points_from_msg(msg)
