# SPDX-License-Identifier: Apache-2.0
"""Axis-aligned boxes (N, 4) = x_min, y_min, x_max, y_max."""

import numpy as np
from numpy.typing import ArrayLike

from axon_core.arrays import FloatArray, IntArray
from axon_core.checks import check_array, check_number


def check_boxes(boxes_xyxy: ArrayLike, name: str = "boxes_xyxy") -> FloatArray:
    """Return boxes whose maximum is nowhere below their minimum."""
    boxes = check_array(name, boxes_xyxy, shape=(None, 4))
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        raise ValueError(f"{name}: expected x_min, y_min, x_max, y_max, got {boxes[wrong][0].tolist()}")
    return boxes


def box_areas(boxes_xyxy: ArrayLike) -> FloatArray:
    """Return the areas (N,)."""
    boxes = check_boxes(boxes_xyxy)
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def iou_matrix(first_xyxy: ArrayLike, second_xyxy: ArrayLike) -> FloatArray:
    """Return intersection over union (N, M) in [0, 1] of every box of the first with every box of the second.

    Two boxes without area have an IoU of 0.
    """
    first, second = check_boxes(first_xyxy), check_boxes(second_xyxy)
    return _iou(first, box_areas(first), second, box_areas(second))


def nms(boxes_xyxy: ArrayLike, scores: ArrayLike, iou_threshold: float, classes: ArrayLike | None = None) -> IntArray:
    """Return the indices of the boxes that greedy non-maximum suppression keeps, best score first.

    A box goes when its IoU with a better one that stays is above the threshold and, where `classes` (N,) are given,
    both are of one class. Equal scores are ordered by the boxes' coordinates, so that the input's order is no matter.
    """
    boxes = check_boxes(boxes_xyxy)
    score = check_array("scores", scores, shape=(len(boxes),))
    threshold = check_number("iou_threshold", iou_threshold, 0.0, 1.0)
    label = np.zeros(len(boxes)) if classes is None else check_array("classes", classes, shape=(len(boxes),))
    waiting = np.lexsort((label, *boxes.T[::-1], -score))
    areas = box_areas(boxes)
    kept = []
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(best)
        overlap = _iou(boxes[best : best + 1], areas[best : best + 1], boxes[rest], areas[rest])[0]
        waiting = rest[(overlap <= threshold) | (label[rest] != label[best])]
    return np.array(kept, dtype=np.intp)


def _iou(first: FloatArray, first_areas: FloatArray, second: FloatArray, second_areas: FloatArray) -> FloatArray:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0.0, None)
    intersection = sides[..., 0] * sides[..., 1]
    union = first_areas[:, None] + second_areas[None, :] - intersection
    return np.asarray(np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0.0))
