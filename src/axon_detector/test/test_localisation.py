# SPDX-License-Identifier: Apache-2.0
"""Boxes in space of things whose place is known by construction."""

import numpy as np
import pytest

from axon_core.cameras import PinholeCamera
from axon_detector.localisation import locate

CAMERA = PinholeCamera(320, 240, 230.0, 230.0, 159.5, 119.5)
NEAR_M, FAR_M = 0.1, 6.0


def seen_ball(centre, radius=0.06, wall_m=2.0):
    """Depth image (H, W) of a ball before a wall, by intersecting every pixel's ray, and the ball's box."""
    rays = CAMERA.back_project_image(np.ones((240, 320)))
    a, b = (rays * rays).sum(-1), rays @ centre
    root = b * b - a * (centre @ centre - radius**2)
    hit = root > 0.0
    depth = np.where(hit, (b - np.sqrt(np.maximum(root, 0.0))) / a, wall_m)
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    return depth, np.array([columns[0], rows[0], columns[-1] + 1.0, rows[-1] + 1.0])


def place(depth, box):
    return locate(box, depth, CAMERA, NEAR_M, FAR_M)


@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.8), (0.3, -0.2, 1.2), (-0.25, 0.3, 0.9)])
def test_a_ball_before_a_wall_is_where_it_is(centre):
    found = place(*seen_ball(np.array(centre)))
    np.testing.assert_allclose(found.centre_m, centre, atol=0.012)
    np.testing.assert_allclose(found.size_m, 0.12, rtol=0.12)


def test_a_plate_seen_from_above_is_where_it_is():
    rays = CAMERA.back_project_image(np.ones((240, 320)))
    up, centre = np.array([0.0, -0.77, -0.64]), np.array([0.05, 0.1, 1.1])  # the camera looks down by 40 degrees
    points = rays * ((centre @ up) / (rays @ up))[..., None]
    hit = np.linalg.norm(points - centre, axis=-1) < 0.11
    rows, columns = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
    box = np.array([columns[0], rows[0], columns[-1] + 1.0, rows[-1] + 1.0])
    found = place(points[..., 2], box)  # the table goes on where the plate ends
    np.testing.assert_allclose(found.centre_m, centre, atol=0.025)


def test_the_wall_behind_does_not_matter():
    near, far = (place(*seen_ball(np.array([0.1, 0.0, 0.8]), wall_m=wall)) for wall in (1.1, 5.0))
    np.testing.assert_allclose(near.centre_m, far.centre_m, atol=1e-6)


@pytest.mark.parametrize("hole", [np.nan, 0.0, np.inf])
def test_holes_are_no_depth(hole):
    depth, box = seen_ball(np.array([0.1, 0.0, 0.8]))
    whole = place(depth, box)
    depth[np.random.default_rng(0).random(depth.shape) < 0.4] = hole
    np.testing.assert_allclose(place(depth, box).centre_m, whole.centre_m, atol=0.01)


def test_a_box_without_depth_is_nowhere():
    depth, box = seen_ball(np.array([0.0, 0.0, 0.8]))
    assert place(np.full_like(depth, np.nan), box) is None
    assert place(depth * 100.0, box) is None
    assert place(depth, np.array([400.0, 300.0, 420.0, 320.0])) is None


def test_any_box_in_any_depth_is_somewhere_in_front_or_nowhere():
    rng = np.random.default_rng(3)
    depth = np.where(rng.random((240, 320)) < 0.9, np.nan, rng.choice([0.3, 1.0, 5.0], (240, 320)))
    low = rng.uniform(-5.0, 320.0, (300, 2))
    for box in np.hstack([low, low + rng.exponential(8.0, (300, 2))]):
        found = place(depth, box)
        assert found is None or (found.centre_m[2] > 0.3 and (found.size_m >= 0.0).all() and found.pixels > 0)


def test_twice_as_large_and_twice_as_far_gives_twice_the_box():
    depth, box = seen_ball(np.array([0.1, 0.05, 0.7]), wall_m=2.0)
    once, twice = place(depth, box), place(2.0 * depth, box)
    # all but the margin of 2 cm scales
    np.testing.assert_allclose(twice.centre_m, 2.0 * once.centre_m, rtol=0.01)
    np.testing.assert_allclose(twice.size_m, 2.0 * once.size_m, rtol=0.01)
