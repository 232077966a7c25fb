# SPDX-License-Identifier: Apache-2.0
"""Jump point search: exact on 8-connected grids of equal costs without corner cutting, and opens few cells.

Harabor and Grastien, "Online Graph Pruning for Pathfinding on Grid Maps", AAAI 2011; the rules without corner cutting
are those of "Improving Jump Point Search", ICAPS 2014, section 2. Of all paths of equal length only those are followed
that turn from diagonal to straight as early as can be, so that between two turns beside an obstacle nothing is opened.

A cell may be reached at the same cost from several directions, which lead on to different cells: each of them is
expanded, once.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from axon_planner.grid_steps import DONE, EMPTY, PAUSED, straight_distance

_TIE = 1e-9  # costs are sums of 1 and sqrt 2: equal ones differ by rounding only
_EVERY_WAY = 8  # the direction of the start
_NOWHERE = -1


class JumpSearch:
    """One search that can pause: grid padded by a blocked rim, so that no neighbour needs a bounds check."""

    def __init__(self, blocked: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> None:
        height, width = blocked.shape
        self._width = width + 2
        free = np.zeros((height + 2, self._width), np.bool_)
        np.logical_not(blocked, out=free[1:-1, 1:-1])
        self._free = free.ravel()
        self._start, self._goal = self._flat(start), self._flat(goal)
        self._cost = np.zeros(free.size)  # 1 more than the cost, 0: never reached; zeros cost nothing until touched
        self._parent = np.zeros(free.size, np.int32)
        self._expanded_ways = np.zeros(free.size, np.uint8)
        self._heap = (np.empty(1024), np.empty(1024, np.int32), np.empty(1024, np.int8))
        self._heap[0][0], self._heap[1][0], self._heap[2][0] = 0.0, self._start, _EVERY_WAY
        self._heap_size = 1
        self._cost[self._start] = 1.0
        self.expanded = 0

    def advance(self, budget: int) -> int:
        """Expand up to so many jump points; return DONE, EMPTY (there is no path) or PAUSED."""
        state, self._heap, self._heap_size, expanded = _expand(
            self._free, self._width, self._goal, self._cost, self._parent, self._expanded_ways, self._heap,
            self._heap_size, budget,
        )  # fmt: skip
        self.expanded += expanded
        return int(state)

    def cost_to_goal(self) -> float:
        """Return the length of the path in cells."""
        return float(self._cost[self._goal] - 1.0)

    def path(self) -> np.ndarray:
        """Return all cells (N, 2) of the path as row, column."""
        turns = [self._goal]
        while turns[-1] != self._start:
            turns.append(int(self._parent[turns[-1]]))
        corners = np.stack(np.divmod(np.array(turns[::-1]), self._width), axis=1) - 1
        return _filled(corners).astype(np.int32)

    def _flat(self, cell: tuple[int, int]) -> int:
        return (int(cell[0]) + 1) * self._width + int(cell[1]) + 1


def _filled(corners: np.ndarray) -> np.ndarray:
    """Return the corners (K, 2) of a path with all cells (N, 2) between them."""
    steps = np.diff(corners, axis=0)
    counts = np.abs(steps).max(axis=1)
    each = np.repeat(np.sign(steps), counts, axis=0)
    return np.vstack([corners[:1], corners[0] + np.cumsum(each, axis=0)])


@njit(cache=True)
def _expand(free, width, goal, cost, parent, ways, heap, size, budget):
    """Expand up to `budget` entries of the heap (keys, cells, ways by which they were reached)."""
    keys, cells, froms = heap
    # east, south-east, south, ... clockwise: odd ones are diagonal
    offsets = np.array([1, width + 1, width, width - 1, -1, -width - 1, -width, -width + 1], np.int64)
    expanded = 0
    while size > 0:
        if expanded >= budget:
            return PAUSED, (keys, cells, froms), size, expanded
        cell, way, key = cells[0], froms[0], keys[0]
        size = _pop(keys, cells, froms, size)
        if key > cost[cell] - 1.0 + straight_distance(cell, goal, width) + _TIE:
            continue  # it was reached cheaper since
        if cell == goal:
            return DONE, (keys, cells, froms), size, expanded
        if way != _EVERY_WAY:
            if ways[cell] & (1 << way):
                continue
            ways[cell] |= 1 << way
        expanded += 1
        if size + 8 > len(keys):
            keys, cells, froms = _grown(keys), _grown(cells), _grown(froms)
        for turn in range(8):
            if way != _EVERY_WAY and not _leads_on(free, cell, way, turn, offsets):
                continue
            found = _jump(free, cell, turn, goal, offsets)
            if found == _NOWHERE:
                continue
            reached = cost[cell] + straight_distance(cell, found, width)
            if cost[found] == 0.0 or reached < cost[found] - _TIE:
                cost[found], parent[found], ways[found] = reached, cell, 0
            elif reached > cost[found] + _TIE or ways[found] & (1 << turn):
                continue
            size = _push(keys, cells, froms, size, reached - 1.0 + straight_distance(found, goal, width), found, turn)
    return EMPTY, (keys, cells, froms), size, expanded


@njit(cache=True, inline="always")
def _leads_on(free, cell, way, turn, offsets):
    """Tell whether an optimal path that came by `way` may have to go on by `turn`."""
    apart = (turn - way) & 7
    if way & 1:  # diagonal: on, or its two straight parts
        return apart == 0 or apart == 1 or apart == 7
    if apart == 0:
        return True
    # beside a straight way only where an obstacle behind has hidden that side until here
    if apart <= 2:
        return not free[cell - offsets[way] + offsets[(way + 2) & 7]]
    if apart >= 6:
        return not free[cell - offsets[way] + offsets[(way + 6) & 7]]
    return False


@njit(cache=True)
def _jump(free, cell, way, goal, offsets):
    """Return the next jump point by a way, _NOWHERE where there is none."""
    if not way & 1:
        return _straight(free, cell, way, goal, offsets)
    one, other = (way + 7) & 7, (way + 1) & 7
    while free[cell + offsets[one]] and free[cell + offsets[other]] and free[cell + offsets[way]]:
        cell += offsets[way]
        if cell == goal:
            return cell
        if _straight(free, cell, one, goal, offsets) != _NOWHERE:
            return cell
        if _straight(free, cell, other, goal, offsets) != _NOWHERE:
            return cell
    return _NOWHERE


@njit(cache=True)
def _straight(free, cell, way, goal, offsets):
    """Return the first cell by a straight way that is the goal or has a side that opens there, else _NOWHERE."""
    step, left, right = offsets[way], offsets[(way + 6) & 7], offsets[(way + 2) & 7]
    was_left, was_right = free[cell + left], free[cell + right]
    while True:
        cell += step
        if not free[cell]:
            return _NOWHERE
        is_left, is_right = free[cell + left], free[cell + right]
        if cell == goal or (is_left and not was_left) or (is_right and not was_right):
            return cell
        was_left, was_right = is_left, is_right


@njit(cache=True)
def _grown(array):
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@njit(cache=True)
def _push(keys, cells, froms, size, key, cell, way):
    i = size
    while i > 0:
        above = (i - 1) >> 1
        if keys[above] <= key:
            break
        keys[i], cells[i], froms[i] = keys[above], cells[above], froms[above]
        i = above
    keys[i], cells[i], froms[i] = key, cell, way
    return size + 1


@njit(cache=True)
def _pop(keys, cells, froms, size):
    size -= 1
    key, cell, way = keys[size], cells[size], froms[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i], cells[i], froms[i] = keys[child], cells[child], froms[child]
        i = child
    keys[i], cells[i], froms[i] = key, cell, way
    return size
