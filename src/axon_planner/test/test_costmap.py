# SPDX-License-Identifier: Apache-2.0
"""The costmap against geometry that is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from axon_core.grids import OCCUPIED, UNKNOWN, Grid
from axon_core.scans import Scan
from axon_planner.config import PlannerConfig
from axon_planner.costmap import FAR_M, Costmap

CONFIG = PlannerConfig(map_size_m=12.0)
HERE = np.zeros(3)


def ring(ranges, fov_rad=2 * math.pi) -> Scan:
    ranges = np.asarray(ranges, dtype=np.float32)
    return Scan(ranges, -0.5 * fov_rad, fov_rad / len(ranges), 0.05, 20.0)


def value_at(costmap: Costmap, x: float, y: float) -> int:
    col, row = np.floor((np.array([x, y]) - costmap.origin_m) / costmap.resolution_m).astype(int)
    return int(costmap.evidence[row, col])


def test_before_a_hit_is_free_the_hit_is_occupied_behind_it_nobody_knows():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.full(720, 2.0)), HERE)
    for angle in np.linspace(-3.0, 3.0, 23):
        x, y = math.cos(angle), math.sin(angle)
        assert value_at(costmap, 1.5 * x, 1.5 * y) == 0
        assert value_at(costmap, 2.0 * x, 2.0 * y) > 0
        assert value_at(costmap, 2.5 * x, 2.5 * y) == -1


def test_what_went_away_is_forgotten_by_looking_and_only_by_that():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.full(720, 2.0)), HERE)
    ahead_only = np.full(720, np.nan)
    ahead_only[300:420] = 5.0
    for _ in range(5):
        costmap.update(ring(ahead_only), HERE)
    assert value_at(costmap, 2.0, 0.0) == 0
    assert value_at(costmap, -2.0, 0.0) > 0


def test_nan_and_too_near_say_nothing_and_infinity_says_free():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.full(720, np.nan)), HERE)
    costmap.update(ring(np.full(720, 0.01)), HERE)
    costmap.update(ring(np.full(720, -np.inf)), HERE)
    assert (costmap.evidence == -1).all()
    costmap.update(ring(np.full(720, np.inf)), HERE)
    assert not (costmap.evidence > 0).any()
    assert value_at(costmap, 3.0, 1.0) == 0


def test_field_is_the_exact_distance_to_the_nearest_hit():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.random.default_rng(3).uniform(0.5, 4.0, 90)), HERE)
    field = costmap.field()
    occupied = np.argwhere(field.distance_m == 0.0)
    cells = np.argwhere(field.distance_m >= 0.0)[::97]
    expected = np.linalg.norm(cells[:, None] - occupied[None], axis=2).min(axis=1) * field.resolution_m
    assert field.distance_m[cells[:, 0], cells[:, 1]] == pytest.approx(expected, abs=1e-5)


def test_interpolated_distance_changes_no_faster_than_one_walks():
    costmap = Costmap(CONFIG)
    rng = np.random.default_rng(4)
    costmap.update(ring(rng.uniform(0.5, 4.0, 90)), HERE)
    a = rng.uniform(-3.0, 3.0, (500, 2))
    b = a + rng.uniform(-0.2, 0.2, (500, 2))
    field = costmap.field(np.array([4.0, 4.0]), np.array([-4.0, -4.0]))
    change = np.abs(field.distance_at(a) - field.distance_at(b))
    assert (change <= math.sqrt(2.0) * np.linalg.norm(a - b, axis=1) + 1e-6).all()


def test_moving_the_world_by_whole_cells_moves_the_map():
    ranges = np.random.default_rng(5).uniform(0.5, 4.0, 360)
    near, far = Costmap(CONFIG), Costmap(CONFIG)
    near.update(ring(ranges), HERE)
    shift = np.array([37, -12]) * CONFIG.resolution_m
    far.update(ring(ranges), np.array([*shift, 0.0]) + 1e-9)
    points = np.random.default_rng(6).uniform(-3.0, 3.0, (300, 2))
    assert far.field().distance_at(points + shift) == pytest.approx(near.field().distance_at(points), abs=1e-4)


def test_rolling_keeps_what_is_still_in_the_window():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.full(720, 2.0)), HERE)
    costmap.roll_to(np.array([4.0, 0.0]))
    assert value_at(costmap, 2.0, 0.0) > 0 and value_at(costmap, 1.0, 0.0) == 0
    costmap.roll_to(np.array([400.0, 0.0]))
    assert (costmap.evidence == -1).all()
    assert costmap.field().distance_at(np.array([[400.0, 0.0]]))[0] == FAR_M


def test_no_occupied_cell_of_a_fine_map_is_lost():
    data = np.zeros((300, 300), np.int8)
    data[150, 200] = OCCUPIED
    costmap = Costmap(PlannerConfig(map_size_m=12.0, resolution_m=0.05))
    costmap.set_map(Grid(data, 0.02, np.array([-3.0, -3.0])))
    assert costmap.field().distance_at(np.array([[1.01, 0.01]]))[0] < 0.05
    assert costmap.to_grid().data.max() == OCCUPIED


def test_a_map_that_ends_is_unknown_beyond():
    costmap = Costmap(CONFIG)
    costmap.set_map(Grid(np.zeros((100, 100), np.int8), 0.05, np.array([-2.5, -2.5])))
    grid = costmap.to_grid()
    row, col = grid.cells_of([[0.0, 0.0]])[0]
    assert grid.data[row, col] == 0
    row, col = grid.cells_of([[4.0, 0.0]])[0]
    assert grid.data[row, col] == UNKNOWN


def test_a_ring_is_forgotten_and_nothing_else():
    costmap = Costmap(CONFIG)
    costmap.update(ring(np.full(720, 2.0)), HERE)
    costmap.forget_ring(np.array([1.5, 0.0]), 0.4, 1.0)
    assert value_at(costmap, 2.0, 0.0) == -1 and value_at(costmap, -2.0, 0.0) > 0
    assert value_at(costmap, 1.5, 0.2) == 0
