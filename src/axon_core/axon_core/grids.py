# SPDX-License-Identifier: Apache-2.0
"""Grids over the plane: row = y, col = x, cell [0, 0] at the corner with the smallest x and y."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage  # type: ignore[import-untyped]

from axon_core.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IntArray
from axon_core.checks import check_array, check_number

UNKNOWN = -1
FREE = 0
OCCUPIED = 100


@dataclass(frozen=True)
class Grid:
    """Values (H, W) on square cells; `origin_m` (2,) is x, y of the outer corner of cell [0, 0]."""

    data: AnyArray
    resolution_m: float
    origin_m: FloatArray

    def __post_init__(self) -> None:
        check_array("data", self.data, shape=(None, None), finite=False, dtype=np.asarray(self.data).dtype)
        if check_number("resolution_m", self.resolution_m, minimum=0.0) == 0.0:
            raise ValueError("resolution_m = 0.0: expected the edge of a cell in metres")
        object.__setattr__(self, "origin_m", check_array("origin_m", self.origin_m, shape=(2,)))

    def cells_of(self, points: ArrayLike) -> IntArray:
        """Return [row, col] (N, 2) of points (N, 2) = x, y in metres, also where they lie outside the grid."""
        xy = check_array("points", points, shape=(None, 2))
        return np.floor((xy - self.origin_m) / self.resolution_m).astype(np.intp)[:, ::-1]

    def centers_of(self, cells: ArrayLike) -> FloatArray:
        """Return x, y (N, 2) in metres of the centres of cells (N, 2) = row, col."""
        rows_cols = check_array("cells", cells, shape=(None, 2))
        return np.asarray(self.origin_m + (rows_cols[:, ::-1] + 0.5) * self.resolution_m)

    def contains(self, cells: ArrayLike) -> BoolArray:
        """Return the mask (N,) of the cells (N, 2) that lie in the grid."""
        rows_cols = np.asarray(cells)
        return np.asarray(((rows_cols >= 0) & (rows_cols < self.data.shape)).all(axis=-1))


def distance_field_m(occupied: ArrayLike, resolution_m: float) -> Float32Array:
    """Return for every cell the exact Euclidean distance (H, W) to the nearest occupied one, centre to centre.

    Occupied cells are 0; with no occupied cell all are +inf.
    """
    mask = check_array("occupied", occupied, shape=(None, None), dtype=np.bool_)
    resolution = check_number("resolution_m", resolution_m, minimum=0.0)
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    distance = np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)
    return distance * np.float32(resolution)
