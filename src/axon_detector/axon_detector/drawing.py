# SPDX-License-Identifier: Apache-2.0
"""Detections drawn into the image, for people."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_GOLDEN = 0.618034  # steps of hue that never come close to each other


def annotate(image_rgb: np.ndarray, boxes_xyxy: np.ndarray, texts: Sequence[str], labels: Sequence[int]) -> np.ndarray:
    """Return a copy of an RGB image with boxes (N, 4) and a text at each, coloured by label."""
    image = np.array(image_rgb, dtype=np.uint8)
    for box, text, label in zip(boxes_xyxy, texts, labels, strict=True):
        x0, y0, x1, y1 = np.rint(box).astype(int).tolist()
        colour = label_colour(int(label))
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), colour, 1)
        _write(image, text, x0, y0, colour)
    return image


def label_colour(label: int) -> tuple[int, int, int]:
    """Return an RGB colour that is this label's only."""
    hsv = np.array([[[180.0 * (label * _GOLDEN % 1.0), 200, 255]]], dtype=np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def _write(image: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Write above a point, or below it at the upper edge, on a ground that makes it readable."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.35
    (width, height), below = cv2.getTextSize(text, font, scale, 1)
    y = y if y > height + below else height + below
    cv2.rectangle(image, (x, y - height - below), (x + width, y), colour, cv2.FILLED)
    cv2.putText(image, text, (x, y - below // 2 - 1), font, scale, (0, 0, 0), 1, cv2.LINE_AA)
