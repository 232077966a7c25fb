# SPDX-License-Identifier: Apache-2.0
"""Worlds to train in, and the true way to the goal in them: for rewards and for nothing that drives."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from axon_core.arrays import FloatArray, IntArray
from axon_sim.barn import BarnWorld, generate_barn

CELL_M = 0.1
MARGIN_M = 1.5
ROOM_M = (5.0, 8.0)
DOOR_M = (0.9, 1.3)
ROBOT_RADIUS_M = 0.17
BLOCKED_COST = 1000.0
LOOK_CELLS = 6
TASKS_A_LANE = 4
"""So many seeds share a lane of BARN's kind, each with another task in it: a lane is dear to make."""
_POINT_SPACING_M = 0.05


def generate_rooms(seed: int) -> BarnWorld:
    """Two to four rooms with doors and round things standing about, the same for the same seed, start and goal free."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(*ROOM_M, 2)
    walls = [*_rectangle(size), *_dividers(rng, size)]
    radius = float(rng.uniform(0.08, 0.25))
    things = rng.uniform(0.0, 1.0, (int(rng.integers(4, 14)), 2)) * size
    world = BarnWorld(things, radius, start=np.zeros(3), goal=size, walls_m=np.array(walls), name=f"rooms:{seed}")
    return random_task(world, rng)


def random_task(world: BarnWorld, rng: np.random.Generator, least_m: float = 2.5) -> BarnWorld:
    """The same world with start and goal drawn from where the robot has room and can come from one to the other."""
    way = WayField(world)
    while True:
        start, goal = way.random_free_point(rng), way.random_free_point(rng)
        task = replace(world, start=np.append(start, rng.uniform(-np.pi, np.pi)), goal=goal, path_m=None)
        if np.linalg.norm(goal - start) >= least_m and WayField(task).is_reachable_from(start):
            return task


def make_task(seed: int) -> BarnWorld:
    """A world with a task by seed: half of them as BARN's, a fifth rooms, the rest BARN's with a random task."""
    rng = np.random.default_rng([seed, 1])
    kind = rng.random()
    if kind < 0.2:
        return generate_rooms(seed)
    world = _lane(seed - seed % TASKS_A_LANE)
    if kind < 0.5:
        return random_task(world, rng)
    turned = world.start + np.array([rng.uniform(-1.0, 1.0), rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6)])
    return replace(world, start=turned)


@lru_cache(maxsize=256)
def _lane(seed: int) -> BarnWorld:
    return generate_barn(seed)


class WayField:
    """Length of the best way to the goal from everywhere, over the true obstacles; near them a metre costs more."""

    def __init__(self, world: BarnWorld) -> None:
        points, self._goal = _obstacle_points(world), world.goal
        around = np.vstack([points, world.goal, world.start[:2]])
        self.origin_m = around.min(axis=0) - MARGIN_M
        self.shape = tuple(np.ceil((around.max(axis=0) + MARGIN_M - self.origin_m) / CELL_M).astype(int)[::-1])
        rows, cols = np.indices(self.shape)
        self._centres = self.origin_m + (np.stack([cols, rows], axis=-1) + 0.5) * CELL_M
        tree = cKDTree(points)
        self.clearance_m = tree.query(self._centres.reshape(-1, 2))[0].reshape(self.shape)
        self._inside = _enclosed(world, self._centres)
        self.length_m, self._later = self._ways()

    def distance_m(self, point: FloatArray) -> float:
        """Length of the way from a point (2,), over the best of the cells around it: a blocked one is no cliff."""
        at = np.asarray(point, dtype=np.float64)
        inside = np.floor((at - self.origin_m) / CELL_M).astype(int)
        col, row = np.clip(inside, 1, np.array(self.shape[::-1]) - 2)
        around = slice(row - 1, row + 2), slice(col - 1, col + 2)
        return float((self.length_m[around] + np.linalg.norm(self._centres[around] - at, axis=-1)).min())

    def heading_rad(self, point: FloatArray) -> float:
        """Direction (world frame) from a point (2,) to where its way has come after `LOOK_CELLS` cells."""
        col, row = np.floor((np.asarray(point) - self.origin_m) / CELL_M).astype(int)
        row, col = min(max(row, 0), self.shape[0] - 1), min(max(col, 0), self.shape[1] - 1)
        later_row, later_col = np.unravel_index(self._later[row, col], self.shape)
        return float(np.arctan2(later_row - row, later_col - col))

    def is_reachable_from(self, point: FloatArray) -> bool:
        """Whether a way leads from a point to the goal without passing through an obstacle."""
        return self.distance_m(point) < BLOCKED_COST * CELL_M

    def random_free_point(self, rng: np.random.Generator) -> FloatArray:
        """A cell's centre (2,) with half a metre of room, inside the world's obstacles."""
        free = np.argwhere((self.clearance_m > 0.4) & self._inside)
        if len(free) == 0:
            raise ValueError("no free cell in this world")
        row, col = free[rng.integers(len(free))]
        return self._centres[row, col].copy()

    def _ways(self) -> tuple[FloatArray, IntArray]:
        """Length of the way from every cell, and the cell where it has come after `LOOK_CELLS`."""
        nearness = np.clip((0.6 - self.clearance_m) / 0.4, 0.0, 1.0)
        cost = np.where(self.clearance_m < ROBOT_RADIUS_M, BLOCKED_COST, 1.0 + 2.0 * nearness**2)
        node = np.arange(cost.size).reshape(self.shape)
        steps = [_edges(cost, node, step) for step in ((0, 1), (1, 0), (1, 1), (1, -1))]
        tail, head, length = (np.concatenate(parts) for parts in zip(*steps, strict=True))
        graph = coo_array((length, (tail, head)), shape=(cost.size,) * 2).tocsr()
        col, row = np.floor((self._goal - self.origin_m) / CELL_M).astype(int)
        length, following = dijkstra(graph, directed=False, indices=node[row, col], return_predecessors=True)
        following[node[row, col]] = node[row, col]
        later = node.ravel()
        for _ in range(LOOK_CELLS):
            later = following[later]
        return length.reshape(self.shape), later.reshape(self.shape)


def _edges(cost: FloatArray, node: IntArray, step: tuple[int, int]) -> tuple[IntArray, IntArray, FloatArray]:
    """Edges from every cell to its neighbour at `step` (rows, cols): their ends, and length times mean cost."""
    height, width = cost.shape
    down, right = step
    here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
    there = slice(down, height), slice(max(0, right), width + min(0, right))
    length = CELL_M * np.hypot(*step) * 0.5 * (cost[here] + cost[there])
    return node[here].ravel(), node[there].ravel(), length.ravel()


def _obstacle_points(world: BarnWorld) -> FloatArray:
    """Points (N, 2) on the outlines of all obstacles, and in the middle of the round ones."""
    angles = np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False)
    ring = world.radius_m * np.column_stack([np.cos(angles), np.sin(angles)])
    round_ones = (world.cylinders_m[:, None] + np.vstack([np.zeros(2), ring])).reshape(-1, 2)
    return np.vstack([round_ones, *(_along(wall) for wall in world.walls_m)])


def _along(wall: FloatArray) -> FloatArray:
    count = max(2, int(np.hypot(*(wall[2:] - wall[:2])) / _POINT_SPACING_M))
    return wall[:2] + np.linspace(0.0, 1.0, count)[:, None] * (wall[2:] - wall[:2])


def _enclosed(world: BarnWorld, centres: FloatArray) -> FloatArray:
    """Cells within the rectangle around everything that stands there."""
    points = _obstacle_points(world)
    return ((centres > points.min(axis=0)) & (centres < points.max(axis=0))).all(axis=-1)


def _rectangle(size: FloatArray) -> list[list[float]]:
    x, y = size
    return [[0, 0, x, 0], [x, 0, x, y], [x, y, 0, y], [0, y, 0, 0]]


def _dividers(rng: np.random.Generator, size: FloatArray) -> list[list[float]]:
    """One or two walls through the rectangle, each with a door on either side of where they cross."""
    cross = size * rng.uniform(0.35, 0.65, 2)
    walls = []
    for axis in rng.permutation(2)[: rng.integers(1, 3)]:
        other = 1 - axis
        ends = [0.0, *_door(rng, 0.0, cross[other]), *_door(rng, cross[other], size[other]), size[other]]
        for begin, end in zip(ends[::2], ends[1::2], strict=True):
            wall = np.zeros((2, 2))
            wall[:, axis], wall[:, other] = cross[axis], (begin, end)
            walls.append(wall.ravel().tolist())
    return walls


def _door(rng: np.random.Generator, begin: float, end: float) -> tuple[float, float]:
    width = min(rng.uniform(*DOOR_M), 0.8 * (end - begin))
    left = rng.uniform(begin + 0.05, end - width - 0.05)
    return left, left + width
