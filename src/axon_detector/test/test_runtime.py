# SPDX-License-Identifier: Apache-2.0
"""The detector with a network whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from toys import picture, write_toy

from axon_core.boxes import nms
from axon_core.cameras import PinholeCamera
from axon_core.models import ModelError
from axon_detector.config import DetectorConfig
from axon_detector.drawing import annotate, label_colour
from axon_detector.runtime import Detector

CAMERA = PinholeCamera(128, 96, 100.0, 100.0, 63.5, 47.5)
SQUARES = (("red", 32, 32, 32), ("green", 96, 0, 8), ("blue", 8, 80, 8))


@pytest.fixture
def config(toy):
    return DetectorConfig(model=str(toy), score_threshold=0.9, iou_threshold=0.1)


def by_name(found):
    return {name: box.tolist() for name, box in zip(found.names, found.boxes_xyxy, strict=True)}


def test_squares_are_found_where_they_are(config):
    found = Detector(replace(config, iou_threshold=0.0)).step(picture(*SQUARES))
    assert by_name(found)["green"] == pytest.approx([96, 0, 104, 8], abs=1e-3)
    assert by_name(found)["blue"] == pytest.approx([8, 80, 16, 88], abs=1e-3)
    red = found.boxes_xyxy[[name == "red" for name in found.names]]
    assert red[:, :2].min() == pytest.approx(32, abs=1e-3) and red[:, 2:].max() == pytest.approx(64, abs=1e-3)
    assert found.boxes_3d == ()


def test_an_image_of_another_size_is_found_in_its_own_pixels(config):
    image = np.kron(picture(("green", 96, 0, 8)), np.ones((3, 3, 1), np.uint8))
    found = Detector(config).step(image)
    assert by_name(found)["green"] == pytest.approx([288, 0, 312, 24], abs=3.0)


def test_shifting_the_image_shifts_the_boxes(config):
    detector = Detector(config)
    boxes = [detector.step(picture(("blue", x, y, 8))).boxes_xyxy for x, y in ((8, 16), (80, 72))]
    np.testing.assert_allclose(boxes[1] - boxes[0], [[72, 56, 72, 56]], atol=1e-3)


def test_only_wanted_categories_are_reported_and_an_unknown_one_is_refused(config):
    detector = Detector(config)
    detector.reconfigure(replace(config, classes=("blue",)))
    assert set(detector.step(picture(*SQUARES)).names) == {"blue"}
    with pytest.raises(ValueError, match="knows no 'bleu': did you mean 'blue'"):
        detector.reconfigure(replace(config, classes=("bleu",)))
    assert set(detector.step(picture(*SQUARES)).names) == {"blue"}


def test_a_lower_threshold_loses_nothing_and_the_best_come_first(config):
    detector, image = Detector(config), np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    counts = []
    for threshold in (0.7, 0.55, 0.5, 0.0):
        detector.reconfigure(replace(config, score_threshold=threshold, max_detections=1000, iou_threshold=1.0))
        found = detector.step(image)
        assert (np.diff(found.scores) <= 0.0).all() and (found.scores >= threshold).all()
        counts.append(len(found))
    assert counts == sorted(counts) and counts[-1] == 252
    detector.reconfigure(replace(config, score_threshold=0.0, max_detections=7))
    np.testing.assert_array_equal(detector.step(image).scores, found.scores[:7])


def test_what_is_reported_is_what_suppression_leaves_alone(config):
    detector = Detector(replace(config, score_threshold=0.3, iou_threshold=0.2, max_detections=1000))
    found = detector.step(np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    again = nms(found.boxes_xyxy, found.scores, 0.2, found.labels)
    np.testing.assert_array_equal(np.sort(again), np.arange(len(found)))
    assert len(found) > 20


def test_depth_puts_them_in_space(config):
    depth = np.full((96, 128), 1.0, dtype=np.float32)
    depth[:, 96:] = np.nan
    found = Detector(config).step(picture(("blue", 64, 48, 8), ("green", 96, 0, 16)), depth, CAMERA)
    places = dict(zip(found.names, found.boxes_3d, strict=True))
    assert places["green"] is None
    np.testing.assert_allclose(places["blue"].size_m, 0.08, rtol=0.06)
    np.testing.assert_allclose(places["blue"].centre_m, [0.04, 0.04, 1.04], atol=0.01)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), "non-empty"),
        (np.zeros((4, 4, 3), np.float32), "expected uint8"),
        (np.zeros((4, 4400, 3), np.uint8), "at most 4096"),
    ],
)
def test_an_image_that_is_none_is_refused(config, image, text):
    with pytest.raises(ValueError, match=text):
        Detector(config).step(image)


def test_depth_of_another_size_is_refused(config):
    with pytest.raises(ValueError, match="differ in size"):
        Detector(config).step(picture(*SQUARES), np.ones((48, 64), np.float32), CAMERA)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        Detector(DetectorConfig(model=str(tmp_path / "none.onnx")))


def test_it_says_what_it_recognised(tmp_path):
    detector = Detector(DetectorConfig(model=str(write_toy(tmp_path / "mine.onnx", decoded=True))))
    assert detector.describe() == "mine.onnx: yolox layout, input 128 x 96 px, 3 classes, boxes decoded in the graph"
    assert detector.device == "cpu" and detector.model.name == "mine"


def test_drawing_leaves_the_image_alone_and_marks_the_box():
    image = picture(height=60, width=80)
    drawn = annotate(image, np.array([[20.0, 30.0, 50.0, 55.0]]), ["mug 0.90"], [3])
    assert not image.any() and drawn.shape == image.shape
    assert tuple(drawn[54, 30]) == tuple(drawn[40, 20]) == label_colour(3)
    assert len({label_colour(label) for label in range(80)}) > 75
