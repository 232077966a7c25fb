# SPDX-License-Identifier: Apache-2.0
"""Parameters of the simulator and its node."""

from dataclasses import dataclass

from axon_core.config import check_config, param

TICK_S = 0.01


@dataclass(frozen=True)
class SimConfig:
    """What is simulated and how fast.

    The pace, `always_render`, `command_timeout_s` and `patience_s` may change while time runs.
    """

    world: str = param(
        "apartment",
        "apartment, warehouse or tabletop (with :SEED if wanted), barn:N, barn-like:SEED, or a .world file",
        read_only=True,
    )
    seed: int = param(0, "Seed of the world's layout and of all noise", minimum=0, maximum=2**31 - 1, read_only=True)
    data_dir: str = param(
        "",
        "Folder of the BARN worlds; empty: environment AXON_BARN_DIR, then shared/data/barn beside the checkout",
        read_only=True,
    )
    start: tuple[float, ...] = param(
        (), "Start pose x, y, yaw in the world; empty: the world's own", unit="m, m, rad", read_only=True
    )
    real_time_factor: float = param(
        1.0, "Simulated seconds a second; 0: as fast as possible", minimum=0.0, maximum=100.0
    )
    noise: float = param(1.0, "Scale of all sensor noise; 0: none", minimum=0.0, maximum=10.0, read_only=True)
    state_rate_hz: float = param(
        50.0, "Rate of odom, imu, joint_states, tf and touch", unit="Hz", minimum=1.0, maximum=100.0, read_only=True
    )
    scan_rate_hz: float = param(10.0, "Rate of the lidar", unit="Hz", minimum=1.0, maximum=50.0, read_only=True)
    scan_rays: int = param(541, "Rays of the lidar over its field of view", minimum=3, maximum=4001, read_only=True)
    scan_fov_deg: float = param(
        270.0, "Field of view of the lidar", unit="deg", minimum=10.0, maximum=360.0, read_only=True
    )
    scan_range_min_m: float = param(
        0.1, "Shortest range of the lidar", unit="m", minimum=0.0, maximum=1.0, read_only=True
    )
    scan_range_max_m: float = param(
        20.0, "Longest range of the lidar", unit="m", minimum=1.0, maximum=100.0, read_only=True
    )
    camera_rate_hz: float = param(
        10.0, "Rate of colour and depth images", unit="Hz", minimum=0.5, maximum=50.0, read_only=True
    )
    image_width: int = param(320, "Width of the images", unit="px", minimum=16, maximum=1920, read_only=True)
    image_height: int = param(240, "Height of the images", unit="px", minimum=16, maximum=1080, read_only=True)
    depth_min_m: float = param(
        0.15, "Nearest depth that is measured", unit="m", minimum=0.05, maximum=2.0, read_only=True
    )
    depth_max_m: float = param(
        8.0, "Farthest depth that is measured", unit="m", minimum=0.5, maximum=50.0, read_only=True
    )
    shadows: bool = param(
        False, "Draw shadows into the camera's images: three times as slow without a GPU", read_only=True
    )
    always_render: bool = param(False, "Render also while nobody subscribes to an image")
    command_timeout_s: float = param(
        0.3, "The base brakes when no velocity command came for so long", unit="s", minimum=0.05, maximum=5.0
    )
    patience_s: float = param(
        0.5,
        "Simulated time waits so long, by the wall clock, for a velocity command that is late; 0: never",
        unit="s",
        minimum=0.0,
        maximum=10.0,
    )
    publish_tf: bool = param(True, "Publish odom -> base_link and the robot's links", read_only=True)
    odom_frame: str = param("odom", "Frame of the odometry", read_only=True)
    stamped_commands: bool = param(False, "cmd_vel is TwistStamped instead of Twist", read_only=True)
    viewer: bool = param(False, "Open MuJoCo's window; needs a display", read_only=True)

    def __post_init__(self) -> None:
        check_config(self)
        if len(self.start) not in (0, 3):
            raise ValueError(f"start = {self.start}: expected x, y, yaw or nothing")
        if self.scan_range_max_m <= self.scan_range_min_m:
            raise ValueError(f"scan_range_max_m = {self.scan_range_max_m}: expected more than scan_range_min_m")
        if self.depth_max_m <= self.depth_min_m:
            raise ValueError(f"depth_max_m = {self.depth_max_m}: expected more than depth_min_m = {self.depth_min_m}")
