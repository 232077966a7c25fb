# SPDX-License-Identifier: Apache-2.0
"""Labelled images for the detector: rendered once by parallel processes, kept as JPEG, read at random scales.

A folder of samples holds SEED_VIEW.jpg and, written last, SEED.npz with the boxes of all its views, so that an
interrupted rendering goes on where it was. Training seeds begin at 1 000 000, validation seeds at 500 000; benchmarks
use seeds below.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import cv2
import numpy as np

from axon_sim.objects import CATEGORIES
from axon_sim.scenes import LabelledImage, SceneConfig, make_scene, render_labels
from axon_sim.world_views import ViewConfig, make_world_views

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 500_000
MIN_VISIBILITY = 0.25
SCENES = SceneConfig(camera_distance_max_m=2.4)
WORLD_VIEWS = ViewConfig(object_share=0.75)
ROBOT_HEIGHT_PX, SCALES = 240, (0.85, 1.9)  # of the same view; 1: an object has the size that the robot sees
PADDING = 114
_JPEG_QUALITY = 95
_GRIDS, _GRID_SHARES = ((1, 1), (2, 2), (3, 2)), (0.15, 0.35, 0.5)
_LOOK_SHARE, _BLUR_SHARE = 0.9, 0.15
_SMALLEST_PX = 4.0


@dataclass(frozen=True)
class Sample:
    """One image and its truth: boxes_xyxy (N, 4) in px, labels (N,) into CATEGORIES, visible share (N,)."""

    file: Path
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    visibility: np.ndarray

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3), BGR."""
        return cv2.imread(str(self.file), cv2.IMREAD_COLOR)


def scene_views(seed: int, views: int) -> Iterable[LabelledImage]:
    """Return views of one settled scene."""
    scene = make_scene(seed, SCENES)
    return (render_labels(scene, view) for view in range(views))


def world_views(seed: int, name: str, views: int) -> Iterable[LabelledImage]:
    """Return views of one world from the robot's camera."""
    world = make_world_views(name, seed, WORLD_VIEWS)
    return (world.view(view) for view in range(views))


def render(
    folder: Path, seeds: Sequence[int], views: Callable[[int], Iterable[LabelledImage]], workers: int
) -> list[Sample]:
    """Draw what is not yet in the folder, with `workers` processes, and return all samples of the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not (folder / f"{seed}.npz").is_file()]
    if missing:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for done, _ in enumerate(pool.map(partial(_render_seed, folder, views), missing, chunksize=4), 1):
                if done % 100 == 0:
                    print(f"{folder.name}: {done} of {len(missing)} drawn", flush=True)
    return [sample for seed in seeds for sample in samples_of(folder, seed)]


def samples_of(folder: Path, seed: int) -> list[Sample]:
    """Return the samples of one seed."""
    with np.load(folder / f"{seed}.npz") as stored:
        boxes, labels, visibility, counts = (stored[key] for key in ("boxes", "labels", "visibility", "counts"))
    ends = np.cumsum(counts)[:-1]
    parts = zip(np.split(boxes, ends), np.split(labels, ends), np.split(visibility, ends), strict=True)
    return [Sample(folder / f"{seed}_{view:02d}.jpg", *part) for view, part in enumerate(parts)]


def labels_of(image: LabelledImage) -> np.ndarray:
    """Return the labels (N,) of an image's objects."""
    return np.array([CATEGORIES.index(name) for name in image.categories], dtype=np.int64)


def _render_seed(folder: Path, views: Callable[[int], Iterable[LabelledImage]], seed: int) -> None:
    cv2.setNumThreads(1)
    images = list(views(seed))
    for view, image in enumerate(images):
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        cv2.imwrite(str(folder / f"{seed}_{view:02d}.jpg"), image.rgb[..., ::-1], options)
    np.savez_compressed(
        folder / f"{seed}.npz",
        boxes=np.concatenate([image.boxes_xyxy.reshape(-1, 4) for image in images]),
        labels=np.concatenate([labels_of(image) for image in images]),
        visibility=np.concatenate([image.visibility for image in images]),
        counts=np.array([len(image.categories) for image in images]),
    )


@dataclass(frozen=True)
class Picture:
    """One image of a batch: bgr (H, W, 3) uint8, boxes_xyxy (N, 4) px, labels (N,), ignored (N,)."""

    bgr: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray


def compose(samples: Sequence[Sample], rng: np.random.Generator, height: int, width: int) -> Picture:
    """Return a random picture: samples in a grid of tiles, each at a scale of its own, and its colours turned.

    Scales are about those at which the robot's camera sees (320 x 240 px). Tiles look at objects: most of a rendered
    image is floor, and a step costs as much for a picture of two objects as for one of twenty.
    """
    across, down = _GRIDS[rng.choice(len(_GRIDS), p=_GRID_SHARES)]
    columns, rows = _edges(across, width, rng), _edges(down, height, rng)
    canvas = np.full((height, width, 3), PADDING, dtype=np.uint8)
    boxes, labels, ignored = [], [], []
    for (top, bottom), (left, right) in product(pairwise(rows), pairwise(columns)):
        sample = samples[rng.integers(len(samples))]
        found, ignore = _paint(canvas[top:bottom, left:right], sample, rng)
        boxes.append(found + np.array([left, top, left, top]))
        labels.append(sample.labels)
        ignored.append(ignore)
    boxes, labels, ignored = np.concatenate(boxes), np.concatenate(labels), np.concatenate(ignored)
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Picture(_photograph(canvas, rng), boxes[seen], labels[seen], ignored[seen])


def _edges(count: int, length: int, rng: np.random.Generator) -> list[int]:
    """Return where tiles begin and end, about evenly."""
    inner = (np.arange(1, count) + rng.uniform(-0.25, 0.25, count - 1)) * length / count
    return [0, *np.rint(inner).astype(int).tolist(), length]


def _paint(tile: np.ndarray, sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paint a sample into the tile; return its boxes there (N, 4), without area where outside, and which to ignore."""
    image, boxes = _maybe_mirrored(sample, rng)
    image, scale = _resized(image, rng)
    size, room = np.array(image.shape[1::-1]), np.array(tile.shape[1::-1])
    offset = _place(boxes * np.tile(scale, 2), size, room, rng)
    (x0, y0), (x1, y1) = np.maximum(offset, 0), np.minimum(offset + size, room)
    tile[y0:y1, x0:x1] = image[y0 - offset[1] : y1 - offset[1], x0 - offset[0] : x1 - offset[0]]
    whole = boxes * np.tile(scale, 2) + np.tile(offset, 2)
    cut = np.clip(whole, 0.0, np.tile(room, 2))
    return cut, _to_ignore(whole, cut, sample.visibility)


def _place(boxes: np.ndarray, size: np.ndarray, room: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return where an image goes in a tile: anywhere where it fits, else mostly so that one of its objects is seen."""
    offset = (room - size) * rng.random(2)
    if len(boxes) and rng.random() < _LOOK_SHARE:
        one = boxes[rng.integers(len(boxes))]
        aimed = room * rng.random(2) - 0.5 * (one[:2] + one[2:])
        offset = np.where(size > room, np.clip(aimed, room - size, 0.0), offset)
    return np.rint(offset).astype(int)


def _maybe_mirrored(sample: Sample, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, boxes = sample.read(), sample.boxes_xyxy
    if rng.random() < 0.5:
        return image, boxes
    width = image.shape[1]
    return image[:, ::-1], np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=-1)


def _resized(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the image at a random scale, and that scale in x and y."""
    height, width = image.shape[:2]
    scale = np.exp(rng.uniform(*np.log(SCALES))) * ROBOT_HEIGHT_PX / height
    size = max(1, round(scale * width)), max(1, round(scale * height))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=method), np.array(size) / (width, height)


def _to_ignore(whole: np.ndarray, cut: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Return which objects show too little to be asked for: hidden, cut by the edge, or of a few pixels."""
    sides, cut_sides = whole[:, 2:] - whole[:, :2], cut[:, 2:] - cut[:, :2]
    share = visibility * cut_sides.prod(axis=1) / np.maximum(sides.prod(axis=1), 1e-6)
    return (share < MIN_VISIBILITY) | (cut_sides.min(axis=1) < _SMALLEST_PX)


def _photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with its hue, saturation, brightness and sharpness changed a little."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    levels = np.arange(256.0)
    hue = ((levels + rng.uniform(-6.0, 6.0)) % 180.0).astype(np.uint8)
    saturation = np.clip(levels * rng.uniform(0.7, 1.4), 0, 255).astype(np.uint8)
    value = np.clip(255.0 * (levels / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    turned = [cv2.LUT(c, t) for c, t in zip(cv2.split(hsv), (hue, saturation, value), strict=True)]
    image = cv2.cvtColor(cv2.merge(turned), cv2.COLOR_HSV2BGR)
    if rng.random() < _BLUR_SHARE:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.9))
    return image
