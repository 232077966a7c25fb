# SPDX-License-Identifier: Apache-2.0
"""Floors with walls and boxes for searches over poses, and what a path must keep, measured by code of their own."""

from __future__ import annotations

import math

import cv2
import numpy as np

from axon_core.geometry import se2_apply, se2_inverse
from axon_planner.config import PlannerConfig
from axon_planner.costmap import FAR_M, Field
from axon_planner.smoothing import path_length

CELL_M = 0.04


def make_field(occupied: np.ndarray) -> Field:
    """A field whose cell [0, 0] has its outer corner at (0, 0); nothing in it is unknown."""
    if not occupied.any():
        distance = np.full(occupied.shape, FAR_M, np.float32)
    else:
        free = np.where(occupied, 0, 1).astype(np.uint8)
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * np.float32(CELL_M)
    return Field(distance, np.zeros(occupied.shape, bool), CELL_M, np.zeros(2))


def hall(width_m: float, height_m: float) -> np.ndarray:
    """Occupied cells (H, W) of an empty hall with walls of one cell around."""
    occupied = np.zeros((round(height_m / CELL_M), round(width_m / CELL_M)), bool)
    occupied[[0, -1]] = occupied[:, [0, -1]] = True
    return occupied


def block(occupied: np.ndarray, x0: float, y0: float, x1: float, y1: float, value: bool = True) -> None:
    """Fill, or clear, the rectangle between two corners in metres."""
    cells = [round(v / CELL_M) for v in (y0, y1, x0, x1)]
    occupied[cells[0] : cells[1], cells[2] : cells[3]] = value


def least_room(config: PlannerConfig, field: Field, poses: np.ndarray) -> float:
    """Least signed distance of the footprint to an occupied cell's centre over all poses, by brute force."""
    centers = field.centers_of(np.argwhere(field.distance_m == 0.0))
    least = math.inf
    for pose in poses:
        near = centers[np.linalg.norm(centers - pose[:2], axis=1) < 1.5]
        if len(near):
            least = min(least, float(config.footprint.distance_to(se2_apply(se2_inverse(pose), near)).min()))
    return least


def dense(poses: np.ndarray, step: float = 0.01) -> np.ndarray:
    """Poses (M, 3) between those of a path, straight and evenly turning, the shorter way round."""
    yaw = np.unwrap(poses[:, 2])
    moves = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1) + np.abs(np.diff(yaw)) * 0.5
    at = np.concatenate([[0.0], np.cumsum(moves + 1e-12)])
    fine = np.linspace(0.0, at[-1], max(2, int(at[-1] / step)))
    return np.column_stack([np.interp(fine, at, column) for column in (poses[:, 0], poses[:, 1], yaw)])


def assert_drivable(poses: np.ndarray, directions: np.ndarray, radius_m: float) -> None:
    """Every piece goes where the base looks, or backward, and turns no tighter than the circle allows."""
    steps = np.diff(poses, axis=0)
    assert len(directions) == len(steps) and np.isin(directions, [-1, 1]).all()
    gap = np.linalg.norm(steps[:, :2], axis=1)
    turn = np.abs(np.angle(np.exp(1j * steps[:, 2])))
    assert gap.max(initial=0.0) <= 0.05 + 1e-9
    assert (turn <= gap / radius_m * 1.01 + 1e-6).all(), "turns tighter than it can"
    middle = poses[:-1, 2] + 0.5 * np.angle(np.exp(1j * steps[:, 2]))
    along = steps[:, 0] * np.cos(middle) + steps[:, 1] * np.sin(middle)
    assert np.allclose(along, directions * gap, atol=1e-6), "moves sideways"
    assert path_length(poses) >= np.linalg.norm(poses[-1, :2] - poses[0, :2]) - 1e-9
