# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.images import check_image, fit_letterbox, letterbox, resize_bilinear

sizes = st.integers(1, 700)


@given(sizes, sizes, sizes, sizes)
def test_a_letterbox_lies_in_its_canvas_touches_it_and_is_centred(height, width, canvas_height, canvas_width):
    place = fit_letterbox(height, width, canvas_height, canvas_width)
    x0, y0, x1, y1 = place.to_canvas([[0, 0, width, height]])[0]
    assert x0 >= 0 and y0 >= 0 and x1 <= canvas_width + 0.5 and y1 <= canvas_height + 0.5
    assert x1 - x0 == pytest.approx(canvas_width) or y1 - y0 == pytest.approx(canvas_height)
    assert abs((x0 + x1) - canvas_width) <= 2.0 and abs((y0 + y1) - canvas_height) <= 2.0


@given(sizes, sizes, st.lists(st.tuples(*[st.floats(0, 500)] * 4), max_size=5))
def test_boxes_come_back(height, width, boxes):
    place = fit_letterbox(height, width, 416, 416)
    array = np.array(boxes, dtype=float).reshape(-1, 4)
    np.testing.assert_allclose(place.to_image(place.to_canvas(array)), array, atol=1e-6)


def test_a_wide_image_has_bars_above_and_below():
    image = np.full((50, 100, 3), 7, dtype=np.uint8)
    canvas, place = letterbox(image, 200, 200)
    assert (canvas[50:150] == 7).all() and (canvas[:50] == 114).all() and (canvas[150:] == 114).all()
    assert place.scale == 2.0
    np.testing.assert_allclose(place.to_canvas([[10, 10, 20, 20]]), [[20, 70, 40, 90]])


def test_what_is_drawn_lies_where_its_box_says():
    image = np.zeros((60, 90, 3), dtype=np.uint8)
    image[12:30, 45:66] = 255
    canvas, place = letterbox(image, 180, 180, fill=0)
    rows, cols = np.nonzero(canvas[..., 0] > 127)
    seen = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(place.to_canvas([[45, 12, 66, 30]])[0], seen, atol=1.0)


def test_resizing_agrees_with_opencv():
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(0).random((37, 53, 3)).astype(np.float32)
    for height, width in ((80, 120), (20, 30), (37, 53)):
        expected = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(resize_bilinear(image, height, width), expected, atol=1e-5)


def test_resizing_keeps_a_plain_image_plain():
    assert (resize_bilinear(np.full((5, 7), 200, dtype=np.uint8), 11, 3) == 200).all()


@pytest.mark.parametrize("image", [np.zeros((0, 5, 3)), np.zeros((5, 5)), np.zeros((5, 5, 4)), np.zeros(5)])
def test_what_is_no_colour_image_is_refused(image):
    with pytest.raises(ValueError, match="expected a non-empty image"):
        check_image(image)
