# SPDX-License-Identifier: Apache-2.0
"""Parameters of the detector and its node."""

from __future__ import annotations

from dataclasses import dataclass

from axon_core.config import check_config, param


@dataclass(frozen=True)
class DetectorConfig:
    model: str = param("detector", "A shipped network by its name, or a YOLOX ONNX file by its path", read_only=True)
    class_names: tuple[str, ...] = param((), "Names of the network's classes; empty: as the file says", read_only=True)
    provider: str = param("cpu", "Where the network runs", choices=("cpu", "cuda", "tensorrt"), read_only=True)
    threads: int = param(1, "Threads of the network", minimum=1, maximum=64, read_only=True)

    classes: tuple[str, ...] = param((), "Categories that are reported; empty: all that the network knows")
    score_threshold: float = param(0.35, "Less sure detections are left out", minimum=0.0, maximum=1.0)
    iou_threshold: float = param(
        0.6, "Of two boxes of one category that overlap more, the better stays", minimum=0.0, maximum=1.0
    )
    max_detections: int = param(100, "Most detections an image", minimum=1, maximum=1000)
    input_size_px: int = param(
        416,
        "Longest side at which a network of any size sees the image; smaller images are not enlarged",
        unit="px",
        minimum=64,
        maximum=1920,
    )

    max_rate_hz: float = param(5.0, "Most images a second looked at; 0: all", unit="Hz", minimum=0, maximum=100)
    frame_3d: str = param("", "Frame of detections_3d, known to tf; empty: the camera's")
    depth_min_m: float = param(0.1, "Nearer depth is not used", unit="m", minimum=0.0, maximum=5.0)
    depth_max_m: float = param(6.0, "Farther depth is not used", unit="m", minimum=0.5, maximum=50.0)
    sync_tolerance_s: float = param(
        0.02, "Largest difference of the stamps of colour and depth", unit="s", minimum=0.0, maximum=0.5
    )

    def __post_init__(self) -> None:
        check_config(self)
        if self.depth_max_m <= self.depth_min_m:
            raise ValueError(f"depth_max_m = {self.depth_max_m}: expected more than depth_min_m = {self.depth_min_m}")
