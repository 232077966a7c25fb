# SPDX-License-Identifier: Apache-2.0
"""Keyframes: what the map is made of, and which of them matter at a pose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from axon_core.arrays import AnyArray, FloatArray, IntArray
from axon_core.geometry import wrap_angle
from axon_slam.features import vote
from axon_slam.frames import Frame
from axon_slam.occupancy import PlanarScan
from axon_slam.pose_graph import Edge
from axon_slam.se3 import inverse, move

PLACE_FEATURES = 150  # a keyframe's strongest, by which its place is recognised
_VIEW_ANGLE_RAD = 1.0  # keyframes that look elsewhere show nothing of what is seen here
_METRES_PER_RADIAN = 1.0  # how a turn counts against a distance when keyframes are ranked by nearness


@dataclass
class Keyframe:
    """A look that is kept. `points` (N, 3) in the base's frame, their `descriptors` (N, D), the strongest first.

    `odom_T_base` (4, 4) is what odometry said, None without it or in a map that was loaded.
    """

    stamp_s: float
    map_T_base: FloatArray
    base_T_camera: FloatArray
    points: FloatArray
    descriptors: AnyArray
    scan: PlanarScan
    odom_T_base: FloatArray | None = None

    @property
    def place(self) -> AnyArray:
        """The descriptors (M, D) by which the place is recognised."""
        return self.descriptors[:PLACE_FEATURES]


def make_keyframe(
    frame: Frame, map_T_base: FloatArray, scan: PlanarScan, odom_T_base: FloatArray | None = None
) -> Keyframe:
    """Keep the features of a frame that have depth."""
    chosen = frame.has_depth
    descriptors = frame.features.descriptors[chosen]
    points = frame.points_in_base(chosen)
    return Keyframe(frame.stamp_s, map_T_base, frame.base_T_camera, points, descriptors, scan, odom_T_base)


@dataclass
class KeyframeMap:
    """All keyframes, in the order of time, and what is known of their relative poses."""

    keyframes: list[Keyframe] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keyframes)

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe and return its number."""
        self.keyframes.append(keyframe)
        return len(self.keyframes) - 1

    def poses(self) -> FloatArray:
        """Return map_T_base (K, 4, 4) of all keyframes."""
        return np.array([keyframe.map_T_base for keyframe in self.keyframes]).reshape(-1, 4, 4)

    def move_to(self, poses: FloatArray) -> None:
        """Set map_T_base (K, 4, 4) of all keyframes."""
        for keyframe, pose in zip(self.keyframes, poses, strict=True):
            keyframe.map_T_base = pose

    def near(self, map_T_base: FloatArray, base_T_camera: FloatArray, count: int) -> IntArray:
        """Return the numbers of at most `count` keyframes that look at the same, the nearest first."""
        distances, angles = self._apart(map_T_base @ base_T_camera)
        ranked = np.argsort(distances + _METRES_PER_RADIAN * angles)[:count]
        return ranked[angles[ranked] < _VIEW_ANGLE_RAD]

    def novelty(self, map_T_base: FloatArray, base_T_camera: FloatArray, distance_m: float, angle_rad: float) -> float:
        """Return how far a pose is from the nearest keyframe, 1 where it is one distance or one angle away."""
        distances, angles = self._apart(map_T_base @ base_T_camera)
        return float(np.maximum(distances / distance_m, angles / angle_rad).min(initial=np.inf))

    def gather(self, numbers: IntArray) -> tuple[FloatArray, AnyArray, IntArray]:
        """Return the points (N, 3) of keyframes in the map, their descriptors, and whose they are (N,)."""
        chosen = [self.keyframes[number] for number in numbers]
        points = np.concatenate([move(keyframe.map_T_base, keyframe.points) for keyframe in chosen])
        owners = np.repeat(numbers, [len(keyframe.points) for keyframe in chosen])
        return points, np.concatenate([keyframe.descriptors for keyframe in chosen]), owners

    def similar(self, descriptors: AnyArray, among: IntArray, count: int, max_distance: float) -> IntArray:
        """Return the numbers of at most `count` keyframes among those given that look most like the descriptors."""
        votes = vote(descriptors, [self.keyframes[number].place for number in among], max_distance)
        ranked = np.argsort(-votes, kind="stable")[:count]
        return np.asarray(among)[ranked[votes[ranked] > 0]]

    def _apart(self, map_T_camera: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return distance (K,) and turn (K,) of every keyframe's camera from a camera."""
        if not self.keyframes:
            return np.zeros(0), np.zeros(0)
        cameras = np.array([keyframe.map_T_base @ keyframe.base_T_camera for keyframe in self.keyframes])
        distances = np.linalg.norm(cameras[:, :3, 3] - map_T_camera[:3, 3], axis=1)
        traces = np.einsum("kij,ij->k", cameras[:, :3, :3], map_T_camera[:3, :3])
        return distances, np.arccos(np.clip(0.5 * (traces - 1.0), -1.0, 1.0))


def relative_sigmas(inliers: int) -> FloatArray:
    """Return standard deviations (6,) of a relative pose measured by that many matches."""
    scale = np.sqrt(100.0 / max(inliers, 1))
    return scale * np.array([0.005, 0.005, 0.005, 0.01, 0.01, 0.01])


def moved_by(before: FloatArray, after: FloatArray) -> tuple[float, float]:
    """Return distance in m and turn in rad between two poses (4, 4)."""
    between = inverse(before) @ after
    turn = np.arccos(np.clip(0.5 * (np.trace(between[:3, :3]) - 1.0), -1.0, 1.0))
    return float(np.linalg.norm(between[:3, 3])), float(abs(wrap_angle(turn)))
