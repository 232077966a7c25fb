# SPDX-License-Identifier: Apache-2.0
"""A* whose order a network chooses, at most a stated factor from the optimum.

A network reads a map once and lays a lattice over it, a node for each block of 4 x 4 cells: what it costs to go from a
node to each neighbour, and from a cell to each of the nine nodes around it (taps). A way then costs, whatever its ends,

    c(s, g) = min_kl  tap_k(s) + D(node_k(s), node_l(g)) + tap_l(g)                                              (1)

with D the cheapest chain of edges, swept once from a goal (Dijkstra) and read off in nine sums for any cell. A* orders
its cells by

    f(n) = g(n) + min(w h(n), max(h(n), e c(n, goal)))                                                            (2)

with h the distance on an empty map and e a little above 1. As the second term is at most w h(n), and cells are opened
again when a cheaper way to them is found, the path costs at most w times the optimum, whatever the network says: an
open cell on an optimal path has f <= g* + w h* <= w C* (Pohl 1970; Likhachev et al., "ARA*", 2003), and the goal comes
out of the queue before anything with a larger f. Every reachable cell is opened in the end, so that a path is found
wherever there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numba import njit

from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.grid_steps import DONE, EMPTY, PAUSED, SQRT2, backtrack, pop, put, steps_of, straight_distance
from axon_planner.search import SearchResult, SearchStatus, check_grid, refusal

BLOCK = 4
AROUND = 9
TAPS = AROUND * BLOCK * BLOCK
DOUBLED_UP_TO = 64  # cells a side: so small a map is read at twice its size, for a finer lattice
BOUND = 3.0
CHUNK = 20_000

Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Cells (1, 2, H, W) float32 -> edges (1, 4, H / 4, W / 4) and taps (1, 144, H / 4, W / 4) float32, in cells."""


class Moves(Enum):
    """What a step to one of eight neighbours costs, and whether a diagonal one may cut a corner."""

    OCTILE = "octile"  # 1 and sqrt 2, no corner cut: the planner's own
    MOORE = "moore"  # always 1, corners may be cut: that of the Motion Planning Dataset

    @property
    def diagonal(self) -> float:
        """Cost of a diagonal step."""
        return 1.0 if self is Moves.MOORE else SQRT2

    @property
    def greed(self) -> float:
        """The factor e of equation (2), set on generated validation maps: where many ways tie, haste costs little."""
        return 1.25 if self is Moves.MOORE else 1.05

    @property
    def cuts_corners(self) -> bool:
        """Whether a diagonal step may pass a blocked cell."""
        return self is Moves.MOORE


def edge_lengths(moore: bool) -> np.ndarray:
    """Lengths (4,) of lattice edges to the east, south, south-east and south-west on an empty map."""
    diagonal = BLOCK * (1.0 if moore else SQRT2)
    return np.array([BLOCK, BLOCK, diagonal, diagonal], np.float32)


def tap_lengths(moore: bool) -> np.ndarray:
    """Distances (9, 16) on an empty map: from a block's cells, row by row, to the centres of 3 x 3 blocks around."""
    cells = np.stack(np.divmod(np.arange(BLOCK * BLOCK), BLOCK), axis=1) - 0.5 * (BLOCK - 1)
    nodes = BLOCK * (np.stack(np.divmod(np.arange(AROUND), 3), axis=1) - 1.0)
    apart = np.abs(nodes[:, None] - cells[None])
    shorter, longer = apart.min(axis=2), apart.max(axis=2)
    return (longer + (0.0 if moore else SQRT2 - 1.0) * shorter).astype(np.float32)


@dataclass(frozen=True)
class Ahead:
    """What remains to `goal`: equation (1) over the costs `lattice` (h, w) float32 from each node to it."""

    goal: tuple[int, int]
    lattice: np.ndarray
    taps: np.ndarray
    zoom: int
    moves: Moves

    def cost_to_go(self, shape: tuple[int, int]) -> np.ndarray:
        """Predicted cost (H, W) float32 from each cell of a map of that shape to the goal; nonsense where blocked."""
        return _read_all(self.lattice, self.taps, self.zoom, *shape)


@dataclass(frozen=True)
class Reading:
    """What the network made of a map: `edges` (4, h, w), `taps` (144, h, w), in cells of a map `zoom` times larger."""

    edges: np.ndarray
    taps: np.ndarray
    zoom: int
    shape: tuple[int, int]
    moves: Moves

    def towards(self, goal: tuple[int, int]) -> Ahead:
        """Sweep the lattice from a goal cell; ValueError where it lies outside."""
        row, col = int(goal[0]), int(goal[1])
        if not (0 <= row < self.shape[0] and 0 <= col < self.shape[1]):
            raise ValueError(f"goal cell ({row}, {col}) outside the map {self.shape}")
        lattice, _, _ = sweep(self.edges, self.taps, row * self.zoom, col * self.zoom)
        return Ahead((row, col), lattice, self.taps, self.zoom, self.moves)


class Guide:
    """A network that reads maps; `readings` and `read_s` say how many, and how long it took in all."""

    def __init__(self, network: Network, name: str = "-", version: str = "-", sha256: str = "-"):
        self._network = network
        self.name, self.version, self.sha256 = name, version, sha256
        self.readings, self.read_s = 0, 0.0

    @classmethod
    def load(cls, name_or_path: str) -> Guide:
        """The guide of a shipped model's name, or of a user's own file; ModelError where there is none."""
        model = find_model(name_or_path)
        onnx = OnnxModel(model.path, threads=1, dynamic_size=8 * BLOCK)
        taken, given = {spec.name: spec.shape for spec in onnx.inputs}, [spec.name for spec in onnx.outputs]
        if taken != {"cells": (1, 2, None, None)} or given != ["edges", "taps"]:
            expected = "'cells' (1, 2, any, any) in, 'edges' and 'taps' out"
            raise ModelError(f"{onnx.path}: takes {taken}, gives {given}: a guide has {expected}")

        def network(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            answer = onnx.run({"cells": cells})
            return answer["edges"], answer["taps"]

        return cls(network, model.name, model.version, model.sha256)

    def read(self, blocked: np.ndarray, moves: Moves = Moves.OCTILE) -> Reading:
        """Lay the lattice over a map (H, W) bool: one pass, which serves every start and goal on it.

        Whatever numbers the network answers are safe to search with; only a wrong shape raises ModelError.
        """
        began_s = time.perf_counter()
        cells, zoom = network_input(blocked, moves)
        edges, taps = self._network(cells)
        high, wide = cells.shape[2] // BLOCK, cells.shape[3] // BLOCK
        if edges.shape != (1, 4, high, wide) or taps.shape != (1, TAPS, high, wide):
            raise ModelError(f"{self.name}: answered {edges.shape}, {taps.shape} to a map of {blocked.shape}")
        self.readings += 1
        self.read_s += time.perf_counter() - began_s
        return Reading(_positive(edges[0]), _positive(taps[0]), zoom, blocked.shape, moves)


def network_input(blocked: np.ndarray, moves: Moves) -> tuple[np.ndarray, int]:
    """Cells (1, 2, H', W') float32 as the network takes them, and how much they are enlarged; blocked outside."""
    blocked = np.asarray(blocked)
    if blocked.ndim != 2 or blocked.size == 0:
        raise ValueError(f"blocked has shape {blocked.shape}: expected (H, W) with at least one cell")
    zoom = 2 if max(blocked.shape) <= DOUBLED_UP_TO else 1
    free = (~blocked.astype(bool)).repeat(zoom, axis=0).repeat(zoom, axis=1)
    height, width = (-(-n // BLOCK) * BLOCK for n in free.shape)
    cells = np.zeros((1, 2, height, width), np.float32)
    cells[0, 0, : free.shape[0], : free.shape[1]] = free
    cells[0, 1] = moves is Moves.MOORE
    return cells, zoom


def _positive(costs: np.ndarray) -> np.ndarray:
    """Costs that a sweep can add up: above 0 and finite, whatever a network has answered."""
    return np.clip(np.nan_to_num(costs, nan=1e6, posinf=1e6), 1e-3, 1e6).astype(np.float32)


@dataclass(frozen=True)
class GuidedResult(SearchResult):
    """A SearchResult whose cost is at most `proven` times the optimum, by what the search itself has seen; else inf."""

    proven: float = float("inf")


def guided_path(
    blocked: np.ndarray,
    start: tuple[int, int],
    goal: tuple[int, int],
    ahead: Ahead | None = None,
    cost: np.ndarray | None = None,
    bound: float = BOUND,
    greed: float | None = None,
    moves: Moves = Moves.OCTILE,
    timeout_s: float = float("inf"),
) -> GuidedResult:
    """Path from `start` to `goal`, both (row, col), over `blocked` (H, W) bool, at most `bound` times the cheapest.

    `ahead` orders the search by equation (2), `greed` is its e (by default that of the moves); without it this is
    weighted A*, f = g + bound h. `cost` (H, W), at least 1 everywhere, weighs a cell's length. Bad arrays and an
    `ahead` of another goal raise ValueError.
    """
    blocked = _check(blocked, cost, goal, ahead, bound, moves)
    refused = refusal(blocked, start, goal)
    if refused is not None:
        return _no(*refused, expanded=0)
    search = _Search(blocked, start, goal, ahead, cost, bound, moves.greed if greed is None else greed, moves)
    deadline_s = time.perf_counter() + timeout_s
    while (state := search.advance(CHUNK)) == PAUSED:
        if time.perf_counter() > deadline_s:
            return _no(SearchStatus.TIMEOUT, f"no path within {timeout_s:.3f} s", search.expanded)
    if state == EMPTY:
        return _no(SearchStatus.NO_PATH, f"no way from cell {start} to cell {goal}", search.expanded)
    return search.result()


def _check(blocked, cost, goal, ahead, bound, moves) -> np.ndarray:
    if not bound >= 1.0:
        raise ValueError(f"bound {bound}: expected at least 1")
    if ahead is not None and (ahead.goal != (int(goal[0]), int(goal[1])) or ahead.moves is not moves):
        raise ValueError(f"ahead is of goal {ahead.goal}, {ahead.moves.value}: expected {goal}, {moves.value}")
    return check_grid(blocked, cost)


def _no(status: SearchStatus, reason: str, expanded: int) -> GuidedResult:
    return GuidedResult(status, np.empty((0, 2), np.int32), float("inf"), expanded, reason)


class _Search:
    """One guided search that can pause: the grid padded by a blocked rim."""

    def __init__(self, blocked, start, goal, ahead, cost, bound, greed, moves):
        height, width = blocked.shape
        self.width = width + 2
        factor = np.full((height + 2, self.width), np.inf, np.float32)
        factor[1:-1, 1:-1] = np.where(blocked, np.inf, 1.0 if cost is None else cost)
        self.factor = factor.ravel()
        self.start, self.goal = ((int(c[0]) + 1) * self.width + int(c[1]) + 1 for c in (start, goal))
        size = self.factor.size
        self.cost = np.full(size, np.inf)
        self.parent = np.full(size, -1, np.int8)
        self.slot = np.full(size, -1, np.int32)
        self.remains = np.empty(size, np.float32)
        self.keys, self.cells = np.empty(size), np.empty(size, np.int32)
        self.keys[0], self.cells[0], self.slot[self.start], self.cost[self.start] = 0.0, self.start, 0, 0.0
        self.open, self.expanded = 1, 0
        self.rules = (self.width, self.goal, moves.diagonal, moves.cuts_corners)
        guided = ahead is not None
        lattice = ahead.lattice if guided else np.zeros((1, 1), np.float32)
        taps = ahead.taps if guided else np.zeros((TAPS, 1, 1), np.float32)
        self.order = (lattice, taps, ahead.zoom if guided else 1, float(bound), float(greed) if guided else np.inf)

    def advance(self, budget: int) -> int:
        state, self.open, expanded = _expand(
            self.factor, self.rules, self.order, self.cost, self.parent, self.slot, self.remains, self.keys, self.cells,
            self.open, budget,
        )  # fmt: skip
        self.expanded += expanded
        return state

    def result(self) -> GuidedResult:
        cost = float(self.cost[self.goal])
        least = _least_open(self.cost, self.cells, self.open, *self.rules[:3])
        flat = backtrack(self.parent, self.width, self.start, self.goal)
        cells = np.stack([flat // self.width - 1, flat % self.width - 1], axis=1).astype(np.int32)
        proven = max(1.0, cost / least) if least > 0.0 else 1.0
        return GuidedResult(SearchStatus.FOUND, cells, cost, self.expanded, proven=proven)


@njit(cache=True)
def _tap(taps, row, col, k):
    sub = (row % 4) * 4 + col % 4
    return taps[k * 16 + sub, row // 4, col // 4]


@njit(cache=True)
def read_off(lattice, taps, row, col):
    """Equation (1) for the cell (row, col) of the enlarged map: the cost and the tap (0 .. 8) that it takes."""
    best, tap = np.inf, -1
    for k in range(9):
        r, c = row // 4 + k // 3 - 1, col // 4 + k % 3 - 1
        if 0 <= r < lattice.shape[0] and 0 <= c < lattice.shape[1]:
            cost = lattice[r, c] + _tap(taps, row, col, k)
            if cost < best:
                best, tap = cost, k
    return best, tap


@njit(cache=True)
def _read_all(lattice, taps, zoom, height, width):
    out = np.empty((height, width), np.float32)
    for row in range(height):
        for col in range(width):
            out[row, col] = read_off(lattice, taps, row * zoom, col * zoom)[0] / zoom
    return out


@njit(cache=True)
def edge_of(row, col, k):
    """Where the edge from node (row, col) in direction `k`, as `steps_of` orders them, is kept: kind, row, col."""
    if k == 0:
        return 0, row, col
    if k == 1:
        return 0, row, col - 1
    if k == 2:
        return 1, row, col
    if k == 3:
        return 1, row - 1, col
    if k == 4:
        return 2, row, col
    if k == 5:
        return 3, row, col
    if k == 6:
        return 3, row - 1, col + 1
    return 2, row - 1, col - 1


@njit(cache=True)
def sweep(edges, taps, row, col):
    """Costs (h, w) float32 from each node to the cell (row, col), by Dijkstra; how each got its own; in which order.

    `how` (h, w) int8 is the direction 0 .. 7 from the node before, or 8 + k for the cell's tap k; -1 where none leads.
    """
    high, wide = edges.shape[1], edges.shape[2]
    cost = np.full(high * wide, np.inf, np.float32)
    how = np.full(high * wide, -1, np.int8)
    slot = np.full(high * wide, -1, np.int32)
    keys, cells, size = np.empty(high * wide), np.empty(high * wide, np.int32), 0
    order = np.empty(high * wide, np.int32)
    rows = np.array([0, 0, 1, -1, 1, 1, -1, -1])
    cols = np.array([1, -1, 0, 0, 1, -1, 1, -1])
    for k in range(9):
        r, c = row // 4 + k // 3 - 1, col // 4 + k % 3 - 1
        if 0 <= r < high and 0 <= c < wide:
            node = r * wide + c
            cost[node], how[node] = _tap(taps, row, col, k), 8 + k
            size = put(keys, cells, slot, size, node, cost[node])
    done = 0
    while size > 0:
        node, size = pop(keys, cells, slot, size)
        order[done] = node
        done += 1
        r, c = node // wide, node % wide
        for k in range(8):
            rr, cc = r + rows[k], c + cols[k]
            if rr < 0 or rr >= high or cc < 0 or cc >= wide or slot[rr * wide + cc] == -2:
                continue
            kind, er, ec = edge_of(r, c, k)
            reached = cost[node] + edges[kind, er, ec]
            near = rr * wide + cc
            if reached < cost[near]:
                cost[near], how[near] = reached, k
                size = put(keys, cells, slot, size, near, reached)
    return cost.reshape(high, wide), how.reshape(high, wide), order[:done]


@njit(cache=True)
def _remaining(cell, width, straight, order):
    """The second term of equation (2)."""
    lattice, taps, zoom, bound, greed = order
    most = bound * straight
    if greed == np.inf:
        return most
    predicted = greed * read_off(lattice, taps, (cell // width - 1) * zoom, (cell % width - 1) * zoom)[0] / zoom
    return min(most, max(straight, predicted))


@njit(cache=True)
def _expand(factor, rules, order, cost, parent, slot, remains, keys, cells, size, budget):
    """Expand up to `budget` cells; `slot` is the heap position of an open cell, -1 unseen, -2 closed."""
    width, goal, diagonal, cuts = rules
    offsets = steps_of(width)
    expanded = 0
    while size > 0:
        if cells[0] == goal:
            return DONE, size, expanded
        if expanded >= budget:
            return PAUSED, size, expanded
        cell, size = pop(keys, cells, slot, size)
        expanded += 1
        for k in range(8):
            near = cell + offsets[k]
            if factor[near] == np.inf:
                continue
            length = 1.0
            if k >= 4:
                length = diagonal
                side = offsets[k] - width if k < 6 else offsets[k] + width
                if not cuts and (factor[cell + side] == np.inf or factor[near - side] == np.inf):
                    continue
            reached = cost[cell] + length * 0.5 * (factor[cell] + factor[near])
            if reached < cost[near] - 1e-9:
                if slot[near] == -1:
                    remains[near] = _remaining(near, width, straight_distance(near, goal, width, diagonal), order)
                cost[near], parent[near] = reached, k
                size = put(keys, cells, slot, size, near, reached + remains[near])
    return EMPTY, size, expanded


@njit(cache=True)
def _least_open(cost, cells, size, width, goal, diagonal):
    """No path is cheaper than the least g + h of the open cells: one lies on an optimal path at its true cost."""
    least = np.inf
    for i in range(size):
        least = min(least, cost[cells[i]] + straight_distance(cells[i], goal, width, diagonal))
    return least
