# SPDX-License-Identifier: Apache-2.0
"""What the searches on flat grids share: steps, the heap that knows where a cell waits, and the way back."""

import numpy as np
from numba import njit


@njit(cache=True)
def steps_of(width):
    """Steps (8,) in a flat grid to the four straight and the four diagonal neighbours."""
    return np.array([1, -1, width, -width, width + 1, width - 1, -width + 1, -width - 1], np.int32)


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
