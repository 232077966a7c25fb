# SPDX-License-Identifier: Apache-2.0
"""The guide's lattice: which nodes a map has, which of them touch, what the ways between cost, swept from a goal.

A block of 4 x 4 cells has a node for each of its connected components, so that two sides of a wall are two nodes, and
two nodes are joined only where a robot can step from one to the other: what is connected is read off the map, exactly;
only what it costs is a network's answer. A block's cells are the bits 4 row + col of a mask, and so is a node.

Channels of an answer (h, w, 58), the last axis:

    0 .. 15   ports p: from a node out over the i-th cell of its block's east, west, south, north side: 4 side + i
    16, 17    diagonal edges d to the south-east and south-west
    18 .. 33  taps t: from the block's cells to their own nodes
    34 .. 41  factors u of the ways to the nodes of the eight blocks around, as `steps_of` orders them
    42 .. 57  factors v of the same, one for each of the block's cells

An edge to a side costs min_ij p_i + p'_j over the pairs of cells that touch; one across a corner d, where the 4 x 4
cells around that corner connect both nodes; a tap to a node around u v times the distance to that block's centre. Where
cells have costs, p, d, t and u of a block are multiplied by the mean cost of its free cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from axon_planner.grid_steps import SQRT2, pop, put

BLOCK = 4
PORTS, DIAGONALS, OWN, AROUND, EACH, CHANNELS = 0, 16, 18, 34, 42, 58
_ROWS = np.array([0, 0, 1, -1, 1, 1, -1, -1])
_COLS = np.array([1, -1, 0, 0, 1, -1, 1, -1])
# Bits of the cells along a block's east, west, south and north side.
_SIDES = np.array([[3, 7, 11, 15], [0, 4, 8, 12], [12, 13, 14, 15], [0, 1, 2, 3]])
_ALL = 0xFFFF
OWN_TAP, NO_TAP = -1, -2
PULL = 0.95  # of the distance on an empty map that is expected to remain, in a sweep towards a start


def tap_lengths(moore: bool) -> np.ndarray:
    """Distances (9, 16) on an empty map from a block's cells to the centres of the eight around, and of its own."""
    cells = np.stack(np.divmod(np.arange(BLOCK * BLOCK), BLOCK), axis=1) - 0.5 * (BLOCK - 1)
    nodes = BLOCK * np.stack([np.append(_ROWS, 0), np.append(_COLS, 0)], axis=1).astype(float)
    apart = np.abs(nodes[:, None] - cells[None])
    shorter, longer = apart.min(axis=2), apart.max(axis=2)
    return (longer + (0.0 if moore else SQRT2 - 1.0) * shorter).astype(np.float32)


_LENGTHS = np.stack([tap_lengths(False), tap_lengths(True)])


def channel_scales(moore: bool) -> np.ndarray:
    """What an answer (58,) is where nothing is known: lengths on an empty map, factors 1."""
    diagonal = 1.0 if moore else SQRT2
    aside = np.abs(np.arange(BLOCK) - 0.5 * (BLOCK - 1)) - 0.5
    ports = np.tile(0.5 * BLOCK + (diagonal - 1.0) * aside, 4)
    factors = np.ones(8 + BLOCK * BLOCK)
    return np.concatenate([ports, [BLOCK * diagonal] * 2, tap_lengths(moore)[8], factors]).astype(np.float32)


class Graph(NamedTuple):
    """Nodes of a map of (h, w) blocks, and the edges from node n at `begin[n]` up to `begin[n + 1]`.

    `first` (h w + 1,): a block's first node; `masks`, `block` (N,): a node's cells, and its block; `to`, `cost`, `way`,
    `place` (E,): where an edge leads, what it costs, in which of eight directions, by which cells 4 i + j of the sides.
    `lengths` (9, 16): taps on an empty map; `aslant`: what a diagonal step costs more than a straight one there.
    """

    answer: np.ndarray
    first: np.ndarray
    masks: np.ndarray
    block: np.ndarray
    begin: np.ndarray
    to: np.ndarray
    cost: np.ndarray
    way: np.ndarray
    place: np.ndarray
    lengths: np.ndarray
    aslant: float


class Sweep(NamedTuple):
    """A search over nodes from a goal, which can pause: each node's cost and how it was reached.

    `before`, `edge` (N,): the node before and the edge from it; from the goal itself -1 and the edge that its tap goes
    along, or OWN_TAP. `order` is that of settling; `counts` holds how many wait and how many are settled; `pull` the
    block's row and column that it is drawn to, and by how much.
    """

    cost: np.ndarray
    before: np.ndarray
    edge: np.ndarray
    slot: np.ndarray
    keys: np.ndarray
    waiting: np.ndarray
    order: np.ndarray
    counts: np.ndarray
    pull: np.ndarray


def lay(free: np.ndarray, answer: np.ndarray, corners: bool, cost: np.ndarray | None = None) -> Graph:
    """The lattice of a map `free` (4 h, 4 w) bool with a network's answer (h, w, 58) float32, of whatever numbers.

    `corners`: whether diagonal steps may cut them, each of which then costs 1. `cost` (4 h, 4 w), at least 1, weighs a
    cell's length.
    """
    answer = _sound(np.ascontiguousarray(answer, np.float32))
    if cost is not None:
        answer[..., :EACH] *= mean_costs(free, cost)[..., None]
    first, masks, block = _nodes(free, corners)
    edges = _edges(answer, first, masks, block, corners)
    aslant = 0.0 if corners else SQRT2 - 1.0
    return Graph(answer, first, masks, block, *edges, _LENGTHS[int(corners)], aslant)


def begin_sweep(graph: Graph, row: int, col: int, start: tuple[int, int] | None = None) -> Sweep:
    """Begin a sweep from a cell of the enlarged map; from a blocked one nothing is reached.

    Nodes are settled in the order of their costs (Dijkstra), or, with a `start` cell, as A* goes there: far fewer, at
    costs that may lie above the cheapest, as a network's costs keep to no heuristic.
    """
    count = len(graph.masks)
    ints = [np.full(count, -1, np.int32) for _ in range(3)]
    heap = np.empty(count), np.empty(count, np.int32), np.empty(count, np.int32)
    pull = np.zeros(3) if start is None else np.array([start[0] // BLOCK, start[1] // BLOCK, PULL])
    sweep = Sweep(np.full(count, np.inf, np.float32), *ints, *heap, np.zeros(2, np.int64), pull)
    _seed(graph, sweep, row, col)
    return sweep


def mean_costs(free: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Mean cost (h, w) float32 of the free cells of each block; 1 where there are none."""
    blocks = free.shape[0] // BLOCK, BLOCK, free.shape[1] // BLOCK, BLOCK
    count = free.reshape(blocks).sum(axis=(1, 3))
    total = np.where(free, cost, 0.0).reshape(blocks).sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), 1.0).astype(np.float32)


@njit(cache=True)
def _sound(answer):
    """Costs that a sweep can add up: above 0 and finite, whatever a network has answered."""
    flat = answer.copy().ravel()
    for i in range(flat.size):
        value = flat[i]
        if not value <= 1e6:
            flat[i] = 1e6
        elif value < 1e-3:
            flat[i] = 1e-3
    return flat.reshape(answer.shape)


@njit(cache=True)
def _grow(seed, mask, corners):
    """All cells of `mask` that connect with those of `seed` in it; both have the bits of 4 x 4 cells."""
    grown = seed & mask
    while True:
        flat = grown | ((grown & 0x7777) << 1) | ((grown & 0xEEEE) >> 1)
        tall = flat if corners else grown
        more = (flat | (tall << 4) | (tall >> 4)) & mask
        if more == grown:
            return grown
        grown = more


@njit(cache=True)
def _nodes(free, corners):
    """First node of each block, and each node's cells and block."""
    high, wide = free.shape[0] // 4, free.shape[1] // 4
    first = np.empty(high * wide + 1, np.int32)
    masks, block = np.empty(8 * high * wide, np.int32), np.empty(8 * high * wide, np.int32)
    count = 0
    for b in range(high * wide):
        first[b] = count
        left = 0
        for bit in range(16):
            if free[4 * (b // wide) + bit // 4, 4 * (b % wide) + bit % 4]:
                left |= 1 << bit
        while left:
            masks[count], block[count] = _grow(left & -left, left, corners), b
            left &= ~masks[count]
            count += 1
    first[-1] = count
    return first, masks[:count].copy(), block[:count].copy()


@njit(cache=True)
def _edges(answer, first, masks, block, corners):
    """`begin`, `to`, `cost`, `way`, `place` of all edges, both ways."""
    high, wide = answer.shape[:2]
    count = len(masks)
    begin = np.empty(count + 1, np.int32)
    size, room = 0, 10 * count + 256
    to, cost = np.empty(room, np.int32), np.empty(room, np.float32)
    way, place = np.empty(room, np.int8), np.empty(room, np.int8)
    for node in range(count):
        begin[node] = size
        if size + 128 > room:  # no node has more: eight blocks, of which each has at most eight nodes
            room *= 2
            to, cost = np.append(to, np.empty_like(to)), np.append(cost, np.empty_like(cost))
            way, place = np.append(way, np.empty_like(way)), np.append(place, np.empty_like(place))
        row, col = block[node] // wide, block[node] % wide
        for k in range(8):
            r, c = row + _ROWS[k], col + _COLS[k]
            if not (0 <= r < high and 0 <= c < wide):
                continue
            for other in range(first[r * wide + c], first[r * wide + c + 1]):
                if k < 4:
                    length, where = _across_side(answer, masks, node, other, row, col, r, c, k, corners)
                else:
                    length, where = _across_corner(answer, first, masks, node, other, row, col, r, c, corners)
                if where >= 0:
                    to[size], cost[size], way[size], place[size] = other, length, k, where
                    size += 1
    begin[count] = size
    return begin, to[:size], cost[:size], way[:size], place[:size]


@njit(cache=True)
def _across_side(answer, masks, node, other, row, col, r, c, k, corners):
    """Cost from a node to another of the block beside, and by which pair of cells; -1 where none touch."""
    best, where = np.inf, -1
    reach = 1 if corners else 0
    for i in range(4):
        if not masks[node] >> _SIDES[k, i] & 1:
            continue
        for j in range(max(0, i - reach), min(4, i + reach + 1)):
            if masks[other] >> _SIDES[k ^ 1, j] & 1:
                length = answer[row, col, 4 * k + i] + answer[r, c, 4 * (k ^ 1) + j]
                if length < best:
                    best, where = length, 4 * i + j
    return best, where


@njit(cache=True)
def _across_corner(answer, first, masks, node, other, row, col, r, c, corners):
    """The same for the block across a corner: they must connect within the 4 x 4 cells around it."""
    wide = answer.shape[1]
    top, left = min(row, r), min(col, c)
    window = 0
    for q in range(4):
        b = (top + q // 2) * wide + left + q % 2
        for n in range(first[b], first[b + 1]):
            window |= _quarter(masks[n], q // 2, q % 2)
    mine, its = _quarter(masks[node], row - top, col - left), _quarter(masks[other], r - top, c - left)
    if not (_grow(mine, window, corners) & its):
        return np.inf, -1
    falling = (row - r) == (col - c)
    return answer[top, left if falling else left + 1, DIAGONALS + (0 if falling else 1)], 0


@njit(cache=True)
def _quarter(mask, down, right):
    """Of a block that is `down` (0, 1) and `right` of a corner, the four cells next to it, as bits of the window."""
    return ((mask >> (8 * (1 - down) + 2 * (1 - right))) & 0x33) << (8 * down + 2 * right)


@njit(cache=True)
def node_at(graph, row, col):
    """The node of a cell of the enlarged map, -1 where it is blocked."""
    b = (row // 4) * graph.answer.shape[1] + col // 4
    bit = 1 << (row % 4 * 4 + col % 4)
    for node in range(graph.first[b], graph.first[b + 1]):
        if graph.masks[node] & bit:
            return node
    return -1


@njit(cache=True)
def tap_cost(graph, row, col, edge):
    """Cost from a cell to its own node (OWN_TAP), or to that which an edge of its node leads to."""
    values = graph.answer[row // 4, col // 4]
    sub = row % 4 * 4 + col % 4
    if edge == OWN_TAP:
        return values[OWN + sub]
    k = graph.way[edge]
    return graph.lengths[k, sub] * values[AROUND + k] * values[EACH + sub]


@njit(cache=True)
def _seed(graph, sweep, row, col):
    """Let the taps of the goal's cell wait."""
    node = node_at(graph, row, col)
    if node < 0:
        return
    _reach(graph, sweep, node, tap_cost(graph, row, col, OWN_TAP), OWN_TAP)
    for edge in range(graph.begin[node], graph.begin[node + 1]):
        _reach(graph, sweep, graph.to[edge], tap_cost(graph, row, col, edge), edge)


@njit(cache=True)
def _reach(graph, sweep, node, cost, edge):
    if cost < sweep.cost[node]:
        sweep.cost[node], sweep.edge[node] = cost, edge
        key = cost + _drawn(graph.block[node], graph.answer.shape[1], graph.aslant, sweep.pull)
        sweep.counts[0] = put(sweep.keys, sweep.waiting, sweep.slot, sweep.counts[0], node, key)


@njit(cache=True)
def _drawn(block, wide, aslant, pull):
    """What is expected to remain from a block to where the sweep is drawn to."""
    dy, dx = abs(block // wide - pull[0]), abs(block % wide - pull[1])
    return 4.0 * pull[2] * (max(dx, dy) + aslant * min(dx, dy))


@njit(cache=True)
def _settle(graph, sweep, node, beyond):
    """Sweep on until a node is settled and all that waits has a key of at least its cost and `beyond`."""
    begin, to, length, block, aslant = graph.begin, graph.to, graph.cost, graph.block, graph.aslant
    cost, before, by, slot, pull = sweep.cost, sweep.before, sweep.edge, sweep.slot, sweep.pull
    keys, waiting, wide = sweep.keys, sweep.waiting, graph.answer.shape[1]
    size, settled = sweep.counts
    while size > 0 and keys[0] < cost[node] + beyond:
        here, size = pop(keys, waiting, slot, size)
        sweep.order[settled] = here
        settled += 1
        for edge in range(begin[here], begin[here + 1]):
            near = to[edge]
            reached = cost[here] + length[edge]
            if reached < cost[near] and slot[near] != -2:
                cost[near], before[near], by[near] = reached, here, edge
                size = put(keys, waiting, slot, size, near, reached + _drawn(block[near], wide, aslant, pull))
    sweep.counts[0], sweep.counts[1] = size, settled


@njit(cache=True)
def read_off(graph, sweep, row, col):
    """What remains from a cell of the enlarged map to the goal, and the edge its tap takes (OWN_TAP, NO_TAP).

    Sweeps as far as that needs: without a pull, what still waits is then too dear to matter.
    """
    node = node_at(graph, row, col)
    if node < 0:
        return np.float32(np.inf), NO_TAP
    tap = tap_cost(graph, row, col, OWN_TAP)
    beyond = tap + _drawn(graph.block[node], graph.answer.shape[1], graph.aslant, sweep.pull)
    if sweep.counts[0] > 0 and sweep.keys[0] < sweep.cost[node] + beyond:
        _settle(graph, sweep, node, beyond)
    cost, to, way = sweep.cost, graph.to, graph.way
    best, taken = cost[node] + tap, OWN_TAP
    if best == np.inf:
        return best, NO_TAP
    sub, values = row % 4 * 4 + col % 4, graph.answer[row // 4, col // 4]
    for edge in range(graph.begin[node], graph.begin[node + 1]):
        k = way[edge]
        through = cost[to[edge]] + graph.lengths[k, sub] * values[AROUND + k] * values[EACH + sub]
        if through < best:
            best, taken = through, edge
    return best, taken


@njit(cache=True)
def read_all(graph, sweep, zoom, height, width):
    """What remains (H, W) float32 from every cell of the map, in its own cells."""
    out = np.empty((height, width), np.float32)
    for row in range(height):
        for col in range(width):
            out[row, col] = read_off(graph, sweep, row * zoom, col * zoom)[0] / zoom
    return out
