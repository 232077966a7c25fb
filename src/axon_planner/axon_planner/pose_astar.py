# SPDX-License-Identifier: Apache-2.0
"""A* over poses: bins of (x, y, yaw), each of which keeps the very pose by which it was reached.

Hybrid-state A* of Dolgov, Thrun, Montemerlo and Diebel, "Path Planning for Autonomous Vehicles in Unknown
Semi-structured Environments", IJRR 29, 2010, for two kinds of bases, told apart by their tightest circle: one that has
none turns on the spot (`turning.py`), the other drives arcs (`hybrid.py`). A path costs, in metres of the open floor,
with k the price of a metre in equation (1) of pose_search.py, s the metres and t the radians of a step,

    sum over steps of  |s| k (REVERSE if backward, and BLIND where the tail then comes over what nobody saw)
        + TURN_M |t| k on the spot + STOP_M per stop to turn
        + CHANGE_M per change of direction on arcs + STEER_M per change of the arc                                  (1)

The order is f = g + greed h, and h the greater of the cost-to-go in the plane around obstacles, whatever the heading,
and the length of the shortest curve to the goal without obstacles (Reeds and Shepp's, or Dubins' where reversing is
off; from a table in steps of TABLE_STEP radii and 5 degrees, `_table_length`). A base that turns on the spot has no
such curve: there h is that cost-to-go and the turn that is left to the goal's heading. Now and then, more often near
the goal, the curve, or a turn, a line and a turn, is tried itself (`_shoot_curve`, `_shoot_line`); the cheapest end
found is taken when no open bin has a smaller f.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from axon_core.checks import check_array
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Field
from axon_planner.grid_steps import DONE, EMPTY, PAUSED, pop, put
from axon_planner.pose_search import (
    SPACING_M,
    Body,
    PoseResult,
    backs_blindly,
    cost_to_go,
    keeps_clear,
    look,
    make_body,
    no_poses,
    price_at,
    refused_ends,
)
from axon_planner.reeds_shepp import PIECES, advance, arc_poses, relative, solve_curve
from axon_planner.search import SearchStatus, run_search

REVERSE = 2.0
BLIND = 5.0
CHANGE_M = 0.6
STEER_M = 0.05
TURN_M = 0.3
STOP_M = 0.15
SHOT_EVERY_M = 0.4  # an end is tried at every n-th expansion, n the cost-to-go in these
TABLE_STEP, TABLE_REACH = 0.125, 8.0  # radii: beyond its reach the way around obstacles says more than a curve
TABLE_YAWS = 72
TURN_SPACING_RAD = 0.1  # between the poses of a turn on the spot
MAX_NODES = 1_000_000
_START = -1
_NOTHING = 1e-9


class Moves(NamedTuple):
    """How a base moves in a search: `steps` (S, 3) of curvature in 1/m, signed metres and radians on the spot.

    A turn on the spot goes to the next heading of `yaws` equal ones. `radius` in metres is 0 for a base that turns so.
    """

    steps: np.ndarray
    radius: float
    yaws: int
    bin_m: float
    forward_only: bool
    greed: float


def search_poses(
    config: PlannerConfig,
    field: Field,
    moves: Moves,
    start: np.ndarray,
    goal: np.ndarray,
    timeout_s: float = float("inf"),
    max_expanded: int = MAX_NODES,
) -> PoseResult:
    """Path from pose `start` to pose `goal`, (3,) each, by `moves`; an ordinary "no" is a typed status."""
    start, goal = check_array("start", start, shape=(3,)), check_array("goal", goal, shape=(3,))
    body = make_body(config, field, start)
    refused = refused_ends(config, field, body, start, goal)
    if refused is not None:
        return no_poses(*refused)
    search = PoseSearch(body, moves, start, goal, *cost_to_go(config, field, body, goal))
    refused = run_search(search, "for the footprint", timeout_s, max_expanded, "poses")
    if refused is not None:
        return no_poses(*refused, search.expanded)
    poses, directions = search.path()
    if not keeps_clear(config, field, body, poses):
        return no_poses(SearchStatus.NO_PATH, "the path found does not keep its margin all along", search.expanded)
    return PoseResult(SearchStatus.FOUND, poses, directions, search.cost_to_goal(), search.expanded)


class _Goal(NamedTuple):
    pose: np.ndarray
    to_go: np.ndarray
    edge: float
    cols: int
    table: np.ndarray


class _Nodes(NamedTuple):
    """The poses reached: one of each bin, in the order in which the bins were first reached."""

    of_bin: np.ndarray
    pose: np.ndarray
    cost: np.ndarray
    ahead: np.ndarray
    parent: np.ndarray
    step: np.ndarray
    driven: np.ndarray
    """Curvature, metres and radians (N, 3) of the step to each node."""
    slot: np.ndarray
    keys: np.ndarray
    heap: np.ndarray
    counts: np.ndarray
    """Nodes, entries of the heap, expansions since the last shot, the node from which the best end was reached."""
    best: np.ndarray
    """Cost of the best end found."""
    end: np.ndarray
    """Pieces (PIECES, 3) to that end, as `driven`."""


class PoseSearch:
    """One search that can pause, from pose `start` to pose `goal`, (3,) each."""

    def __init__(
        self, body: Body, moves: Moves, start: np.ndarray, goal: np.ndarray, to_go: np.ndarray, edge_m: float
    ) -> None:
        """`to_go` (H', W') are the costs in metres to the goal from cells of edge `edge_m`."""
        height, width = (np.array(body.distance.shape) * body.resolution / moves.bin_m).astype(int) + 1
        self._body, self._moves = body, moves
        self._goal = _Goal(goal, to_go, edge_m, int(width), _table(moves.forward_only))
        self._nodes = _make_nodes(int(height * width) * moves.yaws)
        self.expanded = 0
        _begin(self._body, self._moves, self._goal, self._nodes, start)

    def advance(self, budget: int) -> int:
        """Expand up to so many bins; return DONE, EMPTY (there is no path) or PAUSED."""
        state, expanded = _expand(self._body, self._moves, self._goal, self._nodes, budget)
        self.expanded += int(expanded)
        return int(state)

    def cost_to_goal(self) -> float:
        """Return the cost of the path, (1)."""
        return float(self._nodes.best[0])

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """Return poses (N, 3) and directions (N - 1,) int8, as `PoseResult` has them."""
        nodes = self._nodes
        chain = [int(nodes.counts[3])]
        while nodes.step[chain[-1]] != _START:
            chain.append(int(nodes.parent[chain[-1]]))
        chain.reverse()
        poses, directions = _driven(nodes.pose[chain[0]], np.vstack([nodes.driven[chain[1:]], nodes.end]))
        poses[-1, :2] = self._goal.pose[:2]  # to the last bit
        return poses, directions


def _driven(start: np.ndarray, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses (N, 3) and directions (N - 1,) along pieces (K, 3) of curvature, metres and radians on the spot."""
    poses, directions = [start[None].copy()], [np.empty(0, np.int8)]
    for curvature, length, turn in pieces:
        last = poses[-1][-1]
        if abs(length) > _NOTHING:
            share = _shares(abs(length) / SPACING_M)
            poses.append(arc_poses(last, curvature, length * share))
            directions.append(np.full(len(share), np.sign(length), np.int8))
        elif abs(turn) > _NOTHING:
            share = _shares(abs(turn) / TURN_SPACING_RAD)
            poses.append(np.column_stack([np.tile(last[:2], (len(share), 1)), last[2] + turn * share]))
            directions.append(np.zeros(len(share), np.int8))
    return np.concatenate(poses), np.concatenate(directions)


def _shares(count: float) -> np.ndarray:
    whole = max(1, int(np.ceil(count - 1e-9)))
    return np.arange(1, whole + 1) / whole


@lru_cache(maxsize=2)
def _table(forward_only: bool) -> np.ndarray:
    """Lengths of shortest curves to the origin's pose seen from a pose, in radii; 0 where nobody has asked yet."""
    half = round(TABLE_REACH / TABLE_STEP)
    return np.zeros((2 * half + 1, half + 1, TABLE_YAWS), np.float32)


def _make_nodes(bins: int) -> _Nodes:
    count = min(bins, MAX_NODES)
    return _Nodes(
        np.zeros(bins, np.int32), np.empty((count, 3)), np.empty(count), np.empty(count), np.empty(count, np.int32),
        np.empty(count, np.int8), np.zeros((count, 3)), np.empty(count, np.int32), np.empty(count),
        np.empty(count, np.int32), np.zeros(4, np.int64), np.array([np.inf]), np.zeros((PIECES, 3)),
    )  # fmt: skip


@njit(cache=True)
def _bin_of(body, moves, goal, x, y, yaw):
    col, row = int((x - body.origin[0]) / moves.bin_m), int((y - body.origin[1]) / moves.bin_m)
    turn = int(np.rint(yaw * moves.yaws / (2.0 * np.pi))) % moves.yaws
    return (row * goal.cols + col) * moves.yaws + turn


@njit(cache=True, inline="always")
def _inside(body, x, y):
    height, width = body.distance.shape
    right, top = (x - body.origin[0]) / body.resolution, (y - body.origin[1]) / body.resolution
    return 0.0 <= right < width and 0.0 <= top < height


@njit(cache=True, inline="always")
def _wrapped(angle):
    return angle - 2.0 * np.pi * np.rint(angle / (2.0 * np.pi))


@njit(cache=True)
def _ahead(body, moves, goal, x, y, yaw):
    """h at a pose; inf where the plane itself has no way."""
    flat = goal.to_go[int((y - body.origin[1]) / goal.edge), int((x - body.origin[0]) / goal.edge)]
    if not flat < np.inf:
        return np.inf
    if moves.radius == 0.0:
        return flat + TURN_M * abs(_wrapped(goal.pose[2] - yaw))
    if np.hypot(goal.pose[0] - x, goal.pose[1] - y) > TABLE_REACH * moves.radius:
        return float(flat)
    x, y, turn = relative(x, y, yaw, goal.pose[0], goal.pose[1], goal.pose[2], moves.radius)
    return max(flat, moves.radius * _table_length(goal.table, moves.forward_only, x, y, turn))


@njit(cache=True)
def _table_length(table, forward_only, x, y, turn):
    """Length in radii of the shortest curve by the table, which is filled in where it is first asked."""
    if y < 0.0:
        y, turn = -y, -turn
    i, j = int(np.rint(x / TABLE_STEP)) + table.shape[0] // 2, int(np.rint(y / TABLE_STEP))
    k = int(np.rint(turn * TABLE_YAWS / (2.0 * np.pi))) % TABLE_YAWS
    if not (0 <= i < table.shape[0] and j < table.shape[1]):
        return 0.0
    if table[i, j, k] == 0.0:
        kinds, lengths = np.empty(PIECES, np.int8), np.empty(PIECES)
        x, y, turn = (i - table.shape[0] // 2) * TABLE_STEP, j * TABLE_STEP, k * 2.0 * np.pi / TABLE_YAWS
        table[i, j, k] = max(solve_curve(forward_only, x, y, turn, kinds, lengths), 1e-6)
    return table[i, j, k]


@njit(cache=True)
def _add(moves, nodes, at, x, y, yaw, cost, ahead, parent, step, curvature, length, turn):
    """Enter a way to a bin, which must be better than the one known."""
    node = nodes.of_bin[at] - 1
    if node < 0:
        node = nodes.counts[0]
        nodes.counts[0] += 1
        nodes.of_bin[at] = node + 1
        nodes.slot[node] = -1
    nodes.pose[node, 0], nodes.pose[node, 1], nodes.pose[node, 2] = x, y, yaw
    nodes.cost[node], nodes.ahead[node], nodes.parent[node], nodes.step[node] = cost, ahead, parent, step
    nodes.driven[node, 0], nodes.driven[node, 1], nodes.driven[node, 2] = curvature, length, turn
    nodes.counts[1] = put(nodes.keys, nodes.heap, nodes.slot, nodes.counts[1], node, cost + moves.greed * ahead)


@njit(cache=True)
def _begin(body, moves, goal, nodes, start):
    x, y, yaw = start
    ahead = _ahead(body, moves, goal, x, y, yaw)
    if ahead < np.inf:
        at = _bin_of(body, moves, goal, x, y, yaw)
        _add(moves, nodes, at, x, y, yaw, 0.0, ahead, 0, _START, 0.0, 0.0, 0.0)


@njit(cache=True)
def _expand(body, moves, goal, nodes, budget):
    """Expand up to `budget` bins."""
    expanded = 0
    while nodes.counts[1] > 0:
        if nodes.best[0] <= nodes.keys[0]:
            return DONE, expanded
        if expanded >= budget:
            return PAUSED, expanded
        node, nodes.counts[1] = pop(nodes.keys, nodes.heap, nodes.slot, nodes.counts[1])
        expanded += 1
        nodes.counts[2] += 1
        if nodes.counts[2] * SHOT_EVERY_M >= nodes.ahead[node] or nodes.step[node] == _START:
            nodes.counts[2] = 0
            if moves.radius > 0.0:
                _shoot_curve(body, moves, goal, nodes, node)
            else:
                _shoot_line(body, moves, goal, nodes, node)
        if nodes.counts[0] + len(moves.steps) > len(nodes.cost):
            break
        for step in range(len(moves.steps)):
            _try_step(body, moves, goal, nodes, node, step)
    return (DONE if nodes.best[0] < np.inf else EMPTY), expanded


@njit(cache=True)
def _try_step(body, moves, goal, nodes, node, step):
    """Take a step from a node, and keep where it ends if that bin was not reached as cheaply."""
    x, y, yaw = nodes.pose[node]
    curvature, length, turn = moves.steps[step]
    if turn != 0.0:
        to_x, to_y, to_yaw = x, y, _next_heading(yaw, turn, moves.yaws)
        turn = to_yaw - yaw
    else:
        to_x, to_y, to_yaw = advance(x, y, yaw, curvature, length)
    if not _inside(body, to_x, to_y):
        return
    at = _bin_of(body, moves, goal, to_x, to_y, to_yaw)
    known = nodes.of_bin[at] - 1
    if known >= 0 and nodes.slot[known] == -2:
        return
    cost = nodes.cost[node] + _change(moves, nodes.step[node], step)
    if known >= 0 and cost + abs(length) + TURN_M * abs(turn) >= nodes.cost[known]:
        return
    cost += _drive(body, x, y, yaw, curvature, length, turn)
    if cost < np.inf and (known < 0 or cost < nodes.cost[known]):
        ahead = _ahead(body, moves, goal, to_x, to_y, to_yaw)
        if ahead < np.inf:
            _add(moves, nodes, at, to_x, to_y, to_yaw, cost, ahead, node, step, curvature, length, turn)


@njit(cache=True, inline="always")
def _next_heading(yaw, turn, yaws):
    """The next of `yaws` equal headings to the side of `turn`."""
    at = yaw * yaws / (2.0 * np.pi)
    to = np.floor(at + 1e-6) + 1.0 if turn > 0.0 else np.ceil(at - 1e-6) - 1.0
    return to * 2.0 * np.pi / yaws


@njit(cache=True, inline="always")
def _change(moves, before, step):
    """Price in metres of going on by a step after another."""
    if before == _START:
        return 0.0
    if moves.radius == 0.0:
        return STOP_M if moves.steps[step, 2] != 0.0 and moves.steps[before, 2] == 0.0 else 0.0
    cost = STEER_M * moves.radius * abs(moves.steps[before, 0] - moves.steps[step, 0])
    return cost + CHANGE_M if moves.steps[before, 1] * moves.steps[step, 1] < 0.0 else cost


@njit(cache=True)
def _drive(body, x, y, yaw, curvature, length, turn):
    """Cost in metres of an arc or a turn on the spot; inf where the footprint has not its margin all along.

    Backward over what nobody has seen costs BLIND times as much: on the way the base will not see it either.
    """
    way = abs(length) * (1.0 + body.swing * abs(curvature)) + body.swing * abs(turn)  # how far a corner comes
    metres = abs(length) * (REVERSE if length < 0.0 else 1.0) + TURN_M * abs(turn)
    mx, my, middle = advance(x, y, yaw, curvature, 0.5 * length)
    room = look(body, mx, my, middle + 0.5 * turn)
    if room < 0.0:
        return np.inf
    if abs(length) < 0.5 and room > body.margin + 0.5 * way + body.resolution:  # no pose of it can touch anything
        px, py, pyaw = advance(x, y, yaw, curvature, length)
        blind = BLIND if length < 0.0 and backs_blindly(body, px, py, pyaw) else 1.0
        return blind * metres * price_at(body, mx, my)
    count = max(1, int(np.ceil(way / body.gap)))
    total = 0.0
    for i in range(1, count + 1):
        px, py, pyaw = advance(x, y, yaw, curvature, length * i / count)
        if look(body, px, py, pyaw + turn * i / count) < 0.0:
            return np.inf
        blind = BLIND if length < 0.0 and backs_blindly(body, px, py, pyaw) else 1.0
        total += blind * price_at(body, px, py)
    return metres * total / count


@njit(cache=True)
def _shoot_curve(body, moves, goal, nodes, node):
    """Try the shortest curve from a node to the goal; keep it where it is free and the best end so far."""
    kinds, lengths = np.empty(PIECES, np.int8), np.empty(PIECES)
    x, y, yaw = nodes.pose[node]
    dx, dy, turn = relative(x, y, yaw, goal.pose[0], goal.pose[1], goal.pose[2], moves.radius)
    total = solve_curve(moves.forward_only, dx, dy, turn, kinds, lengths) * moves.radius
    cost = nodes.cost[node]
    if not cost + total < nodes.best[0]:
        return
    started = nodes.step[node] != _START
    curvature, sign = nodes.driven[node, 0], nodes.driven[node, 1]
    for i in range(PIECES):
        length = lengths[i] * moves.radius
        if abs(length) < _NOTHING:
            continue
        if started:
            cost += STEER_M * moves.radius * abs(curvature - kinds[i] / moves.radius)
            cost += CHANGE_M if sign * length < 0.0 else 0.0
        curvature, sign, started = kinds[i] / moves.radius, length, True
        cost += _drive(body, x, y, yaw, curvature, length, 0.0)
        if not cost < nodes.best[0]:
            return
        x, y, yaw = advance(x, y, yaw, curvature, length)
    nodes.best[0], nodes.counts[3] = cost, node
    for i in range(PIECES):
        nodes.end[i, 0], nodes.end[i, 1] = kinds[i] / moves.radius, lengths[i] * moves.radius


@njit(cache=True)
def _shoot_line(body, moves, goal, nodes, node):
    """Try to turn to the goal, drive there straight, forward or backward, and turn to its heading."""
    x, y, yaw = nodes.pose[node]
    dx, dy = goal.pose[0] - x, goal.pose[1] - y
    apart, bearing = np.hypot(dx, dy), np.arctan2(dy, dx)
    for backward in range(1 if moves.forward_only else 2):
        length = -apart if backward == 1 else apart
        first = _wrapped(bearing + np.pi * backward - yaw) if apart > _NOTHING else 0.0
        last = _wrapped(goal.pose[2] - yaw - first)
        stops = (1 if abs(first) > _NOTHING and nodes.driven[node, 2] == 0.0 else 0) + (
            1 if abs(last) > _NOTHING else 0
        )
        cost = nodes.cost[node] + STOP_M * stops
        if not cost + abs(length) + TURN_M * (abs(first) + abs(last)) < nodes.best[0]:
            continue
        cost += _drive(body, x, y, yaw, 0.0, 0.0, first)
        if cost < nodes.best[0]:
            cost += _drive(body, x, y, yaw + first, 0.0, length, 0.0)
        if cost < nodes.best[0]:
            cost += _drive(body, goal.pose[0], goal.pose[1], yaw + first, 0.0, 0.0, last)
        if cost < nodes.best[0]:
            nodes.best[0], nodes.counts[3] = cost, node
            nodes.end[:] = 0.0
            nodes.end[0, 2], nodes.end[1, 1], nodes.end[2, 2] = first, length, last
