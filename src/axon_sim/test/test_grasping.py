# SPDX-License-Identifier: Apache-2.0
"""The free gripper: what must hold holds, what cannot does not, and no trial leaves a trace."""

import numpy as np
import pytest

from axon_sim.grasping import GraspResult, GraspTable, draw_table, draw_view, photograph_depth
from axon_sim.objects import make_object


def standing(item, x=0.0, y=0.0):
    pose = np.eye(4)
    pose[:3, 3] = x, y, 0.5 * item.size_m[2] + 0.002
    return pose


def down_at(x, y, z, angle=0.0):
    """A grasp from straight above that closes along an angle."""
    pose, c, s = np.eye(4), np.cos(angle), np.sin(angle)
    pose[:3, :3] = np.column_stack([[0.0, 0.0, -1.0], [c, s, 0.0], [s, -c, 0.0]])
    pose[:3, 3] = x, y, z
    return pose


@pytest.fixture(scope="module")
def can() -> GraspTable:
    item = make_object("can", 3)
    return GraspTable([item], [standing(item)])


def middle_m(can):
    return 0.5 * float(can.objects[0].size_m[2])


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5])
def test_a_can_between_the_fingers_is_held_at_its_diameter(can, angle):
    outcome = can.try_grasp(down_at(0.0, 0.0, middle_m(can), angle), 0.09)
    assert outcome.result is GraspResult.HELD and outcome.object_index == 0
    assert outcome.width_m == pytest.approx(float(can.objects[0].size_m[0]), abs=0.004)


def test_beside_the_can_there_is_nothing(can):
    outcome = can.try_grasp(down_at(0.25, 0.0, 0.04), 0.09)
    assert outcome.result is GraspResult.MISSED and outcome.width_m < 0.002


def test_fingers_in_the_can_or_the_table_have_no_room(can):
    radius = 0.5 * float(can.objects[0].size_m[0])
    assert can.try_grasp(down_at(0.045 + radius, 0.0, middle_m(can)), 0.09).result is GraspResult.COLLISION
    assert not can.fits(down_at(0.25, 0.0, 0.005), 0.09)
    assert can.fits(down_at(0.0, 0.0, middle_m(can)), 0.09)


def test_trials_are_independent_of_each_other(can):
    good, bad = down_at(0.0, 0.005, middle_m(can), 0.3), down_at(0.02, 0.0, middle_m(can), 1.3)
    first = [can.try_grasp(pose, 0.09) for pose in (good, bad, good)]
    again = [can.try_grasp(pose, 0.09) for pose in (bad, good)]
    assert first[0] == first[2] == again[1] and first[1] == again[0]


def test_without_force_a_heavy_thing_stays():
    item = make_object("can", 3)
    table = GraspTable([item], [standing(item)])
    weak = table.try_grasp(down_at(0.0, 0.0, 0.5 * float(item.size_m[2])), 0.09, force_n=0.2)
    assert not weak.held


def test_heights_are_those_of_the_things(can):
    points = np.array([[0.0, 0.0], [0.2, 0.1], [0.0, 0.3]])
    heights, index = can.heights(points)
    np.testing.assert_allclose(heights, [float(can.objects[0].size_m[2]), 0.0, 0.0], atol=0.002)
    assert index.tolist() == [0, -1, -1]


def test_a_seed_is_a_scene_and_things_stand_apart():
    def drawn(seed):
        return draw_table(np.random.default_rng(seed), (0, 1000), count=3, categories=("can", "cup", "box"))

    table, same, other = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(table.world_T_objects(), same.world_T_objects())
    assert [o.seed for o in table.objects] != [o.seed for o in other.objects]
    assert all(o.seed < 1000 for o in table.objects)
    assert np.linalg.norm(table.world_T_objects()[0, :2, 3]) < 0.1
    assert (np.abs(table.world_T_objects()[:, 2, 3]) < 0.3).all()  # all of them on the table


def test_the_camera_sees_the_table_at_its_height(can):
    from axon_sim.scenes import LabelRenderer

    rng = np.random.default_rng(0)
    target = can.world_T_objects()[0][:3, 3]
    world_T_camera = draw_view(rng, can, target)
    renderer = LabelRenderer(can.model, 320, 240, shadows=False)
    depth = can.draw_depth(world_T_camera, renderer)
    renderer.close()
    v, u = np.indices(depth.shape)
    focal = 120.0 / np.tan(np.radians(27.5))
    points = np.stack([(u - 159.5) / focal, (v - 119.5) / focal, np.ones_like(depth)], axis=-1) * depth[..., None]
    heights = (points @ world_T_camera[:3, :3].T + world_T_camera[:3, 3])[..., 2]
    assert np.median(heights[np.abs(heights) < 0.05]) == pytest.approx(0.0, abs=0.002)
    measured = photograph_depth(depth, rng)
    assert 0.0 < np.isnan(measured).mean() < 0.01
    error = (measured - depth)[np.isfinite(measured) & (depth < 1.0)]
    assert 0.001 < error.std() < 0.003
