# SPDX-License-Identifier: Apache-2.0
"""Metric depth of one image: `step` takes it and its camera, and says how far each pixel is and how sure that is.

estimator = DepthEstimator(find_model("depth").path)
result = estimator.step(rgb, camera, floor_below(base_T_camera))   # or without the last
result.depth_m, result.sigma_m
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axon_core.arrays import AnyArray, Float32Array
from axon_core.cameras import PinholeCamera
from axon_core.images import check_image
from axon_core.inference import OnnxModel
from axon_core.models import ModelError
from axon_depth.canonical import (
    INPUT_HEIGHT_PX,
    INPUT_WIDTH_PX,
    Floor,
    image_from_network,
    network_floor,
    network_image,
    place,
)
from axon_depth.config import DepthConfig

_INPUTS = {
    "image": (1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX),
    "principal_row_px": (1,),
    "inverse_floor": (1, 1, INPUT_HEIGHT_PX, INPUT_WIDTH_PX),
    "floor_known": (1,),
}
_OUTPUTS = {"log_depth", "log_scale"}


@dataclass(frozen=True)
class DepthResult:
    """Depth along the optical axis and its standard deviation (H, W) in m, float32; both NaN in holes."""

    depth_m: Float32Array
    sigma_m: Float32Array


class DepthEstimator:
    """The network and what stands before and behind it. Raises ModelError for a file that is no depth network."""

    def __init__(
        self,
        path: str | Path,
        config: DepthConfig | None = None,
        providers: Sequence[str] = ("cpu",),
    ) -> None:
        self.config = config or DepthConfig()
        self.network = OnnxModel(path, providers, self.config.threads)
        _check_network(self.network)

    def step(self, image: AnyArray, camera: PinholeCamera, floor: Floor | None = None) -> DepthResult:
        """Return the depth of an image (H, W, 3) RGB uint8. Raises ValueError where it does not fit the camera.

        `floor` is the floor that the camera is known to be over, None where nothing is known of its height and tilt;
        then the metres are a guess from what things look like. The camera's distortion plays no part here.
        """
        check_image(image)
        if image.shape[:2] != (camera.height, camera.width) or image.dtype != np.uint8:
            got = f"{image.shape[1]} x {image.shape[0]} {image.dtype}"
            raise ValueError(f"image: expected {camera.width} x {camera.height} uint8 as its camera has it, got {got}")
        placement = place(camera)
        row = np.array([placement.principal_row_px], dtype=np.float32)
        inputs = {"image": network_image(image, placement), "principal_row_px": row, **network_floor(floor, placement)}
        answer = self.network.run(inputs)
        log_depth = image_from_network(answer["log_depth"][0, 0], placement)
        log_scale = image_from_network(answer["log_scale"][0, 0], placement)
        return self._metric(log_depth, log_scale, placement.depth_scale)

    def _metric(self, log_depth: Float32Array, log_scale: Float32Array, depth_scale: float) -> DepthResult:
        depth_m = np.exp(log_depth) * np.float32(depth_scale)
        # a Laplace distribution of scale b has the deviation sqrt(2) b, and d(depth) = depth d(log depth)
        sigma_m = depth_m * np.exp(log_scale) * np.float32(np.sqrt(2.0))
        in_range = (depth_m >= self.config.min_depth_m) & (depth_m <= self.config.max_depth_m)
        hole = np.float32(np.nan)
        return DepthResult(np.where(in_range, depth_m, hole), np.where(in_range, sigma_m, hole))


def _check_network(network: OnnxModel) -> None:
    inputs = {spec.name: spec.shape for spec in network.inputs}
    outputs = {spec.name for spec in network.outputs}
    if inputs != _INPUTS or not outputs >= _OUTPUTS:
        expected = f"inputs {_INPUTS} and outputs {sorted(_OUTPUTS)}"
        raise ModelError(f"{network.path}: no depth network: expected {expected}, got {inputs} and {sorted(outputs)}")
