# SPDX-License-Identifier: Apache-2.0
"""How far the base's rectangle is from obstacles: a cover by discs for speed, the rectangle itself for the verdict.

The exact distance of a rectangle to a point changes by no more than the rectangle's fastest point moves. Poses between
two that were measured therefore need no measurement: half the longest move of any point is taken off instead.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field, interpolate

DISCS = 3
STEP_M = 0.01
REACH_M = 0.5  # a clearance beyond this is not measured: it is returned as this


class Discs:
    """A rectangle's cover by discs on its axis: `centers_m` (K,) along x of the base and one radius."""

    def __init__(self, config: PlannerConfig, count: int = DISCS):
        piece = config.footprint_length_m / count
        self.centers_m = config.footprint_center_x_m + (np.arange(count) - 0.5 * (count - 1)) * piece
        self.radius_m = math.hypot(0.5 * piece, 0.5 * config.footprint_width_m)

    def clearance(self, field: Field, pose: np.ndarray) -> float:
        """Distance in metres from the cover at a pose to the nearest obstacle, negative where they overlap."""
        return float(
            disc_clearance(
                field.distance_m, field.origin_m[0], field.origin_m[1], field.resolution_m,
                pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2]), self.centers_m, self.radius_m,
            )
        )  # fmt: skip


def clearance_along(config: PlannerConfig, field: Field, path: np.ndarray) -> float:
    """Least distance in metres from the footprint to the centre of an occupied cell on the way through `path` (N, 3).

    Between poses the base moves straight and turns evenly, the shorter way round. Negative where it overlaps; at most
    `REACH_M`. The value is a lower bound, at most `STEP_M` below the truth.
    """
    path = np.ascontiguousarray(path, dtype=np.float64)
    yaw = np.unwrap(path[:, 2])
    half = np.array([0.5 * config.footprint_length_m, 0.5 * config.footprint_width_m])
    return float(
        _least_clearance(
            path, yaw, field.distance_m, field.origin_m, field.resolution_m, half, config.footprint_center_x_m
        )
    )


def clearances(config: PlannerConfig, field: Field, path: np.ndarray) -> np.ndarray:
    """Signed distance (N,) in metres of the footprint to the nearest occupied cell's centre, at most `REACH_M`."""
    half = np.array([0.5 * config.footprint_length_m, 0.5 * config.footprint_width_m])
    path = np.ascontiguousarray(path, dtype=np.float64)
    return _clearances(path, field.distance_m, field.origin_m, field.resolution_m, half, config.footprint_center_x_m)


@njit(cache=True, inline="always")
def disc_clearance(distance, origin_x, origin_y, resolution, x, y, cos_yaw, sin_yaw, centers, radius):
    """`Discs.clearance`, for compiled callers."""
    nearest = 1e9
    for c in centers:
        d = interpolate(distance, origin_x, origin_y, resolution, x + c * cos_yaw, y + c * sin_yaw)
        nearest = min(nearest, d)
    return nearest - radius


@njit(cache=True)
def _least_clearance(path, yaw, distance, origin, resolution, half, center_x):
    radius = np.hypot(half[0] + abs(center_x), half[1])  # of the point that a turn moves fastest
    least = _clearance_at(path[0, 0], path[0, 1], yaw[0], distance, origin, resolution, half, center_x, REACH_M)
    for i in range(len(path) - 1):
        dx, dy, turn = path[i + 1, 0] - path[i, 0], path[i + 1, 1] - path[i, 1], yaw[i + 1] - yaw[i]
        move = np.hypot(dx, dy) + radius * abs(turn)
        count = max(1, int(np.ceil(move / (2.0 * STEP_M))))
        between = 0.5 * move / count
        for k in range(1, count + 1):
            f = k / count
            x, y, turned = path[i, 0] + f * dx, path[i, 1] + f * dy, yaw[i] + f * turn
            here = _clearance_at(x, y, turned, distance, origin, resolution, half, center_x, least + between)
            least = min(least, here - between)
    return least


@njit(cache=True)
def _clearances(path, distance, origin, resolution, half, center_x):
    out = np.empty(len(path))
    for i in range(len(path)):
        x, y, yaw = path[i]
        out[i] = _clearance_at(x, y, yaw, distance, origin, resolution, half, center_x, REACH_M)
    return out


@njit(cache=True)
def _clearance_at(x, y, yaw, distance, origin, resolution, half, center_x, least):
    """Signed distance of the rectangle at one pose to the nearest centre of an occupied cell, or `least` if less."""
    cos_yaw, sin_yaw = np.cos(yaw), np.sin(yaw)
    mx, my = x + center_x * cos_yaw, y + center_x * sin_yaw
    height, width = distance.shape
    col, row = int(np.floor((mx - origin[0]) / resolution)), int(np.floor((my - origin[1]) / resolution))
    corner = np.hypot(half[0], half[1])
    near = least + corner  # no cell farther from the middle than this can count
    if 0 <= row < height and 0 <= col < width:
        nearest = distance[row, col]  # of any cell to the centre of this one
        if nearest - resolution > near:
            return least
        near = min(near, nearest + 2.0 * resolution + corner - min(half[0], half[1]))
    reach = int(np.ceil(near / resolution)) + 1
    for r in range(max(0, row - reach), min(height, row + reach + 1)):
        for c in range(max(0, col - reach), min(width, col + reach + 1)):
            if distance[r, c] != 0.0:
                continue
            dx = origin[0] + (c + 0.5) * resolution - mx
            dy = origin[1] + (r + 0.5) * resolution - my
            out_x = abs(dx * cos_yaw + dy * sin_yaw) - half[0]
            out_y = abs(dy * cos_yaw - dx * sin_yaw) - half[1]
            if out_x > 0.0 or out_y > 0.0:
                least = min(least, np.hypot(max(out_x, 0.0), max(out_y, 0.0)))
            else:
                least = min(least, max(out_x, out_y))
    return least
