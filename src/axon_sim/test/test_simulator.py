# SPDX-License-Identifier: Apache-2.0
"""Physical truths of the robot, its sensors and its actuators, in worlds with a known answer."""

import math

import mujoco
import numpy as np
import pytest
from sim_worlds import empty_world, wall_ahead

from axon_core.motion import Twist2
from axon_sim import robot
from axon_sim.config import TICK_S, SimConfig
from axon_sim.controllers import Trajectory
from axon_sim.simulator import Simulator

EXACT = SimConfig(noise=0.0)
GRAVITY = 9.81


def drive(simulator, twist, seconds):
    """Repeat a command; returns all readings."""
    readings = []
    for _ in range(round(seconds / TICK_S)):
        simulator.command_velocity(twist)
        readings.append(simulator.step())
    return readings


def run(simulator, seconds):
    return [simulator.step() for _ in range(round(seconds / TICK_S))]


def last(readings, name):
    return [getattr(one, name) for one in readings if getattr(one, name) is not None][-1]


def test_dropped_thing_falls_freely():
    def can(builder):
        builder.loose("can", 2.0, 0.0, 3.0, mass_kg=0.3).cylinder(
            0.03, 0.1, (0, 0, 0), builder.material("red", (1, 0, 0))
        )

    simulator = Simulator(empty_world(can), EXACT)
    height, speed = simulator.data.joint("can_free").qpos[2], simulator.data.joint("can_free").qvel[2]
    run(simulator, 0.3)
    fallen = height - simulator.data.joint("can_free").qpos[2]
    assert fallen == pytest.approx(-speed * 0.3 + 0.5 * GRAVITY * 0.3**2, rel=0.01)


def test_driving_straight_goes_as_far_as_commanded():
    simulator = Simulator(empty_world(), EXACT)
    drive(simulator, Twist2(0.5), 2.0)
    readings = drive(simulator, Twist2(), 1.0)
    # 2 s at 0.5 m/s; the ramp up and the ramp down are equal
    np.testing.assert_allclose(simulator.truth().pose, [1.0, 0.0, 0.0], atol=0.02)
    np.testing.assert_allclose(last(readings, "odometry").pose, simulator.truth().pose, atol=0.01)


def test_turning_in_place_keeps_the_position():
    simulator = Simulator(empty_world(start=(1.0, -2.0, 0.3)), EXACT)
    drive(simulator, Twist2(0.0, 0.0, 1.0), 2 * math.pi)
    drive(simulator, Twist2(), 0.6)
    x, y, yaw = simulator.truth().pose
    assert math.hypot(x - 1.0, y + 2.0) < 0.01
    assert abs(math.remainder(yaw - 0.3, 2 * math.pi)) < 0.12  # wheels slip a little: the odometry's gyro knows


def test_odometry_drifts_about_one_percent():
    simulator = Simulator(empty_world(), SimConfig(seed=3))
    readings = drive(simulator, Twist2(0.6, 0.0, 0.3), 15.0)
    odometry, truth = last(readings, "odometry"), last(readings, "truth")
    error = np.linalg.norm(odometry.pose[:2] - truth.pose[:2])
    assert 0.0005 < error < 0.015 * 0.6 * 15.0
    assert (odometry.pose_variance > 0.0).all() and np.sqrt(odometry.pose_variance[0]) < 0.2


def test_acceleration_is_limited_and_braking_does_not_tip():
    simulator = Simulator(empty_world(start=(-5.0, 0.0, 0.0)), EXACT)
    speeds = [one.truth.velocity.vx_mps for one in drive(simulator, Twist2(2.0), 2.0) if one.truth]
    assert max(speeds) == pytest.approx(2.0, abs=0.06)
    assert np.diff(speeds).max() / 0.02 < 1.25 * robot.BASE_LIMITS.max_accel_mps2
    braking = drive(simulator, Twist2(), 1.5)
    tilt = max(
        math.acos(min(1.0, 1 - 2 * (q[0] ** 2 + q[1] ** 2)))
        for q in (one.truth.quat_xyzw for one in braking if one.truth)
    )
    assert math.degrees(tilt) < 2.0
    assert abs(simulator.truth().velocity.vx_mps) < 0.01


def test_silence_stops_the_base():
    simulator = Simulator(empty_world(), EXACT)
    drive(simulator, Twist2(0.8), 1.0)
    run(simulator, simulator.config.command_timeout_s + 0.8 / robot.BASE_LIMITS.max_decel_mps2 + 0.15)
    assert abs(simulator.truth().velocity.vx_mps) < 0.02


@pytest.mark.parametrize("twist", [Twist2(math.nan), Twist2(0.0, 0.0, math.inf)])
def test_commands_that_are_no_numbers_are_refused(twist):
    simulator = Simulator(empty_world(), EXACT)
    with pytest.raises(ValueError):
        simulator.command_velocity(twist)
    run(simulator, 0.1)
    assert np.isfinite(simulator.data.qpos).all() and simulator.truth().pose[0] == pytest.approx(0.0, abs=1e-3)


def test_lidar_measures_the_wall():
    simulator = Simulator(empty_world(lambda b: wall_ahead(b, 3.0)), EXACT)
    scan = simulator.lidar.measure(simulator.data)
    laser_x = simulator.data.body("laser_link").xpos[0]
    ahead = np.abs(scan.angles_rad) < 0.8
    np.testing.assert_allclose(scan.ranges_m[ahead] * np.cos(scan.angles_rad[ahead]), 3.0 - laser_x, atol=0.002)
    assert np.isposinf(scan.ranges_m[np.abs(scan.angles_rad) > 1.6]).all()
    assert len(scan.ranges_m) == 541 and math.degrees(scan.angles_rad[-1] - scan.angles_rad[0]) == pytest.approx(270.0)


def test_lidar_noise_is_as_stated():
    simulator = Simulator(empty_world(lambda b: wall_ahead(b, 3.0)), SimConfig(seed=1))
    scans = np.array([simulator.lidar.measure(simulator.data).ranges_m for _ in range(100)])
    ahead = scans[:, 270]
    assert np.nanstd(ahead) == pytest.approx(0.008 + 0.002 * 2.845, rel=0.3)
    assert 0.0005 < np.isnan(scans).mean() < 0.005


def test_too_near_is_minus_infinity():
    simulator = Simulator(empty_world(lambda b: wall_ahead(b, 0.23)), EXACT)
    assert np.isneginf(simulator.lidar.measure(simulator.data).ranges_m[270])


def test_imu_at_rest_feels_gravity_and_in_a_turn_the_rate():
    simulator = Simulator(empty_world(), EXACT)
    np.testing.assert_allclose(last(run(simulator, 0.5), "imu").acceleration_mps2, [0, 0, GRAVITY], atol=0.05)
    rates = [one.imu.rate_radps[2] for one in drive(simulator, Twist2(0.0, 0.0, 0.8), 2.0) if one.imu]
    assert np.mean(rates[-25:]) == pytest.approx(0.8, rel=0.05)


def test_imu_knows_no_more_of_its_heading_than_its_gyro():
    simulator = Simulator(empty_world(start=(0.0, 0.0, 2.0)), EXACT)
    readings = drive(simulator, Twist2(0.0, 0.0, 0.8), 1.5)
    w, _, _, z = last(readings, "imu").quat_wxyz
    turned = last(readings, "truth").pose[2] - 2.0
    assert math.remainder(2.0 * math.atan2(z, w) - turned, 2.0 * math.pi) == pytest.approx(0.0, abs=0.01)


@pytest.fixture(scope="module")
def camera_scene():
    """A simulator with a wall at 3 m and a box before it; its exact images and the camera's true pose."""

    def scene(builder):
        wall_ahead(builder, 3.0)
        builder.fixed("block", 1.5, 0.4).box((0.4, 0.4, 1.4), (0, 0, 0), builder.material("blue", (0.1, 0.2, 0.8)))

    simulator = Simulator(empty_world(scene), EXACT)
    run(simulator, 0.05)
    images = simulator.render()
    yield simulator, images
    simulator.close()


def back_projected(simulator, images):
    """World points (H, W, 3) of the depth image through the intrinsics and the optical frame."""
    camera = simulator.camera
    v, u = np.mgrid[: camera.height, : camera.width]
    optical = (
        np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=-1)
        * images.depth_m[..., None]
    )
    frame = simulator.data.body("camera_color_optical_frame")
    return frame.xpos + optical @ frame.xmat.reshape(3, 3).T


def test_depth_back_projects_onto_the_geometry(camera_scene):
    simulator, images = camera_scene
    points = back_projected(simulator, images)
    assert images.color.shape == (240, 320, 3) and images.depth_m.shape == (240, 320)
    floor = points[-20:, :60].reshape(-1, 3)
    np.testing.assert_allclose(floor[:, 2], 0.0, atol=0.01)
    wall = points[100:130, 250:300].reshape(-1, 3)
    np.testing.assert_allclose(wall[:, 0], 3.0, atol=0.015)
    blue = (images.color[..., 2].astype(int) - images.color[..., 0]) > 60
    block = points[blue & (points[..., 2] > 0.2) & (points[..., 2] < 1.3)]
    assert len(block) > 500
    assert block[:, 0].min() == pytest.approx(1.3, abs=0.015)
    assert block[:, 1].min() == pytest.approx(0.2, abs=0.02) and block[:, 1].max() == pytest.approx(0.6, abs=0.02)


def test_camera_and_lidar_see_the_same_wall(camera_scene):
    simulator, images = camera_scene
    scan = simulator.lidar.measure(simulator.data)
    points = scan.points()
    laser = simulator.data.body("laser_link")
    lidar = laser.xpos + np.column_stack([points, np.zeros(len(points))]) @ laser.xmat.reshape(3, 3).T
    lidar_wall = lidar[(lidar[:, 1] < -0.3) & (lidar[:, 1] > -0.9), 0].mean()
    seen = back_projected(simulator, images)
    band = seen[(np.abs(seen[..., 1] + 0.6) < 0.3) & (seen[..., 2] > 0.5) & (seen[..., 2] < 1.2)]
    assert np.median(band[:, 0]) == pytest.approx(lidar_wall, abs=0.02)


def test_depth_beyond_the_range_is_nan(camera_scene):
    simulator, _ = camera_scene
    near = SimConfig(noise=0.0, depth_max_m=2.0)
    simulator = Simulator(simulator.world, near)
    images = simulator.render()
    simulator.close()
    assert np.isnan(images.depth_m[10, 10]) and np.nanmax(images.depth_m) <= 2.0


def test_same_seed_same_run_other_seed_other_noise():
    def readings(seed):
        simulator = Simulator(empty_world(lambda b: wall_ahead(b, 2.5)), SimConfig(seed=seed))
        scans = [one.scan.ranges_m for one in drive(simulator, Twist2(0.4, 0.0, 0.4), 1.0) if one.scan]
        return np.array(scans), simulator.truth().pose

    (scans, pose), (same_scans, same_pose), (other_scans, _) = readings(5), readings(5), readings(6)
    np.testing.assert_array_equal(scans, same_scans)
    np.testing.assert_array_equal(pose, same_pose)
    assert (scans != other_scans).any()


def test_reset_begins_the_same_run_again_later():
    simulator = Simulator(empty_world(), SimConfig(seed=2))
    first = last(drive(simulator, Twist2(0.5, 0.0, 0.2), 1.0), "odometry").pose
    simulator.reset()
    assert simulator.time_s == pytest.approx(1.0)  # time goes on
    np.testing.assert_allclose(simulator.truth().pose, [0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(last(drive(simulator, Twist2(0.5, 0.0, 0.2), 1.0), "odometry").pose, first, atol=1e-9)


def test_driving_into_a_wall_is_a_collision_once():
    simulator = Simulator(empty_world(lambda b: wall_ahead(b, 0.8)), EXACT)
    contacts = last(drive(simulator, Twist2(0.6), 2.0), "contacts")
    assert contacts.bumper and contacts.collisions == 1 and contacts.names == ("base_link/wall",)
    assert simulator.truth().pose[0] == pytest.approx(0.8 - 0.21, abs=0.01)


def test_arm_follows_a_trajectory_and_rates():
    simulator = Simulator(empty_world(), EXACT)
    goal = np.array(robot.ARM_READY_RAD)
    simulator.follow_trajectory("arm", Trajectory(np.array([1.5]), goal[None]))
    run(simulator, 2.0)
    np.testing.assert_allclose(simulator.joint_positions(robot.ARM_JOINTS), goal, atol=0.01)
    simulator.follow_trajectory("arm", Trajectory(np.array([0.01]), np.array([robot.ARM_FOLDED_RAD])))
    run(simulator, 0.2)
    moved = np.abs(simulator.joint_positions(robot.ARM_JOINTS) - goal)
    assert (moved <= 0.21 * np.array(robot.ARM_MAX_SPEEDS_RADPS) + 0.02).all()  # however short the trajectory


@pytest.mark.parametrize(
    "times, positions, says",
    [
        ([1.0], [[9.0, 0, 0, 0, 0, 0]], "arm_shoulder_pan_joint = 9.0"),
        ([1.0, 0.5], [[0.0] * 6, [0.0] * 6], "increase"),
        ([1.0], [[0.0] * 5], "expected"),
        ([math.nan], [[0.0] * 6], "finite"),
    ],
)
def test_trajectories_that_cannot_be_are_refused(times, positions, says):
    simulator = Simulator(empty_world(), EXACT)
    with pytest.raises(ValueError, match=says):
        simulator.follow_trajectory("arm", Trajectory(np.array(times), np.array(positions)))


def test_gripper_holds_a_box_and_feels_it():
    """A box 4 cm wide hangs where the fingers close: they stall at its width, both tips feel the force, it stays."""
    simulator = Simulator(empty_world(_box_between_fingers), EXACT)
    simulator.follow_trajectory("arm", Trajectory(np.array([1.0]), np.array([robot.ARM_READY_RAD])))
    simulator.command_gripper(0.09)
    run(simulator, 1.6)
    box, tip = simulator.data.joint("box_free"), simulator.data.body("gripper_tcp")
    mujoco.mju_mat2Quat(box.qpos[3:], tip.xmat)
    rotation = tip.xmat.reshape(3, 3)
    box.qpos[:3] = tip.xpos - rotation @ [0.0, 0.0, 0.02]
    box.qvel[:] = 0.0
    simulator.model.body_gravcomp[simulator.model.body("box").id] = 1.0
    simulator.command_gripper(0.0, 20.0)
    run(simulator, 1.2)
    assert simulator.gripper_width_m() == pytest.approx(0.04, abs=0.003)
    assert simulator.gripper.stalled and not simulator.gripper.reached(simulator.gripper_width_m())
    touch = simulator.touch()
    assert touch.left_n > 3.0 and touch.left_n == pytest.approx(touch.right_n, rel=0.35)
    simulator.model.body_gravcomp[:] = np.where(
        np.arange(simulator.model.nbody) == simulator.model.body("box").id, 0.0, simulator.model.body_gravcomp
    )
    run(simulator, 0.8)
    assert np.linalg.norm(box.qpos[:3] - tip.xpos) < 0.05


def _box_between_fingers(builder):
    builder.loose("box", 3.0, 0.0, 0.5, mass_kg=0.1).box(
        (0.03, 0.04, 0.04), (0, 0, 0), builder.material("red", (1, 0, 0))
    )


def test_gripper_opens_to_a_width():
    simulator = Simulator(empty_world(), EXACT)
    simulator.command_gripper(0.06)
    run(simulator, 1.2)
    assert simulator.gripper_width_m() == pytest.approx(0.06, abs=0.002)
    assert simulator.gripper.reached(simulator.gripper_width_m())
    with pytest.raises(ValueError, match=r"0\.2 m"):
        simulator.command_gripper(0.2)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"start": (1.0, 2.0)}, "start"),
        ({"depth_max_m": 0.5, "depth_min_m": 1.0}, "depth_max_m"),
        ({"image_width": 1}, "image_width"),
        ({"scan_range_max_m": 1.0, "scan_range_min_m": 1.0}, "scan_range_max_m"),
    ],
)
def test_bad_configs_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        SimConfig(**changes)


def _can_on_a_table(builder):
    grey = builder.material("table_grey", (0.5, 0.5, 0.5))
    builder.fixed("table", 0.60, 0.0).box((0.6, 1.0, 0.6), (0, 0, 0), grey)
    builder.loose("can", 0.48, 0.06, 0.601, mass_kg=0.2).cylinder(0.033, 0.11, (0, 0, 0), grey)


def _reach_down(x_m, y_m, z_m):
    """Joint angles that put the tool's tip at a point before the robot, pointing straight down (two-link geometry)."""
    upper, forearm, tool = 0.36, 0.34, 0.168
    radius, height = math.hypot(x_m - 0.01, y_m), z_m + tool - 0.491
    distance = math.hypot(radius, height)
    raised = math.atan2(height, radius) + math.acos((upper**2 + distance**2 - forearm**2) / (2 * upper * distance))
    bend = math.pi - math.acos((upper**2 + forearm**2 - distance**2) / (2 * upper * forearm))
    return np.array([math.atan2(y_m, x_m - 0.01), -raised, bend, 0.0, raised - bend + 0.5 * math.pi, 0.0])


def test_arm_picks_a_can_from_a_table():
    simulator = Simulator(empty_world(_can_on_a_table), EXACT)
    simulator.command_gripper(0.09)
    simulator.follow_trajectory("arm", Trajectory(np.array([2.0]), np.array([[0.0, -1.9, 1.9, 0.0, 1.57, 0.0]])))
    run(simulator, 2.2)  # first up, clear of the table's edge
    for height in (0.80, 0.655):
        simulator.follow_trajectory("arm", Trajectory(np.array([2.0]), _reach_down(0.48, 0.06, height)[None]))
        run(simulator, 2.3)
        np.testing.assert_allclose(simulator.data.body("gripper_tcp").xpos, [0.48, 0.06, height], atol=0.01)
    simulator.command_gripper(0.0, 30.0)
    run(simulator, 1.2)
    assert simulator.gripper_width_m() == pytest.approx(0.066, abs=0.004)
    simulator.follow_trajectory("arm", Trajectory(np.array([1.5]), _reach_down(0.48, 0.06, 0.80)[None]))
    run(simulator, 2.5)
    assert simulator.data.joint("can_free").qpos[2] > 0.601 + 0.12
    assert simulator.touch().left_n > 1.0 and simulator.touch().right_n > 1.0
    held_at_m = simulator.data.joint("can_free").qpos[2]
    run(simulator, 15.0)
    assert simulator.data.joint("can_free").qpos[2] == pytest.approx(held_at_m, abs=0.006), "it slides out of the hand"
