# SPDX-License-Identifier: Apache-2.0
"""Reads a recorded run into arrays, without ROS."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mcap.exceptions import EndOfFile, InvalidMagic, McapError
from mcap.reader import NonSeekingReader, SeekingReader
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from axon_core.geometry import matrix_from_quat_xyzw, se2_apply, se2_compose, se2_inverse, yaw_from_quat_xyzw
from axon_core.grids import Grid
from axon_demo.recording import message_definition

FloatArray = NDArray[np.float64]
_WARN = 30  # rcl_interfaces/msg/Log


@dataclass(frozen=True)
class Motion:
    """Poses over time: `times_s` (N,), `poses` (N, 3) x_m, y_m, yaw_rad, `velocities` (N, 3) vx, vy, wz in the base."""

    times_s: FloatArray
    poses: FloatArray
    velocities: FloatArray

    def __len__(self) -> int:
        return len(self.times_s)

    def pose_at(self, time_s: float) -> FloatArray:
        """The recorded pose (3,) nearest in time."""
        return self.poses[int(np.abs(self.times_s - time_s).argmin())]


@dataclass(frozen=True)
class Stamped:
    """Any value and when it was received."""

    time_s: float
    value: Any


@dataclass(frozen=True)
class NodeStatus:
    """One diagnostic status of a node; level 0 OK, 1 WARN, 2 ERROR, 3 STALE."""

    time_s: float
    level: int
    message: str
    values: dict[str, str]


@dataclass(frozen=True)
class Task:
    """What the executive does and says of it, how many tasks are `done`; where it is `over`, the error code's name."""

    name: str
    why: str
    done: int
    over: bool
    code: str


@dataclass(frozen=True)
class Grasp:
    """A way to grip, in the camera's optical frame: position (3,) and closing direction (3,), opening and quality."""

    position_m: FloatArray
    closing: FloatArray
    width_m: float
    quality: float


@dataclass
class RunLog:
    """A recorded run. Times are those of the recording's clock, which is the simulated one in a demo.

    Values: `images`, `annotated`, `depths` JPEG bytes; `maps`, `costmaps` a Grid; `tasks` a Task; `objects` a mapping
    from name to world_T_object as position and quaternion x, y, z, w (7,); `grasps` a list of Grasp in the camera.
    """

    truth: Motion
    odometry: Motion
    commands: Motion
    plans: list[Stamped] = field(default_factory=list)
    costmaps: list[Stamped] = field(default_factory=list)
    images: list[Stamped] = field(default_factory=list)
    annotated: list[Stamped] = field(default_factory=list)
    depths: list[Stamped] = field(default_factory=list)
    maps: list[Stamped] = field(default_factory=list)
    grasps: list[Stamped] = field(default_factory=list)
    tasks: list[Stamped] = field(default_factory=list)
    objects: list[Stamped] = field(default_factory=list)
    focal_px: float | None = None
    joints: list[Stamped] = field(default_factory=list)
    scans_min_m: list[Stamped] = field(default_factory=list)
    nodes: dict[str, list[NodeStatus]] = field(default_factory=dict)
    complaints: list[Stamped] = field(default_factory=list)

    @cached_property
    def span_s(self) -> tuple[float, float]:
        """First and last time of the true motion."""
        return (float(self.truth.times_s[0]), float(self.truth.times_s[-1])) if len(self.truth) else (0.0, 0.0)

    def world_T_odom(self, time_s: float) -> FloatArray:
        """Where the odometry's frame truly lies at a time (3,); it moves as the odometry drifts."""
        if not len(self.truth) or not len(self.odometry):
            raise ValueError("the recording has no ground truth or no odometry: the frames cannot be aligned")
        return se2_compose(self.truth.pose_at(time_s), se2_inverse(self.odometry.pose_at(time_s)))

    def plan_in_world(self, plan: Stamped) -> FloatArray:
        """A plan's points (M, 2) in the world."""
        return se2_apply(self.world_T_odom(plan.time_s), plan.value)


def read_run(path: Path) -> RunLog:
    """Reads `run.mcap`; of a file that was cut off, all that is whole.

    Raises ValueError where the file is no MCAP file.
    """
    reader = _Reader()
    for topic, type_name, time_s, data in iterate_messages(path):
        reader.take(topic, type_name, time_s, data)
    return reader.log()


def iterate_messages(path: Path) -> Iterator[tuple[str, str, float, bytes]]:
    """Topic, type, time and CDR bytes of each message, in order of time where the file is complete."""
    with path.open("rb") as stream:
        try:
            reader: Any = SeekingReader(stream)
            complete = reader.get_summary() is not None
        except (EndOfFile, InvalidMagic, McapError):
            complete = False
        if not complete:
            stream.seek(0)
            reader = NonSeekingReader(stream)
        try:
            for schema, channel, message in reader.iter_messages(log_time_order=complete):
                yield channel.topic, schema.name, 1e-9 * message.log_time, message.data
        except InvalidMagic as error:
            raise ValueError(f"{path} is not an MCAP file") from error
        except (EndOfFile, struct.error):  # the writer was killed, or still writes: what comes before is whole
            return


class _Reader:
    """Collects messages by topic."""

    def __init__(self) -> None:
        self._types = _typestore()
        self._motions: dict[str, list[tuple[float, FloatArray, FloatArray]]] = {"truth": [], "odom": [], "cmd": []}
        self._log = RunLog(*(_motion([]) for _ in range(3)))
        self._handlers: dict[str, Callable[[float, Any], None]] = {
            "sim/ground_truth": lambda time_s, msg: self._motions["truth"].append(_odometry(time_s, msg)),
            "odom": lambda time_s, msg: self._motions["odom"].append(_odometry(time_s, msg)),
            "cmd_vel": lambda time_s, msg: self._motions["cmd"].append((time_s, np.zeros(3), _twist(msg))),
            "plan": self._on_plan,
            "costmap": self._on_costmap,
            "map": self._on_map,
            "camera/color/image_raw/compressed": self._keep_bytes(self._log.images),
            "annotated/compressed": self._keep_bytes(self._log.annotated),
            "depth/image/compressed": self._keep_bytes(self._log.depths),
            "camera/color/camera_info": self._on_camera,
            "grasps": self._on_grasps,
            "mission/status": self._on_task,
            "sim/objects": self._on_objects,
            "joint_states": self._on_joints,
            "scan": self._on_scan,
            "diagnostics": self._on_diagnostics,
            "rosout": self._on_rosout,
        }

    def take(self, topic: str, type_name: str, time_s: float, data: bytes) -> None:
        handler = self._handlers.get(topic.lstrip("/"))
        if handler is not None and type_name in self._types.types:
            handler(time_s, self._types.deserialize_cdr(data, type_name))

    def log(self) -> RunLog:
        log = self._log
        log.truth, log.odometry, log.commands = (_motion(self._motions[name]) for name in ("truth", "odom", "cmd"))
        return log

    def _on_plan(self, time_s: float, msg: Any) -> None:
        points = np.array([[pose.pose.position.x, pose.pose.position.y] for pose in msg.poses]).reshape(-1, 2)
        if len(points) > 1:
            self._log.plans.append(Stamped(time_s, points))

    def _on_costmap(self, time_s: float, msg: Any) -> None:
        self._log.costmaps.append(Stamped(time_s, _grid(msg)))

    def _on_map(self, time_s: float, msg: Any) -> None:
        self._log.maps.append(Stamped(time_s, _grid(msg)))

    @staticmethod
    def _keep_bytes(kept: list[Stamped]) -> Callable[[float, Any], None]:
        return lambda time_s, msg: kept.append(Stamped(time_s, bytes(msg.data)))

    def _on_camera(self, time_s: float, msg: Any) -> None:
        self._log.focal_px = float(msg.k[0])

    def _on_grasps(self, time_s: float, msg: Any) -> None:
        if msg.grasps:  # by the stamp of the image that they were found in: the camera has moved since
            stamp = msg.header.stamp
            self._log.grasps.append(Stamped(stamp.sec + 1e-9 * stamp.nanosec, [_grasp(one) for one in msg.grasps]))

    def _on_task(self, time_s: float, msg: Any) -> None:
        values = {pair.key: pair.value for pair in msg.values}
        done = len(values.get("done", "").split("; ")) if values.get("done") else 0
        task = Task(msg.name, msg.message, done, values.get("over") == "true", values.get("code", "NONE"))
        self._log.tasks.append(Stamped(time_s, task))

    def _on_objects(self, time_s: float, msg: Any) -> None:
        self._log.objects.append(
            Stamped(time_s, {one.id: _position_and_quat(one.bbox.center) for one in msg.detections})
        )

    def _on_joints(self, time_s: float, msg: Any) -> None:
        self._log.joints.append(Stamped(time_s, dict(zip(msg.name, msg.position.tolist(), strict=True))))

    def _on_scan(self, time_s: float, msg: Any) -> None:
        ranges = msg.ranges[np.isfinite(msg.ranges) & (msg.ranges >= msg.range_min)]
        if len(ranges):
            self._log.scans_min_m.append(Stamped(time_s, float(ranges.min())))

    def _on_diagnostics(self, time_s: float, msg: Any) -> None:
        for status in msg.status:
            values = {pair.key: pair.value for pair in status.values}
            one = NodeStatus(time_s, int(status.level), status.message, values)
            self._log.nodes.setdefault(status.name.strip("/"), []).append(one)

    def _on_rosout(self, time_s: float, msg: Any) -> None:
        if msg.level >= _WARN:
            self._log.complaints.append(Stamped(time_s, (msg.name, int(msg.level), msg.msg)))


def _typestore() -> Any:
    """The types of the recording that ROS 2's own set lacks come from the installed definitions."""
    store = get_typestore(Stores.ROS2_KILTED)
    prefixes = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    for name in ("vision_msgs/msg/Detection3DArray", "axon_msgs/msg/GraspArray"):
        with suppress(ValueError):  # not installed here: that topic is not read
            store.register(get_types_from_msg(message_definition(name, prefixes), name))
    return store


def _grid(msg: Any) -> Grid:
    info = msg.info
    cells = np.array(msg.data, dtype=np.int8).reshape(info.height, info.width)
    return Grid(cells, info.resolution, np.array([info.origin.position.x, info.origin.position.y]))


def _position_and_quat(pose: Any) -> FloatArray:
    p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def _grasp(msg: Any) -> Grasp:
    pose = _position_and_quat(msg.pose)
    closing = matrix_from_quat_xyzw(pose[3:])[:, 1]
    return Grasp(pose[:3], closing, float(msg.width_m), float(msg.quality))


def _odometry(time_s: float, msg: Any) -> tuple[float, FloatArray, FloatArray]:
    position, q = msg.pose.pose.position, msg.pose.pose.orientation
    yaw_rad = float(yaw_from_quat_xyzw([q.x, q.y, q.z, q.w]))
    return time_s, np.array([position.x, position.y, yaw_rad]), _twist(msg.twist.twist)


def _twist(msg: Any) -> FloatArray:
    twist = getattr(msg, "twist", msg)  # TwistStamped or Twist
    return np.array([twist.linear.x, twist.linear.y, twist.angular.z])


def _motion(rows: list[tuple[float, FloatArray, FloatArray]]) -> Motion:
    times = np.array([row[0] for row in rows], dtype=float)
    poses = np.array([row[1] for row in rows], dtype=float).reshape(-1, 3)
    velocities = np.array([row[2] for row in rows], dtype=float).reshape(-1, 3)
    order = np.argsort(times, kind="stable")
    return Motion(times[order], poses[order], velocities[order])
