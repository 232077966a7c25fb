# SPDX-License-Identifier: Apache-2.0
"""What SLAM masks as the robot itself is the robot: the box of config/slam.yaml against the simulated camera."""

from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

from axon_core.geometry import invert_transform
from axon_grasp.config import GraspConfig
from axon_sim import robot
from axon_sim.config import SimConfig
from axon_sim.simulator import Simulator
from axon_slam.config import SlamConfig
from axon_slam.frames import robot_pixels

CONFIG = Path(__file__).resolve().parent.parent / "config" / "slam.yaml"
POSES = ("carry_rad", "carry_high_rad", "ready_rad")


def pose_of(data, body):
    pose, found = np.eye(4), data.body(body)
    pose[:3, :3], pose[:3, 3] = found.xmat.reshape(3, 3), found.xpos
    return pose


@pytest.fixture(scope="module")
def looks():
    """Depth (H, W) without the robot's arm in view and with it in each of the poses; camera; base_T_camera."""
    simulator = Simulator.from_config(SimConfig(world="tabletop:1001", noise=0.0))
    depths = {}
    for name in ("away", *POSES):
        positions = (1.5, 0.9, 0.0, 0.0, 0.0, 0.0) if name == "away" else getattr(GraspConfig(), name)
        for joint, position in zip(robot.ARM_JOINTS, positions, strict=True):
            simulator.data.joint(joint).qpos = position
        mujoco.mj_forward(simulator.model, simulator.data)
        depths[name] = np.array(simulator.render().depth_m)
    world_T_camera = pose_of(simulator.data, "camera_color_optical_frame")
    mount = invert_transform(pose_of(simulator.data, "base_link")) @ world_T_camera
    simulator.close()
    return depths, simulator.camera, mount


@pytest.mark.parametrize("pose", POSES)
def test_the_box_holds_the_arm_as_it_carries_and_little_else(looks, pose):
    depths, camera, mount = looks
    parameters = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["/**/slam"]["ros__parameters"]
    box_m = SlamConfig(robot_box_m=tuple(parameters["robot_box_m"])).robot_box_m
    away, there = (np.nan_to_num(depths[name], nan=20.0) for name in ("away", pose))
    arm = there < away - 0.05
    mask = robot_pixels(depths[pose], camera, mount, box_m)
    if pose == "ready_rad":  # the others are below the camera's view
        assert arm.mean() > 0.03
    assert (arm & ~mask).mean() < 0.001
    assert (mask & ~arm).mean() < 0.1
