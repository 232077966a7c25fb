# SPDX-License-Identifier: Apache-2.0
"""A* whose order a network chooses, at most a stated factor from the optimum.

A network reads a map once and says what it costs to go about in it: `guide_lattice` lays nodes over the map, one for
each connected part of a block of 4 x 4 cells, joins those that touch, and takes the costs of its edges, and of the ways
from a cell to its own node and the nodes around it (taps), from the network. A way then costs, whatever its ends,

    c(s, g) = min_kl  tap_k(s) + D(node_k(s), node_l(g)) + tap_l(g)                                              (1)

with D the cheapest chain of edges, swept from a goal as far as a search asks. A* orders its cells by

    f(n) = g(n) + max(h(n), e c(n, goal))                                                                        (2)

with h the distance on an empty map and e a little above 1. When the goal comes out of the queue, at a cost C, every way
not yet found leads through a cell that is open, or that was closed when a cheaper way reached it (such cells are set
aside: Likhachev et al., "ARA*", 2003). So no path is cheaper than L, the least g + h of those cells. Where C <= w L,
the path costs at most w times the optimum, and the search ends. Else those cells are opened again in the order of
g + h, as by A* (Hart et al. 1968), until that holds. The bound thus holds whatever the network says. No cell is
expanded more than once before this proof and, as h is consistent, more than once in it. Every reachable cell is opened
in the end, so that a path is found wherever there is one. Without a network f = g + w h: weighted A* (Pohl 1970).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numba import njit

from axon_core.inference import OnnxModel
from axon_core.models import ModelError, find_model
from axon_planner.grid_steps import DONE, EMPTY, PAUSED, SQRT2, backtrack, pop, put, steps_of, straight_distance
from axon_planner.guide_lattice import (
    BLOCK,
    CHANNELS,
    Graph,
    Sweep,
    begin_sweep,
    channel_scales,
    lay,
    node_at,
    read_all,
    read_off,
)
from axon_planner.search import SearchResult, SearchStatus, check_grid, refusal

DOUBLED_UP_TO = 64  # cells a side: so small a map is read at twice its size, for a finer lattice
BOUND = 3.0
CHUNK = 20_000

Network = Callable[[np.ndarray], np.ndarray]
"""Cells (1, 2, H, W) float32 -> answer (1, H / 4, W / 4, 58) float32, as `guide_lattice` describes it, in cells."""


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
        return 2.0 if self is Moves.MOORE else 1.1

    @property
    def cuts_corners(self) -> bool:
        """Whether a diagonal step may pass a blocked cell."""
        return self is Moves.MOORE


@dataclass(frozen=True)
class Ahead:
    """What remains to `goal` by equation (1): a sweep that goes on as far as it is asked, by one search at a time."""

    goal: tuple[int, int]
    graph: Graph
    sweep: Sweep
    zoom: int
    shape: tuple[int, int]
    moves: Moves

    @property
    def swept(self) -> int:
        """Nodes of the lattice that have been settled so far."""
        return int(self.sweep.counts[1])

    def cost_to_go(self) -> np.ndarray:
        """Predicted cost (H, W) float32 from each cell of the map to the goal, inf where there is no way."""
        return read_all(self.graph, self.sweep, self.zoom, *self.shape)


@dataclass(frozen=True)
class Reading:
    """What the network made of a map of `shape`: a lattice over it, in cells of a map `zoom` times larger."""

    graph: Graph
    zoom: int
    shape: tuple[int, int]
    moves: Moves

    def towards(self, goal: tuple[int, int], start: tuple[int, int] | None = None) -> Ahead:
        """What remains to a goal cell; ValueError where it lies outside.

        Without a `start` it is exact by equation (1) and the same for every start; with one the sweep is drawn there,
        settles far fewer nodes, and is for searches from about there.
        """
        row, col = int(goal[0]), int(goal[1])
        if not (0 <= row < self.shape[0] and 0 <= col < self.shape[1]):
            raise ValueError(f"goal cell ({row}, {col}) outside the map {self.shape}")
        drawn = None if start is None else (int(start[0]) * self.zoom, int(start[1]) * self.zoom)
        sweep = begin_sweep(self.graph, row * self.zoom, col * self.zoom, drawn)
        return Ahead((row, col), self.graph, sweep, self.zoom, self.shape, self.moves)


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
        if taken != {"cells": (1, 2, None, None)} or given != ["answer"]:
            expected = "'cells' (1, 2, any, any) in, 'answer' out"
            raise ModelError(f"{onnx.path}: takes {taken}, gives {given}: a guide has {expected}")

        def network(cells: np.ndarray) -> np.ndarray:
            return onnx.run({"cells": cells})["answer"]

        return cls(network, model.name, model.version, model.sha256)

    def read(self, blocked: np.ndarray, moves: Moves = Moves.OCTILE, cost: np.ndarray | None = None) -> Reading:
        """Lay the lattice over a map (H, W) bool: one pass, which serves every start and goal on it.

        `cost` (H, W), at least 1 everywhere, weighs a cell's length. Whatever numbers the network answers are safe to
        search with; only a wrong shape raises ModelError.
        """
        began_s = time.perf_counter()
        blocked = check_grid(blocked, cost)
        cells, zoom = network_input(blocked, moves)
        answer = self._network(cells)
        high, wide = cells.shape[2] // BLOCK, cells.shape[3] // BLOCK
        if answer.shape != (1, high, wide, CHANNELS):
            expected = (1, high, wide, CHANNELS)
            raise ModelError(f"{self.name}: answered {answer.shape} to cells {cells.shape}: expected {expected}")
        weights = None if cost is None else _enlarged(cost, zoom, 1.0)
        graph = lay(cells[0, 0] > 0.5, answer[0], moves.cuts_corners, weights)
        self.readings += 1
        self.read_s += time.perf_counter() - began_s
        return Reading(graph, zoom, blocked.shape, moves)


def network_input(blocked: np.ndarray, moves: Moves) -> tuple[np.ndarray, int]:
    """Cells (1, 2, H', W') float32 as the network takes them, and how much they are enlarged; blocked outside."""
    zoom = 2 if max(blocked.shape) <= DOUBLED_UP_TO else 1
    free = _enlarged(~blocked, zoom, 0.0)
    return np.stack([free, np.full_like(free, moves is Moves.MOORE)])[None], zoom


def _enlarged(values: np.ndarray, zoom: int, beyond: float) -> np.ndarray:
    """Values (H', W') float32, each `zoom` times along both axes, filled up to whole blocks with `beyond`."""
    large = values.astype(np.float32).repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.pad(large, [(0, -n % BLOCK) for n in large.shape], constant_values=beyond)


def untaught(cells: np.ndarray) -> np.ndarray:
    """What a network that knows nothing answers: the lengths of an empty map, so that the lattice is all there is."""
    high, wide = cells.shape[2] // BLOCK, cells.shape[3] // BLOCK
    return np.tile(channel_scales(bool(cells[0, 1, 0, 0])), (1, high, wide, 1))


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

    `ahead` orders the search by equation (2), `greed` is its e (by default that of the moves); without one this is
    weighted A*, f = g + bound h. `cost` (H, W), at least 1 everywhere, weighs a cell's length. Bad arrays and an
    `ahead` of another goal or map raise ValueError.
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
    blocked = check_grid(blocked, cost)
    if ahead is not None and ahead.shape != blocked.shape:
        raise ValueError(f"ahead is of a map {ahead.shape}: expected {blocked.shape} like blocked")
    return blocked


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
        self.keys, self.cells, self.aside = np.empty(size), np.empty(size, np.int32), np.empty(size, np.int32)
        self.keys[0], self.cells[0], self.slot[self.start], self.cost[self.start] = 0.0, self.start, 0, 0.0
        self.counts = np.array([1, 0, 0, 0])  # open, set aside, expanded, and 1 while the bound is being proved
        self.rules = (self.width, self.goal, moves.diagonal, moves.cuts_corners, float(bound))
        greed = np.inf if ahead is None else float(greed)
        ahead = _nothing_ahead() if ahead is None else ahead
        self.order = (ahead.graph, ahead.sweep, ahead.zoom, greed)

    @property
    def expanded(self) -> int:
        return int(self.counts[2])

    def advance(self, budget: int) -> int:
        return _expand(
            self.factor, self.rules, self.order, self.cost, self.parent, self.slot, self.remains, self.keys, self.cells,
            self.aside, self.counts, budget,
        )  # fmt: skip

    def result(self) -> GuidedResult:
        least = _least_left(self.cost, self.cells, self.aside, self.counts, *self.rules[:3])
        flat = backtrack(self.parent, self.width, self.start, self.goal)
        cost = _cost_along(flat, self.factor, self.width, self.rules[2])
        cells = np.stack([flat // self.width - 1, flat % self.width - 1], axis=1).astype(np.int32)
        proven = min(self.rules[4], max(1.0, cost / least)) if least > 0.0 else 1.0
        return GuidedResult(SearchStatus.FOUND, cells, cost, self.expanded, proven=proven)


@cache
def _nothing_ahead() -> Ahead:
    """What stands in for a lattice in a search without one: no node."""
    graph = lay(np.zeros((BLOCK, BLOCK), bool), np.ones((1, 1, CHANNELS), np.float32), False)
    return Ahead((0, 0), graph, begin_sweep(graph, 0, 0), 1, (BLOCK, BLOCK), Moves.OCTILE)


@njit(cache=True)
def _remaining(cell, width, straight, bound, order):
    """The second term of equation (2)."""
    graph, sweep, zoom, greed = order
    if greed == np.inf:
        return bound * straight
    row, col = (cell // width - 1) * zoom, (cell % width - 1) * zoom
    predicted = greed * read_off(graph, sweep, row, col)[0] / zoom
    node = node_at(graph, row, col)
    if node >= 0 and sweep.before[node] == -1 and predicted < np.inf:
        # On the goal's own node and those that touch it, the way onto a node and off again is mostly a detour.
        predicted = min(predicted, bound * straight)
    return max(straight, predicted)


@njit(cache=True)
def _expand(factor, rules, order, cost, parent, slot, remains, keys, cells, aside, counts, budget):
    """Expand up to `budget` cells; `slot`: the heap position of an open cell, -1 unseen, -2 closed, -3 set aside."""
    width, goal, diagonal, cuts, bound = rules
    offsets = steps_of(width)
    last = counts[2] + budget
    while counts[0] > 0:
        if counts[3] == 0 and cells[0] == goal:
            if order[3] == np.inf:  # weighted A* needs no proof, as h is consistent (Likhachev et al. 2003)
                return DONE
            if cost[goal] <= bound * _least_left(cost, cells, aside, counts, width, goal, diagonal):
                return DONE
            _prove(cost, slot, keys, cells, aside, counts, width, goal, diagonal, bound)
        if counts[3] == 1 and keys[0] >= cost[goal] - 1e-9:
            return DONE
        if counts[2] >= last:
            return PAUSED
        cell, counts[0] = pop(keys, cells, slot, counts[0])
        counts[2] += 1
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
            if reached >= cost[near] - 1e-9:
                continue
            cost[near], parent[near] = reached, k
            if counts[3] == 1:
                key = bound * (reached + straight_distance(near, goal, width, diagonal))
                counts[0] = put(keys, cells, slot, counts[0], near, key)
            elif slot[near] >= -1:
                if slot[near] == -1:
                    straight = straight_distance(near, goal, width, diagonal)
                    remains[near] = _remaining(near, width, straight, bound, order)
                counts[0] = put(keys, cells, slot, counts[0], near, reached + remains[near])
            elif slot[near] == -2:
                slot[near], aside[counts[1]] = -3, near
                counts[1] += 1
    return EMPTY


@njit(cache=True)
def _prove(cost, slot, keys, cells, aside, counts, width, goal, diagonal, bound):
    """Open again what was set aside, and order all that is open by bound (g + h)."""
    count = counts[0] + counts[1]
    aside[counts[1] : count] = cells[: counts[0]]
    slot[aside[:count]] = -1
    size = 0
    for i in range(count):
        key = bound * (cost[aside[i]] + straight_distance(aside[i], goal, width, diagonal))
        size = put(keys, cells, slot, size, aside[i], key)
    counts[0], counts[1], counts[3] = size, 0, 1


@njit(cache=True)
def _least_left(cost, cells, aside, counts, width, goal, diagonal):
    """No path is cheaper than the least g + h of what is open or set aside: an optimal one has its true cost there."""
    least = np.inf
    for i in range(counts[0]):
        least = min(least, cost[cells[i]] + straight_distance(cells[i], goal, width, diagonal))
    for i in range(counts[1]):
        least = min(least, cost[aside[i]] + straight_distance(aside[i], goal, width, diagonal))
    return least


@njit(cache=True)
def _cost_along(flat, factor, width, diagonal):
    """Cost of a chain of flat cells: below the goal's own where a cheaper way to one of them was found later."""
    total = 0.0
    for i in range(len(flat) - 1):
        one, other = flat[i], flat[i + 1]
        straight = abs(other - one) == 1 or abs(other - one) == width
        total += (1.0 if straight else diagonal) * 0.5 * (factor[one] + factor[other])
    return total
