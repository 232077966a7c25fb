# SPDX-License-Identifier: Apache-2.0
"""How fast a path may be driven: the speeds that its cost asks for, within what the base can do.

Speeds here are caps along a path, not a schedule: the base may begin at any speed, and stands at the end. Turning
bounds them pointwise, braking from the end and from slow places backward, accelerating out of slow places forward (the
two passes of Bobrow, Dubowsky and Gibson, "Time-Optimal Control of Robotic Manipulators Along Specified Paths", 1985).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from axon_core.geometry import wrap_angle
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field, interpolate
from axon_planner.outline import Discs
from axon_planner.path_cost import (
    LEAST_SPEED,
    NEAR_AT_SPEED,
    SPACING_M,
    TIME_WEIGHT,
    TURN_AT_SPEED,
    DriveScales,
    nearness,
)
from axon_planner.smoothing import path_length, resample


def speeds_along(config: PlannerConfig, field: Field, path: np.ndarray) -> np.ndarray:
    """Speeds (N,) in m/s for poses (N, 3): equation (4) of `path_cost` at each of them, then `drivable_speeds`."""
    discs, scales = Discs(config), DriveScales.of(config.limits)
    shares = _cheapest(
        np.ascontiguousarray(path, dtype=np.float64), curvatures_radpm(path), scales.turn_m, field.distance_m,
        field.origin_m, field.resolution_m, discs.centers_m, discs.radius_m,
    )  # fmt: skip
    return drivable_speeds(config, path, shares)


def drivable_speeds(config: PlannerConfig, path: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Speeds (N,) in m/s on a path (N, 2+), at most `shares` (N,) of the top speed, that the base can drive.

    Nowhere below LEAST_SPEED of the top speed, but for turning; the end is reached at that speed.
    """
    limits = config.limits
    top = limits.max_speed_mps * np.clip(shares, LEAST_SPEED, 1.0)
    speeds = np.minimum(top, limits.max_turn_radps / np.maximum(curvatures_radpm(path), 1e-6))
    least = LEAST_SPEED * limits.max_speed_mps
    return _drivable(speeds, _steps(path), least, limits.max_accel_mps2, limits.max_decel_mps2)


def duration_s(path: np.ndarray, speeds: np.ndarray) -> float:
    """Time in seconds to drive a path (N, 2+) at `speeds` (N,) in m/s."""
    steps = _steps(path)
    return float((2.0 * steps / (speeds[1:] + speeds[:-1])).sum())


def curvatures_radpm(path: np.ndarray) -> np.ndarray:
    """Curvature (N,) in rad/m, without a sign, at points (N, 2+), measured on pieces of SPACING_M as elsewhere."""
    bends, at = _bends(path)
    if not len(bends):
        return np.zeros(len(path))
    return np.interp(np.concatenate([[0.0], np.cumsum(_steps(path))]), at, bends)


def _steps(path: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1)


def sharpest_radpm(path: np.ndarray) -> float:
    """Largest of the `curvatures_radpm` of a path (N, 2+)."""
    return float(_bends(path)[0].max(initial=0.0))


def _bends(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures (K,) at the inner points of pieces of SPACING_M, and where those lie along the path in metres."""
    points = resample(path[:, :2], SPACING_M)
    edges = np.diff(points, axis=0)
    yaw = np.arctan2(edges[:, 1], edges[:, 0])
    spacing = float(np.linalg.norm(edges, axis=1).mean())
    bends = np.abs(wrap_angle(np.diff(yaw))) / max(spacing, 1e-6)
    return bends, np.linspace(0.0, path_length(path), len(points))[1:-1]


@njit(cache=True)
def _cheapest(path, bends, turn_m, distance, origin, resolution, centers, radius):
    shares = np.empty(len(path))
    for i in range(len(path)):
        x, y, yaw = path[i]
        cos, sin = math.cos(yaw), math.sin(yaw)
        price = TURN_AT_SPEED * (turn_m * bends[i]) ** 2
        for c in centers:
            room = interpolate(distance, origin[0], origin[1], resolution, x + c * cos, y + c * sin) - radius
            price += NEAR_AT_SPEED * nearness(room)[0] / len(centers)
        shares[i] = min(1.0, (TIME_WEIGHT / (2.0 * max(price, 1e-9))) ** (1.0 / 3.0))
    return shares


@njit(cache=True)
def _drivable(speeds, steps, least, accel, decel):
    speeds = speeds.copy()
    last = len(speeds) - 1
    speeds[last] = min(speeds[last], least)
    for i in range(last - 1, -1, -1):
        speeds[i] = min(speeds[i], math.sqrt(speeds[i + 1] ** 2 + 2.0 * decel * steps[i]))
    for i in range(last):
        speeds[i + 1] = min(speeds[i + 1], math.sqrt(speeds[i] ** 2 + 2.0 * accel * steps[i]))
    return speeds
