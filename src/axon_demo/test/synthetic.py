# SPDX-License-Identifier: Apache-2.0
"""A recorded run whose every number is known: a robot that drives a circle of 1 m at 0.5 m/s for 10 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.typesys import Stores, get_typestore

from axon_demo.recording import Channel, Recording

TYPES = get_typestore(Stores.ROS2_KILTED)
SPEED_MPS, DURATION_S, RATE_HZ = 0.5, 10.0, 20.0
START = np.array([2.0, 1.0, 0.5 * np.pi])
"""world_T_odom; the odometry has no error."""


def prefixes() -> list[Path]:
    """The prefixes of the running environment."""
    import os

    return [Path(entry) for entry in os.environ["AMENT_PREFIX_PATH"].split(os.pathsep)]


def make(name: str, /, **fields: Any) -> Any:
    """A message of a type given as pkg/msg/Type; what is not given is zero."""
    kind = TYPES.types[name]
    _, definition = TYPES.fielddefs[name]
    values = {field: fields.get(field, _default(spec)) for field, spec in definition}
    return kind(**values)


def _default(spec: Any) -> Any:
    node, detail = int(spec[0]), spec[1]
    if node == 1:
        return {"string": "", "bool": False}.get(detail[0], 0.0 if detail[0].startswith("float") else 0)
    if node == 2:
        return make(detail)
    item, count = detail
    kind = {"float64": np.float64, "float32": np.float32, "int8": np.int8, "uint8": np.uint8}.get(item[1][0])
    return np.zeros(count if node == 3 else 0, kind) if kind else []


def write_run(path: Path) -> None:
    """Writes the run."""
    with Recording(path, prefixes(), chunk_bytes=1 << 14) as recording:
        for step in range(int(DURATION_S * RATE_HZ) + 1):
            _write_step(recording, step / RATE_HZ, step)


def _write_step(recording: Recording, time_s: float, step: int) -> None:
    angle = SPEED_MPS * time_s
    odom = np.array([np.sin(angle), 1.0 - np.cos(angle), angle])
    cos, sin = np.cos(START[2]), np.sin(START[2])
    world = np.array(
        [START[0] + cos * odom[0] - sin * odom[1], START[1] + sin * odom[0] + cos * odom[1], START[2] + angle]
    )
    put(recording, "/odom", _odometry(odom), time_s)
    put(recording, "/sim/ground_truth", _odometry(world), time_s)
    put(recording, "/cmd_vel", _twist(), time_s)
    put(
        recording,
        "/joint_states",
        make("sensor_msgs/msg/JointState", name=["wheel_left_joint"], position=np.array([angle])),
        time_s,
    )
    if step % 20 == 0:
        put(recording, "/plan", _plan(), time_s)
        put(recording, "/costmap", _costmap(), time_s)
        put(recording, "/diagnostics", _diagnostics(time_s), time_s)
        put(recording, "/camera/color/image_raw/compressed", _image(), time_s)


def put(recording: Recording, topic: str, message: Any, time_s: float) -> None:
    """Writes a message at 1 s + `time_s`."""
    cdr = bytes(TYPES.serialize_cdr(message, message.__msgtype__))
    recording.write(Channel(topic, message.__msgtype__, ""), cdr, int(1e9 * (1.0 + time_s)))


def _twist() -> Any:
    linear, angular = make("geometry_msgs/msg/Vector3", x=SPEED_MPS), make("geometry_msgs/msg/Vector3", z=SPEED_MPS)
    return make("geometry_msgs/msg/Twist", linear=linear, angular=angular)


def _pose(x: float, y: float, yaw_rad: float) -> Any:
    orientation = make("geometry_msgs/msg/Quaternion", z=float(np.sin(0.5 * yaw_rad)), w=float(np.cos(0.5 * yaw_rad)))
    return make(
        "geometry_msgs/msg/Pose",
        position=make("geometry_msgs/msg/Point", x=float(x), y=float(y)),
        orientation=orientation,
    )


def _odometry(pose: np.ndarray) -> Any:
    return make(
        "nav_msgs/msg/Odometry",
        pose=make("geometry_msgs/msg/PoseWithCovariance", pose=_pose(*pose)),
        twist=make("geometry_msgs/msg/TwistWithCovariance", twist=_twist()),
    )


def _plan() -> Any:
    poses = [make("geometry_msgs/msg/PoseStamped", pose=_pose(x, 0.0, 0.0)) for x in (0.0, 1.0, 2.0)]
    return make("nav_msgs/msg/Path", poses=poses)


def _costmap() -> Any:
    info = make("nav_msgs/msg/MapMetaData", resolution=0.5, width=4, height=2, origin=_pose(-1.0, -0.5, 0.0))
    return make("nav_msgs/msg/OccupancyGrid", info=info, data=np.array([0, 0, 0, 0, 0, 100, -1, 50], np.int8))


def _diagnostics(time_s: float) -> Any:
    values = {
        "cpu_percent": "25.0",
        "cpu_s": f"{0.25 * time_s:.2f}",
        "latency_p50_ms": "3.0",
        "latency_p95_ms": "7.5",
        "drops": "2",
    }
    pairs = [make("diagnostic_msgs/msg/KeyValue", key=key, value=value) for key, value in values.items()]
    level = 1 if time_s == 5.0 else 0
    status = make("diagnostic_msgs/msg/DiagnosticStatus", level=level, name="planner", message="<slow>", values=pairs)
    return make("diagnostic_msgs/msg/DiagnosticArray", status=[status])


def _image() -> Any:
    jpeg = cv2.imencode(".jpg", np.full((24, 32, 3), 128, np.uint8))[1]
    return make("sensor_msgs/msg/CompressedImage", format="jpeg", data=jpeg.reshape(-1))
