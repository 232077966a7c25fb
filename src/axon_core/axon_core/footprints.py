# SPDX-License-Identifier: Apache-2.0
"""The outline of a robot on the floor."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import BoolArray, FloatArray
from axon_core.checks import check_array, check_number


@dataclass(frozen=True)
class Footprint:
    """A convex polygon, `vertices_m` (N, 2) counter-clockwise in the base frame, the base's origin inside it."""

    vertices_m: FloatArray

    def __post_init__(self) -> None:
        vertices = check_array("vertices_m", self.vertices_m, shape=(None, 2))
        if len(vertices) < 3:
            raise ValueError(f"vertices_m: expected at least 3 vertices, got {len(vertices)}")
        edges = np.roll(vertices, -1, axis=0) - vertices
        turns = _cross(edges, np.roll(edges, -1, axis=0))
        if not (turns > 0.0).all() or not np.isclose(_turned_rad(edges), 2.0 * np.pi):
            raise ValueError(f"vertices_m: expected a convex, counter-clockwise polygon, got {vertices.tolist()}")
        object.__setattr__(self, "vertices_m", vertices)

    @cached_property
    def _edges(self) -> FloatArray:
        return np.roll(self.vertices_m, -1, axis=0) - self.vertices_m

    @cached_property
    def inscribed_radius_m(self) -> float:
        """Radius of the largest circle about the base's origin inside the footprint."""
        return float(-self.distance_to([[0.0, 0.0]])[0])

    @cached_property
    def circumscribed_radius_m(self) -> float:
        """Radius of the smallest circle about the base's origin around the footprint."""
        return float(np.linalg.norm(self.vertices_m, axis=1).max())

    def contains(self, points: ArrayLike) -> BoolArray:
        """Return the mask (N,) of points (N, 2) inside the footprint or on its edge."""
        xy = check_array("points", points, shape=(None, 2))
        offsets = xy[:, None, :] - self.vertices_m[None, :, :]
        return np.asarray((_cross(self._edges[None], offsets) >= 0.0).all(axis=1))

    def distance_to(self, points: ArrayLike) -> FloatArray:
        """Return the signed distance (N,) in metres from the outline to points (N, 2), negative inside."""
        xy = check_array("points", points, shape=(None, 2))
        offsets = xy[:, None, :] - self.vertices_m[None, :, :]
        along = np.einsum("nej,ej->ne", offsets, self._edges) / np.einsum("ej,ej->e", self._edges, self._edges)
        nearest = offsets - np.clip(along, 0.0, 1.0)[..., None] * self._edges[None]
        distance = np.sqrt(np.einsum("nej,nej->ne", nearest, nearest).min(axis=1))
        inside = (_cross(self._edges[None], offsets) >= 0.0).all(axis=1)
        return np.where(inside, -distance, distance)


def rectangle_footprint(length_m: float, width_m: float, center_x_m: float = 0.0) -> Footprint:
    """Return a rectangle, `length_m` along x and `width_m` along y, its centre at `center_x_m` on the x axis."""
    half_length = 0.5 * check_number("length_m", length_m, minimum=0.0)
    half_width = 0.5 * check_number("width_m", width_m, minimum=0.0)
    back, front = center_x_m - half_length, center_x_m + half_length
    corners = [[front, half_width], [back, half_width], [back, -half_width], [front, -half_width]]
    return Footprint(np.array(corners))


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _turned_rad(edges: FloatArray) -> float:
    """Return the sum of the turns from edge to edge: 2 pi for a simple loop, more for a star that winds twice."""
    following = np.roll(edges, -1, axis=0)
    return float(np.arctan2(_cross(edges, following), (edges * following).sum(axis=1)).sum())
