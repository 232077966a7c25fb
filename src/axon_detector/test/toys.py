# SPDX-License-Identifier: Apache-2.0
"""A network with known answers, in YOLOX's layout: it sees squares of pure red, green and blue.

In cells of 8, 16 and 32 px it takes the mean of each channel for the score of its colour; a cell's box is the cell. An
image with one red square of 32 x 32 px on a multiple of 32 therefore has exactly one sure red thing of 32 px.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLOURS = ("blue", "green", "red")  # in the order of BGR
STRIDES = (8, 16, 32)


def write_toy(path, height=96, width=128, decoded=False, metadata=None, anchors=1):
    """Write the network and return its path; with `anchors` it answers so many times for each cell, as YOLOv5 does."""
    parts = [_level(stride, height, width, decoded) for stride in STRIDES]
    nodes = [node for part, _ in parts for node in part]
    constants = [constant for _, part in parts for constant in part]
    constants += [_constant("per_level", 1.0 / 255.0), _constant("zero", 0.0), _constant("one", 1.0)]
    nodes.append(helper.make_node("Concat", [f"level{s}" for s in STRIDES] * anchors, ["output"], axis=1))
    count = anchors * sum((height // s) * (width // s) for s in STRIDES)
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, count, 8])
    graph = helper.make_graph(nodes, "toy", [image], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"classes": ",".join(COLOURS)} if metadata is None else metadata)
    onnx.save(model, path)
    return path


def _level(s, height, width, decoded):
    """Return nodes and constants that make the rows of one stride, (1, N, 8)."""
    make = helper.make_node
    nodes = [
        make("AveragePool", ["images"], [f"mean{s}"], kernel_shape=[s, s], strides=[s, s]),
        make("Mul", [f"mean{s}", "per_level"], [f"score{s}"]),
        make("Reshape", [f"score{s}", f"shape{s}"], [f"flat{s}"]),
        make("Transpose", [f"flat{s}"], [f"rows{s}"], perm=[0, 2, 1]),
        make("ReduceMax", [f"rows{s}"], [f"best{s}"], axes=[2], keepdims=1),
        make("Mul", [f"best{s}", "zero"], [f"zeros{s}"]),
        make("Add", [f"zeros{s}", f"box{s}"], [f"boxes{s}"]),
        make("Add", [f"zeros{s}", "one"], [f"sure{s}"]),
        make("Concat", [f"boxes{s}", f"sure{s}", f"rows{s}"], [f"level{s}"], axis=2),
    ]
    return nodes, [
        _constant(f"shape{s}", [1, 3, -1], np.int64),
        _constant(f"box{s}", _boxes(s, height, width, decoded)),
    ]


def picture(*squares, height=96, width=128):
    """Return a black RGB image with squares (name, x, y, side)."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for name, x, y, side in squares:
        image[y : y + side, x : x + side, 2 - COLOURS.index(name)] = 255
    return image


def _constant(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype=dtype), name)


def _boxes(stride, height, width, decoded):
    """Centre and size of every cell (1, N, 4), in px or as YOLOX's raw offsets."""
    if not decoded:
        return np.array([[[0.5, 0.5, 0.0, 0.0]]])
    rows, columns = np.mgrid[: height // stride, : width // stride].reshape(2, -1)
    centres = (np.stack([columns, rows], axis=-1) + 0.5) * stride
    return np.concatenate([centres, np.full_like(centres, stride)], axis=1)[None]
