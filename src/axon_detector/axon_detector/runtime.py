# SPDX-License-Identifier: Apache-2.0
"""The detector without ROS: an image, and perhaps its depth, in; boxes in the image and in space out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from axon_core.boxes import nms
from axon_core.cameras import PinholeCamera
from axon_core.config import closest_text
from axon_core.images import check_image
from axon_core.inference import OnnxModel
from axon_core.models import find_model
from axon_detector.config import DetectorConfig
from axon_detector.layouts import recognise
from axon_detector.localisation import Box3D, locate
from axon_detector.preprocessing import canvas_size, letterbox_top_left, to_blob

_MAX_CANDIDATES = 3000
_LARGEST_PX = 4096


@dataclass(frozen=True)
class Detections:
    """What is in one image, the surest first: boxes_xyxy (N, 4) px, within the image; scores (N,); labels (N,).

    `names` are the labels' categories; `boxes_3d` has one entry a detection, None where its depth is not known.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    boxes_3d: tuple[Box3D | None, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.scores)


class Detector:
    """A network ready to look. ModelError where its file cannot be read or is none that is known."""

    def __init__(self, config: DetectorConfig) -> None:
        self.model = find_model(config.model)
        size = canvas_size(config.input_size_px, config.input_size_px, config.input_size_px)[0]
        self._network = OnnxModel(self.model.path, (config.provider,), config.threads, dynamic_size=size)
        self.layout = recognise(self._network, config.class_names, self.model.details.get("classes", ()))
        self.reconfigure(config)

    @property
    def device(self) -> str:
        """Where the network runs: cpu, cuda or tensorrt."""
        return self._network.device

    @property
    def names(self) -> tuple[str, ...]:
        """All categories that the network knows."""
        return self.layout.names

    def describe(self) -> str:
        """Say in one line what the file was recognised as."""
        return f"{self.model.path.name}: {self.layout}"

    def reconfigure(self, config: DetectorConfig) -> None:
        """Take what may change at run time; ValueError for a category that the network does not know."""
        for name in config.classes:
            if name not in self.names:
                raise ValueError(f"classes: the network knows no '{name}'{closest_text(name, self.names)}")
        self._wanted = np.array([not config.classes or name in config.classes for name in self.names])
        self._config = config

    def step(
        self, image_rgb: np.ndarray, depth_m: np.ndarray | None = None, camera: PinholeCamera | None = None
    ) -> Detections:
        """Return what is in an image (H, W, 3) uint8; in space too where depth (H, W) in m and camera are given."""
        config = self._config
        image = self._check(image_rgb)
        height, width = self._input_size(*image.shape[:2])
        canvas, place = letterbox_top_left(image, height, width)
        outputs = self._network.run({self.layout.input_name: to_blob(canvas)})
        boxes, scores, labels = self._best(*self.layout.read(outputs, height, width))
        boxes = np.clip(place.to_image(boxes), 0.0, np.tile(image.shape[1::-1], 2))
        kept = nms(boxes, scores, config.iou_threshold, labels)[: config.max_detections]
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        names = tuple(self.names[label] for label in labels)
        return Detections(boxes, scores, labels, names, self._in_space(boxes, image, depth_m, camera))

    def _check(self, image_rgb: np.ndarray) -> np.ndarray:
        image = check_image(image_rgb)
        if image.dtype != np.uint8 or max(image.shape[:2]) > _LARGEST_PX:
            raise ValueError(f"image {image.shape} {image.dtype}: expected uint8, at most {_LARGEST_PX} px a side")
        return image

    def _input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the network sees the image: its own, or the smallest where any will do."""
        fitting = canvas_size(height, width, self._config.input_size_px)
        return self.layout.height or fitting[0], self.layout.width or fitting[1]

    def _best(self, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes, scores and labels of the cells whose best wanted class is sure enough."""
        labels = np.where(self._wanted, scores, -1.0).argmax(axis=1)
        best = scores[np.arange(len(scores)), labels]
        sure = np.flatnonzero((best >= self._config.score_threshold) & np.isfinite(boxes).all(axis=1))
        sure = sure[np.argsort(-best[sure], kind="stable")[:_MAX_CANDIDATES]]
        return boxes[sure].astype(np.float64), best[sure].astype(np.float64), labels[sure]

    def _in_space(
        self, boxes: np.ndarray, image: np.ndarray, depth_m: np.ndarray | None, camera: PinholeCamera | None
    ) -> tuple[Box3D | None, ...]:
        if depth_m is None or camera is None:
            return ()
        size = (camera.height, camera.width)
        if not depth_m.shape == image.shape[:2] == size:
            raise ValueError(f"image {image.shape[:2]}, depth {depth_m.shape} and camera {size} differ in size")
        near_m, far_m = self._config.depth_min_m, self._config.depth_max_m
        return tuple(locate(box, depth_m, camera, near_m, far_m) for box in boxes)
