# SPDX-License-Identifier: Apache-2.0
"""What the searches on flat grids share: steps, distances, the heap that knows where a cell waits, the way back."""

import numpy as np
from numba import njit

SQRT2 = 2.0**0.5
DONE, EMPTY, PAUSED = 0, 1, 2
"""How a part of a search ends: the goal is reached, nothing is left to expand, or its budget is used up."""


@njit(cache=True)
def steps_of(width):
    """Steps (8,) in a flat grid to the four straight and the four diagonal neighbours."""
    return np.array([1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1], np.int32)


@njit(cache=True)
def straight_distance(cell, goal, width, diagonal=SQRT2):
    """Distance of two flat cells on an empty grid, whose diagonal steps cost `diagonal`."""
    dy, dx = abs(cell // width - goal // width), abs(cell % width - goal % width)
    return max(dx, dy) + (diagonal - 1.0) * min(dx, dy)


@njit(cache=True)
def backtrack(parent, width, start, goal):
    """Flat cells (N,) from start to goal; `parent` says by which of the steps each was reached."""
    steps = steps_of(width)
    length = 1
    cell = goal
    while cell != start:
        cell -= steps[parent[cell]]
        length += 1
    path = np.empty(length, np.int64)
    cell = goal
    for i in range(length - 1, -1, -1):
        path[i] = cell
        if i > 0:
            cell -= steps[parent[cell]]
    return path


@njit(cache=True)
def sift_up(keys, cells, slot, i):
    """Move entry i of a binary heap of (keys, cells) toward the front; `slot` keeps where each cell waits."""
    key, cell = keys[i], cells[i]
    while i > 0:
        parent = (i - 1) >> 1
        if keys[parent] <= key:
            break
        keys[i], cells[i] = keys[parent], cells[parent]
        slot[cells[i]] = i
        i = parent
    keys[i], cells[i] = key, cell
    slot[cell] = i


@njit(cache=True)
def sift_down(keys, cells, slot, size):
    """Move the first of `size` entries of such a heap back to where it belongs."""
    key, cell = keys[0], cells[0]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i], cells[i] = keys[child], cells[child]
        slot[cells[i]] = i
        i = child
    keys[i], cells[i] = key, cell
    slot[cell] = i


@njit(cache=True)
def pop(keys, cells, slot, size):
    """Take the first cell off such a heap and mark it closed (-2); return it and what is left of the size."""
    cell = cells[0]
    size -= 1
    if size > 0:
        keys[0], cells[0] = keys[size], cells[size]
        sift_down(keys, cells, slot, size)
    slot[cell] = -2
    return cell, size


@njit(cache=True)
def put(keys, cells, slot, size, cell, key):
    """Add a cell, or move it to the front where it waits already; return the size."""
    if slot[cell] < 0:
        slot[cell] = size
        cells[size] = cell
        size += 1
    i = slot[cell]
    keys[i] = key
    sift_up(keys, cells, slot, i)
    return size
