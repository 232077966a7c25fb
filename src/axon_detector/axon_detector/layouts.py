# SPDX-License-Identifier: Apache-2.0
"""What a network's outputs mean: recognised from its graph, decoded to boxes and scores.

axon: `boxes` (1, N, 4) x_min, y_min, x_max, y_max in px of the input, `scores` (1, N, C) in 0 .. 1. Our own networks'.
yolox: one output (1, N, 5 + C): centre, size, objectness, scores; of cells or of px, which a trial run tells.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axon_core.inference import OnnxModel, TensorSpec
from axon_core.models import ModelError
from axon_detector.coco import COCO_NAMES
from axon_detector.preprocessing import PADDING, SIZE_MULTIPLE

STRIDES = (8, 16, 32)
_DECODED_WITHIN = 3.0  # strides between a decoded centre and its cell; raw offsets lie hundreds of px off
_MAX_LOG_SIZE = 20.0
_TRIAL_PX = 320


@dataclass(frozen=True)
class Layout:
    """How to read a network. `height`, `width`: its input's size in px, None where any multiple of 32 fits."""

    kind: str
    input_name: str
    height: int | None
    width: int | None
    names: tuple[str, ...]
    decoded: bool

    def __str__(self) -> str:
        size = f"{self.width} x {self.height}" if self.height else f"any size in steps of {SIZE_MULTIPLE}"
        boxes = "boxes decoded in the graph" if self.decoded else "raw boxes"
        return f"{self.kind} layout, input {size} px, {len(self.names)} classes, {boxes}"

    def read(self, outputs: Mapping[str, np.ndarray], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return boxes_xyxy (N, 4) in px of the input of that size and scores (N, C)."""
        if self.kind == "axon":
            return outputs["boxes"][0], outputs["scores"][0]
        rows = next(iter(outputs.values()))[0]
        return yolox_boxes(rows[:, :4], height, width, self.decoded), rows[:, 4:5] * rows[:, 5:]


def recognise(model: OnnxModel, own_names: Sequence[str] = (), known_names: Sequence[str] = ()) -> Layout:
    """Return the layout of a loaded network, by a trial run on grey; ModelError where it is none of those above.

    Classes are named by `own_names` (the user's), `known_names` (the manifest's), the file's metadata, or COCO.
    """
    spec = _input_of(model)
    height, width = spec.shape[2:]
    size = height or _TRIAL_PX, width or _TRIAL_PX
    answers = model.run({spec.name: np.full((1, 3, *size), PADDING, dtype=np.float32)})
    kind, classes = _kind_of(model, answers)
    decoded = kind == "axon" or _is_decoded(model, next(iter(answers.values()))[0], *size)
    names = _class_names(model, classes, own_names, known_names)
    return Layout(kind, spec.name, height, width, names, decoded)


def yolox_boxes(raw: np.ndarray, height: int, width: int, decoded: bool) -> np.ndarray:
    """Return boxes_xyxy (N, 4) of YOLOX's centres and sizes, decoded by its grids where they are not."""
    centres, sizes = raw[:, :2], raw[:, 2:]
    if not decoded:
        cells, strides = yolox_cells(height, width)
        centres, sizes = (centres + cells) * strides, np.exp(np.minimum(sizes, _MAX_LOG_SIZE)) * strides
    return np.concatenate([centres - 0.5 * sizes, centres + 0.5 * sizes], axis=1)


def yolox_cells(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return column and row (N, 2) of every cell, stride by stride, and its stride (N, 1)."""
    grids = [np.mgrid[: height // s, : width // s][::-1].reshape(2, -1).T for s in STRIDES]
    strides = np.repeat(STRIDES, [len(grid) for grid in grids])[:, None]
    return np.concatenate(grids).astype(np.float32), strides.astype(np.float32)


def _input_of(model: OnnxModel) -> TensorSpec:
    spec = model.inputs[0]
    fits = len(model.inputs) == 1 and len(spec.shape) == 4 and spec.shape[0] in (1, None) and spec.shape[1] == 3
    if not fits or spec.dtype != np.float32:
        taken = ", ".join(f"'{s.name}' {s.shape} {s.dtype}" for s in model.inputs)
        raise ModelError(f"{model.path.name} takes {taken}: expected one input (1, 3, H, W) float32")
    return spec


def _kind_of(model: OnnxModel, answers: Mapping[str, np.ndarray]) -> tuple[str, int]:
    """Return the layout's name and the number of classes."""
    shapes = {name: answer.shape for name, answer in answers.items()}
    if shapes.keys() == {"boxes", "scores"} and shapes["boxes"] == (1, shapes["scores"][1], 4):
        return "axon", shapes["scores"][2]
    only = next(iter(shapes.values()))
    if len(shapes) == 1 and len(only) == 3 and only[2] > 5:
        return "yolox", only[2] - 5
    found = ", ".join(f"'{name}' {shape}" for name, shape in shapes.items())
    raise ModelError(
        f"{model.path.name} answers {found}: expected 'boxes' (1, N, 4) and 'scores' (1, N, C), or YOLOX's one output "
        "(1, N, 5 + C); other detectors are not read"
    )


def _class_names(model: OnnxModel, count: int, own: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for source, names in (("class_names", own), ("the manifest", known), ("its metadata", _stored_names(model))):
        if names:
            if len(names) != count:
                raise ModelError(f"{model.path.name} has {count} classes, {source} names {len(names)}")
            return tuple(names)
    if count == len(COCO_NAMES):
        return COCO_NAMES
    raise ModelError(f"{model.path.name} has {count} classes without names: give them in class_names")


def _stored_names(model: OnnxModel) -> tuple[str, ...]:
    """Return the names in the file: ours ("classes": a,b,c), or a list or dict under "names" as exporters write it."""
    if model.metadata.get("classes"):
        return tuple(model.metadata["classes"].split(","))
    try:
        stored = ast.literal_eval(model.metadata.get("names", "()"))
    except (ValueError, SyntaxError) as error:
        raise ModelError(f"{model.path.name}: its metadata 'names' cannot be read; give class_names") from error
    return tuple(str(stored[key]) for key in sorted(stored)) if isinstance(stored, dict) else tuple(map(str, stored))


def _is_decoded(model: OnnxModel, rows: np.ndarray, height: int, width: int) -> bool:
    """Return whether centres (N, 2 and more) lie near their cells; raw offsets all lie near zero.

    Refuse what has YOLOX's three axes but not its cells, as YOLOv5 with its anchors and v8 with its axes swapped.
    """
    cells, strides = yolox_cells(height, width)
    if len(rows) != len(cells):
        raise ModelError(
            f"{model.path.name} answers {len(rows)} cells for {width} x {height} px: expected YOLOX's {len(cells)} "
            f"(strides {', '.join(map(str, STRIDES))}); other detectors are not read"
        )
    apart = np.abs(rows[:, :2] / strides - cells).max(axis=1)
    return bool(np.median(apart) < _DECODED_WITHIN)
