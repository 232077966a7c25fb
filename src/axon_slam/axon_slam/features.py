# SPDX-License-Identifier: Apache-2.0
"""Features of an image and their matching, behind interfaces that know nothing of how features are made.

A learned extractor returns float descriptors (N, D), a classical one bytes (N, D); matching looks at the type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numba import njit

from axon_core.arrays import AnyArray, BoolArray, Float32Array, FloatArray, IntArray

GRID_ROWS, GRID_COLS = 6, 8
_POPCOUNT = np.array([bin(i).count("1") for i in range(256)], dtype=np.uint8)


@dataclass(frozen=True)
class Features:
    """N features: `pixels` (N, 2) u, v; `sigmas_px` (N,) their uncertainty; `descriptors` (N, D) uint8 or float32.

    In order of strength, the strongest first.
    """

    pixels: FloatArray
    sigmas_px: FloatArray
    descriptors: AnyArray

    def __len__(self) -> int:
        return len(self.pixels)

    def select(self, chosen: AnyArray) -> Features:
        """Return those of a mask or of indices."""
        return Features(self.pixels[chosen], self.sigmas_px[chosen], self.descriptors[chosen])


class FeatureExtractor(Protocol):
    """What makes features of an image. `max_distance` is how far two descriptors of one point may be apart."""

    max_distance: float

    def extract(self, gray: AnyArray, where: BoolArray | None = None) -> Features:
        """Return the features of a grey image (H, W) uint8 `where` (H, W) they may lie; none where it shows nothing."""
        ...


class OpenCvExtractor:
    """Corners spread over the image: each cell of a grid keeps its strongest."""

    def __init__(self, detector: Any, count: int, max_distance: float, scale_factor: float) -> None:
        self._detector, self._count, self._scale_factor = detector, count, scale_factor
        self.max_distance = max_distance

    def extract(self, gray: AnyArray, where: BoolArray | None = None) -> Features:
        """Return at most `count` features."""
        mask = None if where is None else where.astype(np.uint8)
        found = sorted(self._detector.detect(gray, mask), key=lambda keypoint: -keypoint.response)
        kept = [found[i] for i in _spread(cv2.KeyPoint_convert(found), gray.shape, self._count)] if found else []
        kept, descriptors = self._detector.compute(gray, kept) if kept else ((), None)
        if descriptors is None:
            return Features(np.zeros((0, 2)), np.zeros(0), np.zeros((0, 1), dtype=np.uint8))
        octaves = np.array([keypoint.octave & 0xFF for keypoint in kept]).astype(np.int8)
        pixels = cv2.KeyPoint_convert(kept).astype(np.float64)
        return Features(pixels, self._scale_factor ** np.maximum(octaves, 0).astype(np.float64), descriptors)


def make_extractor(kind: str, count: int) -> FeatureExtractor:
    """Return the extractor of a name: orb or sift. ValueError for another."""
    if kind == "orb":
        orb = cv2.ORB_create(nfeatures=2 * count, scaleFactor=1.2, nlevels=8, fastThreshold=8)
        return OpenCvExtractor(orb, count, max_distance=64.0, scale_factor=1.2)
    if kind == "sift":
        sift = cv2.SIFT_create(nfeatures=2 * count, contrastThreshold=0.02)
        return OpenCvExtractor(sift, count, max_distance=250.0, scale_factor=2.0)
    raise ValueError(f"features = {kind!r}: expected one of orb, sift")


def match_mutual(query: AnyArray, train: AnyArray, max_distance: float, ratio: float = 0.8) -> IntArray:
    """Return pairs (M, 2) of descriptors that are each other's nearest, and clearly nearer than the second.

    The ratio test is Lowe's ("Distinctive image features from scale-invariant keypoints", 2004, section 7.1).
    """
    if len(query) < 2 or len(train) < 2:
        return np.zeros((0, 2), dtype=np.intp)
    matcher = cv2.BFMatcher(_norm(query))
    back = np.array([match.trainIdx for match in matcher.match(train, query)])
    pairs = [
        (first.queryIdx, first.trainIdx)
        for first, second in matcher.knnMatch(query, train, k=2)
        if first.distance <= max_distance
        and first.distance < ratio * second.distance
        and back[first.trainIdx] == first.queryIdx
    ]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def match_near(
    predicted: FloatArray,
    descriptors: AnyArray,
    features: Features,
    radius_px: float,
    max_distance: float,
    ratio: float = 0.9,
) -> IntArray:
    """Return pairs (M, 2) of a prediction and the feature within its radius that looks most like it.

    `predicted` (N, 2) are pixels, `descriptors` (N, D) theirs. A feature may answer to several predictions.
    """
    if len(predicted) == 0 or len(features) == 0:
        return np.zeros((0, 2), dtype=np.intp)
    rows, cols = _pairs_within(predicted, features.pixels, radius_px)
    distances = descriptor_distances(descriptors, features.descriptors, rows, cols)
    order = np.lexsort((distances, rows))
    rows, cols, distances = rows[order], cols[order], distances[order]
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = rows[1:] != rows[:-1]
    second = np.append(distances[1:], np.inf)
    second[np.append(is_first[1:], True)] = np.inf  # the next one belongs to another prediction
    good = is_first & (distances <= max_distance) & (distances < ratio * second)
    return np.stack([rows[good], cols[good]], axis=1)


def descriptor_distances(first: AnyArray, second: AnyArray, rows: IntArray, cols: IntArray) -> Float32Array:
    """Return the distances (P,) of `first[rows]` and `second[cols]`: Hamming's for bytes, Euclid's for floats."""
    if first.dtype == np.uint8:
        return _hamming(first, second, rows, cols, _POPCOUNT)
    return np.linalg.norm(first[rows].astype(np.float32) - second[cols], axis=1)


def vote(query: AnyArray, places: list[AnyArray], max_distance: float) -> IntArray:
    """Return for each place (its descriptors (N, D)) how many of the query's descriptors are nearest to its own."""
    if not places or len(query) == 0:
        return np.zeros(len(places), dtype=np.intp)
    owners = np.repeat(np.arange(len(places)), [len(place) for place in places])
    matches = cv2.BFMatcher(_norm(query)).match(query, np.concatenate(places))
    winners = [owners[match.trainIdx] for match in matches if match.distance <= max_distance]
    return np.bincount(winners, minlength=len(places)) if winners else np.zeros(len(places), dtype=np.intp)


def _norm(descriptors: AnyArray) -> int:
    return cv2.NORM_HAMMING if descriptors.dtype == np.uint8 else cv2.NORM_L2


def _spread(pixels: AnyArray, shape: tuple[int, ...], count: int) -> IntArray:
    """Return indices of at most `count` pixels (N, 2), strongest first: by rank in their cell, then by strength."""
    if len(pixels) <= count:
        return np.arange(len(pixels))
    rows = np.clip((pixels[:, 1] * GRID_ROWS / shape[0]).astype(np.intp), 0, GRID_ROWS - 1)
    cols = np.clip((pixels[:, 0] * GRID_COLS / shape[1]).astype(np.intp), 0, GRID_COLS - 1)
    cells = rows * GRID_COLS + cols
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], cells[order])
    rank = np.empty(len(pixels), dtype=np.intp)
    rank[order] = np.arange(len(pixels)) - starts
    return np.argsort(rank, kind="stable")[:count]


def _pairs_within(predicted: FloatArray, pixels: FloatArray, radius_px: float) -> tuple[IntArray, IntArray]:
    """Return indices (P,), (P,) of all pairs of a prediction and a pixel that are no farther apart than the radius."""
    low = pixels.min(axis=0)
    cells = np.floor((pixels - low) / radius_px).astype(np.intp)
    cols, rows = cells.max(axis=0) + 1
    of_cell = cells[:, 1] * cols + cells[:, 0]
    order = np.argsort(of_cell, kind="stable")
    starts = np.searchsorted(of_cell[order], np.arange(rows * cols + 1))
    return _pairs(predicted, pixels, radius_px, low, rows, cols, order, starts)


@njit(cache=True)
def _pairs(predicted, pixels, radius_px, low, rows, cols, order, starts):  # type: ignore[no-untyped-def]
    """The pixels are sorted into cells as wide as the radius: only nine of them are near a prediction."""
    found = 0
    capacity = 8 * len(predicted) + 64
    first, second = np.empty(capacity, dtype=np.intp), np.empty(capacity, dtype=np.intp)
    for i in range(len(predicted)):
        col = int(np.floor((predicted[i, 0] - low[0]) / radius_px))
        row = int(np.floor((predicted[i, 1] - low[1]) / radius_px))
        for r in range(max(row - 1, 0), min(row + 2, rows)):
            for c in range(max(col - 1, 0), min(col + 2, cols)):
                for k in range(starts[r * cols + c], starts[r * cols + c + 1]):
                    j = order[k]
                    du, dv = predicted[i, 0] - pixels[j, 0], predicted[i, 1] - pixels[j, 1]
                    if du * du + dv * dv > radius_px * radius_px:
                        continue
                    if found == capacity:
                        first, second = np.concatenate((first, first)), np.concatenate((second, second))
                        capacity *= 2
                    first[found], second[found] = i, j
                    found += 1
    return first[:found], second[:found]


@njit(cache=True)
def _hamming(first, second, rows, cols, popcount):  # type: ignore[no-untyped-def]
    distances = np.empty(len(rows), dtype=np.float32)
    for i in range(len(rows)):
        bits = 0
        for k in range(first.shape[1]):
            bits += popcount[first[rows[i], k] ^ second[cols[i], k]]
        distances[i] = bits
    return distances
