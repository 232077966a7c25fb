# SPDX-License-Identifier: Apache-2.0
"""Mean average precision as COCO defines it (cocodataset.org/#detection-eval), in NumPy.

A test holds it against pycocotools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from axon_core.boxes import iou_matrix

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Found:
    """What was detected in one image: boxes_xyxy (N, 4) px, scores (N,), labels (N,)."""

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Truth:
    """What is in one image: boxes_xyxy (M, 4) px, labels (M,), ignored (M,): neither missed nor wrong when found."""

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.ignored is None:
            object.__setattr__(self, "ignored", np.zeros(len(self.labels), dtype=bool))


def average_precisions(
    found: Sequence[Found], truths: Sequence[Truth], classes: int, area_px: tuple[float, float] = (0.0, 1e10)
) -> np.ndarray:
    """Return the average precision (classes, 10) at the thresholds IOUS, NaN for classes of which there is no object.

    Objects whose area is outside `area_px` are ignored, and unmatched detections outside of it too. Of an image the
    100 best detections count.
    """
    if len(found) != len(truths):
        raise ValueError(f"{len(found)} images with detections, {len(truths)} with truth: expected as many")
    return np.array([_class_precisions(found, truths, label, area_px) for label in range(classes)])


def mean_precisions(precisions: np.ndarray) -> tuple[float, float]:
    """Return `map50_95` and `map50` of average precisions (classes, 10), over the classes that occur."""
    known = precisions[~np.isnan(precisions[:, 0])]
    if not len(known):
        return float("nan"), float("nan")
    return float(known.mean()), float(known[:, 0].mean())


def _class_precisions(found: Sequence[Found], truths: Sequence[Truth], label: int, area_px: tuple) -> np.ndarray:
    scores, hits, skipped, objects = [], [], [], 0
    for one, truth in zip(found, truths, strict=True):
        order = np.argsort(-one.scores, kind="stable")[:MAX_DETECTIONS]
        mine = order[one.labels[order] == label]
        wanted = np.flatnonzero(truth.labels == label)
        ignored = truth.ignored[wanted] | _outside(truth.boxes_xyxy[wanted], area_px)
        objects += int((~ignored).sum())
        hit, skip = match(one.boxes_xyxy[mine], truth.boxes_xyxy[wanted], ignored)
        skip |= ~hit & _outside(one.boxes_xyxy[mine], area_px)
        scores.append(one.scores[mine]), hits.append(hit), skipped.append(skip)
    if objects == 0:
        return np.full(len(IOUS), np.nan)
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    hit, skip = np.concatenate(hits, axis=1)[:, order], np.concatenate(skipped, axis=1)[:, order]
    return np.array([_average_precision(h[~s], objects) for h, s in zip(hit, skip, strict=True)])


def match(boxes: np.ndarray, wanted: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give detections (N, 4), best first, the objects (M, 4) that they overlap most, each object once.

    Return for each of IOUS and each detection (10, N) whether it has an object, and whether that one is ignored.
    """
    hit, skip = np.zeros((len(IOUS), len(boxes)), dtype=bool), np.zeros((len(IOUS), len(boxes)), dtype=bool)
    if not len(boxes) or not len(wanted):
        return hit, skip
    overlaps = iou_matrix(boxes, wanted)
    for level, threshold in enumerate(IOUS):
        free = np.ones(len(wanted), dtype=bool)
        for row, overlap in enumerate(overlaps):
            fits = free & (overlap >= min(threshold, 1.0 - 1e-10))
            best = _best(overlap, fits & ~ignored, fits & ignored)
            if best is not None:
                free[best], hit[level, row], skip[level, row] = False, True, ignored[best]
    return hit, skip


def _best(overlap: np.ndarray, asked: np.ndarray, ignored: np.ndarray) -> int | None:
    """Return the best object that is asked for, else the best that is not, else None."""
    for among in (asked, ignored):
        if among.any():
            return int(np.where(among, overlap, -1.0).argmax())
    return None


def _average_precision(hits: np.ndarray, objects: int) -> float:
    """Precision at 101 recalls, each the best at that recall or a higher one, averaged."""
    true = np.cumsum(hits)
    precision = np.maximum.accumulate((true / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(true / objects, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())


def _outside(boxes: np.ndarray, area_px: tuple[float, float]) -> np.ndarray:
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return (areas < area_px[0]) | (areas > area_px[1])
