# SPDX-License-Identifier: Apache-2.0
"""Parameters of the driving policy and its node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param
from axon_core.drive_observation import MAX_REVERSE_MPS, MAX_SPEED_MPS, MAX_TURN_RADPS


@dataclass(frozen=True)
class PolicyConfig:
    """The network, how fast it may drive, when it has arrived and when it gives up."""

    model: str = param("policy", "Network: name in models/manifest.yaml, or path of an ONNX file", read_only=True)
    threads: int = param(1, "Threads of the network", minimum=1, maximum=16, read_only=True)

    global_frame: str = param("odom", "Frame to drive in, continuous: odom", read_only=True)
    map_frame: str = param(
        "map", "Goals in this frame move in global_frame as localisation corrects it; others stay", read_only=True
    )
    base_frame: str = param("base_link", "Frame of the robot's base", read_only=True)
    stamped: bool = param(False, "TwistStamped instead of Twist on cmd_vel_policy", read_only=True)
    control_rate_hz: float = param(20.0, "Rate of commands", unit="Hz", minimum=10.0, maximum=50.0, read_only=True)

    max_speed_mps: float = param(
        MAX_SPEED_MPS, "Top speed forward; the network's own is the default", unit="m/s", minimum=0.05,
        maximum=MAX_SPEED_MPS,
    )  # fmt: skip
    max_reverse_mps: float = param(
        MAX_REVERSE_MPS, "Top speed backward", unit="m/s", minimum=0.0, maximum=MAX_REVERSE_MPS
    )
    max_turn_radps: float = param(
        MAX_TURN_RADPS, "Top turning speed", unit="rad/s", minimum=0.1, maximum=MAX_TURN_RADPS
    )

    goal_tolerance_m: float = param(
        0.3, "Distance at which a goal is reached, whatever the heading", unit="m", minimum=0.05, maximum=5.0
    )
    goal_timeout_s: float = param(
        300.0, "Time for the whole drive; 0 waits forever", unit="s", minimum=0.0, maximum=86400.0
    )
    progress_timeout_s: float = param(
        40.0, "Time without coming nearer to the goal before giving up; 0 never does", unit="s", minimum=0.0,
        maximum=3600.0,
    )  # fmt: skip
    patience_s: float = param(
        5.0, "Time without scan, odometry or transform before a drive is given up", unit="s", minimum=0.0, maximum=600.0
    )
    scan_timeout_s: float = param(
        0.5, "Age at which a scan is stale and the robot stops", unit="s", minimum=0.05, maximum=5.0
    )
    odom_timeout_s: float = param(
        0.3, "Age at which odometry is stale and the robot stops", unit="s", minimum=0.05, maximum=5.0
    )

    def __post_init__(self) -> None:
        check_config(self)
