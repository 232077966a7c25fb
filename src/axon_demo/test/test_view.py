# SPDX-License-Identifier: Apache-2.0
"""What the viewer shows: each kind of message lies where it truly is; a file, a graph, and what is neither."""

from __future__ import annotations

import colorsys
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import rerun as rr
from scipy.spatial.transform import Rotation

from axon_core.geometry import matrix_from_quat_xyzw
from axon_demo import view, view_markers, view_pixels, view_space, view_values
from axon_demo.recording import Recording
from axon_demo.view_converters import CONVERTERS, is_shown
from axon_demo.view_entries import Entry, image_frame, name_color
from axon_demo.view_layout import layout, root_frame
from axon_demo.view_scene import Decoder, Scene
from axon_ros.testing import ros_node, spin_until

sys.path.insert(0, str(Path(__file__).parent))
import synthetic
from synthetic import make

__all__ = ["ros_node"]  # the fixture

STAMP = make("builtin_interfaces/msg/Time", sec=7, nanosec=500_000_000)


def header(frame: str = "laser_link") -> Any:
    return make("std_msgs/msg/Header", frame_id=frame, stamp=STAMP)


def one(entries: Iterator[Entry]) -> Entry:
    (entry,) = entries
    return entry


def part(entry: Entry, kind: type) -> Any:
    return next(archetype for archetype in entry.parts if isinstance(archetype, kind))


def values(batch: Any) -> np.ndarray:
    """The content of one component."""
    return np.array(batch.as_arrow_array().to_pylist())


def frame(entry: Entry) -> str:
    return part(entry, rr.CoordinateFrame).frame.as_arrow_array().to_pylist()[0]


# Space


def scan(ranges: list[float]) -> Any:
    return make(
        "sensor_msgs/msg/LaserScan",
        header=header(),
        angle_min=-0.5 * math.pi,
        angle_increment=0.5 * math.pi,
        range_min=0.1,
        range_max=10.0,
        ranges=np.array(ranges, np.float32),
    )


def test_a_ray_at_angle_zero_lands_ahead_and_one_at_90_degrees_to_the_left() -> None:
    entry = one(view_space.scan("scan", scan([math.inf, 2.0, 3.0, math.nan])))
    points = values(part(entry, rr.Points3D).positions)
    np.testing.assert_allclose(points, [[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], atol=1e-6)
    assert (entry.path, entry.stamp_s, frame(entry)) == ("scan", 7.5, "laser_link")


def pose(xyz: tuple[float, ...], quat_xyzw: Any = (0.0, 0.0, 0.0, 1.0)) -> Any:
    return make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", **dict(zip("xyz", xyz, strict=True))),
        orientation=make("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", quat_xyzw, strict=True))),
    )


def test_a_transform_is_its_own_entity_and_a_fixed_one_has_no_time() -> None:
    transform = make(
        "geometry_msgs/msg/Transform",
        translation=make("geometry_msgs/msg/Vector3", x=1.0),
        rotation=make("geometry_msgs/msg/Quaternion", w=1.0),
    )
    stamped = make(
        "geometry_msgs/msg/TransformStamped", header=header("odom"), child_frame_id="base_link", transform=transform
    )
    message = make("tf2_msgs/msg/TFMessage", transforms=[stamped])
    moving, fixed = one(view_space.transforms("tf", message)), one(view_space.transforms("tf_static", message))
    assert (moving.path, moving.static, moving.stamp_s) == ("tf/base_link", False, 7.5)
    assert fixed.static and fixed.stamp_s is None
    shown = part(moving, rr.Transform3D)
    assert (values(shown.parent_frame)[0], values(shown.child_frame)[0]) == ("odom", "base_link")
    np.testing.assert_allclose(values(shown.translation), [[1.0, 0.0, 0.0]])


def detection_3d(category: str, bbox_pose: Any, size: tuple[float, ...]) -> Any:
    """By the definitions that are installed: rosbags does not know vision_msgs."""
    hypothesis = SimpleNamespace(hypothesis=SimpleNamespace(class_id=category, score=0.9))
    bbox = SimpleNamespace(center=bbox_pose, size=SimpleNamespace(**dict(zip("xyz", size, strict=True))))
    return SimpleNamespace(results=[hypothesis], bbox=bbox)


def test_the_corners_of_a_turned_box_are_where_geometry_puts_them() -> None:
    quarter_turn = (0.0, 0.0, math.sin(math.pi / 4.0), math.cos(math.pi / 4.0))
    message = SimpleNamespace(
        header=header("map"), detections=[detection_3d("mug", pose((5.0, 1.0, 0.5), quarter_turn), (2.0, 0.4, 1.0))]
    )
    entry = one(view_space.detections_3d("detections_3d", message))
    boxes = part(entry, rr.Boxes3D)
    half, center, quat = (values(field)[0] for field in (boxes.half_sizes, boxes.centers, boxes.quaternions))
    corners = (
        np.array(np.meshgrid(*([-1.0, 1.0],) * 3)).reshape(3, -1).T * half @ matrix_from_quat_xyzw(quat).T + center
    )
    np.testing.assert_allclose(corners.min(axis=0), [4.8, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(corners.max(axis=0), [5.2, 2.0, 1.0], atol=1e-6)
    assert values(boxes.labels)[0] == "mug 0.90" and frame(entry) == "map"


def test_a_grasp_is_as_wide_as_it_opens_and_comes_from_behind_its_approach() -> None:
    down = Rotation.from_euler("y", 90.0, degrees=True).as_quat()  # x, the approach, looks down
    fingers, stem = view_space.gripper_lines(SimpleNamespace(pose=pose((0.0, 0.0, 0.8), down), width_m=0.06))
    assert np.linalg.norm(fingers[0] - fingers[-1]) == pytest.approx(0.06)
    np.testing.assert_allclose(0.5 * (fingers[0] + fingers[-1]), [0.0, 0.0, 0.8], atol=1e-9)
    assert stem[0][2] > 0.8 and stem[1][2] > stem[0][2]


def cloud_message(points: np.ndarray, order: str, padding_bytes: int) -> Any:
    fields = [
        make("sensor_msgs/msg/PointField", name=name, offset=4 * (2 - number), datatype=7, count=1)
        for number, name in enumerate("xyz")
    ]
    rows = [row[:, ::-1].astype(f"{order}f4").tobytes() + b"\xff" * padding_bytes for row in points]
    return make(
        "sensor_msgs/msg/PointCloud2",
        header=header("camera"),
        height=points.shape[0],
        width=points.shape[1],
        fields=fields,
        is_bigendian=order == ">",
        point_step=12,
        row_step=12 * points.shape[1] + padding_bytes,
        data=np.frombuffer(b"".join(rows), np.uint8),
    )


@pytest.mark.parametrize(("order", "padding_bytes"), [("<", 0), (">", 8)])
def test_a_cloud_is_read_by_its_fields_and_its_holes_are_left_out(order: str, padding_bytes: int) -> None:
    points = np.random.default_rng(3).normal(size=(4, 5, 3)).astype(np.float32)
    points[1, 2] = np.nan
    entry = one(view_space.cloud("depth/points", cloud_message(points, order, padding_bytes)))
    shown = values(part(entry, rr.Points3D).positions)
    np.testing.assert_array_equal(shown, points[np.isfinite(points).all(axis=-1)])


def test_a_urdf_stands_in_the_frames_of_its_links_with_its_axes_turned_as_written() -> None:
    urdf = """<robot name="r"><material name="red"><color rgba="1 0 0 1"/></material>
        <link name="base_link"><visual><origin xyz="1 2 3" rpy="0.3 -0.5 1.2"/>
        <geometry><cylinder radius="0.1" length="0.4"/></geometry><material name="red"/></visual>
        <visual><geometry><mesh filename="x.dae"/></geometry></visual></link></robot>"""
    entry = one(view_space.robot("robot_description", make("std_msgs/msg/String", data=urdf)))
    shown = part(entry, rr.Cylinders3D)
    assert entry.static and frame(entry) == "base_link"
    np.testing.assert_allclose(values(shown.centers), [[1.0, 2.0, 3.0]])
    turned = matrix_from_quat_xyzw(values(shown.quaternions)[0])
    np.testing.assert_allclose(turned, Rotation.from_euler("xyz", [0.3, -0.5, 1.2]).as_matrix(), atol=1e-6)
    assert values(shown.colors)[0] == 0xFF0000FF


# Markers


def marker(kind: int, action: int = 0, **fields: Any) -> Any:
    scale = make("geometry_msgs/msg/Vector3", x=0.4, y=0.1, z=0.2)
    base = {"header": header("map"), "ns": "grasps", "id": 3, "type": kind, "action": action, "scale": scale}
    return make("visualization_msgs/msg/Marker", **{**base, **fields})


def shown_markers(*messages: Any) -> list[Entry]:
    return list(view_markers.markers("grasp_markers", make("visualization_msgs/msg/MarkerArray", markers=[*messages])))


def test_an_arrow_points_along_x_of_its_pose() -> None:
    left = Rotation.from_euler("z", 90.0, degrees=True).as_quat()
    (entry,) = shown_markers(marker(0, pose=pose((1.0, 0.0, 0.0), left)))
    arrow = part(entry, rr.Arrows3D)
    np.testing.assert_allclose(values(arrow.origins), [[1.0, 0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(values(arrow.vectors), [[0.0, 0.4, 0.0]], atol=1e-6)
    assert entry.path == "grasp_markers/grasps/3"


def test_points_of_a_marker_are_moved_by_its_pose_and_a_pose_never_set_is_none() -> None:
    points = [make("geometry_msgs/msg/Point", x=float(x)) for x in (0, 1)]
    moved = pose((0.0, 0.0, 2.0), Rotation.from_euler("z", 180.0, degrees=True).as_quat())
    (entry,) = shown_markers(marker(4, points=points, pose=moved))
    np.testing.assert_allclose(values(part(entry, rr.LineStrips3D).strips)[0], [[0, 0, 2], [-1, 0, 2]], atol=1e-6)
    (entry,) = shown_markers(marker(6, points=points))
    np.testing.assert_allclose(values(part(entry, rr.Boxes3D).centers), [[0, 0, 0], [1, 0, 0]], atol=1e-6)


def test_a_line_with_a_colour_at_each_point_is_shown_in_pieces_of_those_colours() -> None:
    points = [make("geometry_msgs/msg/Point", x=float(x)) for x in range(3)]
    colors = [make("std_msgs/msg/ColorRGBA", r=float(k == 0), g=float(k == 1), a=1.0) for k in range(3)]
    (entry,) = shown_markers(marker(4, points=points, colors=colors))
    lines = part(entry, rr.LineStrips3D)
    np.testing.assert_allclose(values(lines.strips), [[[0, 0, 0], [1, 0, 0]], [[1, 0, 0], [2, 0, 0]]], atol=1e-6)
    assert values(lines.colors).tolist() == [0xFF0000FF, 0x00FF00FF]


def test_what_limits_the_shield_is_shown_as_points_and_its_reason_as_text() -> None:
    points = [make("geometry_msgs/msg/Point", x=float(x), y=0.5) for x in (0, 1)]
    dots, reason = shown_markers(
        marker(8, ns="limiting", points=points), marker(9, ns="reason", text="obstacle", pose=pose((0.0, 0.0, 0.6)))
    )
    np.testing.assert_allclose(values(part(dots, rr.Points3D).positions), [[0.0, 0.5, 0.0], [1.0, 0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(values(part(reason, rr.Points3D).positions), [[0.0, 0.0, 0.6]], atol=1e-6)
    assert values(part(reason, rr.Points3D).labels) == ["obstacle"]


def test_what_removes_the_last_markers_comes_before_the_new_ones_at_their_time() -> None:
    remove, add = shown_markers(marker(1, 3, header=make("std_msgs/msg/Header")), marker(1, pose=pose((0.0, 0.0, 0.0))))
    assert part(remove, rr.Clear) is not None and add.path.startswith(remove.path)
    assert remove.stamp_s == add.stamp_s == 7.5


# Pixels


def image(encoding: str, pixels: np.ndarray, padding_bytes: int = 0) -> Any:
    rows = [row.tobytes() + b"\x55" * padding_bytes for row in pixels]
    return make(
        "sensor_msgs/msg/Image",
        header=header("camera"),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=len(rows[0]),
        data=np.frombuffer(b"".join(rows), np.uint8),
    )


def decoded(archetype: Any) -> np.ndarray:
    blob = np.asarray(archetype.blob.as_arrow_array().to_pylist()[0], np.uint8)
    return cv2.imdecode(blob, cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("32FC1", np.array([[1.5, np.nan], [0.25, np.inf]], np.float32)),
        ("16UC1", np.array([[1500, 0], [250, 0]], np.uint16)),
    ],
)
@pytest.mark.parametrize("padding_bytes", [0, 6])
def test_depth_is_shown_in_metres_and_holes_stay_holes(encoding: str, pixels: np.ndarray, padding_bytes: int) -> None:
    entry = one(view_pixels.image("camera/depth/image_raw", image(encoding, pixels, padding_bytes)))
    shown = part(entry, rr.EncodedDepthImage)
    depth_m = decoded(shown) / values(shown.meter)[0]
    np.testing.assert_allclose(depth_m, [[1.5, 0.0], [0.25, 0.0]])
    assert frame(entry) == image_frame("camera")


@pytest.mark.parametrize(("encoding", "color"), [("rgb8", (250, 10, 10)), ("bgr8", (10, 10, 250))])
def test_red_stays_red(encoding: str, color: tuple[int, ...]) -> None:
    pixels = np.full((16, 24, 3), color, np.uint8)
    shown = part(one(view_pixels.image("camera", image(encoding, pixels))), rr.EncodedImage)
    blue, green, red = decoded(shown).reshape(-1, 3).mean(axis=0)
    assert red > 240 and green < 20 and blue < 20


def test_an_image_that_does_not_fit_its_data_or_has_an_unknown_encoding_is_refused() -> None:
    short = image("mono8", np.zeros((4, 4), np.uint8))
    short.height = 5
    with pytest.raises(ValueError, match="does not fit"):
        one(view_pixels.image("camera", short))
    with pytest.raises(ValueError, match="expected one of rgb8"):
        one(view_pixels.image("camera", image("yuv422", np.zeros((4, 4, 2), np.uint8))))


def test_what_lies_straight_ahead_is_seen_at_the_principal_point() -> None:
    k = np.array([200.0, 0.0, 100.0, 0.0, 210.0, 60.0, 0.0, 0.0, 1.0])
    message = make("sensor_msgs/msg/CameraInfo", header=header("camera"), width=200, height=120, k=k)
    shown = part(one(view_pixels.camera_info("camera_info", message)), rr.Pinhole)
    columns = values(shown.image_from_camera)[0].reshape(3, 3)  # Rerun keeps them one after another
    np.testing.assert_allclose(columns.T @ [0.0, 0.0, 1.0], [100.0, 60.0, 1.0])
    np.testing.assert_allclose(columns.T @ [1.0, 0.0, 1.0], [300.0, 60.0, 1.0])
    assert values(shown.child_frame)[0] == image_frame("camera")


def grid_message(costs: list[list[int]]) -> Any:
    cells = np.array(costs, np.int8)
    info = make(
        "nav_msgs/msg/MapMetaData",
        resolution=0.5,
        width=cells.shape[1],
        height=cells.shape[0],
        origin=pose((-1.0, 2.0, 0.0)),
    )
    return make("nav_msgs/msg/OccupancyGrid", header=header("map"), info=info, data=cells.ravel())


def test_a_grid_lies_as_reruns_own_reader_of_recordings_lays_it(tmp_path: Path) -> None:
    message = grid_message([[0, 100, -1], [50, 0, 0]])
    with Recording(tmp_path / "grid.mcap", synthetic.prefixes()) as recording:
        synthetic.put(recording, "/map", message, 1.0)
    theirs = next(
        batch
        for chunk in rr.chunk.McapReader(tmp_path / "grid.mcap").stream()
        if "GridMap:data" in (batch := chunk.to_record_batch()).schema.names
    )
    ours = part(one(view_pixels.grid("map", message)), rr.GridMap)
    cells = np.array(theirs.column("GridMap:data")[0].as_py()[0], np.uint8)
    colors = np.asarray(ours.data.as_arrow_array().to_pylist()[0], np.uint8).reshape(-1, 4)
    assert len(set(map(tuple, colors.tolist()))) == len(set(cells.tolist())) == 4
    for value in set(cells.tolist()):  # the same cells, in the same order, told by another colour each
        assert len({tuple(color) for color in colors[cells == value].tolist()}) == 1
    place = np.array(theirs.column("GridMap:translation")[0].as_py()[0])
    np.testing.assert_allclose(values(ours.translation)[0][:2], place[:2])
    assert theirs.column("GridMap:cell_size")[0].as_py() == values(ours.cell_size).tolist() == [0.5]


def test_free_and_unknown_cells_of_a_costmap_are_seen_through() -> None:
    shown = part(one(view_pixels.grid("costmap", grid_message([[0, -1], [1, 100]]))), rr.GridMap)
    alpha = np.asarray(shown.data.as_arrow_array().to_pylist()[0], np.uint8).reshape(2, 2, 4)[..., 3]
    assert alpha[1].tolist() == [0, 0] and 0 < alpha[0, 0] < alpha[0, 1]  # the message's first row lies below


def test_a_box_of_the_detector_is_over_the_image_of_its_camera() -> None:
    bbox = SimpleNamespace(
        center=SimpleNamespace(position=SimpleNamespace(x=40.0, y=30.0), theta=0.0), size_x=20.0, size_y=10.0
    )
    results = [
        SimpleNamespace(hypothesis=SimpleNamespace(class_id=c, score=s)) for c, s in (("cup", 0.3), ("mug", 0.6))
    ]
    message = SimpleNamespace(header=header("camera"), detections=[SimpleNamespace(bbox=bbox, results=results)])
    entry = one(view_pixels.detections_2d("detections", message))
    boxes = part(entry, rr.Boxes2D)
    low = values(boxes.centers)[0] - values(boxes.half_sizes)[0]
    assert low.tolist() == [30.0, 25.0] and values(boxes.labels)[0] == "mug 0.60"
    assert frame(entry) == image_frame("camera")


def test_nothing_seen_takes_the_last_boxes_away() -> None:
    entry = one(view_pixels.detections_2d("detections", SimpleNamespace(header=header("camera"), detections=[])))
    assert len(values(part(entry, rr.Boxes2D).centers)) == 0


def test_the_categories_of_the_simulator_are_told_apart_by_their_colours() -> None:
    names = ["ball", "banana", "book", "bottle", "bowl", "box", "can", "cup", "mug", "plate"]
    hues = sorted(colorsys.rgb_to_hsv(*name_color(name))[0] for name in names)
    assert min(np.diff([*hues, 1.0 + hues[0]])) > 0.05


# Words


def status(name: str, level: Any, message: str) -> Any:
    return make("diagnostic_msgs/msg/DiagnosticStatus", name=name, level=level, message=message)


def test_a_mission_is_a_lane_of_its_tasks_with_the_reasons_beside_it() -> None:
    lane, words = view_values.status("mission/status", status("find mug", 1, "looking at the table"))
    assert values(part(lane, rr.StateChange).state)[0] == "find mug"
    assert values(part(words, rr.TextLog).text)[0] == "find mug: looking at the table"
    assert values(part(words, rr.TextLog).level)[0] == "WARN"


def test_numbers_of_diagnostics_are_plotted_and_what_is_none_is_not() -> None:
    pairs = [make("diagnostic_msgs/msg/KeyValue", key=k, value=v) for k, v in (("cpu_percent", "25.0"), ("model", "-"))]
    pairs.append(make("diagnostic_msgs/msg/KeyValue", key="latency_p95_ms", value="-"))
    message = make("diagnostic_msgs/msg/DiagnosticArray", header=header(""), status=[status("/slam", b"\2", "lost")])
    message.status[0].values = pairs
    entries = {entry.path: entry for entry in view_values.diagnostics("diagnostics", message)}
    assert set(entries) == {f"diagnostics/{kind}/slam" for kind in ("level", "message", "cpu_percent")}
    assert values(part(entries["diagnostics/level/slam"], rr.StateChange).state)[0] == "ERROR"


# The whole


def test_every_type_of_the_table_is_known_or_installed() -> None:
    decoder = Decoder()
    for type_name in CONVERTERS:
        decoder.learn(type_name)
    with pytest.raises(ValueError, match="no definition"):
        decoder.learn("nobody_msgs/msg/Nothing")


@pytest.mark.parametrize(
    ("parents", "root"),
    [
        ({"odom": "map", "base_link": "odom"}, "map"),
        ({"base_link": "odom", "laser_link": "base_link"}, "odom"),
        ({"wheel": "chassis", "chassis": "world"}, "world"),
        ({}, "base_link"),
    ],
)
def test_the_world_is_seen_from_the_map_where_there_is_one(parents: dict[str, str], root: str) -> None:
    assert root_frame(parents) == root


def test_a_layout_is_made_of_whatever_there_is() -> None:
    topics = {f"topic_{number}": kind for number, kind in enumerate(CONVERTERS)}
    for shown in ({}, {"scan": "sensor_msgs/msg/LaserScan"}, topics):
        layout(shown, "map")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    stream = rr.RecordingStream("test")
    stream.save(tmp_path / "view.rrd")
    made = Scene(stream, namespace="rob", max_rate_hz=2.0, say=lambda text: made.said_to_us.append(text))
    made.said_to_us = []
    yield made
    made.close()


def serialized(message: Any) -> bytes:
    return bytes(synthetic.TYPES.serialize_cdr(message, message.__msgtype__))


def test_a_robot_of_a_namespace_is_shown_without_it_and_no_other(scene: Scene) -> None:
    message = scan([1.0, 1.0, 1.0])
    for topic in ("/rob/scan", "/other/scan", "/scan"):
        scene.take(topic, message.__msgtype__, 7.5, serialized(message))
    assert scene.counts == {"scan": 1}
    assert scene.wants("/tf", "tf2_msgs/msg/TFMessage") and not scene.wants("/other/scan", message.__msgtype__)


def test_a_bad_message_is_said_once_and_the_next_good_one_shown(scene: Scene) -> None:
    bad, good = scan([1.0]), scan([1.0])
    bad.header = header("")
    for message in (bad, bad, good):
        scene.take("/rob/scan", message.__msgtype__, 7.5, serialized(message))
    scene.take("/rob/scan", good.__msgtype__, 7.5, b"\x00\x01")
    assert scene.counts == {"scan": 1}
    assert len(scene.said_to_us) == 1 and "/rob/scan" in scene.said_to_us[0] and "frame" in scene.said_to_us[0]


@pytest.mark.parametrize(("now_s", "kind"), [(12.5, "duration[ns]"), (1.8e9, "timestamp[ns]")])
def test_a_real_clock_shows_dates_and_a_simulated_one_seconds(now_s: float, kind: str, tmp_path: Path) -> None:
    stream = rr.RecordingStream("test")
    stream.save(tmp_path / "time.rrd")
    scene, message = Scene(stream), scan([1.0])
    scene.take("/scan", message.__msgtype__, now_s, serialized(message))
    scene.close()
    schemas = [chunk.to_record_batch().schema for chunk in rr.chunk.RrdReader(tmp_path / "time.rrd").stream()]
    assert {str(schema.field("received").type) for schema in schemas if "received" in schema.names} == {kind}


def test_messages_of_another_clock_are_refused_and_do_not_spoil_the_timeline(scene: Scene) -> None:
    message = scan([1.0])
    for now_s in (1.8e9, 12.5, 1.8e9 + 1.0):
        scene.take("/rob/scan", message.__msgtype__, now_s, serialized(message))
    assert scene.counts == {"scan": 2} and "clock" in scene.said_to_us[0]


def test_heavy_messages_keep_to_their_rate(scene: Scene) -> None:
    message = image("mono8", np.zeros((4, 4), np.uint8))
    for number in range(20):
        scene.take("/rob/image", message.__msgtype__, 1.0 + 0.1 * number, serialized(message))
    assert scene.counts == {"image": 4}
    scene.take("/rob/image", message.__msgtype__, 0.5, serialized(message))  # the clock was set back
    assert scene.counts == {"image": 5}


def test_what_the_simulator_alone_knows_is_not_shown() -> None:
    assert not is_shown("sim/ground_truth", "nav_msgs/msg/Odometry")
    assert is_shown("sim/collisions", "diagnostic_msgs/msg/DiagnosticStatus")


# A running graph


def publish_all(node: Any) -> Callable[[], None]:
    """Publishers of a robot with a simulator's clock; returns what publishes a message of each."""
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import LaserScan
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    from axon_msgs.msg import Grasp, GraspArray
    from axon_ros import qos
    from axon_ros.conversions import header as header_of

    head = header_of(5.0, "base_link")
    mug = ObjectHypothesisWithPose()
    mug.hypothesis.class_id, mug.hypothesis.score = "mug", 0.5
    messages = [
        ("/clock", Clock(clock=head.stamp), qos.SENSOR),
        ("scan", LaserScan(header=head, angle_increment=0.1, range_min=0.1, range_max=9.0, ranges=[1.0]), qos.SENSOR),
        ("detections_3d", Detection3DArray(header=head, detections=[Detection3D(results=[mug])]), qos.RESULT),
        ("grasps", GraspArray(header=head, grasps=[Grasp(width_m=0.05, quality=0.5)]), qos.RESULT),
    ]
    node.create_publisher(TFMessage, "/tf_static", qos.LATCHED).publish(TFMessage())  # before anybody listens
    publishers = [
        (node.create_publisher(type(message), topic, profile), message) for topic, message, profile in messages
    ]
    return lambda: [publisher.publish(message) for publisher, message in publishers]


def test_a_running_graph_is_shown_with_the_qos_of_its_publishers(ros_node: Any, tmp_path: Path) -> None:
    from axon_demo.view_node import ViewNode

    stream = rr.RecordingStream("test")
    stream.save(tmp_path / "live.rrd")
    scene = Scene(stream)
    ros_node.create_timer(0.05, publish_all(ros_node))
    viewer = ViewNode(scene)
    ros_node.executor.add_node(viewer)
    wanted = {"scan", "detections_3d", "grasps", "tf_static"}
    assert spin_until(ros_node, lambda: wanted <= scene.counts.keys(), timeout_s=60.0), scene.counts
    viewer.destroy_node()
    scene.close()
    found = entities(tmp_path / "live.rrd")
    assert {"scan", "detections_3d", "grasps"} <= set(found)
    for chunk in rr.chunk.RrdReader(tmp_path / "live.rrd").stream():
        if chunk.entity_path == "/scan":
            assert {value.value for value in chunk.to_record_batch().column("received")} == {5 * 10**9}


# The command


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    synthetic.write_run(folder / "run.mcap")
    return folder


def entities(path: Path) -> dict[str, set[str]]:
    """The entities of a file of Rerun, each with the names of its components and timelines."""
    found: dict[str, set[str]] = {}
    for chunk in rr.chunk.RrdReader(path).stream():
        found.setdefault(chunk.entity_path.lstrip("/"), set()).update(chunk.to_record_batch().schema.names)
    return found


def test_a_recording_becomes_a_file_that_holds_all_that_is_in_it(run_folder: Path, tmp_path: Path) -> None:
    assert view.main([str(run_folder), "--save", str(tmp_path / "deep" / "run.rrd")]) == 0
    found = entities(tmp_path / "deep" / "run.rrd")
    assert {"cmd_vel", "odom/velocity", "camera/color/image_raw", "joint_states/wheel_left_joint"} <= set(found)
    assert {"diagnostics/cpu_percent/planner", "diagnostics/level/planner"} <= set(found)
    assert "sim/ground_truth" not in found
    assert {"stamp", "received", "Scalars:scalars"} <= found["cmd_vel"]


def _is_speed(chunk: Any) -> bool:
    names = set(chunk.to_record_batch().schema.names)
    return chunk.entity_path == "/cmd_vel" and names >= {"Scalars:scalars", "stamp"}


def test_speeds_of_a_file_are_those_that_were_driven(run_folder: Path, tmp_path: Path) -> None:
    view.main([str(run_folder / "run.mcap"), "--save", str(tmp_path / "run.rrd")])
    batches = [
        chunk.to_record_batch() for chunk in rr.chunk.RrdReader(tmp_path / "run.rrd").stream() if _is_speed(chunk)
    ]
    speeds = [speed for batch in batches for speed in batch.column("Scalars:scalars").to_pylist()]
    times = [1e-9 * value.value for batch in batches for value in batch.column("stamp")]
    assert len(speeds) == int(synthetic.DURATION_S * synthetic.RATE_HZ) + 1
    np.testing.assert_allclose(speeds, synthetic.SPEED_MPS)
    assert (min(times), max(times)) == pytest.approx((1.0, 1.0 + synthetic.DURATION_S))


def test_of_a_torn_recording_what_is_whole_is_shown(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (run_folder / "run.mcap").read_bytes()
    (tmp_path / "torn.mcap").write_bytes(data[: len(data) // 2])
    assert view.main([str(tmp_path / "torn.mcap"), "--save", str(tmp_path / "torn.rrd")]) == 0
    assert "was cut off" in capsys.readouterr().err
    assert "cmd_vel" in entities(tmp_path / "torn.rrd")


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_recording_is_shown_as_far_as_it_makes_sense(
    seed: int, run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((run_folder / "run.mcap").read_bytes())
    for place in np.random.default_rng(seed).integers(len(view._MCAP_END), len(data) - len(view._MCAP_END), 10):
        data[place] ^= 0xFF
    (tmp_path / "bad.mcap").write_bytes(data)
    code = view.main([str(tmp_path / "bad.mcap"), "--save", str(tmp_path / "bad.rrd")])
    assert code == 0 or "nothing to show" in capsys.readouterr().err


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert view.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("axon view: ") and len(said.splitlines()) == 1
    return said


def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "run.mcap"
    text.write_text("once upon a time")
    save = ["--save", str(tmp_path / "x.rrd")]
    assert "is not a recording" in refused([str(text), *save], capsys)
    assert "there is no recording" in refused([str(tmp_path / "nothing.mcap"), *save], capsys)
    (tmp_path / "empty").mkdir()
    assert "holds no recordings" in refused([str(tmp_path / "empty"), *save], capsys)
    assert "more than 0" in refused([str(text), "--rate", "0", *save], capsys)


def test_a_recording_of_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Recording(tmp_path / "none.mcap", synthetic.prefixes()):
        pass
    assert "nothing to show" in refused([str(tmp_path / "none.mcap"), "--save", str(tmp_path / "x.rrd")], capsys)


def test_without_a_display_the_ways_out_are_named(
    run_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    said = refused([str(run_folder)], capsys)
    assert "--save" in said and "--serve" in said
