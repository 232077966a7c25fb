# SPDX-License-Identifier: Apache-2.0
"""Parameters of the depth node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param


@dataclass(frozen=True)
class DepthConfig:
    model: str = param("depth", "Name of a shipped network, or the path of an ONNX file", read_only=True)
    device: str = param("cpu", "What runs the network", choices=("cpu", "cuda", "tensorrt"), read_only=True)
    threads: int = param(1, "Threads of the network on the CPU", minimum=1, maximum=64, read_only=True)
    floor_frame: str = param(
        "base_link",
        "Frame that stands on the floor, known to tf; empty: nothing is known of the camera's height and tilt",
    )
    max_rate_hz: float = param(
        10.0, "Images a second that are looked at; the others are passed over", unit="Hz", minimum=0.1, maximum=120.0
    )
    always: bool = param(False, "Look at images also while nobody reads an output")
    min_depth_m: float = param(0.1, "Nearer depth is a hole", unit="m", minimum=0.0, maximum=10.0)
    max_depth_m: float = param(8.0, "Farther depth is a hole", unit="m", minimum=0.5, maximum=100.0)
    max_relative_sigma: float = param(
        0.15, "Sigma over depth above which a point is left out of depth/points", minimum=0.001, maximum=10.0
    )
    cloud_stride_px: int = param(
        2, "depth/points holds a point of every so many rows and columns", unit="px", minimum=1, maximum=64
    )

    def __post_init__(self) -> None:
        check_config(self)
        if self.max_depth_m <= self.min_depth_m:
            raise ValueError(f"max_depth_m = {self.max_depth_m}: expected more than min_depth_m = {self.min_depth_m}")
