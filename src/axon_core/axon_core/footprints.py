# SPDX-License-Identifier: Apache-2.0
"""The outline of a robot on the floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import BoolArray, FloatArray
from axon_core.checks import check_array, check_number

_ON_EDGE_M = 1e-9


@dataclass(frozen=True)
class Footprint:
    """A simple polygon, convex or not: `vertices_m` (N, 2) counter-clockwise in the base frame."""

    vertices_m: FloatArray

    def __post_init__(self) -> None:
        vertices = check_array("vertices_m", self.vertices_m, shape=(None, 2))
        fault = polygon_fault(vertices)
        if not fault and _area(vertices) < 0.0:
            fault = "its vertices run clockwise"
        if fault:
            raise ValueError(
                f"vertices_m: {fault}; expected the corners of a simple polygon, counter-clockwise, "
                f"got {vertices.tolist()}"
            )
        object.__setattr__(self, "vertices_m", vertices)

    @cached_property
    def _edges(self) -> FloatArray:
        return np.roll(self.vertices_m, -1, axis=0) - self.vertices_m

    @cached_property
    def inscribed_radius_m(self) -> float:
        """Radius of the largest circle about the base's origin inside the footprint; negative where it is outside."""
        return float(-self.distance_to([[0.0, 0.0]])[0])

    @cached_property
    def circumscribed_radius_m(self) -> float:
        """Radius of the smallest circle about the base's origin around the footprint."""
        return float(np.linalg.norm(self.vertices_m, axis=1).max())

    def contains(self, points: ArrayLike) -> BoolArray:
        """Return the mask (N,) of points (N, 2) inside the footprint or on its edge."""
        return np.asarray(self.distance_to(points) <= _ON_EDGE_M)

    def distance_to(self, points: ArrayLike) -> FloatArray:
        """Return the signed distance (N,) in metres from the outline to points (N, 2), negative inside."""
        xy = check_array("points", points, shape=(None, 2))
        offsets = xy[:, None, :] - self.vertices_m[None, :, :]
        along = np.einsum("nej,ej->ne", offsets, self._edges) / np.einsum("ej,ej->e", self._edges, self._edges)
        nearest = offsets - np.clip(along, 0.0, 1.0)[..., None] * self._edges[None]
        distance = np.sqrt(np.einsum("nej,nej->ne", nearest, nearest).min(axis=1))
        return np.where(self._inside(offsets), -distance, distance)

    def _inside(self, offsets: FloatArray) -> BoolArray:
        """Mask (N,) of the points that lie inside, by their offsets (N, E, 2) from the vertices.

        From there a ray along +x crosses the outline an odd number of times. An edge has its lower end and
        not its upper one, so that a ray through a corner crosses once or not at all.
        """
        start_y, end_y = offsets[..., 1], np.roll(offsets[..., 1], -1, axis=1)
        upward = (start_y >= 0.0) & (end_y < 0.0)
        downward = (start_y < 0.0) & (end_y >= 0.0)
        side = _cross(self._edges[None], offsets)
        crossed = (upward & (side > 0.0)) | (downward & (side < 0.0))
        return np.asarray(crossed.sum(axis=1) % 2 == 1)


def polygon_fault(vertices: FloatArray) -> str:
    """Return what keeps vertices (N, 2) from being the corners of a simple polygon, or "" where nothing does."""
    count = len(vertices)
    if count < 3:
        return f"{count} corners make no area"
    ends = np.roll(vertices, -1, axis=0)
    edges = ends - vertices
    twice = np.flatnonzero(np.hypot(*edges.T) < _ON_EDGE_M)
    if len(twice):
        return f"corner {twice[0] + 1} and the next one are the same"
    following = np.roll(edges, -1, axis=0)
    folded = (np.abs(_cross(edges, following)) < _ON_EDGE_M) & ((edges * following).sum(axis=1) < 0.0)
    meeting = np.argwhere(_meet(vertices, ends) & _apart(count))
    if folded.any() or len(meeting):
        first, second = meeting[0] + 1 if len(meeting) else (np.argmax(folded) + 1, (np.argmax(folded) + 1) % count + 1)
        return f"edges {first} and {second} cross or touch"
    return ""


def footprint_from_list(name: str, xy: Sequence[float]) -> Footprint:
    """Return the footprint whose corners are x, y, x, y ... in metres, in either direction, the base's origin inside.

    Raises ValueError that names the parameter, what is wrong with it, and what is expected.
    """
    expected = "expected x, y of at least 3 corners in metres, in order around the base's origin"
    if len(xy) % 2:
        raise ValueError(f"{name}: {len(xy)} numbers, of which the last has no partner; {expected}")
    vertices = check_array(name, np.reshape(np.asarray(xy, dtype=np.float64), (-1, 2)), shape=(None, 2))
    fault = polygon_fault(vertices)
    if fault:
        raise ValueError(f"{name} = {list(xy)}: {fault}; {expected}")
    footprint = Footprint(vertices if _area(vertices) > 0.0 else vertices[::-1].copy())
    if not footprint.contains([[0.0, 0.0]])[0]:
        raise ValueError(f"{name} = {list(xy)}: the base's origin (0, 0) lies outside; {expected}")
    return footprint


def rectangle_footprint(length_m: float, width_m: float, center_x_m: float = 0.0) -> Footprint:
    """Return a rectangle, `length_m` along x and `width_m` along y, its centre at `center_x_m` on the x axis."""
    half_length = 0.5 * check_number("length_m", length_m, minimum=0.0)
    half_width = 0.5 * check_number("width_m", width_m, minimum=0.0)
    back, front = center_x_m - half_length, center_x_m + half_length
    corners = [[front, half_width], [back, half_width], [back, -half_width], [front, -half_width]]
    return Footprint(np.array(corners))


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _area(vertices: FloatArray) -> float:
    """Area in square metres, negative where the vertices run clockwise (the shoelace formula)."""
    return float(0.5 * _cross(vertices, np.roll(vertices, -1, axis=0)).sum())


def _apart(count: int) -> BoolArray:
    """Mask (N, N) of pairs of edges, each once, that share no corner."""
    first, second = np.indices((count, count))
    gap = second - first
    return np.asarray((gap > 1) & (gap < count - 1))


def _meet(starts: FloatArray, ends: FloatArray) -> BoolArray:
    """Mask (N, N) of pairs of segments that have a point in common."""
    edges = ends - starts
    to_start = _cross(edges[:, None], starts[None] - starts[:, None])  # side of edge i on which edge j starts
    to_end = _cross(edges[:, None], ends[None] - starts[:, None])
    straddles = to_start * to_end <= 0.0
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    near = ((low[:, None] <= high[None]) & (low[None] <= high[:, None])).all(axis=2)
    return np.asarray(straddles & straddles.T & near)
