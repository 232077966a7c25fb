# SPDX-License-Identifier: Apache-2.0
"""Where the base should be by now: by wheel odometry, or at constant velocity."""

from __future__ import annotations

import numpy as np

from axon_core.arrays import FloatArray
from axon_slam.pose_estimation import PosePrior
from axon_slam.se3 import inverse, orthonormal, se3_exp, se3_log

_MAX_STEP_S = 0.5  # a velocity says nothing of what happens in a longer time
_ODOMETRY_FLOOR = np.array([0.002, 0.002, 0.001, 0.001, 0.001, 0.002])  # rad, m
_ODOMETRY_SHARE = 0.04  # of the motion


def odometry_sigmas(motion: FloatArray) -> FloatArray:
    """Return standard deviations (6,), rad and m, of a motion (4, 4) that wheel odometry tells."""
    twist = se3_log(motion)
    moved = np.repeat([np.linalg.norm(twist[:3]), np.linalg.norm(twist[3:])], 3)
    return _ODOMETRY_FLOOR + _ODOMETRY_SHARE * moved


class MotionModel:
    """The last pose, and what it tells of the next."""

    def __init__(self) -> None:
        self.pose: FloatArray = np.eye(4)
        self._stamp_s: float | None = None
        self._odometry: FloatArray | None = None
        self._velocity: FloatArray | None = None  # twist (6,) a second, in the base's frame
        self._measured = False

    @property
    def velocity(self) -> FloatArray:
        """Twist (6,) a second of the last two poses that were seen, rotation and translation in the base; else zero."""
        return np.zeros(6) if self._velocity is None else self._velocity

    def predict(self, stamp_s: float, odom_T_base: FloatArray | None) -> FloatArray:
        """Return map_T_base (4, 4) expected at a time, with odometry where it is there now and was before."""
        return orthonormal(self.pose @ self._motion(stamp_s, odom_T_base))

    def prior(self, stamp_s: float, odom_T_base: FloatArray | None) -> PosePrior | None:
        """Return how surely odometry knows the pose; None without it."""
        if odom_T_base is None or self._odometry is None:
            return None
        return PosePrior(self.predict(stamp_s, odom_T_base), odometry_sigmas(self._motion(stamp_s, odom_T_base)))

    def update(self, stamp_s: float, map_T_base: FloatArray, odom_T_base: FloatArray | None, measured: bool) -> None:
        """Take over a pose, seen (`measured`) or only predicted; two that were seen tell a velocity."""
        elapsed = None if self._stamp_s is None else stamp_s - self._stamp_s
        known = measured and self._measured and elapsed is not None and 0.0 < elapsed <= _MAX_STEP_S
        self._velocity = se3_log(inverse(self.pose) @ map_T_base) / elapsed if known else None
        self.pose, self._stamp_s, self._odometry = map_T_base, stamp_s, odom_T_base
        self._measured = measured

    def correct(self, map_T_base: FloatArray) -> None:
        """Move the last pose: the map has moved, not the base."""
        self.pose = map_T_base

    def _motion(self, stamp_s: float, odom_T_base: FloatArray | None) -> FloatArray:
        if odom_T_base is not None and self._odometry is not None:
            return inverse(self._odometry) @ odom_T_base
        if self._velocity is None or self._stamp_s is None or stamp_s - self._stamp_s > _MAX_STEP_S:
            return np.eye(4)
        return se3_exp(self._velocity * (stamp_s - self._stamp_s))
