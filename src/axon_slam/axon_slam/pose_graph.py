# SPDX-License-Identifier: Apache-2.0
"""Poses from measurements between them: GTSAM, or the same problem in SciPy where GTSAM has no wheel (Python 3.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from axon_core.arrays import FloatArray
from axon_slam.pose_estimation import PLANAR_SIGMA, planar_residual
from axon_slam.se3 import adjoint, inverse, orthonormal, se3_exp, se3_log

try:
    import gtsam
except ImportError:
    gtsam = None

# Loops that stay this many sigmas off lose weight: one of them may be wrong. A tighter kernel gives up right ones too,
# where bending a long chain of edges costs more than the kernel ever asks.
CAUCHY = 5.0
_ANCHOR_SIGMA = 1e-4
_FREE_SIGMA = 1e4
_ITERATIONS = 50
_CONVERGED = 1e-6


@dataclass(frozen=True)
class Edge:
    """The pose of keyframe `b` in the frame of keyframe `a`, with standard deviations (6,): rotation, translation.

    A robust edge may be wrong, and loses weight where it contradicts the others.
    """

    a: int
    b: int
    a_T_b: FloatArray
    sigmas: FloatArray
    robust: bool = False


def optimize(poses: FloatArray, edges: Sequence[Edge], planar: bool = False, solver: str = "auto") -> FloatArray:
    """Return the poses (K, 4, 4) that fit the edges best; the first one stays.

    `planar` expects every pose level and at height 0. `solver` is gtsam, scipy or auto. ValueError for an edge
    between poses that do not exist.
    """
    for edge in edges:
        if not (0 <= edge.a < len(poses) and 0 <= edge.b < len(poses)):
            raise ValueError(f"edge {edge.a} - {edge.b}: expected numbers of the {len(poses)} poses")
    use_gtsam = gtsam is not None if solver == "auto" else solver == "gtsam"
    solve = _optimize_gtsam if use_gtsam else _optimize_scipy
    if any(edge.robust for edge in edges):
        # drift has grown to many sigmas of a loop: a robust kernel would give up every loop from the start
        poses = solve(poses, [replace(edge, robust=False) for edge in edges], planar)
    return solve(poses, edges, planar)


def edge_error(poses: FloatArray, edge: Edge) -> FloatArray:
    """Return how far two poses are from an edge (6,), in sigmas."""
    between = inverse(poses[edge.a]) @ poses[edge.b]
    return se3_log(inverse(edge.a_T_b) @ between) / edge.sigmas


def _optimize_gtsam(poses: FloatArray, edges: Sequence[Edge], planar: bool) -> FloatArray:
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    anchor = gtsam.noiseModel.Isotropic.Sigma(6, _ANCHOR_SIGMA)
    graph.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(poses[0]), anchor))
    for number, pose in enumerate(poses):
        values.insert(number, gtsam.Pose3(pose))
        if planar:
            graph.add(gtsam.PriorFactorPose3(number, gtsam.Pose3(_levelled(pose)), _level_noise()))
    for edge in edges:
        noise = gtsam.noiseModel.Diagonal.Sigmas(edge.sigmas)
        if edge.robust:
            noise = gtsam.noiseModel.Robust.Create(gtsam.noiseModel.mEstimator.Cauchy.Create(CAUCHY), noise)
        graph.add(gtsam.BetweenFactorPose3(edge.a, edge.b, gtsam.Pose3(edge.a_T_b), noise))
    result = gtsam.LevenbergMarquardtOptimizer(graph, values).optimize()
    return np.array([orthonormal(result.atPose3(number).matrix()) for number in range(len(poses))])


def _levelled(pose: FloatArray) -> FloatArray:
    """Return a pose with the same place and heading on the level floor."""
    yaw = np.arctan2(pose[1, 0], pose[0, 0])
    level = se3_exp(np.array([0.0, 0.0, yaw, 0.0, 0.0, 0.0]))
    level[:2, 3] = pose[:2, 3]
    return level


def _level_noise() -> object:
    roll, pitch, height = PLANAR_SIGMA
    return gtsam.noiseModel.Diagonal.Sigmas(np.array([roll, pitch, _FREE_SIGMA, _FREE_SIGMA, _FREE_SIGMA, height]))


def _optimize_scipy(poses: FloatArray, edges: Sequence[Edge], planar: bool) -> FloatArray:
    """Levenberg and Marquardt's method on the manifold, Cauchy's kernel by reweighting."""
    current, damping = poses.copy(), 1e-4
    cost = _cost(current, edges, planar)
    for _ in range(_ITERATIONS):
        hessian, gradient = _normal_equations(current, edges, planar)
        diagonal = sparse.diags(damping * hessian.diagonal())
        step = spsolve((hessian + diagonal).tocsc(), -gradient).reshape(-1, 6)
        moved = np.array([orthonormal(pose @ se3_exp(twist)) for pose, twist in zip(current, step, strict=True)])
        moved_cost = _cost(moved, edges, planar)
        if moved_cost > cost:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        converged = cost - moved_cost < _CONVERGED * (1.0 + cost)
        current, cost, damping = moved, moved_cost, damping / 10.0
        if converged:
            break
    return current


def _cost(poses: FloatArray, edges: Sequence[Edge], planar: bool) -> float:
    cost = 0.0
    for edge in edges:
        error = edge_error(poses, edge)
        square = float(error @ error)
        cost += CAUCHY**2 * np.log1p(square / CAUCHY**2) if edge.robust else square
    if planar:
        cost += sum(float(r @ r) for r, _ in map(planar_residual, poses))
    return cost


def _normal_equations(poses: FloatArray, edges: Sequence[Edge], planar: bool) -> tuple[sparse.csr_matrix, FloatArray]:
    """Return the Hessian (6K, 6K) and the gradient (6K,)."""
    blocks: list[tuple[int, int, FloatArray]] = [(0, 0, np.eye(6) / _ANCHOR_SIGMA**2)]
    gradient = np.zeros((len(poses), 6))
    for edge in edges:
        error = edge_error(poses, edge)
        weight = 1.0 / (1.0 + error @ error / CAUCHY**2) if edge.robust else 1.0
        by_b = np.diag(1.0 / edge.sigmas)
        # to first order in the error: exp(a) moves b by the adjoint of b_T_a, against it
        by_a = -by_b @ adjoint(inverse(poses[edge.b]) @ poses[edge.a])
        for i, left in ((edge.a, by_a), (edge.b, by_b)):
            gradient[i] += weight * left.T @ error
            blocks.extend((i, j, weight * left.T @ right) for j, right in ((edge.a, by_a), (edge.b, by_b)))
    if planar:
        for number, pose in enumerate(poses):
            residual, jacobian = planar_residual(pose)
            gradient[number] += jacobian.T @ residual
            blocks.append((number, number, jacobian.T @ jacobian))
    return _assemble(blocks, 6 * len(poses)), gradient.ravel()


def _assemble(blocks: list[tuple[int, int, FloatArray]], size: int) -> sparse.csr_matrix:
    inner_row, inner_col = np.divmod(np.arange(36), 6)
    rows = np.concatenate([6 * i + inner_row for i, _, _ in blocks])
    cols = np.concatenate([6 * j + inner_col for _, j, _ in blocks])
    values = np.concatenate([block.ravel() for *_, block in blocks])
    return sparse.coo_matrix((values, (rows, cols)), shape=(size, size)).tocsr()
