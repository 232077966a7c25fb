# SPDX-License-Identifier: Apache-2.0
"""One look of an RGB-D camera: its features with the depth at them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.arrays import AnyArray, BoolArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array
from axon_slam.config import SlamConfig
from axon_slam.features import FeatureExtractor, Features
from axon_slam.pose_estimation import Matches
from axon_slam.se3 import move

_DEPTH_FLOOR_M = 0.003
_ROBOT_MARGIN_PX = 9
_DEPTH_EDGE = 0.06  # of the depth: where its neighbours differ by more, it belongs to nobody


@dataclass(frozen=True)
class Frame:
    """Features (pixels without distortion), the depth at them (N,), NaN where there is none, and the camera's mount."""

    stamp_s: float
    features: Features
    depths_m: FloatArray
    sigmas_m: FloatArray
    camera: PinholeCamera
    base_T_camera: FloatArray

    @property
    def has_depth(self) -> BoolArray:
        """Mask (N,) of the features with depth."""
        return np.isfinite(self.depths_m)

    def points_in_base(self, chosen: AnyArray) -> FloatArray:
        """Return the points (M, 3) of features with depth in the base's frame."""
        pixels, depth = self.features.pixels[chosen], self.depths_m[chosen]
        x = (pixels[:, 0] - self.camera.cx) / self.camera.fx * depth
        y = (pixels[:, 1] - self.camera.cy) / self.camera.fy * depth
        return move(self.base_T_camera, np.stack([x, y, depth], axis=1))

    def matches(self, points: FloatArray, chosen: AnyArray) -> Matches:
        """Return points (M, 3) matched with the features of these M indices."""
        features = self.features.select(chosen)
        return Matches(points, features.pixels, self.depths_m[chosen], features.sigmas_px, self.sigmas_m[chosen])


def make_frame(
    stamp_s: float,
    image: AnyArray,
    depth_m: AnyArray,
    camera: PinholeCamera,
    base_T_camera: FloatArray,
    extractor: FeatureExtractor,
    config: SlamConfig,
    robot: BoolArray | None = None,
) -> Frame:
    """Return the frame of an image, (H, W) grey or (H, W, 3) RGB uint8, and its depth (H, W) in m, 0 or NaN for none.

    Of the pixels `robot` (H, W), those of the robot itself, nothing is taken. Raises ValueError where a size or type
    does not fit.
    """
    gray = check_image(image, camera)
    depth = check_array("depth_m", depth_m, (camera.height, camera.width), finite=False, dtype=np.float32)
    features = extractor.extract(gray, None if robot is None else ~robot)
    depths = depth_at(depth, features.pixels, config.depth_min_m, config.depth_max_m)
    if camera.distortion and len(features):
        rays = camera.rays(features.pixels)
        straight = rays[:, :2] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        features = Features(straight, features.sigmas_px, features.descriptors)
    sigmas = _DEPTH_FLOOR_M + config.depth_noise * depths**2
    return Frame(stamp_s, features, depths, sigmas, camera, base_T_camera)


def robot_pixels(
    depth_m: AnyArray, camera: PinholeCamera, base_T_camera: FloatArray, box_m: tuple[float, ...]
) -> BoolArray:
    """Return which pixels (H, W) show something in a box of the base's frame, from (3,) and to (3,), or border on it.

    An arm that is carried before the camera stands still in every image: a tracker that believed it would stand still.
    """
    low, high = np.array(box_m[:3]), np.array(box_m[3:])
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    reach_m = np.linalg.norm(corners - base_T_camera[:3, 3], axis=1).max()
    near = (np.asarray(depth_m) > 0.0) & (np.asarray(depth_m) < reach_m)
    rows, columns = np.nonzero(near)  # few: most of what is seen is farther than an arm reaches
    rays = camera.rays(np.stack([columns, rows], axis=1).astype(np.float64))
    points = move(base_T_camera, rays * np.asarray(depth_m, dtype=np.float64)[rows, columns, None])
    inside = ((points >= low) & (points <= high)).all(axis=1)
    mask = np.zeros(np.shape(depth_m), dtype=np.uint8)
    mask[rows[inside], columns[inside]] = 1
    return cv2.dilate(mask, np.ones((_ROBOT_MARGIN_PX, _ROBOT_MARGIN_PX), np.uint8)).astype(bool)


def check_image(image: AnyArray, camera: PinholeCamera) -> AnyArray:
    """Return the image in grey; ValueError where it is no uint8 image of the camera's size."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.shape[:2] != (camera.height, camera.width) or array.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"image: expected uint8 of {camera.width} x {camera.height}, grey or RGB, got {array.dtype} {array.shape}"
        )
    return cv2.cvtColor(array, cv2.COLOR_RGB2GRAY) if array.ndim == 3 else array


def depth_at(depth_m: AnyArray, pixels: FloatArray, minimum_m: float, maximum_m: float) -> FloatArray:
    """Return the depth (N,) at pixels (N, 2): the middle of its 3 x 3 neighbours; NaN at holes and at edges."""
    height, width = depth_m.shape
    col = np.clip(np.rint(pixels[:, 0]).astype(np.intp), 1, width - 2)
    row = np.clip(np.rint(pixels[:, 1]).astype(np.intp), 1, height - 2)
    around = np.stack([depth_m[row + i, col + j] for i in (-1, 0, 1) for j in (-1, 0, 1)], axis=1).astype(np.float64)
    usable = np.isfinite(around) & (around >= minimum_m) & (around <= maximum_m)
    around = np.where(usable, around, np.nan)
    center = around[:, 4]
    lowest = np.where(usable, around, np.inf).min(axis=1, initial=np.inf)
    highest = np.where(usable, around, -np.inf).max(axis=1, initial=-np.inf)
    smooth = (
        usable[:, 4]
        & (usable.sum(axis=1) >= 6)
        & (highest - lowest < _DEPTH_EDGE * np.where(usable[:, 4], center, 1.0))
    )
    means = np.where(usable, around, 0.0).sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    return np.where(smooth, means, np.nan)
