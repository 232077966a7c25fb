# SPDX-License-Identifier: Apache-2.0
"""One turn of a planar lidar."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from axon_core.arrays import BoolArray, Float32Array, FloatArray
from axon_core.checks import check_array, check_number


@dataclass(frozen=True)
class Scan:
    """Ranges (N,) float32 in metres, in order of angle, as REP-117 reads them.

    NaN: no measurement. +inf or beyond `range_max_m`: nothing there. Below `range_min_m` or -inf: too near to tell.
    """

    ranges_m: Float32Array
    angle_min_rad: float
    angle_increment_rad: float
    range_min_m: float
    range_max_m: float

    @cached_property
    def angles_rad(self) -> FloatArray:
        """Direction of each ray (N,) in the scanner's frame, counter-clockwise from x."""
        return self.angle_min_rad + self.angle_increment_rad * np.arange(len(self.ranges_m), dtype=np.float64)

    @cached_property
    def hits(self) -> BoolArray:
        """Mask (N,) of the rays that met something: finite and within the scanner's range."""
        return (self.ranges_m >= self.range_min_m) & (self.ranges_m <= self.range_max_m)

    def points(self) -> FloatArray:
        """Return the M hits (M, 2) in the scanner's frame, in order of angle."""
        ranges, angles = self.ranges_m[self.hits].astype(np.float64), self.angles_rad[self.hits]
        return np.stack([ranges * np.cos(angles), ranges * np.sin(angles)], axis=-1)


def check_scan(scan: Scan) -> Scan:
    """Return the scan with float32 ranges; ValueError where it is empty or its geometry makes no sense."""
    ranges = check_array("ranges_m", scan.ranges_m, shape=(None,), finite=False, dtype=np.float32)
    if len(ranges) == 0:
        raise ValueError("ranges_m: the scan is empty")
    angle_min = check_number("angle_min_rad", scan.angle_min_rad)
    increment = check_number("angle_increment_rad", scan.angle_increment_rad)
    if increment == 0.0 and len(ranges) > 1:
        raise ValueError("angle_increment_rad = 0.0: expected the angle between two rays")
    range_min = check_number("range_min_m", scan.range_min_m, minimum=0.0)
    range_max = check_number("range_max_m", scan.range_max_m, minimum=0.0)
    if range_max <= range_min:
        raise ValueError(f"range_max_m = {range_max}: expected more than range_min_m = {range_min}")
    if np.isnan(ranges).all():
        raise ValueError(f"ranges_m: all {len(ranges)} ranges are NaN")
    return Scan(ranges, angle_min, increment, range_min, range_max)
