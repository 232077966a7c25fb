# SPDX-License-Identifier: Apache-2.0
"""The detector's benches and recipe: what they refuse, that their seeds are apart, and what the loss asks for."""

from pathlib import Path

import detector_coco
import detector_sim
import numpy as np
import pytest
from harness import make_parser

from axon_core.models import ModelError
from axon_detector.evaluation import Found, Truth
from axon_detector.runtime import Detector, DetectorConfig
from axon_sim.objects import CATEGORIES
from training import detector_data
from training.harness import Run
from training.harness import make_parser as make_recipe_parser

torch = pytest.importorskip("torch")
detector, detector_loss = (pytest.importorskip(f"training.{name}") for name in ("detector", "detector_loss"))
model = pytest.importorskip("axon_detector.model")

SHARED = Path(__file__).parents[2] / "shared" / "data"
COCO, YOLOX = SHARED / "coco128_train", SHARED / "yolox_nano" / "yolox_nano.onnx"


def options(module, *words):
    return make_parser(module.__name__.replace("_", "-"), module).parse_args(words)


# Benches


def test_without_data_or_network_the_coco_bench_says_what_it_wants(tmp_path):
    with pytest.raises(ValueError, match="--data None: expected a folder with images"):
        detector_coco.main(options(detector_coco))
    (tmp_path / "images").mkdir()
    detector_coco.cv2.imwrite(str(tmp_path / "images" / "one.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ModelError, match="--model None: expected a YOLOX"):
        detector_coco.main(options(detector_coco, "--data", str(tmp_path)))


def test_labels_are_read_in_pixels(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    detector_coco.cv2.imwrite(str(tmp_path / "images" / "one.jpg"), np.zeros((100, 200, 3), np.uint8))
    (tmp_path / "labels" / "one.txt").write_text("41 0.5 0.5 0.2 0.4\n")
    (photo,) = detector_coco.load_photos(tmp_path)
    np.testing.assert_allclose(photo.truth.boxes_xyxy, [[80, 30, 120, 70]])
    assert photo.truth.labels.tolist() == [41]


@pytest.mark.timeout(300)
@pytest.mark.skipif(not COCO.is_dir() or not YOLOX.is_file(), reason="needs COCO128 and YOLOX-Nano beside the checkout")
def test_the_node_scores_what_a_plain_evaluation_scores():
    words = ("--data", str(COCO), "--model", str(YOLOX), "--images", "10")
    numbers = detector_coco.main(options(detector_coco, *words))
    assert numbers["map50_95_gap"] <= 0.005 and numbers["map50"] > 0.3 and numbers["images"] == 10


def test_seeds_of_benches_validation_and_training_are_apart():
    last = detector_sim.SEEDS * detector_sim.LAST_SEED + detector_sim.SEEDS - 1
    assert last < detector_data.VALIDATION_SEED < detector_data.VALIDATION_SEED + 100 < detector_data.TRAINING_SEED
    with pytest.raises(ValueError, match=r"expected 0 \.\. 499"):
        detector_sim.main(options(detector_sim, "--seed", "500"))


def test_a_few_images_are_measured_and_no_number_is_out_of_range(tmp_path):
    file = tmp_path / "untrained.onnx"
    torch.manual_seed(0)
    detector.export(model.DetectorNet(len(CATEGORIES)), file)
    sheet = tmp_path / "sheet.png"
    words = ("--images", "4", "--network", str(file), "--show", str(sheet))
    numbers = detector_sim.main(options(detector_sim, *words))
    assert numbers["images"] == 4 and numbers["objects"] > 0 and numbers["map50"] < 0.2
    assert all(0.0 <= value <= 1.0 for key, value in numbers.items() if "map50" in key and np.isfinite(value))


def test_the_plane_baseline_boxes_what_stands_on_a_plane():
    camera = detector_sim.PinholeCamera(160, 120, 150.0, 150.0, 79.5, 59.5)
    rays = camera.back_project_image(np.ones((120, 160)))
    depth = 0.9 / (0.8 * rays[..., 1] + 0.6)  # the plane 0.8 y + 0.6 z = 0.9, below a camera that looks down
    depth[depth <= 0] = np.nan
    depth[50:70, 60:90] *= 0.85
    found = detector_sim.plane_blobs(depth, camera)
    assert len(found.scores) == 1
    np.testing.assert_allclose(found.boxes_xyxy, [[60, 50, 90, 70]], atol=2.0)


def test_right_and_wrong_are_counted_once_and_ignored_ones_not_at_all():
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], dtype=float)
    truth = Truth(boxes, np.array([1, 1, 2]), np.array([False, True, False]))
    found = Found(np.vstack([boxes[:2], boxes[:1]]), np.array([0.9, 0.8, 0.7]), np.array([1, 1, 3]))
    assert detector_sim.count(found, truth) == (1, 1, 2)


# Recipe


def test_the_network_as_onnx_is_recognised_at_any_size_and_finds_the_same(tmp_path):
    torch.manual_seed(1)
    network = model.DetectorNet(len(CATEGORIES)).eval()
    detector.export(network, tmp_path / "net.onnx")
    runtime = Detector(DetectorConfig(model=str(tmp_path / "net.onnx"), score_threshold=0.0, max_detections=1000))
    assert runtime.names == CATEGORIES and str(runtime.layout).startswith("axon layout, input any size")
    image = np.random.default_rng(0).integers(0, 255, (100, 150, 3), dtype=np.uint8)
    found = runtime.step(image)
    with torch.no_grad():
        canvas = np.full((128, 160, 3), 114, np.float32)
        canvas[:100, :150] = image[..., ::-1]
        boxes, scores = network(torch.from_numpy(canvas).permute(2, 0, 1)[None])
    assert boxes.shape[1] == sum((128 // s) * (160 // s) for s in model.STRIDES)
    assert found.scores[0] == pytest.approx(float(scores.max()), abs=1e-4)


def truth_of(boxes, labels=None, ignored=None):
    count = len(boxes)
    return detector_loss.Truth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels or [0] * count),
        torch.tensor(ignored or [False] * count),
    )


def cells(height=64, width=64):
    found = [torch.meshgrid(torch.arange(height // s), torch.arange(width // s), indexing="ij") for s in model.STRIDES]
    centres = [
        torch.stack([x, y], -1).reshape(-1, 2).add(0.5) * s for s, (y, x) in zip(model.STRIDES, found, strict=True)
    ]
    strides = [torch.full((len(c), 1), float(s)) for c, s in zip(centres, model.STRIDES, strict=True)]
    return torch.cat(centres), torch.cat(strides)


def test_every_object_has_cells_inside_it_and_no_cell_two_objects():
    centres, strides = cells()
    boxes = torch.cat([centres - strides, centres + strides], dim=1)
    truth = truth_of([[4, 4, 30, 30], [20, 20, 60, 60], [50, 3, 53, 6]], [2, 0, 1])
    wanted, owner, counted = detector_loss.assign(boxes, torch.full((len(boxes), 3), 0.1), centres, strides, truth)
    assert set(owner.tolist()) == {-1, 0, 1, 2} and counted.all()
    for index, (x0, y0, x1, y1) in enumerate(truth.boxes[:2].tolist()):
        mine = centres[owner == index]
        assert ((mine >= torch.tensor([x0, y0])) & (mine <= torch.tensor([x1, y1]))).all()
    assert ((wanted > 0).sum(1) == (owner >= 0)).all() and 0.0 < wanted.max() <= 1.0
    assert (wanted[owner >= 0].argmax(1) == truth.labels[owner[owner >= 0]]).all()


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_does():
    centres, strides = cells()
    truth = truth_of([[8, 8, 40, 40]])
    boxes = truth.boxes.repeat(len(centres), 1)
    right = torch.full((len(centres), 1), -12.0)
    inside = detector_loss.cells_in(truth.boxes, centres, strides)[0]
    right[inside] = 12.0
    _, owner, _ = detector_loss.assign(boxes, right.sigmoid(), centres, strides, truth)
    right[owner < 0] = -12.0
    for logits, low, high in ((right, 0.0, 0.01), (-right, 1.0, 1e6)):
        score, box = detector_loss.detection_loss((boxes[None], logits[None], centres, strides), [truth])
        assert low <= float(score) <= high and float(box) < 1e-4


def test_an_ignored_object_teaches_nothing():
    centres, strides = cells()
    boxes, logits = torch.cat([centres - 4, centres + 4], dim=1), torch.zeros(len(centres), 1)
    truth = truth_of([[8, 8, 40, 40]], ignored=[True])
    _, owner, counted = detector_loss.assign(boxes, logits.sigmoid(), centres, strides, truth)
    inside = detector_loss.cells_in(truth.boxes, centres, strides)[0]
    assert (owner == -1).all() and torch.equal(counted, ~inside)


def test_giou_is_one_of_equal_boxes_below_zero_far_apart_and_symmetric():
    a = torch.tensor([[0.0, 0, 10, 10]]).repeat(3, 1)
    b = torch.tensor([[0.0, 0, 10, 10], [5, 5, 15, 15], [90, 90, 100, 100]])
    values = detector_loss.giou(a, b)
    torch.testing.assert_close(values, detector_loss.giou(b, a))
    # common 25, union 175, hull 225; and union 200, hull 10000
    torch.testing.assert_close(values, torch.tensor([1.0, 25 / 175 - 50 / 225, -9800 / 10000]), atol=1e-5, rtol=0.0)


def test_a_picture_is_the_same_for_its_seed_and_its_boxes_lie_in_it(tmp_path):
    samples = detector_data.render(tmp_path, [3], _two_views, workers=1)
    first, again = (detector_data.compose(samples, np.random.default_rng(5), 128, 160) for _ in range(2))
    np.testing.assert_array_equal(first.bgr, again.bgr)
    for number in range(20):
        picture = detector_data.compose(samples, np.random.default_rng(number), 128, 160)
        assert picture.bgr.shape == (128, 160, 3)
        assert (picture.boxes_xyxy >= 0).all() and (picture.boxes_xyxy <= [160, 128, 160, 128]).all()
        assert (picture.boxes_xyxy[:, 2:] > picture.boxes_xyxy[:, :2]).all()


def _two_views(seed):
    return detector_data.scene_views(seed, 2)


def test_the_learning_rate_rises_falls_and_the_clock_ends_the_training(tmp_path):
    factors = [detector.rate_factor(done) for done in np.linspace(0.0, 1.0, 101)]
    assert np.argmax(factors) == 2 and max(factors) == pytest.approx(1.0) and factors[-1] == pytest.approx(0.01)
    parser = make_recipe_parser("detector", detector)
    run = Run("detector", parser.parse_args(["--out", str(tmp_path), "--steps", "100", "--minutes", "1"]), [])
    assert detector.progress(run, 50) == pytest.approx(0.5, abs=0.1)
    run._before_s = 61.0
    assert detector.progress(run, 50) > 1.0
