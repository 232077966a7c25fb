# SPDX-License-Identifier: Apache-2.0
"""slam_node: colour, depth and odometry in; pose, path, points, occupancy map and tf map -> odom out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped, Twist, Vector3
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from axon_core.arrays import AnyArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.geometry import se2_compose, se2_from_matrix, se2_inverse
from axon_core.scans import Scan
from axon_ros import BadInput, Level, SkillNode, node_main
from axon_ros.conversions import (
    DEPTH_ENCODINGS,
    camera_from_msg,
    depth_from_msg,
    grid_to_msg,
    header,
    image_from_msg,
    points_to_msg,
    scan_from_msg,
    transform_to_msg,
    transform_to_pose,
)
from axon_ros.errors import NoTransform
from axon_ros.qos import LATCHED, RESULT, SENSOR
from axon_ros.stamps import stamp_seconds
from axon_slam.config import SlamConfig
from axon_slam.runtime import Slam, SlamResult, SlamState

_TF_PERIOD_S = 0.05
_TF_AHEAD_S = 0.1  # map -> odom holds on: stamped ahead, so that who asks for now does not wait for the next one
_PATH_POSES, _CLOUD_POINTS = 500, 20000
_UNPAIRED_AFTER_S = 0.8
_SLOW_PERIOD_S = 1.0


@dataclass(frozen=True)
class _Pair:
    """Colour and depth taken together."""

    stamp: Any
    frame_id: str
    image: AnyArray
    depth_m: AnyArray


class SlamNode(SkillNode):
    """Converts, calls `Slam.step` beside the executor, publishes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("slam", SlamConfig, **kwargs)
        self._lock = threading.Lock()  # of the SLAM object, which the worker, timers and services use

    def on_load(self, config: SlamConfig) -> None:
        self._slam = Slam(config)
        self._slam.warm_up()
        if config.load_on_start:
            self._slam.load(_folder(config))

    def on_start(self) -> None:
        self._camera: PinholeCamera | None = None
        self._color: tuple[float, Image] | None = None
        self._depth: tuple[float, Image] | None = None
        self._scan: tuple[Scan, Any, str] | None = None
        self._result: SlamResult | None = None
        self._unpaired_since_s: float | None = None
        self._drawn: tuple[int, int] | None = None
        self._last_stamp_s = -np.inf
        self._worker = self.work(self._step)
        self._make_outputs()
        self._make_inputs()
        for name, call in (("save_map", self._save), ("load_map", self._load), ("reset", self._reset)):
            self.serve(Trigger, f"slam/{name}", _answering(call))
        self.timer(_TF_PERIOD_S, self._broadcast)
        self.timer(self.config.map_period_s, self._publish_map)
        self.timer(_SLOW_PERIOD_S, self._publish_path_and_points)

    def on_config_change(self, config: SlamConfig) -> None:
        with self._lock:
            self._slam.reconfigure(config)

    def status_values(self) -> dict[str, str]:
        result = self._result if self.state == "active" else None
        if result is None:
            return {}
        return {
            "slam": result.state.value,
            "matches": str(result.matches),
            "keyframes": str(len(self._slam.map)),
            "loops": str(self._slam.loops),
        }

    def _make_inputs(self) -> None:
        self.input(Image, "camera/color/image_raw", self._on_color, SENSOR)
        self.input(Image, "camera/depth/image_raw", self._on_depth, SENSOR)
        self.input(CameraInfo, "camera/color/camera_info", self._on_camera, SENSOR)
        if self.config.occupancy_source == "scan":
            self.input(LaserScan, "scan", self._on_scan, SENSOR)

    def _make_outputs(self) -> None:
        self._odometry_output = self.output(Odometry, "slam/odometry", RESULT)
        self._path_output = self.output(Path, "slam/path", RESULT)
        self._points_output = self.output(PointCloud2, "slam/points", RESULT)
        self._map_output = self.output(OccupancyGrid, "map", LATCHED)
        self._tf_output = self.output(TFMessage, "/tf", RESULT)
        self.listen_to_tf()

    # Inputs

    def _on_camera(self, msg: CameraInfo) -> None:
        self._camera = camera_from_msg(msg)

    def _on_color(self, msg: Image) -> None:
        image_from_msg(msg)
        self._color = stamp_seconds(msg.header.stamp), msg
        self._pair()

    def _on_depth(self, msg: Image) -> None:
        image_from_msg(msg)
        fits = msg.encoding in DEPTH_ENCODINGS
        text = f"camera/depth/image_raw comes as {msg.encoding}: expected {' or '.join(DEPTH_ENCODINGS)}; remap it"
        self.diagnose(Level.OK if fits else Level.ERROR, "depth can be read" if fits else text, key="depth")
        if fits:
            self._depth = stamp_seconds(msg.header.stamp), msg
            self._pair()

    def _on_scan(self, msg: LaserScan) -> None:
        self._scan = scan_from_msg(msg), msg.header.stamp, msg.header.frame_id

    def _pair(self) -> None:
        """Hand colour and depth of the same time to the worker."""
        if self._color is None or self._depth is None or self._camera is None:
            return
        apart_s = abs(self._color[0] - self._depth[0])
        if apart_s > self.config.sync_tolerance_s:
            self._note_unpaired(apart_s)
            return
        self._unpaired_since_s = None
        self.diagnose(Level.OK, "colour and depth are stamped alike", key="sync")
        color, depth = self._color[1], self._depth[1]
        self._color = self._depth = None
        self._worker.submit((color, depth, self._camera))

    def _note_unpaired(self, apart_s: float) -> None:
        now_s = self.now_s()
        if self._unpaired_since_s is None:
            self._unpaired_since_s = now_s
        if now_s - self._unpaired_since_s > _UNPAIRED_AFTER_S:
            text = f"colour and depth are stamped {apart_s:.3f} s apart: synchronise them, or raise sync_tolerance_s"
            self.diagnose(Level.WARN, text, key="sync")

    # The worker

    def _step(self, images: tuple[Image, Image, PinholeCamera]) -> None:
        color, depth, camera = images
        pair = _Pair(color.header.stamp, color.header.frame_id, image_from_msg(color, "rgb8"), depth_from_msg(depth))
        mount = self.await_transform(self.config.base_frame, pair.frame_id, pair.stamp)
        odom = None
        if self.config.use_odometry:
            odom = self.await_transform(self.config.odom_frame, self.config.base_frame, pair.stamp)
        scan, laser = self._scan_as_of(odom)
        stamp_s = stamp_seconds(pair.stamp)
        try:
            with self._lock:
                if stamp_s < self._last_stamp_s:
                    self._slam.interrupt()
                self._last_stamp_s = stamp_s
                self._slam.set_camera(camera, mount)
                result = self._slam.step(stamp_s, pair.image, pair.depth_m, odom, scan, laser)
        except ValueError as error:
            raise BadInput(str(error)) from error
        self._result = result
        self._tell(result)
        self._publish_odometry(result, pair.stamp)

    def _scan_as_of(self, odom_T_base: FloatArray | None) -> tuple[Scan | None, FloatArray | None]:
        """Return the newest scan, and where its scanner was in the frame of the base as it is at the image."""
        taken = self._scan
        if taken is None:
            return None, None
        scan, stamp, frame = taken
        try:
            if odom_T_base is None:
                return scan, self.lookup_se2(self.config.base_frame, frame)
            odom_T_laser = self.lookup_se2(self.config.odom_frame, frame, stamp)
        except NoTransform:
            return None, None
        return scan, se2_compose(se2_inverse(se2_from_matrix(odom_T_base)), odom_T_laser)

    def _tell(self, result: SlamResult) -> None:
        if result.state is SlamState.TRACKING:
            self.diagnose(Level.OK, f"tracking: {result.reason}", key="track")
        elif result.state is SlamState.LOST and result.map_T_odom is not None:
            self.diagnose(Level.WARN, f"lost, the pose goes on by odometry: {result.reason}", key="track")
        elif result.state is SlamState.LOST:
            self.diagnose(Level.ERROR, f"lost: {result.reason}", key="track")
        else:
            self.diagnose(Level.WARN, f"no map yet: {result.reason}", key="track")

    # Outputs

    def _publish_odometry(self, result: SlamResult, stamp: Any) -> None:
        if result.state is SlamState.INITIALISING:
            return
        msg = Odometry(header=header(stamp, self.config.map_frame), child_frame_id=self.config.base_frame)
        msg.pose.pose = transform_to_pose(result.map_T_base)
        msg.pose.covariance = _ros_covariance(result.covariance, result.map_T_base[:3, :3])
        turn, move = result.velocity[:3].tolist(), result.velocity[3:].tolist()
        msg.twist.twist = Twist(linear=Vector3(**_xyz(move)), angular=Vector3(**_xyz(turn)))
        self._odometry_output.publish(msg)

    def _broadcast(self) -> None:
        result = self._result
        known = result is not None and result.state is not SlamState.INITIALISING
        if not known or result.map_T_odom is None or not self.config.publish_tf:
            return
        transform = TransformStamped(
            header=header(self.now_s() + _TF_AHEAD_S, self.config.map_frame), child_frame_id=self.config.odom_frame
        )
        transform.transform = transform_to_msg(result.map_T_odom)
        self._tf_output.publish(TFMessage(transforms=[transform]))

    def _publish_map(self) -> None:
        """Publish the occupancy map when it has changed."""
        with self._lock:
            drawn = len(self._slam.map), self._slam.loops
            grid = None if drawn == self._drawn else self._slam.grid()
        if grid is not None:
            self._drawn = drawn
            self._map_output.publish(grid_to_msg(grid, self._header()))

    def _publish_path_and_points(self) -> None:
        if self._path_output.watched:
            with self._lock:
                _, poses = self._slam.trajectory(every=1 + self._slam.frames // _PATH_POSES)
            head = self._header()
            stamped = [PoseStamped(header=head, pose=transform_to_pose(pose)) for pose in poses]
            self._path_output.publish(Path(header=head, poses=stamped))
        if self._points_output.watched:
            with self._lock:
                points = self._slam.points()
            thinned = points[:: 1 + len(points) // _CLOUD_POINTS]
            self._points_output.publish(points_to_msg(thinned, self._header()))

    def _header(self) -> Any:
        return header(self.now_s(), self.config.map_frame)

    # Services

    def _save(self) -> str:
        folder = _folder(self.config)
        with self._lock:
            self._slam.save(folder)
        return f"{len(self._slam.map)} keyframes written to {folder}"

    def _load(self) -> str:
        folder = _folder(self.config)
        with self._lock:
            self._slam.load(folder)
        self._drawn = None
        return f"{len(self._slam.map)} keyframes read from {folder}"

    def _reset(self) -> str:
        with self._lock:
            self._slam.reset()
        self._drawn, self._result = None, None
        return "the map is empty"


def _answering(call: Callable[[], str]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    """Make a service callback of a function that returns what it has done, or raises why not."""

    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = call(), True
        except (ValueError, OSError) as error:
            response.message, response.success = str(error), False
        return response

    return answer


def _folder(config: SlamConfig) -> FilePath:
    if not config.map_dir:
        raise ValueError("map_dir is empty: set the parameter map_dir to the map's folder")
    return FilePath(config.map_dir).expanduser()


def _ros_covariance(covariance: FloatArray, map_R_base: FloatArray) -> list[float]:
    """Return 36 numbers in ROS's order, translation before rotation, about the axes of the map."""
    turned = np.kron(np.eye(2), map_R_base)
    in_map = turned @ covariance @ turned.T
    order = [3, 4, 5, 0, 1, 2]
    return in_map[np.ix_(order, order)].ravel().tolist()


def _xyz(values: list[float]) -> dict[str, float]:
    return dict(zip("xyz", values, strict=True))


main = node_main(SlamNode)

if __name__ == "__main__":
    raise SystemExit(main())
