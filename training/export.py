# SPDX-License-Identifier: Apache-2.0
"""PyTorch networks as ONNX files that answer as they do."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from axon_core.inference import OnnxModel

OPSET = 17


def export_onnx(
    network: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
    path: Path,
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
    tolerance: float = 1e-3,
) -> None:
    """Write a network; ValueError where ONNX Runtime then differs from PyTorch by more than `tolerance` (absolute)."""
    network = network.eval().cpu().float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own future, not of the network
        torch.onnx.export(
            network,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=dict(dynamic_axes or {}),
            opset_version=OPSET,
            dynamo=False,
        )
    difference = largest_difference(network, inputs, outputs, path)
    if not difference <= tolerance:
        raise ValueError(f"{path}: ONNX Runtime differs from PyTorch by {difference:.3g}, expected {tolerance:g}")


def largest_difference(
    network: torch.nn.Module, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], path: Path
) -> float:
    """Return the largest absolute difference between what PyTorch and ONNX Runtime answer to the same inputs."""
    with torch.no_grad():
        answered = network(*inputs.values())
    expected = answered if isinstance(answered, (tuple, list)) else (answered,)
    got = OnnxModel(path, warm_up=False).run({name: value.numpy() for name, value in inputs.items()})
    pairs = zip(outputs, expected, strict=True)
    return max(float(np.abs(got[name] - value.numpy()).max()) for name, value in pairs)
