# SPDX-License-Identifier: Apache-2.0
"""Parameters of the executive: the places it knows, how it looks, how near it goes, and when it gives up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from axon_core.config import check_config, param
from axon_core.footprints import Footprint, rectangle_footprint


@dataclass(frozen=True)
class MissionConfig:
    """Everything that the tree and its node may be told."""

    map_frame: str = param("map", "Frame of the places and of all goals", read_only=True)
    base_frame: str = param("base_link", "Frame of the robot's base", read_only=True)
    places: tuple[str, ...] = param((), "Places that goals may name, as NAME=X,Y,YAW in map_frame, m and rad")

    min_score: float = param(0.4, "Detections below are not looked at", minimum=0.0, maximum=1.0)
    sightings: int = param(3, "Detections at one spot that make a find", minimum=1, maximum=100)
    sighting_radius_m: float = param(
        0.08, "Detections so near each other are one thing", unit="m", minimum=0.01, maximum=1.0
    )
    sighting_memory_s: float = param(8.0, "Age at which a detection is forgotten", unit="s", minimum=0.5, maximum=600.0)
    sighting_range_m: float = param(3.0, "Farther detections are not used", unit="m", minimum=0.3, maximum=20.0)
    vote_share: float = param(
        0.5, "Share of the scores at a spot that the class must have, against other classes", minimum=0.0, maximum=1.0
    )

    look_tilts_rad: tuple[float, ...] = param(
        (0.35, 0.65),
        "Tilts of the camera to look with at a place, positive down",
        unit="rad",
        minimum=-0.7,
        maximum=1.3,
    )
    look_turns_rad: tuple[float, ...] = param(
        (0.0, 0.6, -0.6), "Turns of the base to look with at a place", unit="rad", minimum=-3.15, maximum=3.15
    )
    look_s: float = param(2.5, "Time to look, for each tilt and turn", unit="s", minimum=0.1, maximum=60.0)
    drive_tilt_rad: float = param(0.15, "Tilt of the camera while driving", unit="rad", minimum=-0.7, maximum=1.3)
    camera_height_m: float = param(1.12, "Height of the camera's joint", unit="m", minimum=0.1, maximum=3.0)
    camera_x_m: float = param(-0.165, "Camera's joint ahead of base_link", unit="m", minimum=-1.0, maximum=1.0)

    reach_m: float = param(0.68, "Length of the stretched arm, shoulder to wrist", unit="m", minimum=0.1, maximum=3.0)
    shoulder_height_m: float = param(0.49, "Height of the arm's shoulder", unit="m", minimum=0.0, maximum=3.0)
    shoulder_x_m: float = param(0.01, "Shoulder ahead of base_link", unit="m", minimum=-1.0, maximum=1.0)
    tool_length_m: float = param(
        0.17, "Wrist to fingertips; the hand comes from above", unit="m", minimum=0.0, maximum=1.0
    )
    stand_distance_m: float = param(
        0.42, "Distance from base_link to the object that is best to pick at", unit="m", minimum=0.2, maximum=2.0
    )
    stand_clearance_m: float = param(
        0.04, "Kept free around the footprint where the robot stands to pick", unit="m", minimum=0.0, maximum=0.5
    )
    stand_attempts: int = param(3, "Sides of the object to try", minimum=1, maximum=20)
    footprint_length_m: float = param(0.42, "Length of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    footprint_width_m: float = param(0.33, "Width of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    run_up_m: float = param(
        0.25, "Length of the straight way to the object, and back", unit="m", minimum=0.0, maximum=2.0
    )
    creep_speed_mps: float = param(0.12, "Speed of the straight way", unit="m/s", minimum=0.01, maximum=0.5)
    creep_turn_radps: float = param(
        0.5, "Turning speed while facing the object", unit="rad/s", minimum=0.05, maximum=2.0
    )

    folded_rad: tuple[float, ...] = param(
        (0.0, -1.66, 2.79, 0.0, 0.44, 0.0),
        "Joints of the arm when it is folded, after a pick that failed",
        unit="rad",
        minimum=-6.3,
        maximum=6.3,
    )
    arm_joints: tuple[str, ...] = param(
        (
            "arm_shoulder_pan_joint",
            "arm_shoulder_lift_joint",
            "arm_elbow_joint",
            "arm_forearm_roll_joint",
            "arm_wrist_pitch_joint",
            "arm_wrist_roll_joint",
        ),
        "Names of these joints",
        read_only=True,
    )
    arm_move_s: float = param(2.5, "Time to fold the arm", unit="s", minimum=0.2, maximum=30.0)
    finger_joints: tuple[str, ...] = param(
        ("gripper_left_finger_joint", "gripper_right_finger_joint"),
        "Joints whose positions add up to the gripper's opening",
        read_only=True,
    )
    tilt_joint: str = param("camera_tilt_joint", "Joint that tilts the camera", read_only=True)
    held_share: float = param(
        0.5, "Share of the opening after the pick below which the object is lost", minimum=0.0, maximum=1.0
    )

    drive_attempts: int = param(2, "How often a drive is tried", minimum=1, maximum=20)
    pick_attempts: int = param(3, "How often an object is approached and picked", minimum=1, maximum=20)
    timeout_s: float = param(600.0, "Longest time for a fetch", unit="s", minimum=1.0, maximum=86400.0)
    startup_timeout_s: float = param(
        30.0, "Longest wait for the other nodes when a goal comes", unit="s", minimum=0.1, maximum=600.0
    )
    silence_timeout_s: float = param(
        5.0, "Silence of a driving planner after which its goal is given up", unit="s", minimum=0.5, maximum=60.0
    )
    tick_rate_hz: float = param(20.0, "Rate of the tree", unit="Hz", minimum=2.0, maximum=100.0, read_only=True)

    def __post_init__(self) -> None:
        check_config(self)
        if len(self.folded_rad) != len(self.arm_joints):
            raise ValueError(
                f"folded_rad = {list(self.folded_rad)}: expected {len(self.arm_joints)} angles, "
                "one for each of arm_joints"
            )
        self.poses  # noqa: B018  a place that cannot be read is found now, not when a goal names it

    @cached_property
    def poses(self) -> dict[str, NDArray[np.float64]]:
        """The places as map_T_base (3,) by name. Raises ValueError where one is not NAME=X,Y,YAW."""
        return dict(_place(entry) for entry in self.places)

    @property
    def footprint(self) -> Footprint:
        """The rectangle of the base, in its frame."""
        return rectangle_footprint(self.footprint_length_m, self.footprint_width_m)


def _place(entry: str) -> tuple[str, NDArray[np.float64]]:
    name, _, text = entry.partition("=")
    try:
        pose = np.array([float(part) for part in text.split(",")])
    except ValueError:
        pose = np.empty(0)
    if not name or pose.shape != (3,) or not np.isfinite(pose).all():
        raise ValueError(f"places entry {entry!r}: expected NAME=X,Y,YAW with three numbers, as kitchen=5.6,-1.35,0.0")
    return name, pose
