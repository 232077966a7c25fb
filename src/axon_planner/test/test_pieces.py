# SPDX-License-Identifier: Apache-2.0
"""Manoeuvres in closed loop: a base with a tightest circle parks and turns round, a long one goes through doors."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from playground import Playground, corridor

from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.pieces import directions_of, split
from axon_planner.runtime import Navigator, NavStatus
from axon_planner.tracker import within_radius

RADIUS_M = 0.6
CAR = PlannerConfig(
    min_turning_radius_m=RADIUS_M, planner="hybrid", footprint_length_m=0.6, footprint_width_m=0.4, max_speed_mps=0.6,
    refine=False,
)  # fmt: skip
CONTROLLERS = ["mppi", "pursuit"]


def box(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0, x1, y0], [x1, y0, x1, y1], [x1, y1, x0, y1], [x0, y1, x0, y0]]


def drive(config: PlannerConfig, walls, start, goal, limit_s: float = 60.0) -> Playground:
    """Drive to a goal; nothing is touched on the way, and a car never turns tighter than it can."""
    world, driver = Playground(config, [], walls, start), Navigator(config)
    driver.set_goal(np.array(goal))
    step = world.drive(driver, limit_s, each=assert_within_radius)
    assert step.status is NavStatus.REACHED, step.reason
    assert np.linalg.norm(world.pose[:2] - goal[:2]) <= config.goal_tolerance_m
    assert abs(math.remainder(world.pose[2] - goal[2], 2 * math.pi)) <= config.goal_yaw_tolerance_rad + 0.02
    return world


def assert_within_radius(world: Playground) -> None:
    radius, velocity = world.config.min_turning_radius_m, world.velocity
    if radius > 0.0:
        assert abs(velocity.wz_radps) <= abs(velocity.vx_mps) / radius + 1e-9
    for command in world.commands[-1:]:
        assert abs(command.wz_radps) * radius <= abs(command.vx_mps) + 1e-9


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_car_parks_backward_in_a_bay(controller):
    lane = [[-2.0, 1.6, 3.5, 1.6], [-2.0, -1.6, -2.0, 1.6], [3.5, -1.6, 3.5, 1.6]]
    lane += [[-2.0, -1.6, 0.65, -1.6], [1.35, -1.6, 3.5, -1.6]]
    bay = [[0.65, -1.6, 0.65, -2.7], [1.35, -1.6, 1.35, -2.7], [0.65, -2.7, 1.35, -2.7]]
    world = drive(replace(CAR, controller=controller), lane + bay, (-1.2, 0.0, 0.0), [1.0, -2.1, 0.5 * math.pi])
    inside = np.array(world.track)[:, 1] < -1.7
    assert inside[-1] and (np.array(world.commands)[inside, 0] <= 1e-9).all(), "it could not turn in there"


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_car_turns_round_in_a_corridor_narrower_than_its_circle(controller):
    world = drive(replace(CAR, controller=controller), box(-2.0, -0.9, 3.0, 0.9), (0.0, 0.0, 0.0), [1.0, 0.0, math.pi])
    speeds = np.array(world.commands)[:, 0]
    assert speeds.min() < -0.1 and speeds.max() > 0.1


@pytest.mark.parametrize("goal", [[4.0, 1.5, 1.57], [-1.0, -1.5, 3.0], [2.0, -1.0, -1.0]])
def test_a_car_reaches_poses_in_a_room(goal):
    drive(CAR, box(-3.0, -3.0, 6.0, 3.0), (0.0, 0.0, 0.0), goal)


def test_a_car_does_not_drive_backward_into_what_it_has_not_seen():
    """Its nose in a pocket, a scanner that does not look behind: it may back off a little, but touches nothing."""
    pocket = [*box(-4.0, -1.5, 3.0, 1.5), [0.5, -0.35, 3.0, -0.35], [0.5, 0.35, 3.0, 0.35]]
    world, driver = Playground(CAR, [], pocket, (2.3, 0.0, 0.0)), Navigator(CAR)
    driver.set_goal(np.array([-2.5, 0.5, math.pi]))
    assert world.drive(driver, 60.0, each=assert_within_radius).status in (NavStatus.BLOCKED, NavStatus.NO_PATH)


def test_a_long_base_goes_through_a_door_and_backs_out_of_a_passage():
    long = PlannerConfig(
        planner="footprint", footprint_length_m=1.0, footprint_width_m=0.4, max_speed_mps=0.6, refine=False
    )
    room = [*box(-2.0, -2.0, 5.0, 2.0), [1.5, -2.0, 1.5, -0.4], [1.5, 0.4, 1.5, 2.0]]
    drive(long, room, (-0.8, -1.0, 1.0), [3.5, 1.0, 0.5], 90.0)
    passage = [*box(-3.0, -2.0, 3.0, 2.0), [0.6, -0.4, 3.0, -0.4], [0.6, 0.4, 3.0, 0.4]]
    world, driver = Playground(long, [], passage, (-1.5, 0.0, 0.0)), Navigator(long)
    for goal in ([1.6, 0.0, 0.0], [-1.5, 0.8, math.pi]):
        driver.set_goal(np.array(goal))
        assert world.drive(driver, 90.0).status is NavStatus.REACHED
    assert np.array(world.commands)[:, 0].min() < -0.1


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_a_given_path_with_a_cusp_is_driven_as_its_poses_look(controller):
    """Ahead along a line, then backward along another that leaves it: no base turns round for that."""
    ahead = np.column_stack([np.linspace(0.0, 1.5, 30), np.zeros(30), np.zeros(30)])
    angle = np.linspace(0.0, 0.9, 30)
    back = np.column_stack([1.5 - 0.8 * np.sin(angle), 0.8 * (1.0 - np.cos(angle)), -angle])
    path = np.vstack([ahead, back])
    assert directions_of(path)[:29].tolist() == [1] * 29 and (directions_of(path)[30:] == -1).all()
    config = replace(CAR, controller=controller)
    world, driver = Playground(config, [], corridor(width_m=3.0)), Navigator(config)
    driver.set_path(path)
    assert world.drive(driver, each=assert_within_radius).status is NavStatus.REACHED
    track = np.array(world.track)
    assert np.linalg.norm(track[:, None, :2] - path[None, :, :2], axis=2).min(axis=1).max() < 0.08
    assert math.remainder(world.pose[2] - path[-1, 2], 2 * math.pi) == pytest.approx(0.0, abs=0.1)


def test_pieces_are_the_path_and_headings_that_say_nothing_are_driven_forward():
    rng = np.random.default_rng(0)
    path = rng.normal(size=(40, 3))
    directions = rng.choice([-1, 0, 1], 39).astype(np.int8)
    pieces = split(path, directions)
    assert np.concatenate([piece.path[1:] for piece in pieces]) == pytest.approx(path[1:])
    assert (
        np.concatenate([[piece.direction] * (len(piece.path) - 1) for piece in pieces]).tolist() == directions.tolist()
    )
    assert all(a.direction != b.direction for a, b in pairwise(pieces))
    circle = np.linspace(0.0, 2 * math.pi, 60)
    blank = np.column_stack([np.cos(circle), np.sin(circle), np.zeros(60)])
    assert (directions_of(blank) == 1).all()
    with pytest.raises(ValueError, match="39"):
        split(path, directions[:-1])


def test_a_command_within_the_circle_is_kept_and_one_beyond_it_is_cut():
    ordinary = PlannerConfig()
    assert within_radius(Twist2(0.0, 0.0, 1.5), ordinary) == Twist2(0.0, 0.0, 1.5)
    assert within_radius(Twist2(0.3, 0.0, 0.4), CAR) == Twist2(0.3, 0.0, 0.4)
    assert within_radius(Twist2(-0.3, 0.0, -2.0), CAR) == pytest.approx((-0.3, 0.0, -0.5))
    assert within_radius(Twist2(0.0, 0.0, 1.0), CAR) == Twist2()
