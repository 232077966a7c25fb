# SPDX-License-Identifier: Apache-2.0
"""Networks in ONNX Runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]

from axon_core.arrays import AnyArray
from axon_core.models import ModelError, check_model_file
from axon_core.timing import LatencyMeter

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape (None: any length) and dtype of an input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: "np.dtype[np.generic]"


class OnnxModel:
    """An ONNX file ready to run. Raises ModelError where it cannot be loaded or is fed what it does not take.

    `providers` are tried in order: "cpu", "cuda", "tensorrt". `warm_up` runs it once on zeros, so that the first
    real input is not the slow one; `dynamic_size` stands for its free axes there.
    """

    def __init__(
        self,
        path: str | Path,
        providers: Sequence[str] = ("cpu",),
        threads: int = 2,
        warm_up: bool = True,
        dynamic_size: int = 1,
    ) -> None:
        self.path = check_model_file(Path(path))
        self.latency = LatencyMeter()
        self._session = _open_session(self.path, [_provider(name) for name in providers], threads)
        self.inputs = tuple(_spec(node, self.path) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node, self.path) for node in self._session.get_outputs())
        if warm_up:
            self.run({s.name: np.zeros([n or dynamic_size for n in s.shape], s.dtype) for s in self.inputs})
            self.latency = LatencyMeter()

    @property
    def device(self) -> str:
        """The provider that runs it: "cpu", "cuda" or "tensorrt"."""
        active = self._session.get_providers()[0]
        return next((name for name, provider in _PROVIDERS.items() if provider == active), str(active))

    @property
    def metadata(self) -> dict[str, str]:
        """What the file says of itself beside the graph: keys and values that its exporter wrote, mostly none."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, inputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """Return all outputs by name; `inputs` must be exactly those of the graph, in shape and dtype."""
        names = {spec.name for spec in self.inputs}
        if inputs.keys() != names:
            raise ModelError(f"{self.path.name}: expected the inputs {sorted(names)}, got {sorted(inputs)}")
        for spec in self.inputs:
            self._check(spec, inputs[spec.name])
        with self.latency.measure():
            results = self._session.run(None, dict(inputs))
        return {spec.name: np.asarray(result) for spec, result in zip(self.outputs, results, strict=True)}

    def _check(self, spec: TensorSpec, value: AnyArray) -> None:
        rank_fits = value.ndim == len(spec.shape)
        if not rank_fits or any(w not in (None, g) for w, g in zip(spec.shape, value.shape, strict=True)):
            raise ModelError(f"{self.path.name}: input '{spec.name}' takes shape {spec.shape}, got {value.shape}")
        if value.dtype != spec.dtype:
            raise ModelError(f"{self.path.name}: input '{spec.name}' takes {spec.dtype}, got {value.dtype}")


def _provider(name: str) -> str:
    if name not in _PROVIDERS:
        raise ModelError(f"unknown execution provider '{name}': expected {', '.join(_PROVIDERS)}")
    provider = _PROVIDERS[name]
    if provider not in ort.get_available_providers():
        raise ModelError(f"the execution provider '{name}' is not in this ONNX Runtime: install onnxruntime-gpu")
    return provider


def _open_session(path: Path, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are shared with other nodes
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions share no base class but this
        raise ModelError(f"{path}: not a model that ONNX Runtime {ort.__version__} can load: {error}") from error


def _spec(node: ort.NodeArg, path: Path) -> TensorSpec:
    if node.type not in _DTYPES:
        raise ModelError(f"{path}: '{node.name}' is {node.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(node.name, shape, np.dtype(_DTYPES[node.type]))
