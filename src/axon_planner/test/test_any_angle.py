# SPDX-License-Identifier: Apache-2.0
"""Any-angle paths against A*, brute-force visibility, sampled integrals and symmetries."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from test_search import random_problem

from axon_planner.any_angle import find_any_angle_path, line_cost
from axon_planner.search import SearchStatus, find_path


def touched(blocked: np.ndarray, a, b) -> bool:
    """Whether the line between two centres meets a blocked cell's square or its rim, by clipping it to each square."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    way = b - a
    for cell in np.argwhere(blocked):
        low, high = 0.0, 1.0
        for k in (0, 1):
            if way[k] == 0.0:
                if abs(a[k] - cell[k]) > 0.5:
                    low = 2.0
                continue
            ends = np.sort((cell[k] + np.array([-0.5, 0.5]) - a[k]) / way[k])
            low, high = max(low, ends[0]), min(high, ends[1])
        if low <= high + 1e-12:
            return True
    return False


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_never_costlier_than_the_8_connected_optimum_and_valid(seed, weighted):
    blocked, start, goal, cost = random_problem(seed, 0.22)
    cost = cost if weighted else np.ones_like(cost)
    exact, found = find_path(blocked, start, goal, cost), find_any_angle_path(blocked, start, goal, cost)
    assert found.status is exact.status
    if not found.found:
        return
    assert np.linalg.norm(np.subtract(start, goal)) - 1e-9 <= found.cost <= exact.cost + 1e-6
    assert tuple(found.cells[0]) == start and tuple(found.cells[-1]) == goal
    lines = list(zip(found.cells[:-1], found.cells[1:], strict=True))
    assert not any(touched(blocked, a, b) for a, b in lines)
    assert sum(line_cost(blocked, a, b, cost) for a, b in lines) == pytest.approx(found.cost)


def test_where_nothing_is_in_the_way_it_is_the_straight_line():
    """In a disc, which is convex; what its rim has of cells is left out, because squares make no round rim."""
    rows, cols = np.mgrid[:41, :41]
    blocked = np.hypot(rows - 20, cols - 20) > 19
    free = np.argwhere(np.hypot(rows - 20, cols - 20) <= 17)
    for start, goal in np.random.default_rng(1).permutation(free)[:80].reshape(-1, 2, 2):
        found = find_any_angle_path(blocked, tuple(start), tuple(goal))
        assert found.cost == pytest.approx(np.linalg.norm(start - goal)) and len(found.cells) == 2


def test_within_a_few_percent_of_the_shortest_path_by_brute_force_visibility():
    """Dijkstra over all pairs of cells that see each other: the optimum among paths with corners at cells.

    Single blocked cells all over are the hardest maps; there 8-connected paths are 6 % longer, and up to 20 %.
    """
    ratios = []
    for seed in range(50):
        blocked, start, goal, _ = random_problem(2000 + seed, 0.2, (13, 15))
        shortest = by_visibility(blocked, start, goal)
        found = find_any_angle_path(blocked, start, goal)
        assert found.found == np.isfinite(shortest)
        if found.found and shortest > 0.0:
            assert found.cost >= shortest - 1e-9
            ratios.append(found.cost / shortest)
    assert max(ratios) < 1.07 and np.mean(ratios) < 1.01


def by_visibility(blocked: np.ndarray, start, goal) -> float:
    free = [tuple(map(int, cell)) for cell in np.argwhere(~blocked)]
    best, heap, done = {start: 0.0}, [(0.0, start)], set()
    while heap:
        so_far, cell = heapq.heappop(heap)
        if cell == goal:
            return so_far
        if cell in done:
            continue
        done.add(cell)
        for other in free:
            total = so_far + float(np.hypot(other[0] - cell[0], other[1] - cell[1]))
            if total < best.get(other, np.inf) and np.isfinite(line_cost(blocked, cell, other)):
                best[other] = total
                heapq.heappush(heap, (total, other))
    return float("inf")


def test_a_lines_cost_is_the_sampled_integral_and_the_same_both_ways():
    rng = np.random.default_rng(3)
    cost = 1.0 + 5.0 * rng.random((30, 40)).astype(np.float32)
    blocked = np.zeros(cost.shape, bool)
    for _ in range(100):
        a, b = rng.integers(0, 30, 2) * [1, 1], rng.integers(0, [30, 40])
        share = (np.arange(20_000) + 0.5) / 20_000
        at = np.rint(a + share[:, None] * (b - a)).astype(int)
        sampled = np.linalg.norm(b - a) * cost[at[:, 0], at[:, 1]].mean()
        assert line_cost(blocked, tuple(a), tuple(b), cost) == pytest.approx(sampled, rel=2e-3)
        assert line_cost(blocked, tuple(b), tuple(a), cost) == pytest.approx(
            line_cost(blocked, tuple(a), tuple(b), cost)
        )


def test_sight_is_what_geometry_says():
    """Also through corners, which the line of sight must not cut."""
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(400):
        blocked = rng.random((9, 9)) < 0.12
        a, b = (tuple(map(int, cell)) for cell in rng.permutation(np.argwhere(~blocked))[:2])
        free = np.isfinite(line_cost(blocked, a, b))
        seen += free
        assert free == (not touched(blocked, a, b))
    assert 100 < seen < 390


@pytest.mark.parametrize("seed", range(6))
def test_mirroring_the_world_keeps_the_cost(seed):
    blocked, start, goal, cost = random_problem(seed, 0.15)
    width = blocked.shape[1]
    mirrored = find_any_angle_path(
        blocked[:, ::-1], (start[0], width - 1 - start[1]), (goal[0], width - 1 - goal[1]), cost[:, ::-1]
    )
    assert mirrored.cost == pytest.approx(find_any_angle_path(blocked, start, goal, cost).cost, rel=0.02)


def test_every_ordinary_no_is_a_typed_reason_and_limits_are_kept():
    blocked = np.zeros((5, 7), bool)
    blocked[:, 3] = True
    assert find_any_angle_path(blocked, (0, 0), (4, 6)).status is SearchStatus.NO_PATH
    assert find_any_angle_path(blocked, (0, 3), (4, 6)).status is SearchStatus.START_BLOCKED
    assert find_any_angle_path(blocked, (0, 0), (4, 3)).status is SearchStatus.GOAL_BLOCKED
    assert find_any_angle_path(blocked, (0, 0), (5, 0)).status is SearchStatus.OUTSIDE
    hall = np.zeros((300, 300), bool)
    hall[298, 1:] = True
    ends = (0, 299), (299, 299)
    assert find_any_angle_path(hall, *ends, max_expanded=100).status is SearchStatus.LIMIT
    assert find_any_angle_path(hall, *ends, max_expanded=100).expanded == 100
    assert find_any_angle_path(hall, *ends, timeout_s=0.0).status is SearchStatus.TIMEOUT
    assert find_any_angle_path(hall, *ends).found
    same = find_any_angle_path(hall, (0, 0), (0, 0))
    assert same.found and same.cost == 0.0 and same.cells.tolist() == [[0, 0]]
    with pytest.raises(ValueError, match=r"0\.5"):
        find_any_angle_path(hall, *ends, np.full(hall.shape, 0.5))
