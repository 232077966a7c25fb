# SPDX-License-Identifier: Apache-2.0
"""How far a trajectory is from the truth.

Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", 2012.
"""

from __future__ import annotations

import numpy as np

from axon_core.arrays import FloatArray
from axon_core.checks import check_array
from axon_slam.se3 import inverse, move


def align(estimated: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the rigid transform (4, 4) that moves points (N, 3) nearest to others (N, 3), pair by pair.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, eq. 40-43,
    without scale. ValueError for fewer than three.
    """
    source = check_array("estimated", estimated, (None, 3))
    target = check_array("truth", truth, (len(source), 3))
    if len(source) < 3:
        raise ValueError(f"estimated: expected at least 3 positions, got {len(source)}")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    left, _, right = np.linalg.svd((target - target_mean).T @ (source - source_mean))
    proper = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    aligned = np.eye(4)
    aligned[:3, :3] = left @ proper @ right
    aligned[:3, 3] = target_mean - aligned[:3, :3] @ source_mean
    return aligned


def ate_m(estimated: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the absolute trajectory error (N,): distance of each position (N, 3) from its true one, after `align`."""
    return np.linalg.norm(move(align(estimated, truth), estimated) - truth, axis=1)


def rmse(errors: FloatArray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def drift(estimated: FloatArray, truth: FloatArray, step: int) -> tuple[float, float]:
    """Return the relative pose error over `step` frames of poses (N, 4, 4): RMSE in m and in rad."""
    moves, turns = [], []
    for i in range(len(truth) - step):
        wanted = inverse(truth[i]) @ truth[i + step]
        got = inverse(estimated[i]) @ estimated[i + step]
        error = inverse(wanted) @ got
        moves.append(np.linalg.norm(error[:3, 3]))
        turns.append(np.arccos(np.clip(0.5 * (np.trace(error[:3, :3]) - 1.0), -1.0, 1.0)))
    return rmse(np.array(moves)), rmse(np.array(turns))
