# SPDX-License-Identifier: Apache-2.0
"""The table from above: an orthographic map of heights, made of one depth image and the camera's pose.

The map's frame stands upright at the target: x points away from the camera, z up, its origin on the surface that things
stand on. So what the camera cannot see always lies on the same side, and turning scene and camera together about the
vertical leaves the map as it is. Row is y and column is x, as in axon_core.grids.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import AnyArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.checks import check_array
from axon_core.geometry import apply_transform, check_transform, invert_transform

CELLS = 96
RESOLUTION_M = 0.004
HALF_M = 0.5 * CELLS * RESOLUTION_M
HIGHEST_M = 0.45  # above the target; what is higher is not on the same table
LOWEST_M = 0.45
RAISED_M = 0.008  # what stands higher than this above the surface is a thing
_UPSAMPLING = 3
_EDGE_M = 0.025  # neighbouring pixels farther apart in depth show different surfaces
_BIN_M = 0.005
_SUPPORT_SHARE = 0.5


class NothingSeen(ValueError):
    """The depth image shows nothing where one is to look."""


@dataclass(frozen=True)
class HeightMap:
    """Heights (CELLS, CELLS) float32 in m above the surface, 0 where not `known` (CELLS, CELLS) bool.

    `base_T_map` (4, 4) is the pose of the map's frame, whose origin is the middle of the map.
    """

    heights_m: AnyArray
    known: AnyArray
    base_T_map: FloatArray

    def look_up(self, xy_m: AnyArray) -> AnyArray:
        """Return the heights at points (..., 2); 0 where unknown and beyond the map."""
        cells = cells_of(xy_m)
        inside = ((cells >= 0) & (cells < CELLS)).all(axis=-1)
        row, column = np.moveaxis(np.clip(cells, 0, CELLS - 1), -1, 0)
        return np.where(inside, self.heights_m[row, column], 0.0)


def cells_of(xy_m: AnyArray) -> AnyArray:
    """Return the cells (..., 2) as row, column of points (..., 2) in the map's frame; they may lie outside."""
    return np.floor((np.asarray(xy_m)[..., ::-1] + HALF_M) / RESOLUTION_M).astype(np.intp)


def centers_of(cells: AnyArray) -> FloatArray:
    """Return the points (..., 2) in the map's frame of the centres of cells (..., 2)."""
    return np.asarray((np.asarray(cells)[..., ::-1] + 0.5) * RESOLUTION_M - HALF_M)


def make_height_map(
    depth_m: ArrayLike, camera: PinholeCamera, base_T_camera: ArrayLike, target_m: ArrayLike
) -> HeightMap:
    """Return the map about a target (3,) in the base's frame, whose z is up.

    depth_m (H, W) is along the optical axis, 0 or NaN where there is none. Raises NothingSeen, and ValueError where an
    input does not fit the others.
    """
    depth = check_array("depth_m", depth_m, (camera.height, camera.width), finite=False, dtype=np.float32)
    mount = check_transform(base_T_camera, "base_T_camera")
    target = check_array("target_m", target_m, (3,))
    base_T_window = window_pose(mount, target)
    window_T_camera = invert_transform(base_T_window) @ mount
    points = _dense_points(depth, camera, window_T_camera)
    heights, known = _splat(points)
    if known.sum() < 0.02 * known.size:
        raise NothingSeen(f"no depth around {np.round(target, 3).tolist()} m in the base's frame: look there")
    heights, known = _fill_pinholes(heights, known)
    support_m = support_height_m(heights[known])
    base_T_map = base_T_window.copy()
    base_T_map[2, 3] += support_m
    return HeightMap(np.where(known, heights - support_m, 0.0).astype(np.float32), known, base_T_map)


def window_pose(base_T_camera: FloatArray, target_m: FloatArray) -> FloatArray:
    """Return the upright frame (4, 4) at a target whose x points away from the camera."""
    away = target_m[:2] - base_T_camera[:2, 3]
    yaw = np.arctan2(away[1], away[0]) if np.linalg.norm(away) > 1e-3 else 0.0
    cos, sin = np.cos(yaw), np.sin(yaw)
    pose = np.eye(4)
    pose[:2, :2] = [[cos, -sin], [sin, cos]]
    pose[:3, 3] = target_m
    return pose


def support_height_m(heights_m: AnyArray) -> float:
    """Return the height of what things stand on: the highest of the large level surfaces among heights (N,).

    A table's top and the floor beside it are both level and large; things stand on the higher one.
    """
    bins = np.floor((heights_m + LOWEST_M) / _BIN_M).astype(np.intp)
    counts = np.bincount(bins, minlength=round((LOWEST_M + HIGHEST_M) / _BIN_M) + 1).astype(np.float64)
    smooth = np.convolve(counts, [1.0, 1.0, 1.0], mode="same")
    best = int(np.flatnonzero(smooth >= _SUPPORT_SHARE * smooth.max())[-1])
    first = max(best - 2, 0)
    best = first + int(np.argmax(smooth[first : best + 1]))
    middle = (best + 0.5) * _BIN_M - LOWEST_M
    return float(np.median(heights_m[np.abs(heights_m - middle) <= 1.5 * _BIN_M]))


def object_mask(heights: HeightMap, reach_m: float = 0.14) -> AnyArray:
    """Return which cells (CELLS, CELLS) bool belong to the thing at the map's middle; NothingSeen where there is none.

    It is the connected raised region that comes nearest to the middle, within `reach_m` of it.
    """
    raised = (heights.known & (heights.heights_m > RAISED_M)).astype(np.uint8)
    raised = cv2.morphologyEx(raised, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, labels = cv2.connectedComponents(raised, connectivity=4)
    rows, columns = np.indices(labels.shape)
    distance = np.linalg.norm(centers_of(np.stack([rows, columns], axis=-1)), axis=-1)
    distance = np.where(_large(labels), distance, np.inf)
    nearest = np.unravel_index(np.argmin(distance), distance.shape)
    if distance[nearest] > reach_m:
        raise NothingSeen(f"nothing stands within {reach_m} m of the target")
    return labels == labels[nearest]


def network_input(heights: HeightMap) -> AnyArray:
    """Return what the network sees (2, CELLS, CELLS) float32: heights in decimetres, and which are known."""
    clipped = np.clip(heights.heights_m * 10.0, -0.5, 3.0)
    return np.stack([clipped, heights.known]).astype(np.float32)


def _large(labels: AnyArray, cells: int = 6) -> AnyArray:
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    return (counts >= cells)[labels]


def _dense_points(depth: AnyArray, camera: PinholeCamera, window_T_camera: FloatArray) -> AnyArray:
    """Return points (N, 3) in the window, denser than the pixels within a surface, so that no cell is missed."""
    holes = ~np.isfinite(depth) | (depth <= 0.0)
    coarse = apply_nan(window_T_camera, camera.back_project_image(np.where(holes, 0.0, depth)))
    inside = _in_window(coarse, margin_m=0.02)
    if not inside.any():
        return np.zeros((0, 3))
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    top, left = max(rows[0] - 1, 0), max(columns[0] - 1, 0)
    part = np.where(holes, 0.0, depth)[top : rows[-1] + 2, left : columns[-1] + 2]
    fine = _upsampled(part)
    v, u = np.indices(fine.shape)
    pixels = (np.stack([u, v], axis=-1).reshape(-1, 2) + 0.5) / _UPSAMPLING - 0.5 + (left, top)
    kept = fine.ravel() > 0.0
    points = camera.rays(pixels[kept]) * fine.ravel()[kept, None]
    points = apply_transform(window_T_camera, points)
    return points[_in_window(points, margin_m=0.0)]


def apply_nan(a_T_b: FloatArray, points: AnyArray) -> AnyArray:
    """Return points (..., 3) in a, NaN where they were."""
    return np.asarray(points @ a_T_b[:3, :3].T + a_T_b[:3, 3])


def _upsampled(depth: AnyArray) -> AnyArray:
    """Return the depth at _UPSAMPLING times the size: linear within a surface, nearest across edges and at holes."""
    size = (depth.shape[1] * _UPSAMPLING, depth.shape[0] * _UPSAMPLING)
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel)
    nearest = cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
    linear = cv2.resize(depth, size, interpolation=cv2.INTER_LINEAR)
    return np.where(cv2.resize(spread, size, interpolation=cv2.INTER_NEAREST) < _EDGE_M, linear, nearest)


def _in_window(points: AnyArray, margin_m: float) -> AnyArray:
    with np.errstate(invalid="ignore"):
        flat = np.abs(points[..., :2]).max(axis=-1) < HALF_M + margin_m
        return flat & (points[..., 2] > -LOWEST_M) & (points[..., 2] < HIGHEST_M)


def _splat(points: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Return the highest point of each cell, and which cells have one."""
    heights = np.full(CELLS * CELLS, -np.inf)
    rows, columns = np.moveaxis(cells_of(points[:, :2]), -1, 0)
    np.maximum.at(heights, rows * CELLS + columns, points[:, 2])
    known = np.isfinite(heights)
    return np.where(known, heights, 0.0).reshape(CELLS, CELLS), known.reshape(CELLS, CELLS)


def _fill_pinholes(heights: AnyArray, known: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Give a cell without a point, of whose eight neighbours most have one, their mean."""
    kernel = np.ones((3, 3), np.float32)
    counts = cv2.filter2D(known.astype(np.float32), -1, kernel, borderType=cv2.BORDER_CONSTANT)
    sums = cv2.filter2D(np.where(known, heights, 0.0).astype(np.float32), -1, kernel, borderType=cv2.BORDER_CONSTANT)
    filled = ~known & (counts >= 5.0)
    return np.where(filled, sums / np.maximum(counts, 1.0), heights), known | filled
