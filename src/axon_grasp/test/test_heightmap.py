# SPDX-License-Identifier: Apache-2.0
"""The map from above agrees with the world that the camera saw."""

import numpy as np
import pytest
from table_scenes import CAMERA, MAST, BoxScene, camera_at, turn

from axon_grasp.heightmap import (
    CELLS,
    NothingSeen,
    cells_of,
    centers_of,
    make_height_map,
    network_input,
    object_mask,
    support_height_m,
)


def seen(scene, eye=MAST):
    mount = camera_at(eye, scene.target_m)
    return make_height_map(scene.depth(mount), CAMERA, mount, scene.target_m)


def test_cells_and_their_centers_are_inverse():
    cells = np.array([[0, 0], [3, 90], [CELLS - 1, CELLS - 1]])
    np.testing.assert_array_equal(cells_of(centers_of(cells)), cells)
    np.testing.assert_array_equal(cells_of(np.array([0.001, 0.001])), [CELLS // 2, CELLS // 2])


@pytest.mark.parametrize("height", [0.02, 0.08, 0.15])
def test_the_box_is_as_high_as_it_is_and_the_table_is_zero(height):
    scene = BoxScene(size_m=(0.06, 0.10, height))
    heights = seen(scene)
    assert heights.base_T_map[2, 3] == pytest.approx(scene.table_m, abs=0.002)
    top = heights.look_up(np.array([[0.0, 0.0], [0.02, 0.0], [0.0, 0.04]]))
    np.testing.assert_allclose(top, height, atol=0.003)
    beside = heights.look_up(np.array([[-0.08, 0.0], [0.0, 0.10], [0.0, -0.10]]))
    np.testing.assert_allclose(beside, 0.0, atol=0.003)


def test_what_the_box_hides_is_unknown():
    heights = seen(BoxScene(size_m=(0.06, 0.10, 0.15)))
    behind = cells_of(np.array([[0.06, 0.0], [0.08, 0.02]]))
    assert not heights.known[behind[:, 0], behind[:, 1]].any()
    before = cells_of(np.array([[-0.06, 0.0], [-0.08, 0.02]]))
    assert heights.known[before[:, 0], before[:, 1]].all()


@pytest.mark.parametrize("angle", [0.7, -2.1])
def test_turning_scene_and_camera_together_leaves_the_map_and_turns_its_frame(angle):
    scene = BoxScene(yaw_rad=0.4)
    mount = camera_at(MAST, scene.target_m)
    first = make_height_map(scene.depth(mount), CAMERA, mount, scene.target_m)
    turned = scene.turned(angle)
    moved = turn(angle) @ mount
    second = make_height_map(turned.depth(moved), CAMERA, moved, turned.target_m)
    # rays through the borders of cells may fall to either side
    same = np.isclose(first.heights_m, second.heights_m, atol=1e-4) & (first.known == second.known)
    assert same.mean() > 0.995
    np.testing.assert_allclose(second.base_T_map, turn(angle) @ first.base_T_map, atol=2e-3)


def test_the_mask_is_the_box():
    heights = seen(BoxScene(size_m=(0.06, 0.10, 0.08)))
    points = centers_of(np.argwhere(object_mask(heights)))
    assert np.abs(points[:, 0]).max() < 0.036 and np.abs(points[:, 1]).max() < 0.056
    assert len(points) * 0.004**2 == pytest.approx(0.06 * 0.10, rel=0.15)


def test_the_surface_is_the_higher_of_table_and_floor():
    rng = np.random.default_rng(0)
    floor, table = rng.normal(-0.40, 0.002, 3000), rng.normal(0.0, 0.002, 2500)
    assert support_height_m(np.concatenate([floor, table, np.full(300, 0.1)])) == pytest.approx(0.0, abs=0.001)


def test_nothing_there_is_said():
    scene = BoxScene()
    mount = camera_at(MAST, scene.target_m)
    with pytest.raises(NothingSeen, match="no depth"):
        make_height_map(np.full((240, 320), np.nan), CAMERA, mount, scene.target_m)
    bare = BoxScene(size_m=(0.06, 0.06, 0.001))
    with pytest.raises(NothingSeen, match="nothing stands"):
        object_mask(seen(bare))


@pytest.mark.parametrize(
    ("depth", "mount", "target", "says"),
    [
        (np.ones((3, 4)), np.eye(4), np.zeros(3), "depth_m"),
        (np.ones((240, 320)), np.zeros((4, 4)), np.zeros(3), "base_T_camera"),
        (np.ones((240, 320)), np.eye(4), np.array([np.nan, 0.0, 0.0]), "target_m"),
    ],
)
def test_what_does_not_fit_is_refused(depth, mount, target, says):
    with pytest.raises(ValueError, match=says):
        make_height_map(depth, CAMERA, mount, target)


def test_the_network_sees_bounded_numbers():
    maps = network_input(seen(BoxScene(size_m=(0.06, 0.06, 0.40))))
    assert maps.shape == (2, CELLS, CELLS) and maps.dtype == np.float32
    assert maps[0].max() <= 3.0 and set(np.unique(maps[1])) <= {0.0, 1.0}
