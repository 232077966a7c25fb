# SPDX-License-Identifier: Apache-2.0
"""Paths of a base that cannot turn on the spot: what it can drive, where it fits, when it must reverse, every no."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scenes import CELL_M, assert_drivable, block, dense, hall, least_room, make_field

from axon_planner.config import PlannerConfig
from axon_planner.hybrid import plan_hybrid
from axon_planner.pose_search import is_free, make_body
from axon_planner.reeds_shepp import reeds_shepp
from axon_planner.search import SearchStatus

RADIUS_M = 0.6
CAR = PlannerConfig(min_turning_radius_m=RADIUS_M, footprint_length_m=0.6, footprint_width_m=0.4, refine=False)


def changes(directions: np.ndarray) -> int:
    return int(np.count_nonzero(np.diff(directions)))


def assert_sound(config: PlannerConfig, field, start, goal, result) -> None:
    assert result.found, result.reason
    assert result.poses[0] == pytest.approx(start)
    assert result.poses[-1, :2] == pytest.approx(goal[:2])
    assert math.remainder(result.poses[-1, 2] - goal[2], 2 * math.pi) == pytest.approx(0.0, abs=1e-6)
    assert_drivable(result.poses, result.directions, config.min_turning_radius_m)
    assert least_room(config, field, dense(result.poses)) >= 0.5 * CELL_M - 1e-3


def cluttered(seed: int) -> tuple:
    """A hall of 9.6 m with boxes, and two free poses in it."""
    rng = np.random.default_rng(seed)
    occupied = hall(9.6, 9.6)
    for x, y in rng.uniform(0.5, 9.0, (22, 2)):
        block(occupied, x, y, x + rng.uniform(0.1, 0.6), y + rng.uniform(0.1, 0.6))
    field = make_field(occupied)
    places = field.centers_of(rng.permutation(np.argwhere(field.distance_m > 0.5))[:2])
    return field, *np.column_stack([places, rng.uniform(-math.pi, math.pi, 2)])


@pytest.mark.parametrize("seed", range(8))
def test_paths_between_boxes_can_be_driven_and_keep_their_margin(seed):
    field, start, goal = cluttered(seed)
    result = plan_hybrid(CAR, field, start, goal)
    assert_sound(CAR, field, start, goal, result)


def test_without_reversing_every_piece_is_driven_forward():
    found = []
    for seed in range(8):
        field, start, goal = cluttered(seed)
        forward = replace(CAR, allow_reverse=False)
        result = plan_hybrid(forward, field, start, goal)
        assert result.status in (SearchStatus.FOUND, SearchStatus.NO_PATH)  # a nose at a wall has no way on
        found.append(result.found)
        if result.found:
            assert_sound(forward, field, start, goal, result)
            assert (result.directions == 1).all()
    assert sum(found) >= 4


def test_on_the_open_floor_it_is_about_as_long_as_the_shortest_curve():
    field = make_field(np.zeros((200, 200), bool))
    rng = np.random.default_rng(1)
    for start, goal in rng.uniform([2.0, 2.0, -3.1], [6.0, 6.0, 3.1], (15, 2, 3)):
        result = plan_hybrid(CAR, field, start, goal)
        assert_sound(CAR, field, start, goal, result)
        driven = float(np.linalg.norm(np.diff(result.poses[:, :2], axis=0), axis=1).sum())
        shortest = reeds_shepp(start, goal, RADIUS_M).length_m
        # chords of arcs are a little shorter; what makes it longer is a price on reversing
        assert 0.995 * shortest <= driven and result.cost >= driven - 0.01
        assert result.cost <= 2.0 * shortest + 2 * 0.6 + 4 * 0.1 + 0.01, "never above the shortest curve at its prices"


def test_a_car_turns_round_in_a_corridor_only_by_reversing():
    """The corridor is narrower than the circle that the car would need."""
    occupied = hall(6.0, 1.6)
    field = make_field(occupied)
    start, goal = np.array([3.0, 0.8, 0.0]), np.array([3.0, 0.8, math.pi])
    result = plan_hybrid(CAR, field, start, goal)
    assert_sound(CAR, field, start, goal, result)
    assert changes(result.directions) >= 2
    assert plan_hybrid(replace(CAR, allow_reverse=False), field, start, goal).status is SearchStatus.NO_PATH
    assert plan_hybrid(replace(CAR, max_reverse_mps=0.0), field, start, goal).status is SearchStatus.NO_PATH


def bay() -> tuple:
    """A bay as wide as the car and 0.2 m beside a lane; the car is to stand in it with its nose to the lane."""
    occupied = hall(6.0, 3.6)
    block(occupied, 0.0, 0.0, 6.0, 1.0)
    block(occupied, 2.7, 0.1, 3.3, 1.0, False)
    return make_field(occupied), np.array([1.2, 1.9, 0.0]), np.array([3.0, 0.5, 0.5 * math.pi])


def test_a_car_parks_backward_where_it_could_not_turn_inside():
    field, start, goal = bay()
    result = plan_hybrid(CAR, field, start, goal)
    assert_sound(CAR, field, start, goal, result)
    inside = (np.abs(result.poses[1:, 0] - 3.0) < 0.3) & (result.poses[1:, 1] < 0.9)
    assert inside[-1] and (result.directions[inside] == -1).all()


def test_a_car_parks_between_two_others_along_the_lane():
    occupied = hall(6.0, 3.0)
    block(occupied, 0.0, 0.0, 6.0, 0.6)
    block(occupied, 2.5, 0.1, 3.6, 0.6, False)
    field, start, goal = make_field(occupied), np.array([1.2, 1.2, 0.0]), np.array([3.05, 0.4, 0.0])
    assert_sound(CAR, field, start, goal, plan_hybrid(CAR, field, start, goal))


def test_a_mirrored_world_has_the_mirrored_cost():
    for seed in range(4):
        field, start, goal = cluttered(seed)
        height_m = field.distance_m.shape[0] * CELL_M
        mirrored = make_field((field.distance_m == 0.0)[::-1])
        ends = [np.array([pose[0], height_m - pose[1], -pose[2]]) for pose in (start, goal)]
        there, mirror = plan_hybrid(CAR, field, start, goal), plan_hybrid(CAR, mirrored, *ends)
        assert mirror.cost == pytest.approx(there.cost, rel=0.15)  # bins are not symmetric, costs are


def test_a_base_that_stands_too_near_to_a_wall_may_leave():
    car = replace(CAR, footprint_center_x_m=0.2)  # its origin on the rear axle, so that its tail hardly swings out
    field = make_field(hall(5.0, 4.0))
    start, goal = np.array([2.0, 0.25, 0.0]), np.array([3.5, 2.0, 1.0])
    assert not is_free(make_body(car, field, np.array([4.0, 2.0, 0.0])), *start)
    result = plan_hybrid(car, field, start, goal)
    assert result.found, result.reason
    assert_drivable(result.poses, result.directions, RADIUS_M)
    fine = dense(result.poses)
    assert least_room(car, field, fine) >= least_room(car, field, start[None]) - 0.03
    assert least_room(car, field, fine[np.linalg.norm(fine[:, :2] - start[:2], axis=1) > 0.4]) >= 0.5 * CELL_M - 1e-3


@pytest.mark.parametrize(
    ("start", "goal", "status", "text"),
    [
        ([1.0, 1.0, 0.0], [2.45, 2.0, 0.0], SearchStatus.GOAL_BLOCKED, "expected 0.04 m"),
        ([2.5, 2.0, 0.0], [1.0, 1.0, 0.0], SearchStatus.START_BLOCKED, "inside the footprint"),
        ([1.0, 1.0, 0.0], [9.0, 1.0, 0.0], SearchStatus.OUTSIDE, "goal"),
        ([1.0, 1.0, 0.0], [4.0, 2.0, 0.0], SearchStatus.NO_PATH, "no way"),
    ],
)
def test_every_ordinary_no_is_a_typed_reason(start, goal, status, text):
    occupied = hall(5.0, 4.0)
    block(occupied, 2.4, 0.0, 2.6, 4.0)
    result = plan_hybrid(CAR, make_field(occupied), np.array(start), np.array(goal))
    assert result.status is status and text in result.reason
    assert len(result.poses) == len(result.directions) == 0 and result.cost == math.inf


def test_limits_are_kept_and_no_radius_is_an_error():
    field, start, goal = bay()
    limited = plan_hybrid(CAR, field, start, goal, max_expanded=10)
    assert limited.status is SearchStatus.LIMIT and limited.expanded == 10
    free, other = np.array([0.8, 2.4, 0.0]), np.array([0.8, 2.4, math.pi])
    tight = replace(CAR, min_turning_radius_m=5.0)
    assert plan_hybrid(tight, field, free, other, timeout_s=0.0).status is SearchStatus.TIMEOUT
    with pytest.raises(ValueError, match="min_turning_radius_m"):
        plan_hybrid(replace(CAR, min_turning_radius_m=0.0), field, start, goal)


def test_the_fast_answer_about_a_pose_is_the_rectangles_own():
    """Discs first, the rectangle where they are not sure: together exactly what brute force says."""
    field, start, _ = cluttered(3)
    body = make_body(CAR, field, start)
    rng = np.random.default_rng(2)
    for pose in rng.uniform([0.0, 0.0, -3.1], [9.6, 9.6, 3.1], (1500, 3)):
        room = least_room(CAR, field, pose[None])
        if abs(room - body.margin) > 1e-6 and np.linalg.norm(pose[:2] - start[:2]) > 0.4:
            assert is_free(body, *pose) == (room >= body.margin)
