# SPDX-License-Identifier: Apache-2.0
"""Views of whole worlds: from where the robot may stand, with labels that agree with the world."""

import numpy as np
import pytest

from axon_core.geometry import apply_transform, invert_transform
from axon_core.grids import OCCUPIED
from axon_sim.config import SimConfig
from axon_sim.simulator import Simulator
from axon_sim.world_views import ViewConfig, make_world_views
from axon_sim.worlds import make_world

QUIET = ViewConfig(image_width=160, image_height=120, noise=0.0, pose_noise=0.0, light_noise=0.0)
TABLES_M = {"coffee_table": 0.45, "dining_table": 0.74}


@pytest.fixture(scope="module")
def views():
    return make_world_views("apartment", 11, QUIET)


@pytest.fixture(scope="module")
def images(views):
    return [views.view(number) for number in range(12)]


def test_a_number_is_a_view(views):
    first, again = (make_world_views("apartment", 11, QUIET).view(2) for _ in range(2))
    assert np.array_equal(first.rgb, again.rgb) and np.array_equal(first.world_T_camera, again.world_T_camera)
    assert np.array_equal(views.view(2).rgb, first.rgb), "whatever was drawn before"
    assert not np.array_equal(views.view(3).rgb, first.rgb)


def test_depth_of_a_mask_lies_on_its_object(images):
    checked = 0
    for image in images:
        points = image.camera.back_project_image(image.depth_m)
        for index, size_m, world_T_object in zip(image.ids, image.sizes_m, image.world_T_objects, strict=True):
            seen = apply_transform(image.world_T_camera, points[image.instance_ids == index])
            local = apply_transform(invert_transform(world_T_object), seen)
            assert np.all(np.abs(local) < 0.5 * size_m + 0.006)
            checked += 1
    assert checked >= 6


def test_the_camera_hangs_where_the_robot_carries_it(images):
    heights = np.array([image.world_T_camera[2, 3] for image in images])
    assert np.all((heights > 1.0) & (heights < 1.2))
    downward = np.array([image.world_T_camera[2, 2] for image in images])
    assert np.all(downward < 0.01), "it never looks up"


def test_the_base_stands_on_free_floor(views, images):
    grid = views.world.ground_truth_grid(0.05)
    for image in images:
        cells = grid.cells_of(image.world_T_camera[None, :2, 3])
        assert grid.contains(cells).all() and grid.data[tuple(cells[0])] != OCCUPIED


def test_other_lights_change_colours_and_no_label(views, images):
    bright = make_world_views("apartment", 11, ViewConfig(image_width=160, image_height=120, noise=0.0, pose_noise=0.0))
    lit = bright.view(2)
    assert not np.array_equal(lit.rgb, images[2].rgb)


@pytest.mark.parametrize("seed", [0, 5])
def test_objects_stand_on_their_tables(seed):
    world = make_world("apartment", seed)
    assert len({placed.category for placed in world.objects}) == len(world.objects) == 7
    simulator = Simulator(world, SimConfig(world=f"apartment:{seed}"))
    for _ in range(200):
        simulator.step()
    for placed in world.objects:
        bottom_m = simulator.data.body(placed.name).xpos[2] - 0.5 * placed.item.size_m[2]
        assert bottom_m == pytest.approx(TABLES_M[placed.place], abs=0.01), placed.name
        assert placed.item.grasp_width_m < 0.09
