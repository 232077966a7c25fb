# SPDX-License-Identifier: Apache-2.0
"""The harness of training, on a recipe that fits a line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from axon_core.inference import OnnxModel
from axon_core.models import ModelStore
from training import harness

torch = pytest.importorskip("torch")

LINE = '''
"""Fit a line.

At length.
"""

import torch

from training.export import export_onnx
from training.harness import Trained


def add_arguments(parser):
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--stop-after", type=int, default=1000)


def main(run):
    if run.args.steps < 1:
        raise ValueError(f"--steps {run.args.steps}: expected at least 1")
    torch.manual_seed(run.seed)
    line = torch.nn.Linear(1, 1)
    state = run.load_checkpoint() or {"step": 0, "line": line.state_dict()}
    line.load_state_dict(state["line"])
    for step in range(state["step"], run.args.steps):
        if step == run.args.stop_after:
            raise KeyboardInterrupt
        with torch.no_grad():
            line.weight.add_(1.0)
        run.save_checkpoint(step=step + 1, line=line.state_dict())
        run.log(step=step + 1)
    file = run.folder / "line.onnx"
    export_onnx(line, {"x": torch.ones(1, 1)}, ["y"], file)
    metrics = {"weight": line.weight.item()}
    return Trained(file, "1.0.0", "line", "A line.", "On nothing.", "Curves.", metrics, {"input": "x"})
'''


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that has one recipe."""
    recipes = tmp_path / "training"
    recipes.mkdir()
    (recipes / "fit_line.py").write_text(LINE)
    (recipes / "helper.py").write_text("def main(): ...\n")
    monkeypatch.setattr(harness, "FOLDER", recipes)
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr("training.__path__", [*__import__("training").__path__, str(recipes)])
    return tmp_path


def test_only_recipes_are_offered(root: Path, capsys: pytest.CaptureFixture[str]):
    assert harness.main([]) == 0
    said = capsys.readouterr().out
    assert "fit-line" in said and "Fit a line." in said and "helper" not in said


def test_a_shipped_network_is_what_its_manifest_says(root: Path):
    assert harness.main(["fit-line", "--seed", "3", "--install"]) == 0
    model = ModelStore(root / "models" / "manifest.yaml").get("fit-line")
    assert (model.version, model.task, model.details["input"]) == ("1.0.0", "line", "x")
    assert model.details["recipe"] == "./axon train fit-line --seed 3"
    card = (root / "models" / "fit-line.md").read_text()
    assert all(words in card for words in ("./axon train fit-line --seed 3", "A line.", "On nothing.", "Curves."))
    weight = model.details["metrics"]["weight"]
    x = np.array([[0.0]], np.float32), np.array([[1.0]], np.float32)
    y = [OnnxModel(model.path).run({"x": value})["y"].item() for value in x]
    assert y[1] - y[0] == pytest.approx(weight, abs=1e-4)


def test_without_install_the_shipped_models_stay(root: Path):
    assert harness.main(["fit-line"]) == 0
    assert not (root / "models").exists()
    assert json.loads((root / "out" / "train" / "fit-line" / "metrics.json").read_text()).keys() == {"weight"}


def test_an_interrupted_training_goes_on(root: Path):
    assert harness.main(["fit-line", "--out", str(root / "a")]) == 0
    # The second run is stopped by hand: the same command, but the recipe breaks off after two steps.
    recipe = root / "training" / "fit_line.py"
    recipe.write_text(LINE.replace("default=1000", "default=2"))
    reload_recipe()
    assert harness.main(["fit-line", "--out", str(root / "b")]) == 130
    assert (root / "b" / "checkpoint.pt").is_file()
    recipe.write_text(LINE)
    reload_recipe()
    assert harness.main(["fit-line", "--out", str(root / "b")]) == 0
    weights = [json.loads((root / name / "metrics.json").read_text())["weight"] for name in ("a", "b")]
    assert weights[0] == weights[1]
    assert not (root / "b" / "checkpoint.pt").exists(), "what has ended is not gone on with"
    steps = [json.loads(line)["step"] for line in (root / "b" / "progress.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


def test_other_arguments_do_not_go_on_with_it(root: Path, capsys: pytest.CaptureFixture[str]):
    assert harness.main(["fit-line", "--stop-after", "2"]) == 130
    assert harness.main(["fit-line", "--seed", "1"]) == 1
    assert "--fresh" in capsys.readouterr().err
    assert harness.main(["fit-line", "--seed", "1", "--fresh"]) == 0


def test_wrong_words_are_answered_in_a_line(root: Path, capsys: pytest.CaptureFixture[str]):
    assert harness.main(["fit-lime"]) == 2
    assert "fit-line" in capsys.readouterr().err
    assert harness.main(["fit-line", "--steps", "0"]) == 1
    assert capsys.readouterr().err == "axon train fit-line: --steps 0: expected at least 1\n"


def test_two_networks_share_a_manifest(root: Path):
    harness.main(["fit-line", "--install"])
    (root / "training" / "other_line.py").write_text(LINE)
    assert harness.main(["other-line", "--install", "--seed", "1"]) == 0
    content = yaml.safe_load((root / "models" / "manifest.yaml").read_text())
    assert list(content["models"]) == ["fit-line", "other-line"]


def reload_recipe() -> None:
    import importlib
    import sys

    sys.modules.pop("training.fit_line", None)
    importlib.invalidate_caches()
