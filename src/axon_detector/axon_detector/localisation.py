# SPDX-License-Identifier: Apache-2.0
"""From a box in the image and the depth in it to a box in space.

Optical frame: x right, y down, z ahead, metres. An object is taken to be as deep as the smaller side
of its outline, which is right for what is round and nearly so for what lies flat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axon_core.cameras import PinholeCamera

_MIDDLE = 0.25  # of the box's sides, about its centre: there the object is, and not what it stands on or before
_MIN_PIXELS = 4
_FRONT_PERCENTILE = 10.0
_MARGIN_M = 0.02


@dataclass(frozen=True)
class Box3D:
    """Centre (3,) and size (3,) along the axes of the camera's optical frame, m; pixels: how many depths it is from."""

    centre_m: np.ndarray
    size_m: np.ndarray
    pixels: int


def locate(
    box_xyxy: np.ndarray, depth_m: np.ndarray, camera: PinholeCamera, near_m: float, far_m: float
) -> Box3D | None:
    """Return where the object in a box (4,) px of the image is, None where too little depth is known in it.

    The depth image (H, W) is aligned with the image and as large; 0, NaN or what lies outside near_m .. far_m is none.
    """
    window = _window(box_xyxy, depth_m.shape)
    known = _known(depth_m[window], near_m, far_m)
    at_m = _middle_depth_m(box_xyxy, depth_m, near_m, far_m)
    if at_m is None:
        return None
    width_px, height_px = box_xyxy[2] - box_xyxy[0], box_xyxy[3] - box_xyxy[1]
    reach_m = 0.5 * max(width_px / camera.fx, height_px / camera.fy) * at_m + _MARGIN_M
    mine = known[np.abs(known - at_m) <= reach_m]
    if not mine.size:
        return None
    front_m = float(np.percentile(mine, _FRONT_PERCENTILE))
    return _box_behind(box_xyxy, front_m, camera, len(mine))


def _box_behind(box_xyxy: np.ndarray, front_m: float, camera: PinholeCamera, pixels: int) -> Box3D:
    """Return the box whose front lies at a depth and whose outline is the box in the image."""
    x0, y0, x1, y1 = box_xyxy
    per_m = np.array([(x1 - x0) / camera.fx, (y1 - y0) / camera.fy])
    # the outline is seen half the object's depth behind its front: z = front + per_m z / 2
    middle_m = front_m / (1.0 - 0.5 * min(*per_m, 1.0))
    width_m, height_m = per_m * middle_m
    ray = camera.rays(np.array([[0.5 * (x0 + x1) - 0.5, 0.5 * (y0 + y1) - 0.5]]))[0]  # pixel centres are whole numbers
    return Box3D(ray * middle_m, np.array([width_m, height_m, min(width_m, height_m)]), pixels)


def _middle_depth_m(box_xyxy: np.ndarray, depth_m: np.ndarray, near_m: float, far_m: float) -> float | None:
    """Return the median depth in the middle of the box, or in all of it where the middle is a hole."""
    centre = 0.5 * (box_xyxy[:2] + box_xyxy[2:])
    half = np.maximum(_MIDDLE * (box_xyxy[2:] - box_xyxy[:2]), 1.0)
    for box in (np.concatenate([centre - half, centre + half]), box_xyxy):
        known = _known(depth_m[_window(box, depth_m.shape)], near_m, far_m)
        if known.size >= _MIN_PIXELS:
            return float(np.sort(known)[(known.size - 1) // 2])  # one of them, not the mean of front and back
    return None


def _window(box_xyxy: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    x0, y0 = np.floor(box_xyxy[:2]).astype(int)
    x1, y1 = np.ceil(box_xyxy[2:]).astype(int)
    return slice(max(y0, 0), max(min(y1, shape[0]), 0)), slice(max(x0, 0), max(min(x1, shape[1]), 0))


def _known(depth_m: np.ndarray, near_m: float, far_m: float) -> np.ndarray:
    return depth_m[np.isfinite(depth_m) & (depth_m >= near_m) & (depth_m <= far_m)]
