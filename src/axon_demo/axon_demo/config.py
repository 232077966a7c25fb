# SPDX-License-Identifier: Apache-2.0
"""Parameters of the demo's two nodes."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param


@dataclass(frozen=True)
class DirectorConfig:
    """What the mission is, and when it counts as failed."""

    world: str = param("apartment", "World of the simulator, whose goals are driven to", read_only=True)
    seed: int = param(0, "Seed of the world", minimum=0, read_only=True)
    data_dir: str = param("", "Folder of the BARN worlds, where the world is barn:N", read_only=True)
    out_dir: str = param("", "Folder for summary.json; the working directory if empty", read_only=True)
    goals: tuple[str, ...] = param(
        (), "Names of the goals to drive to, in order; all of the world's if empty", read_only=True
    )
    fetch: str = param("", "What to fetch, as the detector names it; drive to the goals if empty", read_only=True)
    search_places: str = param(
        "", "Goals to look for it at, with commas between; those where the world has objects if empty", read_only=True
    )
    bring_to: str = param("kitchen", "Goal of the world to bring it to", read_only=True)
    goal_frame: str = param(
        "odom", "Frame that goals to drive to are sent in; it begins at the robot's start pose", read_only=True
    )
    goal_tolerance_m: float = param(
        0.5, "Largest distance of the true position from a reached goal", unit="m", minimum=0.0
    )
    timeout_s: float = param(300.0, "Longest time for the mission, on the node's clock", unit="s", minimum=1.0)
    startup_timeout_s: float = param(90.0, "Longest wait for simulator and planner, wall time", unit="s", minimum=1.0)
    stalled_clock_timeout_s: float = param(15.0, "Longest stand-still of the clock, wall time", unit="s", minimum=1.0)
    silence_timeout_s: float = param(
        3.0, "Silence of the planner after which its goal is sent again", unit="s", minimum=0.5
    )
    retries: int = param(2, "How often a goal that the planner gave up is tried again", minimum=0)

    def __post_init__(self) -> None:
        check_config(self)


@dataclass(frozen=True)
class RecorderConfig:
    """What is recorded, how often, and where to."""

    out_dir: str = param("", "Folder for run.mcap; the working directory if empty", read_only=True)
    topics: tuple[str, ...] = param(
        (
            "scan",
            "odom",
            "joint_states",
            "cmd_vel",
            "cmd_vel_nav",
            "goal_pose",
            "plan",
            "plan_raw",
            "costmap",
            "map",
            "camera/color/camera_info",
            "detections",
            "detections_3d",
            "grasps",
            "mission/status",
            "sim/ground_truth",
            "sim/collisions",
            "sim/objects",
            "/tf",
            "/tf_static",
            "/diagnostics",
            "/rosout",
        ),
        "Topics to record as they come",
        read_only=True,
    )
    max_rates_hz: tuple[str, ...] = param(
        (
            "camera/color/camera_info=0.5",
            "costmap=1.0",
            "joint_states=20.0",
            "depth/image=0.5",
            "map=0.5",
            "plan_raw=2.0",
        ),
        "Largest rates, as topic=Hz; the rest is left out",
        read_only=True,
    )
    image_topics: tuple[str, ...] = param(
        ("camera/color/image_raw", "annotated", "depth/image"),
        "Images to record as JPEG, on TOPIC/compressed; depth in m in colours",
        read_only=True,
    )
    image_rate_hz: float = param(
        4.0, "Largest rate of each image topic that max_rates_hz does not name", unit="Hz", minimum=0.1, maximum=120.0
    )
    depth_max_m: float = param(5.0, "Depth at the far end of the colours", unit="m", minimum=0.1, maximum=100.0)
    jpeg_quality: int = param(80, "Quality of the JPEG images", minimum=10, maximum=100)

    def __post_init__(self) -> None:
        check_config(self)
        self.rates_hz()

    def rates_hz(self) -> dict[str, float]:
        """`max_rates_hz` as a mapping. Raises ValueError where an entry is not TOPIC=HZ with a positive number."""
        return dict(_rate(entry) for entry in self.max_rates_hz)


def _rate(entry: str) -> tuple[str, float]:
    topic, _, text = entry.partition("=")
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = 0.0
    if not topic or not 0.0 < rate_hz < 1e6:
        raise ValueError(f"max_rates_hz entry {entry!r}: expected TOPIC=HZ with a positive number, as costmap=1.0")
    return topic, rate_hz
