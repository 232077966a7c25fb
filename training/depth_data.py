# SPDX-License-Identifier: Apache-2.0
"""Views with exact depth for the depth network: rendered once, kept as JPEG and 16-bit PNG, cropped at random.

A folder holds SEED_VIEW.jpg, SEED_VIEW.png (depth in mm) and, written last, SEED.json, so that an interrupted rendering
goes on where it was. Training seeds begin at 1 000 000, validation seeds at 500 000; benchmarks use seeds below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from axon_core.cameras import PinholeCamera
from axon_depth.canonical import CANONICAL_FOCAL_PX, INPUT_HEIGHT_PX, INPUT_WIDTH_PX, Floor, inverse_floor
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
FLOOR_UNKNOWN = 0.15
FLOOR_TURN_RAD, FLOOR_HEIGHT_M = 0.01, 0.01
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class View:
    """One view on disk, its camera and the floor below it; its depth is beside the image, in mm."""

    file: Path
    focal_px: float
    principal_row_px: float
    floor: Floor

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the image (H, W, 3) RGB uint8 and depth (H, W) in m, float32."""
        image = cv2.imread(str(self.file), cv2.IMREAD_COLOR)
        depth_mm = cv2.imread(str(self.file.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), depth_mm.astype(np.float32) * np.float32(1e-3)


@dataclass(frozen=True)
class Sample:
    """What is learned from: image (H, W, 3) RGB uint8, canonical depth (H/2, W/2) in m, the network's other inputs."""

    image: np.ndarray
    canonical_m: np.ndarray
    principal_row_px: float
    inverse_floor: np.ndarray
    floor_known: float


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
    floors = [Floor(height_m, tuple(up)) for height_m, *up in facts["poses"]]
    return [View(folder / f"{seed}_{n:02d}.jpg", *facts["camera"], floor) for n, floor in enumerate(floors)]


def crop(view: View, rng: np.random.Generator, shrink: int = 1) -> Sample:
    """Return a part of the view at random, mirrored at random: another focal length, an axis that is not in the middle.

    What is known of the floor is a little wrong, as a robot's calibration is, or nothing. The input is `shrink` times
    smaller than the runtime's.
    """
    image, depth_m = _shrunk(view, shrink) if shrink > 1 else view.read()
    whole_height, whole_width = depth_m.shape
    size = 1.0 if rng.random() < 0.5 else rng.uniform(SMALLEST_CROP, 1.0)
    height, width = round(size * whole_height), round(size * whole_width)
    top, left = int(rng.integers(whole_height - height + 1)), int(rng.integers(whole_width - width + 1))
    part = (slice(top, top + height), slice(left, left + width))
    wide, high = INPUT_WIDTH_PX // shrink, INPUT_HEIGHT_PX // shrink
    scale = wide / width
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    image = cv2.resize(image[part], (wide, high), interpolation=how)
    depth_m = cv2.resize(depth_m[part], (wide // 2, high // 2), interpolation=cv2.INTER_NEAREST_EXACT)
    focal_px, axis_row = scale * view.focal_px / shrink, (view.principal_row_px + 0.5) / shrink
    depth_scale = shrink * focal_px / CANONICAL_FOCAL_PX
    axis_px = scale * (0.5 * whole_width - left) - 0.5, scale * (axis_row - top) - 0.5
    floor = inverse_floor(misjudged(view.floor, rng), (high, wide), focal_px, axis_px, depth_scale)
    canonical_m = np.minimum(depth_m, FARTHEST_M) / depth_scale
    if rng.random() < 0.5:
        image, canonical_m, floor = image[:, ::-1], canonical_m[:, ::-1], floor[:, ::-1]
    known = float(rng.random() >= FLOOR_UNKNOWN)
    return Sample(image, canonical_m, axis_px[1], known * floor, known)


@cache
def _shrunk(view: View, by: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a view `by` times smaller, kept in memory: reading it again would take as long as learning from it."""
    image, depth_m = view.read()
    size = (image.shape[1] // by, image.shape[0] // by)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.resize(
        depth_m, size, interpolation=cv2.INTER_NEAREST_EXACT
    )


def misjudged(floor: Floor, rng: np.random.Generator) -> Floor:
    """Return a floor as a robot knows it, whose mast was measured by hand."""
    up = np.array(floor.up) + rng.normal(0.0, FLOOR_TURN_RAD, 3)
    return Floor(floor.height_m + float(rng.normal(0.0, FLOOR_HEIGHT_M)), tuple(up / np.linalg.norm(up)))


def level_cut(square: LabelledImage) -> LabelledImage:
    """Return the middle rows of a square view, in the proportions of the robot's camera; colour and depth only."""
    top = (square.camera.height - HEIGHT_PX) // 2
    rows, old = slice(top, top + HEIGHT_PX), square.camera
    camera = PinholeCamera(old.width, HEIGHT_PX, old.fx, old.fy, old.cx, old.cy - top)
    return LabelledImage(**{**vars(square), "rgb": square.rgb[rows], "depth_m": square.depth_m[rows], "camera": camera})


def _render_seed(folder: Path, seed: int, count: int) -> None:
    poses = []
    for number, view in enumerate(labelled_views(seed, count)):
        file = folder / f"{seed}_{number:02d}.jpg"
        cv2.imwrite(str(file), view.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        cv2.imwrite(str(file.with_suffix(".png")), np.rint(np.minimum(view.depth_m, 65.0) * 1e3).astype(np.uint16))
        camera = [view.camera.fy, view.camera.cy]
        poses.append([*view.world_T_camera[2, 3:].tolist(), *view.world_T_camera[2, :3].tolist()])
    (folder / f"{seed}.json").write_text(json.dumps({"camera": camera, "poses": poses}), "utf-8")
