# SPDX-License-Identifier: Apache-2.0
"""Shortest curves: exact ends, symmetries, bounds, and nothing shorter found by numerical search."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize

from axon_core.geometry import se2_compose, se2_inverse, wrap_angle
from axon_planner.reeds_shepp import arc_poses, dubins, reeds_shepp

RADIUS_M = 0.7


def pairs(seed: int, count: int = 300, reach_m: float = 3.0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    low, high = [-reach_m, -reach_m, -math.pi], [reach_m, reach_m, math.pi]
    return [(rng.uniform(low, high), rng.uniform(low, high)) for _ in range(count)]


def end_of(curve) -> np.ndarray:
    """Where the pieces lead, by exact arcs: shares no line with the code under test."""
    pose = np.array(curve.start)
    for kind, length in zip(curve.kinds, curve.lengths_m, strict=True):
        turn = kind * length / curve.radius_m
        if kind == 0:
            step = np.array([length, 0.0, 0.0])
        else:
            step = np.array([math.sin(abs(turn)) * np.sign(length), kind * (1 - math.cos(turn)), 0.0]) * curve.radius_m
            step[2] = turn
        pose = se2_compose(pose, step)
    return pose


@pytest.mark.parametrize("solve", [dubins, reeds_shepp])
@pytest.mark.parametrize("reach_m", [0.2, 1.0, 3.0, 10.0])
def test_it_ends_exactly_at_the_goal_and_turns_no_tighter(solve, reach_m):
    for start, goal in pairs(1, reach_m=reach_m):
        curve = solve(start, goal, RADIUS_M)
        miss = end_of(curve) - goal
        assert np.hypot(miss[0], miss[1]) < 1e-7 and abs(wrap_angle(miss[2])) < 1e-7
        assert curve.length_m >= np.linalg.norm(goal[:2] - start[:2]) - 1e-9
        assert curve.length_m >= RADIUS_M * abs(wrap_angle(goal[2] - start[2])) - 1e-9
        poses, directions = curve.poses(0.05)
        assert poses[0] == pytest.approx(start) and poses[-1, :2] == pytest.approx(goal[:2], abs=1e-7)
        steps = np.diff(poses, axis=0)
        gap = np.linalg.norm(steps[:, :2], axis=1)
        assert gap.max() <= 0.05 + 1e-9
        assert (np.abs(steps[:, 2]) <= gap / RADIUS_M * 1.001 + 1e-9).all()
        middle = poses[:-1, 2] + 0.5 * steps[:, 2]
        along = steps[:, 0] * np.cos(middle) + steps[:, 1] * np.sin(middle)
        assert along == pytest.approx(directions * gap, abs=1e-9)


def test_reversing_never_makes_it_longer_and_dubins_never_reverses():
    for start, goal in pairs(2):
        forward, both = dubins(start, goal, RADIUS_M), reeds_shepp(start, goal, RADIUS_M)
        assert both.length_m <= forward.length_m + 1e-9
        assert (forward.lengths_m > 0.0).all() and forward.changes == 0


def test_the_way_back_is_as_long():
    flip = np.array([0.0, 0.0, math.pi])
    for start, goal in pairs(3):
        there = reeds_shepp(start, goal, RADIUS_M).length_m
        assert reeds_shepp(goal, start, RADIUS_M).length_m == pytest.approx(there, abs=1e-9)
        mirrored = [pose * np.array([1.0, -1.0, -1.0]) for pose in (start, goal)]
        assert reeds_shepp(*mirrored, RADIUS_M).length_m == pytest.approx(there, abs=1e-9)
        assert reeds_shepp(start + flip, goal + flip, RADIUS_M).length_m == pytest.approx(there, abs=1e-9)
        forward = dubins(start, goal, RADIUS_M).length_m
        assert dubins(goal + flip, start + flip, RADIUS_M).length_m == pytest.approx(forward, abs=1e-7)
        assert dubins(*mirrored, RADIUS_M).length_m == pytest.approx(forward, abs=1e-7)


def test_it_scales_with_the_radius_and_does_not_depend_on_the_place():
    rng = np.random.default_rng(4)
    for start, goal in pairs(4, 100):
        length = reeds_shepp(start, goal, RADIUS_M).length_m
        large = [pose * np.array([3.0, 3.0, 1.0]) for pose in (start, goal)]
        assert reeds_shepp(*large, 3.0 * RADIUS_M).length_m == pytest.approx(3.0 * length)
        frame = rng.uniform(-5.0, 5.0, 3)
        moved = [se2_compose(frame, pose) for pose in (start, goal)]
        assert reeds_shepp(*moved, RADIUS_M).length_m == pytest.approx(length, abs=1e-8)


def test_known_curves():
    origin = np.zeros(3)
    assert dubins(origin, np.array([2.0, 0.0, 0.0]), 1.0).length_m == pytest.approx(2.0)
    assert reeds_shepp(origin, np.array([-2.0, 0.0, 0.0]), 1.0).length_m == pytest.approx(2.0)
    assert dubins(origin, np.array([0.0, 2.0, math.pi]), 1.0).length_m == pytest.approx(math.pi)
    turned = reeds_shepp(origin, np.array([0.0, 0.0, math.pi]), 1.0)  # the turn in three strokes
    assert turned.length_m == pytest.approx(math.pi) and turned.changes == 2
    assert reeds_shepp(origin, origin, 1.0).length_m == pytest.approx(0.0, abs=1e-9)
    assert len(reeds_shepp(origin, origin, 1.0).poses(0.1)[0]) == 1


@pytest.mark.parametrize("forward_only", [True, False])
def test_numerical_search_finds_nothing_shorter(forward_only):
    """Minimise the length of left, straight, right sequences that end at the goal, from random starts."""
    rng = np.random.default_rng(5)
    orders = [(1, 0, 1), (1, 0, -1), (1, -1, 1)] if forward_only else [(1, -1, 0, 1, -1), (1, -1, 1, -1)]
    orders += [tuple(-kind for kind in order) for order in orders]
    trials = [
        (order, np.array(signs))
        for order in orders
        for signs in ([(1.0,) * len(order)] * 3 if forward_only else itertools.product((-1.0, 1.0), repeat=len(order)))
    ]
    solve, shortest_found = (dubins if forward_only else reeds_shepp), []
    for _, goal in pairs(6, 6, 2.0):
        ours, best = solve(np.zeros(3), goal, 1.0).length_m, math.inf
        for order, signs in trials:
            best = min(best, shortest_by_search(order, signs, goal, rng))
        assert best >= ours - 1e-4
        shortest_found.append(best / ours)
    assert np.median(shortest_found) < 1.001, "the search itself must come near, or the test says nothing"


def shortest_by_search(order, signs: np.ndarray, goal: np.ndarray, rng: np.random.Generator) -> float:
    """A local optimum of one order of pieces with given signs; inf where the search ends beside the goal."""

    def miss(lengths):
        pose = np.zeros(3)
        for kind, length in zip(order, lengths, strict=True):
            pose = arc_poses(pose, kind, np.array([length]))[0]
        local = se2_compose(se2_inverse(goal), pose)
        return np.array([local[0], local[1], math.sin(pose[2] - goal[2]), 1.0 - math.cos(pose[2] - goal[2])])[:3]

    begun = signs * rng.uniform(0.0, 5.0 if len(order) == 3 else 2.0, len(order))
    bounds = [(0.0, 7.0) if sign > 0 else (-7.0, 0.0) for sign in signs]
    found = minimize(
        lambda lengths: float((signs * lengths).sum()), begun, jac=lambda _: signs, method="SLSQP", bounds=bounds,
        constraints={"type": "eq", "fun": miss}, options={"maxiter": 40},
    )  # fmt: skip
    pose = np.zeros(3)
    for kind, length in zip(order, found.x, strict=True):
        pose = arc_poses(pose, kind, np.array([length]))[0]
    reached = np.linalg.norm(pose[:2] - goal[:2]) < 1e-5 and abs(wrap_angle(pose[2] - goal[2])) < 1e-5
    return float(found.fun) if reached else math.inf


def test_senseless_arguments_raise_with_the_value():
    with pytest.raises(ValueError, match="radius_m"):
        reeds_shepp(np.zeros(3), np.ones(3), 0.0)
    with pytest.raises(ValueError, match="goal"):
        dubins(np.zeros(3), np.ones(2), 1.0)
