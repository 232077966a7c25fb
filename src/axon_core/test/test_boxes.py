# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.boxes import iou_matrix, nms

seeds = st.integers(0, 2**32 - 1)


def random_boxes(seed, count=30):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 20, (count, 2)).astype(float)
    return np.hstack([corner, corner + rng.integers(0, 12, (count, 2))]), rng.integers(0, 5, count) / 5.0, rng


def slow_nms(boxes, scores, threshold, classes):
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i], *boxes[i], classes[i]))
    kept = []
    for i in order:
        others = [j for j in kept if classes[j] == classes[i]]
        if all(iou_matrix(boxes[[i]], boxes[[j]])[0, 0] <= threshold for j in others):
            kept.append(i)
    return kept


def test_known_overlaps():
    boxes = [[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 0, 0]]
    np.testing.assert_allclose(iou_matrix(boxes[:1], boxes), [[1.0, 1 / 3, 0.0, 0.0]])


@given(seeds)
def test_iou_is_symmetric_and_between_zero_and_one(seed):
    boxes, _, _ = random_boxes(seed)
    iou = iou_matrix(boxes, boxes)
    np.testing.assert_array_equal(iou, iou.T)
    assert (iou >= 0).all() and (iou <= 1).all()
    solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    np.testing.assert_allclose(np.diag(iou), solid.astype(float))


@given(seeds, st.floats(0.1, 10.0), st.floats(-50.0, 50.0))
def test_iou_does_not_know_scale_or_place(seed, scale, shift):
    boxes, _, _ = random_boxes(seed)
    np.testing.assert_allclose(
        iou_matrix(scale * boxes + shift, scale * boxes + shift), iou_matrix(boxes, boxes), atol=1e-6
    )


@given(seeds, st.floats(0.0, 1.0))
def test_nms_equals_the_textbook(seed, threshold):
    boxes, scores, rng = random_boxes(seed)
    classes = rng.integers(0, 3, len(boxes))
    np.testing.assert_array_equal(nms(boxes, scores, threshold, classes), slow_nms(boxes, scores, threshold, classes))


@given(seeds, st.floats(0.0, 1.0))
def test_nms_is_idempotent_and_order_free(seed, threshold):
    boxes, scores, rng = random_boxes(seed)
    kept = nms(boxes, scores, threshold)
    assert nms(boxes[kept], scores[kept], threshold).tolist() == list(range(len(kept)))
    shuffle = rng.permutation(len(boxes))
    again = nms(boxes[shuffle], scores[shuffle], threshold)
    np.testing.assert_array_equal(boxes[shuffle][again], boxes[kept])


def test_many_boxes_are_no_matter():
    corner = np.random.default_rng(0).uniform(0, 1000, (10_000, 2))
    boxes = np.hstack([corner, corner + 60.0])
    kept = nms(boxes, np.linspace(0, 1, len(boxes)), 0.5)
    overlap = iou_matrix(boxes[kept[:300]], boxes[kept[:300]])
    assert (overlap - np.eye(300) <= 0.5).all()


def test_nothing_in_nothing_out():
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_a_box_inside_out_is_refused():
    with pytest.raises(ValueError, match="x_min, y_min, x_max, y_max"):
        iou_matrix([[2, 0, 1, 1]], [[0, 0, 1, 1]])
