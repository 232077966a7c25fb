# SPDX-License-Identifier: Apache-2.0
"""Exact A* on an 8-connected grid without corner cutting; where all cells cost the same, by jump points.

Hart, Nilsson and Raphael, "A Formal Basis for the Heuristic Determination of Minimum Cost Paths", 1968, with the
octile distance as the heuristic: it never overestimates because every cell costs at least 1 per unit of length.

With a weight w above 1 the order is f = g + w h (Pohl 1970): fewer cells are opened, and the path costs at most w times
the cheapest. That holds although no closed cell is opened again, because the octile distance is consistent (Likhachev,
Gordon and Thrun, "ARA*: Anytime A* with Provable Bounds on Sub-Optimality", NIPS 2003).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

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


class Pausing(Protocol):
    """A search that can be asked to go on for a while: `advance` ends as `grid_steps` says, DONE, EMPTY or PAUSED."""

    expanded: int

    def advance(self, budget: int) -> int: ...


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
    weight: float = 1.0,
) -> SearchResult:
    """Path from `start` to `goal`, both (row, col), over `blocked` (H, W) bool, at most `weight` times the cheapest.

    `cost` (H, W), at least 1 everywhere, weighs a cell's length; without it, and with weight 1, jump points are
    searched, which expands few cells and takes a fraction of the time. An ordinary "no" is a typed status with its
    reason; only arrays and weights that make no sense raise ValueError.
    """
    blocked = check_grid(blocked, cost)
    if not 1.0 <= weight < math.inf:
        raise ValueError(f"weight = {weight}: expected 1 (exact) or more")
    refused = refusal(blocked, start, goal)
    if refused is not None:
        return failure(*refused, expanded=0)
    if cost is None and weight == 1.0:
        search = JumpSearch(blocked, start, goal)
    else:
        search = _Search(blocked, 1.0 if cost is None else cost, start, goal, weight)
    limit = blocked.size if max_expanded is None else max_expanded
    refused = run_search(search, f"from cell {start} to cell {goal}", timeout_s, limit)
    if refused is not None:
        return failure(*refused, search.expanded)
    return SearchResult(SearchStatus.FOUND, search.path(), search.cost_to_goal(), search.expanded)


def run_search(
    search: Pausing, where: str, timeout_s: float, limit: int, what: str = "cells"
) -> tuple[SearchStatus, str] | None:
    """Advance a search to its goal and return None, or the status and the reason why it has not come there."""
    deadline_s = time.perf_counter() + timeout_s
    while True:
        state = search.advance(min(CHUNK, limit - search.expanded))
        if state == DONE:
            return None
        if state == EMPTY:
            return SearchStatus.NO_PATH, f"no way {where}"
        if search.expanded >= limit:
            return SearchStatus.LIMIT, f"{search.expanded} {what} expanded"
        if time.perf_counter() > deadline_s:
            return SearchStatus.TIMEOUT, f"no path within {timeout_s:.3f} s"


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


def failure(status: SearchStatus, reason: str, expanded: int) -> SearchResult:
    """Return a result without a path."""
    return SearchResult(status, np.empty((0, 2), np.int32), float("inf"), expanded, reason)


class _Search:
    """One search that can pause: grid padded by a blocked rim, so that no neighbour needs a bounds check."""

    def __init__(
        self,
        blocked: np.ndarray,
        cost: np.ndarray | float,
        start: tuple[int, int],
        goal: tuple[int, int],
        weight: float = 1.0,
    ):
        height, width = blocked.shape
        self.width = width + 2
        self.greed = weight * (1.0 + TIE_BREAK)
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
            self.heap_size, budget, self.greed,
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
def _expand(factor, width, goal, cost, parent, slot, keys, cells, size, budget, greed):
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
                key = reached + greed * straight_distance(near, goal, width)
                size = put(keys, cells, slot, size, near, key)
    return EMPTY, size, expanded
