# SPDX-License-Identifier: Apache-2.0
"""The base's outline on the floor, as the prediction needs it: a simple polygon, compiled distances."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.arrays import FloatArray
from axon_core.footprints import Footprint, polygon_fault

_CORE_M = 0.05


class Outline(NamedTuple):
    """Corners (V, 2) counter-clockwise in the base frame, and what is derived from them.

    core: (V, 2) corners of the polygon some centimetres within. box: (4,) centre x, y and half sizes of the rectangle
    around all. radius_m: of the farthest corner from the base's origin.
    """

    corners: FloatArray
    core: FloatArray
    box: FloatArray
    radius_m: float


def outline_of(footprint: Footprint) -> Outline:
    """Return the outline of a footprint."""
    corners = np.ascontiguousarray(footprint.vertices_m)
    low, high = corners.min(axis=0), corners.max(axis=0)
    box = np.concatenate([0.5 * (low + high), 0.5 * (high - low)])
    return Outline(corners, _core(footprint), box, footprint.circumscribed_radius_m)


def _core(footprint: Footprint) -> FloatArray:
    """Corners of the polygon whose edges lie 5 cm within those of the footprint, or less where it is too thin."""
    corners = footprint.vertices_m
    edges = np.roll(corners, -1, axis=0) - corners
    inward = np.column_stack([-edges[:, 1], edges[:, 0]]) / np.hypot(*edges.T)[:, None]
    before = np.roll(inward, 1, axis=0)
    miter = (inward + before) / np.maximum(1.0 + (inward * before).sum(axis=1, keepdims=True), 0.1)
    depth_m = _CORE_M
    while True:
        core = corners + depth_m * miter
        if not polygon_fault(core) and (footprint.distance_to(core) < -0.5 * depth_m).all():
            return core
        depth_m *= 0.5


@njit(cache=True)
def outline_distance(x, y, corners):
    """Signed distance in metres of a point from the polygon of corners (V, 2), negative inside."""
    nearest, inside = np.inf, False
    before = corners.shape[0] - 1
    for i in range(corners.shape[0]):
        edge_x, edge_y = corners[i, 0] - corners[before, 0], corners[i, 1] - corners[before, 1]
        off_x, off_y = x - corners[before, 0], y - corners[before, 1]
        along = (off_x * edge_x + off_y * edge_y) / (edge_x * edge_x + edge_y * edge_y)
        along = min(max(along, 0.0), 1.0)
        gap_x, gap_y = off_x - along * edge_x, off_y - along * edge_y
        nearest = min(nearest, gap_x * gap_x + gap_y * gap_y)
        if (corners[i, 1] > y) != (corners[before, 1] > y) and (edge_x * off_y - edge_y * off_x > 0.0) == (
            edge_y > 0.0
        ):
            inside = not inside
        before = i
    return -math.sqrt(nearest) if inside else math.sqrt(nearest)


@njit(cache=True)
def outline_distances(points, corners):
    """Signed distances (N,) in metres of points (N, 2) from the polygon of corners (V, 2), negative inside."""
    distances = np.empty(points.shape[0])
    for i in range(points.shape[0]):
        distances[i] = outline_distance(points[i, 0], points[i, 1], corners)
    return distances
