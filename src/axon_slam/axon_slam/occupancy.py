# SPDX-License-Identifier: Apache-2.0
"""The occupancy map: what each keyframe saw of free floor and obstacles, entered along its rays.

Log-odds as in Thrun, Burgard, Fox, "Probabilistic Robotics", 2005, table 9.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from axon_core.arrays import AnyArray, BoolArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_core.geometry import se2_apply
from axon_core.grids import FREE, OCCUPIED, UNKNOWN, Grid
from axon_core.scans import Scan
from axon_slam.se3 import move

LOG_FREE, LOG_HIT, LOG_LIMIT = -0.4, 0.85, 5.0
SURE = 0.7  # log-odds beyond which a cell counts as free or occupied
_MARGIN_CELLS = 40
_DEPTH_STEP = 4  # every fourth pixel of the depth image is enough for cells of centimetres
_BEARING_RAD = 0.01


@dataclass(frozen=True)
class PlanarScan:
    """Rays in the plane of the base's frame: from `origin` (2,) to `ends` (N, 2), where `hits` (N,) an obstacle is."""

    origin: FloatArray
    ends: FloatArray
    hits: BoolArray


EMPTY_SCAN = PlanarScan(np.zeros(2), np.zeros((0, 2)), np.zeros(0, dtype=bool))


def scan_from_depth(
    depth_m: AnyArray,
    camera: PinholeCamera,
    base_T_camera: FloatArray,
    heights_m: tuple[float, float],
    ranges_m: tuple[float, float],
) -> PlanarScan:
    """Return for each bearing the nearest obstacle between two heights, or how far the floor is seen to be free."""
    small = np.asarray(depth_m[::_DEPTH_STEP, ::_DEPTH_STEP], dtype=np.float64)
    v, u = np.mgrid[0 : camera.height : _DEPTH_STEP, 0 : camera.width : _DEPTH_STEP]
    usable = np.isfinite(small) & (small > ranges_m[0])
    z = small[usable]
    rays = np.stack([(u[usable] - camera.cx) / camera.fx, (v[usable] - camera.cy) / camera.fy, np.ones(len(z))], axis=1)
    points = move(base_T_camera, rays * z[:, None])
    origin = base_T_camera[:2, 3]
    reach = np.linalg.norm(points[:, :2] - origin, axis=1)
    bearing = np.arctan2(points[:, 1] - origin[1], points[:, 0] - origin[0])
    is_obstacle = (points[:, 2] > heights_m[0]) & (points[:, 2] < heights_m[1]) & (reach < ranges_m[1])
    is_floor = points[:, 2] <= heights_m[0]
    return _by_bearing(origin, bearing, reach, is_obstacle, is_floor, ranges_m[1])


def scan_from_lidar(scan: Scan, base_T_laser: FloatArray, max_range_m: float) -> PlanarScan:
    """Return a lidar's rays with a measurement, cut at a range; `base_T_laser` is its pose (3,)."""
    known = ~np.isnan(scan.ranges_m) & (scan.ranges_m > scan.range_min_m)
    ranges = np.minimum(scan.ranges_m[known].astype(np.float64), max_range_m)
    hits = scan.hits[known] & (scan.ranges_m[known] < max_range_m)
    angles = scan.angles_rad[known]
    ends = np.stack([ranges * np.cos(angles), ranges * np.sin(angles)], axis=1)
    return PlanarScan(np.asarray(base_T_laser[:2]), se2_apply(base_T_laser, ends), hits)


class OccupancyMap:
    """A grid of log-odds that grows with what is seen."""

    def __init__(self, resolution_m: float) -> None:
        self.resolution_m = resolution_m
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._log_odds = np.zeros((0, 0), dtype=np.float32)
        self._corner = np.zeros(2, dtype=np.intp)  # cell [row, col] of the grid's first, counted from the map's origin

    def enter(self, pose: FloatArray, scan: PlanarScan) -> None:
        """Enter a scan taken at map_T_base (3,): cells along its rays are free, where it hits occupied."""
        if len(scan.ends) == 0:
            return
        start = self._cells(se2_apply(pose, scan.origin[None, :]))[0]
        ends = self._cells(se2_apply(pose, scan.ends))
        self._grow(np.vstack([ends, start]))
        _cast(self._log_odds, start - self._corner, ends - self._corner, scan.hits, LOG_FREE, LOG_HIT, LOG_LIMIT)

    def to_grid(self) -> Grid | None:
        """Return the grid of UNKNOWN, FREE and OCCUPIED (int8), None before anything was entered."""
        if self._log_odds.size == 0:
            return None
        data = np.full(self._log_odds.shape, UNKNOWN, dtype=np.int8)
        data[self._log_odds < -SURE] = FREE
        data[self._log_odds > SURE] = OCCUPIED
        return Grid(data, self.resolution_m, self._corner[::-1] * self.resolution_m)

    def _cells(self, points: FloatArray) -> AnyArray:
        return np.floor(points / self.resolution_m).astype(np.intp)[:, ::-1]

    def _grow(self, cells: AnyArray) -> None:
        low, high = cells.min(axis=0), cells.max(axis=0) + 1
        shape = np.array(self._log_odds.shape)
        if shape.all():
            if (low >= self._corner).all() and (high <= self._corner + shape).all():
                return
            low, high = np.minimum(low, self._corner), np.maximum(high, self._corner + shape)
        low, high = low - _MARGIN_CELLS, high + _MARGIN_CELLS
        grown = np.zeros(high - low, dtype=np.float32)
        row, col = self._corner - low if shape.all() else (0, 0)
        grown[row : row + shape[0], col : col + shape[1]] = self._log_odds
        self._log_odds, self._corner = grown, low


def _by_bearing(
    origin: FloatArray, bearing: FloatArray, reach: FloatArray, is_obstacle: BoolArray, is_floor: BoolArray, far: float
) -> PlanarScan:
    bins = np.floor(bearing / _BEARING_RAD).astype(np.intp)
    if len(bins) == 0:
        return EMPTY_SCAN
    first = bins.min()
    bins = bins - first
    count = int(bins.max()) + 1
    nearest, farthest = np.full(count, np.inf), np.zeros(count)
    np.minimum.at(nearest, bins[is_obstacle], reach[is_obstacle])
    np.maximum.at(farthest, bins[is_floor], np.minimum(reach[is_floor], far))
    hits = np.isfinite(nearest)
    ranges = np.where(hits, nearest, farthest)
    angles = (first + np.arange(count) + 0.5) * _BEARING_RAD
    known = ranges > 0.0
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return PlanarScan(origin.copy(), origin + directions[known] * ranges[known, None], hits[known])


@njit(cache=True)
def _cast(log_odds, start, ends, hits, log_free, log_hit, limit):  # type: ignore[no-untyped-def]
    """Bresenham's line from the start to each end, all cells inside the grid."""
    for i in range(len(ends)):
        row, col = start[0], start[1]
        d_row, d_col = abs(ends[i, 0] - row), abs(ends[i, 1] - col)
        step_row = 1 if ends[i, 0] > row else -1
        step_col = 1 if ends[i, 1] > col else -1
        error = d_col - d_row
        while row != ends[i, 0] or col != ends[i, 1]:
            log_odds[row, col] = max(log_odds[row, col] + log_free, -limit)
            twice = 2 * error
            if twice > -d_row:
                error -= d_row
                col += step_col
            if twice < d_col:
                error += d_col
                row += step_row
        change = log_hit if hits[i] else log_free
        log_odds[row, col] = min(max(log_odds[row, col] + change, -limit), limit)
