# SPDX-License-Identifier: Apache-2.0
"""Regulated pure pursuit: its geometry, its rules for the speed one by one, and drives under the navigator."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from playground import Playground, corridor

from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap, Field
from axon_planner.pursuit import LEAST_SPEED, PursuitFollower, arc_curvature
from axon_planner.runtime import Navigator, NavStatus
from axon_planner.tracker import FollowStatus

CONFIG = PlannerConfig(
    controller="pursuit", refine=False, max_speed_mps=1.0, map_size_m=16.0, resolution_m=0.05, patience_s=1.0
)
LINE = np.column_stack([np.linspace(0.0, 6.0, 121), np.zeros(121), np.zeros(121)])
POSTS = [[2.0, 0.3, 0.1], [3.5, -0.4, 0.1]]


def field_of(occupied=()) -> Field:
    """A free floor about the origin with obstacles at points (N, 2)."""
    grid = Grid(np.zeros((320, 320), np.int8), 0.05, np.array([-8.0, -8.0]))
    for x, y in occupied:
        grid.data[int((y + 8.0) / 0.05), int((x + 8.0) / 0.05)] = 100
    costmap = Costmap(CONFIG)
    costmap.set_map(grid)
    return costmap.field()


def settled(follower: PursuitFollower, path: np.ndarray, field: Field, pose=(0.0, 0.0, 0.0)) -> Twist2:
    """The command that the follower would hold at a pose: repeated until the limits on acceleration let it through."""
    follower.set_path(path)
    velocity = Twist2()
    for _ in range(60):
        step = follower.step(np.array(pose), velocity, field, 0.05)
        velocity = step.command
    return velocity


def circle(radius_m: float, turn: float = 1.5 * math.pi) -> np.ndarray:
    """A path to the left from the origin along x, tangent to it."""
    angle = np.linspace(0.0, turn, 400)
    return np.column_stack([radius_m * np.sin(angle), radius_m * (1.0 - np.cos(angle)), angle])


@pytest.mark.parametrize("curvature", [-2.0, -0.3, 0.4, 1.5])
def test_the_arc_goes_through_the_carrot(curvature):
    for length in (0.1, 0.5, 1.0):
        carrot = np.array([math.sin(curvature * length), 1.0 - math.cos(curvature * length)]) / curvature
        assert arc_curvature(carrot) == pytest.approx(curvature, rel=1e-9)
    assert arc_curvature(np.array([0.7, 0.0])) == 0.0


@pytest.mark.parametrize("radius_m", [0.5, 0.8, 2.0])
def test_on_a_circle_the_command_is_the_circle_and_slower_where_it_is_tight(radius_m):
    command = settled(PursuitFollower(CONFIG), circle(radius_m), field_of())
    assert command.wz_radps / command.vx_mps == pytest.approx(1.0 / radius_m, rel=0.02)
    allowed = CONFIG.max_speed_mps * min(1.0, radius_m / CONFIG.regulated_radius_m)
    assert command.vx_mps == pytest.approx(allowed, rel=0.02)


def test_the_less_room_beside_it_the_slower_it_drives():
    follower, speeds = PursuitFollower(CONFIG), []
    for room_m in (0.05, 0.1, 0.15, 0.2, 1.0):
        side = 0.5 * CONFIG.footprint_width_m + room_m + 0.5 * CONFIG.resolution_m
        field = field_of([(x, sign * side) for x in np.arange(-2.0, 4.0, 0.05) for sign in (-1.0, 1.0)])
        speed = settled(follower, LINE, field).vx_mps
        share = follower.discs.clearance(field, np.zeros(3)) / CONFIG.slow_clearance_m
        assert speed == pytest.approx(CONFIG.max_speed_mps * min(1.0, max(share, LEAST_SPEED)), rel=0.15)
        speeds.append(speed)
    assert (np.diff(speeds) > 0.0).all() and speeds[-1] == pytest.approx(CONFIG.max_speed_mps)


def test_the_nearer_the_end_the_slower_it_drives():
    speeds = [
        settled(PursuitFollower(CONFIG), LINE, field_of(), (6.0 - left, 0.0, 0.0)).vx_mps for left in (2, 0.6, 0.3)
    ]
    assert speeds == pytest.approx([1.0, 0.6 / CONFIG.approach_distance_m, 0.3 / CONFIG.approach_distance_m], rel=0.02)


def test_the_carrot_is_farther_away_at_speed_within_its_bounds():
    follower = PursuitFollower(CONFIG)
    ahead = [follower.lookahead_m(speed) for speed in np.linspace(-0.3, 4.0, 40)]
    assert (np.diff(ahead) >= 0.0).all()
    assert ahead[0] == CONFIG.lookahead_min_m and ahead[-1] == CONFIG.lookahead_max_m
    assert follower.lookahead_m(1.0) == pytest.approx(CONFIG.lookahead_time_s)


@pytest.mark.parametrize("gap_m", [0.3, 0.5, 0.7])
def test_the_time_to_a_contact_stays_as_long_as_asked(gap_m):
    front = 0.5 * CONFIG.footprint_length_m
    field = field_of([(front + gap_m, y) for y in np.arange(-1.0, 1.0, 0.05)])
    command = settled(PursuitFollower(CONFIG), LINE, field)
    assert 0.0 < command.vx_mps * CONFIG.collision_time_s <= gap_m + CONFIG.resolution_m


def test_where_the_arc_leads_nowhere_it_stops_and_says_so():
    field = field_of([(0.5 * CONFIG.footprint_length_m + 0.05, y) for y in np.arange(-1.0, 1.0, 0.05)])
    follower = PursuitFollower(CONFIG)
    follower.set_path(LINE)
    step = follower.step(np.zeros(3), Twist2(), field, 0.05)
    assert step.status is FollowStatus.BLOCKED and step.command == Twist2()


@pytest.mark.parametrize("heading", [1.2, -1.2, 2.5, -3.0])
def test_it_turns_on_the_spot_to_a_path_far_to_the_side_by_the_shorter_way(heading):
    command = settled(PursuitFollower(CONFIG), LINE, field_of(), (1.0, 0.0, heading))
    assert command.vx_mps == 0.0 and command.wz_radps * heading < 0.0


def test_a_mirrored_scene_gives_the_mirrored_command():
    path = np.column_stack([np.linspace(0.0, 3.0, 40), np.linspace(0.0, 1.0, 40), np.zeros(40)])
    one, other = (
        settled(PursuitFollower(CONFIG), path * [1.0, sign, 1.0], field_of([(1.02, sign * 1.02)])) for sign in (1, -1)
    )
    assert one.vx_mps == pytest.approx(other.vx_mps, abs=1e-9)
    assert one.wz_radps == pytest.approx(-other.wz_radps, abs=1e-9) and one.wz_radps > 0.0


@pytest.mark.parametrize("goal", [[5.0, 0.0, 0.0], [5.0, 0.3, 1.57], [3.0, -0.4, 3.1], [-0.5, 0.0, 0.0]])
def test_goal_and_its_heading_are_reached_within_the_limits_and_without_contact(goal):
    world, driver = Playground(CONFIG, POSTS, corridor()), Navigator(CONFIG)
    driver.set_goal(np.array(goal))
    assert world.drive(driver).status is NavStatus.REACHED
    assert np.linalg.norm(world.pose[:2] - goal[:2]) <= 1.5 * CONFIG.goal_tolerance_m
    limits, commands = CONFIG.limits, np.array(world.commands)
    assert -limits.max_reverse_mps <= commands[:, 0].min() <= commands[:, 0].max() <= limits.max_speed_mps
    assert np.abs(commands[:, 2]).max() <= limits.max_turn_radps
    assert np.abs(np.diff(commands[:, 0])).max() <= limits.max_decel_mps2 * 0.05 + 1e-6
    assert np.abs(np.diff(commands[:, 2])).max() <= limits.max_turn_accel_radps2 * 0.05 + 1e-6


def test_a_base_that_cannot_turn_where_it_stands_backs_off_and_then_gets_out():
    """Nose into a dead end, the goal behind: turning there would hit the walls, reversing does not."""
    pocket = [[-0.1, 0.23, 0.5, 0.23], [-0.1, -0.23, 0.5, -0.23], [0.5, -0.23, 0.5, 0.23]]
    around = [[-4.0, 1.5, 0.6, 1.5], [-4.0, -1.5, 0.6, -1.5], [-4.0, -1.5, -4.0, 1.5], [0.6, -1.5, 0.6, 1.5]]
    world, driver = Playground(CONFIG, [], pocket + around, (0.2, 0.0, 0.0)), Navigator(CONFIG)
    driver.set_goal(np.array([-3.0, 0.5, 3.1]))
    step = world.drive(driver)
    assert step.status is NavStatus.REACHED and step.recoveries > 0


def test_a_given_path_is_followed_by_the_controller_asked_for():
    path = np.column_stack([LINE[:, 0], 0.5 * np.sin(LINE[:, 0]), np.zeros(len(LINE))])
    driver = Navigator(replace(CONFIG, controller="mppi"))
    driver.set_path(path, "pursuit")
    assert isinstance(driver.follower, PursuitFollower)
    world = Playground(CONFIG, [], corridor(width_m=3.0))
    assert world.drive(driver).status is NavStatus.REACHED
    off = np.linalg.norm(np.array(world.track)[:, None, :2] - path[None, :, :2], axis=2).min(axis=1)
    assert off.max() < 0.1
    driver.set_goal(np.zeros(3))
    assert not isinstance(driver.follower, PursuitFollower)
    with pytest.raises(ValueError, match="'dwb': expected one of mppi, pursuit"):
        driver.set_path(path, "dwb")


def test_the_controller_changes_at_run_time_in_the_middle_of_a_drive():
    world, driver = Playground(CONFIG, POSTS, corridor()), Navigator(CONFIG)
    driver.set_goal(np.array([5.0, 0.0, 0.0]))

    def swap(world):
        if world.time_s > 2.0 and driver.config.controller == "pursuit":
            driver.reconfigure(replace(CONFIG, controller="mppi"))

    assert world.drive(driver, each=swap).status is NavStatus.REACHED
    assert not isinstance(driver.follower, PursuitFollower)


def test_bounds_of_the_lookahead_that_cross_are_refused():
    with pytest.raises(ValueError, match="lookahead_min_m = "):
        PlannerConfig(lookahead_min_m=2.0)
