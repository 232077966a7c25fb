# SPDX-License-Identifier: Apache-2.0
"""A network by hand that reads depth and uncertainty off the image's red and green, so that its answer is known.

log_depth = LOG_RANGE red, log_scale = LOG_RANGE (green - 1), both averaged over 2 x 2 pixels, colours 0 .. 1.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from axon_depth.canonical import INPUT_HEIGHT_PX, INPUT_WIDTH_PX

LOG_RANGE = 2.0


def write_network(path: Path) -> Path:
    """Write the network and return its path."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    constants = {"range": np.float32(LOG_RANGE), "one": np.float32(1.0), "red": np.array([0]), "green": np.array([1])}
    nodes = [
        helper.make_node("AveragePool", ["image"], ["small"], **pool),
        helper.make_node("Gather", ["small", "red"], ["first"], axis=1),
        helper.make_node("Gather", ["small", "green"], ["second"], axis=1),
        helper.make_node("Mul", ["first", "range"], ["log_depth"]),
        helper.make_node("Sub", ["second", "one"], ["below"]),
        helper.make_node("Mul", ["below", "range"], ["log_scale"]),
    ]
    half = [1, 1, INPUT_HEIGHT_PX // 2, INPUT_WIDTH_PX // 2]
    graph = helper.make_graph(
        nodes,
        "colours",
        [
            helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX]),
            helper.make_tensor_value_info("principal_row_px", TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info("inverse_floor", TensorProto.FLOAT, [1, 1, INPUT_HEIGHT_PX, INPUT_WIDTH_PX]),
            helper.make_tensor_value_info("floor_known", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, half) for name in ("log_depth", "log_scale")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def picture(log_depth: np.ndarray, log_scale: float | np.ndarray = -LOG_RANGE / 2) -> np.ndarray:
    """Return an image (H, W, 3) uint8 to which the network answers canonical log-depth (H, W) and log-scale."""
    colours = np.stack([log_depth / LOG_RANGE, 1.0 + log_scale / LOG_RANGE + 0.0 * log_depth, 0.5 + 0.0 * log_depth])
    return np.rint(255.0 * np.moveaxis(colours, 0, -1)).astype(np.uint8)


def colour_read(value: float) -> float:
    """Return a colour 0 .. 1 as eight bits keep it."""
    return round(255.0 * value) / 255.0
