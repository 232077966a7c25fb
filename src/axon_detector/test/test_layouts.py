# SPDX-License-Identifier: Apache-2.0
"""What a file is recognised as, how its boxes are read, and how preparing an image moves them."""

import numpy as np
import pytest

from axon_core.models import ModelError
from axon_detector.coco import COCO_NAMES
from axon_detector.layouts import recognise, yolox_boxes, yolox_cells
from axon_detector.preprocessing import PADDING, canvas_size, letterbox_top_left, to_blob

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
COLOURS = ("blue", "green", "red")


def load(path):
    from axon_core.inference import OnnxModel

    return OnnxModel(path, threads=1)


def toy_of(folder, **changes):
    from toys import write_toy

    return load(write_toy(folder / "toy.onnx", **changes))


@pytest.mark.parametrize("decoded", [False, True])
def test_raw_and_decoded_boxes_are_told_apart_and_read_alike(tmp_path, decoded):
    model = toy_of(tmp_path, decoded=decoded)
    layout = recognise(model)
    assert (layout.kind, layout.height, layout.width, layout.names) == ("yolox", 96, 128, COLOURS)
    assert layout.decoded == decoded
    boxes, scores = layout.read(model.run({"images": np.full((1, 3, 96, 128), 255, np.float32)}), 96, 128)
    cells, strides = yolox_cells(96, 128)
    np.testing.assert_allclose(boxes, np.hstack([cells * strides, (cells + 1) * strides]), atol=1e-4)
    np.testing.assert_allclose(scores, 1.0, atol=1e-6)
    assert ("decoded in the graph" in str(layout)) == decoded


def test_cells_cover_the_image_once_a_stride():
    cells, strides = yolox_cells(416, 416)
    assert len(cells) == 3549
    for stride in (8, 16, 32):
        mine = cells[strides[:, 0] == stride]
        assert len(np.unique(mine, axis=0)) == len(mine) == (416 // stride) ** 2
        assert (mine[1] - mine[0]).tolist() == [1, 0]  # column before row, as YOLOX numbers them


def test_raw_boxes_follow_the_formula_of_yolox():
    rows = np.zeros((len(yolox_cells(64, 96)[0]), 4), dtype=np.float32)
    rows[13] = 0.25, 0.5, np.log(2.0), np.log(3.0)  # stride 8, 12 columns: column 1, row 1
    np.testing.assert_allclose(yolox_boxes(rows, 64, 96, False)[13], [10 - 8, 12 - 12, 10 + 8, 12 + 12], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"anchors": 3}, "answers 756 cells for 128 x 96 px: expected YOLOX's 252"),
        ({"metadata": {"classes": "a,b"}}, "has 3 classes, its metadata names 2"),
        ({"metadata": {}}, "3 classes without names: give them in class_names"),
        ({"metadata": {"names": "nonsense("}}, "'names' cannot be read"),
    ],
)
def test_what_is_not_known_is_refused_with_the_reason(tmp_path, changes, text):
    with pytest.raises(ModelError, match=text):
        recognise(toy_of(tmp_path, **changes))


@pytest.mark.parametrize(
    ("shape", "text"),
    [(["n", 3], r"expected one input \(1, 3, H, W\)"), ([1, 3, 64, 64], r"answers 'y' \(1, 3, 64, 64\): expected")],
)
def test_another_network_altogether_is_refused(tmp_path, shape, text):
    from onnx import TensorProto, helper, save

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "double.onnx")
    with pytest.raises(ModelError, match=text):
        recognise(load(tmp_path / "double.onnx"))


def test_names_come_from_the_user_then_the_manifest_then_the_file(tmp_path):
    model = toy_of(tmp_path, metadata={"names": "{0: 'x', 2: 'z', 1: 'y'}"})
    assert recognise(model, ["a", "b", "c"], ["d", "e", "f"]).names == ("a", "b", "c")
    assert recognise(model, (), ["d", "e", "f"]).names == ("d", "e", "f")
    assert recognise(model).names == ("x", "y", "z")


def test_coco_has_eighty_names_in_its_order():
    assert len(set(COCO_NAMES)) == 80
    assert [COCO_NAMES.index(n) for n in ("person", "cup", "banana", "toothbrush")] == [0, 41, 46, 79]


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(240, 320, (256, 320)), (480, 640, (320, 416)), (7, 5, (32, 32))]
)
def test_the_canvas_is_the_smallest_that_fits(height, width, expected):
    assert canvas_size(height, width, 416) == expected


def test_the_image_lies_in_the_upper_left_on_grey_and_its_boxes_find_back():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (50, 90, 3), dtype=np.uint8)
    canvas, place = letterbox_top_left(image, 96, 128)
    assert canvas.shape == (96, 128, 3) and (canvas[int(50 * 128 / 90) :] == PADDING).all()
    low = rng.uniform(0, 40, (20, 2))
    boxes = np.hstack([low, low + rng.uniform(1, 40, (20, 2))])
    np.testing.assert_allclose(place.to_image(place.to_canvas(boxes)), boxes, atol=1e-9)
    shift = np.array([3.0, 2.0, 3.0, 2.0])
    moved = place.to_canvas(boxes + shift) - place.to_canvas(boxes)
    np.testing.assert_allclose(moved, np.tile(shift * place.scale, (20, 1)), atol=1e-9)


def test_an_image_of_the_canvas_size_is_left_as_it_is_and_turned_to_bgr():
    image = np.random.default_rng(1).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    canvas, _ = letterbox_top_left(image, 64, 96)
    np.testing.assert_array_equal(canvas, image)
    np.testing.assert_array_equal(to_blob(canvas)[0, 0], image[..., 2])
