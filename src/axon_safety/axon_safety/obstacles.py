# SPDX-License-Identifier: Apache-2.0
"""What is around the base: the newest scan, moved along with the base, and what has left the scanner's view.

A lidar of 270 degrees does not see behind; a base that backs out must still know what it has just passed.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numba import njit

from axon_core.arrays import FloatArray, IntArray
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
        laser = se2_compose(self._pose_at(stamp_s), base_T_laser)
        if not self._started:
            self._kept = self._unseen_rim(scan, base_T_laser, stamp_s)
            self._started = True
        geometry = (scan.angle_min_rad, scan.angle_increment_rad, scan.range_min_m, scan.range_max_m)
        limits = (stamp_s, self.memory_radius_m, self.memory_s)
        self._kept = _still_hidden(self._kept, self._seen, scan.ranges_m, geometry, laser, limits)[-_MAX_REMEMBERED:]
        self._seen = _hits(scan.ranges_m, geometry, laser, self.reach_m)

    def points(self) -> FloatArray:
        """All obstacle points (N, 2) in the base frame now."""
        return _seen_from(self._track[-1][1], self._seen, self._kept)

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


def _ray_index(scan: Scan, points: FloatArray) -> IntArray:
    """Nearest ray (N,) for points (N, 2) in the scanner's frame; -1 outside its field of view."""
    rays = len(scan.ranges_m)
    rows = [_ray_of(x, y, scan.angle_min_rad, scan.angle_increment_rad, rays) for x, y in points]
    return np.array(rows, dtype=np.intp)


@njit(cache=True)
def _ray_of(x, y, angle_min, increment, rays):
    bearing = (math.atan2(y, x) - angle_min) * math.copysign(1.0, increment)
    ray = round((bearing % (2.0 * math.pi)) / abs(increment))
    return ray if ray < rays else -1


@njit(cache=True)
def _hits(ranges, geometry, laser, reach):
    """Points (M, 2) of a scan nearer than reach, moved by the scanner's pose.

    -inf says "something nearer than I can measure" (REP-117): held for a hit at the nearest range.
    """
    angle_min, increment, range_min, range_max = geometry
    points = np.empty((ranges.shape[0], 2))
    count = 0
    for ray in range(ranges.shape[0]):
        distance = range_min if ranges[ray] == -np.inf else ranges[ray]
        if range_min <= distance <= min(range_max, reach):
            angle = laser[2] + angle_min + ray * increment
            points[count, 0] = laser[0] + distance * math.cos(angle)
            points[count, 1] = laser[1] + distance * math.sin(angle)
            count += 1
    return points[:count].copy()


@njit(cache=True)
def _still_hidden(kept, seen, ranges, geometry, laser, limits):
    """What of the memory (N, 3) and the last scan's points (M, 2) the new scan does not show, unless old or far."""
    stamp, radius, memory = limits
    left = np.empty((kept.shape[0] + seen.shape[0], 3))
    count = 0
    for i in range(left.shape[0]):
        remembered = i < kept.shape[0]
        point = kept[i] if remembered else seen[i - kept.shape[0]]
        when = point[2] if remembered else stamp
        dx, dy = point[0] - laser[0], point[1] - laser[1]
        if (
            dx * dx + dy * dy < radius * radius
            and when >= stamp - memory
            and not _looked_at(dx, dy, ranges, geometry, laser)
        ):
            left[count, 0], left[count, 1], left[count, 2] = point[0], point[1], when
            count += 1
    return left[:count].copy()


@njit(cache=True)
def _looked_at(dx, dy, ranges, geometry, laser):
    """Was the point (offset from the scanner) at or before what was measured on its bearing: seen anew, or gone?"""
    angle_min, increment, range_min, _ = geometry
    distance = math.hypot(dx, dy)
    cos, sin = math.cos(laser[2]), math.sin(laser[2])
    ray = _ray_of(cos * dx + sin * dy, cos * dy - sin * dx, angle_min, increment, ranges.shape[0])
    return ray >= 0 and distance >= range_min and ranges[ray] >= max(distance - _SEE_THROUGH_M, range_min)


@njit(cache=True)
def _seen_from(pose, seen, kept):
    """Both kinds of points (M, 2) and (N, 3) in the frame of a pose: (M + N, 2)."""
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    points = np.empty((seen.shape[0] + kept.shape[0], 2))
    for i in range(points.shape[0]):
        point = seen[i] if i < seen.shape[0] else kept[i - seen.shape[0]]
        dx, dy = point[0] - pose[0], point[1] - pose[1]
        points[i, 0], points[i, 1] = cos * dx + sin * dy, cos * dy - sin * dx
    return points
