# SPDX-License-Identifier: Apache-2.0
"""depth_node: colour image, camera info and tf in; metric depth, its uncertainty and points out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from axon_core.cameras import PinholeCamera
from axon_core.models import find_model
from axon_core.timing import RateLimit
from axon_depth.canonical import Floor, floor_below
from axon_depth.clouds import points_of
from axon_depth.config import DepthConfig
from axon_depth.runtime import DepthEstimator, DepthResult
from axon_ros import BadInput, SkillNode, node_main
from axon_ros.conversions import camera_from_msg, image_from_msg, image_to_msg, points_to_msg
from axon_ros.diagnostics import ModelInfo
from axon_ros.qos import RESULT, SENSOR


class DepthNode(SkillNode):
    """Converts, calls `DepthEstimator.step` beside the executor, publishes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("depth", DepthConfig, **kwargs)

    def on_load(self, config: DepthConfig) -> None:
        model = find_model(config.model)
        self._estimator = DepthEstimator(model.path, config, (config.device,))
        self.model = ModelInfo(model.name, model.version, model.sha256, self._estimator.network.device)

    def on_start(self) -> None:
        self._camera: PinholeCamera | None = None
        self._result: DepthResult | None = None
        self._limit = RateLimit()
        self._depth_output = self.output(Image, "depth/image", RESULT)
        self._sigma_output = self.output(Image, "depth/uncertainty", RESULT)
        self._points_output = self.output(PointCloud2, "depth/points", RESULT)
        if self.config.floor_frame:
            self.listen_to_tf()
        self._worker = self.work(self._step)
        self.input(Image, "camera/color/image_raw", self._on_image, SENSOR)
        self.input(CameraInfo, "camera/color/camera_info", self._on_camera, SENSOR)

    def on_config_change(self, config: DepthConfig) -> None:
        self._estimator.config = config

    def on_unload(self) -> None:
        del self._estimator

    def status_values(self) -> dict[str, str]:
        if self.state != "active":
            return {}
        result, watched = self._result, "yes" if self._wanted() else "no, idle"
        if result is None:
            return {"watched": watched}
        seen = np.isfinite(result.depth_m)
        relative = np.median(result.sigma_m[seen] / result.depth_m[seen]) if seen.any() else np.nan
        return {"watched": watched, "holes": f"{1.0 - seen.mean():.2f}", "median_relative_sigma": f"{relative:.3f}"}

    def _on_camera(self, msg: CameraInfo) -> None:
        self._camera = camera_from_msg(msg)

    def _on_image(self, msg: Image) -> None:
        image_from_msg(msg)  # what is broken is refused also while nobody reads
        if self._camera is not None and self._wanted() and self._limit.allows(self.config.max_rate_hz):
            self._worker.submit((msg, self._camera))

    def _wanted(self) -> bool:
        outputs = (self._depth_output, self._sigma_output, self._points_output)
        return self.config.always or any(output.watched for output in outputs)

    # The worker

    def _step(self, item: tuple[Image, PinholeCamera]) -> None:
        msg, camera = item
        try:
            self._result = self._estimator.step(image_from_msg(msg, "rgb8"), camera, self._floor(msg.header))
            self._publish(self._result, camera, msg.header)
        except BadInput:
            raise
        except ValueError as error:
            raise BadInput(str(error)) from error

    def _floor(self, header: Any) -> Floor | None:
        """Return the floor below the camera as tf knows it at the image's stamp."""
        frame = self.config.floor_frame
        if not frame:
            return None
        return floor_below(self.await_transform(frame, header.frame_id, header.stamp))

    def _publish(self, result: DepthResult, camera: PinholeCamera, header: Any) -> None:
        self._depth_output.publish(image_to_msg(result.depth_m, "32FC1", header))
        self._sigma_output.publish(image_to_msg(result.sigma_m, "32FC1", header))
        if self._points_output.watched:
            limit, stride_px = self.config.max_relative_sigma, self.config.cloud_stride_px
            points = points_of(result.depth_m, result.sigma_m, camera, limit, stride_px)
            self._points_output.publish(points_to_msg(points, header))


main = node_main(DepthNode)

if __name__ == "__main__":
    raise SystemExit(main())
