# SPDX-License-Identifier: Apache-2.0
"""detector_node: colour in, and depth where it is; detections in the image, in space, and drawn, out."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import Vector3
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from axon_core.arrays import FloatArray
from axon_core.cameras import PinholeCamera
from axon_detector.config import DetectorConfig
from axon_detector.drawing import annotate
from axon_detector.localisation import Box3D
from axon_detector.runtime import Detections, Detector
from axon_ros import BadInput, Level, SkillNode, node_main
from axon_ros.conversions import (
    DEPTH_ENCODINGS,
    camera_from_msg,
    depth_from_msg,
    header,
    image_from_msg,
    image_to_msg,
    transform_to_pose,
)
from axon_ros.diagnostics import ModelInfo
from axon_ros.qos import RESULT, SENSOR
from axon_ros.stamps import stamp_seconds

_DEPTH_LIVES_S = 1.0  # colour waits for its depth while depth came within this time
_EARLY = 0.1  # a camera of just the wanted rate jitters: this share of the period too early is in time
_WATCH_PERIOD_S = 1.0
_UNPAIRED_MANY = 5


@dataclass(frozen=True)
class _Look:
    """An image to look at, with the depth and the camera of its time where they are known."""

    color: Image
    depth: Image | None
    camera: PinholeCamera | None


class DetectorNode(SkillNode):
    """Converts, calls `Detector.step` beside the executor, publishes. At rest while nobody reads its outputs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("detector", DetectorConfig, **kwargs)
        self._lock = threading.Lock()  # of the detector, which the worker uses and a change of parameters alters

    def on_load(self, config: DetectorConfig) -> None:
        self._detector = Detector(config)
        model = self._detector.model
        self.model = ModelInfo(model.name, model.version, model.sha256, self._detector.device)
        self.get_logger().info(self._detector.describe())

    def on_start(self) -> None:
        self._camera: PinholeCamera | None = None
        self._color: Image | None = None
        self._depth: Image | None = None
        self._depth_came_s = self._looked_s = -np.inf
        self._found = self._unpaired = 0
        self._worker = self.work(self._look)
        self._boxes = self.output(Detection2DArray, "detections", RESULT)
        self._boxes_3d = self.output(Detection3DArray, "detections_3d", RESULT)
        self._annotated = self.output(Image, "annotated", RESULT)
        self.input(Image, "camera/color/image_raw", self._on_color, SENSOR)
        self.input(Image, "camera/depth/image_raw", self._on_depth, SENSOR, required=False)
        self.input(CameraInfo, "camera/color/camera_info", self._on_camera, SENSOR, required=False)
        self.timer(_WATCH_PERIOD_S, self._watch_depth, steady=True)
        self._listen(self.config)

    def on_config_change(self, config: DetectorConfig) -> None:
        if self.state in ("inactive", "active"):
            with self._lock:
                self._detector.reconfigure(config)
        if self.state == "active":
            self._listen(config)

    def status_values(self) -> dict[str, str]:
        if self.state != "active":
            return {}
        return {"detections": str(self._found), "layout": str(self._detector.layout)}

    def _listen(self, config: DetectorConfig) -> None:
        if config.frame_3d:
            self.listen_to_tf()

    # Inputs

    def _on_camera(self, msg: CameraInfo) -> None:
        self._camera = camera_from_msg(msg)

    def _on_color(self, msg: Image) -> None:
        image_from_msg(msg)
        if not (self._boxes.watched or self._boxes_3d.watched or self._annotated.watched):
            return
        period_s = (1.0 - _EARLY) / self.config.max_rate_hz if self.config.max_rate_hz else 0.0
        if 0.0 <= self.now_s() - self._looked_s < period_s:
            return
        self._looked_s = self.now_s()
        if self._color is not None:  # its depth has not come
            self._note_pairing(False)
            self._submit(self._color, None)
        self._color = msg
        self._pair()

    def _on_depth(self, msg: Image) -> None:
        image_from_msg(msg)
        fits = msg.encoding in DEPTH_ENCODINGS
        text = f"camera/depth/image_raw comes as {msg.encoding}: expected {' or '.join(DEPTH_ENCODINGS)}; remap it"
        self.diagnose(Level.OK if fits else Level.ERROR, "depth can be read" if fits else text, key="depth encoding")
        if fits:
            self._depth_came_s = time.monotonic()
            self._depth = msg
            self._pair()

    def _pair(self) -> None:
        """Hand colour to the worker, with its depth, once that is there; at once where no depth comes."""
        if self._color is None:
            return
        fits = self._depth is not None and self._apart_s(self._color, self._depth) <= self.config.sync_tolerance_s
        if fits or time.monotonic() - self._depth_came_s > _DEPTH_LIVES_S:
            color, self._color = self._color, None
            self._note_pairing(fits)
            self._submit(color, self._depth if fits else None)

    def _note_pairing(self, paired: bool) -> None:
        self._unpaired = 0 if paired else self._unpaired + 1
        if paired:
            self.diagnose(Level.OK, "colour and depth are stamped alike", key="sync")
        elif self._unpaired >= _UNPAIRED_MANY and self._depth is not None:
            text = "no depth has the stamp of its image: synchronise them, or raise sync_tolerance_s"
            self.diagnose(Level.WARN, text, key="sync")

    def _submit(self, color: Image, depth: Image | None) -> None:
        self._worker.submit(_Look(color, depth, self._camera))

    @staticmethod
    def _apart_s(first: Image, second: Image) -> float:
        return abs(stamp_seconds(first.header.stamp) - stamp_seconds(second.header.stamp))

    def _watch_depth(self) -> None:
        """Say why nothing comes in space while somebody waits for it."""
        missing = []
        if time.monotonic() - self._depth_came_s > _DEPTH_LIVES_S:
            missing.append("camera/depth/image_raw")
        if self._camera is None:
            missing.append("camera/color/camera_info")
        text = f"detections_3d is read, but nothing comes on {' and '.join(missing)}: start or remap it"
        if missing and self._boxes_3d.watched:
            self.diagnose(Level.WARN, text, key="depth")
        else:
            self.diagnose(Level.OK, "detections_3d has what it needs", key="depth")

    # The worker

    def _look(self, look: _Look) -> None:
        image = image_from_msg(look.color, "rgb8")
        depth_m = depth_from_msg(look.depth) if look.depth is not None and self._boxes_3d.watched else None
        try:
            with self._lock:
                found = self._detector.step(image, depth_m, look.camera)
        except ValueError as error:
            raise BadInput(str(error)) from error
        self._found = len(found)
        self._boxes.publish(boxes_to_msg(found, look.color.header))
        if self._annotated.watched:
            self._annotated.publish(image_to_msg(drawn(image, found), "rgb8", look.color.header))
        if depth_m is not None and look.camera is not None:
            self._publish_in_space(found, look.color.header)

    def _publish_in_space(self, found: Detections, of: Header) -> None:
        frame = self.config.frame_3d or of.frame_id
        frame_T_camera = self.await_transform(frame, of.frame_id, of.stamp)
        self._boxes_3d.publish(boxes_3d_to_msg(found, frame_T_camera, header(of.stamp, frame)))


def boxes_to_msg(found: Detections, of: Header) -> Detection2DArray:
    """Return the message of all detections, their ids their places in it."""
    msg = Detection2DArray(header=of)
    for index, (box, score, name) in enumerate(zip(found.boxes_xyxy, found.scores, found.names, strict=True)):
        one = Detection2D(header=of, id=str(index), results=[_hypothesis(name, score)])
        (x0, y0, x1, y1) = box.tolist()
        one.bbox.center.position.x, one.bbox.center.position.y = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
        one.bbox.size_x, one.bbox.size_y = x1 - x0, y1 - y0
        msg.detections.append(one)
    return msg


def boxes_3d_to_msg(found: Detections, frame_T_camera: FloatArray, of: Header) -> Detection3DArray:
    """Return the message of the detections whose place is known; an id is that of the same thing in the image."""
    msg = Detection3DArray(header=of)
    for index, (box, score, name) in enumerate(zip(found.boxes_3d, found.scores, found.names, strict=True)):
        if box is not None:
            msg.detections.append(_detection_3d(str(index), box, score, name, frame_T_camera, of))
    return msg


def _detection_3d(
    number: str, box: Box3D, score: float, name: str, frame_T_camera: FloatArray, of: Header
) -> Detection3D:
    camera_T_box = np.eye(4)
    camera_T_box[:3, 3] = box.centre_m
    one = Detection3D(header=of, id=number, results=[_hypothesis(name, score)])
    one.bbox.center = transform_to_pose(frame_T_camera @ camera_T_box)
    one.bbox.size = Vector3(**dict(zip("xyz", box.size_m.tolist(), strict=True)))
    one.results[0].pose.pose = one.bbox.center
    return one


def _hypothesis(name: str, score: float) -> ObjectHypothesisWithPose:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, float(score)
    return hypothesis


def drawn(image_rgb: np.ndarray, found: Detections) -> np.ndarray:
    """Return the image with boxes, names and scores in it."""
    texts = [f"{name} {score:.2f}" for name, score in zip(found.names, found.scores, strict=True)]
    return annotate(image_rgb, found.boxes_xyxy, texts, found.labels.tolist())


main = node_main(DetectorNode)

if __name__ == "__main__":
    raise SystemExit(main())
