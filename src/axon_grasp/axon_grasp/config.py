# SPDX-License-Identifier: Apache-2.0
"""Parameters of grasping and its node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param
from axon_grasp.grasps import FitLimits, GripperShape

ARM_JOINTS = (
    "arm_shoulder_pan_joint",
    "arm_shoulder_lift_joint",
    "arm_elbow_joint",
    "arm_forearm_roll_joint",
    "arm_wrist_pitch_joint",
    "arm_wrist_roll_joint",
)


@dataclass(frozen=True)
class GraspConfig:
    model: str = param("grasp", "Grasp network: a name in models/manifest.yaml, or the path of a file", read_only=True)
    threads: int = param(1, "Threads of the network", minimum=1, maximum=64, read_only=True)
    robot_description: str = param(
        "", "URDF text of the robot; empty: from the topic robot_description", read_only=True
    )
    base_frame: str = param("base_link", "Root of the robot's description, z up", read_only=True)
    tip_frame: str = param(
        "gripper_tcp",
        "Link midway between the fingertips, x along the approach, y the closing direction",
        read_only=True,
    )
    arm_joints: tuple[str, ...] = param(ARM_JOINTS, "Joints of the arm, from the base outward", read_only=True)
    finger_joints: tuple[str, ...] = param(
        ("gripper_left_finger_joint", "gripper_right_finger_joint"),
        "Joints whose positions add up to the gripper's opening",
        read_only=True,
    )
    head_joint: str = param(
        "camera_tilt_joint", "Joint that tilts the camera before a pick looks; empty: it stays as it is"
    )
    camera_frame: str = param("camera_color_optical_frame", "Optical frame of the camera on the head", read_only=True)

    max_rate_hz: float = param(
        2.0, "Most often that grasps are looked for while somebody watches", unit="Hz", minimum=0.1, maximum=30.0
    )
    grasp_count: int = param(8, "Most grasps of one image", minimum=1, maximum=100)
    min_quality: float = param(0.3, "Grasps of less predicted quality are not taken", minimum=0.0, maximum=1.0)
    watch_x_m: float = param(
        0.55, "Where grasps are looked for while no pick runs: x in base_frame", unit="m", minimum=0.0, maximum=5.0
    )
    watch_z_m: float = param(0.6, "The same: height in base_frame", unit="m", minimum=-1.0, maximum=3.0)
    search_radius_m: float = param(
        0.25, "How far a detection may lie from the target of a pick", unit="m", minimum=0.01, maximum=5.0
    )
    object_radius_m: float = param(
        0.14, "How far a thing may begin from where it is looked for", unit="m", minimum=0.01, maximum=0.19
    )
    require_detection: bool = param(False, "A pick of a class needs a detection of it; else the target alone will do")

    gripper_max_opening_m: float = param(0.09, "Widest opening", unit="m", minimum=0.01, maximum=0.3)
    finger_thick_m: float = param(0.014, "A finger along the closing direction", unit="m", minimum=0.001, maximum=0.1)
    finger_wide_m: float = param(0.022, "A finger across it", unit="m", minimum=0.001, maximum=0.1)
    finger_tip_m: float = param(0.019, "Reach of the fingertips beyond tip_frame", unit="m", minimum=0.0, maximum=0.2)
    palm_m: float = param(0.045, "Distance of the palm behind tip_frame", unit="m", minimum=0.0, maximum=0.3)
    palm_long_m: float = param(0.116, "The palm along the closing direction", unit="m", minimum=0.0, maximum=0.5)
    palm_wide_m: float = param(0.048, "The palm across it", unit="m", minimum=0.0, maximum=0.5)
    grasp_depth_m: float = param(
        0.03, "How deep tip_frame goes below the highest point between the fingers", unit="m", minimum=0.0, maximum=0.2
    )
    clearance_m: float = param(0.004, "Distance kept below fingertips and palm", unit="m", minimum=0.0, maximum=0.05)
    grip_force_n: float = param(60.0, "Force of the closing gripper", unit="N", minimum=0.0, maximum=500.0)
    held_width_m: float = param(
        0.0015, "Fingers that close farther than this hold nothing", unit="m", minimum=0.0, maximum=0.1
    )
    held_touch_n: float = param(
        0.5, "Least touch of both fingertips after the lift, where they can feel", unit="N", minimum=0.0, maximum=100.0
    )

    approach_m: float = param(
        0.10, "Height above a grasp from which to go straight down", unit="m", minimum=0.02, maximum=0.5
    )
    lift_m: float = param(0.10, "How far to lift before verifying", unit="m", minimum=0.01, maximum=0.5)
    speed_scale: float = param(0.6, "Share of the joints' speed limits", minimum=0.05, maximum=1.0)
    attempts: int = param(2, "Attempts of one pick, each with a new look", minimum=1, maximum=10)
    timeout_s: float = param(120.0, "Longest pick", unit="s", minimum=1.0, maximum=3600.0)
    settle_s: float = param(0.3, "Wait between moving the camera and looking", unit="s", minimum=0.0, maximum=5.0)
    ready_rad: tuple[float, ...] = param(
        (0.0, -1.7, 1.2, 0.0, 2.07, 0.0),
        "Arm raised over the base: the way between any two places",
        unit="rad",
        minimum=-6.3,
        maximum=6.3,
    )
    carry_rad: tuple[float, ...] = param(
        (0.0, -1.66, 2.735, 0.0, 0.495, 1.57),
        "Arm folded with an object in the hand",
        unit="rad",
        minimum=-6.3,
        maximum=6.3,
    )
    carry_high_rad: tuple[float, ...] = param(
        (0.0, -1.85, 2.265, 0.0, 1.155, 1.57),
        "The same for what hangs down farther than carry_long_m",
        unit="rad",
        minimum=-6.3,
        maximum=6.3,
    )
    carry_long_m: float = param(
        0.10, "Length below tip_frame from which carry_high_rad is used", unit="m", minimum=0.0, maximum=1.0
    )

    def __post_init__(self) -> None:
        check_config(self)
        for name in ("ready_rad", "carry_rad", "carry_high_rad"):
            if len(getattr(self, name)) != len(self.arm_joints):
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values: expected {len(self.arm_joints)}, as arm_joints"
                )

    @property
    def gripper(self) -> GripperShape:
        """The gripper's shape."""
        return GripperShape(
            self.gripper_max_opening_m,
            self.finger_thick_m,
            self.finger_wide_m,
            self.finger_tip_m,
            self.palm_m,
            self.palm_long_m,
            self.palm_wide_m,
        )

    @property
    def limits(self) -> FitLimits:
        """How grasps are placed."""
        return FitLimits(depth_m=self.grasp_depth_m, clearance_m=self.clearance_m)
