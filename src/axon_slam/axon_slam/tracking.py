# SPDX-License-Identifier: Apache-2.0
"""Where a frame was taken: against the keyframes near its prediction, or against places that look alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from axon_core.arrays import FloatArray, IntArray
from axon_slam.config import SlamConfig
from axon_slam.features import match_mutual, match_near
from axon_slam.frames import Frame
from axon_slam.mapping import Keyframe, KeyframeMap
from axon_slam.pose_estimation import MIN_MATCHES, PoseEstimate, PosePrior, locate, refine_pose
from axon_slam.se3 import inverse, move

_WIDER = 2.5  # the second search's radius over the first's
_LOCAL_LOCATE = 2  # keyframes tried without a prediction


@dataclass(frozen=True)
class Track:
    """A pose (4, 4) and what supports it.

    `features` (N,) and `points` (N, 3) are the inliers, the points in their keyframe's base frame, `owners` (N,) the
    keyframes; `count` is the number of different features among them.
    """

    map_T_base: FloatArray
    information: FloatArray
    features: IntArray
    points: FloatArray
    owners: IntArray

    @property
    def count(self) -> int:
        """Different features that agree with the pose."""
        return len(np.unique(self.features))


class Tracker:
    """Finds frames in a map of keyframes."""

    def __init__(self, config: SlamConfig, max_distance: float) -> None:
        self.config, self._max_distance = config, max_distance

    def track(
        self, frame: Frame, keyframes: KeyframeMap, predicted: FloatArray, prior: PosePrior | None
    ) -> Track | None:
        """Return the best of the pose near its prediction, searched ever wider; None where nothing fits."""
        numbers = keyframes.near(predicted, frame.base_T_camera, self.config.local_keyframes)
        if len(numbers) == 0 or len(frame.features) < MIN_MATCHES:
            return None
        best = None
        for radius in (self.config.search_radius_px, _WIDER * self.config.search_radius_px):
            found = self._search(frame, keyframes, numbers, predicted, radius, prior)
            best = _better(best, found)
            if best is not None and best.count >= self.config.min_inliers:
                return best
        located = self.recognise(frame, keyframes, numbers[:_LOCAL_LOCATE], self.config.min_inliers)
        return _better(best, located)

    def recognise(
        self, frame: Frame, keyframes: KeyframeMap, numbers: IntArray, at_least: int = MIN_MATCHES
    ) -> Track | None:
        """Return the pose against the best of these keyframes without a prediction; None where none fits."""
        best = None
        for number in numbers:
            found = self.verify(frame, keyframes.keyframes[number], at_least)
            if found is None:
                continue
            estimate, features, points = found
            pose = keyframes.keyframes[number].map_T_base @ estimate.map_T_base
            owners = np.full(len(features), number, dtype=np.intp)
            best = _better(best, Track(pose, estimate.information, features, points, owners))
        return best

    def verify(
        self, frame: Frame, keyframe: Keyframe, at_least: int = MIN_MATCHES
    ) -> tuple[PoseEstimate, IntArray, FloatArray] | None:
        """Return the frame's pose in a keyframe's base frame, with the features and points that agree.

        None where fewer than `at_least` do.
        """
        pairs = match_mutual(frame.features.descriptors, keyframe.descriptors, self._max_distance)
        if len(pairs) < at_least:
            return None
        points = keyframe.points[pairs[:, 1]]
        matches = frame.matches(points, pairs[:, 0])
        estimate = locate(matches, frame.camera, frame.base_T_camera, seed=self.config.seed)
        if estimate is None or estimate.count < at_least:
            return None
        return estimate, pairs[estimate.inliers, 0], points[estimate.inliers]

    def relative(self, frame: Frame, keyframes: KeyframeMap, track: Track, number: int) -> tuple[FloatArray, int]:
        """Return the frame's pose in one keyframe's base frame by the matches with it alone, and their number."""
        chosen = track.owners == number
        guess = inverse(keyframes.keyframes[number].map_T_base) @ track.map_T_base
        matches = frame.matches(track.points[chosen], track.features[chosen])
        estimate = refine_pose(guess, matches, frame.camera, frame.base_T_camera)
        return estimate.map_T_base, estimate.count

    def _search(
        self,
        frame: Frame,
        keyframes: KeyframeMap,
        numbers: IntArray,
        predicted: FloatArray,
        radius_px: float,
        prior: PosePrior | None,
    ) -> Track | None:
        points, descriptors, owners = keyframes.gather(numbers)
        pixels, visible = _project(frame, predicted, points)
        pairs = match_near(pixels[visible], descriptors[visible], frame.features, radius_px, self._max_distance)
        if len(pairs) < MIN_MATCHES:
            return None
        landmarks, features = np.flatnonzero(visible)[pairs[:, 0]], pairs[:, 1]
        matches = frame.matches(points[landmarks], features)
        camera, mount, planar = frame.camera, frame.base_T_camera, self.config.planar
        estimate = refine_pose(predicted, matches, camera, mount, prior, planar)
        agreeing = estimate.inliers
        owned = owners[landmarks][agreeing]
        in_owner = np.empty((len(owned), 3))
        for number in numbers:
            mine = owned == number
            back = inverse(keyframes.keyframes[number].map_T_base)
            in_owner[mine] = move(back, points[landmarks][agreeing][mine])
        return Track(estimate.map_T_base, estimate.information, features[agreeing], in_owner, owned)


def _better(first: Track | None, second: Track | None) -> Track | None:
    if first is None or (second is not None and second.count > first.count):
        return second
    return first


def _project(frame: Frame, map_T_base: FloatArray, points: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """Return the pixels (N, 2) of points (N, 3) of the map, and the mask of those inside the image."""
    camera = frame.camera
    x, y, z = move(inverse(map_T_base @ frame.base_T_camera), points).T
    in_front = z > 0.05
    depth = np.where(in_front, z, 1.0)
    pixels = np.stack([camera.fx * x / depth + camera.cx, camera.fy * y / depth + camera.cy], axis=1)
    inside = ((pixels >= 0.0) & (pixels < (camera.width, camera.height))).all(axis=1)
    return pixels, in_front & inside
