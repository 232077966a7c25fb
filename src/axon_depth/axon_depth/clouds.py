# SPDX-License-Identifier: Apache-2.0
"""Points of a depth image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from axon_core.arrays import AnyArray, Float32Array
from axon_core.cameras import PinholeCamera


def points_of(
    depth_m: AnyArray, sigma_m: AnyArray, camera: PinholeCamera, max_relative_sigma: float, stride_px: int = 1
) -> Float32Array:
    """Return points (N, 3) in the optical frame of every `stride_px`-th row and column of a depth image (H, W).

    Holes (NaN) and pixels whose sigma is more than `max_relative_sigma` of their depth make none. Raises ValueError
    where the camera's distortion cannot be inverted.
    """
    thinned = (slice(stride_px // 2, None, stride_px),) * 2
    depth, sigma = depth_m[thinned], sigma_m[thinned]
    with np.errstate(invalid="ignore"):
        kept = sigma <= max_relative_sigma * depth
    return np.asarray(_rays(camera, stride_px)[kept] * depth[kept][:, None], dtype=np.float32)


@lru_cache(maxsize=4)
def _rays(camera: PinholeCamera, stride_px: int) -> Float32Array:
    """Return the points (h, w, 3) at depth 1; a camera's are the same for every image."""
    at = slice(stride_px // 2, None, stride_px)
    v, u = np.mgrid[: camera.height, : camera.width][:, at, at]
    rays = camera.rays(np.stack([u.ravel(), v.ravel()], axis=-1)).reshape(*u.shape, 3).astype(np.float32)
    rays.setflags(write=False)
    return rays
