# SPDX-License-Identifier: Apache-2.0
"""Paths of a long base that turns on the spot: doors, corners, corridors; and what A* over cells says there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scenes import CELL_M, block, dense, hall, least_room, make_field

from axon_planner.config import PlannerConfig
from axon_planner.planning import PathPlanner
from axon_planner.search import SearchStatus
from axon_planner.turning import plan_turning

LONG = PlannerConfig(footprint_length_m=1.0, footprint_width_m=0.4, refine=False)
DIAGONAL_M = math.hypot(1.0, 0.4)


def assert_sound(config: PlannerConfig, field, start, goal, result) -> None:
    assert result.found, result.reason
    assert result.poses[0] == pytest.approx(start) and result.poses[-1, :2] == pytest.approx(goal[:2])
    assert math.remainder(result.poses[-1, 2] - goal[2], 2 * math.pi) == pytest.approx(0.0, abs=1e-6)
    assert least_room(config, field, dense(result.poses)) >= 0.5 * CELL_M - 1e-3
    steps = np.diff(result.poses, axis=0)
    gap, turns = np.linalg.norm(steps[:, :2], axis=1), result.directions == 0
    assert (gap[turns] < 1e-9).all() and np.allclose(steps[~turns, 2], 0.0)
    yaw = result.poses[:-1, 2]
    along = steps[:, 0] * np.cos(yaw) + steps[:, 1] * np.sin(yaw)
    assert np.allclose(along, result.directions * gap, atol=1e-6), "drives where it looks, or backward"


@pytest.mark.parametrize("tilt", [0.0, 0.35])
def test_it_goes_through_a_narrow_door_straight(tilt):
    """0.6 m wide, 0.5 m deep: off by t, the base needs 0.4 / cos t + 0.5 tan t and its margin, so t is below 15 deg."""
    occupied = hall(6.0, 6.0)
    field = make_field(occupied)
    x, y = ((np.arange(n) + 0.5) * CELL_M - 3.0 for n in (occupied.shape[1], occupied.shape[0]))
    across = x[None] * math.cos(tilt) + y[:, None] * math.sin(tilt)
    along = y[:, None] * math.cos(tilt) - x[None] * math.sin(tilt)
    occupied |= (np.abs(across) < 0.25) & (np.abs(along) > 0.3)
    field = make_field(occupied)
    start, goal = np.array([1.2, 1.2, 1.0]), np.array([4.8, 4.6, -2.0])
    result = plan_turning(LONG, field, start, goal)
    assert_sound(LONG, field, start, goal, result)
    inside = np.linalg.norm(result.poses[:, :2] - 3.0, axis=1) < 0.2
    off = np.abs(np.sin(result.poses[inside, 2] - tilt))  # either end may go first
    assert inside.any() and off.max() < math.sin(math.radians(15.0))


@pytest.mark.parametrize("width_m", [0.72, 0.9, 1.3])
def test_it_turns_round_only_where_its_diagonal_has_room(width_m):
    """At some angle on the way a turning rectangle is as broad as its diagonal; A* over cells does not know that."""
    field = make_field(hall(5.0, width_m + 2 * CELL_M))
    middle = 0.5 * width_m + CELL_M
    start, goal = np.array([1.5, middle, 0.0]), np.array([3.5, middle, math.pi])
    result = plan_turning(LONG, field, start, goal)
    if width_m < DIAGONAL_M:
        assert result.status is SearchStatus.NO_PATH
    else:
        assert_sound(LONG, field, start, goal, result)
    assert PathPlanner(LONG).plan_on(field, start, goal).found
    ahead = np.array([3.5, middle, 0.0])
    assert_sound(LONG, field, start, ahead, plan_turning(LONG, field, start, ahead))


@pytest.mark.parametrize("width_m", [0.56, 0.96])
def test_it_is_sent_round_a_corner_only_where_it_can_pass(width_m):
    """A rectangle of length l and width b passes a corner between corridors of width w where l + 2 b <= 2 sqrt(2) w."""
    occupied = np.ones((100, 100), bool)
    block(occupied, 0.4, 0.4, 0.4 + width_m, 3.6, False)
    block(occupied, 0.4, 0.4, 3.6, 0.4 + width_m, False)
    field, middle = make_field(occupied), 0.4 + 0.5 * width_m
    start, goal = np.array([middle, 3.0, -0.5 * math.pi]), np.array([3.0, middle, 0.0])
    result = plan_turning(LONG, field, start, goal)
    assert PathPlanner(LONG).plan_on(field, start, goal).found
    if LONG.footprint_length_m + 2 * LONG.footprint_width_m > 2 * math.sqrt(2) * width_m:
        assert result.status is SearchStatus.NO_PATH
    else:
        assert_sound(LONG, field, start, goal, result)


def test_it_comes_out_of_a_dead_end_backward_or_not_at_all():
    occupied = hall(5.0, 3.0)
    block(occupied, 2.0, 0.0, 5.0, 1.1)
    block(occupied, 2.0, 1.8, 5.0, 3.0)
    field = make_field(occupied)
    start, goal = np.array([4.0, 1.45, 0.0]), np.array([1.0, 1.5, math.pi])
    result = plan_turning(LONG, field, start, goal)
    assert_sound(LONG, field, start, goal, result)
    assert (result.directions[result.poses[:-1, 0] > 2.5] == -1).all()
    assert plan_turning(replace(LONG, allow_reverse=False), field, start, goal).status is SearchStatus.NO_PATH


@pytest.mark.parametrize("seed", range(6))
def test_paths_between_boxes_are_sound(seed):
    rng = np.random.default_rng(seed)
    occupied = hall(9.6, 9.6)
    for x, y in rng.uniform(0.5, 9.0, (16, 2)):
        block(occupied, x, y, x + rng.uniform(0.1, 0.6), y + rng.uniform(0.1, 0.6))
    field = make_field(occupied)
    places = field.centers_of(rng.permutation(np.argwhere(field.distance_m > 0.6))[:2])
    start, goal = np.column_stack([places, rng.uniform(-math.pi, math.pi, 2)])
    assert_sound(LONG, field, start, goal, plan_turning(LONG, field, start, goal))


def test_on_the_open_floor_it_turns_drives_straight_and_turns():
    field = make_field(np.zeros((200, 200), bool))
    start, goal = np.array([2.0, 2.0, 0.3]), np.array([6.0, 5.0, -2.0])
    result = plan_turning(LONG, field, start, goal)
    assert_sound(LONG, field, start, goal, result)
    assert np.linalg.norm(np.diff(result.poses[:, :2], axis=0), axis=1).sum() == pytest.approx(5.0)
    assert np.count_nonzero(np.diff(result.directions)) == 2


def test_every_no_is_typed_and_a_car_is_an_error():
    field = make_field(hall(5.0, 4.0))
    at = [np.array(pose) for pose in ([1.0, 1.0, 0.0], [2.5, 0.1, 0.0], [9.0, 1.0, 0.0], [3.5, 3.0, 2.0])]
    assert plan_turning(LONG, field, at[0], at[1]).status is SearchStatus.GOAL_BLOCKED
    assert plan_turning(LONG, field, at[1], at[0]).status is SearchStatus.START_BLOCKED
    assert plan_turning(LONG, field, at[0], at[2]).status is SearchStatus.OUTSIDE
    block(occupied := hall(5.0, 4.0), 2.0, 1.0, 2.1, 4.0)
    limited = plan_turning(LONG, make_field(occupied), np.array([1.0, 3.0, 0.0]), at[3], max_expanded=5)
    assert limited.status is SearchStatus.LIMIT and limited.expanded == 5
    with pytest.raises(ValueError, match=r"min_turning_radius_m = 0\.6"):
        plan_turning(replace(LONG, min_turning_radius_m=0.6), field, at[0], at[3])
