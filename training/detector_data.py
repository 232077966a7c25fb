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
from pathlib import Path

import cv2
import numpy as np

from axon_sim.objects import CATEGORIES
from axon_sim.scenes import LabelledImage, SceneConfig, make_scene, render_labels

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 500_000
MIN_VISIBILITY = 0.25
SCENES = SceneConfig(camera_distance_max_m=2.4)
_JPEG_QUALITY = 95


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
