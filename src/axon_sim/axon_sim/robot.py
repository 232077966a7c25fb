# SPDX-License-Identifier: Apache-2.0
"""The robot's description: files, names, dimensions and limits that the model files and the code share."""

from importlib import resources

import mujoco
import numpy as np

from axon_core.footprints import Footprint, rectangle_footprint
from axon_core.motion import MotionLimits

BASE_LENGTH_M = 0.42
BASE_WIDTH_M = 0.33
WHEEL_RADIUS_M = 0.08
WHEEL_TRACK_M = 0.285

ARM_JOINTS = (
    "arm_shoulder_pan_joint",
    "arm_shoulder_lift_joint",
    "arm_elbow_joint",
    "arm_forearm_roll_joint",
    "arm_wrist_pitch_joint",
    "arm_wrist_roll_joint",
)
ARM_MAX_SPEEDS_RADPS = (1.8, 1.6, 1.8, 2.5, 2.5, 3.0)
ARM_FOLDED_RAD = (0.0, -1.66, 2.79, 0.0, 0.44, 0.0)
ARM_READY_RAD = (0.0, -1.2, 1.9, 0.0, 0.87, 0.0)
CAMERA_JOINTS = ("camera_tilt_joint",)
CAMERA_MAX_SPEEDS_RADPS = (1.5,)
WHEEL_JOINTS = ("wheel_left_joint", "wheel_right_joint")
FINGER_JOINTS = ("gripper_left_finger_joint", "gripper_right_finger_joint")
GRIPPER_MAX_WIDTH_M = 0.09
GRIPPER_MAX_FORCE_N = 60.0
JOINT_ORDER = WHEEL_JOINTS + CAMERA_JOINTS + ARM_JOINTS + FINGER_JOINTS

BASE_LIMITS = MotionLimits(
    max_speed_mps=2.0,
    max_reverse_mps=2.0,
    max_turn_radps=3.0,
    max_accel_mps2=2.5,
    max_decel_mps2=2.5,
    max_turn_accel_radps2=6.0,
)


def robot_footprint() -> Footprint:
    """Return the outline of the base; the folded arm and the mast stay within it."""
    return rectangle_footprint(BASE_LENGTH_M, BASE_WIDTH_M)


def load_robot_spec() -> mujoco.MjSpec:
    """Return a fresh MJCF specification that holds nothing but the robot, base_link at the origin."""
    return mujoco.MjSpec.from_string(_asset_text("axon_robot.xml"))


def load_urdf() -> str:
    """Return the URDF text, for `robot_description`."""
    return _asset_text("axon_robot.urdf")


def actuator_name(joint_name: str) -> str:
    """Return the name of the actuator that drives a joint of the arm, a wheel or the mast."""
    return joint_name.removesuffix("_joint")


def joint_names_to_indices(names: tuple[str, ...], given: list[str]) -> np.ndarray:
    """Return for each of `names` its index in `given`; ValueError says which joints are missing or unknown."""
    if sorted(names) != sorted(given):
        raise ValueError(f"joints {list(given)}: expected each of {list(names)} once")
    return np.array([given.index(name) for name in names], dtype=np.intp)


def _asset_text(name: str) -> str:
    return resources.files("axon_sim").joinpath("assets", name).read_text(encoding="utf-8")
