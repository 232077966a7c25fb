# SPDX-License-Identifier: Apache-2.0
"""The store of networks: files named by a manifest, read only if their sha256 is the one that it says.

# models/manifest.yaml
models:
  detector:
    version: 1.0.0
    file: detector-1.0.0.onnx
    sha256: 9f86d081...
    task: detection
    license: Apache-2.0
    (and whatever else describes it: input, classes, recipe, commit, metrics)
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from axon_core.config import closest_text

SUFFIXES = (".onnx", ".safetensors")
_REQUIRED = ("version", "file", "sha256", "task", "license")
_CHUNK_BYTES = 1 << 20
_INSTALLED = Path("share", "axon_bringup", "models", "manifest.yaml")


class ModelError(ValueError):
    """A model that cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A model file that has been checked, and what the manifest says of it (`details`: every other key)."""

    name: str
    version: str
    path: Path
    sha256: str
    task: str
    details: Mapping[str, Any]


class ModelStore:
    """The models of one manifest."""

    def __init__(self, manifest: str | Path) -> None:
        self._manifest = Path(manifest)
        self._entries = _read_manifest(self._manifest)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models, in the manifest's order."""
        return tuple(self._entries)

    def find(self, name_or_path: str) -> Model:
        """Return a model by its name, or a user's own by the path of its file."""
        if name_or_path in self._entries:
            return self.get(name_or_path)
        if Path(name_or_path).suffix or "/" in name_or_path:
            return own_model(name_or_path)
        raise ModelError(f"no model '{name_or_path}' in {self._manifest}{closest_text(name_or_path, self.names)}")

    def get(self, name: str) -> Model:
        """Return a model of the manifest, its file's hash checked."""
        if name not in self._entries:
            raise ModelError(f"no model '{name}' in {self._manifest}{closest_text(name, self.names)}")
        entry = self._entries[name]
        path = self._path_of(name, entry["file"])
        found = file_sha256(path)
        if found != entry["sha256"]:
            raise ModelError(f"{path}: sha256 is {found}, {self._manifest} says {entry['sha256']}: get the file anew")
        details = {key: value for key, value in entry.items() if key not in _REQUIRED}
        return Model(name, str(entry["version"]), path, found, entry["task"], details)

    def _path_of(self, name: str, file: str) -> Path:
        folder = self._manifest.parent
        path = folder / file
        # By its name alone: what an installer links into the folder (colcon --symlink-install) lies in it.
        if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder)):
            raise ModelError(f"model '{name}' of {self._manifest}: its file {file} lies outside of {folder}")
        return check_model_file(path)


def shipped_models(environ: Mapping[str, str] = os.environ) -> ModelStore:
    """Return the models of this workspace: those of the folder AXON_MODELS, or those that axon_bringup installs."""
    if environ.get("AXON_MODELS"):
        return ModelStore(Path(environ["AXON_MODELS"]) / "manifest.yaml")
    prefixes = environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    manifests = [Path(prefix) / _INSTALLED for prefix in prefixes if prefix]
    found = next((manifest for manifest in manifests if manifest.is_file()), None)
    if found is None:
        raise ModelError("no installed models: run ./axon setup, or name a folder with a manifest.yaml in AXON_MODELS")
    return ModelStore(found)


def find_model(name_or_path: str) -> Model:
    """Return a shipped model by its name, or a user's own by the path of its file."""
    if Path(name_or_path).suffix in SUFFIXES:
        return own_model(name_or_path)
    return shipped_models().find(name_or_path)


def own_model(path: str | Path) -> Model:
    """Return a user's own file as a model, named by the file, without a version."""
    checked = check_model_file(Path(path))
    return Model(checked.stem, "-", checked, file_sha256(checked), "-", {})


def check_model_file(path: Path) -> Path:
    """Return the path of an existing ONNX or safetensors file; no other kind is ever opened, a pickle least of all."""
    if path.suffix not in SUFFIXES:
        raise ModelError(f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}; convert it first")
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    return path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ModelError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
        raise ModelError(f"{path}: expected a mapping 'models' from names to entries")
    entries: dict[str, dict[str, Any]] = content["models"]
    for name, entry in entries.items():
        missing = [key for key in _REQUIRED if not isinstance(entry, dict) or key not in entry]
        if missing:
            raise ModelError(f"{path}: model '{name}' lacks {', '.join(missing)}")
    return entries
