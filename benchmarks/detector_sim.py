# SPDX-License-Identifier: Apache-2.0
"""The detector on rendered tables, floors and apartments that it was never trained on.

Half of the images are scenes of objects (416 x 416 px), half are views of apartments from the robot's camera (320 x 240
px), every second of them without aiming at an object. Their seeds are 1000 times --seed and up, below all seeds of
training. Precision is COCO's. An object of which less than a quarter is visible is neither missed nor wrong when found;
`map50_all` asks for those too.

Beside it, on the same images: without classes (`any_`), a classical pipeline on the true depth, which takes the largest
plane away and boxes what stands on it; and with --model FILE a YOLOX of COCO, on the categories that both know
(`common_`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from axon_core.boxes import iou_matrix
from axon_core.cameras import PinholeCamera
from axon_detector.config import DetectorConfig
from axon_detector.drawing import annotate
from axon_detector.evaluation import Found, Truth, average_precisions, match, mean_precisions
from axon_detector.runtime import Detections, Detector
from axon_sim.objects import CATEGORIES
from axon_sim.scenes import LabelledImage, SceneConfig, make_scene, render_labels
from axon_sim.world_views import ViewConfig, make_world_views

SEEDS = 1000
LAST_SEED = 499  # training and validation seeds begin at 500 000
MIN_VISIBILITY, WELL_VISIBLE, SURE = 0.25, 0.75, 0.3
SCENE_VIEWS, ROOM_VIEWS = 3, 15
EVERYTHING = DetectorConfig(score_threshold=0.01, iou_threshold=0.6, max_rate_hz=0.0)
SIZES_PX = {"tiny": (0.0, 16.0**2), "small": (16.0**2, 32.0**2), "large": (32.0**2, 1e10)}
COCO_CALLS = {"sports ball": "ball"}
PLANE_TRIES, PLANE_POINTS, PLANE_M, TALLEST_M = 150, 1500, 0.012, 0.4
SMALLEST_BLOB_PX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options beside --data, --json and --seed."""
    parser.add_argument("--images", type=int, default=600, metavar="N", help="images (default: 600)")
    parser.add_argument("--network", default="detector", help="the network, by name or file (default: detector)")
    parser.add_argument("--model", type=Path, metavar="FILE", help="a YOLOX ONNX of COCO to compare with")
    parser.add_argument("--show", type=Path, metavar="PNG", help="write a sheet of pictures with what was found")


@dataclass
class Record:
    """One image: its truth, and what each contestant says."""

    place: str
    truth: Truth
    found: Found
    blobs: Found
    peer: Found | None
    errors_m: list[float]


def main(args: argparse.Namespace) -> dict[str, float]:
    """Measure. ValueError where a seed belongs to training."""
    if not 0 <= args.seed <= LAST_SEED:
        raise ValueError(f"--seed {args.seed}: expected 0 .. {LAST_SEED}; higher ones belong to training")
    detector = Detector(replace(EVERYTHING, model=args.network))
    peer = Detector(replace(EVERYTHING, model=str(args.model))) if args.model else None
    records, took_s, pictures = [], [], []
    for place, image in images(args.seed, args.images):
        began_s = time.perf_counter()
        found = detector.step(image.rgb, image.depth_m, image.camera)
        took_s.append(time.perf_counter() - began_s)
        records.append(judge(place, image, found, peer))
        pictures.append((image, found))
    if args.show:
        show(args.show, pictures)
    return {**precisions(records), **space(records), **mistakes(records), **speed(took_s)}


def images(seed: int, count: int) -> Iterator[tuple[str, LabelledImage]]:
    """Yield the images and where they are from."""
    half = count // 2
    for number in range(half):
        if number % SCENE_VIEWS == 0:
            scene = make_scene(SEEDS * seed + number // SCENE_VIEWS, SceneConfig())
        yield "scenes", render_labels(scene, number % SCENE_VIEWS)
    for number in range(count - half):
        if number % ROOM_VIEWS == 0:
            room = make_world_views("apartment", SEEDS * seed + number // ROOM_VIEWS, ViewConfig())
        yield "rooms", room.view(number % ROOM_VIEWS)


def judge(place: str, image: LabelledImage, found: Detections, peer: Detector | None) -> Record:
    """Put together what is true and what is said of an image."""
    labels = np.array([CATEGORIES.index(name) for name in image.categories], dtype=int)
    truth = Truth(image.boxes_xyxy.reshape(-1, 4), labels, image.visibility < MIN_VISIBILITY)
    rivals = as_found(peer.step(image.rgb)) if peer else None
    blobs = plane_blobs(image.depth_m, image.camera)
    return Record(place, truth, as_found(found), blobs, rivals, errors_in_space(image, found))


def as_found(detections: Detections) -> Found:
    """Return detections with labels into CATEGORIES, those of other categories left out."""
    names = [COCO_CALLS.get(name, name) for name in detections.names]
    kept = np.array([name in CATEGORIES for name in names], dtype=bool)
    labels = np.array([CATEGORIES.index(name) for name in names if name in CATEGORIES], dtype=int)
    return Found(detections.boxes_xyxy[kept], detections.scores[kept], labels)


def precisions(records: list[Record]) -> dict[str, float]:
    """Mean average precisions: of all, by place, by size, by category, without classes, beside the peers."""
    numbers = dict(zip(("map50_95", "map50"), score(records), strict=True))
    for place in ("scenes", "rooms"):
        numbers[f"map50_{place}"] = score([r for r in records if r.place == place])[1]
    for name, area_px in SIZES_PX.items():
        numbers[f"map50_{name}"] = score(records, area_px=area_px)[1]
    numbers["map50_all"] = mean(records, [Truth(r.truth.boxes_xyxy, r.truth.labels) for r in records])[1]
    by_class = average_precisions([r.found for r in records], [r.truth for r in records], len(CATEGORIES))
    numbers |= {f"ap50_{name}": float(by_class[i, 0]) for i, name in enumerate(CATEGORIES)}
    numbers["any_map50"] = without_classes([r.found for r in records], records)
    numbers["any_map50_plane"] = without_classes([r.blobs for r in records], records)
    return numbers | common(records)


def score(records: list[Record], area_px: tuple[float, float] = (0.0, 1e10)) -> tuple[float, float]:
    """Return mAP at 0.50:0.95 and at 0.50."""
    return mean(records, [r.truth for r in records], area_px)


def mean(records: list[Record], truths: list[Truth], area_px: tuple[float, float] = (0.0, 1e10)) -> tuple[float, float]:
    return mean_precisions(average_precisions([r.found for r in records], truths, len(CATEGORIES), area_px))


def without_classes(found: list[Found], records: list[Record]) -> float:
    """Return AP at 0.50 as if all things were one category."""
    alike = [Found(f.boxes_xyxy, f.scores, np.zeros(len(f.scores), int)) for f in found]
    truths = [Truth(r.truth.boxes_xyxy, np.zeros(len(r.truth.labels), int), r.truth.ignored) for r in records]
    return mean_precisions(average_precisions(alike, truths, 1))[1]


def common(records: list[Record]) -> dict[str, float]:
    """Return mAP at 0.50 of both networks over the categories that COCO has too."""
    if any(record.peer is None for record in records):
        return {}
    known = [i for i, name in enumerate(CATEGORIES) if name in ("ball", "banana", "book", "bottle", "bowl", "cup")]
    truths = [r.truth for r in records]
    ours = average_precisions([r.found for r in records], truths, len(CATEGORIES))[known]
    theirs = average_precisions([r.peer for r in records if r.peer], truths, len(CATEGORIES))[known]
    return {"common_map50": mean_precisions(ours)[1], "common_map50_peer": mean_precisions(theirs)[1]}


def errors_in_space(image: LabelledImage, found: Detections) -> list[float]:
    """Return the distances in m of what is found in space to the true centres of objects that are well visible."""
    sure = [i for i, one in enumerate(found.boxes_3d) if one is not None and found.scores[i] >= SURE]
    if not sure or not len(image.categories):
        return []
    overlaps = iou_matrix(found.boxes_xyxy[sure], image.boxes_xyxy)
    errors = []
    for column in np.flatnonzero(image.visibility >= WELL_VISIBLE):
        row = int(overlaps[:, column].argmax())
        if overlaps[row, column] >= 0.5:
            away = found.boxes_3d[sure[row]].centre_m - image.camera_T_objects[column, :3, 3]
            errors.append(float(np.linalg.norm(away)))
    return errors


def space(records: list[Record]) -> dict[str, float]:
    """Errors of centres in space, with the true depth."""
    errors = np.array([error for r in records for error in r.errors_m])
    if not len(errors):
        return {}
    return {"centre_p50_m": float(np.median(errors)), "centre_p90_m": float(np.percentile(errors, 90))}


def mistakes(records: list[Record]) -> dict[str, float]:
    """What a user of the default threshold gets: precision, recall, and what is seen where nothing is."""
    threshold = DetectorConfig().score_threshold
    hits = said = asked = 0
    false_in_empty, empty = 0, 0
    for record in records:
        kept = record.found.scores >= threshold
        one = Found(record.found.boxes_xyxy[kept], record.found.scores[kept], record.found.labels[kept])
        right, wrong, wanted = count(one, record.truth)
        hits, said, asked = hits + right, said + right + wrong, asked + wanted
        if not len(record.truth.labels):
            empty, false_in_empty = empty + 1, false_in_empty + wrong
    return {
        "precision": hits / max(said, 1),
        "recall": hits / max(asked, 1),
        "false_per_empty_image": false_in_empty / max(empty, 1),
        "images": len(records),
        "images_empty": empty,
        "objects": asked,
    }


def count(found: Found, truth: Truth) -> tuple[int, int, int]:
    """Return detections that are right at an IoU of 0.5, those that are wrong, and objects asked for."""
    right = wrong = 0
    for label in range(len(CATEGORIES)):
        mine, wanted = found.labels == label, truth.labels == label
        hit, skip = match(found.boxes_xyxy[mine], truth.boxes_xyxy[wanted], truth.ignored[wanted])
        right += int((hit[0] & ~skip[0]).sum())
        wrong += int((~hit[0]).sum())
    return right, wrong, int((~truth.ignored).sum())


def speed(took_s: list[float]) -> dict[str, float]:
    """Milliseconds of a whole step."""
    return {"step_p50_ms": 1e3 * float(np.median(took_s)), "step_p95_ms": 1e3 * float(np.percentile(took_s, 95))}


def plane_blobs(depth_m: np.ndarray, camera: PinholeCamera) -> Found:
    """Take the largest plane away and box what stands up to TALLEST_M above it, the larger the surer."""
    points = camera.back_project_image(np.where(depth_m < 4.0, depth_m, np.nan))
    known = np.isfinite(points[..., 2])
    rng = np.random.default_rng(0)
    some = points[known]
    if len(some) < PLANE_POINTS:
        return Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    some = some[rng.choice(len(some), PLANE_POINTS, replace=False)]
    normal, offset = largest_plane(some, rng)
    above = points @ normal - offset
    mask = (known & (above > PLANE_M) & (above < TALLEST_M)).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
    blobs = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= SMALLEST_BLOB_PX]
    low = blobs[:, :2].astype(float)
    return Found(np.hstack([low, low + blobs[:, 2:4]]), blobs[:, 4] / mask.size, np.zeros(len(blobs), int))


def largest_plane(points: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return normal (3,), towards the camera, and offset of the plane n p = d near most of the points (N, 3)."""
    corners = points[rng.integers(len(points), size=(PLANE_TRIES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    offsets = (normals * corners[:, 0]).sum(axis=1)
    near = (np.abs(points @ normals.T - offsets) < PLANE_M).sum(axis=0)
    best = int(near.argmax())
    side = -1.0 if offsets[best] > 0.0 else 1.0  # the camera, at the origin, is above it
    return side * normals[best], side * float(offsets[best])


def show(file: Path, pictures: list[tuple[LabelledImage, Detections]]) -> None:
    """Write a sheet of 24 pictures, spread over all."""
    threshold, tiles = DetectorConfig().score_threshold, []
    for image, found in pictures[:: max(1, len(pictures) // 24)][:24]:
        sure = found.scores >= threshold
        texts = [f"{n} {s:.2f}" for n, s, k in zip(found.names, found.scores, sure, strict=True) if k]
        drawn = annotate(image.rgb, found.boxes_xyxy[sure], texts, found.labels[sure].tolist())
        tiles.append(cv2.resize(drawn, (416, 416 * drawn.shape[0] // drawn.shape[1])))
    tall = max(tile.shape[0] for tile in tiles)
    padded = [np.pad(tile, ((0, tall - tile.shape[0]), (0, 0), (0, 0))) for tile in tiles]
    across = min(6, len(padded))
    rows = [np.hstack(padded[i : i + across]) for i in range(0, len(padded) - across + 1, across)]
    cv2.imwrite(str(file), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
