# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera with OpenCV's distortion.

Optical frame (REP-103): x right, y down, z forward. Pixels: u right, v down, whole numbers at pixel centres.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import AnyArray, FloatArray
from axon_core.checks import check_array, check_number

_NEWTON_STEPS = 20
_NEWTON_TOLERANCE = 1e-12
_COEFFICIENT_COUNTS = (0, 4, 5, 8)


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics in pixels, and `distortion` = (), or k1, k2, p1, p2[, k3[, k4, k5, k6]] as OpenCV orders them."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            check_number(name, getattr(self, name), minimum=1)
        for name in ("fx", "fy"):
            if check_number(name, getattr(self, name), minimum=0.0) == 0.0:
                raise ValueError(f"{name} = 0.0: expected a focal length in pixels; is the camera calibrated?")
        for name in ("cx", "cy"):
            check_number(name, getattr(self, name))
        coefficients = check_array("distortion", self.distortion, shape=(None,))
        if len(coefficients) not in _COEFFICIENT_COUNTS:
            raise ValueError(f"distortion: expected 0, 4, 5 or 8 coefficients, got {len(coefficients)}")
        object.__setattr__(self, "distortion", tuple(coefficients.tolist()))

    @property
    def matrix(self) -> FloatArray:
        """The intrinsic matrix K (3, 3)."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def resized(self, width: int, height: int) -> "PinholeCamera":
        """Return the camera of the same view in an image of another size."""
        sx, sy = width / self.width, height / self.height
        # the image's corner, not a pixel's centre, is what scaling leaves in place
        cx, cy = sx * (self.cx + 0.5) - 0.5, sy * (self.cy + 0.5) - 0.5
        return PinholeCamera(width, height, sx * self.fx, sy * self.fy, cx, cy, self.distortion)

    def project(self, points: ArrayLike) -> FloatArray:
        """Return the pixels (N, 2) of points (N, 3) in the optical frame; NaN for those not in front (z <= 0)."""
        xyz = check_array("points", points, shape=(None, 3))
        depth = np.where(xyz[:, 2:] > 0.0, xyz[:, 2:], np.nan)
        return np.asarray(self._distort(xyz[:, :2] / depth) * (self.fx, self.fy) + (self.cx, self.cy))

    def rays(self, pixels: ArrayLike) -> FloatArray:
        """Return the points at depth 1 (N, 3) of pixels (N, 2); ValueError where the distortion has no inverse."""
        uv = check_array("pixels", pixels, shape=(None, 2))
        xy = self._undistort((uv - (self.cx, self.cy)) / (self.fx, self.fy))
        return np.concatenate([xy, np.ones((len(xy), 1))], axis=1)

    def back_project(self, pixels: ArrayLike, depth_m: ArrayLike) -> FloatArray:
        """Return the points (N, 3) at pixels (N, 2) and depths (N,) along z."""
        depth = check_array("depth_m", depth_m, shape=(None,))
        return self.rays(pixels) * depth[:, None]

    def back_project_image(self, depth_m: ArrayLike) -> FloatArray:
        """Return the points (H, W, 3) of a depth image (H, W); NaN where the depth is 0 or not finite (holes)."""
        depth = check_array("depth_m", depth_m, shape=(self.height, self.width), finite=False)
        v, u = np.mgrid[: self.height, : self.width]
        rays = self.rays(np.stack([u.ravel(), v.ravel()], axis=-1)).reshape(self.height, self.width, 3)
        holes = ~np.isfinite(depth) | (depth <= 0.0)
        return np.asarray(rays * np.where(holes, np.nan, depth)[..., None])

    def _coefficients(self) -> tuple[float, ...]:
        return self.distortion + (0.0,) * (8 - len(self.distortion))

    def _distort(self, xy: AnyArray) -> FloatArray:
        """Brown and Conrady's model with a rational radial factor, as in OpenCV's calib3d."""
        if not self.distortion:
            return np.asarray(xy)
        _, _, p1, p2, *_ = self._coefficients()
        x, y = xy[:, 0], xy[:, 1]
        square = x * x + y * y
        radial, _ = self._radial(square)
        distorted_x = x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x)
        distorted_y = y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y
        return np.stack([distorted_x, distorted_y], axis=-1)

    def _radial(self, square: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Return the radial factor and its derivative by the squared radius."""
        k1, k2, _, _, k3, k4, k5, k6 = self._coefficients()
        above = 1.0 + square * (k1 + square * (k2 + square * k3))
        below = 1.0 + square * (k4 + square * (k5 + square * k6))
        above_slope = k1 + square * (2.0 * k2 + square * 3.0 * k3)
        below_slope = k4 + square * (2.0 * k5 + square * 3.0 * k6)
        return above / below, (above_slope * below - above * below_slope) / (below * below)

    def _undistort(self, distorted: AnyArray) -> FloatArray:
        """Invert `_distort` by Newton's method."""
        xy = distorted.copy()
        if not self.distortion:
            return np.asarray(xy)
        for _ in range(_NEWTON_STEPS):
            error = self._distort(xy) - distorted
            if np.abs(error).max(initial=0.0) < _NEWTON_TOLERANCE:
                return np.asarray(xy)
            xy = xy - self._newton_step(xy, error)
        raise ValueError(
            f"distortion {self.distortion}: cannot be inverted over the whole image; check the calibration"
        )

    def _newton_step(self, xy: AnyArray, error: AnyArray) -> AnyArray:
        _, _, p1, p2, *_ = self._coefficients()
        x, y = xy[:, 0], xy[:, 1]
        radial, slope = self._radial(x * x + y * y)
        dxx = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
        dxy = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
        dyy = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
        determinant = dxx * dyy - dxy * dxy
        step_x = (dyy * error[:, 0] - dxy * error[:, 1]) / determinant
        step_y = (dxx * error[:, 1] - dxy * error[:, 0]) / determinant
        return np.stack([step_x, step_y], axis=-1)
