# SPDX-License-Identifier: Apache-2.0
"""A* against an independent oracle, published optimal lengths and symmetries."""

from __future__ import annotations

import heapq
import os
from pathlib import Path

import numpy as np
import pytest

from axon_planner.search import SearchStatus, find_path, path_cost

STEPS = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]


def movingai_folder() -> Path:
    default = Path(__file__).resolve().parents[4] / "shared" / "data" / "movingai"
    return Path(os.environ.get("AXON_MOVINGAI_DIR", default))


def dijkstra(blocked: np.ndarray, start, goal, cost: np.ndarray) -> float:
    """Plain dictionary Dijkstra: slow, and shares no line with the code under test."""
    free = {(int(r), int(c)) for r, c in zip(*np.nonzero(~blocked), strict=True)}
    best, heap = {start: 0.0}, [(0.0, start)]
    while heap:
        so_far, cell = heapq.heappop(heap)
        if cell == goal:
            return so_far
        if so_far > best[cell]:
            continue
        for dr, dc in STEPS:
            near = (cell[0] + dr, cell[1] + dc)
            if near not in free or (cell[0] + dr, cell[1]) not in free or (cell[0], cell[1] + dc) not in free:
                continue
            total = so_far + (dr * dr + dc * dc) ** 0.5 * (cost[cell] + cost[near]) / 2
            if total < best.get(near, np.inf):
                best[near] = total
                heapq.heappush(heap, (total, near))
    return float("inf")


def random_problem(seed: int, density: float = 0.3, shape=(24, 31)):
    rng = np.random.default_rng(seed)
    blocked = rng.random(shape) < density
    free = np.argwhere(~blocked)
    start, goal = free[rng.integers(len(free), size=2)]
    return blocked, tuple(map(int, start)), tuple(map(int, goal)), 1 + 5 * rng.random(shape).astype(np.float32)


def assert_valid_chain(cells: np.ndarray, blocked: np.ndarray) -> None:
    step = np.diff(cells, axis=0)
    assert np.abs(step).max(initial=0) <= 1
    assert not blocked[cells[:, 0], cells[:, 1]].any()
    assert not blocked[cells[:-1, 0] + step[:, 0], cells[:-1, 1]].any()
    assert not blocked[cells[:-1, 0], cells[:-1, 1] + step[:, 1]].any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_cost_is_optimal_and_the_sum_of_its_parts(seed, weighted):
    blocked, start, goal, cost = random_problem(seed)
    if not weighted:
        cost = np.ones_like(cost)
    result = find_path(blocked, start, goal, cost)
    expected = dijkstra(blocked, start, goal, cost.astype(np.float64))
    if not np.isfinite(expected):
        assert result.status is SearchStatus.NO_PATH
        return
    assert result.found
    assert result.cost == pytest.approx(expected, rel=1e-6)
    assert path_cost(result.cells, cost) == pytest.approx(result.cost, rel=1e-6)
    assert tuple(result.cells[0]) == start and tuple(result.cells[-1]) == goal
    assert_valid_chain(result.cells, blocked)
    assert path_cost(result.cells) >= np.linalg.norm(np.subtract(start, goal)) - 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_turning_and_mirroring_the_world_keeps_the_cost(seed):
    blocked, start, goal, cost = random_problem(seed, 0.2)
    width = blocked.shape[1]
    expected = find_path(blocked, start, goal, cost).cost

    def mirror(cell):
        return cell[0], width - 1 - cell[1]

    def turn(cell):
        return width - 1 - cell[1], cell[0]

    assert find_path(blocked[:, ::-1], mirror(start), mirror(goal), cost[:, ::-1]).cost == pytest.approx(expected)
    assert find_path(np.rot90(blocked), turn(start), turn(goal), np.rot90(cost)).cost == pytest.approx(expected)
    assert find_path(blocked, goal, start, cost).cost == pytest.approx(expected)


@pytest.mark.parametrize("density", [0.05, 0.15, 0.3, 0.4])
def test_jump_points_find_what_cell_by_cell_search_finds_and_open_fewer(density):
    for seed in range(60):
        blocked, start, goal, _ = random_problem(1000 + seed, density, (40, 53))
        jumped = find_path(blocked, start, goal)
        walked = find_path(blocked, start, goal, np.ones(blocked.shape))
        assert jumped.status is walked.status
        if jumped.found:
            assert jumped.cost == pytest.approx(walked.cost, abs=1e-9)
            assert path_cost(jumped.cells) == pytest.approx(walked.cost, abs=1e-9)
            assert_valid_chain(jumped.cells, blocked)
    hall = np.zeros((200, 200), bool)
    hall[100, 20:180] = True
    ends = (5, 100), (195, 100)
    assert find_path(hall, *ends).expanded < 0.01 * find_path(hall, *ends, np.ones(hall.shape)).expanded


@pytest.mark.parametrize("weight", [1.0, 1.1, 1.5, 3.0, 20.0])
def test_a_weighted_path_costs_at_most_so_many_times_the_cheapest(weight):
    opened = np.zeros(2)
    for seed in range(40):
        blocked, start, goal, cost = random_problem(seed, 0.25, (40, 53))
        for factors in (cost, np.ones(cost.shape), None):
            exact, weighted = (find_path(blocked, start, goal, factors, weight=w) for w in (1.0, weight))
            assert exact.status is weighted.status
            if exact.found:
                assert exact.cost - 1e-6 <= weighted.cost <= weight * exact.cost + 1e-6
                assert path_cost(weighted.cells, factors) == pytest.approx(weighted.cost, rel=1e-6)
                assert_valid_chain(weighted.cells, blocked)
            if factors is not None:
                opened += exact.expanded, weighted.expanded
    assert opened[1] < opened[0] or weight == 1.0


def test_every_ordinary_no_is_a_typed_reason():
    blocked = np.zeros((5, 7), bool)
    blocked[:, 3] = True
    assert find_path(blocked, (0, 0), (4, 6)).status is SearchStatus.NO_PATH
    assert find_path(blocked, (0, 3), (4, 6)).status is SearchStatus.START_BLOCKED
    assert find_path(blocked, (0, 0), (4, 3)).status is SearchStatus.GOAL_BLOCKED
    outside = find_path(blocked, (0, 0), (5, 0))
    assert outside.status is SearchStatus.OUTSIDE and "(5, 0)" in outside.reason


def test_limits_are_kept():
    blocked = np.zeros((300, 300), bool)
    blocked[298, 1:] = True
    ends = (0, 299), (299, 299)
    alike = np.ones(blocked.shape)
    assert find_path(blocked, *ends, alike, max_expanded=100).status is SearchStatus.LIMIT
    assert find_path(blocked, *ends, alike, max_expanded=100).expanded == 100
    assert find_path(blocked, *ends, alike, timeout_s=0.0).status is SearchStatus.TIMEOUT
    assert find_path(blocked, *ends, alike).found
    scattered = np.random.default_rng(0).random((600, 600)) < 0.25  # enough jump points to pause for the clock
    scattered[[0, -1]] = False
    assert find_path(scattered, (0, 0), (599, 599), timeout_s=0.0).status is SearchStatus.TIMEOUT
    assert find_path(scattered, (0, 0), (599, 599), max_expanded=10).expanded == 10


def test_start_is_goal():
    result = find_path(np.zeros((3, 3), bool), (1, 1), (1, 1))
    assert result.found and result.cost == 0.0 and result.cells.tolist() == [[1, 1]]


def test_senseless_arrays_raise_with_the_value():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        find_path(np.zeros(3, bool), (0, 0), (0, 0))
    with pytest.raises(ValueError, match=r"0\.5"):
        find_path(np.zeros((3, 3), bool), (0, 0), (0, 0), np.full((3, 3), 0.5))
    for weight in (0.9, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"weight = {weight}"):
            find_path(np.zeros((3, 3), bool), (0, 0), (2, 2), weight=weight)


def scenario_files() -> list[Path]:
    return sorted(movingai_folder().rglob("*.map.scen"))


@pytest.mark.skipif(not scenario_files(), reason="MovingAI maps absent: set AXON_MOVINGAI_DIR to their folder")
@pytest.mark.parametrize("scenario", scenario_files(), ids=lambda path: path.name)
def test_lengths_equal_the_published_optimum(scenario):
    rows = [line.split() for line in scenario.read_text().splitlines()[1:] if line.strip()]
    lines = scenario.with_suffix("").read_text().splitlines()[4:]
    blocked = np.array([[char not in ".GS" for char in line] for line in lines])
    for index in np.linspace(0, len(rows) - 1, 4).astype(int):
        start_col, start_row, goal_col, goal_row = map(int, rows[index][4:8])
        result = find_path(blocked, (start_row, start_col), (goal_row, goal_col))
        published = rows[index][8]  # some maps' are rounded to six digits
        decimals = len(published.partition(".")[2])
        assert result.cost == pytest.approx(float(published), abs=max(1e-3, 0.51 * 10.0**-decimals))
