# SPDX-License-Identifier: Apache-2.0
import pickle

import numpy as np
import pytest
import yaml

from axon_core.models import ModelError, ModelStore, file_sha256, find_model, shipped_models

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def folder(tmp_path):
    """A store with one network: y = 2 x for x of shape (n, 3)."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 3])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "double.onnx")
    write_manifest(tmp_path)
    return tmp_path


def write_manifest(folder, **changes):
    entry = {
        "version": "1.0.0",
        "file": "double.onnx",
        "sha256": file_sha256(folder / "double.onnx"),
        "task": "arithmetic",
        "license": "Apache-2.0",
        "classes": ["a", "b"],
    }
    content = {"models": {"double": {**entry, **changes}}}
    (folder / "manifest.yaml").write_text(yaml.safe_dump(content))


def load(path, **options):
    from axon_core.inference import OnnxModel

    return OnnxModel(path, **options)


def test_a_model_that_is_what_the_manifest_says(folder):
    model = ModelStore(folder / "manifest.yaml").find("double")
    assert (model.name, model.version, model.task) == ("double", "1.0.0", "arithmetic")
    assert model.details["classes"] == ["a", "b"] and len(model.sha256) == 64


def test_what_an_exporter_wrote_beside_the_graph_is_read(folder):
    assert load(folder / "double.onnx").metadata == {}
    model = onnx.load(folder / "double.onnx")
    onnx.helper.set_model_props(model, {"classes": "a,b"})
    onnx.save(model, folder / "named.onnx")
    assert load(folder / "named.onnx").metadata == {"classes": "a,b"}


def test_sha256_of_nothing_is_the_published_one(tmp_path):
    (tmp_path / "empty").touch()
    assert file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_that_was_changed_is_refused(folder):
    with (folder / "double.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="sha256 is"):
        ModelStore(folder / "manifest.yaml").get("double")


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"file": "../double.onnx"}, "outside"), ({"file": "double.pt"}, "expected a file that ends in")],
)
def test_a_file_elsewhere_or_of_another_kind_is_refused(folder, changes, text):
    write_manifest(folder, **changes)
    with pytest.raises(ModelError, match=text):
        ModelStore(folder / "manifest.yaml").get("double")


def test_files_that_an_installer_has_linked_into_the_folder_are_in_it(folder, tmp_path):
    installed = tmp_path / "installed"
    installed.mkdir()
    for file in folder.iterdir():
        (installed / file.name).symlink_to(file)
    assert ModelStore(installed / "manifest.yaml").get("double").sha256 == file_sha256(folder / "double.onnx")


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".onnx"])
def test_a_pickle_is_never_executed(folder, suffix):
    witness = folder / "executed"

    class Evil:
        def __reduce__(self):
            return (open, (str(witness), "w"))

    path = folder / f"evil{suffix}"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match=r"expected a file that ends in|not a model"):
        load(ModelStore(folder / "manifest.yaml").find(str(path)).path)
    assert not witness.exists()


def test_a_users_own_file_goes_in_by_path(folder):
    assert ModelStore(folder / "manifest.yaml").find(str(folder / "double.onnx")).version == "-"


def test_a_misspelt_name_is_answered_with_the_right_one(folder):
    with pytest.raises(ModelError, match="did you mean 'double'"):
        ModelStore(folder / "manifest.yaml").find("duoble")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2", "not YAML"), ("models: []", "expected a mapping 'models'"), ("models: {a: {}}", "lacks version")],
)
def test_a_broken_manifest_is_said(tmp_path, text, message):
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(ModelError, match=message):
        ModelStore(tmp_path / "manifest.yaml")


def test_no_manifest(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        ModelStore(tmp_path / "manifest.yaml")


def test_a_network_runs_on_any_length(folder):
    model = load(folder / "double.onnx")
    for count in (1, 4):
        x = np.random.default_rng(count).random((count, 3), dtype=np.float32)
        np.testing.assert_array_equal(model.run({"x": x})["y"], 2 * x)
    assert model.device == "cpu" and model.latency.count == 2  # the warm-up is not counted
    assert model.inputs[0].shape == (None, 3) and model.inputs[0].dtype == np.float32


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"z": np.zeros((1, 3), np.float32)}, r"expected the inputs \['x'\], got \['z'\]"),
        ({"x": np.zeros((1, 4), np.float32)}, r"takes shape \(None, 3\), got \(1, 4\)"),
        ({"x": np.zeros(3, np.float32)}, r"got \(3,\)"),
        ({"x": np.zeros((1, 3))}, "takes float32, got float64"),
    ],
)
def test_what_a_network_does_not_take_is_said(folder, inputs, text):
    with pytest.raises(ModelError, match=text):
        load(folder / "double.onnx").run(inputs)


def test_an_unknown_provider_is_said(folder):
    with pytest.raises(ModelError, match="expected cpu, cuda, tensorrt"):
        load(folder / "double.onnx", providers=["gpu"])


def test_models_are_found_by_the_environment(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("AXON_MODELS", str(folder))
    assert shipped_models().names == ("double",) and find_model("double").version == "1.0.0"
    assert find_model(str(folder / "double.onnx")).version == "-", "a path is a user's own"
    monkeypatch.delenv("AXON_MODELS")
    installed = tmp_path / "install" / "share" / "axon_bringup" / "models"
    installed.parent.mkdir(parents=True)
    installed.symlink_to(folder)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path / 'install'}")
    assert find_model("double").sha256 == file_sha256(folder / "double.onnx")


def test_without_installed_models_the_remedy_is_said(monkeypatch):
    monkeypatch.setenv("AXON_MODELS", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nowhere")
    with pytest.raises(ModelError, match=r"\./axon setup"):
        find_model("detector")
