# SPDX-License-Identifier: Apache-2.0
"""Views with exact depth for the depth network: rendered once, kept as JPEG and 16-bit PNG, cropped at random.

A folder holds SEED_VIEW.jpg, SEED_VIEW.png (depth in mm) and, written last, SEED.json, so that an interrupted rendering
goes on where it was. Training seeds begin at 1 000 000, validation seeds at 500 000; benchmarks use seeds below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_depth.canonical import CANONICAL_FOCAL_PX, INPUT_HEIGHT_PX, INPUT_WIDTH_PX
from axon_sim.scenes import LabelledImage, SceneConfig, make_scene, render_labels
from axon_sim.world_views import ViewConfig, make_world_views

TRAINING_SEED, VALIDATION_SEED = 1_000_000, 500_000
KINDS = ("apartment", "scene", "apartment", "warehouse", "apartment", "scene", "tabletop", "warehouse")
"""What each next seed shows; the cycle gives the shares."""
WIDTH_PX, HEIGHT_PX = 320, 240
VIEWS = ViewConfig(object_share=0.3, tilt_min_rad=-0.2, tilt_max_rad=1.0)
SCENES = SceneConfig(image_size_px=WIDTH_PX, camera_distance_max_m=2.4)
FARTHEST_M = 12.0
"""Depth beyond, the sky's too, is learned as this."""
SMALLEST_CROP = 0.65
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class View:
    """One view on disk and its camera; its depth is beside the image, in mm."""

    file: Path
    focal_px: float
    principal_row_px: float

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the image (H, W, 3) RGB uint8 and depth (H, W) in m, float32."""
        image = cv2.imread(str(self.file), cv2.IMREAD_COLOR)
        depth_mm = cv2.imread(str(self.file.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), depth_mm.astype(np.float32) * np.float32(1e-3)


def kind_of(seed: int) -> str:
    """Return which kind of world a seed stands for."""
    return KINDS[seed % len(KINDS)]


def labelled_views(seed: int, count: int) -> Iterator[LabelledImage]:
    """Yield views of the world or scene that a seed stands for."""
    if kind_of(seed) == "scene":
        scene = make_scene(seed, SCENES)
        yield from (level_cut(render_labels(scene, number)) for number in range(count))
    else:
        views = make_world_views(kind_of(seed), seed, VIEWS)
        yield from (views.view(number) for number in range(count))


def render(folder: Path, seeds: range, views_each: int) -> list[View]:
    """Draw what is not yet in the folder and return all views of the seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for done, seed in enumerate(seeds):
        if not (folder / f"{seed}.json").is_file():
            _render_seed(folder, seed, views_each)
        if done % 50 == 49:
            print(f"{folder.name}: {done + 1} of {len(seeds)} worlds drawn", flush=True)
    return [view for seed in seeds for view in views_of(folder, seed)]


def views_of(folder: Path, seed: int) -> list[View]:
    """Return the views of one seed."""
    facts = json.loads((folder / f"{seed}.json").read_text("utf-8"))
    return [View(folder / f"{seed}_{number:02d}.jpg", *facts["camera"]) for number in range(facts["views"])]


def crop(view: View, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the network's input (H, W, 3) uint8, canonical depth (H/2, W/2) in m, and the row of the optical axis.

    A part of the view at random, mirrored at random: a camera of another focal length whose axis is not in its middle.
    """
    image, depth_m = view.read()
    size = 1.0 if rng.random() < 0.5 else rng.uniform(SMALLEST_CROP, 1.0)
    height, width = round(size * HEIGHT_PX), round(size * WIDTH_PX)
    top, left = int(rng.integers(HEIGHT_PX - height + 1)), int(rng.integers(WIDTH_PX - width + 1))
    part = (slice(top, top + height), slice(left, left + width))
    scale = INPUT_WIDTH_PX / width
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    image = cv2.resize(image[part], (INPUT_WIDTH_PX, INPUT_HEIGHT_PX), interpolation=how)
    half = (INPUT_WIDTH_PX // 2, INPUT_HEIGHT_PX // 2)
    depth_m = cv2.resize(depth_m[part], half, interpolation=cv2.INTER_NEAREST_EXACT)
    canonical_m = np.minimum(depth_m, FARTHEST_M) * (CANONICAL_FOCAL_PX / (scale * view.focal_px))
    if rng.random() < 0.5:
        image, canonical_m = image[:, ::-1], canonical_m[:, ::-1]
    return image, canonical_m, scale * (view.principal_row_px - top + 0.5) - 0.5


def level_cut(square: LabelledImage) -> LabelledImage:
    """Return the middle rows of a square view, in the proportions of the robot's camera; colour and depth only."""
    top = (square.camera.height - HEIGHT_PX) // 2
    rows, old = slice(top, top + HEIGHT_PX), square.camera
    camera = PinholeCamera(old.width, HEIGHT_PX, old.fx, old.fy, old.cx, old.cy - top)
    return LabelledImage(**{**vars(square), "rgb": square.rgb[rows], "depth_m": square.depth_m[rows], "camera": camera})


def _render_seed(folder: Path, seed: int, count: int) -> None:
    for number, view in enumerate(labelled_views(seed, count)):
        file = folder / f"{seed}_{number:02d}.jpg"
        cv2.imwrite(str(file), view.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        cv2.imwrite(str(file.with_suffix(".png")), np.rint(np.minimum(view.depth_m, 65.0) * 1e3).astype(np.uint16))
        camera = [view.camera.fy, view.camera.cy]
    (folder / f"{seed}.json").write_text(json.dumps({"views": count, "camera": camera}), "utf-8")
