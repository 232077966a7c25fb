# SPDX-License-Identifier: Apache-2.0
"""Where the gripper has room: geometry against a world that is known."""

import numpy as np
import pytest
from table_scenes import CAMERA, MAST, BoxScene, camera_at

from axon_grasp.grasps import (
    ANGLES,
    FitLimits,
    GripperShape,
    bin_angles,
    bins_of,
    fit_gripper,
    poses_of,
    select_grasps,
    tapers,
)
from axon_grasp.heightmap import CELLS, HeightMap, centers_of, make_height_map, object_mask

SHAPE, LIMITS = GripperShape(), FitLimits()


@pytest.fixture(scope="module")
def box_map() -> HeightMap:
    scene = BoxScene(size_m=(0.06, 0.12, 0.10))
    mount = camera_at(MAST, scene.target_m)
    return make_height_map(scene.depth(mount), CAMERA, mount, scene.target_m)


def candidates(heights, count=400, seed=0):
    rng = np.random.default_rng(seed)
    on = np.argwhere(object_mask(heights))
    cells = np.clip(on[rng.integers(len(on), size=count)] + rng.integers(-8, 9, (count, 2)), 0, CELLS - 1)
    return centers_of(cells), rng.uniform(0.0, np.pi, count)


def finger_corners(xy, angle, opening, shape):
    """Corners (8, 2) of both fingers' cross-sections."""
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    reaches = [side * (0.5 * opening + d) for side in (-1.0, 1.0) for d in (0.0, shape.finger_thick_m)]
    return np.array([xy + a * along + s * 0.5 * shape.finger_wide_m * across for a in reaches for s in (-1.0, 1.0)])


def test_fingers_never_start_inside_the_object_or_the_table(box_map):
    xy, angles = candidates(box_map)
    placed = fit_gripper(box_map, xy, angles, SHAPE, LIMITS)
    assert placed.fits.sum() > 20
    for index in np.flatnonzero(placed.fits):
        corners = finger_corners(xy[index], angles[index], placed.opening_m[index], SHAPE)
        # the true box, in the map's frame: its middle is the map's; half a pixel of it is 2 mm
        inside = (np.abs(corners) < [0.028, 0.058]).all(axis=1)
        tip_m = placed.z_m[index] - SHAPE.tip_m
        assert tip_m > 0.0
        assert not inside.any() or tip_m > 0.10 - 0.003


def test_the_opening_is_never_wider_than_the_gripper(box_map):
    placed = fit_gripper(box_map, *candidates(box_map), SHAPE, LIMITS)
    assert placed.opening_m.max() <= SHAPE.max_opening_m and placed.opening_m.min() > 0.0


def test_a_box_is_taken_across_its_short_side_and_not_along_its_long_one(box_map):
    middle = np.zeros((2, 2))
    placed = fit_gripper(box_map, middle, np.array([0.0, 0.5 * np.pi]), SHAPE, LIMITS)
    assert placed.fits.tolist() == [True, False]  # 6 cm and 12 cm; the gripper opens 9 cm
    assert placed.z_m[0] == pytest.approx(0.10 - LIMITS.depth_m, abs=0.004)


def test_an_angle_and_its_opposite_are_the_same_grasp(box_map):
    xy, angles = candidates(box_map, 60)
    one = fit_gripper(box_map, xy, angles, SHAPE, LIMITS)
    other = fit_gripper(box_map, xy, angles + np.pi, SHAPE, LIMITS)
    np.testing.assert_array_equal(one.fits, other.fits)
    np.testing.assert_allclose(one.z_m, other.z_m, atol=1e-9)
    np.testing.assert_array_equal(bins_of(angles), bins_of(angles - np.pi))


def test_bins_and_their_centers_are_inverse():
    np.testing.assert_array_equal(bins_of(bin_angles()), np.arange(ANGLES))
    assert bin_angles()[0] == pytest.approx(0.5 * np.pi / ANGLES)


def test_poses_are_rigid_point_down_and_close_along_the_angle(box_map):
    xy, angles = candidates(box_map, 20)
    poses = poses_of(box_map, xy, angles, np.full(20, 0.05))
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (20, 1, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.det(poses[:, :3, :3]), 1.0, atol=1e-9)
    np.testing.assert_allclose(poses[:, :3, 0], np.tile([0.0, 0.0, -1.0], (20, 1)), atol=1e-9)
    np.testing.assert_allclose(poses[:, 2, 3], box_map.base_T_map[2, 3] + 0.05, atol=1e-9)
    closing = poses[:, :3, 1] @ box_map.base_T_map[:3, :3]
    np.testing.assert_allclose(np.mod(np.arctan2(closing[:, 1], closing[:, 0]), np.pi), angles, atol=1e-9)


def test_the_best_that_fit_are_selected_in_order_and_differ(box_map):
    rng = np.random.default_rng(1)
    quality = rng.uniform(0.0, 1.0, (ANGLES, CELLS, CELLS))
    thickness = np.full(quality.shape, 0.06)
    found = select_grasps(box_map, quality, thickness, object_mask(box_map), SHAPE, LIMITS, 6, 0.2)
    values = [grasp.quality for grasp in found]
    assert len(found) == 6 and values == sorted(values, reverse=True) and min(values) >= 0.2
    places = np.array([grasp.base_T_grasp[:2, 3] for grasp in found])
    directions = np.array([grasp.base_T_grasp[:3, 1] for grasp in found])
    for i in range(6):
        for j in range(i):
            apart = np.linalg.norm(places[i] - places[j])
            turned = np.degrees(np.arccos(min(1.0, abs(directions[i] @ directions[j]))))
            assert apart >= 0.0079 or turned >= 14.9


def can_map(radius_m: float) -> HeightMap:
    far = np.linalg.norm(centers_of(np.argwhere(np.ones((CELLS, CELLS)))), axis=-1).reshape(CELLS, CELLS)
    heights = np.where(far < radius_m, 0.10, 0.0).astype(np.float32)
    return HeightMap(heights, np.ones((CELLS, CELLS), dtype=bool), np.eye(4))


def test_a_can_tapers_the_more_the_farther_from_its_middle_it_is_gripped():
    can, radius = can_map(0.034), 0.034
    beside = np.array([0.0, 0.006, 0.012, 0.018])
    for angle in (0.0, 0.7, 2.5):  # beside the middle means across the closing direction
        xy = beside[:, None] * [-np.sin(angle), np.cos(angle)]
        placed = fit_gripper(can, xy, np.full(4, angle), SHAPE, LIMITS)
        found = tapers(can, xy, np.full(4, angle), placed, SHAPE, LIMITS)
        np.testing.assert_allclose(found, beside / np.sqrt(radius**2 - beside**2), atol=0.16)
        np.testing.assert_allclose(tapers(can, -xy, np.full(4, angle), placed, SHAPE, LIMITS), found, atol=0.05)


def test_a_box_that_stands_turned_between_the_fingers_does_not_taper(box_map):
    angles = np.radians([0.0, 8.0, -8.0])
    placed = fit_gripper(box_map, np.zeros((3, 2)), angles, SHAPE, LIMITS)
    assert tapers(box_map, np.zeros((3, 2)), angles, placed, SHAPE, LIMITS).max() < 0.1


def test_of_grasps_that_the_network_likes_alike_the_one_through_the_middle_is_taken():
    can = can_map(0.034)
    alike = np.full((ANGLES, CELLS, CELLS), 0.8)
    best = select_grasps(can, alike, alike, object_mask(can), SHAPE, LIMITS, 1, 0.3)[0]
    across = best.base_T_grasp[:2, 2]
    assert abs(best.base_T_grasp[:2, 3] @ across) < 0.006
    assert best.quality > 0.75


def test_nothing_good_enough_is_an_empty_list(box_map):
    low = np.full((ANGLES, CELLS, CELLS), 0.1)
    assert select_grasps(box_map, low, low, object_mask(box_map), SHAPE, LIMITS, 5, 0.5) == []
