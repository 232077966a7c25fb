# SPDX-License-Identifier: Apache-2.0
"""Parameters of the planner, its tracker and its node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param
from axon_core.footprints import Footprint, rectangle_footprint
from axon_core.motion import MotionLimits


@dataclass(frozen=True)
class PlannerConfig:
    """The robot's outline and limits, the map around it, the price of ways and drives, and when to give up."""

    global_frame: str = param(
        "odom", "Frame to plan in: odom, or map where a map and its transform are there", read_only=True
    )
    map_frame: str = param(
        "map", "Goals in this frame move in global_frame as localisation corrects it; others stay", read_only=True
    )
    base_frame: str = param("base_link", "Frame of the robot's base", read_only=True)

    stamped: bool = param(False, "TwistStamped instead of Twist on cmd_vel_nav", read_only=True)

    footprint_length_m: float = param(0.42, "Length of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    footprint_width_m: float = param(0.33, "Width of the footprint's rectangle", unit="m", minimum=0.05, maximum=5.0)
    footprint_center_x_m: float = param(
        0.0, "Rectangle's centre ahead of base_link", unit="m", minimum=-2.0, maximum=2.0
    )

    min_turning_radius_m: float = param(
        0.0, "Tightest circle that the base can drive; 0 for one that turns on the spot", unit="m", maximum=20.0,
        minimum=0.0,
    )  # fmt: skip
    allow_reverse: bool = param(True, "Planner hybrid: let paths have pieces that are driven backward")

    max_speed_mps: float = param(2.0, "Top speed forward", unit="m/s", minimum=0.05, maximum=5.0)
    max_reverse_mps: float = param(0.3, "Top speed backward", unit="m/s", minimum=0.0, maximum=2.0)
    max_turn_radps: float = param(2.0, "Top turning speed", unit="rad/s", minimum=0.1, maximum=10.0)
    max_accel_mps2: float = param(2.0, "Acceleration", unit="m/s^2", minimum=0.1, maximum=20.0)
    max_decel_mps2: float = param(2.5, "Braking", unit="m/s^2", minimum=0.1, maximum=20.0)
    max_turn_accel_radps2: float = param(5.0, "Turning acceleration", unit="rad/s^2", minimum=0.1, maximum=50.0)
    command_latency_s: float = param(0.05, "From a command to its effect", unit="s", minimum=0.0, maximum=0.5)

    resolution_m: float = param(0.04, "Edge of a costmap cell", unit="m", minimum=0.01, maximum=0.5, read_only=True)
    map_size_m: float = param(
        50.0,
        "Edge of the square costmap that rolls with the robot",
        unit="m",
        minimum=4.0,
        maximum=100.0,
        read_only=True,
    )
    obstacle_range_m: float = param(8.0, "Hits farther away are not marked", unit="m", minimum=0.5, maximum=50.0)
    unknown_cost: float = param(
        1.3, "Cost of a metre through what nobody saw, over a seen one", minimum=1.0, maximum=100.0
    )
    safety_margin_m: float = param(0.02, "Kept free around the footprint", unit="m", minimum=0.0, maximum=0.5)
    comfort_clearance_m: float = param(
        0.40, "Clearance beyond which more is worth nothing", unit="m", minimum=0.05, maximum=3.0
    )
    clearance_weight: float = param(6.0, "Extra cost of a metre with no clearance left", minimum=0.0, maximum=100.0)

    planner: str = param(
        "astar",
        "What plans: by cells (astar, weighted, theta), a network first (sequence), by poses with turns on the spot "
        "(footprint) or arcs (hybrid)",
        choices=("astar", "weighted", "theta", "sequence", "footprint", "hybrid"),
    )
    search_weight: float = param(
        1.0, "Planner weighted: its paths cost at most so many times the cheapest", minimum=1.0, maximum=100.0
    )
    refine: bool = param(True, "Let the refiner's network move the path, where that makes it better")
    refine_by: str = param(
        "network",
        "What refines: the network, or the gradient descent that it learned from, in many times the time",
        choices=("network", "descent"),
    )
    refiner_model: str = param("refiner", "Refiner: a shipped model's name, or an ONNX file", read_only=True)
    guide: bool = param(False, "Let the guide's network order the search, whose paths then cost at most guide_bound")
    guide_bound: float = param(1.5, "Largest cost of a guided path, over the cheapest one's", minimum=1.0, maximum=10.0)
    guide_model: str = param("guide", "Guide: a shipped model's name, or an ONNX file", read_only=True)
    sequence_model: str = param("sequence", "Sequence planner: a shipped model's name, or an ONNX file", read_only=True)

    goal_tolerance_m: float = param(0.15, "Distance at which a goal is reached", unit="m", minimum=0.01, maximum=5.0)
    goal_yaw_tolerance_rad: float = param(
        0.15, "Heading error at which a goal is reached; 3.15 ignores it", unit="rad", minimum=0.02, maximum=3.15
    )
    search_timeout_s: float = param(1.0, "Time for one search", unit="s", minimum=0.001, maximum=60.0)
    replan_period_s: float = param(0.3, "Time between two plans while driving", unit="s", minimum=0.05, maximum=60.0)
    goal_timeout_s: float = param(
        300.0, "Time for the whole drive; 0 waits forever", unit="s", minimum=0.0, maximum=86400.0
    )
    no_path_timeout_s: float = param(
        3.0, "Time without any path before giving up", unit="s", minimum=0.0, maximum=600.0
    )
    patience_s: float = param(
        5.0, "Time without scan, odometry or transform before a drive is given up", unit="s", minimum=0.0, maximum=600.0
    )
    scan_timeout_s: float = param(
        0.5, "Age at which a scan is stale and the robot stops", unit="s", minimum=0.05, maximum=5.0
    )
    odom_timeout_s: float = param(
        0.3, "Age at which odometry is stale and the robot stops", unit="s", minimum=0.05, maximum=5.0
    )
    progress_timeout_s: float = param(
        4.0, "Time without progress before a recovery", unit="s", minimum=0.5, maximum=60.0
    )
    max_recoveries: int = param(6, "Recoveries without progress before giving up", minimum=0, maximum=1000)

    control_rate_hz: float = param(20.0, "Rate of commands", unit="Hz", minimum=1.0, maximum=100.0, read_only=True)
    controller: str = param(
        "mppi",
        "What follows a path: sampled drives (mppi) or regulated pure pursuit (pursuit)",
        choices=("mppi", "pursuit"),
    )
    samples: int = param(400, "Sampled drives a step", minimum=16, maximum=5000, read_only=True)
    horizon_s: float = param(1.8, "Length of a sampled drive", unit="s", minimum=0.3, maximum=10.0, read_only=True)
    sample_dt_s: float = param(0.1, "Time step of a sampled drive", unit="s", minimum=0.02, maximum=0.5, read_only=True)
    speed_noise_mps: float = param(0.5, "Spread of sampled speeds", unit="m/s", minimum=0.01, maximum=3.0)
    turn_noise_radps: float = param(0.9, "Spread of sampled turns", unit="rad/s", minimum=0.01, maximum=10.0)
    temperature_m: float = param(
        0.05, "Softness of the choice between drives, in metres of progress", unit="m", minimum=0.001, maximum=10.0
    )
    cross_track_weight: float = param(
        1.0, "Price of driving beside the path, per m^2 and s", minimum=0.0, maximum=100.0
    )
    heading_weight: float = param(
        0.15, "Price of heading off the path, per (1 - cos) and s", minimum=0.0, maximum=100.0
    )
    reverse_weight: float = param(
        2.0, "Price of a metre driven backward, where the scanner is blind", minimum=0.0, maximum=100.0
    )
    near_weight: float = param(0.6, "Price of a metre driven near obstacles", minimum=0.0, maximum=100.0)
    near_clearance_m: float = param(
        0.15, "Clearance below which a metre costs near_weight", unit="m", minimum=0.01, maximum=2.0
    )
    speed_margin_s: float = param(0.04, "Clearance to keep per speed, as time", unit="s", minimum=0.0, maximum=1.0)
    lookahead_time_s: float = param(
        0.6, "Pursuit: distance to the carrot per speed, as time", unit="s", minimum=0.1, maximum=5.0
    )
    lookahead_min_m: float = param(0.3, "Pursuit: least distance to the carrot", unit="m", minimum=0.1, maximum=5.0)
    lookahead_max_m: float = param(1.2, "Pursuit: largest distance to the carrot", unit="m", minimum=0.1, maximum=10.0)
    regulated_radius_m: float = param(
        0.8, "Pursuit: curves of a smaller radius are driven slower", unit="m", minimum=0.01, maximum=10.0
    )
    slow_clearance_m: float = param(
        0.2, "Pursuit: drives slower with less clearance", unit="m", minimum=0.01, maximum=3.0
    )
    approach_distance_m: float = param(
        0.8, "Pursuit: drives slower when nearer to the end", unit="m", minimum=0.05, maximum=10.0
    )
    rotate_to_heading_rad: float = param(
        0.9, "Pursuit: turns on the spot to a carrot farther to the side", unit="rad", minimum=0.1, maximum=3.15
    )
    collision_time_s: float = param(
        0.8, "Pursuit: least time to a contact on the arc ahead", unit="s", minimum=0.1, maximum=5.0
    )

    def __post_init__(self) -> None:
        check_config(self)
        if self.lookahead_min_m > self.lookahead_max_m:
            raise ValueError(
                f"lookahead_min_m = {self.lookahead_min_m}: expected at most lookahead_max_m = {self.lookahead_max_m}"
            )
        misfit = self.misfit_of(self.planner)
        if misfit:
            raise ValueError(f"planner = '{self.planner}': {misfit}")

    def misfit_of(self, planner: str) -> str:
        """Why a planner cannot plan for this base; empty where it can."""
        radius = self.min_turning_radius_m
        if planner == "hybrid" and not radius > 0.0:
            return "expected min_turning_radius_m above 0; a base that turns on the spot takes footprint"
        if planner == "footprint" and radius > 0.0:
            return (
                f"expected min_turning_radius_m = 0, it is {radius}; a base that cannot turn on the spot takes hybrid"
            )
        return ""

    @property
    def footprint(self) -> Footprint:
        """The rectangle of the base, in its frame."""
        return rectangle_footprint(self.footprint_length_m, self.footprint_width_m, self.footprint_center_x_m)

    @property
    def limits(self) -> MotionLimits:
        """What speeds and accelerations the base may have."""
        return MotionLimits(
            self.max_speed_mps,
            self.max_reverse_mps,
            self.max_turn_radps,
            self.max_accel_mps2,
            self.max_decel_mps2,
            self.max_turn_accel_radps2,
        )
