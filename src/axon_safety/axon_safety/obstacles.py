# SPDX-License-Identifier: Apache-2.0
"""What is around the base: the newest scan, moved along with the base, and what has left the scanner's view.

A lidar of 270 degrees does not see behind; a base that backs out must still know what it has just passed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np

from axon_core.arrays import BoolArray, FloatArray
from axon_core.geometry import se2_apply, se2_compose, se2_inverse
from axon_core.motion import Twist2
from axon_core.scans import Scan

_HISTORY_S = 2.0
_SEE_THROUGH_M = 0.1
_MAX_REMEMBERED = 2000
_UNSEEN_SPACING_M = 0.03


class LocalObstacles:
    """Obstacle points in a frame that dead-reckons from the measured velocity: good for the seconds that matter."""

    def __init__(self, reach_m: float, memory_radius_m: float, memory_s: float, unseen_radius_m: float) -> None:
        self.configure(reach_m, memory_radius_m, memory_s)
        self.unseen_radius_m = unseen_radius_m
        self._track = deque([(-math.inf, np.zeros(3))])
        self._velocity = Twist2()
        self._odom_pose: FloatArray | None = None
        self._seen: FloatArray = np.zeros((0, 2))
        self._kept: FloatArray = np.zeros((0, 3))  # x, y, time when last seen
        self._started = False

    def configure(self, reach_m: float, memory_radius_m: float, memory_s: float) -> None:
        """Take new ranges; what was seen stays."""
        self.reach_m, self.memory_radius_m, self.memory_s = reach_m, memory_radius_m, memory_s

    def advance(self, t_s: float, velocity: Twist2, odom_pose: FloatArray | None = None) -> None:
        """Move the base up to t_s, which never runs backward: as odometry's pose (3,) did, or by its velocity."""
        last_s, pose = self._track[-1]
        if math.isinf(last_s):
            self._track[-1] = (t_s, pose)
        elif odom_pose is not None and self._odom_pose is not None:
            self._track.append((t_s, _composed(pose, se2_compose(se2_inverse(self._odom_pose), odom_pose))))
        else:
            mean = Twist2(*(0.5 * (before + now) for before, now in zip(self._velocity, velocity, strict=True)))
            self._track.append((t_s, moved(pose, mean, t_s - last_s)))
        self._velocity, self._odom_pose = velocity, odom_pose
        while self._track[0][0] < t_s - _HISTORY_S:
            self._track.popleft()

    def see(self, scan: Scan, stamp_s: float, base_T_laser: FloatArray) -> None:
        """Take a scan that was measured at stamp_s; what it looks through is forgotten, what it cannot see is kept."""
        track_T_laser = se2_compose(self._pose_at(stamp_s), base_T_laser)
        points = _near_as_hits(scan).points()
        seen = se2_apply(track_T_laser, points[np.hypot(points[:, 0], points[:, 1]) < self.reach_m])
        if not self._started:
            self._kept = self._unseen_rim(scan, base_T_laser, stamp_s)
            self._started = True
        self._remember(stamp_s)
        self._kept = self._kept[~_looked_through(scan, se2_apply(se2_inverse(track_T_laser), self._kept[:, :2]))]
        self._seen = seen

    def points(self) -> FloatArray:
        """All obstacle points (N, 2) in the base frame now."""
        everything = np.vstack([self._seen, self._kept[:, :2]])
        return se2_apply(se2_inverse(self._track[-1][1]), everything)

    def _remember(self, stamp_s: float) -> None:
        """Move the last scan's points into the memory, and drop what is old or far."""
        recent = np.column_stack([self._seen, np.full(len(self._seen), stamp_s)])
        kept = np.vstack([self._kept, recent])
        here = self._track[-1][1][:2]
        near = np.hypot(kept[:, 0] - here[0], kept[:, 1] - here[1]) < self.memory_radius_m
        self._kept = kept[near & (kept[:, 2] >= stamp_s - self.memory_s)][-_MAX_REMEMBERED:]

    def _pose_at(self, stamp_s: float) -> FloatArray:
        """Pose on the track at a time, between its samples in proportion, beyond its ends the nearest."""
        later_s, later = self._track[-1]
        for earlier_s, earlier in reversed(self._track):
            if earlier_s <= stamp_s:
                share = (stamp_s - earlier_s) / (later_s - earlier_s) if later_s > earlier_s else 0.0
                return earlier + min(share, 1.0) * (later - earlier)
            later_s, later = earlier_s, earlier
        return later

    def _unseen_rim(self, scan: Scan, base_T_laser: FloatArray, stamp_s: float) -> FloatArray:
        """Points around the base where the scanner has no ray: held for obstacles until it has looked there."""
        if self.unseen_radius_m == 0.0:
            return np.zeros((0, 3))
        count = max(8, round(2.0 * math.pi * self.unseen_radius_m / _UNSEEN_SPACING_M))
        angles = np.linspace(-math.pi, math.pi, count, endpoint=False)
        rim = self.unseen_radius_m * np.column_stack([np.cos(angles), np.sin(angles)])
        hidden = rim[_ray_index(scan, se2_apply(se2_inverse(base_T_laser), rim)) < 0]
        return np.column_stack([se2_apply(self._pose_at(stamp_s), hidden), np.full(len(hidden), stamp_s)])


def moved(pose: FloatArray, velocity: Twist2, dt_s: float) -> FloatArray:
    """Pose (3,) after dt_s at a constant velocity; its yaw is not wrapped, so that a track of them has no jumps."""
    heading = 0.5 * velocity.wz_radps * dt_s
    cos, sin = math.cos(heading), math.sin(heading)
    forward, left = velocity.vx_mps * dt_s, velocity.vy_mps * dt_s
    return _composed(pose, np.array([cos * forward - sin * left, sin * forward + cos * left, velocity.wz_radps * dt_s]))


def _composed(pose: FloatArray, step: FloatArray) -> FloatArray:
    made = se2_compose(pose, step)
    made[2] = pose[2] + step[2]
    return made


def _near_as_hits(scan: Scan) -> Scan:
    """-inf says "something nearer than I can measure" (REP-117): held for a hit at the nearest range."""
    too_near = np.isneginf(scan.ranges_m)
    return (
        replace(scan, ranges_m=np.where(too_near, np.float32(scan.range_min_m), scan.ranges_m))
        if too_near.any()
        else scan
    )


def _ray_index(scan: Scan, points: FloatArray) -> np.ndarray:
    """Nearest ray (N,) for points (N, 2) in the scanner's frame; -1 outside its field of view."""
    bearing = np.arctan2(points[:, 1], points[:, 0]) - scan.angle_min_rad
    full_turn = math.copysign(2.0 * math.pi, scan.angle_increment_rad)
    index = np.round(np.mod(bearing, full_turn) / scan.angle_increment_rad).astype(int)
    return np.where(index < len(scan.ranges_m), index, -1)


def _looked_through(scan: Scan, points: FloatArray) -> BoolArray:
    """Mask (N,) of points at or before what the scan measured on their bearing: seen anew, or no longer there."""
    ray = _ray_index(scan, points)
    measured = scan.ranges_m[np.maximum(ray, 0)]
    distance = np.hypot(points[:, 0], points[:, 1])
    reached = measured >= np.maximum(distance - _SEE_THROUGH_M, scan.range_min_m)  # False for NaN
    return (ray >= 0) & (distance >= scan.range_min_m) & reached
