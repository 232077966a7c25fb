# SPDX-License-Identifier: Apache-2.0
"""Speeds along a path: within what a base can do, slow where it is narrow or bent, and no slower than that."""

from __future__ import annotations

import numpy as np
import pytest
from test_planning import CONFIG, GOAL, START, costmap_of, random_map

from axon_planner.path_cost import LEAST_SPEED
from axon_planner.planning import PathPlanner
from axon_planner.smoothing import with_headings
from axon_planner.speeds import curvatures_radpm, drivable_speeds, duration_s, speeds_along

TOP = CONFIG.max_speed_mps
LEAST = LEAST_SPEED * TOP


def line(length_m: float) -> np.ndarray:
    along = np.linspace(0.0, length_m, round(length_m / 0.05) + 1)
    return with_headings(np.stack([along - 0.5 * length_m, np.zeros_like(along)], axis=1))


@pytest.mark.parametrize("seed", range(6))
def test_no_base_has_to_turn_brake_or_accelerate_faster_than_it_can(seed):
    costmap = costmap_of(random_map(seed))
    plan = PathPlanner(CONFIG).plan(costmap, START, GOAL)
    speeds, steps = plan.speeds_mps, np.linalg.norm(np.diff(plan.path[:, :2], axis=0), axis=1)
    assert speeds.shape == (len(plan.path),) and speeds.max() <= TOP
    assert (speeds * curvatures_radpm(plan.path) <= CONFIG.max_turn_radps + 1e-9).all()
    gained = np.diff(speeds**2) / (2.0 * steps)
    assert gained.max() <= CONFIG.max_accel_mps2 + 1e-9 and gained.min() >= -CONFIG.max_decel_mps2 - 1e-9


def test_in_the_open_it_is_top_speed_until_the_braking_distance():
    path = line(6.0)
    speeds = speeds_along(CONFIG, costmap_of(np.zeros((200, 200))).field(), path)
    left = path[-1, 0] - path[:, 0]
    expected = np.minimum(TOP, np.sqrt(LEAST**2 + 2.0 * CONFIG.max_decel_mps2 * left))
    assert speeds == pytest.approx(expected)


def test_a_narrow_place_is_passed_slower_the_narrower_it_is():
    slowest = []
    for half_cells in (30, 10, 8, 7):
        data = np.zeros((200, 200))
        data[: 100 - half_cells, 95:105] = data[100 + half_cells :, 95:105] = 100
        speeds = speeds_along(CONFIG, costmap_of(data).field(), line(6.0))
        slowest.append(speeds[20:-40].min())
    assert slowest[0] == pytest.approx(TOP)
    assert (np.diff(slowest) < 0.0).all() and slowest[-1] < 0.6 * TOP


def test_a_curve_is_driven_at_the_turning_speed_at_most():
    turn = np.linspace(0.0, np.pi, 60)
    for radius_m in (0.4, 0.7):
        path = with_headings(radius_m * np.stack([np.cos(turn), np.sin(turn)], axis=1))
        speeds = drivable_speeds(CONFIG, path, np.ones(60))
        assert speeds[20:40].max() == pytest.approx(CONFIG.max_turn_radps * radius_m, rel=0.02)  # chords of 0.1 m


def test_duration_is_the_way_over_the_speed():
    path = line(3.0)
    assert duration_s(path, np.full(len(path), 0.5)) == pytest.approx(6.0)
    ramp = np.sqrt(2.0 * np.linspace(0.005, 3.0, len(path)))  # from nearly a stand at 1 m/s^2
    assert duration_s(path, ramp) == pytest.approx(np.sqrt(2.0 * 3.0), rel=0.05)
