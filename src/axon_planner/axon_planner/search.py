# SPDX-License-Identifier: Apache-2.0
"""Exact A* on an 8-connected grid without corner cutting; where all cells cost the same, by jump points.

Hart, Nilsson and Raphael, "A Formal Basis for the Heuristic Determination of Minimum Cost Paths", 1968, with the
octile distance as the heuristic: it never overestimates because every cell costs at least 1 per unit of length.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numba import njit

from axon_planner.grid_steps import DONE, EMPTY, PAUSED, SQRT2, backtrack, pop, put, steps_of, straight_distance
from axon_planner.jump_points import JumpSearch

# Prefers the deeper of two nodes of equal f, at a loss of at most one part in 1e9.
TIE_BREAK = 1e-9
CHUNK = 20_000


class SearchStatus(Enum):
    """How a search has ended; the value says it in words."""

    FOUND = "found"
    OUTSIDE = "start or goal outside the grid"
    START_BLOCKED = "start blocked"
    GOAL_BLOCKED = "goal blocked"
    NO_PATH = "no path"
    TIMEOUT = "time-out"
    LIMIT = "limit of expanded cells reached"


@dataclass(frozen=True)
class SearchResult:
    """Outcome of a search: `cells` (N, 2) int32 [row, col] from start to goal, empty unless FOUND.

    `cost` is in cells: the sum over steps of length (1 or sqrt 2) times the mean cost of the two cells; else inf.
    """

    status: SearchStatus
    cells: np.ndarray
    cost: float
    expanded: int
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is a path."""
        return self.status is SearchStatus.FOUND


def find_path(
    blocked: np.ndarray,
    start: tuple[int, int],
    goal: tuple[int, int],
    cost: np.ndarray | None = None,
    timeout_s: float = float("inf"),
    max_expanded: int | None = None,
) -> SearchResult:
    """Cheapest path from `start` to `goal`, both (row, col), over `blocked` (H, W) bool.

    `cost` (H, W), at least 1 everywhere, weighs a cell's length; without it jump points are searched, which expands few
    cells and takes a fraction of the time. An ordinary "no" is a typed status with its reason;
    only arrays that make no sense raise ValueError.
    """
    blocked = check_grid(blocked, cost)
    refused = refusal(blocked, start, goal)
    if refused is not None:
        return _failure(*refused, expanded=0)
    search = JumpSearch(blocked, start, goal) if cost is None else _Search(blocked, cost, start, goal)
    limit = blocked.size if max_expanded is None else max_expanded
    deadline_s = time.perf_counter() + timeout_s
    while True:
        state = search.advance(min(CHUNK, limit - search.expanded))
        if state != PAUSED:
            break
        if search.expanded >= limit:
            return _failure(SearchStatus.LIMIT, f"{search.expanded} cells expanded", search.expanded)
        if time.perf_counter() > deadline_s:
            return _failure(SearchStatus.TIMEOUT, f"no path within {timeout_s:.3f} s", search.expanded)
    if state == EMPTY:
        return _failure(SearchStatus.NO_PATH, f"no way from cell {start} to cell {goal}", search.expanded)
    return SearchResult(SearchStatus.FOUND, search.path(), search.cost_to_goal(), search.expanded)


def path_cost(cells: np.ndarray, cost: np.ndarray | None = None) -> float:
    """Cost of a chain of neighbouring cells (N, 2), in the unit of `SearchResult.cost`."""
    cells = np.asarray(cells)
    lengths = np.linalg.norm(np.diff(cells, axis=0), axis=1)
    if cost is None:
        return float(lengths.sum())
    factors = np.asarray(cost, dtype=np.float64)[cells[:, 0], cells[:, 1]]
    return float((lengths * 0.5 * (factors[1:] + factors[:-1])).sum())


def check_grid(blocked: np.ndarray, cost: np.ndarray | None) -> np.ndarray:
    """Return `blocked` as bool; ValueError where it, or the cost of its cells, makes no sense."""
    blocked = np.asarray(blocked)
    if blocked.ndim != 2 or blocked.size == 0:
        raise ValueError(f"blocked has shape {blocked.shape}: expected (H, W) with at least one cell")
    if cost is not None:
        if cost.shape != blocked.shape:
            raise ValueError(f"cost has shape {cost.shape}: expected {blocked.shape} like blocked")
        if not float(cost.min()) >= 1.0:
            raise ValueError(f"cost goes down to {float(cost.min())}: expected at least 1 everywhere")
    return blocked.astype(bool, copy=False)


def refusal(blocked: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> tuple[SearchStatus, str] | None:
    """Return why there is nothing to search for, with the reason in words; None where there is."""
    for name, cell, status in (("start", start, SearchStatus.START_BLOCKED), ("goal", goal, SearchStatus.GOAL_BLOCKED)):
        row, col = int(cell[0]), int(cell[1])
        if not (0 <= row < blocked.shape[0] and 0 <= col < blocked.shape[1]):
            return SearchStatus.OUTSIDE, f"{name} cell ({row}, {col}) outside the grid {blocked.shape}"
        if blocked[row, col]:
            return status, f"{name} cell ({row}, {col}) is blocked"
    return None


def _failure(status: SearchStatus, reason: str, expanded: int) -> SearchResult:
    return SearchResult(status, np.empty((0, 2), np.int32), float("inf"), expanded, reason)


class _Search:
    """One search that can pause: grid padded by a blocked rim, so that no neighbour needs a bounds check."""

    def __init__(self, blocked: np.ndarray, cost: np.ndarray, start: tuple[int, int], goal: tuple[int, int]):
        height, width = blocked.shape
        self.width = width + 2
        size = (height + 2) * self.width
        factor = np.full((height + 2, self.width), np.inf, np.float32)
        factor[1:-1, 1:-1] = np.where(blocked, np.inf, cost)
        self.factor = factor.ravel()
        self.start, self.goal = self._flat(start), self._flat(goal)
        self.cost = np.full(size, np.inf)
        self.parent = np.full(size, -1, np.int8)
        self.slot = np.full(size, -1, np.int32)
        self.heap_key = np.empty(size)
        self.heap_cell = np.empty(size, np.int32)
        self.heap_size = 1
        self.heap_key[0], self.heap_cell[0], self.slot[self.start] = 0.0, self.start, 0
        self.cost[self.start] = 0.0
        self.expanded = 0

    def advance(self, budget: int) -> int:
        state, self.heap_size, expanded = _expand(
            self.factor, self.width, self.goal, self.cost, self.parent, self.slot, self.heap_key, self.heap_cell,
            self.heap_size, budget,
        )  # fmt: skip
        self.expanded += expanded
        return state

    def cost_to_goal(self) -> float:
        return float(self.cost[self.goal])

    def path(self) -> np.ndarray:
        flat = backtrack(self.parent, self.width, self.start, self.goal)
        return np.stack([flat // self.width - 1, flat % self.width - 1], axis=1).astype(np.int32)

    def _flat(self, cell: tuple[int, int]) -> int:
        return (int(cell[0]) + 1) * self.width + int(cell[1]) + 1


@njit(cache=True)
def _expand(factor, width, goal, cost, parent, slot, keys, cells, size, budget):
    """Expand up to `budget` cells; `slot` is the heap position of an open cell, -1 unseen, -2 closed."""
    offsets = steps_of(width)
    expanded = 0
    while size > 0:
        if expanded >= budget:
            return PAUSED, size, expanded
        if cells[0] == goal:
            return DONE, size, expanded
        cell, size = pop(keys, cells, slot, size)
        expanded += 1
        for k in range(8):
            near = cell + offsets[k]
            if slot[near] == -2 or factor[near] == np.inf:
                continue
            length = 1.0
            if k >= 4:
                side = offsets[k] - width if k < 6 else offsets[k] + width
                ahead = width if k < 6 else -width
                if factor[cell + side] == np.inf or factor[cell + ahead] == np.inf:
                    continue
                length = SQRT2
            reached = cost[cell] + length * 0.5 * (factor[cell] + factor[near])
            if reached < cost[near]:
                cost[near] = reached
                parent[near] = k
                key = reached + (1.0 + TIE_BREAK) * straight_distance(near, goal, width)
                size = put(keys, cells, slot, size, near, key)
    return EMPTY, size, expanded
