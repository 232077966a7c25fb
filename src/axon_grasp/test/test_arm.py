# SPDX-License-Identifier: Apache-2.0
"""The arm: forward and inverse kinematics, limits, and what it must not touch."""

import numpy as np
import pytest

from axon_grasp.arm import Arm, NoReach, Obstacles
from axon_grasp.config import ARM_JOINTS, GraspConfig
from axon_sim import robot

READY = np.array(GraspConfig().ready_rad)


@pytest.fixture(scope="module")
def arm() -> Arm:
    return Arm(robot.load_urdf(), ARM_JOINTS, "gripper_tcp")


def down_at(x, y, z, angle=0.0):
    """A pose that points straight down and closes along an angle."""
    pose, c, s = np.eye(4), np.cos(angle), np.sin(angle)
    pose[:3, :3] = np.column_stack([[0.0, 0.0, -1.0], [c, s, 0.0], [s, -c, 0.0]])
    pose[:3, 3] = x, y, z
    return pose


def table(height_m):
    """Obstacles: a table that begins 0.30 m before the base."""
    heights = np.full((100, 100), np.nan)
    heights[:, 65:] = height_m  # x from 0.30 on
    return Obstacles(heights, 0.02, np.array([-1.0, -1.0]))


@pytest.mark.parametrize("seed", range(5))
def test_inverse_of_forward_gives_the_pose_back(arm, seed):
    rng = np.random.default_rng(seed)
    for _ in range(5):
        pose = down_at(rng.uniform(0.32, 0.5), rng.uniform(-0.2, 0.2), rng.uniform(0.45, 0.7), rng.uniform(0, np.pi))
        seeded = READY.copy()
        seeded[0] = np.arctan2(pose[1, 3], pose[0, 3])
        positions = arm.inverse(pose, [seeded])
        assert (positions >= arm.lower - 1e-9).all() and (positions <= arm.upper + 1e-9).all()
        reached = arm.forward(positions)
        assert np.linalg.norm(reached[:3, 3] - pose[:3, 3]) < 0.002
        assert np.degrees(np.arccos(np.clip((np.trace(reached[:3, :3].T @ pose[:3, :3]) - 1) / 2, -1, 1))) < 1.0


def test_kinematics_are_those_of_the_simulated_robot(arm):
    import mujoco

    model = robot.load_robot_spec().compile()
    data = mujoco.MjData(model)
    rng = np.random.default_rng(3)
    for _ in range(10):
        positions = rng.uniform(arm.lower, arm.upper)
        for name, value in zip(ARM_JOINTS, positions, strict=True):
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(arm.forward(positions)[:3, 3], data.body("gripper_tcp").xpos, atol=1e-5)


def test_out_of_reach_is_said(arm):
    with pytest.raises(NoReach, match=r"1\.20"):
        arm.inverse(down_at(1.2, 0.0, 0.6), [READY])


def test_a_line_is_straight_and_keeps_the_direction(arm):
    start = arm.inverse(down_at(0.42, 0.05, 0.60), [READY])
    rows = arm.line(start, np.array([0.42, 0.05, 0.70]))
    poses = np.array([arm.forward(row) for row in rows])
    np.testing.assert_allclose(poses[:, :2, 3], np.tile([0.42, 0.05], (len(rows), 1)), atol=0.003)
    assert (np.diff(poses[:, 2, 3]) > 0.0).all() and poses[-1, 2, 3] == pytest.approx(0.70, abs=0.003)
    np.testing.assert_allclose(poses[:, 2, 0], -1.0, atol=0.001)


def test_the_table_is_not_touched(arm):
    low, high = arm.inverse(down_at(0.45, 0.0, 0.55), [READY]), arm.inverse(down_at(0.45, 0.0, 0.75), [READY])
    assert arm.blocked(low) == "" and arm.blocked(low, table(0.55)) == "what the camera sees"
    assert arm.blocked(high, table(0.55)) == ""
    assert arm.blocked(high, table(0.55), load_m=0.25) == "what the camera sees"  # what hangs in the hand does
    with pytest.raises(NoReach, match="touch"):
        arm.check_path(np.array([high, low]), table(0.55))


@pytest.mark.parametrize("load_m", [0.02, 0.06, 0.12, 0.25])
def test_what_hangs_in_the_hand_keeps_clear_of_the_table_whatever_its_length(arm, load_m):
    pose = arm.inverse(down_at(0.45, 0.0, 0.75), [READY])
    tip_m = arm.forward(pose)[2, 3]
    assert arm.blocked(pose, table(tip_m - load_m - 0.01), load_m=load_m) == ""
    assert arm.blocked(pose, table(tip_m - load_m + 0.01), load_m=load_m) == "what the camera sees"


def test_the_robot_itself_is_not_touched(arm):
    into_the_mast = READY.copy()
    into_the_mast[1] = -2.3
    assert "mast_link" in arm.blocked(into_the_mast)
    for pose in (GraspConfig().ready_rad, GraspConfig().carry_rad, GraspConfig().carry_high_rad, robot.ARM_FOLDED_RAD):
        assert arm.blocked(np.array(pose)) == ""


def test_no_joint_is_faster_than_asked(arm):
    path = arm.timed(np.array([robot.ARM_FOLDED_RAD, READY, np.array(GraspConfig().carry_rad)]), 0.5)
    speeds = np.abs(np.diff(path.positions, axis=0)) / np.diff(path.times_s)[:, None]
    assert path.times_s[0] == 0.0 and (speeds <= 0.5 * np.array(robot.ARM_MAX_SPEEDS_RADPS) + 1e-9).all()
    np.testing.assert_allclose(arm.max_speeds, robot.ARM_MAX_SPEEDS_RADPS)


def test_the_camera_looks_at_the_target(arm):
    target = np.array([0.45, 0.0, 0.6])
    tilt = arm.tilt_to(target, "camera_tilt_joint", "camera_color_optical_frame")
    camera_T_base = np.linalg.inv(arm.pose_of("camera_color_optical_frame", "camera_tilt_joint", tilt))
    _, y, z, _ = camera_T_base @ [*target, 1.0]
    assert z > 0.0 and abs(np.arctan2(y, z)) < 0.01


@pytest.mark.parametrize(
    ("urdf", "joints", "says"),
    [
        ("nonsense", ARM_JOINTS, "no XML"),
        ("<robot name='a'><link name='base'/></robot>", ARM_JOINTS, "lacks gripper_tcp"),
        (None, ("no_such_joint",), "lacks no_such_joint"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(urdf, joints, says):
    with pytest.raises(ValueError, match=says):
        Arm(urdf or robot.load_urdf(), joints, "gripper_tcp")
