# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_core.cameras import PinholeCamera

PLAIN = PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5)
LENSES = {
    "plain": (),
    "barrel": (-0.3, 0.1, 0.001, -0.002, -0.01),
    "pincushion": (0.1, 0.02, 0.0, 0.0),
    "rational": (0.5, 0.1, 0.0005, 0.0001, 0.01, 0.8, 0.2, 0.02),
}


@pytest.fixture(params=LENSES.values(), ids=LENSES)
def camera(request):
    return PinholeCamera(640, 480, 500.0, 510.0, 319.5, 239.5, request.param)


def test_the_axis_meets_the_principal_point(camera):
    np.testing.assert_allclose(camera.project([[0.0, 0.0, 3.0]]), [[319.5, 239.5]])


def test_right_is_right_and_down_is_down():
    np.testing.assert_allclose(PLAIN.project([[1.0, 0.5, 2.0]]), [[569.5, 367.0]])


def test_every_pixel_comes_back(camera):
    v, u = np.mgrid[0:480:17, 0:640:17]
    pixels = np.stack([u.ravel(), v.ravel()], axis=-1)
    depth = np.linspace(0.3, 9.0, len(pixels))
    points = camera.back_project(pixels, depth)
    np.testing.assert_allclose(points[:, 2], depth)
    np.testing.assert_allclose(camera.project(points), pixels, atol=1e-7)


def test_projection_is_opencvs(camera):
    cv2 = pytest.importorskip("cv2")
    points = np.random.default_rng(1).uniform([-0.5, -0.4, 1.0], [0.5, 0.4, 3.0], (50, 3))
    lens = np.array(camera.distortion) if camera.distortion else None
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), camera.matrix, lens)
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-9)


@given(st.floats(0.2, 3.0))
def test_a_larger_image_shows_the_same(factor):
    width, height = round(640 * factor), round(480 * factor)
    points = np.random.default_rng(2).uniform([-0.5, -0.4, 1.0], [0.5, 0.4, 3.0], (20, 3))
    # relative to the image's outer corners nothing moves
    small = (PLAIN.project(points) + 0.5) / (640, 480)
    np.testing.assert_allclose((PLAIN.resized(width, height).project(points) + 0.5) / (width, height), small)


def test_points_behind_have_no_pixel():
    assert np.isnan(PLAIN.project([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]])).all()


def test_holes_stay_holes():
    camera = PinholeCamera(4, 3, 2.0, 2.0, 1.5, 1.0)
    depth = np.ones((3, 4), dtype=np.float32)
    depth[0, 0], depth[1, 1], depth[2, 2] = 0.0, np.nan, np.inf
    points = camera.back_project_image(depth)
    assert np.isnan(points).all(axis=2).tolist() == (~np.isfinite(depth) | (depth == 0)).tolist()
    np.testing.assert_allclose(points[0, 1], [-0.25, -0.5, 1.0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((640, 480, 0.0, 500.0, 320.0, 240.0), "fx = 0.0: expected a focal length"),
        ((0, 480, 500.0, 500.0, 320.0, 240.0), "width = 0.0"),
        ((640, 480, 500.0, 500.0, np.nan, 240.0), "cx"),
        ((640, 480, 500.0, 500.0, 320.0, 240.0, (0.1,)), "got 1"),
    ],
)
def test_what_is_no_camera_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        PinholeCamera(*arguments)


def test_a_lens_without_inverse_is_refused():
    with pytest.raises(ValueError, match="cannot be inverted"):
        PinholeCamera(640, 480, 200.0, 200.0, 320.0, 240.0, (-2.0, 0.0, 0.0, 0.0)).rays([[0.0, 0.0]])
