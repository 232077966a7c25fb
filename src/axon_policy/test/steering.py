# SPDX-License-Identifier: Apache-2.0
"""A network made by hand, which turns to the goal at half speed: what surrounds a network is tested with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from axon_core.drive_observation import GOAL, MAP_SHAPE, VECTOR_SIZE
from axon_sim.barn import BarnWorld
from axon_sim.planar import PlanarConfig

CALM = PlanarConfig(scan_noise_m=0.0, scan_dropout=0.0, odom_scale_error=0.0, odom_noise=0.0, odom_yaw_drift_radps=0.0)


def steering_network(path: Path, forward: float = 0.5, image_size: int = MAP_SHAPE[-1]) -> Path:
    """Write a network that answers (forward, sine of the goal's bearing)."""
    weights = np.zeros((VECTOR_SIZE, 2), np.float32)
    weights[GOAL + 2, 1] = 1.0
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["vector", "weights", "bias"], ["action"])],
        "steering",
        [
            helper.make_tensor_value_info("map", TensorProto.UINT8, [1, MAP_SHAPE[0], image_size, image_size]),
            helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, VECTOR_SIZE]),
        ],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([forward, 0.0], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def hall(things=((0.0, 5.0),), start=(0.0, 0.0, 0.0)) -> BarnWorld:
    """A hall of 10 x 6 m with round things of 0.1 m, the start in it at the origin."""
    walls = np.array([[-2, -3, 8, -3], [8, -3, 8, 3], [8, 3, -2, 3], [-2, 3, -2, -3.0]])
    return BarnWorld(np.array(things, dtype=float), 0.1, start=np.array(start), goal=np.zeros(2), walls_m=walls)
