# SPDX-License-Identifier: Apache-2.0
"""COCO: a YOLOX through the whole detector node against a plain evaluation of the same file.

`--data` is a folder of images/*.jpg and labels/*.txt (YOLO's: class, centre, size, relative), `--model` a YOLOX ONNX
whose boxes are not decoded in the graph. Each image goes as a sensor_msgs/Image through DDS to a detector node in a
process of its own, and comes back as Detection2DArray: `map50_95`, `map50`. `reference_map50_95` is of a second
implementation in this file that shares nothing with the node but ONNX Runtime, scored by pycocotools; `map50_95_gap` is
the difference of the two.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from rclpy.node import Node
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from axon_core.models import ModelError
from axon_detector.coco import COCO_NAMES
from axon_detector.evaluation import Found, Truth, average_precisions, mean_precisions
from axon_ros.conversions import header, image_to_msg
from axon_ros.qos import RESULT
from axon_ros.testing import process, ros, spin_until

SCORE_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS = 0.001, 0.65, 100  # as YOLOX evaluates on COCO
START_S, ANSWER_S, TRIES = 60.0, 10.0, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data, --json and --seed."""
    parser.add_argument("--model", type=Path, metavar="FILE", help="the YOLOX ONNX file")
    parser.add_argument("--images", type=int, default=0, metavar="N", help="only the first N images")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default: 1)")


@dataclass(frozen=True)
class Photo:
    """An image file and its objects."""

    file: Path
    truth: Truth

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3), BGR."""
        return cv2.imread(str(self.file), cv2.IMREAD_COLOR)


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure both ways. ValueError where data or file are not there."""
    photos = load_photos(args.data, args.images)
    if not args.model or not args.model.is_file():
        raise ModelError(f"--model {args.model}: expected a YOLOX ONNX file")
    found, latencies_s, again = through_node(photos, args.model.resolve(), args.threads)
    reference = [plain_detections(session, photo.read()) for session in [open_plainly(args.model)] for photo in photos]
    map50_95, map50 = mean_precisions(average_precisions(found, [p.truth for p in photos], len(COCO_NAMES)))
    reference50_95, reference50 = by_pycocotools(reference, photos)
    return {
        "map50_95": map50_95,
        "map50": map50,
        "reference_map50_95": reference50_95,
        "reference_map50": reference50,
        "map50_95_gap": abs(map50_95 - reference50_95),
        "map50_gap": abs(map50 - reference50),
        "latency_p50_ms": 1e3 * float(np.median(latencies_s)),
        "latency_p95_ms": 1e3 * float(np.percentile(latencies_s, 95)),
        "images": len(photos),
        "objects": sum(len(photo.truth.labels) for photo in photos),
        "sent_again": again,
    }


def load_photos(folder: Path | None, limit: int = 0) -> list[Photo]:
    """Find images and labels. Raises ValueError where there are none."""
    files = sorted((folder / "images").glob("*.jpg")) if folder else []
    if not files:
        raise ValueError(f"--data {folder}: expected a folder with images/*.jpg and labels/*.txt")
    return [Photo(file, read_truth(file)) for file in (files[:limit] if limit else files)]


def read_truth(image_file: Path) -> Truth:
    """Return the objects of an image; without a file of labels it has none, as in COCO128."""
    labels_file = image_file.parents[1] / "labels" / f"{image_file.stem}.txt"
    height, width = cv2.imread(str(image_file)).shape[:2]
    rows = np.loadtxt(labels_file, ndmin=2) if labels_file.is_file() else np.zeros((0, 5))
    centres, sizes = rows[:, 1:3] * (width, height), rows[:, 3:5] * (width, height)
    return Truth(np.hstack([centres - 0.5 * sizes, centres + 0.5 * sizes]), rows[:, 0].astype(int))


def through_node(photos: list[Photo], model: Path, threads: int) -> tuple[list[Found], list[float], int]:
    """Return what the node says of each image, how long it took in s, and how many images had to be sent again."""
    parameters = {
        "model": str(model),
        "threads": threads,
        "score_threshold": SCORE_THRESHOLD,
        "iou_threshold": IOU_THRESHOLD,
        "max_detections": MAX_DETECTIONS,
        "max_rate_hz": 0.0,
    }
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    with ros() as node, process([sys.executable, "-m", "axon_detector.node", "--ros-args", *words]) as subject:
        client = Client(node)
        if not spin_until(node, lambda: client.connected or not subject.alive, START_S) or not subject.alive:
            raise ValueError(f"the detector node does not start: {subject.output[-500:]}")
        answers = [client.ask(photo.read()) for photo in photos]
    return [found for found, *_ in answers], [s for _, s, _ in answers], sum(tries - 1 for *_, tries in answers)


class Client:
    """Sends images and waits for what is in them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._answers: dict[tuple[int, int], Detection2DArray] = {}
        self._images = node.create_publisher(Image, "camera/color/image_raw", RESULT)
        node.create_subscription(Detection2DArray, "detections", self._keep, RESULT)

    @property
    def connected(self) -> bool:
        """Whether the node reads and is read."""
        return bool(self._images.get_subscription_count() and self._node.count_publishers("detections"))

    def ask(self, image: np.ndarray) -> tuple[Found, float, int]:
        """Return what is in a BGR image, the seconds that it took, and how often it was sent."""
        for tries in range(1, TRIES + 1):
            stamp, began_s = self._node.get_clock().now().to_msg(), time.perf_counter()
            self._images.publish(image_to_msg(image, "bgr8", header(stamp, "camera")))
            if spin_until(self._node, lambda key=(stamp.sec, stamp.nanosec): key in self._answers, ANSWER_S):
                answer = self._answers.pop((stamp.sec, stamp.nanosec))
                return found_of(answer), time.perf_counter() - began_s, tries
        raise ValueError(f"no answer to an image within {TRIES} times {ANSWER_S} s")

    def _keep(self, msg: Detection2DArray) -> None:
        self._answers[msg.header.stamp.sec, msg.header.stamp.nanosec] = msg


def found_of(msg: Detection2DArray) -> Found:
    """Return the content of a message."""
    boxes, scores, labels = [], [], []
    for one in msg.detections:
        x, y, w, h = one.bbox.center.position.x, one.bbox.center.position.y, one.bbox.size_x, one.bbox.size_y
        boxes.append([x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h])
        scores.append(one.results[0].hypothesis.score)
        labels.append(COCO_NAMES.index(one.results[0].hypothesis.class_id))
    return Found(np.array(boxes).reshape(-1, 4), np.array(scores), np.array(labels, dtype=int))


# The reference, as YOLOX's demo describes it, one thing after the other


def open_plainly(model: Path) -> onnxruntime.InferenceSession:
    """Return a session on the CPU."""
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def plain_detections(session: onnxruntime.InferenceSession, image: np.ndarray) -> Found:
    """Detect in a BGR image."""
    height, width = session.get_inputs()[0].shape[2:]
    ratio = min(height / image.shape[0], width / image.shape[1])
    resized = cv2.resize(image, (int(image.shape[1] * ratio), int(image.shape[0] * ratio)))
    padded = np.full((height, width, 3), 114, dtype=np.float32)
    padded[: resized.shape[0], : resized.shape[1]] = resized
    rows = session.run(None, {session.get_inputs()[0].name: padded.transpose(2, 0, 1)[None]})[0][0]
    boxes, scores, labels = [], [], []
    index = 0
    for stride in (8, 16, 32):
        for row in range(height // stride):
            for column in range(width // stride):
                x, y, w, h, objectness = rows[index, :5].astype(float)
                label = int(rows[index, 5:].argmax())
                score = objectness * float(rows[index, 5 + label])
                if score >= SCORE_THRESHOLD:
                    cx, cy = (x + column) * stride / ratio, (y + row) * stride / ratio
                    w, h = np.exp(w) * stride / ratio, np.exp(h) * stride / ratio
                    boxes.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
                    scores.append(score)
                    labels.append(label)
                index += 1
    return plain_suppression(boxes, scores, labels)


def plain_suppression(boxes: list, scores: list, labels: list) -> Found:
    """Greedy suppression within each class, box by box."""
    kept: list[int] = []
    for candidate in sorted(range(len(scores)), key=lambda i: -scores[i]):
        rivals = (k for k in kept if labels[k] == labels[candidate])
        if all(plain_iou(boxes[candidate], boxes[k]) <= IOU_THRESHOLD for k in rivals):
            kept.append(candidate)
    kept = kept[:MAX_DETECTIONS]
    chosen = [np.array([values[k] for k in kept]) for values in (boxes, scores, labels)]
    return Found(chosen[0].reshape(-1, 4), chosen[1], chosen[2].astype(int))


def plain_iou(a: list, b: list) -> float:
    """Return the intersection over union of two boxes."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(w, 0.0) * max(h, 0.0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def by_pycocotools(found: list[Found], photos: list[Photo]) -> tuple[float, float]:
    """Return mAP at 0.50:0.95 and at 0.50 as COCO's own code has it."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise ValueError("pycocotools is not installed: pip install -r requirements/dev.txt") from error
    objects = [
        {
            "image_id": i,
            "category_id": int(label),
            "bbox": xywh(box),
            "area": float(np.prod(xywh(box)[2:])),
            "iscrowd": 0,
        }
        for i, photo in enumerate(photos)
        for box, label in zip(photo.truth.boxes_xyxy, photo.truth.labels, strict=True)
    ]
    results = [
        {"image_id": i, "category_id": int(label), "bbox": xywh(box), "score": float(score)}
        for i, one in enumerate(found)
        for box, score, label in zip(one.boxes_xyxy, one.scores, one.labels, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(photos))],
            "categories": [{"id": i} for i in range(len(COCO_NAMES))],
            "annotations": [{**one, "id": number} for number, one in enumerate(objects, 1)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def xywh(box: np.ndarray) -> list[float]:
    """Return a box as COCO writes it."""
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
