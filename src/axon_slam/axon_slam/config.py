# SPDX-License-Identifier: Apache-2.0
"""Parameters of SLAM and its node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param


@dataclass(frozen=True)
class SlamConfig:
    map_frame: str = param("map", "Frame of the map", read_only=True)
    odom_frame: str = param("odom", "Frame of the wheel odometry", read_only=True)
    base_frame: str = param("base_link", "Frame of the robot's base", read_only=True)
    use_odometry: bool = param(True, "Predict the motion by tf odom <- base; without it, by constant velocity")
    publish_tf: bool = param(True, "Broadcast tf map -> odom; off where another localiser does")
    map_dir: str = param("", "Folder that slam/save_map writes and slam/load_map reads")
    load_on_start: bool = param(False, "Load map_dir at the start and localise in it", read_only=True)
    map_period_s: float = param(1.0, "Time between two publications of the map", unit="s", minimum=0.1, maximum=60.0)
    sync_tolerance_s: float = param(
        0.02, "Largest difference of the stamps of colour and depth", unit="s", minimum=0.0, maximum=0.5
    )

    features: str = param(
        "orb", "Kind of features: fast (orb) or precise (sift)", choices=("orb", "sift"), read_only=True
    )
    feature_count: int = param(1000, "Features a frame", minimum=100, maximum=5000, read_only=True)
    depth_min_m: float = param(0.2, "Nearer depth is not used", unit="m", minimum=0.0, maximum=5.0)
    depth_max_m: float = param(6.0, "Farther depth is not used", unit="m", minimum=0.5, maximum=50.0)
    robot_box_m: tuple[float, ...] = param(
        (),
        "What the camera sees in this box is the robot's own arm and load, and not looked at: x, y, z from and "
        "x, y, z to in base_frame; empty: nothing is",
        unit="m",
    )
    depth_noise: float = param(
        0.005,
        "Sigma of depth over its square, as of structured light and stereo",
        unit="1/m",
        minimum=1e-4,
        maximum=0.1,
    )

    planar: bool = param(True, "The base drives on a level floor: hold height, roll and pitch near zero")
    search_radius_px: float = param(
        16.0, "Where a feature is looked for around its prediction", unit="px", minimum=2.0, maximum=100.0
    )
    local_keyframes: int = param(6, "Keyframes a frame is tracked against", minimum=1, maximum=50)
    min_inliers: int = param(25, "Matches below which a pose is not believed", minimum=6, maximum=1000)
    max_jump_m: float = param(
        0.4, "A pose farther from its prediction is not believed", unit="m", minimum=0.02, maximum=10.0
    )
    max_jump_rad: float = param(
        0.6, "A pose turned farther from its prediction is not believed", unit="rad", minimum=0.02, maximum=3.15
    )
    lost_after_s: float = param(
        0.5, "Time without a believed pose after which the track is lost", unit="s", minimum=0.05, maximum=10.0
    )
    restart_after_s: float = param(
        1.0,
        "Time after which a lost track with odometry goes on mapping from where odometry says it is",
        unit="s",
        minimum=0.5,
        maximum=600.0,
    )

    keyframe_distance_m: float = param(
        0.2, "Distance to all other keyframes that makes a new one", unit="m", minimum=0.01, maximum=5.0
    )
    keyframe_angle_rad: float = param(
        0.25, "Turn from all near keyframes that makes a new one", unit="rad", minimum=0.01, maximum=3.0
    )
    keyframe_overlap: float = param(
        0.4, "Share of known features below which a frame becomes a keyframe", minimum=0.0, maximum=1.0
    )

    loop_closure: bool = param(True, "Recognise places and correct the drift")
    loop_gap: int = param(10, "Keyframes between two that may close a loop", minimum=2, maximum=1000)
    loop_inliers: int = param(30, "Matches that prove a loop", minimum=10, maximum=1000)
    loop_candidates: int = param(3, "Similar keyframes looked at for a loop or a relocalisation", minimum=1, maximum=20)

    occupancy_source: str = param(
        "depth", "What the occupancy map is made of", choices=("depth", "scan"), read_only=True
    )
    resolution_m: float = param(0.05, "Edge of a cell of the map", unit="m", minimum=0.01, maximum=1.0, read_only=True)
    obstacle_min_z_m: float = param(0.06, "What is lower in base_link is floor", unit="m", minimum=-1.0, maximum=5.0)
    obstacle_max_z_m: float = param(
        1.2, "What is higher in base_link is no obstacle", unit="m", minimum=0.0, maximum=10.0
    )
    occupancy_range_m: float = param(5.0, "Farther is not entered", unit="m", minimum=0.5, maximum=50.0)
    seed: int = param(0, "Seed of the random samples", minimum=0, maximum=2**31 - 1, read_only=True)

    def __post_init__(self) -> None:
        check_config(self)
        if self.depth_max_m <= self.depth_min_m:
            raise ValueError(f"depth_max_m = {self.depth_max_m}: expected more than depth_min_m = {self.depth_min_m}")
        if self.robot_box_m and (
            len(self.robot_box_m) != 6
            or any(low >= high for low, high in zip(self.robot_box_m[:3], self.robot_box_m[3:], strict=True))
        ):
            raise ValueError(f"robot_box_m = {list(self.robot_box_m)}: expected x, y, z from and larger x, y, z to")
        if self.obstacle_max_z_m <= self.obstacle_min_z_m:
            raise ValueError(
                f"obstacle_max_z_m = {self.obstacle_max_z_m}: expected more than "
                f"obstacle_min_z_m = {self.obstacle_min_z_m}"
            )
