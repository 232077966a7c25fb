# SPDX-License-Identifier: Apache-2.0
"""Every shipped network is what its manifest and its card say, and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from axon_core.inference import OnnxModel
from axon_core.models import ModelStore, shipped_models
from training.harness import recipe_names

MODELS = Path(__file__).parents[1] / "models"
MANIFEST = MODELS / "manifest.yaml"
NAMES = sorted(yaml.safe_load(MANIFEST.read_text())["models"]) if MANIFEST.is_file() else []
MAX_FILE_BYTES, MAX_ALL_BYTES = 12 * 1024 * 1024, 60 * 1024 * 1024
FREE_AXIS = 64


def test_there_is_a_recipe_for_every_network_and_nothing_else_lies_there():
    assert set(NAMES) <= set(recipe_names())
    named = {f"{name}{suffix}" for name in NAMES for suffix in (".onnx", ".md")}
    assert {path.name for path in MODELS.iterdir()} - named == {"manifest.yaml"}
    assert sum(path.stat().st_size for path in MODELS.iterdir()) <= MAX_ALL_BYTES


def test_nodes_find_them_where_they_are_installed():
    assert set(shipped_models().names) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_network_is_what_is_said_of_it(name: str):
    model = ModelStore(MANIFEST).get(name)  # checks the sha256
    assert model.path.stat().st_size <= MAX_FILE_BYTES
    assert model.details["recipe"].startswith(f"./axon train {name}")
    assert model.details["commit"] and model.details["metrics"]
    card = (MODELS / f"{name}.md").read_text(encoding="utf-8")
    assert model.details["recipe"] in card and f"# {name} {model.version}" in card
    for metric in model.details["metrics"]:
        assert f"`{metric}`" in card


@pytest.mark.parametrize("name", NAMES)
def test_network_answers_noise_with_finite_numbers_and_the_same_twice(name: str):
    model = OnnxModel(ModelStore(MANIFEST).get(name).path, threads=1, dynamic_size=FREE_AXIS)
    rng = np.random.default_rng(0)
    shapes = {spec.name: [size or FREE_AXIS for size in spec.shape] for spec in model.inputs}
    inputs = {spec.name: rng.random(shapes[spec.name]).astype(spec.dtype) for spec in model.inputs}
    first, again = model.run(inputs), model.run(inputs)
    for output, values in first.items():
        assert np.isfinite(values).all(), output
        np.testing.assert_array_equal(values, again[output])
