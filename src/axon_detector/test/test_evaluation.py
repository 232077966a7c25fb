# SPDX-License-Identifier: Apache-2.0
"""Average precision against COCO's own code, and on cases whose answer is known."""

import contextlib
import io

import numpy as np
import pytest

from axon_detector.evaluation import Found, Truth, average_precisions, match, mean_precisions

CLASSES = 4


def random_set(seed, images=25):
    """Images with objects, and detections that are some of them, moved, mislabelled, doubled, and some nothing."""
    rng = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(images):
        count = int(rng.integers(0, 9))
        low = rng.uniform(0, 200, (count, 2))
        boxes = np.hstack([low, low + np.exp(rng.uniform(np.log(6), np.log(160), (count, 2)))])
        labels = rng.integers(0, CLASSES, count)
        again = rng.integers(0, max(count, 1), 12)[: 12 * (count > 0)]
        moved = boxes[again] + rng.normal(0, 0.06, (len(again), 4)) * np.tile(boxes[again, 2:] - boxes[again, :2], 2)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1.0)
        wrong = rng.random(len(again)) < 0.2
        guessed = np.where(wrong, rng.integers(0, CLASSES, len(again)), labels[again])
        found.append(Found(moved, rng.random(len(again)), guessed))
        truths.append(Truth(boxes, labels))
    return found, truths


def of_pycocotools(found, truths):
    """COCO's twelve numbers."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {"image_id": i, "category_id": int(label), "bbox": xywh(box), "area": area(box), "iscrowd": 0}
        for i, truth in enumerate(truths)
        for box, label in zip(truth.boxes_xyxy, truth.labels, strict=True)
    ]
    results = [
        {"image_id": i, "category_id": int(label), "bbox": xywh(box), "score": float(score)}
        for i, one in enumerate(found)
        for box, score, label in zip(one.boxes_xyxy, one.scores, one.labels, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truths))],
            "categories": [{"id": i} for i in range(CLASSES)],
            "annotations": [{**a, "id": n} for n, a in enumerate(annotations, 1)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return evaluation.stats


def xywh(box):
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def area(box):
    return float((box[2] - box[0]) * (box[3] - box[1]))


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_cocos_own_code(seed):
    found, truths = random_set(seed)
    stats = of_pycocotools(found, truths)
    assert mean_precisions(average_precisions(found, truths, CLASSES)) == pytest.approx(stats[:2], abs=1e-6)
    for number, sizes in enumerate([(0, 32**2), (32**2, 96**2), (96**2, 1e10)]):
        mean, _ = mean_precisions(average_precisions(found, truths, CLASSES, sizes))
        assert mean == pytest.approx(stats[3 + number], abs=1e-6)


def test_what_is_all_found_scores_one_and_nothing_found_zero():
    _, truths = random_set(9)
    perfect = [Found(t.boxes_xyxy, np.ones(len(t.labels)), t.labels) for t in truths]
    nothing = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for _ in truths]
    assert mean_precisions(average_precisions(perfect, truths, CLASSES)) == (1.0, 1.0)
    assert mean_precisions(average_precisions(nothing, truths, CLASSES)) == (0.0, 0.0)


def test_neither_scaling_the_images_nor_mirroring_them_nor_their_order_changes_it():
    found, truths = random_set(3)
    expected = average_precisions(found, truths, CLASSES)

    def changed(boxes):
        return 3.0 * np.stack([300 - boxes[:, 2], boxes[:, 1], 300 - boxes[:, 0], boxes[:, 3]], axis=1)

    found = [Found(changed(f.boxes_xyxy), f.scores, f.labels) for f in found][::-1]
    truths = [Truth(changed(t.boxes_xyxy), t.labels) for t in truths][::-1]
    np.testing.assert_allclose(average_precisions(found, truths, CLASSES), expected, atol=1e-9)


def test_an_ignored_object_is_neither_missed_nor_wrong_when_found():
    boxes = np.array([[0, 0, 10, 10], [50, 50, 70, 70]], dtype=float)
    truth = Truth(boxes, np.zeros(2, int), np.array([False, True]))
    for kept in ([0], [0, 1]):
        one = Found(boxes[kept], np.array([0.5, 0.9])[kept], np.zeros(len(kept), int))
        assert mean_precisions(average_precisions([one], [truth], 1)) == (1.0, 1.0)


def test_an_object_is_found_once():
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    hit, _ = match(np.repeat(box, 3, axis=0), box, np.array([False]))
    assert hit.sum(axis=1).tolist() == [1] * 10 and hit[:, 0].all()


def test_a_class_without_objects_does_not_count():
    _, truths = random_set(5)
    perfect = [Found(t.boxes_xyxy, np.ones(len(t.labels)), t.labels) for t in truths]
    precisions = average_precisions(perfect, truths, CLASSES + 1)
    assert np.isnan(precisions[CLASSES]).all() and mean_precisions(precisions) == (1.0, 1.0)
