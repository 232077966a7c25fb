# SPDX-License-Identifier: Apache-2.0
"""Navigator and follower in closed loop with a perfect base, and with the noisy one of the benchmark."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from playground import BASE_T_LASER, Playground, corridor

from axon_core.grids import Grid
from axon_core.motion import Twist2
from axon_core.scans import Scan
from axon_planner.config import PlannerConfig
from axon_planner.costmap import Costmap
from axon_planner.runtime import Navigator, NavStatus
from axon_planner.tracker import Discs, PathFollower
from axon_sim.barn import generate_barn
from axon_sim.planar import PlanarSimulator

CONFIG = PlannerConfig(max_speed_mps=1.0, patience_s=1.0)
GOAL = np.array([5.0, 0.0, 0.0])
POSTS = [[2.0, 0.3, 0.1], [3.5, -0.4, 0.1]]


def navigator(goal=GOAL, **changes) -> Navigator:
    made = Navigator(replace(CONFIG, **changes))
    made.set_goal(np.asarray(goal, dtype=np.float64))
    return made


def assert_at(world: Playground, goal, config=CONFIG) -> None:
    assert np.linalg.norm(world.pose[:2] - np.asarray(goal)[:2]) <= 1.5 * config.goal_tolerance_m
    turn = math.remainder(world.pose[2] - goal[2], 2 * math.pi)
    assert abs(turn) <= config.goal_yaw_tolerance_rad + 0.1


@pytest.mark.parametrize(
    "goal", [[5.0, 0.0, 0.0], [5.0, 0.3, 1.57], [3.0, -0.4, 3.1], [-0.5, 0.0, 0.0], [0.0, 0.0, -2.0]]
)
def test_goal_and_its_heading_are_reached_without_contact(goal):
    world, driver = Playground(CONFIG, POSTS, corridor()), navigator(goal)
    assert world.drive(driver).status is NavStatus.REACHED
    assert_at(world, goal)


@pytest.mark.parametrize("moved", [[5.0, 0.08, 0.0], [4.2, -0.5, 0.4], [5.6, 0.4, 0.0]])
def test_a_goal_that_moves_during_the_drive_is_reached_where_it_then_is(moved):
    world, driver, slowest = Playground(CONFIG, POSTS, corridor()), navigator(), []

    def correct(world):
        if world.time_s > 2.0:
            driver.move_target(np.array(moved))
        if 1.5 < world.time_s < 2.5:
            slowest.append(world.velocity.vx_mps)

    assert world.drive(driver, each=correct).status is NavStatus.REACHED
    assert_at(world, moved)
    assert min(slowest) > 0.3


def test_moving_the_target_of_no_drive_does_nothing():
    driver = Navigator(CONFIG)
    driver.move_target(GOAL)
    assert driver.goal is None and driver.status is NavStatus.IDLE


@pytest.mark.parametrize("controller", ["mppi", "pursuit"])
@pytest.mark.parametrize("given", [False, True])
def test_a_gap_met_straight_on_is_passed_slower_than_the_open(controller, given):
    """7 cm free on either side; the path is the navigator's own, or one that somebody else gives without speeds."""
    half_m = 0.5 * CONFIG.footprint_width_m + 0.07
    gap = [[2.5, side * half_m, 3.0, side * half_m] for side in (1.0, -1.0)]
    gap += [[x, side * half_m, x, side] for side in (1.0, -1.0) for x in (2.5, 3.0)]
    world, speeds = Playground(CONFIG, walls=corridor() + gap), []
    driver = navigator(controller=controller, refine=False)
    if given:
        driver.set_path(np.column_stack([np.linspace(0.0, 5.0, 6), np.zeros(6), np.zeros(6)]), controller)

    def watch(world):
        if 1.0 < world.pose[0] < 1.8 or 2.5 < world.pose[0] < 3.0:
            speeds.append((world.pose[0] > 2.0, world.velocity.vx_mps))

    assert world.drive(driver, each=watch).status is NavStatus.REACHED
    before, inside = (np.array([v for within, v in speeds if within == where]) for where in (False, True))
    assert before.max() > 0.85 and inside.max() < 0.6


def test_commands_keep_the_limits():
    world = Playground(CONFIG, POSTS, corridor())
    world.drive(navigator())
    limits, commands = CONFIG.limits, np.array(world.commands)
    assert commands[:, 0].max() <= limits.max_speed_mps and commands[:, 0].min() >= -limits.max_reverse_mps
    assert np.abs(commands[:, 2]).max() <= limits.max_turn_radps
    assert np.abs(np.diff(commands[:, 0])).max() <= limits.max_decel_mps2 * 0.05 + 1e-6
    assert np.abs(np.diff(commands[:, 2])).max() <= limits.max_turn_accel_radps2 * 0.05 + 1e-6


def test_a_way_that_closes_is_replanned():
    world, driver = Playground(CONFIG, [], [*corridor(width_m=4.0), [2.5, -0.6, 2.5, 0.6]]), navigator()
    closed = []

    def close(playground):
        side = math.copysign(1.0, driver.path[len(driver.path) // 2, 1]) if driver.path is not None else 0.0
        if playground.pose[0] > 0.8 and not closed:
            closed.append(side)
            playground.walls = np.vstack([playground.walls, [2.5, 0.6 * side, 2.5, 2.0 * side]])

    assert world.drive(driver, each=close).status is NavStatus.REACHED
    crossing = min(world.track, key=lambda pose: abs(pose[0] - 2.5))
    assert closed and math.copysign(1.0, crossing[1]) == -closed[0]


def test_an_obstacle_that_leaves_opens_the_way():
    barrier = [2.5, -1.0, 2.5, 1.0]
    world, driver = Playground(CONFIG, [], [*corridor(), barrier]), navigator(no_path_timeout_s=30.0)

    def open_later(playground):
        if playground.time_s > 3.0:
            playground.walls = playground.walls[:4]

    assert world.drive(driver, each=open_later).status is NavStatus.REACHED
    assert world.time_s > 3.0


@pytest.mark.parametrize(
    ("goal", "status"),
    [
        ([2.0, 0.3, 0.0], NavStatus.GOAL_BLOCKED),
        ([500.0, 0.0, 0.0], NavStatus.OUTSIDE),
        ([9.0, 0.0, 0.0], NavStatus.NO_PATH),
    ],
)
def test_a_goal_that_cannot_be_reached_ends_with_its_reason(goal, status):
    world = Playground(CONFIG, [[2.0, 0.3, 0.1]], corridor())
    step = world.drive(navigator(goal, no_path_timeout_s=0.5))
    assert step.status is status and step.reason
    assert abs(step.command.vx_mps) < 0.2


def test_a_goal_outside_the_map_is_refused():
    driver = navigator([5.0, 0.0, 0.0])
    driver.set_map(Grid(np.zeros((80, 80), np.int8), 0.05, np.array([-2.0, -2.0])))
    step = Playground(CONFIG).drive(driver, 2.0)
    assert step.status is NavStatus.OUTSIDE and "(5.00, 0.00)" in step.reason


def test_without_a_fresh_scan_the_robot_stops_and_then_gives_up():
    world, driver = Playground(CONFIG, [], corridor()), navigator()
    for _ in range(30):
        world.step(driver)
    assert world.velocity.vx_mps > 0.5
    for _ in range(25):
        step = world.step(driver, with_scan=False)
    assert step.status is NavStatus.STALE_SCAN and not step.over and "1." in step.reason
    assert world.velocity.vx_mps == pytest.approx(0.0)
    world.step(driver)
    for _ in range(20):
        step = world.step(driver)
    assert step.status is NavStatus.RUNNING and world.velocity.vx_mps > 0.3
    for _ in range(60):
        step = world.step(driver, with_scan=False)
        if step.over:
            break
    assert step.over and step.status is NavStatus.STALE_SCAN and world.velocity == Twist2()


def test_no_motion_before_the_first_scan():
    world, driver = Playground(CONFIG, [], corridor()), navigator()
    for _ in range(10):
        assert world.step(driver, with_scan=False).command == Twist2()


def test_nan_in_a_scan_is_no_obstacle_and_no_free_floor():
    world, driver = Playground(CONFIG, POSTS, corridor()), navigator()
    rng = np.random.default_rng(1)
    for _ in range(400):
        clean = world.scan()
        ranges = np.where(rng.random(len(clean.ranges_m)) < 0.3, np.nan, clean.ranges_m).astype(np.float32)
        scan = Scan(ranges, clean.angle_min_rad, clean.angle_increment_rad, clean.range_min_m, clean.range_max_m)
        step = driver.step(world.time_s, world.pose, world.velocity, scan, BASE_T_LASER)
        world.move(step.command, 0.05)
        assert world.clearance() > 0.0
        if step.over:
            break
    assert step.status is NavStatus.REACHED


def test_cancel_brakes_within_the_limits_and_is_reported():
    world, driver = Playground(CONFIG, [], corridor()), navigator()
    for _ in range(30):
        world.step(driver)
    driver.cancel()
    for _ in range(12):
        step = world.step(driver)
        assert step.over and step.status is NavStatus.CANCELLED
    assert world.velocity == Twist2()


def test_a_new_goal_replaces_the_old_one():
    world, driver = Playground(CONFIG, [], corridor()), navigator()
    for _ in range(20):
        world.step(driver)
    driver.set_goal(np.array([0.0, 0.5, 0.0]))
    assert world.drive(driver).status is NavStatus.REACHED
    assert_at(world, [0.0, 0.5, 0.0])


def test_time_for_a_goal_ends():
    step = Playground(CONFIG, [], corridor()).drive(navigator(goal_timeout_s=1.0))
    assert step.status is NavStatus.TIMEOUT and "1.0 s" in step.reason


def test_a_robot_walled_in_gives_up_without_contact():
    box = [[-0.5, -0.4, 0.5, -0.4], [-0.5, 0.4, 0.5, 0.4], [0.5, -0.4, 0.5, 0.4], [-0.5, -0.4, -0.5, 0.4]]
    world = Playground(CONFIG, [], box)
    step = world.drive(navigator(no_path_timeout_s=2.0))
    assert step.status is NavStatus.NO_PATH


def test_a_given_path_is_followed_to_its_end():
    x = np.linspace(0.0, 4.0, 60)
    path = np.column_stack([x, 0.5 * np.sin(x), np.zeros(60)])
    world, driver = Playground(CONFIG, [], corridor(width_m=3.0)), Navigator(CONFIG)
    driver.set_path(path)
    assert world.drive(driver).status is NavStatus.REACHED
    track = np.array(world.track)
    off = np.linalg.norm(track[:, None, :2] - path[None, :, :2], axis=2).min(axis=1)
    assert off.max() < 0.25
    assert_at(world, path[-1])


def test_a_given_path_that_is_blocked_is_not_left_for_another():
    path = np.column_stack([np.linspace(0.0, 4.0, 60), np.zeros(60), np.zeros(60)])
    world = Playground(CONFIG, [], [*corridor(), [2.0, -1.0, 2.0, 1.0]])
    driver = Navigator(replace(CONFIG, max_recoveries=1, progress_timeout_s=1.0))
    driver.set_path(path)
    assert world.drive(driver).status is NavStatus.BLOCKED


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros((3, 2)), np.full((3, 3), np.nan)])
def test_a_senseless_path_is_refused(bad):
    with pytest.raises(ValueError, match="path"):
        Navigator(CONFIG).set_path(bad)


def test_a_mirrored_scene_gives_the_mirrored_command():
    path = np.column_stack([np.linspace(0.0, 3.0, 40), np.linspace(0.0, 1.0, 40), np.zeros(40)])
    field_config = replace(CONFIG, map_size_m=10.0, resolution_m=0.05)
    commands = []
    for sign in (1.0, -1.0):
        grid = Grid(np.zeros((200, 200), np.int8), 0.05, np.array([-5.0, -5.0]))
        row = 100 + 12 if sign > 0 else 99 - 12
        grid.data[row, 120:128] = 100
        costmap = Costmap(field_config)
        costmap.set_map(grid)
        follower = PathFollower(field_config)
        follower.set_path(path * np.array([1.0, sign, 1.0]))
        step = follower.step(np.zeros(3), Twist2(0.5, 0.0, 0.2 * sign), costmap.field(), 0.05)
        commands.append(step.command)
    assert commands[0].vx_mps == pytest.approx(commands[1].vx_mps, abs=1e-6)
    assert commands[0].wz_radps == pytest.approx(-commands[1].wz_radps, abs=1e-6)


def test_discs_cover_the_footprint():
    discs, footprint = Discs(CONFIG), CONFIG.footprint
    corners = footprint.vertices_m
    outline = np.concatenate(
        [np.linspace(a, b, 50) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    )
    centers = np.column_stack([discs.centers_m, np.zeros(len(discs.centers_m))])
    assert (np.linalg.norm(outline[:, None] - centers[None], axis=2).min(axis=1) <= discs.radius_m + 1e-9).all()


@pytest.mark.parametrize("controller", ["mppi", "pursuit"])
def test_a_base_gets_out_of_a_dead_end_in_which_it_cannot_turn(controller):
    """1.5 m deep and 0.5 m wide: the way back is longer than one look at what nobody sees behind the base."""
    pocket = [[-1.0, 0.25, 0.5, 0.25], [-1.0, -0.25, 0.5, -0.25], [0.5, -0.25, 0.5, 0.25]]
    room = [[-5.0, 1.5, 0.6, 1.5], [-5.0, -1.5, 0.6, -1.5], [-5.0, -1.5, -5.0, 1.5], [0.6, -1.5, 0.6, 1.5]]
    config = replace(CONFIG, controller=controller, refine=False)
    world, driver = Playground(config, [], pocket + room, (-1.6, 0.0, 0.0)), Navigator(config)
    driver.set_path(np.array([[-1.6, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert world.drive(driver).status is NavStatus.REACHED and world.pose[0] > -0.2
    driver.set_goal(np.array([-4.0, 0.5, 3.1]))
    step = world.drive(driver)
    assert step.status is NavStatus.REACHED and step.recoveries > 0
    assert np.array(world.commands)[:, 0].min() < 0.0


@pytest.mark.parametrize("controller", ["mppi", "pursuit"])
def test_a_base_with_its_nose_at_a_wall_does_not_swing_a_corner_into_it(controller):
    config = replace(CONFIG, controller=controller, refine=False)
    front = 0.5 * config.footprint_length_m + 0.03
    walls = [[front, -2.0, front, 2.0], [-4.0, -2.0, front, -2.0], [-4.0, 2.0, front, 2.0], [-4.0, -2.0, -4.0, 2.0]]
    driver = Navigator(config)
    driver.set_goal(np.array([-3.0, 0.0, 0.0]))
    assert Playground(config, [], walls).drive(driver).status is NavStatus.REACHED


FAST = replace(CONFIG, max_speed_mps=2.0, refine=False)
STRAIGHT = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0]])
BENT = np.array([[0.0, 0.0, 0.0], [2.5, 0.0, 0.0], [2.5, 3.0, 1.57]])


@pytest.mark.parametrize("controller", ["mppi", "pursuit"])
def test_it_is_slower_where_the_path_bends(controller):
    config = replace(FAST, controller=controller)
    assert _slowest(config, [], BENT) < 0.95 * _slowest(config, [], STRAIGHT)


def test_pursuit_is_slower_between_walls():
    config = replace(FAST, controller="pursuit")
    gaps = [[[2.5, -2.0, 2.5, -half], [2.5, half, 2.5, 2.0]] for half in (0.24, 1.0)]
    narrow, wide = (_slowest(config, gap, STRAIGHT) for gap in gaps)
    assert narrow < 0.75 * wide


def _slowest(config, walls, path) -> float:
    """Least speed within 0.8 m of (2.5, 0) on a given path."""
    world, driver = Playground(config, [], [*walls, *corridor(width_m=8.0)]), Navigator(config)
    driver.set_path(path)
    assert world.drive(driver).status is NavStatus.REACHED
    near = np.linalg.norm(np.array(world.track)[:, :2] - [2.5, 0.0], axis=1) < 0.8
    return float(np.array(world.commands)[near, 0].min())


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_cylinder_fields_are_crossed_with_noise_and_latency(seed):
    config = PlannerConfig()
    world = generate_barn(seed)
    simulator, driver = PlanarSimulator(world, seed=seed), Navigator(config)
    driver.set_goal(np.array([10.0, 0.0, 0.0]))
    while simulator.time_s < 40.0 and np.linalg.norm(simulator.pose[:2] - world.goal[:2]) > 1.0:
        odometry = simulator.odometry()
        step = driver.step(
            simulator.time_s, odometry.odom_T_base, odometry.velocity, simulator.scan(),
            simulator.config.base_T_laser, simulator.scan_age_s,
        )  # fmt: skip
        assert simulator.step(step.command, 0.05), f"collision at {simulator.pose}"
        assert not step.over, step.reason
    assert simulator.time_s < 20.0
