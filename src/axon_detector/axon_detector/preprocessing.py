# SPDX-License-Identifier: Apache-2.0
"""From an image to what a network takes: scaled, in the upper left of a grey canvas, BGR, 0 .. 255 (as YOLOX does)."""

from __future__ import annotations

import cv2
import numpy as np

from axon_core.images import Letterbox

PADDING = 114
SIZE_MULTIPLE = 32


def canvas_size(height: int, width: int, longest_px: int) -> tuple[int, int]:
    """Return height and width of the smallest canvas for an image whose longest side is at most `longest_px`."""
    scale = min(1.0, longest_px / max(height, width))
    return _up(scale * height), _up(scale * width)


def letterbox_top_left(image: np.ndarray, height: int, width: int) -> tuple[np.ndarray, Letterbox]:
    """Return an image (H, W, C) uint8 in the upper left of a canvas (height, width, C), and where it lies there."""
    scale = min(height / image.shape[0], width / image.shape[1])
    size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    fitted = image if size == image.shape[1::-1] else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    canvas = np.full((height, width, image.shape[2]), PADDING, dtype=np.uint8)
    canvas[: size[1], : size[0]] = fitted
    return canvas, Letterbox(scale, 0, 0, *image.shape[:2])


def to_blob(canvas_rgb: np.ndarray) -> np.ndarray:
    """Return an RGB canvas (H, W, 3) uint8 as a network's input (1, 3, H, W) float32, BGR."""
    return np.ascontiguousarray(canvas_rgb[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)


def _up(size: float) -> int:
    return max(1, -(-round(size) // SIZE_MULTIPLE)) * SIZE_MULTIPLE
