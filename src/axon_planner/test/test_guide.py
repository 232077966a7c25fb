# SPDX-License-Identifier: Apache-2.0
"""The guide: bounded and complete whatever a network answers, and equal to the plain search without one."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from axon_core.grids import distance_field_m
from axon_core.models import ModelError
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.guide import (
    Guide,
    Moves,
    Reading,
    guided_path,
    network_input,
)
from axon_planner.guide_lattice import BLOCK, CHANNELS, channel_scales, lay
from axon_planner.planning import PathPlanner
from axon_planner.search import SearchStatus, find_path, path_cost


def plain(cells):
    """What a network that knows nothing answers: the lengths of an empty map."""
    high, wide = cells.shape[2] // BLOCK, cells.shape[3] // BLOCK
    return np.tile(channel_scales(bool(cells[0, 1, 0, 0])), (1, high, wide, 1))


def noise(seed):
    """A network of random answers, over five orders of magnitude, some of them no numbers at all."""
    rng = np.random.default_rng(seed)

    def network(cells):
        costs = plain(cells)
        costs = costs * 10.0 ** rng.uniform(-3.0, 2.0, costs.shape)
        odd = rng.random(costs.shape)
        costs[odd < 0.05], costs[odd > 0.97] = np.nan, -np.inf
        return costs.astype(np.float32)

    return network


def random_map(seed, shape=(40, 53), share=0.35):
    rng = np.random.default_rng(seed)
    blocked = rng.random(shape) < share
    free = np.argwhere(~blocked)
    start, goal = (tuple(map(int, cell)) for cell in free[rng.integers(0, len(free), 2)])
    return blocked, start, goal


def dijkstra(blocked, start, goal, moves):
    """Cost of the cheapest way, inf where there is none; plain Python on a dictionary."""
    best, heap = {start: 0.0}, [(0.0, start)]
    while heap:
        so_far, (row, col) = heapq.heappop(heap)
        if (row, col) == goal:
            return so_far
        if so_far > best[row, col]:
            continue
        for dr, dc in [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]:
            near = (row + dr, col + dc)
            if not (0 <= near[0] < blocked.shape[0] and 0 <= near[1] < blocked.shape[1]) or blocked[near]:
                continue
            if dr and dc and not moves.cuts_corners and (blocked[row + dr, col] or blocked[row, col + dc]):
                continue
            reached = so_far + (moves.diagonal if dr and dc else 1.0)
            if reached < best.get(near, np.inf):
                best[near] = reached
                heapq.heappush(heap, (reached, near))
    return np.inf


@pytest.mark.parametrize("moves", Moves)
@pytest.mark.parametrize("bound", [1.0, 1.5, 3.0])
def test_any_network_keeps_the_bound_and_finds_every_way(moves, bound):
    for seed in range(25):
        blocked, start, goal = random_map(seed)
        best = dijkstra(blocked, start, goal, moves)
        ahead = Guide(noise(seed)).read(blocked, moves).towards(goal)
        for way in (ahead, None):
            found = guided_path(blocked, start, goal, way, bound=bound, moves=moves)
            assert found.found == np.isfinite(best)
            if found.found:
                assert best - 1e-6 <= found.cost <= bound * best + 1e-6
                assert found.cost <= found.proven * best + 1e-6 and found.proven <= bound + 1e-6


@pytest.mark.parametrize("moves", Moves)
def test_a_path_is_a_chain_of_allowed_steps_and_costs_their_sum(moves):
    blocked, start, goal = random_map(3, share=0.25)
    found = guided_path(blocked, start, goal, Guide(noise(0)).read(blocked, moves).towards(goal), moves=moves)
    assert found.found and tuple(found.cells[0]) == start and tuple(found.cells[-1]) == goal
    assert not blocked[tuple(found.cells.T)].any()
    steps = np.diff(found.cells, axis=0)
    assert np.abs(steps).max() == 1
    oblique = np.abs(steps).sum(axis=1) == 2
    assert found.cost == pytest.approx(np.where(oblique, moves.diagonal, 1.0).sum())
    if not moves.cuts_corners:
        corners = found.cells[:-1][oblique]
        assert not blocked[corners[:, 0] + steps[oblique, 0], corners[:, 1]].any()
        assert not blocked[corners[:, 0], corners[:, 1] + steps[oblique, 1]].any()


def test_with_costs_it_is_bounded_by_the_exact_search():
    for seed in range(10):
        blocked, start, goal = random_map(seed, share=0.2)
        cost = np.random.default_rng(seed).uniform(1.0, 6.0, blocked.shape).astype(np.float32)
        exact = find_path(blocked, start, goal, cost)
        guided = guided_path(blocked, start, goal, Guide(noise(seed)).read(blocked).towards(goal), cost, bound=2.0)
        assert guided.found == exact.found
        if exact.found:
            assert guided.cost <= 2.0 * exact.cost + 1e-6
            assert guided.cost == pytest.approx(path_cost(guided.cells, cost), rel=1e-5)


@pytest.mark.parametrize("moves", Moves)
@pytest.mark.parametrize("shape", [(24, 30), (90, 101)])
def test_without_knowledge_the_lattice_gives_about_the_distances_of_an_empty_map(moves, shape):
    goal = (5, 7)
    ahead = Guide(plain).read(np.zeros(shape, bool), moves).towards(goal)
    dy, dx = (np.abs(np.arange(n) - g) for n, g in zip(shape, goal, strict=True))
    longer, shorter = np.maximum.outer(dy, dx), np.minimum.outer(dy, dx)
    straight = longer + (moves.diagonal - 1.0) * shorter
    predicted = ahead.cost_to_go()
    assert (predicted >= straight - 1.0).all() and (predicted <= 1.1 * straight + 8.0).all()


def test_costs_between_two_places_are_the_same_both_ways():
    blocked, start, goal = random_map(11, shape=(70, 80), share=0.1)
    reading = Guide(noise(5)).read(blocked)
    there, back = reading.towards(goal).cost_to_go(), reading.towards(start).cost_to_go()
    assert there[start] == pytest.approx(back[goal], rel=1e-5)


def test_dearer_edges_never_make_a_way_cheaper():
    blocked, _, goal = random_map(2, shape=(72, 72), share=0.1)
    reading = Guide(plain).read(blocked)
    cells, answer = network_input(blocked, Moves.OCTILE)[0], reading.graph.answer
    dearer = answer * np.random.default_rng(0).uniform(1.0, 3.0, answer.shape)
    raised = Reading(lay(cells[0, 0] > 0.5, dearer, False), reading.zoom, reading.shape, reading.moves)
    before, after = (r.towards(goal).cost_to_go() for r in (reading, raised))
    assert (after >= before - 1e-4)[~blocked].all() and (after > before + 1e-3).any()


def test_what_the_network_sees_is_the_map_with_everything_beyond_blocked():
    blocked = np.random.default_rng(0).random((66, 71)) < 0.3
    cells, zoom = network_input(blocked, Moves.MOORE)
    assert zoom == 1 and cells.shape == (1, 2, 68, 72) and (cells[0, 1] == 1.0).all()
    assert (cells[0, 0, :66, :71] == ~blocked).all() and cells[0, 0, 66:].sum() == 0 and cells[0, 0, :, 71:].sum() == 0
    small, zoom = network_input(blocked[:30, :31], Moves.OCTILE)
    assert zoom == 2 and small.shape == (1, 2, 60, 64) and (small[0, 0, :60:2, :62:2] == ~blocked[:30, :31]).all()


def test_a_guided_planner_gives_a_path_within_its_bound():
    blocked = np.zeros((80, 120), bool)
    blocked[20:80, 55:60] = True
    distance = distance_field_m(blocked, 0.05)
    field = Field(distance, np.zeros_like(blocked), 0.05, np.zeros(2))
    config = PlannerConfig(guide_bound=1.3)
    start, goal = np.array([1.0, 3.0, 0.0]), np.array([5.0, 3.0, 0.0])
    guide = Guide(noise(1))
    exact, guided = (PathPlanner(config, guide=g).plan_on(field, start, goal) for g in (None, guide))
    assert exact.found and guided.found and guide.readings == 1
    assert exact.cost - 1e-6 <= guided.cost <= 1.3 * exact.cost + 1e-6


def test_ordinary_noes_are_results_and_bad_input_is_refused():
    blocked = np.zeros((9, 9), bool)
    blocked[4] = True
    assert guided_path(blocked, (0, 0), (8, 8)).status is SearchStatus.NO_PATH
    assert guided_path(blocked, (4, 0), (8, 8)).status is SearchStatus.START_BLOCKED
    assert guided_path(blocked, (0, 0), (4, 4)).status is SearchStatus.GOAL_BLOCKED
    assert guided_path(blocked, (0, 0), (9, 0)).status is SearchStatus.OUTSIDE
    ahead = Guide(plain).read(blocked).towards((8, 8))
    with pytest.raises(ValueError, match="ahead is of goal"):
        guided_path(blocked, (0, 0), (1, 1), ahead)
    with pytest.raises(ValueError, match="ahead is of a map"):
        guided_path(np.zeros((9, 40), bool), (0, 0), (8, 8), ahead)
    with pytest.raises(ValueError, match="bound"):
        guided_path(blocked, (0, 0), (1, 1), bound=0.9)
    with pytest.raises(ValueError, match="outside the map"):
        Guide(plain).read(blocked).towards((9, 9))
    with pytest.raises(ModelError, match="answered"):
        Guide(lambda cells: np.ones((1, 1, 1, CHANNELS))).read(np.zeros((40, 40), bool))
    assert guided_path(blocked, (2, 3), (2, 3)).cost == 0.0
