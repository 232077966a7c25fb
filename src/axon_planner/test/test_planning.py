# SPDX-License-Identifier: Apache-2.0
"""Paths: ends, clearance along segments, cost, symmetry, and a typed reason for every no."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from axon_core.grids import OCCUPIED, Grid
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap
from axon_planner.guide import Guide
from axon_planner.outline import STEP_M, clearance_along
from axon_planner.planning import PLANNERS, POSE_PLANNERS, PathPlanner, path_length
from axon_planner.refiner import Refiner
from axon_planner.search import SearchStatus
from axon_planner.sequence import SequencePlanner
from axon_planner.smoothing import elastic_band, resample, segment_cost, shortcut

CONFIG = PlannerConfig(map_size_m=16.0)
SIZE_M, CELL_M = 8.0, 0.04
START, GOAL = np.array([-2.98, -2.98, 0.0]), np.array([2.98, 2.98, 1.0])  # centres of cells, mirrored too


def costmap_of(data: np.ndarray) -> Costmap:
    costmap = Costmap(CONFIG)
    costmap.set_map(Grid(data.astype(np.int8), CELL_M, np.array([-0.5 * SIZE_M, -0.5 * SIZE_M])))
    return costmap


def random_map(seed: int, discs: int = 25) -> np.ndarray:
    """Discs in a square room, none near start or goal."""
    rng = np.random.default_rng(seed)
    cells = round(SIZE_M / CELL_M)
    axis = (np.arange(cells) + 0.5) * CELL_M - 0.5 * SIZE_M
    x, y = np.meshgrid(axis, axis)
    data = np.zeros((cells, cells))
    data[[0, -1], :] = data[:, [0, -1]] = OCCUPIED
    for cx, cy in rng.uniform(-3.5, 3.5, (discs, 2)):
        if min(math.hypot(cx - p[0], cy - p[1]) for p in (START, GOAL)) > 0.8:
            data[np.hypot(x - cx, y - cy) < 0.15] = OCCUPIED
    return data


@pytest.mark.parametrize("seed", range(12))
def test_path_reaches_its_ends_and_keeps_clear_along_every_segment(seed):
    costmap, planner = costmap_of(random_map(seed)), PathPlanner(CONFIG)
    result = planner.plan(costmap, START, GOAL)
    assert result.found, result.reason
    assert result.path[0, :2] == pytest.approx(START[:2]) and result.path[-1] == pytest.approx(GOAL)
    assert path_length(result.path) >= np.linalg.norm(GOAL[:2] - START[:2]) - 1e-9
    along = resample(result.path, 0.005)
    assert costmap.field().distance_at(along).min() >= CONFIG.footprint.inscribed_radius_m


@pytest.mark.parametrize("seed", range(12))
def test_smoothing_is_never_costlier_longer_or_less_safe(seed):
    costmap, planner = costmap_of(random_map(seed)), PathPlanner(CONFIG)
    field = costmap.field()
    cost = planner.cost_of(field)
    raw = planner.plan(costmap, START, GOAL).raw
    corners = shortcut(raw, cost, field)
    assert segment_cost(corners, cost, field) <= segment_cost(raw, cost, field) + 1e-6
    dense = resample(corners, 0.05)
    band = elastic_band(dense, field, planner.soft_m)
    before, after = field.distance_at(dense), field.distance_at(band)
    assert (after >= np.minimum(before, planner.soft_m) - 1e-6).all()
    assert band[0] == pytest.approx(dense[0]) and band[-1] == pytest.approx(dense[-1])


def test_cost_of_a_path_is_the_sum_of_its_parts():
    costmap, planner = costmap_of(random_map(3)), PathPlanner(CONFIG)
    field = costmap.field()
    path, cost = planner.plan(costmap, START, GOAL).path, planner.cost_of(field)
    parts = [segment_cost(path[a : a + 8, :2], cost, field) for a in range(0, len(path) - 1, 7)]
    assert planner.cost_along(field, path) == pytest.approx(sum(parts))
    assert planner.cost_along(field, path) >= path_length(path) - 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_mirroring_and_turning_the_world_keeps_the_cost(seed):
    data, planner = random_map(seed), PathPlanner(CONFIG)
    cost = planner.plan(costmap_of(data), START, GOAL).cost
    mirror = np.array([-1.0, 1.0, 1.0])
    mirrored = planner.plan(costmap_of(data[:, ::-1]), START * mirror, GOAL * mirror)
    assert mirrored.cost == pytest.approx(cost, rel=1e-3)
    turned = planner.plan(costmap_of(np.rot90(data, 2)), -START, -GOAL)
    assert turned.cost == pytest.approx(cost, rel=1e-3)


def test_a_wider_robot_needs_a_wider_gap():
    data = np.zeros((200, 200))
    data[:, 100] = OCCUPIED
    data[90:110, 100] = 0  # a gap of 0.8 m
    slim, wide = (
        PathPlanner(CONFIG),
        PathPlanner(PlannerConfig(map_size_m=16.0, footprint_width_m=0.9, footprint_length_m=0.9)),
    )
    assert slim.plan(costmap_of(data), START, GOAL).found
    walled = costmap_of(np.pad(data[1:-1, 1:-1], 1, constant_values=OCCUPIED))
    assert wide.plan(walled, START, GOAL).status is SearchStatus.NO_PATH


@pytest.mark.parametrize(
    ("start", "goal", "status", "text"),
    [
        (START, np.array([30.0, 0.0, 0.0]), SearchStatus.OUTSIDE, "goal (30.00, 0.00)"),
        (np.array([0.0, -30.0, 0.0]), GOAL, SearchStatus.OUTSIDE, "start (0.00, -30.00)"),
        (START, np.array([0.0, 0.0, 0.0]), SearchStatus.GOAL_BLOCKED, "goal blocked (0.00, 0.00)"),
        (np.array([0.0, 0.0, 0.0]), GOAL, SearchStatus.START_BLOCKED, "start (0.00, 0.00)"),
        (START, np.array([-3.0, 3.0, 0.0]), SearchStatus.NO_PATH, "no path"),
    ],
)
def test_every_no_has_its_status_and_says_where(start, goal, status, text):
    data = np.pad(np.zeros((198, 198)), 1, constant_values=OCCUPIED)
    data[95:106, :] = OCCUPIED
    result = PathPlanner(CONFIG).plan(costmap_of(data), start, goal)
    assert result.status is status and text in result.reason
    assert len(result.path) == 0 and not math.isfinite(result.cost)


def test_a_robot_too_near_to_a_wall_still_finds_its_way_out():
    data = np.zeros((200, 200))
    data[:20, :] = OCCUPIED
    start = np.array([0.0, -3.2 + 0.12, 0.0])
    result = PathPlanner(CONFIG).plan(costmap_of(data), start, GOAL)
    assert result.found and result.path[0, :2] == pytest.approx(start[:2])


CAR = replace(CONFIG, min_turning_radius_m=0.6)


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("seed", range(3))
def test_every_planner_meets_both_ends_and_keeps_clear(seed, planner):
    config = CAR if planner == "hybrid" else CONFIG
    costmap = costmap_of(random_map(seed, 15))
    made = PathPlanner(config, sequence=SequencePlanner(lambda planes, spans: np.zeros((len(spans), 1, 2))))
    result = made.plan(costmap, START, GOAL, planner)
    assert result.found, result.reason
    assert result.path[0] == pytest.approx(START)
    assert result.path[-1, :2] == pytest.approx(GOAL[:2])
    assert math.remainder(result.path[-1, 2] - GOAL[2], 2 * math.pi) == pytest.approx(0.0, abs=1e-6)
    assert made.cost_along(costmap.field(), result.path) < math.inf
    if planner in POSE_PLANNERS:
        assert len(result.directions) == len(result.path) - 1
        half_a_cell = 0.5 * CONFIG.resolution_m
        assert clearance_along(config, costmap.field(), result.path) >= half_a_cell - STEP_M
    else:
        assert result.directions is None


def test_a_weighted_plan_costs_at_most_its_weight_and_theta_no_more_than_the_cells():
    for seed in range(4):
        costmap = costmap_of(random_map(seed))
        exact = PathPlanner(CONFIG).plan(costmap, START, GOAL)
        weighted = PathPlanner(replace(CONFIG, search_weight=2.0)).plan(costmap, START, GOAL, "weighted")
        assert exact.cost - 1e-6 <= weighted.cost <= 2.0 * exact.cost + 1e-6
        assert weighted.expanded < exact.expanded
        assert PathPlanner(CONFIG).plan(costmap, START, GOAL, "theta").cost <= exact.cost + 1e-6


def test_what_no_path_may_move_is_not_refined():
    def refuse(*_):
        raise AssertionError("a path of poses was given to the refiner")

    refiner = Refiner(refuse)
    result = PathPlanner(CAR, refiner).plan(costmap_of(random_map(1, 15)), START, GOAL, "hybrid")
    assert result.found and result.refinement is None and sum(refiner.counts.values()) == 0


def test_a_planner_that_does_not_exist_or_does_not_fit_the_base_is_an_error():
    costmap = costmap_of(random_map(0))
    for config, planner, text in (
        (CONFIG, "smac", "smac"),
        (CONFIG, "hybrid", "min_turning_radius_m above 0"),
        (CAR, "footprint", "min_turning_radius_m = 0"),
    ):
        with pytest.raises(ValueError, match=text):
            PathPlanner(config).plan(costmap, START, GOAL, planner)
    with pytest.raises(ValueError, match="planner = 'hybrid'"):
        replace(CONFIG, planner="hybrid")


def test_start_at_the_goal():
    result = PathPlanner(CONFIG).plan(costmap_of(random_map(0)), START, START)
    assert result.found and path_length(result.path) == pytest.approx(0.0, abs=1e-9)


def test_what_the_guide_held_for_the_cost_to_the_goal_can_be_shown():
    costmap = costmap_of(random_map(1))
    planner = PathPlanner(CONFIG, guide=Guide.load("guide"))
    assert planner.guide_grid() is None, "before any search"
    plan = planner.plan(costmap, START, GOAL)
    grid = planner.guide_grid()
    assert set(np.unique(grid.data)) <= set(range(-1, 101)) and grid.data.max() == 100
    along = grid.data[tuple(grid.cells_of(plan.raw[:: len(plan.raw) // 8]).T)]
    assert (np.diff(along.astype(int)) < 0).all() and grid.data[tuple(grid.cells_of(GOAL[None, :2])[0])] <= 2
    held = PathPlanner(CONFIG).cost_of(costmap.field(START, GOAL))
    assert (grid.data[~np.isfinite(held)] == -1).mean() > 0.99
