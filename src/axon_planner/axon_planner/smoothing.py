# SPDX-License-Identifier: Apache-2.0
"""From a chain of cells to a path that a robot can follow fast: shortcuts, then an elastic band.

Neither step makes a path less safe: a shortcut is taken only where it costs no more than what it replaces, and a point
of the band moves only where its clearance stays or is comfortable (Quinlan and Khatib, "Elastic Bands", 1993).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from axon_planner.costmap import Field, interpolate

SHORTCUT_REACH = 120
BAND_ROUNDS = 60
BAND_PULL = 0.4
BAND_PUSH = 0.02


def shortcut(points: np.ndarray, cost: np.ndarray, field: Field) -> np.ndarray:
    """Corner points (M, 2) of a path that costs no more than `points` (N, 2), over `cost` (H, W), inf where blocked."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    kept = _shortcut(points, cost, field.origin_m, field.resolution_m)
    return points[kept]


def segment_cost(points: np.ndarray, cost: np.ndarray, field: Field) -> float:
    """Cost in metres of the line through `points` (N, 2); inf where it touches a blocked cell."""
    points = np.ascontiguousarray(points, dtype=np.float64)
    return float(_line_costs(points, cost, field.origin_m, field.resolution_m).sum())


def resample(points: np.ndarray, spacing_m: float, count: int | None = None) -> np.ndarray:
    """Points (K, 2) at equal spacing along the line through `points` (N, 2), both ends kept.

    K is `count`, or where that is not given as many as bring the spacing to `spacing_m` at most.
    """
    points = np.asarray(points, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    count = count or max(2, int(np.ceil(along[-1] / spacing_m - 1e-9)) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """Values (N,) at even places along a line, at `count` even places along it."""
    return np.interp(np.linspace(0.0, len(values) - 1.0, count), np.arange(len(values)), values)


def path_length(path: np.ndarray) -> float:
    """Length in metres of poses or points (N, 2+)."""
    return float(np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).sum()) if len(path) else 0.0


def elastic_band(points: np.ndarray, field: Field, comfort_m: float) -> np.ndarray:
    """Points (N, 2) pulled straight and pushed away from obstacles nearer than `comfort_m`; the ends stay."""
    band = np.array(points, dtype=np.float64)
    _relax(band, field.distance_m, field.origin_m, field.resolution_m, comfort_m)
    return band


def with_headings(
    points: np.ndarray, last_yaw_rad: float | None = None, first_yaw_rad: float | None = None
) -> np.ndarray:
    """Poses (N, 3) of points (N, 2) that look along the path; the first and the last as they are given, if so."""
    points = np.asarray(points, dtype=np.float64)
    tangent = np.gradient(points, axis=0) if len(points) > 1 else np.array([[1.0, 0.0]])
    yaw = np.arctan2(tangent[:, 1], tangent[:, 0])
    if first_yaw_rad is not None:
        yaw[0] = first_yaw_rad
    if last_yaw_rad is not None:
        yaw[-1] = last_yaw_rad
    return np.column_stack([points, yaw])


@njit(cache=True)
def _line_cost(ax, ay, bx, by, cost, origin, resolution):
    length = np.hypot(bx - ax, by - ay)
    count = max(1, int(np.ceil(length / (0.5 * resolution))))
    total = 0.0
    for i in range(count + 1):
        f = i / count
        col = int(np.floor((ax + f * (bx - ax) - origin[0]) / resolution))
        row = int(np.floor((ay + f * (by - ay) - origin[1]) / resolution))
        if row < 0 or col < 0 or row >= cost.shape[0] or col >= cost.shape[1]:
            return np.inf
        total += cost[row, col] * (0.5 if i == 0 or i == count else 1.0)
    return total * length / count


@njit(cache=True)
def _line_costs(points, cost, origin, resolution):
    out = np.empty(max(0, len(points) - 1))
    for i in range(len(out)):
        out[i] = _line_cost(points[i, 0], points[i, 1], points[i + 1, 0], points[i + 1, 1], cost, origin, resolution)
    return out


@njit(cache=True)
def _shortcut(points, cost, origin, resolution):
    n = len(points)
    total = np.zeros(n)
    costs = _line_costs(points, cost, origin, resolution)
    for i in range(n - 1):  # a blocked piece (a start too near to an obstacle) counts nothing: no shortcut replaces it
        total[i + 1] = total[i] + (costs[i] if costs[i] < np.inf else 0.0)
    kept = np.empty(n, np.int64)
    kept[0] = 0
    count = 1
    i = 0
    while i < n - 1:
        best = i + 1
        for j in range(min(n - 1, i + SHORTCUT_REACH), i + 1, -1):
            direct = _line_cost(points[i, 0], points[i, 1], points[j, 0], points[j, 1], cost, origin, resolution)
            if direct <= total[j] - total[i] + 1e-9:
                best = j
                break
        i = best
        kept[count] = i
        count += 1
    return kept[:count]


@njit(cache=True)
def _relax(band, distance, origin, resolution, comfort):
    for _ in range(BAND_ROUNDS):
        for i in range(1, len(band) - 1):
            x, y = band[i]
            here = interpolate(distance, origin[0], origin[1], resolution, x, y)
            dx = BAND_PULL * (0.5 * (band[i - 1, 0] + band[i + 1, 0]) - x)
            dy = BAND_PULL * (0.5 * (band[i - 1, 1] + band[i + 1, 1]) - y)
            if here < comfort:
                push = BAND_PUSH * (1.0 - here / comfort)
                step = 0.5 * resolution
                gx = interpolate(distance, origin[0], origin[1], resolution, x + step, y)
                gx -= interpolate(distance, origin[0], origin[1], resolution, x - step, y)
                gy = interpolate(distance, origin[0], origin[1], resolution, x, y + step)
                gy -= interpolate(distance, origin[0], origin[1], resolution, x, y - step)
                norm = max(np.hypot(gx, gy), 1e-6)
                dx += push * gx / norm
                dy += push * gy / norm
            there = interpolate(distance, origin[0], origin[1], resolution, x + dx, y + dy)
            if there >= min(here, comfort):
                band[i, 0], band[i, 1] = x + dx, y + dy
