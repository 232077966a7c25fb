# SPDX-License-Identifier: Apache-2.0
"""The runtime around a network whose answer is known."""

import numpy as np
import pytest
from networks import LOG_RANGE, colour_read, picture

from axon_core.cameras import PinholeCamera
from axon_core.models import ModelError
from axon_depth.canonical import CANONICAL_FOCAL_PX, INPUT_WIDTH_PX, place
from axon_depth.config import DepthConfig
from axon_depth.runtime import DepthEstimator


def camera_of(focal=230.0, width=320, height=240):
    return PinholeCamera(width, height, focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))


@pytest.fixture(scope="module")
def estimator(network):
    return DepthEstimator(network)


def hilly(seed=0, width=320, height=240):
    """A smooth canonical log-depth (H, W)."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[:height, :width] / max(width, height)
    waves = sum(np.sin(6.0 * (a * u + b * v) + c) for a, b, c in rng.uniform(-1.0, 1.0, (3, 3)))
    return 0.5 * LOG_RANGE + 0.25 * LOG_RANGE * waves / 3.0


def test_depth_and_sigma_are_what_the_network_says_in_metres(estimator):
    camera = camera_of()
    result = estimator.step(picture(np.full((240, 320), 1.0), log_scale=-1.0), camera)
    scale = camera.fy * INPUT_WIDTH_PX / 320 / CANONICAL_FOCAL_PX
    depth_m = scale * np.exp(LOG_RANGE * colour_read(1.0 / LOG_RANGE))
    np.testing.assert_allclose(result.depth_m, depth_m, rtol=1e-5)
    b = np.exp(LOG_RANGE * (colour_read(0.5) - 1.0))
    np.testing.assert_allclose(result.sigma_m, np.sqrt(2.0) * b * depth_m, rtol=1e-5)
    assert result.depth_m.dtype == result.sigma_m.dtype == np.float32


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_depth_grows_with_the_focal_length(estimator, factor):
    image = picture(hilly())
    one, other = estimator.step(image, camera_of(200.0)), estimator.step(image, camera_of(200.0 * factor))
    both = np.isfinite(one.depth_m) & np.isfinite(other.depth_m)
    assert both.mean() > 0.5
    np.testing.assert_allclose(other.depth_m[both], factor * one.depth_m[both], rtol=1e-5)
    np.testing.assert_allclose(other.sigma_m[both], factor * one.sigma_m[both], rtol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(320, 240), (640, 480), (640, 360), (200, 300)])
def test_answer_lies_where_the_image_does(estimator, width, height):
    log_depth, camera = hilly(1, width, height), camera_of(250.0, width, height)
    result = estimator.step(picture(log_depth), camera)
    scale = place(camera).depth_scale
    inner = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(result.depth_m[inner] / scale, np.exp(log_depth)[inner], rtol=0.03)


def test_mirrored_image_has_the_mirrored_depth(estimator):
    image = picture(hilly(2))
    straight = estimator.step(image, camera_of())
    mirrored = estimator.step(np.ascontiguousarray(image[:, ::-1]), camera_of())
    np.testing.assert_allclose(mirrored.depth_m[:, ::-1], straight.depth_m, rtol=1e-4)


def test_what_is_out_of_range_is_a_hole_in_depth_and_sigma(network):
    log_depth = hilly(3)
    image = picture(log_depth)
    everything = DepthEstimator(network, DepthConfig(min_depth_m=0.0, max_depth_m=100.0)).step(image, camera_of())
    some = DepthEstimator(network, DepthConfig(min_depth_m=2.5, max_depth_m=3.5)).step(image, camera_of())
    seen = (everything.depth_m >= 2.5) & (everything.depth_m <= 3.5)
    assert 0.1 < seen.mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(some.depth_m), seen)
    np.testing.assert_array_equal(np.isfinite(some.sigma_m), seen)
    np.testing.assert_array_equal(some.depth_m[seen], everything.depth_m[seen])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((240, 320), np.uint8), "expected a non-empty image"),
        (np.zeros((0, 320, 3), np.uint8), "expected a non-empty image"),
        (np.zeros((480, 640, 3), np.uint8), "640 x 480"),
        (np.zeros((240, 320, 3), np.float32), "float32"),
    ],
)
def test_image_that_does_not_fit_is_refused(estimator, image, said):
    with pytest.raises(ValueError, match=said):
        estimator.step(image, camera_of())


def test_another_network_is_refused(tmp_path, network):
    import onnx

    model = onnx.load(str(network))
    model.graph.output.pop()
    onnx.save(model, str(tmp_path / "half.onnx"))
    with pytest.raises(ModelError, match="no depth network"):
        DepthEstimator(tmp_path / "half.onnx")


def test_ranges_that_are_empty_are_refused():
    with pytest.raises(ValueError, match=r"max_depth_m = 1\.0: expected more than min_depth_m = 2\.0"):
        DepthConfig(min_depth_m=2.0, max_depth_m=1.0)
