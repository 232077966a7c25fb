# SPDX-License-Identifier: Apache-2.0
"""Depth as another camera would see it, for sensors whose driver does not align depth with colour."""

from __future__ import annotations

import numpy as np
from numba import njit

from axon_core.arrays import AnyArray, Float32Array, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array


def register_depth(
    depth_m: AnyArray, depth_camera: PinholeCamera, color_camera: PinholeCamera, color_T_depth: FloatArray
) -> Float32Array:
    """Return the depth (H, W) in m seen by the colour camera, 0 where nothing lands.

    Each pixel covers the 2 x 2 pixels around where it lands; the nearest one wins. Both cameras without distortion.
    """
    depth = check_array("depth_m", depth_m, (depth_camera.height, depth_camera.width), finite=False, dtype=np.float32)
    registered = np.zeros((color_camera.height, color_camera.width), dtype=np.float32)
    first = np.array([depth_camera.fx, depth_camera.fy, depth_camera.cx, depth_camera.cy])
    second = np.array([color_camera.fx, color_camera.fy, color_camera.cx, color_camera.cy])
    _warp(depth, first, second, np.ascontiguousarray(color_T_depth, dtype=np.float64), registered)
    return registered


@njit(cache=True)
def _warp(depth, first, second, color_T_depth, registered):  # type: ignore[no-untyped-def]
    height, width = registered.shape
    for row in range(depth.shape[0]):
        for col in range(depth.shape[1]):
            z = depth[row, col]
            if not z > 0.0:
                continue
            x, y = (col - first[2]) / first[0] * z, (row - first[3]) / first[1] * z
            far = color_T_depth[2, 0] * x + color_T_depth[2, 1] * y + color_T_depth[2, 2] * z + color_T_depth[2, 3]
            if far <= 0.0:
                continue
            right = color_T_depth[0, 0] * x + color_T_depth[0, 1] * y + color_T_depth[0, 2] * z + color_T_depth[0, 3]
            down = color_T_depth[1, 0] * x + color_T_depth[1, 1] * y + color_T_depth[1, 2] * z + color_T_depth[1, 3]
            u = int(np.floor(second[0] * right / far + second[2]))
            v = int(np.floor(second[1] * down / far + second[3]))
            for i in range(max(v, 0), min(v + 2, height)):
                for j in range(max(u, 0), min(u + 2, width)):
                    if registered[i, j] == 0.0 or far < registered[i, j]:
                        registered[i, j] = far
