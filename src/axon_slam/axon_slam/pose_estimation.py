# SPDX-License-Identifier: Apache-2.0
"""The pose of a base from points whose place is known and where its camera sees them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from axon_core.arrays import BoolArray, FloatArray
from axon_core.cameras import PinholeCamera
from axon_slam.se3 import hat, inverse, move, orthonormal, se3_exp, se3_log

MIN_MATCHES = 6
# 95 % quantiles of chi-squared with 2 and 3 degrees of freedom: what is beyond is an outlier
CHI2_PIXEL, CHI2_PIXEL_DEPTH = 5.99, 7.81
CHI2_POSE = 12.59  # and with 6
# Points of one keyframe err together, so that many of them know no more than this many on their own would
EFFECTIVE_MATCHES = 100
PLANAR_SIGMA = np.array([0.005, 0.005, 0.01])  # roll and pitch in rad, height in m
_ITERATIONS = 12
_CONVERGED = 1e-6
_PNP_ITERATIONS, _PNP_ERROR_PX = 200, 4.0


@dataclass(frozen=True)
class Matches:
    """N points (N, 3) in the map, the pixels (N, 2) where they are seen, without distortion, and there the depth.

    `depths_m` (N,) is NaN where none was measured; the sigmas (N,) are standard deviations.
    """

    points: FloatArray
    pixels: FloatArray
    depths_m: FloatArray
    sigmas_px: FloatArray
    sigmas_m: FloatArray

    def __len__(self) -> int:
        return len(self.points)

    def select(self, chosen: np.ndarray) -> Matches:
        """Return those of a mask or of indices."""
        return Matches(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class PosePrior:
    """A pose `map_T_base` (4, 4) expected with standard deviations (6,) of rotation and translation in the base."""

    map_T_base: FloatArray
    sigmas: FloatArray


@dataclass(frozen=True)
class PoseEstimate:
    """`map_T_base` (4, 4), the mask (N,) of the matches that agree, the information (6, 6) in the base's frame."""

    map_T_base: FloatArray
    inliers: BoolArray
    information: FloatArray

    @property
    def count(self) -> int:
        """Number of inliers."""
        return int(self.inliers.sum())


def refine_pose(
    map_T_base: FloatArray,
    matches: Matches,
    camera: PinholeCamera,
    base_T_camera: FloatArray,
    prior: PosePrior | None = None,
    planar: bool = False,
) -> PoseEstimate:
    """Return the pose that explains pixels and depths best, from a first guess.

    Gauss-Newton on map_T_base exp(x), reweighted by Cauchy's kernel, on the residuals of pixel and depth.
    """
    pose = map_T_base
    information = np.zeros((6, 6))
    worth = min(1.0, EFFECTIVE_MATCHES / max(len(matches), 1))
    for _ in range(_ITERATIONS):
        residuals, jacobians = _residuals(pose, matches, camera, base_T_camera)
        square = np.einsum("ni,ni->n", residuals, residuals)
        weights = worth / (1.0 + square / CHI2_PIXEL)
        weighted = jacobians * weights[:, None, None]
        information = np.einsum("nia,nib->ab", weighted, jacobians)
        gradient = np.einsum("nia,ni->a", weighted, residuals)
        for r, j in _expectations(pose, prior, planar):
            information += j.T @ j
            gradient += j.T @ r
        step = np.linalg.solve(information + 1e-6 * np.eye(6), -gradient)
        pose = orthonormal(pose @ se3_exp(step))
        if np.abs(step).max() < _CONVERGED:
            break
    return PoseEstimate(pose, _agreeing(pose, matches, camera, base_T_camera), information)


def locate(
    matches: Matches, camera: PinholeCamera, base_T_camera: FloatArray, planar: bool = False, seed: int = 0
) -> PoseEstimate | None:
    """Return the pose without a first guess, None where there is none: PnP by RANSAC, then `refine_pose`.

    P3P of Gao et al. 2003 in OpenCV's RANSAC.
    """
    if len(matches) < MIN_MATCHES:
        return None
    cv2.setRNGSeed(seed)
    found, turn, shift, chosen = cv2.solvePnPRansac(
        matches.points,
        matches.pixels,
        camera.matrix,
        None,
        iterationsCount=_PNP_ITERATIONS,
        confidence=0.995,
        reprojectionError=_PNP_ERROR_PX,
        flags=cv2.SOLVEPNP_P3P,
    )
    if not found or chosen is None or len(chosen) < MIN_MATCHES:
        return None
    camera_T_map = np.eye(4)
    camera_T_map[:3, :3], camera_T_map[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    guess = orthonormal(inverse(camera_T_map) @ inverse(base_T_camera))
    first = refine_pose(guess, matches.select(chosen[:, 0]), camera, base_T_camera, planar=planar)
    return refine_pose(first.map_T_base, matches, camera, base_T_camera, planar=planar)


def _residuals(
    pose: FloatArray, matches: Matches, camera: PinholeCamera, base_T_camera: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return residuals (N, 3) of u, v, depth over their sigmas, and their derivatives (N, 3, 6) by the twist.

    Points behind the camera and depths that were not measured have residual and derivative zero.
    """
    in_base = move(inverse(pose), matches.points)
    camera_R_base = base_T_camera[:3, :3].T
    x, y, z = move(inverse(base_T_camera), in_base).T
    visible = z > 0.05
    z = np.where(visible, z, 1.0)
    u, v = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
    has_depth = visible & np.isfinite(matches.depths_m)
    residuals = np.stack(
        [
            np.where(visible, (u - matches.pixels[:, 0]) / matches.sigmas_px, 0.0),
            np.where(visible, (v - matches.pixels[:, 1]) / matches.sigmas_px, 0.0),
            np.where(has_depth, (z - matches.depths_m) / matches.sigmas_m, 0.0),
        ],
        axis=1,
    )
    by_point = np.zeros((len(x), 3, 3))
    scale = np.where(visible, 1.0 / (matches.sigmas_px * z), 0.0)
    by_point[:, 0, 0], by_point[:, 0, 2] = camera.fx * scale, -camera.fx * x / z * scale
    by_point[:, 1, 1], by_point[:, 1, 2] = camera.fy * scale, -camera.fy * y / z * scale
    by_point[:, 2, 2] = np.where(has_depth, 1.0 / matches.sigmas_m, 0.0)
    # the point moves against the base: d (exp(-x) p) / dx = [hat(p), -I]
    by_twist = np.concatenate([hat(in_base), np.broadcast_to(-np.eye(3), (len(x), 3, 3))], axis=2)
    return residuals, by_point @ camera_R_base @ by_twist


def _expectations(pose: FloatArray, prior: PosePrior | None, planar: bool) -> list[tuple[FloatArray, FloatArray]]:
    """Return residuals over their sigmas and derivatives of what is expected of the pose itself."""
    expected = []
    if prior is not None:
        residual = se3_log(inverse(prior.map_T_base) @ pose) / prior.sigmas
        trust = 1.0 / np.sqrt(1.0 + residual @ residual / CHI2_POSE)  # wheels slip
        expected.append((trust * residual, trust * np.diag(1.0 / prior.sigmas)))
    if planar:
        expected.append(planar_residual(pose))
    return expected


def planar_residual(map_T_base: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return roll, pitch and height (3,) over PLANAR_SIGMA, to first order, and the derivative (3, 6) by the twist."""
    r20, r21, r22 = map_T_base[2, :3]
    jacobian = np.zeros((3, 6))
    jacobian[0, 0], jacobian[0, 2] = r22, -r20
    jacobian[1, 1], jacobian[1, 2] = r22, -r21
    jacobian[2, 3:] = r20, r21, r22
    residual = np.array([r21, -r20, map_T_base[2, 3]])
    return residual / PLANAR_SIGMA, jacobian / PLANAR_SIGMA[:, None]


def _agreeing(pose: FloatArray, matches: Matches, camera: PinholeCamera, base_T_camera: FloatArray) -> BoolArray:
    residuals, jacobians = _residuals(pose, matches, camera, base_T_camera)
    has_depth = np.isfinite(matches.depths_m)
    square = np.einsum("ni,ni->n", residuals, residuals)
    in_front = jacobians.any(axis=(1, 2))
    return in_front & (square < np.where(has_depth, CHI2_PIXEL_DEPTH, CHI2_PIXEL))
