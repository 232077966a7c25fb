# SPDX-License-Identifier: Apache-2.0
"""How cameras of all kinds are put before one network."""

import numpy as np
import pytest

from axon_core.cameras import PinholeCamera
from axon_depth.canonical import (
    CANONICAL_FOCAL_PX,
    INPUT_HEIGHT_PX,
    INPUT_WIDTH_PX,
    Floor,
    floor_below,
    image_from_network,
    network_floor,
    network_image,
    place,
)

SIZES = [(320, 240), (640, 480), (256, 192), (640, 360), (240, 320), (101, 77), (64, 48)]


def camera_of(width, height, focal=300.0):
    return PinholeCamera(width, height, focal, focal, 0.5 * (width - 1), 0.45 * height)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_goes_to_the_network_comes_back_where_it_was(width, height):
    v, u = np.mgrid[:height, :width]
    image = np.stack([255.0 * u / width, 255.0 * v / height, 0.0 * u], axis=-1).astype(np.uint8)
    placement = place(camera_of(width, height))
    seen = network_image(image, placement)
    assert seen.shape == (1, 3, INPUT_HEIGHT_PX, INPUT_WIDTH_PX) and seen.dtype == np.float32
    half = seen[0].reshape(3, INPUT_HEIGHT_PX // 2, 2, INPUT_WIDTH_PX // 2, 2).mean(axis=(2, 4))
    back = np.stack([image_from_network(channel, placement) for channel in half], axis=-1)
    inner = (slice(height // 8, -height // 8), slice(width // 8, -width // 8))
    np.testing.assert_allclose(255.0 * back[inner], image[inner], atol=1.5)


@pytest.mark.parametrize(("width", "height"), SIZES[:3])
def test_camera_of_the_same_proportions_becomes_that_of_the_resized_image(width, height):
    camera = camera_of(width, height)
    resized, placement = camera.resized(INPUT_WIDTH_PX, INPUT_HEIGHT_PX), place(camera)
    assert placement.focal_px == pytest.approx(resized.fx)
    assert placement.principal_row_px == pytest.approx(resized.cy)


@pytest.mark.parametrize("focal", [150.0, 230.5, 585.0])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_floor_has_one_height_for_every_camera(width, height, focal):
    """The slope of a row times canonical depth is the camera's height, whatever the lens, the size, the proportions."""
    height_m, camera = 1.1, camera_of(width, height, focal)
    placement = place(camera)
    v = np.arange(np.ceil(camera.cy + 1.0), height)
    depth_m = focal * height_m / (v - camera.cy)
    box = placement.letterbox
    rows = (v + 0.5) * box.scale + box.offset_y - 0.5
    slopes = (rows - placement.principal_row_px) / CANONICAL_FOCAL_PX
    np.testing.assert_allclose(slopes * depth_m / placement.depth_scale, height_m, rtol=1e-9)


def posed_camera(height_m, tilt_rad, roll_rad):
    """floor_T_camera (4, 4) of an optical frame that looks along x, down by the tilt, turned about its axis."""
    s, c = np.sin(tilt_rad), np.cos(tilt_rad)
    level = np.array([[0.0, -s, c], [-1.0, 0.0, 0.0], [0.0, -c, -s]])
    s, c = np.sin(roll_rad), np.cos(roll_rad)
    pose = np.eye(4)
    pose[:3, :3] = level @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    pose[:3, 3] = 0.3, -0.2, height_m
    return pose


@pytest.mark.parametrize("focal", [150.0, 400.0])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_known_floor_is_where_rays_meet_it(width, height, focal):
    """Of a ray's way to the floor, canonical depth times the network's input is one."""
    pose, camera = posed_camera(1.1, 0.5, 0.1), camera_of(width, height, focal)
    placement = place(camera)
    inverse = network_floor(floor_below(pose), placement)["inverse_floor"][0, 0]
    rng, box = np.random.default_rng(0), placement.letterbox
    row, column = rng.integers(0, INPUT_HEIGHT_PX, 200), rng.integers(0, INPUT_WIDTH_PX, 200)
    pixels = (np.column_stack([column, row]) + 0.5 - (box.offset_x, box.offset_y)) / box.scale - 0.5
    falling = camera.rays(pixels) @ pose[2, :3]  # change of height for one metre of depth
    with np.errstate(divide="ignore"):
        depth_m = -pose[2, 3] / falling
    np.testing.assert_allclose(inverse[row, column] * depth_m / placement.depth_scale, 1.0, rtol=1e-4)


def test_horizon_is_where_the_floor_is_infinitely_far():
    camera = PinholeCamera(INPUT_WIDTH_PX, INPUT_HEIGHT_PX, 92.0, 92.0, 63.5, 47.5)
    inverse = network_floor(floor_below(posed_camera(1.1, 0.3, 0.0)), place(camera))["inverse_floor"][0, 0]
    horizon = 47.5 - 92.0 * np.tan(0.3)
    rows = np.arange(INPUT_HEIGHT_PX)
    np.testing.assert_array_equal(inverse[:, 0] > 0.0, rows > horizon)


def test_floor_unknown_is_said_and_carries_nothing():
    inputs = network_floor(None, place(camera_of(320, 240)))
    assert inputs["floor_known"] == 0.0 and not inputs["inverse_floor"].any()


@pytest.mark.parametrize(
    ("height_m", "up", "said"),
    [(0.0, (0.0, -1.0, 0.0), "height_m"), (np.nan, (0.0, -1.0, 0.0), "height_m"), (1.0, (0.0, -2.0, 0.0), "length 1")],
)
def test_camera_in_the_floor_and_crooked_directions_are_refused(height_m, up, said):
    with pytest.raises(ValueError, match=said):
        Floor(height_m, up)
