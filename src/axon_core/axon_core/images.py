# SPDX-License-Identifier: Apache-2.0
"""Images as arrays (H, W) or (H, W, C), and the letterbox that fits one into a network's input."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import AnyArray, FloatArray
from axon_core.checks import check_array


def check_image(image: AnyArray, channels: int | None = 3, name: str = "image") -> AnyArray:
    """Return a non-empty image (H, W, channels), or (H, W) where `channels` is None."""
    array = np.asarray(image)
    wanted = "(H, W)" if channels is None else f"(H, W, {channels})"
    fits = array.ndim == 2 if channels is None else array.ndim == 3 and array.shape[2] == channels
    if not fits or array.size == 0:
        raise ValueError(f"{name}: expected a non-empty image {wanted}, got shape {array.shape}")
    return array


def resize_bilinear(image: AnyArray, height: int, width: int) -> AnyArray:
    """Return the image at another size, its corners in place, in its own dtype (integers are rounded)."""
    source = np.asarray(image)
    rows_low, rows_high, row_weight = _neighbours(source.shape[0], height)
    cols_low, cols_high, col_weight = _neighbours(source.shape[1], width)
    extra = (1,) * (source.ndim - 2)
    row_weight, col_weight = row_weight.reshape(-1, 1, *extra), col_weight.reshape(1, -1, *extra)
    tall = source[rows_low] * (1.0 - row_weight) + source[rows_high] * row_weight
    resized = tall[:, cols_low] * (1.0 - col_weight) + tall[:, cols_high] * col_weight
    return np.asarray(np.rint(resized) if source.dtype.kind in "iu" else resized, dtype=source.dtype)


@dataclass(frozen=True)
class Letterbox:
    """Where an image of (height, width) lies in a square or other canvas: `canvas = scale * image + offset`, in pixels.

    Coordinates have their origin at the image's outer corner, so that they scale without a half-pixel shift.
    """

    scale: float
    offset_x: int
    offset_y: int
    height: int
    width: int

    def to_canvas(self, boxes_xyxy: ArrayLike) -> FloatArray:
        """Return boxes (N, 4) of the image in coordinates of the canvas."""
        return check_array("boxes_xyxy", boxes_xyxy, shape=(None, 4)) * self.scale + self._offsets

    def to_image(self, boxes_xyxy: ArrayLike) -> FloatArray:
        """Return boxes (N, 4) of the canvas in coordinates of the image; not clipped to it."""
        return (check_array("boxes_xyxy", boxes_xyxy, shape=(None, 4)) - self._offsets) / self.scale

    @property
    def _offsets(self) -> FloatArray:
        return np.array([self.offset_x, self.offset_y, self.offset_x, self.offset_y], dtype=np.float64)


def fit_letterbox(height: int, width: int, canvas_height: int, canvas_width: int) -> Letterbox:
    """Return the largest centred place of an image in a canvas that keeps its proportions."""
    if min(height, width, canvas_height, canvas_width) < 1:
        raise ValueError(f"cannot fit an image of {width} x {height} into {canvas_width} x {canvas_height}")
    scale = min(canvas_height / height, canvas_width / width)
    fitted_height, fitted_width = max(1, round(scale * height)), max(1, round(scale * width))
    offset_y, offset_x = (canvas_height - fitted_height) // 2, (canvas_width - fitted_width) // 2
    return Letterbox(scale, offset_x, offset_y, height, width)


def letterbox(image: AnyArray, canvas_height: int, canvas_width: int, fill: int = 114) -> tuple[AnyArray, Letterbox]:
    """Return the image (H, W, C) within a canvas of that size, and where it lies."""
    height, width = image.shape[:2]
    place = fit_letterbox(height, width, canvas_height, canvas_width)
    fitted = resize_bilinear(image, max(1, round(place.scale * height)), max(1, round(place.scale * width)))
    canvas = np.full((canvas_height, canvas_width, *image.shape[2:]), fill, dtype=image.dtype)
    rows = slice(place.offset_y, place.offset_y + fitted.shape[0])
    canvas[rows, place.offset_x : place.offset_x + fitted.shape[1]] = fitted
    return canvas, place


def _neighbours(size: int, target: int) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return for each of `target` pixels the two source pixels around its centre, and the second one's weight."""
    positions = np.clip((np.arange(target) + 0.5) * (size / target) - 0.5, 0.0, size - 1.0)
    low = np.floor(positions).astype(np.intp)
    return low, np.minimum(low + 1, size - 1), (positions - low).astype(np.float32)
