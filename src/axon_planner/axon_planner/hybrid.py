# SPDX-License-Identifier: Apache-2.0
"""Paths for a base that cannot turn on the spot: hybrid-state A*.

Dolgov, Thrun, Montemerlo and Diebel, "Path Planning for Autonomous Vehicles in Unknown Semi-structured Environments",
IJRR 29, 2010. A* over bins of (x, y, yaw), each of which keeps the very pose by which it was reached; steps are arcs
of the tightest circle and lines, forward and backward (`_step_lengths`), so that every path can be driven. A path
costs, in metres of the open floor, with k the price of a metre in equation (1) of pose_search.py,

    sum over steps of  |s| k (REVERSE if backward)  +  CHANGE_M per change of direction  +  STEER_M per change of arc

The order is f = g + GREED max(h_1, h_2): h_1 the cost-to-go in the plane around obstacles, whatever the heading, and
h_2 the length of the shortest curve to the goal without obstacles, Reeds and Shepp's, or Dubins' where reversing is off
(from a table in steps of TABLE_STEP radii and 5 degrees, `_table_length`). Now and then, more often near the goal, that
curve is tried itself (`_shoot`); the cheapest end found is taken when no open bin has a smaller f.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.grid_steps import DONE, EMPTY, PAUSED, pop, put
from axon_planner.pose_search import (
    SPACING_M,
    Body,
    PoseResult,
    cost_to_go,
    keeps_clear,
    look,
    make_body,
    no_poses,
    price_at,
    refused_ends,
)
from axon_planner.reeds_shepp import PIECES, advance, curve_poses, relative, solve_curve
from axon_planner.search import SearchStatus, run_search

YAWS = 72
BIN_M = 0.10
REVERSE = 2.0
CHANGE_M = 0.6
STEER_M = 0.05
GREED = 1.3
MAX_NODES = 1_000_000
SHOT_EVERY_M = 0.4  # a curve to the goal is tried at every n-th expansion, n the cost-to-go in these
TABLE_STEP, TABLE_REACH = 0.125, 8.0  # radii: beyond its reach the way around obstacles says more than a curve
# Curvature over the tightest one, and direction, of each step. With wider arcs as well, the search takes three times as
# long and its paths cost 2 % less.
_CURVES = np.array([0.0, 1.0, -1.0, 0.0, 1.0, -1.0])
_SIGNS = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
_FORWARD = 3
_START = -1


def plan_hybrid(
    config: PlannerConfig,
    field: Field,
    start: np.ndarray,
    goal: np.ndarray,
    timeout_s: float = float("inf"),
    max_expanded: int = 300_000,
) -> PoseResult:
    """Path from pose `start` to pose `goal`, (3,) each, that a base of `config.min_turning_radius_m` can drive.

    Both ends are met exactly; every circle has that radius or a larger one; the footprint keeps its margin all along.
    An ordinary "no" is a typed status with its reason; a radius of 0 raises ValueError.
    """
    if not config.min_turning_radius_m > 0.0:
        raise ValueError(
            "min_turning_radius_m = 0.0: expected more than 0, a base that turns on the spot needs no arcs"
        )
    start, goal = np.asarray(start, dtype=np.float64), np.asarray(goal, dtype=np.float64)
    body = make_body(config, field, start)
    refused = refused_ends(config, field, body, start, goal)
    if refused is not None:
        return no_poses(*refused)
    search = _HybridSearch(config, field, body, start, goal)
    refused = run_search(search, "for a base that turns no tighter", timeout_s, max_expanded, "poses")
    if refused is not None:
        return no_poses(*refused, search.expanded)
    poses, directions = search.path()
    if not keeps_clear(config, field, body, poses):
        return no_poses(SearchStatus.NO_PATH, "the path found does not keep its margin all along", search.expanded)
    return PoseResult(SearchStatus.FOUND, poses, directions, search.cost_to_goal(), search.expanded)


class _Task(NamedTuple):
    """What does not change during a search."""

    goal: np.ndarray
    radius: float
    forward_only: bool
    lengths: np.ndarray
    to_go: np.ndarray
    edge: float
    cols: int
    table: np.ndarray


@lru_cache(maxsize=2)
def _table(forward_only: bool) -> np.ndarray:
    """Lengths of shortest curves to the origin's pose seen from a pose, in radii; 0 where nobody has asked yet."""
    half = round(TABLE_REACH / TABLE_STEP)
    return np.zeros((2 * half + 1, half + 1, YAWS), np.float32)


class _Nodes(NamedTuple):
    """The poses reached: one of each bin, in the order in which the bins were first reached."""

    of_bin: np.ndarray
    pose: np.ndarray
    cost: np.ndarray
    ahead: np.ndarray
    parent: np.ndarray
    step: np.ndarray
    slot: np.ndarray
    keys: np.ndarray
    heap: np.ndarray
    sizes: np.ndarray
    """Nodes, entries of the heap, expansions since the last shot, the node from which the best end was reached."""
    best: np.ndarray
    """Cost of the best end found."""
    kinds: np.ndarray
    ends: np.ndarray
    """Kinds and lengths in metres of the curve to that end."""


class _HybridSearch:
    """One search that can pause."""

    def __init__(self, config: PlannerConfig, field: Field, body: Body, start: np.ndarray, goal: np.ndarray) -> None:
        radius = config.min_turning_radius_m
        to_go, edge = cost_to_go(config, field, body, goal)
        height, width = (np.array(field.distance_m.shape) * field.resolution_m / BIN_M).astype(int) + 1
        forward_only = not (config.allow_reverse and config.max_reverse_mps > 0.0)
        self.body = body
        self.task = _Task(
            goal, radius, forward_only, _step_lengths(radius), to_go, edge, int(width), _table(forward_only)
        )
        self.nodes = _make_nodes(int(height * width) * YAWS)
        self.expanded = 0
        _begin(self.body, self.task, self.nodes, start)

    def advance(self, budget: int) -> int:
        """Expand up to so many bins; return DONE, EMPTY or PAUSED."""
        state, expanded = _expand(self.body, self.task, self.nodes, budget)
        self.expanded += int(expanded)
        return int(state)

    def cost_to_goal(self) -> float:
        return float(self.nodes.best[0])

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """Poses (N, 3) and directions (N - 1,) of the steps and of the last curve."""
        nodes, task = self.nodes, self.task
        chain = [int(nodes.sizes[3])]
        while nodes.step[chain[-1]] != _START:
            chain.append(int(nodes.parent[chain[-1]]))
        chain.reverse()
        steps = nodes.step[chain[1:]]
        kinds = np.concatenate([_CURVES[steps], nodes.kinds])
        lengths = np.concatenate([_SIGNS[steps] * task.lengths[steps], nodes.ends])
        driven = np.abs(lengths) > 1e-9
        poses, directions = curve_poses(nodes.pose[chain[0]], kinds[driven], lengths[driven], task.radius, SPACING_M)
        poses[-1, :2] = task.goal[:2]  # to the last bit
        return poses, directions


def _step_lengths(radius_m: float) -> np.ndarray:
    """Metres (6,) of each step: long enough to leave a bin in the plane, and a whole number of bins of yaw."""
    bin_rad = 2.0 * np.pi / YAWS
    least = math.sqrt(2.0) * BIN_M
    tight = max(1, math.ceil(least / (radius_m * bin_rad) - 1e-9)) * radius_m * bin_rad
    forward = [min(tight, 2.0 * least), tight, tight]
    return np.array(forward + forward)


def _make_nodes(bins: int) -> _Nodes:
    count = min(bins, MAX_NODES)
    return _Nodes(
        np.zeros(bins, np.int32), np.empty((count, 3)), np.empty(count), np.empty(count), np.empty(count, np.int32),
        np.empty(count, np.int8), np.empty(count, np.int32), np.empty(count), np.empty(count, np.int32),
        np.zeros(4, np.int64), np.array([np.inf]), np.zeros(PIECES, np.int8), np.zeros(PIECES),
    )  # fmt: skip


@njit(cache=True)
def _bin_of(body, task, x, y, yaw):
    col, row = int((x - body.origin[0]) / BIN_M), int((y - body.origin[1]) / BIN_M)
    turn = int(np.rint(yaw / (2.0 * np.pi / YAWS))) % YAWS
    return (row * task.cols + col) * YAWS + turn


@njit(cache=True)
def _ahead(body, task, x, y, yaw):
    """The heuristic at a pose: the greater of both."""
    row, col = int((y - body.origin[1]) / task.edge), int((x - body.origin[0]) / task.edge)
    flat = task.to_go[row, col]
    straight = np.hypot(task.goal[0] - x, task.goal[1] - y)
    if not flat < np.inf or straight > TABLE_REACH * task.radius:
        return flat
    x, y, turn = relative(x, y, yaw, task.goal[0], task.goal[1], task.goal[2], task.radius)
    return max(flat, task.radius * _table_length(task.table, task.forward_only, x, y, turn))


@njit(cache=True)
def _table_length(table, forward_only, x, y, turn):
    """Length in radii of the shortest curve by the table, which is filled in where it is first asked."""
    if y < 0.0:
        y, turn = -y, -turn
    i, j = int(np.rint(x / TABLE_STEP)) + table.shape[0] // 2, int(np.rint(y / TABLE_STEP))
    k = int(np.rint(turn / (2.0 * np.pi / YAWS))) % YAWS
    if not (0 <= i < table.shape[0] and j < table.shape[1]):
        return 0.0
    if table[i, j, k] == 0.0:
        kinds, lengths = np.empty(PIECES, np.int8), np.empty(PIECES)
        x, y, turn = (i - table.shape[0] // 2) * TABLE_STEP, j * TABLE_STEP, k * 2.0 * np.pi / YAWS
        table[i, j, k] = max(solve_curve(forward_only, x, y, turn, kinds, lengths), 1e-6)
    return table[i, j, k]


@njit(cache=True)
def _add(nodes, at, x, y, yaw, cost, ahead, parent, step):
    """Enter a way to a bin, which must be better than the one known."""
    node = nodes.of_bin[at] - 1
    if node < 0:
        node = nodes.sizes[0]
        nodes.sizes[0] += 1
        nodes.of_bin[at] = node + 1
        nodes.slot[node] = -1
    nodes.pose[node, 0], nodes.pose[node, 1], nodes.pose[node, 2] = x, y, yaw
    nodes.cost[node], nodes.ahead[node], nodes.parent[node], nodes.step[node] = cost, ahead, parent, step
    nodes.sizes[1] = put(nodes.keys, nodes.heap, nodes.slot, nodes.sizes[1], node, cost + GREED * ahead)


@njit(cache=True)
def _begin(body, task, nodes, start):
    ahead = _ahead(body, task, start[0], start[1], start[2])
    if ahead < np.inf:
        at = _bin_of(body, task, start[0], start[1], start[2])
        _add(nodes, at, start[0], start[1], start[2], 0.0, ahead, 0, _START)


@njit(cache=True)
def _expand(body, task, nodes, budget):
    """Expand up to `budget` bins."""
    expanded = 0
    while nodes.sizes[1] > 0:
        if nodes.best[0] <= nodes.keys[0]:
            return DONE, expanded
        if expanded >= budget:
            return PAUSED, expanded
        node, nodes.sizes[1] = pop(nodes.keys, nodes.heap, nodes.slot, nodes.sizes[1])
        expanded += 1
        nodes.sizes[2] += 1
        if nodes.sizes[2] * SHOT_EVERY_M >= nodes.ahead[node] or expanded == 1:
            nodes.sizes[2] = 0
            _shoot(body, task, nodes, node)
        if nodes.sizes[0] + len(_CURVES) > len(nodes.cost):
            break
        for step in range(_FORWARD if task.forward_only else len(_CURVES)):
            _try_step(body, task, nodes, node, step)
    return (DONE if nodes.best[0] < np.inf else EMPTY), expanded


@njit(cache=True)
def _try_step(body, task, nodes, node, step):
    """Drive a step from a node, and keep where it ends if that bin was not reached as cheaply."""
    x, y, yaw = nodes.pose[node]
    curvature, length = _CURVES[step] / task.radius, _SIGNS[step] * task.lengths[step]
    to_x, to_y, to_yaw = advance(x, y, yaw, curvature, length)
    if not _inside(body, to_x, to_y):
        return
    at = _bin_of(body, task, to_x, to_y, to_yaw)
    known = nodes.of_bin[at] - 1
    if known >= 0 and nodes.slot[known] == -2:
        return
    begun = nodes.cost[node] + _change(nodes.step[node], step)
    if known >= 0 and begun + abs(length) >= nodes.cost[known]:
        return
    cost = begun + _drive(body, x, y, yaw, curvature, length)
    if cost < np.inf and (known < 0 or cost < nodes.cost[known]):
        ahead = _ahead(body, task, to_x, to_y, to_yaw)
        if ahead < np.inf:
            _add(nodes, at, to_x, to_y, to_yaw, cost, ahead, node, step)


@njit(cache=True, inline="always")
def _inside(body, x, y):
    height, width = body.distance.shape
    right, top = (x - body.origin[0]) / body.resolution, (y - body.origin[1]) / body.resolution
    return 0.0 <= right < width and 0.0 <= top < height


@njit(cache=True, inline="always")
def _change(before, step):
    """Price of going on by a step after another, in metres."""
    if before == _START:
        return 0.0
    cost = STEER_M * abs(_CURVES[before] - _CURVES[step])
    return cost + CHANGE_M if _SIGNS[before] != _SIGNS[step] else cost


@njit(cache=True)
def _drive(body, x, y, yaw, curvature, length):
    """Cost of an arc of signed length in metres; inf where the footprint has not its margin all along."""
    way = abs(length) * (1.0 + body.swing * abs(curvature))  # how far a corner comes
    mx, my, middle_yaw = advance(x, y, yaw, curvature, 0.5 * length)
    backward = REVERSE if length < 0.0 else 1.0
    room = look(body, mx, my, middle_yaw)
    if room < 0.0:
        return np.inf
    if room > body.margin + 0.5 * way + body.resolution:  # so much that no pose of the arc can touch anything
        return abs(length) * backward * price_at(body, mx, my)
    count = max(1, int(np.ceil(way / body.gap)))
    total = 0.0
    for i in range(1, count + 1):
        px, py, pyaw = advance(x, y, yaw, curvature, length * i / count)
        room = look(body, px, py, pyaw)
        if room < 0.0:
            return np.inf
        total += price_at(body, px, py)
    return abs(length) * backward * total / count


@njit(cache=True)
def _shoot(body, task, nodes, node):
    """Try the shortest curve from a node to the goal; keep it where it is free and the best end so far."""
    kinds, lengths = np.empty(PIECES, np.int8), np.empty(PIECES)
    x, y, yaw = nodes.pose[node]
    goal_x, goal_y, turn = relative(x, y, yaw, task.goal[0], task.goal[1], task.goal[2], task.radius)
    total = solve_curve(task.forward_only, goal_x, goal_y, turn, kinds, lengths) * task.radius
    cost = nodes.cost[node]
    if not cost + total < nodes.best[0]:
        return
    step = nodes.step[node]
    curve, sign = (_CURVES[step], _SIGNS[step]) if step != _START else (np.nan, 0.0)
    for i in range(PIECES):
        length = lengths[i] * task.radius
        if abs(length) < 1e-9:
            continue
        if sign != 0.0:
            cost += STEER_M * abs(curve - kinds[i])
            cost += CHANGE_M if sign * length < 0.0 else 0.0
        curve, sign = float(kinds[i]), np.sign(length)
        cost += _drive(body, x, y, yaw, kinds[i] / task.radius, length)
        if not cost < nodes.best[0]:
            return
        x, y, yaw = advance(x, y, yaw, kinds[i] / task.radius, length)
    nodes.best[0], nodes.sizes[3] = cost, node
    for i in range(PIECES):
        nodes.kinds[i], nodes.ends[i] = kinds[i], lengths[i] * task.radius
