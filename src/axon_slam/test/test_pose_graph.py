# SPDX-License-Identifier: Apache-2.0
"""A drifted loop with a known answer, by both solvers."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from rooms import around

from axon_slam.evaluation import ate_m, rmse
from axon_slam.pose_estimation import PLANAR_SIGMA, planar_residual
from axon_slam.pose_graph import Edge, edge_error, optimize
from axon_slam.se3 import inverse, se3_exp

NOTHING_WRONG = np.eye(4)
BIAS = np.array([0.0, 0.0, 0.01, 0.0, 0.0, 0.015])  # turns too far, and climbs
SIGMAS = np.array([0.01, 0.01, 0.01, 0.02, 0.02, 0.02])
SOLVERS = [
    pytest.param(
        "gtsam", marks=pytest.mark.skipif(not importlib.util.find_spec("gtsam"), reason="no wheel for this Python")
    ),
    "scipy",
]


def drifted_loop(seed=0, count=40):
    """True poses, drifted ones, and the edges that made them: their errors have a bias, so that drift adds up."""
    rng = np.random.default_rng(seed)
    truth = around(count, radius_m=2.0)
    edges, poses = [], [truth[0]]
    for i in range(count - 1):
        measured = inverse(truth[i]) @ truth[i + 1] @ se3_exp(BIAS + 0.2 * SIGMAS * rng.standard_normal(6))
        edges.append(Edge(i, i + 1, measured, SIGMAS))
        poses.append(poses[-1] @ measured)
    return truth, np.array(poses), edges


def closing(truth, a, b, wrong=NOTHING_WRONG):
    return Edge(a, b, inverse(truth[a]) @ truth[b] @ wrong, SIGMAS, robust=True)


def error(poses, truth):
    return rmse(ate_m(poses[:, :3, 3], truth[:, :3, 3]))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_closed_loop_takes_most_of_the_drift_away(solver):
    truth, drifted, edges = drifted_loop()
    edges.append(closing(truth, 0, len(truth) - 1))
    corrected = optimize(drifted, edges, solver=solver)
    assert error(drifted, truth) > 0.12
    assert error(corrected, truth) < 0.35 * error(drifted, truth)
    np.testing.assert_allclose(corrected[0], truth[0], atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_exact_edges_give_the_exact_answer_from_a_disturbed_start(solver):
    truth, _, _ = drifted_loop()
    rng = np.random.default_rng(1)
    start = np.array([truth[0], *(pose @ se3_exp(0.1 * rng.standard_normal(6)) for pose in truth[1:])])
    edges = [Edge(i, j, inverse(truth[i]) @ truth[j], SIGMAS) for i in range(40) for j in (i + 1, i + 5) if j < 40]
    solved = optimize(start, edges, solver=solver)
    np.testing.assert_allclose(solved, truth, atol=1e-4)
    assert max(np.abs(edge_error(solved, edge)).max() for edge in edges) < 1e-2


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_wrong_loop_among_right_ones_does_little_harm(solver):
    truth, drifted, edges = drifted_loop()
    edges += [closing(truth, a, 39 - a) for a in range(4)]
    wrong = closing(truth, 2, 20, wrong=se3_exp(np.array([0, 0, 0.4, 1.0, 0.5, 0.0])))
    right = error(optimize(drifted, edges, solver=solver), truth)
    robust = error(optimize(drifted, [*edges, wrong], solver=solver), truth)
    trusting = error(optimize(drifted, [*edges, replace(wrong, robust=False)], solver=solver), truth)
    assert robust < right + 0.1 * (trusting - right)


@pytest.mark.parametrize("solver", SOLVERS)
def test_moving_the_world_moves_the_answer(solver):
    truth, drifted, edges = drifted_loop()
    edges.append(closing(truth, 0, len(truth) - 1))
    world = se3_exp(np.array([0.3, -0.2, 1.0, 5.0, -3.0, 2.0]))
    moved = optimize(world @ drifted, edges, solver=solver)
    np.testing.assert_allclose(moved, world @ optimize(drifted, edges, solver=solver), atol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_level_floor_holds_height_and_tilt_and_frees_the_rest(solver):
    truth, drifted, edges = drifted_loop()
    level = optimize(drifted, edges, planar=True, solver=solver)
    tilt = np.abs([residual * PLANAR_SIGMA for residual, _ in map(planar_residual, level)])
    assert tilt.max() < 0.02 < np.abs([residual * PLANAR_SIGMA for residual, _ in map(planar_residual, drifted)]).max()
    exact = [Edge(i, i + 1, inverse(truth[i]) @ truth[i + 1], SIGMAS) for i in range(39)]
    np.testing.assert_allclose(optimize(truth, exact, planar=True, solver=solver), truth, atol=1e-6)


def test_both_solvers_agree():
    pytest.importorskip("gtsam", reason="no wheel for this Python")
    truth, drifted, edges = drifted_loop(seed=3)
    edges.append(closing(truth, 0, len(truth) - 1))
    first, second = (optimize(drifted, edges, solver=solver) for solver in ("gtsam", "scipy"))
    np.testing.assert_allclose(first, second, atol=5e-3)


def test_an_edge_to_nowhere_is_refused():
    with pytest.raises(ValueError, match="edge 0 - 7"):
        optimize(np.array([np.eye(4)] * 3), [Edge(0, 7, np.eye(4), SIGMAS)])
