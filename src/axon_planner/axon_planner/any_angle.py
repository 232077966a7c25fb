# SPDX-License-Identifier: Apache-2.0
"""Paths at any angle on a grid: Theta* over a field of costs.

Daniel, Nash, Koenig and Felner, "Theta*: Any-Angle Path Planning on Grids", JAIR 39, 2010: A* whose cells may have a
parent far away, in line of sight, instead of a neighbour. Four things differ from the paper's algorithm 2:

* With costs, a straight line may be dearer than the way round, so that both ways to a cell are compared, the one by the
  neighbour and the one straight from its parent (the paper's path 1 and path 2).
* A line costs its exact integral over the cells that it crosses. For a step to a neighbour this is the length times the
  mean cost of the two cells, the very cost of search.py.
* The parent's parent is looked at too: where corners may not be cut, a cell may see it that its neighbours do not see.
* A closed cell is opened again where a cheaper way to it is found. An open cell of the cheapest chain of neighbours
  then always waits with a cost no higher than along that chain, so that the path is never costlier than that of A*.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from axon_planner.grid_steps import DONE, EMPTY, PAUSED, SQRT2, pop, put, steps_of
from axon_planner.search import SearchResult, SearchStatus, check_grid, failure, refusal, run_search

_TIE = 1e-9
_REOPENED = 8  # how often a cell may be expanded on average: far beyond what was ever seen


def find_any_angle_path(
    blocked: np.ndarray,
    start: tuple[int, int],
    goal: tuple[int, int],
    cost: np.ndarray | None = None,
    timeout_s: float = float("inf"),
    max_expanded: int | None = None,
) -> SearchResult:
    """Path of straight lines from `start` to `goal`, both (row, col), over `blocked` (H, W) bool.

    `cost` (H, W), at least 1 everywhere, weighs a cell's length. `cells` of the result are the corners: straight lines
    between their centres lie in free cells, pass no corner of a blocked one, and cost together `cost`, which is
    never more than that of `find_path`. An ordinary "no" and bad arrays are answered as there.
    """
    blocked = check_grid(blocked, cost)
    refused = refusal(blocked, start, goal)
    if refused is not None:
        return failure(*refused, expanded=0)
    search = _ThetaSearch(blocked, 1.0 if cost is None else cost, start, goal)
    limit = _REOPENED * blocked.size if max_expanded is None else max_expanded
    refused = run_search(search, f"from cell {start} to cell {goal}", timeout_s, limit)
    if refused is not None:
        return failure(*refused, search.expanded)
    corners = search.path()
    return SearchResult(SearchStatus.FOUND, corners, search.cost_of(corners), search.expanded)


def line_cost(blocked: np.ndarray, a: tuple[int, int], b: tuple[int, int], cost: np.ndarray | None = None) -> float:
    """Cost in cells of the straight line between the centres of two cells; inf where it meets a blocked one."""
    factor = _padded(check_grid(blocked, cost), 1.0 if cost is None else cost)
    width = factor.shape[1]
    return float(_line_cost(factor.ravel(), width, _flat(a, width), _flat(b, width), np.inf))


def _padded(blocked: np.ndarray, cost: np.ndarray | float) -> np.ndarray:
    """Cost (H + 2, W + 2) float32 of each cell, inf where it is blocked and on the rim."""
    factor = np.full((blocked.shape[0] + 2, blocked.shape[1] + 2), np.inf, np.float32)
    factor[1:-1, 1:-1] = np.where(blocked, np.inf, cost)
    return factor


def _flat(cell: tuple[int, int], width: int) -> int:
    return (int(cell[0]) + 1) * width + int(cell[1]) + 1


class _ThetaSearch:
    """One search that can pause, on a padded grid as that of search.py."""

    def __init__(self, blocked: np.ndarray, cost: np.ndarray | float, start: tuple[int, int], goal: tuple[int, int]):
        factor = _padded(blocked, cost)
        self.width, size = factor.shape[1], factor.size
        self.factor = factor.ravel()
        self.start, self.goal = _flat(start, self.width), _flat(goal, self.width)
        self.cost = np.full(size, np.inf)
        self.parent, self.tried = np.full(size, -1, np.int32), np.full((2, size), -1, np.int32)
        self.slot = np.full(size, -1, np.int32)
        self.heap_key, self.heap_cell, self.heap_size = np.empty(size), np.empty(size, np.int32), 1
        self.heap_key[0], self.heap_cell[0], self.slot[self.start] = 0.0, self.start, 0
        self.cost[self.start], self.parent[self.start] = 0.0, self.start
        self.expanded = 0

    def advance(self, budget: int) -> int:
        state, self.heap_size, expanded = _expand(
            self.factor, self.width, self.goal, self.cost, self.parent, self.tried, self.slot, self.heap_key,
            self.heap_cell, self.heap_size, budget,
        )  # fmt: skip
        self.expanded += expanded
        return int(state)

    def path(self) -> np.ndarray:
        corners = [self.goal]
        while corners[-1] != self.start:
            corners.append(int(self.parent[corners[-1]]))
        tight = _tightened(self.factor, self.width, np.array(corners[::-1]))
        return (np.stack(np.divmod(tight, self.width), axis=1) - 1).astype(np.int32)

    def cost_of(self, corners: np.ndarray) -> float:
        """Sum over the lines; where a cell was opened again it is less than what the search wrote behind it."""
        flat = (corners[:, 0] + 1) * self.width + corners[:, 1] + 1
        return float(_chain_cost(self.factor, self.width, flat))


@njit(cache=True)
def _apart(a, b, width):
    """Straight distance of two flat cells: the heuristic, as every cell costs at least 1."""
    return np.hypot(float(a // width - b // width), float(a % width - b % width))


@njit(cache=True)
def _expand(factor, width, goal, cost, parent, tried, slot, keys, cells, size, budget):
    """Expand up to `budget` cells; `slot` is the heap position of an open cell, -1 unseen, -2 closed.

    `tried` (2, N): from which parent and parent's parent a line to a cell was last looked at, so that none is twice.
    """
    offsets = steps_of(width)
    expanded = 0
    while size > 0:
        if expanded >= budget:
            return PAUSED, size, expanded
        if cells[0] == goal:
            return DONE, size, expanded
        cell, size = pop(keys, cells, slot, size)
        expanded += 1
        above = parent[cell]
        for k in range(8):
            near = cell + offsets[k]
            if factor[near] == np.inf or near == above:
                continue
            length = 1.0
            if k >= 4:
                side = offsets[k] - width if k < 6 else offsets[k] + width
                ahead = width if k < 6 else -width
                if factor[cell + side] == np.inf or factor[cell + ahead] == np.inf:
                    continue
                length = SQRT2
            best, by = cost[cell] + length * 0.5 * (factor[cell] + factor[near]), cell  # path 1
            if cost[near] <= best:
                best, by = cost[near], parent[near]
            far = above
            for generation in range(2):  # path 2, and the same from the parent's parent
                if by != far and tried[generation, near] != far and cost[far] + _apart(far, near, width) < best:
                    tried[generation, near] = far
                    direct = cost[far] + _line_cost(factor, width, far, near, best - cost[far])
                    if direct < best:
                        best, by = direct, far
                far = parent[far]
            if best < cost[near]:
                cost[near], parent[near] = best, by
                size = put(keys, cells, slot, size, near, best + _apart(near, goal, width))
    return EMPTY, size, expanded


@njit(cache=True)
def _line_cost(factor, width, a, b, most):
    """Integral of the cost along the line between the centres of flat cells; inf where it is blocked or over `most`.

    Walks from cell to cell by the next of the grid's lines that is crossed (Amanatides and Woo, Eurographics 1987). On
    the line's parameter, 0 to 1, the i-th border of rows is crossed at (2 i + 1) / (2 |rows|), and that of columns
    alike; which comes first, and whether both do, is told in integers.
    """
    rows, cols = b // width - a // width, b % width - a % width
    step_row, step_col = width if rows > 0 else -width, 1 if cols > 0 else -1
    rows, cols = abs(rows), abs(cols)
    length = np.hypot(float(rows), float(cols))
    at, total, cell, i, j = 0.0, 0.0, a, 1, 1
    while cell != b:
        row_first = rows > 0 and (cols == 0 or i * cols <= j * rows)
        corner = row_first and cols > 0 and i * cols == j * rows
        to = 0.5 * i / rows if row_first else 0.5 * j / cols
        total += (to - at) * length * factor[cell]
        if total > most:
            return np.inf
        if corner and (factor[cell + step_row] == np.inf or factor[cell + step_col] == np.inf):
            return np.inf
        at = to
        if row_first:
            cell += step_row
            i += 2
        if corner or not row_first:
            cell += step_col
            j += 2
        if factor[cell] == np.inf:
            return np.inf
    return total + (1.0 - at) * length * factor[b]


@njit(cache=True)
def _tightened(factor, width, corners):
    """The corners without those whose neighbours see each other at no higher cost; such are all on straight lines."""
    kept = corners.copy()
    count = 1
    for corner in corners[1:]:
        while count > 1:
            before, last = kept[count - 2], kept[count - 1]
            by_last = _line_cost(factor, width, before, last, np.inf) + _line_cost(factor, width, last, corner, np.inf)
            if _line_cost(factor, width, before, corner, np.inf) > by_last + _TIE:
                break
            count -= 1
        kept[count] = corner
        count += 1
    return kept[:count]


@njit(cache=True)
def _chain_cost(factor, width, cells):
    total = 0.0
    for i in range(len(cells) - 1):
        total += _line_cost(factor, width, cells[i], cells[i + 1], np.inf)
    return total
