# SPDX-License-Identifier: Apache-2.0
"""Parameters of the shield."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from axon_core.config import check_config, param
from axon_core.footprints import Footprint, footprint_from_list, rectangle_footprint


@dataclass(frozen=True)
class SafetyConfig:
    """Who may drive, how the base moves and brakes, and how much room it keeps."""

    sources: tuple[str, ...] = param(
        ("teleop", "nav", "policy"),
        "Who may drive, most important first; each has its topic cmd_vel_NAME",
        read_only=True,
    )
    source_timeout_s: float = param(
        0.2, "Silence after which a source no longer drives", unit="s", minimum=0.02, maximum=0.28
    )
    scan_timeout_s: float = param(
        0.4, "Age at which a scan is stale and the robot stops", unit="s", minimum=0.05, maximum=2.0
    )
    max_unmeasured: float = param(
        0.5,
        "A scan with a larger fraction of rays without a measurement (NaN) does not count",
        minimum=0.0,
        maximum=1.0,
    )
    odom_timeout_s: float = param(
        0.3, "Age at which odometry is stale and the robot stops", unit="s", minimum=0.05, maximum=2.0
    )
    rate_hz: float = param(30.0, "Rate of commands to the base", unit="Hz", minimum=20.0, maximum=50.0, read_only=True)
    stamped: bool = param(False, "TwistStamped instead of Twist, in and out", read_only=True)
    base_frame: str = param("base_link", "Frame of the robot's base", read_only=True)

    footprint: tuple[float, ...] = param(
        (),
        "Outline's corners x, y, x, y ... in the base frame, as Nav2's in one list; empty for the rectangle below",
        unit="m",
        minimum=-10.0,
        maximum=10.0,
    )
    footprint_length_m: float = param(0.42, "Length of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    footprint_width_m: float = param(0.33, "Width of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    footprint_center_x_m: float = param(
        0.0, "Rectangle's centre ahead of the base", unit="m", minimum=-2.0, maximum=2.0
    )
    self_hit_depth_m: float = param(
        0.02, "Points deeper inside the footprint are the robot itself and ignored", unit="m", minimum=0.0, maximum=5.0
    )

    max_speed_mps: float = param(2.0, "Top speed forward", unit="m/s", minimum=0.0, maximum=5.0)
    max_reverse_mps: float = param(0.5, "Top speed backward", unit="m/s", minimum=0.0, maximum=5.0)
    max_turn_radps: float = param(2.5, "Top turning speed", unit="rad/s", minimum=0.0, maximum=10.0)
    max_accel_mps2: float = param(2.5, "Acceleration", unit="m/s^2", minimum=0.1, maximum=20.0)
    max_decel_mps2: float = param(2.5, "Braking that the base surely manages", unit="m/s^2", minimum=0.1, maximum=20.0)
    max_turn_accel_radps2: float = param(6.0, "Turning acceleration", unit="rad/s^2", minimum=0.1, maximum=50.0)

    turn_weight_m: float = param(
        1.0, "Speed that counts as much as 1 rad/s of turning when the nearest command is sought", unit="m",
        minimum=0.05, maximum=20.0,
    )  # fmt: skip
    holonomic: bool = param(False, "An omnidirectional base: sideways speed passes, within max_speed_mps")
    obstacle_speed_mps: float = param(
        0.0, "Top speed of obstacles: room for it is kept until the base stands", unit="m/s", minimum=0.0, maximum=5.0
    )
    latency_s: float = param(0.08, "From a command to its effect on the base", unit="s", minimum=0.0, maximum=1.0)
    margin_m: float = param(0.025, "Free space kept around the footprint", unit="m", minimum=0.0, maximum=1.0)
    speed_margin_s: float = param(
        0.02, "Free space kept beyond it, per speed above 0.2 m/s", unit="s", minimum=0.0, maximum=1.0
    )
    memory_s: float = param(
        60.0, "How long obstacles that left the scanner's view are remembered; 0 forgets them", unit="s", minimum=0.0
    )
    memory_radius_m: float = param(
        1.5, "Obstacles farther away are not remembered", unit="m", minimum=0.1, maximum=10.0
    )
    unseen_radius_m: float = param(
        0.4, "At the start, what the scanner cannot see beyond this is held for an obstacle; 0 trusts it", unit="m",
        minimum=0.0, maximum=5.0,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_config(self)
        if not self.sources or len(set(self.sources)) != len(self.sources):
            raise ValueError(f"sources = {self.sources}: expected at least one name, each once")
        farthest_m = self.outline.circumscribed_radius_m
        if 0.0 < self.unseen_radius_m < farthest_m:
            raise ValueError(
                f"unseen_radius_m = {self.unseen_radius_m}: expected 0, or more than the {farthest_m:.2f} m to the "
                "footprint's farthest corner, or what is held for an obstacle is taken for the robot itself"
            )

    @cached_property
    def outline(self) -> Footprint:
        """The outline on the floor, in the base frame."""
        if self.footprint:
            return footprint_from_list("footprint", self.footprint)
        return rectangle_footprint(self.footprint_length_m, self.footprint_width_m, self.footprint_center_x_m)
